/* -perf, -profile, -symbols. */
#ifndef FRONTEND_CONFIG_PROFILE_H
#define FRONTEND_CONFIG_PROFILE_H

#include <stdbool.h>

struct engine;
struct error;

#define SYMBOL_FILES 8
#define PROFILE_HZ 997  /* not a multiple of what guests' own timers use */
#define PROFILE_HZ_MAX 10000

enum perf_form { PERF_NONE, PERF_MAP, PERF_DUMP };

struct profile_spec {
    enum perf_form perf;
    const char *file; /* of -profile; NULL: none */
    unsigned hz;
    const char *symbols[SYMBOL_FILES]; /* of -symbols */
    unsigned symbol_files;
};

/* 0, or -1 with *error. */
int config_profile_take(struct profile_spec *spec, const char *value, struct error *error);
int config_profile_take_hz(struct profile_spec *spec, const char *value, struct error *error);
int config_profile_take_symbols(struct profile_spec *spec, const char *value, struct error *error);

/* After all options: do they go together? */
int config_profile_check(const struct profile_spec *spec, const struct engine *engine,
                         struct error *error);

/* Does anybody want names of guest code? */
bool config_profile_given(const struct profile_spec *spec);

#endif
