/*
 * The decoder: bytes to struct insn, driven by the tables that decode_table.c makes of opcodes.def.
 * Reference: SDM volume 2, chapter 2 (formats, prefixes, ModRM and SIB: tables 2-1 to 2-3, VEX: 2.3).
 * EVEX-encoded instructions get their length and A_UNDEFINED. 64-bit mode decodes, but the rows
 * that exist only there have no interpreter function yet.
 *
 * Undefined encodings have the length of their defined neighbours: this is where the CPU's own
 * length decoder ends them, and the bytes up to there must be fetched before #UD is raised.
 */
#include "cpu/decode.h"

#include <stddef.h>

#include "cpu/decode_table.h"

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

/* Where the decoder is. */
struct scan {
    const uint8_t *start, *at, *end;
    uint8_t rex;      /* REX, or the same bits of VEX and EVEX */
    uint8_t map;      /* MAP_ */
    uint8_t pfx;      /* mandatory prefix: 0, 1 (66), 2 (F3), 3 (F2) */
    bool invalid;     /* prefixes or VEX fields that make any opcode undefined */
    bool short_of;    /* ran into end */
};

/* Prefix bytes by class. */
enum { CLASS_NONE, CLASS_SEG, CLASS_OPSIZE, CLASS_ADDRSIZE, CLASS_LOCK, CLASS_REPNE, CLASS_REP };
static const uint8_t prefix_class[256] = {
    [0x26] = CLASS_SEG, [0x2e] = CLASS_SEG, [0x36] = CLASS_SEG, [0x3e] = CLASS_SEG,
    [0x64] = CLASS_SEG, [0x65] = CLASS_SEG, [0x66] = CLASS_OPSIZE, [0x67] = CLASS_ADDRSIZE,
    [0xf0] = CLASS_LOCK, [0xf2] = CLASS_REPNE, [0xf3] = CLASS_REP,
};

/* SIZE_ codes for operand sizes of 2, 4 and 8 bytes. */
static const uint8_t size_by_opsize[][3] = {
    [SIZE_V - SIZE_FIRST] = {2, 4, 8},
    [SIZE_Z - SIZE_FIRST] = {2, 4, 4},
    [SIZE_Y - SIZE_FIRST] = {4, 4, 8},
    [SIZE_P - SIZE_FIRST] = {4, 6, 10},
    [SIZE_A - SIZE_FIRST] = {4, 8, 16},
    [SIZE_S - SIZE_FIRST] = {6, 6, 10},
    [SIZE_ENV - SIZE_FIRST] = {14, 28, 28},
    [SIZE_STATE - SIZE_FIRST] = {94, 108, 108},
};

/* Table 2-1: base, index and default segment of 16-bit effective addresses, by ModRM.rm. */
static const struct {
    uint8_t base, index, seg;
} address16[8] = {
    {RBX, RSI, SEG_DS},      {RBX, RDI, SEG_DS},      {RBP, RSI, SEG_SS},
    {RBP, RDI, SEG_SS},      {RSI, REG_NONE, SEG_DS}, {RDI, REG_NONE, SEG_DS},
    {RBP, REG_NONE, SEG_SS}, {RBX, REG_NONE, SEG_DS},
};

/* The next n bytes (1, 2, 4 or 8), zero-extended; 0 when they are not all there. */
static inline uint64_t take(struct scan *s, unsigned n)
{
    const uint8_t *at = s->at;

    if (n > (size_t)(s->end - at)) {
        s->short_of = true;
        return 0;
    }
    s->at = at + n;
    if (n == 1)
        return *at;
    if (n == 4) {
        uint32_t value;
        __builtin_memcpy(&value, at, 4);
        return value;
    }
    if (n == 2) {
        uint16_t value;
        __builtin_memcpy(&value, at, 2);
        return value;
    }
    uint64_t value;
    __builtin_memcpy(&value, at, 8);
    return value;
}

static inline int64_t take_signed(struct scan *s, unsigned n)
{
    uint64_t value = take(s, n);

    return n == 1 ? (int8_t)value : n == 2 ? (int16_t)value : (int32_t)value;
}

static inline uint8_t peek(const struct scan *s)
{
    return s->at < s->end ? *s->at : 0;
}

static void see_segment(struct insn *in, uint8_t prefix)
{
    /* ES, CS, SS and DS overrides mean nothing in 64-bit mode. */
    if (prefix >= 0x64)
        in->seg = prefix == 0x64 ? SEG_FS : SEG_GS;
    else if (in->mode != MODE_64)
        in->seg = prefix >> 3 & 3;
    else
        return;
    in->prefixes |= PREFIX_SEG;
}

