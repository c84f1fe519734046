/* Code that is written while a program runs: a function that adds a number. */
#ifndef GUESTS_INITRAMFS_ADDING_CODE_H
#define GUESTS_INITRAMFS_ADDING_CODE_H

#include <stdint.h>

typedef uint32_t code(uint32_t value);

static const uint8_t template[] = {
    0x8b, 0x44, 0x24, 0x04, /* mov eax, [esp+4] */
    0x05, 0, 0, 0, 0,       /* add eax, imm32 at 5 */
    0xc3,                   /* ret */
};

/* The bytes of template at `at`, with that number in it. */
static inline void put_code(uint8_t *at, uint32_t addend)
{
    for (unsigned i = 0; i < sizeof(template); i++)
        at[i] = template[i];
    *(uint32_t *)(at + 5) = addend;
}

#endif
