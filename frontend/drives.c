/* The drives: see drives.h. */
#include "frontend/drives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "block/disk.h"
#include "block/pool.h"
#include "devices/blockdev.h"
#include "frontend/config_drive.h"
#include "frontend/confine.h"
#include "frontend/error.h"
#include "frontend/nearest.h"
#include "frontend/poller.h"

struct drives {
    const struct drive_specs *specs;
    struct poller *poller;
    struct pool *pool;
    struct poller_call call;
    struct blockdev *drive[DRIVES_MAX]; /* as in specs */
    char name[DRIVES_MAX][24];
    unsigned count;
};

/* --- Opening ---------------------------------------------------------------- */

static int status_of(int err)
{
    switch (err) {
    case -ENOENT: case -EISDIR: return EX_NOINPUT;
    case -EACCES: case -EPERM: case -EROFS: case -EBUSY: return EX_NOPERM;
    case -ENOMEM: case -EMFILE: return EX_OSERR;
    case -EIO: return EX_IOERR;
    default: return EX_DATAERR;
    }
}

static bool is_removable(const struct drive_spec *spec)
{
    return spec->cdrom || spec->interface == DRIVE_FLOPPY;
}

static struct disk_options options_of(const struct drive_spec *spec)
{
    struct disk_options options = spec->open;

    options.removable = is_removable(spec);
    if (spec->cdrom) { /* nothing writes there, so nothing can be made to look like something */
        options.readonly = true;
        options.snapshot = false;
    }
    return options;
}

static int add(struct drives *drives, const struct drive_spec *spec, struct error *error)
{
    struct disk_options options = options_of(spec);
    struct disk_error why;
    struct disk *disk = NULL;
    struct blockdev *drive;

    if (spec->file) {
        disk = disk_open(spec->file, &options, &why);
        if (!disk)
            return error_set(error, status_of(why.err), "%s: %s", spec->option, why.text);
    }
    drive = pool_add(drives->pool, disk, spec->cdrom, spec->serial);
    if (!drive) {
        if (disk)
            disk_close(disk);
        return error_set(error, EX_OSERR, "%s: no host memory; free some", spec->option);
    }
    drives->drive[drives->count++] = drive;
    return 0;
}

static void name(struct drives *drives, unsigned n)
{
    const struct drive_spec *spec = &drives->specs->drive[n];
    char *to = drives->name[n];
    size_t size = sizeof(drives->name[n]);

    if (spec->id)
        snprintf(to, size, "%s", spec->id);
    else if (spec->interface == DRIVE_IDE)
        snprintf(to, size, "ide%d-%s%d", spec->index / 2, spec->cdrom ? "cd" : "hd",
                 spec->index % 2);
    else
        snprintf(to, size, "%s%d", spec->interface == DRIVE_VIRTIO ? "virtio" : "floppy",
                 spec->index);
}

static void ready(void *arg)
{
    pool_dispatch(arg);
}

/* On any thread. */
static void wake(void *arg)
{
    struct drives *drives = arg;

    poller_call(drives->poller, &drives->call);
}

int drives_create(struct drives **made, const struct drive_specs *specs, struct poller *poller,
                  struct error *error)
{
    struct drives *drives = *made = calloc(1, sizeof(*drives));

    if (!drives)
        return error_set(error, EX_OSERR, "no host memory for drives; free some");
    drives->specs = specs;
    drives->poller = poller;
    drives->pool = pool_create(wake, drives);
    if (!drives->pool)
        return error_set(error, EX_OSERR, "no host memory for drives; free some");
    drives->call = (struct poller_call){ .ready = ready, .arg = drives->pool };
    poller_add_call(poller, &drives->call);
    for (unsigned i = 0; i < specs->count; i++) {
        name(drives, i);
        if (add(drives, &specs->drive[i], error))
            return -1;
    }
    return 0;
}

int drives_close(struct drives *drives, struct error *error)
{
    int err = pool_drain(drives->pool);

    return err ? error_set(error, EX_IOERR, "the guest's last writes to a disk are lost: %s",
                           strerror(-err)) : 0;
}

void drives_destroy(struct drives *drives)
{
    if (!drives)
        return;
    pool_destroy(drives->pool);
    poller_remove_call(drives->poller, &drives->call);
    free(drives);
}

void drives_confine(const struct drive_specs *specs, struct confine_wants *wants)
{
    wants->drives |= specs->count > 0;
}

