/*
 * Self-modifying code: a write to a frame that units were made from drops the units it touches.
 * Most touch none: a map of the frame's bytes says so without a look at its units.
 */
#include <stdlib.h>

#include "base/log.h"
#include "cpu/event.h"
#include "translator/emit.h"

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

/* One bit for each byte of a frame. Bytes of units that are no more keep theirs until they are
 * written. Without memory for one, every byte may be code. */
struct code_map {
    uint64_t bits[PAGE_SIZE / 64];
};

bool smc_marked(const struct translator *t, uint64_t gpa, uint64_t size)
{
    const struct code_map *map = t->code_map[gpa >> PAGE_SHIFT];
    unsigned first = gpa & PAGE_MASK, end = first + (unsigned)size;

    if (!map)
        return t->by_frame[gpa >> PAGE_SHIFT];
    for (unsigned i = first; i < end;) {
        uint64_t word = map->bits[i / 64] >> i % 64;

        if (word && i + (unsigned)__builtin_ctzll(word) < end)
            return true;
        i = (i | 63) + 1;
    }
    return false;
}

static void mark(struct translator *t, uint64_t gpa, uint64_t size, bool code)
{
    struct code_map *map = t->code_map[gpa >> PAGE_SHIFT];
    unsigned first = gpa & PAGE_MASK;

    for (unsigned i = first; map && i < first + size; i++) {
        map->bits[i / 64] &= ~(1ull << i % 64);
        map->bits[i / 64] |= (uint64_t)code << i % 64;
    }
}

static void add(struct translator *t, uint64_t gpa, uint64_t size)
{
    uint64_t gfn = gpa >> PAGE_SHIFT;

    if (!t->code_map[gfn] && !t->by_frame[gfn])
        t->code_map[gfn] = calloc(1, sizeof(**t->code_map));
    mark(t, gpa, size, true);
}

/* The map stays: guest FPU state may be live here, and free() uses vector registers. */
void smc_forget(struct translator *t, uint64_t gfn)
{
    struct code_map *map = t->code_map[gfn];

    for (unsigned i = 0; map && i < PAGE_SIZE / 64; i++)
        map->bits[i] = 0;
}

void smc_destroy(struct translator *t)
{
    for (uint64_t gfn = 0; t->code_map && gfn < t->vcpu->mem->frames; gfn++)
        free(t->code_map[gfn]);
    free(t->code_map);
}

/* A unit with soft bytes is in one page. */
void smc_made(struct translator *t, const struct unit *unit, const struct soft *soft,
              unsigned softs)
{
    uint64_t first = PAGE_SIZE - (unit->gpa & PAGE_MASK), done = 0;

    for (unsigned i = 0; i < softs; i++) {
        add(t, unit->gpa + done, soft[i].at - done);
        done = (uint64_t)soft[i].at + soft[i].len;
    }
    add(t, unit->gpa + done, (unit->guest_len < first ? unit->guest_len : first) - done);
    if (unit->gpa2 != NO_GPA && unit->guest_len > first)
        add(t, unit->gpa2, unit->guest_len - first);
}

bool smc_has_code(struct translator *t, uint64_t gpa, uint64_t size)
{
    uint64_t gfn = gpa >> PAGE_SHIFT;
    struct unit *unit = t->by_frame[gfn];

    if (!smc_marked(t, gpa, size))
        return false;
    while (unit && !overlaps(unit, gpa, size))
        unit = *unit_next_in(unit, gfn);
    if (!unit)
        mark(t, gpa, size, false);
    return unit;
}

void smc_written(struct translator *t, uint64_t gpa, uint64_t size)
{
    uint64_t gfn = gpa >> PAGE_SHIFT;
    struct unit *unit = t->by_frame[gfn];
    bool small = size <= 4; /* larger ones bring in other code */

    t->stats.smc_writes++;
    event_tell(t->vcpu, EVENT_smc, gpa, size, 0);
    if (!smc_marked(t, gpa, size))
        return;
    while (unit) {
        struct unit *next = *unit_next_in(unit, gfn);

        if (overlaps(unit, gpa, size)) {
            log_print(LOG_trace, "write to %llx drops unit %08x\n", (unsigned long long)gpa,
                      unit->eip);
            if (small)
                adapt_patched(t, unit, gpa, size);
            small = false;
            adapt_died(t, unit);
            unit_drop(t, unit);
            t->stats.smc_drops++;
            event_tell(t->vcpu, EVENT_smc_drop, unit->gpa, 0, 0);
        }
        unit = next;
    }
    mark(t, gpa, size, false);
}

void smc_drop_frame(struct translator *t, uint64_t gfn)
{
    while (t->by_frame[gfn]) {
        t->stats.smc_drops++;
        event_tell(t->vcpu, EVENT_smc_drop, t->by_frame[gfn]->gpa, 0, 0);
        unit_drop(t, t->by_frame[gfn]);
    }
}
