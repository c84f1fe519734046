/*
 * Code that writes its own operands and opcodes in each round of a loop, the interpreter against
 * the translator: in real, virtual-8086 and 16-bit protected mode, in 32-bit segments with a base,
 * in flat code of CPL 0 and 3.
 *
 *     test_patched [streams [seed]]
 *
 * A round has a few pairs of an instruction that writes and one that is written, each long enough
 * in use to get the translator's forms for it (translator/adapt.c), with other code between them.
 */
#include <string.h>

#include "cpu/segment.h"
#include "tests/lockstep/harness.h"
#include "tests/lockstep/maker.h"
#include "tests/lockstep/segments.h"

enum { PAIRS = 4, FIELDS = 16, DATA_AT = 0x2800 };

struct scene scene;
uint8_t stream[ROOM];
unsigned stream_len;

static bool flat;
static bool limited; /* GS is the code's memory as DS is, and becomes FS, which ends within it */
static unsigned field[FIELDS], fields; /* offsets in the stream of what is written */
static unsigned opcode_bit;
static unsigned own_at, more_at; /* in a target: a displacement that is its own address; a byte that
                                    DMA changes, too; 0: none */

/* --- Bytes --------------------------------------------------------------------------------- */

static unsigned word(void)
{
    return wide() ? 4 : 2;
}

static void put_imm(uint32_t value)
{
    put_bytes(&value, word());
}

static uint32_t here(void)
{
    return scene.eip + stream_len;
}

/* ModRM and displacement of memory at an offset that is fixed. */
static void put_direct(unsigned reg, uint32_t offset)
{
    PUT((wide() ? 5 : 6) | reg << 3), put_imm(offset);
}

/* --- What is written ----------------------------------------------------------------------- */

/* Where the bytes are that are written, and how many there are. */
struct field {
    unsigned at, size;
};

static struct field last(unsigned size)
{
    return (struct field){ stream_len - size, size };
}

static unsigned low_reg(void)
{
    return (const uint8_t[]){ RAX, RDX, RBX }[rnd() % 3];
}

/* AL, DL, BL, AH, DH, BH */
static unsigned byte_reg(void)
{
    return low_reg() + (one_in(2) ? 4 : 0);
}

static struct field put_immediate(void)
{
    unsigned group = (rnd() % 8) << 3;

    switch (rnd() % 12) {
    case 0: PUT(0xb8 | low_reg()), put_imm(rnd()); return last(word());
    case 1: PUT(0xb0 | byte_reg(), rnd()); return last(1);
    case 2: PUT(0x81, 0xc0 | group | low_reg()), put_imm(rnd()); return last(word());
    case 3: PUT(0x80, 0xc0 | group | byte_reg(), rnd()); return last(1);
    case 4: PUT(0x83, 0xc0 | group | low_reg(), rnd()); return last(1);
    case 5: PUT(0x05 | group), put_imm(rnd()); return last(word());
    case 6: PUT(0xa8, rnd()); return last(1);
    case 7: PUT(0xf7, 0xc0 | low_reg()), put_imm(rnd()); return last(word());
    case 8: PUT(0x69, 0xc0 | low_reg() << 3 | low_reg()), put_imm(rnd()); return last(word());
    case 9: PUT(0x6b, 0xc0 | low_reg() << 3 | low_reg(), rnd()); return last(1);
    case 10: PUT(0x68), put_imm(rnd()), PUT(0x5b); return (struct field){ stream_len - 1 - word(),
                                                                        word() };
    default: PUT(0xc1, 0xc0 | (rnd() & 0x38) | low_reg(), rnd()); return last(1);
    }
}

/* Of an instruction with memory, ES:[DI + ...]; displacements are near 0. */
static struct field put_memory(void)
{
    unsigned group = (rnd() % 8) << 3, rm = wide() ? 7 : 5, at;

