/* The drives and the images in them: made from the command line, waited for by the poller. */
#ifndef FRONTEND_DRIVES_H
#define FRONTEND_DRIVES_H

#include <stdint.h>

#include "block/pool.h"
#include "frontend/pc.h"

struct confine_wants;
struct drive_specs;
struct drives;
struct error;
struct poller;

/* Opens the images; specs outlives it. 0, or -1 with *error. */
int drives_create(struct drives **drives, const struct drive_specs *specs, struct poller *poller,
                  struct error *error);

/* The guest runs no more: waits for its requests, brings all to the disk. 0, or -1 with *error. */
int drives_close(struct drives *drives, struct error *error);

/* The controllers are gone by then. */
void drives_destroy(struct drives *drives);

/* --- For the board ---------------------------------------------------------- */

/* NULL: there is none. */
struct blockdev *drives_ide(const struct drives *drives, unsigned index); /* 0 to 3 */
struct blockdev *drives_floppy(const struct drives *drives);
unsigned drives_virtio(const struct drives *drives, struct blockdev *disk[PC_VIRTIO_DISK_COUNT]);

/* What the monitor must be able to do for them (confine.h). */
void drives_confine(const struct drive_specs *specs, struct confine_wants *wants);

/* --- For people ------------------------------------------------------------- */

struct drive_view {
    const char *name; /* id=, or "ide1-cd0", "virtio0", "floppy0" */
    const char *file; /* NULL: empty */
    const char *format; /* of the file; a snapshot's writes are not in it */
    uint64_t size;
    bool snapshot, removable, readonly, locked, tray_open;
    struct pool_stats stats;
};

/* False: there is no drive with that number, counted from 0. */
bool drives_view(const struct drives *drives, unsigned n, struct drive_view *view);

/* Takes the medium out of a removable drive. When the guest holds it and not force, the guest is
 * asked. 0, or -1 with *error. */
int drives_eject(struct drives *drives, const char *name, bool force, struct error *error);

/* Puts another image in: fd is open for it already (a monitor that is confined opens nothing), or
 * -1; it is taken over in any case. 0, or -1 with *error. */
int drives_change(struct drives *drives, const char *name, const char *file, int fd, bool force,
                  struct error *error);

#endif
