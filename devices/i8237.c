/*
 * i8237 DMA controllers, registers only: no chip on this board moves data by DMA, so no request
 * ever comes.
 *
 * Reference: Intel 8237A data sheet (order 231466).
 * Modelled:  what a guest can read back: address and count of each channel through the byte
 *            flip-flop, status, temporary register, masks and modes by their effects on those; page
 *            registers. The 16-bit controller has its registers two ports apart.
 * Not yet:   transfers, also memory to memory.
 */
#include "devices/i8237.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

enum { CHANNEL_REGS = 8, PORT_COUNT = 16, PAGES = 16 };

enum { /* from register 8 on; what a write does */
    REG_COMMAND = 8,
    REG_REQUEST = 9,
    REG_MASK_ONE = 10,
    REG_CLEAR_FLIP_FLOP = 12,
    REG_MASTER_CLEAR = 13,
    REG_CLEAR_MASK = 14,
    REG_MASK_ALL = 15,
};

#define ALL_MASKED 0x0f

/* --- State -------------------------------------------------------------- */

struct controller {
    unsigned shift; /* ports per register, as a power of two */
    uint8_t high;   /* the flip-flop: the upper byte is next */
    uint8_t command, mask, request;
    uint16_t value[CHANNEL_REGS]; /* address and count of each channel */
};

struct i8237 {
    struct i8237_config config;
    struct controller controller[2];
    uint8_t page[PAGES];
};

/* --- Behaviour ---------------------------------------------------------- */

static void master_clear(struct controller *c)
{
    c->high = c->command = c->request = 0;
    c->mask = ALL_MASKED;
}

static uint8_t reg_read(struct controller *c, unsigned reg)
{
    uint8_t byte;

    if (reg == REG_COMMAND)
        return c->request << 4; /* status: requests, no terminal counts */
    if (reg == REG_MASK_ALL)
        return c->mask;
    if (reg >= CHANNEL_REGS)
        return 0;
    byte = c->high ? c->value[reg] >> 8 : c->value[reg];
    c->high ^= 1;
    return byte;
}

static void channel_write(struct controller *c, unsigned reg, uint8_t value)
{
    uint16_t *to = &c->value[reg];

    *to = c->high ? (*to & 0x00ff) | value << 8 : (*to & 0xff00) | value;
    c->high ^= 1;
}

static uint8_t with_bit(uint8_t bits, uint8_t value)
{
    uint8_t bit = 1u << (value & 3);

    return value & 4 ? bits | bit : bits & ~bit;
}

static void reg_write(struct controller *c, unsigned reg, uint8_t value)
{
    if (reg < CHANNEL_REGS) {
        channel_write(c, reg, value);
        return;
    }
    switch (reg) {
    case REG_COMMAND: c->command = value; break;
    case REG_REQUEST: c->request = with_bit(c->request, value); break;
    case REG_MASK_ONE: c->mask = with_bit(c->mask, value); break;
    case REG_CLEAR_FLIP_FLOP: c->high = 0; break;
    case REG_MASTER_CLEAR: master_clear(c); break;
    case REG_CLEAR_MASK: c->mask = 0; break;
    case REG_MASK_ALL: c->mask = value & ALL_MASKED; break;
    default: break; /* modes */
    }
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct controller *c = dev;

    (void)size;
    return reg_read(c, offset >> c->shift & 15);
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct controller *c = dev;

    (void)size;
    reg_write(c, offset >> c->shift & 15, value);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "i8237",
};

static uint64_t page_read(void *dev, uint64_t offset, unsigned size)
{
    struct i8237 *dma = dev;

    (void)size;
    return dma->page[offset % PAGES];
}

static void page_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8237 *dma = dev;

    (void)size;
    dma->page[offset % PAGES] = value;
}

static const struct bus_ops page_ops = {
    .read = page_read,
    .write = page_write,
    .max_size = 1,
    .name = "dma-page",
};

/* --- Life --------------------------------------------------------------- */

void i8237_reset(struct i8237 *dma)
{
    memset(dma->page, 0, sizeof(dma->page));
    for (unsigned i = 0; i < 2; i++) {
        memset(dma->controller[i].value, 0, sizeof(dma->controller[i].value));
        master_clear(&dma->controller[i]);
    }
}

void i8237_snapshot(struct i8237 *dma, struct snap *snap)
{
    snap_bytes(snap, dma->page, sizeof(dma->page));
    for (unsigned i = 0; i < 2; i++) {
        struct controller *c = &dma->controller[i];

        snap_u8(snap, &c->high);
        snap_u8(snap, &c->command);
        snap_u8(snap, &c->mask);
        snap_u8(snap, &c->request);
        snap_bytes(snap, c->value, sizeof(c->value));
    }
}

struct i8237 *i8237_create(const struct i8237_config *config)
{
    struct i8237 *dma = calloc(1, sizeof(*dma));
    int err;

    if (!dma)
        return NULL;
    dma->config = *config;
    dma->controller[1].shift = 1;
    err = bus_claim(config->ports, config->base8, PORT_COUNT, &port_ops, &dma->controller[0]);
    if (!err)
        err = bus_claim(config->ports, config->base16, PORT_COUNT << 1, &port_ops,
                        &dma->controller[1]);
    if (!err)
        err = bus_claim(config->ports, config->pages, PAGES, &page_ops, dma);
    if (err) {
        free(dma);
        errno = -err;
        return NULL;
    }
    i8237_reset(dma);
    return dma;
}

void i8237_destroy(struct i8237 *dma)
{
    free(dma);
}
