/* From guest bytes to a unit: scan, apply the rules, give the unit its place. */
#include "translator/live.h"

#include <stdlib.h>

#include "base/bug.h"
#include "base/log.h"
#include "cpu/event.h"
#include "cpu/feature.h"

/* What is no instruction is fetched anew by the interpreter each time. */
static void fetched_instruction(struct builder *b)
{
    static const struct insn none;

    b->insn[b->insns - 1].how = HOW_INTERPRETED;
    rule_callout(b, &none, SITE_FETCH, false);
}

/* cpu/stops.h, X1. At a unit's entry there is none: engine.c has looked. */
static bool is_stop(const struct builder *b)
{
    const struct stops *stops = b->t->vcpu->stops;

    return stops && stops_code_at(stops, b->cs_base + b->at);
}

/* An instruction begins here, or the unit ends. */
static void mark(struct builder *b, unsigned used)
{
    struct unit_insn *insn = &b->insn[b->insns];

    insn->guest = (uint16_t)used & 0x1fff;
    insn->counts = 0;
    insn->how = HOW_TRANSLATED;
    insn->host = (uint16_t)here(b);
    insn->live = 0;
}

static void leave(struct builder *b)
{
    count_emit_insns(b);
    exit_direct(b, b->at);
}

/* The last one marked; it ends where used of room bytes have been taken. */
static void apply(struct builder *b, struct insn *in, unsigned used, unsigned room)
{
    struct unit_insn *insn = &b->insn[b->insns - 1];

    insn->fop = ((in->opcode & 7u) << 8 | in->modrm) & 0x7ff;
    feature_limit(b->t->vcpu->model, in);
    if (b->t->counting && in->info->attr & (A_BRANCH | A_FAR | A_ENDS)) {
        insn->counts = 1;
        count_emit_insns(b);
    }
    b->last = b->insns == UNIT_INSNS || here(b) > UNIT_SOFT - 1024 || room - used < INSN_MAX ||
              b->gpa2 != NO_GPA;
    rule_apply(b, in);
}

/* How what has been seen of it has it translated. */
static void look_at_site(struct builder *b, const struct insn *in, const struct adapt_site *site)
{
    b->live = site && b->gpa2 == NO_GPA ? site->live : 0;
    if (!in->imm_len)
        b->live &= (uint8_t)~LIVE_IMMEDIATE;
    if (!in->disp_len || in->prefixes & (PREFIX_VEX | PREFIX_EVEX))
        b->live &= (uint8_t)~LIVE_DISPLACEMENT;
    b->spots = site && site->spots;
    b->adapted = (b->key & KEY_WINDOW && site && site->tlb) || b->live;
    b->insn[b->insns - 1].live = b->live != 0;
    live_mark(b, in);
}

static void scan(struct builder *b, const uint8_t *code, unsigned room)
{
    enum cpu_mode mode = b->key & KEY_CODE16 ? MODE_16 : MODE_32;
    unsigned used = 0;

    count_emit_entry(b);
    record_emit(b);
    while (!b->ended && !b->full) {
        const struct adapt_site *site = adapt_site(b->t, b->gpa + used);
        bool patched = b->gpa2 == NO_GPA && site && site->fetch;
        struct insn in;
        int len;

        b->at = b->eip + used;
        if (b->insns == UNIT_INSNS || here(b) > UNIT_SOFT || used == room ||
            (b->insns && (b->gpa2 != NO_GPA || patched || is_stop(b)))) {
            leave(b);
            break;
        }
        len = decode(&in, code + used, room - used < INSN_MAX ? room - used : INSN_MAX, mode);
        if (len <= 0 && b->insns) {
            leave(b);
            break;
        }
        mark(b, used);
        b->insns++;
        if (len <= 0 || patched) {
            if (len > 0)
                versions_emit(b, site, room);
            fetched_instruction(b);
            used = patched ? 0 : room;
            break;
        }
        look_at_site(b, &in, site);
        used += (unsigned)len;
        apply(b, &in, used, room);
    }
    mark(b, used);
}

