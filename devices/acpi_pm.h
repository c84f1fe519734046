/* ACPI fixed hardware: PM1a event and control blocks, and the power management timer, twelve ports;
 * the SCI is IRQ 9 on this board. */
#ifndef DEVICES_ACPI_PM_H
#define DEVICES_ACPI_PM_H

#include <stdint.h>

#include "base/irq.h"

struct acpi_pm;
struct bus;
struct clock;
struct snap;

/* Offsets and sizes of the blocks, and what \_S5 says: for the tables. */
enum {
    ACPI_PM1_EVENT = 0,
    ACPI_PM1_EVENT_SIZE = 4,
    ACPI_PM1_CONTROL = 4,
    ACPI_PM1_CONTROL_SIZE = 2,
    ACPI_PM_TIMER = 8,
    ACPI_PM_TIMER_SIZE = 4,
    ACPI_S5_TYPE = 0, /* the PIIX4's soft off: kernels without ACPI know it by heart */
};

struct acpi_pm_config {
    struct bus *ports;
    uint16_t base;
    struct irq sci;      /* level */
    struct irq poweroff; /* goes up when the guest enters S5 */
    struct clock *clock;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct acpi_pm *acpi_pm_create(const struct acpi_pm_config *config);
void acpi_pm_destroy(struct acpi_pm *pm);

void acpi_pm_reset(struct acpi_pm *pm);
void acpi_pm_snapshot(struct acpi_pm *pm, struct snap *snap);

/* Somebody presses a button. */
void acpi_pm_power_button(struct acpi_pm *pm);
void acpi_pm_sleep_button(struct acpi_pm *pm);

#endif
