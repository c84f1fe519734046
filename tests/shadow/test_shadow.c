/*
 * Random edits of page tables by every form of instruction that writes, then the shadow against a
 * fresh walk: what the guest reads and writes, the page faults it gets, A and D, and what the
 * TLBs and windows of all views hold (shadow_check.h). Directories map themselves. Formats: 32-bit
 * with PSE, and PAE.
 *
 *     test_shadow ENGINE [rounds [seed [full|tight]]]
 *
 * full: the host runs out of mappings (vm.max_map_count) after some rounds, and gives some back.
 * tight: the process may not grow after some rounds (RLIMIT_AS): no more records of tables.
 *
 * A and D, as paging.h states it: an access that is granted sets A at every level and, if it
 * writes, D at the last one; one that is not granted sets nothing. Reference: SDM 3, 4.8, 4.10.4.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "cpu/paging.h"
#include "shadowmm/shadowmm.h"
#include "tests/shadow/shadow_cases.h"
#include "tests/shadow/shadow_world.h"
#include "translator/unit.h"

/* --- Edits ------------------------------------------------------------------------------- */

static uint64_t random_flags(void)
{
    return rnd(8) | (rnd(8) ? PTE_P : 0) | (rnd(3) ? 0 : rnd(4) << 5);
}

static uint64_t random_pte(void)
{
    static uint32_t next;

    next = rnd(3) ? next + 1 : rnd((RAM - DATA) >> PAGE_SHIFT); /* runs, often */
    return (DATA + next % ((RAM - DATA) >> PAGE_SHIFT) * PAGE_SIZE) | random_flags();
}

static uint64_t random_pde(struct test *t, unsigned area)
{
    uint64_t large = DATA + (rnd((RAM - DATA) >> t->span) << t->span);

    switch (rnd(6)) {
    case 0: return large | PTE_PS | random_flags();
    case 1:
    case 3: return (uint64_t)(MANY_AT + rnd(MANY) * PAGE_SIZE) | random_flags();
    case 2: return (uint64_t)(PT_AT + rnd(AREAS) * PAGE_SIZE) | random_flags(); /* shared */
    default: return (uint64_t)(PT_AT + area * PAGE_SIZE) | 7;
    }
}

/* A linear address at which the guest can write the entry at gpa: where it is, by an alias, or, if
 * it is the one that the current root translates gla by, in the directories' own map. */
static uint32_t way_to(struct test *t, uint64_t gpa, uint32_t gla, bool leaf)
{
    uint32_t self = self_map(t) + (gla >> PAGE_SHIFT) * t->bytes;
    uint64_t pde = peek(t, pde_gpa(t, t->root, gla), t->bytes);

    if (rnd(3) == 0)
        return (uint32_t)gpa;
    if (leaf && (gpa & PAGE_MASK) < 16) /* some forms write what lies before as well */
        return ALIAS + (uint32_t)(gpa - ROOT_AT);
    if (!leaf && rnd(2)) /* the entry of the map that maps the map */
        return self_map(t) + (self_map(t) >> PAGE_SHIFT) * t->bytes + (gla >> t->span) * t->bytes;
    if (leaf && !t->directory_edited && rnd(2) && (pde & 7) == 7 && !(pde & PTE_PS) &&
        gpa - (pde & 0xffffff000) < PAGE_SIZE)
        return self;
    return ALIAS + (uint32_t)(gpa - ROOT_AT);
}

static const struct form *random_form(void)
{
    static unsigned count;

    while (shadow_forms[count].name)
        count++;
    return &shadow_forms[rnd(count)];
}

static void write_entry(struct test *t, uint64_t gpa, uint32_t at, uint64_t value)
{
    const struct form *form = random_form();
    uint64_t want, other = gpa ^ 4, kept = peek(t, other, 4);
    unsigned end;

    if (t->pae && form->wide && rnd(2))
        value |= PTE_NX;
    else if (form->wide && !t->pae) /* it writes two entries */
        value = (uint32_t)value | peek(t, gpa + 4, 4) << 32;
    else if (!form->wide)
        value = (uint32_t)value | (t->pae ? peek(t, gpa, 8) & ~(uint64_t)UINT32_MAX : 0);
    want = t->pae ? value : (uint32_t)value;
    end = run(t, form->code, form->end, false, at, value);
    if (end != ENDED)
        fail(t, form->name, end, at);
    if (peek(t, gpa, t->bytes) != want)
        fail(t, form->name, peek(t, gpa, t->bytes), want);
    if (!t->pae && (peek(t, other, 4) ^ kept) & ~0x60ull)
        fail(t, "the neighbour's entry", peek(t, other, 4), kept);
}

/* --- Rounds ------------------------------------------------------------------------------ */

static void load_cr3(struct test *t)
{
    t->root = rnd(2) ? t->root : rnd(ROOTS);
    RUN(t, cr3, false, 0, root_gpa(t, t->root));
    t->directory_edited = false;
}

/* CR0.WP as it was not. */
static void flip_wp(struct test *t)
{
    RUN(t, cr0, false, 0, t->m.vcpu->cr0 ^ CR0_WP);
}

static uint32_t random_gla(const struct test *t)
{
    return area_at(t, rnd(AREAS)) + rnd(PTES) * PAGE_SIZE;
}