    if (one_in(3))
        PUT(0x66);
    PUT(0x26);
    at = stream_len;
    switch (rnd() % 8) {
    case 0: PUT(0x80, 0x40 | group | rm, rnd() & 0x7f, rnd()); return last(1);
    case 1: PUT(0xc6, 0x40 | rm, rnd() & 0x7f, rnd()); return last(1);
    case 2: PUT(0x83, 0x40 | group | rm, rnd() & 0x7f, rnd()); break;
    case 3: PUT(0x8a, 0x40 | byte_reg() << 3 | rm, rnd() & 0x7f); break;
    case 4: PUT(0x89, 0x40 | low_reg() << 3 | rm, rnd() & 0x7f); break;
    case 5: PUT(0x8d, 0x40 | low_reg() << 3 | rm, rnd() & 0x7f); break;
    case 6: PUT(0xff, 0x40 | rm, rnd() & 0x7f); break; /* inc */
    default: PUT(0x0f, 0xb6, 0x40 | low_reg() << 3 | rm, rnd() & 0x7f); return last(1);
    }
    return (struct field){ at + 2, 1 };
}

/* The same with a displacement of a word, of which the low byte is written; with an index. */
static struct field put_wide_memory(void)
{
    static const uint8_t ops[] = { 0x8b, 0x89, 0x01, 0x33, 0x8d, 0x3b, 0x88 };

    PUT(0x26, ops[rnd() % 7]);
    if (one_in(3)) {
        stream_len--;
        PUT(0xa0 | (rnd() & 3)), put_imm(scene.gpr[RDI]); /* moffs */
    } else if (one_in(3)) {
        put_direct(low_reg(), scene.gpr[RDI]);
    } else if (wide() && one_in(2)) {
        PUT(0x84 | low_reg() << 3, (rnd() & 0xc0) | RBP << 3 | RDI), put_imm(0);
    } else {
        PUT(0x80 | low_reg() << 3 | (wide() ? 7 : 5)), put_imm(0);
    }
    return (struct field){ stream_len - word(), 1 };
}

/* Transfers over up to three instructions of a byte, by a distance of 0 to 3. */
static struct field put_transfer(void)
{
    struct field f;

    switch (rnd() % 5) {
    case 0: PUT(0xeb, 0); f = last(1); break;
    case 1: PUT(0xe9), put_imm(0); f = (struct field){ stream_len - word(), 1 }; break;
    case 2: PUT(0xe8), put_imm(0); f = (struct field){ stream_len - word(), 1 }; break;
    case 3: PUT(0x0f, 0x80 | (rnd() & 15)), put_imm(0);
            f = (struct field){ stream_len - word(), 1 }; break;
    default: PUT(0x70 | (rnd() & 15), 0); f = last(1); break;
    }
    PUT(0x40, 0x43, 0x4a);
    return f;
}

static void note_field(uint32_t offset)
{
    field[fields++ % FIELDS] = offset;
    fields = fields > FIELDS ? FIELDS : fields;
}

/* Of more than 8 bytes: the operation is written by the stream, the last byte by DMA. */
static struct field put_long(void)
{
    unsigned at;

    PUT(0x26, 0x66, 0x81);
    at = stream_len;
    put_direct(rnd() % 8, scene.gpr[RDI]), put_imm(rnd()), put_imm(rnd());
    if (wide())
        stream_len -= 6; /* a word */
    more_at = stream_len - 1;
    return (struct field){ at, 1 };
}

/* One that writes its own opcode, or reads it: XOR of DL or DX, which is up to 3. */
static struct field put_own(void)
{
    unsigned at = stream_len;

    PUT(0x30 | (rnd() & 1)), put_direct(RDX, 0);
    own_at = stream_len - word();
    return (struct field){ at, 1 };
}

/* An opcode, and which of its bits becomes another: of an instruction of a byte, of one with
 * operands, in registers, in memory (which may be longer, too), of more than 8 bytes, of a
 * transfer, of a push. */
static struct field put_opcode(void)
{
    unsigned at = stream_len, rm = wide() ? 7 : 5;

    opcode_bit = one_in(2) ? 1 : 8;
    switch (rnd() % 8) {
    case 0: PUT(0x01 | (rnd() & 0x38), 0xc0 | low_reg() << 3 | low_reg()); break;
    case 1: PUT(0x26, 0x01 | (rnd() & 0x38), 0x40 | low_reg() << 3 | rm, rnd() & 0x7f); at++; break;
    case 2: PUT(0x26, 0x8a | (rnd() & 1), 0x40 | low_reg() << 3 | rm, rnd() & 0x7f, 0x90); at++;
            break;
    case 3: opcode_bit = 8; return put_long();
    case 4: PUT(0x70 | (rnd() & 15), rnd() & 3, 0x40, 0x43, 0x4a); break;
    case 5: opcode_bit = 8; PUT(0x50 | (rnd() & 8) | low_reg()); break;
    case 6: opcode_bit = 1; return put_own();
    default: PUT(0x40 | (rnd() & 3)); break;
    }
    return (struct field){ at, 1 };
}

