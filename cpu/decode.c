/*
 * The decoder: bytes to struct insn, driven by the tables that decode_table.c makes of opcodes.def.
 * Reference: SDM volume 2, chapter 2 (prefixes, ModRM and SIB: tables 2-1 to 2-3, VEX: 2.3, EVEX:
 * 2.7). EVEX-encoded instructions are undefined in 64-bit mode, which decodes, but the
 * rows that exist only there have no interpreter function yet.
 *
 * Undefined encodings have the length of their defined neighbours: this is where the CPU's own
 * length decoder ends them, and the bytes up to there must be fetched before #UD is raised.
 *
 * Speed: at first everything is read straight from the caller's bytes, displacements and immediates
 * as four bytes whatever their length. Where that could touch more than 15 bytes, decoding starts
 * again from a copy with zeros behind it, and lengths beyond the end tell what is missing.
 */
#include "cpu/decode.h"

#include <stddef.h>

#include "cpu/decode_table.h"

#define HOT static inline __attribute__((always_inline))
#define COLD static __attribute__((noinline, cold))

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

enum {
    FEW_PREFIXES = 4, /* behind so many, opcode, ModRM and SIB end before byte 15 */
    PADDED_SIZE = 48,
};

struct scan {
    const uint8_t *start, *at;
    const uint8_t *last_wide; /* last place where four bytes can be read */
    unsigned max_prefixes;
    enum cpu_mode mode;
    unsigned prefixes, seg, opcode;
    unsigned map;  /* MAP_ */
    unsigned pfx;  /* mandatory prefix: 0, 1 (66), 2 (F3), 3 (F2) */
    unsigned rex;  /* REX, or the same bits of VEX */
    unsigned vector_map, vvvv, vl;
    bool invalid;  /* something that makes any opcode undefined */
};

/* Prefix bytes, as PREFIX_ bits. */
static const uint8_t prefix_bits[256] = {
    [0x26] = PREFIX_SEG,    [0x2e] = PREFIX_SEG,      [0x36] = PREFIX_SEG,  [0x3e] = PREFIX_SEG,
    [0x64] = PREFIX_SEG,    [0x65] = PREFIX_SEG,      [0xf0] = PREFIX_LOCK, [0xf2] = PREFIX_REPNE,
    [0x66] = PREFIX_OPSIZE, [0x67] = PREFIX_ADDRSIZE, [0xf3] = PREFIX_REP,
};

/* Bytes by SIZE_ code, for operand sizes of 2, 4 and 8; 32-byte vectors. */
static const uint8_t size_bytes[][4] = {
    [SIZE_0] = {0, 0, 0},        [SIZE_1] = {1, 1, 1},
    [SIZE_2] = {2, 2, 2},        [SIZE_4] = {4, 4, 4},
    [SIZE_8] = {8, 8, 8},        [SIZE_10] = {10, 10, 10},
    [SIZE_16] = {16, 16, 16},    [SIZE_32] = {32, 32, 32},
    [SIZE_64] = {64, 64, 64},    [SIZE_V] = {2, 4, 8},
    [SIZE_Z] = {2, 4, 4},        [SIZE_Y] = {4, 4, 8},
    [SIZE_P] = {4, 6, 10},       [SIZE_A] = {4, 8, 16},
    [SIZE_S] = {6, 6, 10},       [SIZE_ENV] = {14, 28, 28},
    [SIZE_STATE] = {94, 108, 108}, [SIZE_X] = {32, 32, 32},
    [SIZE_XH] = {16, 16, 16},    [SIZE_XQ] = {8, 8, 8},
    [SIZE_XE] = {4, 4, 4},       [SIZE_XD] = {32, 32, 32},
};