/* Consumes prefixes; returns the first byte behind them. */
static uint8_t take_prefixes(struct scan *s, struct insn *in)
{
    for (;;) {
        uint8_t byte = (uint8_t)take(s, 1);

        switch (prefix_class[byte]) {
        case CLASS_SEG:
            see_segment(in, byte);
            break;
        case CLASS_OPSIZE:
            in->prefixes |= PREFIX_OPSIZE;
            break;
        case CLASS_ADDRSIZE:
            in->prefixes |= PREFIX_ADDRSIZE;
            break;
        case CLASS_LOCK:
            in->prefixes |= PREFIX_LOCK;
            break;
        case CLASS_REPNE:
            in->prefixes = (in->prefixes & ~PREFIX_REP) | PREFIX_REPNE;
            break;
        case CLASS_REP:
            in->prefixes = (in->prefixes & ~PREFIX_REPNE) | PREFIX_REP;
            break;
        default:
            if (in->mode != MODE_64 || (byte & 0xf0) != 0x40)
                return byte;
            /* REX counts only directly before the opcode. */
            s->rex = byte;
            if (prefix_class[peek(s)] == CLASS_NONE && (peek(s) & 0xf0) != 0x40)
                return (uint8_t)take(s, 1);
            s->rex = 0;
        }
        if (s->short_of)
            return 0;
    }
}

/*
 * The map field of VEX and EVEX. 1 to 3 exist; the length decoder looks at the low two bits only, and no
 * further than here where these are 0.
 */
static bool set_vector_map(struct scan *s, struct insn *in, unsigned field, bool evex)
{
    in->map = field;
    if (evex || field < 1 || field > 3)
        s->invalid = true;
    s->map = field & 3 ? (evex ? MAP_E0F + (field & 3) - 1 : MAP_V0F + 2 * ((field & 3) - 1))
                       : MAP_NONE;
    return field & 3;
}

/* C4 or C5: the rest of the VEX prefix (SDM 2, 2.3.5), and the opcode. */
static uint8_t take_vex(struct scan *s, struct insn *in, uint8_t first)
{
    uint8_t byte1 = (uint8_t)take(s, 1), byte2 = byte1;

    in->prefixes |= PREFIX_VEX;
    s->invalid = s->rex || in->prefixes & (PREFIX_LOCK | PREFIX_REP | PREFIX_REPNE | PREFIX_OPSIZE);
    s->rex = byte1 & 0x80 ? 0 : REX_R;
    if (!set_vector_map(s, in, first == 0xc4 ? byte1 & 31 : 1, false))
        return 0;
    if (first == 0xc4) {
        byte2 = (uint8_t)take(s, 1);
        in->w = byte2 & 0x80;
        s->map += in->w;
        s->rex |= (byte1 & 0x40 ? 0 : REX_X) | (byte1 & 0x20 ? 0 : REX_B) | (in->w ? REX_W : 0);
    }
    s->pfx = byte2 & 3;
    in->vl = byte2 & 4 ? 32 : 16;
    in->vvvv = ~byte2 >> 3 & 15;
    if (in->mode != MODE_64) {
        s->rex = 0;
        in->vvvv &= 7;
    }
    return (uint8_t)take(s, 1);
}

/* 62: the rest of the EVEX prefix, and the opcode. */
static uint8_t take_evex(struct scan *s, struct insn *in)
{
    in->prefixes |= PREFIX_EVEX;
    if (!set_vector_map(s, in, (uint8_t)take(s, 1) & 7, true))
        return 0;
    take(s, 2);
    return (uint8_t)take(s, 1);
}

/* Everything up to and with the last opcode byte. */
static uint8_t take_opcode(struct scan *s, struct insn *in)
{
    uint8_t byte = take_prefixes(s, in);

    if (byte != 0x0f) {
        /* LES, LDS and BOUND have no register form: those are VEX and EVEX. */
        bool vector = (byte == 0xc4 || byte == 0xc5 || byte == 0x62) &&
                      (in->mode == MODE_64 || peek(s) >= 0xc0);
        if (vector)
            return byte == 0x62 ? take_evex(s, in) : take_vex(s, in, byte);
        if (byte == 0x63 && in->mode == MODE_64)
            s->map = MAP_ONE64;
        return byte;
    }
    byte = (uint8_t)take(s, 1);
    s->map = MAP_TWO;
    if ((byte & 0xf8) == 0x38) {
        /* 38 and 3A are the maps in use; the other six are as long as those. */
        s->map = byte & 2 ? MAP_T3A : MAP_T38;
        s->invalid = byte != 0x38 && byte != 0x3a;
        byte = (uint8_t)take(s, 1);
    }
    in->map = s->map;
    return byte;
}

