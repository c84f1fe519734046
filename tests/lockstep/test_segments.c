/*
 * Random streams of code that is not flat, the interpreter against the translator: real mode,
 * virtual-8086 mode, 16-bit protected mode and 32-bit segments with a base and a limit, at every
 * CPL. Segments lie anywhere over code, data and stack; offsets are often near their ends.
 *
 *     test_segments [streams [seed [pieces]]]
 *
 * A stream that runs for more than PAIR_STEPS instructions in the interpreter is left out.
 */
#include <string.h>

#include "cpu/decode.h"
#include "cpu/segment.h"
#include "tests/lockstep/harness.h"
#include "tests/lockstep/maker.h"
#include "tests/lockstep/segments.h"

struct scene scene;
uint8_t stream[ROOM];
unsigned stream_len;

/* --- Bytes --------------------------------------------------------------------------------- */

static void put_imm(uint32_t value)
{
    put_bytes(&value, wide() ? 4 : 2);
}

/* mov reg, value; all 32 bits of it now and then. */
static void put_mov(unsigned reg, uint32_t value)
{
    bool other = !wide() && one_in(6);

    if (other)
        PUT(0x66);
    PUT(0xb8 | reg);
    if (other)
        put_bytes(&value, 4);
    else
        put_imm(value);
}

static uint32_t here(void)
{
    return scene.eip + stream_len;
}

/* --- Offsets ------------------------------------------------------------------------------- */

/* Near a limit, the ends of 64 KiB, or anywhere. */
static uint32_t offset_in(unsigned seg)
{
    uint32_t limit = scene.seg[seg].limit;

    switch (rnd() % 8) {
    case 0: return limit - rnd() % 12;
    case 1: return 0x10000 - rnd() % 12;
    case 2: return rnd() % 12;
    case 3: return wide() && one_in(8) ? rnd() : (0x1000 - rnd() % 12);
    default: return rnd() % (limit < 0x4000 ? limit + 1 : 0x4000);
    }
}

static const uint8_t data_segments[] = { SEG_DS, SEG_ES, SEG_SS, SEG_FS, SEG_GS };

static unsigned any_segment(void)
{
    return data_segments[rnd() % 5];
}

static void put_pointer(void)
{
    static const uint8_t regs[] = { RBX, RBP, RSI, RDI, RAX };

    put_mov(regs[rnd() % 5], offset_in(any_segment()));
}

/* The stack pointer, mostly where there is room. */
static void put_stack(void)
{
    put_mov(RSP, one_in(5) ? offset_in(SEG_SS) : 0x2000 + rnd() % 0x800);
}

/* --- Pieces -------------------------------------------------------------------------------- */

static bool acceptable(const struct insn *in)
{
    if (in->info->attr & (A_FAR | A_BRANCH | A_UNDEFINED | A_IOPL | A_PRIVILEGED))
        return false;
    switch (in->id) {
    case M_XSAVE: case M_XSAVEOPT: case M_XSAVEC: case M_XRSTOR: case M_XGETBV: case M_XSETBV:
    case M_RDTSC: case M_RDTSCP: case M_CPUID: case M_RDRAND: case M_RDSEED: case M_RDPMC:
        return false;
    default: /* gigabytes of them would take too long */
        return !(in->info->attr & A_STRING && in->addrsize == 4 &&
                 in->prefixes & (PREFIX_REP | PREFIX_REPNE));
    }
}

static void put_random(void)
{
    static const uint8_t prefixes[] = { 0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66 };
    uint8_t code[INSN_MAX + 4];
    struct insn in;

    for (;;) {
        unsigned at = 0;

        for (unsigned i = 0; i < sizeof(code); i++)
            code[i] = (uint8_t)rnd();
        while (one_in(4) && at < 3)
            code[at++] = prefixes[rnd() % 9];
        if (one_in(3))
            code[at] = 0x0f;
        if (decode(&in, code, INSN_MAX, wide() ? MODE_32 : MODE_16) > 0 && acceptable(&in))
            break;
    }
    if (in.disp_len >= 2 && in.base != REG_NONE && !one_in(6)) {
        int32_t disp = (int32_t)(rnd() % 512) - 256;

        memcpy(code + in.disp_at, &disp, in.disp_len);
    }
    put_bytes(code, in.len);
}

