/* Port 92h: A20 and the fast reset. */
#include "devices/port92.h"

#include <errno.h>

#include "base/snap.h"
#include "tests/unit/chip.h"

int main(void)
{
    struct bus *bus = bus_create();
    struct pin a20 = { 0 }, reset = { 0 };
    struct port92_config config = { bus, 0x92, pin_irq(&a20), pin_irq(&reset) };
    struct port92 *port = port92_create(&config);
    uint8_t image[16];

    CHECK_EQ(in8(bus, 0x92), 0x02);
    out8(bus, 0x92, 0x00);
    CHECK_EQ(a20.level, 0);
    out8(bus, 0x92, 0x02);
    CHECK_EQ(a20.level, 1);
    CHECK_EQ(reset.edges, 0);
    out8(bus, 0x92, 0x03);
    CHECK_EQ(reset.edges, 1);
    CHECK_EQ(reset.level, 0);
    out8(bus, 0x92, 0x03); /* the bit must go up again */
    CHECK_EQ(reset.edges, 1);
    out8(bus, 0x92, 0x02);
    out8(bus, 0x92, 0x03);
    CHECK_EQ(reset.edges, 2);
    out8(bus, 0x92, 0xfe);
    CHECK_EQ(in8(bus, 0x92), 0xca);
    port92_snapshot(port, &(struct snap){ .at = image });
    port92_reset(port);
    CHECK_EQ(in8(bus, 0x92), 0x02);
    port92_snapshot(port, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(in8(bus, 0x92), 0xca);
    CHECK_EQ(port92_create(&config) == NULL && errno == EEXIST, 1);
    port92_destroy(port);
    bus_destroy(bus);
    return CHECK_DONE();
}
