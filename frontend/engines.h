/* The engines there are, by their names: -engine. */
#ifndef FRONTEND_ENGINES_H
#define FRONTEND_ENGINES_H

#include <stddef.h>

struct engine;

#define ENGINES_MAX 8

/* The n-th; the first is the default. NULL: there are no more. */
const struct engine *engines_at(size_t n);

/* Calls put for each engine's name and what it does, for -engine help. */
void engines_list(void (*put)(void *arg, const char *name, const char *text), void *arg);

#endif
