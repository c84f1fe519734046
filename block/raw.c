/* Raw images: the file is the disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/internal.h"

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
static bool is_forbidden(const struct raw *raw, uint64_t offset, struct cursor from, uint64_t size)
{
    uint8_t start[MARK_END] = { 0 };

    if (!raw->probed || offset || size < sizeof(start)) /* guests write sectors */
        return false;
    cursor_copy_from(&from, start, sizeof(start));
    return qcow2_magic(start) || foreign_mark(start);
}

static int raw_write(struct disk *image, uint64_t offset, struct cursor *from, uint64_t size)
{
    if (is_forbidden((struct raw *)image, offset, *from, size))
        return -EPERM;
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
