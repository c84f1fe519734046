/*
 * Power failures: the host's disk keeps what fdatasync() waited for, and of what was written since
 * any sectors, in any order. Writes and syncs are recorded (--wrap); again and again a file is made
 * of the stable part and a random choice of the sectors after it. Each must be a sound image, and
 * every sector of the disk hold the version that was flushed, or a later one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "block/disk.h"
#include "tests/check.h"
#include "tests/random.h"

enum { SECTOR = 512, SIZE = 2 << 20, SECTORS = SIZE / SECTOR, FILE_MAX = 16 << 20,
       LOG_MAX = 65536, STEPS = 1500 };

static struct {
    bool on;
    int fd; /* whose writes are recorded */
    uint8_t stable[FILE_MAX];
    uint32_t count;
    struct { /* sectors written since the last sync */
        uint32_t sector;
        uint8_t data[SECTOR];
    } log[LOG_MAX];
} host;

static uint32_t latest[SECTORS], flushed[SECTORS]; /* versions of the disk's sectors */
static uint64_t state = 88172645463325252;

ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
int __wrap_fdatasync(int fd);

static uint64_t draw(uint64_t below)
{
    return random_next(&state) % below;
}

/* --- The host's disk -------------------------------------------------------- */

static void record(uint64_t first, uint64_t last)
{
    for (uint64_t s = first; s <= last; s++) {
        if (host.count == LOG_MAX || (s + 1) * SECTOR > FILE_MAX) {
            printf("FAIL the log is too small\n");
            exit(1);
        }
        host.log[host.count].sector = (uint32_t)s;
        memset(host.log[host.count].data, 0, SECTOR);
        if (pread(host.fd, host.log[host.count].data, SECTOR, (off_t)(s * SECTOR)) < 0)
            exit(1);
        host.count++;
    }
}

int __wrap_fdatasync(int fd)
{
    if (!host.on || fd != host.fd)
        return 0;
    for (uint32_t i = 0; i < host.count; i++)
        memcpy(host.stable + (uint64_t)host.log[i].sector * SECTOR, host.log[i].data, SECTOR);
    host.count = 0;
    return 0;
}

/* --- A failure -------------------------------------------------------------- */

static void make_crash(void)
{
    static uint8_t crash[FILE_MAX];
    off_t size = lseek(host.fd, 0, SEEK_END);
    uint64_t share = draw(5); /* of 4 */
    int fd = open("crash.qcow2", O_RDWR | O_CREAT | O_TRUNC, 0644);

    memcpy(crash, host.stable, (size_t)size);
    for (uint32_t i = 0; i < host.count; i++)
        if (draw(4) < share)
            memcpy(crash + (uint64_t)host.log[i].sector * SECTOR, host.log[i].data, SECTOR);
    if (fd < 0 || write(fd, crash, (size_t)size) != size)
        exit(1);
    close(fd);
}

static void look_at_crash(void)
{
    struct disk_options options = { .format = DISK_QCOW2, .unsafe = true };
    static uint32_t data[SIZE / 4];
    struct disk_check result;
    struct disk_error error;
    struct disk *disk = disk_open("crash.qcow2", &options, &error);

    if (!disk) {
        printf("FAIL %s\n", error.text);
        exit(1);
    }
    CHECK_EQ(disk_check(disk, REPAIR_NOTHING, stdout, &result), 0);
    CHECK_EQ(result.corruptions + result.leaks + result.errors, 0);
    CHECK_EQ(disk_read(disk, 0, SIZE, data), 0);
    for (uint32_t s = 0; s < SECTORS && check_failures < 10; s++) {
        uint32_t version = data[s * SECTOR / 4];

        CHECK_EQ(version >= flushed[s] && version <= latest[s], true);
        CHECK_EQ(data[s * SECTOR / 4 + 127], version);
    }
    disk_close(disk);
}

/* After any write, in the middle of a commit, too. */
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    ssize_t n = __real_pwritev(fd, iov, count, offset);

    if (!host.on || fd != host.fd || n <= 0)
        return n;
    record((uint64_t)offset / SECTOR, ((uint64_t)offset + (uint64_t)n - 1) / SECTOR);
    if (!draw(offset < SECTOR ? 2 : 30)) {
        make_crash();
        look_at_crash();
    }
    return n;
}

/* --- Load ------------------------------------------------------------------- */

static void step(struct disk *disk)
{
    static uint32_t data[64 * SECTOR / 4];
    uint32_t count = (uint32_t)draw(draw(4) ? 8 : 64) + 1;
    uint32_t first = (uint32_t)draw(SECTORS - count);

    for (uint32_t s = 0; s < count; s++) {
        latest[first + s]++;
        for (uint32_t i = 0; i < SECTOR / 4; i++)
            data[s * SECTOR / 4 + i] = latest[first + s];
    }
    CHECK_EQ(disk_write(disk, (uint64_t)first * SECTOR, (uint64_t)count * SECTOR, data), 0);
    if (draw(12))
        return;
    CHECK_EQ(disk_flush(disk), 0);
    memcpy(flushed, latest, sizeof(flushed));
}

static void run(uint32_t cluster, unsigned bits)
{
    const struct disk_layout layout = { .size = SIZE, .cluster_size = cluster,
                                        .refcount_bits = bits };
    struct disk_options options = { .format = DISK_QCOW2 };
    struct disk_error error;
    struct disk *disk;

    memset(latest, 0, sizeof(latest));
    memset(flushed, 0, sizeof(flushed));
    CHECK_EQ(disk_create("p.qcow2", DISK_QCOW2, &layout, &error), 0);
    host.fd = open("p.qcow2", O_RDWR);
    memset(host.stable, 0, sizeof(host.stable));
    CHECK_EQ(pread(host.fd, host.stable, FILE_MAX, 0) > 0, true);
    disk = disk_open_fd(host.fd, "p.qcow2", &options, &error);
    CHECK_EQ(disk != NULL, true);
    host.on = true;
    for (unsigned n = 0; n < STEPS && !check_failures; n++)
        step(disk);
    disk_close(disk);
    host.on = false;
    host.count = 0;
}

int main(void)
{
    char folder[] = "/tmp/novt-power-XXXXXX", command[64];

    if (!mkdtemp(folder) || chdir(folder))
        return 1;
    run(65536, 16);
    run(4096, 64);
    run(512, 1);
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    if (system(command))
        return 1;
    return CHECK_DONE();
}
