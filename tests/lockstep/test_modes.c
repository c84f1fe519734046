/*
 * Streams that go from real mode to protected mode, to code of both sizes there, and back, in
 * loops, the interpreter against the translator: what is loaded on the way is flat or not, a stack
 * of either size, null, or not allowed; now and then descriptors, tables or limits change.
 *
 *     test_modes [streams [seed [pieces]]]
 */
#include <stdio.h>
#include <string.h>

#include "cpu/fpu.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "tests/lockstep/harness.h"
#include "tests/lockstep/maker.h"

enum {
    CODE = 0x20000,       /* gla */
    DATA = 0x30000,
    STACK = 0x44000,
    CODE32 = 0x08, FLAT = 0x10, CODE16 = 0x18, DATA16 = 0x20, CODE32_BASED = 0x38,
    READ_ONLY = 0x50,     /* flat, but for that */
    SHORT = 0x70,         /* with base 0 */
    SELECTORS = 15,       /* descriptors */
    TABLES_2 = 0xa0000,   /* the GDT with changes */
    POINTERS = 0xa2000,   /* operands of LGDT and LIDT */
    LOW = 0x21, HIGH = 0x90, /* vectors whose handlers return; a short IDT ends between them */
    ROOM = 0x1000,
};

static struct {
    uint64_t table[2][SELECTORS];
    uint32_t pointer[8][2];
    bool odd;             /* DS and the like are as protected mode left them */
    bool short_idt;       /* in real mode, from the start */
} scene;

uint8_t stream[ROOM];
unsigned stream_len;
static bool wide;         /* what is put is 32-bit code */
static unsigned pieces_wanted; /* at most, in a row */

static uint64_t descriptor(uint32_t attr, uint32_t at, uint32_t limit)
{
    uint32_t scaled = attr & SEG_G ? limit >> 12 : limit;

    return (uint64_t)(at & 0xff000000) << 32 | (uint64_t)(scaled & 0xf0000) << 32 |
           (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(at & 0xffffff) << 16 | (scaled & 0xffff);
}

static void make_table(uint64_t *table)
{
    const uint32_t data = 0x93, code = 0x9b, all = SEG_G | SEG_DB;

    table[0] = 0;
    table[CODE32 / 8] = one_in(4) ? descriptor(code | SEG_DB, 0, 0xfffff)
                                  : descriptor(code | all, 0, UINT32_MAX);
    table[FLAT / 8] = descriptor(data | all, 0, UINT32_MAX);
    table[CODE16 / 8] = descriptor(code, CODE, 0xffff);
    table[DATA16 / 8] = descriptor(data, DATA, 0xffff);
    table[5] = descriptor(data | SEG_G, 0, UINT32_MAX); /* flat, but for its stack */
    table[6] = descriptor(data | SEG_DB, DATA + 16, 0x7fff);
    table[CODE32_BASED / 8] = one_in(2) ? descriptor(code | SEG_DB, CODE, 0xffff)
                                        : descriptor(code | all, CODE, UINT32_MAX);
    table[8] = descriptor(data, STACK, 0xffff);
    table[9] = descriptor(data | all, one_in(2) ? DATA : 0, UINT32_MAX);
    table[READ_ONLY / 8] = descriptor(0x91 | all, 0, UINT32_MAX);
    table[11] = descriptor(one_in(2) ? 0x92 : 0x97, 0, one_in(2) ? 0xffff : 0x1000);
    table[12] = descriptor(one_in(2) ? 0x99 | all : code, one_in(2) ? 0 : CODE, 0xfffff);
    table[13] = descriptor(data | (rnd() & 0x40ff), DATA, 0xffff);
    table[SHORT / 8] = descriptor(data | SEG_DB, 0, 0xffff);
}

/* --- Pieces -------------------------------------------------------------------------------- */

static void put_imm(uint32_t value)
{
    put_bytes(&value, wide ? 4 : 2);
}

static void put_mov(unsigned reg, uint32_t value)
{
    PUT(0xb8 | reg), put_imm(value);
}

static void put_mov32(unsigned reg, uint32_t value)
{
    if (!wide)
        PUT(0x66);
    PUT(0xb8 | reg), put_bytes(&value, 4);
}

/* An access through a segment, mostly where all of them have something. */
static void put_use_of(uint8_t prefix)
{
    static const uint8_t ops[] = { 0x8b, 0x8a, 0x03, 0x8b, 0x89, 0x01 };
    bool beyond = one_in(30);
    uint32_t at = beyond ? 0xfffe + rnd() % 4 : 0x1000 + rnd() % 0x800;

    if (wide)
        put_mov(RSI, one_in(2) ? at : DATA + at);
    else
        put_mov32(RSI, at);
    PUT(prefix);
    if (!wide && beyond)
        PUT(0x67, ops[rnd() % 4], 0x0e);              /* mov cx, [esi] */
    else
        PUT(ops[rnd() % 6], wide ? 0x0e : 0x0c);      /* mov cx, [si] */
}

static void put_use(void)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

    put_use_of(prefixes[rnd() % 6]);
}