/* Immediates by IMM_ code. bytes: for operand sizes of 2, 4 and 8. */
static const struct {
    uint8_t bytes[3];
    bool sign;
} immediate[] = {
    [IMM_0] = {{0, 0, 0}, false}, [IMM_1] = {{1, 1, 1}, false}, [IMM_2] = {{2, 2, 2}, false},
    [IMM_S1] = {{1, 1, 1}, true}, [IMM_4] = {{4, 4, 4}, false}, [IMM_Z] = {{2, 4, 4}, false},
    [IMM_JZ] = {{2, 4, 4}, true}, [IMM_V] = {{2, 4, 8}, false},
    [IMM_ENTER] = {{3, 3, 3}, false}, [IMM_AP] = {{4, 6, 6}, false}, [IMM_O] = {{0, 0, 0}, false},
};

/* clang-format off */

/* Effective addresses by ModRM.mod and rm. */
struct address {
    uint8_t base, index, seg, disp_len;
};
#define SIB 0x80 /* in disp_len */
#define NO REG_NONE
#define DS_ SEG_DS
#define SS_ SEG_SS

/* Table 2-1 */
static const struct address address16[4][8] = {
    {{RBX, RSI, DS_, 0}, {RBX, RDI, DS_, 0}, {RBP, RSI, SS_, 0}, {RBP, RDI, SS_, 0},
     {RSI, NO, DS_, 0}, {RDI, NO, DS_, 0}, {NO, NO, DS_, 2}, {RBX, NO, DS_, 0}},
    {{RBX, RSI, DS_, 1}, {RBX, RDI, DS_, 1}, {RBP, RSI, SS_, 1}, {RBP, RDI, SS_, 1},
     {RSI, NO, DS_, 1}, {RDI, NO, DS_, 1}, {RBP, NO, SS_, 1}, {RBX, NO, DS_, 1}},
    {{RBX, RSI, DS_, 2}, {RBX, RDI, DS_, 2}, {RBP, RSI, SS_, 2}, {RBP, RDI, SS_, 2},
     {RSI, NO, DS_, 2}, {RDI, NO, DS_, 2}, {RBP, NO, SS_, 2}, {RBX, NO, DS_, 2}},
    {{NO, NO, DS_, 0}, {NO, NO, DS_, 0}, {NO, NO, DS_, 0}, {NO, NO, DS_, 0},
     {NO, NO, DS_, 0}, {NO, NO, DS_, 0}, {NO, NO, DS_, 0}, {NO, NO, DS_, 0}},
};

/* Table 2-2 */
static const struct address address32[4][8] = {
    {{RAX, NO, DS_, 0}, {RCX, NO, DS_, 0}, {RDX, NO, DS_, 0}, {RBX, NO, DS_, 0},
     {NO, NO, DS_, SIB}, {NO, NO, DS_, 4}, {RSI, NO, DS_, 0}, {RDI, NO, DS_, 0}},
    {{RAX, NO, DS_, 1}, {RCX, NO, DS_, 1}, {RDX, NO, DS_, 1}, {RBX, NO, DS_, 1},
     {NO, NO, DS_, SIB | 1}, {RBP, NO, SS_, 1}, {RSI, NO, DS_, 1}, {RDI, NO, DS_, 1}},
    {{RAX, NO, DS_, 4}, {RCX, NO, DS_, 4}, {RDX, NO, DS_, 4}, {RBX, NO, DS_, 4},
     {NO, NO, DS_, SIB | 4}, {RBP, NO, SS_, 4}, {RSI, NO, DS_, 4}, {RDI, NO, DS_, 4}},
    {{NO, NO, DS_, 0}, {NO, NO, DS_, 0}, {NO, NO, DS_, 0}, {NO, NO, DS_, 0},
     {NO, NO, DS_, 0}, {NO, NO, DS_, 0}, {NO, NO, DS_, 0}, {NO, NO, DS_, 0}},
};

/* clang-format on */

HOT uint32_t read4(const uint8_t *at)
{
    uint32_t value;

    __builtin_memcpy(&value, at, 4);
    return value;
}

