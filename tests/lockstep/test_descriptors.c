/*
 * Random streams of segment loads, far transfers, INT and IRET in protected mode, the interpreter
 * against the translator, in loops: while code goes on with what it has found in a table, the table
 * changes under it, by stores, by another mapping, by DMA, by INVLPG and CR3, by LGDT, LLDT, LIDT.
 *
 *     test_descriptors [streams [seed [pieces]]]
 */
#include <stdio.h>
#include <string.h>

#include "cpu/fpu.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "tests/lockstep/harness.h"
#include "tests/lockstep/maker.h"

enum {
    CODE = 0x20000,        /* gla; of the stream */
    FUNCTIONS = 0x24000,   /* code that is called, FUNCTION_SIZE bytes each */
    FUNCTION_SIZE = 16,
    FUNCTION_COUNT = 8,
    DATA = 0x30000,
    STACK = 0x44000,
    STACK_SELECTOR = 0x68, /* RPL: the stream's CPL */
    MAIN = 0x40,           /* the stream's own code segment */
    FLAT = 0x48,           /* data of all memory, DPL 3 */
    POOL = 0x70,           /* descriptors of every kind */
    POOL_SIZE = 16,
    TABLE_SIZE = POOL + 8 * POOL_SIZE,
    LDT = GDT + 0x400,
    LDT_SELECTOR = 0x58,
    TABLES_2 = GDT + 0x10000, /* other contents for the page of GDT and LDT */
    ALIAS = 0xf0000,       /* linear: GDT's page once more */
    DIRECTORY_2 = 0xa0000, /* where GDT's page is TABLES_2's, with its table */
    POINTERS = 0xa2000,    /* operands of LGDT and LIDT */
    VECTOR = 0x30,         /* and the next seven: gates of every kind */
    ROOM = 0x800,
};

static struct scene {
    bool wide;             /* 32-bit code */
    unsigned cpl;
    uint32_t sp;
    uint64_t table[2][TABLE_SIZE / 8]; /* GDT; LDT's pool is as the GDT's */
    uint64_t gate[8];
    bool wide_stack;
    bool limits;           /* the pool's first two: code of one base, two limits */
} scene;

uint8_t stream[ROOM];
unsigned stream_len;

/* --- Tables -------------------------------------------------------------------------------- */