/* Loads, stores, and arithmetic with memory: what programs are made of. */
static void put_plain(void)
{
    static const uint8_t ops[] = { 0x8a, 0x8b, 0x88, 0x89, 0x03, 0x01, 0x39, 0x8b, 0x89, 0x8d };
    unsigned op = ops[rnd() % 10];

    if (one_in(4))
        PUT((const uint8_t[]){ 0x26, 0x2e, 0x36, 0x64, 0x65 }[rnd() % 5]);
    if (one_in(5))
        PUT(0x66);
    if (wide()) {
        PUT(op, 0x43 | (rnd() & 0x38), rnd() & 0xff); /* [ebx + disp8] */
        return;
    }
    PUT(op, (rnd() & 0x3f) | 0x80, rnd() & 0xff, 0); /* [.. + disp16] */
}

/* Around the last byte of a segment, whose page has been touched before. */
static void put_edge(void)
{
    static const uint8_t prefix[SEG_COUNT] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
    static const uint8_t ops[] = { 0x8a, 0x8b, 0x88, 0x89, 0x01 };
    unsigned seg = any_segment(), at = wide() ? 0x03 : 0x07; /* [ebx], [bx] */
    uint32_t limit = scene.seg[seg].limit;

    put_mov(RBX, limit - 16);
    PUT(prefix[seg], one_in(2) ? 0x88 : 0x8a, at);
    put_mov(RBX, limit - rnd() % 4);
    PUT(prefix[seg]);
    if (one_in(3))
        PUT(0x66);
    PUT(ops[rnd() % 5], at | (rnd() & 0x10));
}

static void put_stack_ops(void)
{
    static const uint8_t ops[] = { 0x50, 0x58, 0x53, 0x5b, 0x54, 0x5c, 0x60, 0x61, 0xc9, 0x9c,
                                   0x06, 0x16, 0x1e, 0x0e, 0x68, 0x6a };

    if (one_in(3))
        put_stack();
    for (unsigned i = 1 + rnd() % 4; i; i--) {
        unsigned op = ops[rnd() % 16];
        bool other = one_in(6);

        if (other)
            PUT(0x66);
        PUT(op);
        if (op == 0x6a)
            PUT(rnd() & 0xff);
        for (unsigned n = wide() == other ? 2 : 4; op == 0x68 && n; n--)
            PUT(rnd() & 0xff);
    }
}

/* What only segmented code has in line; put_random() seldom meets it. */
static void put_rare(void)
{
    if (one_in(4))
        PUT((const uint8_t[]){ 0x26, 0x2e, 0x36, 0x64, 0x65 }[rnd() % 5]);
    if (one_in(6))
        PUT(0x66 + rnd() % 2);
    switch (rnd() % 8) {
    case 6: PUT((const uint8_t[]){ 0x27, 0x2f, 0x37, 0x3f, 0xd6, 0x27, 0x3f }[rnd() % 7]); break;
    case 7: PUT(0xd4 | (rnd() & 1), one_in(8) ? 0 : one_in(2) ? 10 : rnd() & 0xff); break;
    case 4: case 5: PUT(0xd8 | (rnd() & 7), rnd() & 0xbf, rnd() & 0xff, rnd() & 3); break;
    case 0: PUT(0xd7); break;                             /* xlat */
    case 1: PUT(0xc8, rnd() & 0xff, rnd() & 7, one_in(4) ? rnd() & 0xff : 0); break; /* enter */
    case 2: PUT(0x8f, 0x40 | (rnd() & 7), 0x24); break;   /* pop [..] */
    default: PUT(one_in(2) ? 0xc9 : 0xd7); break;
    }
}

static void put_flags(void)
{
    put_stack();
    switch (rnd() % 5) {
    case 0: PUT(0xfa); break;
    case 1: PUT(0xfb); break;
    case 2: PUT(0x9c, 0x9d); break;
    case 3: /* push imm; popf */
        PUT(0x68);
        put_imm((rnd() & 0x8d5) | (one_in(3) ? 0x200 : 0) | (one_in(8) ? rnd() & 0x7400 : 0));
        PUT(0x9d);
        break;
    default: PUT(one_in(4) ? 0xfd : 0xfc); break;
    }
}

static void put_count(uint32_t count)
{
    if (!wide())
        PUT(0x66);
    PUT(0xb9), put_bytes(&count, 4); /* mov ecx, count */
}

