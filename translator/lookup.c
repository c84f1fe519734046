/* Finding units by what they are for, and letting them go. */
#include <stdlib.h>

#include "cpu/event.h"
#include "translator/unit.h"

static unsigned hash(uint64_t gpa, uint32_t eip, uint32_t key)
{
    uint64_t h = (gpa * 0x9e3779b97f4a7c15ull) ^ (eip >> 12) * 0x85ebca6bull ^ (uint64_t)key << 9;

    return (h >> 20 ^ h) & (HASH_SIZE - 1);
}

static bool same_code(const struct segment *cs, const struct unit *unit)
{
    return cs->base == unit->base && cs->limit == unit->limit;
}

struct unit *lookup_find(struct translator *t, uint64_t gpa, uint32_t eip, uint32_t key)
{
    struct unit *unit = t->hash[hash(gpa, eip, key)].first;

    while (unit && (unit->gpa != gpa || unit->eip != eip || unit->key != key ||
                    (key & KEY_SEG && !same_code(&t->vcpu->seg[SEG_CS], unit))))
        unit = unit->next_hash;
    return unit;
}

/* A unit across the end of a page that is mapped twice in a row is in one list only. */
static bool two_frames(const struct unit *unit)
{
    return unit->gpa2 != NO_GPA && unit->gpa2 >> PAGE_SHIFT != unit->gpa >> PAGE_SHIFT;
}

static void list_in(struct translator *t, struct unit *unit, uint64_t gfn)
{
    struct unit *next = t->by_frame[gfn];

    *unit_next_in(unit, gfn) = next;
    *unit_held_in(unit, gfn) = &t->by_frame[gfn];
    if (next)
        *unit_held_in(next, gfn) = unit_next_in(unit, gfn);
    t->by_frame[gfn] = unit;
}

const void *lookup_host(struct translator *t, uint64_t gpa, uint32_t eip, uint32_t key)
{
    const struct unit_bucket *bucket = &t->hash[hash(gpa, eip, key)];

    if (!bucket->host || bucket->gpa != gpa || bucket->eip != eip || bucket->key != key)
        return NULL;
    shadowmm_jump_insert(t->sm, key_set(key), eip, eip, bucket->host);
    return bucket->host;
}

static void set_first(struct unit_bucket *bucket, struct unit *unit)
{
    *bucket = (struct unit_bucket){ .first = unit };
    if (!unit || unit->gpa2 != NO_GPA || unit->key & KEY_SEG)
        return;
    bucket->host = unit->host;
    bucket->gpa = unit->gpa;
    bucket->eip = unit->eip;
    bucket->key = unit->key;
}

void lookup_insert(struct translator *t, struct unit *unit)
{
    struct unit_bucket *bucket = &t->hash[hash(unit->gpa, unit->eip, unit->key)];

    unit->next_hash = bucket->first;
    set_first(bucket, unit);
    list_in(t, unit, unit->gpa >> PAGE_SHIFT);
    if (two_frames(unit))
        list_in(t, unit, unit->gpa2 >> PAGE_SHIFT);
}

bool lookup_current(struct translator *t, const struct unit *unit)
{
    const uint8_t *host;
    uint64_t gpa;

    return unit->gpa2 == NO_GPA ||
           (!mem_fetch_ptr(t->vcpu, ((unit->base + unit->eip) | PAGE_MASK) + 1, &host, &gpa) &&
            host && gpa == unit->gpa2);
}

bool lookup_publish(struct translator *t, const struct unit *unit)
{
    uint64_t place = unit_place(unit->base, unit->eip);
    uint32_t gla = (uint32_t)place;
    uint32_t last = unit->gpa2 == NO_GPA ? gla : gla + unit->guest_len - 1u;

    return shadowmm_jump_insert(t->sm, key_set(unit->key), place, last, unit->host);
}

static void unlist_in(struct translator *t, struct unit *unit, uint64_t gfn)
{
    struct unit **at = *unit_held_in(unit, gfn), *next = *unit_next_in(unit, gfn);

    *at = next;
    if (next)
        *unit_held_in(next, gfn) = at;
    if (t->by_frame[gfn])
        return;
    smc_forget(t, gfn);
    physmem_unwatch(t->vcpu->mem, gfn, WATCH_CODE);
}

static void unlist(struct translator *t, struct unit *unit)
{
    struct unit_bucket *bucket = &t->hash[hash(unit->gpa, unit->eip, unit->key)];
    struct unit **at = &bucket->first;

    while (*at != unit)
        at = &(*at)->next_hash;
    *at = unit->next_hash;
    set_first(bucket, bucket->first);
    unlist_in(t, unit, unit->gpa >> PAGE_SHIFT);
    if (two_frames(unit))
        unlist_in(t, unit, unit->gpa2 >> PAGE_SHIFT);
}

/* Its code may still be running: only the memory's end waits for unit_bury(). */
void unit_drop(struct translator *t, struct unit *unit)
{
    unlist(t, unit);
    while (unit->incoming)
        chain_unlink(t, unit->incoming);
    for (unsigned i = 0; i < unit->exit_count; i++)
        if (unit->exits[i].to)
            chain_unlink(t, &unit->exits[i]);
    shadowmm_jump_drop(t->sm, unit_place(unit->base, unit->eip));
    unit->dead = true;
    unit->next_dead = t->graveyard;
    t->graveyard = unit;
    t->vcpu->bt.leave = 1;
    t->stats.units_dropped++;
    event_tell(t->vcpu, EVENT_unit_drop, unit->gpa, 0, 0);
}

/* Frees what has been dropped. No translated code is running. */
void unit_bury(struct translator *t)
{
    for (unsigned i = 0; t->graveyard && i < SLOW_SITES; i++)
        t->slow[i].resume = NULL;
    while (t->graveyard) {
        struct unit *unit = t->graveyard;

        t->graveyard = unit->next_dead;
        cache_forget(t, unit);
        chain_free(t, unit);
        free(unit->sites);
        free(unit->exits);
        free(unit);
    }
}

void unit_drop_all(struct translator *t)
{
    for (unsigned i = 0; i < CACHE_REGIONS; i++) {
        struct cache_region *r = &t->region[i];
        size_t count = r->unit_count;

        r->unit_count = 0;
        for (size_t k = 0; k < count; k++)
            if (r->units[k].unit && !r->units[k].unit->dead)
                unit_drop(t, r->units[k].unit);
    }
    unit_bury(t);
}

/* A unit of an instruction that is fetched each time has no length. */
static bool is_stopped(const struct vcpu *vcpu, const struct unit *unit)
{
    return stops_code_in(vcpu->stops, unit->base + unit->eip,
                         unit->guest_len ? unit->guest_len : 1);
}

void unit_drop_stopped(struct translator *t)
{
    if (t->stops_version == t->vcpu->stops->version)
        return;
    t->stops_version = t->vcpu->stops->version;
    for (unsigned i = 0; i < CACHE_REGIONS; i++) {
        const struct cache_region *r = &t->region[i];

        for (size_t k = 0; k < r->unit_count; k++) {
            struct unit *unit = r->units[k].unit;

            if (unit && !unit->dead && is_stopped(t->vcpu, unit))
                unit_drop(t, unit);
        }
    }
    unit_bury(t);
}

/* The guest instruction whose code holds the executable address. */
unsigned unit_insn_at(const struct unit *unit, const void *host)
{
    uint32_t offset = (uint32_t)((const uint8_t *)host - unit->host);
    unsigned i = unit->insn_count - 1u;

    while (i && unit->insn[i].host > offset)
        i--;
    return i;
}
