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

#include "cpu/mem.h"
#include "cpu/paging.h"
#include "shadowmm/view.h"
#include "tests/machine.h"
#include "tests/random.h"
#include "tests/shadow/shadow_check.h"
#include "translator/unit.h"

/*
 * Guest physical: the machine's own below 2 MiB, then these. Linear: all RAM below 4 MiB where it
 * is, and some once more for CPL 0 alone, by tables that are never edited; the test areas, by
 * tables that all roots share; aliases of all tables; and each root's directories as their own page
 * tables.
 */
enum {
    CODE = 0x60000, CODE_COPIES = 120, STACK = 0x5f000,
    ROOTS = 3, PTES = 8,
    ROOT_AT = 0x200000,              /* roots: a page (PDPT) and four directories each */
    PT_AT = 0x210000,                /* page tables: for the test areas ... */
    FIXED_PT_AT = 0x220000,          /* ... for what is never edited */
    MANY_AT = 0x240000, MANY = 180,  /* more page tables, which random PDEs point to */
    TABLES_END = 0x300000,
    DATA = 0x400000,                 /* frames to be seen through entries, up to the end of RAM */
    ALIAS = 0x30000000,
    SUPERVISOR = 0x38000000,         /* what is below 2 MiB once more, for CPL 0 alone */
    AREA = 0x40000000, AREAS = 6,    /* one directory entry each */
};

static uint64_t seed_state;

static uint32_t rnd(uint32_t n)
{
    return (uint32_t)(random_next(&seed_state) >> 16) % n;
}

struct test {
    struct machine m;
    bool pae, full;
    unsigned span;      /* log2 of what a directory entry maps */
    unsigned bytes;     /* of an entry */
    unsigned root;
    bool directory_edited; /* since CR3 was written: the self-map may show what was there before */
    unsigned rounds, failures;
    struct segment seg[SEG_COUNT];
};

struct form {
    const char *name;
    const uint8_t *code, *end;
    uint64_t wide;
};

extern const struct form shadow_forms[];
extern const uint8_t shadow_read[], shadow_read_end[], shadow_write[], shadow_write_end[],
    shadow_add[], shadow_add_end[], shadow_invlpg[], shadow_invlpg_end[], shadow_cr3[],
    shadow_cr3_end[], shadow_cr0[], shadow_cr0_end[];

static void fail(struct test *t, const char *what, uint64_t a, uint64_t b)
{
    if (t->failures++ < 20)
        printf("round %u, %s: %s: %llx, %llx\n", t->rounds, t->pae ? "PAE" : "32-bit", what,
               (unsigned long long)a, (unsigned long long)b);
}

/* --- Guest memory, from outside ------------------------------------------------------- */

static uint64_t peek(struct test *t, uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, physmem_ptr(&t->m.mem, gpa), bytes);
    return value;
}

static void poke(struct test *t, uint64_t gpa, unsigned bytes, uint64_t value)
{
    physmem_write(&t->m.mem, gpa, &value, bytes);
}

static uint64_t root_gpa(const struct test *t, unsigned root)
{
    return ROOT_AT + root * 0x5000 + (t->pae ? 0 : 0x1000);
}

/* Where the directory entry for gla is. */
static uint64_t pde_gpa(const struct test *t, unsigned root, uint32_t gla)
{
    uint64_t directories = ROOT_AT + root * 0x5000 + 0x1000;

    return directories + (uint64_t)(gla >> t->span) * t->bytes;
}

static void set_pde(struct test *t, uint32_t gla, uint64_t value)
{
    for (unsigned root = 0; root < ROOTS; root++)
        poke(t, pde_gpa(t, root, gla), t->bytes, value);
}

static unsigned index_in(const struct test *t, uint32_t gla)
{
    return gla >> PAGE_SHIFT & ((1u << (t->span - PAGE_SHIFT)) - 1);
}

static uint32_t area_at(const struct test *t, unsigned area)
{
    return AREA + (area << t->span);
}

/* The linear address at which root maps its own directories as page tables. */
static uint32_t self_map(const struct test *t)
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

static void make_world(struct test *t)
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

enum { ENDED = 0x100 }; /* not a vector */

/* Runs from rip on with edi, eax, edx; returns the vector of the exception it ended with, or
 * ENDED. */
static unsigned run_at(struct test *t, uint32_t rip, bool user, uint32_t edi, uint64_t value)
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

/* The same with a copy of code. Copies at several places keep sites from adapting all at once; a
 * kernel's are run where only it may, half of the times. */
static unsigned run(struct test *t, const uint8_t *code, const uint8_t *end, bool user,
                    uint32_t edi, uint64_t value)
{
    uint32_t at = CODE + rnd(CODE_COPIES) * 256;

    if (memcmp(physmem_ptr(&t->m.mem, at), code, (size_t)(end - code)))
        physmem_write(&t->m.mem, at, code, (uint64_t)(end - code));
    return run_at(t, user || rnd(2) ? at : SUPERVISOR + at, user, edi, value);
}

