/*
 * 01 hello: the least that a kernel can be. guests/lib/start.S is where it begins: a boot loader
 * finds the multiboot header there, loads the file at 1 MiB and jumps to it, in 32-bit protected
 * mode, interrupts off, paging off. From there guest_main is called, and what it returns is the
 * kernel's end.
 *
 * There is no operating system to print for us: text is written to the serial port, byte by byte.
 *
 * Reference: Multiboot Specification 0.6.96; National PC16550D data sheet, section 8.
 */
#include "exercise.h"
#include "guests/lib/boot.h"

enum { COM1 = 0x3f8, LINE_STATUS = 5, CAN_SEND = 0x20 };

/* OUT and IN reach a chip, not memory: a monitor has to stand in for it each time. */
void put(char c)
{
    while (!(inb(COM1 + LINE_STATUS) & CAN_SEND))
        ;
    outb(COM1, c);
}

void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

unsigned guest_main(void)
{
    put_text("hello, world\n");
    if (boot_option("exercise", NULL)) {
        static const uint32_t numbers[] = { 0, 9, 0x10, 0xdeadbeef, 0x80000000 };

        for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
            put_hex(numbers[i]);
            put('\n');
        }
    }
    return 0; /* guests/lib/boot.c powers the machine off */
}
