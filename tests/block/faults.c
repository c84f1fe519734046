/*
 * A host's disk that fails or fills up, by wrappers around the calls that write (linked by --wrap):
 * the error gets to who asked, nothing that was flushed is lost, and when the disk works again so
 * does the image.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "block/disk.h"
#include "tests/check.h"

enum { CLUSTER = 4096, SIZE = 4 << 20 };

static struct {
    int write_err, sync_err; /* 0: none */
    unsigned after;          /* calls of that kind that still work */
    off_t end;               /* writes at and beyond it fail with ENOSPC; 0: none */
} fault;

ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static bool fails(int err)
{
    if (err && fault.after) {
        fault.after--;
        return false;
    }
    errno = err;
    return err;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (fails(fault.write_err))
        return -1;
    if (fault.end && offset + (off_t)iov->iov_len > fault.end) {
        errno = ENOSPC;
        return -1;
    }
    return __real_pwritev(fd, iov, count, offset);
}

int __wrap_fdatasync(int fd)
{
    return fails(fault.sync_err) ? -1 : __real_fdatasync(fd);
}

static struct disk *open_image(const char *path)
{
    struct disk_options options = { .format = DISK_QCOW2 };
    struct disk_error error;
    struct disk *disk = disk_open(path, &options, &error);

    if (!disk) {
        printf("FAIL %s\n", error.text);
        exit(1);
    }
    return disk;
}

static void make(const char *path)
{
    const struct disk_layout layout = { .size = SIZE, .cluster_size = CLUSTER };
    struct disk_error error;

    CHECK_EQ(disk_create(path, DISK_QCOW2, &layout, &error), 0);
}

static void is_sound(struct disk *disk)
{
    struct disk_check result;

    CHECK_EQ(disk_check(disk, REPAIR_NOTHING, stdout, &result), 0);
    CHECK_EQ(result.corruptions + result.leaks + result.errors, 0);
}

/* A copy of the file as a kill now would leave it. */
static void is_sound_now(const char *path)
{
    struct disk *disk;
    char command[256];

    snprintf(command, sizeof(command), "cp '%s' now.qcow2", path);
    CHECK_EQ(system(command), 0);
    disk = open_image("now.qcow2");
    is_sound(disk);
    disk_close(disk);
}

/* Every write but the first n of a flush fails: for each n, the flush fails or all is there. */
static void test_commit(bool sync)
{
    static uint8_t data[CLUSTER], back[CLUSTER];
    struct disk *disk;
    int err = -1;

    make("f.qcow2");
    disk = open_image("f.qcow2");
    for (unsigned n = 0; err; n++) {
        memset(data, (int)n + 1, sizeof(data));
        CHECK_EQ(disk_write(disk, n * 64 * CLUSTER, CLUSTER, data), 0);
        fault.write_err = sync ? 0 : EIO;
        fault.sync_err = sync ? EIO : 0;
        fault.after = n;
        err = disk_flush(disk);
        fault.write_err = fault.sync_err = 0;
        CHECK_EQ(err == 0 || err == -EIO, true);
        is_sound_now("f.qcow2");
        for (unsigned i = 0; i <= n; i++) {
            CHECK_EQ(disk_read(disk, i * 64 * CLUSTER, CLUSTER, back), 0);
            CHECK_EQ(back[7], i + 1);
        }
        if (n > 100)
            break;
    }
    CHECK_EQ(err, 0);
    CHECK_EQ(disk_flush(disk), 0);
    is_sound(disk);
    CHECK_EQ(disk_close(disk), 0);
    is_sound_now("f.qcow2");
}

static off_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? -1 : st.st_size;
}

/* What was discarded is used until a commit has come to the disk, also when one before failed, and
 * then again for what is written: the file does not grow. */
