/* Names of code by address: of ELF files, and of whoever else knows some. */
#ifndef FRONTEND_SYMBOLS_H
#define FRONTEND_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;
struct symbols;

/* The functions and labels of the ELF file. NULL: it has none (no ELF file, stripped, unreadable),
 * or no memory. */
struct symbols *symbols_read(const char *path);
void symbols_free(struct symbols *symbols); /* NULL is allowed */

/* The same by hand: a table (NULL: no memory), what is added to it (size in bytes, 0 where nobody
 * knows; the name is copied; without memory it is left out), and when that is all. */
struct symbols *symbols_create(void);
void symbols_add(struct symbols *symbols, uint64_t address, uint64_t size, const char *name);
void symbols_add_elf(struct symbols *symbols, const struct image *image); /* if it is one */
/* Lines of an address, a letter and a name, as in a System.map; others are passed over. */
void symbols_add_map(struct symbols *symbols, const struct image *image);
void symbols_sort(struct symbols *symbols);
size_t symbols_count(const struct symbols *symbols); /* NULL has none, here and below */
uint64_t symbols_highest(const struct symbols *symbols); /* address of the last one; 0: none */

/* The code that address is in, and how far. NULL: it has no name. */
const char *symbols_nearest(const struct symbols *symbols, uint64_t address, uint64_t *offset);

/* From where the name is to where its size says, else to the next address that has one. False: it
 * is none. */
bool symbols_range(const struct symbols *symbols, const char *name, uint64_t *start,
                   uint64_t *end);

/* Where the name is, in *address. False: it is none. */
bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address);

#endif
