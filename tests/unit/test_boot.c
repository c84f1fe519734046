/* The loader of Linux's kernels, what is refused, and files, on images made here. */
#include <zlib.h>

#include "frontend/boot_real.h"
#include "frontend/boot_setup.h"
#include "tests/unit/boot_memory.h"

/* --- Linux -------------------------------------------------------------------------- */

#define SETUP_SIZE (5 * 512)
#define CODE_SIZE 4096
#define LINUX_SIZE (SETUP_SIZE + CODE_SIZE)

static void make_linux(uint8_t image[LINUX_SIZE])
{
    memset(image, 0, SETUP_SIZE);
    memset(image + SETUP_SIZE, 0xcc, CODE_SIZE);
    image[0x1f1] = 4;
    put(image, 0x1f4, CODE_SIZE / 16, 4);
    put(image, 0x1fe, 0xaa55, 2);
    put(image, 0x200, 0x66eb, 2);
    put(image, 0x202, 0x53726448, 4);
    put(image, 0x206, 0x020f, 2);
    image[0x211] = 1;
    put(image, 0x214, MIB, 4);
    put(image, 0x22c, 0x7fffffff, 4);
    put(image, 0x230, 0x200000, 4);
    image[0x234] = 1;
    put(image, 0x238, 2047, 4);
    put(image, 0x258, 16 * MIB, 8);
    put(image, 0x260, 8 * MIB, 4);
}

static void test_linux(void)
{
    uint8_t image[LINUX_SIZE], code[CODE_SIZE];
    char initrd[256];
    uint32_t zp, rd;

    set_up(64 * MIB);
    make_linux(image);
    memset(code, 0xcc, sizeof(code));
    write_file(part_path, "archive", 7);
    snprintf(initrd, sizeof(initrd), "%s,%s", part_path, part_path);
    CHECK_EQ(boot(image, sizeof(image), initrd, "console=ttyS0"), 0);
    zp = entry.esi;
    CHECK_EQ(entry.eip, MIB);
    CHECK_EQ(entry.ebx | entry.eax, 0);
    check_gdt(0x10);
    CHECK_EQ(memcmp(mem.ram + MIB, code, sizeof(code)), 0);
    CHECK_EQ(word(zp + 0x202), 0x53726448);
    CHECK_EQ(mem.ram[zp + 0x210], 0xff);
    CHECK_EQ(word(zp + 0x260), 8 * MIB);
    CHECK_EQ(word(zp + 0x70), 0xe0000);
    CHECK_EQ(mem.ram[zp + 0x1e8], 4);
    CHECK_EQ(word(zp + 0x2d0 + 8), 0x9fc00);
    CHECK_EQ(word(zp + 0x2d0 + 60), MIB);
    CHECK_EQ(word(zp + 0x2d0 + 68), 63 * MIB);
    CHECK_EQ(word(zp + 0x1e0), 63 * 1024);
    CHECK_EQ(strcmp(text_at(word(zp + 0x228)), "console=ttyS0"), 0);
    rd = word(zp + 0x218);
    CHECK_EQ(rd, 64 * MIB - PAGE_SIZE);
    CHECK_EQ(word(zp + 0x21c), 15);
    CHECK_EQ(memcmp(mem.ram + rd, "archive\0archive", 15), 0);
}

static void test_linux_places(void)
{
    uint8_t image[LINUX_SIZE];

    set_up(64 * MIB);
    write_file(part_path, "archive", 7);
    make_linux(image);
    put(image, 0x22c, 0x1ffffff, 4); /* the RAM disk must end below 32M */
    CHECK_EQ(boot(image, sizeof(image), part_path, ""), 0);
    CHECK_EQ(word(entry.esi + 0x218), 32 * MIB - PAGE_SIZE);
    put(image, 0x22c, 24 * MIB - 1, 4); /* where the kernel is */
    CHECK_EQ(boot(image, sizeof(image), part_path, ""), -1);
    CHECK_EQ(error.status, EX_DATAERR);
    put(image, 0x22c, 0xffffffff, 4);
    CHECK_EQ(boot(image, sizeof(image), part_path, ""), 0);
    CHECK_EQ(boot(image, sizeof(image), NULL, ""), 0);
    CHECK_EQ(word(entry.esi + 0x218), 0);
}

