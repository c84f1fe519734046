/* Values of options that have commas, as QEMU writes them. */
#include "frontend/config_text.h"

#include <stddef.h>
#include <string.h>

char *config_text_next(char **rest)
{
    char *piece = *rest, *to = *rest, *from = *rest;

    if (!piece)
        return NULL;
    while (*from && (*from != ',' || from[1] == ',')) {
        from += *from == ',';
        *to++ = *from++;
    }
    *rest = *from ? from + 1 : NULL;
    *to = 0;
    return piece;
}

const char *config_text_value(const char *piece, const char *name)
{
    size_t len = strlen(name);

    return !strncmp(piece, name, len) && piece[len] == '=' ? piece + len + 1 : NULL;
}
