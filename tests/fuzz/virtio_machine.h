/*
 * A virtio device with a hostile driver: any accesses to its registers, anything in its rings and
 * buffers. The rings are placed properly first, in most inputs, so that something happens.
 */
#ifndef TESTS_FUZZ_VIRTIO_MACHINE_H
#define TESTS_FUZZ_VIRTIO_MACHINE_H

#include <fcntl.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/virtio_driver.h"

enum { FUZZ_SIZE = 16 }; /* of rings, where a device offers as much */

struct fuzz_machine {
    struct fuzz fuzz;
    struct driver driver;
    unsigned queues;
    uint16_t size;
};

static inline void fuzz_open(struct fuzz_machine *m, const uint8_t *data, size_t size)
{
    static struct physmem memory; /* making it takes longer than using it */

    if (!memory.ram) {
        physmem_init(&memory, DRIVER_RAM);
        physmem_set_kind(&memory, 0xa0000, 0x18000, PHYSMEM_NONE);
    }
    m->fuzz = (struct fuzz){ data, size };
    m->driver = (struct driver){ .mem = memory };
    driver_open_buses(&m->driver, fuzz_byte(&m->fuzz) & 1);
}

/* After the device is gone. The memory is cleared for the next input. */
static inline void fuzz_close(struct fuzz_machine *m)
{
    driver_close_buses(&m->driver);
    if (fallocate(m->driver.mem.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, DRIVER_RAM))
        __builtin_trap();
}

/* After the device is there: of so many queues, each of at least size entries. A legacy driver
 * must take the queues as large as they are. */
static inline void fuzz_start(struct fuzz_machine *m, unsigned queues, uint16_t size)
{
    struct driver *d = &m->driver;

    m->queues = queues;
    m->size = d->legacy ? size : FUZZ_SIZE;
    driver_probe(d);
    if (fuzz_byte(&m->fuzz) == 0xff)
        return;
    driver_negotiate(d, fuzz_bits(&m->fuzz, 4) | (uint64_t)fuzz_byte(&m->fuzz) << 24);
    for (unsigned i = 0; i < queues; i++)
        driver_queue(d, i, m->size);
    driver_go(d);
}

/* Mostly in two pages of data and in the rings. */
static inline uint64_t fuzz_gpa(struct fuzz_machine *m)
{
    uint8_t how = fuzz_byte(&m->fuzz);

    switch (how & 7) {
    case 0: return fuzz_bits(&m->fuzz, 8);
    case 1: return DRIVER_HEAP + fuzz_bits(&m->fuzz, 2);
    case 2: return DRIVER_RAM - fuzz_byte(&m->fuzz);
    case 3: return 0xa0000 - fuzz_byte(&m->fuzz);
    default: return 0x10000 + (uint64_t)(how >> 3) * 512;
    }
}

static inline uint32_t fuzz_length(struct fuzz_machine *m)
{
    uint8_t how = fuzz_byte(&m->fuzz);

    switch (how & 3) {
    case 0: return (uint32_t)fuzz_bits(&m->fuzz, 4);
    case 1: return (how >> 2) * 512u;
    default: return how >> 2;
    }
}

static inline void fuzz_descriptor(struct fuzz_machine *m, struct driver_queue *q)
{
    uint8_t where = fuzz_byte(&m->fuzz);
    struct driver_desc desc = { .gpa = fuzz_gpa(m), .len = fuzz_length(m) };

    desc.flags = fuzz_byte(&m->fuzz) & 7;
    desc.next = fuzz_byte(&m->fuzz) & 15;
    driver_put_desc(&m->driver, where & 0x80 ? 0x10000 : q->desc, where & 15, desc);
}

static inline void fuzz_bytes(struct fuzz_machine *m)
{
    uint64_t gpa = 0x10000 + fuzz_bits(&m->fuzz, 2) % 0x4000;
    unsigned count = fuzz_byte(&m->fuzz) & 31;

    for (unsigned i = 0; i < count; i++)
        *driver_ptr(&m->driver, gpa + i) = fuzz_byte(&m->fuzz);
}

/* A good chain: out buffers and then in buffers. */
static inline void fuzz_chain(struct fuzz_machine *m, unsigned queue)
{
    struct driver_buffer buffers[4];
    unsigned count = 1 + (fuzz_byte(&m->fuzz) & 3), outs = fuzz_byte(&m->fuzz) & 3;

    if (m->driver.heap > DRIVER_RAM - 65536)
        return;
    for (unsigned i = 0; i < count; i++)
        buffers[i] = (struct driver_buffer){ 0x10000 + 512u * (fuzz_byte(&m->fuzz) & 31),
                                             fuzz_length(m) & 0xffff, i >= outs };
    driver_add(&m->driver, queue, buffers, count);
}

/* One thing that a driver does; false when it is the device's turn (or the host's). */
static inline bool fuzz_step(struct fuzz_machine *m)
{
    struct driver *d = &m->driver;
    unsigned op = fuzz_byte(&m->fuzz), queue = (op >> 4) % m->queues;
    struct driver_queue *q = &d->queue[queue];

    if ((op & 15) >= 2 && (op & 15) <= 9 && !q->size)
        return true; /* it has not been placed */
    switch (op & 15) {
    case 0: fuzz_access(&m->fuzz, d->ports, DRIVER_PORTS, 128); break;
    case 1: fuzz_access(&m->fuzz, d->memory, DRIVER_MEMORY, op & 0x80 ? 0x40 : 0x4000); break;
    case 2: case 3: fuzz_descriptor(m, q); break;
    case 4: driver_offer(d, queue, fuzz_byte(&m->fuzz) & 31); break;
    case 5: driver_put16(d, q->avail + 2, (uint16_t)fuzz_bits(&m->fuzz, 2)); break;
    case 6: case 7: fuzz_chain(m, queue); break;
    case 8: case 9: driver_notify(d, queue); break;
    case 10: case 11: fuzz_bytes(m); break;
    case 12: pci_config_write(d->pci, driver_config(fuzz_byte(&m->fuzz) & 0xfc), 4,
                              (uint32_t)fuzz_bits(&m->fuzz, 4));
        break;
    case 13: fuzz_access(&m->fuzz, d->memory, DRIVER_MSIX, 0x1000); break;
    default: return false;
    }
    return true;
}

#endif