/* --- Rounds -------------------------------------------------------------------------------- */

enum kind { IMMEDIATE, MEMORY, WIDE_MEMORY, TRANSFER, OPCODE, KINDS };

/* How the value that is written follows from SI, which counts. */
static void put_value(enum kind kind)
{
    static const uint8_t masks[KINDS] = { [MEMORY] = 0x7f, [WIDE_MEMORY] = 0x7f, [TRANSFER] = 3 };

    PUT(0x89, 0xf2); /* mov dx, si */
    if (masks[kind])
        PUT(0x80, 0xe2, masks[kind]); /* and dl, mask */
    if (kind == OPCODE)
        PUT(0x83, 0xe2, one_in(2) ? 1 : 3); /* and dx, 1 or 3 */
}

/* The instruction that writes, at an offset that comes later: where that goes. */
static unsigned put_writer(enum kind kind, unsigned size)
{
    if (limited && one_in(2))
        PUT(0x65);
    if (kind == OPCODE) {
        PUT(0x80), put_direct(6, 0), PUT(opcode_bit); /* xor byte [], 1 or 8 */
        return stream_len - 1 - word();
    }
    if (kind == IMMEDIATE && one_in(4)) {
        PUT(0x80), put_direct(0, 0), PUT(rnd()); /* add byte [], ... */
        return stream_len - 1 - word();
    }
    if (size == 4 && one_in(3))
        PUT(0x66); /* half of it */
    PUT(size == 1 ? 0x88 : 0x89), put_direct(RDX, 0);
    return stream_len - word();
}

static void put_filler(void)
{
    static const uint8_t plain[] = { 0x40, 0x4b, 0x90, 0xf8, 0xf5 };

    for (unsigned i = rnd() % 5; i; i--)
        PUT(plain[rnd() % 5]);
    if (one_in(4))
        PUT(0x01, 0xc3); /* add bx, ax */
}

static struct field put_target(enum kind kind)
{
    switch (kind) {
    case IMMEDIATE: return put_immediate();
    case MEMORY: return put_memory();
    case WIDE_MEMORY: return put_wide_memory();
    case TRANSFER: return put_transfer();
    default: return put_opcode();
    }
}

static void put_pair(void)
{
    enum kind kind = rnd() % KINDS;
    uint8_t target[32];
    unsigned start = stream_len, at, len;
    struct field f;
    uint32_t to;

    own_at = more_at = 0;
    f = put_target(kind);
    len = stream_len - start;
    memcpy(target, stream + start, len);
    stream_len = start;
    put_value(kind);
    at = put_writer(kind, f.size);
    put_filler();
    to = here() + f.at - start;
    if (one_in(12))
        to += rnd() % 3 - 1; /* beside it, or more than it */
    memcpy(stream + at, &to, word());
    note_field(to - scene.eip);
    if (more_at)
        note_field(stream_len + more_at - start);
    to = here();
    if (own_at)
        memcpy(target + (own_at - start), &to, word());
    put_bytes(target, len);
}

static void put_loop(void)
{
    unsigned top;

    PUT(0xb9), put_imm(20 + rnd() % 60); /* mov cx, ... */
    top = stream_len;
    for (unsigned i = 1 + rnd() % PAIRS; i; i--) {
        put_filler();
        put_pair();
    }
    if (limited)
        PUT(0x80, 0xf9, 1 + rnd() % 8, 0x75, 4, 0x0f, 0xa0, 0x0f, 0xa9); /* cl = n: gs becomes fs */
    PUT(0x81, 0xc6), put_imm(rnd()); /* add si, ... */
    if (one_in(2))
        PUT(0xbc), put_imm(0x2000); /* mov sp, ... */
    PUT(0x49, 0x0f, 0x85), put_imm(top - (stream_len + word())); /* dec cx; jnz */
}

/* --- Scenes -------------------------------------------------------------------------------- */

static struct segment data_segment(unsigned number, uint32_t base)
{
    uint32_t attr = SEG_S | SEG_P | SEG_ACCESSED | SEG_WRITABLE | scene.cpl << 5;

