/* Copying an image into a new one: holes stay holes, zeros become holes. */
#include "frontend/image_convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/error.h"

enum { PIECE = 2 << 20, STEP = 4096 };

struct copy {
    const struct convert *what;
    struct disk *from, *to;
    uint8_t *buffer;
    uint64_t size;
    int shown; /* hundredths of a per cent */
};

static void show(struct copy *c, uint64_t done)
{
    int now = (int)((double)done * 10000 / (double)c->size);

    if (!c->what->progress || now == c->shown)
        return;
    c->shown = now;
    printf("    (%d.%02d/100%%)\r", now / 100, now % 100);
    fflush(stdout);
}

static bool is_zero(const uint8_t *at, uint64_t size)
{
    return !at[0] && !memcmp(at, at + 1, size - 1);
}

/* Writes what is not zero in steps of so many bytes. */
static int put(struct copy *c, uint64_t offset, uint64_t size, uint64_t step)
{
    uint64_t start = 0, at = 0;
    int err = 0;

    while (!err && at < size) {
        uint64_t n = step < size - at ? step : size - at;

        if (is_zero(c->buffer + at, n)) {
            if (at > start)
                err = disk_write(c->to, offset + start, at - start, c->buffer + start);
            start = at + n;
        }
        at += n;
    }
    return err || start == size
               ? err : disk_write(c->to, offset + start, size - start, c->buffer + start);
}

static int put_compressed(struct copy *c, uint64_t offset, uint64_t size)
{
    uint64_t granule = disk_granule(c->to);
    int err = 0;

    for (uint64_t at = 0; !err && at < size; at += granule) {
        uint64_t n = granule < size - at ? granule : size - at;

        if (!is_zero(c->buffer + at, n))
            err = disk_write_compressed(c->to, offset + at, n, c->buffer + at);
    }
    return err;
}

/* Pieces begin at multiples of PIECE, so that every cluster is whole. *wrote: who failed. */
static int copy_piece(struct copy *c, uint64_t offset, uint64_t size, bool *wrote)
{
    int err = disk_read(c->from, offset, size, c->buffer);

    *wrote = !err;
    if (err)
        return err;
    return c->what->compress ? put_compressed(c, offset, size) : put(c, offset, size, STEP);
}

static int copy_all(struct copy *c, struct error *error)
{
    uint64_t at = 0;

    while (at < c->size) {
        uint64_t size = PIECE - at % PIECE, run;
        bool wrote;
        int err;

        if (size > c->size - at)
            size = c->size - at;
        if (disk_is_zero(c->from, at, c->size - at, &run) && (run >= size || at + run == c->size)) {
            at += run >= size ? size : run;
        } else {
            err = copy_piece(c, at, size, &wrote);
            if (err)
                return error_set(error, EX_IOERR, "cannot %s '%s' at %llu: %s",
                                 wrote ? "write" : "read", wrote ? c->what->to : c->what->from,
                                 (unsigned long long)at, strerror(-err));
            at += size;
        }
        show(c, at);
    }
    return 0;
}

static int open_both(struct copy *c, struct error *error)
{
    const struct convert *what = c->what;
    struct disk_options options = { .format = what->from_format, .readonly = true,
                                    .unlocked = what->unlocked };
    struct disk_layout layout = what->layout;
    struct disk_error why;

    c->from = disk_open(what->from, &options, &why);
    if (!c->from)
        return error_set(error, why.err == -ENOENT ? EX_NOINPUT : EX_DATAERR, "%s", why.text);
    c->size = layout.size = disk_size(c->from);
    if (disk_is_same_file(c->from, what->to))
        return error_set(error, EX_USAGE, "'%s' cannot be converted into itself", what->to);
    if (disk_create(what->to, what->to_format, &layout, &why))
        return error_set(error, EX_CANTCREAT, "%s", why.text);
    options = (struct disk_options){ .format = what->to_format };
    c->to = disk_open(what->to, &options, &why);
    return c->to ? 0 : error_set(error, EX_CANTCREAT, "%s", why.text);
}

int image_convert(const struct convert *what, struct error *error)
{
    struct copy c = { .what = what, .shown = -1, .buffer = malloc(PIECE) };
    int err = c.buffer ? 0 : error_set(error, EX_OSERR, "no host memory; free some");

    if (!err && what->compress && what->to_format != DISK_QCOW2)
        err = error_set(error, EX_USAGE, "-c: only qcow2 can be compressed; write -O qcow2");
    if (!err)
        err = open_both(&c, error);
    if (!err)
        err = copy_all(&c, error);
    if (what->progress)
        printf("\n");
    if (c.to) {
        int closed = disk_close(c.to);

        if (closed && !err)
            err = error_set(error, EX_IOERR, "cannot write '%s': %s", what->to,
                            strerror(-closed));
    }
    if (c.from)
        disk_close(c.from);
    free(c.buffer);
    return err;
}
