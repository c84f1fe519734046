/* novt image: the words of the command line, which are qemu-img's, and what is printed. */
#include "frontend/image_tool.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "block/disk.h"
#include "frontend/config_text.h"
#include "frontend/error.h"
#include "frontend/image_convert.h"
#include "frontend/nearest.h"

struct words {
    const char *command;
    enum disk_format format, output; /* -f, -O */
    bool has_output;
    const char *backing;
    enum disk_format backing_format;
    struct disk_layout layout; /* -o */
    enum disk_repair repair;
    bool compress, progress, json, quiet, share;
    const char *plain[2];
    unsigned plains;
    struct error error;
};

/* --- Values ----------------------------------------------------------------- */

/* 512, 64k, 1.5G; false: none of these. */
static bool size_of(const char *text, uint64_t *size)
{
    static const char suffixes[] = "bkmgtpe";
    double number, bytes;
    const char *suffix;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    number = strtod(text, &end);
    suffix = *end ? strchr(suffixes, *end | 0x20) : suffixes;
    if (!suffix || !*suffix || (*end && end[1]) || strchr(text, 'x'))
        return false;
    bytes = number * (double)(1ull << 10 * (suffix - suffixes));
    *size = (uint64_t)bytes;
    if (!strpbrk(text, ".eE") || (suffix - suffixes) == 6) {
        uint64_t whole = strtoull(text, NULL, 10);

        *size = whole << 10 * (suffix - suffixes);
    }
    return bytes < 9e18;
}

static int take_format(struct words *w, const char *option, const char *text,
                       enum disk_format *format)
{
    static const char *const names[] = { "raw", "qcow2" };

    if (disk_format_of(text, format))
        return 0;
    return nearest_unknown(option, text, strlen(text), names, COUNT(names), &w->error);
}

static int wrong(struct words *w, const char *name, const char *value, const char *hint)
{
    return error_set(&w->error, EX_USAGE, "-o %s=%s is wrong; write %s", name, value, hint);
}

static int take_property(struct words *w, const char *name, char *value)
{
    static const char *const names[] = { "cluster_size", "refcount_bits", "lazy_refcounts",
                                         "compat", "backing_file", "backing_fmt", "size" };
    uint64_t number = 0;

    if (!strcmp(name, names[0])) {
        if (!size_of(value, &number) || number > UINT32_MAX || !number)
            return wrong(w, name, value, "cluster_size=64k, 512 to 2M");
        w->layout.cluster_size = (uint32_t)number;
    } else if (!strcmp(name, names[1])) {
        if (!size_of(value, &number) || number > 64 || !number)
            return wrong(w, name, value, "refcount_bits=16, a power of two up to 64");
        w->layout.refcount_bits = (unsigned)number;
    } else if (!strcmp(name, names[2])) {
        if (!config_text_switch(value, &w->layout.lazy_refcounts))
            return wrong(w, name, value, "lazy_refcounts=on or off");
    } else if (!strcmp(name, names[3])) {
        bool old = !strcmp(value, "0.10") || !strcmp(value, "v2");

        if (!old && strcmp(value, "1.1") && strcmp(value, "v3"))
            return wrong(w, name, value, "compat=1.1 or compat=0.10");
        w->layout.version = old ? 2 : 3;
    } else if (!strcmp(name, names[4])) {
        w->backing = value;
    } else if (!strcmp(name, names[5])) {
        return take_format(w, "-o backing_fmt", value, &w->backing_format);
    } else if (!strcmp(name, names[6])) {
        if (!size_of(value, &w->layout.size))
            return wrong(w, name, value, "size=10G");
    } else {
        return nearest_unknown("-o", name, strlen(name), names, COUNT(names), &w->error);
    }
    return 0;
}

/* Cuts the text. */
static int take_properties(struct words *w, char *text)
{
    char *save = NULL;

    for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        char *equals = strchr(p, '=');

        if (!equals)
            return error_set(&w->error, EX_USAGE, "-o %s: has no value", p);
        *equals = 0;
        if (take_property(w, p, equals + 1))
            return -1;
    }
    return 0;
}

static int take_repair(struct words *w, const char *text)
{
    if (!strcmp(text, "leaks"))
        w->repair = REPAIR_LEAKS;
    else if (!strcmp(text, "all"))
        w->repair = REPAIR_ALL;
    else
        return error_set(&w->error, EX_USAGE, "-r %s: unknown; write -r leaks or -r all", text);
    return 0;
}

