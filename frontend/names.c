/* Names of a guest kernel's addresses: see names.h. Tables are read when they are first needed. */
#include "frontend/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/vcpu.h"
#include "frontend/error.h"
#include "frontend/image.h"
#include "frontend/kallsyms.h"
#include "frontend/machine.h"
#include "frontend/symbols.h"

/* A kernel that keeps no table is not searched for it all the time. */
enum { REST = 4 }; /* between two searches: so many times longer than the last, and than it took */
#define KERNEL_LOWEST 0x80000000u /* where Linux can be made to begin */
#define KERNEL_BASE 0xc0000000u /* while paging is off, Linux runs that far below its names */

struct names {
    struct machine *machine;
    bool read;               /* the kernel's file */
    struct symbols *symbols; /* NULL: it has none */
    struct symbols *booted;  /* of the table in memory; NULL: not found (yet) */
    struct symbols *given;   /* NULL: no file was */
    bool paged;              /* paging has been on at a search */
    uint64_t rest_ns, next_ns; /* no search before */
};

struct names *names_create(struct machine *machine)
{
    struct names *names = calloc(1, sizeof(*names));

    if (names)
        names->machine = machine;
    return names;
}

void names_free(struct names *names)
{
    if (!names)
        return;
    symbols_free(names->symbols);
    symbols_free(names->booted);
    symbols_free(names->given);
    free(names);
}

static void read_file(struct names *names)
{
    const char *kernel = names->machine->config->kernel;

    if (names->read)
        return;
    names->read = true;
    if (kernel)
        names->symbols = symbols_read(kernel);
}

static void hear(void *arg, uint32_t gla, char type, const char *name)
{
    (void)type;
    symbols_add(arg, gla, 0, name);
}

static void take_table(struct names *names)
{
    struct kallsyms *table = kallsyms_find(&names->machine->mem);

    if (!table)
        return;
    symbols_free(names->booted);
    names->booted = symbols_create();
    if (names->booted) {
        kallsyms_each(table, hear, names->booted);
        symbols_sort(names->booted);
    }
    kallsyms_free(table);
}

/* It is there once the kernel has been unpacked, and true (with KASLR) when paging is on. */
static void look_for_table(struct names *names)
{
    bool paged = names->paged || names->machine->vcpu->cr0 & CR0_PG;
    uint64_t now = machine_host_ns(), took;

    if (paged == names->paged && (names->booted || now < names->next_ns))
        return;
    names->paged |= paged;
    take_table(names);
    took = machine_host_ns() - now;
    names->rest_ns = REST * (took > names->rest_ns ? took : names->rest_ns);
    names->next_ns = now + took + names->rest_ns;
}

bool names_known(struct names *names)
{
    if (!names)
        return false;
    read_file(names);
    if (!names->symbols)
        look_for_table(names);
    return names->symbols || names->booted;
}

void names_forget(struct names *names)
{
    if (!names)
        return;
    symbols_free(names->booted);
    names->booted = NULL;
    names->paged = false;
    names->rest_ns = names->next_ns = 0;
}

static const char *nearest(const struct names *names, uint32_t gla, uint64_t *offset)
{
    const struct symbols *tables[] = { names->symbols, names->booted, names->given };
    const char *found = NULL;

    for (size_t i = 0; !found && i < sizeof(tables) / sizeof(*tables); i++)
        found = symbols_nearest(tables[i], gla, offset);
    return found;
}

const char *names_nearest(struct names *names, uint32_t gla, uint64_t *offset)
{
    const char *found;

    if (!names)
        return NULL;
    names_known(names);
    found = nearest(names, gla, offset);
    if (!found && gla < KERNEL_BASE && !(names->machine->vcpu->cr0 & CR0_PG))
        found = nearest(names, gla + KERNEL_BASE, offset);
    return found;
}

void names_at(struct names *names, uint32_t gla, char *text, size_t size)
{
    uint64_t offset;
    const char *name = names_nearest(names, gla, &offset);

    *text = '\0';
    if (name)
        snprintf(text, size, "%s+0x%" PRIx64, name, offset);
    error_make_line(text);
}

/* --- A file of the user's ---------------------------------------------------------------- */

/* A kernel is above what a user's program can be at. */
bool names_offer(struct names *names, const struct image *file)
{
    struct symbols *symbols = symbols_create();

    if (symbols)
        symbols_add_elf(symbols, file);
    if (symbols && !symbols_count(symbols))
        symbols_add_map(symbols, file);
    if (!symbols)
        return false;
    symbols_sort(symbols);
    if (symbols_highest(symbols) < KERNEL_LOWEST) {
        symbols_free(symbols);
        return false;
    }
    symbols_free(names->given);
    names->given = symbols;
    return true;
}

/* --- By name -------------------------------------------------------------------------------- */

bool names_find(struct names *names, const char *name, uint32_t *gla)
{
    uint64_t address;

    if (!names)
        return false;
    names_known(names);
    if ((!symbols_find(names->symbols, name, &address) &&
         !symbols_find(names->booted, name, &address) &&
         !symbols_find(names->given, name, &address)) || address > UINT32_MAX)
        return false;
    *gla = (uint32_t)address;
    return true;
}

void names_log(void *names, uint32_t gla, char *text, size_t size)
{
    names_at(names, gla, text, size);
}
