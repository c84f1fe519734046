/*
 * Page-table entries written by every form of instruction, by both rings, through the identity
 * mapping and through an alias, and over the end of a table. After each write and INVLPG, what the
 * page shows is compared with a fresh walk by hand.
 *
 * Reference: SDM volume 3, 4.10.4.
 */
#include "guests/lib/check.h"
#include "guests/lib/paging.h"
#include "guests/lib/snippet.h"
#include "guests/lib/trap.h"
#include "guests/paging_tests.h"

extern const struct snippet paging_edit_snippets[];

/* The pages edited are the test area's first ones; the frames that they may show: */
enum { EDITED = 24, FIRST_FRAME = 16, FRAMES = 16, ALIAS = PAGING_TEST + 0x100000 };

static uint32_t random_state = 12345;

static uint32_t chance(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return (random_state >> 8) % n;
}

static uint8_t *frame_page(unsigned i)
{
    return paging_page(FIRST_FRAME + i);
}

static void mark_frames(void)
{
    for (unsigned i = 0; i < FRAMES; i++)
        *(volatile uint32_t *)frame_page(i) = 0x5a000000 + i;
}

/* A fresh walk of one entry: does the access fault, and if not, which word is there? */
static bool walk(uint32_t address, bool user, bool write, uint32_t *word)
{
    uint32_t pte = *paging_pte(address);

    if (!(pte & PTE_P) || (user && !(pte & PTE_U)) || (write && !(pte & PTE_W)))
        return false;
    *word = *(volatile uint32_t *)(pte & 0xfffff000);
    return true;
}

static struct frame access_at(uint32_t address, bool user, bool write)
{
    static const uint8_t read_code[] = { 0x8b, 0x07, 0xcd, 0x30 }; /* mov (%edi), %eax */
    static const uint8_t write_code[] = { 0x87, 0x07, 0xcd, 0x30 }; /* xchg %eax, (%edi) */
    struct frame f = trap_frame((uint32_t)(write ? write_code : read_code), user ? 3 : 0);

    f.edi = address;
    f.eax = write ? *(volatile uint32_t *)(*paging_pte(address) & 0xfffff000) : 0;
    trap_run(&f);
    return f;
}

static void compare_with_walk(uint32_t address, const char *how)
{
    for (unsigned i = 0; i < 4; i++) {
        bool user = i & 1, write = i & 2;
        uint32_t word = 0;
        bool allowed = walk(address, user, write, &word);
        struct frame f = access_at(address, user, write);

        check_that(f.vector == (allowed ? (uint32_t)TRAP_END : (uint32_t)VEC_PF),
                   "%s: entry %x %s%s: trap %u", how, *paging_pte(address), user ? "user " : "",
                   write ? "write" : "read", f.vector);
        if (allowed && f.vector == TRAP_END)
            check_that(f.eax == word, "%s: entry %x shows %x, want %x", how, *paging_pte(address),
                       f.eax, word);
    }
}

static uint32_t random_entry(void)
{
    return (uint32_t)frame_page(chance(FRAMES)) | chance(8) | (chance(4) ? PTE_P : 0);
}

/* Runs a snippet on an entry as seen at linear address "at". */
static void edit(const struct snippet *s, uint32_t at, uint32_t value, unsigned ring)
{
    struct frame f = trap_frame((uint32_t)s->code, ring);

    f.edi = at;
    f.eax = value;
    trap_run(&f);
    check_that(f.vector == TRAP_END, "%s: trap %u error %x", s->name, f.vector, f.error);
}

/* The table itself, mapped a second time. */
static uint32_t alias_of(uint32_t entry)
{
    uint32_t alias = ALIAS + PAGE;

    for (int i = -1; i <= 2; i++) {
        paging_set(paging_pte(alias + i * PAGE),
                   ((entry & 0xfffff000) + i * PAGE) | PTE_P | PTE_W | PTE_U);
        invlpg(alias + i * PAGE);
    }
    return alias | (entry & 0xfff);
}

static void edit_and_compare(const struct snippet *s, bool alias, unsigned ring)
{
    uint32_t address = PAGING_TEST + chance(EDITED) * PAGE;
    uint32_t entry = (uint32_t)paging_pte(address), value = random_entry();

    edit(s, alias ? alias_of(entry) : entry, value, ring);
    invlpg(address);
    check_that((*paging_pte(address) & ~(PTE_A | PTE_D)) == value, "%s wrote %x, want %x", s->name,
               *paging_pte(address), value);
    compare_with_walk(address, s->name);
}