/* The low n bytes (0 to 4) of raw. */
HOT uint64_t extend(uint32_t raw, unsigned n, bool sign)
{
    unsigned shift = 32 - 8 * n;
    uint64_t high = (uint64_t)raw << shift << 32; /* n bytes at the top, nothing when n is 0 */

    return sign ? (uint64_t)((int64_t)high >> 32 >> shift) : high >> 32 >> shift;
}

HOT unsigned segment_of(const struct scan *s, unsigned prefix)
{
    if (prefix >= 0x64)
        return prefix == 0x64 ? SEG_FS : SEG_GS;
    /* ES, CS, SS and DS overrides mean nothing in 64-bit mode. */
    return s->mode == MODE_64 ? SEG_NONE : prefix >> 3 & 3;
}

/* REX counts only directly before the opcode; otherwise it is skipped. */
HOT unsigned take_rex(struct scan *s, unsigned byte)
{
    unsigned next = *s->at;

    s->rex = prefix_bits[next] || (next & 0xf0) == 0x40 ? 0 : byte;
    return *s->at++;
}

/* Consumes prefixes; returns the first byte behind them, or -1 when there are too many. */
HOT int take_prefixes(struct scan *s)
{
    for (;;) {
        unsigned byte = *s->at++, bits = prefix_bits[byte];

        if (!bits) {
            if (s->mode != MODE_64 || (byte & 0xf0) != 0x40)
                return (int)byte;
            byte = take_rex(s, byte);
            if (s->rex)
                return (int)byte;
            s->at--;
        }
        if (bits & (PREFIX_REP | PREFIX_REPNE))
            s->prefixes &= ~(unsigned)(PREFIX_REP | PREFIX_REPNE);
        if (bits & PREFIX_SEG) {
            unsigned seg = segment_of(s, byte);
            s->seg = seg == SEG_NONE ? s->seg : seg;
            bits = seg == SEG_NONE ? 0 : bits;
        }
        s->prefixes |= bits;
        if (s->at > s->start + s->max_prefixes)
            return -1;
    }
}

/*
 * The map field of VEX and EVEX. 1 to 3 exist; the length decoder looks at the low two bits only,
 * and no further than here where these are 0.
 */
static bool set_vector_map(struct scan *s, unsigned field, unsigned first)
{
    unsigned low = field & 3;

    s->vector_map = field;
    s->invalid |= field < 1 || field > 3;
    s->map = low == 0 ? MAP_NONE : first + 2 * (low - 1);
    return low;
}

/* C4 or C5: the rest of the VEX prefix, and the opcode. */
COLD unsigned take_vex(struct scan *s, unsigned first)
{
    unsigned byte1 = *s->at++, byte2 = byte1;
    unsigned bad = PREFIX_LOCK | PREFIX_REP | PREFIX_REPNE | PREFIX_OPSIZE;

    s->invalid = s->rex || s->prefixes & bad;
    s->prefixes |= PREFIX_VEX;
    s->rex = byte1 & 0x80 ? 0 : REX_R;
    if (!set_vector_map(s, first == 0xc4 ? byte1 & 31 : 1, MAP_V0F))
        return 0;
    if (first == 0xc4) {
        byte2 = *s->at++;
        s->map += byte2 >> 7;
        s->rex |= (byte1 & 0x40 ? 0 : REX_X) | (byte1 & 0x20 ? 0 : REX_B) |
                  (byte2 & 0x80 ? REX_W : 0);
    }
    s->pfx = byte2 & 3;
    s->vl = byte2 & 4 ? 32 : 16;
    s->vvvv = ~byte2 >> 3 & 15;
    if (s->mode != MODE_64)
        s->rex &= REX_W;
    return *s->at++;
}

