/*
 * Page faults: access x CPL x WP x NXE x every combination of P, W, U, NX and reserved bits at both
 * levels, with the error code, CR2 and the A and D bits afterwards (KNOWN-FAULTS rows 3 and 25: a
 * walk that faults sets neither A nor D, which SDM 3, 4.8 allows).
 */
#include "cpu/paging.h"
#include "cpu/cpuid.h"
#include "tests/unit/cpu_machine.h"

#define PDPT 0x100000u
#define DIR  0x101000u
#define TAB  0x102000u
#define GLA  0x345678u /* directory 1 (PAE) or 0, table entry by format */
#define FRAME 0x55000u

struct entry {
    int p, w, u, nx, reserved;
};

struct setup {
    int pae, nxe, wp, user;
    enum mem_access access;
    struct entry dir, tab;
};

static struct entry entry_of(unsigned bits)
{
    return (struct entry){ bits & 1, bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1, bits >> 4 & 1 };
}

static uint64_t encode(const struct setup *s, const struct entry *e, uint64_t frame)
{
    uint64_t value = frame | (unsigned)e->p | (unsigned)e->w << 1 | (unsigned)e->u << 2;

    if (s->pae)
        value |= (uint64_t)e->nx << 63 | (uint64_t)e->reserved << PHYS_BITS;
    return value;
}

static int is_reserved(const struct setup *s, const struct entry *e)
{
    return s->pae && e->p && (e->reserved || (e->nx && !s->nxe));
}

/* SDM 3, 4.6 and 4.7: the error code, or -1. */
static int want(const struct setup *s)
{
    int error = (s->access == MEM_WRITE ? 2 : 0) | (s->user ? 4 : 0);
    const struct entry *d = &s->dir, *t = &s->tab;

    if (s->access == MEM_EXEC && s->pae && s->nxe)
        error |= 16;
    if (!d->p)
        return error;
    if (is_reserved(s, d))
        return error | 9;
    if (!t->p)
        return error;
    if (is_reserved(s, t))
        return error | 9;
    if (s->user && !(d->u && t->u))
        return error | 1;
    if (s->access == MEM_WRITE && !(d->w && t->w) && (s->user || s->wp))
        return error | 1;
    if (s->access == MEM_EXEC && s->pae && s->nxe && (d->nx || t->nx))
        return error | 1;
    return -1;
}

static int access_once(struct vcpu *v, enum mem_access access)
{
    uint64_t value, gpa;
    const uint8_t *host;

    switch (access) {
    case MEM_READ: return mem_read(v, SEG_DS, GLA, 4, &value);
    case MEM_WRITE: return mem_write(v, SEG_DS, GLA, 4, 0x12345678);
    default: return mem_fetch_ptr(v, GLA, &host, &gpa);
    }
}

static void check(struct machine *m, const struct setup *s)
{
    unsigned size = s->pae ? 8 : 4;
    uint64_t dir_at = DIR + (GLA >> (s->pae ? 21 : 22)) * size;
    uint64_t tab_at = TAB + (GLA >> 12 & (s->pae ? 511 : 1023)) * size, dir, tab;
    struct vcpu *v = m->vcpu;
    int error = want(s), faulted;

    dir = encode(s, &s->dir, TAB);
    tab = encode(s, &s->tab, FRAME);
    m_put(m, dir_at, dir, size);
    m_put(m, tab_at, tab, size);
    v->cr0 = CR0_PE | CR0_PG | (s->wp ? CR0_WP : 0);
    v->cr4 = s->pae ? CR4_PAE : 0;
    v->cr3 = s->pae ? PDPT : DIR;
    v->pdpte[0] = DIR | 1;
    v->efer = s->nxe ? EFER_NXE : 0;
    v->cpl = s->user ? 3 : 0;
    v->seg[SEG_DS] = v->seg[SEG_CS] = m_flat(DATA0, 0xf3);
    mem_mode_changed(v);
    faulted = access_once(v, s->access);
    CHECK_EQ(faulted, error >= 0);
    if (error >= 0) {
        CHECK_EQ(v->fault.vector, VEC_PF);
        CHECK_EQ(v->fault.error, error);
        CHECK_EQ(v->fault.cr2, GLA);
        CHECK_EQ(m_get(m, dir_at, size), dir);
        CHECK_EQ(m_get(m, tab_at, size), tab);
        return;
    }
    CHECK_EQ(m_get(m, dir_at, size), dir | 0x20);
    CHECK_EQ(m_get(m, tab_at, size), tab | 0x20 | (s->access == MEM_WRITE ? 0x40 : 0));
    if (s->access == MEM_WRITE)
        CHECK_EQ(m_get(m, FRAME + (GLA & 0xfff), 4), 0x12345678);
}

