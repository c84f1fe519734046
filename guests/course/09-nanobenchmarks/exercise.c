/* Exercise 09: something that translated code cannot do by itself, and that is not in the list. */
#include "exercise.h"

void operation(void)
{
    __asm__ volatile("nop");
}
