/* -perf, -profile, -profile-hz, -symbols: see config_profile.h. */
#include "frontend/config_profile.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cpu/engine.h"
#include "frontend/error.h"

int config_profile_take(struct profile_spec *spec, const char *value, struct error *error)
{
    if (!*value)
        return error_set(error, EX_USAGE, "-profile: the name is empty; name a file to write");
    spec->file = value;
    if (!spec->hz)
        spec->hz = PROFILE_HZ;
    return 0;
}

int config_profile_take_hz(struct profile_spec *spec, const char *value, struct error *error)
{
    size_t digits = strspn(value, "0123456789");
    long hz = strtol(value, NULL, 10);

    if (!digits || value[digits] || digits > 5 || hz < 1 || hz > PROFILE_HZ_MAX)
        return error_set(error, EX_USAGE, "-profile-hz %s: write a number of samples a second, 1 "
                         "to %u", value, PROFILE_HZ_MAX);
    spec->hz = (unsigned)hz;
    return 0;
}

int config_profile_take_symbols(struct profile_spec *spec, const char *value, struct error *error)
{
    if (spec->symbol_files == SYMBOL_FILES)
        return error_set(error, EX_USAGE, "-symbols %s: one too many, %u files are enough", value,
                         SYMBOL_FILES);
    spec->symbols[spec->symbol_files++] = value;
    return 0;
}

bool config_profile_given(const struct profile_spec *spec)
{
    return spec->perf != PERF_NONE || spec->file || spec->symbol_files;
}

int config_profile_check(const struct profile_spec *spec, const struct engine *engine,
                         struct error *error)
{
    if (spec->perf != PERF_NONE && engine != &engine_translator)
        return error_set(error, EX_USAGE, "-perf: -engine %s translates nothing; -profile FILE "
                         "works with every engine", engine->name);
    if (spec->hz && !spec->file)
        return error_set(error, EX_USAGE, "-profile-hz is for -profile FILE");
    return 0;
}
