/* Guest memory: RAM, holes, ROM, and who hears of writes. */
#include "base/physmem.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"

static struct physmem pm;
static struct {
    unsigned writes, watches, layouts, touches, rising;
    uint64_t gpa, size, gfn, count, total;
} heard;

static void on_write(void *arg, uint64_t gpa, uint64_t size)
{
    (void)arg;
    heard.writes++;
    heard.gpa = gpa;
    heard.size = size;
    heard.total += size;
    CHECK_EQ(gpa >> PAGE_SHIFT, (gpa + size - 1) >> PAGE_SHIFT); /* never across frames */
}

static void on_watch(void *arg, uint64_t gfn, uint64_t count)
{
    (void)arg;
    heard.watches++;
    heard.gfn = gfn;
    heard.count = count;
    for (uint64_t i = gfn; i < gfn + count; i++)
        CHECK_EQ(physmem_watched(&pm, i) & heard.rising, 0); /* told before */
}

static void on_layout(void *arg)
{
    (void)arg;
    heard.layouts++;
}

static void on_touched(void *arg)
{
    (void)arg;
    heard.touches++;
}

static void test_ram(void)
{
    uint8_t bytes[16];
    struct stat st;
    uint8_t *alias;

    CHECK_EQ(pm.size, 2 << 20);
    CHECK_EQ(pm.frames, 1 << 20);
    CHECK_EQ(physmem_write(&pm, 0x1ffc, "abcdefgh", 8), 1);
    CHECK_EQ(physmem_read(&pm, 0x1ffe, bytes, 4), 1);
    CHECK_EQ(memcmp(bytes, "cdef", 4), 0);
    CHECK_EQ(fstat(pm.fd, &st), 0);
    CHECK_EQ(st.st_size, PHYSMEM_LIMIT);
    CHECK_EQ(st.st_blocks < 64, 1); /* what is not used is not there */
    alias = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, pm.fd, 0x2000); /* offset = gpa */
    CHECK_EQ(memcmp(alias, "efgh", 4), 0);
    munmap(alias, PAGE_SIZE);
}

static void test_holes(void)
{
    uint8_t bytes[32];

    pm.on_layout = on_layout;
    physmem_set_kind(&pm, 0xa0000, 0x20000, PHYSMEM_NONE);
    CHECK_EQ(heard.layouts, 1);
    CHECK_EQ(physmem_is_ram(&pm, 0x9ffff), 1);
    CHECK_EQ(physmem_is_ram(&pm, 0xa0000), 0);
    CHECK_EQ(physmem_is_ram(&pm, 0xbffff), 0);
    CHECK_EQ(physmem_is_ram(&pm, 0xc0000), 1);
    CHECK_EQ(physmem_is_ram(&pm, 0x1fffff), 1);
    CHECK_EQ(physmem_is_ram(&pm, 0x200000), 0);
    CHECK_EQ(physmem_is_ram(&pm, ~0ull), 0);
    memset(bytes, 0x11, sizeof(bytes));
    CHECK_EQ(physmem_write(&pm, 0x9fff8, bytes, 16), 0); /* the half that is RAM is written */
    CHECK_EQ(physmem_read(&pm, 0x9fff8, bytes, 16), 0);
    CHECK_EQ(bytes[7], 0x11);
    CHECK_EQ(bytes[8], 0xff);
    memset(bytes, 0x22, sizeof(bytes));
    CHECK_EQ(physmem_write(&pm, 0xbfff8, bytes, 16), 0);
    CHECK_EQ(*physmem_ptr(&pm, 0xc0000), 0x22);
    CHECK_EQ(*physmem_ptr(&pm, 0xbffff), 0x00); /* nothing went into the hole */
    CHECK_EQ(physmem_write(&pm, 0x1ffff8, bytes, 32), 0);
    CHECK_EQ(physmem_read(&pm, 0x1ffff8, bytes, 32), 0);
    CHECK_EQ(bytes[7], 0x22);
    CHECK_EQ(bytes[8], 0xff);
    CHECK_EQ(physmem_read(&pm, 1ull << 40, bytes, 32), 0);
    CHECK_EQ(bytes[31], 0xff);
    CHECK_EQ(physmem_read(&pm, 0x200000, bytes, 0), 1); /* nothing is no byte outside */
}