/*
 * The form of an encoding that no row claims: that of any row of the same opcode, else of its map. The
 * 0F map under VEX and EVEX is as long as under 0F.
 */
static const struct form *find_neighbour(const struct scan *s, uint8_t opcode)
{
    static const struct form no_modrm = {0}, modrm = {.traits = FORM_MODRM},
                             modrm_imm = {.traits = FORM_MODRM, .imm = IMM_1};
    unsigned map = s->map;

    if (map == MAP_V0F || map == MAP_V0F + 1 || map == MAP_E0F)
        map = MAP_TWO;
    if (map <= MAP_T3A) {
        const uint16_t *row = &decode_index[map][opcode][0][0][0];
        for (unsigned i = 0; i < 64; i++)
            if (row[i])
                return &decode_forms[row[i]];
    }
    if (map == MAP_T3A || map == MAP_V3A || map == MAP_V3A + 1 || map == MAP_E3A)
        return &modrm_imm;
    return map == MAP_ONE || map == MAP_TWO || map == MAP_NONE ? &no_modrm : &modrm;
}

/* The row for the opcode, and in *form its length rules. */
static unsigned find_row(const struct scan *s, uint8_t opcode, uint8_t modrm,
                         const struct form **form)
{
    unsigned row = 0;

    if (s->map < MAP_COUNT)
        row = decode_index[s->map][opcode][s->pfx][modrm >> 3 & 7][modrm >= 0xc0];
    if (!row && modrm >= 0xc0) {
        if (s->map == MAP_ONE && (opcode & 0xf8) == 0xd8)
            row = decode_fixed[FIXED_XD8 + (opcode & 7)][modrm - 0xc0];
        else if (s->map == MAP_TWO && opcode == 0x01)
            row = decode_fixed[FIXED_F01_NP + s->pfx][modrm - 0xc0];
    }
    *form = row ? &decode_forms[row] : find_neighbour(s, opcode);
    return row;
}

/* ModRM.rm with a 16-bit address. */
static void set_address16(struct insn *in, uint8_t *seg)
{
    unsigned rm = in->modrm & 7;

    if (in->mod == 0 && rm == 6) {
        in->disp_len = 2;
    } else {
        in->base = address16[rm].base;
        in->index = address16[rm].index;
        *seg = address16[rm].seg;
        in->disp_len = in->mod;
    }
}

/* ModRM.rm and SIB with a 32- or 64-bit address: tables 2-2 and 2-3. */
static void take_address32(struct scan *s, struct insn *in, uint8_t *seg)
{
    static const uint8_t disp_len[4] = {0, 1, 4, 0};
    unsigned base = in->modrm & 7;
    bool sib = base == 4;

    in->disp_len = disp_len[in->mod];
    if (sib) {
        uint8_t byte = (uint8_t)take(s, 1);
        unsigned index = (byte >> 3 & 7) | (s->rex & REX_X ? 8 : 0);
        base = byte & 7;
        if (index != 4) {
            in->index = index;
            in->scale = byte >> 6;
        }
    }
    if (base == 5 && in->mod == 0) {
        in->disp_len = 4;
        if (!sib && in->mode == MODE_64)
            in->base = REG_PC;
        return;
    }
    if (base == 4 || base == 5)
        *seg = SEG_SS;
    in->base = base | (s->rex & REX_B ? 8 : 0);
    if (in->base >= R8)
        *seg = SEG_DS;
}

static void take_modrm(struct scan *s, struct insn *in, unsigned traits)
{
    uint8_t seg = SEG_DS;

    in->has_modrm = true;
    in->modrm_at = s->at - s->start;
    in->modrm = (uint8_t)take(s, 1);
    in->mod = traits & FORM_MOD_IGNORED ? 3 : in->modrm >> 6;
    in->reg = (in->modrm >> 3 & 7) | (s->rex & REX_R ? 8 : 0);
    in->rm = (in->modrm & 7) | (s->rex & REX_B ? 8 : 0);
    if (in->mod == 3)
        return;
    in->has_mem = true;
    if (in->addrsize == 2)
        set_address16(in, &seg);
    else
        take_address32(s, in, &seg);
    if (in->disp_len) {
        in->disp_at = s->at - s->start;
        in->disp = take_signed(s, in->disp_len);
    }
    if (!(in->prefixes & PREFIX_SEG))
        in->seg = seg;
}

static void take_moffs(struct scan *s, struct insn *in)
{
    in->has_mem = true;
    in->disp_at = s->at - s->start;
    in->disp_len = in->addrsize;
    in->disp = (int64_t)take(s, in->addrsize);
}