#define LINUX_CASE(offset, value, size, part)                                                      \
    do {                                                                                           \
        uint8_t image_[LINUX_SIZE];                                                                \
        make_linux(image_);                                                                        \
        put(image_, offset, value, size);                                                          \
        fails(image_, sizeof(image_), EX_DATAERR, part);                                           \
    } while (0)

static void test_bad_linux(void)
{
    uint8_t image[LINUX_SIZE];
    char line[3000];

    set_up(64 * MIB);
    LINUX_CASE(0x236, 1, 2, "64-bit");
    LINUX_CASE(0x206, 0x0201, 2, "old Linux");
    LINUX_CASE(0x211, 0, 1, "old Linux");
    LINUX_CASE(0x214, 0, 4, "BIOS");
    LINUX_CASE(0x1f4, CODE_SIZE / 16 + 1, 4, "cut short");
    LINUX_CASE(0x1f4, 0xffffffff, 4, "cut short");
    LINUX_CASE(0x1f1, 255, 1, "cut short");
    LINUX_CASE(0x260, 64 * MIB, 4, "80M");
    LINUX_CASE(0x260, 0xffffffff, 4, "-m");
    LINUX_CASE(0x258, 0xffffffffffffffff, 8, "-m");
    LINUX_CASE(0x258, 0x100000000, 8, "-m");
    make_linux(image);
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    CHECK_EQ(boot(image, sizeof(image), NULL, line), -1);
    CHECK_EQ(error.status, EX_USAGE);
    CHECK_EQ(boot(image, sizeof(image), "/nonexistent/x", ""), -1);
    CHECK_EQ(error.status, EX_NOINPUT);
    CHECK_EQ(boot(image, sizeof(image), "/tmp", ""), -1);
    CHECK_EQ(error.status, EX_NOINPUT);
    CHECK_EQ(boot(image, sizeof(image), "", ""), -1);
    CHECK_EQ(error.status, EX_USAGE);
    CHECK_EQ(boot(image, sizeof(image), "/dev/zero", ""), -1);
    CHECK_EQ(error.status, EX_DATAERR);
    snprintf(line, sizeof(line), "%s,", kernel_path);
    CHECK_EQ(boot(image, sizeof(image), line, ""), -1);
    CHECK_EQ(error.status, EX_USAGE);
    for (size_t size = 1024; size < sizeof(image) - 15; size += 37)
        fails(image, size, EX_DATAERR, "cut short");
    fails(image, sizeof(image) - 16, EX_DATAERR, "cut short");
    CHECK_EQ(boot(image, sizeof(image) - 15, NULL, ""), 0); /* memtest86+ is like this */
}

/* Those that firmware has to start. */
static void test_real(void)
{
    uint8_t image[LINUX_SIZE];

    make_linux(image);
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), false);
    put(image, 0x214, 0, 4); /* ipxe.lkrn: no entry point */
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), true);
    put(image, 0x214, MIB, 4);
    put(image, 0x1f4, 0, 4); /* memdisk: an entry point for its own setup code alone */
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), true);
    put(image, 0x1f4, (LINUX_SIZE - 1024) / 16, 4);
    put(image, 0x206, 0x0201, 2); /* its 32-bit entry point wants what its setup code has found */
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), true);
    put(image, 0x206, 0x0203, 2);
    image[0x211] = 0; /* zImage */
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), true);
}

/* Older than the protocol's numbers: its size tells it from a disk. */
static void test_unnumbered(void)
{
    uint8_t image[4 * 512] = { 0 };

    image[0x1f1] = 1;
    put(image, 0x1f4, 64, 2);
    put(image, 0x1fe, 0xaa55, 2);
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), true);
    write_file(kernel_path, image, sizeof(image) - 15); /* memtest86 is like this */
    CHECK_EQ(boot_real_is(kernel_path), true);
    write_file(kernel_path, image, sizeof(image) - 16);
    CHECK_EQ(boot_real_is(kernel_path), false);
    put(image, 0x1f4, 63, 2);
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), false);
    put(image, 0x1f4, 64, 2);
    image[0x1f1] = 0;
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), false);
}

