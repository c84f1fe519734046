/*
 * Host files under images. Locks: byte ranges that every user of an image locks for reading (OFD
 * locks): 100 + n says "I do n", 200 + n "nobody else may do n", with the numbers below. So two
 * novt, and novt and QEMU, keep off each other's images.
 */
#include "block/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block/internal.h"

enum { SLICES = 256 };
enum { DOES = 100, FORBIDS = 200 };
enum { READING, WRITING, RESIZING = 3, THINGS = 4 };

/* --- Cursors ---------------------------------------------------------------- */

void cursor_skip(struct cursor *at, uint64_t size)
{
    at->skip += size;
    while (at->count && at->skip >= at->iov->iov_len) {
        at->skip -= at->iov->iov_len;
        at->iov++;
        at->count--;
    }
}

/* The next piece in one buffer. */
static uint64_t piece(const struct cursor *at, uint64_t size, uint8_t **start)
{
    uint64_t here = at->iov->iov_len - at->skip;

    *start = (uint8_t *)at->iov->iov_base + at->skip;
    return here < size ? here : size;
}

void cursor_fill_zero(struct cursor *at, uint64_t size)
{
    while (size && at->count) {
        uint8_t *start;
        uint64_t n = piece(at, size, &start);

        memset(start, 0, n);
        cursor_skip(at, n);
        size -= n;
    }
}

void cursor_copy_to(struct cursor *at, const void *from, uint64_t size)
{
    const uint8_t *source = from;

    while (size && at->count) {
        uint8_t *start;
        uint64_t n = piece(at, size, &start);

        memcpy(start, source, n);
        cursor_skip(at, n);
        source += n;
        size -= n;
    }
}

void cursor_copy_from(struct cursor *at, void *to, uint64_t size)
{
    uint8_t *target = to;

    while (size && at->count) {
        uint8_t *start;
        uint64_t n = piece(at, size, &start);

        memcpy(target, start, n);
        cursor_skip(at, n);
        target += n;
        size -= n;
    }
}

/* Up to SLICES pieces that are size bytes at most; does not move. */
static int slice(struct cursor at, uint64_t size, struct iovec *out)
{
    int n = 0;

    while (size && at.count && n < SLICES) {
        uint8_t *start;
        uint64_t len = piece(&at, size, &start);

        if (len)
            out[n++] = (struct iovec){ start, len };
        size -= len;
        cursor_skip(&at, len);
    }
    return n;
}

/* --- Locks ------------------------------------------------------------------ */

static int lock_byte(int fd, int command, short type, off_t at, bool *taken)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

    if (fcntl(fd, command, &lock))
        return -errno;
    *taken = command == F_OFD_GETLK && lock.l_type != F_UNLCK;
    return 0;
}

/* Says what we do and forbid, then looks whether anybody does what we forbid or forbids what we do.
 * File systems without such locks are used without. */
static int take_locks(int fd, bool writable)
{
    const bool does[THINGS] = { [READING] = true, [WRITING] = writable, [RESIZING] = writable };
    const bool forbids[THINGS] = { [WRITING] = true, [RESIZING] = true };
    bool taken, any = false;

    for (int i = 0; i < THINGS; i++) {
        if ((does[i] && lock_byte(fd, F_OFD_SETLK, F_RDLCK, DOES + i, &taken)) ||
            (forbids[i] && lock_byte(fd, F_OFD_SETLK, F_RDLCK, FORBIDS + i, &taken)))
            return 0;
    }
    for (int i = 0; i < THINGS; i++) {
        if (does[i] && !lock_byte(fd, F_OFD_GETLK, F_WRLCK, FORBIDS + i, &taken))
            any |= taken;
        if (forbids[i] && !lock_byte(fd, F_OFD_GETLK, F_WRLCK, DOES + i, &taken))
            any |= taken;
    }
    return any ? -EBUSY : 0;
}

/* --- Opening ---------------------------------------------------------------- */

static int check_kind(const struct stat *st, const char *path, struct disk_error *error)
{
    if (S_ISDIR(st->st_mode))
        return fail(error, -EISDIR, "'%s' is a folder, not a disk image", path);
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        return fail(error, -EINVAL, "'%s' is neither a file nor a block device", path);
    return 0;
}

int file_adopt(struct file *file, int fd, const char *path, bool writable, bool unlocked,
               struct disk_error *error)
{
    struct stat st;
    int err = fstat(fd, &st) ? fail(error, -errno, "cannot look at '%s': %s", path, strerror(errno))
                             : check_kind(&st, path, error);

    if (!err && !unlocked && take_locks(fd, writable))
        err = fail(error, -EBUSY, writable
                   ? "'%s' is in use by another process or drive; end that, or open it with"
                     " readonly=on both there and here"
                   : "'%s' is being written by another process or drive; end that first", path);
    if (err) {
        close(fd);
        return err;
    }
    *file = (struct file){ .fd = fd, .writable = writable, .dev = st.st_dev, .ino = st.st_ino };
    return 0;
}

/* errno says why there is no file. What is to be written can be made; a colon is in names of QEMU's
 * that are no files. */
