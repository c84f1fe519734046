/*
 * Which of two exceptions comes, single steps through transfers of all kinds, branches beyond the
 * limit. SDM volume 3, 6.9, and chapter 17.
 */
#include "guests/kernels.h"

#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/paging.h"

/* edi: a page that is not present; eax 0. */
static void priorities(void)
{
    static const struct {
        const char *name;
        uint8_t n, bytes[7], ring, vector;
    } cases[] = {
        { "lgdt", 3, { 0x0f, 0x01, 0x17 }, 3, VEC_GP },
        { "lgdt", 3, { 0x0f, 0x01, 0x17 }, 0, VEC_PF },
        { "lldt", 3, { 0x0f, 0x00, 0x17 }, 3, VEC_GP },
        { "invlpg", 3, { 0x0f, 0x01, 0x3f }, 3, VEC_GP },
        { "lock hlt", 2, { 0xf0, 0xf4 }, 3, VEC_UD },
        { "mov %cr1", 3, { 0x0f, 0x20, 0xc8 }, 3, VEC_UD },
        { "lock add to a register", 3, { 0xf0, 0x01, 0xc0 }, 3, VEC_UD },
        { "lock mov", 3, { 0xf0, 0x89, 0x07 }, 3, VEC_UD },
        { "lock inc", 3, { 0xf0, 0xff, 0x07 }, 3, VEC_PF },
        { "div of memory", 2, { 0xf7, 0x37 }, 3, VEC_PF },
        { "in to closed port, rep insb", 2, { 0xf3, 0x6c }, 3, VEC_GP },
        { "mov to cs", 2, { 0x8e, 0x0f }, 3, VEC_UD },
        { "mov to segment 7", 2, { 0x8e, 0x3f }, 3, VEC_UD },
        { "lea of a register", 2, { 0x8d, 0xc0 }, 3, VEC_UD },
        { "cmpxchg8b of a register", 3, { 0x0f, 0xc7, 0xc8 }, 3, VEC_UD },
        { "15 prefixes and more", 7, { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90 }, 3, TRAP_END },
        { "fld", 2, { 0xd9, 0x07 }, 3, VEC_PF },
        { "lcall of memory", 2, { 0xff, 0x1f }, 3, VEC_PF },
        { "push of memory", 2, { 0xff, 0x37 }, 3, VEC_PF },
        { "bound", 2, { 0x62, 0x07 }, 3, VEC_PF },
        { "int of a closed gate", 2, { 0xcd, 0x21 }, 3, VEC_GP },
        { "into", 1, { 0xce }, 3, TRAP_END },
    };

    check_begin("priorities");
    paging_init(false, false);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct code c = { code_room };
        struct frame f = frame_at(code_room, cases[i].ring);

        for (unsigned j = 0; j < cases[i].n; j++)
            code_byte(&c, cases[i].bytes[j]);
        code_end(&c);
        f.edi = PAGING_TEST + 7 * PAGE;
        f.ecx = 1;
        trap_run(&f);
        check_that(f.vector == cases[i].vector && (f.vector == TRAP_END ||
                                                   f.eip == (uint32_t)code_room),
                   "%s, ring %u: trap %u at +%x, want %u", cases[i].name, cases[i].ring, f.vector,
                   f.eip - (uint32_t)code_room, cases[i].vector);
    }
    write_cr0(read_cr0() | CR0_TS); /* #NM comes before #PF, #UD before #NM */
    for (unsigned i = 0; i < 2; i++) {
        struct frame f = frame_at(code_room, 3);
        struct code c = { code_room };

        if (i)
            code_byte(&c, 0xf0);
        code_bytes(&c, 2, 0x07d9);
        f.edi = PAGING_TEST + 7 * PAGE;
        trap_run(&f);
        check_equal(i ? "lock fld" : "fld with TS", f.vector, i ? VEC_UD : VEC_NM);
    }
    paging_off();
    write_cr0(CR0_NORMAL);
    check_end();
}

/* Data breakpoint and single step of one instruction are one #DB; an instruction breakpoint comes
 * before #UD. */
static void debug_priorities(void)
{
    struct code c = { code_room };
    struct frame f;

    check_begin("debug-priorities");
    code_bytes(&c, 2, 0x0789); /* mov %eax, (%edi) */
    code_end(&c);
    write_dr6(0);
    write_dr0((uint32_t)data);
    write_dr7(0xd0001); /* write, 4 bytes */
    f = frame_at(code_room, 3);
    f.eflags |= FL_TF;
    trap_run(&f);
    check_that(f.vector == VEC_DB && f.eip == (uint32_t)code_room + 2, "trap %u at %x", f.vector,
               f.eip);
    check_equal("DR6: BS and B0", read_dr6() & 0x400f, 0x4001);
    write_dr6(0);
    c.at = code_room;
    code_bytes(&c, 2, 0x0b0f);
    write_dr0((uint32_t)code_room);
    write_dr7(1);
    f = frame_at(code_room, 0);
    trap_run(&f);
    check_that(f.vector == VEC_DB && (read_dr6() & 0xf) == 1, "before #UD: trap %u", f.vector);
    f.eflags |= FL_RF;
    trap_run(&f);
    check_equal("with RF", f.vector, VEC_UD);
    check_equal("RF in the fault's frame", f.eflags & FL_RF, FL_RF);
    write_dr7(0);
    write_dr6(0);
    check_end();
}

