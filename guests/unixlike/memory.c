/*
 * Pages and their tables: two levels, pages of 4 KiB. The kernel has all memory at KERNEL, the
 * devices above fe000000h where they are, and the user program what memory_map() gives it, from 0.
 *
 * Reference: SDM volume 3, section 4.3.
 */
#include "guests/unixlike/unixlike.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, DEVICES = (int)0xfe000000 };

extern uint8_t kernel_end[];

static uint32_t *directory;
static uint8_t *next;

void *memory_page(void)
{
    uint8_t *page = next;

    if (PHYSICAL(page) >= PHYSICAL_END)
        panic("no memory");
    for (unsigned i = 0; i < PAGE; i++)
        page[i] = 0;
    next += PAGE;
    return page;
}

static uint32_t *entry_of(uint32_t address)
{
    uint32_t *pde = &directory[address >> 22];

    if (!(*pde & PTE_P))
        *pde = PHYSICAL(memory_page()) | PTE_P | PTE_W | PTE_U;
    return (uint32_t *)VIRTUAL(*pde & ~(PAGE - 1)) + (address >> 12 & 1023);
}

void memory_map(uint32_t address, void *page)
{
    *entry_of(address) = PHYSICAL(page) | PTE_P | PTE_W | PTE_U;
}

/* The first tables must be within the 4 MiB that entry.S has mapped: they are. */
void memory_init(void)
{
    next = (uint8_t *)(((uint32_t)kernel_end + PAGE - 1) & ~(PAGE - 1));
    directory = memory_page();
    for (uint32_t gpa = 0; gpa < PHYSICAL_END; gpa += PAGE)
        *entry_of(KERNEL + gpa) = gpa | PTE_P | PTE_W;
    for (uint32_t gpa = DEVICES; gpa; gpa += PAGE)
        *entry_of(gpa) = gpa | PTE_P | PTE_W;
    write_cr3(PHYSICAL(directory));
}
