/* An instruction that executes deprivileged without a trap, and otherwise: where, what, and how. */
#include "frontend/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "frontend/disasm.h"
#include "frontend/machine.h"
#include "frontend/names.h"
#include "trap/trap.h"

#define NAME_SIZE 256

static void print_difference(const struct audit_difference *d)
{
    if (d->actual == AUDIT_NONE)
        fprintf(stderr, "  %-12s expected %8" PRIu64 "  actual     none\n", d->what, d->expected);
    else
        fprintf(stderr, "  %-12s expected %08" PRIx64 "  actual %08" PRIx64 "\n", d->what,
                d->expected, d->actual);
}

void audit_print(void *arg, const struct audit_find *find)
{
    char name[NAME_SIZE];

    names_at(((struct machine *)arg)->names, (uint32_t)find->gla, name, sizeof(name));
    fprintf(stderr, "novt: audit: %s at %08" PRIx64 " %s: does not trap, and differs\n",
            find->insn->info->mnemonic, find->eip, *name ? name : "(no symbol)");
    disasm_print(stderr, find->insn->bytes, find->insn->len, find->eip,
                 find->insn->mode == MODE_32 ? 32 : 16);
    for (unsigned i = 0; i < find->count; i++)
        print_difference(&find->difference[i]);
}
