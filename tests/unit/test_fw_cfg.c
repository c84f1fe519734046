/* fw_cfg: items, the directory of files, reads and writes by DMA. */
#include "devices/fw_cfg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/physmem.h"
#include "base/snap.h"
#include "tests/unit/chip.h"

enum { SELECT = 0x510, DATA = 0x511, DMA = 0x514, COMMAND = 0x1000, BUFFER = 0x2000 };

static struct bus *bus;
static struct physmem mem;
static struct fw_cfg *fw;

static void selects(uint16_t key)
{
    bus_write(bus, SELECT, 2, key);
}

static uint32_t big32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Runs a DMA command; returns the control word it leaves. */
static uint32_t dma(uint32_t control, uint32_t size, uint64_t gpa)
{
    const uint32_t words[] = { __builtin_bswap32(control), __builtin_bswap32(size),
                               __builtin_bswap32((uint32_t)(gpa >> 32)),
                               __builtin_bswap32((uint32_t)gpa) };

    physmem_write(&mem, COMMAND, words, sizeof(words));
    bus_write(bus, DMA + 4, 4, __builtin_bswap32(COMMAND));
    return big32(physmem_ptr(&mem, COMMAND));
}

static void test_items(void)
{
    selects(FW_CFG_SIGNATURE);
    CHECK_EQ(in8(bus, DATA), 'Q');
    CHECK_EQ(in8(bus, DATA), 'E');
    selects(FW_CFG_SIGNATURE);
    CHECK_EQ(in8(bus, DATA), 'Q');
    selects(FW_CFG_ID);
    CHECK_EQ(in8(bus, DATA), 3);
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(in8(bus, DATA), 0); /* beyond the end, too */
    selects(0x7777);
    CHECK_EQ(in8(bus, DATA), 0);
    CHECK_EQ(fw_cfg_set(fw, FW_CFG_CPUS, "\2", 2), 0);
    selects(FW_CFG_CPUS);
    CHECK_EQ(in8(bus, DATA), 2);
    out8(bus, DATA, 1); /* not for writing */
    CHECK_EQ(in8(bus, DATA), 0);
}

static void test_files(void)
{
    uint8_t list[4 + 2 * 64];

    CHECK_EQ(fw_cfg_set_file(fw, "etc/one", "first", 5), 0);
    CHECK_EQ(fw_cfg_set_file(fw, "etc/two", "second", 6), 0);
    CHECK_EQ(fw_cfg_set_file(fw, "etc/one", "FIRST!!", 7), 0);
    selects(FW_CFG_FILES);
    for (unsigned i = 0; i < sizeof(list); i++)
        list[i] = in8(bus, DATA);
    CHECK_EQ(big32(list), 2);
    CHECK_EQ(big32(list + 4), 7);
    CHECK_EQ(list[8] << 8 | list[9], 0x20);
    CHECK_EQ(strcmp((char *)list + 12, "etc/one"), 0);
    CHECK_EQ(list[72] << 8 | list[73], 0x21);
    selects(0x20);
    CHECK_EQ(in8(bus, DATA), 'F');
    for (unsigned i = 2; i < FW_CFG_FILES_MAX; i++)
        CHECK_EQ(fw_cfg_set_file(fw, (char[]){ 'x', (char)('A' + i), 0 }, "", 0), 0);
    CHECK_EQ(fw_cfg_set_file(fw, "many", "", 0), -ENOSPC);
    CHECK_EQ(fw_cfg_set_file(fw, "123456789012345678901234567890123456789012345678901234567",
                             "", 0), -ENOSPC);
}

static void test_dma(void)
{
    CHECK_EQ(bus_read(bus, DMA, 4), 0x554d4551); /* "QEMU CFG" */
    CHECK_EQ(bus_read(bus, DMA + 4, 4), 0x47464320);
    memset(physmem_ptr(&mem, BUFFER), 0x11, 64);
    CHECK_EQ(dma(0x21u << 16 | 8 | 2, 4, BUFFER), 0);
    CHECK_EQ(memcmp(physmem_ptr(&mem, BUFFER), "seco\x11", 5), 0);
    CHECK_EQ(dma(2, 4, BUFFER), 0); /* goes on; zeroes behind the end */
    CHECK_EQ(memcmp(physmem_ptr(&mem, BUFFER), "nd\0\0\x11", 5), 0);
    CHECK_EQ(dma(0x21u << 16 | 8 | 4, 3, 0), 0); /* skip */
    CHECK_EQ(in8(bus, DATA), 'o');
    CHECK_EQ(dma(16, 4, BUFFER), 1);             /* write */
    CHECK_EQ(dma(0x20u << 16 | 8 | 2, 8, mem.size - 4), 1);
    CHECK_EQ(memcmp(physmem_ptr(&mem, mem.size - 4), "FIRS", 4), 0);
    CHECK_EQ(dma(2, 0xffffffff, ~0ull), 1);
    CHECK_EQ(dma(2, 0xffffffff, 0x10000), 1);
    CHECK_EQ(dma(4, 0xffffffff, 0), 0);
    CHECK_EQ(dma(4, 0xffffffff, 0), 0);
    CHECK_EQ(in8(bus, DATA), 0);
    bus_write(bus, DMA, 4, 0xffffffff); /* a command where there is no RAM */
    bus_write(bus, DMA + 4, 4, 0xffffffff);
}

static void test_garbage(void)
{
    srand(1);
    for (unsigned i = 0; i < 5000; i++) {
        uint16_t port = SELECT + rand() % 12;
        unsigned size = 1u << rand() % 3;

        if (rand() & 1)
            bus_write(bus, port, size, (uint64_t)rand());
        else
            bus_read(bus, port, size);
    }
}

int main(void)
{
    struct fw_cfg_config config = { .base = SELECT, .dma_base = DMA, .mem = &mem };
    uint8_t image[32];

    CHECK_EQ(physmem_init(&mem, 2 << 20), 0);
    config.ports = bus = bus_create();
    fw = fw_cfg_create(&config);
    test_items();
    test_files();
    test_dma();
    selects(0x20);
    in8(bus, DATA);
    fw_cfg_snapshot(fw, &(struct snap){ .at = image });
    fw_cfg_reset(fw);
    CHECK_EQ(in8(bus, DATA), 'Q');
    fw_cfg_snapshot(fw, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(in8(bus, DATA), 'I');
    test_garbage();
    CHECK_EQ(fw_cfg_create(&config) == NULL && errno == EEXIST, 1);
    fw_cfg_destroy(fw);
    bus_destroy(bus);
    physmem_destroy(&mem);
    return CHECK_DONE();
}
