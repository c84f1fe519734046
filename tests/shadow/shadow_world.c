/* The guest of test_shadow. See shadow_world.h. */
#include "tests/shadow/shadow_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/mem.h"
#include "cpu/paging.h"
#include "shadowmm/view.h"
#include "tests/random.h"
#include "tests/shadow/shadow_check.h"
#include "translator/unit.h"

static uint64_t seed_state;

void set_seed(uint64_t seed)
{
    seed_state = seed * 0x9e3779b97f4a7c15ull + 1;
}

uint32_t rnd(uint32_t n)
{
    return (uint32_t)(random_next(&seed_state) >> 16) % n;
}

void fail(struct test *t, const char *what, uint64_t a, uint64_t b)
{
    if (t->failures++ < 20)
        printf("round %u, %s: %s: %llx, %llx\n", t->rounds, t->pae ? "PAE" : "32-bit", what,
               (unsigned long long)a, (unsigned long long)b);
}

/* --- Guest memory, from outside ------------------------------------------------------- */

uint64_t peek(struct test *t, uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, physmem_ptr(&t->m.mem, gpa), bytes);
    return value;
}

void poke(struct test *t, uint64_t gpa, unsigned bytes, uint64_t value)
{
    physmem_write(&t->m.mem, gpa, &value, bytes);
}

uint64_t root_gpa(const struct test *t, unsigned root)
{
    return ROOT_AT + root * 0x5000 + (t->pae ? 0 : 0x1000);
}

uint64_t pde_gpa(const struct test *t, unsigned root, uint32_t gla)
{
    uint64_t directories = ROOT_AT + root * 0x5000 + 0x1000;

    return directories + (uint64_t)(gla >> t->span) * t->bytes;
}

void set_pde(struct test *t, uint32_t gla, uint64_t value)
{
    for (unsigned root = 0; root < ROOTS; root++)
        poke(t, pde_gpa(t, root, gla), t->bytes, value);
}

unsigned index_in(const struct test *t, uint32_t gla)
{
    return gla >> PAGE_SHIFT & ((1u << (t->span - PAGE_SHIFT)) - 1);
}

uint32_t area_at(const struct test *t, unsigned area)
{
    return AREA + (area << t->span);
}

uint32_t self_map(const struct test *t)
{
    return t->pae ? 0xff800000 : 0xffc00000;
}

static void make_fixed(struct test *t)
{
    uint64_t pt = FIXED_PT_AT;

    for (uint32_t gla = 0; gla < DATA; gla += PAGE_SIZE) {
        uint64_t table = pt + (gla >> t->span) * PAGE_SIZE;

        poke(t, table + index_in(t, gla) * t->bytes, t->bytes, gla | 7);
        set_pde(t, gla, table | 7);
    }
    pt += (DATA >> t->span) * PAGE_SIZE;
    for (uint32_t at = ROOT_AT; at < TABLES_END; at += PAGE_SIZE)
        poke(t, pt + index_in(t, ALIAS + at - ROOT_AT) * t->bytes, t->bytes, at | 7);
    set_pde(t, ALIAS, pt | 7);
    pt += PAGE_SIZE;
    for (uint32_t gpa = 0; gpa < ROOT_AT; gpa += PAGE_SIZE)
        poke(t, pt + index_in(t, SUPERVISOR + gpa) * t->bytes, t->bytes, gpa | 3);
    set_pde(t, SUPERVISOR, pt | 3);
}

static void make_roots(struct test *t)
{
    for (unsigned root = 0; root < ROOTS; root++)
        for (unsigned d = 0; d < (t->pae ? 4 : 1); d++) {
            uint64_t directory = ROOT_AT + root * 0x5000 + 0x1000 + d * PAGE_SIZE;

            if (t->pae)
                poke(t, root_gpa(t, root) + 8 * d, 8, directory | 1);
            poke(t, pde_gpa(t, root, self_map(t) + (d << t->span)), t->bytes, directory | 7);
        }
}

void make_world(struct test *t)
{
    struct vcpu *v = t->m.vcpu;

    t->span = t->pae ? 21 : 22;
    t->bytes = t->pae ? 8 : 4;
    memset(physmem_ptr(&t->m.mem, ROOT_AT), 0, TABLES_END - ROOT_AT);
    for (uint32_t gpa = DATA; gpa < RAM; gpa += PAGE_SIZE)
        poke(t, gpa, 4, 0xd0000000 | gpa >> PAGE_SHIFT);
    make_roots(t);
    make_fixed(t);
    for (unsigned i = 0; i < AREAS; i++)
        set_pde(t, area_at(t, i), (PT_AT + i * PAGE_SIZE) | 7);
    memcpy(t->seg, v->seg, sizeof(t->seg));
    v->cr3 = root_gpa(t, 0);
    if (t->pae) {
        v->cr4 |= CR4_PAE;
        v->efer |= EFER_NXE;
    }
    for (unsigned i = 0; i < 4; i++)
        v->pdpte[i] = peek(t, root_gpa(t, 0) + 8 * i, 8);
    mem_mode_changed(v);
}

/* --- Running guest code ---------------------------------------------------------------- */

