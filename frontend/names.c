/* Names of the guest's addresses: see names.h. Both tables are read when they are first needed. */
#include "frontend/names.h"

#include <stdlib.h>

#include "frontend/error.h"
#include "frontend/kallsyms.h"
#include "frontend/machine.h"
#include "frontend/symbols.h"

/* A kernel that keeps no table is not searched for it all the time. */
enum { LOOKS_MAX = 64, REST = 4 }; /* it rests so many times longer than it has searched */

struct names {
    struct machine *machine;
    bool read;                 /* the kernel's file */
    struct symbols *symbols;   /* NULL: it has none */
    struct kallsyms *kallsyms; /* NULL: not found (yet) */
    unsigned looks;
    uint64_t next_ns;          /* no search before */
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
    kallsyms_free(names->kallsyms);
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

/* It is there once the kernel has been unpacked. */
static void look_for_table(struct names *names)
{
    uint64_t now = machine_host_ns();

    if (names->kallsyms || names->looks == LOOKS_MAX || now < names->next_ns)
        return;
    names->looks++;
    names->kallsyms = kallsyms_find(&names->machine->mem);
    names->next_ns = machine_host_ns() + REST * (machine_host_ns() - now);
}

void names_at(struct names *names, uint32_t gla, char *text, size_t size)
{
    *text = '\0';
    if (!names)
        return;
    read_file(names);
    symbols_at(names->symbols, gla, text, size);
    if (!names->symbols) {
        look_for_table(names);
        if (names->kallsyms)
            kallsyms_name(names->kallsyms, gla, text, size);
    }
    error_make_line(text);
}

bool names_find(struct names *names, const char *name, uint32_t *gla)
{
    uint64_t address;

    if (!names)
        return false;
    read_file(names);
    if (!symbols_find(names->symbols, name, &address) || address > UINT32_MAX)
        return false;
    *gla = (uint32_t)address;
    return true;
}

void names_log(void *names, uint32_t gla, char *text, size_t size)
{
    names_at(names, gla, text, size);
}
