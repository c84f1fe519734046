/* The code of a 32-bit x86 ELF file, by libelf. */
#ifndef FRONTEND_ELF_CODE_H
#define FRONTEND_ELF_CODE_H

#include <stdbool.h>
#include <stdint.h>

struct elf_code;
struct error;

struct code_piece {
    uint32_t start, end;  /* linear addresses; end is behind the last */
    const uint8_t *bytes; /* of the file, until it is closed */
};

/* Reads the file whole. NULL, with *error: it cannot be read, or is none of that kind. */
struct elf_code *elf_code_open(const char *path, struct error *error);
void elf_code_close(struct elf_code *code);

/* Where the function or label is, by the symbol table. False: it has none of that name. */
bool elf_code_function(const struct elf_code *code, const char *name, uint32_t *start,
                       uint32_t *end);

/* What the next executable section has of [start, end): the sections' order is the file's. False
 * after the last. *place is 0 before the first and then only passed on. */
bool elf_code_next(const struct elf_code *code, unsigned *place, uint32_t start, uint32_t end,
                   struct code_piece *piece);

#endif
