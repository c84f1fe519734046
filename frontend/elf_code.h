/* The code of a 32-bit x86 ELF file, by libelf. */
#ifndef FRONTEND_ELF_CODE_H
#define FRONTEND_ELF_CODE_H

#include <stdbool.h>
#include <stdint.h>

struct elf_code;
struct error;
struct image;

struct code_piece {
    uint32_t start, end;  /* linear addresses; end is behind the last */
    const uint8_t *bytes; /* of the file, until it is closed */
};

/* Reads the file whole; a gzipped one, or the kernel in a bzImage (packed: it has to be one), is
 * unpacked. NULL, with *error: it cannot be read, or is none of that kind. */
struct elf_code *elf_code_open(const char *path, bool packed, struct error *error);
void elf_code_close(struct elf_code *code);

/* The ELF file's bytes, until it is closed. */
const struct image *elf_code_image(const struct elf_code *code);

/* What the next executable section has of [start, end): the sections' order is the file's. False
 * after the last. *place is 0 before the first and then only passed on. */
bool elf_code_next(const struct elf_code *code, unsigned *place, uint32_t start, uint32_t end,
                   struct code_piece *piece);

#endif
