/* The names in an ELF kernel, for reports. */
#ifndef FRONTEND_SYMBOLS_H
#define FRONTEND_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/* Writes "name+0x12" of the function or label at address in the ELF file into text; "" where the
 * file has none (no ELF file, stripped, unreadable). */
void symbols_name(const char *path, uint64_t address, char *text, size_t size);

#endif
