#include "devices/i8237.h"

#include <errno.h>

#include "base/snap.h"
#include "tests/unit/chip.h"

int main(void)
{
    struct bus *bus = bus_create();
    struct i8237_config config = { bus, 0x00, 0xc0, 0x80 };
    struct i8237 *dma = i8237_create(&config);
    uint8_t image[256];

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
    CHECK_EQ(i8237_create(&config) == NULL && errno == EEXIST, 1);
    i8237_destroy(dma);
    bus_destroy(bus);
    return CHECK_DONE();
}
