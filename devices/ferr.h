/* The AT's latch between the coprocessor's error output and IRQ 13; a write to port 0xf0 clears
 * it. */
#ifndef DEVICES_FERR_H
#define DEVICES_FERR_H

#include <stdint.h>

#include "base/irq.h"

struct bus;
struct ferr;
struct snap;

struct ferr_config {
    struct bus *ports;
    uint16_t base; /* two ports: clear, and the coprocessor's reset */
    struct irq irq;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct ferr *ferr_create(const struct ferr_config *config);
void ferr_destroy(struct ferr *ferr);

void ferr_reset(struct ferr *ferr);
void ferr_snapshot(struct ferr *ferr, struct snap *snap);

/* The CPU asserts FERR#. */
void ferr_raise(struct ferr *ferr);

#endif
