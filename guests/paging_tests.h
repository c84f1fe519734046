/* The parts of paging.elf. Each runs its checks in the paging mode that is set. */
#ifndef GUESTS_PAGING_TESTS_H
#define GUESTS_PAGING_TESTS_H

#include "guests/lib/x86.h"

struct paging_mode {
    const char *name;
    bool pae, nx;
};

/* paging_access.c: who may do what, error codes, A and D, large and global pages. */
void paging_access_tests(const struct paging_mode *mode);

/* paging_edit.c: entries written by every form of instruction. */
void paging_edit_tests(const struct paging_mode *mode);

/* paging_self.c: directories that are their own page tables. */
void paging_self_tests(const struct paging_mode *mode);

/* paging_fault.c: faults in the middle of instructions, wrapping addresses, segment limits. */
void paging_fault_tests(void);

#endif
