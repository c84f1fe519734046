/* The port that ends a run: its widths and its status. */
#include "devices/isa_debug_exit.h"

#include <errno.h>

#include "tests/unit/chip.h"

static int status = -1;

static void ended(void *arg, int value)
{
    (void)arg;
    status = value;
}

int main(void)
{
    struct bus *bus = bus_create();
    struct isa_debug_exit_config config = { bus, 0xf4, 4, ended, NULL };
    struct isa_debug_exit *dev = isa_debug_exit_create(&config);

    CHECK_EQ(bus_read(bus, 0xf4, 4), 0);
    CHECK_EQ(status == -1, 1);
    out8(bus, 0xf4, 0);
    CHECK_EQ(status, 1);
    bus_write(bus, 0xf4, 4, 0x10);
    CHECK_EQ(status, 33);
    bus_write(bus, 0xf6, 2, 0x31);
    CHECK_EQ(status, 99);
    bus_write(bus, 0xf4, 4, 0xffffffff);
    CHECK_EQ(status, 255); /* what is left of it in an exit status */
    status = -1;
    out8(bus, 0xf8, 1);
    CHECK_EQ(status == -1, 1);
    CHECK_EQ(isa_debug_exit_create(&config) == NULL && errno == EEXIST, 1);
    config.size = 5;
    CHECK_EQ(isa_debug_exit_create(&config) == NULL && errno == EINVAL, 1);
    config.size = 0;
    CHECK_EQ(isa_debug_exit_create(&config) == NULL && errno == EINVAL, 1);
    isa_debug_exit_destroy(dev);
    bus_destroy(bus);
    return CHECK_DONE();
}