#define RUN(t, name, user, edi, value) \
    run(t, shadow_##name, shadow_##name##_end, user, edi, value)

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

/* An access to gla, whose translation must be that of memory now. */
static void access_and_compare(struct test *t, uint32_t gla, bool user, bool write)
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

static void check_shadow(struct test *t, bool synced)
{
    struct translator *bt = t->m.vcpu->engine_state;

    if (t->m.engine != &engine_translator)
        return;
    t->failures += shadow_check(bt->sm, synced);
    if (t->rounds % 64 == 0 && !t->full)
        t->failures += shadow_check_maps(bt->sm);
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

/*
 * A run of pages, contiguous in a page table and on in the next one, one of which is that next
 * table, not traced yet: with the run mapped it is, and must not be writable.
 */
static void run_over_its_own_table(struct test *t)
{
    uint32_t last = area_at(t, 3) - PAGE_SIZE, table = DATA + PAGE_SIZE;
    uint64_t two = peek(t, pde_gpa(t, 0, last), t->bytes) & 0xffffff000;

    poke(t, two + index_in(t, last - PAGE_SIZE) * t->bytes, t->bytes, DATA | 0x67);
    poke(t, two + index_in(t, last) * t->bytes, t->bytes, table | 0x67);
    poke(t, table, t->bytes, (table + PAGE_SIZE) | 0x67);
    set_pde(t, area_at(t, 3), table | 0x27);
    access_and_compare(t, last - PAGE_SIZE, false, true);
    check_shadow(t, false);
    RUN(t, write, false, last - 8, 0); /* entry 0, through the run */
    check_shadow(t, false);
    set_pde(t, area_at(t, 3), (PT_AT + 3 * PAGE_SIZE) | 7);
    poke(t, table, t->bytes, 0xd0000000 | table >> PAGE_SHIFT);
    RUN(t, cr3, false, 0, root_gpa(t, 0));
}

/*
 * A page that was mapped read-only, alone, until its first write finds that it is the table of the
 * next ones: what was mapped must be known to be, and go when the guest takes the page away.
 */
static void own_table_written_late(struct test *t)
{
    uint32_t last = area_at(t, 3) - PAGE_SIZE, table = DATA + 5 * PAGE_SIZE;
    uint64_t entry = (peek(t, pde_gpa(t, 0, last), t->bytes) & 0xffffff000) +
                     index_in(t, last) * t->bytes;

    RUN(t, cr3, false, 0, root_gpa(t, 0));
    poke(t, entry, t->bytes, table | 0x27);
    poke(t, table, t->bytes, (table + PAGE_SIZE) | 0x67);
    set_pde(t, area_at(t, 3), table | 0x27);
    RUN(t, cr3, false, 0, root_gpa(t, 0));
    access_and_compare(t, last, false, false);
    access_and_compare(t, last + 0x100, false, true);
    check_shadow(t, false);
    poke(t, entry, t->bytes, 0);
    RUN(t, invlpg, false, last, 0);
    access_and_compare(t, last, false, false);
    set_pde(t, area_at(t, 3), (PT_AT + 3 * PAGE_SIZE) | 7);
    poke(t, table, t->bytes, 0xd0000000 | table >> PAGE_SHIFT);
    poke(t, table + 0x108, 4, 0);
    RUN(t, cr3, false, 0, root_gpa(t, 0));
}

/* INVLPG of any address in a large page takes all of it. */
static void large_page_goes_whole(struct test *t)
{
    uint32_t gla = area_at(t, 3);

    set_pde(t, gla, DATA | 0xe7);
    RUN(t, cr3, false, 0, root_gpa(t, 0));
    access_and_compare(t, gla + 5 * PAGE_SIZE, false, false);
    set_pde(t, gla, 0xe7);
    RUN(t, invlpg, false, gla + 9 * PAGE_SIZE, 0);
    access_and_compare(t, gla + 5 * PAGE_SIZE, false, false);
    set_pde(t, gla, (PT_AT + 3 * PAGE_SIZE) | 7);
    RUN(t, cr3, false, 0, root_gpa(t, 0));
}

/* movl $what, %eax; hlt, at offset 0 and 64 of a frame. */
static void put_marked_code(struct test *t, uint32_t gpa, uint8_t what)
{
    const uint8_t code[] = { 0xb8, what, 0, 0, 0, 0xf4 };

    physmem_write(&t->m.mem, gpa, code, sizeof(code));
    physmem_write(&t->m.mem, gpa + 64, code, sizeof(code));
}

static void want_code(struct test *t, uint32_t gla, uint64_t what)
{
    run_at(t, gla, false, 0, 0);
    if (t->m.vcpu->gpr[RAX] != what)
        fail(t, "other code than the tables'", t->m.vcpu->gpr[RAX], what);
}

/*
 * The entry for a page of code is changed; before that is made known, other code in the page is run
 * for the first time. Old or new, then; but new after CR3 has been written.
 */
static void stale_code(struct test *t)
{
    uint32_t gla = area_at(t, 0), one = DATA + 16 * PAGE_SIZE, two = one + PAGE_SIZE;
    uint64_t entry = PT_AT + index_in(t, gla) * t->bytes;
    uint64_t other = MANY_AT + index_in(t, gla) * t->bytes;

    put_marked_code(t, one, 1);
    put_marked_code(t, two, 2);
    for (unsigned i = 0; i < 2; i++) { /* with A clear, and set */
        poke(t, entry, t->bytes, one | 3);
        RUN(t, cr3, false, 0, root_gpa(t, 0));
        want_code(t, gla, 1);
        poke(t, entry, t->bytes, two | (i ? 0x23 : 3));
        run_at(t, gla + 64, false, 0, 0);
        RUN(t, cr3, false, 0, root_gpa(t, 0));
        want_code(t, gla + 64, 2);
        want_code(t, gla, 2);
    }
    poke(t, entry, t->bytes, one | 3);
    RUN(t, invlpg, false, gla, 0);
    want_code(t, gla, 1);
    poke(t, other, t->bytes, two | 3); /* another root has another table there */
    poke(t, pde_gpa(t, 1, gla), t->bytes, MANY_AT | 7);
    for (unsigned i = 0; i < 4; i++) {
        RUN(t, cr3, false, 0, root_gpa(t, i & 1));
        want_code(t, gla, i & 1 ? 2 : 1);
        want_code(t, gla + 64, i & 1 ? 2 : 1);
    }
    poke(t, pde_gpa(t, 1, gla), t->bytes, PT_AT | 7);
    poke(t, other, t->bytes, 0);
    poke(t, entry, t->bytes, 0);
    RUN(t, cr3, false, 0, root_gpa(t, 0));
    poke(t, one, 4, 0xd0000000 | one >> PAGE_SHIFT);
    poke(t, two, 4, 0xd0000000 | two >> PAGE_SHIFT);
}

/* invlpg [edi]; movl $what, %eax; hlt */
static void put_invalidating_code(struct test *t, uint32_t gpa, uint8_t what)
{
    const uint8_t code[] = { 0x0f, 0x01, 0x3f, 0xb8, what, 0, 0, 0, 0xf4 };

    physmem_write(&t->m.mem, gpa, code, sizeof(code));
}

/* Code that invalidates its own page goes on in the new one. */
static void own_page_goes(struct test *t)
{
    uint32_t gla = area_at(t, 0), one = DATA + 16 * PAGE_SIZE, two = one + PAGE_SIZE;
    uint64_t entry = PT_AT + index_in(t, gla) * t->bytes;

    put_invalidating_code(t, one, 1);
    put_invalidating_code(t, two, 2);
    poke(t, entry, t->bytes, one | 3);
    RUN(t, cr3, false, 0, root_gpa(t, 0));
    for (uint64_t i = 1; i <= 2; i++) {
        run_at(t, gla, false, i == 1 ? gla + PAGE_SIZE : gla, 0);
        if (t->m.vcpu->gpr[RAX] != i)
            fail(t, "code behind the INVLPG of its own page", t->m.vcpu->gpr[RAX], i);
        poke(t, entry, t->bytes, two | 3);
    }
    poke(t, entry, t->bytes, 0);
    RUN(t, cr3, false, 0, root_gpa(t, 0));
    poke(t, one, 4, 0xd0000000 | one >> PAGE_SHIFT);
    poke(t, two, 4, 0xd0000000 | two >> PAGE_SHIFT);
}

/* A top-level entry that is gone when it is recorded, as a disk writes beside the CPU: it is listed
 * once, and found broken by the next CR3 write. */
static void shared_entry_goes(struct test *t)
{
    struct translator *bt = t->m.vcpu->engine_state;
    unsigned used;

    if (t->m.engine != &engine_translator || !bt->sm->share.on || t->pae)
        return;
    used = bt->sm->share.used;
    for (unsigned i = 0; i < 4; i++)
        share_filled(bt->sm, area_at(t, AREAS));
    if (bt->sm->share.used != used + 1)
        fail(t, "entries listed for one", bt->sm->share.used, used + 1);
    share_check(bt->sm);
    if (bt->sm->share.used != used)
        fail(t, "entries listed afterwards", bt->sm->share.used, used);
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

    seed_state = seed * 0x9e3779b97f4a7c15ull + 1;
    if (machine_create(&t.m, engine))
        return 1;
    make_world(&t);
    run_over_its_own_table(&t);
    own_table_written_late(&t);
    large_page_goes_whole(&t);
    stale_code(&t);
    own_page_goes(&t);
    shared_entry_goes(&t);
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
