/*
 * The shadow against the guest's tables: see shadow_check.h. The walk is written here once more,
 * and goes through the copies of traced tables: that is what S2 and S3 are about. With all tables
 * in step with memory (S4), it is a fresh walk.
 */
#include "tests/shadow/shadow_check.h"

#include <stdio.h>

#include "shadowmm/view.h"

#define BAD_MAX 10
#define SHARED 31 /* as a view's number: what all views share */

static unsigned bad;

static void complain(const char *what, unsigned view, bool user, uint64_t gla, uint64_t got)
{
    if (bad++ < BAD_MAX)
        printf("shadow: %s: view %u%s, gla %llx, %llx\n", what, view, user ? " user" : "",
               (unsigned long long)gla, (unsigned long long)got);
}

/* --- The walk ------------------------------------------------------------------------ */

struct cached {
    bool traced, present, writable, user, nx, accessed, dirty;
    uint64_t gpa;
};

static uint64_t entry_of(const uint8_t *table, unsigned index, bool pae)
{
    return pae ? ((const uint64_t *)(const void *)table)[index]
               : ((const uint32_t *)(const void *)table)[index];
}

/* One level: the entry as its table's copy has it. */
static bool known_at(const struct table *t, unsigned view, uint64_t base, unsigned shift)
{
    bool known = false;

    for (unsigned i = 0; t && i < t->places; i++)
        known |= t->place[i].base == base && t->place[i].shift == shift &&
                 t->place[i].views >> view & 1;
    return known;
}

static uint64_t level(const struct shadowmm *sm, unsigned view, uint64_t table, uint64_t gla,
                      unsigned shift, bool pae, struct cached *c)
{
    const struct table *t = sm->table_of[table >> PAGE_SHIFT];
    unsigned index = (unsigned)(gla >> shift) & (pae ? 511 : 1023);
    uint64_t base = gla & ~(((pae ? 512ull : 1024ull) << shift) - 1), entry;
    if (view == SHARED && shift == 22) { /* H2: recorded, not traced */
        entry = sm->share.entry[gla >> 22];
    } else {
        c->traced &= known_at(t, view, base, shift);
        entry = t ? entry_of((const uint8_t *)t->copy, index, pae) : 0;
    }
    c->present &= entry & 1;
    c->writable &= entry >> 1 & 1;
    c->user &= entry >> 2 & 1;
    c->accessed &= entry >> 5 & 1;
    c->dirty = entry >> 6 & 1;
    c->nx |= pae && entry >> 63;
    return entry;
}

static void walk(const struct shadowmm *sm, unsigned v, uint64_t gla, struct cached *c)
{
    const struct vcpu *vcpu = sm->vcpu;
    const struct view *view = &sm->view[v == SHARED ? sm->current : v];
    bool pae = vcpu->cr4 & CR4_PAE;
    unsigned shift = pae ? 21 : 22;
    uint64_t table = pae ? view->pdpte[gla >> 30 & 3] : view->cr3, entry;

    *c = (struct cached){ true, true, true, true, false, true, false, 0 };
    if (v == SHARED && pae)
        table = sm->share.entry[gla >> 30 & 3];
    table &= 0xffffff000;
    for (;; shift = PAGE_SHIFT) {
        bool large;

        entry = level(sm, v, table, gla, shift, pae, c);
        table = entry & 0xffffff000;
        large = shift != PAGE_SHIFT && entry & 0x80 && (pae || vcpu->cr4 & CR4_PSE);
        if (!c->traced || !c->present)
            return;
        if (shift == PAGE_SHIFT || large)
            break;
        if (table >= vcpu->mem->size) {
            c->present = false;
            return;
        }
    }
    c->gpa = (table & ~((1ull << shift) - 1)) | (gla & ((1ull << shift) - 1));
}

/* --- What is cached ------------------------------------------------------------------ */

static void check_page(const struct shadowmm *sm, unsigned v, bool user, uint64_t gla, uint64_t gpa,
                       bool write, bool exec)
{
    struct cached c = { .traced = true, .present = true, .writable = true, .user = true,
                        .accessed = true, .dirty = true, .gpa = gla };

    if (v == SHARED || sm->view[v].paging)
        walk(sm, v, gla, &c);
    if (!c.traced) {
        complain("from a table that is not traced there", v, user, gla, gpa);
        return;
    }
    if (!c.present || c.gpa != gpa)
        complain("another frame than the tables'", v, user, gla, gpa);
    if ((user && !c.user) || (exec && c.nx) ||
        (write && !c.writable && (user || sm->vcpu->cr0 & CR0_WP)))
        complain("more rights than the tables'", v, user, gla, gpa);
    if (!c.accessed || (write && !c.dirty))
        complain("without A or D", v, user, gla, gpa);
    if (write && sm->vcpu->mem->watch[gpa >> PAGE_SHIFT])
        complain("a write right to a watched frame", v, user, gla, gpa);
}

static void check_tlb(const struct shadowmm *sm, unsigned v, bool user)
{
    const struct tlb *tlb = &sm->view[v].tlb[user];

    for (unsigned i = 0; i < TLB_ENTRIES; i++)
        for (unsigned access = 0; access < 3; access++) {
            uint64_t gla = -tlb->tag[access][i] << PAGE_SHIFT;

            if (tlb->tag[access][i] != TLB_NONE)
                check_page(sm, v, user, gla,
                           tlb->addend[i] + gla - (uint64_t)(uintptr_t)sm->vcpu->mem->ram,
                           access == MEM_WRITE, access == MEM_EXEC);
        }
}