static void every_form(const char *name, bool alias, unsigned ring)
{
    check_begin(name);
    for (unsigned round = 0; round < 6; round++)
        for (const struct snippet *s = paging_edit_snippets; s->name; s++)
            edit_and_compare(s, alias, ring);
    check_end();
}

/* Without invlpg where none is needed: the entry was not present and never used. */
static void appear_without_invlpg(void)
{
    check_begin("edit-appear");
    for (const struct snippet *s = paging_edit_snippets; s->name; s++) {
        uint32_t address = PAGING_TEST + chance(EDITED) * PAGE;

        paging_set(paging_pte(address), 0);
        invlpg(address);
        check_equal("absent", access_at(address, true, false).vector, VEC_PF);
        edit(s, (uint32_t)paging_pte(address), (uint32_t)frame_page(3) | PTE_P | PTE_W | PTE_U, 0);
        compare_with_walk(address, s->name);
    }
    check_end();
}

/* A write that lies in two tables. The test table follows the last identity table in memory; the
 * bytes in the identity table stay what they are. */
static void over_the_end_of_a_table(void)
{
    uint32_t table = (uint32_t)paging_pte(PAGING_TEST) & 0xfffff000;
    uint32_t before = *(volatile uint32_t *)(table - 4);

    check_begin("edit-crossing");
    for (unsigned i = 0; i < 32; i++) {
        uint32_t value = random_entry();

        paging_set(paging_pte(PAGING_TEST), 0);
        *(volatile uint32_t *)(table - 2) = before >> 16 | value << 16;
        *(volatile uint32_t *)(table + 2) = value >> 16;
        invlpg(PAGING_TEST);
        compare_with_walk(PAGING_TEST, "crossing");
        check_equal("the other table's entry", *(volatile uint32_t *)(table - 4), before);
    }
    check_end();
}

/* Whole directory entries, taken away and given back. */
static void directory_entries(void)
{
    volatile uint32_t *pde = paging_pde(PAGING_TEST);
    uint64_t whole = paging_get(pde);

    check_begin("edit-directory");
    for (unsigned i = 0; i < 16; i++) {
        paging_set(paging_pte(PAGING_TEST),
                   (uint32_t)frame_page(i % FRAMES) | PTE_P | PTE_W | PTE_U);
        invlpg(PAGING_TEST);
        compare_with_walk(PAGING_TEST, "with its table");
        paging_set(pde, 0);
        write_cr3(read_cr3());
        check_equal("without its table", access_at(PAGING_TEST, true, false).vector, VEC_PF);
        paging_set(pde, whole & ~(uint64_t)PTE_U);
        write_cr3(read_cr3());
        check_equal("supervisor's table", access_at(PAGING_TEST, true, false).vector, VEC_PF);
        check_equal("for the supervisor", access_at(PAGING_TEST, false, true).vector, TRAP_END);
        paging_set(pde, whole);
        write_cr3(read_cr3());
    }
    check_end();
}

/* A page that was a table is an ordinary page again, and the other way round. */
static void tables_come_and_go(const struct paging_mode *mode)
{
    volatile uint32_t *pde = paging_pde(PAGING_TEST);
    uint64_t whole = paging_get(pde);
    volatile uint32_t *table = (volatile uint32_t *)paging_page(40);
    unsigned step = mode->pae ? 2 : 1;

    check_begin("edit-new-table");
    for (unsigned i = 0; i < 24; i++) {
        for (unsigned j = 0; j < 1024; j++)
            table[j] = i * j; /* data */
        for (unsigned j = 0; j < 1024; j++)
            table[j] = 0;
        table[7 * step] = (uint32_t)frame_page(i % FRAMES) | PTE_P | PTE_W | PTE_U;
        paging_set(pde, (uint32_t)table | PTE_P | PTE_W | PTE_U);
        write_cr3(read_cr3());
        check_equal("shown", *(volatile uint32_t *)(PAGING_TEST + 7 * PAGE),
                    0x5a000000 + i % FRAMES);
        table[8 * step] = (uint32_t)frame_page((i + 1) % FRAMES) | PTE_P | PTE_W | PTE_U;
        check_equal("the next", *(volatile uint32_t *)(PAGING_TEST + 8 * PAGE),
                    0x5a000000 + (i + 1) % FRAMES);
        paging_set(pde, whole);
        write_cr3(read_cr3());
    }
    check_end();
}

void paging_edit_tests(const struct paging_mode *mode)
{
    mark_frames();
    write_cr3(read_cr3());
    every_form("edit-kernel", false, 0);
    every_form("edit-user", false, 3);
    every_form("edit-alias", true, 0);
    every_form("edit-alias-user", true, 3);
    appear_without_invlpg();
    over_the_end_of_a_table();
    directory_entries();
    tables_come_and_go(mode);
}
