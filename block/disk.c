/* Opening an image by name, and the calls that every format has. */
#include "block/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/internal.h"

enum { CHAIN_MAX = 200 };

int fail(struct disk_error *error, int err, const char *format, ...)
{
    va_list args;

    if (!error || error->text[0])
        return err;
    error->err = err;
    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return err;
}

bool disk_format_of(const char *name, enum disk_format *format)
{
    if (!strcmp(name, "raw"))
        *format = DISK_RAW;
    else if (!strcmp(name, "qcow2"))
        *format = DISK_QCOW2;
    else
        return false;
    return true;
}

/* --- Which format ----------------------------------------------------------- */

bool qcow2_magic(const void *sector)
{
    return get32(sector) == 0x514649fb; /* "QFI" and 0xfb */
}

static bool looks_qcow2(struct file *file)
{
    uint8_t start[8];

    return !file_read(file, 0, start, sizeof(start)) && qcow2_magic(start);
}

const char *foreign_mark(const uint8_t start[MARK_END])
{
    static const struct {
        const char *name;
        uint16_t offset, size;
        const char *mark;
    } formats[] = {
        { "VMDK", 0, 4, "KDMV" },       { "VMDK", 0, 4, "COWD" },
        { "VHD", 0, 8, "conectix" },    { "VDI", 64, 4, "\x7f\x10\xda\xbe" },
        { "VHDX", 0, 8, "vhdxfile" },   { "QED", 0, 4, "QED\0" },
    };

    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (!memcmp(start + formats[i].offset, formats[i].mark, formats[i].size))
            return formats[i].name;
    return NULL;
}

static const char *foreign_format(struct file *file)
{
    uint8_t start[MARK_END];

    return file_read(file, 0, start, sizeof(start)) ? NULL : foreign_mark(start);
}

static struct disk *open_as(struct file *file, const char *path,
                             const struct disk_options *options, const struct chain *up,
                             struct disk_error *error)
{
    bool probe = options->format == DISK_PROBE;

    if (options->format == DISK_QCOW2 || (probe && looks_qcow2(file)))
        return qcow2_open(file, path, options, up, error);
    if (probe && foreign_format(file)) {
        fail(error, -ENOTSUP, "'%s' is a %s image; convert it (qemu-img convert -O qcow2), or say"
             " format=raw if the guest is to see it as it is", path, foreign_format(file));
        file_close(file);
        return NULL;
    }
    if (probe && file->writable)
        fprintf(stderr,
                "novt: warning: '%s' is taken for a raw image since nothing says what it is; the\n"
                "novt: warning: guest cannot write the mark of another format into its first"
                " sector. format=raw ends both\n", path);
    return raw_open(file, path, options, probe, error);
}

/* --- Chains ----------------------------------------------------------------- */

/* Relative names are seen from the folder of the image that holds them. */
static char *beside(const char *of, const char *name)
{
    const char *slash = strrchr(of, '/');
    size_t dir = slash && name[0] != '/' ? (size_t)(slash - of) + 1 : 0;
    char *path = malloc(dir + strlen(name) + 1);

    if (path) {
        memcpy(path, of, dir);
        strcpy(path + dir, name);
    }
    return path;
}

/* Before it is opened: we may have locked it ourselves. */
static int check_chain(const char *path, const struct chain *up, struct disk_error *error)
{
    struct stat st;

    if (up && up->depth >= CHAIN_MAX)
        return fail(error, -ELOOP, "'%s': more than %d images behind one another", path, CHAIN_MAX);
    if (stat(path, &st))
        return 0;
    for (; up; up = up->up)
        if (up->dev == st.st_dev && up->ino == st.st_ino)
            return fail(error, -ELOOP, "'%s' is behind itself: its chain of backing files is a"
                        " loop", path);
    return 0;
}

/* What was raw when a guest wrote it must not name files of the host now. */
static int check_probed(const struct disk *image, const char *of, struct disk_error *error)
{
    struct disk_info info = { 0 };

    if (image->format != DISK_QCOW2)
        return 0;
    image->ops->info((struct disk *)image, &info);
    if (!info.backing)
        return 0;
    return fail(error, -EPERM, "'%s' does not say which format its backing file '%s' has, and that"
                " has a backing file itself; have it written in: qemu-img rebase -u -F qcow2", of,
                image->path);
}

static struct disk *open_behind(const char *path, const char *format, const char *of,
                                 const struct chain *up, struct disk_error *error)
{
    struct disk_options options = { .readonly = true };
    struct disk *image;
    struct file file;
    bool probe = !format;

    if (format && !disk_format_of(format, &options.format)) {
        fail(error, -ENOTSUP, "'%s': its backing file has the format '%s'; only raw and qcow2 are"
             " known", of, format);
        return NULL;
    }
    if (check_chain(path, up, error) || file_open(&file, path, false, false, error))
        return NULL;
    image = open_as(&file, path, &options, up, error);
    if (image && probe && check_probed(image, of, error)) {
        disk_close(image);
        return NULL;
    }
    return image;
}

