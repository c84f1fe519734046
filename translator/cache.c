/*
 * The translation cache: memory mapped twice, writable here, executable there (U6). It is filled
 * region after region; when all are full the oldest is emptied as a whole, so that eviction costs
 * nothing per transfer and never fragments.
 *
 * The memory has no file: perf looks for names of code (-perf) in anonymous memory alone.
 */
#include "translator/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/bug.h"
#include "base/spent.h"
#include "translator/emit.h"
#include "translator/switch.h"

void cache_aim_thunk(struct translator *t, unsigned thunk, const char *target)
{
    uint64_t to = (uint64_t)(uintptr_t)target;

    __builtin_memcpy(t->write + THUNK_COUNT * 8 + thunk * 8, &to, 8);
}

/* jmp [rip + 2]; two bytes of filler before the 8-byte aligned address come out as 8 + 8 bytes. */
static void write_thunks(struct translator *t)
{
    const char *const targets[THUNK_COUNT] = {
        [THUNK_LOOKUP] = t->bmi2 ? bt_exit_second : bt_exit_lookup, [THUNK_CHAIN] = bt_exit_chain,
        [THUNK_SLOW] = bt_slow_access, [THUNK_CALLOUT] = bt_callout,
        [THUNK_LIGHT] = bt_light_call, [THUNK_INT_V86] = bt_cross_in, [THUNK_IRET] = bt_light_call,
        [THUNK_MODE] = bt_change_mode,
    };

    for (unsigned i = 0; i < THUNK_COUNT; i++) {
        uint8_t *at = t->write + i * 8;
        uint32_t rel = THUNK_COUNT * 8 + i * 8 - (i * 8 + 6);

        at[0] = 0xff;
        at[1] = 0x25;
        __builtin_memcpy(at + 2, &rel, 4);
        cache_aim_thunk(t, i, targets[i]);
    }
    t->thunks = 0;
}

int cache_create(struct translator *t, size_t size)
{
    size_t step = size / CACHE_REGIONS;

    t->cache_size = size;
    t->exec = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (t->exec == MAP_FAILED)
        return -errno;
    t->write = mremap(t->exec, 0, size, MREMAP_MAYMOVE); /* from size 0: the same memory again */
    if (t->write == MAP_FAILED || mprotect(t->write, size, PROT_READ | PROT_WRITE))
        return -errno;
    write_thunks(t);
    for (unsigned i = 0; i < CACHE_REGIONS; i++)
        t->region[i].start = i * step;
    t->region[0].used = 4096;
    return 0;
}

void cache_destroy(struct translator *t)
{
    for (unsigned i = 0; i < CACHE_REGIONS; i++)
        free(t->region[i].units);
    if (t->write && t->write != MAP_FAILED)
        munmap(t->write, t->cache_size);
    if (t->exec && t->exec != MAP_FAILED)
        munmap(t->exec, t->cache_size);
}

static size_t region_size(const struct translator *t)
{
    return t->cache_size / CACHE_REGIONS;
}

static void empty_region(struct translator *t, unsigned i)
{
    struct cache_region *r = &t->region[i];
    size_t count = r->unit_count;
    enum spent_on before;

    if (t->listener && r->used)
        t->listener->reused(t->listener->arg, t->exec + r->start, r->used);
    if (!count) {
        r->used = i ? 0 : 4096;
        return;
    }
    before = spent_begin(t->vcpu->spent, SPENT_EVICTION);
    r->unit_count = 0; /* nobody has to look for its units there any more */
    for (size_t k = 0; k < count; k++)
        if (r->units[k].unit && !r->units[k].unit->dead)
            unit_drop(t, r->units[k].unit);
    t->stats.evictions++;
    unit_bury(t);
    r->used = i ? 0 : 4096;
    spent_back(t->vcpu->spent, before);
}

/* Room for size bytes; may drop units, so no translated code may be running. */
uint8_t *cache_reserve(struct translator *t, size_t size)
{
    struct cache_region *r = &t->region[t->current_region];

    BUG_ON(size > region_size(t) - 4096);
    if (r->used + size > region_size(t)) {
        t->current_region = (t->current_region + 1) % CACHE_REGIONS;
        empty_region(t, t->current_region);
        r = &t->region[t->current_region];
    }
    return t->write + r->start + r->used;
}

/* Room for one more in the current region's list; false: no memory. */
bool cache_room(struct translator *t)
{
    struct cache_region *r = &t->region[t->current_region];
    size_t room = r->unit_room ? 2 * r->unit_room : 1024;
    struct cached *units;

    if (r->unit_count < r->unit_room)
        return true;
    units = realloc(r->units, room * sizeof(*units));
    if (!units)
        return false;
    r->units = units;
    r->unit_room = room;
    return true;
}

/* cache_room() has been asked. */
void cache_commit(struct translator *t, struct unit *unit, size_t size)
{
    struct cache_region *r = &t->region[t->current_region];

    r->used = (r->used + size + 15) & ~(size_t)15;
    r->units[r->unit_count++] = (struct cached){ unit->host, unit };
}

/* The last entry whose code begins at the executable address or before it, or NULL. */
static struct cached *find(struct translator *t, const uint8_t *host)
{
    struct cache_region *r = &t->region[(size_t)(host - t->exec) / region_size(t)];
    size_t low = 0, high = r->unit_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (r->units[middle].host <= host)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &r->units[low - 1] : NULL;
}

/* The unit whose code holds the executable address, or NULL. */
struct unit *cache_find(struct translator *t, const void *host)
{
    struct cached *found = find(t, host);
    struct unit *unit = found ? found->unit : NULL;

    return unit && (const uint8_t *)host < unit->host + unit->host_len ? unit : NULL;
}

/* What is dropped is found no more; its place is free again when its region is emptied. */
void cache_forget(struct translator *t, const struct unit *unit)
{
    struct cached *found = find(t, unit->host);

    if (found && found->unit == unit)
        found->unit = NULL;
}
