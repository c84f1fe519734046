/*
 * ACPI fixed hardware.
 *
 * Reference: ACPI Specification 6.4, chapter 4.8.3 (fixed hardware registers) and 4.8.2.1 (timer).
 * Modelled:  24-bit timer with its carry, power and sleep buttons, S5, the event and control
 *            registers.
 * Not:       legacy mode (SCI_EN is wired to 1), sleep states but S5, general purpose events.
 */
#include "devices/acpi_pm.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/snap.h"
#include "devices/bus.h"
#include "devices/crystal.h"

/* --- Registers ---------------------------------------------------------- */

enum { REG_STATUS = 0, REG_ENABLE = 2, REG_CONTROL = 4, REG_TIMER = 8, PORT_COUNT = 12 };

#define EVENT_TIMER    0x0001 /* status and enable have the same bits */
#define EVENT_GLOBAL   0x0020
#define EVENT_BUTTON   0x0100
#define EVENT_SLEEP    0x0200
#define EVENT_RTC      0x0400
#define ENABLE_MASK    (EVENT_TIMER | EVENT_GLOBAL | EVENT_BUTTON | EVENT_SLEEP | EVENT_RTC)
#define CONTROL_SCI_EN 0x0001
#define CONTROL_KEPT   0x1c02 /* BM_RLD, SLP_TYP */
#define CONTROL_TYPE   10
#define CONTROL_SLP_EN 0x2000

#define TIMER_MASK  0xffffff
#define CARRY_SHIFT 23 /* TMR_STS is set when this bit changes */

/* --- State -------------------------------------------------------------- */

struct acpi_pm {
    struct acpi_pm_config config;
    struct timer carry;
    uint16_t status, enable, control;
    uint64_t seen; /* tick up to which the timer's status is right */
};

/* --- Behaviour ---------------------------------------------------------- */

static uint64_t ticks(struct acpi_pm *pm)
{
    return crystal_pm_ticks(clock_now_ns(pm->config.clock));
}

/* Brings the timer's status up to now, and everything that follows from it. */
static void update(struct acpi_pm *pm)
{
    uint64_t now = ticks(pm);

    if (now >> CARRY_SHIFT != pm->seen >> CARRY_SHIFT)
        pm->status |= EVENT_TIMER;
    pm->seen = now;
    irq_set(&pm->config.sci, pm->status & pm->enable);
    if (pm->enable & ~pm->status & EVENT_TIMER)
        timer_arm(&pm->carry, pm->config.clock,
                  crystal_pm_ns(((now >> CARRY_SHIFT) + 1) << CARRY_SHIFT));
    else
        timer_cancel(&pm->carry);
}

static void carry_fire(void *dev)
{
    update(dev);
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
    pm->status |= EVENT_BUTTON;
    update(pm);
}

void acpi_pm_sleep_button(struct acpi_pm *pm)
{
    pm->status |= EVENT_SLEEP;
    update(pm);
}

static void control_write(struct acpi_pm *pm, uint16_t value)
{
    unsigned type = value >> CONTROL_TYPE & 7;

    pm->control = value & CONTROL_KEPT;
    if (!(value & CONTROL_SLP_EN))
        return;
    if (type == ACPI_S5_TYPE)
        irq_set(&pm->config.poweroff, true);
    else
        log_print(LOG_guest_errors, "acpi_pm: sleep type %u is not offered\n", type);
}

/* --- Ports -------------------------------------------------------------- */

static uint16_t word_read(struct acpi_pm *pm, unsigned reg)
{
    switch (reg) {
    case REG_STATUS: update(pm); return pm->status;
    case REG_ENABLE: return pm->enable;
    case REG_CONTROL: return pm->control | CONTROL_SCI_EN;
    case REG_TIMER: return ticks(pm);
    case REG_TIMER + 2: return (ticks(pm) & TIMER_MASK) >> 16;
    default: return 0;
    }
}

/* mask: the bits that this access writes. */
static void word_write(struct acpi_pm *pm, unsigned reg, uint16_t value, uint16_t mask)
{
    switch (reg) {
    case REG_STATUS: pm->status &= ~(value & mask); break; /* a one clears */
    case REG_ENABLE: pm->enable = ((pm->enable & ~mask) | (value & mask)) & ENABLE_MASK; break;
    case REG_CONTROL: control_write(pm, (pm->control & ~mask) | (value & mask)); break;
    default: break;
    }
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct acpi_pm *pm = dev;
    unsigned shift = 8 * (offset & 1);

    if (size == 4 && offset == REG_TIMER)
        return ticks(pm) & TIMER_MASK;
    if (size == 4)
        return word_read(pm, offset) | (uint64_t)word_read(pm, offset + 2) << 16;
    if (size == 2 && shift)
        return word_read(pm, offset - 1) >> 8 | (uint64_t)word_read(pm, offset + 1) << 8;
    return word_read(pm, offset & ~1u) >> shift;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct acpi_pm *pm = dev;

    update(pm); /* what was pending before a status bit is cleared */
    for (unsigned i = 0; i < size; i++) {
        unsigned at = offset + i, shift = 8 * (at & 1);

        if (!shift && i + 1 < size) {
            word_write(pm, at, value >> 8 * i, 0xffff);
            i++;
        } else {
            word_write(pm, at & ~1u, (value >> 8 * i & 0xff) << shift, 0xff << shift);
        }
    }
    update(pm);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 4,
    .name = "acpi_pm",
};

/* --- Life --------------------------------------------------------------- */

void acpi_pm_reset(struct acpi_pm *pm)
{
    pm->status = pm->enable = pm->control = 0;
    pm->seen = ticks(pm);
    update(pm);
}

void acpi_pm_snapshot(struct acpi_pm *pm, struct snap *snap)
{
    snap_bytes(snap, &pm->status, sizeof(pm->status));
    snap_bytes(snap, &pm->enable, sizeof(pm->enable));
    snap_bytes(snap, &pm->control, sizeof(pm->control));
    snap_bytes(snap, &pm->seen, sizeof(pm->seen));
    if (snap->loading)
        update(pm);
}

struct acpi_pm *acpi_pm_create(const struct acpi_pm_config *config)
{
    struct acpi_pm *pm = calloc(1, sizeof(*pm));
    int err;

    if (!pm)
        return NULL;
    pm->config = *config;
    pm->carry.fire = carry_fire;
    pm->carry.arg = pm;
    err = bus_claim(config->ports, config->base, PORT_COUNT, &port_ops, pm);
    if (err) {
        free(pm);
        errno = -err;
        return NULL;
    }
    acpi_pm_reset(pm);
    return pm;
}

void acpi_pm_destroy(struct acpi_pm *pm)
{
    timer_cancel(&pm->carry);
    free(pm);
}
