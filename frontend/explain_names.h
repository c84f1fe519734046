/* What the code of a program that is explained is called. */
#ifndef FRONTEND_EXPLAIN_NAMES_H
#define FRONTEND_EXPLAIN_NAMES_H

#include <stdint.h>

struct error;
struct image;
struct symbols;

/*
 * Of the file symbols, if one is named: an ELF file or a System.map; else of the program's symbol
 * table, else of the table that a Linux kernel keeps of itself. There may be none. NULL:
 * *error. To be freed with symbols_free().
 */
struct symbols *explain_names(const struct image *program, const char *symbols,
                              struct error *error);

#endif
