/*
 * Adaptive sites: an instruction of a window unit that keeps faulting is translated again with the
 * TLB form, whose misses are calls and not signals, and once more with the window form when that
 * misses the same pages again and again (0042); one that keeps raising exceptions of its own (a
 * division by zero), as a call of the interpreter. One whose operand is written again and again has
 * it read when it runs (live.c); one whose opcode is, becomes a unit that holds none of its bytes,
 * and compares them with what they have been (versions.c) or fetches them. Code that is made anew
 * as soon as it has been translated (a compiler's, for one use) is interpreted so and so often
 * before it is translated again. An instruction that writes among code gets a probe for single
 * operands (T6).
 */
#include "translator/adapt.h"

#include "base/log.h"
#include "cpu/event.h"
#include "translator/unit.h"

#define SPECIALS_MANY 4  /* page tables, translated code, MMIO: will never be mapped */
#define FILLS_MANY 64    /* pages that come and go, or are many */
#define TRIAL_FILLS 1024 /* the same in the window form's first trial; in the next twice as many */
#define TRIALS_MOST 6
#define MISSES_MANY 128  /* of pages that a window would have; for the next twice as many */
#define FAULT_MISSES 48  /* as long as mapping a page and taking it away again */
#define TRAPS_MANY 4
#define PATCHES_MANY 8
#define WRITES_MANY 8
#define YOUNG_CYCLES 50000 /* a unit that has not paid for its translation yet */
#define YOUTHS_MANY 4
#define YOUTHS_MOST 12
#define FETCHES_MANY 5000 /* then it is tried anew */

static struct adapt_site *site_of(const struct translator *t, uint64_t gpa)
{
    return &t->adapt[(gpa ^ gpa >> 14) & (ADAPT_SIZE - 1)];
}

static unsigned adapt_bit(uint64_t gpa)
{
    return (gpa ^ gpa >> 16) % ADAPT_FILTER;
}

/* Asked for each instruction that is translated, few of which have ever faulted: the filter stays
 * in the host's nearest caches, what it stands for does not. */
const struct adapt_site *adapt_site(const struct translator *t, uint64_t gpa)
{
    unsigned bit = adapt_bit(gpa);
    const struct adapt_site *site;

    if (!(t->adapt_filter[bit / 64] >> bit % 64 & 1))
        return NULL;
    site = site_of(t, gpa);
    return site->gpa == gpa ? site : NULL;
}

bool adapt_calls(const struct translator *t, uint64_t gpa)
{
    const struct adapt_site *site = adapt_site(t, gpa);

    return site && site->call;
}

void adapt_forget(struct translator *t, uint64_t gpa)
{
    *site_of(t, gpa) = (struct adapt_site){ .gpa = gpa };
}

/* The site of a unit's instruction, taken over from another that shares its slot. */
static struct adapt_site *claim(struct translator *t, const struct unit *unit, unsigned insn,
                                enum adapt_cause cause)
{
    uint64_t gpa = unit->gpa + unit->insn[insn].guest;
    struct adapt_site *site = site_of(t, gpa);

    t->adapt_filter[adapt_bit(gpa) / 64] |= 1ull << adapt_bit(gpa) % 64;
    if (site->gpa != gpa)
        *site = (struct adapt_site){ .gpa = gpa };
    site->met[cause] += site->met[cause] != UINT16_MAX;
    return site;
}

static void tell(struct translator *t, uint32_t eip, const char *what)
{
    t->stats.sites_adapted++;
    event_at(t->vcpu, EVENT_adapt, eip, event_word(what), 0, 0);
    log_print(LOG_unit, "site %08x %s\n", eip, what);
}

/* Other units may hold the same instruction: each is dropped when it has trapped or faulted as
 * often. */
static void adapted(struct translator *t, struct unit *unit, unsigned insn, bool *form,
                    const char *what)
{
    if (!*form) {
        tell(t, unit->eip + unit->insn[insn].guest, what);
    }
    *form = true;
    if (!unit->dead)
        unit_drop(t, unit);
}

void adapt_trapped(struct translator *t, struct unit *unit, unsigned insn)
{
    struct adapt_site *site = claim(t, unit, insn, ADAPT_TRAP);

    if (++site->traps < TRAPS_MANY)
        return;
    site->traps = 0;
    adapted(t, unit, insn, &site->call, "traps often: callout");
}

static unsigned fills_many(const struct adapt_site *site)
{
    return site->trials ? TRIAL_FILLS << (site->trials - 1) : FILLS_MANY;
}

void adapt_faulted(struct translator *t, struct unit *unit, unsigned insn, enum adapt_cause cause)
{
    struct adapt_site *site = claim(t, unit, insn, cause);

    if (cause == ADAPT_OWN || cause == ADAPT_HIDDEN)
        site->fills++;
    else
        site->specials++;
    site->special |= site->specials >= SPECIALS_MANY;
    if (!site->special && site->fills < fills_many(site))
        return;
    site->specials = site->fills = 0;
    adapted(t, unit, insn, &site->tlb, "faults often: TLB form");
}

