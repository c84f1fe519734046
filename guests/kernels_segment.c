/*
 * Rings 1 and 2, gates through all rings, conforming code, expand-down stacks, LDTs, code segments
 * with any base, bit strings far from their base. SDM volume 3, chapters 3 and 5.
 */
#include "guests/kernels.h"

#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/paging.h"

static void inner_rings(void)
{
    struct frame f;

    check_begin("rings-1-and-2");
    for (unsigned ring = 1; ring < 3; ring++) {
        for (unsigned iopl = 0; iopl < 4; iopl++) {
            uint32_t want = iopl >= ring ? (uint32_t)TRAP_END : (uint32_t)VEC_GP;
            struct code c = { code_room };

            code_bytes(&c, 2, 0xfbfa); /* cli; sti */
            code_end(&c);
            f = frame_at(code_room, ring);
            f.eflags |= iopl << 12;
            trap_run(&f);
            check_that(f.vector == want, "cli in ring %u, iopl %u: trap %u", ring, iopl, f.vector);
        }
        f = run_bytes(1, 0xf4, ring);
        check_equal("hlt", f.vector, VEC_GP);
        f = run_bytes(3, 0xc0200f, ring);
        check_equal("mov %cr0", f.vector, VEC_GP);
        f = run_bytes(6, 0x9d0004020068, ring); /* push 0x40200; popf */
        check_equal("popf", f.vector, TRAP_END);
        check_equal("IF is not popf's", f.eflags & FL_IF, 0);
    }
    check_end();
}

/* 3 -> 1 -> 0 and back by gates, with parameters. */
static void gate_stairs(void)
{
    static uint8_t ring1[32], ring0[16];
    struct code c = { ring0 };
    struct frame f;

    check_begin("gate-stairs");
    code_bytes(&c, 4, 0x0424448b);   /* mov 4(%esp), %eax: ring 1's cs */
    code_bytes(&c, 4, 0x08245c8b);   /* mov 8(%esp), %ebx: its parameter */
    code_bytes(&c, 3, 0x0004ca);     /* lret $4 */
    c.at = ring1;
    code_bytes(&c, 4, 0x08244c8b);   /* mov 8(%esp), %ecx */
    code_bytes(&c, 2, 0x556a);       /* push $0x55 */
    code_byte(&c, 0x9a);             /* lcall $GATE + 8 */
    code_long(&c, 0);
    code_word(&c, GATE + 8);
    code_bytes(&c, 2, 0xca8c);       /* mov %cs, %edx */
    code_bytes(&c, 3, 0x0004ca);
    gdt[GATE / 8] = gate_make(RING1_CS, (uint32_t)ring1, 0xec, 1);
    gdt[GATE / 8 + 1] = gate_make(KERNEL_CS, (uint32_t)ring0, 0xac, 1);
    for (unsigned i = 0; i < 20; i++) {
        uint32_t esp;

        c.at = code_room;
        code_bytes(&c, 2, 0x666a);   /* push $0x66 */
        code_byte(&c, 0x9a);
        code_long(&c, 0);
        code_word(&c, GATE);
        code_end(&c);
        f = frame_at(code_room, 3);
        esp = f.esp;
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("ring 1's cs", f.eax & 0xffff, RING1_CS);
        check_equal("ring 0's parameter", f.ebx, 0x55);
        check_equal("ring 1's parameter", f.ecx, 0x66);
        check_equal("ring 1 after it", f.edx & 0xffff, RING1_CS);
        check_equal("ring 3 after it", f.cs, USER_CS);
        check_equal("esp", f.esp, esp);
    }
    check_end();
}

/* Conforming code runs in the ring of its caller. */
static void conforming(void)
{
    static uint8_t callee[16];
    struct code c = { callee };

    check_begin("conforming");
    gdt[CONFORMING / 8] = segment_make(0, 0xfffff, 0x9e, FLAGS_FLAT);
    code_bytes(&c, 2, 0xc88c); /* mov %cs, %eax */
    code_byte(&c, 0xcb);
    for (unsigned ring = 0; ring < 4; ring++) {
        struct frame f = frame_at(code_room, ring);

        c.at = code_room;
        code_byte(&c, 0x9a);
        code_long(&c, (uint32_t)callee);
        code_word(&c, CONFORMING);
        code_end(&c);
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("the callee's cs", f.eax & 0xffff, CONFORMING | ring);
    }
    check_end();
}

/* An expand-down stack: valid above its limit, to 64 KiB or 4 GiB by its B bit. */
static void expand_down(void)
{
    static const struct {
        uint8_t flags;
        uint32_t esp;
        bool fits;
    } cases[] = {
        { FLAGS_32, 0x8008, true },  { FLAGS_32, 0x8004, true },   { FLAGS_32, 0x8003, false },
        { FLAGS_32, 0x20000, true }, { FLAGS_16, 0x8004, true },   { FLAGS_16, 0x8002, false },
        { FLAGS_16, 0, true },       { FLAGS_16, 0x7000, false },
    };

    check_begin("expand-down-stack");
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct code c = { code_room };
        struct frame f = frame_at(code_room, 3);

        gdt[SEG_1 / 8] = segment_make(0x200000, 0x7fff, 0xf6, cases[i].flags);
        code_byte(&c, 0x50);
        code_end(&c);
        f.ss = SEG_1 | 3;
        f.esp = cases[i].esp;
        trap_run(&f);
        check_that(f.vector == (cases[i].fits ? (uint32_t)TRAP_END : (uint32_t)VEC_SS),
                   "flags %x esp %x: trap %u", cases[i].flags, cases[i].esp, f.vector);
    }
    check_end();
}

