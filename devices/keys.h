/* Keys: their numbers (Linux's KEY_ codes), names, scan codes, and what types a character. */
#ifndef DEVICES_KEYS_H
#define DEVICES_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYS_COUNT = 144 };

enum { /* those that code names */
    KEYS_TAB = 15,
    KEYS_ENTER = 28,
    KEYS_CTRL = 29,
    KEYS_SHIFT = 42,
    KEYS_SHIFT_R = 54,
    KEYS_ALT = 56,
    KEYS_SPACE = 57,
    KEYS_CTRL_R = 97,
    KEYS_SYSRQ = 99,
    KEYS_ALT_R = 100,
    KEYS_PAUSE = 119,
};

struct keys_codes {
    uint16_t set[3]; /* scan code sets 1 to 3; 0: none */
};

/* NULL: there is no such key. */
const struct keys_codes *keys_codes(unsigned key);

/* By name (as in keys.def, and some that others use), or by number ("0x1e"). 0: unknown. */
unsigned keys_by_name(const char *name, size_t length);

/* The key that types the character on a US keyboard, and whether with shift. 0: there is none. */
unsigned keys_for_character(uint32_t character, bool *shift);

#endif
