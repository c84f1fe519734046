/* -engine, -user, -audit, and what does not go together with an engine. */
#include "frontend/config_engine.h"

#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "cpu/engine.h"
#include "frontend/engines.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

int config_engine_take(const struct engine **engine, const char *value, struct error *error)
{
    const char *names[ENGINES_MAX];
    size_t count = 0;
    int n;

    for (const struct engine *e; (e = engines_at(count)); count++)
        names[count] = e->name;
    n = nearest_which("-engine", value, names, count, error);
    if (n < 0)
        return -1;
    *engine = engines_at((size_t)n);
    return 0;
}

int config_engine_take_user(enum user_tier *user, const char *value, struct error *error)
{
    static const char *const names[] = { "auto", "tlb", "window", "direct" };
    int n = nearest_which("-user", value, names, COUNT(names), error);

    if (n < 0)
        return -1;
    *user = (enum user_tier)n;
    return 0;
}

/* Topics of -d that an engine has nothing to say to. */
static const struct {
    const char *topic;
    bool interp, kvm, trap; /* does it? */
    const char *why;
} topics[] = {
    { "int", true, false, true, "the CPU delivers exceptions by itself there; use bt or interp" },
    { "in_asm", false, false, false, "nothing is translated there; use -engine bt" },
    { "out_asm", false, false, false, "nothing is translated there; use -engine bt" },
    { "unit", false, false, false, "nothing is translated there; use -engine bt" },
    { "mmu", true, false, true, "page tables are the kernel's there; use bt or interp" },
    { "trace", false, false, false, "no page tables are traced there; use -engine bt" },
};

static bool tells(const struct engine *engine, size_t topic)
{
    return engine == &engine_translator || (engine == &engine_interp && topics[topic].interp) ||
           (engine == &engine_kvm && topics[topic].kvm) ||
           (engine == &engine_trap && topics[topic].trap);
}

static bool names_topic(const char *list, const char *topic)
{
    size_t len = strlen(topic);

    for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == len && !memcmp(at, topic, len))
            return true;
    return false;
}

/* "all" is whatever there is. */
static int check_topics(const struct engine *engine, const char *log, struct error *error)
{
    for (size_t i = 0; i < COUNT(topics); i++)
        if (!tells(engine, i) && names_topic(log, topics[i].topic))
            return error_set(error, EX_USAGE, "-d %s: not with -engine %s: %s", topics[i].topic,
                             engine->name, topics[i].why);
    return 0;
}

int config_engine_check(const struct engine_options *options, struct error *error)
{
    const struct engine *engine = options->engine;

    if (options->audit != AUDIT_OFF && engine != &engine_trap)
        return error_set(error, EX_USAGE, "-audit is for -engine trap");
    if (options->user != USER_AUTO && engine != &engine_translator)
        return error_set(error, EX_USAGE, "-user is for -engine bt: -engine %s has one way to run "
                                          "user code", engine->name);
    return check_topics(engine, options->log, error);
}