/* Comparisons that go on for a while: REP STOSB, then at much the same place; or up to a page that
 * is not there and beyond. */
static void put_comparison(void)
{
    uint32_t at = offset_in(SEG_ES), count = one_in(6) ? rnd() % 5000 : rnd() % 40;

    if (scene.absent && one_in(2)) {
        count = rnd() % 24;
        at = (scene.absent << PAGE_SHIFT) - (uint32_t)scene.seg[SEG_ES].base - count;
    }
    PUT(one_in(3) ? 0xfd : 0xfc);
    put_mov(RDI, at);
    put_count(count);
    PUT(0xf3, 0xaa);
    put_mov(RDI, at);
    put_mov(RSI, at + rnd() % 9 - 4);
    put_count(one_in(4) ? 0xffff : count + rnd() % 20);
    if (one_in(3))
        PUT(0x04, one_in(2)); /* add al, ... */
    if (one_in(3))
        PUT(0x26);
    if (one_in(8))
        PUT(0x66);
    PUT(one_in(2) ? 0xf3 : 0xf2, (one_in(2) ? 0xa6 : 0xae) | (rnd() & 1));
}

/* Moves over themselves, mostly by less than two of the steps that the translator goes in, either
 * way. */
static void put_near_move(void)
{
    uint32_t at = offset_in(SEG_ES);

    PUT(one_in(3) ? 0xfc : 0xfd);
    put_mov(RDI, at);
    put_mov(RSI, at + (one_in(4) ? rnd() % 401 - 200 : rnd() % 33 - 16));
    put_count(one_in(4) ? rnd() % 400 : rnd() % 40);
    PUT(0x26);
    if (one_in(3))
        PUT(0x66);
    PUT(0xf3, 0xa4 | (rnd() & 1)); /* rep movs es:[edi], es:[esi] */
}

static void put_string(void)
{
    static const uint8_t ops[] = { 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf };

    switch (rnd() % 9) {
    case 0: case 1: case 2: put_comparison(); return;
    case 3: put_near_move(); return;
    }
    PUT(one_in(3) ? 0xfd : 0xfc);
    put_mov(RDI, offset_in(SEG_ES));
    put_mov(RSI, offset_in(SEG_DS));
    put_count(one_in(5) ? rnd() % 3000 : rnd() % 20);
    if (one_in(4))
        PUT((const uint8_t[]){ 0x26, 0x2e, 0x36, 0x64, 0x65 }[rnd() % 5]);
    if (one_in(5))
        PUT(0x66);
    if (one_in(6))
        PUT(0x67);
    if (!one_in(3))
        PUT(one_in(2) ? 0xf3 : 0xf2);
    PUT(ops[rnd() % 10]);
}

/* A selector whose segment covers what may be written; in protected mode, one of the table. */
static uint16_t any_selector(void)
{
    if (scene.mode == REAL || scene.mode == V86)
        return (uint16_t)(one_in(6) ? CODE >> 4 : (DATA >> 4) + rnd() % 0xe00);
    if (one_in(8))
        return (uint16_t)(rnd() % 0x90);
    return one_in(2) ? scene.seg[any_segment()].selector
                     : (uint16_t)(0x48 + 8 * (rnd() % 4)) | (uint16_t)(rnd() & 3);
}

static void put_segment(void)
{
    unsigned seg = rnd() % 6;
    uint16_t selector = any_selector();

    if (seg == SEG_CS || (seg == SEG_SS && !one_in(3)))
        seg = SEG_DS;
    switch (rnd() % 4) {
    case 0:
        PUT(0xb8), put_imm(selector); /* mov ax, selector; mov seg, ax */
        PUT(0x8e, 0xc0 | seg << 3);
        break;
    case 1:
        put_stack();
        PUT(0x68), put_imm(selector); /* push selector; pop es or ds */
        PUT(one_in(2) ? 0x07 : 0x1f);
        break;
    case 2: /* push selector; push offset; les bx, ss:[bp] or the like */
        put_stack();
        PUT(0x68), put_imm(selector);
        PUT(0x68), put_imm(rnd() & 0x3fff);
        PUT(0x89, 0xe5); /* mov bp, sp */
        if (one_in(3))
            PUT(0x0f, 0xb4 | (rnd() & 1), 0x5e, 0);
        else
            PUT(one_in(2) ? 0xc4 : 0xc5, 0x5e, 0);
        break;
    default: /* mov [bx], seg; mov ax, seg */
        PUT(0x8c, 0x07 | (seg << 3)), PUT(0x8c, 0xc0 | seg << 3);
        break;
    }
    if (seg == SEG_SS && one_in(2))
        put_stack();
}

