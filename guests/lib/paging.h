/* Page tables of 4 KiB pages: everything below PAGING_IDENTITY is mapped where it is, for all
 * rings. */
#ifndef GUESTS_LIB_PAGING_H
#define GUESTS_LIB_PAGING_H

#include "guests/lib/x86.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PWT = 8, PTE_PCD = 0x10, PTE_A = 0x20, PTE_D = 0x40,
       PTE_PS = 0x80, PTE_G = 0x100 };
enum { PAGE = 4096, PAGING_IDENTITY = 16 << 20, PAGING_TEST = 0x40000000 };
#define PTE_NX (1ull << 63)

/*
 * Builds the tables and switches paging on. A table that is empty covers PAGING_TEST (4 MiB; 2 MiB
 * with PAE), for tests. With pae, CR4.PAE is set and entries have 64 bits; nx sets EFER.NXE.
 * May be called again to change from one to the other.
 */
void paging_init(bool pae, bool nx);
void paging_off(void);

/* The page-table entry of an address below PAGING_IDENTITY or in the test area, as a pointer to be
 * written to; under PAE it points to the lower half. */
volatile uint32_t *paging_pte(uint32_t address);
volatile uint32_t *paging_pde(uint32_t address);

/* Writes an entry (both halves under PAE) and does not flush. */
void paging_set(volatile uint32_t *entry, uint64_t value);
uint64_t paging_get(volatile const uint32_t *entry);

/* A zeroed page of the image, for tests: there are PAGING_PAGES of them. */
enum { PAGING_PAGES = 64 };
uint8_t *paging_page(unsigned i);

#endif
