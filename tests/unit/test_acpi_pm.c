/* The power management's ports: timer, buttons, states of sleep. */
#include "devices/acpi_pm.h"

#include <errno.h>

#include "base/clock.h"
#include "base/snap.h"
#include "tests/unit/chip.h"

static struct clock host;
static struct bus *bus;
static struct acpi_pm *pm;
static struct pin sci, off;

static uint64_t in(unsigned offset, unsigned size)
{
    return bus_read(bus, 0x600 + offset, size);
}

static void out(unsigned offset, unsigned size, uint64_t value)
{
    bus_write(bus, 0x600 + offset, size, value);
}

static void test_timer(void)
{
    uint64_t before = in(8, 4);

    clock_advance(&host, NS_PER_SEC);
    CHECK_EQ(in(8, 4) - before, 3579545);
    clock_advance(&host, 21 * NS_PER_SEC); /* 22 s are 78750000 ticks exactly */
    CHECK_EQ(in(8, 4), 78750000 & 0xffffff);
    CHECK_EQ(in(8, 2), 78750000 & 0xffff);
    CHECK_EQ(in(11, 1), 0);
    CHECK_EQ(in(0, 2) & 1, 1); /* bit 23 has changed; nobody wanted an interrupt */
    CHECK_EQ(sci.level, 0);
    out(0, 2, 0x0001);
    CHECK_EQ(in(0, 2) & 1, 0);
    out(2, 2, 0x0001);
    CHECK_EQ(sci.level, 0);
    clock_advance(&host, 8388608ull * 88000 / 315 + 1); /* half the range */
    CHECK_EQ(sci.level, 1);
    out(0, 2, 0x0001);
    CHECK_EQ(sci.level, 0);
    clock_advance(&host, 8388608ull * 88000 / 315 + 1);
    CHECK_EQ(sci.level, 1);
    out(2, 2, 0);
    CHECK_EQ(sci.level, 0);
}

static void test_button(void)
{
    out(0, 2, 0xffff);
    CHECK_EQ(in(0, 2), 0);
    acpi_pm_power_button(pm);
    CHECK_EQ(sci.level, 0);
    CHECK_EQ(in(0, 2), 0x0100);
    out(2, 2, 0xffff);
    CHECK_EQ(in(2, 2), 0x0721);
    CHECK_EQ(sci.level, 1);
    out(0, 1, 0xff); /* the other byte */
    CHECK_EQ(sci.level, 1);
    CHECK_EQ(in(1, 1), 0x01);
    out(1, 1, 0x01);
    CHECK_EQ(sci.level, 0);
    out(3, 1, 0x00); /* the upper byte of the enables alone */
    CHECK_EQ(in(2, 2), 0x0021);
    acpi_pm_power_button(pm);
    CHECK_EQ(sci.level, 0);
    out(0, 4, 0x01000100); /* both words at once */
    CHECK_EQ(in(0, 4), 0x01000000);
    acpi_pm_sleep_button(pm);
    CHECK_EQ(in(0, 2), 0x0200);
    CHECK_EQ(sci.level, 0);
    out(2, 2, 0x0200);
    CHECK_EQ(sci.level, 1);
    out(0, 2, 0x0200);
    CHECK_EQ(sci.level, 0);
    out(2, 2, 0x0100);
}

static void test_sleep(void)
{
    CHECK_EQ(in(4, 2), 0x0001); /* ACPI mode, always */
    out(4, 2, 0x0000);
    CHECK_EQ(in(4, 2), 0x0001);
    out(4, 2, 5 << 10);
    CHECK_EQ(in(4, 2), 5 << 10 | 1);
    CHECK_EQ(off.edges, 0);
    out(4, 2, 3 << 10 | 0x2000); /* a type that no \_Sx names */
    CHECK_EQ(off.edges, 0);
    out(4, 2, 0x2000);
    CHECK_EQ(off.edges, 1);
    CHECK_EQ(in(4, 2), 1); /* SLP_EN reads as 0 */
    out(5, 1, 0x20); /* the upper byte alone holds both */
    CHECK_EQ(off.level, 1);
}

int main(void)
{
    struct acpi_pm_config config;
    uint8_t image[64];

    bus = bus_create();
    config = (struct acpi_pm_config){ bus, 0x600, pin_irq(&sci), pin_irq(&off), &host };
    pm = acpi_pm_create(&config);
    test_timer();
    test_button();
    test_sleep();
    for (unsigned size = 1; size <= 4; size *= 2)
        for (unsigned offset = 0; offset < 14; offset++) {
            in(offset, size);
            out(offset, size, 0xdfffdfff); /* every width at every place */
        }
    acpi_pm_reset(pm);
    out(2, 2, 0x0100);
    acpi_pm_power_button(pm);
    acpi_pm_snapshot(pm, &(struct snap){ .at = image });
    acpi_pm_reset(pm);
    CHECK_EQ(sci.level, 0);
    acpi_pm_snapshot(pm, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(sci.level, 1);
    CHECK_EQ(acpi_pm_create(&config) == NULL && errno == EEXIST, 1);
    acpi_pm_destroy(pm);
    CHECK_EQ(host.pending == NULL, 1);
    bus_destroy(bus);
    return CHECK_DONE();
}