static void fails_real(const uint8_t *image, size_t size, uint64_t memory, const char *part)
{
    struct boot_real real = { 0 };

    error = (struct error){ 0 };
    write_file(kernel_path, image, size);
    CHECK_EQ(boot_real_read(&real, kernel_path, NULL, "", memory, &error), -1);
    CHECK_EQ(error.status, EX_DATAERR);
    CHECK_EQ(strstr(error.text, part) != NULL, 1);
    boot_real_free(&real);
}

/* Where the parts of an old image find no room. */
static void test_old_room(void)
{
    static uint8_t large[SETUP_SIZE + 0x80000 + 1]; /* a byte more than there is below 0x90000 */
    uint8_t image[LINUX_SIZE];

    make_linux(image);
    put(image, 0x206, 0x0201, 2);
    fails_real(image, sizeof(image), 16 * MIB, "give it more with -m");
    memcpy(large, image, sizeof(image));
    large[0x211] = 0;
    fails_real(large, sizeof(large), 32 * MIB, "low memory");
}

/* What of a command line the loader takes. */
static void test_video_mode(void)
{
    static const struct {
        const char *append;
        int mode;
        bool sets;
    } lines[] = {
        { "", -1, false },
        { "quiet root=vga=788", -1, false },
        { "vga=normal", 0xffff, false },
        { "vga=65535", 0xffff, false },
        { "vga=ext", 0xfffe, true },
        { "a vga=ask b", 0xfffd, true },
        { "vga=788", 788, true },
        { "quiet  vga=0x317", 0x317, true },
        { "vga=01427", 791, true },
        { "vga=0", 0, true },
        { "vga=788 vga=normal", 0xffff, false }, /* the last one counts */
        { "vga=788 vga=", -1, false },
        { "vga=current", -1, false },
        { "vga=788x", -1, false },
        { "vga=-3", -1, false },
        { "vga=65536", -1, false },
        { "vga=99999999999999999999", -1, false },
        { "vga", -1, false },
    };

    for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        CHECK_EQ(setup_video_mode(lines[i].append), lines[i].mode);
        CHECK_EQ(boot_real_sets_mode(lines[i].append), lines[i].sets);
    }
}

/* Linux by its real-mode part: where its parts go, and what its header says then. */
static void test_by_firmware(void)
{
    static const char append[] = "quiet vga=0x317";
    uint8_t image[LINUX_SIZE];
    struct boot_real real = { 0 };
    char initrd[256];

    make_linux(image);
    put(image, 0x22c, 40 * MIB - 1, 4);
    write_file(kernel_path, image, sizeof(image));
    write_file(part_path, "archive", 7);
    snprintf(initrd, sizeof(initrd), "%s,%s", part_path, part_path);
    CHECK_EQ(boot_real_read(&real, kernel_path, initrd, append, 64 * MIB, &error), 0);
    CHECK_EQ(real.setup_size, SETUP_SIZE);
    CHECK_EQ(real.initrd.size, 15);
    CHECK_EQ(memcmp(real.initrd.bytes, "archive\0archive", 15), 0);
    CHECK_EQ(setup_get(real.kernel.bytes, 0x1fa, 2), 0x317);
    CHECK_EQ(real.kernel.bytes[0x210], 0xff);
    CHECK_EQ(real.kernel.bytes[0x211], 0x81);
    CHECK_EQ(setup_get(real.kernel.bytes, 0x218, 4), 40 * MIB - PAGE_SIZE);
    CHECK_EQ(setup_get(real.kernel.bytes, 0x21c, 4), 15);
    CHECK_EQ(setup_get(real.kernel.bytes, 0x228, 4), 0x20000);
    boot_real_free(&real);
    fails_real(image, sizeof(image), 39 * MIB, "give it more with -m"); /* 16M are the firmware's */
    put(image, 0x258, 0xffffffffffffffff, 8);
    fails_real(image, sizeof(image), 64 * MIB, "give it more with -m");
    put(image, 0x236, 1, 2);
    fails_real(image, sizeof(image), 64 * MIB, "64-bit");
}

/* --- Disks ---------------------------------------------------------------------------- */

static bool is_disk(const void *bytes, size_t size)
{
    write_file(kernel_path, bytes, size);
    return boot_is_disk_file(kernel_path);
}

