/* Exercise 09, solved by one of many: SGDT is rare enough that novt has the interpreter do it. */
#include "exercise.h"

void operation(void)
{
    uint8_t table[6];

    __asm__ volatile("sgdt %0" : "=m"(table));
}
