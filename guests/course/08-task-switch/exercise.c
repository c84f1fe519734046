/* Exercise 08: a scheduler for tasks of which some end sooner than others. If all have finished,
 * the answer is count. */
#include "exercise.h"

unsigned next_task(unsigned current, unsigned count, const bool *finished)
{
    (void)finished;
    return (current + 1) % count;
}
