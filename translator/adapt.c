/*
 * Adaptive sites: an instruction of a window unit that keeps faulting is translated again with the
 * TLB form, whose misses are calls and not signals; one that keeps raising exceptions of its own (a
 * division by zero), as a call of the interpreter.
 */
#include "base/log.h"
#include "translator/unit.h"

#define SPECIALS_MANY 4  /* page tables, translated code, MMIO: will never be mapped */
#define FILLS_MANY 64    /* pages that come and go */
#define TRAPS_MANY 4

static struct adapt_site *site_of(const struct translator *t, uint64_t gpa)
{
    return &t->adapt[(gpa ^ gpa >> 14) & (ADAPT_SIZE - 1)];
}

bool adapt_uses_tlb(const struct translator *t, uint64_t gpa)
{
    const struct adapt_site *site = site_of(t, gpa);

    return site->tlb && site->gpa == gpa;
}

bool adapt_calls(const struct translator *t, uint64_t gpa)
{
    const struct adapt_site *site = site_of(t, gpa);

    return site->call && site->gpa == gpa;
}

void adapt_forget(struct translator *t, uint64_t gpa)
{
    *site_of(t, gpa) = (struct adapt_site){ .gpa = gpa };
}

/* The site of a unit's instruction, taken over from another that shares its slot. */
static struct adapt_site *claim(struct translator *t, const struct unit *unit, unsigned insn)
{
    uint64_t gpa = unit->gpa + unit->insn[insn].guest;
    struct adapt_site *site = site_of(t, gpa);

    if (site->gpa != gpa)
        *site = (struct adapt_site){ .gpa = gpa };
    return site;
}

/* Other units may hold the same instruction: each is dropped when it has trapped or faulted as
 * often. */
static void adapted(struct translator *t, struct unit *unit, unsigned insn, bool *form,
                    const char *what)
{
    if (!*form) {
        t->stats.sites_adapted++;
        log_print(LOG_unit, "site %08x %s\n", unit->eip + unit->insn[insn].guest, what);
    }
    *form = true;
    if (!unit->dead)
        unit_drop(t, unit);
}

void adapt_trapped(struct translator *t, struct unit *unit, unsigned insn)
{
    struct adapt_site *site = claim(t, unit, insn);

    if (++site->traps < TRAPS_MANY)
        return;
    site->traps = 0;
    adapted(t, unit, insn, &site->call, "traps often: callout");
}

void adapt_faulted(struct translator *t, struct unit *unit, unsigned insn, bool special)
{
    struct adapt_site *site = claim(t, unit, insn);

    if (special)
        site->specials++;
    else
        site->fills++;
    if (site->specials < SPECIALS_MANY && site->fills < FILLS_MANY)
        return;
    site->specials = site->fills = 0;
    adapted(t, unit, insn, &site->tlb, "faults often: TLB form");
}
