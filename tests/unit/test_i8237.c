/* The DMA controllers: registers and flip-flops, transfers of bytes and of words. */
#include "devices/i8237.h"

#include <errno.h>

#include <stdlib.h>
#include <string.h>

#include "base/physmem.h"
#include "base/snap.h"
#include "tests/unit/chip.h"

/* A chip that moves what it is asked for, as often as it is served. */
struct mover {
    struct i8237 *dma;
    unsigned channel, served;
    uint8_t data[64];
    uint32_t size, moved;
    bool end;
};

static void serve(void *dev)
{
    struct mover *m = dev;

    m->served++;
    m->moved = i8237_transfer(m->dma, m->channel, m->data, m->size, &m->end);
    i8237_request(m->dma, m->channel, false);
}

static void program(struct bus *bus, unsigned channel, uint8_t mode, uint32_t gpa, uint16_t count)
{
    static const uint8_t pages[] = { 0x87, 0x83, 0x81, 0x82, 0, 0x8b, 0x89, 0x8a };
    unsigned wide = channel / 4, n = channel % 4, base = wide ? 0xc0 : 0;
    uint32_t address = wide ? gpa >> 1 : gpa;

    out8(bus, base + (0x0a << wide), 4 | n);
    out8(bus, base + (0x0c << wide), 0);
    out8(bus, base + (0x0b << wide), mode | n);
    out8(bus, base + (2 * n << wide), address & 0xff);
    out8(bus, base + (2 * n << wide), address >> 8 & 0xff);
    out8(bus, base + ((2 * n + 1) << wide), count & 0xff);
    out8(bus, base + ((2 * n + 1) << wide), count >> 8);
    out8(bus, pages[channel], gpa >> 16);
}

static unsigned value(struct bus *bus, unsigned port)
{
    unsigned low = in8(bus, port);

    return low | in8(bus, port) << 8;
}

static void test_transfers(struct bus *bus, struct i8237 *dma, struct physmem *mem)
{
    struct mover m = { .dma = dma, .channel = 2, .size = 16 };
    uint8_t *ram = physmem_ptr(mem, 0);

    i8237_connect(dma, 2, serve, &m);
    for (unsigned i = 0; i < sizeof(m.data); i++)
        m.data[i] = 0x40 + i;
    program(bus, 2, 0x44, 0x2fffa, 15); /* to memory; stays in its 64 KiB */
    i8237_request(dma, 2, true);
    CHECK_EQ(m.served, 0);
    CHECK_EQ(in8(bus, 0x08), 0x40);
    out8(bus, 0x0a, 2); /* unmasked: the waiting chip is served */
    CHECK_EQ(m.served, 1);
    CHECK_EQ(m.moved, 16);
    CHECK_EQ(m.end, 1);
    CHECK_EQ(memcmp(ram + 0x2fffa, m.data, 6), 0);
    CHECK_EQ(memcmp(ram + 0x20000, m.data + 6, 10), 0);
    CHECK_EQ(ram[0x30000], 0);
    CHECK_EQ(in8(bus, 0x08), 0x04);
    CHECK_EQ(in8(bus, 0x08), 0x00); /* told once */
    CHECK_EQ(in8(bus, 0x0f), 0x0f);  /* masked again */
    CHECK_EQ(value(bus, 0x05), 0xffff);
    program(bus, 2, 0x48, 0x20000, 19); /* from memory, in two parts */
    memset(m.data, 0, sizeof(m.data));
    out8(bus, 0x0a, 2);
    i8237_request(dma, 2, true);
    CHECK_EQ(m.moved << 1 | m.end, 16 << 1);
    CHECK_EQ(memcmp(m.data, ram + 0x20000, 16), 0);
    CHECK_EQ(value(bus, 0x04), 16);
    CHECK_EQ(value(bus, 0x05), 3);
    i8237_request(dma, 2, true);
    CHECK_EQ(m.moved << 1 | m.end, 4 << 1 | 1);
    program(bus, 2, 0x74, 0x20003, 3); /* downwards, and again from the beginning */
    memcpy(m.data, "abcd", 4);
    out8(bus, 0x0e, 0);
    i8237_request(dma, 2, true);
    CHECK_EQ(m.moved << 1 | m.end, 4 << 1 | 1);
    CHECK_EQ(memcmp(ram + 0x20000, "dcba", 4), 0);
    CHECK_EQ(value(bus, 0x04), 3);
    CHECK_EQ(value(bus, 0x05), 3);
    CHECK_EQ(in8(bus, 0x0f) & 4, 0);
    program(bus, 2, 0x40, 0x20000, 3); /* verify: counts only */
    out8(bus, 0x0a, 2);
    i8237_request(dma, 2, true);
    CHECK_EQ(m.moved << 1 | m.end, 4 << 1 | 1);
    CHECK_EQ(memcmp(ram + 0x20000, "dcba", 4), 0);
    program(bus, 2, 0x44, 0xf0000u + (16u << 20) - 0x100000u, 3); /* beyond RAM */
    out8(bus, 0x08, 4); /* the controller is off */
    out8(bus, 0x0a, 2);
    m.served = 0;
    i8237_request(dma, 2, true);
    CHECK_EQ(m.served, 0);
    out8(bus, 0x08, 0);
    CHECK_EQ(m.served, 1);
    CHECK_EQ(m.end, 1);
}