static void check_window(const struct shadowmm *sm, const struct window *w, unsigned v, bool user)
{
    for (unsigned i = 0; w && i < w->areas; i++) {
        const struct area *a = &w->area[i];
        unsigned step = a->count > 64 ? a->count / 37 : 1;

        if (i && w->area[i - 1].page + w->area[i - 1].count > a->page)
            complain("areas overlap", v, user, (uint64_t)a->page << PAGE_SHIFT, i);
        for (unsigned n = 0; n < a->count; n += step)
            check_page(sm, v, user, (uint64_t)(a->page + n) << PAGE_SHIFT,
                       (uint64_t)(a->gfn + n) << PAGE_SHIFT, a->rights.write, false);
        for (unsigned n = 0; n < a->count && a->rights.write; n++)
            if (sm->vcpu->mem->watch[a->gfn + n])
                complain("a writable area with a watched frame", v, user,
                         (uint64_t)(a->page + n) << PAGE_SHIFT, a->gfn + n);
    }
}

/* H1, H2; the table of the current root's top level, or its PDPTEs. */
static void check_share(const struct shadowmm *sm, bool synced)
{
    const struct vcpu *vcpu = sm->vcpu;
    bool pae = vcpu->cr4 & CR4_PAE;
    const uint8_t *top = physmem_ptr(vcpu->mem, vcpu->cr3 & 0xfffff000);

    check_window(sm, sm->share.window, SHARED, false);
    for (unsigned i = 0; i < sm->share.window->areas; i++) {
        uint64_t gla = (uint64_t)sm->share.window->area[i].page << PAGE_SHIFT;
        struct cached c;

        walk(sm, SHARED, gla, &c);
        if (c.user)
            complain("H1: a user page is shared", SHARED, false, gla, c.gpa);
    }
    for (unsigned i = 0; i < sm->share.used && synced; i++) {
        unsigned index = sm->share.index[i];
        uint64_t now = pae ? vcpu->pdpte[index] : entry_of(top, index, false);

        if (entry_contradicts(sm->share.entry[index], now))
            complain("H2: another root's entry", SHARED, false, index, now);
    }
}

static void check_tables(const struct shadowmm *sm, bool synced)
{
    for (uint64_t gfn = 0; gfn < sm->vcpu->mem->size >> PAGE_SHIFT; gfn++) {
        const struct table *t = sm->table_of[gfn];
        const uint64_t *now = (const void *)physmem_ptr(sm->vcpu->mem, gfn << PAGE_SHIFT);

        if (!t)
            continue;
        if (t->unsync == !!(sm->vcpu->mem->watch[gfn] & WATCH_TABLE))
            complain("S1: watched and unsynced, or neither", 0, false, 0, gfn);
        if (t->unsync && synced)
            complain("S4: unsynced after a CR3 write", 0, false, 0, gfn);
        for (unsigned i = 0; i < PAGE_SIZE / 8 && !t->unsync; i++)
            if ((t->copy[i] ^ now[i]) & ~0x0000006000000060ull)
                complain("S2: a traced table differs from its copy", 0, false, i, gfn);
    }
}

unsigned shadow_check(struct shadowmm *sm, bool synced)
{
    bad = 0;
    check_tables(sm, synced);
    for (unsigned v = 0; v < sm->view_count; v++)
        for (unsigned user = 0; user < 2 && sm->view[v].valid; user++) {
            check_tlb(sm, v, user);
            check_window(sm, sm->view[v].window[user], v, user);
        }
    if (sm->share.on)
        check_share(sm, synced);
    return bad;
}

/* --- The host's side ------------------------------------------------------------------- */

static const struct area *area_at(const struct window *w, uint64_t page)
{
    for (unsigned i = 0; i < w->areas; i++)
        if (page - w->area[i].page < w->area[i].count)
            return &w->area[i];
    return NULL;
}

/* One mapping of the host's, clipped to the window. Returns how many of its pages are
 * accessible. */
static uint64_t check_mapping(const struct window *w, uint64_t from, uint64_t to,
                              const char *rights, uint64_t offset)
{
    uint64_t base = (uint64_t)(uintptr_t)w->base, end = base + (1ull << 32), pages = 0;

    if (from < base) { /* a sanitizer's mapping has more pages than one can look at */
        offset += base - from;
        from = base;
    }
    for (uint64_t at = from; at < to && at < end; at += PAGE_SIZE, offset += PAGE_SIZE) {
        uint64_t page = (at - base) >> PAGE_SHIFT;
        const struct area *a;

        pages++;
        a = area_at(w, page);
        if (!a || (offset >> PAGE_SHIFT) != a->gfn + (page - a->page) ||
            a->rights.write != (rights[1] == 'w'))
            complain("the host has something else mapped", 0, false, page << PAGE_SHIFT, offset);
    }
    return pages;
}

static void check_host(const struct window *w)
{
    FILE *f = fopen("/proc/self/maps", "re");
    uint64_t pages = 0, mapped = 0;
    char line[512];

    for (unsigned i = 0; i < w->areas; i++)
        pages += w->area[i].count;
    while (f && fgets(line, sizeof(line), f)) {
        unsigned long long from, to, offset;
        char rights[8];

        if (sscanf(line, "%llx-%llx %7s %llx", &from, &to, rights, &offset) == 4 &&
            rights[0] == 'r')
            mapped += check_mapping(w, from, to, rights, offset);
    }
    if (f)
        fclose(f);
    if (pages != mapped)
        complain("the host has another number of pages", 0, false, pages, mapped);
}

unsigned shadow_check_maps(const struct shadowmm *sm)
{
    bad = 0;
    for (unsigned i = 0; i < WINDOWS_MAX; i++)
        if (sm->pool[i].base)
            check_host(&sm->pool[i]);
    return bad;
}
