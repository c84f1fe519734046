/* Writes instructions into memory, to be run by trap_run. */
#ifndef GUESTS_LIB_CODE_H
#define GUESTS_LIB_CODE_H

#include "guests/lib/x86.h"

struct code {
    uint8_t *at;
};

static inline void code_byte(struct code *c, uint8_t byte)
{
    *(volatile uint8_t *)c->at++ = byte;
}

static inline void code_word(struct code *c, uint16_t word)
{
    code_byte(c, word);
    code_byte(c, word >> 8);
}

static inline void code_long(struct code *c, uint32_t value)
{
    code_word(c, value);
    code_word(c, value >> 16);
}

/* n bytes, up to 8 of them in one number, the first in the lowest byte. */
static inline void code_bytes(struct code *c, unsigned n, uint64_t bytes)
{
    for (; n; n--, bytes >>= 8)
        code_byte(c, bytes);
}

/* mov $value, %eax: 5 bytes */
static inline void code_load_eax(struct code *c, uint32_t value)
{
    code_byte(c, 0xb8);
    code_long(c, value);
}

/* movb $value, address: 7 bytes */
static inline void code_store_byte(struct code *c, uint32_t address, uint8_t value)
{
    code_bytes(c, 2, 0x05c6);
    code_long(c, address);
    code_byte(c, value);
}

/* int $0x30 */
static inline void code_end(struct code *c)
{
    code_bytes(c, 2, 0x30cd);
}

#endif
