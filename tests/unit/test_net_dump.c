/* Frames in a file: what readers find there, also when it is full or they are slow. */
#include "net/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/check.h"

enum { HEADER = 24, RECORD = 16, SMALL = 60, LARGE = 65550 };

static char folder[] = "/tmp/novt-dump-XXXXXX", path[64];
static uint8_t frame[LARGE], got[1 << 20];

static uint32_t word(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* Frames are told apart by their first byte. */
static void dump_numbered(struct dump *dump, uint8_t number, size_t size)
{
    frame[0] = number;
    dump_frame(dump, frame, size);
}

static size_t read_file(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, got, sizeof(got));

    close(fd);
    return n < 0 ? 0 : (size_t)n;
}

/* The offset behind the frame at offset at. */
static size_t check_frame(size_t at, uint8_t number, uint32_t kept, uint32_t size)
{
    uint32_t now = (uint32_t)time(NULL);

    CHECK_EQ(now - word(got + at) < 3600, true);
    CHECK_EQ(word(got + at + 4) < 1000000, true);
    CHECK_EQ(word(got + at + 8), kept);
    CHECK_EQ(word(got + at + 12), size);
    CHECK_EQ(got[at + RECORD], number);
    CHECK_EQ(memcmp(got + at + RECORD + 1, frame + 1, kept - 1), 0);
    return at + RECORD + kept;
}

static void test_file(void)
{
    static const uint8_t start[HEADER] = { 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0,
                                           0, 0, 0, 0, 0x0e, 0, 1, 0, 1, 0, 0, 0 };
    struct dump *dump;
    size_t at = HEADER;

    CHECK_EQ(dump_create(&dump, path, DUMP_LENGTH_MAX), 0);
    dump_numbered(dump, 1, SMALL);
    dump_numbered(dump, 2, LARGE);
    CHECK_EQ(dump_stats(dump).frames, 2);
    CHECK_EQ(read_file(), HEADER + 2 * RECORD + SMALL + LARGE); /* without waiting for the end */
    dump_destroy(dump);
    CHECK_EQ(memcmp(got, start, HEADER), 0);
    at = check_frame(at, 1, SMALL, SMALL);
    check_frame(at, 2, LARGE, LARGE);
}

static void test_length(void)
{
    struct dump *dump;
    size_t at = HEADER;

    CHECK_EQ(dump_create(&dump, path, 100), 0); /* empties it, too */
    dump_numbered(dump, 1, SMALL);
    dump_numbered(dump, 2, 101);
    dump_destroy(dump);
    CHECK_EQ(read_file(), HEADER + 2 * RECORD + SMALL + 100);
    CHECK_EQ(word(got + 16), 100);
    at = check_frame(at, 1, SMALL, SMALL);
    check_frame(at, 2, 100, 101);
}

/* Of a file that can grow no more all frames are whole. */
static void test_full(void)
{
    struct rlimit old, small = { HEADER + 2 * (RECORD + SMALL) + 30, RLIM_INFINITY };
    struct dump *dump;
    int err;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    CHECK_EQ(dump_create(&dump, path, DUMP_LENGTH_MAX), 0);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (uint8_t i = 0; i < 5; i++)
        dump_numbered(dump, i, SMALL);
    err = dump_stats(dump).err;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK_EQ(err, EFBIG);
    CHECK_EQ(dump_stats(dump).frames, 2);
    CHECK_EQ(dump_stats(dump).missed, 3);
    dump_destroy(dump);
    CHECK_EQ(read_file(), HEADER + 2 * (RECORD + SMALL));
    check_frame(HEADER + RECORD + SMALL, 1, SMALL, SMALL);
}

static size_t drain(int fd, size_t have)
{
    ssize_t n;

    while ((n = read(fd, got + have, sizeof(got) - have)) > 0)
        have += (size_t)n;
    return have;
}

/* More than a FIFO holds, before anybody reads; then one more. Frames that do come are whole. */
static void test_slow(void)
{
    struct dump *dump;
    struct dump_stats stats;
    size_t have, at = HEADER;
    int fd;

    unlink(path);
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK_EQ(dump_create(&dump, path, DUMP_LENGTH_MAX), -ENXIO);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK_EQ(dump_create(&dump, path, DUMP_LENGTH_MAX), 0);
    for (uint8_t i = 0; i < 100; i++)
        dump_numbered(dump, i, 9000);
    stats = dump_stats(dump);
    CHECK_EQ(stats.err, 0);
    CHECK_EQ(stats.missed > 50 && stats.frames > 2, true);
    CHECK_EQ(stats.missed + stats.frames, 100);
    have = drain(fd, 0);
    dump_numbered(dump, 200, SMALL); /* behind what was left of another */
    have = drain(fd, have);
    CHECK_EQ(dump_stats(dump).frames, stats.frames + 1);
    for (uint8_t i = 0; i < stats.frames && at + RECORD + 9000 <= have; i++)
        at = check_frame(at, i, 9000, 9000);
    CHECK_EQ(check_frame(at, 200, SMALL, SMALL), have);
    close(fd);
    signal(SIGPIPE, SIG_IGN);
    dump_numbered(dump, 201, SMALL); /* the reader is gone */
    CHECK_EQ(dump_stats(dump).err, EPIPE);
    dump_destroy(dump);
}

static void test_wrong(void)
{
    struct dump *dump;

    CHECK_EQ(dump_create(&dump, "/nowhere/at/all", SMALL), -ENOENT);
    CHECK_EQ(dump_create(&dump, "/dev/full", SMALL), -ENOSPC);
    CHECK_EQ(dump == NULL, true);
}

int main(void)
{
    CHECK_EQ(mkdtemp(folder) != NULL, true);
    snprintf(path, sizeof(path), "%s/frames", folder);
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = (uint8_t)(i * 7);
    test_file();
    test_length();
    test_full();
    test_slow();
    test_wrong();
    unlink(path);
    rmdir(folder);
    return CHECK_DONE();
}