/* 62: the rest of the EVEX prefix, and the opcode. */
COLD unsigned take_evex(struct scan *s)
{
    unsigned bad = PREFIX_LOCK | PREFIX_REP | PREFIX_REPNE | PREFIX_OPSIZE;
    unsigned byte1 = *s->at++, byte2, byte3;

    s->invalid = s->rex || s->prefixes & bad || byte1 & 8;
    s->prefixes |= PREFIX_EVEX;
    if (!set_vector_map(s, byte1 & 7, MAP_E0F))
        return 0;
    byte2 = *s->at++;
    byte3 = *s->at++;
    s->invalid |= !(byte2 & 4) || s->mode == MODE_64; /* not offered there */
    s->map += byte2 >> 7;
    s->rex = byte2 & 0x80 ? REX_W : 0;
    s->pfx = byte2 & 3;
    s->vl = 16 << (byte3 >> 5 & 3);
    s->vvvv = ~byte2 >> 3 & 15;
    return *s->at++;
}

HOT unsigned mandatory_prefix(unsigned prefixes)
{
    return prefixes & PREFIX_REPNE ? 3 : prefixes & PREFIX_REP ? 2
           : prefixes & PREFIX_OPSIZE ? 1 : 0;
}

/* 0F and the bytes behind it. */
HOT unsigned take_escaped(struct scan *s)
{
    unsigned byte = *s->at++;

    s->map = MAP_TWO;
    s->pfx = mandatory_prefix(s->prefixes);
    if ((byte & 0xf8) != 0x38)
        return byte;
    /* 38 and 3A are the maps in use; the other six are as long as those. */
    s->map = byte & 2 ? MAP_T3A : MAP_T38;
    s->invalid = byte != 0x38 && byte != 0x3a;
    return *s->at++;
}

/* LES, LDS and BOUND have no register form: those are VEX and EVEX. */
HOT bool is_vector(const struct scan *s, unsigned byte)
{
    return (byte == 0xc4 || byte == 0xc5 || byte == 0x62) && (s->mode == MODE_64 || *s->at >= 0xc0);
}

/*
 * The form of an encoding that no row claims: that of any row of the same opcode, else of its map.
 * The 0F map under VEX and EVEX is as long as under 0F.
 */
static const struct form *find_neighbour(unsigned map, unsigned opcode)
{
    static const struct form no_modrm = {0}, modrm = {.traits = FORM_MODRM},
                             modrm_imm = {.traits = FORM_MODRM, .imm = IMM_1};

    if (map == MAP_V0F || map == MAP_V0F + 1 || map == MAP_E0F || map == MAP_E0F + 1)
        map = MAP_TWO;
    if (map <= MAP_T3A) {
        const uint16_t *row = &decode_index[map][opcode][0][0][0];
        for (unsigned i = 0; i < 64; i++)
            if (row[i])
                return &decode_forms[row[i]];
    }
    if (map == MAP_T3A || map == MAP_V3A || map == MAP_V3A + 1 || map == MAP_E3A ||
        map == MAP_E3A + 1)
        return &modrm_imm;
    return map == MAP_ONE || map == MAP_TWO || map == MAP_NONE ? &no_modrm : &modrm;
}

/* The FIX row, or 0. */
static unsigned find_fixed(unsigned map, unsigned opcode, unsigned pfx, unsigned modrm)
{
    if (modrm >= 0xc0 && map == MAP_ONE && (opcode & 0xf8) == 0xd8)
        return decode_fixed[FIXED_XD8 + (opcode & 7)][modrm - 0xc0];
    if (modrm >= 0xc0 && map == MAP_TWO && opcode == 0x01)
        return decode_fixed[FIXED_F01_NP + pfx][modrm - 0xc0];
    return 0;
}

HOT unsigned operand_size(const struct scan *s, unsigned traits)
{
    bool other = s->prefixes & PREFIX_OPSIZE;

    if (s->prefixes & (PREFIX_VEX | PREFIX_EVEX))
        other = false;
    if (s->mode != MODE_64)
        return (s->mode == MODE_16) == other ? 4 : 2;
    if (s->rex & REX_W || traits & FORM_F64 || (traits & FORM_D64 && !other))
        return 8;
    return other ? 2 : 4;
}

HOT unsigned address_size(const struct scan *s)
{
    bool other = s->prefixes & PREFIX_ADDRSIZE;

    if (s->mode == MODE_64)
        return other ? 4 : 8;
    return (s->mode == MODE_16) == other ? 4 : 2;
}

