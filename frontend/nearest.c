/* See nearest.h. */
#include "frontend/nearest.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/error.h"

int nearest_unknown(const char *option, const char *value, size_t len, const char *const *names,
                    size_t count, struct error *error)
{
    char list[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < count && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    return error_set(error, EX_USAGE, "%s %.200s: unknown%s (one of %s)", option, value,
                     nearest_hint(value, len, names, count, "", "").text, list);
}

int nearest_which(const char *option, const char *value, const char *const *names, size_t count,
                  struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(value, names[i]))
            return (int)i;
    return nearest_unknown(option, value, strlen(value), names, count, error);
}