/* An edit of the entry for gla, of its table or of the current root's directory. */
static void edit(struct test *t, uint32_t gla, bool leaf)
{
    unsigned area = (gla - AREA) >> t->span;
    uint64_t pde = peek(t, pde_gpa(t, t->root, gla), t->bytes), gpa;

    if (leaf) {
        gpa = pde & PTE_P && !(pde & PTE_PS) ? pde & 0xffffff000 : PT_AT + area * PAGE_SIZE;
        gpa += index_in(t, gla) * t->bytes;
        write_entry(t, gpa, way_to(t, gpa, gla, true), random_pte());
    } else {
        gpa = pde_gpa(t, t->root, gla);
        write_entry(t, gpa, way_to(t, gpa, gla, false), random_pde(t, area));
        t->directory_edited = true;
    }
}

static void one_round(struct test *t)
{
    uint32_t gla = random_gla(t);
    unsigned count = rnd(4) ? 1 : 1 + rnd(5);
    bool all = rnd(3) == 0;

    while (count--) {
        edit(t, gla, rnd(4) != 0);
        check_shadow(t, false);
        if (rnd(8) == 0)
            flip_wp(t);
        if (rnd(4) == 0) /* old or new, as the architecture allows: only the invariants count */
            RUN(t, read, rnd(2), random_gla(t), 0);
    }
    if (all)
        load_cr3(t);
    else
        RUN(t, invlpg, false, gla + rnd(PAGE_SIZE), 0);
    check_shadow(t, all);
    for (unsigned i = 0; i < 4; i++) {
        access_and_compare(t, gla, rnd(2), rnd(2));
        if (rnd(8) == 0) {
            flip_wp(t);
            check_shadow(t, false);
        }
        if (all)
            gla = random_gla(t);
    }
    check_shadow(t, false);
}

/* --- A host without room ------------------------------------------------------------------- */

#define HOARD (1ull << 30)

struct hoard {
    uint8_t *at;
    uint64_t taken; /* bytes; every second page is a mapping of its own */
};

/* Takes every mapping that the host still allows, then gives count of them back. */
static void hoard(struct hoard *h, unsigned count)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

    if (!h->at)
        h->at = mmap(NULL, HOARD, PROT_NONE, flags, -1, 0);
    if (h->at == MAP_FAILED)
        exit(2);
    while (h->taken < HOARD && !mprotect(h->at + h->taken, PAGE_SIZE, PROT_READ))
        h->taken += 2 * PAGE_SIZE;
    for (; count && h->taken; count--) {
        h->taken -= 2 * PAGE_SIZE;
        mprotect(h->at + h->taken, PAGE_SIZE, PROT_NONE);
    }
}

/* From now on the process cannot grow: what has its place may be replaced. */
static void limit_space(void)
{
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *f;

    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    free(malloc(16 << 20));
    f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%lu", &pages) != 1 || getrlimit(RLIMIT_AS, &limit))
        exit(2);
    fclose(f);
    limit.rlim_cur = pages * PAGE_SIZE + (64 << 10);
    setrlimit(RLIMIT_AS, &limit);
}

static void unlimit_space(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
}

struct counts {
    unsigned long long made, maps, evictions, flushes, rebound;
};

static struct counts counts_of(const struct test *t)
{
    const struct translator *bt = t->m.vcpu->engine_state;
    const struct shadowmm_stats *s;

    if (t->m.engine != &engine_translator)
        return (struct counts){ 0 };
    s = shadowmm_stats(bt->sm);
    return (struct counts){ s->windows_made, s->window_maps, s->window_evictions, s->flushes,
                            s->tables_rebound };
}

enum host { ROOMY, FULL, TIGHT };

static unsigned run_format(const struct engine *engine, bool pae, unsigned rounds, uint64_t seed,
                           enum host host)
{
    struct test t = { .pae = pae, .full = host != ROOMY };
    struct hoard hoarded = { 0 };
    struct counts c, start;

    set_seed(seed);
    if (machine_create(&t.m, engine))
        return 1;
    make_world(&t);
    shadow_cases(&t);
    start = counts_of(&t);
    for (t.rounds = 0; t.rounds < rounds && t.failures < 20; t.rounds++) {
        if (host == TIGHT && t.rounds == 20)
            limit_space();
        if (host == FULL && t.rounds % 10 == 0 && t.rounds > 20)
            hoard(&hoarded, t.rounds > rounds / 2 ? rnd(12) : 0);
        one_round(&t);
    }
    unlimit_space();
    c = counts_of(&t);
    printf("%s: %u rounds, %u failures, %llu windows made, %llu runs mapped, %llu evictions, "
           "%llu flushes, %llu rebound\n",
           pae ? "PAE" : "32-bit", t.rounds, t.failures, c.made, c.maps, c.evictions, c.flushes,
           c.rebound);
    if (hoarded.at)
        munmap(hoarded.at, HOARD);
    if (engine == &engine_translator && (host == FULL || getenv("NOVT_AREAS")) &&
        !c.evictions)
        fail(&t, "no window was ever evicted", c.made, c.maps);
    if (host == TIGHT && c.flushes <= start.flushes)
        fail(&t, "the records of tables never ran out", c.flushes, 0);
    machine_destroy(&t.m);
    return t.failures;
}

int main(int argc, char **argv)
{
    const struct engine *engine =
        argc > 1 && !strcmp(argv[1], "interp") ? &engine_interp : &engine_translator;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 2000;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    enum host host = argc < 5 ? ROOMY : strcmp(argv[4], "full") ? TIGHT : FULL;
    unsigned failures = 0;

    machine_signal_stack();
    for (unsigned pae = 0; pae < 2; pae++)
        failures += run_format(engine, pae, rounds, seed, host);
    return failures != 0;
}
