/*
 * -drive PROPERTY=VALUE[,...]. A comma in a value is written twice. Each property is a row of the
 * table; those that mean something to QEMU only are taken and left alone.
 */
#include "frontend/config_drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/config_text.h"
#include "frontend/error.h"
#include "frontend/nearest.h"
#include "frontend/pc.h"

struct parse {
    struct drive_spec *drive;
    const char *value; /* the whole option, for messages */
    bool index;        /* said */
    struct error *error;
};

typedef int property_fn(struct parse *parse, const char *name, char *text);

static int wrong(const struct parse *parse, const char *name, const char *text, const char *hint)
{
    return error_set(parse->error, EX_USAGE, "-drive %s: %s=%s is wrong; write %s", parse->value,
                     name, text, hint);
}

/* --- Properties ------------------------------------------------------------- */

static int take_file(struct parse *parse, const char *name, char *text)
{
    if (!*text)
        return wrong(parse, name, text, "the name of an image, or leave it out (an empty CD-ROM)");
    parse->drive->file = text;
    return 0;
}

static int take_format(struct parse *parse, const char *name, char *text)
{
    if (!disk_format_of(text, &parse->drive->open.format))
        return wrong(parse, name, text, "format=raw or format=qcow2");
    return 0;
}

static int take_interface(struct parse *parse, const char *name, char *text)
{
    static const char *const names[] = { "ide", "virtio", "floppy", "none" };

    for (unsigned i = 0; i < COUNT(names); i++) {
        if (!strcmp(names[i], text)) {
            parse->drive->interface = (enum drive_interface)i;
            return 0;
        }
    }
    return wrong(parse, name, text, "if=ide, if=virtio or if=floppy (or if=none,id=ID, and"
                 " -device virtio-blk-pci,drive=ID)");
}

static int take_media(struct parse *parse, const char *name, char *text)
{
    parse->drive->cdrom = !strcmp(text, "cdrom");
    return parse->drive->cdrom || !strcmp(text, "disk")
               ? 0 : wrong(parse, name, text, "media=disk or media=cdrom");
}

static int take_readonly(struct parse *parse, const char *name, char *text)
{
    return config_text_switch(text, &parse->drive->open.readonly)
               ? 0 : wrong(parse, name, text, "readonly=on or readonly=off");
}

static int take_snapshot(struct parse *parse, const char *name, char *text)
{
    return config_text_switch(text, &parse->drive->open.snapshot)
               ? 0 : wrong(parse, name, text, "snapshot=on or snapshot=off");
}

static int take_index(struct parse *parse, const char *name, char *text)
{
    if (*text < '0' || *text > '9' || text[1])
        return wrong(parse, name, text, "index=0, the place among the drives of its interface");
    parse->drive->index = *text - '0';
    return 0;
}

static int take_serial(struct parse *parse, const char *name, char *text)
{
    if (strlen(text) > 20)
        return wrong(parse, name, text, "at most 20 characters");
    parse->drive->serial = text;
    return 0;
}

static int take_id(struct parse *parse, const char *name, char *text)
{
    (void)name;
    parse->drive->id = text;
    return 0;
}

/* The host's page cache is always used, and a guest's flush always waits for the disk but here. */
static int take_cache(struct parse *parse, const char *name, char *text)
{
    static const char *const names[] = { "writeback", "none", "directsync", "writethrough",
                                         "unsafe" };

    for (unsigned i = 0; i < COUNT(names); i++) {
        if (strcmp(names[i], text))
            continue;
        parse->drive->open.unsafe = !strcmp(text, "unsafe");
        return 0;
    }
    return wrong(parse, name, text, "cache=writeback (or none) or cache=unsafe");
}

static int take_nothing(struct parse *parse, const char *name, char *text)
{
    (void)parse, (void)name, (void)text;
    return 0;
}

/* A guest is told of every error, and goes on. */
static int take_on_error(struct parse *parse, const char *name, char *text)
{
    return strcmp(text, "report") ? wrong(parse, name, text, "report: the guest gets errors") : 0;
}