static void put_jump(void)
{
    unsigned at = stream_len, count = 1 + rnd() % 3;
    static const uint8_t ops[] = { 0x70, 0x74, 0x7c, 0xeb, 0xe3, 0xe2, 0x72 };

    if (one_in(8))
        PUT(0x67);
    at = stream_len;
    PUT(ops[rnd() % 7], 0);
    while (count--)
        put_random();
    if (stream_len - at - 2 < 128)
        stream[at + 1] = (uint8_t)(stream_len - at - 2);
}

/* call over a block that ends in ret; also by a register, and with 66h */
static void put_call(void)
{
    unsigned at, kind = rnd() % 4, function;

    put_stack();
    PUT(0xeb, 0);
    at = stream_len;
    function = here();
    PUT(0x40 | (rnd() & 3));
    if (one_in(2))
        PUT(0xc3);
    else
        PUT(0xc2, (rnd() & 3) * 4, 0);
    stream[at - 1] = (uint8_t)(stream_len - at);
    if (kind == 0) {
        PUT(0xb8), put_imm(function), PUT(0xff, 0xd0); /* mov ax, function; call ax */
    } else if (kind == 1) {
        PUT(0x68), put_imm(function), PUT(0xff, 0x14 | 0), PUT(0x24); /* other things */
    } else {
        PUT(0xe8), put_imm(function - (here() + (wide() ? 4 : 2)));
    }
}

static void put_near_call(uint32_t function)
{
    put_stack();
    PUT(0xe8), put_imm(function - (here() + 2));
}

/* A push whose last byte is a function's first, that of a line of its own; and one into the line
 * before, where there is no code (cpu/tlb.h, T4). */
static void put_push_over(void)
{
    uint32_t stack = (uint32_t)scene.seg[SEG_SS].base, code = scene.start - scene.eip, function;
    unsigned at;

    PUT(0xeb, 0);
    at = stream_len;
    while (stream_len - at < 32 || (code + here()) & 15)
        PUT(0x90);
    function = here();
    PUT(0x40 | (rnd() & 3), 0xc3);
    stream[at - 1] = (uint8_t)(stream_len - at);
    put_near_call(function);
    for (unsigned i = 1 + rnd() % 3; i; i--) {
        put_mov(RSP, (code + function - stack - 2) & 0xffff);
        PUT(0x68, rnd() & 0xff, rnd() & 0xff);
        put_mov(RSP, (code + function - stack + 1) & 0xffff);
        PUT(0x68, rnd() & 0xff, 0x40 | (rnd() & 0xb));
        put_near_call(function);
    }
}

/* Far jumps, calls and returns to what comes next or a function, INT and a handler that returns. */
static void put_far(void)
{
    uint16_t cs = scene.seg[SEG_CS].selector;
    unsigned size = wide() ? 4 : 2;

    put_stack();
    switch (rnd() % 7) {
    case 0: PUT(0xea), put_imm(here() + size + 2), PUT(cs & 0xff, cs >> 8); break;
    case 1: PUT(0x9a), put_imm(here() + size + 2), PUT(cs & 0xff, cs >> 8); break;
    case 2: /* push cs; push; retf or retf imm16 */
        if (one_in(2))
            PUT(0x0e, 0x68), put_imm(here() + size + 1), PUT(0xcb);
        else
            PUT(0x0e, 0x68), put_imm(here() + size + 3), PUT(0xca, rnd() & 0xe, 0);
        break;
    case 3: PUT(0x9c, 0x0e, 0x68), put_imm(here() + size + 1), PUT(0xcf); break; /* iret */
    case 4: PUT(0xcd, one_in(4) ? rnd() & 0xff : 0x21); break;
    case 5: PUT(one_in(2) ? 0xcc : 0xce); break;
    default: /* push cs; push; mov bp, sp; jmp or call far [bp] */
        PUT(0x0e, 0x68), put_imm(here() + size + 5), PUT(0x89, 0xe5);
        PUT(0xff, one_in(2) ? 0x6e : 0x5e, 0);
        break;
    }
}

