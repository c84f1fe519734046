/*
 * Corners that other people's test suites look into: what MOV SS holds back, NMIs, the local APIC,
 * tasks that cannot be entered, ports of the I/O bitmap and their breakpoints.
 *
 * Reference: SDM volume 3, 6.5 to 6.8 (NMI, priorities, stacks), 7.2 and 7.3 (tasks), 10 (APIC),
 *            17.2 and 17.3 (debugging); volume 1, 19.5 (I/O bitmap). A real CPU was asked about the
 *            breakpoints, through a debugger.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/trap.h"

static uint8_t code_room[256] __attribute__((aligned(256)));
static uint32_t data[64] __attribute__((aligned(64)));

static struct frame start(const uint8_t *code, unsigned ring)
{
    struct frame f = trap_frame((uint32_t)code, ring);

    f.edi = (uint32_t)data;
    return f;
}

/* The first n bytes of a number, and the end. */
static const uint8_t *make(unsigned n, uint64_t bytes)
{
    struct code c = { code_room };

    code_bytes(&c, n, bytes);
    code_end(&c);
    return code_room;
}

/* --- MOV SS ----------------------------------------------------------------------------------- */

/* Two instructions, the first with a load of SS, the second a NOP at "second". */
static const struct {
    const char *name;
    uint64_t bytes;
    unsigned size, second;
    bool shadow;
} stack_loads[] = {
    { "mov ss", 0x9090d08e, 4, 2, true },
    { "pop ss", 0x909017, 3, 1, true },
    { "mov ss, memory", 0x9090178e, 4, 2, true },
    { "lss", 0x909027b20f, 5, 3, false },
    { "mov ds", 0x9090d88e, 4, 2, false },
};

static struct frame stack_load_frame(unsigned i, unsigned ring)
{
    struct frame f = start(make(stack_loads[i].size, stack_loads[i].bytes), ring);

    f.eax = f.ss;
    data[0] = stack_loads[i].shadow ? f.ss : f.esp;
    data[1] = f.ss;
    *(uint32_t *)f.esp = f.ss;
    return f;
}

/* Where it stops with a breakpoint on the second instruction, and under TF. */
static void stack_load(unsigned i, unsigned ring)
{
    uint32_t second = (uint32_t)code_room + stack_loads[i].second;
    struct frame f = stack_load_frame(i, ring);
    bool shadow = stack_loads[i].shadow;

    write_dr0(second);
    write_dr6(0);
    write_dr7(1);
    trap_run(&f);
    check_that(f.vector == (shadow ? (uint32_t)TRAP_END : (uint32_t)VEC_DB),
               "%s, ring %u: trap %u with a breakpoint behind", stack_loads[i].name, ring,
               f.vector);
    write_dr0(second + 1);
    f = stack_load_frame(i, ring);
    trap_run(&f);
    check_that(f.vector == VEC_DB && f.eip == second + 1, "%s, ring %u: trap %u at +%x, two behind",
               stack_loads[i].name, ring, f.vector, f.eip - (uint32_t)code_room);
    write_dr7(0);
    f = stack_load_frame(i, ring);
    f.eflags |= FL_TF;
    trap_run(&f);
    check_that(f.vector == VEC_DB && f.eip == second + shadow, "%s, ring %u: step to +%x",
               stack_loads[i].name, ring, f.eip - (uint32_t)code_room);
}

static void stack_loads_hold_back(void)
{
    check_begin("stack-loads");
    for (unsigned i = 0; i < ARRAY_SIZE(stack_loads); i++)
        for (unsigned ring = 0; ring < 4; ring += 3)
            stack_load(i, ring);
    write_dr6(0);
    check_end();
}

/* --- Breakpoints ------------------------------------------------------------------------------ */

static void expect_break(const char *name, const struct frame *f, uint32_t at, uint32_t dr6)
{
    check_that(f->vector == VEC_DB && f->eip == at && (read_dr6() & 0xe00f) == dr6,
               "%s: trap %u at +%x, DR6 %x", name, f->vector, f->eip - (uint32_t)code_room,
               read_dr6());
    write_dr6(0);
}

static void flush_breakpoint(void)
{
    struct frame f;

    if (!(cpuid_features() & 1u << 19))
        return;
    f = start(make(4, 0x903fae0f), 3); /* clflush (%edi) */
    write_dr0((uint32_t)data);
    write_dr7(0xf0001);
    trap_run(&f);
    expect_break("clflush", &f, (uint32_t)code_room + 3, 1);
    f = start(make(4, 0x903fae0f), 3);
    write_dr7(0xd0001);
    trap_run(&f);
    check_equal("clflush writes nothing", f.vector, TRAP_END);
    write_dr7(0);
}