/* Table 2-3. */
HOT void take_sib(struct scan *s, struct insn *in, struct address *address)
{
    unsigned byte = *s->at++;
    unsigned index = (byte >> 3 & 7) | (s->rex & REX_X ? 8 : 0), base = byte & 7;

    address->disp_len &= ~SIB;
    if (index != 4) {
        address->index = index;
        in->scale = byte >> 6;
    }
    if (base == 5 && in->mod == 0) {
        address->disp_len = 4;
    } else {
        address->base = base;
        address->seg = base == 4 || base == 5 ? SEG_SS : SEG_DS;
    }
}

/* The ModRM byte, SIB and displacement. */
HOT void take_modrm(struct scan *s, struct insn *in, unsigned traits)
{
    unsigned modrm = *s->at, rm = modrm & 7;

    in->has_modrm = true;
    in->modrm_at = s->at++ - s->start;
    in->modrm = modrm;
    in->mod = traits & FORM_MOD_IGNORED ? 3 : modrm >> 6;
    in->reg = (modrm >> 3 & 7) | (s->rex & REX_R ? 8 : 0);
    in->rm = rm | (s->rex & REX_B ? 8 : 0);
    in->has_mem = in->mod != 3;

    struct address address = in->addrsize == 2 ? address16[in->mod][rm] : address32[in->mod][rm];
    if (address.disp_len & SIB)
        take_sib(s, in, &address);
    else if (s->mode == MODE_64 && in->mod == 0 && rm == 5)
        address.base = REG_PC;
    if (s->rex & REX_B && address.base < R8) {
        address.base |= R8;
        address.seg = SEG_DS;
    }
    in->base = address.base;
    in->index = address.index;
    if (!(s->prefixes & PREFIX_SEG))
        s->seg = address.seg;
    in->disp_len = address.disp_len;
}

/* Immediates that are not one value of at most four bytes. */
COLD void split_immediate(struct insn *in, const uint8_t *at, unsigned kind)
{
    if (kind == IMM_ENTER) {
        in->imm = read4(at) & 0xffff;
        in->imm2 = at[2];
    } else if (kind == IMM_AP) {
        in->imm = extend(read4(at), in->imm_len - 2u, false);
        in->imm2 = (uint16_t)read4(at + in->imm_len - 2);
    } else if (in->opsize == 8 && kind == IMM_V) {
        in->imm = read4(at) | (uint64_t)read4(at + 4) << 32;
    } else if (in->opsize == 8 && kind == IMM_Z) {
        in->imm = (uint64_t)(int32_t)read4(at);
    }
}

/* Displacement (or moffs) and immediate; false when they cannot be read here. */
HOT bool take_values(struct scan *s, struct insn *in, const struct form *form)
{
    const unsigned special = 1u << IMM_ENTER | 1u << IMM_AP | 1u << IMM_V | 1u << IMM_Z;
    unsigned n = in->disp_len;

    if (s->at > s->last_wide)
        return false;
    in->disp_at = n ? s->at - s->start : 0;
    in->disp = (int64_t)extend(read4(s->at), n & 7, !(form->traits & FORM_MOFFS));
    if (n == 8)
        in->disp = (int64_t)(read4(s->at) | (uint64_t)read4(s->at + 4) << 32);
    s->at += n;
    if (!form->imm)
        return true;
    if (s->at > s->last_wide)
        return false;
    n = immediate[form->imm].bytes[in->opsize >> 2];
    in->imm_at = n ? s->at - s->start : 0;
    in->imm_len = n;
    in->imm = extend(read4(s->at), n < 4 ? n : 4, immediate[form->imm].sign);
    if (special >> form->imm & 1 && (n != in->opsize || n == 8))
        split_immediate(in, s->at, form->imm);
    s->at += n;
    return true;
}

