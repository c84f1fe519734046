/* The reset control register of the PIIX3, port CF9h. */
#include "devices/cf9.h"

#include <errno.h>

#include "base/snap.h"
#include "tests/unit/chip.h"

int main(void)
{
    struct bus *bus = bus_create();
    struct pin reset = { 0 };
    struct cf9_config config = { bus, 0xcf9, pin_irq(&reset) };
    struct cf9 *cf9 = cf9_create(&config);
    uint8_t image[16];

    CHECK_EQ(in8(bus, 0xcf9), 0x00);
    out8(bus, 0xcf9, 0x02);
    CHECK_EQ(reset.edges, 0);
    out8(bus, 0xcf9, 0x06);
    CHECK_EQ(reset.edges, 1);
    out8(bus, 0xcf9, 0xfe);
    CHECK_EQ(reset.edges, 1);
    CHECK_EQ(in8(bus, 0xcf9), 0x06);
    cf9_snapshot(cf9, &(struct snap){ .at = image });
    cf9_reset(cf9);
    CHECK_EQ(in8(bus, 0xcf9), 0x00);
    cf9_snapshot(cf9, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(in8(bus, 0xcf9), 0x06);
    cf9_reset(cf9);
    out8(bus, 0xcf9, CF9_RESET_VALUE);
    CHECK_EQ(reset.edges, 2);
    CHECK_EQ(cf9_create(&config) == NULL && errno == EEXIST, 1);
    cf9_destroy(cf9);
    bus_destroy(bus);
    return CHECK_DONE();
}