static uint64_t descriptor(uint32_t attr, uint32_t base, uint32_t limit)
{
    uint32_t scaled = attr & SEG_G ? limit >> 12 : limit;

    return (uint64_t)(base & 0xff000000) << 32 | (uint64_t)(scaled & 0xf0000) << 32 |
           (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(base & 0xffffff) << 16 | (scaled & 0xffff);
}

static uint32_t privilege(void)
{
    return (one_in(12) ? rnd() & 3 : scene.cpl) << 5;
}

/* Now and then something is missing. */
static uint32_t usual(uint32_t attr)
{
    static const uint32_t bits[] = { SEG_P, SEG_ACCESSED, SEG_ACCESSED, SEG_S, SEG_WRITABLE,
                                     SEG_EXPDOWN, SEG_DB, SEG_CODE };

    return one_in(10) ? attr ^ bits[rnd() % 8] : attr;
}

static uint64_t code(void)
{
    uint32_t attr = SEG_S | SEG_P | SEG_CODE | SEG_READABLE | SEG_ACCESSED | privilege();
    uint32_t limits[] = { 0xffff, 0xffff, 0x4fff, FUNCTION_SIZE * 16 - 1,
                          FUNCTION_SIZE * (rnd() % 16), /* inside a function */
                          rnd() % (FUNCTION_SIZE * 16) };

    return descriptor(usual(attr | (scene.wide ? SEG_DB : 0)),
                      one_in(4) ? FUNCTIONS : FUNCTIONS - FUNCTION_SIZE * (rnd() % 8),
                      limits[rnd() % 6]);
}

static uint64_t data(void)
{
    uint32_t attr = SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | (one_in(3) ? SEG_DB : 0) |
                    privilege();

    if (one_in(8))
        return descriptor(attr | SEG_G, 0, UINT32_MAX);
    return descriptor(usual(attr), DATA + rnd() % 0x1000, one_in(2) ? 0xffff : rnd() % 0x2000);
}

static uint64_t stack(void)
{
    uint32_t attr = SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | scene.cpl << 5;

    return descriptor((one_in(4) ? usual(attr) : attr) | (scene.wide_stack ? SEG_DB : 0),
                      STACK + rnd() % 16, one_in(2) ? 0xffff : 0x4000);
}

static uint64_t of_the_pool(unsigned i)
{
    return i < 6 ? code() : i < 12 ? data() : i < 14 ? stack() : (uint64_t)rnd() << 32 | rnd();
}

/* A code segment's selector; of the LDT, too. */
static uint16_t code_selector(void)
{
    unsigned rpl = one_in(24) ? rnd() & 3 : scene.cpl;

    return (uint16_t)((POOL + 8 * (one_in(24) ? rnd() % POOL_SIZE : rnd() % 6)) | rpl |
                      (one_in(3) ? SELECTOR_TI : 0));
}

static uint64_t base_of(uint16_t selector)
{
    return descriptor_base(scene.table[!!(selector & SELECTOR_TI)][selector >> 3]);
}

/* Where a function is in a segment, as the tables were in the beginning. */
static uint32_t offset_in(uint16_t selector, unsigned function)
{
    uint32_t offset = FUNCTIONS + FUNCTION_SIZE * function - (uint32_t)base_of(selector);

    return scene.wide ? offset : offset & 0xffff;
}

enum function { RET_FAR, RET_FAR_DROP, IRET, IRET_OTHER, FUNCTIONS_KNOWN };
enum { JUMP_AT = 8, LAST = FUNCTION_COUNT - 1 }; /* jmp cx, in a function; a RET_FAR at the end */

static uint64_t gate(void)
{
    bool wide = one_in(4) ? !scene.wide : scene.wide, interrupt = one_in(2);
    uint16_t selector = code_selector();
    uint32_t offset = offset_in(selector, wide == scene.wide ? IRET : IRET_OTHER);
    uint32_t type = (wide ? 0xe : 6) | !interrupt | (one_in(16) ? 0 : 0x80) |
                    (one_in(16) ? rnd() & 3 : 3) << 5;

    return (uint64_t)(offset & 0xffff0000) << 32 | (uint64_t)type << 40 |
           (uint64_t)selector << 16 | (offset & 0xffff);
}

static void make_tables(void)
{
    const uint32_t main = SEG_S | SEG_P | SEG_CODE | SEG_READABLE | SEG_ACCESSED | scene.cpl << 5;

    for (unsigned i = 0; i < 2 * POOL_SIZE; i++)
        scene.table[i / POOL_SIZE][POOL / 8 + i % POOL_SIZE] = of_the_pool(i % POOL_SIZE);
    for (unsigned i = 0; i < 2 && scene.limits; i++)
        scene.table[0][POOL / 8 + i] = descriptor(main | (scene.wide ? SEG_DB : 0), FUNCTIONS,
                                                  FUNCTION_SIZE * (i ? LAST : FUNCTION_COUNT) - 1);
    scene.table[0][MAIN / 8] = descriptor(main | (scene.wide ? SEG_DB : 0), CODE, 0xffff);
    scene.table[0][FLAT / 8] = descriptor(SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | SEG_DB |
                                          SEG_G | SEG_DPL, 0, UINT32_MAX);
    scene.table[0][LDT_SELECTOR / 8] = descriptor(SEG_P | DESC_LDT, LDT, TABLE_SIZE - 1);
    scene.table[0][STACK_SELECTOR / 8] =
        descriptor(SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | scene.cpl << 5 |
                   (scene.wide_stack ? SEG_DB : 0), STACK, 0xffff);
    for (unsigned i = 0; i < 8; i++)
        scene.gate[i] = gate();
}

/* --- Pieces -------------------------------------------------------------------------------- */

static void put_imm(uint32_t value, bool wide)
{
    put_bytes(&value, wide ? 4 : 2);
}

static void put_mov32(unsigned reg, uint32_t value)
{
    if (!scene.wide)
        PUT(0x66);
    PUT(0xb8 | reg);
    put_imm(value, true);
}

/* What follows has 32-bit addresses and the flat segment, GS. */
static void put_flat(void)
{
    if (!scene.wide)
        PUT(0x67);
    PUT(0x65);
}

static uint16_t any_selector(void)
{
    if (one_in(20))
        return (uint16_t)(rnd() % (TABLE_SIZE + 16));
    return (uint16_t)((POOL + 8 * (6 + rnd() % 6)) | (one_in(20) ? 3 : scene.cpl) |
                      (one_in(3) ? SELECTOR_TI : 0));
}

/* A load of ES, DS or FS, and an access through it, perhaps near its end. */
static void put_load(void)
{
    static const uint8_t prefix[] = { 0x26, 0x3e, 0x64 }, field[] = { 0, 3, 4 };
    unsigned which = rnd() % 3;
    uint16_t selector = one_in(10) ? rnd() & 3 : any_selector();
    uint32_t offset = one_in(12) ? rnd() % 0x2100 : rnd() % 64;

    if (one_in(2)) {
        PUT(0xb8), put_imm(selector, scene.wide); /* mov ax, selector; mov seg, ax */
        PUT(0x8e, 0xc0 | field[which] << 3);
    } else {
        PUT(0x68), put_imm(selector, scene.wide); /* push selector; pop seg */
        if (which == 2)
            PUT(0x0f, 0xa1);
        else
            PUT(which ? 0x1f : 0x07);
    }
    if (!one_in(3) && selector > 3) { /* mov cx, [offset] or [offset], cx */
        PUT(prefix[which], one_in(2) ? 0x8b : 0x89, scene.wide ? 0x0d : 0x0e);
        put_imm(offset, scene.wide);
    }
}

/* SS and the stack pointer, there and back. */
static void put_stack(void)
{
    uint16_t selector = (uint16_t)((POOL + 8 * (12 + rnd() % 2)) | scene.cpl |
                                   (one_in(3) ? SELECTOR_TI : 0));

    PUT(0xb8), put_imm(selector, scene.wide);
    PUT(0x8e, 0xd0);
    put_mov32(RSP, one_in(8) ? 0x4001 - rnd() % 16 : scene.sp);
    PUT(0x50);
}

static unsigned pick(bool other, enum function function)
{
    return other ? FUNCTIONS_KNOWN + (unsigned)function : (unsigned)function;
}

/* JMP to what comes next in the same segment; CALL of a function that returns. */
static void put_far(void)
{
    bool other = one_in(4), wide = scene.wide != other; /* the operand size */
    uint16_t selector = code_selector();
    unsigned function = pick(other, one_in(2) ? RET_FAR : RET_FAR_DROP);
    uint32_t offset = offset_in(selector, function);

    if (function % FUNCTIONS_KNOWN == RET_FAR_DROP)
        PUT(0x50, 0x50);
    switch (rnd() % 4) {
    case 0: /* jmp far next */
        if (other)
            PUT(0x66);
        PUT(0xea), put_imm(stream_len + (wide ? 6 : 4), wide), put_imm(MAIN | scene.cpl, false);
        break;
    case 1: /* push selector, offset: call far [esp]; their place is left on the stack */
        PUT(0x68), put_imm(selector, scene.wide);
        if (!scene.wide && wide)
            PUT(0x68), put_imm(offset >> 16, false);
        if (scene.wide && !wide) {
            PUT(0x66, 0x68), put_imm(offset, false);
            PUT(0x66, 0xff, 0x1c, 0x24); /* the selector is 2 bytes above */
            break;
        }
        PUT(0x68), put_imm(offset, scene.wide);
        if (scene.wide) {
            PUT(0xff, 0x1c, 0x24);
        } else {
            PUT(0x89, 0xe5); /* mov bp, sp */
            if (wide)
                PUT(0x66);
            PUT(0xff, 0x5e, 0);
        }
        break;
    default:
        if (other)
            PUT(0x66);
        PUT(0x9a), put_imm(offset, wide), put_imm(selector, false);
        break;
    }
}

/* Calls into both segments of one base, and from there to the last function, which one of them does
 * not reach: so not when the other has just been there, either (D2, U8). */
static void put_limits(void)
{
    for (unsigned left = 4 + rnd() % 4; left; left--) {
        bool reaches = one_in(2), jump = one_in(reaches ? 2 : 6);
        uint16_t selector = (uint16_t)((reaches ? POOL : POOL + 8) | scene.cpl);

        if (jump)
            PUT(0xb9), put_imm(offset_in(selector, LAST), scene.wide);
        PUT(0x9a), put_imm(offset_in(selector, RET_FAR) + (jump ? JUMP_AT : 0), scene.wide);
        put_imm(selector, false);
    }
}

static void put_int(void)
{
    PUT(0xcd, VECTOR + rnd() % 8);
}

/* IRET to what comes next, with flags that may let nothing in. */
static void put_iret(void)
{
    PUT(0x68);
    put_imm(EFLAGS_R1 | (rnd() & 0xcd5) | (one_in(4) ? 0x200 : 0) | (one_in(10) ? 0x4000 : 0),
            scene.wide);
    PUT(0x0e, 0x68), put_imm(stream_len + (scene.wide ? 5 : 3), scene.wide), PUT(0xcf);
}

static const uint32_t places[] = { GDT, GDT, LDT, ALIAS, ALIAS + LDT - GDT, TABLES_2 };

/* xor byte gs:[somewhere in a table], and back after a few pieces or in the next round. */
static void put_edit(void)
{
    static const uint8_t masks[] = { 0x80, 0x01, 0x60, 0x02, 0x04, 0x08, 0x10, 0x40 };
    unsigned byte = one_in(2) ? 5 : rnd() % 8, entry = rnd() % (POOL_SIZE - 2);
    uint32_t at = places[rnd() % 6] + POOL + 8 * entry + byte;
    uint8_t mask = byte == 5 ? masks[rnd() % 8] : byte == 2 || byte == 0 ? 0x10 : 0x40;

    if (one_in(5)) {
        at = IDT + 8 * (VECTOR + rnd() % 8) + (one_in(2) ? 5 : rnd() % 8);
        mask = (uint8_t)(1 << rnd() % 8);
    }
    put_mov32(RBX, at);
    put_flat(), PUT(0x80, 0x33, mask); /* xor byte gs:[ebx], mask */
}

/* int; lidt gs:[ebx]; the same int; and so on. */
static void put_idt(void)
{
    unsigned vector = VECTOR + rnd() % 8;

    for (unsigned left = 2 + rnd() % 2; left; left--) {
        PUT(0xcd, vector);
        put_mov32(RBX, POINTERS + 8 * (4 + rnd() % 4));
        put_flat(), PUT(0x0f, 0x01, 0x1b);
    }
}

/* What moves tables as a whole, at CPL 0. */
static void put_move(void)
{
    uint32_t entry = TABLES + 0x1000 + 4 * (GDT >> 12);

    switch (rnd() % 5) {
    case 0: case 1: /* lgdt gs:[ebx] */
        put_mov32(RBX, POINTERS + 8 * (rnd() % 4));
        put_flat(), PUT(0x0f, 0x01, 0x13);
        break;
    case 2: /* mov eax, directory; mov cr3, eax */
        put_mov32(RAX, one_in(2) ? TABLES : DIRECTORY_2);
        PUT(0x0f, 0x22, 0xd8);
        break;
    case 3: /* the page of the tables becomes another; invlpg */
        put_mov32(RBX, entry);
        put_mov32(RAX, (one_in(2) ? GDT : TABLES_2) | 7);
        put_flat();
        if (!scene.wide)
            PUT(0x66);
        PUT(0x89, 0x03); /* mov gs:[ebx], eax */
        put_mov32(RBX, GDT);
        put_flat(), PUT(0x0f, 0x01, 0x3b);
        break;
    default: /* lldt */
        PUT(0xb8), put_imm(one_in(4) ? 0 : LDT_SELECTOR, scene.wide), PUT(0x0f, 0x00, 0xd0);
        break;
    }
}

static void put_piece(void)
{
    if (scene.limits && one_in(4)) {
        put_limits();
        return;
    }
    switch (rnd() % 16) {
    case 0: case 1: case 2: case 3: put_load(); break;
    case 4: case 5: case 6: case 7: put_far(); break;
    case 8: case 9: put_int(); break;
    case 10: if (!scene.cpl || one_in(8)) put_iret(); break;
    case 11: case 12: put_edit(); break;
    case 13: if (!scene.cpl && one_in(2)) put_move(); else if (!scene.cpl) put_idt(); break;
    case 14: put_stack(); break;
    default: PUT(0x14, rnd() & 0xff); break; /* adc al, imm */
    }
}

/* edx rounds of the pieces; each begins with a stack that is known and with GS. */
static void put_rounds(unsigned pieces)
{
    unsigned top;
    uint32_t back;

    put_mov32(RDX, 2 + rnd() % 4);
    top = stream_len;
    PUT(0xb8), put_imm(STACK_SELECTOR | scene.cpl, scene.wide);
    PUT(0x8e, 0xd0);
    put_mov32(RSP, scene.sp);
    PUT(0xb8), put_imm(FLAT | 3, scene.wide);
    PUT(0x8e, 0xe8);
    while (pieces--)
        put_piece();
    PUT(0x4a, 0x0f, 0x85); /* dec dx; jnz */
    back = top - (stream_len + (scene.wide ? 4 : 2));
    put_imm(back, scene.wide);
    PUT(0xf4);
}

static void make(uint64_t seed, unsigned most)
{
    static const uint8_t cpls[] = { 0, 0, 0, 3, 3, 1 };
    unsigned pieces;

    maker_begin(seed);
    memset(&scene, 0, sizeof(scene));
    scene.wide = one_in(2);
    scene.wide_stack = one_in(4) ? !scene.wide : scene.wide;
    scene.cpl = cpls[rnd() % 6];
    scene.limits = one_in(8);
    scene.sp = one_in(12) ? rnd() % 8 : 0x800 + rnd() % 4;
    make_tables();
    memset(stream, 0xf4, sizeof(stream));
    stream_len = 0;
    pieces = 1 + rnd() % 24;
    put_rounds(pieces < most ? pieces : most);
}

/* --- Machines ------------------------------------------------------------------------------ */

static void load_functions(struct machine *m)
{
    static const uint8_t code[FUNCTION_COUNT][5] = {
        [RET_FAR] = { 0x40, 0xcb },               /* inc ax; retf */
        [RET_FAR_DROP] = { 0x40, 0xca, 4, 0 },
        [IRET] = { 0x40, 0xcf },
        [IRET_OTHER] = { 0x40, 0x66, 0xcf },
        [FUNCTIONS_KNOWN + RET_FAR] = { 0x40, 0x66, 0xcb },
        [FUNCTIONS_KNOWN + RET_FAR_DROP] = { 0x40, 0x66, 0xca, 4, 0 },
        [LAST] = { 0x40, 0xcb },
    };
    static const uint8_t jump[] = { 0xff, 0xe1 };
    uint8_t filler[FUNCTION_SIZE * FUNCTION_COUNT];

    memset(filler, 0xf4, sizeof(filler));
    for (unsigned i = 0; i < FUNCTION_COUNT; i++)
        for (unsigned n = 0; n < sizeof(code[i]) && code[i][n]; n++)
            filler[i * FUNCTION_SIZE + n] = code[i][n];
    memcpy(filler + FUNCTION_SIZE * RET_FAR + JUMP_AT, jump, sizeof(jump));
    filler[FUNCTION_SIZE * RET_FAR_DROP + 3] = 0;
    filler[FUNCTION_SIZE * (FUNCTIONS_KNOWN + RET_FAR_DROP) + 4] = 0;
    physmem_write(&m->mem, FUNCTIONS, filler, sizeof(filler));
}

/* Where code may go astray it halts. */
static void prepare(struct machine *m)
{
    static uint8_t halts[STACK + 0x10000 - CODE];

    memset(halts, 0xf4, sizeof(halts));
    physmem_write(&m->mem, CODE, halts, sizeof(halts));
}

/* DIRECTORY_2 and its table for the first 4 MiB; the alias; what LGDT and LIDT load. */
static void load_paging(struct machine *m)
{
    uint32_t first = (DIRECTORY_2 + PAGE_SIZE) | 7, page[1024], other = TABLES_2 | 7;
    uint32_t gdt = GDT | 7, pointer[16] = {
        (GDT & 0xffff) << 16 | (TABLE_SIZE - 1), GDT >> 16,
        (TABLES_2 & 0xffff) << 16 | (TABLE_SIZE - 1), TABLES_2 >> 16,
        (GDT & 0xffff) << 16 | (POOL + 8 * 5 - 1), GDT >> 16,
        (ALIAS & 0xffff) << 16 | (TABLE_SIZE - 1), ALIAS >> 16,
        (IDT & 0xffff) << 16 | 0x7ff, IDT >> 16,
        (IDT & 0xffff) << 16 | 0x7ff, IDT >> 16,
        (IDT & 0xffff) << 16 | (8 * (VECTOR + 4) - 1), IDT >> 16,
        ((IDT + 8) & 0xffff) << 16 | 0x7ff, IDT >> 16, /* each vector's gate is the next one's */
    };

    physmem_write(&m->mem, TABLES + 0x1000 + 4 * (GDT >> 12), &gdt, 4);
    physmem_write(&m->mem, TABLES + 0x1000 + 4 * (ALIAS >> 12), &gdt, 4);
    physmem_read(&m->mem, TABLES, page, sizeof(page));
    page[0] = first;
    physmem_write(&m->mem, DIRECTORY_2, page, sizeof(page));
    physmem_read(&m->mem, TABLES + 0x1000, page, sizeof(page));
    page[GDT >> 12] = other;
    physmem_write(&m->mem, DIRECTORY_2 + PAGE_SIZE, page, sizeof(page));
    physmem_write(&m->mem, POINTERS, pointer, sizeof(pointer));
}

/* The tables; in TABLES_2 some descriptors are others. */
static void load_descriptors(struct machine *m)
{
    uint64_t swapped[TABLE_SIZE / 8];

    memcpy(swapped, scene.table[0], sizeof(swapped));
    for (unsigned i = 0; i < 5; i += 2) {
        swapped[POOL / 8 + i] = scene.table[0][POOL / 8 + i + 1];
        swapped[POOL / 8 + 6 + i] = scene.table[0][POOL / 8 + 7 + i];
    }
    physmem_write(&m->mem, GDT + 0x18, scene.table[0] + 3, TABLE_SIZE - 0x18);
    physmem_write(&m->mem, LDT, scene.table[1], TABLE_SIZE);
    physmem_write(&m->mem, TABLES_2 + 0x18, swapped + 3, TABLE_SIZE - 0x18);
    physmem_write(&m->mem, TABLES_2 + LDT - GDT, scene.table[1], TABLE_SIZE);
    physmem_write(&m->mem, IDT + 8 * VECTOR, scene.gate, sizeof(scene.gate));
}

/* The first flat descriptors, for whatever handles exceptions. */
static void copy_flat(struct machine *m)
{
    uint8_t flat[0x18];

    physmem_read(&m->mem, GDT, flat, sizeof(flat));
    physmem_write(&m->mem, TABLES_2, flat, sizeof(flat));
}

static struct segment segment(uint16_t selector)
{
    return segment_unpack(selector, scene.table[0][selector >> 3]);
}

static void load_registers(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = segment(FLAT | 3);
    v->seg[SEG_CS] = segment((uint16_t)(MAIN | scene.cpl));
    v->seg[SEG_SS] = segment((uint16_t)(STACK_SELECTOR | scene.cpl));
    v->cpl = (uint8_t)scene.cpl;
    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = i * 0x1111;
    v->gpr[RSP] = scene.sp;
    v->eflags = EFLAGS_R1;
    v->rip = 0;
    v->cr2 = 0;
    v->halted = v->shutdown = v->intr_shadow = v->debug_shadow = false;
    m->stop.end = VM_RUNNING;
}

static void load(struct machine *m)
{
    load_paging(m);
    copy_flat(m);
    load_functions(m);
    load_descriptors(m);
    physmem_write(&m->mem, CODE, stream, sizeof(stream));
    machine_flat(m->vcpu);
    m->vcpu->gdtr.limit = TABLE_SIZE - 1;
    m->vcpu->ldtr = segment(LDT_SELECTOR);
    load_registers(m);
    fpu_reset(m->vcpu);
}

/* DMA: no invalidation, what translated code knows stays. */
static void change_by_dma(struct pair *pair)
{
    for (unsigned i = 0; i < 3; i++) {
        unsigned entry = rnd() % POOL_SIZE;
        uint64_t d = of_the_pool(entry);

        scene.table[0][POOL / 8 + entry] = d;
        pair_dma(pair, GDT + POOL + 8 * entry, &d, 8);
    }
}

static void dump(uint64_t seed)
{
    printf("seed %llu: %s, CPL %u, sp %x\n", (unsigned long long)seed,
           scene.wide ? "32-bit" : "16-bit", scene.cpl, scene.sp);
    machine_list(0, stream, stream_len, scene.wide ? MODE_32 : MODE_16);
}

static bool came_through(const struct vcpu *v)
{
    return v->rip == stream_len;
}

int main(int argc, char **argv)
{
    static const struct harness descriptors = {
        .make = make,
        .prepare = prepare,
        .load = load,
        .change_by_dma = change_by_dma,
        .load_registers = load_registers,
        .came_through = came_through,
        .dump = dump,
        .counter = "described",
    };

    return harness_run(&descriptors, argc, argv);
}
