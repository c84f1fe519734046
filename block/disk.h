/*
 * A disk image: raw or qcow2, with the images behind it.
 *
 * Everything here is synchronous. Calls may come from several threads, except that two calls whose
 * ranges share a granule (disk_granule() bytes, aligned) and of which one writes must not run at
 * once; pool.h sees to that. What was written is on stable storage when a later disk_flush() is
 * back with 0, and an image is at every moment what it was at a flush, plus some later writes:
 * there is nothing to repair after a kill or a power failure (decision 0013).
 *
 * Functions return 0 or -errno: -ENOSPC, -EIO (the host's, or the image is damaged there), -EROFS,
 * -EINVAL (outside the image).
 */
#ifndef BLOCK_DISK_H
#define BLOCK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

struct disk;

/* What is wrong and what to do about it, without "novt:" and the end of the line. */
struct disk_error {
    int err; /* -errno */
    char text[1024];
};

enum disk_format { DISK_PROBE, DISK_RAW, DISK_QCOW2 };

struct disk_options {
    enum disk_format format;
    bool readonly;
    bool snapshot;  /* writes go to a file without a name that is gone at the end */
    bool alone;     /* without the images behind it: they read as zeros (info, check) */
    bool damaged;   /* leave a dirty image unrepaired, take a corrupt one (check) */
    bool removable; /* may be empty of sectors */
    bool unlocked;  /* although somebody writes to it: to look at */
    bool unsafe;    /* flush does not wait for the disk (the result of a conversion) */
};

/* --- Opening ---------------------------------------------------------------- */

/* NULL with *error. A raw image that was probed is told about on standard error. */
struct disk *disk_open(const char *path, const struct disk_options *options,
                         struct disk_error *error);

/* The same with a descriptor that is open already; it is the image's from now on, even at NULL. */
struct disk *disk_open_fd(int fd, const char *path, const struct disk_options *options,
                            struct disk_error *error);

/* Flushes and closes; returns what the flush did. */
int disk_close(struct disk *image);

/* "raw", "qcow2"; false when there is no such format. */
bool disk_format_of(const char *name, enum disk_format *format);

/* --- Use -------------------------------------------------------------------- */

uint64_t disk_size(const struct disk *image); /* bytes, a multiple of 512 */
uint32_t disk_granule(const struct disk *image);
bool disk_readonly(const struct disk *image);
const char *disk_path(const struct disk *image);
enum disk_format disk_format(const struct disk *image); /* of the file that disk_path() names */
bool disk_is_snapshot(const struct disk *image);       /* as struct disk_options has it */
bool disk_is_same_file(const struct disk *image, const char *path);

int disk_readv(struct disk *image, uint64_t offset, uint64_t size, const struct iovec *iov,
                unsigned count);
int disk_writev(struct disk *image, uint64_t offset, uint64_t size, const struct iovec *iov,
                 unsigned count);
int disk_read(struct disk *image, uint64_t offset, uint64_t size, void *to);
int disk_write(struct disk *image, uint64_t offset, uint64_t size, const void *from);

/* Reads what is in the host's memory, without waiting for anything; false: not done. */
bool disk_readv_now(struct disk *image, uint64_t offset, uint64_t size, const struct iovec *iov,
                    unsigned count);
int disk_zero(struct disk *image, uint64_t offset, uint64_t size);

/* The content becomes undefined, space is given back; reads give zeros or what was there. */
int disk_discard(struct disk *image, uint64_t offset, uint64_t size);
int disk_flush(struct disk *image);

/* Whether the size bytes from offset on read as zeros for certain, as far as tables and holes tell;
 * *run, at most size, is how far that answer holds. */
bool disk_is_zero(struct disk *image, uint64_t offset, uint64_t size, uint64_t *run);

/* One granule (or the image's last part of one), compressed; qcow2 only, nothing else at once. */
int disk_write_compressed(struct disk *image, uint64_t offset, uint64_t size, const void *from);

/* --- Making one ------------------------------------------------------------- */

struct disk_layout {
    uint64_t size;         /* bytes; 0 with a backing file: that one's */
    uint32_t cluster_size; /* 512 to 2 MiB; 0: 64 KiB */
    unsigned refcount_bits; /* 1 to 64; 0: 16 */
    unsigned version;      /* 2 or 3; 0: 3 */
    bool lazy_refcounts;
    const char *backing;   /* NULL: none; as it is written into the image */
    enum disk_format backing_format;
};

/* Makes or empties the file. 0, or -errno with *error. */
int disk_create(const char *path, enum disk_format format, const struct disk_layout *layout,
                 struct disk_error *error);

/* --- Looking at one --------------------------------------------------------- */

struct disk_info {
    uint32_t cluster_size;   /* 0: raw; then nothing below is set */
    unsigned version, refcount_bits, snapshots;
    bool lazy_refcounts, dirty, corrupt, bitmaps;
    const char *backing, *backing_format; /* as written in the image; NULL: none */
    uint64_t host_size, allocated; /* the file's length, what it takes of the host's (raw too) */
};

/* *info is good as long as the image is open. */
void disk_info(struct disk *image, struct disk_info *info);

struct disk_check {
    uint64_t corruptions, leaks, errors;        /* still there */
    uint64_t corruptions_fixed, leaks_fixed;
    uint64_t allocated, compressed, total; /* clusters of the disk */
    uint64_t end;                          /* of what is used in the file, bytes */
};

enum disk_repair { REPAIR_NOTHING, REPAIR_LEAKS, REPAIR_ALL };

/* One line to out for each thing found, unless out is NULL. -ENOTSUP for a raw image. */
int disk_check(struct disk *image, enum disk_repair repair, FILE *out,
                struct disk_check *result);

#endif
