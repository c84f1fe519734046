/*
 * block_random IMAGE raw|qcow2 SEED COUNT FLAT: random operations on an image, each compared with a
 * flat copy in memory that is written to FLAT at the end, for others to compare. The image's first
 * content is taken from it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/disk.h"
#include "tests/random.h"

struct run {
    const char *path;
    struct disk_options options;
    struct disk *image;
    uint64_t size, state;
    uint8_t *flat, *buffer;
};

#define MOST (256u << 10) /* bytes in one request */

static void die(const char *what, uint64_t offset, uint64_t size, int err)
{
    printf("FAIL %s at %#llx, %#llx bytes: %s\n", what, (unsigned long long)offset,
           (unsigned long long)size, strerror(-err));
    exit(1);
}

static uint64_t draw(struct run *r, uint64_t below)
{
    return random_next(&r->state) % below;
}

static void open_image(struct run *r)
{
    struct disk_error error;

    r->image = disk_open(r->path, &r->options, &error);
    if (!r->image) {
        printf("FAIL %s\n", error.text);
        exit(1);
    }
}

static void compare(struct run *r, uint64_t offset, uint64_t size)
{
    int err = disk_read(r->image, offset, size, r->buffer);

    if (err || memcmp(r->buffer, r->flat + offset, size))
        die("read", offset, size, err);
}

static void compare_all(struct run *r)
{
    for (uint64_t at = 0; at < r->size; at += MOST)
        compare(r, at, r->size - at < MOST ? r->size - at : MOST);
}

static void fill(struct run *r, uint8_t *to, uint64_t size)
{
    uint64_t value = draw(r, UINT64_MAX);

    for (uint64_t i = 0; i < size; i += 8, value += 0x9e3779b97f4a7c15)
        memcpy(to + i, &value, 8);
}

static void write_random(struct run *r, uint64_t offset, uint64_t size)
{
    struct iovec iov[3];
    uint64_t first = draw(r, size / 512) * 512, err;

    fill(r, r->flat + offset, size);
    iov[0] = (struct iovec){ r->flat + offset, first };
    iov[1] = (struct iovec){ NULL, 0 };
    iov[2] = (struct iovec){ r->flat + offset + first, size - first };
    err = (uint64_t)disk_writev(r->image, offset, size, iov, 3);
    if (err)
        die("write", offset, size, (int)err);
}

static void discard(struct run *r, uint64_t offset, uint64_t size)
{
    int err = disk_discard(r->image, offset, size);

    if (!err)
        err = disk_read(r->image, offset, size, r->buffer);
    if (err)
        die("discard", offset, size, err);
    for (uint64_t i = 0; i < size; i++)
        if (r->buffer[i] && r->buffer[i] != r->flat[offset + i])
            die("discard left something else", offset + i, 1, 0);
    memcpy(r->flat + offset, r->buffer, size);
}

static void step(struct run *r)
{
    uint64_t size = (draw(r, draw(r, 8) ? 32 : MOST / 512) + 1) * 512;
    uint64_t offset = draw(r, r->size / 512) * 512;
    unsigned what = (unsigned)draw(r, 100);
    int err = 0;

    if (size > r->size - offset)
        size = r->size - offset;
    if (what < 50)
        write_random(r, offset, size);
    else if (what < 75)
        compare(r, offset, size);
    else if (what < 85) {
        memset(r->flat + offset, 0, size);
        err = disk_zero(r->image, offset, size);
    } else if (what < 92)
        discard(r, offset, size);
    else if (what < 99)
        err = disk_flush(r->image);
    else {
        err = disk_close(r->image);
        open_image(r);
    }
    if (err)
        die("operation", offset, size, err);
}

int main(int argc, char **argv)
{
    struct run r = { 0 };
    int fd;

    if (argc != 6 || !disk_format_of(argv[2], &r.options.format))
        return 2;
    r.path = argv[1];
    r.state = strtoull(argv[3], NULL, 0) * 0x9e3779b97f4a7c15 + 1;
    open_image(&r);
    r.size = disk_size(r.image);
    r.flat = malloc(r.size);
    r.buffer = malloc(MOST);
    for (uint64_t at = 0; at < r.size; at += MOST)
        if (disk_read(r.image, at, r.size - at < MOST ? r.size - at : MOST, r.flat + at))
            die("first read", at, MOST, 0);
    for (int i = atoi(argv[4]); i > 0; i--)
        step(&r);
    compare_all(&r);
    if (disk_close(r.image))
        die("close", 0, 0, 0);
    fd = open(argv[5], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, r.flat, r.size) != (ssize_t)r.size || close(fd))
        die("writing the flat copy", 0, 0, 0);
    free(r.flat);
    free(r.buffer);
    return 0;
}
