/*
 * Shadow memory for tests: a machine with eight address spaces, a clock of the test's own, and
 * sandboxes that are stubs and only remember what became of them.
 */
#ifndef TESTS_UNIT_SHADOW_MACHINE_H
#define TESTS_UNIT_SHADOW_MACHINE_H

#include "shadowmm/view.h"
#include "tests/unit/cpu_machine.h"

enum {
    ROOTS_AT = 0x100000, /* page directories, each followed by its page table */
    FRAME = 0x1c0000,
    USER = 0x400000,     /* linear */
    FAULT = 10000, HANDOFF = 40000, /* TSC cycles */
};

/* --- Stubs ------------------------------------------------------------------------------- */

struct sandbox {
    bool destroyed, broken; /* broken: not fit for another address space */
};

int sandbox_map(struct sandbox *s, uint64_t gva, uint64_t offset, uint64_t pages, unsigned rights,
                bool populate)
{
    (void)s, (void)gva, (void)offset, (void)pages, (void)rights, (void)populate;
    return 0;
}

int sandbox_unmap(struct sandbox *s, uint64_t gva, uint64_t pages)
{
    (void)s, (void)gva, (void)pages;
    return 0;
}

int sandbox_protect(struct sandbox *s, uint64_t gva, uint64_t pages, unsigned rights)
{
    (void)s, (void)gva, (void)pages, (void)rights;
    return 0;
}

int sandbox_flush(struct sandbox *s)
{
    (void)s;
    return 0;
}

bool sandbox_parked(struct sandbox *s)
{
    return !s->broken;
}

bool sandbox_reset(struct sandbox *s)
{
    return !s->broken;
}

void sandbox_destroy(struct sandbox *s)
{
    s->destroyed = true;
}

/* --- The world --------------------------------------------------------------------------- */

static uint64_t now; /* TSC cycles */

static inline uint64_t fake_clock(void)
{
    return now;
}

struct world {
    struct machine m;
    struct shadowmm *sm;
    struct sandbox sandbox[4];
    unsigned given;
};

static inline void on_write(void *arg, uint64_t gpa, uint64_t size)
{
    shadowmm_table_written(((struct world *)arg)->sm, gpa, size);
}

static inline void on_watch(void *arg, uint64_t gfn, uint64_t count)
{
    shadowmm_protect(((struct world *)arg)->sm, gfn, count);
}

static inline uint32_t root_at(unsigned i)
{
    return ROOTS_AT + i * 0x2000;
}

static inline void select_root(struct world *w, unsigned i)
{
    w->m.vcpu->cr3 = root_at(i);
    mem_root_changed(w->m.vcpu);
}

static inline void begin_with(struct world *w, unsigned views)
{
    memset(w, 0, sizeof(*w));
    m_create(&w->m);
    m_protected(&w->m, 3);
    for (unsigned i = 0; i < 8; i++) {
        m_put(&w->m, root_at(i), 0x83, 4);
        m_put(&w->m, root_at(i) + 4, (root_at(i) + 0x1000) | 7, 4);
        m_put(&w->m, root_at(i) + 0x1000, FRAME | 0x67, 4);
        m_put(&w->m, root_at(i) + 0x1004, (FRAME + 0x3000) | 0x67, 4);
    }
    if (shadowmm_create(&w->sm, w->m.vcpu, views))
        exit(2);
    w->m.pm.arg = w;
    w->m.pm.on_write = on_write;
    w->m.pm.on_watch = on_watch;
    w->sm->clock = fake_clock;
    shadowmm_resume(w->sm);
    shadowmm_set_costs(w->sm, (struct shadowmm_costs){ FAULT, HANDOFF });
    w->m.vcpu->cr4 |= CR4_PSE;
    w->m.vcpu->cr0 |= CR0_PG;
    w->m.vcpu->cr3 = root_at(0);
    mem_mode_changed(w->m.vcpu);
}

static inline void begin(struct world *w)
{
    begin_with(w, 16);
}

static inline void end(struct world *w)
{
    w->m.pm.on_write = NULL;
    w->m.pm.on_watch = NULL;
    shadowmm_destroy(w->sm);
    m_destroy(&w->m);
}

static inline void give(struct world *w)
{
    static const struct sandbox_caps caps = { .min_gva = 0x10000, .max_gva = 0xffffe000 };

    shadowmm_give_sandbox(w->sm, &w->sandbox[w->given++], &caps);
}

#endif