static int take_shared(struct parse *parse, const char *name, char *text)
{
    bool on;

    if (!config_text_switch(text, &on))
        return wrong(parse, name, text, "share-rw=off");
    if (on)
        fprintf(stderr, "novt: note: share-rw is ignored; an image is one guest's at a time\n");
    return 0;
}

static const struct property {
    const char *name;
    property_fn *take;
} properties[] = {
    { "file", take_file },
    { "format", take_format },
    { "if", take_interface },
    { "media", take_media },
    { "readonly", take_readonly },
    { "snapshot", take_snapshot },
    { "index", take_index },
    { "serial", take_serial },
    { "id", take_id },
    { "cache", take_cache },
    { "share-rw", take_shared },
    { "werror", take_on_error },
    { "rerror", take_on_error },
    { "aio", take_nothing },
    { "discard", take_nothing },
    { "detect-zeroes", take_nothing },
};

static int take_property(struct parse *parse, char *text)
{
    const char *names[COUNT(properties)];
    char *equals = strchr(text, '=');

    if (equals)
        *equals = 0;
    for (size_t i = 0; i < COUNT(properties); i++) {
        names[i] = properties[i].name;
        if (strcmp(names[i], text))
            continue;
        if (!equals)
            return error_set(parse->error, EX_USAGE, "-drive %s: %s has no value: %s=...",
                             parse->value, text, text);
        return properties[i].take(parse, text, equals + 1);
    }
    if (!equals && !parse->drive->file)
        return error_set(parse->error, EX_USAGE, "-drive %s: '%s' is no property of a drive; write"
                         " file=%s", parse->value, text, text);
    return error_set(parse->error, EX_USAGE, "-drive %s: '%s' is no property of a drive%s (novt -h"
                     " lists them)", parse->value, text,
                     nearest_hint(text, strlen(text), names, COUNT(names), "", "=").text);
}

/* --- Drives ----------------------------------------------------------------- */

static struct drive_spec *add(struct drive_specs *drives, const char *option, const char *value,
                              struct error *error)
{
    struct drive_spec *drive;

    if (drives->count == DRIVES_MAX) {
        error_set(error, EX_USAGE, "%s %s: one too many, %u drives are the most", option, value,
                  DRIVES_MAX);
        return NULL;
    }
    if (strlen(value) >= sizeof(drive->text)) {
        error_set(error, EX_USAGE, "%s: %zu characters are too many; %zu are the most", option,
                  strlen(value), sizeof(drive->text) - 1);
        return NULL;
    }
    drive = &drives->drive[drives->count++];
    *drive = (struct drive_spec){ .option = option, .index = -1 };
    strcpy(drive->text, value);
    return drive;
}

/* What does not go together. */
static int check_one(const struct drive_spec *d, const char *value, struct error *error)
{
    if (d->interface == DRIVE_NONE && !d->id)
        return error_set(error, EX_USAGE, "-drive %s: if=none is for a -device: write id=ID here,"
                         " and -device virtio-blk-pci,drive=ID", value);
    if (d->cdrom && d->interface != DRIVE_IDE && d->interface != DRIVE_NONE)
        return error_set(error, EX_USAGE, "-drive %s: a CD-ROM is an IDE drive; write if=ide",
                         value);
    if (!d->file && !d->cdrom && d->interface != DRIVE_FLOPPY)
        return error_set(error, EX_USAGE, "-drive %s: which image? write file=PATH", value);
    if (d->open.snapshot && d->open.readonly)
        return error_set(error, EX_USAGE, "-drive %s: readonly=on and snapshot=on do not go"
                         " together; snapshot=on never writes the image", value);
    return 0;
}

int config_drive_take(struct drive_specs *drives, const char *value, struct error *error)
{
    struct drive_spec *drive = add(drives, "-drive", value, error);
    struct parse parse = { .drive = drive, .value = value, .error = error };
    char *rest, *piece;

    if (!drive)
        return -1;
    rest = drive->text;
    while ((piece = config_text_next(&rest)))
        if (take_property(&parse, piece))
            return -1;
    return check_one(drive, value, error);
}