/* Its pages may have come and gone, or only be many: what a window would have spared is weighed
 * against what it would have taken. A unit of before a trial may still have the TLB form. */
bool adapt_missed(struct translator *t, struct unit *unit, unsigned insn, bool again)
{
    uint64_t gpa = unit->gpa + unit->insn[insn].guest;
    struct adapt_site *site = site_of(t, gpa);

    if (!(unit->key & KEY_WINDOW) || site->gpa != gpa || site->special ||
        (!site->tlb && !site->trials))
        return false;
    if (again)
        site->misses++;
    else
        site->misses -= site->misses < FAULT_MISSES ? site->misses : FAULT_MISSES;
    if (site->misses < MISSES_MANY << site->trials)
        return false;
    site->misses = 0;
    if (site->tlb) {
        site->trials += site->trials < TRIALS_MOST;
        tell(t, unit->eip + unit->insn[insn].guest, "misses the same pages: window form");
    }
    site->tlb = false;
    if (!unit->dead)
        unit_drop(t, unit);
    return true;
}

void adapt_wrote(struct translator *t, struct unit *unit, unsigned insn)
{
    struct adapt_site *site = claim(t, unit, insn, ADAPT_CODE);

    if (site->spots || ++site->writes < WRITES_MANY)
        return;
    adapted(t, unit, insn, &site->spots, "writes among code: by bytes");
}

/* Which operands of the unit's instruction hold all of [gpa, gpa + size)? LIVE_ bits; 0: not they
 * alone. */
static unsigned operands_at(const struct translator *t, const struct unit *unit, unsigned insn,
                            uint64_t gpa, uint64_t size)
{
    uint64_t start = unit->gpa + unit->insn[insn].guest, at = gpa - start;
    unsigned len = unit->insn[insn + 1].guest - unit->insn[insn].guest;
    struct insn in;

    if (decode(&in, physmem_ptr(t->vcpu->mem, start), len,
               unit->key & KEY_CODE16 ? MODE_16 : MODE_32) != (int)len)
        return 0;
    if (in.imm_len && at >= in.imm_at)
        return at + size <= in.imm_at + in.imm_len ? LIVE_IMMEDIATE : 0;
    if (!in.disp_len || at < in.disp_at)
        return 0;
    if (at + size <= in.disp_at + in.disp_len)
        return LIVE_DISPLACEMENT;
    return in.imm_len && at + size <= len ? LIVE_DISPLACEMENT | LIVE_IMMEDIATE : 0;
}

void adapt_patched(struct translator *t, const struct unit *unit, uint64_t gpa, uint64_t size)
{
    struct adapt_site *site;
    unsigned insn = 0, live;

    if (gpa < unit->gpa || unit->gpa2 != NO_GPA || !unit->guest_len)
        return;
    while (insn + 1u < unit->insn_count && unit->gpa + unit->insn[insn + 1].guest <= gpa)
        insn++;
    site = claim(t, unit, insn, ADAPT_WRITTEN);
    if (++site->patches < PATCHES_MANY)
        return;
    site->patches = site->fetches = 0;
    live = operands_at(t, unit, insn, gpa, size);
    if (!live || live == (site->live & live))
        site->fetch = true;
    tell(t, unit->eip + unit->insn[insn].guest,
         site->fetch ? "written often: fetched" : "operand written often: read when it runs");
    site->live |= (uint8_t)live;
}

void adapt_died(struct translator *t, const struct unit *unit)
{
    bool young = __builtin_ia32_rdtsc() - unit->made < YOUNG_CYCLES;
    struct adapt_site *site = site_of(t, unit->gpa);

    if (!unit->guest_len || (!young && site->gpa != unit->gpa))
        return;
    if (!young) {
        site->youths = 0;
        return;
    }
    site = claim(t, unit, 0, ADAPT_WRITTEN);
    site->youths += site->youths < YOUTHS_MOST;
    if (site->youths >= YOUTHS_MANY)
        site->patience = (uint16_t)(1u << site->youths);
    if (site->youths == YOUTHS_MANY)
        tell(t, unit->eip, "made anew again and again: interpreted at first");
}

bool adapt_passing(struct translator *t, uint64_t gpa)
{
    struct adapt_site *site = site_of(t, gpa);

    if (!adapt_site(t, gpa) || !site->patience)
        return false;
    site->patience--;
    return true;
}

void adapt_fetched(struct translator *t, struct unit *unit)
{
    struct adapt_site *site = site_of(t, unit->gpa);
    bool mine = site->gpa == unit->gpa, worn = versions_worn(t, unit);

    if (mine && !worn && !versions_missed(t, unit) && ++site->fetches < FETCHES_MANY)
        return;
    if (mine && worn) {
        site->fetch = false;
        site->patches = PATCHES_MANY - 1; /* it has paid */
    } else if (mine && site->fetches == FETCHES_MANY) {
        site->fetch = false;
        versions_forget(t, unit->gpa);
    }
    if (!unit->dead)
        unit_drop(t, unit);
}
