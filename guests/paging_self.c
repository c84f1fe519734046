/*
 * Directories that map themselves, as several kernels have them: an entry of the directory points
 * to the directory, so that all page tables appear in a row, and the directory among them, as a
 * page table of its own level. Entries are edited there, and what they map must follow: at once
 * where nothing was present before, after INVLPG or a write of CR3 otherwise.
 *
 * Reference: SDM volume 3, 4.10.4.
 */
#include "guests/lib/check.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"
#include "guests/paging_tests.h"

enum { SECOND_TABLE = 41, SECOND_DIRECTORY = 42, FIRST_FRAME = 16, FRAMES = 16, ROUNDS = 48,
       LARGE_AT = 0x800000, LARGE_LINEAR = 0x50000000 };

static bool is_pae;

static uint32_t map_start(void)
{
    return is_pae ? 0xff800000 : 0xffc00000;
}

static uint32_t span(void)
{
    return is_pae ? 2 << 20 : 4 << 20;
}

static volatile uint32_t *self_pte(uint32_t address)
{
    return (volatile uint32_t *)(map_start() + (address >> 12) * (is_pae ? 8 : 4));
}

static volatile uint32_t *self_pde(uint32_t address)
{
    return self_pte((uint32_t)self_pte(address));
}

static uint32_t page_of(volatile const uint32_t *entry)
{
    return (uint32_t)entry & 0xfffff000;
}

static void map_self(void)
{
    for (uint32_t i = 0; i < (is_pae ? 4 : 1); i++)
        paging_set(paging_pde(map_start() + i * span()),
                   page_of(paging_pde(i << 30)) | PTE_P | PTE_W);
    write_cr3(read_cr3());
}

static uint8_t *frame_page(unsigned i)
{
    return paging_page(FIRST_FRAME + i % FRAMES);
}

static uint32_t peek(uint32_t address)
{
    return *(volatile uint32_t *)address;
}

static uint64_t mapping(unsigned i)
{
    return (uint32_t)frame_page(i) | PTE_P | PTE_W | PTE_U;
}

static void invalidate(uint32_t address, unsigned how)
{
    if (how % 2)
        invlpg(address);
    else
        write_cr3(read_cr3());
}

static void shows_itself(void)
{
    const uint64_t used = PTE_A | PTE_D;

    check_begin("self-map");
    for (uint32_t a = 0; a < PAGING_IDENTITY; a += 0x123000) {
        check_equal("an entry", *self_pte(a) & ~used, *paging_pte(a) & ~used);
        check_equal("its directory's", *self_pde(a) & ~used, *paging_pde(a) & ~used);
    }
    check_end();
}

/* Page-table entries. */
static void edits_pages(void)
{
    check_begin("self-edit");
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t address = PAGING_TEST + i % 5 * PAGE;

        paging_set(self_pte(address), 0);
        invalidate(address, i);
        paging_set(self_pte(address), mapping(i));
        check_equal("what appears, at once", peek(address), 0x5a000000 + i % FRAMES);
        paging_set(self_pte(address), mapping(i + 1));
        invalidate(address, i / 2);
        check_equal("what changes", peek(address), 0x5a000000 + (i + 1) % FRAMES);
        *(volatile uint32_t *)(address + 4) = i;
        check_equal("what is written", *(volatile uint32_t *)(frame_page(i + 1) + 4), i);
        check_equal("A and D", *self_pte(address) & (PTE_A | PTE_D), PTE_A | PTE_D);
    }
    check_end();
}

/* Directory entries: with the area's table, its place in the map changes too. */
static void edits_directories(void)
{
    uint64_t first = paging_get(paging_pde(PAGING_TEST));
    uint64_t second = (uint32_t)paging_page(SECOND_TABLE) | PTE_P | PTE_W | PTE_U;

    check_begin("self-directory");
    paging_set(self_pte(PAGING_TEST), mapping(0));
    paging_set((volatile uint32_t *)paging_page(SECOND_TABLE), mapping(1));
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned now = (i + 1) % 2;

        paging_set(self_pde(PAGING_TEST), now ? second : first);
        invalidate(PAGING_TEST, i / 2);
        invalidate((uint32_t)self_pte(PAGING_TEST), i / 2);
        check_equal("the table's entry", *self_pte(PAGING_TEST) & 0xfffff000,
                    (uint32_t)frame_page(now));
        check_equal("the page", peek(PAGING_TEST), 0x5a000000 + now);
        paging_set(self_pte(PAGING_TEST + PAGE), mapping(2 + i));
        invlpg(PAGING_TEST + PAGE);
        check_equal("the next page", peek(PAGING_TEST + PAGE), 0x5a000000 + (2 + i) % FRAMES);
        paging_set(self_pde(PAGING_TEST), 0);
        paging_set(self_pde(PAGING_TEST), now ? second : first);
    }
    paging_set(self_pde(PAGING_TEST), first);
    write_cr3(read_cr3());
    check_end();
}

