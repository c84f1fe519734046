/* pc-testdev: what test suites of CPUs and interrupt controllers want of a board. */
#ifndef DEVICES_PC_TESTDEV_H
#define DEVICES_PC_TESTDEV_H

#include <stdint.h>

#include "base/irq.h"

struct bus;
struct pc_testdev;
struct snap;

enum { PC_TESTDEV_IRQS = 16 };

struct pc_testdev_config {
    struct bus *ports, *memory;
    uint16_t base;                   /* eight ports */
    uint16_t irq_base;               /* PC_TESTDEV_IRQS ports */
    uint64_t memory_base;
    struct irq irq[PC_TESTDEV_IRQS]; /* IRQ n's wire; empty: there is none */
};

/* NULL with errno set: EEXIST when the ports or the addresses are taken (the buses may then have
 * some of them, and are of no more use), ENOMEM. */
struct pc_testdev *pc_testdev_create(const struct pc_testdev_config *config);
void pc_testdev_destroy(struct pc_testdev *dev);
void pc_testdev_snapshot(struct pc_testdev *dev, struct snap *snap);

#endif