int config_drive_take_file(struct drive_specs *drives, const char *option, const char *file,
                           struct error *error)
{
    static const struct {
        const char *name, *option;
        enum drive_interface interface;
        int index;
        bool cdrom;
    } rows[] = {
        { "hda", "-hda", DRIVE_IDE, 0, false }, { "hdb", "-hdb", DRIVE_IDE, 1, false },
        { "hdc", "-hdc", DRIVE_IDE, 2, false }, { "hdd", "-hdd", DRIVE_IDE, 3, false },
        { "cdrom", "-cdrom", DRIVE_IDE, 2, true }, { "fda", "-fda", DRIVE_FLOPPY, 0, false },
    };
    size_t i = 0;
    struct drive_spec *drive;

    while (i < COUNT(rows) - 1 && strcmp(rows[i].name, option))
        i++;
    drive = add(drives, rows[i].option, file, error);
    if (!drive)
        return -1;
    drive->file = drive->text;
    drive->interface = rows[i].interface;
    drive->index = rows[i].index;
    drive->cdrom = rows[i].cdrom;
    return 0;
}

/* --- Places ----------------------------------------------------------------- */

static const struct drive_spec *at(const struct drive_specs *drives,
                                   enum drive_interface interface, int index,
                                   const struct drive_spec *but)
{
    for (unsigned i = 0; i < drives->count; i++) {
        const struct drive_spec *d = &drives->drive[i];

        if (d != but && d->interface == interface && d->index == index)
            return d;
    }
    return NULL;
}

bool config_drive_has(const struct drive_specs *drives, enum drive_interface interface, int index)
{
    return at(drives, interface, index, NULL);
}

struct drive_spec *config_drive_find(struct drive_specs *drives, const char *id)
{
    for (unsigned i = 0; i < drives->count; i++) {
        struct drive_spec *d = &drives->drive[i];

        if (d->interface == DRIVE_NONE && !strcmp(d->id, id))
            return d;
    }
    return NULL;
}

static int place(const struct drive_specs *drives, struct drive_spec *d, struct error *error)
{
    static const char *const names[] = { "IDE", "virtio", "floppy" };
    static const int most[] = { DRIVE_IDE_COUNT, PC_VIRTIO_DISK_COUNT, DRIVE_FLOPPY_COUNT };
    const char *file = d->file ? d->file : "(empty)";

    if (d->interface == DRIVE_NONE)
        return error_set(error, EX_USAGE, "%s %s: if=none, and no -device has drive=%s", d->option,
                         file, d->id);
    if (d->cdrom && d->interface != DRIVE_IDE)
        return error_set(error, EX_USAGE, "%s %s: a CD-ROM is an IDE drive; write -device ide-cd",
                         d->option, file);
    if (d->index < 0) {
        d->index = d->cdrom && !at(drives, d->interface, 2, d) ? 2 : 0;
        while (at(drives, d->interface, d->index, d))
            d->index++;
    } else if (at(drives, d->interface, d->index, d)) {
        return error_set(error, EX_USAGE, "%s %s: %s drive %d is there already; write another"
                         " index=", d->option, file, names[d->interface], d->index);
    }
    if (d->index >= most[d->interface])
        return error_set(error, EX_USAGE, "%s %s: there are %d %s drives at most; write"
                         " if=virtio", d->option, file, most[d->interface], names[d->interface]);
    return 0;
}

/* Those of that -device (0: of none) whose place is not given. */
static int place_rest(struct drive_specs *drives, unsigned device, struct error *error)
{
    for (unsigned i = 0; i < drives->count; i++) {
        struct drive_spec *d = &drives->drive[i];

        if (d->index < 0 && d->device == device && place(drives, d, error))
            return -1;
    }
    return 0;
}

int config_drive_check(struct drive_specs *drives, struct error *error)
{
    for (unsigned i = 0; i < drives->count; i++)
        if (drives->drive[i].index >= 0 && place(drives, &drives->drive[i], error))
            return -1;
    for (unsigned device = 0; device <= drives->devices; device++)
        if (place_rest(drives, device, error))
            return -1;
    for (unsigned i = 0; drives->snapshot && i < drives->count; i++)
        if (!drives->drive[i].cdrom && !drives->drive[i].open.readonly)
            drives->drive[i].open.snapshot = true;
    return 0;
}
