/*
 * A damaged qcow2 image: a small good one, in memory, with a backing name or without, in which the
 * input changes some bytes of what the format reads, and then reads, writes, discards, flushes,
 * checks, repairs. Input that begins with QFI is the whole image instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/disk.h"
#include "tests/fuzz/fuzz.h"

enum { IMAGE_MAX = 1 << 20, DISK = 1 << 20, BUFFER = 16384, OPERATIONS = 40 };

static uint8_t *seed; /* the good image, made once */
static size_t seed_size;

/* Through the file system, since that is how images are made. */
static void make_seed(void)
{
    const struct disk_layout layout = { .size = DISK, .cluster_size = 512 };
    char path[] = "/tmp/novt-fuzz-XXXXXX";
    int fd = mkstemp(path);
    struct disk_error error;
    struct disk_options options = { .format = DISK_QCOW2 };
    struct disk *disk;
    uint8_t data[BUFFER];

    memset(data, 0x5a, sizeof(data));
    if (fd < 0 || disk_create(path, DISK_QCOW2, &layout, &error))
        abort();
    disk = disk_open(path, &options, &error);
    if (!disk || disk_write(disk, 3 * 512, 7 * 512, data) ||
        disk_write_compressed(disk, 40 * 512, 512, data) || disk_zero(disk, 50 * 512, 1024) ||
        disk_write(disk, 60000 & ~511, 512, data))
        abort();
    disk_close(disk);
    seed = malloc(IMAGE_MAX);
    seed_size = (size_t)pread(fd, seed, IMAGE_MAX, 0);
    close(fd);
    unlink(path);
}

/* Fields of the header, then anything: changed where it hurts. */
static void damage(struct fuzz *f, int fd, size_t size)
{
    for (unsigned n = fuzz_byte(f) % 16; n > 0; n--) {
        uint8_t how = fuzz_byte(f);
        uint64_t at = how & 1 ? fuzz_below(f, 136) : fuzz_below(f, size);
        uint64_t value = how & 2 ? 0 : fuzz_bits(f, 8);
        unsigned width = 1u << (how >> 2 & 3);

        value = how & 16 ? fuzz_byte(f) * 512ull : value;
        value = __builtin_bswap64(value) >> (64 - 8 * width);
        if (pwrite(fd, &value, width, (off_t)at) < 0)
            return;
    }
}

static int make_file(struct fuzz *f)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    bool whole = f->size > 4 && !memcmp(f->data, "QFI", 3);
    const uint8_t *bytes = whole ? f->data : seed;
    size_t size = whole ? f->size : seed_size;

    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        abort();
    if (!whole)
        damage(f, fd, size);
    return fd;
}

static void operate(struct fuzz *f, struct disk *disk)
{
    static uint8_t data[BUFFER];
    uint64_t size = (fuzz_byte(f) % 32 + 1) * 512ull, sectors = disk_size(disk) / 512;
    uint64_t offset = sectors ? fuzz_below(f, sectors < 4096 ? sectors : 4096) * 512 : 0, run;
    struct disk_check result;

    switch (fuzz_byte(f) % 9) {
    case 0: case 1: disk_write(disk, offset, size, data); break;
    case 2: disk_read(disk, offset, size, data); break;
    case 3: disk_discard(disk, offset, size); break;
    case 4: disk_zero(disk, offset, size); break;
    case 5: disk_flush(disk); break;
    case 6: disk_is_zero(disk, offset, size, &run); break;
    case 7: disk_check(disk, REPAIR_NOTHING, NULL, &result); break;
    default: disk_write_compressed(disk, offset, 512, data); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = { data, size < IMAGE_MAX ? size : IMAGE_MAX };
    struct disk_options options = { .format = DISK_QCOW2, .unlocked = true, .unsafe = true };
    struct disk_error error;
    struct disk *disk;
    uint8_t how;

    if (!seed)
        make_seed();
    how = fuzz_byte(&fuzz);
    options.readonly = how & 1;
    options.damaged = how & 2;
    options.alone = how & 4;
    disk = disk_open_fd(make_file(&fuzz), "fuzz", &options, &error);
    if (!disk)
        return 0;
    if (how & 8 && !options.readonly) {
        struct disk_check result;

        disk_check(disk, how & 16 ? REPAIR_ALL : REPAIR_LEAKS, NULL, &result);
    }
    for (int i = 0; i < OPERATIONS && fuzz_more(&fuzz); i++)
        operate(&fuzz, disk);
    disk_close(disk);
    return 0;
}
