/*
 * 08 task switch: two tasks, a stack and an address space each, take turns. The switch itself is a
 * dozen instructions (task_switch_code.S); what it costs a monitor is the write to CR3.
 *
 * On the command line: rounds=N; same, for tasks that share an address space.
 *
 * Reference: SDM volume 3, sections 4.10.4 (what a write to CR3 does) and 7.2.
 */
#include "exercise.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"

enum { TASKS = 3, STACK = 8192, OWN = PAGING_TEST };

struct task {
    uint32_t esp, cr3; /* in this order: task_switch_code.S */
    uint32_t turns;
    uint8_t stack[STACK];
};

void task_switch(struct task *from, const struct task *to);

static struct task tasks[TASKS], start;
static bool finished[TASKS];
static unsigned current, count;
static uint32_t directories[TASKS][1024] __attribute__((aligned(PAGE)));
static uint32_t tables[TASKS][1024] __attribute__((aligned(PAGE)));
static bool exercised;

/* One of its own; all but the page at OWN is the same everywhere. */
static uint32_t make_space(unsigned n)
{
    const uint32_t *now = (const uint32_t *)read_cr3();

    for (unsigned i = 0; i < 1024; i++)
        directories[n][i] = now[i];
    directories[n][OWN >> 22] = (uint32_t)tables[n] | PTE_P | PTE_W;
    tables[n][0] = (uint32_t)paging_page(n) | PTE_P | PTE_W;
    return (uint32_t)directories[n];
}

static void go_on(void)
{
    unsigned from = current;

    current = exercised ? next_task(current, count, finished) : (current + 1) % count;
    if (current >= count || finished[current])
        task_switch(&tasks[from], &start);
    else
        task_switch(&tasks[from], &tasks[current]);
}

/* Counts in a variable of its own, at the same address as the other's. */
static void task_main(void)
{
    volatile uint32_t *own = (volatile uint32_t *)OWN;
    unsigned me = current;

    for (uint32_t i = 0; i < tasks[me].turns; i++) {
        *own += me + 1;
        go_on();
    }
    print("task %u: %u at %08x\n", me, *own, OWN);
    finished[me] = true;
    go_on();
}

/* As if it had left at task_main's first instruction: EDI, ESI, EBX, EBP, EIP. */
static void make_task(unsigned n, uint32_t turns, bool share)
{
    uint32_t *esp = (uint32_t *)(tasks[n].stack + STACK);

    *--esp = 0; /* where it would return to */
    *--esp = (uint32_t)task_main;
    esp -= 4;
    tasks[n].esp = (uint32_t)esp;
    tasks[n].cr3 = share ? tasks[0].cr3 : make_space(n);
    tasks[n].turns = turns;
}

unsigned guest_main(void)
{
    uint32_t rounds = 10;

    paging_init(false, false);
    boot_option("rounds", &rounds);
    exercised = boot_option("exercise", NULL);
    count = exercised ? 3 : 2;
    for (unsigned n = 0; n < count; n++)
        make_task(n, exercised ? n + 1 : rounds, n && boot_option("same", NULL));
    start.cr3 = read_cr3();
    task_switch(&start, &tasks[0]);
    for (unsigned n = 0; n < count; n++)
        if (!finished[n])
            print("task %u has not finished\n", n);
    return 0;
}
