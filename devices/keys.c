/* The table of keys (keys.def), and the US layout. */
#include "devices/keys.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    struct keys_codes codes;
} table[KEYS_COUNT] = {
#define KEY(number, name, set1, set2, set3) [number] = { name, { { set1, set2, set3 } } },
#include "devices/keys.def"
};

static const struct {
    const char *name, *of;
} aliases[] = {
    { "enter", "ret" }, { "return", "ret" }, { "space", "spc" }, { "escape", "esc" },
    { "ctrl_l", "ctrl" }, { "shift_l", "shift" }, { "alt_l", "alt" }, { "print", "sysrq" },
    { "asterisk", "kp_multiply" }, { "compose", "menu" }, { "page_up", "pgup" },
    { "page_down", "pgdn" }, { "del", "delete" }, { "ins", "insert" }, { "altgr", "alt_r" },
    { "bksp", "backspace" },
};

const struct keys_codes *keys_codes(unsigned key)
{
    return key < KEYS_COUNT && table[key].name ? &table[key].codes : NULL;
}

static bool is(const char *name, const char *text, size_t length)
{
    return name && strlen(name) == length && !memcmp(name, text, length);
}

unsigned keys_by_name(const char *name, size_t length)
{
    char *end;
    unsigned long number;

    for (unsigned key = 0; key < KEYS_COUNT; key++)
        if (is(table[key].name, name, length))
            return key;
    for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
        if (is(aliases[i].name, name, length))
            return keys_by_name(aliases[i].of, strlen(aliases[i].of));
    if (length < 3 || name[0] != '0' || name[1] != 'x')
        return 0;
    number = strtoul(name, &end, 16);
    return end == name + length && number < KEYS_COUNT && table[number].name ? (unsigned)number : 0;
}

/* By key number, from 2 ("1") on: without and with shift. Blanks type nothing. */
static const char plain[] = "1234567890-=  qwertyuiop[]  asdfghjkl;'` \\zxcvbnm,./   ";
static const char shifted[] = "!@#$%^&*()_+  QWERTYUIOP{}  ASDFGHJKL:\"~ |ZXCVBNM<>?   ";

unsigned keys_for_character(uint32_t character, bool *shift)
{
    *shift = false;
    switch (character) {
    case ' ': return KEYS_SPACE;
    case '\t': return KEYS_TAB;
    case '\r':
    case '\n': return KEYS_ENTER;
    default: break;
    }
    for (unsigned i = 0; i < sizeof(plain) - 1; i++) {
        *shift = character == (uint8_t)shifted[i];
        if (*shift || character == (uint8_t)plain[i])
            return i + 2;
    }
    return 0;
}