static void put_stack(void)
{
    switch (rnd() % 4) {
    case 0: PUT(0x50, 0x59); break;                   /* push ax; pop cx */
    case 1: PUT(0x9c, 0x59); break;
    case 2: PUT(0x1e, one_in(2) ? 0x07 : 0x1f); break; /* push ds; pop es or ds */
    default: PUT(0x0e, 0x59); break;                  /* push cs */
    }
}

static uint16_t data_selector(void)
{
    static const uint8_t usual[] = { FLAT, FLAT, DATA16, 0x28, 0x30, 0x48 };

    if (one_in(16))
        return (uint16_t)(rnd() % (8 * SELECTORS + 8));
    return one_in(12) ? 0 : usual[rnd() % 6];
}

/* A stack that can be used goes with the pointer that both sizes leave alone. */
static uint16_t stack_selector(void)
{
    static const uint8_t usual[] = { FLAT, FLAT, 0x28, 0x40, DATA16, 0x30 };

    return one_in(12) ? (one_in(2) ? READ_ONLY : data_selector()) : usual[rnd() % 6];
}

/* mov bx, selector; in every other round perhaps the other one. */
static void put_selector(uint16_t selector, uint16_t other)
{
    unsigned at;

    put_mov(RBX, selector);
    if (!one_in(4))
        return;
    PUT(0xf6, 0xc2, 1, 0x74, 0);                      /* test dl, 1; jz over it */
    at = stream_len;
    put_mov(RBX, other);
    stream[at - 1] = (uint8_t)(stream_len - at);
}

static void put_load(unsigned seg, uint16_t selector)
{
    put_selector(selector, seg == SEG_SS ? stack_selector() : data_selector());
    if (seg != SEG_SS && one_in(10)) {
        PUT(0x53, seg == SEG_ES ? 0x07 : 0x1f);       /* push bx; pop es or ds */
    } else if (one_in(10)) {
        PUT(0x53, 0x68), put_imm(0x1234);             /* push bx, 1234h; les cx or the like */
        put_mov32(RBP, 0);
        PUT(0x89, 0xe5);                              /* mov bp, sp */
        if (seg == SEG_SS)
            PUT(0x0f, 0xb2, 0x4d, 0);
        else
            PUT(seg == SEG_ES ? 0xc4 : 0xc5, 0x4d, 0);
    } else {
        PUT(0x8e, 0xc3 | seg << 3);
    }
}

static void put_any_load(void)
{
    static const uint8_t segs[] = { SEG_DS, SEG_ES, SEG_SS, SEG_DS, SEG_ES };
    unsigned seg = one_in(8) ? SEG_FS + rnd() % 2 : segs[rnd() % 5];

    if (seg >= SEG_FS) {
        put_selector(data_selector(), data_selector());
        PUT(0x8e, 0xc3 | seg << 3);
    } else {
        put_load(seg, seg == SEG_SS ? stack_selector() : data_selector());
    }
}

/* xor byte cs:[of a descriptor], through DS as FLAT; or another table. */
static void put_change(void)
{
    static const uint8_t bits[] = { 0x80, 0x01, 0x02, 0x08, 0x60, 0x04 };
    unsigned entry = 1 + rnd() % (SELECTORS - 1), byte = one_in(2) ? 5 : 6;

    put_mov(RBX, FLAT);
    PUT(0x8e, 0xdb);
    put_mov32(RBX, one_in(4) ? POINTERS + 8 * (rnd() % 8) : GDT + 8 * entry + byte);
    if (!wide)
        PUT(0x67);
    PUT(0x80, 0x33, byte == 5 ? bits[rnd() % 6] : one_in(2) ? 0x40 : 0x80);
}

