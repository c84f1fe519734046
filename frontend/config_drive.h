/* -drive, -hda and their like: drives and what is in them, as the command line has them. */
#ifndef FRONTEND_CONFIG_DRIVE_H
#define FRONTEND_CONFIG_DRIVE_H

#include <stdbool.h>

#include "block/disk.h"

struct error;

/* DRIVE_NONE: a -device says which (config_pair.h). */
enum drive_interface { DRIVE_IDE, DRIVE_VIRTIO, DRIVE_FLOPPY, DRIVE_NONE };
enum { DRIVES_MAX = 16, DRIVE_TEXT_MAX = 4096, DRIVE_IDE_COUNT = 4, DRIVE_FLOPPY_COUNT = 1 };

struct drive_spec {
    const char *option;       /* "-drive", "-hda": for messages */
    const char *file;         /* NULL: empty */
    const char *serial, *id;  /* NULL: not said */
    struct disk_options open; /* readonly and snapshot as asked for */
    enum drive_interface interface;
    bool cdrom;
    char serial_text[21]; /* of a -device */
    int index; /* among those of its interface; -1 until config_drive_check() */
    unsigned device; /* its -device's number among those of drives, from 1 on; 0: it has none */
    char text[DRIVE_TEXT_MAX]; /* what the strings point into */
};

struct drive_specs {
    struct drive_spec drive[DRIVES_MAX];
    unsigned count;
    unsigned devices; /* how many of them have a -device */
    bool snapshot; /* -snapshot: all of them */
};

/* -drive VALUE. 0, or -1 with *error. */
int config_drive_take(struct drive_specs *drives, const char *value, struct error *error);

/* -hda, -hdb, -hdc, -hdd, -cdrom, -fda: option is the name without the dash. */
int config_drive_take_file(struct drive_specs *drives, const char *option, const char *file,
                           struct error *error);

/* The drive of that id, which has no interface yet; or NULL. */
struct drive_spec *config_drive_find(struct drive_specs *drives, const char *id);

/* Has one of that interface got that place? */
bool config_drive_has(const struct drive_specs *drives, enum drive_interface interface, int index);

/* Gives every drive its place: those of a -device in their order, after the others. 0, or -1 with
 * *error. */
int config_drive_check(struct drive_specs *drives, struct error *error);

#endif
