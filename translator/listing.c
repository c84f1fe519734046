/* What the translator makes of guest code: see listing.h. */
#include "translator/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "translator/unit.h"

enum {
    HLT = 0xf4,
    RAM_SIZE = 1 << 20,
    CODE = 0x2000, /* where the bytes are put, a page; the next one stays empty */
};

struct listing {
    struct physmem mem;
    struct vm_stop stop;
    struct vcpu *vcpu;
};

static const uint32_t keys[LISTING_FORMS] = {
    [LISTING_KERNEL_TLB] = KEY_OK | KEY_VECTORS | KEY_TSC,
    [LISTING_KERNEL_WINDOW] = KEY_OK | KEY_VECTORS | KEY_TSC | KEY_WINDOW,
    [LISTING_USER_WINDOW] = KEY_OK | KEY_VECTORS | KEY_TSC | KEY_WINDOW | KEY_USER | KEY_FS |
                            KEY_GS,
};

static void make_flat(struct vcpu *vcpu)
{
    const uint32_t data = SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G;
    const uint32_t code = SEG_S | SEG_P | SEG_CODE | SEG_READABLE | SEG_ACCESSED | SEG_DB | SEG_G;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        vcpu->seg[i] = (struct segment){ 0x10, i == SEG_CS ? code : data, UINT32_MAX, 0 };
    vcpu->cr0 |= CR0_PE;
    mem_mode_changed(vcpu);
}

struct listing *listing_create(const char **why)
{
    struct engine_request request = { .user = USER_WINDOW };
    struct listing *listing = calloc(1, sizeof(*listing));

    *why = "no host memory";
    if (!listing)
        return NULL;
    listing->mem.fd = -1;
    listing->vcpu = vcpu_create();
    if (!listing->vcpu || physmem_init(&listing->mem, RAM_SIZE))
        goto fail;
    listing->vcpu->mem = &listing->mem;
    listing->vcpu->stop = &listing->stop;
    if (mem_create(listing->vcpu))
        goto fail;
    vcpu_reset(listing->vcpu);
    make_flat(listing->vcpu);
    listing->vcpu->engine_state = engine_translator.create(listing->vcpu, &request);
    if (listing->vcpu->engine_state)
        return listing;
    *why = request.error;
fail:
    listing_destroy(listing);
    return NULL;
}

void listing_destroy(struct listing *listing)
{
    if (!listing)
        return;
    if (listing->vcpu && listing->vcpu->engine_state)
        engine_translator.destroy(listing->vcpu);
    if (listing->vcpu) {
        mem_destroy(listing->vcpu);
        vcpu_destroy(listing->vcpu);
    }
    physmem_destroy(&listing->mem);
    free(listing);
}

static enum listing_class class_of(const struct listing_insn *insn, enum unit_how how)
{
    if (how != HOW_TRANSLATED)
        return how == HOW_CALLED ? LISTING_CALLOUT : LISTING_CALLED;
    if (insn->in.info->attr & (A_BRANCH | A_FAR))
        return LISTING_TRANSFER;
    return insn->host_len == insn->in.len && !memcmp(insn->host, insn->in.bytes, insn->in.len)
               ? LISTING_IDENTICAL : LISTING_INLINE;
}

/* The instructions of the first size bytes: HLT is behind them, to end the unit. */
static void take(const struct unit *unit, const uint8_t *code, uint32_t size,
                 struct listing_unit *out)
{
    const enum cpu_mode mode = unit->key & KEY_CODE16 ? MODE_16 : MODE_32;

    out->count = 0;
    for (unsigned i = 0; i < unit->insn_count && i < LISTING_INSNS; i++) {
        const struct unit_insn *at = &unit->insn[i];
        struct listing_insn *insn = &out->insn[out->count];

        if (at->guest >= size)
            break;
        *insn = (struct listing_insn){ .eip = unit->eip + at->guest,
                                       .host = unit->host + at->host,
                                       .host_len = (uint32_t)(at[1].host - at->host) };
        if (decode(&insn->in, code + at->guest, INSN_MAX, mode) <= 0)
            break; /* fetched each time, to raise what the bytes deserve */
        insn->class = class_of(insn, at->how);
        out->count++;
    }
    out->tail = unit->host + unit->insn[unit->insn_count].host;
    out->tail_len = unit->host_len - unit->insn[unit->insn_count].host;
}

bool listing_unit(struct listing *listing, enum listing_form form, uint32_t eip,
                  const uint8_t *code, uint32_t size, struct listing_unit *out)
{
    struct translator *t = translator_of(listing->vcpu);
    uint32_t offset = eip & PAGE_MASK, room = (uint32_t)PAGE_SIZE - offset;
    uint8_t *page = physmem_ptr(&listing->mem, CODE);
    uint8_t bytes[INSN_MAX] = { 0 };
    struct unit *unit;
    struct insn first;

    memcpy(bytes, code, size < INSN_MAX ? size : INSN_MAX);
    if (decode(&first, bytes, INSN_MAX, MODE_32) <= 0 || first.len > size)
        return false;
    memset(page, HLT, 2 * PAGE_SIZE);
    memcpy(page + offset, code, size < room ? size : room);
    unit_drop_all(t);
    unit_bury(t);
    if (first.len > room) {
        out->count = 1;
        out->tail = NULL;
        out->tail_len = 0;
        out->insn[0] = (struct listing_insn){ .in = first, .eip = eip, .class = LISTING_CALLED };
        return true;
    }
    unit = translate_unit(t, eip, CODE + offset, page + offset, keys[form]);
    take(unit, page + offset, size, out);
    return true;
}

