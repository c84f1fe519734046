/* The AT's two i8237 DMA controllers and their page registers: ports 0x00-0x0f, 0xc0-0xdf and
 * 0x80-0x8f, of which 0x80 is where firmware shows its progress and kernels write to pass time. */
#ifndef DEVICES_I8237_H
#define DEVICES_I8237_H

#include <stdint.h>

struct bus;
struct i8237;
struct snap;

struct i8237_config {
    struct bus *ports;
    uint16_t base8, base16; /* the controllers of the 8- and the 16-bit channels */
    uint16_t pages;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct i8237 *i8237_create(const struct i8237_config *config);
void i8237_destroy(struct i8237 *dma);

void i8237_reset(struct i8237 *dma);
void i8237_snapshot(struct i8237 *dma, struct snap *snap);

#endif
