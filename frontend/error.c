/* Errors of the user and the host: one line each. */
#include "frontend/error.h"

#include <stdarg.h>

int error_set(struct error *error, int status, const char *format, ...)
{
    va_list ap;

    if (error->status)
        return -1;
    error->status = status;
    va_start(ap, format);
    vsnprintf(error->text, sizeof(error->text), format, ap);
    va_end(ap);
    error_make_line(error->text);
    return -1;
}

void error_make_line(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
}

void error_print(FILE *out, const struct error *error)
{
    fprintf(out, "novt: %s\n", error->text);
}
