/*
 * Page tables in both formats.
 *
 * Reference: SDM volume 3, sections 4.3 and 4.4.
 */
#include "guests/lib/paging.h"

#include "guests/lib/trap.h"

enum { TABLES = 9 }; /* 16 MiB need 8 PAE tables; one more for the test area */

static uint32_t tables[TABLES][1024] __attribute__((aligned(PAGE)));
static uint32_t directories[4][1024] __attribute__((aligned(PAGE)));
static uint64_t pdpt[4] __attribute__((aligned(32)));
static uint8_t pages[PAGING_PAGES][PAGE] __attribute__((aligned(PAGE)));
static bool is_pae;

void paging_set(volatile uint32_t *entry, uint64_t value)
{
    entry[0] = value;
    if (is_pae)
        entry[1] = value >> 32;
}

uint64_t paging_get(volatile const uint32_t *entry)
{
    return entry[0] | (is_pae ? (uint64_t)entry[1] << 32 : 0);
}

volatile uint32_t *paging_pde(uint32_t address)
{
    if (is_pae)
        return &directories[address >> 30][(address >> 21 & 511) * 2];
    return &directories[0][address >> 22];
}

/* The tables are used in order; which one holds an address follows from the address alone. */
static uint32_t *table_of(uint32_t address)
{
    if (address >= PAGING_IDENTITY)
        return tables[TABLES - 1];
    return tables[address >> (is_pae ? 21 : 22)];
}

volatile uint32_t *paging_pte(uint32_t address)
{
    if (is_pae)
        return &table_of(address)[(address >> 12 & 511) * 2];
    return &table_of(address)[address >> 12 & 1023];
}

static void clear(void)
{
    for (unsigned i = 0; i < TABLES; i++)
        for (unsigned j = 0; j < 1024; j++)
            tables[i][j] = 0;
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < 1024; j++)
            directories[i][j] = 0;
}

static void fill(void)
{
    for (uint32_t a = 0; a < PAGING_IDENTITY; a += PAGE)
        paging_set(paging_pte(a), a | PTE_P | PTE_W | PTE_U);
    for (uint32_t a = 0; a < PAGING_IDENTITY; a += 2 << 20)
        paging_set(paging_pde(a), (uint32_t)table_of(a) | PTE_P | PTE_W | PTE_U);
    paging_set(paging_pde(PAGING_TEST),
               (uint32_t)table_of(PAGING_TEST) | PTE_P | PTE_W | PTE_U);
    for (unsigned i = 0; i < 4; i++)
        pdpt[i] = (uint32_t)directories[i] | PTE_P;
}

void paging_off(void)
{
    write_cr0(read_cr0() & ~CR0_PG);
    write_cr4(read_cr4() & ~(CR4_PAE | CR4_PSE | CR4_PGE));
}

void paging_init(bool pae, bool nx)
{
    paging_off();
    is_pae = pae;
    clear();
    fill();
    if (pae)
        write_cr4(read_cr4() | CR4_PAE);
    if (nx)
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    trap_set_cr3(pae ? (uint32_t)pdpt : (uint32_t)directories[0]);
    write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

uint8_t *paging_page(unsigned i)
{
    return pages[i];
}
