/* Reference: X Window System Protocol, appendix "KEYSYM Encoding". */
#include "display/keysyms.h"

#include <stdbool.h>

#include "devices/keys.h"

static const struct {
    uint16_t symbol;
    uint8_t key;
} others[] = {
    { 0xff08, 14 },  { 0xff09, 15 },  { 0xfe20, 15 } /* Shift-Tab */, { 0xff0d, 28 },
    { 0xff13, 119 }, { 0xff14, 70 },  { 0xff15, 99 }, { 0xff1b, 1 },   { 0xffff, 111 },
    { 0xff50, 102 }, { 0xff51, 105 }, { 0xff52, 103 }, { 0xff53, 106 }, { 0xff54, 108 },
    { 0xff55, 104 }, { 0xff56, 109 }, { 0xff57, 107 }, { 0xff61, 99 },  { 0xff63, 110 },
    { 0xff67, 127 }, { 0xff6b, 119 }, { 0xff7f, 69 },
    /* keypad: digits, then what they are without Num Lock */
    { 0xffb0, 82 },  { 0xffb1, 79 },  { 0xffb2, 80 },  { 0xffb3, 81 },  { 0xffb4, 75 },
    { 0xffb5, 76 },  { 0xffb6, 77 },  { 0xffb7, 71 },  { 0xffb8, 72 },  { 0xffb9, 73 },
    { 0xff95, 71 },  { 0xff96, 75 },  { 0xff97, 72 },  { 0xff98, 77 },  { 0xff99, 80 },
    { 0xff9a, 73 },  { 0xff9b, 81 },  { 0xff9c, 79 },  { 0xff9d, 76 },  { 0xff9e, 82 },
    { 0xff9f, 83 },  { 0xff8d, 96 },  { 0xffaa, 55 },  { 0xffab, 78 },  { 0xffac, 121 },
    { 0xffad, 74 },  { 0xffae, 83 },  { 0xffaf, 98 },
    /* modifiers */
    { 0xffe1, 42 },  { 0xffe2, 54 },  { 0xffe3, 29 },  { 0xffe4, 97 },  { 0xffe5, 58 },
    { 0xffe7, 56 },  { 0xffe8, 100 }, { 0xffe9, 56 },  { 0xffea, 100 }, { 0xffeb, 125 },
    { 0xffec, 126 }, { 0xfe03, 100 },
};

unsigned keysyms_find(uint32_t symbol)
{
    bool shift;

    if (symbol >= 0x20 && symbol < 0x7f)
        return keys_for_character(symbol, &shift);
    if (symbol >= 0xffbe && symbol <= 0xffc7) /* F1 to F10 */
        return symbol - 0xffbe + 59;
    if (symbol == 0xffc8 || symbol == 0xffc9)
        return symbol - 0xffc8 + 87;
    for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (others[i].symbol == symbol)
            return others[i].key;
    return 0;
}
