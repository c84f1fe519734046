/* Raw images: the file is the disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/internal.h"
#include "devices/blockdev.h"

struct raw {
    struct disk image;
    bool probed; /* nobody has said that it is raw: it must not begin to look like something else */
};

static int raw_read(struct disk *image, uint64_t offset, struct cursor *to, uint64_t size)
{
    return file_readv(&image->file, offset, to, size);
}

/* A guest that writes a qcow2 header would read any file of the host as its backing file next
 * time; with another format's, when somebody converts the image. */
static bool is_forbidden(const uint8_t *start)
{
    return qcow2_magic(start) || foreign_mark(start);
}

/* The first sector is written from the copy that was looked at: the guest runs meanwhile, and may
 * change its memory. */
static int write_start(struct disk *image, struct cursor *from, uint64_t size)
{
    uint8_t start[BLOCK_SECTOR] = { 0 };
    uint64_t first = size < sizeof(start) ? size : sizeof(start);
    int err;

    cursor_copy_from(from, start, first);
    if (is_forbidden(start))
        return -EPERM;
    err = file_write(&image->file, 0, start, first);
    return err ? err : file_writev(&image->file, first, from, size - first);
}

static int raw_write(struct disk *image, uint64_t offset, struct cursor *from, uint64_t size)
{
    if (((struct raw *)image)->probed && !offset)
        return write_start(image, from, size);
    return file_writev(&image->file, offset, from, size);
}

static int raw_zero(struct disk *image, uint64_t offset, uint64_t size)
{
    return file_zero(&image->file, offset, size);
}

static int raw_discard(struct disk *image, uint64_t offset, uint64_t size)
{
    file_punch(&image->file, offset, size);
    return 0;
}

static int raw_flush(struct disk *image)
{
    return file_sync(&image->file);
}

static void raw_close(struct disk *image)
{
    file_close(&image->file);
    free(image->path);
    free(image);
}

static bool raw_is_zero(struct disk *image, uint64_t offset, uint64_t size, uint64_t *run)
{
    return file_is_hole(&image->file, offset, size, run);
}

static bool raw_read_now(struct disk *image, uint64_t offset, struct cursor *to, uint64_t size)
{
    return file_read_now(&image->file, offset, to, size);
}

static const struct disk_ops raw_ops = {
    .read = raw_read,
    .write = raw_write,
    .zero = raw_zero,
    .discard = raw_discard,
    .flush = raw_flush,
    .close = raw_close,
    .is_zero = raw_is_zero,
    .read_now = raw_read_now,
};

struct disk *raw_open(struct file *file, const char *path, const struct disk_options *options,
                       bool probed, struct disk_error *error)
{
    struct raw *raw = calloc(1, sizeof(*raw));
    int64_t size = file_size(file);
    char *name = strdup(path);

    if (!raw || !name || size < 0 || (!size && !options->removable)) {
        fail(error, -EINVAL, "'%s' %s", path,
             !raw || !name ? "cannot be opened: no memory"
             : size < 0    ? "has no length that can be found"
                           : "is empty: an image has one sector or more");
        file_close(file);
        free(raw);
        free(name);
        return NULL;
    }
    raw->probed = probed;
    raw->image = (struct disk){
        .ops = &raw_ops,
        .format = DISK_RAW,
        .file = *file,
        .path = name,
        .size = ((uint64_t)size + 511) & ~511ull,
        .granule = 512,
        .readonly = !file->writable,
    };
    return &raw->image;
}
