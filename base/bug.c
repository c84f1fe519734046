/* How the program ends when it is wrong: see bug.h. */
#include "base/bug.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void bug(const char *file, int line, const char *condition)
{
    fprintf(stderr, "novt: internal error at %s:%d: %s\n", file, line, condition);
    abort();
}