static int cannot_open(const char *path, bool writable, struct disk_error *error)
{
    int err = errno;
    const char *why = strerror(err);

    if (err == ENOENT && strcspn(path, ":") < strcspn(path, "/"))
        return fail(error, -err, "'%s' does not exist; images are files of this host, other"
                    " protocols are not known", path);
    if (err == ENOENT)
        return fail(error, -err, "'%s' does not exist; %s", path,
                    writable ? "novt image create makes one" : "check its name");
    if (err == EISDIR)
        return fail(error, -err, "'%s' is a folder, not a disk image", path);
    if (writable && (err == EACCES || err == EROFS || err == EPERM))
        return fail(error, -err, "'%s' cannot be written: %s; change its mode, or add readonly=on"
                    " or snapshot=on", path, why);
    return fail(error, -err, "cannot open '%s': %s; %s", path, why,
                err == EACCES || err == EPERM ? "look at its mode" : "check its name");
}

int file_open(struct file *file, const char *path, bool writable, bool unlocked,
              struct disk_error *error)
{
    /* O_NONBLOCK: a FIFO must not make us wait; it means nothing for files. */
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return cannot_open(path, writable, error);
    return file_adopt(file, fd, path, writable, unlocked, error);
}

int file_temporary(struct file *file, struct disk_error *error)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    int fd;

    if (!dir || !*dir)
        dir = "/var/tmp";
    fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && snprintf(path, sizeof(path), "%s/novt-XXXXXX", dir) < (int)sizeof(path)) {
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            unlink(path);
    }
    if (fd < 0)
        return fail(error, -errno, "snapshot=on: no temporary file in '%s': %s; set TMPDIR to a"
                    " folder with room", dir, strerror(errno));
    *file = (struct file){ .fd = fd, .writable = true, .unsafe = true };
    return 0;
}

void file_close(struct file *file)
{
    close(file->fd);
    file->fd = -1;
}

/* --- Reading and writing ---------------------------------------------------- */

int64_t file_size(const struct file *file)
{
    off_t end = lseek(file->fd, 0, SEEK_END);

    return end < 0 ? -errno : end;
}

int file_readv(struct file *file, uint64_t offset, struct cursor *to, uint64_t size)
{
    struct iovec pieces[SLICES];

    if (offset + size < offset || offset + size > INT64_MAX)
        return -EIO;
    while (size) {
        ssize_t n = preadv(file->fd, pieces, slice(*to, size, pieces), (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (!n) {
            cursor_fill_zero(to, size);
            return 0;
        }
        cursor_skip(to, (uint64_t)n);
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return 0;
}

int file_writev(struct file *file, uint64_t offset, struct cursor *from, uint64_t size)
{
    struct iovec pieces[SLICES];

    if (offset + size < offset || offset + size > INT64_MAX)
        return -EFBIG;
    while (size) {
        ssize_t n = pwritev(file->fd, pieces, slice(*from, size, pieces), (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        cursor_skip(from, (uint64_t)n);
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return 0;
}

int file_read(struct file *file, uint64_t offset, void *to, uint64_t size)
{
    struct iovec iov = { to, size };
    struct cursor cursor = { &iov, 1, 0 };

    return file_readv(file, offset, &cursor, size);
}

int file_write(struct file *file, uint64_t offset, const void *from, uint64_t size)
{
    struct iovec iov = { (void *)from, size };
    struct cursor cursor = { &iov, 1, 0 };

    return file_writev(file, offset, &cursor, size);
}

/* A part may have been read when it fails: it is read again, then. */
bool file_read_now(struct file *file, uint64_t offset, struct cursor *to, uint64_t size)
{
    struct iovec pieces[SLICES];

    while (size) {
        int n = slice(*to, size, pieces);
        /* Not by preadv2(), which is a cancellation point: two locked instructions more. */
        long got = syscall(SYS_preadv2, file->fd, pieces, n, offset, 0, RWF_NOWAIT);

        if (got <= 0)
            return false;
        cursor_skip(to, (uint64_t)got);
        offset += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return true;
}

static int write_zeros(struct file *file, uint64_t offset, uint64_t size)
{
    static const uint8_t zeros[65536];

    while (size) {
        uint64_t n = size < sizeof(zeros) ? size : sizeof(zeros);
        int err = file_write(file, offset, zeros, n);

        if (err)
            return err;
        offset += n;
        size -= n;
    }
    return 0;
}

int file_zero(struct file *file, uint64_t offset, uint64_t size)
{
    if (!file->no_hole &&
        !fallocate(file->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                   (off_t)size))
        return 0;
    return write_zeros(file, offset, size);
}

int file_sync(struct file *file)
{
    if (file->unsafe)
        return 0;
    return fdatasync(file->fd) ? -errno : 0;
}

void file_punch(struct file *file, uint64_t offset, uint64_t size)
{
    if (!file->no_hole && fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                    (off_t)offset, (off_t)size))
        file->no_hole = errno == EOPNOTSUPP || errno == ENOSYS || errno == ENODEV;
}

bool file_is_hole(struct file *file, uint64_t offset, uint64_t size, uint64_t *run)
{
    off_t data = lseek(file->fd, (off_t)offset, SEEK_DATA);
    off_t end;

    *run = size;
    if (data < 0)
        return errno == ENXIO; /* nothing but a hole up to the end */
    if ((uint64_t)data > offset) {
        if ((uint64_t)data - offset < size)
            *run = (uint64_t)data - offset;
        return true;
    }
    end = lseek(file->fd, (off_t)offset, SEEK_HOLE);
    if (end > data && (uint64_t)(end - data) < size)
        *run = (uint64_t)(end - data);
    return false;
}