/* Words: the page's low bit does not count, the address is half. */
static void test_words(struct bus *bus, struct i8237 *dma, struct physmem *mem)
{
    struct mover m = { .dma = dma, .channel = 5, .size = 8, .data = "abcdefg" };

    i8237_connect(dma, 5, serve, &m);
    program(bus, 5, 0x44, 0x20800, 3);
    out8(bus, 0x8b, 3);
    out8(bus, 0xd4, 1);
    i8237_request(dma, 5, true);
    CHECK_EQ(m.moved << 1 | m.end, 8 << 1 | 1);
    CHECK_EQ(memcmp(physmem_ptr(mem, 0x20800), "abcdefg", 8), 0);
    CHECK_EQ(in8(bus, 0xd0), 0x02);
}

int main(void)
{
    struct bus *bus = bus_create();
    struct physmem mem;
    struct i8237_config config = { bus, 0x00, 0xc0, 0x80, &mem };
    struct i8237 *dma = i8237_create(&config);
    uint8_t image[256];

    if (physmem_init(&mem, 4 << 20))
        abort();

    out8(bus, 0x0c, 0);
    out8(bus, 0x05, 0x34); /* channel 2's count */
    out8(bus, 0x05, 0x12);
    CHECK_EQ(in8(bus, 0x05), 0x34);
    CHECK_EQ(in8(bus, 0x05), 0x12);
    in8(bus, 0x05);
    out8(bus, 0x0c, 0); /* back to the low byte */
    CHECK_EQ(in8(bus, 0x05), 0x34);
    out8(bus, 0xd8, 0);
    out8(bus, 0xc0, 0xcd); /* the 16-bit controller, two ports to a register */
    out8(bus, 0xc0, 0xab);
    CHECK_EQ(in8(bus, 0xc1), 0xcd);
    CHECK_EQ(in8(bus, 0xc0), 0xab);
    CHECK_EQ(in8(bus, 0x0f), 0x0f);
    out8(bus, 0x0a, 0x02);
    CHECK_EQ(in8(bus, 0x0f), 0x0b);
    out8(bus, 0x0e, 0);
    CHECK_EQ(in8(bus, 0x0f), 0x00);
    out8(bus, 0x09, 0x05);
    CHECK_EQ(in8(bus, 0x08), 0x20); /* a software request, never served */
    out8(bus, 0x0d, 0);
    CHECK_EQ(in8(bus, 0x0f), 0x0f);
    CHECK_EQ(in8(bus, 0x08), 0x00);
    for (unsigned i = 0; i < 16; i++)
        out8(bus, 0x80 + i, 0x10 + i);
    for (unsigned i = 0; i < 16; i++)
        CHECK_EQ(in8(bus, 0x80 + i), 0x10 + i);
    i8237_snapshot(dma, &(struct snap){ .at = image });
    i8237_reset(dma);
    CHECK_EQ(in8(bus, 0x87), 0x00);
    i8237_snapshot(dma, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(in8(bus, 0x87), 0x17);
    for (unsigned port = 0; port < 0x20; port++)
        for (unsigned value = 0; value < 256; value++) {
            out8(bus, 0xc0 + port, value);
            in8(bus, 0xc0 + port);
        }
    i8237_reset(dma);
    test_transfers(bus, dma, &mem);
    test_words(bus, dma, &mem);
    CHECK_EQ(i8237_create(&config) == NULL && errno == EEXIST, 1);
    i8237_destroy(dma);
    bus_destroy(bus);
    physmem_destroy(&mem);
    return CHECK_DONE();
}
