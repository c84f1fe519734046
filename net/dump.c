/* See dump.h. A file with a full disk ends with a whole frame. */
#include "net/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/output.h"

enum { MAGIC = 0xa1b2c3d4, MAJOR = 2, MINOR = 4, LINKTYPE_ETHERNET = 1 };

/* In the host's order, by which readers know it. */
struct file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t reserved[2];
    uint32_t length; /* what of a frame there may be */
    uint32_t link_type;
};

struct frame_header {
    uint32_t seconds, microseconds;
    uint32_t kept, size;
};

struct dump {
    int fd;
    bool regular;
    uint32_t length;
    off_t whole;         /* regular: where the last whole frame ends */
    size_t begin, end;   /* of what is still to be written */
    struct dump_stats stats;
    uint8_t bytes[sizeof(struct frame_header) + DUMP_LENGTH_MAX];
};

/* What a reader makes of a part of a frame is not ours to find out: the file ends before it. */
static void give_up(struct dump *dump, int err)
{
    dump->stats.err = err;
    if (dump->regular && ftruncate(dump->fd, dump->whole))
        return; /* it is as it is */
}

/* True: there is nothing left to be written. */
static bool flush(struct dump *dump)
{
    while (dump->begin < dump->end && !dump->stats.err) {
        ssize_t n = write(dump->fd, dump->bytes + dump->begin, dump->end - dump->begin);

        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0 && errno != EINTR)
            give_up(dump, errno);
        if (n > 0)
            dump->begin += (size_t)n;
    }
    return !dump->stats.err;
}

static void add(struct dump *dump, const void *bytes, size_t size)
{
    memcpy(dump->bytes + dump->end, bytes, size);
    dump->end += size;
}

static int begin(struct dump *dump)
{
    const struct file_header header = { MAGIC, MAJOR, MINOR, { 0, 0 }, dump->length,
                                        LINKTYPE_ETHERNET };

    add(dump, &header, sizeof(header));
    flush(dump);
    dump->whole = sizeof(header);
    return -dump->stats.err;
}

int dump_create(struct dump **out, const char *path, uint32_t length)
{
    struct dump *dump = *out = calloc(1, sizeof(*dump));
    struct stat stat;
    int err;

    if (!dump)
        return -ENOMEM;
    dump->length = length;
    dump->fd = output_open(path);
    err = dump->fd < 0 ? dump->fd : 0;
    if (!err && (fstat(dump->fd, &stat) || fcntl(dump->fd, F_SETFL, O_NONBLOCK)))
        err = -errno;
    if (!err) {
        dump->regular = S_ISREG(stat.st_mode);
        err = begin(dump);
    }
    if (!err)
        return 0;
    dump_destroy(dump);
    *out = NULL;
    return err;
}

void dump_frame(struct dump *dump, const uint8_t *frame, size_t size)
{
    struct frame_header header = { .kept = size < dump->length ? (uint32_t)size : dump->length,
                                   .size = (uint32_t)size };
    struct timespec now;

    if (!flush(dump)) {
        dump->stats.missed++;
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    header.seconds = (uint32_t)now.tv_sec;
    header.microseconds = (uint32_t)(now.tv_nsec / 1000);
    dump->begin = dump->end = 0;
    add(dump, &header, sizeof(header));
    add(dump, frame, header.kept);
    flush(dump);
    if (dump->stats.err) {
        dump->stats.missed++;
        return;
    }
    dump->stats.frames++;
    dump->whole += (off_t)dump->end;
}

struct dump_stats dump_stats(const struct dump *dump)
{
    return dump->stats;
}

void dump_destroy(struct dump *dump)
{
    if (!dump)
        return;
    if (dump->fd >= 0) {
        flush(dump);
        close(dump->fd);
    }
    free(dump);
}
