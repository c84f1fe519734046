/* The one list of engines. */
#include "frontend/engines.h"

#include "cpu/engine.h"

static const struct engine *const engines[] = {
    &engine_translator, &engine_interp, &engine_kvm, &engine_trap,
};

const struct engine *engines_at(size_t n)
{
    return n < sizeof(engines) / sizeof(*engines) ? engines[n] : NULL;
}

void engines_list(void (*put)(void *arg, const char *name, const char *text), void *arg)
{
    const struct engine *engine;

    for (size_t n = 0; (engine = engines_at(n)); n++)
        put(arg, engine->name, engine->help);
}
