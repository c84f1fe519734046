/*
 * Double faults, call gates, tasks, 16-bit segments and virtual-8086 mode.
 *
 * Reference: SDM volume 3, chapters 5 (gates), 6.15 (double fault), 7 (tasks), 20 (virtual-8086
 *            mode).
 */
#include "guests/traps.h"

#include "guests/lib/check.h"
#include "guests/lib/paging.h"

/* --- Double faults ------------------------------------------------------ */

static void double_faults(void)
{
    static const uint8_t push[] = { 0x50, 0xcd, 0x30 }, bad_segment[] = { 0x8e, 0xd8, 0xcd, 0x30 };
    struct frame f;

    check_begin("double-fault");
    idt[VEC_GP] = 0;
    f = traps_start(bad_segment, 0);
    f.eax = 0xfff8;
    trap_run(&f);
    trap_set_gate(VEC_GP, 0);
    check_equal("no gate for #GP", f.vector, VEC_DF);
    check_equal("eip", f.eip, (uint32_t)bad_segment);
    paging_init(false, false);
    paging_set(paging_pte(PAGING_TEST + PAGE), (uint32_t)paging_page(0) | PTE_P | PTE_W);
    write_cr3(read_cr3());
    f = traps_start(push, 0);
    f.esp = PAGING_TEST + PAGE + 12; /* IRET's frame lies below: 0 bytes are left after it */
    trap_run(&f);
    check_equal("a frame's room", f.vector, VEC_DF);
    check_equal("eip", f.eip, (uint32_t)push + 1); /* int $0x30 has no room */
    paging_off();
    check_end();
}

/* --- Gates and tasks ---------------------------------------------------- */

extern const uint8_t traps_gate_call[], traps_gate_target[], traps_gate_back[];
extern const uint8_t traps_task[], traps_task_call[], traps_task_back[], traps_gate16_call[];

static void call_gates(void)
{
    struct frame f = traps_start(traps_gate_call, 3);
    uint32_t esp = f.esp;

    check_begin("call-gate");
    gdt[0x70 / 8] = gate_make(KERNEL_CS, (uint32_t)traps_gate_target,
                              ACCESS_CALL_GATE | ACCESS_DPL3, 3);
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    check_equal("eip", f.eip, (uint32_t)traps_gate_back + 2);
    check_equal("first parameter", f.ecx, 0x11111111);
    check_equal("second", f.ebx, 0x22222222);
    check_equal("third", f.eax, 0x33333333);
    check_equal("the caller's cs", f.edx & 0xffff, USER_CS);
    check_equal("the caller's ss", f.esi & 0xffff, USER_DS);
    check_equal("cs", f.cs, USER_CS);
    check_equal("esp", f.esp, esp);
    gdt[0x70 / 8] = gate_make(KERNEL_CS, (uint32_t)traps_gate_target, ACCESS_CALL_GATE, 3);
    f = traps_start(traps_gate_call, 3);
    trap_run(&f);
    check_that(f.vector == VEC_GP && f.error == 0x70, "privileged gate: trap %u error %x",
               f.vector, f.error);
    check_end();
}

/* A gate for 16-bit code has 16 bits of offset, whatever its upper half holds. */
static void gate_of_286(void)
{
    volatile uint8_t *target = (volatile uint8_t *)0x8000;
    struct frame f = traps_start(traps_gate16_call, 3);

    check_begin("286-gate");
    target[0] = 0xcd;
    target[1] = TRAP_END;
    gdt[0x78 / 8] = gate_make(USER_CS, 0x12348000, 0xe4, 0);
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    check_equal("eip", f.eip, 0x8002);
    check_equal("two words are pushed", f.esp, trap_stack_top() - 4);
    check_equal("the return address", *(volatile uint16_t *)f.esp,
                ((uint32_t)traps_gate16_call + 7) & 0xffff);
    check_end();
}

static struct tss task;
static uint8_t task_stack[1024];

static void make_task(void)
{
    trap_make_task(&task, 0x80, (uint32_t)traps_task, task_stack, sizeof(task_stack));
}

static void tasks(void)
{
    check_begin("tasks");
    make_task();
    for (uint32_t i = 1; i <= 3; i++) {
        struct frame f = traps_start(traps_task_call, 0);

        f.ecx = 0x77;
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("eip", f.eip, (uint32_t)traps_task_back + 2);
        check_equal("ecx", f.ecx, 0x77);
        check_equal("the task's eax", task.eax, i);
        check_equal("the task's NT", task.ebx & FL_NT, FL_NT);
        check_equal("the saved NT", task.eflags & FL_NT, 0);
        check_equal("backlink", task.backlink & 0xffff, TSS_MAIN);
        check_that(!trap_task_busy(0x80) && trap_task_busy(TSS_MAIN), "busy bits");
        check_equal("CR0.TS", read_cr0() & CR0_TS, CR0_TS);
        __asm__ volatile("clts");
    }
    check_end();
}

static void bad_task(uint64_t descriptor, uint32_t vector, uint32_t error, const char *what)
{
    struct frame f = traps_start(traps_task_call, 0);

    gdt[0x80 / 8] = descriptor;
    trap_run(&f);
    check_that(f.vector == vector && f.error == error, "%s: trap %u error %x", what, f.vector,
               f.error);
}

