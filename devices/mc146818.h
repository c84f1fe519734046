/* MC146818 real-time clock and CMOS RAM: ports 0x70-0x71, IRQ 8 on a PC. */
#ifndef DEVICES_MC146818_H
#define DEVICES_MC146818_H

#include <stdint.h>

#include "base/irq.h"

struct bus;
struct clock;
struct mc146818;
struct snap;

#define MC146818_CENTURY 0x32 /* where the PC keeps it */

struct mc146818_config {
    struct bus *ports;
    uint16_t base;
    struct irq irq;
    struct clock *clock;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct mc146818 *mc146818_create(const struct mc146818_config *config);
void mc146818_destroy(struct mc146818 *rtc);

void mc146818_reset(struct mc146818 *rtc);
void mc146818_snapshot(struct mc146818 *rtc, struct snap *snap);

/* For the board, before power-on: memory size, boot order and the like. */
void mc146818_set_ram(struct mc146818 *rtc, uint8_t index, uint8_t value);
uint8_t mc146818_ram(const struct mc146818 *rtc, uint8_t index);

#endif