struct disk *backing_open(const char *name, const char *format, const char *of,
                           const struct chain *up, struct disk_error *error)
{
    const char *plain = strncmp(name, "file:", 5) ? name : name + 5;
    char *path = beside(of, plain);
    struct disk_error inner = { 0 };
    struct disk *image = NULL;

    if (!path) {
        fail(error, -ENOMEM, "'%s': no memory for its backing file", of);
        return NULL;
    }
    if (!strncmp(name, "json:", 5) || strstr(name, "://"))
        fail(error, -ENOTSUP, "'%s': its backing file '%s' is not a plain file name", of, name);
    else
        image = open_behind(path, format, of, up, &inner);
    if (!image)
        fail(error, inner.err, "backing file of '%s': %s", of, inner.text);
    free(path);
    return image;
}

/* --- Opening ---------------------------------------------------------------- */

static struct disk *opened(struct disk *image, const struct disk_options *options,
                            struct disk_error *error)
{
    if (!image || !options->snapshot)
        return image;
    return qcow2_overlay(image, error);
}

struct disk *disk_open(const char *path, const struct disk_options *options,
                         struct disk_error *error)
{
    bool writable = !options->readonly && !options->snapshot;
    struct file file;

    *error = (struct disk_error){ 0 };
    if (file_open(&file, path, writable, options->unlocked, error))
        return NULL;
    file.unsafe = options->unsafe;
    return opened(open_as(&file, path, options, NULL, error), options, error);
}

struct disk *disk_open_fd(int fd, const char *path, const struct disk_options *options,
                            struct disk_error *error)
{
    int flags = fcntl(fd, F_GETFL);
    bool writable = !options->readonly && !options->snapshot;
    struct file file;

    *error = (struct disk_error){ 0 };
    if (flags < 0 || (writable && (flags & O_ACCMODE) != O_RDWR)) {
        fail(error, -EBADF, "'%s' was handed over without permission to write", path);
        if (flags >= 0)
            close(fd);
        return NULL;
    }
    if (file_adopt(&file, fd, path, writable, options->unlocked, error))
        return NULL;
    file.unsafe = options->unsafe;
    return opened(open_as(&file, path, options, NULL, error), options, error);
}

int disk_close(struct disk *image)
{
    int err = image->readonly ? 0 : disk_flush(image);
    struct disk *backing = image->backing;

    image->ops->close(image);
    if (backing)
        disk_close(backing);
    return err;
}

/* --- Making one ------------------------------------------------------------- */

/* The backing file must be there: its size is wanted, or it would be found missing later. */
static int look_behind(const char *path, struct disk_layout *layout, struct disk_error *error)
{
    static const char *const formats[] = { [DISK_RAW] = "raw", [DISK_QCOW2] = "qcow2" };
    struct disk *backing;
    int err = 0;

    if (!layout->backing)
        return 0;
    backing = backing_open(layout->backing, formats[layout->backing_format], path, NULL, error);
    if (!backing)
        return -EINVAL;
    if (!layout->size)
        layout->size = backing->size;
    if (disk_is_same_file(backing, path))
        err = fail(error, -EINVAL, "'%s' cannot be its own backing file", path);
    disk_close(backing);
    return err;
}

static int make(struct file *file, const char *path, enum disk_format format,
                const struct disk_layout *layout, struct disk_error *error)
{
    if (ftruncate(file->fd, 0) && errno != EINVAL) /* block devices have the length they have */
        return fail(error, -errno, "cannot empty '%s': %s", path, strerror(errno));
    file->unsafe = true;
    if (format == DISK_QCOW2)
        return qcow2_create(file, layout, error);
    if (ftruncate(file->fd, (off_t)layout->size) && errno != EINVAL)
        return fail(error, -errno, "cannot make '%s' that large: %s", path, strerror(errno));
    return 0;
}

int disk_create(const char *path, enum disk_format format, const struct disk_layout *layout,
                 struct disk_error *error)
{
    struct disk_layout asked = *layout;
    struct file file;
    int fd, err;

    *error = (struct disk_error){ 0 };
    if (format == DISK_RAW && layout->backing)
        return fail(error, -EINVAL, "a raw image has no backing file; write -f qcow2");
    if (look_behind(path, &asked, error))
        return -EINVAL;
    asked.size = (asked.size + 511) & ~511ull;
    if (!asked.size || asked.size > INT64_MAX)
        return fail(error, -EINVAL, "the size of '%s' is %s", path,
                    asked.size ? "too large" : "missing, or 0");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    if (fd < 0)
        return fail(error, -errno, "cannot make '%s': %s", path, strerror(errno));
    err = file_adopt(&file, fd, path, true, false, error);
    if (err)
        return err;
    err = make(&file, path, format, &asked, error);
    file_close(&file);
    return err;
}