/* What the last byte of an EVEX prefix asks for and the row does not allow. */
COLD bool evex_excluded(const struct insn *in, unsigned traits, unsigned last)
{
    bool b = last & EVEX_B, z = last & EVEX_Z, k = last & EVEX_K, rounding = b && !in->has_mem;
    unsigned lengths = traits & (EV_L128 | EV_LBIG), length = EV_L128 << (last >> 5 & 3);

    if (b && !(traits & (in->has_mem ? EV_BC : EV_RC)))
        return true;
    if (!rounding && (length > EV_L512 || (lengths && !(lengths & length))))
        return true;
    if (rounding && lengths == EV_L128)
        return true;
    if (z && (!k || !(traits & (in->has_mem ? EV_Z : EV_Z | EV_ZR))))
        return true;
    if (traits & FORM_VSIB && ((in->rm & 7) != 4 || in->addrsize == 2))
        return true;
    return k ? !(traits & EV_K) : traits & (EV_MK & ~EV_K);
}

/* Is the row not for this mode, or excluded by a VEX field? */
HOT bool is_excluded(const struct scan *s, const struct insn *in, unsigned traits)
{
    if (s->invalid || traits & (s->mode == MODE_64 ? FORM_NO64 : FORM_ONLY64))
        return true;
    if (!(s->prefixes & (PREFIX_VEX | PREFIX_EVEX)))
        return false;
    if (s->prefixes & PREFIX_EVEX)
        return evex_excluded(in, traits, s->start[in->opcode_at - 1]) ||
               (!(traits & FORM_VVVV) && s->vvvv) ||
               (!(traits & FORM_VSIB) && !(s->start[in->opcode_at - 1] & EVEX_NOT_V));
    if (traits & FORM_VSIB && ((in->rm & 7) != 4 || in->addrsize == 2))
        return true;
    return (!(traits & FORM_VVVV) && s->vvvv) || (traits & FORM_L0 && s->vl != 16) ||
           (traits & FORM_L1 && s->vl != 32);
}

HOT unsigned memory_size(const struct scan *s, unsigned code, unsigned opsize)
{
    unsigned size = size_bytes[code][opsize >> 2];

    if (code < SIZE_X || s->vl == 32)
        return size;
    if (code == SIZE_XD && s->vl == 16)
        return 8;
    return s->vl == 16 ? size / 2 : s->vl > 64 ? 64 : size * 2;
}

/* EVEX: a broadcast reads one element; a displacement of one byte counts in such, or in operands.
 * T1: in elements, which are bytes or words for VPCOMPRESSB and its like (62, 63). */
COLD void scale_operand(struct insn *in, unsigned traits)
{
    unsigned element = in->w ? 8 : 4, unit;

    if (evex_last(in) & EVEX_B)
        in->memsize = (uint8_t)element;
    unit = in->memsize;
    if (traits & EV_T1)
        unit = in->map == 2 && (in->opcode & 0xfe) == 0x62 ? element / 4 : element;
    if (in->disp_len == 1)
        in->disp *= unit;
}

/* Everything up to and with the last opcode byte; false when there are too many prefixes. */
HOT bool take_opcode(struct scan *s)
{
    int first = take_prefixes(s);
    unsigned byte = (unsigned)first;

    if (first < 0)
        return false;
    if (byte == 0x0f) {
        byte = take_escaped(s);
    } else if (is_vector(s, byte)) {
        struct scan copy = *s; /* so that *s can stay in registers */
        byte = byte == 0x62 ? take_evex(&copy) : take_vex(&copy, byte);
        *s = copy;
    } else if (byte == 0x63 && s->mode == MODE_64) {
        s->map = MAP_ONE64;
    }
    s->opcode = byte;
    return true;
}

HOT unsigned find_row(const struct scan *s)
{
    unsigned modrm = *s->at, row = 0;

    if (s->map < MAP_COUNT)
        row = decode_index[s->map][s->opcode][s->pfx][modrm >> 3 & 7][modrm >= 0xc0];
    return row ? row : find_fixed(s->map, s->opcode, s->pfx, modrm);
}

