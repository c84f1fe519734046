/* The 82077AA floppy controller with one drive: ports base to base + 5 and base + 7 (base + 6 is
 * the disk controller's). */
#ifndef DEVICES_FDC_H
#define DEVICES_FDC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/irq.h"

struct blockdev;
struct bus;
struct fdc;
struct i8237;
struct snap;

struct fdc_config {
    struct bus *ports;
    uint16_t base; /* 0x3f0 */
    struct irq irq;
    struct i8237 *dma;
    unsigned channel; /* of it */
    struct blockdev *medium; /* what is in drive 0; outlives the chip */
};

/* Kinds of drives, as CMOS has them in byte 0x10. */
enum fdc_drive {
    FDC_DRIVE_NONE,
    FDC_DRIVE_360K,
    FDC_DRIVE_1200K,
    FDC_DRIVE_720K,
    FDC_DRIVE_1440K,
    FDC_DRIVE_2880K,
};

/* NULL with errno set when the ports are taken or memory is out. */
struct fdc *fdc_create(const struct fdc_config *config);
void fdc_destroy(struct fdc *fdc);

/* The kind that suits the medium, 1440K when there is none. */
enum fdc_drive fdc_drive_kind(const struct blockdev *medium);

/* A request in flight is waited for (blockdev_drain()), or the chip is busy until it is done. */
void fdc_reset(struct fdc *fdc);

/* No command is under way: it may be saved. */
bool fdc_is_idle(const struct fdc *fdc);

/* Only while idle. */
void fdc_snapshot(struct fdc *fdc, struct snap *snap);

#endif