static void ignore(struct frame *f)
{
    (void)f;
}

static void expect_step(struct frame *f, uint16_t cs, uint32_t eip)
{
    trap_run(f);
    check_that(f->vector == VEC_DB && f->cs == cs && f->eip == eip,
               "trap %u at %x:%x, want %x:%x", f->vector, f->cs, f->eip, cs, eip);
}

/* Single steps through interrupts, gates and loads of SS (SDM 3, 17.3.1.4). */
static void step_through(void)
{
    static const uint8_t code[] = { 0xcd, TRAP_SYSCALL, 0x90, 0x9a, 0, 0, 0, 0, GATE | 3, 0,
                                    0xce, 0x16, 0x17, 0x90, 0xcd, TRAP_END };
    uint32_t at = (uint32_t)code_room, gate = at + 128;
    struct frame f = frame_at(code_room, 3);

    check_begin("step-through");
    copy(code_room, code, code + sizeof(code));
    code_room[128] = 0xcb; /* lret */
    gdt[GATE / 8] = gate_make(KERNEL_CS, gate, 0xec, 0);
    trap_set(TRAP_SYSCALL, ignore);
    f.eflags |= FL_TF;
    expect_step(&f, USER_CS, at + 3); /* INT has cleared TF, IRET sets it for the next but one */
    expect_step(&f, KERNEL_CS, gate);
    expect_step(&f, USER_CS, at + 10);
    expect_step(&f, USER_CS, at + 11); /* INTO that does nothing */
    expect_step(&f, USER_CS, at + 12);
    expect_step(&f, USER_CS, at + 14); /* POP SS holds the trap back */
    trap_run(&f);
    check_equal("the end", f.vector, TRAP_END);
    trap_set(TRAP_SYSCALL, NULL);
    if (cpuid_features() & CPUID_SEP) {
        wrmsr(MSR_SYSENTER_CS, KERNEL_CS);
        wrmsr(MSR_SYSENTER_ESP, trap_stack_top());
        wrmsr(MSR_SYSENTER_EIP, at + 14);
        code_room[0] = 0x0f;
        code_room[1] = 0x34;
        f = frame_at(code_room, 3);
        f.eflags |= FL_TF;
        expect_step(&f, KERNEL_CS, at + 14);
    }
    write_dr6(0);
    check_end();
}

/* A branch beyond CS's limit is #GP at the branch, with the stack as it was. */
static void branch_limits(void)
{
    static const struct {
        const char *name;
        uint8_t n, bytes[6];
    } branches[] = {
        { "jmp", 2, { 0xeb, 0x7e } },          { "jmp near", 5, { 0xe9, 0x7b, 0, 0, 0 } },
        { "jcc", 2, { 0x73, 0x7e } },          { "jcc near", 6, { 0x0f, 0x83, 0x7a, 0, 0, 0 } },
        { "call", 5, { 0xe8, 0x7b, 0, 0, 0 } }, { "jmp reg", 2, { 0xff, 0xe0 } },
        { "call reg", 2, { 0xff, 0xd0 } },     { "jmp mem", 2, { 0xff, 0x27 } },
        { "call mem", 2, { 0xff, 0x17 } },     { "ret", 1, { 0xc3 } },
        { "ret n", 3, { 0xc2, 8, 0 } },        { "loop", 2, { 0xe2, 0x7e } },
        { "jecxz", 3, { 0x67, 0xe3, 0x7d } },  { "ret far", 1, { 0xcb } },
        { "iret", 1, { 0xcf } },
    };

    check_begin("branch-limits");
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(branches); i++) {
        unsigned limit = i & 1 ? 0x81 : 0x7f; /* the target is 0x80 */
        bool is_jcxz = branches[i / 2].bytes[0] == 0x67;
        struct frame f = trap_frame(0, 3);
        uint32_t *stack = (uint32_t *)f.esp;

        copy(code_room, branches[i / 2].bytes, branches[i / 2].bytes + branches[i / 2].n);
        code_room[0x80] = 0xcd;
        code_room[0x81] = TRAP_END;
        gdt[SEG_2 / 8] = segment_make((uint32_t)code_room, limit, 0xfa, FLAGS_32);
        f.cs = SEG_2 | 3;
        f.eax = 0x80;
        f.ecx = is_jcxz ? 0x10000 : 2; /* JCXZ with a 16-bit address size: CX alone */
        f.edi = (uint32_t)data;
        data[0] = 0x80;
        stack[0] = 0x80;
        stack[1] = SEG_2 | 3;
        stack[2] = FL_1;
        trap_run(&f);
        if (i & 1)
            check_that(f.vector == TRAP_END && f.eip == 0x82, "%s: trap %u at %x",
                       branches[i / 2].name, f.vector, f.eip);
        else
            check_that(f.vector == VEC_GP && !f.error && !f.eip && f.esp == (uint32_t)stack &&
                           f.ecx == (is_jcxz ? 0x10000 : 2),
                       "%s beyond: trap %u error %x at %x", branches[i / 2].name, f.vector,
                       f.error, f.eip);
    }
    check_end();
}

void kernels_priorities(void)
{
    priorities();
    debug_priorities();
    step_through();
    branch_limits();
}
