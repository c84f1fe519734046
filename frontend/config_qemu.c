/* QEMU's options that are not novt's: qemu_options.def. */
#include "frontend/config_qemu.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/error.h"

static const struct row {
    const char *name, *value, *text;
    bool ignored;
} rows[] = {
#define IGNORED(name, value, text) { name, value, text, true },
#define INSTEAD(name, value, text) { name, value, text, false },
#include "frontend/qemu_options.def"
};

static const struct row *find(const char *name)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

int config_qemu_take(char **argv, int argc, struct error *error)
{
    const char *name = argv[0] + (argv[0][1] == '-' ? 2 : 1);
    const struct row *row = find(name);

    if (!row)
        return 0;
    if (!row->ignored)
        return error_set(error, EX_USAGE, "-%s: novt has this in other words; write %s", name,
                         row->text);
    if (row->value && argc < 2)
        return error_set(error, EX_USAGE, "-%s: needs a value: -%s %s", name, name, row->value);
    fprintf(stderr, "novt: note: -%s: ignored; %s\n", name, row->text);
    return row->value ? 2 : 1;
}