/* Ports 80h to 83h have one; in %dx, %al and its like, at a port. */
static void port_breakpoint(const char *name, unsigned size, uint32_t code, uint32_t port)
{
    struct frame f = start(make(size, code), 0);

    f.edx = port;
    trap_run(&f);
    expect_break(name, &f, (uint32_t)code_room + size - 1, 1);
}

static void string_port_breakpoint(void)
{
    struct frame f = start(make(3, 0x906ef3), 0); /* rep outsb */

    f.edx = 0x80;
    f.ecx = 3;
    f.esi = (uint32_t)data;
    trap_run(&f);
    expect_break("rep outsb", &f, (uint32_t)code_room, 1);
    check_equal("its ecx", f.ecx, 2);
}

static void port_breakpoints(void)
{
    struct frame f;

    write_cr4(read_cr4() | CR4_DE);
    write_dr0(0x80);
    write_dr7(0xe0001); /* I/O, 4 bytes */
    port_breakpoint("in", 2, 0x90ec, 0x82);
    port_breakpoint("out", 2, 0x90ee, 0x80);
    port_breakpoint("out of 4 bytes over it", 2, 0x90ef, 0x7e);
    string_port_breakpoint();
    f = start(make(2, 0x90ec), 0);
    f.edx = 0x84;
    trap_run(&f);
    check_equal("the next port", f.vector, TRAP_END);
    write_cr4(read_cr4() & ~CR4_DE);
    write_dr7(0);
}

/* Breakpoints of several registers at once, on one access; one of them not enabled. */
static void several_breakpoints(void)
{
    struct frame f = start(make(3, 0x900789), 3); /* mov %eax, (%edi) */

    write_dr0((uint32_t)data + 1);
    write_dr1((uint32_t)data + 3);
    write_dr7(0x0110000 | 5); /* write, a byte each */
    trap_run(&f);
    expect_break("two of one access", &f, (uint32_t)code_room + 2, 3);
    write_dr7(0x1110000 | 4);
    f = start(code_room, 3);
    trap_run(&f);
    check_that(f.vector == VEC_DB && read_dr6() & 2, "the second alone: trap %u DR6 %x", f.vector,
               read_dr6());
    write_dr6(0);
    write_dr7(0);
}

/* INT1 asks no gate's DPL; TF is not told beside it. */
static void int1(void)
{
    for (unsigned ring = 0; ring < 4; ring += 3) {
        struct frame f = start(make(2, 0x90f1), ring);

        trap_run(&f);
        check_equal("RF", f.eflags & FL_RF, 0);
        expect_break("int1", &f, (uint32_t)code_room + 1, 0);
        f = start(code_room, ring);
        f.eflags |= FL_TF;
        trap_run(&f);
        expect_break("int1 under TF", &f, (uint32_t)code_room + 1, 0);
    }
}

static void breakpoints(void)
{
    check_begin("breakpoints");
    write_dr6(0);
    flush_breakpoint();
    port_breakpoints();
    several_breakpoints();
    int1();
    check_end();
}

/* --- The local APIC and NMIs ------------------------------------------------------------------ */

enum { APIC_TPR = 0x80, APIC_PPR = 0xa0, APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_ISR = 0x100,
       APIC_IRR = 0x200, APIC_ESR = 0x280, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310,
       APIC_SELF = 0x40000, APIC_NMI = 0x400 };
#define MSR_APIC_BASE 0x1bu

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(0xfee00000 + reg);
}

static unsigned taken[16], taken_count, taken_priority[16];

static void take(struct frame *f)
{
    if (taken_count < ARRAY_SIZE(taken)) {
        taken_priority[taken_count] = *apic(APIC_PPR);
        taken[taken_count++] = f->vector;
    }
    *apic(APIC_EOI) = 0;
}

/* Interrupted by a higher one while it is served. */
static void take_slowly(struct frame *f)
{
    unsigned vector = f->vector;

    *apic(APIC_ICR) = APIC_SELF | 0x90;
    *apic(APIC_ICR) = APIC_SELF | 0x55;
    sti();
    __asm__ volatile("nop; nop");
    cli();
    if (taken_count < ARRAY_SIZE(taken))
        taken[taken_count++] = vector;
    *apic(APIC_EOI) = 0;
}

static void allow(void)
{
    sti();
    __asm__ volatile("nop; nop; nop");
    cli();
}

