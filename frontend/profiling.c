/* Puts names, -perf's file and -profile's samples together. */
#include "frontend/profiling.h"

#include <stdlib.h>
#include <sysexits.h>

#include "base/clock.h"
#include "cpu/engine.h"
#include "frontend/code_names.h"
#include "frontend/error.h"
#include "frontend/machine.h"
#include "frontend/names.h"
#include "frontend/perf_dump.h"
#include "frontend/perf_map.h"
#include "frontend/profile.h"

#define WRITE_NS NS_PER_SEC /* how old perf's file may be */

struct profiling {
    struct machine *machine;
    struct code_names *names;
    struct perf_map *map;
    struct perf_dump *dump;
    struct code_listener listener;
    struct profile *profile;
    uint64_t write_ns; /* when perf's file is due */
};

static int no_memory(struct error *error)
{
    return error_set(error, EX_OSERR, "-perf, -profile: no host memory; free some");
}

static int create_names(struct profiling *p, const struct config *config, struct error *error)
{
    p->names = code_names_create(p->machine);
    if (!p->names)
        return no_memory(error);
    for (unsigned i = 0; i < config->profile.symbol_files; i++)
        if (code_names_offer(p->names, config->profile.symbols[i], error))
            return -1;
    return 0;
}

static int create_perf(struct profiling *p, enum perf_form form, struct error *error)
{
    switch (form) {
    case PERF_NONE: return 0;
    case PERF_MAP:
        p->map = perf_map_create(p->names);
        p->listener = (struct code_listener){ perf_map_made, perf_map_reused, p->map };
        return p->map ? 0 : no_memory(error);
    case PERF_DUMP:
        p->dump = perf_dump_create(p->names);
        p->listener = (struct code_listener){ perf_dump_made, perf_dump_reused, p->dump };
        return p->dump ? 0 : no_memory(error);
    }
    return 0;
}

int profiling_create(struct profiling **profiling, struct machine *machine, struct error *error)
{
    const struct config *config = machine->config;
    struct profiling *p;

    if (!config_profile_given(&config->profile))
        return 0;
    p = calloc(1, sizeof(*p));
    if (!p)
        return no_memory(error);
    *profiling = p;
    p->machine = machine;
    return create_names(p, config, error) || create_perf(p, config->profile.perf, error) ? -1 : 0;
}

void profiling_destroy(struct profiling *p)
{
    if (!p)
        return;
    profile_destroy(p->profile);
    perf_map_destroy(p->map);
    perf_dump_destroy(p->dump);
    code_names_free(p->names);
    free(p);
}

const struct code_listener *profiling_listener(const struct profiling *p)
{
    return p && p->listener.made ? &p->listener : NULL;
}

int profiling_open(struct profiling *p, struct error *error)
{
    const struct profile_spec *spec;

    if (!p)
        return 0;
    spec = &p->machine->config->profile;
    if ((p->map && perf_map_open(p->map, error)) || (p->dump && perf_dump_open(p->dump, error)))
        return -1;
    return spec->file ? profile_open(&p->profile, p->machine, p->names, spec, error) : 0;
}

void profiling_look(struct profiling *p)
{
    uint64_t now;

    if (!p)
        return;
    profile_look(p->profile);
    now = clock_now_ns(&p->machine->clock);
    if (now < p->write_ns || !(p->map || p->dump))
        return;
    p->write_ns = now + WRITE_NS;
    if (p->map)
        perf_map_write(p->map);
    else
        perf_dump_write(p->dump);
}

void profiling_restart(struct profiling *p)
{
    if (!p)
        return;
    if (p->map)
        perf_map_write(p->map);
    names_forget(p->machine->names);
}

int profiling_close(struct profiling *p, struct error *error)
{
    int err = 0;

    if (!p)
        return 0;
    if (p->map && perf_map_close(p->map, error))
        err = -1;
    if (p->dump && perf_dump_close(p->dump, error))
        err = -1;
    return profile_close(p->profile, error) ? -1 : err;
}
