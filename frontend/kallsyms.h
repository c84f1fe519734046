/* The names in a Linux kernel that has booted, from the table it keeps of itself (kallsyms). */
#ifndef FRONTEND_KALLSYMS_H
#define FRONTEND_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>

struct kallsyms;
struct physmem;

/* Looks for the table in guest memory, and copies it. NULL: there is none (yet). */
struct kallsyms *kallsyms_find(const struct physmem *mem);
/* The same in a kernel that does not run: its ELF file. */
struct kallsyms *kallsyms_in(const uint8_t *bytes, size_t size);
void kallsyms_free(struct kallsyms *k);

/* Calls hear for each symbol, in the order of addresses; type: a letter as nm has it. */
void kallsyms_each(const struct kallsyms *k,
                   void (*hear)(void *arg, uint32_t gla, char type, const char *name), void *arg);

#endif
