/*
 * The user's or the host's mistake on its way up to main(): an exit status of sysexits.h and one
 * line that names the thing and says what to do about it.
 */
#ifndef FRONTEND_ERROR_H
#define FRONTEND_ERROR_H

#include <stdio.h>

struct error {
    int status; /* 0: none */
    char text[4608];
};

/* Records the error unless one is recorded already; returns -1. */
int error_set(struct error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* No event descriptor for this purpose, by errno: what the host forbids, or has no more of. */
int error_no_event(struct error *error, const char *what);

/* Prints "novt: TEXT", always as one line: control characters in it are shown as '?'. */
void error_print(FILE *out, const struct error *error);

/* The same rule for other texts that hold a user's words. */
void error_make_line(char *text);

#endif