static void test_freed(bool sync)
{
    enum { CLUSTERS = 300, TABLES = 40 };
    static uint8_t data[CLUSTERS * CLUSTER], back[CLUSTER];
    struct disk *disk;
    off_t before;

    make("f.qcow2");
    disk = open_image("f.qcow2");
    memset(data, 6, sizeof(data));
    CHECK_EQ(disk_write(disk, 0, sizeof(data), data), 0);
    CHECK_EQ(disk_flush(disk), 0);
    CHECK_EQ(disk_discard(disk, 0, sizeof(data)), 0);
    fault.write_err = sync ? 0 : EIO;
    fault.sync_err = sync ? EIO : 0;
    fault.after = 0;
    CHECK_EQ(disk_flush(disk), -EIO);
    fault.write_err = fault.sync_err = 0;
    before = size_of("f.qcow2");
    memset(data, 7, sizeof(data));
    CHECK_EQ(disk_write(disk, SIZE / 2, CLUSTER, data), 0);
    is_sound_now("f.qcow2"); /* the old tree is still whole */
    CHECK_EQ(disk_flush(disk), 0);
    CHECK_EQ(disk_write(disk, SIZE / 2, sizeof(data), data), 0);
    CHECK_EQ(disk_flush(disk), 0);
    CHECK_EQ(size_of("f.qcow2") <= before + TABLES * CLUSTER, true);
    CHECK_EQ(disk_read(disk, 0, CLUSTER, back), 0);
    CHECK_EQ(back[0], 0);
    is_sound(disk);
    CHECK_EQ(disk_close(disk), 0);
    is_sound_now("f.qcow2");
}

/* The disk is full in the middle: writes fail, what was flushed stays, and goes on with space. */
static void test_full(void)
{
    static uint8_t data[CLUSTER], back[CLUSTER];
    unsigned written = 0;
    struct disk *disk;

    make("f.qcow2");
    disk = open_image("f.qcow2");
    memset(data, 5, sizeof(data));
    CHECK_EQ(disk_write(disk, 0, CLUSTER, data), 0);
    CHECK_EQ(disk_flush(disk), 0);
    fault.end = 1 << 20;
    while (written < SIZE / CLUSTER - 1 &&
           !disk_write(disk, (written + 1) * CLUSTER, CLUSTER, data))
        written++;
    CHECK_EQ(written > 200 && written < 260, true);
    CHECK_EQ(disk_write(disk, SIZE - CLUSTER, CLUSTER, data), -ENOSPC);
    CHECK_EQ(disk_write(disk, 0, CLUSTER, data), 0); /* in place */
    disk_flush(disk);                                /* its tables may have no room */
    is_sound_now("f.qcow2");
    CHECK_EQ(disk_read(disk, SIZE - CLUSTER, CLUSTER, back), 0);
    CHECK_EQ(back[0], 0);
    CHECK_EQ(disk_discard(disk, CLUSTER, 100 * CLUSTER), 0);
    fault.end = 0;
    CHECK_EQ(disk_flush(disk), 0);
    is_sound(disk);
    CHECK_EQ(disk_write(disk, SIZE - CLUSTER, CLUSTER, data), 0);
    CHECK_EQ(disk_close(disk), 0);
    is_sound_now("f.qcow2");
}

/* Data that cannot be written leaves the old content. */
static void test_write(void)
{
    static uint8_t data[CLUSTER], back[CLUSTER];
    struct disk *disk;

    make("f.qcow2");
    disk = open_image("f.qcow2");
    memset(data, 5, sizeof(data));
    fault.write_err = EIO;
    CHECK_EQ(disk_write(disk, 512, 512, data), -EIO);
    fault.write_err = 0;
    CHECK_EQ(disk_read(disk, 0, CLUSTER, back), 0);
    CHECK_EQ(back[512], 0);
    CHECK_EQ(disk_write(disk, 512, 512, data), 0);
    CHECK_EQ(disk_read(disk, 0, CLUSTER, back), 0);
    CHECK_EQ(back[512] == 5 && !back[0] && !back[1024], true);
    is_sound(disk);
    disk_close(disk);
}

int main(void)
{
    char folder[] = "/tmp/novt-faults-XXXXXX", command[64];

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    test_commit(false);
    test_commit(true);
    test_freed(false);
    test_freed(true);
    test_full();
    test_write();
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    if (system(command))
        return 1;
    return CHECK_DONE();
}
