/* The command line: which command it is, its options (frontend/config_row.c), and its help. */
#include "frontend/config.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/boot.h"
#include "frontend/boot_real.h"
#include "frontend/config_check.h"
#include "frontend/config_qemu.h"
#include "frontend/config_row.h"
#include "frontend/engines.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

static const struct option_row *find(const char *name, unsigned command)
{
    for (unsigned i = 0; i < CONFIG_ROWS; i++) {
        const struct option_row *row = &config_rows[i];

        if (row->name && row->commands & command && !strcmp(row->name, name))
            return row;
    }
    return NULL;
}

static int unknown_option(const char *arg, const char *name, unsigned command, struct error *error)
{
    const char *names[CONFIG_ROWS], *equals = strchr(name, '=');
    size_t count = 0;

    for (unsigned i = 0; i < CONFIG_ROWS; i++) {
        const struct option_row *row = &config_rows[i];

        if (!row->name || !(row->commands & command))
            continue;
        names[count++] = row->name;
        if (equals && row->value && strlen(row->name) == (size_t)(equals - name) &&
            !memcmp(row->name, name, strlen(row->name)))
            return error_set(error, EX_USAGE, "%s: the value is a word of its own: -%s %s", arg,
                             row->name, equals + 1);
    }
    return error_set(error, EX_USAGE, "%s: unknown option%s (novt -h lists all)", arg,
                     nearest_hint(name, strlen(name), names, count, "-", "").text);
}

/* A value that is one word in brackets may be left out: is the next word that? */
static bool is_left_out(const char *value, const char *next)
{
    size_t len = strcspn(value, "]");

    return *value == '[' && !value[len + 1] &&
           (!next || strlen(next) != len - 1 || memcmp(next, value + 1, len - 1));
}

/* Takes argv[0] and, where it has one, its value; returns how many words that was, or -1. */
static int take_option(struct config *config, char **argv, int argc, unsigned command,
                       struct error *error)
{
    const char *name = argv[0] + (argv[0][1] == '-' ? 2 : 1);
    const struct option_row *row = find(name, command);
    int taken = row || command != RUN ? 0 : config_qemu_take(argv, argc, error);

    if (taken)
        return taken;
    if (!row)
        return unknown_option(argv[0], name, command, error);
    if (!row->value || is_left_out(row->value, argc > 1 ? argv[1] : NULL))
        return row->take(config, NULL, error) ? -1 : 1;
    if (argc < 2)
        return error_set(error, EX_USAGE, "-%s: its value is missing: -%s %s", row->name, row->name,
                         row->value);
    return row->take(config, argv[1], error) ? -1 : 2;
}

static void print_row(const struct option_row *row)
{
    int at = row->value ? printf("  -%s %s", row->name, row->value) : printf("  -%s", row->name);
    const char *line = row->help;

    if (at > 26)
        at = printf("\n") - 1;
    while (line) {
        const char *end = strchr(line, '\n');

        printf("%*s%.*s\n", 28 - at, "", end ? (int)(end - line) : (int)strlen(line), line);
        line = end ? end + 1 : NULL;
        at = 0;
    }
}

void config_help(void)
{
    printf("novt runs a 32-bit x86 guest in an ordinary process, without VT-x or KVM.\n\n"
           "  novt run [options] [FILE]    boot a kernel, or a disk that has a boot sector\n"
           "  novt exec -- COMMAND...      run a command in a fresh Debian guest (novt exec -h)\n"
           "  novt image COMMAND           make, describe, check, convert disk images\n"
           "  novt ctl -s SOCKET COMMAND   control a running guest (run -monitor unix:SOCKET)\n"
           "  novt view -s SOCKET          look into it: registers, page tables, code, steps\n"
           "  novt trace FILE              read a trace (run -trace FILE): text, timeline, JSON\n"
           "  novt bench [options]         measure what virtualization costs on this host\n"
           "  novt learn [CHAPTER]         a course, with small kernels to look into\n"
           "  novt doctor                  say what this host offers and what novt will use\n\n"
           "Options are written -option or --option.\n");
    for (unsigned i = 0; i < CONFIG_ROWS; i++) {
        if (config_rows[i].name)
            print_row(&config_rows[i]);
        else
            printf("\n%s:\n", config_rows[i].help);
    }
    printf("\nExit status:\n"
           "  0         the guest powered off, or -expect was met\n"
           "  odd       what the guest wrote to isa-debug-exit, (V << 1) | 1\n"
           "  64 to 74  a mistake of the user or the host, as in sysexits.h\n"
           "  76        the guest powered off, and -expect was not met\n"
           "  80        triple fault (with -no-reboot)    81  the guest's kernel panicked\n"
           "  82        halted for ever, interrupts off   83  reboot (with -no-reboot)\n"
           "  124       -timeout                          128+n  ended by signal n\n"
           "  130       quit by Ctrl-A x or novt ctl, as by Ctrl-C\n");
}