static int take_output(struct words *w, const char *text)
{
    w->json = !strcmp(text, "json");
    if (!w->json && strcmp(text, "human"))
        return error_set(&w->error, EX_USAGE, "--output=%s: unknown; write json or human", text);
    return 0;
}

/* --- Words ------------------------------------------------------------------ */

enum { CREATE = 1, INFO = 2, CHECK = 4, CONVERT = 8, ALL = 15 };

static const struct option {
    const char *name;
    unsigned commands;
    bool value;
} options[] = {
    { "-f", ALL, true }, { "-O", CONVERT, true }, { "-b", CREATE, true }, { "-F", CREATE, true },
    { "-o", CREATE | CONVERT, true }, { "-r", CHECK, true }, { "-c", CONVERT, false },
    { "-p", CONVERT, false }, { "-q", ALL, false }, { "-U", INFO | CHECK | CONVERT, false },
    { "--output", INFO | CHECK, true },
};

static int take_value(struct words *w, const struct option *o, char *value)
{
    switch (o->name[1]) {
    case 'f': return take_format(w, "-f", value, &w->format);
    case 'O': w->has_output = true; return take_format(w, "-O", value, &w->output);
    case 'b': w->backing = value; return 0;
    case 'F': return take_format(w, "-F", value, &w->backing_format);
    case 'o': return take_properties(w, value);
    case 'r': return take_repair(w, value);
    case 'c': w->compress = true; return 0;
    case 'p': w->progress = true; return 0;
    case 'q': w->quiet = true; return 0;
    case 'U': w->share = true; return 0;
    default: return take_output(w, value);
    }
}

static int take_option(struct words *w, unsigned command, char ***argv)
{
    char *word = *(*argv)++, *equals = strchr(word, '=');

    for (size_t i = 0; i < COUNT(options); i++) {
        const struct option *o = &options[i];
        size_t len = strlen(o->name);
        bool joined = len > 2 && equals && (size_t)(equals - word) == len;

        if (!(o->commands & command) || strncmp(word, o->name, len) || (word[len] && !joined))
            continue;
        if (joined)
            return take_value(w, o, equals + 1);
        if (o->value && !**argv)
            return error_set(&w->error, EX_USAGE, "%s: its value is missing", word);
        return take_value(w, o, o->value ? *(*argv)++ : NULL);
    }
    return error_set(&w->error, EX_USAGE, "%s: novt image %s has no such option (novt image -h)",
                     word, w->command);
}

static int take_words(struct words *w, unsigned command, char **argv)
{
    while (*argv) {
        if (**argv == '-' && (*argv)[1]) {
            if (take_option(w, command, &argv))
                return -1;
        } else if (w->plains == 2) {
            return error_set(&w->error, EX_USAGE, "%s: one word too many (novt image -h)", *argv);
        } else {
            w->plain[w->plains++] = *argv++;
        }
    }
    if (w->plains < (command == CONVERT ? 2u : 1u))
        return error_set(&w->error, EX_USAGE, "novt image %s: which image? (novt image -h)",
                         w->command);
    return 0;
}

static int failed(struct words *w, int status, const struct disk_error *why)
{
    return error_set(&w->error, status, "%s", why->text);
}

/* --- create ----------------------------------------------------------------- */

static int create(struct words *w)
{
    enum disk_format format = w->format == DISK_PROBE ? DISK_RAW : w->format;
    struct disk_error why;

    w->layout.backing = w->backing;
    w->layout.backing_format = w->backing_format;
    if (w->plains == 2 && !size_of(w->plain[1], &w->layout.size))
        return error_set(&w->error, EX_USAGE, "%s: not a size; write 512M, 10G or bytes",
                         w->plain[1]);
    if (w->backing && w->backing_format == DISK_PROBE)
        return error_set(&w->error, EX_USAGE, "-b %s: say which format that is: -F raw or -F qcow2",
                         w->backing);
    if (disk_create(w->plain[0], format, &w->layout, &why))
        return failed(w, why.err == -EINVAL ? EX_USAGE : EX_CANTCREAT, &why);
    return 0;
}

/* --- info ------------------------------------------------------------------- */

static struct disk *open_to_look(struct words *w, bool writable)
{
    struct disk_options how = { .format = w->format, .readonly = !writable, .alone = true,
                                .damaged = true, .removable = true, .unlocked = w->share };
    struct disk_error why;
    struct disk *disk = disk_open(w->plain[0], &how, &why);