/* Code, data and a gate that are in the LDT, and nothing there without it. */
static void local_table(void)
{
    struct code c = { code_room };
    struct frame f;

    check_begin("ldt");
    __asm__ volatile("lldt %w0" : : "r"(LDT_SELECTOR)); /* task switches have loaded none */
    ldt[1] = segment_make(0, 0xfffff, ACCESS_CODE | ACCESS_DPL3, FLAGS_FLAT);
    ldt[2] = segment_make((uint32_t)data, 15, ACCESS_DATA | ACCESS_DPL3, FLAGS_32);
    ldt[3] = gate_make(0x0f, (uint32_t)code_room + 32, 0xec, 0);
    data[2] = 0x77665544;
    code_bytes(&c, 2, 0xa164);      /* mov %fs:8, %eax */
    code_long(&c, 8);
    code_byte(&c, 0x9a);            /* lcall through the LDT's gate */
    code_long(&c, 0);
    code_word(&c, 0x1f);
    code_end(&c);
    c.at = code_room + 32;
    code_bytes(&c, 2, 0xcb8c);      /* mov %cs, %ebx; lret */
    code_byte(&c, 0xcb);
    f = frame_at(code_room, 3);
    f.cs = 0x0f;
    f.fs = 0x17;
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    check_equal("fs:8", f.eax, 0x77665544);
    check_equal("cs behind the gate", f.ebx & 0xffff, 0x0f);
    __asm__ volatile("lldt %w0" : : "r"(0));
    f = frame_at(code_room + 40, 0);
    code_room[40] = 0x8e;           /* mov %eax, %fs */
    code_room[41] = 0xe0;
    f.eax = 0x17;
    trap_run(&f);
    check_that(f.vector == VEC_GP && f.error == 0x14, "no LDT: trap %u error %x", f.vector,
               f.error);
    __asm__ volatile("lldt %w0" : : "r"(LDT_SELECTOR));
    check_end();
}

/* The EIP of a fault behind any number of instructions, with any base of CS. */
static void code_bases(void)
{
    uint8_t *room = paging_page(20);

    check_begin("code-bases");
    for (unsigned i = 0; i < 3 * PAGE; i++)
        room[i] = i & 1 ? 0x90 : 0x40; /* nop, inc %eax */
    for (unsigned base = 0; base < 40; base++)
        for (unsigned n = 0; n < 130; n += 13) {
            struct frame f = trap_frame(n & 7, base & 1 ? 3 : 0);
            uint32_t at = (uint32_t)room + PAGE - 40 + base;
            uint8_t *ud = (uint8_t *)at + (n & 7) + n;
            uint8_t old[2] = { ud[0], ud[1] };

            gdt[SEG_2 / 8] = segment_make(at, 0xfffff, base & 1 ? 0xfa : 0x9a, FLAGS_FLAT);
            f.cs = SEG_2 | (base & 1 ? 3 : 0);
            ud[0] = 0x0f;
            ud[1] = 0x0b;
            trap_run(&f);
            ud[0] = old[0];
            ud[1] = old[1];
            check_that(f.vector == VEC_UD && f.eip == (n & 7) + n,
                       "base +%u: trap %u at %x, not %x", base, f.vector, f.eip, (n & 7) + n);
        }
    check_end();
}

/* Bit offsets from -2^31 to 2^31 - 1: the byte is at base + offset / 8, modulo 4 GiB. */
static void bit_strings(void)
{
    static const int32_t offsets[] = { 0, 31, 32, -1, -32, -33, 0x7fffffff, -0x7fffffff - 1,
                                       0x12345678, -0x12345678 };

    check_begin("bit-strings");
    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
        for (unsigned op = 0; op < 4; op++)
            for (unsigned ring = 0; ring < 4; ring += 3)
                for (unsigned wide = 0; wide < 2; wide++) {
                    static const uint8_t opcodes[] = { 0xa3, 0xab, 0xb3, 0xbb };
                    int32_t offset = wide ? offsets[i] : (int16_t)offsets[i];
                    struct code c = { code_room };
                    struct frame f = frame_at(code_room, ring);
                    uint32_t before = op == 1 ? 0 : ~0u, after = before;

                    if (!wide)
                        code_byte(&c, 0x66);
                    code_bytes(&c, 3, 0x07000f | opcodes[op] << 8); /* %eax, (%edi) */
                    code_end(&c);
                    data[1] = before;
                    f.eax = offset;
                    if (wide)
                        f.edi = (uint32_t)&data[1] - (uint32_t)(offset >> 5) * 4;
                    else
                        f.edi = (uint32_t)&data[1] - (uint32_t)(offset >> 4) * 2;
                    trap_run(&f);
                    if (op)
                        after ^= 1u << (offset & (wide ? 31 : 15));
                    check_that(f.vector == TRAP_END && data[1] == after &&
                                   (f.eflags & FL_CF) == (before & 1),
                               "op %u of %d, ring %u: trap %u, %x not %x, CF %u", op, offset, ring,
                               f.vector, data[1], after, f.eflags & 1);
                }
    check_end();
}

void kernels_segments(void)
{
    inner_rings();
    gate_stairs();
    conforming();
    expand_down();
    local_table();
    code_bases();
    bit_strings();
}