/* The whole instruction but for its bytes; false when it cannot be read where it is. */
HOT bool decode_scan(struct insn *in, struct scan *s)
{
    const struct form *form;
    unsigned row;

    if (!take_opcode(s))
        return false;
    in->opcode_at = s->at - s->start - 1;
    row = find_row(s);
    form = row ? &decode_forms[row] : find_neighbour(s->map, s->opcode);
    in->opsize = operand_size(s, form->traits);
    in->addrsize = address_size(s);
    if (form->traits & FORM_MODRM) {
        take_modrm(s, in, form->traits);
    } else if (form->traits & FORM_MOFFS) {
        in->has_mem = true;
        in->disp_len = in->addrsize;
    }
    if (!take_values(s, in, form))
        return false;
    if (in->has_mem)
        in->memsize = memory_size(s, form->size, in->opsize);
    in->info = &decode_rows[is_excluded(s, in, form->traits) ? 0 : row];
    in->id = in->info->id;
    in->len = s->at - s->start;
    in->mode = s->mode;
    in->prefixes = s->prefixes;
    in->map = s->vector_map ? s->vector_map : s->map < MAP_ONE64 ? s->map : 0;
    in->opcode = s->opcode;
    in->seg = s->seg;
    in->vvvv = s->mode == MODE_64 ? s->vvvv : s->vvvv & 7; /* unused, all four bits must be set */
    in->vl = s->vl;
    in->w = s->rex & REX_W;
    if (__builtin_expect(s->prefixes & PREFIX_EVEX && in->has_mem, 0))
        scale_operand(in, form->traits);
    return true;
}

/* Stores word by word: for an assignment the compiler may use rep stos, which is slow to start. */
HOT void clear(struct insn *in)
{
    uint64_t zero = 0;

    _Static_assert(sizeof(*in) == 80, "as many words as below");
#pragma GCC unroll 10
    for (unsigned i = 0; i < 10; i++)
        __builtin_memcpy((char *)in + 8 * i, &zero, 8);
    in->base = REG_NONE;
    in->index = REG_NONE;
}

/* avail bytes at code (at most 15), with zeros behind them. */
COLD bool decode_padded(struct insn *in, const uint8_t *code, unsigned avail, enum cpu_mode mode)
{
    uint8_t padded[PADDED_SIZE] = {0};
    struct scan s = {
        .start = padded,
        .at = padded,
        .last_wide = padded + PADDED_SIZE - 8,
        .max_prefixes = INSN_MAX - 1,
        .mode = mode,
        .seg = SEG_DS,
    };

    for (unsigned i = 0; i < avail; i++)
        padded[i] = code[i];
    clear(in);
    for (unsigned i = 0; i < avail; i++)
        in->bytes[i] = code[i];
    return decode_scan(in, &s) && in->len <= avail;
}

/* 15 bytes or more at code. */
HOT int decode_direct(struct insn *in, const uint8_t *code, enum cpu_mode mode)
{
    struct scan s = {
        .start = code,
        .at = code,
        .last_wide = code + INSN_MAX - 4,
        .max_prefixes = FEW_PREFIXES,
        .mode = mode,
        .seg = SEG_DS,
    };

    clear(in);
    __builtin_memcpy(in->bytes, code, INSN_MAX);
    if (decode_scan(in, &s) || decode_padded(in, code, INSN_MAX, mode))
        return in->len <= INSN_MAX ? in->len : -1;
    return -1;
}

int decode(struct insn *in, const uint8_t *code, unsigned avail, enum cpu_mode mode)
{
    if (avail < INSN_MAX)
        return decode_padded(in, code, avail, mode) ? in->len : 0;
    /* One copy of the code for each mode. */
    if (mode == MODE_32)
        return decode_direct(in, code, MODE_32);
    return mode == MODE_16 ? decode_direct(in, code, MODE_16) : decode_direct(in, code, MODE_64);
}
