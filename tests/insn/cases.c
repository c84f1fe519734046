/*
 * Where a case's operands lie: registers are chosen so that the effective address falls on a page
 * of the world, often across its end, or near it.
 */
#include "tests/insn/cases.h"

#include <string.h>

/* --- Rows -------------------------------------------------------------------------- */

enum { ROW_ONE, ROW_TWO, ROW_T38, ROW_T3A, ROW_ONE64, ROW_V38 = 16, ROW_V3A, ROW_V0F };
enum { PFX_NP, PFX_66, PFX_F3, PFX_F2, PFX_NP66, PFX_ANY };
enum { REG_0 = 0x00, REG_1 = 0x11, REG_2 = 0x22, REG_3 = 0x33, REG_4 = 0x44, REG_5 = 0x55,
       REG_6 = 0x66, REG_7 = 0x77, REG_ANY = 0x07, REG_0_1 = 0x01, REG_0_5 = 0x05,
       REG_2_4 = 0x24, REG_2_5 = 0x25 };
enum { MOD_ANY, MOD_MEM, MOD_REG };

struct row {
    uint16_t id;
    uint8_t map, first, last, prefix, reg, mod; /* reg: low and high end, 4 bits each */
    uint8_t w;
};

enum { W_0, W_1, W_ANY = 0 };

