/* The port by which a guest says that it has panicked. */
#include "devices/pvpanic.h"

#include <errno.h>

#include "tests/unit/chip.h"

static unsigned panics, crash_kernels;

static void panicked(void *arg, bool crash_kernel)
{
    (void)arg;
    panics += !crash_kernel;
    crash_kernels += crash_kernel;
}

int main(void)
{
    struct bus *bus = bus_create();
    struct pvpanic_config config = { bus, 0x505, panicked, NULL };
    struct pvpanic *dev = pvpanic_create(&config);

    CHECK_EQ(in8(bus, 0x505), 0x03);
    out8(bus, 0x505, 0x00);
    out8(bus, 0x505, 0xfc); /* events we do not know */
    CHECK_EQ(panics + crash_kernels, 0);
    out8(bus, 0x505, 0x02);
    CHECK_EQ(crash_kernels, 1);
    out8(bus, 0x505, 0x01);
    CHECK_EQ(panics, 1);
    CHECK_EQ(pvpanic_create(&config) == NULL && errno == EEXIST, 1);
    pvpanic_destroy(dev);
    bus_destroy(bus);
    return CHECK_DONE();
}
