/*
 * A driver for the tests of virtio devices: memory, a PCI bus with one device, and both interfaces
 * as a guest's driver uses them. Everything in guest memory is the test's to spoil.
 */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include <stdlib.h>
#include <string.h>

#include "base/physmem.h"
#include "devices/bus.h"
#include "devices/pci.h"
#include "devices/virtio_pci.h"
#include "tests/check.h"

enum {
    DRIVER_SLOT = 3,
    DRIVER_PORTS = 0xc000,
    DRIVER_RAM = 8 << 20,
    DRIVER_QUEUES = 3,
    DRIVER_HEAP = 0x100000,
};

#define DRIVER_MEMORY 0xe0000000u
#define DRIVER_MSIX   0xe0010000u

enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4 };

struct driver_desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

struct driver_queue {
    uint16_t size, next_desc, avail_idx, used_seen;
    uint64_t desc, avail, used;
};

struct driver {
    struct physmem mem;
    struct bus *ports, *memory;
    struct pci_bus *pci;
    bool legacy, pin;
    unsigned edges; /* of the pin, rising */
    unsigned messages; /* by MSI-X, and the last one: */
    uint64_t message_address;
    uint32_t message_data;
    bool event_idx, indirect;
    uint64_t heap;  /* the next free gpa */
    uint64_t accepted;
    struct driver_queue queue[DRIVER_QUEUES];
};

/* A buffer of a chain. */
struct driver_buffer {
    uint64_t gpa;
    uint32_t len;
    bool in;
};

static inline void driver_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    struct driver *d = board;

    CHECK_EQ(slot, DRIVER_SLOT);
    CHECK_EQ(pin, 0);
    d->edges += level && !d->pin;
    d->pin = level;
}

static inline void driver_message(void *board, uint64_t address, uint32_t data)
{
    struct driver *d = board;

    d->messages++;
    d->message_address = address;
    d->message_data = data;
}

/* --- The machine -------------------------------------------------------- */

/* All but the memory. */
static inline void driver_open_buses(struct driver *d, bool legacy)
{
    d->ports = bus_create();
    d->memory = bus_create();
    d->pci = pci_create(&(struct pci_bus_config){ d->ports, d->memory, driver_pin, d,
                                                    driver_message });
    d->legacy = legacy;
    d->heap = DRIVER_HEAP;
}

static inline void driver_open(struct driver *d, bool legacy)
{
    memset(d, 0, sizeof(*d));
    CHECK_EQ(physmem_init(&d->mem, DRIVER_RAM), 0);
    physmem_set_kind(&d->mem, 0xa0000, 0x18000, PHYSMEM_NONE);
    driver_open_buses(d, legacy);
}

static inline void driver_close_buses(struct driver *d)
{
    pci_destroy(d->pci);
    bus_destroy(d->memory);
    bus_destroy(d->ports);
}

static inline void driver_close(struct driver *d)
{
    driver_close_buses(d);
    physmem_destroy(&d->mem);
}

static inline uint32_t driver_config(unsigned at)
{
    return (uint32_t)DRIVER_SLOT << 11 | at;
}

