/* ROM, shadow RAM and the VGA's window in a PC's first megabyte. */
#include "frontend/pc_memory.h"

#include <string.h>

#include "base/physmem.h"
#include "devices/pci.h"
#include "devices/vga.h"
#include "tests/check.h"

enum { ROM_SIZE = 0x40000 };

static struct physmem mem;
static struct pc_memory *map;
static uint8_t rom[ROM_SIZE];
static unsigned layouts;

static void on_layout(void *arg)
{
    (void)arg;
    layouts++;
}

static uint8_t byte(uint64_t gpa)
{
    uint8_t value = 0;

    physmem_read(&mem, gpa, &value, 1);
    return value;
}

static bool store(uint64_t gpa, uint8_t value)
{
    return physmem_write(&mem, gpa, &value, 1);
}

static void test_rom(void)
{
    CHECK_EQ(byte(0xfffffff0), rom[ROM_SIZE - 16]);
    CHECK_EQ(byte(0xfffc0000), rom[0]);
    CHECK_EQ(physmem_is_ram(&mem, 0xfffbffff), 0);
    CHECK_EQ(byte(0xffff0), rom[ROM_SIZE - 16]); /* the last 128 KiB of it */
    CHECK_EQ(byte(0xe0000), rom[ROM_SIZE - 0x20000]);
    CHECK_EQ(byte(0xdffff), 0xff);
    CHECK_EQ(store(0xffff0, 1) | store(0xfffffff0, 1), 0);
    CHECK_EQ(physmem_is_ram(&mem, 0xa0000) | physmem_is_ram(&mem, 0xb8000), 0);
    CHECK_EQ(physmem_is_writable(&mem, 0x9f000) & physmem_is_writable(&mem, 0x100000), 1);
}

/* Read and written each from RAM or ROM, as a BIOS does to copy itself. */
static void test_shadow_ram(void)
{
    pc_memory_pam(map, 0xf0000, 0x10000, false, true);
    CHECK_EQ(byte(0xf8000), rom[0x38000]);
    CHECK_EQ(store(0xf8000, 0x5a), 1);
    CHECK_EQ(byte(0xf8000), rom[0x38000]);
    pc_memory_pam(map, 0xf0000, 0x10000, true, true);
    CHECK_EQ(byte(0xf8000), 0x5a);
    CHECK_EQ(byte(0xf8001), 0);
    CHECK_EQ(byte(0xec000), rom[0x2c000]); /* another segment */
    store(0xf8001, 0xa5);
    pc_memory_pam(map, 0xf0000, 0x10000, true, false);
    CHECK_EQ(store(0xf8001, 1), 0);
    CHECK_EQ(byte(0xf8001), 0xa5);
    pc_memory_pam(map, 0xf0000, 0x10000, false, false);
    CHECK_EQ(byte(0xf8001), rom[0x38001]);
    pc_memory_pam(map, 0xf0000, 0x10000, true, true);
    CHECK_EQ(byte(0xf8001), 0xa5);
    pc_memory_pam(map, 0xc0000, 0x4000, true, true);
    store(0xc0000, 0x77);
    CHECK_EQ(layouts >= 6, 1);
    pc_memory_reset(map);
    CHECK_EQ(byte(0xf8001) | byte(0xc0000), 0);
    CHECK_EQ(byte(0xe8000), rom[0x28000]);
    pc_memory_pam(map, 0xf0000, 0x10000, false, false);
    CHECK_EQ(byte(0xf8001), rom[0x38001]);
    CHECK_EQ(byte(0xfffffff0), rom[ROM_SIZE - 16]);
}