static void apic_priorities(void)
{
    static const uint8_t vectors[] = { 0x51, 0x71, 0x50, 0x90, 0x72 };
    static const uint8_t order[] = { 0x90, 0x72, 0x71, 0x51, 0x50 };

    taken_count = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        trap_set(vectors[i], take);
        *apic(APIC_ICR) = APIC_SELF | vectors[i];
        *apic(APIC_ICR) = APIC_SELF | vectors[i]; /* twice is once */
    }
    *apic(APIC_TPR) = 0x70;
    allow();
    check_equal("above TPR 70", taken_count, 1);
    check_equal("still requested", *apic(APIC_IRR + 0x30) & 0x60000, 0x60000);
    *apic(APIC_TPR) = 0x5f;
    allow();
    check_equal("above TPR 5f", taken_count, 3);
    *apic(APIC_TPR) = 0;
    allow();
    check_equal("all", taken_count, ARRAY_SIZE(order));
    for (unsigned i = 0; i < taken_count && i < ARRAY_SIZE(order); i++) {
        check_equal("in order", taken[i], order[i]);
        check_equal("its priority", taken_priority[i] & 0xf0, order[i] & 0xf0);
    }
}

static void apic_nesting(void)
{
    trap_set(0x55, take);
    trap_set(0x60, take_slowly);
    taken_count = 0;
    *apic(APIC_ICR) = APIC_SELF | 0x60;
    allow();
    check_equal("taken", taken_count, 3);
    check_equal("first the higher one", taken[0], 0x90);
    check_equal("then the interrupted one", taken[1], 0x60);
    check_equal("last the lower one", taken[2], 0x55);
}

static void apic_errors(void)
{
    *apic(APIC_ESR) = 0;
    *apic(APIC_ICR) = APIC_SELF | 5;
    *apic(APIC_ESR) = 0;
    check_equal("an illegal vector sent", *apic(APIC_ESR) & 0x20, 0x20);
    *apic(APIC_ESR) = 0;
    check_equal("told once", *apic(APIC_ESR), 0);
}

/* Globally disabled there is none, and CPUID says so. */
static void apic_disabled(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    check_that(cpuid_features() & CPUID_APIC, "CPUID has it");
    wrmsr(MSR_APIC_BASE, base & ~0x800ull);
    check_that(!(cpuid_features() & CPUID_APIC), "CPUID without it");
    wrmsr(MSR_APIC_BASE, base);
    check_that(cpuid_features() & CPUID_APIC, "CPUID has it again");
    *apic(APIC_SVR) = 0x1ff;
}

static unsigned nmis, nmi_depth, nmi_deepest;

/* Another one while this one is served waits for IRET, and a third is lost. */
static void nmi(struct frame *f)
{
    (void)f;
    nmi_depth++;
    if (nmi_depth > nmi_deepest)
        nmi_deepest = nmi_depth;
    if (!nmis++) {
        *apic(APIC_ICR) = APIC_NMI;
        *apic(APIC_ICR) = APIC_NMI;
        __asm__ volatile("nop; nop");
    }
    nmi_depth--;
}

static void nmis_nest(void)
{
    trap_set(VEC_NMI, nmi);
    nmis = nmi_deepest = 0;
    *apic(APIC_ICR_HIGH) = 0;
    *apic(APIC_ICR) = APIC_NMI;
    __asm__ volatile("nop; nop; nop");
    check_equal("NMIs", nmis, 2);
    check_equal("one in another", nmi_deepest, 1);
    trap_set(VEC_NMI, NULL);
}

/* movl $APIC_NMI, (%edi), with edi at the ICR: it is taken behind it. */
static void nmi_places(void)
{
    struct code c = { code_room };
    struct frame f;

    code_bytes(&c, 2, 0x07c7);
    code_long(&c, APIC_NMI);
    code_bytes(&c, 2, 0x9090);
    code_end(&c);
    f = start(code_room, 0);
    f.edi = (uint32_t)apic(APIC_ICR);
    trap_run(&f);
    check_that(f.vector == VEC_NMI && f.eip >= (uint32_t)code_room + 6 &&
               f.eip <= (uint32_t)code_room + 8, "at +%x: trap %u", f.eip - (uint32_t)code_room,
               f.vector);
    __asm__ volatile("pushfl; push %%cs; push $1f; iret; 1:" : : : "memory"); /* the end of it */
}

static bool has_apic(void)
{
    return cpuid_features() & CPUID_APIC && cpuid_features() & CPUID_MSR;
}