unsigned run_at(struct test *t, uint32_t rip, bool user, uint32_t edi, uint64_t value)
{
    struct vcpu *v = t->m.vcpu;
    enum exit_reason why;

    memcpy(v->seg, t->seg, sizeof(t->seg));
    memset(v->gpr, 0, sizeof(v->gpr));
    v->gpr[RDI] = edi;
    v->gpr[RAX] = (uint32_t)value;
    v->gpr[RDX] = value >> 32;
    v->gpr[RSP] = STACK + 0x800;
    v->rip = rip;
    v->eflags = EFLAGS_R1;
    v->cpl = user ? 3 : 0;
    v->halted = false;
    do
        why = t->m.engine->run(v);
    while (why == EXIT_REQUEST);
    if (t->m.stop.end != VM_RUNNING || v->shutdown) {
        fail(t, "the guest died", edi, value);
        exit(1);
    }
    if (v->rip - HANDLERS >= 16 * 256)
        return ENDED;
    return (v->rip - HANDLERS) / 16 == 13 && user ? ENDED : (unsigned)(v->rip - HANDLERS) / 16;
}

unsigned run(struct test *t, const uint8_t *code, const uint8_t *end, bool user, uint32_t edi,
             uint64_t value)
{
    uint32_t at = CODE + rnd(CODE_COPIES) * 256;

    if (memcmp(physmem_ptr(&t->m.mem, at), code, (size_t)(end - code)))
        physmem_write(&t->m.mem, at, code, (uint64_t)(end - code));
    return run_at(t, user || rnd(2) ? at : SUPERVISOR + at, user, edi, value);
}

/* --- The fresh walk --------------------------------------------------------------------- */

struct path {
    unsigned levels;
    uint64_t at[2], entry[2];
    bool granted;
    uint32_t error;
    uint64_t gpa;
};

static struct path fresh_walk(struct test *t, uint32_t gla, bool user, bool write)
{
    struct path p = { .error = (user ? 4 : 0) | (write ? 2 : 0) };
    uint64_t rights = 7;
    unsigned shift;

    p.at[0] = pde_gpa(t, t->root, gla);
    for (p.levels = 1;; p.levels++) {
        uint64_t e = peek(t, p.at[p.levels - 1], t->bytes);

        shift = p.levels == 2 ? PAGE_SHIFT : t->span;
        p.entry[p.levels - 1] = e;
        rights &= e;
        if (!(e & PTE_P))
            return p;
        if (p.levels == 2 || e & PTE_PS)
            break;
        p.at[1] = (e & 0xffffff000) + index_in(t, gla) * t->bytes;
    }
    p.gpa = (p.entry[p.levels - 1] & 0xffffff000 & ~((1ull << shift) - 1)) |
            (gla & ((1ull << shift) - 1));
    p.granted = (!user || rights & PTE_U) &&
                (!write || rights & PTE_W || (!user && !(t->m.vcpu->cr0 & CR0_WP)));
    p.error |= 1;
    return p;
}

static void check_bits(struct test *t, const struct path *p, bool write)
{
    for (unsigned i = 0; i < p->levels; i++) {
        uint64_t want = p->entry[i], got = peek(t, p->at[i], t->bytes);

        if (p->granted)
            want |= i + 1 == p->levels && write ? PTE_A | PTE_D : PTE_A;
        if (got != want)
            fail(t, i + 1 == p->levels ? "A, D of the last entry" : "A of an entry", got, want);
    }
}

void access_and_compare(struct test *t, uint32_t gla, bool user, bool write)
{
    struct path p = fresh_walk(t, gla, user, write);
    uint32_t value = rnd(1u << 30), before = p.granted ? (uint32_t)peek(t, p.gpa + 8, 4) : 0;
    bool add = write && rnd(4) == 0;
    unsigned end = add ? RUN(t, add, user, gla, value)
                       : write ? RUN(t, write, user, gla, value) : RUN(t, read, user, gla, 0);
    struct vcpu *v = t->m.vcpu;

    if (end != (p.granted ? (unsigned)ENDED : 14)) {
        fail(t, write ? "end of a write" : "end of a read", end, p.entry[p.levels - 1]);
        return;
    }
    check_bits(t, &p, write);
    if (!p.granted) {
        if (v->cr2 != gla + (write ? 8 : 0))
            fail(t, "cr2", v->cr2, gla);
        if (peek(t, v->gpr[RSP], 4) != p.error)
            fail(t, "error code", peek(t, v->gpr[RSP], 4), p.error);
    } else if (write && peek(t, p.gpa + 8, 4) != value + (add ? before : 0)) {
        fail(t, "a write went elsewhere", peek(t, p.gpa + 8, 4), value);
    } else if (!write && v->gpr[RAX] != peek(t, p.gpa, 4)) {
        fail(t, "a read came from elsewhere", v->gpr[RAX], peek(t, p.gpa, 4));
    }
}

void check_shadow(struct test *t, bool synced)
{
    struct translator *bt = t->m.vcpu->engine_state;

    if (t->m.engine != &engine_translator)
        return;
    t->failures += shadow_check(bt->sm, synced);
    if (t->rounds % 64 == 0 && !t->full)
        t->failures += shadow_check_maps(bt->sm);
}
