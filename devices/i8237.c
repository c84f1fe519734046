/*
 * i8237 DMA controllers and the page registers beside them.
 *
 * Reference: Intel 8237A data sheet (order 231466); IBM AT Technical Reference (page registers, the
 *            16-bit controller's addresses).
 * Modelled:  address and count of each channel, current and base, through the byte flip-flop;
 *            status with terminal counts; masks, modes (direction, auto-initialize, decrement),
 *            software requests; transfers for the chips that ask. The 16-bit controller has its
 *            registers two ports apart.
 * Not:       memory to memory, software requests of channels without a chip (nobody acknowledges
 *            them), the difference between single, block and demand; the cascade needs not be
 *            programmed.
 *
 * Transfers take no time: a chip that requests is served as soon as the channel is unmasked and the
 * controller on, up to the terminal count.
 */
#include "devices/i8237.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/physmem.h"
#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

enum { CHANNELS = 4, CHANNEL_REGS = 2 * CHANNELS, PORT_COUNT = 16, PAGES = 16 };

enum { /* from register 8 on; what a write does */
    REG_COMMAND = 8,
    REG_REQUEST = 9,
    REG_MASK_ONE = 10,
    REG_MODE = 11,
    REG_CLEAR_FLIP_FLOP = 12,
    REG_MASTER_CLEAR = 13,
    REG_CLEAR_MASK = 14,
    REG_MASK_ALL = 15,
};

#define ALL_MASKED 0x0f

#define COMMAND_OFF 0x04

#define MODE_TYPE      0x0c
#define MODE_TO_MEMORY 0x04
#define MODE_TO_CHIP   0x08
#define MODE_AUTO      0x10
#define MODE_DOWN      0x20

/* Where a channel's page register is, from the first one on. */
static const uint8_t page_of[I8237_CHANNEL_COUNT] = { 7, 3, 1, 2, 15, 11, 9, 10 };

/* --- State -------------------------------------------------------------- */

struct controller {
    struct i8237 *dma;
    unsigned shift; /* ports per register, as a power of two; the same for bytes per count */
    uint8_t high;   /* the flip-flop: the upper byte is next */
    uint8_t command, mask, request;
    uint8_t dreq;   /* of the chips */
    uint8_t ended;  /* terminal counts reached since the status was read */
    uint8_t mode[CHANNELS];
    uint16_t value[CHANNEL_REGS]; /* address and count of each channel, now */
    uint16_t base[CHANNEL_REGS];  /* as written */
};

struct client {
    void (*service)(void *dev);
    void *dev;
};

struct i8237 {
    struct i8237_config config;
    struct controller controller[2];
    struct client client[I8237_CHANNEL_COUNT];
    uint8_t page[PAGES];
};

/* --- Behaviour: registers ----------------------------------------------- */

static void master_clear(struct controller *c)
{
    c->high = c->command = c->request = c->ended = 0;
    c->mask = ALL_MASKED;
}

static uint8_t status_read(struct controller *c)
{
    uint8_t status = (uint8_t)((c->request | c->dreq) << 4) | c->ended;

    c->ended = 0;
    return status;
}

static uint8_t reg_read(struct controller *c, unsigned reg)
{
    uint8_t byte;

    if (reg == REG_COMMAND)
        return status_read(c);
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
    uint16_t *to = &c->base[reg];

    *to = c->high ? (*to & 0x00ff) | value << 8 : (*to & 0xff00) | value;
    c->value[reg] = *to;
    c->high ^= 1;
}

static uint8_t with_bit(uint8_t bits, uint8_t value)
{
    uint8_t bit = 1u << (value & 3);

    return value & 4 ? bits | bit : bits & ~bit;
}

/* Chips whose request was waiting for this. */
static void serve(struct controller *c)
{
    struct i8237 *dma = c->dma;

    for (unsigned i = 0; i < CHANNELS; i++) {
        struct client *client = &dma->client[i + (c == &dma->controller[1] ? CHANNELS : 0)];

        if (c->dreq >> i & 1 && !(c->mask >> i & 1) && !(c->command & COMMAND_OFF))
            client->service(client->dev);
    }
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
    case REG_MODE: c->mode[value & 3] = value & ~3; break;
    case REG_CLEAR_FLIP_FLOP: c->high = 0; break;
    case REG_MASTER_CLEAR: master_clear(c); break;
    case REG_CLEAR_MASK: c->mask = 0; break;
    case REG_MASK_ALL: c->mask = value & ALL_MASKED; break;
    }
    serve(c);
}