/* --- A machine that runs ---------------------------------------------------------------------- */

static void take_site(struct translator *t, const struct unit *unit, unsigned i,
                      struct listing_site *out)
{
    const struct adapt_site *site = adapt_site(t, unit->gpa + unit->insn[i].guest);

    *out = (struct listing_site){ .calls_counted = unit->counts };
    for (unsigned n = 0; n < unit->site_count; n++)
        if (unit->sites[n].kind != SITE_LOAD &&
            unit->sites[n].eip == unit->eip + unit->insn[i].guest)
            out->calls += unit->sites[n].calls;
    if (!site)
        return;
    out->own = site->met[ADAPT_OWN];
    out->hidden = site->met[ADAPT_HIDDEN];
    out->table = site->met[ADAPT_TABLE];
    out->code = site->met[ADAPT_CODE];
    out->device = site->met[ADAPT_DEVICE];
    out->traps = site->met[ADAPT_TRAP];
    out->writes = site->met[ADAPT_WRITTEN];
    out->tlb = site->tlb;
    out->call = site->call;
    out->fetch = site->fetch;
}

static void take_exits(const struct unit *unit, struct listing_live *out)
{
    const unsigned room = sizeof(out->exit) / sizeof(*out->exit);

    out->exit_count = unit->exit_count < room ? unit->exit_count : room;
    for (unsigned i = 0; i < out->exit_count; i++)
        out->exit[i] = (struct listing_exit){ unit->exits[i].eip, unit->exits[i].to };
    out->incoming = 0;
    for (const struct unit_exit *in = unit->incoming; in; in = in->next_in)
        out->incoming++;
}

/* The bytes it was made from, which its frames still have (U5). */
static uint32_t read_code(struct translator *t, const struct unit *unit, uint8_t *code)
{
    uint32_t size = unit->guest_len ? unit->guest_len : INSN_MAX;
    uint32_t room = (uint32_t)(PAGE_SIZE - (unit->gpa & PAGE_MASK));
    uint32_t first = size < room ? size : room;

    memcpy(code, physmem_ptr(t->vcpu->mem, unit->gpa), first);
    if (size > first && unit->gpa2 != NO_GPA)
        memcpy(code + first, physmem_ptr(t->vcpu->mem, unit->gpa2), size - first);
    return unit->gpa2 == NO_GPA ? first : size;
}

static void take_live(struct translator *t, const struct unit *unit, struct listing_live *out)
{
    uint8_t code[PAGE_SIZE + 2 * INSN_MAX] = { 0 };
    uint32_t size = read_code(t, unit, code);

    take(unit, code, size, &out->code);
    for (unsigned i = 0; i < out->code.count; i++)
        take_site(t, unit, i, &out->site[i]);
    take_exits(unit, out);
    out->base = unit->base;
    out->gpa = unit->gpa;
    out->bits = unit->key & KEY_CODE16 ? 16 : 32;
    out->user = unit->key & KEY_USER;
    out->window = unit->key & KEY_WINDOW;
    out->segmented = unit->key & KEY_SEG;
    out->counted = unit->counts;
    out->executions = unit->executions;
    out->host = unit->host;
}

static bool has_insn_at(const struct unit *unit, uint32_t gla)
{
    uint32_t start = unit->base + unit->eip;

    return !unit->dead && gla - start < (unit->guest_len ? unit->guest_len : 1u);
}

int listing_at(struct vcpu *vcpu, uint32_t gla,
               void (*hear)(void *arg, const struct listing_live *unit), void *arg)
{
    struct translator *t = translator_of(vcpu);
    struct listing_live *live;
    uint64_t gpa;
    int count = 0;

    if (!mem_debug_translate(vcpu, gla, &gpa))
        return -1;
    live = gpa >> PAGE_SHIFT < vcpu->mem->frames ? malloc(sizeof(*live)) : NULL;
    if (!live)
        return 0;
    for (struct unit *unit = t->by_frame[gpa >> PAGE_SHIFT]; unit;
         unit = *unit_next_in(unit, gpa >> PAGE_SHIFT)) {
        if (!has_insn_at(unit, gla))
            continue;
        take_live(t, unit, live);
        hear(arg, live);
        count++;
    }
    free(live);
    return count;
}

enum listing_tier listing_tier(struct vcpu *vcpu, bool user)
{
    struct translator *t = translator_of(vcpu);

    if (user && t->direct && shadowmm_sandbox(t->sm))
        return LISTING_TIER_DIRECT;
    return shadowmm_window(t->sm, user) ? LISTING_TIER_WINDOW : LISTING_TIER_TLB;
}

void listing_count(struct vcpu *vcpu, bool on)
{
    struct translator *t = translator_of(vcpu);

    if (t->counting_units == on)
        return;
    t->counting_units = on;
    unit_drop_all(t);
}

bool listing_counts(struct vcpu *vcpu)
{
    return translator_of(vcpu)->counting_units;
}

struct shadowmm *listing_shadow(struct vcpu *vcpu)
{
    return translator_of(vcpu)->sm;
}