/* The map moved to another directory and back, as kernels do to see another process's tables. */
static void moves(void)
{
    volatile uint32_t *there = paging_pde(map_start() + (is_pae ? span() : 0));
    volatile uint32_t *entry = paging_pde(PAGING_TEST);
    volatile uint32_t *directory = (volatile uint32_t *)paging_page(SECOND_DIRECTORY);
    volatile uint32_t *table = (volatile uint32_t *)paging_page(SECOND_TABLE);
    uint64_t own = paging_get(there);

    check_begin("self-move");
    for (unsigned i = 0; i < 1024; i++)
        directory[i] = ((volatile uint32_t *)page_of(entry))[i];
    paging_set(directory + ((uint32_t)entry & 0xfff) / 4, (uint32_t)table | PTE_P | PTE_W);
    paging_set(self_pte(PAGING_TEST), mapping(7));
    invlpg(PAGING_TEST);
    for (unsigned i = 0; i < ROUNDS; i++) {
        paging_set(there, (uint32_t)directory | PTE_P | PTE_W);
        write_cr3(read_cr3());
        paging_set(self_pte(PAGING_TEST), mapping(i));
        check_equal("the other's table", *table & 0xfffff000, (uint32_t)frame_page(i));
        invlpg(PAGING_TEST);
        check_equal("the own page", peek(PAGING_TEST), 0x5a000007);
        paging_set(there, own);
        write_cr3(read_cr3());
        check_equal("the own entry", *self_pte(PAGING_TEST) & 0xfffff000, (uint32_t)frame_page(7));
        check_equal("the own page again", peek(PAGING_TEST), 0x5a000007);
    }
    check_end();
}

/* A large page in the place of a table. */
static void large(void)
{
    volatile uint32_t *table = (volatile uint32_t *)paging_page(SECOND_TABLE);

    if (!is_pae && !(cpuid_features() & CPUID_PSE)) {
        check_skip("self-large", "no PSE");
        return;
    }
    check_begin("self-large");
    if (!is_pae)
        write_cr4(read_cr4() | CR4_PSE);
    *(volatile uint32_t *)(LARGE_AT + PAGE) = 0x1a49e;
    paging_set(table + (is_pae ? 2 : 1), mapping(3));
    for (unsigned i = 0; i < ROUNDS; i++) {
        paging_set(self_pde(LARGE_LINEAR), LARGE_AT | PTE_P | PTE_W | PTE_PS);
        invalidate(LARGE_LINEAR + PAGE, i);
        check_equal("large", peek(LARGE_LINEAR + PAGE), 0x1a49e);
        paging_set(self_pde(LARGE_LINEAR), (uint32_t)table | PTE_P | PTE_W);
        invalidate(LARGE_LINEAR + 2 * PAGE, i);
        if (i % 2 == 0)
            check_equal("small after CR3", peek(LARGE_LINEAR + PAGE), 0x5a000003);
        invlpg(LARGE_LINEAR + PAGE);
        check_equal("small after INVLPG", peek(LARGE_LINEAR + PAGE), 0x5a000003);
    }
    paging_set(self_pde(LARGE_LINEAR), 0);
    write_cr3(read_cr3());
    if (!is_pae)
        write_cr4(read_cr4() & ~CR4_PSE);
    check_end();
}

void paging_self_tests(const struct paging_mode *mode)
{
    is_pae = mode->pae;
    for (unsigned i = 0; i < FRAMES; i++)
        *(volatile uint32_t *)frame_page(i) = 0x5a000000 + i;
    map_self();
    shows_itself();
    edits_pages();
    edits_directories();
    moves();
    large();
    for (uint32_t i = 0; i < (is_pae ? 4 : 1); i++)
        paging_set(paging_pde(map_start() + i * span()), 0);
    write_cr3(read_cr3());
}