static bool is_set(const uint64_t *bits, unsigned i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void test_video(void)
{
    uint64_t written[VGA_VRAM_SIZE / VGA_PAGE / 64] = { 0 };
    uint8_t *at = pc_memory_map_video(map, 0xfd000000);

    CHECK_EQ(at == physmem_ptr(&mem, 0xfd000000), 1);
    CHECK_EQ(physmem_is_writable(&mem, 0xfdffffff), 1);
    CHECK_EQ(physmem_is_ram(&mem, 0xfe000000), 0);
    pc_memory_collect(map, 64, 256, written); /* all is new */
    CHECK_EQ(is_set(written, 63), 0);
    CHECK_EQ(is_set(written, 64) & is_set(written, 319), 1);
    CHECK_EQ(is_set(written, 320), 0);
    memset(written, 0, sizeof(written));
    pc_memory_collect(map, 64, 256, written);
    CHECK_EQ(written[1] | written[2] | written[3] | written[4], 0);
    store(0xfd000000 + 100 * VGA_PAGE, 1);
    CHECK_EQ(mem.touched, 1);
    pc_memory_collect(map, 64, 256, written);
    CHECK_EQ(is_set(written, 100), 1);
    CHECK_EQ(is_set(written, 64) | is_set(written, 128), 0);
    CHECK_EQ(mem.touched, 0);
    /* away, and to another place: the old one can be read until the next move */
    CHECK_EQ(pc_memory_map_video(map, PCI_NOWHERE) == NULL, 1);
    CHECK_EQ(physmem_is_ram(&mem, 0xfd000000), 0);
    CHECK_EQ(physmem_watched(&mem, 0xfd000), 0);
    CHECK_EQ(pc_memory_map_video(map, 0xe0000000) == physmem_ptr(&mem, 0xe0000000), 1);
    CHECK_EQ(at[100 * VGA_PAGE], 1);
    CHECK_EQ(pc_memory_map_video(map, 0xe1000000) == physmem_ptr(&mem, 0xe1000000), 1);
    CHECK_EQ(at[100 * VGA_PAGE], 0); /* the host has it back */
    /* not over RAM or ROM */
    CHECK_EQ(pc_memory_map_video(map, 0) == NULL, 1);
    CHECK_EQ(pc_memory_map_video(map, 0xff000000) == NULL, 1);
    pc_memory_collect(map, 0, 16, written); /* nowhere: nothing happens */
    CHECK_EQ(byte(0xfffffff0), rom[ROM_SIZE - 16]);
}

static unsigned written_at;

static void on_write(void *arg, uint64_t gpa, uint64_t size)
{
    (void)arg, (void)size;
    written_at = (unsigned)(gpa >> PAGE_SHIFT);
}

/* VGA's window is memory, and then the planes in the frame buffer are not. */
static void test_window(void)
{
    uint8_t *window = pc_memory_window(map);

    CHECK_EQ(pc_memory_map_video(map, 0xfd000000) != NULL, 1);
    layouts = 0;
    pc_memory_open(map, 0x18000, 0x8000);
    CHECK_EQ(layouts, 1); /* window and frame buffer together */
    CHECK_EQ(physmem_is_writable(&mem, 0xb8000) & physmem_is_writable(&mem, 0xbf000), 1);
    CHECK_EQ(physmem_is_ram(&mem, 0xb7000) | physmem_is_ram(&mem, 0xfd03f000), 0);
    CHECK_EQ(physmem_is_writable(&mem, 0xfd040000), 1);
    CHECK_EQ(store(0xb8123, 0x44), 1);
    CHECK_EQ(window[0x18123], 0x44);
    CHECK_EQ(pc_memory_opened(map), 0xff000000);
    CHECK_EQ(pc_memory_opened(map), 0);
    store(0xb9000, 1);
    CHECK_EQ(mem.touched, 1);
    CHECK_EQ(pc_memory_opened(map) >> 25 & 1, 1);
    /* another part of it: who watches hears of the bytes that are not there any more */
    mem.on_write = on_write;
    physmem_watch(&mem, 0xbf, WATCH_CODE);
    pc_memory_open(map, 0, 0x10000);
    CHECK_EQ(layouts, 2);
    CHECK_EQ(written_at, 0xbf);
    CHECK_EQ(physmem_watched(&mem, 0xb9), 0);
    CHECK_EQ(physmem_is_ram(&mem, 0xa0000) & !physmem_is_ram(&mem, 0xb8000), 1);
    CHECK_EQ(pc_memory_opened(map), 0xffff);
    pc_memory_open(map, 0, 0);
    CHECK_EQ(physmem_is_ram(&mem, 0xa0000), 0);
    CHECK_EQ(physmem_is_ram(&mem, 0xfd000000), 1);
    CHECK_EQ(store(0xa0000, 1), 0);
}

int main(void)
{
    CHECK_EQ(physmem_init(&mem, 16 << 20), 0);
    mem.on_layout = on_layout;
    for (unsigned i = 0; i < ROM_SIZE; i++)
        rom[i] = (uint8_t)(i * 7 + i / 256 * 3 + 1);
    map = pc_memory_create(&mem, false, rom, ROM_SIZE);
    pc_memory_reset(map);
    test_rom();
    test_shadow_ram();
    test_video();
    test_window();
    pc_memory_destroy(map);
    physmem_destroy(&mem);
    return CHECK_DONE();
}
