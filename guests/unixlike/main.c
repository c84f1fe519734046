/* What the kernel does, in order; then it is the user program's. */
#include "guests/unixlike/unixlike.h"

enum { SCRATCH = 2, USER_STACK = PAGE * 2 };

extern uint8_t user_start[], user_end[];

void kernel_main(void);

/* What is written to the second disk is there, also when it is read by another buffer. */
static void try_disk(void)
{
    uint32_t *from = memory_page(), *to = memory_page();

    for (uint32_t i = 0; i < SECTOR / 4; i++)
        from[i] = i * 0x9e3779b9;
    ide_write(1, SCRATCH, from);
    ide_read(1, SCRATCH, to);
    for (uint32_t i = 0; i < SECTOR / 4; i++)
        if (to[i] != from[i])
            panic("disk: long %u is %x", i, to[i]);
    print("ide: written and read\n");
}

static void start_user(void)
{
    static struct frame first;
    uint8_t *page = memory_page();

    for (const uint8_t *p = user_start; p < user_end; p++)
        page[p - user_start] = *p;
    memory_map(0, page);
    memory_map(PAGE, memory_page());
    first = (struct frame){ .es = SEL_USER_DATA, .ds = SEL_USER_DATA, .cs = SEL_USER_CODE,
                            .ss = SEL_USER_DATA, .esp = USER_STACK, .eflags = FL_1 | FL_IF };
    user_enter(&first);
}

void kernel_main(void)
{
    console_init();
    print("unixlike: at %x.", (uint32_t)kernel_main & 0xfff00000);
    print(console_has_screen() ? " On the screen, too\n" : " No screen\n");
    memory_init();
    trap_init();
    apic_init();
    console_listen();
    ide_init();
    try_disk();
    start_user();
}