static void test_watches(void)
{
    uint8_t bytes[3 * 4096] = { 0 };

    pm.on_write = on_write;
    pm.on_watch = on_watch;
    physmem_write(&pm, 0x5000, bytes, 16);
    CHECK_EQ(heard.writes, 0);
    heard.rising = WATCH_CODE;
    physmem_watch(&pm, 5, WATCH_CODE);
    CHECK_EQ(heard.watches, 1);
    CHECK_EQ(heard.gfn, 5);
    physmem_watch(&pm, 5, WATCH_CODE); /* it is write-protected already */
    CHECK_EQ(heard.watches, 1);
    heard.rising = WATCH_TABLE;
    physmem_watch(&pm, 5, WATCH_TABLE); /* who has a right beside code (T4) loses it */
    CHECK_EQ(heard.watches, 2);
    CHECK_EQ(physmem_watched(&pm, 5), WATCH_CODE | WATCH_TABLE);
    physmem_write(&pm, 0x4ff0, bytes, 0x20);
    CHECK_EQ(heard.writes, 1);
    CHECK_EQ(heard.gpa, 0x5000);
    CHECK_EQ(heard.size, 0x10);
    heard.rising = WATCH_CODE;
    physmem_watch(&pm, 6, WATCH_CODE);
    physmem_write(&pm, 0x4800, bytes, sizeof(bytes));
    CHECK_EQ(heard.writes, 3);
    CHECK_EQ(heard.total, 0x10 + 2 * 4096);
    physmem_unwatch(&pm, 5, WATCH_CODE);
    physmem_written(&pm, 0x5fff, 1);
    CHECK_EQ(heard.writes, 4);
    physmem_unwatch(&pm, 5, WATCH_TABLE);
    physmem_written(&pm, 0x5fff, 2);
    CHECK_EQ(heard.writes, 5);
    CHECK_EQ(heard.gpa, 0x6000);
    physmem_watch(&pm, 1 << 20, WATCH_CODE); /* not a frame */
    physmem_unwatch(&pm, ~0ull, WATCH_CODE);
    CHECK_EQ(physmem_watched(&pm, 1 << 20), 0);
    CHECK_EQ(heard.watches, 3);
}

static uint32_t word(uint64_t gpa)
{
    uint32_t value = 0;

    physmem_read(&pm, gpa, &value, 4);
    return value;
}

static void test_rom(void)
{
    uint32_t value = 0x12345678, other = 0x9abcdef0;

    physmem_set_kind(&pm, 0xffff0000, 0x10000, PHYSMEM_ROM);
    physmem_load(&pm, 0xfffffffc, &value, 4);
    CHECK_EQ(physmem_is_ram(&pm, 0xfffffff0), 1);
    CHECK_EQ(physmem_is_writable(&pm, 0xfffffff0), 0);
    CHECK_EQ(physmem_write(&pm, 0xfffffffc, &other, 4), 0);
    physmem_rom_store(&pm, 0xfffffffc, other, 4);
    CHECK_EQ(word(0xfffffffc), value);
    CHECK_EQ(physmem_is_ram(&pm, 0xfffeffff), 0);
    CHECK_EQ(physmem_is_ram(&pm, 1ull << 32), 0);
    /* in front of RAM: writes go there */
    physmem_set_kind(&pm, 0xf0000, 0x10000, PHYSMEM_ROM_RAM);
    physmem_load(&pm, 0xf1000, &value, 4);
    CHECK_EQ(physmem_write(&pm, 0xf1000, &other, 4), 1);
    physmem_rom_store(&pm, 0xf1004, other, 2);
    CHECK_EQ(word(0xf1000), value);
    CHECK_EQ(memcmp(pm.behind + 0x31000, "\xf0\xde\xbc\x9a\xf0\xde\0", 7), 0);
    CHECK_EQ(physmem_is_uniform(&pm, 0xf0000, 0x10000), 1);
    CHECK_EQ(physmem_is_uniform(&pm, 0, 0x100000), 0);
    CHECK_EQ(physmem_is_uniform(&pm, 0x100000, 0x100000), 1);
    CHECK_EQ(physmem_is_uniform(&pm, 0x100000, 0x200000), 0);
    CHECK_EQ(physmem_is_uniform(&pm, PHYSMEM_LIMIT - 4096, 8192), 0);
}

