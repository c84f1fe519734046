/* What devices did: see stats_devices.h. */
#include "frontend/stats_devices.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "devices/pci.h"
#include "frontend/drives.h"
#include "frontend/machine.h"
#include "frontend/nics.h"

static void put(json_t *row, const char *name, uint64_t value)
{
    json_object_set_new(row, name, json_integer((json_int_t)value));
}

/* Bridges and others that neither take notifications nor interrupt are left out. */
static void add_functions(json_t *all, const struct machine *m)
{
    const struct pci_function *f = NULL;
    char name[64];

    while ((f = pci_next(pc_bus(m->pc), f))) {
        json_t *row;

        if (!f->kicks && !f->interrupts)
            continue;
        row = json_object();
        put(row, "kicks", f->kicks);
        put(row, "interrupts", f->interrupts);
        snprintf(name, sizeof(name), "%s@%u.%u", f->name, f->slot, f->function);
        json_object_set_new(all, name, row);
    }
}

static void add_drives(json_t *all, const struct machine *m)
{
    struct drive_view view;
    char name[64];

    for (unsigned i = 0; drives_view(m->drives, i, &view); i++) {
        const struct pool_stats *stats = &view.stats;
        json_t *row = json_object();

        put(row, "reads", stats->reads);
        put(row, "reads_at_once", stats->reads_at_once);
        put(row, "read_bytes", stats->read_bytes);
        put(row, "writes", stats->writes);
        put(row, "written_bytes", stats->written_bytes);
        put(row, "flushes", stats->flushes);
        put(row, "errors", stats->errors);
        put(row, "wakes", stats->wakes);
        snprintf(name, sizeof(name), "drive %s", view.name);
        json_object_set_new(all, name, row);
    }
}

static void add_nics(json_t *all, const struct machine *m)
{
    struct nic_view view;
    char name[32];

    for (unsigned i = 0; nics_view(m->nics, i, &view); i++) {
        json_t *row = json_object();

        put(row, "out_frames", view.counts.out_frames);
        put(row, "out_bytes", view.counts.out_bytes);
        put(row, "in_frames", view.counts.in_frames);
        put(row, "in_bytes", view.counts.in_bytes);
        put(row, "in_dropped", view.counts.in_dropped);
        put(row, "wakes_thread", view.counts.wakes_thread);
        put(row, "wakes_vcpu", view.counts.wakes_vcpu);
        snprintf(name, sizeof(name), "nic %u", i);
        json_object_set_new(all, name, row);
    }
}

json_t *stats_devices(const struct machine *m)
{
    json_t *all = json_object();

    add_functions(all, m);
    add_drives(all, m);
    add_nics(all, m);
    return all;
}
