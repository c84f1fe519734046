/* Self-modifying code: a write to a frame that units were made from drops the units it touches. */
#include "base/log.h"
#include "translator/unit.h"

static bool overlaps(const struct unit *unit, uint64_t gpa, uint64_t size)
{
    uint64_t first = unit->guest_len;

    if (unit->gpa2 != NO_GPA) {
        first = PAGE_SIZE - (unit->gpa & PAGE_MASK);
        if (gpa < unit->gpa2 + unit->guest_len - first && unit->gpa2 < gpa + size)
            return true;
    }
    return gpa < unit->gpa + first && unit->gpa < gpa + size;
}

bool smc_has_code(const struct translator *t, uint64_t gpa, uint64_t size)
{
    uint64_t gfn = gpa >> PAGE_SHIFT;
    struct unit *unit = t->by_frame[gfn];

    while (unit && !overlaps(unit, gpa, size))
        unit = *unit_next_in(unit, gfn);
    return unit;
}

void smc_written(struct translator *t, uint64_t gpa, uint64_t size)
{
    uint64_t gfn = gpa >> PAGE_SHIFT;
    struct unit *unit = t->by_frame[gfn];

    t->stats.smc_writes++;
    while (unit) {
        struct unit *next = *unit_next_in(unit, gfn);

        if (overlaps(unit, gpa, size)) {
            log_print(LOG_trace, "write to %llx drops unit %08x\n", (unsigned long long)gpa,
                      unit->eip);
            unit_drop(t, unit);
            t->stats.smc_drops++;
        }
        unit = next;
    }
}
