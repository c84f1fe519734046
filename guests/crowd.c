/*
 * One of many guests at once: says READY, sleeps until a byte comes over the serial line, works and
 * says DONE. The work is a bit of everything: user code that computes while a timer ticks, system
 * calls, faults on pages that are then mapped. "rounds=N" on the command line: so much of it.
 *
 * Not a measure by itself: bench/novtbench/crowd.py asks how much N of these get done together.
 */
#include "guests/lib/boot.h"
#include "guests/lib/code.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum { ROUNDS = 40, SUMS = 2000000, PAGES = 32, HZ = 100 };
enum { UART_IER = CONSOLE_PORT + 1, IER_RECEIVED = 1 };

static bool started;

static void tick(struct frame *f)
{
    (void)f;
    trap_irq_end(0);
}

static void receive(struct frame *f)
{
    (void)f;
    while (console_get() >= 0)
        started = true;
    trap_irq_end(CONSOLE_IRQ);
}

static void wait_for_start(void)
{
    trap_set(TRAP_IRQ, tick);
    trap_set(TRAP_IRQ + CONSOLE_IRQ, receive);
    outb(UART_IER, IER_RECEIVED);
    trap_irq_mask((uint16_t)~(1u << CONSOLE_IRQ));
    print("READY\n");
    while (!started) {
        sti_hlt();
        cli();
    }
}

/* User code in page 1: adds up page 2, ecx words; a system call at the end of each 4096. */
static void write_program(struct code *c)
{
    const uint8_t *loop = c->at;

    code_bytes(c, 2, 0xc889);     /* movl %ecx, %eax */
    code_byte(c, 0x25);           /* andl $1023, %eax */
    code_long(c, 1023);
    code_bytes(c, 3, 0x871403);   /* addl (%edi, %eax, 4), %edx */
    code_bytes(c, 2, 0xc1f7);     /* testl $4095, %ecx */
    code_long(c, 4095);
    code_bytes(c, 2, 0x0275);     /* jnz over the call */
    code_bytes(c, 2, 0x80cd);     /* int $0x80 */
    code_byte(c, 0x49);           /* decl %ecx */
    code_bytes(c, 2, 0x75 | (uint32_t)(uint8_t)(loop - (c->at + 2)) << 8);
    code_end(c);
}

static void compute(void)
{
    struct frame f = trap_frame((uint32_t)paging_page(1), 3);

    f.edi = (uint32_t)paging_page(2);
    f.ecx = SUMS;
    f.eflags |= FL_IF;
    trap_run(&f);
}

/* Maps the page that was missed. */
static void map_page(struct frame *f)
{
    uint32_t page = (read_cr2() - PAGING_TEST) / PAGE;

    (void)f;
    *paging_pte(read_cr2()) = (uint32_t)paging_page(page % PAGING_PAGES) | PTE_P | PTE_W;
}

static void touch_pages(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        *(volatile uint32_t *)(PAGING_TEST + i * PAGE + PAGE / 2) += i;
    for (unsigned i = 0; i < PAGES; i++)
        *paging_pte(PAGING_TEST + i * PAGE) = 0;
    write_cr3(read_cr3());
}

static void nothing(struct frame *f)
{
    (void)f;
}

unsigned guest_main(void)
{
    struct code c = { paging_page(1) };
    uint32_t rounds = ROUNDS;

    boot_option("rounds", &rounds);
    paging_init(false, false);
    write_program(&c);
    trap_set(TRAP_SYSCALL, nothing);
    trap_set(VEC_PF, map_page);
    wait_for_start();
    time_start_ticks(TIME_PIT_HZ / HZ);
    trap_irq_mask(0xfffe);
    while (rounds--) {
        compute();
        touch_pages();
    }
    trap_irq_mask(0xffff);
    print("DONE 1 passed 0 failed\n");
    return 0;
}