static void put_loop(void)
{
    unsigned top;

    put_mov(RCX, 1 + rnd() % 40);
    top = stream_len;
    PUT(0x13, 0xc2, 0x01, 0xc3); /* adc ax, dx; add bx, ax */
    if (one_in(2))
        put_plain();
    else if (one_in(2))
        put_far();
    PUT(0xe2, (uint8_t)(top - (stream_len + 2)));
}

/* A store to the immediate of an instruction that comes soon: mov byte cs:[], imm; #GP in protected
 * mode. */
static void put_self_modifying(void)
{
    unsigned at;
    uint32_t to;

    PUT(0x2e, 0xc6, wide() ? 0x05 : 0x06);
    at = stream_len;
    put_imm(0), PUT(rnd() & 0xff);
    for (unsigned i = rnd() % 3; i; i--)
        put_pointer();
    PUT(0xb0, 0);
    to = here() - 1;
    memcpy(stream + at, &to, wide() ? 4 : 2);
}

static void put_piece(void)
{
    switch (rnd() % 25) {
    case 0: case 1: put_jump(); break;
    case 2: put_loop(); break;
    case 3: case 4: put_call(); break;
    case 5: case 6: put_far(); break;
    case 7: case 8: put_string(); break;
    case 9: case 10: put_segment(); break;
    case 11: put_flags(); break;
    case 12: case 13: put_stack_ops(); break;
    case 14:
        if (scene.mode == REAL || (scene.mode == V86 && one_in(8)))
            put_push_over();
        else
            put_self_modifying();
        break;
    case 15: case 16: case 17: put_pointer(); break;
    case 18: case 19: put_plain(); break;
    case 20: put_edge(); break;
    case 21: put_rare(); break;
    default: put_random(); break;
    }
}

/* --- Scenes -------------------------------------------------------------------------------- */

static struct segment real_segment(uint32_t gla)
{
    return (struct segment){ (uint16_t)(gla >> 4), scene.mode == V86 ? ATTR_V86 : ATTR_REAL, 0xffff,
                             gla & ~15u };
}

static uint32_t some_limit(void)
{
    static const uint32_t limits[] = { 0xffff, 0xffff, 0x3fff, 0x2fff, 0x2345, UINT32_MAX,
                                       0x1ffff };

    return limits[rnd() % 7];
}

static struct segment data_segment(unsigned number)
{
    uint32_t limit = some_limit(), dpl = scene.cpl << 5;
    struct segment s = { (uint16_t)(0x48 + 8 * number) | (uint16_t)scene.cpl,
                         SEG_S | SEG_P | SEG_ACCESSED | SEG_WRITABLE | dpl, limit,
                         one_in(6) ? 0 : DATA + rnd() % 0x8000 };

    if (s.limit > 0xfffff)
        s.attr |= SEG_G;
    if (one_in(2))
        s.attr |= SEG_DB;
    if (one_in(8))
        s.attr &= ~SEG_WRITABLE;
    if (one_in(8))
        s.attr |= SEG_EXPDOWN;
    if (!s.base && s.limit != UINT32_MAX)
        s.base = DATA;
    return s;
}

static struct segment stack_segment(void)
{
    struct segment s = data_segment(4);

    s.base = STACK + (one_in(2) ? rnd() % 0x100 : 0);
    s.attr |= SEG_WRITABLE;
    s.attr &= ~SEG_EXPDOWN;
    s.selector = (uint16_t)(0x68 | scene.cpl);
    return s;
}

static void protected_segments(void)
{
    uint32_t limit = one_in(2) ? UINT32_MAX : one_in(2) ? 0xffff : scene.eip + rnd() % 0x600;

    for (unsigned i = 0; i < 4; i++)
        scene.seg[data_segments[(i + 3) % 5]] = data_segment(i);
    scene.seg[SEG_DS] = one_in(3) ? scene.seg[SEG_ES] : scene.seg[SEG_FS];
    scene.seg[SEG_SS] = stack_segment();
    scene.seg[SEG_CS] = (struct segment){
        (uint16_t)(0x40 | scene.cpl),
        SEG_S | SEG_P | SEG_CODE | SEG_READABLE | SEG_ACCESSED | scene.cpl << 5, limit,
        scene.start - scene.eip };
    if (limit > 0xfffff)
        scene.seg[SEG_CS].limit |= 0xfff, scene.seg[SEG_CS].attr |= SEG_G;
    if (scene.mode == PROT32)
        scene.seg[SEG_CS].attr |= SEG_DB;
    if (one_in(8))
        scene.seg[SEG_CS].attr &= ~SEG_READABLE;
}

