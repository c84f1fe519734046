/* Edits of page tables, a case a function. See shadow_cases.h. */
#include "tests/shadow/shadow_cases.h"

#include "shadowmm/view.h"
#include "translator/unit.h"

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

void shadow_cases(struct test *t)
{
    run_over_its_own_table(t);
    own_table_written_late(t);
    large_page_goes_whole(t);
    stale_code(t);
    own_page_goes(t);
    shared_entry_goes(t);
}
