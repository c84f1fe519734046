/* Images that are wrong or hostile: each is refused, or reads and writes fail, with a sentence that
 * says what; and the chains of backing files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/disk.h"
#include "tests/check.h"

enum { CLUSTER = 65536, SIZE = 16 << 20 };

static struct disk_error error;

/* A guest that changes its buffer between its request and the host's write. */
static uint8_t *changing;

ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (changing)
        memcpy(changing, "QFI\xfb", 4);
    return __real_pwritev(fd, iov, count, offset);
}

static void make(const char *path, const char *backing)
{
    const struct disk_layout layout = { .size = SIZE, .backing = backing,
                                        .backing_format = DISK_QCOW2 };
    struct disk_options options = { .format = DISK_QCOW2, .alone = true };
    static uint8_t data[CLUSTER];
    struct disk *disk;

    memset(data, 7, sizeof(data));
    CHECK_EQ(disk_create(path, DISK_QCOW2, &layout, &error), 0);
    disk = disk_open(path, &options, &error);
    CHECK_EQ(disk != NULL, true);
    CHECK_EQ(disk_write(disk, CLUSTER, CLUSTER, data), 0);
    CHECK_EQ(disk_close(disk), 0);
}

static void put(const char *path, uint64_t at, uint64_t value, unsigned bytes)
{
    int fd = open(path, O_WRONLY);

    value = __builtin_bswap64(value) >> (64 - 8 * bytes);
    CHECK_EQ(pwrite(fd, &value, bytes, (off_t)at), bytes);
    close(fd);
}

static uint64_t get(const char *path, uint64_t at)
{
    int fd = open(path, O_RDONLY);
    uint64_t value = 0;

    CHECK_EQ(pread(fd, &value, 8, (off_t)at), 8);
    close(fd);
    return __builtin_bswap64(value);
}

/* Opening fails and the text holds want. */
static void refused(const char *path, enum disk_format format, bool readonly, const char *want)
{
    struct disk_options options = { .format = format, .readonly = readonly };
    struct disk *disk = disk_open(path, &options, &error);

    if (disk || !strstr(error.text, want)) {
        printf("FAIL %s: '%s', want '%s'\n", path, disk ? "opened" : error.text, want);
        check_failures++;
    }
    if (disk)
        disk_close(disk);
}

/* --- Headers ---------------------------------------------------------------- */

