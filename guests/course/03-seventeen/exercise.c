/* Exercise 03: one of the seventeen tells a kernel that it has been deprivileged. */
#include "exercise.h"

unsigned privilege(void)
{
    return 9;
}
