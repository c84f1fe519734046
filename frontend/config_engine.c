/* -engine: a name of the list. */
#include "frontend/config_engine.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cpu/engine.h"
#include "frontend/engines.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

static int unknown(const char *value, struct error *error)
{
    const char *names[ENGINES_MAX];
    const struct engine *engine;
    char list[128] = "";
    size_t used = 0, count;

    for (count = 0; (engine = engines_at(count)); count++) {
        names[count] = engine->name;
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", count ? ", " : "",
                                 engine->name);
    }
    return error_set(error, EX_USAGE, "-engine %s: unknown; did you mean %s? (one of %s)", value,
                     nearest_name(value, strlen(value), names, count), list);
}

int config_engine_take(const struct engine **engine, const char *value, struct error *error)
{
    const struct engine *found = engines_find(value);

    if (!found)
        return unknown(value, error);
    *engine = found;
    return 0;
}
