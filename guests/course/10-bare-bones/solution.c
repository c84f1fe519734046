/* Exercise 10, solved: forwards, since every character moves to a lower address. */
#include "exercise.h"

void scroll_up(uint16_t *screen, unsigned columns, unsigned rows)
{
    unsigned last = columns * (rows - 1);

    for (unsigned i = 0; i < last; i++)
        screen[i] = screen[i + columns];
    for (unsigned i = last; i < last + columns; i++)
        screen[i] = 0x0700 | ' ';
}
