/* The host bridge: the address register, its own header, RAM in the place of ROM. */
#include "devices/i440fx.h"

#include <errno.h>

#include "base/snap.h"
#include "devices/pci.h"
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

static const struct bus_ops beyond_ops = {
    .read = beyond_read,
    .write = beyond_write,
    .max_size = 1,
    .name = "beyond",
};

static struct bus *bus, *pci;
static struct pci_bus *pci_bus;

/* What the board was told of shadow RAM last. */
static struct {
    uint32_t gpa, size;
    bool read_ram, write_ram;
    unsigned times;
} pam;

static void set_pam(void *board, uint32_t gpa, uint32_t size, bool read_ram, bool write_ram)
{
    CHECK_EQ(board == &pam, 1);
    pam.gpa = gpa;
    pam.size = size;
    pam.read_ram = read_ram;
    pam.write_ram = write_ram;
    pam.times++;
}
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
        CHECK_EQ(config_read(0x80000000 | bar), bar == 0x2c ? 0x11001af4 : 0);
    bus_write(bus, ADDRESS, 4, 0x80000004);
    bus_write(bus, DATA, 4, 0xffffffff);
    CHECK_EQ(bus_read(bus, DATA, 4), 0x02800146);
    bus_write(bus, ADDRESS, 4, 0x80000000);
    bus_write(bus, DATA, 4, 0);
    CHECK_EQ(bus_read(bus, DATA, 4), 0x12378086);
}

static void config_byte(unsigned at, uint8_t value)
{
    bus_write(bus, ADDRESS, 4, 0x80000000 | (at & ~3u));
    bus_write(bus, DATA + (at & 3), 1, value);
}

static void expect_pam(unsigned times, uint32_t gpa, uint32_t size, bool read_ram, bool write_ram)
{
    CHECK_EQ(pam.times, times);
    CHECK_EQ(pam.gpa, gpa);
    CHECK_EQ(pam.size, size);
    CHECK_EQ(pam.read_ram, read_ram);
    CHECK_EQ(pam.write_ram, write_ram);
}

static void test_shadow_ram(void)
{
    config_byte(0x59, 0x3f);
    expect_pam(1, 0xf0000, 0x10000, true, true);
    CHECK_EQ(config_read(0x80000058) >> 8 & 0xff, 0x30);
    config_byte(0x5a, 0x02);
    expect_pam(2, 0xc0000, 0x4000, false, true);
    config_byte(0x5a, 0x12);
    expect_pam(3, 0xc4000, 0x4000, true, false);
    config_byte(0x5f, 0x10);
    expect_pam(4, 0xec000, 0x4000, true, false);
    config_byte(0x5f, 0x10);
    CHECK_EQ(pam.times, 4);
    bus_write(bus, ADDRESS, 4, 0x80000058);
    bus_write(bus, DATA, 4, 0);
    expect_pam(7, 0xf0000, 0x10000, false, false);
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
    pci_bus = pci_create(&(struct pci_bus_config){ bus, bus, NULL, NULL, NULL });
    config = (struct i440fx_config){ bus, ADDRESS, pci, pci_bus, set_pam, &pam };
    host = i440fx_create(&config);
    test_address();
    test_header();
    test_shadow_ram();
    test_nobody();
    i440fx_snapshot(host, &(struct snap){ .at = image });
    i440fx_reset(host);
    expect_pam(8, 0xec000, 0x4000, false, false);
    CHECK_EQ(bus_read(bus, ADDRESS, 4), 0);
    CHECK_EQ(config_read(0x80000004), 0x02800006);
    i440fx_snapshot(host, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(bus_read(bus, ADDRESS, 4), 0x80010000);
    expect_pam(9, 0xec000, 0x4000, true, false);
    CHECK_EQ(config_read(0x80000004), 0x02800146);
    CHECK_EQ(i440fx_create(&config) == NULL && errno == EEXIST, 1);
    i440fx_destroy(host);
    pci_destroy(pci_bus);
    bus_destroy(pci);
    bus_destroy(bus);
    return CHECK_DONE();
}
