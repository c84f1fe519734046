/* Reading files, with every way it can fail told apart. gzip: RFC 1952, by zlib. */
#include "frontend/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <zlib.h>

#include "frontend/error.h"

#define FIRST_SIZE (1u << 20)
#define NAME_SHOWN 1000 /* of one that may be of any length */

#define KEPT_MAX 16

/* Files that stay open. Here and not in a caller's struct, since names are all that the callers
 * have in common. */
static struct {
    bool on;
    unsigned count;
    struct {
        char *path;
        int fd;
    } file[KEPT_MAX];
} kept;

void image_keep(bool keep)
{
    kept.on = keep;
    while (!keep && kept.count) {
        kept.count--;
        close(kept.file[kept.count].fd);
        free(kept.file[kept.count].path);
    }
}

static int find_kept(const char *path)
{
    for (unsigned i = 0; i < kept.count; i++)
        if (!strcmp(kept.file[i].path, path) && lseek(kept.file[i].fd, 0, SEEK_SET) == 0)
            return kept.file[i].fd;
    return -1;
}

/* Closes a file, or keeps it. */
static void put_away(const char *path, int fd)
{
    for (unsigned i = 0; i < kept.count; i++)
        if (kept.file[i].fd == fd)
            return;
    if (kept.on && kept.count < KEPT_MAX) {
        kept.file[kept.count].path = strdup(path);
        kept.file[kept.count].fd = fd;
        if (kept.file[kept.count].path) {
            kept.count++;
            return;
        }
    }
    close(fd);
}

static const char *advice(int err)
{
    switch (err) {
    case ENOENT: return "check its name";
    case EACCES: case EPERM: return "make it readable for you";
    case EISDIR: return "name a file in it";
    case ENAMETOOLONG: return "use a shorter one";
    default: return "check the file and the disk it is on";
    }
}

static int open_file(const char *path, const char *what, struct stat *st, struct error *error)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK; /* a FIFO shall not hang us */
    int fd = find_kept(path), err;

    if (fd < 0)
        fd = open(path, flags);
    err = errno;

    if (fd >= 0 && !fstat(fd, st) && !S_ISDIR(st->st_mode)) {
        fcntl(fd, F_SETFL, 0);
        return fd;
    }
    if (fd >= 0) {
        close(fd);
        err = EISDIR;
    }
    return error_set(error, EX_NOINPUT, "%s '%.*s%s': %s; %s", what, NAME_SHOWN, path,
                     strlen(path) > NAME_SHOWN ? "..." : "", strerror(err), advice(err));
}

static int too_large(const char *path, const char *what, uint64_t limit, struct error *error)
{
    return error_set(error, EX_DATAERR,
                     "%s '%s': does not fit into the guest's %lluM; give it more memory with -m",
                     what, path, (unsigned long long)(limit >> 20));
}

static int out_of_memory(const char *path, const char *what, struct error *error)
{
    return error_set(error, EX_OSERR, "%s '%s': no host memory to read it into; free some", what,
                     path);
}

/* Makes room for one byte more than limit at most: too large can be told from just right. */
static int grow(struct image *image, size_t *capacity, uint64_t limit)
{
    size_t wanted = *capacity ? *capacity * 2 : FIRST_SIZE;
    uint8_t *bytes;

    if (wanted > limit + 1)
        wanted = limit + 1;
    bytes = realloc(image->bytes, wanted);
    if (!bytes)
        return -1;
    image->bytes = bytes;
    *capacity = wanted;
    return 0;
}

static int read_all(struct image *image, int fd, size_t capacity, const char *path,
                    const char *what, uint64_t limit, struct error *error)
{
    for (;;) {
        ssize_t n;

        if (image->size > limit)
            return too_large(path, what, limit, error);
        if ((!image->bytes || image->size == capacity) && grow(image, &capacity, limit))
            return out_of_memory(path, what, error);
        n = read(fd, image->bytes + image->size, capacity - image->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(error, EX_IOERR, "%s '%s': cannot read: %s; %s", what, path,
                             strerror(errno), advice(errno));
        if (!n)
            return 0;
        image->size += (size_t)n;
    }
}

size_t image_head(const char *path, uint8_t *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t got = -1;

    if (fd < 0)
        return 0;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode))
        got = read(fd, to, size);
    close(fd);
    return got < 0 ? 0 : (size_t)got;
}

int image_read(struct image *image, const char *path, const char *what, uint64_t limit,
               struct error *error)
{
    size_t capacity = 0;
    struct stat st;
    int fd, err;

    *image = (struct image){ 0 };
    fd = open_file(path, what, &st, error);
    if (fd < 0)
        return -1;
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit) {
        err = too_large(path, what, limit, error);
    } else {
        if (S_ISREG(st.st_mode)) {
            image->bytes = malloc((size_t)st.st_size + 1); /* and one to see that it has ended */
            capacity = image->bytes ? (size_t)st.st_size + 1 : 0;
        }
        err = read_all(image, fd, capacity, path, what, limit, error);
    }
    put_away(path, fd);
    if (!err && !image->size)
        err = error_set(error, EX_DATAERR, "%s '%s': the file is empty; get it again", what, path);
    if (err)
        image_free(image);
    return err;
}

/* --- gzip ------------------------------------------------------------------- */

static int inflate_all(struct image *out, z_stream *z, const char *path, const char *what,
                       uint64_t limit, struct error *error)
{
    size_t capacity = 0;
    int state = Z_OK;

    while (state != Z_STREAM_END) {
        size_t room;

        if (out->size > limit)
            return too_large(path, what, limit, error);
        if (out->size == capacity && grow(out, &capacity, limit))
            return out_of_memory(path, what, error);
        room = capacity - out->size;
        z->next_out = out->bytes + out->size;
        z->avail_out = room < UINT32_MAX ? (unsigned)room : UINT32_MAX;
        state = inflate(z, Z_NO_FLUSH);
        out->size = (size_t)(z->next_out - out->bytes);
        if (state != Z_OK && state != Z_STREAM_END)
            return error_set(error, EX_DATAERR,
                             "%s '%s': the gzip data is damaged or cut short; get it again", what,
                             path);
    }
    return 0;
}

int image_unzip(struct image *image, const char *path, const char *what, uint64_t limit,
                struct error *error)
{
    struct image out = { 0 };
    z_stream z = { 0 };
    int err;

    if (image->size < 2 || image->bytes[0] != 0x1f || image->bytes[1] != 0x8b)
        return 0;
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return out_of_memory(path, what, error);
    z.next_in = image->bytes;
    z.avail_in = image->size < UINT32_MAX ? (unsigned)image->size : UINT32_MAX;
    err = inflate_all(&out, &z, path, what, limit, error);
    inflateEnd(&z);
    if (!err && !out.size)
        err = error_set(error, EX_DATAERR, "%s '%s': the gzip file holds nothing; get it again",
                        what, path);
    if (err) {
        image_free(&out);
        return err;
    }
    image_free(image);
    *image = out;
    return 0;
}

void image_free(struct image *image)
{
    free(image->bytes);
    *image = (struct image){ 0 };
}