/* --- All of it -------------------------------------------------------------- */

static void set_defaults(struct config *config)
{
    *config = (struct config){
        .memory = 512ull << 20,
        .cpu = "host",
        .engine = engines_at(0),
        .append = "",
        .serial[0] = { .kind = CONSOLE_STDIO, .raw = true },
    };
}

/* QEMU's users name a disk so ("qemu-system-i386 boot.bin"), and novt's a kernel. */
static int take_operand(struct config *config, const char *value, struct error *error)
{
    if (boot_is_disk_file(value) && !boot_real_is(value))
        return config_drive_take_file(&config->drives, "hda", value, error);
    return config_row_take_kernel(config, value, error);
}

static int parse_words(struct config *config, char **argv, int argc, unsigned command,
                       struct error *error)
{
    bool options = true;

    while (argc > 0) {
        int taken = 1;

        if (options && !strcmp(argv[0], "--"))
            options = false;
        else if (options && argv[0][0] == '-' && argv[0][1])
            taken = take_option(config, argv, argc, command, error);
        else if (command == RUN)
            taken = take_operand(config, argv[0], error) ? -1 : 1;
        else
            taken = error_set(error, EX_USAGE, "%s: novt doctor takes no arguments", argv[0]);
        if (taken < 0)
            return -1;
        argv += taken;
        argc -= taken;
    }
    return 0;
}

int config_parse(struct config *config, int argc, char **argv, struct error *error)
{
    static const char *const commands[] = { "run",    "exec",   "image",   "ctl",
                                            "view",   "bench",  "doctor",  "explain",
                                            "trace",  "help",   "learn",   "version" };
    const char *word = argc > 1 ? argv[1] : "";

    set_defaults(config);
    if (!strcmp(word, "help")) {
        config->command = COMMAND_HELP;
        return 0;
    }
    if (!strcmp(word, "version")) {
        config->command = COMMAND_VERSION;
        return 0;
    }
    if (!strcmp(word, "doctor")) {
        config->command = COMMAND_DOCTOR;
        return parse_words(config, argv + 2, argc - 2, DOCTOR, error);
    }
    if (!strcmp(word, "run"))
        return parse_words(config, argv + 2, argc - 2, RUN, error) ? -1
                                                                   : config_check(config, error);
    if (!*word)
        return error_set(error, EX_USAGE, "no command: novt run KERNEL, novt doctor or novt -h");
    if (word[0] == '-' && find(word + (word[1] == '-' ? 2 : 1), DOCTOR)) {
        parse_words(config, argv + 1, 1, DOCTOR, error);
        return 0;
    }
    if (word[0] == '-' && find(word + (word[1] == '-' ? 2 : 1), RUN))
        return error_set(error, EX_USAGE, "%s: options come after the command: novt run %s ...",
                         word, word);
    if (word[0] == '-')
        return unknown_option(word, word + (word[1] == '-' ? 2 : 1), RUN, error);
    return error_set(error, EX_USAGE, "%s: unknown command%s (novt -h lists all)", word,
                     nearest_hint(word, strlen(word), commands, COUNT(commands), "novt ", "").text);
}
