/* "Did you mean", for the values of options. */
#ifndef FRONTEND_NEAREST_H
#define FRONTEND_NEAREST_H

#include "base/nearest.h"

struct error;

/* Says that an option's value (its first len letters) is none of the names: which one is nearest,
 * and which there are. -1, with *error. */
int nearest_unknown(const char *option, const char *value, size_t len, const char *const *names,
                    size_t count, struct error *error);

/* Which of the names the value is: its index. Else as nearest_unknown(). */
int nearest_which(const char *option, const char *value, const char *const *names, size_t count,
                  struct error *error);

#endif