/* What is named without an option may be either. */
static void test_disk(void)
{
    uint8_t image[LINUX_SIZE] = { 0 };
    struct elf_image e = make_elf();

    CHECK_EQ(is_disk(image, sizeof(image)), false);
    put(image, 510, 0xaa55, 2);
    CHECK_EQ(is_disk(image, sizeof(image)), true);
    CHECK_EQ(is_disk(image, 512), true); /* a first exercise: the boot sector and no more */
    CHECK_EQ(is_disk(image, 511), false);
    fails(image, 512, EX_DATAERR, "write -hda");
    put(image, 1024, 0x1badb002, 4); /* the header of the kernel in it */
    put(image, 1032, -0x1badb002u, 4);
    CHECK_EQ(is_disk(image, sizeof(image)), true);
    fails(image, sizeof(image), EX_DATAERR, "write -hda");
    make_linux(image);
    CHECK_EQ(is_disk(image, sizeof(image)), false);
    memset(image, 0, sizeof(image));
    memcpy(image, &e, sizeof(e));
    put(image, 510, 0xaa55, 2);
    CHECK_EQ(is_disk(image, sizeof(image)), false);
    memcpy(image, "QFI\xfb", 4);
    put(image, 510, 0, 2);
    CHECK_EQ(is_disk(image, sizeof(image)), true);
    unlink(kernel_path);
    CHECK_EQ(boot_is_disk_file(kernel_path), false);
}

/* --- Files --------------------------------------------------------------------------- */

static void test_gzip(void)
{
    struct elf_image e = make_elf();
    uint8_t zipped[1024];
    z_stream z = { .next_in = (uint8_t *)&e, .avail_in = sizeof(e), .next_out = zipped,
                   .avail_out = sizeof(zipped) };

    set_up(16 * MIB);
    deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    CHECK_EQ(boot(zipped, z.total_out, NULL, ""), 0);
    CHECK_EQ(entry.eip, 0x200010);
    fails(zipped, z.total_out - 1, EX_DATAERR, "damaged");
    fails(zipped, 5, EX_DATAERR, "damaged");
    zipped[z.total_out / 2] ^= 0x55;
    fails(zipped, z.total_out, EX_DATAERR, "damaged");
    deflateEnd(&z);
}

/* A small file that unzips to more than the guest has. */
static void test_bomb(void)
{
    size_t size = 32 * MIB, room = 256 << 10;
    uint8_t *zeroes = calloc(1, size), *zipped = malloc(room);
    z_stream z = { .next_in = zeroes, .avail_in = (unsigned)size, .next_out = zipped,
                   .avail_out = (unsigned)room };

    set_up(16 * MIB);
    deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
    CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    fails(zipped, z.total_out, EX_DATAERR, "-m");
    deflateEnd(&z);
    free(zeroes);
    free(zipped);
}

static void test_garbage(void)
{
    uint8_t image[8192];
    unsigned seed = 1;

    set_up(16 * MIB);
    for (unsigned round = 0; round < 300; round++) {
        for (size_t i = 0; i < sizeof(image); i++) {
            seed = seed * 1103515245 + 12345;
            image[i] = (uint8_t)(seed >> 16);
        }
        if (round % 3 == 1)
            memcpy(image, ELFMAG "\1\1\1\0\0\0\0\0\0\0\0\0\2\0\3", 19);
        if (round % 3 == 2) {
            put(image, 0x1fe, 0xaa55, 2);
            put(image, 0x202, 0x53726448, 4);
            put(image, 0x206, 0x020f, 2);
        }
        if (!boot(image, sizeof(image), NULL, ""))
            continue; /* by chance a kernel */
        CHECK_EQ(error.status, EX_DATAERR);
    }
}

static void test_commas(void)
{
    uint8_t image[LINUX_SIZE];
    char with_comma[] = "/tmp/novt,test,XXXXXX", initrd[64], *to = initrd;
    int fd = mkstemp(with_comma);

    set_up(64 * MIB);
    make_linux(image);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
    for (const char *c = with_comma; *c; *to++ = *c++)
        if (*c == ',')
            *to++ = ',';
    *to = '\0';
    CHECK_EQ(boot(image, sizeof(image), initrd, ""), 0);
    unlink(with_comma);
}

int main(void)
{
    begin();
    test_linux();
    test_linux_places();
    test_bad_linux();
    test_real();
    test_unnumbered();
    test_video_mode();
    test_by_firmware();
    test_old_room();
    test_disk();
    test_gzip();
    test_bomb();
    test_garbage();
    test_commas();
    return end();
}
