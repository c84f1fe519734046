/* The guest's own names for its addresses: of the kernel's file, else of the table that a Linux
 * kernel keeps in its memory. */
#ifndef FRONTEND_NAMES_H
#define FRONTEND_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct names;

/* NULL: no memory, which is fine for all. */
struct names *names_create(struct machine *machine);
void names_free(struct names *names);

/* Writes "name+0x12" into text, a line without control characters; "" where there is no name. */
void names_at(struct names *names, uint32_t gla, char *text, size_t size);

/* Where the name is, of the kernel's file. */
bool names_find(struct names *names, const char *name, uint32_t *gla);

/* The same as novt_log.symbol has it; names is one. */
void names_log(void *names, uint32_t gla, char *text, size_t size);

#endif
