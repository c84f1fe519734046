/* 16550A UART: eight ports; COM1 is 0x3f8 with IRQ 4 and COM2 0x2f8 with IRQ 3 on a PC. */
#ifndef DEVICES_NS16550_H
#define DEVICES_NS16550_H

#include <stdint.h>

#include "base/irq.h"

struct bus;
struct chardev;
struct clock;
struct ns16550;
struct snap;

struct ns16550_config {
    struct bus *ports;
    uint16_t base;
    struct irq irq;
    struct clock *clock;
    struct chardev *line;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct ns16550 *ns16550_create(const struct ns16550_config *config);
void ns16550_destroy(struct ns16550 *uart);

void ns16550_reset(struct ns16550 *uart);
void ns16550_snapshot(struct ns16550 *uart, struct snap *snap);

/* Sends collected output on to the host. */
void ns16550_flush(struct ns16550 *uart);

#endif
