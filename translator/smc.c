/* Self-modifying code: a write to a frame that units were made from drops the units it touches. */
#include "base/log.h"
#include "translator/unit.h"

static bool overlaps(const struct unit *unit, uint64_t gpa, uint64_t size)
{
    return gpa < unit->gpa + unit->guest_len && unit->gpa < gpa + size;
}

void smc_written(struct translator *t, uint64_t gpa, uint64_t size)
{
    struct unit *unit = t->by_frame[gpa >> PAGE_SHIFT];

    t->stats.smc_writes++;
    while (unit) {
        struct unit *next = unit->next_frame;

        if (overlaps(unit, gpa, size)) {
            log_print(LOG_trace, "write to %llx drops unit %08x\n", (unsigned long long)gpa,
                      unit->eip);
            unit_drop(t, unit);
            t->stats.smc_drops++;
        }
        unit = next;
    }
}