/* --- Use -------------------------------------------------------------------- */

uint64_t disk_size(const struct disk *image)
{
    return image->size;
}

uint32_t disk_granule(const struct disk *image)
{
    return image->granule;
}

bool disk_readonly(const struct disk *image)
{
    return image->readonly;
}

const char *disk_path(const struct disk *image)
{
    return image->path;
}

enum disk_format disk_format(const struct disk *image)
{
    return image->snapshot ? image->backing->format : image->format;
}

bool disk_is_snapshot(const struct disk *image)
{
    return image->snapshot;
}

bool disk_is_same_file(const struct disk *image, const char *path)
{
    struct stat st;

    return !stat(path, &st) && st.st_dev == image->file.dev && st.st_ino == image->file.ino;
}

static bool is_inside(const struct disk *image, uint64_t offset, uint64_t size)
{
    return offset <= image->size && size <= image->size - offset;
}

static int check_write(const struct disk *image, uint64_t offset, uint64_t size)
{
    if (image->readonly)
        return -EROFS;
    return is_inside(image, offset, size) ? 0 : -EINVAL;
}

/* The buffers must have room for all of it. */
static bool is_long_enough(const struct iovec *iov, unsigned count, uint64_t size)
{
    uint64_t have = 0;

    for (unsigned i = 0; i < count && have < size; i++)
        have += iov[i].iov_len;
    return have >= size;
}

static struct cursor cursor_at(const struct iovec *iov, unsigned count)
{
    struct cursor cursor = { iov, count, 0 };

    cursor_skip(&cursor, 0); /* past empty ones */
    return cursor;
}

int disk_readv(struct disk *image, uint64_t offset, uint64_t size, const struct iovec *iov,
                unsigned count)
{
    struct cursor to = cursor_at(iov, count);

    if (!is_inside(image, offset, size) || !is_long_enough(iov, count, size))
        return -EINVAL;
    return size ? image->ops->read(image, offset, &to, size) : 0;
}

bool disk_readv_now(struct disk *image, uint64_t offset, uint64_t size, const struct iovec *iov,
                    unsigned count)
{
    struct cursor to = cursor_at(iov, count);

    return size && is_inside(image, offset, size) && is_long_enough(iov, count, size) &&
           image->ops->read_now(image, offset, &to, size);
}

int disk_writev(struct disk *image, uint64_t offset, uint64_t size, const struct iovec *iov,
                 unsigned count)
{
    struct cursor from = cursor_at(iov, count);
    int err = check_write(image, offset, size);

    if (!err && !is_long_enough(iov, count, size))
        err = -EINVAL;
    return err || !size ? err : image->ops->write(image, offset, &from, size);
}

int disk_read(struct disk *image, uint64_t offset, uint64_t size, void *to)
{
    struct iovec iov = { to, size };

    return disk_readv(image, offset, size, &iov, 1);
}

int disk_write(struct disk *image, uint64_t offset, uint64_t size, const void *from)
{
    struct iovec iov = { (void *)from, size };

    return disk_writev(image, offset, size, &iov, 1);
}

int disk_zero(struct disk *image, uint64_t offset, uint64_t size)
{
    int err = check_write(image, offset, size);

    return err || !size ? err : image->ops->zero(image, offset, size);
}

int disk_discard(struct disk *image, uint64_t offset, uint64_t size)
{
    int err = check_write(image, offset, size);

    return err || !size ? err : image->ops->discard(image, offset, size);
}

int disk_flush(struct disk *image)
{
    return image->readonly ? 0 : image->ops->flush(image);
}

bool disk_is_zero(struct disk *image, uint64_t offset, uint64_t size, uint64_t *run)
{
    *run = size;
    return is_inside(image, offset, size) && image->ops->is_zero(image, offset, size, run);
}

int disk_write_compressed(struct disk *image, uint64_t offset, uint64_t size, const void *from)
{
    int err = check_write(image, offset, size);

    if (!err && !image->ops->write_compressed)
        err = -ENOTSUP;
    return err ? err : image->ops->write_compressed(image, offset, size, from);
}

void disk_info(struct disk *image, struct disk_info *info)
{
    struct stat st;

    *info = (struct disk_info){ 0 };
    if (!fstat(image->file.fd, &st)) {
        info->host_size = (uint64_t)st.st_size;
        info->allocated = (uint64_t)st.st_blocks * 512;
    }
    if (image->ops->info)
        image->ops->info(image, info);
}

int disk_check(struct disk *image, enum disk_repair repair, FILE *out,
                struct disk_check *result)
{
    *result = (struct disk_check){ 0 };
    return image->ops->check ? image->ops->check(image, repair, out, result) : -ENOTSUP;
}
