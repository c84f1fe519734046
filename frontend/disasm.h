/* Disassembly for people, by Capstone. */
#ifndef FRONTEND_DISASM_H
#define FRONTEND_DISASM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Prints each instruction on a line of its own: address, bytes, text; in 16-, 32- or 64-bit mode.
 * Bytes that are none are printed as .byte. Fits struct log's disasm. */
void disasm_print(FILE *out, const uint8_t *code, size_t size, uint64_t address, int bits);

/* The same with the instruction at mark pointed at. */
void disasm_print_marked(FILE *out, const uint8_t *code, size_t size, uint64_t address, int bits,
                         uint64_t mark);

/* The first instruction's text alone; returns its length, 0: it is none. */
size_t disasm_text(const uint8_t *code, size_t size, uint64_t address, int bits, char *text,
                   size_t room);

/* How many of the size bytes before an instruction to print, so that whole instructions end right
 * at it: a guess, since x86 code cannot be read backwards. */
size_t disasm_sync(const uint8_t *code, size_t size, int bits);

#endif
