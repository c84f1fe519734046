/* QEMU's options and devices that are not novt's: qemu_options.def, qemu_devices.def. */
#include "frontend/config_qemu.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/error.h"

enum answer { IGNORED, INSTEAD, MISSING };

struct row {
    const char *name, *value, *text;
    enum answer answer;
};

static const struct row options[] = {
#define IGNORED(name, value, text) { name, value, text, IGNORED },
#define INSTEAD(name, value, text) { name, value, text, INSTEAD },
#define MISSING(name, value, text) { name, value, text, MISSING },
#include "frontend/qemu_options.def"
};

static const struct row devices[] = {
#define IGNORED(name, text) { name, NULL, text, IGNORED },
#define INSTEAD(name, text) { name, NULL, text, INSTEAD },
#define MISSING(name, text) { name, NULL, text, MISSING },
#include "frontend/qemu_devices.def"
};

/* A row's name that ends in * stands for all that begin so. */
static bool is_meant(const char *row, const char *name, size_t len)
{
    size_t fixed = strcspn(row, "*");

    return row[fixed] ? len >= fixed && !memcmp(row, name, fixed)
                      : len == fixed && !memcmp(row, name, len);
}

static const struct row *find(const struct row *rows, size_t count, const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (is_meant(rows[i].name, name, len))
            return &rows[i];
    return NULL;
}

/* what: "-name" or "-device name". 0 when it can be left alone, after a note. */
static int answer(const struct row *row, const char *what, struct error *error)
{
    if (row->answer == INSTEAD)
        return error_set(error, EX_USAGE, "%s: novt has this in other words; write %s", what,
                         row->text);
    if (row->answer == MISSING)
        return error_set(error, EX_USAGE, "%s: novt does not have this: %s", what, row->text);
    fprintf(stderr, "novt: note: %s: ignored; %s\n", what, row->text);
    return 0;
}

int config_qemu_take(char **argv, int argc, struct error *error)
{
    const char *name = argv[0] + (argv[0][1] == '-' ? 2 : 1);
    const struct row *row = find(options, COUNT(options), name, strlen(name));
    char what[32];

    if (!row)
        return 0;
    snprintf(what, sizeof(what), "-%s", name);
    if (row->answer == IGNORED && row->value && argc < 2)
        return error_set(error, EX_USAGE, "%s: needs a value: %s %s", what, what, row->value);
    return answer(row, what, error) ? -1 : row->value ? 2 : 1;
}

int config_qemu_action(bool *no_reboot, const char *value, struct error *error)
{
    static const struct {
        const char *text, *instead; /* NULL: that is how it is */
    } actions[] = {
        { "reboot=shutdown", NULL },
        { "reboot=reset", NULL },
        { "shutdown=poweroff", NULL },
        { "shutdown=pause", "novt ends when the guest powers off" },
        { "panic=shutdown", NULL },
        { "panic=exit-failure", NULL },
        { "panic=pause", "novt ends when the guest panics; with -gdb it stops first" },
        { "panic=none", "novt ends when the guest panics" },
    };
    size_t len;

    for (const char *at = value; *at; at += len + (at[len] == ',')) {
        size_t i = 0;

        len = strcspn(at, ",");
        if (len > 9 && !memcmp(at, "watchdog=", 9))
            continue; /* there is none */
        while (i < COUNT(actions) &&
               (strlen(actions[i].text) != len || memcmp(actions[i].text, at, len)))
            i++;
        if (i == COUNT(actions))
            return error_set(error, EX_USAGE, "-action %.*s: write reboot=shutdown, which is "
                             "-no-reboot", (int)len, at);
        if (actions[i].instead)
            fprintf(stderr, "novt: note: -action %s: ignored; %s\n", actions[i].text,
                    actions[i].instead);
        if (i < 2)
            *no_reboot = !i;
    }
    return 0;
}

int config_qemu_device(const char *value, struct error *error)
{
    size_t len = strcspn(value, ",");
    const struct row *row = find(devices, COUNT(devices), value, len);
    char what[64];

    if (!row)
        return 0;
    snprintf(what, sizeof(what), "-device %.*s", (int)len, value);
    return answer(row, what, error) ? -1 : 1;
}