/* lgdt, lidt [of memory], mostly through DS as FLAT. */
static void put_table(void)
{
    bool idt = one_in(2);

    if (!one_in(6))
        put_mov(RBX, FLAT), PUT(0x8e, 0xdb);
    put_mov32(RBX, POINTERS + 8 * (idt ? 4 + rnd() % 4 : rnd() % 4));
    if (!wide)
        PUT(0x67);
    PUT(0x0f, 0x01, idt ? 0x1b : 0x13);
}

static void put_protected(void)
{
    switch (rnd() % 10) {
    case 0: case 1: case 2: case 3: put_any_load(); break;
    case 4: case 5: case 6: put_use(); break;
    case 7: put_stack(); break;
    case 8: if (one_in(4)) put_table(); else put_use(); break;
    default: if (one_in(4)) put_change(); else PUT(0x14, 1); break;
    }
}

static void put_pieces(void (*piece)(void))
{
    for (unsigned i = rnd() % (pieces_wanted + 1); i; i--)
        piece();
}

/* --- The way there and back ------------------------------------------------------------------ */

/* jmp far to what comes next, in code with this base. */
static void put_jump(uint16_t selector, bool to_wide, uint32_t to_base)
{
    bool other = wide ? one_in(3) && CODE - to_base == 0 : to_wide || one_in(6);
    unsigned size = wide != other ? 4 : 2, after = stream_len + other + 1 + size + 2;
    uint32_t target = CODE + after - to_base;

    if (other)
        PUT(0x66);
    PUT(0xea), put_bytes(&target, size), put_bytes(&selector, 2);
    wide = to_wide;
}

/* Of CR0; other bits of it once in a while. */
static void put_cr0(bool protect)
{
    if (protect && one_in(8)) {
        PUT(0x0f, 0x01, 0xe0, 0x0c, 1, 0x0f, 0x01, 0xf0); /* smsw ax; or al, 1; lmsw ax */
        return;
    }
    PUT(0x0f, 0x20, 0xc0);                                /* mov eax, cr0 */
    if (protect)
        PUT(0x0c, one_in(12) ? 3 : 1);
    else
        PUT(0x24, one_in(12) ? 0xfc : 0xfe);
    if (one_in(40))
        PUT(0x66, 0x0d, 0, 0, 0, one_in(2) ? 0x80 : 0x20); /* or eax, PG or NW */
    PUT(0x0f, 0x22, 0xc0);
}

/* lgdt, lidt [of memory] through DS, with 24 bits of the base or all. */
static void put_load_table(bool idt, unsigned offset)
{
    if (one_in(2))
        PUT(0x66);
    PUT(0x0f, 0x01, idt ? 0x1e : 0x16), put_imm(offset);
}

static void put_real_table(void)
{
    if (one_in(10)) { /* up to the segment's end, or beyond */
        put_mov(RBX, DATA >> 4 | 1), PUT(0x8e, 0xdb);
        put_load_table(false, 0xfff9), put_load_table(false, 0xfff9 + rnd() % 4);
    }
    put_mov(RBX, POINTERS >> 4), PUT(0x8e, 0xdb);
    put_load_table(false, 0);
    if (one_in(3)) {
        put_load_table(false, 8 * (rnd() % 4));
    } else {
        put_load_table(true, 8 * (one_in(2) ? 7 : 4 + rnd() % 4));
        if (one_in(2))
            put_use();
        else if (one_in(4))
            PUT(0xcd, 0x78 + rnd() % 0x10); /* int, perhaps beyond the table's end */
        put_load_table(true, 8 * 5); /* where it was */
    }
    put_mov(RBX, DATA >> 4), PUT(0x8e, 0xdb);
}

/* The IDT where it belongs, long enough or not. */
static void put_real_idt(void)
{
    put_mov(RBX, POINTERS >> 4), PUT(0x8e, 0xdb);
    put_load_table(true, one_in(2) ? 5 * 8 : 7 * 8);
}