static void local_apic(void)
{
    if (!has_apic()) {
        check_skip("local-apic", "the CPU does not have one");
        return;
    }
    check_begin("local-apic");
    *apic(APIC_SVR) = 0x1ff;
    apic_priorities();
    apic_nesting();
    apic_errors();
    apic_disabled();
    check_end();
    check_begin("nmi");
    nmis_nest();
    nmi_places();
    nmis_nest();
    check_end();
}

/* --- Tasks that cannot be entered ------------------------------------------------------------- */

enum { TASK = 0x90, CODE_ABSENT = 0x98, DATA_ABSENT = 0xa0, LDT_ABSENT = 0xa8, CODE_SMALL = 0xb0,
       CATCHER = 0xb8 };

static struct tss task, catcher;
static uint8_t task_stack[1024], catcher_stack[1024];
uint32_t corners_error, corners_count;

/* A task that meets the exception: keeps the error code, and goes on in the main task. */
void corners_catch(void);
__asm__(".globl corners_catch\n"
        "corners_catch:\n"
        "   popl corners_error\n"
        "   incl corners_count\n"
        "   andb $0xfd, gdt + 0x28 + 5\n" /* TSS_MAIN is not busy */
        "   ljmp $0x28, $0\n");

static void make_segments(void)
{
    gdt[CODE_ABSENT / 8] = segment_make(0, 0xfffff, ACCESS_CODE & ~ACCESS_P, FLAGS_FLAT);
    gdt[DATA_ABSENT / 8] = segment_make(0, 0xfffff, ACCESS_DATA & ~ACCESS_P, FLAGS_FLAT);
    gdt[LDT_ABSENT / 8] = segment_make((uint32_t)ldt, 7, ACCESS_LDT & ~ACCESS_P, 0);
    gdt[CODE_SMALL / 8] = segment_make(0, 0xfff, ACCESS_CODE, FLAGS_32);
}

/* Each changes one word of a task: which exception says so in the task's context, its error. */
static const struct bad_task {
    const char *name;
    uint32_t offset, value, vector, error;
} bad_tasks[] = {
    { "LDT of a data segment", offsetof(struct tss, ldt), KERNEL_DS, VEC_TS, KERNEL_DS },
    { "LDT in an LDT", offsetof(struct tss, ldt), 0x3c, VEC_TS, 0x3c },
    { "absent LDT", offsetof(struct tss, ldt), LDT_ABSENT, VEC_TS, LDT_ABSENT },
    { "null CS", offsetof(struct tss, cs), 0, VEC_TS, 0 },
    { "CS of data", offsetof(struct tss, cs), KERNEL_DS, VEC_TS, KERNEL_DS },
    { "CS beyond the table", offsetof(struct tss, cs), 0xff8, VEC_TS, 0xff8 },
    { "absent CS", offsetof(struct tss, cs), CODE_ABSENT, VEC_NP, CODE_ABSENT },
    { "RPL of CS", offsetof(struct tss, cs), KERNEL_CS | 1, VEC_TS, KERNEL_CS },
    { "null SS", offsetof(struct tss, ss), 0, VEC_TS, 0 },
    { "SS of code", offsetof(struct tss, ss), KERNEL_CS, VEC_TS, KERNEL_CS },
    { "SS of ring 3", offsetof(struct tss, ss), USER_DS, VEC_TS, USER_DS & ~3u },
    { "absent SS", offsetof(struct tss, ss), DATA_ABSENT, VEC_SS, DATA_ABSENT },
    { "absent DS", offsetof(struct tss, ds), DATA_ABSENT, VEC_NP, DATA_ABSENT },
    { "DS of a TSS", offsetof(struct tss, ds), TSS_MAIN, VEC_TS, TSS_MAIN },
    { "GS beyond the table", offsetof(struct tss, gs), 0xff8, VEC_TS, 0xff8 },
    { "EIP beyond the limit", offsetof(struct tss, cs), CODE_SMALL, VEC_GP, 0 },
};

/* By CALL, JMP or a task gate. What is wrong with the new task is its own exception. */
static void enter_bad_task(const struct bad_task *b, const uint8_t *code, const char *how)
{
    struct frame f = start(code, 0);

    trap_make_task(&task, TASK, (uint32_t)code_room + 0x40, task_stack, sizeof(task_stack));
    trap_make_task(&catcher, CATCHER, (uint32_t)corners_catch, catcher_stack,
                   sizeof(catcher_stack));
    *(uint32_t *)((uint8_t *)&task + b->offset) = b->value;
    idt[b->vector] = gate_make(CATCHER, 0, ACCESS_TASK_GATE, 0);
    corners_error = 0xbad;
    corners_count = 0;
    f.ecx = 0x1234;
    trap_run(&f);
    trap_set_gate(b->vector, 0);
    check_that(f.vector == TRAP_END && corners_count == 1, "%s by %s: trap %u, caught %u times",
               b->name, how, f.vector, corners_count);
    check_that(corners_error == b->error, "%s by %s: error %x, want %x", b->name, how,
               corners_error, b->error);
    check_equal("the task's eip", task.eip, (uint32_t)code_room + 0x40);
    check_equal("who was interrupted", catcher.backlink & 0xffff, TASK);
    check_equal("ecx", f.ecx, 0x1234);
    __asm__ volatile("clts");
}

