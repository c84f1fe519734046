/* The names in an ELF kernel, for reports. */
#ifndef FRONTEND_SYMBOLS_H
#define FRONTEND_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols;

/* The functions and labels of the ELF file. NULL: it has none (no ELF file, stripped, unreadable),
 * or no memory. */
struct symbols *symbols_read(const char *path);
void symbols_free(struct symbols *symbols);

/* Writes "name+0x12" of the function or label at address into text; "" where there is none. */
void symbols_at(const struct symbols *symbols, uint64_t address, char *text, size_t size);

/* Where the name is, in *address. False: it is none. */
bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address);

/* symbols_at() for a single address. */
void symbols_name(const char *path, uint64_t address, char *text, size_t size);

#endif
