/*
 * pc-testdev, as QEMU has it for kvm-unit-tests.
 *
 * Reference: what the tests of kvm-unit-tests use: four ports keep what is written, the next four
 *            take the address of a page whose translations a hypervisor is to forget, port n of
 *            another row is the level of IRQ n, 64 KiB of addresses are memory that only a device
 *            answers.
 * Modelled:  these. There is nothing to forget: what is written to the second four has no effect.
 * Not:       IRQs 16 to 23.
 */
#include "devices/pc_testdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "devices/bus.h"

enum { MEMORY = 0x10000 };

struct pc_testdev {
    struct pc_testdev_config config;
    uint8_t latch[4], flush[4]; /* nothing reads the second */
    uint8_t memory[MEMORY];
};

/* --- Bytes that keep what is written ---------------------------------------------- */

static uint64_t get(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, at, size);
    return value;
}

static uint64_t latch_read(void *dev, uint64_t offset, unsigned size)
{
    return get((uint8_t *)dev + offset, size);
}

static void latch_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    memcpy((uint8_t *)dev + offset, &value, size);
}

static const struct bus_ops latch_ops = {
    .read = latch_read,
    .write = latch_write,
    .max_size = 4,
    .name = "pc-testdev",
};

/* --- Interrupts ----------------------------------------------------------------- */

static uint64_t irq_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev, (void)offset, (void)size;
    return 0;
}

static void irq_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    const struct irq *irq = &((struct pc_testdev *)dev)->config.irq[offset];

    (void)size;
    if (irq->set)
        irq_set(irq, value != 0);
}

/* A write of more bytes is to the first line alone. */
static const struct bus_ops irq_ops = {
    .read = irq_read,
    .write = irq_write,
    .max_size = 4,
    .name = "pc-testdev",
};

/* --- Life ----------------------------------------------------------------------- */

void pc_testdev_snapshot(struct pc_testdev *t, struct snap *snap)
{
    snap_bytes(snap, t->latch, sizeof(t->latch));
    snap_bytes(snap, t->memory, sizeof(t->memory));
}

struct pc_testdev *pc_testdev_create(const struct pc_testdev_config *config)
{
    struct pc_testdev *t = calloc(1, sizeof(*t));
    int err;

    if (!t)
        return NULL;
    t->config = *config;
    err = bus_claim(config->ports, config->base, sizeof(t->latch), &latch_ops, t->latch);
    if (!err)
        err = bus_claim(config->ports, config->base + sizeof(t->latch), sizeof(t->flush),
                        &latch_ops, t->flush);
    if (!err)
        err = bus_claim(config->ports, config->irq_base, PC_TESTDEV_IRQS, &irq_ops, t);
    if (!err)
        err = bus_claim(config->memory, config->memory_base, MEMORY, &latch_ops, t->memory);
    if (!err)
        return t;
    free(t);
    errno = -err;
    return NULL;
}

void pc_testdev_destroy(struct pc_testdev *t)
{
    free(t);
}
