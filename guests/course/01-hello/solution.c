/* Exercise 01, solved: four bits at a time, the highest first. */
#include "exercise.h"

void put_hex(uint32_t number)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[number >> shift & 15]);
}