static void tasks(void)
{
    static const uint8_t call[] = { 0x9a, 0, 0, 0, 0, TASK, 0, 0xcd, 0x30 };
    static const uint8_t jump[] = { 0xea, 0, 0, 0, 0, TASK, 0, 0xcd, 0x30 };
    static const uint8_t interrupt[] = { 0xcd, 0x40, 0xcd, 0x30 };

    check_begin("bad-tasks");
    make_segments();
    idt[0x40] = gate_make(TASK, 0, ACCESS_TASK_GATE, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad_tasks); i++) {
        enter_bad_task(&bad_tasks[i], call, "call");
        enter_bad_task(&bad_tasks[i], jump, "jmp");
        enter_bad_task(&bad_tasks[i], interrupt, "int");
    }
    check_end();
}

/* --- Ports ------------------------------------------------------------------------------------ */

/* The map's last byte is followed by one of ones within the limit; a port's bits may lie in two. */
static void port_map(void)
{
    static const struct {
        const char *name;
        uint32_t port, size;
        uint8_t at, bits;    /* which byte of the map, and what it holds */
        uint32_t vector;
    } cases[] = {
        { "in of a clear bit", 0x80, 1, 0x10, 0xfe, TRAP_END },
        { "in of a set bit", 0x80, 1, 0x10, 0x01, VEC_GP },
        { "inw, the second set", 0x80, 2, 0x10, 0xfe, VEC_GP },
        { "inw over two bytes", 0x87, 2, 0x10, 0x7f, VEC_GP },
        { "inl, all clear", 0x80, 4, 0x10, 0xf0, TRAP_END },
        { "inl, the last set", 0x80, 4, 0x10, 0x08, VEC_GP },
        { "inl over two bytes", 0x86, 4, 0x10, 0x00, VEC_GP },
    };

    check_begin("port-map");
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        static const uint32_t in[] = { 0, 0x90ec, 0xed66, 0, 0x90ed };
        struct frame f;

        for (unsigned k = 0; k < sizeof(trap_tss.io_bits); k++)
            trap_tss.io_bits[k] = 0xff;
        trap_tss.io_bits[cases[i].at] = cases[i].bits;
        trap_tss.io_map = offsetof(struct tss, io_bits);
        f = start(make(2, in[cases[i].size]), 3);
        f.edx = cases[i].port;
        trap_run(&f);
        check_that(f.vector == cases[i].vector, "%s: trap %u", cases[i].name, f.vector);
    }
    trap_tss.io_map = sizeof(trap_tss);
    check_end();
}

/* With a limit of its own: both bytes of a port must be within it. */
static void port_map_limit(void)
{
    check_begin("port-map-limit");
    for (unsigned k = 0; k < sizeof(trap_tss.io_bits); k++)
        trap_tss.io_bits[k] = 0;
    for (unsigned over = 0; over < 3; over++) {
        uint32_t limit = offsetof(struct tss, io_bits) + 0x10 + over;
        struct frame f = start(make(2, 0x90ec), 3);

        trap_tss.io_map = offsetof(struct tss, io_bits);
        gdt[TSS_MAIN / 8] = segment_make((uint32_t)&trap_tss, limit, ACCESS_TSS, 0);
        __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
        f.edx = 0x80;
        trap_run(&f);
        check_equal("limit", f.vector, over ? (uint32_t)TRAP_END : (uint32_t)VEC_GP);
    }
    gdt[TSS_MAIN / 8] = segment_make((uint32_t)&trap_tss, sizeof(trap_tss) - 1, ACCESS_TSS, 0);
    __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
    trap_tss.io_map = sizeof(trap_tss);
    check_end();
}

unsigned guest_main(void)
{
    write_cr0(CR0_PE | CR0_MP | CR0_NE);
    stack_loads_hold_back();
    breakpoints();
    local_apic();
    tasks();
    port_map();
    port_map_limit();
    return check_done();
}