/* Frames 0x100 to 0x13f are shown. */
static void test_display(void)
{
    uint64_t first;

    memset(&heard, 0, sizeof(heard));
    pm.on_touched = on_touched;
    physmem_watch(&pm, 0x105, WATCH_CODE);
    heard.rising = WATCH_DISPLAY;
    physmem_clean(&pm, 0x100, 0x20);
    physmem_clean(&pm, 0x100, 0x40); /* what is clean costs nothing */
    CHECK_EQ(heard.watches, 3);      /* of which one for the code */
    CHECK_EQ(heard.gfn, 0x120);
    CHECK_EQ(heard.count, 0x20);
    CHECK_EQ(physmem_watched(&pm, 0x105), WATCH_CODE | WATCH_DISPLAY);
    CHECK_EQ(physmem_watched(&pm, 0x13f), WATCH_DISPLAY);
    CHECK_EQ(physmem_touch(&pm, 0x123, &first), 16);
    CHECK_EQ(first, 0x120);
    CHECK_EQ(physmem_watched(&pm, 0x120) | physmem_watched(&pm, 0x12f), 0);
    CHECK_EQ(physmem_watched(&pm, 0x11f) & physmem_watched(&pm, 0x130), WATCH_DISPLAY);
    physmem_written(&pm, 0x105fff, 2); /* as DMA does; into two frames of one group */
    CHECK_EQ(heard.touches, 1);
    CHECK_EQ(heard.writes, 1); /* the code's */
    CHECK_EQ(physmem_watched(&pm, 0x105), WATCH_CODE);
    CHECK_EQ(physmem_watched(&pm, 0x100), 0);
    physmem_clean(&pm, 0x120, 0x10);
    physmem_unwatch(&pm, 0x128, WATCH_DISPLAY);
    CHECK_EQ(physmem_touch(&pm, 0x127, &first), 8); /* up to one that is written already */
    CHECK_EQ(heard.touches, 2);
    /* on and on: more each time; then elsewhere */
    physmem_clean(&pm, 0x100, 0x1000);
    CHECK_EQ(physmem_touch(&pm, 0x103, &first), 16);
    CHECK_EQ(first, 0x100);
    CHECK_EQ(physmem_touch(&pm, 0x110, &first), 32);
    CHECK_EQ(physmem_touch(&pm, 0x130, &first), 64);
    CHECK_EQ(physmem_touch(&pm, 0x170, &first), 128);
    CHECK_EQ(physmem_touch(&pm, 0x1f0, &first), 256);
    CHECK_EQ(physmem_touch(&pm, 0x2f0, &first), 256);
    CHECK_EQ(physmem_touch(&pm, 0x500, &first), 16);
    physmem_clean(&pm, 0x100, 0x1000);
    CHECK_EQ(physmem_touch(&pm, 0x510, &first), 16); /* not where it went on */
}

int main(void)
{
    struct physmem huge;

    CHECK_EQ(physmem_init(&pm, (2 << 20) + 100), 0); /* whole frames only */
    test_ram();
    test_holes();
    test_watches();
    test_rom();
    test_display();
    physmem_destroy(&pm);
    CHECK_EQ(pm.fd == -1, 1);
    CHECK_EQ(physmem_init(&huge, 1ull << 62) < 0, 1); /* an error, not a crash */
    return CHECK_DONE();
}