static void take_immediate(struct scan *s, struct insn *in, unsigned kind)
{
    unsigned z = in->opsize == 2 ? 2 : 4;
    const uint8_t *at = s->at;

    switch (kind) {
    case IMM_1:
        in->imm = take(s, 1);
        break;
    case IMM_S1:
    case IMM_J1:
        in->imm = take_signed(s, 1);
        break;
    case IMM_2:
        in->imm = take(s, 2);
        break;
    case IMM_2 | IMM_1: /* ENTER */
        in->imm = take(s, 2);
        in->imm2 = take(s, 1);
        break;
    case IMM_V:
        in->imm = take(s, in->opsize);
        break;
    case IMM_Z:
        in->imm = in->opsize == 8 ? (uint64_t)take_signed(s, 4) : take(s, z);
        break;
    case IMM_JZ:
        in->imm = take_signed(s, z);
        break;
    case IMM_AP:
        in->imm = take(s, z);
        in->imm2 = take(s, 2);
        break;
    case IMM_O:
        take_moffs(s, in);
        return;
    }
    in->imm_at = at - s->start;
    in->imm_len = s->at - at;
}

static unsigned memory_size(const struct insn *in, unsigned size)
{
    if (size < SIZE_FIRST)
        return size;
    if (size >= SIZE_X)
        return in->vl >> (size - SIZE_X);
    return size_by_opsize[size - SIZE_FIRST][in->opsize >> 2];
}

/* Sizes before ModRM and the immediates can be read. */
static void set_opsize(const struct scan *s, struct insn *in, unsigned traits)
{
    bool other = in->prefixes & PREFIX_OPSIZE && !(in->prefixes & (PREFIX_VEX | PREFIX_EVEX));

    if (in->mode != MODE_64)
        in->opsize = (in->mode == MODE_16) == other ? 4 : 2;
    else if (s->rex & REX_W || traits & FORM_F64 || (traits & FORM_D64 && !other))
        in->opsize = 8;
    else
        in->opsize = other ? 2 : 4;
}

static void set_addrsize(struct insn *in)
{
    bool other = in->prefixes & PREFIX_ADDRSIZE;

    if (in->mode == MODE_64)
        in->addrsize = other ? 4 : 8;
    else
        in->addrsize = (in->mode == MODE_16) == other ? 4 : 2;
}

/* Is the row not for this mode, or excluded by a VEX field? */
static bool is_excluded(const struct scan *s, const struct insn *in, unsigned traits)
{
    if (s->invalid || traits & (in->mode == MODE_64 ? FORM_NO64 : FORM_ONLY64))
        return true;
    if (!(in->prefixes & PREFIX_VEX))
        return false;
    return (!(traits & FORM_VVVV) && in->vvvv) || (traits & FORM_L0 && in->vl != 16) ||
           (traits & FORM_L1 && in->vl != 32);
}

static void copy_bytes(struct insn *in, const uint8_t *code, unsigned avail)
{
    if (avail >= INSN_MAX) {
        __builtin_memcpy(in->bytes, code, INSN_MAX);
        return;
    }
    for (unsigned i = 0; i < avail; i++)
        in->bytes[i] = code[i];
}

int decode(struct insn *in, const uint8_t *code, unsigned avail, enum cpu_mode mode)
{
    struct scan s = {
        .start = code,
        .at = code,
        .end = code + (avail < INSN_MAX ? avail : INSN_MAX),
    };
    const struct form *form;
    unsigned row;

    *in = (struct insn){
        .mode = mode,
        .seg = SEG_DS,
        .base = REG_NONE,
        .index = REG_NONE,
    };
    copy_bytes(in, code, avail);
    in->opcode = take_opcode(&s, in);
    if (s.short_of)
        return avail < INSN_MAX ? 0 : -1;
    in->opcode_at = s.at - s.start - 1;
    if (!(in->prefixes & (PREFIX_VEX | PREFIX_EVEX))) {
        in->w = s.rex & REX_W;
        s.pfx = in->prefixes & PREFIX_REPNE ? 3 : in->prefixes & PREFIX_REP ? 2
                : in->prefixes & PREFIX_OPSIZE ? 1 : 0;
    }
    row = find_row(&s, in->opcode, peek(&s), &form);
    set_opsize(&s, in, form->traits);
    set_addrsize(in);
    if (form->traits & FORM_MODRM)
        take_modrm(&s, in, form->traits);
    if (form->imm)
        take_immediate(&s, in, form->imm);
    if (s.short_of)
        return avail < INSN_MAX ? 0 : -1;
    in->memsize = in->has_mem ? memory_size(in, form->size) : 0;
    if (is_excluded(&s, in, form->traits))
        row = 0;
    in->info = &decode_rows[row];
    in->id = in->info->id;
    in->len = s.at - s.start;
    return in->len;
}