static void *copy_array(const void *from, size_t count, size_t size)
{
    void *to = malloc(count * size + 1);

    if (to)
        __builtin_memcpy(to, from, count * size);
    return to;
}

/* What points into the unit from its own code. */
static void fill_fields(struct builder *b, struct unit *unit)
{
    if (b->executions_field) {
        uint64_t counter = (uint64_t)(uintptr_t)&unit->executions;

        unit->counts = true;
        __builtin_memcpy(b->start + b->executions_field, &counter, 8);
    }
    for (unsigned i = 0; i < b->sites; i++) {
        uint64_t site = (uint64_t)(uintptr_t)&unit->sites[i];

        unit->sites[i].unit = unit;
        __builtin_memcpy(b->start + b->site_field[i], &site, 8);
    }
    for (unsigned i = 0; i < b->exits; i++) {
        struct unit_exit *exit = &unit->exits[i];
        uint32_t number;

        exit->from = unit;
        exit->to = NULL;
        number = chain_exit_number(b->t, exit);
        exit->number = number;
        __builtin_memcpy(b->start + exit->stub + 2, &number, 4);
    }
}

static struct unit *make_unit(struct builder *b, uint64_t gpa)
{
    struct unit *unit = malloc(sizeof(*unit) + (b->insns + 1) * sizeof(struct unit_insn));

    if (!unit)
        return NULL;
    *unit = (struct unit){
        .gpa = gpa, .gpa2 = b->gpa2, .eip = b->eip, .key = b->key,
        .base = b->cs_base, .limit = b->cs_limit,
        .guest_len = b->insn[b->insns].guest,
        .insn_count = (uint16_t)b->insns, .exit_count = (uint16_t)b->exits,
        .site_count = (uint16_t)b->sites, .host_len = here(b),
        .host = (uint8_t *)(uintptr_t)b->exec, .native = b->native,
        .made = __builtin_ia32_rdtsc(),
    };
    __builtin_memcpy(unit->insn, b->insn, (b->insns + 1) * sizeof(struct unit_insn));
    unit->sites = copy_array(b->site, b->sites, sizeof(*b->site));
    unit->exits = copy_array(b->exit, b->exits, sizeof(*b->exit));
    if (!unit->sites || !unit->exits || !chain_reserve(b->t, b->exits)) {
        free(unit->sites);
        free(unit->exits);
        free(unit);
        return NULL;
    }
    fill_fields(b, unit);
    return unit;
}

static void list_code(const struct unit *unit, const uint8_t *code)
{
    if (log_on(LOG_in_asm) && novt_log.disasm)
        novt_log.disasm(novt_log.out, code, unit->guest_len, unit->eip,
                        unit->key & KEY_CODE16 ? 16 : 32);
    if (log_on(LOG_out_asm) && novt_log.disasm)
        novt_log.disasm(novt_log.out, unit->host, unit->host_len,
                        (uint64_t)(uintptr_t)unit->host, 64);
}

/* Where it comes from; code[room]. */
struct origin {
    uint32_t eip, key;
    uint64_t gpa, gpa2;
    const uint8_t *code;
    unsigned room;
};

/* As in boot sectors, whose stack begins where they do. */
static bool stack_beside(const struct vcpu *vcpu, const struct origin *from)
{
    uint64_t gfn = (vcpu->seg[SEG_SS].base + ((vcpu->gpr[RSP] - 2) & 0xffff)) >> PAGE_SHIFT;

    return (from->key & (KEY_REAL | KEY_USER)) == KEY_REAL &&
           (gfn == from->gpa >> PAGE_SHIFT || physmem_watched(vcpu->mem, gfn) & WATCH_CODE);
}