static void test_headers(void)
{
    static const struct {
        uint64_t at, value;
        unsigned bytes;
        const char *want;
    } rows[] = {
        { 0, 0x12345678, 4, "not a qcow2 image" },
        { 4, 1, 4, "version 1" },
        { 4, 4, 4, "version 4" },
        { 8, CLUSTER - 10, 8, NULL }, /* without a length there is no name */
        { 16, 0x4000000000400ull, 8, NULL },
        { 20, 8, 4, "cluster size" },
        { 20, 22, 4, "cluster size" },
        { 20, 0xffffffff, 4, "cluster size" },
        { 24, 1ull << 60, 8, "L1 table is too small" },
        { 24, UINT64_MAX, 8, "size" },
        { 24, INT64_MAX, 8, "size" },
        { 32, 1, 4, "encrypted" },
        { 36, 0, 4, "L1 table is too small" },
        { 36, 0x7fffffff, 4, "L1 table is too large" },
        { 36, 0x3fffff, 4, "L1 table is outside" },
        { 40, 1ull << 50, 8, "L1 table is outside" },
        { 40, 0, 8, "L1 table is outside" },
        { 40, 12345, 8, "L1 table is outside" },
        { 40, UINT64_MAX << 16, 8, "L1 table is outside" },
        { 48, 1ull << 50, 8, "refcount table is outside" },
        { 48, 0, 8, "refcount table is outside" },
        { 56, 0, 4, "refcount table is missing" },
        { 56, 0xffffffff, 4, "refcount table is missing or too large" },
        { 60, 0xffffffff, 4, "too many snapshots" },
        { 60, 1, 4, "snapshots is outside" },
        { 72, 4, 8, "external data file" },
        { 72, 8, 8, "compression type" },
        { 72, 16, 8, "extended L2" },
        { 72, 1ull << 40, 8, "bit 40" },
        { 72, 2, 8, "corrupt" },
        { 96, 7, 4, "refcounts are wider" },
        { 100, 12, 4, "header's length" },
        { 100, 0x10000000, 4, "header's length" },
        { 104, 0xe2792acaffffffff, 8, "extension" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        make("h.qcow2", NULL);
        put("h.qcow2", rows[i].at, rows[i].value, rows[i].bytes);
        if (rows[i].want)
            refused("h.qcow2", DISK_QCOW2, false, rows[i].want);
    }
    CHECK_EQ(truncate("h.qcow2", 20), 0);
    refused("h.qcow2", DISK_QCOW2, false, "ends within its header");
    make("h.qcow2", NULL);
    put("h.qcow2", 8, CLUSTER - 10, 8);
    put("h.qcow2", 16, 200, 4);
    refused("h.qcow2", DISK_QCOW2, false, "backing file's name");
}

/* --- Tables ----------------------------------------------------------------- */

static struct disk *open_plain(const char *path)
{
    struct disk_options options = { .format = DISK_QCOW2 };
    struct disk *disk = disk_open(path, &options, &error);

    if (!disk)
        printf("FAIL %s\n", error.text);
    return disk;
}

/* The cluster at CLUSTER has this entry: reads, writes and a check. */
static void with_entry(uint64_t entry, int read, int write)
{
    struct disk_check result;
    static uint8_t data[CLUSTER];
    struct disk *disk;
    uint64_t l2;

    make("t.qcow2", NULL);
    l2 = get("t.qcow2", get("t.qcow2", 40)) & 0xfffffffffffe00;
    put("t.qcow2", l2 + 8, entry, 8);
    disk = open_plain("t.qcow2");
    if (!disk) {
        check_failures++;
        return;
    }
    CHECK_EQ(disk_check(disk, REPAIR_NOTHING, NULL, &result), 0);
    CHECK_EQ(result.corruptions > 0, true);
    CHECK_EQ(disk_read(disk, CLUSTER, 512, data), read);
    CHECK_EQ(disk_write(disk, CLUSTER, 512, data), write);
    CHECK_EQ(disk_read(disk, 0, 512, data), 0);
    disk_close(disk);
}

static void test_entries(void)
{
    with_entry(0x8000000000012200, -EIO, -EIO);       /* inside a cluster */
    with_entry(0x8000000000000000 | CLUSTER * 7777ull, 0, 0); /* outside the file: zeros */
    with_entry(0xc000000000000000, -EIO, -EIO);       /* compressed, at the header */
    with_entry(0x7fffffffffffffff, -EIO, -EIO);       /* compressed, nowhere */
}

/* Data where the roots are: never written. */
static void test_overlap(void)
{
    static uint8_t data[CLUSTER];

    for (int i = 0; i < 2; i++) {
        uint64_t l2, root;
        struct disk *disk;

        make("t.qcow2", NULL);
        root = get("t.qcow2", i ? 40 : 48);
        l2 = get("t.qcow2", get("t.qcow2", 40)) & 0xfffffffffffe00;
        put("t.qcow2", l2 + 8, 1ull << 63 | root, 8);
        disk = open_plain("t.qcow2");
        CHECK_EQ(disk_write(disk, CLUSTER, 512, data), -EIO);
        CHECK_EQ(disk_write(disk, 0, 512, data), -EIO); /* and nothing else any more */
        disk_close(disk);
        CHECK_EQ(get("t.qcow2", i ? 40 : 48), root);
    }
}

static void test_loops(void)
{
    struct disk_options options = { .format = DISK_QCOW2, .damaged = true };
    struct disk_check result;
    struct disk *disk;
    uint64_t table;

    make("t.qcow2", NULL);
    table = get("t.qcow2", 48);
    put("t.qcow2", table, table, 8); /* a refcount block that is the refcount table */
    refused("t.qcow2", DISK_QCOW2, false, "refcounts do not count");
    disk = disk_open("t.qcow2", &options, &error);
    CHECK_EQ(disk_check(disk, REPAIR_ALL, NULL, &result), 0);
    CHECK_EQ(result.corruptions, 0);
    disk_close(disk);
    disk = open_plain("t.qcow2");
    CHECK_EQ(disk_check(disk, REPAIR_NOTHING, NULL, &result), 0);
    CHECK_EQ(result.corruptions + result.leaks, 0);
    disk_close(disk);
    make("t.qcow2", NULL);
    put("t.qcow2", get("t.qcow2", 40), get("t.qcow2", 40) | 1ull << 63, 8); /* L1 as its own L2 */
    disk = disk_open("t.qcow2", &options, &error);
    CHECK_EQ(disk_check(disk, REPAIR_NOTHING, NULL, &result), 0);
    CHECK_EQ(result.corruptions > 0, true);
    disk_close(disk);
    put("t.qcow2", get("t.qcow2", 48), 1ull << 40, 8); /* outside the file */
    refused("t.qcow2", DISK_QCOW2, false, "refcounts do not count");
}

/* --- Chains and probing ----------------------------------------------------- */

static void test_chains(void)
{
    make("a.qcow2", NULL);
    make("b.qcow2", "a.qcow2");
    make("c.qcow2", "b.qcow2");
    CHECK_EQ(rename("c.qcow2", "a.qcow2"), 0);
    refused("a.qcow2", DISK_QCOW2, false, "loop");
    refused("b.qcow2", DISK_QCOW2, true, "loop");
    unlink("a.qcow2");
    refused("b.qcow2", DISK_QCOW2, false, "'a.qcow2' does not exist");
    refused("nowhere.qcow2", DISK_QCOW2, false, "does not exist");
    CHECK_EQ(mkdir("folder", 0755) && errno != EEXIST, false);
    refused("folder", DISK_RAW, true, "folder");
    refused("/dev/null", DISK_RAW, true, "neither a file");
}

/* What a guest wrote into a raw image is not believed. */
static void test_probing(void)
{
    struct disk_options options = { .format = DISK_PROBE };
    const struct disk_layout layout = { .size = SIZE };
    static uint8_t data[CLUSTER];
    struct iovec pieces[2] = { { data, 2 }, { data + 2, 510 } };
    struct disk *disk;
    int fd;

    CHECK_EQ(disk_create("p.raw", DISK_RAW, &layout, &error), 0);
    disk = disk_open("p.raw", &options, &error);
    CHECK_EQ(disk_format(disk), DISK_RAW);
    memcpy(data, "QFI\xfb\0\0\0\3", 8);
    CHECK_EQ(disk_write(disk, 0, 512, data), -EPERM);
    CHECK_EQ(disk_writev(disk, 0, 512, pieces, 2), -EPERM);
    CHECK_EQ(disk_write(disk, 512, 512, data), 0);
    memcpy(data, "KDMV", 4); /* nor what it would be taken for by who converts it */
    CHECK_EQ(disk_write(disk, 0, 512, data), -EPERM);
    memcpy(data, "RDMV", 4);
    memcpy(data + 64, "\x7f\x10\xda\xbe", 4);
    CHECK_EQ(disk_writev(disk, 0, 512, pieces, 2), -EPERM);
    data[64] = 0;
    data[512] = 9;
    changing = data;
    CHECK_EQ(disk_write(disk, 0, 1024, data), 0);
    changing = NULL;
    CHECK_EQ(disk_read(disk, 0, 1024, data), 0);
    CHECK_EQ(memcmp(data, "RDMV", 4), 0);
    CHECK_EQ(data[512], 9);
    disk_close(disk);
    /* behind an image that does not say that it is raw, and with a file of the host's in it */
    make("good.qcow2", NULL);
    make("evil.qcow2", "good.qcow2");
    fd = open("over.qcow2", O_RDWR | O_CREAT | O_TRUNC, 0644);
    close(fd);
    make("over.qcow2", "evil.qcow2");
    put("over.qcow2", 104, 0, 8); /* the format's extension becomes the end */
    refused("over.qcow2", DISK_QCOW2, false, "does not say which format");
}

static void test_locks(void)
{
    struct disk_options look = { .format = DISK_QCOW2, .readonly = true };
    struct disk *one, *two;

    make("l.qcow2", NULL);
    one = open_plain("l.qcow2");
    refused("l.qcow2", DISK_QCOW2, false, "in use");
    refused("l.qcow2", DISK_QCOW2, true, "being written");
    disk_close(one);
    one = disk_open("l.qcow2", &look, &error);
    two = disk_open("l.qcow2", &look, &error);
    CHECK_EQ(one && two, true);
    refused("l.qcow2", DISK_QCOW2, false, "in use");
    disk_close(one);
    disk_close(two);
}

static void test_snapshot(void)
{
    struct disk_options options = { .format = DISK_QCOW2, .snapshot = true };
    static uint8_t data[CLUSTER], back[CLUSTER];
    struct disk *disk;

    make("s.qcow2", NULL);
    chmod("s.qcow2", 0444);
    disk = disk_open("s.qcow2", &options, &error);
    CHECK_EQ(disk != NULL, true);
    memset(data, 9, sizeof(data));
    CHECK_EQ(disk_write(disk, CLUSTER + 4096, 4096, data), 0);
    CHECK_EQ(disk_flush(disk), 0);
    CHECK_EQ(disk_read(disk, CLUSTER, CLUSTER, back), 0);
    CHECK_EQ(back[0] == 7 && back[4096] == 9 && back[8192] == 7, true);
    disk_close(disk);
    disk = open_plain("s.qcow2");
    CHECK_EQ(disk_read(disk, CLUSTER, CLUSTER, back), 0);
    CHECK_EQ(back[4096], 7);
    disk_close(disk);
    unlink("s.qcow2");
}

int main(void)
{
    char folder[] = "/tmp/novt-damage-XXXXXX", command[64];

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    test_headers();
    test_entries();
    test_overlap();
    test_loops();
    test_chains();
    test_probing();
    test_locks();
    test_snapshot();
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    if (system(command))
        return 1;
    return CHECK_DONE();
}
