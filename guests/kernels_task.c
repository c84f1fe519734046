/* Nested tasks, jumps to tasks, task gates, 16-bit TSSs. SDM volume 3, chapter 7. */
#include "guests/kernels.h"

#include "guests/lib/check.h"
#include "guests/lib/paging.h"

extern const uint8_t kernels_task_a[], kernels_task_b[], kernels_task_call[], kernels_task_jmp[];
extern const uint8_t kernels_task_int[], kernels_task_after[], kernels_task_loop[];
extern const uint8_t kernels_task_jmper[];

static struct tss task_a, task_b;
static uint8_t stack_a[1024], stack_b[1024];

static void nested_tasks(void)
{
    struct frame f;

    check_begin("nested-tasks");
    trap_make_task(&task_a, TASK_A, (uint32_t)kernels_task_a, stack_a, sizeof(stack_a));
    trap_make_task(&task_b, TASK_B, (uint32_t)kernels_task_b, stack_b, sizeof(stack_b));
    for (uint32_t i = 1; i <= 5; i++) {
        f = frame_at(kernels_task_call, 0);
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("A's eax", task_a.eax, i * 0x101);
        check_equal("B's eax", task_b.eax, i * 16);
        check_equal("B's str", task_b.edx, TASK_B);
        check_equal("A's back link", task_a.backlink & 0xffff, TSS_MAIN);
        check_equal("B's back link", task_b.backlink & 0xffff, TASK_A);
        check_that(!trap_task_busy(TASK_A) && !trap_task_busy(TASK_B) && trap_task_busy(TSS_MAIN),
                   "busy bits");
        check_equal("NT of the caller", f.eflags & FL_NT, 0);
        __asm__ volatile("clts");
    }
    trap_make_task(&task_a, TASK_A, (uint32_t)kernels_task_loop, stack_a, sizeof(stack_a));
    f = frame_at(kernels_task_call, 0);
    trap_run(&f); /* in task A now */
    check_that(f.vector == VEC_GP && f.error == TASK_A, "a call of itself: trap %u error %x",
               f.vector, f.error);
    check_equal("where", f.eip, (uint32_t)kernels_task_loop);
    check_equal("NT", f.eflags & FL_NT, FL_NT);
    gdt[TSS_MAIN / 8] &= ~(2ull << 40);
    __asm__ volatile("clts; ltr %w0" : : "r"(TSS_MAIN));
    check_end();
}

static void task_jumps(void)
{
    struct frame f;

    check_begin("task-jumps");
    trap_make_task(&task_a, TASK_A, (uint32_t)kernels_task_jmper, stack_a, sizeof(stack_a));
    for (uint32_t i = 1; i <= 5; i++) {
        f = frame_at(kernels_task_jmp, 0);
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("A's eax", task_a.eax, i);
        check_that(!trap_task_busy(TASK_A) && trap_task_busy(TSS_MAIN), "busy bits");
        check_equal("no back link", task_a.backlink, 0);
        check_equal("NT", f.eflags & FL_NT, 0);
        __asm__ volatile("clts");
    }
    check_end();
}

/* From ring 3 through a task gate in the IDT, and with pages of the task's own. */
static void task_gates(void)
{
    check_begin("task-gates");
    for (unsigned pass = 0; pass < 2; pass++) {
        if (pass)
            paging_init(false, false);
        trap_make_task(&task_b, TASK_B, (uint32_t)kernels_task_b, stack_b, sizeof(stack_b));
        idt[0x71] = gate_make(TASK_B, 0, 0xe5, 0);
        for (uint32_t i = 1; i <= 5; i++) {
            struct frame f = frame_at(kernels_task_int, 3);

            f.ecx = 0x1234;
            trap_run(&f);
            check_equal("trap", f.vector, TRAP_END);
            check_equal("eip", f.eip, (uint32_t)kernels_task_after + 2);
            check_equal("ring 3's cs", f.cs, USER_CS);
            check_equal("ecx", f.ecx, 0x1234);
            check_equal("B's eax", task_b.eax, i * 16);
            __asm__ volatile("clts");
        }
        if (pass)
            paging_off();
    }
    trap_set_gate(0x71, 0);
    check_end();
}

/* A task of the 286, with 16-bit registers. */
static void task_286(void)
{
    static uint16_t tss[22];
    static const uint8_t code[] = { 0xcd, 0x30 };
    struct frame f = frame_at(kernels_task_call, 0);

    check_begin("286-task");
    copy((void *)0x8000, code, code + sizeof(code));
    tss[1] = 0x7000; /* the stack of ring 0 */
    tss[2] = KERNEL_DS;
    tss[7] = 0x8000;
    tss[8] = FL_1 | FL_CF;
    tss[9] = 0x1111;
    tss[13] = 0x7f00;
    tss[17] = USER_DS;
    tss[18] = USER_CS;
    tss[19] = USER_DS;
    tss[20] = USER_DS;
    gdt[TASK_A / 8] = segment_make((uint32_t)tss, 43, 0x81, 0);
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    check_equal("eip", f.eip, 0x8002);
    check_equal("flags", f.eflags & (FL_NT | FL_CF), FL_NT | FL_CF);
    check_equal("ax", f.eax & 0xffff, 0x1111);
    check_equal("fs", f.fs, 0);
    check_equal("back link", tss[0], TSS_MAIN);
    gdt[TSS_MAIN / 8] &= ~(2ull << 40);
    __asm__ volatile("clts; ltr %w0" : : "r"(TSS_MAIN));
    check_end();
}

void kernels_tasks(void)
{
    nested_tasks();
    task_jumps();
    task_gates();
    task_286();
}