    if (!disk)
        failed(w, why.err == -ENOENT ? EX_NOINPUT : EX_DATAERR, &why);
    return disk;
}

static void print_size(const char *what, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double size = (double)bytes;
    unsigned unit = 0;

    for (; size >= 1024; size /= 1024)
        unit++;
    printf("%s: %.3g %s (%" PRIu64 " bytes)\n", what, size, units[unit], bytes);
}

static const char *yes(bool is)
{
    return is ? "true" : "false";
}

static void print_info(const struct disk *disk, const struct disk_info *info)
{
    printf("image: %s\nfile format: %s\n", disk_path(disk), info->cluster_size ? "qcow2" : "raw");
    print_size("virtual size", disk_size(disk));
    print_size("disk size", info->allocated);
    if (!info->cluster_size)
        return;
    printf("cluster_size: %u\n", info->cluster_size);
    if (info->backing)
        printf("backing file: %s\n", info->backing);
    if (info->backing_format)
        printf("backing file format: %s\n", info->backing_format);
    printf("snapshots: %u\ncompat: %s\nrefcount bits: %u\nlazy refcounts: %s\ndirty: %s\n"
           "corrupt: %s\nbitmaps: %s\n", info->snapshots, info->version < 3 ? "0.10" : "1.1",
           info->refcount_bits, yes(info->lazy_refcounts), yes(info->dirty), yes(info->corrupt),
           yes(info->bitmaps));
}

static void print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(4) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(object);
}

/* Names as qemu-img has them. A file name may be any bytes: those that are no text are left out. */
static void print_info_json(const struct disk *disk, const struct disk_info *info)
{
    json_t *o = json_pack("{s:s*, s:s, s:I, s:I}", "filename", disk_path(disk), "format",
                          info->cluster_size ? "qcow2" : "raw", "virtual-size",
                          (json_int_t)disk_size(disk), "actual-size", (json_int_t)info->allocated);

    if (info->cluster_size) {
        json_object_set_new(o, "cluster-size", json_integer(info->cluster_size));
        json_object_set_new(o, "dirty-flag", json_boolean(info->dirty));
        json_object_set_new(o, "snapshots", json_integer(info->snapshots));
        json_object_set_new(o, "format-specific", json_pack(
            "{s:s, s:{s:s, s:i, s:b, s:b}}", "type", "qcow2", "data",
            "compat", info->version < 3 ? "0.10" : "1.1", "refcount-bits", info->refcount_bits,
            "lazy-refcounts", info->lazy_refcounts, "corrupt", info->corrupt));
    }
    if (info->backing)
        json_object_set_new(o, "backing-filename", json_string(info->backing));
    if (info->backing_format)
        json_object_set_new(o, "backing-filename-format", json_string(info->backing_format));
    print_json(o);
}

static int info(struct words *w)
{
    struct disk *disk = open_to_look(w, false);
    struct disk_info what;

    if (!disk)
        return -1;
    disk_info(disk, &what);
    if (w->json)
        print_info_json(disk, &what);
    else
        print_info(disk, &what);
    disk_close(disk);
    return 0;
}

/* --- check ------------------------------------------------------------------ */

static void print_check(const struct disk_check *r)
{
    double total = r->total ? (double)r->total : 1;

    if (r->leaks_fixed || r->corruptions_fixed)
        printf("Repaired: %" PRIu64 " leaked clusters, %" PRIu64 " errors.\n", r->leaks_fixed,
               r->corruptions_fixed);
    if (r->corruptions)
        printf("%" PRIu64 " errors were found on the image. Data may be damaged.\n",
               r->corruptions);
    if (r->leaks)
        printf("%" PRIu64 " leaked clusters were found on the image. They waste space only.\n",
               r->leaks);
    if (r->errors)
        printf("%" PRIu64 " parts could not be read.\n", r->errors);
    if (!r->corruptions && !r->leaks && !r->errors)
        printf("No errors were found on the image.\n");
    printf("%" PRIu64 "/%" PRIu64 " = %.2f%% allocated, %" PRIu64 " compressed clusters\n"
           "Image end offset: %" PRIu64 "\n", r->allocated, r->total,
           100 * (double)r->allocated / total, r->compressed, r->end);
}