static void test_matrix(struct machine *m)
{
    static const enum mem_access all[] = { MEM_READ, MEM_WRITE, MEM_EXEC };

    for (unsigned mode = 0; mode < 16; mode++)
        for (unsigned a = 0; a < 3; a++)
            for (unsigned bits = 0; bits < 1024; bits++) {
                struct setup s = { mode & 1, mode >> 1 & 1, mode >> 2 & 1, mode >> 3 & 1, all[a],
                                   entry_of(bits & 31), entry_of(bits >> 5) };

                check(m, &s);
            }
}

/* D is set by the first write even when a read has filled the TLB. */
static void test_dirty(struct machine *m)
{
    struct setup s = { .access = MEM_READ, .dir = { 1, 1, 1, 0, 0 }, .tab = { 1, 1, 1, 0, 0 } };
    uint64_t value;

    check(m, &s);
    CHECK_EQ(mem_write(m->vcpu, SEG_DS, GLA, 1, 1), 0);
    CHECK_EQ(m_get(m, TAB + (GLA >> 12 & 1023) * 4, 4) & 0x60, 0x60);

    /* a read-modify-write of a read-only page faults as a write, before it has read */
    s.tab.w = 0;
    s.user = 1;
    check(m, &s);
    CHECK_EQ(mem_read_modify(m->vcpu, SEG_DS, GLA, 4, &value), 1);
    CHECK_EQ(m->vcpu->fault.error, 7);
}

/* A write that straddles two pages, the second of which faults, writes nothing (row 12). */
static void test_straddle(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    for (unsigned i = 0; i < 2; i++)
        m_put(m, TAB + 4 * (0x100 + i), 0x60000 + i * 0x1000 + (i ? 5 : 7), 4);
    m_put(m, DIR, TAB | 7, 4);
    v->cr0 = CR0_PE | CR0_PG | CR0_WP;
    v->cr4 = 0;
    v->cr3 = DIR;
    mem_mode_changed(v);
    for (unsigned size = 2; size <= 8; size *= 2)
        for (unsigned back = 1; back < size; back++) {
            m_put(m, 0x60ff8, 0x1111111111111111, 8);
            CHECK_EQ(mem_write(v, SEG_DS, 0x101000 - back, size, 0), 1);
            CHECK_EQ(v->fault.cr2, 0x101000);
            CHECK_EQ(m_get(m, 0x60ff8, 8), 0x1111111111111111);
        }
}

/* Linear addresses wrap at 4 GiB: the last byte of the space and the first are neighbours. */
static void test_wrap(struct machine *m)
{
    struct vcpu *v = m->vcpu;
    uint64_t value;

    m_protected(m, 0);
    v->cr0 |= CR0_PG;
    v->cr3 = DIR;
    m_put(m, DIR, TAB | 7, 4);
    m_put(m, DIR + 4 * 1023, 0x103007, 4);
    m_put(m, TAB, 0x60007, 4);
    m_put(m, 0x103000 + 4 * 1023, 0x61007, 4);
    mem_mode_changed(v);
    m_put(m, 0x61ffe, 0x2211, 2);
    m_put(m, 0x60000, 0x4433, 2);
    CHECK_EQ(mem_read(v, SEG_DS, 0xfffffffe, 4, &value), 0);
    CHECK_EQ(value, 0x44332211);
    CHECK_EQ(mem_write(v, SEG_DS, 0xffffffff, 4, 0xaabbccdd), 0);
    CHECK_EQ(m_get(m, 0x61fff, 1), 0xdd);
    CHECK_EQ(m_get(m, 0x60000, 4), 0xaabbcc);
}

/* A 4 MiB page's address bits above 31 are reserved where CPUID has no PSE-36. */
static void test_pse36(struct machine *m)
{
    struct vcpu *v = m->vcpu;
    uint64_t value;

    for (unsigned old = 0; old < 2; old++) {
        struct cpu_model *model;
        const char *error;

        CHECK_EQ(cpu_model_parse(old ? "pentium" : "pentium3", &model, &error), 0);
        v->model = model;
        m_protected(m, 0);
        v->cr0 |= CR0_PG;
        v->cr3 = DIR;
        v->cr4 = CR4_PSE;
        m_put(m, DIR, 0x2083, 4); /* bit 13: address bit 32, where nothing is */
        mem_mode_changed(v);
        CHECK_EQ(mem_read(v, SEG_DS, 0x1000, 4, &value), old);
        if (old)
            CHECK_EQ(v->fault.error, 9);
        v->model = NULL;
        cpu_model_destroy(model);
    }
}

int main(void)
{
    struct machine m;

    m_create(&m);
    m_protected(&m, 0);
    test_matrix(&m);
    test_dirty(&m);
    test_straddle(&m);
    test_wrap(&m);
    test_pse36(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