static void put_int(void)
{
    if (one_in(12))
        PUT(0xcd, 0x21 + rnd() % 0x80);
    else if (one_in(2))
        PUT(0xcd, one_in(3) ? LOW : HIGH);
    else if (one_in(4))
        put_real_idt();
}

static void put_real(void)
{
    static const uint8_t segs[] = { SEG_DS, SEG_ES, SEG_SS, SEG_FS, SEG_GS };
    unsigned seg = segs[rnd() % 5];

    switch (rnd() % 4) {
    case 0: put_mov(RBX, seg == SEG_SS ? STACK >> 4 : DATA >> 4), PUT(0x8e, 0xc3 | seg << 3); break;
    case 1: put_stack(); break;
    case 2: put_int(); break;
    case 3: if (one_in(2)) { put_real_table(); break; } /* fall through */
    default: put_use(); break;
    }
}

static void put_back_jump(void)
{
    uint32_t to;

    if (one_in(5)) {
        PUT(0x68, 0x00, CODE >> 12, 0x68);                /* push CODE >> 4, next; retf */
        to = stream_len + 3;
        put_imm(to);
        PUT(0xcb);
        return;
    }
    put_jump(CODE >> 4, false, CODE);
    if (one_in(40) && stream[stream_len - 8] == 0x66)
        stream[stream_len - 4] = 1;                       /* beyond 64 KiB */
}

/* FS or GS changes its meaning before all else is flat. */
static void put_flat(void)
{
    unsigned seg = SEG_FS + rnd() % 2;
    bool other = one_in(3);

    if (other) {
        PUT(0xbb), put_imm(FLAT), PUT(0xf6, 0xc2, 1, 0x74, 5, 0xbb);
        put_imm((const uint16_t[]){ READ_ONLY, SHORT, DATA16 }[rnd() % 3]);
        PUT(0x8e, 0xc3 | seg << 3);                   /* mov ebx; test dl, 1; jz over mov ebx */
    }
    put_load(SEG_DS, FLAT), put_load(SEG_ES, FLAT), put_load(SEG_SS, FLAT);
    if (other)
        put_use_of(seg == SEG_FS ? 0x64 : 0x65);
    else if (one_in(2))
        put_mov(RBX, FLAT), PUT(0x8e, 0xe3, 0x8e, 0xeb);
}

static void put_code32(void)
{
    bool based = one_in(5);

    put_jump(based ? CODE32_BASED : CODE32, true, based ? CODE : 0);
    if (!one_in(4))
        put_flat();
    put_pieces(put_protected);
    if (!one_in(4))
        put_load(SEG_DS, DATA16), put_load(SEG_ES, DATA16), put_load(SEG_SS, 0x40);
    put_jump(CODE16, false, CODE);
}

static void put_trip(void)
{
    put_cr0(true);
    if (!one_in(3))
        put_jump(CODE16, false, CODE);
    put_pieces(put_protected);
    if (!one_in(3))
        put_code32();
    if (one_in(3))
        put_pieces(put_protected);
    if (!scene.odd)
        put_load(SEG_DS, DATA16), put_load(SEG_ES, DATA16), put_load(SEG_SS, 0x40);
    put_cr0(false);
    if (one_in(6))
        put_use();
    put_back_jump();
    put_mov(RBX, STACK >> 4), PUT(0x8e, 0xd3);
    put_mov32(RSP, 0x2000);
    put_mov(RBX, DATA >> 4), PUT(0x8e, 0xdb, 0x8e, 0xc3);
}

static void put_loop(void)
{
    unsigned top;
    int back;

    put_mov32(RDX, 2 + rnd() % 8);
    top = stream_len;
    put_pieces(put_real);
    put_trip();
    if (one_in(3))
        put_trip();
    PUT(0x4a, 0x0f, 0x85);                                /* dec dx; jnz */
    back = (int)top - (int)(stream_len + 2);
    put_imm((uint32_t)back);
}