/* --- Behaviour: transfers ----------------------------------------------- */

static struct controller *controller_of(struct i8237 *dma, unsigned channel)
{
    BUG_ON(channel >= I8237_CHANNEL_COUNT);
    return &dma->controller[channel / CHANNELS];
}

void i8237_connect(struct i8237 *dma, unsigned channel, void (*service)(void *dev), void *dev)
{
    BUG_ON(channel >= I8237_CHANNEL_COUNT);
    dma->client[channel] = (struct client){ service, dev };
}

void i8237_request(struct i8237 *dma, unsigned channel, bool level)
{
    struct controller *c = controller_of(dma, channel);
    uint8_t bit = 1u << channel % CHANNELS;

    BUG_ON(!dma->client[channel].service);
    c->dreq = level ? c->dreq | bit : c->dreq & ~bit;
    if (level)
        serve(c);
}

/* Addresses stay in the page: 64 KiB, or 128 KiB of words, whose page's low bit does not count. */
static uint64_t gpa_of(const struct i8237 *dma, unsigned channel, const struct controller *c,
                       uint16_t address)
{
    uint64_t page = dma->page[page_of[channel]];

    return c->shift ? (page & ~1ull) << 16 | (uint64_t)address << 1 : page << 16 | address;
}

/* One unit: a byte or a word. */
static void move_unit(struct i8237 *dma, unsigned channel, struct controller *c, uint8_t *data)
{
    unsigned n = channel % CHANNELS, size = 1u << c->shift;
    uint16_t *address = &c->value[2 * n];
    uint64_t gpa = gpa_of(dma, channel, c, *address);

    if ((c->mode[n] & MODE_TYPE) == MODE_TO_MEMORY)
        physmem_write(dma->config.mem, gpa, data, size);
    else if ((c->mode[n] & MODE_TYPE) == MODE_TO_CHIP)
        physmem_read(dma->config.mem, gpa, data, size);
    *address += c->mode[n] & MODE_DOWN ? -1 : 1;
}

/* The count was 0 and has gone below it. */
static void end_channel(struct controller *c, unsigned n)
{
    c->ended |= 1u << n;
    c->request &= ~(1u << n);
    if (!(c->mode[n] & MODE_AUTO)) {
        c->mask |= 1u << n;
        return;
    }
    c->value[2 * n] = c->base[2 * n];
    c->value[2 * n + 1] = c->base[2 * n + 1];
}

uint32_t i8237_transfer(struct i8237 *dma, unsigned channel, uint8_t *data, uint32_t size,
                        bool *end)
{
    struct controller *c = controller_of(dma, channel);
    unsigned n = channel % CHANNELS;
    uint32_t at = 0;

    *end = false;
    if (c->mask >> n & 1 || c->command & COMMAND_OFF)
        return 0;
    while (!*end && at < size) {
        move_unit(dma, channel, c, data + at);
        at += 1u << c->shift;
        *end = c->value[2 * n + 1]-- == 0;
    }
    if (*end)
        end_channel(c, n);
    return at;
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

/* The chips' request lines are theirs. */
void i8237_reset(struct i8237 *dma)
{
    memset(dma->page, 0, sizeof(dma->page));
    for (unsigned i = 0; i < 2; i++) {
        struct controller *c = &dma->controller[i];

        memset(c->value, 0, sizeof(c->value));
        memset(c->base, 0, sizeof(c->base));
        memset(c->mode, 0, sizeof(c->mode));
        master_clear(c);
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
        snap_u8(snap, &c->dreq);
        snap_u8(snap, &c->ended);
        snap_bytes(snap, c->mode, sizeof(c->mode));
        snap_bytes(snap, c->value, sizeof(c->value));
        snap_bytes(snap, c->base, sizeof(c->base));
    }
}

struct i8237 *i8237_create(const struct i8237_config *config)
{
    struct i8237 *dma = calloc(1, sizeof(*dma));
    int err;

    if (!dma)
        return NULL;
    dma->config = *config;
    dma->controller[0].dma = dma->controller[1].dma = dma;
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
