/*
 * Adaptive sites: an instruction of a window unit that keeps faulting is translated again with the
 * TLB form, whose misses are calls and not signals; one that keeps raising exceptions of its own (a
 * division by zero), as a call of the interpreter. One whose own bytes are written again and again
 * (INT n, in boot loaders) becomes a unit that holds none of them and fetches it each time.
 */
#include "base/log.h"
#include "cpu/event.h"
#include "translator/unit.h"

#define SPECIALS_MANY 4  /* page tables, translated code, MMIO: will never be mapped */
#define FILLS_MANY 64    /* pages that come and go */
#define TRAPS_MANY 4
#define PATCHES_MANY 8
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

void adapt_faulted(struct translator *t, struct unit *unit, unsigned insn, enum adapt_cause cause)
{
    struct adapt_site *site = claim(t, unit, insn, cause);

    if (cause == ADAPT_OWN || cause == ADAPT_HIDDEN)
        site->fills++;
    else
        site->specials++;
    if (site->specials < SPECIALS_MANY && site->fills < FILLS_MANY)
        return;
    site->specials = site->fills = 0;
    adapted(t, unit, insn, &site->tlb, "faults often: TLB form");
}

void adapt_patched(struct translator *t, const struct unit *unit, uint64_t gpa)
{
    struct adapt_site *site;
    unsigned insn = 0;

    if (gpa < unit->gpa || unit->gpa2 != NO_GPA)
        return;
    while (insn + 1u < unit->insn_count && unit->gpa + unit->insn[insn + 1].guest <= gpa)
        insn++;
    site = claim(t, unit, insn, ADAPT_WRITTEN);
    if (++site->patches < PATCHES_MANY)
        return;
    site->patches = site->fetches = 0;
    if (!site->fetch)
        tell(t, unit->eip + unit->insn[insn].guest, "written often: fetched");
    site->fetch = true;
}

void adapt_fetched(struct translator *t, struct unit *unit)
{
    struct adapt_site *site = site_of(t, unit->gpa);

    if (site->gpa == unit->gpa && ++site->fetches < FETCHES_MANY)
        return;
    if (site->gpa == unit->gpa)
        site->fetch = false;
    if (!unit->dead)
        unit_drop(t, unit);
}
