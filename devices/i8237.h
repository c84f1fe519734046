/* The AT's two i8237 DMA controllers and their page registers: ports 0x00-0x0f, 0xc0-0xdf and
 * 0x80-0x8f, of which 0x80 is where firmware shows its progress and kernels write to pass time. */
#ifndef DEVICES_I8237_H
#define DEVICES_I8237_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct i8237;
struct physmem;
struct snap;

enum { I8237_CHANNEL_COUNT = 8 }; /* 0 to 3 move bytes, 5 to 7 words; 4 joins the two */

struct i8237_config {
    struct bus *ports;
    uint16_t base8, base16; /* the controllers of the 8- and the 16-bit channels */
    uint16_t pages;
    struct physmem *mem;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct i8237 *i8237_create(const struct i8237_config *config);
void i8237_destroy(struct i8237 *dma);

void i8237_reset(struct i8237 *dma);
void i8237_snapshot(struct i8237 *dma, struct snap *snap);

/* For chips that move data. */

/* The channel's chip: service(dev) is called when it requests and the channel is ready, from
 * inside i8237_request() or a guest's write. */
void i8237_connect(struct i8237 *dma, unsigned channel, void (*service)(void *dev), void *dev);

/* DREQ. */
void i8237_request(struct i8237 *dma, unsigned channel, bool level);

/* From service(): moves up to size bytes (an even number on a word channel) between data and guest
 * memory, in the direction that the guest has programmed; a verify moves none but counts. Returns
 * how many; *end: the terminal count was reached. Bytes outside RAM read as ones. */
uint32_t i8237_transfer(struct i8237 *dma, unsigned channel, uint8_t *data, uint32_t size,
                        bool *end);

#endif
