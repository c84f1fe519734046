/* Text out on COM1 (and on the debug console where there is one), characters in from COM1. */
#ifndef GUESTS_LIB_CONSOLE_H
#define GUESTS_LIB_CONSOLE_H

#include "guests/lib/x86.h"

enum { CONSOLE_PORT = 0x3f8, CONSOLE_IRQ = 4 };

void console_init(void);
void console_put(char c);

/* A received character, or -1. Characters are received by polling: no interrupt is switched on. */
int console_get(void);

/* %s %c %d %u %x %%, with 0, - and a width; ll before d, u and x. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
void print_list(const char *format, __builtin_va_list args);

#endif
