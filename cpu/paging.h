/*
 * Page walks: one walk for all formats. Reference: SDM volume 3, chapter 4.
 *
 * A and D bits: set only by a walk that succeeds (a walk that faults writes nothing; hardware
 * generations differ about upper levels, the manual allows both). An access across a page end that
 * faults on one page may have set those of the other.
 */
#ifndef CPU_PAGING_H
#define CPU_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mem.h"

#define PTE_P   0x001ull
#define PTE_W   0x002ull
#define PTE_U   0x004ull
#define PTE_A   0x020ull
#define PTE_D   0x040ull
#define PTE_PS  0x080ull
#define PTE_G   0x100ull
#define PTE_NX  (1ull << 63)

/* Physical address bits that CPUID tells the guest about; entries with higher ones are reserved. */
#define PHYS_BITS 36

/* What a paging format is; 16, 32 and 64 bits differ by this alone. */
struct paging_format {
    unsigned levels;
    unsigned entry_bytes;
    unsigned index_bits;
    unsigned top_index_bits;
    unsigned large_levels; /* bit n: level n (1 = PTE) may map a page by PS */
    unsigned bare_levels;  /* bit n: level n has no W, U, A bits (PDPTE) */
};

extern const struct paging_format paging_32, paging_pae;

/* A translation. */
struct walk {
    uint64_t gpa;           /* of the byte at gla */
    uint64_t size;          /* of the page: 4 KiB, 2 MiB, 4 MiB */
    bool writable, user, nx, global;
    bool accessed, dirty;   /* A at every level, D: as they are after the walk */
    unsigned tables;        /* paging structures read from memory, top first */
    uint64_t table_gfn[4];
    uint64_t table_base[4]; /* first gla that table i maps ... */
    unsigned table_shift[4];/* ... and how much one entry of it maps: 1 << shift bytes */
    unsigned entry_bytes;
};

/* Paging is on? */
static inline bool paging_on(const struct vcpu *vcpu)
{
    return vcpu->cr0 & CR0_PG;
}

/* The format in force (paging is on). */
const struct paging_format *paging_format(const struct vcpu *vcpu);

/*
 * Translates gla for an access with (user) or without CPL 3 rights, sets A and D. True when it may,
 * false with the page-fault error code in *error.
 */
bool paging_walk(struct vcpu *vcpu, uint64_t gla, enum mem_access access, bool user,
                 struct walk *out, uint32_t *error);

/* An entry that a walk reads. */
struct paging_step {
    unsigned level, index;    /* level 1: a page table */
    uint64_t gpa, entry;      /* PAGING_REGISTER: it is a PDPTE register */
    uint64_t reserved;        /* those of its bits that are set and must not be */
    bool large;               /* it maps a large page */
};

#define PAGING_STEPS 4
#define PAGING_REGISTER UINT64_MAX

/* The entries that a walk of gla reads (paging is on), top first, up to one that ends it; returns
 * how many. Changes nothing: for reports. */
unsigned paging_steps(struct vcpu *vcpu, uint64_t gla, struct paging_step step[PAGING_STEPS]);

/* The same that changes and checks nothing but presence: for reports. */
bool paging_peek(struct vcpu *vcpu, uint64_t gla, struct walk *out);

#endif
