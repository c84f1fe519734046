/* Exercise 06, solved. The argument is a stranger's: compared so that nothing overflows. */
#include "exercise.h"

enum { SYS_BREAK = 3, POOL = 4096 };

static uint8_t pool[POOL];
static uint32_t used;

uint32_t system_call(uint32_t number, uint32_t argument)
{
    uint32_t at = used;

    if (number != SYS_BREAK || argument > POOL - used)
        return -1;
    used += argument;
    return (uint32_t)(pool + at);
}
