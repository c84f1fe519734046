/* Reference: USB HID Usage Tables 1.12, page 7, "Keyboard/Keypad". */
#include "display/usb_keys.h"

#include <stdint.h>

static const uint8_t keys[256] = {
    /* 0x04 a to z */
    [0x04] = 30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50,
    49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44,
    /* 0x1e 1 to 0, enter, esc, backspace, tab, space */
    2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28, 1, 14, 15, 57,
    /* 0x2d - = [ ] \ # ; ' ` , . / caps */
    12, 13, 26, 27, 43, 43, 39, 40, 41, 51, 52, 53, 58,
    /* 0x3a f1 to f12, print, scroll, pause */
    59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88, 99, 70, 119,
    /* 0x49 insert home pgup delete end pgdn right left down up */
    110, 102, 104, 111, 107, 109, 106, 105, 108, 103,
    /* 0x53 num / * - + enter 1 to 0 . */
    69, 98, 55, 74, 78, 96, 79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83,
    /* 0x64 the 102nd, menu, power */
    86, 127, 116,
    [0x7f] = 113, 115, 114,
    [0x85] = 121, [0x87] = 89, 93, 124, 92, 94,
    /* 0xe0 ctrl shift alt meta, left and right */
    [0xe0] = 29, 42, 56, 125, 97, 54, 100, 126,
};

unsigned usb_keys_find(unsigned usage)
{
    return usage < 256 ? keys[usage] : 0;
}
