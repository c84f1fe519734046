/*
 * 10 bare bones: what the tutorials for a kernel of one's own begin with, without any library. Text
 * is written to the screen's memory (and to port E9h, so that it can be seen without a screen), the
 * PICs are moved away from the exceptions, and the 8254 ticks.
 *
 * Reference: IBM VGA (text modes); Intel 8259A, 8254; SDM volume 3, sections 3.4.5 and 6.11.
 */
#include "exercise.h"

enum { COLUMNS = 80, ROWS = 25, GREY = 0x0700, DEBUG = 0xe9, DEBUG_EXIT = 0xf4 };
enum { PIC1 = 0x20, PIC2 = 0xa0, END_OF_INTERRUPT = 0x20, VECTOR_IRQ = 0x20, PIT = 0x40, HZ = 100 };
enum { CODE = 8, DATA = 16, INTERRUPT_GATE = 0x8e };

void kernel_main(void), on_timer(void), on_unexpected(void);
extern uint8_t entry_timer[], entry_unexpected[];

static uint16_t *const screen = (uint16_t *)0xb8000;
static unsigned row, column;
static volatile uint32_t timer_ticks;
static uint64_t my_gdt[3] = { 0, 0x00cf9a000000ffff, 0x00cf92000000ffff };
static uint64_t my_idt[256];

static void put_character(char c)
{
    outb(DEBUG, c);
    if (c == '\n') {
        column = 0;
        row++;
    } else {
        screen[row * COLUMNS + column++] = GREY | (uint8_t)c;
    }
    if (row < ROWS)
        return;
    scroll_up(screen, COLUMNS, ROWS);
    row = ROWS - 1;
}

static void put_string(const char *s)
{
    while (*s)
        put_character(*s++);
}

static void clear_screen(void)
{
    for (unsigned i = 0; i < COLUMNS * ROWS; i++)
        screen[i] = GREY | ' ';
}

/* A loader's GDT is the loader's: where it is, and which selectors it has, is not promised. */
static void load_gdt(void)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) table = { sizeof(my_gdt) - 1, (uint32_t)my_gdt };

    __asm__ volatile("lgdt %0; ljmp %1, $1f; 1: movl %2, %%ds; movl %2, %%es; movl %2, %%ss"
                     : : "m"(table), "i"(CODE), "r"(DATA) : "memory");
}

static void load_idt(void)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) table = { sizeof(my_idt) - 1, (uint32_t)my_idt };

    for (unsigned i = 0; i < 256; i++) {
        uint32_t to = (uint32_t)(i == VECTOR_IRQ ? entry_timer : entry_unexpected);

        my_idt[i] = (uint64_t)(to & 0xffff0000 | INTERRUPT_GATE << 8) << 32 | CODE << 16 |
                    to & 0xffff;
    }
    __asm__ volatile("lidt %0" : : "m"(table));
}

/* As the BIOS has them, IRQ 0 is vector 8: double fault. Moved to 20h and 28h; the timer on. */
static void move_pics(void)
{
    static const uint8_t words[4][2] = { { 0x11, 0x11 }, { VECTOR_IRQ, VECTOR_IRQ + 8 },
                                         { 4, 2 }, { 1, 1 } };

    for (unsigned i = 0; i < 4; i++) {
        outb(PIC1 + (i != 0), words[i][0]);
        outb(PIC2 + (i != 0), words[i][1]);
    }
    outb(PIC1 + 1, 0xfe);
    outb(PIC2 + 1, 0xff);
}

static void start_pit(void)
{
    uint32_t divisor = 1193182 / HZ;

    outb(PIT + 3, 0x34);
    outb(PIT, divisor);
    outb(PIT, divisor >> 8);
}

void on_timer(void)
{
    timer_ticks++;
    outb(PIC1, END_OF_INTERRUPT);
}

void on_unexpected(void)
{
    put_string("an exception\n");
    outb(DEBUG_EXIT, 1);
}

/* The first line must have left the screen, and the last one be in the last row but one. */
static void show_scrolling(void)
{
    for (char c = 'a'; c <= 'z'; c++) {
        put_character(c);
        put_character('\n');
    }
    put_string((char)screen[0] == 'c' && (char)screen[(ROWS - 2) * COLUMNS] == 'z'
                   ? "the screen has scrolled\n" : "the screen has not scrolled\n");
}

void kernel_main(void)
{
    load_gdt();
    load_idt();
    move_pics();
    start_pit();
    clear_screen();
    put_string("hello on the screen\n");
    sti();
    while (timer_ticks < 10)
        __asm__ volatile("hlt");
    cli();
    put_string("ten ticks\n");
    clear_screen();
    row = column = 0;
    show_scrolling();
    outb(DEBUG_EXIT, 0);
}