/* --- For the board ---------------------------------------------------------- */

static struct blockdev *at(const struct drives *drives, enum drive_interface interface, int index)
{
    for (unsigned i = 0; i < drives->count; i++)
        if (drives->specs->drive[i].interface == interface &&
            drives->specs->drive[i].index == index)
            return drives->drive[i];
    return NULL;
}

struct blockdev *drives_ide(const struct drives *drives, unsigned index)
{
    return at(drives, DRIVE_IDE, (int)index);
}

struct blockdev *drives_floppy(const struct drives *drives)
{
    return at(drives, DRIVE_FLOPPY, 0);
}

unsigned drives_virtio(const struct drives *drives, struct blockdev *disk[PC_VIRTIO_DISK_COUNT])
{
    unsigned count = 0;

    for (int i = 0; i < PC_VIRTIO_DISK_COUNT; i++) {
        disk[count] = at(drives, DRIVE_VIRTIO, i);
        count += disk[count] != NULL;
    }
    return count;
}

/* --- For people ------------------------------------------------------------- */

bool drives_view(const struct drives *drives, unsigned n, struct drive_view *view)
{
    const struct blockdev *dev;
    const struct disk *disk;

    if (n >= drives->count)
        return false;
    dev = drives->drive[n];
    disk = pool_image(dev);
    *view = (struct drive_view){
        .name = drives->name[n],
        .file = disk ? disk_path(disk) : NULL,
        .format = !disk ? "" : disk_format(disk) == DISK_QCOW2 ? "qcow2" : "raw",
        .snapshot = disk && disk_is_snapshot(disk),
        .size = dev->size,
        .removable = is_removable(&drives->specs->drive[n]),
        .readonly = dev->readonly,
        .locked = dev->locked,
        .tray_open = dev->tray_open,
        .stats = pool_stats(dev),
    };
    return true;
}

static int find(const struct drives *drives, const char *wanted, struct error *error)
{
    const char *names[DRIVES_MAX];

    for (unsigned i = 0; i < drives->count; i++) {
        names[i] = drives->name[i];
        if (!strcmp(names[i], wanted))
            return (int)i;
    }
    if (!drives->count)
        return error_set(error, EX_USAGE, "%s: this guest has no drives", wanted);
    return error_set(error, EX_USAGE, "%s: no such drive%s (info block lists them)", wanted,
                     nearest_hint(wanted, strlen(wanted), names, drives->count, "", "").text);
}

/* Whether what is in the drive may be taken out; asks the guest if not. */
static int release(struct drives *drives, int n, bool force, struct error *error)
{
    struct blockdev *dev = drives->drive[n];

    if (!is_removable(&drives->specs->drive[n]))
        return error_set(error, EX_USAGE, "%s: its medium cannot be taken out", drives->name[n]);
    if (!dev->locked || force || !dev->present)
        return 0;
    if (dev->eject_request)
        dev->eject_request(dev->controller);
    return error_set(error, EX_TEMPFAIL, "%s: the guest holds it, and has been asked to let go; try"
                     " again, or force it", drives->name[n]);
}

static int put_in(struct drives *drives, int n, struct disk *disk, struct error *error)
{
    int err = pool_change(drives->pool, drives->drive[n], disk);

    return err ? error_set(error, EX_IOERR, "%s: the last writes to what was in it are lost: %s",
                           drives->name[n], strerror(-err)) : 0;
}

int drives_eject(struct drives *drives, const char *wanted, bool force, struct error *error)
{
    int n = find(drives, wanted, error);

    return n < 0 || release(drives, n, force, error) ? -1 : put_in(drives, n, NULL, error);
}

int drives_change(struct drives *drives, const char *wanted, const char *file, int fd, bool force,
                  struct error *error)
{
    int n = find(drives, wanted, error);
    struct disk_options options;
    struct disk_error why;
    struct disk *disk;

    if (n < 0 || release(drives, n, force, error)) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    options = options_of(&drives->specs->drive[n]);
    options.format = DISK_PROBE; /* what was said was said of another file */
    options.snapshot = false;
    disk = fd >= 0 ? disk_open_fd(fd, file, &options, &why) : disk_open(file, &options, &why);
    if (!disk)
        return error_set(error, status_of(why.err), "%s", why.text);
    return put_in(drives, n, disk, error);
}