/* Where put_stack() means places below the stream's beginning or over it, as in boot sectors. */
static uint32_t beside_code(void)
{
    return scene.start - 0x2000 - rnd() % 0x800;
}

static void real_segments(void)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        scene.seg[i] = real_segment(DATA + rnd() % 0x8000);
    scene.seg[SEG_SS] = real_segment(one_in(4) ? beside_code() : STACK);
    scene.seg[SEG_CS] = real_segment(scene.start - scene.eip);
    if (one_in(3)) /* the stack in the code's pages, behind most streams */
        scene.seg[SEG_SS] = real_segment(scene.start + 0x400 + rnd() % 0x800 - 0x2000);
    if (scene.mode == REAL && one_in(4)) { /* "unreal": 4 GiB */
        unsigned seg = any_segment();

        scene.seg[seg].limit = UINT32_MAX;
        scene.seg[seg].attr |= SEG_G;
        if (one_in(3))
            scene.seg[seg].base = 0, scene.seg[seg].selector = 0;
    }
    if (scene.mode == REAL && one_in(16)) /* as after protected mode */
        scene.seg[SEG_CS].selector = 8;
    if (scene.mode == REAL && one_in(16))
        scene.seg[any_segment()].limit = 0x1fff;
    if (scene.mode == REAL && one_in(16))
        scene.seg[any_segment()] = (struct segment){ .attr = SEG_UNUSABLE };
}

static void make_scene(void)
{
    static const uint8_t cpls[] = { 0, 0, 1, 2, 3, 3 };

    memset(&scene, 0, sizeof(scene));
    scene.mode = rnd() % MODES;
    scene.cpl = scene.mode == REAL ? 0 : scene.mode == V86 ? 3 : cpls[rnd() % 6];
    scene.start = CODE + (one_in(2) ? 0xf80 + rnd() % 0x80 : rnd() % 0x1000);
    scene.eip = one_in(3) ? 0xffff - rnd() % 0x300 : rnd() % 0x8000;
    if (scene.mode == REAL || scene.mode == V86)
        scene.eip = (scene.eip & ~15u) | (scene.start & 15);
    scene.idt_limit = one_in(16) ? 0x80 : 0x3ff;
    for (unsigned i = 0; i < 8; i++)
        scene.gpr[i] = one_in(4) ? rnd() : rnd() & 0x3fff;
    scene.gpr[RSP] = 0x2000 + (one_in(4) ? rnd() << 16 : 0);
    scene.eflags = EFLAGS_R1 | (rnd() & EFLAGS_ARITH) | (one_in(3) ? EFLAGS_IOPL : 0);
    if (scene.mode == V86)
        scene.eflags |= EFLAGS_VM;
    if (one_in(16))
        scene.eflags |= EFLAGS_AC;
    for (unsigned i = 0; i < sizeof(scene.data); i++)
        scene.data[i] = (uint8_t)rnd();
    if (scene.mode == REAL || scene.mode == V86)
        real_segments();
    else
        protected_segments();
    if (one_in(16))
        scene.cr0 = CR0_TS;
    if (one_in(4))
        scene.no_cr4 = CR4_OSFXSR;
    if (one_in(4))
        scene.absent = (DATA >> PAGE_SHIFT) + 1 + rnd() % 12;
}

static void make(uint64_t seed, unsigned most)
{
    unsigned pieces;

    maker_begin(seed);
    make_scene();
    memset(stream, 0xf4, sizeof(stream));
    stream_len = 0;
    for (pieces = 1 + rnd() % 50; pieces && most && stream_len < ROOM - 256; pieces--, most--)
        put_piece();
}

int main(int argc, char **argv)
{
    static const struct harness segments = {
        .make = make,
        .load = segments_load,
        .came_through = segments_came_through,
        .dump = segments_dump,
        .counter = "insns_translated",
    };

    return harness_run(&segments, argc, argv);
}
