/* FERR#: IRQ 13, and port F0h that ends it. */
#include "devices/ferr.h"

#include <errno.h>

#include "base/snap.h"
#include "tests/unit/chip.h"

int main(void)
{
    struct bus *bus = bus_create();
    struct pin irq = { 0 };
    struct ferr_config config = { bus, 0xf0, pin_irq(&irq) };
    struct ferr *ferr = ferr_create(&config);
    uint8_t image[16];

    ferr_raise(ferr);
    CHECK_EQ(irq.level, 1);
    ferr_raise(ferr);
    CHECK_EQ(irq.edges, 1);
    ferr_snapshot(ferr, &(struct snap){ .at = image });
    out8(bus, 0xf0, 0);
    CHECK_EQ(irq.level, 0);
    ferr_snapshot(ferr, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(irq.level, 1);
    ferr_reset(ferr);
    CHECK_EQ(irq.level, 0);
    CHECK_EQ(in8(bus, 0xf0), 0xff);
    CHECK_EQ(ferr_create(&config) == NULL && errno == EEXIST, 1);
    ferr_destroy(ferr);
    bus_destroy(bus);
    return CHECK_DONE();
}