static void print_check_json(const struct disk *disk, const struct disk_check *r)
{
    print_json(json_pack("{s:s*, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                         "filename", disk_path(disk), "check-errors", (json_int_t)r->errors,
                         "corruptions", (json_int_t)r->corruptions, "leaks", (json_int_t)r->leaks,
                         "corruptions-fixed", (json_int_t)r->corruptions_fixed,
                         "leaks-fixed", (json_int_t)r->leaks_fixed,
                         "image-end-offset", (json_int_t)r->end,
                         "total-clusters", (json_int_t)r->total,
                         "allocated-clusters", (json_int_t)r->allocated,
                         "compressed-clusters", (json_int_t)r->compressed));
}

static int check_status(const struct disk_check *r)
{
    return r->corruptions ? 2 : r->errors ? 1 : r->leaks ? 3 : 0;
}

static int check(struct words *w, int *status)
{
    struct disk *disk = open_to_look(w, w->repair);
    struct disk_check result;
    int err;

    *status = 1;
    if (!disk)
        return -1;
    err = disk_check(disk, w->repair, w->json || w->quiet ? NULL : stdout, &result);
    if (err == -ENOTSUP) {
        *status = 63;
        error_set(&w->error, 63, "'%s' is a raw image: there is nothing to check", w->plain[0]);
    } else if (err) {
        error_set(&w->error, 1, "'%s' cannot be checked: %s", w->plain[0], strerror(-err));
    } else {
        *status = check_status(&result);
        if (w->json)
            print_check_json(disk, &result);
        else if (!w->quiet)
            print_check(&result);
    }
    disk_close(disk);
    return err ? -1 : 0;
}

/* --- convert ---------------------------------------------------------------- */

static int convert(struct words *w)
{
    const struct convert what = {
        .from = w->plain[0],
        .to = w->plain[1],
        .from_format = w->format,
        .to_format = w->has_output ? w->output : DISK_RAW,
        .layout = w->layout,
        .compress = w->compress,
        .progress = w->progress,
        .unlocked = w->share,
    };

    return image_convert(&what, &w->error);
}

/* --- All of it -------------------------------------------------------------- */

static void help(void)
{
    printf("novt image makes, describes, checks and converts disk images: raw and qcow2.\n\n"
           "  novt image create [-f FORMAT] [-b BACKING -F FORMAT] [-o OPTIONS] FILE [SIZE]\n"
           "  novt image info [-f FORMAT] [-U] [--output=json] FILE\n"
           "  novt image check [-f FORMAT] [-r leaks|all] [--output=json] FILE\n"
           "  novt image convert [-f FORMAT] [-O FORMAT] [-o OPTIONS] [-c] [-p] FROM TO\n\n"
           "SIZE is in bytes, or 64k, 10M, 1.5G, 2T. FORMAT is raw (the default of new images) or\n"
           "qcow2. OPTIONS of qcow2: cluster_size=512..2M, refcount_bits=1..64,\n"
           "lazy_refcounts=on|off, compat=1.1|0.10.\n\n"
           "  -b  the new image holds what differs from that file    -c  compressed\n"
           "  -U  although somebody writes to it                     -p  show progress\n"
           "  -r  repair: lost space only, or everything             -q  say nothing\n\n"
           "Exit status of check: 0 nothing wrong, 1 not completed, 2 damaged, 3 lost space,\n"
           "63 not a format that can be checked.\n");
}

static int run(struct words *w, char **argv)
{
    static const char *const names[] = { "create", "info", "check", "convert" };
    unsigned n = 0;
    int status = 0, err;

    while (n < COUNT(names) && strcmp(names[n], w->command))
        n++;
    if (n == COUNT(names)) {
        nearest_unknown("novt image", w->command, strlen(w->command), names, COUNT(names),
                        &w->error);
        return EX_USAGE;
    }
    err = take_words(w, 1u << n, argv);
    if (err)
        return w->error.status;
    switch (1u << n) {
    case CREATE: err = create(w); break;
    case INFO: err = info(w); break;
    case CONVERT: err = convert(w); break;
    default: err = check(w, &status); return status;
    }
    return err ? w->error.status : status;
}

int image_tool(int argc, char **argv)
{
    struct words words = { .command = argc ? argv[0] : "" };
    int status;

    if (!argc || !strcmp(argv[0], "-h") || !strcmp(argv[0], "--help") || !strcmp(argv[0], "help")) {
        help();
        return argc ? 0 : EX_USAGE;
    }
    status = run(&words, argv + 1);
    if (words.error.status)
        error_print(stderr, &words.error);
    return status;
}
