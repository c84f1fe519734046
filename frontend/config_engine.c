/* -engine, -user, -audit. */
#include "frontend/config_engine.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "cpu/engine.h"
#include "frontend/engines.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

/* Which of the names it is, or -1 with *error. */
static int which(const char *option, const char *value, const char *const *names, size_t count,
                 struct error *error)
{
    char list[128] = "";
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (!strcmp(value, names[i]))
            return (int)i;
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    }
    return error_set(error, EX_USAGE, "%s %s: unknown; did you mean %s? (one of %s)", option, value,
                     nearest_name(value, strlen(value), names, count), list);
}

int config_engine_take(const struct engine **engine, const char *value, struct error *error)
{
    const char *names[ENGINES_MAX];
    size_t count = 0;
    int n;

    for (const struct engine *e; (e = engines_at(count)); count++)
        names[count] = e->name;
    n = which("-engine", value, names, count, error);
    if (n < 0)
        return -1;
    *engine = engines_at((size_t)n);
    return 0;
}

int config_engine_take_user(enum user_tier *user, const char *value, struct error *error)
{
    static const char *const names[] = { "auto", "tlb", "window", "direct" };
    int n = which("-user", value, names, COUNT(names), error);

    if (n < 0)
        return -1;
    *user = (enum user_tier)n;
    return 0;
}

int config_engine_check(const struct engine *engine, enum audit_mode audit, struct error *error)
{
    if (audit != AUDIT_OFF && engine != &engine_trap)
        return error_set(error, EX_USAGE, "-audit is for -engine trap");
    return 0;
}