static void make(uint64_t seed, unsigned pieces)
{
    static const uint32_t limits[] = { 8 * SELECTORS - 1, 8 * SELECTORS - 1, 0x57, 0x27 };

    maker_begin(seed);
    pieces_wanted = pieces && pieces < 4 ? pieces : 4;
    memset(&scene, 0, sizeof(scene));
    scene.odd = one_in(4);
    scene.short_idt = one_in(12);
    make_table(scene.table[0]), make_table(scene.table[1]);
    for (unsigned i = 0; i < 4; i++) {
        scene.pointer[i][0] = limits[i] | (i & 1 ? TABLES_2 & 0xffff : GDT & 0xffff) << 16;
        scene.pointer[i][1] = (i & 1 ? TABLES_2 : GDT) >> 16 | (one_in(40) ? 0x5a00 : 0);
        scene.pointer[4 + i][0] = (i == 3 ? 0x1ff : 0x7ff) | (i & 1 ? 0 : (IDT & 0xffff) << 16);
        scene.pointer[4 + i][1] = i & 1 ? 0 : IDT >> 16;
    }
    memset(stream, 0xf4, sizeof(stream));
    stream_len = 0;
    wide = false;
    for (unsigned i = 1 + rnd() % 3; i; i--)
        put_loop();
    PUT(0xf4);
}

/* --- Machines ------------------------------------------------------------------------------ */

static void load_registers(struct machine *m)
{
    static const uint16_t selector[SEG_COUNT] = { DATA >> 4, CODE >> 4, STACK >> 4, DATA >> 4,
                                                  DATA >> 4, DATA >> 4 };
    struct vcpu *v = m->vcpu;

    machine_flat(v);
    v->cr0 &= ~(uint64_t)(CR0_PE | CR0_PG | CR0_TS | CR0_MP);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = (struct segment){ selector[i], i == SEG_CS ? 0x9b : 0x93, 0xffff,
                                      (uint64_t)selector[i] << 4 };
    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = i * 0x1111;
    v->gpr[RSP] = 0x2000;
    v->gdtr.base = GDT;
    v->gdtr.limit = 8 * SELECTORS - 1;
    v->idtr.base = 0;
    v->idtr.limit = scene.short_idt ? 0x1ff : 0x3ff;
    v->eflags = EFLAGS_R1;
    v->rip = 0;
    v->cpl = 0;
    machine_rest(m);
    mem_mode_changed(v);
    fpu_reset(v);
}

static void load(struct machine *m)
{
    static const uint8_t handler[] = { 0x40, 0xcf }; /* inc ax; iret */

    for (unsigned vector = 0; vector < 256; vector++) {
        uint32_t entry = (uint32_t)(HANDLERS >> 4) << 16 | 16 * vector;

        physmem_write(&m->mem, 4 * vector, &entry, 4);
    }
    physmem_write(&m->mem, HANDLERS + 16 * LOW, handler, sizeof(handler));
    physmem_write(&m->mem, HANDLERS + 16 * HIGH, handler, sizeof(handler));
    physmem_write(&m->mem, GDT, scene.table[0], sizeof(scene.table[0]));
    physmem_write(&m->mem, TABLES_2, scene.table[1], sizeof(scene.table[1]));
    physmem_write(&m->mem, POINTERS, scene.pointer, sizeof(scene.pointer));
    physmem_write(&m->mem, CODE, stream, sizeof(stream));
    load_registers(m);
}

/* DMA: no invalidation. */
static void change_by_dma(struct pair *pair)
{
    unsigned entry = 1 + rnd() % (SELECTORS - 1);
    uint64_t d = scene.table[1][entry] ^ (one_in(2) ? 1ull << (40 + rnd() % 16) : 0);

    pair_dma(pair, GDT + 8 * entry, &d, 8);
}

static void dump(uint64_t seed)
{
    printf("seed %llu:", (unsigned long long)seed);
    for (unsigned i = 0; i < stream_len; i++)
        printf("%s%02x", i % 32 ? " " : "\n  ", stream[i]);
    printf("\n");
}

static bool came_through(const struct vcpu *v)
{
    return v->rip == stream_len;
}

int main(int argc, char **argv)
{
    static const struct harness modes = {
        .make = make,
        .load = load,
        .change_by_dma = change_by_dma,
        .load_registers = load_registers,
        .came_through = came_through,
        .dump = dump,
        .counter = "modes",
    };

    return harness_run(&modes, argc, argv);
}