static void begin(struct translator *t, struct builder *b, const struct origin *from)
{
    b->t = t;
    b->start = b->out = cache_reserve(t, UNIT_ROOM);
    b->end = b->start + UNIT_ROOM;
    b->exec = t->exec + (b->start - t->write);
    b->full = b->ended = b->parts = b->native = b->loaded = false;
    b->key = from->key;
    b->eip = from->eip;
    b->gpa = from->gpa;
    b->gpa2 = from->gpa2;
    b->cs_base = from->key & KEY_SEG ? (uint32_t)t->vcpu->seg[SEG_CS].base : 0;
    b->cs_limit = from->key & KEY_SEG ? t->vcpu->seg[SEG_CS].limit : UINT32_MAX;
    b->insns = b->slows = b->pads = b->exits = b->sites = b->counted = b->softs = 0;
    b->executions_field = 0;
    b->stack_beside = stack_beside(t->vcpu, from);
}

/* U5; and [gpa, gpa + size) is code now. */
static void watch(struct translator *t, uint64_t gpa, uint64_t size)
{
    physmem_watch(t->vcpu->mem, gpa >> PAGE_SHIFT, WATCH_CODE);
    if (t->lines)
        t->lines = shadowmm_drop_lines(t->sm, gpa, size);
}

static void made(struct builder *b, struct unit *unit, const uint8_t *code)
{
    struct translator *t = b->t;

    smc_made(t, unit, b->soft, b->softs);
    lookup_insert(t, unit);
    watch(t, unit->gpa, unit->guest_len);
    if (unit->gpa2 != NO_GPA)
        watch(t, unit->gpa2, INSN_MAX);
    t->stats.units++;
    t->stats.insns_translated += unit->insn_count;
    t->stats.bytes_guest += unit->guest_len;
    t->stats.bytes_host += unit->host_len;
    event_tell(t->vcpu, EVENT_translate, unit->gpa, unit->insn_count, unit->host_len);
    log_print(LOG_unit, "unit %08x gpa %09llx key %02x at %lx: %u insns, %u to %u bytes\n",
              unit->eip, (unsigned long long)unit->gpa, unit->key,
              (unsigned long)(unit->host - t->exec), unit->insn_count, unit->guest_len,
              unit->host_len);
    list_code(unit, code);
    if (t->listener)
        t->listener->made(t->listener->arg, unit->host, unit->host_len, unit->base + unit->eip,
                          unit->key & KEY_USER);
}

/* What is behind the segment's limit is not there. */
static unsigned room_in(const struct builder *b, unsigned room)
{
    uint64_t left = (uint64_t)b->cs_limit + 1 - b->eip;

    return left < room ? (unsigned)left : room;
}

static struct unit *translate(struct translator *t, const struct origin *from)
{
    static struct builder builder; /* large; one translation at a time */
    struct builder *b = &builder;
    struct unit *unit;

    begin(t, b, from);
    scan(b, from->code, room_in(b, from->room));
    exit_finish(b);
    BUG_ON(b->full);
    unit = cache_room(t) ? make_unit(b, from->gpa) : NULL;
    if (!unit)
        return NULL;
    cache_commit(t, unit, here(b));
    made(b, unit, from->code);
    return unit;
}

struct unit *translate_unit(struct translator *t, uint32_t eip, uint64_t gpa, const uint8_t *code,
                            uint32_t key)
{
    return translate(t, &(struct origin){ .eip = eip, .key = key, .gpa = gpa, .gpa2 = NO_GPA,
                                          .code = code,
                                          .room = (unsigned)(PAGE_SIZE - (gpa & PAGE_MASK)) });
}

struct unit *translate_crossing(struct translator *t, uint32_t eip, uint64_t gpa, uint64_t gpa2,
                                const uint8_t *code, uint32_t key)
{
    return translate(t, &(struct origin){ .eip = eip, .key = key, .gpa = gpa, .gpa2 = gpa2,
                                          .code = code, .room = INSN_MAX });
}