/* Places the BARs and turns decoding on. */
static inline void driver_probe(struct driver *d)
{
    pci_config_write(d->pci, driver_config(PCI_BAR0), 4, DRIVER_PORTS);
    pci_config_write(d->pci, driver_config(PCI_BAR0 + 4), 4, DRIVER_MSIX);
    pci_config_write(d->pci, driver_config(PCI_BAR0 + 16), 4, DRIVER_MEMORY);
    pci_config_write(d->pci, driver_config(PCI_COMMAND), 2,
                     PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline uint64_t driver_alloc(struct driver *d, uint64_t size, uint64_t align)
{
    uint64_t gpa = (d->heap + align - 1) & ~(align - 1);

    d->heap = gpa + size;
    CHECK_EQ(d->heap <= DRIVER_RAM, 1);
    return gpa;
}

static inline uint8_t *driver_ptr(struct driver *d, uint64_t gpa)
{
    return physmem_ptr(&d->mem, gpa);
}

static inline uint16_t driver_get16(struct driver *d, uint64_t gpa)
{
    uint16_t value;

    memcpy(&value, driver_ptr(d, gpa), sizeof(value));
    return value;
}

static inline void driver_put16(struct driver *d, uint64_t gpa, uint16_t value)
{
    memcpy(driver_ptr(d, gpa), &value, sizeof(value));
}

/* --- Registers ---------------------------------------------------------- */

static inline uint64_t driver_read(struct driver *d, unsigned at, unsigned size)
{
    return d->legacy ? bus_read(d->ports, DRIVER_PORTS + at, size)
                     : bus_read(d->memory, DRIVER_MEMORY + at, size);
}

static inline void driver_write(struct driver *d, unsigned at, unsigned size, uint64_t value)
{
    if (d->legacy)
        bus_write(d->ports, DRIVER_PORTS + at, size, value);
    else
        bus_write(d->memory, DRIVER_MEMORY + at, size, value);
}

static inline uint8_t driver_status(struct driver *d)
{
    return (uint8_t)driver_read(d, d->legacy ? 18 : 20, 1);
}

static inline void driver_set_status(struct driver *d, uint8_t status)
{
    driver_write(d, d->legacy ? 18 : 20, 1, status);
}

static inline uint8_t driver_isr(struct driver *d)
{
    return (uint8_t)driver_read(d, d->legacy ? 19 : 0x1000, 1);
}

/* Device-specific configuration. */
static inline unsigned driver_config_at(const struct driver *d, unsigned at)
{
    return (d->legacy ? 20u : 0x2000u) + at;
}

static inline uint64_t driver_features(struct driver *d)
{
    uint64_t low;

    if (d->legacy)
        return driver_read(d, 0, 4);
    driver_write(d, 0, 4, 0);
    low = driver_read(d, 4, 4);
    driver_write(d, 0, 4, 1);
    return low | driver_read(d, 4, 4) << 32;
}

static inline void driver_accept(struct driver *d, uint64_t features)
{
    if (d->legacy) {
        driver_write(d, 4, 4, features);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        driver_write(d, 8, 4, i);
        driver_write(d, 12, 4, features >> 32 * i & 0xffffffff);
    }
}

/* Takes of wanted (beside VERSION_1) what is offered. False: the device did not agree. */
static inline bool driver_negotiate(struct driver *d, uint64_t wanted)
{
    driver_set_status(d, 0);
    driver_set_status(d, 1);
    driver_set_status(d, 3);
    if (!d->legacy)
        wanted |= 1ull << VIRTIO_F_VERSION_1;
    d->accepted = driver_features(d) & wanted;
    d->event_idx = d->accepted >> VIRTIO_F_EVENT_IDX & 1;
    d->indirect = d->accepted >> VIRTIO_F_INDIRECT_DESC & 1;
    driver_accept(d, d->accepted);
    if (d->legacy)
        return true;
    driver_set_status(d, 11);
    return driver_status(d) & 8;
}

/* --- Queues ------------------------------------------------------------- */

static inline void driver_place(struct driver *d, unsigned queue, uint16_t size)
{
    struct driver_queue *q = &d->queue[queue];

    *q = (struct driver_queue){ .size = size };
    q->desc = driver_alloc(d, 16ull * size + 6 + 2ull * size, 4096);
    q->avail = q->desc + 16ull * size;
    q->used = driver_alloc(d, 6 + 8ull * size, 4096);
    memset(driver_ptr(d, q->desc), 0, 16ull * size + 6 + 2ull * size);
    memset(driver_ptr(d, q->used), 0, 6 + 8ull * size);
}

/* Tells the device where the queue is. */
static inline void driver_start_queue(struct driver *d, unsigned queue)
{
    struct driver_queue *q = &d->queue[queue];

    if (d->legacy) {
        driver_write(d, 14, 2, queue);
        CHECK_EQ(driver_read(d, 12, 2), q->size);
        driver_write(d, 8, 4, q->desc >> 12);
        return;
    }
    driver_write(d, 22, 2, queue);
    driver_write(d, 24, 2, q->size);
    for (unsigned i = 0; i < 2; i++) {
        driver_write(d, 32 + 4 * i, 4, q->desc >> 32 * i & 0xffffffff);
        driver_write(d, 40 + 4 * i, 4, q->avail >> 32 * i & 0xffffffff);
        driver_write(d, 48 + 4 * i, 4, q->used >> 32 * i & 0xffffffff);
    }
    driver_write(d, 28, 2, 1);
}

static inline void driver_queue(struct driver *d, unsigned queue, uint16_t size)
{
    driver_place(d, queue, size);
    driver_start_queue(d, queue);
}

static inline void driver_go(struct driver *d)
{
    driver_set_status(d, d->legacy ? 7 : 15);
}

static inline void driver_put_desc(struct driver *d, uint64_t table, unsigned i,
                                   struct driver_desc desc)
{
    memcpy(driver_ptr(d, table + 16ull * i), &desc, sizeof(desc));
}

/* Puts a descriptor's number on the available ring. */
static inline void driver_offer(struct driver *d, unsigned queue, uint16_t head)
{
    struct driver_queue *q = &d->queue[queue];

    driver_put16(d, q->avail + 4 + 2ull * (q->avail_idx & (q->size - 1)), head);
    driver_put16(d, q->avail + 2, ++q->avail_idx);
}

static inline void driver_chain(struct driver *d, uint64_t table, uint16_t first, uint16_t wrap,
                                const struct driver_buffer *buffers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint16_t next = (uint16_t)((first + i + 1) % wrap);
        unsigned flags = (i + 1 < count ? F_NEXT : 0) | (buffers[i].in ? F_WRITE : 0);

        driver_put_desc(d, table, (first + i) % wrap,
                        (struct driver_desc){ buffers[i].gpa, buffers[i].len, (uint16_t)flags,
                                              next });
    }
}

/* Adds a chain of descriptors (an indirect one if that was negotiated); returns its head. */
static inline uint16_t driver_add(struct driver *d, unsigned queue,
                                  const struct driver_buffer *buffers, unsigned count)
{
    struct driver_queue *q = &d->queue[queue];
    uint16_t head = q->next_desc;

    if (d->indirect && count > 1) {
        uint64_t table = driver_alloc(d, 16ull * count, 16);

        driver_chain(d, table, 0, (uint16_t)count, buffers, count);
        driver_put_desc(d, q->desc, head,
                        (struct driver_desc){ table, 16 * count, F_INDIRECT, 0 });
        q->next_desc = (uint16_t)((head + 1) % q->size);
    } else {
        driver_chain(d, q->desc, head, q->size, buffers, count);
        q->next_desc = (uint16_t)((head + count) % q->size);
    }
    driver_offer(d, queue, head);
    return head;
}

static inline void driver_notify(struct driver *d, unsigned queue)
{
    if (d->legacy)
        driver_write(d, 16, 2, queue);
    else
        driver_write(d, 0x3000 + 4 * queue, 2, queue);
}

/* The device wants to hear of the chains added since the index was old. */
static inline bool driver_must_notify(struct driver *d, unsigned queue, uint16_t old)
{
    struct driver_queue *q = &d->queue[queue];
    uint16_t event;

    if (!d->event_idx)
        return !(driver_get16(d, q->used) & 1);
    event = driver_get16(d, q->used + 4 + 8ull * q->size);
    return (uint16_t)(q->avail_idx - event - 1) < (uint16_t)(q->avail_idx - old);
}

/* Wants an interrupt when the used index passes this. */
static inline void driver_want(struct driver *d, unsigned queue, uint16_t index)
{
    struct driver_queue *q = &d->queue[queue];

    driver_put16(d, q->avail + 4 + 2ull * q->size, index);
}

/* The next chain the device gave back: its head, or -1. */
static inline int driver_used(struct driver *d, unsigned queue, uint32_t *len)
{
    struct driver_queue *q = &d->queue[queue];
    uint32_t entry[2];

    if (driver_get16(d, q->used + 2) == q->used_seen)
        return -1;
    memcpy(entry, driver_ptr(d, q->used + 4 + 8ull * (q->used_seen & (q->size - 1))),
           sizeof(entry));
    q->used_seen++;
    if (len)
        *len = entry[1];
    return (int)entry[0];
}

/* Adds a chain, notifies and expects it back at once; returns the bytes written. */
static inline uint32_t driver_do(struct driver *d, unsigned queue,
                                 const struct driver_buffer *buffers, unsigned count)
{
    uint16_t head = driver_add(d, queue, buffers, count);
    uint32_t len = 0;

    driver_notify(d, queue);
    CHECK_EQ(driver_used(d, queue, &len), head);
    return len;
}

#endif
