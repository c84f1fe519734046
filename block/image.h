/*
 * A disk image: raw or qcow2, with the images behind it.
 *
 * Everything here is synchronous. Calls may come from several threads, except that two calls whose
 * ranges share a granule (image_granule() bytes, aligned) and of which one writes must not run at
 * once; pool.h sees to that. What was written is on stable storage when a later image_flush() is
 * back with 0, and an image is at every moment what it was at a flush, plus some later writes: there
 * is nothing to repair after a kill or a power failure (decision 0010).
 *
 * Functions return 0 or -errno: -ENOSPC, -EIO (the host's, or the image is damaged there), -EROFS,
 * -EINVAL (outside the image).
 */
#ifndef BLOCK_IMAGE_H
#define BLOCK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

struct image;

/* What is wrong and what to do about it, without "novt:" and the end of the line. */
struct image_error {
    char text[1024];
};

enum image_format { IMAGE_PROBE, IMAGE_RAW, IMAGE_QCOW2 };

struct image_options {
    enum image_format format;
    bool readonly;
    bool snapshot;  /* writes go to a file without a name that is gone at the end */
    bool alone;     /* without the images behind it: they read as zeros (info, check) */
    bool damaged;   /* leave a dirty image unrepaired, take a corrupt one (check) */
    bool removable; /* may be empty of sectors */
    bool unsafe;    /* flush does not wait for the disk (the result of a conversion) */
};

/* --- Opening ---------------------------------------------------------------- */

/* NULL with *error. A raw image that was probed is told about on standard error. */
struct image *image_open(const char *path, const struct image_options *options,
                         struct image_error *error);

/* The same with a descriptor that is open already; it is the image's from now on, even at NULL. */
struct image *image_open_fd(int fd, const char *path, const struct image_options *options,
                            struct image_error *error);

/* Flushes and closes; returns what the flush did. */
int image_close(struct image *image);

/* "raw", "qcow2"; false when there is no such format. */
bool image_format_of(const char *name, enum image_format *format);

/* --- Use -------------------------------------------------------------------- */

uint64_t image_size(const struct image *image); /* bytes, a multiple of 512 */
uint32_t image_granule(const struct image *image);
bool image_readonly(const struct image *image);
const char *image_path(const struct image *image);
enum image_format image_format(const struct image *image);
struct image *image_backing(const struct image *image); /* NULL: none */

int image_readv(struct image *image, uint64_t offset, uint64_t size, const struct iovec *iov,
                unsigned count);
int image_writev(struct image *image, uint64_t offset, uint64_t size, const struct iovec *iov,
                 unsigned count);
int image_read(struct image *image, uint64_t offset, uint64_t size, void *to);
int image_write(struct image *image, uint64_t offset, uint64_t size, const void *from);
int image_zero(struct image *image, uint64_t offset, uint64_t size);

/* The content becomes undefined, space is given back; reads give zeros or what was there. */
int image_discard(struct image *image, uint64_t offset, uint64_t size);
int image_flush(struct image *image);

/* Whether the size bytes from offset on read as zeros for certain, as far as tables and holes tell;
 * *run, at most size, is how far that answer holds. */
bool image_is_zero(struct image *image, uint64_t offset, uint64_t size, uint64_t *run);

/* One granule (or the image's last part of one), compressed; qcow2 only, nothing else at once. */
int image_write_compressed(struct image *image, uint64_t offset, uint64_t size, const void *from);

/* --- Making one ------------------------------------------------------------- */

struct image_layout {
    uint64_t size;         /* bytes; 0 with a backing file: that one's */
    uint32_t cluster_size; /* 512 to 2 MiB; 0: 64 KiB */
    unsigned refcount_bits; /* 1 to 64; 0: 16 */
    unsigned version;      /* 2 or 3; 0: 3 */
    bool lazy_refcounts;
    const char *backing;   /* NULL: none; as it is written into the image */
    enum image_format backing_format;
};

/* Makes or empties the file. 0, or -errno with *error. */
int image_create(const char *path, enum image_format format, const struct image_layout *layout,
                 struct image_error *error);

/* --- Looking at one --------------------------------------------------------- */

struct image_info {
    uint32_t cluster_size;   /* 0: raw; then nothing below is set */
    unsigned version, refcount_bits, snapshots;
    bool lazy_refcounts, dirty, corrupt, bitmaps;
    const char *backing, *backing_format; /* as written in the image; NULL: none */
    uint64_t host_size, allocated; /* the file's length, what it takes of the host's disk (raw too) */
};

void image_info(struct image *image, struct image_info *info);

struct image_check {
    uint64_t corruptions, leaks, errors;        /* still there */
    uint64_t corruptions_fixed, leaks_fixed;
    uint64_t allocated, compressed, total, end; /* clusters of the disk; the end in the file, bytes */
};

enum image_repair { REPAIR_NOTHING, REPAIR_LEAKS, REPAIR_ALL };

/* One line to out for each thing found, unless out is NULL. -ENOTSUP for a raw image. */
int image_check(struct image *image, enum image_repair repair, FILE *out,
                struct image_check *result);

#endif
