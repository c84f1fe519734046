/*
 * Something to debug: nested functions, a variable that changes, a user program, and (debug_code.S)
 * an instruction of each kind that is hard to step over. Goes round until somebody sets
 * debug_rounds_left to 0; tests/debug/ does what a debugger does to it.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

void debug_steps(void);
void debug_string(void);
extern char debug_sysenter_entry[];
extern uint32_t debug_sysenter_stack;

volatile uint32_t debug_rounds_left = 0xffffffff, debug_rounds;
volatile uint32_t debug_user_loops = 1000;
volatile uint32_t debug_watched, debug_single_steps, debug_ticks;
volatile struct {
    uint32_t count;
    char name[12];
} debug_record = { 0, "a record" };

/* Page 1 is the user's code, page 2 its data. */
uint8_t *debug_user_code, *debug_user_data, *debug_user_loop;

static __attribute__((noinline)) uint32_t inner(uint32_t n)
{
    debug_watched += n;
    return 2 * n;
}

static __attribute__((noinline)) uint32_t middle(uint32_t n)
{
    uint32_t twice = inner(n + 1);

    debug_record.count++;
    return twice + 1;
}

static __attribute__((noinline)) uint32_t outer(uint32_t n)
{
    return middle(n) + debug_rounds;
}

static void tick(struct frame *f)
{
    (void)f;
    debug_ticks++;
    trap_irq_end(0);
}

static void single_step(struct frame *f)
{
    debug_single_steps++;
    f->eflags &= ~(uint32_t)FL_TF;
}

static void nothing(struct frame *f)
{
    (void)f;
}

static void skip_ud2(struct frame *f)
{
    f->eip += 2;
}

/* Counts in its data, then traps. */
static void make_user(void)
{
    struct code c = { debug_user_code = paging_page(1) };

    debug_user_data = paging_page(2);
    debug_user_loop = c.at;
    code_bytes(&c, 2, 0x07ff); /* 1: incl (%edi) */
    code_bytes(&c, 1, 0x49);   /* decl %ecx */
    code_bytes(&c, 2, 0xfb75); /* jnz 1b */
    code_end(&c);
}

static void run_user(void)
{
    struct frame f = trap_frame((uint32_t)debug_user_code, 3);

    f.edi = (uint32_t)debug_user_data;
    f.ecx = debug_user_loops;
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
}

static void prepare(void)
{
    paging_init(false, false);
    write_cr4(read_cr4() | CR4_OSFXSR);
    trap_set(TRAP_IRQ, tick);
    trap_set(1, single_step);
    trap_set(6, skip_ud2);
    trap_set(0x81, nothing);
    wrmsr(MSR_SYSENTER_CS, KERNEL_CS);
    wrmsr(MSR_SYSENTER_ESP, (uint32_t)&debug_sysenter_stack);
    wrmsr(MSR_SYSENTER_EIP, (uint32_t)debug_sysenter_entry);
    time_start_ticks(TIME_PIT_HZ / 100);
    trap_irq_mask(0xfffe);
    make_user();
}

unsigned guest_main(void)
{
    uint32_t sum = 0;

    check_begin("debug");
    prepare();
    for (; debug_rounds_left; debug_rounds_left--) {
        sum += outer(debug_rounds);
        debug_string();
        debug_steps();
        run_user();
        debug_rounds++;
    }
    check_that(sum || !debug_rounds, "the sum is %u", sum);
    check_end();
    return check_done();
}
