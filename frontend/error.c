/* Errors of the user and the host: one line each. */
#include "frontend/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sysexits.h>

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

int error_no_event(struct error *error, const char *what)
{
    if (errno == EPERM || errno == ENOSYS)
        return error_set(error, EX_OSERR, "%s: the host forbids eventfd2() (%s): a container's "
                         "seccomp profile?", what, strerror(errno));
    return error_set(error, EX_OSERR, "%s: no event descriptor: %s; %s", what, strerror(errno),
                     errno == EMFILE ? "raise the limit (ulimit -n)" : "free some");
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