static const struct row all_rows[] = {
#define ENC(id, function, map, first, last, prefix, reg, mod, ...)                                 \
    {M_##id, ROW_##map, first, last, PFX_##prefix, REG_##reg, MOD_##mod, 0},
#define VEX(id, function, map, opcode, prefix, reg, mod, l, w, ...)                                \
    {M_##id, ROW_##map, opcode, opcode, PFX_##prefix, REG_##reg, MOD_##mod, W_##w},
#include "cpu/opcodes.def"
};

static const uint32_t attributes[M_COUNT] = {
#define INSN(id, name, read, written, undefined, feature, attr) [M_##id] = attr,
#include "cpu/opcodes.def"
};

/* Unprivileged, and the same for every CPL 3 program. */
static bool row_tested(const struct row *row)
{
    const uint32_t not = A_PRIVILEGED | A_FAR | A_UNDEFINED;

    if (row->id == M_RDRAND || row->id == M_RDSEED || row->map == ROW_ONE64)
        return false;
    if (row->id == M_PUSHF || row->id == M_CLFLUSH)
        return true;
    return attributes[row->id] & (A_GPR | A_BRANCH) && !(attributes[row->id] & not);
}

static const struct row *rows[sizeof(all_rows) / sizeof(*all_rows)];
static unsigned row_count;

unsigned cases_rows(void)
{
    if (row_count)
        return row_count;
    for (unsigned i = 0; i < sizeof(all_rows) / sizeof(*all_rows); i++)
        if (row_tested(&all_rows[i]))
            rows[row_count++] = &all_rows[i];
    return row_count;
}

/* --- Random choices ------------------------------------------------------------------ */

uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static unsigned below(struct rng *rng, unsigned n)
{
    return (uint32_t)rng_next(rng) % n;
}

static bool one_in(struct rng *rng, unsigned n)
{
    return !below(rng, n);
}

static uint32_t edge_value(struct rng *rng)
{
    static const uint32_t edges[] = {
        0, 1, 2, 3, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
        0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0xffff8000, 0xffffff80,
    };

    switch (below(rng, 4)) {
    case 0: return edges[below(rng, sizeof(edges) / sizeof(*edges))];
    case 1: return below(rng, 64);
    default: return (uint32_t)rng_next(rng);
    }
}

/* An address on a page of the world, or so near that an operand may touch one. */
static uint32_t place_near(struct rng *rng, uint32_t page)
{
    switch (below(rng, 5)) {
    case 0: return page + 4096 - below(rng, 12);
    case 1: return page - below(rng, 8);
    case 2: return page + 4 * below(rng, 1024);
    default: return page + below(rng, 4096);
    }
}

static uint32_t data_place(struct rng *rng)
{
    unsigned n = 0;
    const struct world_page *p;

    do {
        for (n = 0; world_pages[n].kind != PAGE_ABSENT; n++)
            ;
        p = &world_pages[below(rng, n)];
    } while (p->gla < WORLD_DATA && !one_in(rng, 8));
    return place_near(rng, p->gla);
}

static uint32_t low_place(struct rng *rng)
{
    return place_near(rng, WORLD_LOW);
}

/* An offset in a segment, for an address or stack pointer of this size: on a page of the world, or
 * at the segment's end. */
static uint32_t offset_in(struct rng *rng, unsigned segment, bool wide)
{
    const struct world_segment *w = &world_segments[segment];

    if (w->limit != UINT32_MAX && one_in(rng, 4))
        return w->limit + below(rng, 12) - 6;
    if (!wide && !w->base)
        return low_place(rng);
    if (w->expand_down && one_in(rng, 4))
        return below(rng, 8) - 4; /* the upper end */
    return data_place(rng) - w->base;
}

/* --- Segments ------------------------------------------------------------------------- */

static const uint8_t profiles[][6] = {
    /* ES, CS, SS, DS, FS, GS */
    {WORLD_DATA32, WORLD_CODE32, WORLD_DATA32, WORLD_DATA32, WORLD_NULL, WORLD_DATA32},
    {WORLD_STACK16, WORLD_CODE16, WORLD_STACK16, WORLD_STACK16, WORLD_NULL, WORLD_SHORT},
    {WORLD_DATA32, WORLD_CODE16, WORLD_DATA32, WORLD_DATA32, WORLD_NULL, WORLD_DOWN16},
    {WORLD_SHORT, WORLD_CODE32, WORLD_STACK16, WORLD_DATA32, WORLD_NULL, WORLD_READONLY},
    {WORLD_DOWN32, WORLD_CODE_LIMIT, WORLD_DATA32, WORLD_SHORT, WORLD_NULL, WORLD_NULL},
    {WORLD_READONLY, WORLD_CODE_LIMIT, WORLD_DOWN32, WORLD_READONLY, WORLD_NULL, WORLD_CODE16},
    {WORLD_STACK16, WORLD_CODE16, WORLD_DOWN16, WORLD_DOWN16, WORLD_NULL, WORLD_STACK16},
    {WORLD_DATA32, WORLD_CODE_LIMIT, WORLD_SHORT, WORLD_CODE32, WORLD_NULL, WORLD_DOWN32},
};

static void set_segments(struct cpu_state *s, struct rng *rng)
{
    unsigned n = world_has_ldt && one_in(rng, 3) ? below(rng, sizeof(profiles) / 6) : 0;

    memcpy(s->seg, profiles[n], sizeof(s->seg));
}

static enum cpu_mode code_mode(const struct cpu_state *s)
{
    return world_segments[s->seg[SEG_CS]].big ? MODE_32 : MODE_16;
}

static uint32_t segment_base(const struct cpu_state *s, unsigned seg)
{
    return world_segments[s->seg[seg]].base;
}

/* --- Encodings ------------------------------------------------------------------------- */

static unsigned put_prefixes(const struct row *row, struct rng *rng, uint8_t *code)
{
    static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    static const uint8_t mandatory[] = {
        [PFX_66] = 0x66, [PFX_F3] = 0xf3, [PFX_F2] = 0xf2, [PFX_ANY] = 0,
    };
    unsigned n = 0;

    if (one_in(rng, 6))
        code[n++] = 0x67;
    if (one_in(rng, 10))
        code[n++] = segments[below(rng, sizeof(segments))];
    if (row->map >= ROW_V38)
        return n;
    if (row->prefix >= PFX_F3 && one_in(rng, 3))
        code[n++] = 0x66;
    if (row->prefix == PFX_ANY && one_in(rng, 4))
        code[n++] = 0xf2 | below(rng, 2);
    if (one_in(rng, 16))
        code[n++] = 0xf0;
    if (row->prefix <= PFX_ANY && mandatory[row->prefix])
        code[n++] = mandatory[row->prefix];
    return n;
}

static unsigned put_opcode(const struct row *row, struct rng *rng, uint8_t *code)
{
    static const uint8_t pp[] = {[PFX_NP] = 0, [PFX_66] = 1, [PFX_F3] = 2, [PFX_F2] = 3};
    uint8_t opcode = (uint8_t)(row->first + below(rng, row->last - row->first + 1u));
    unsigned n = 0;

    if (row->map >= ROW_V38) {
        code[n++] = 0xc4;
        code[n++] = 0xe0 | (row->map == ROW_V38 ? 2 : row->map == ROW_V3A ? 3 : 1);
        code[n++] = (uint8_t)(row->w << 7 | below(rng, 16) << 3 | pp[row->prefix]);
    } else if (row->map != ROW_ONE) {
        code[n++] = 0x0f;
        if (row->map != ROW_TWO)
            code[n++] = row->map == ROW_T38 ? 0x38 : 0x3a;
    }
    code[n++] = opcode;
    return n;
}

/* What would be ModRM; elsewhere it is the first byte of an immediate. */
static uint8_t modrm_byte(const struct row *row, struct rng *rng)
{
    unsigned low = row->reg >> 4, high = row->reg & 15;
    unsigned mod = row->mod == MOD_REG ? 3 : below(rng, row->mod == MOD_MEM ? 3 : 4);

    return (uint8_t)(mod << 6 | (low + below(rng, high - low + 1)) << 3 | below(rng, 8));
}

/* An offset for the memory operand. */
static uint32_t place_for(const struct test_case *c, struct rng *rng)
{
    return offset_in(rng, c->before.seg[c->in.seg], c->in.addrsize == 4);
}

static void put_field(uint8_t *at, unsigned len, uint64_t value)
{
    memcpy(at, &value, len);
}

static bool make_code(const struct row *row, struct rng *rng, struct test_case *c)
{
    uint64_t random[2] = {rng_next(rng), rng_next(rng)};
    unsigned n;

    memcpy(c->code, random, 16);
    n = put_prefixes(row, rng, c->code);
    n += put_opcode(row, rng, c->code + n);
    if (row->reg != REG_ANY || row->mod != MOD_ANY || one_in(rng, 2))
        c->code[n] = modrm_byte(row, rng);
    if (decode(&c->in, c->code, INSN_MAX, code_mode(&c->before)) <= 0)
        return false;
    if (c->in.id != row->id || c->in.info->attr & A_UNDEFINED || !c->in.info->interp)
        return false;
    if (c->in.imm_len && one_in(rng, 2))
        put_field(c->code + c->in.imm_at, c->in.imm_len, edge_value(rng));
    if (c->in.disp_len == 4 && one_in(rng, 2))
        put_field(c->code + c->in.disp_at, 4, edge_value(rng));
    if (c->in.has_mem && c->in.base == REG_NONE && c->in.index == REG_NONE && c->in.disp_at)
        put_field(c->code + c->in.disp_at, c->in.disp_len, place_for(c, rng));
    decode(&c->in, c->code, INSN_MAX, code_mode(&c->before));
    memset(c->code + c->in.len, 0xcc, sizeof(c->code) - c->in.len);
    return true;
}

/* --- Registers ---------------------------------------------------------------------------- */

static uint32_t mask_of(const struct insn *in)
{
    return in->addrsize == 2 ? 0xffff : 0xffffffff;
}

/* The bytes that the bit number in a register moves a bit test's address by. */
static uint32_t bit_displacement(const struct test_case *c)
{
    const struct insn *in = &c->in;
    uint32_t bits = c->before.gpr[in->reg & 7];

    if (in->info->operand[1] != OPND_Gv ||
        (in->id != M_BT && in->id != M_BTS && in->id != M_BTR && in->id != M_BTC))
        return 0;
    if (in->opsize == 2)
        return (uint32_t)((int16_t)bits >> 4) * 2;
    return (uint32_t)((int32_t)bits >> 5) * 4;
}

/* Makes the memory operand's address target, where one register can. */
static void aim(struct test_case *c, uint32_t target)
{
    const struct insn *in = &c->in;
    uint32_t *gpr = c->before.gpr, mask = mask_of(in), rest;

    target -= bit_displacement(c);
    if (in->base != REG_NONE && in->base != in->index) {
        rest = (uint32_t)in->disp + (in->index != REG_NONE ? gpr[in->index] << in->scale : 0);
        gpr[in->base] = (gpr[in->base] & ~mask) | ((target - rest) & mask);
    } else if (in->index != REG_NONE && in->base == REG_NONE) {
        gpr[in->index] = (target - (uint32_t)in->disp) >> in->scale;
    }
}

static uint32_t effective(const struct test_case *c)
{
    const struct insn *in = &c->in;
    const uint32_t *gpr = c->before.gpr;
    uint32_t ea = (uint32_t)in->disp + bit_displacement(c);

    if (in->base != REG_NONE)
        ea += gpr[in->base];
    if (in->index != REG_NONE)
        ea += gpr[in->index] << in->scale;
    return ea & mask_of(in);
}

static void set_strings(struct test_case *c, struct rng *rng)
{
    uint32_t *gpr = c->before.gpr;

    gpr[6] = place_for(c, rng);
    gpr[7] = offset_in(rng, c->before.seg[SEG_ES], c->in.addrsize == 4);
    if (one_in(rng, 3)) /* overlapping */
        gpr[7] = gpr[6] + below(rng, 32) - 16 + segment_base(&c->before, c->in.seg) -
                 segment_base(&c->before, SEG_ES);
    gpr[1] = one_in(rng, 16) ? below(rng, 9000) : below(rng, 40);
    if (c->in.prefixes & (PREFIX_REP | PREFIX_REPNE))
        c->before.eflags &= ~EFLAGS_TF; /* it would trap after each iteration */
}

/* BOUND, XLAT, ENTER, LEAVE, MOVDIR64B, the stack: registers that are addresses by themselves. */
static void set_implied(struct test_case *c, struct rng *rng)
{
    uint32_t *gpr = c->before.gpr, attr = c->in.info->attr;

    if (attr & A_STRING)
        set_strings(c, rng);
    else if (c->in.id == M_XLAT)
        gpr[3] = place_for(c, rng) - (gpr[0] & 0xff);
    else if (c->in.id == M_MOVDIR64B)
        gpr[c->in.reg & 7] = data_place(rng) & (one_in(rng, 4) ? ~0u : ~63u);
    if (attr & (A_IMPLICIT_MEM | A_BRANCH) && !one_in(rng, 8)) {
        gpr[4] = offset_in(rng, c->before.seg[SEG_SS], true);
        gpr[5] = one_in(rng, 2) ? gpr[4] + below(rng, 64) - 16
                                : offset_in(rng, c->before.seg[SEG_SS], true);
    }
}

/* ESP as IRET can load it. */
static void limit_stack_pointer(struct cpu_state *s)
{
    if (!world_segments[s->seg[SEG_SS]].big)
        s->gpr[4] = WORLD_ESP_HIGH | (s->gpr[4] & 0xffff);
}

static void set_registers(struct test_case *c, struct rng *rng)
{
    static const uint32_t kept = EFLAGS_ARITH | EFLAGS_DF;
    struct cpu_state *s = &c->before;

    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = edge_value(rng);
    s->eflags = ((uint32_t)rng_next(rng) & kept) | EFLAGS_R1 | EFLAGS_IF | EFLAGS_TF;
    if (one_in(rng, 8))
        s->eflags |= EFLAGS_AC;
    set_implied(c, rng);
    if (c->in.has_mem && !one_in(rng, 16))
        aim(c, place_for(c, rng));
    limit_stack_pointer(s);
}

static void set_patch(struct test_patch *patch, uint32_t gla, struct rng *rng)
{
    patch->gla = gla;
    patch->size = sizeof(patch->bytes);
    for (unsigned i = 0; i < sizeof(patch->bytes); i += 4)
        put_field(patch->bytes + i, 4, edge_value(rng));
}

/* Pairs that compare equal, quotients that fit: rare when everything is random. */
static void set_relations(struct test_case *c, struct rng *rng)
{
    uint32_t *gpr = c->before.gpr, value;

    memcpy(&value, c->patch[0].bytes, 4);
    switch (c->in.id) {
    case M_CMPXCHG:
        if (one_in(rng, 2))
            gpr[0] = c->in.has_mem ? value : gpr[c->in.rm];
        break;
    case M_CMPXCHG8B:
        if (one_in(rng, 2))
            gpr[0] = value, memcpy(&gpr[2], c->patch[0].bytes + 4, 4);
        break;
    case M_DIV:
    case M_IDIV:
        if (!one_in(rng, 4))
            gpr[2] = one_in(rng, 2) ? 0 : (uint32_t)((int32_t)gpr[0] >> 31);
        break;
    default:
        break;
    }
}

/* A 16-bit branch in the flat segment goes below 64 KiB. */
static bool leaves_code(const struct test_case *c)
{
    return c->in.info->attr & A_BRANCH && c->in.opsize == 2 && !segment_base(&c->before, SEG_CS);
}

/*
 * Without TF the case runs on into the INT3s behind the instruction, as translated code would: near
 * branches must stay among them.
 */
static void set_free_running(struct test_case *c, struct rng *rng)
{
    uint32_t target = c->before.eip + c->in.len + below(rng, 8);
    const struct insn *in = &c->in;

    c->before.eflags &= ~EFLAGS_TF;
    if (!(in->info->attr & A_BRANCH))
        return;
    if (in->id != M_RET && in->imm_len) {
        put_field(c->code + in->imm_at, in->imm_len, target - c->before.eip - in->len);
        decode(&c->in, c->code, INSN_MAX, code_mode(&c->before));
    } else if (in->id != M_RET && !in->has_mem) {
        c->before.gpr[in->rm] = target;
    } else {
        put_field(c->patch[in->has_mem ? 0 : 1].bytes, 4, target);
        if (in->has_mem)
            c->patch[1].size = 0; /* the stack may be the same memory */
    }
}

/* What lies where the instruction will look. */
static void set_memory(struct test_case *c, struct rng *rng)
{
    const struct cpu_state *s = &c->before;

    c->patch[0].size = c->patch[1].size = 0;
    if (c->in.has_mem)
        set_patch(&c->patch[0], effective(c) + segment_base(s, c->in.seg), rng);
    if (c->in.info->attr & A_STRING && one_in(rng, 2)) {
        set_patch(&c->patch[0], s->gpr[6] + segment_base(s, c->in.seg), rng);
        c->patch[1] = c->patch[0];
        c->patch[1].gla = s->gpr[7] + segment_base(s, SEG_ES);
    } else if (c->in.info->attr & (A_IMPLICIT_MEM | A_BRANCH)) {
        uint32_t mask = world_segments[s->seg[SEG_SS]].big ? UINT32_MAX : 0xffff;

        set_patch(&c->patch[1], (s->gpr[4] & mask) + segment_base(s, SEG_SS), rng);
    }
}

bool cases_make(unsigned row, struct rng *rng, struct test_case *c)
{
    uint32_t offset = one_in(rng, 32) ? 4096 - below(rng, 16) - 1 : below(rng, 4096 - 32);

    memset(&c->before, 0, sizeof(c->before));
    set_segments(&c->before, rng);
    if (!make_code(rows[row], rng, c))
        return false;
    set_registers(c, rng);
    c->before.eip = WORLD_CODE + offset - segment_base(&c->before, SEG_CS);
    set_memory(c, rng);
    set_relations(c, rng);
    if (one_in(rng, 2) && !leaves_code(c))
        set_free_running(c, rng);
    limit_stack_pointer(&c->before);
    return true;
}

/* --- What the manuals leave open ------------------------------------------------------------ */

/* The offsets from this one on, size of them, go round at 4 GiB in a segment of that size. */
static bool goes_round(const struct test_case *c, unsigned seg, uint32_t offset, uint32_t size)
{
    return world_segments[c->before.seg[seg]].limit == UINT32_MAX &&
           (uint32_t)(offset + size - 1) < offset;
}

/* Anything that the instruction may push, pop or, for ENTER, copy. */
static bool stack_goes_round(const struct test_case *c)
{
    uint32_t room = 64 + (c->in.id == M_ENTER ? (uint32_t)c->in.imm + 128 : 0);

    if (!(c->in.info->attr & (A_IMPLICIT_MEM | A_BRANCH)))
        return false;
    return goes_round(c, SEG_SS, c->before.gpr[4] - room, 2 * room) ||
           ((c->in.id == M_ENTER || c->in.id == M_LEAVE) &&
            goes_round(c, SEG_SS, c->before.gpr[5] - room, 2 * room));
}

/* Of strings, the element that it has come to. */
static bool string_goes_round(const struct test_case *c, const struct cpu_state *after)
{
    unsigned size = c->in.opcode & 1 ? c->in.opsize : 1;

    return c->in.addrsize == 4 && (goes_round(c, c->in.seg, after->gpr[6], size) ||
                                   goes_round(c, SEG_ES, after->gpr[7], size));
}

/*
 * Such operands may raise #GP or #SS (SDM 3, 5.3: implementation-specific): AMD's CPUs do so. POP
 * to memory finds its address with ESP incremented already.
 */
static bool operand_goes_round(const struct test_case *c, const struct cpu_state *after)
{
    uint32_t size = c->in.memsize + (c->in.id == M_POP ? c->in.opsize : 0u);

    if (after->vector != VEC_GP && after->vector != VEC_SS)
        return false;
    if (c->in.info->attr & A_STRING)
        return string_goes_round(c, after);
    return (c->in.has_mem && goes_round(c, c->in.seg, effective(c), size)) || stack_goes_round(c);
}

/* F2 and F3 in front of these are reserved (SDM 2, 2.1.1; APM 3, 1.2.6); AMD's CPUs take the
 * condition from them. */
static bool repeated_loop(const struct insn *in)
{
    return (in->id == M_LOOPE || in->id == M_LOOPNE) &&
           in->prefixes & (PREFIX_REP | PREFIX_REPNE);
}

/* Of two operands that fault, which one first: AMD's (Zen 4) read DS:rSI first in REPE CMPSB, and
 * in it alone, all others ES:rDI. */
static bool either_operand(const struct insn *in, const struct cpu_state *after)
{
    return in->id == M_CMPS && !(in->opcode & 1) && in->prefixes & PREFIX_REP &&
           (after->vector == VEC_GP || after->vector == VEC_SS || after->vector == VEC_PF);
}

bool cases_left_open(const struct test_case *c, const struct cpu_state *after)
{
    return repeated_loop(&c->in) || operand_goes_round(c, after) || either_operand(&c->in, after);
}