static void bad_tasks(void)
{
    uint32_t at = (uint32_t)&task;

    check_begin("bad-tasks");
    make_task();
    bad_task(segment_make(at, 102, ACCESS_TSS, 0), VEC_TS, 0x80, "limit");
    bad_task(segment_make(at, 103, 0x09, 0), VEC_NP, 0x80, "absent");
    bad_task(segment_make(at, 103, 0x8b, 0), VEC_GP, 0x80, "busy");
    check_end();
}

/* --- 16 bits ------------------------------------------------------------ */

extern const uint8_t traps_code16[], traps_code16_end[], traps_v86[], traps_v86_end[];

static void code16(void)
{
    struct frame f = traps_start(NULL, 3);

    check_begin("16-bit");
    gdt[FREE_SELECTOR / 8] =
        segment_make((uint32_t)traps_code16, 0xffff, ACCESS_CODE | ACCESS_DPL3, FLAGS_16);
    gdt[0x68 / 8] = segment_make(0x20000, 0xffff, ACCESS_DATA | ACCESS_DPL3, FLAGS_16);
    f.cs = FREE_SELECTOR | 3;
    f.ss = 0x6b;
    f.esp = 0xabcd0000;
    f.eax = 0x11112222;
    f.ebx = 0x33334444;
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    check_equal("eip", f.eip, traps_code16_end - traps_code16);
    check_equal("popl", f.ebp & 0xffff, 0xffff);
    check_equal("popw", f.edx & 0xffff, 0x2222);
    check_equal("lea wraps", f.edi & 0xffff, 2);
    check_equal("sp", f.esp & 0xffff, 0);
    check_end();
}

/* A push that would lie over the end of a 16-bit stack. */
static void stack16(void)
{
    static const uint8_t push[] = { 0x50, 0xcd, 0x30 };

    check_begin("16-bit-stack");
    for (unsigned sp = 0; sp <= 4; sp++) {
        struct frame f = traps_start(push, 3);
        bool fits = sp == 0 || sp == 4;

        f.ss = 0x6b;
        f.esp = sp;
        f.eax = 0xdeadbeef;
        trap_run(&f);
        check_that(f.vector == (fits ? (uint32_t)TRAP_END : (uint32_t)VEC_SS), "sp %u: trap %u", sp,
                   f.vector);
        check_equal("sp", f.esp & 0xffff, fits ? (sp - 4) & 0xffff : sp);
    }
    check_end();
}

static struct frame v86_start(unsigned iopl)
{
    struct frame f = trap_frame(0, 0);
    volatile uint8_t *to = (volatile uint8_t *)0x70000;

    for (unsigned i = 0; i < (unsigned)(traps_v86_end - traps_v86); i++)
        to[i] = traps_v86[i];
    f.eflags |= FL_VM | iopl << 12;
    f.cs = 0x7000;
    f.ss = f.v86_ds = f.v86_es = 0x6000;
    f.ds = f.es = 0;
    f.esp = 0x1000;
    return f;
}

/* What a monitor of virtual-8086 tasks does: the instructions that #GP at IOPL 0 done by hand. */
static bool v86_emulate(struct frame *f, bool *interrupts)
{
    volatile uint8_t *ip = (volatile uint8_t *)(f->cs * 16 + f->eip);
    volatile uint16_t *sp = (volatile uint16_t *)(f->ss * 16 + f->esp);

    switch (*ip) {
    case 0xcd: f->eax = 0x5600 | ip[1]; f->eip += 2; return true;
    case 0xfa: *interrupts = false; f->eip++; return true;
    case 0xfb: *interrupts = true; f->eip++; return true;
    case 0x9c:
        sp[-1] = (f->eflags & ~FL_IF) | (*interrupts ? FL_IF : 0);
        f->esp -= 2;
        f->eip++;
        return true;
    default: return false;
    }
}

static void v86(void)
{
    struct frame f = v86_start(0);
    bool interrupts = false;
    unsigned traps = 0;

    check_begin("virtual-8086");
    do {
        trap_run(&f);
        check_that(f.vector == VEC_GP && f.error == 0 && f.eflags & FL_VM, "trap %u error %x",
                   f.vector, f.error);
    } while (f.vector == VEC_GP && traps++ < 20 && v86_emulate(&f, &interrupts));
    check_equal("eip", f.eip, traps_v86_end - traps_v86 - 1);
    check_equal("int 0x21's answer", f.ebx & 0xffff, 0x5621);
    check_equal("the flags it saw", f.edx & FL_IF, FL_IF);
    check_equal("traps", traps, 5);
    check_equal("ds", f.v86_ds, 0x6000);
    f = v86_start(3);
    trap_run(&f);
    check_that(f.vector == VEC_GP && f.error == 0x21 * 8 + 2, "int at IOPL 3: trap %u error %x",
               f.vector, f.error);
    check_end();
}

void traps_gates(void)
{
    double_faults();
    call_gates();
    gate_of_286();
    tasks();
    bad_tasks();
    code16();
    stack16();
    v86();
}