    if (flat)
        return (struct segment){ (uint16_t)(0x48 + 8 * number) | (uint16_t)scene.cpl,
                                 attr | SEG_G | SEG_DB, UINT32_MAX, 0 };
    return (struct segment){ (uint16_t)(0x48 + 8 * number) | (uint16_t)scene.cpl,
                             attr | (wide() ? SEG_DB : 0), 0xffff, base };
}

static struct segment segment_at(unsigned number, uint32_t base)
{
    if (scene.mode == REAL || scene.mode == V86)
        return (struct segment){ (uint16_t)(base >> 4), scene.mode == V86 ? ATTR_V86 : ATTR_REAL,
                                 0xffff, base };
    return data_segment(number, base);
}

static void make_segments(void)
{
    uint32_t base = scene.start - scene.eip;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        scene.seg[i] = segment_at(i, DATA);
    scene.seg[SEG_DS] = segment_at(SEG_DS, base);
    if (limited) {
        scene.seg[SEG_GS] = scene.seg[SEG_FS] = scene.seg[SEG_DS];
        scene.seg[SEG_GS].selector = data_segment(SEG_GS, base).selector;
        scene.seg[SEG_FS].selector = data_segment(SEG_FS, base).selector;
        scene.seg[SEG_FS].limit = scene.eip + rnd() % 0x100;
    }
    scene.seg[SEG_SS] = segment_at(SEG_SS, one_in(3) ? base & ~15u : STACK);
    scene.seg[SEG_CS] = segment_at(0, base);
    if (scene.mode >= PROT16) {
        scene.seg[SEG_CS].selector = (uint16_t)(0x40 | scene.cpl);
        scene.seg[SEG_CS].attr = (scene.seg[SEG_CS].attr & ~SEG_WRITABLE) | SEG_CODE | SEG_READABLE;
    }
}

static void make_scene(void)
{
    memset(&scene, 0, sizeof(scene));
    scene.mode = rnd() % MODES;
    flat = scene.mode == PROT32 && !one_in(4);
    limited = scene.mode >= PROT16 && !flat && one_in(4);
    scene.cpl = scene.mode == V86 || (scene.mode != REAL && one_in(2)) ? 3 : 0;
    scene.start = CODE + (one_in(3) ? 0x1000 - rnd() % 0x100 : rnd() % 0x800);
    scene.eip = flat ? scene.start : 0x4000 | (scene.start & 15);
    scene.idt_limit = 0x3ff;
    for (unsigned i = 0; i < 8; i++)
        scene.gpr[i] = rnd() & 0xffff;
    scene.gpr[RSP] = flat ? STACK + 0x2000 : 0x2000;
    scene.gpr[RDI] = flat ? DATA + DATA_AT : DATA_AT;
    scene.gpr[RBP] = rnd() & 31;
    scene.eflags = EFLAGS_R1 | (rnd() & EFLAGS_ARITH) | (scene.mode == V86 ? EFLAGS_VM : 0);
    for (unsigned i = 0; i < sizeof(scene.data); i++)
        scene.data[i] = (uint8_t)rnd();
    make_segments();
}

static void make(uint64_t seed, unsigned most)
{
    maker_begin(seed);
    make_scene();
    memset(stream, 0xf4, sizeof(stream));
    stream_len = fields = 0;
    for (unsigned i = 1 + rnd() % 3; i && most; i--, most--)
        put_loop();
}

/* --- Running them -------------------------------------------------------------------------- */

/* Bytes of what is written: the translator may read them when it runs; of some it must not. */
static void change_by_dma(struct pair *pair)
{
    for (unsigned i = rnd() % 6; i && fields; i--) {
        uint64_t at = scene.start + field[rnd() % fields] + (one_in(8) ? 1 : 0);
        uint8_t value = rnd() & 3;

        pair_dma(pair, at, &value, 1);
    }
}

int main(int argc, char **argv)
{
    static const struct harness patched = {
        .make = make,
        .load = segments_load,
        .change_by_dma = change_by_dma,
        .load_registers = segments_load_registers,
        .came_through = segments_came_through,
        .dump = segments_dump,
        .restores = true,
        .counter = "sites_adapted",
    };

    return harness_run(&patched, argc, argv);
}
