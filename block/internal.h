/* What the formats share: an open image as image.c sees it. Internal to block/. */
#ifndef BLOCK_INTERNAL_H
#define BLOCK_INTERNAL_H

#include "block/file.h"
#include "block/image.h"

struct image_ops {
    int (*read)(struct image *image, uint64_t offset, struct cursor *to, uint64_t size);
    int (*write)(struct image *image, uint64_t offset, struct cursor *from, uint64_t size);
    int (*zero)(struct image *image, uint64_t offset, uint64_t size);
    int (*discard)(struct image *image, uint64_t offset, uint64_t size);
    int (*flush)(struct image *image);
    void (*close)(struct image *image); /* frees the image itself */
    bool (*is_zero)(struct image *image, uint64_t offset, uint64_t size, uint64_t *run);
    int (*write_compressed)(struct image *image, uint64_t offset, uint64_t size, const void *from);
    void (*info)(struct image *image, struct image_info *info);
    int (*check)(struct image *image, enum image_repair repair, FILE *out,
                 struct image_check *result);
};

struct image {
    const struct image_ops *ops;
    enum image_format format;
    struct file file;
    char *path;
    uint64_t size;
    uint32_t granule;
    bool readonly;
    struct image *backing;
};

/* Records the first error's text; returns err. */
int fail(struct image_error *error, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The images of a chain, to find that it comes back to itself. */
struct chain {
    const struct chain *up;
    dev_t dev;
    ino_t ino;
    unsigned depth;
};

/* Each takes the open file over; NULL with *error: it is closed. */
struct image *raw_open(struct file *file, const char *path, const struct image_options *options,
                       bool probed, struct image_error *error);
struct image *qcow2_open(struct file *file, const char *path, const struct image_options *options,
                         const struct chain *up, struct image_error *error);

/* Opens what a qcow2 image has behind it. name as written there; format NULL: not written. */
struct image *backing_open(const char *name, const char *format, const char *of,
                           const struct chain *up, struct image_error *error);

bool qcow2_magic(const void *sector);

/* An empty image behind which is this one, in a file without a name; it owns backing. */
struct image *qcow2_overlay(struct image *backing, struct image_error *error);

int qcow2_create(struct file *file, const struct image_layout *layout, struct image_error *error);

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
