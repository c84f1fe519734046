/* An instruction that executes deprivileged without a trap, and otherwise: where, what, and how. */
#include "frontend/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "frontend/disasm.h"
#include "frontend/error.h"
#include "frontend/kallsyms.h"
#include "frontend/machine.h"
#include "frontend/symbols.h"
#include "trap/trap.h"

#define NAME_SIZE 256
#define LOOKS_MAX 64 /* for a kernel that keeps no table */

static void print_difference(const struct audit_difference *d)
{
    if (d->actual == AUDIT_NONE)
        fprintf(stderr, "  %-12s expected %8" PRIu64 "  actual     none\n", d->what, d->expected);
    else
        fprintf(stderr, "  %-12s expected %08" PRIx64 "  actual %08" PRIx64 "\n", d->what,
                d->expected, d->actual);
}

/* Of the kernel's file, else of the table in its memory, which is there once it is unpacked. */
static void name_of(struct machine *m, uint64_t gla, char *text, size_t size)
{
    *text = '\0';
    if (m->config->kernel)
        symbols_name(m->config->kernel, gla, text, size);
    if (*text)
        return;
    if (!m->kallsyms && m->kallsyms_looks++ < LOOKS_MAX)
        m->kallsyms = kallsyms_find(&m->mem);
    if (m->kallsyms)
        kallsyms_name(m->kallsyms, (uint32_t)gla, text, size);
}

void audit_print(void *arg, const struct audit_find *find)
{
    char name[NAME_SIZE];

    name_of(arg, find->gla, name, sizeof(name));
    error_make_line(name);
    fprintf(stderr, "novt: audit: %s at %08" PRIx64 " %s: does not trap, and differs\n",
            find->insn->info->mnemonic, find->eip, *name ? name : "(no symbol)");
    disasm_print(stderr, find->insn->bytes, find->insn->len, find->eip,
                 find->insn->mode == MODE_32 ? 32 : 16);
    for (unsigned i = 0; i < find->count; i++)
        print_difference(&find->difference[i]);
}
