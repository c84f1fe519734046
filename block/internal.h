/* What the formats share: an open image as disk.c sees it. Internal to block/. */
#ifndef BLOCK_INTERNAL_H
#define BLOCK_INTERNAL_H

#include "block/file.h"
#include "block/disk.h"

struct disk_ops {
    int (*read)(struct disk *image, uint64_t offset, struct cursor *to, uint64_t size);
    int (*write)(struct disk *image, uint64_t offset, struct cursor *from, uint64_t size);
    int (*zero)(struct disk *image, uint64_t offset, uint64_t size);
    int (*discard)(struct disk *image, uint64_t offset, uint64_t size);
    int (*flush)(struct disk *image);
    void (*close)(struct disk *image); /* frees the image itself */
    bool (*is_zero)(struct disk *image, uint64_t offset, uint64_t size, uint64_t *run);
    int (*write_compressed)(struct disk *image, uint64_t offset, uint64_t size, const void *from);
    void (*info)(struct disk *image, struct disk_info *info);
    /* Reads without waiting for the host's disk, or not at all: false. */
    bool (*read_now)(struct disk *image, uint64_t offset, struct cursor *to, uint64_t size);
    int (*check)(struct disk *image, enum disk_repair repair, FILE *out,
                 struct disk_check *result);
};

struct disk {
    const struct disk_ops *ops;
    enum disk_format format;
    struct file file;
    char *path;
    uint64_t size;
    uint32_t granule;
    bool readonly;
    bool snapshot; /* an overlay that is gone at the end; path is backing's */
    struct disk *backing;
};

/* Records the first error's text; returns err. */
int fail(struct disk_error *error, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The images of a chain, to find that it comes back to itself. */
struct chain {
    const struct chain *up;
    dev_t dev;
    ino_t ino;
    unsigned depth;
};

/* Each takes the open file over; NULL with *error: it is closed. */
struct disk *raw_open(struct file *file, const char *path, const struct disk_options *options,
                       bool probed, struct disk_error *error);
struct disk *qcow2_open(struct file *file, const char *path, const struct disk_options *options,
                         const struct chain *up, struct disk_error *error);

/* Opens what a qcow2 image has behind it. name as written there; format NULL: not written. */
struct disk *backing_open(const char *name, const char *format, const char *of,
                           const struct chain *up, struct disk_error *error);

/* Does a qcow2 image begin with this sector? */
bool qcow2_magic(const void *sector);

enum { MARK_END = 68 }; /* of the sector, the part that foreign_mark() looks at */

/* Which format that others know, and novt does not, an image of has this start; NULL: none. */
const char *foreign_mark(const uint8_t start[MARK_END]);

/* An empty image behind which is this one, in a file without a name; it owns backing. */
struct disk *qcow2_overlay(struct disk *backing, struct disk_error *error);

/* Makes an empty file an image of that layout. 0, or -errno with *error. */
int qcow2_create(struct file *file, const struct disk_layout *layout, struct disk_error *error);

/* A big-endian field. */
static inline uint32_t get32(const void *at)
{
    uint32_t value;

    __builtin_memcpy(&value, at, sizeof(value));
    return __builtin_bswap32(value);
}

static inline uint64_t get64(const void *at)
{
    uint64_t value;

    __builtin_memcpy(&value, at, sizeof(value));
    return __builtin_bswap64(value);
}

static inline void put32(void *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    __builtin_memcpy(at, &value, sizeof(value));
}

static inline void put64(void *at, uint64_t value)
{
    value = __builtin_bswap64(value);
    __builtin_memcpy(at, &value, sizeof(value));
}

#endif
