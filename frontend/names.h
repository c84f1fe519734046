/* A guest kernel's own names for its addresses: of the kernel's file, else of the table that a
 * Linux kernel keeps in its memory, else of a file that was given (-symbols). */
#ifndef FRONTEND_NAMES_H
#define FRONTEND_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;
struct machine;
struct names;

/* NULL: no memory, which is fine for all. */
struct names *names_create(struct machine *machine);
void names_free(struct names *names);

/* A file of names that the user has: an ELF kernel or a System.map. False: it is neither. */
bool names_offer(struct names *names, const struct image *file);

/* They are known now. Looks for the table now and then, which takes time. */
bool names_known(struct names *names);

/* The guest starts anew: its kernel may be another, or elsewhere. */
void names_forget(struct names *names);

/* The function at gla and how far it is in it; NULL: no name. Until any other call. */
const char *names_nearest(struct names *names, uint32_t gla, uint64_t *offset);

/* Writes "name+0x12" into text, a line without control characters; "" where there is no name. */
void names_at(struct names *names, uint32_t gla, char *text, size_t size);

/* Where the name is. False: none of these has it. */
bool names_find(struct names *names, const char *name, uint32_t *gla);

/* The same as novt_log.symbol has it; names is one. */
void names_log(void *names, uint32_t gla, char *text, size_t size);

#endif
