#include "devices/i440fx.h"

#include <errno.h>

#include "base/snap.h"
#include "tests/unit/chip.h"

enum { ADDRESS = 0xcf8, DATA = 0xcfc };

/* What is behind the bridge: eight bytes of memory. */
static uint64_t beyond_read(void *dev, uint64_t offset, unsigned size)
{
    (void)size;
    return ((uint8_t *)dev)[offset];
}

static void beyond_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)size;
    ((uint8_t *)dev)[offset] = value & 0xff;
}

static const struct bus_ops beyond_ops = { beyond_read, beyond_write, 1, "beyond" };

static struct bus *bus, *pci;
static uint8_t beyond[8];

static uint32_t config_read(uint32_t address)
{
    bus_write(bus, ADDRESS, 4, address);
    return bus_read(bus, DATA, 4);
}

static void test_address(void)
{
    /* as systems look for the mechanism */
    out8(bus, 0xcfb, 0x01);
    CHECK_EQ(beyond[3], 0x01);
    bus_write(bus, ADDRESS, 4, 0x80000000);
    CHECK_EQ(bus_read(bus, ADDRESS, 4), 0x80000000);
    bus_write(bus, ADDRESS, 4, 0xffffffff);
    CHECK_EQ(bus_read(bus, ADDRESS, 4), 0x80fffffc);
    /* less than 32 bits goes to the bus behind */
    out8(bus, 0xcf9, 0x55);
    CHECK_EQ(beyond[1], 0x55);
    CHECK_EQ(in8(bus, 0xcf9), 0x55);
    bus_write(bus, ADDRESS, 2, 0x1234);
    CHECK_EQ(beyond[0], 0x34);
    CHECK_EQ(beyond[1], 0x12);
    CHECK_EQ(bus_read(bus, ADDRESS, 4), 0x80fffffc);
    /* the enable bit is clear: no configuration cycle */
    bus_write(bus, ADDRESS, 4, 0);
    beyond[4] = 0x77;
    CHECK_EQ(bus_read(bus, DATA, 1), 0x77);
}

static void test_header(void)
{
    CHECK_EQ(config_read(0x80000000), 0x12378086);
    CHECK_EQ(bus_read(bus, DATA + 2, 2), 0x1237);
    CHECK_EQ(in8(bus, DATA + 1), 0x80);
    CHECK_EQ(config_read(0x80000008), 0x06000002);
    CHECK_EQ(config_read(0x8000000c), 0);
    for (uint32_t bar = 0x10; bar < 0x40; bar += 4)
        CHECK_EQ(config_read(0x80000000 | bar), 0);
    bus_write(bus, ADDRESS, 4, 0x80000004);
    bus_write(bus, DATA, 4, 0xffffffff);
    CHECK_EQ(bus_read(bus, DATA, 4), 0x02800146);
    bus_write(bus, ADDRESS, 4, 0x80000000);
    bus_write(bus, DATA, 4, 0);
    CHECK_EQ(bus_read(bus, DATA, 4), 0x12378086);
}

/* No other function, device or bus. */
static void test_nobody(void)
{
    CHECK_EQ(config_read(0x80000100), 0xffffffff);
    CHECK_EQ(config_read(0x80000800), 0xffffffff);
    CHECK_EQ(config_read(0x80010000), 0xffffffff);
    bus_write(bus, DATA, 4, 0);
}

int main(void)
{
    struct i440fx_config config;
    struct i440fx *host;
    uint8_t image[512];

    bus = bus_create();
    pci = bus_create();
    CHECK_EQ(bus_claim(pci, ADDRESS, 8, &beyond_ops, beyond), 0);
    config = (struct i440fx_config){ bus, ADDRESS, pci };
    host = i440fx_create(&config);
    test_address();
    test_header();
    test_nobody();
    i440fx_snapshot(host, &(struct snap){ .at = image });
    i440fx_reset(host);
    CHECK_EQ(bus_read(bus, ADDRESS, 4), 0);
    CHECK_EQ(config_read(0x80000004), 0x02800006);
    i440fx_snapshot(host, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(bus_read(bus, ADDRESS, 4), 0x80010000);
    CHECK_EQ(config_read(0x80000004), 0x02800146);
    CHECK_EQ(i440fx_create(&config) == NULL && errno == EEXIST, 1);
    i440fx_destroy(host);
    bus_destroy(pci);
    bus_destroy(bus);
    return CHECK_DONE();
}
