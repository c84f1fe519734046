/* The ports, wires and memory of pc-testdev. */
#include "devices/pc_testdev.h"

#include <errno.h>

#include "tests/unit/chip.h"

static struct pin irq3, irq14;

int main(void)
{
    struct bus *ports = bus_create(), *memory = bus_create();
    struct pc_testdev_config config = {
        .ports = ports,
        .memory = memory,
        .base = 0xe0,
        .irq_base = 0x2000,
        .memory_base = 0xff000000,
        .irq = { [3] = pin_irq(&irq3), [14] = pin_irq(&irq14) },
    };
    struct pc_testdev *dev = pc_testdev_create(&config);

    bus_write(ports, 0xe0, 4, 0x12345678);
    CHECK_EQ(bus_read(ports, 0xe0, 4), 0x12345678);
    out8(ports, 0xe1, 0xaa);
    CHECK_EQ(bus_read(ports, 0xe0, 4), 0x1234aa78);
    bus_write(ports, 0xe4, 4, 0x1000);
    CHECK_EQ(bus_read(ports, 0xe0, 4), 0x1234aa78);
    out8(ports, 0x2003, 1);
    CHECK_EQ(irq3.level, 1);
    bus_write(ports, 0x2003, 4, 0);
    CHECK_EQ(irq3.level, 0);
    bus_write(ports, 0x200e, 4, 1); /* over the end of the lines */
    CHECK_EQ(irq14.level, 1);
    out8(ports, 0x2002, 1); /* no wire */
    bus_write(memory, 0xff00fffc, 4, 0x89abcdef);
    CHECK_EQ(bus_read(memory, 0xff00fffc, 4), 0x89abcdef);
    CHECK_EQ(bus_read(memory, 0xff00ffff, 1), 0x89);
    bus_write(memory, 0xff000007, 8, 0x1122334455667788);
    CHECK_EQ(bus_read(memory, 0xff000008, 4), 0x44556677);
    CHECK_EQ(pc_testdev_create(&config) == NULL && errno == EEXIST, 1);
    pc_testdev_destroy(dev);
    bus_destroy(ports);
    bus_destroy(memory);
    return CHECK_DONE();
}
