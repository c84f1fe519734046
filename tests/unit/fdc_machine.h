/* A machine of memory, the DMA and the floppy controller, and a medium made of memory. */
#ifndef TESTS_UNIT_FDC_MACHINE_H
#define TESTS_UNIT_FDC_MACHINE_H

#include "base/physmem.h"
#include "devices/fdc.h"
#include "devices/i8237.h"
#include "tests/unit/chip.h"
#include "tests/unit/medium.h"

enum { GPA = 0x20000, RAM = 1 << 20 };

struct machine {
    struct physmem mem;
    struct bus *ports;
    struct pin irq;
    struct i8237 *dma;
    struct medium disk;
    struct fdc *fdc;
    uint8_t result[16];
    unsigned result_size;
};

/* As the board makes it, out of reset and its interrupt not yet sensed. */
static inline void machine_create(struct machine *m, uint64_t size)
{
    memset(m, 0, sizeof(*m));
    if (physmem_init(&m->mem, RAM))
        abort();
    m->ports = bus_create();
    m->dma = i8237_create(&(struct i8237_config){ m->ports, 0, 0xc0, 0x80, &m->mem });
    medium_init(&m->disk, size, false);
    m->fdc = fdc_create(&(struct fdc_config){ m->ports, 0x3f0, pin_irq(&m->irq), m->dma, 2,
                                              &m->disk.dev });
    if (!m->dma || !m->fdc)
        abort();
    out8(m->ports, 0x3f2, 0x1c);
}

static inline void machine_free(struct machine *m)
{
    if (m->fdc)
        fdc_destroy(m->fdc);
    medium_run(&m->disk);
    free(m->disk.bytes);
    i8237_destroy(m->dma);
    bus_destroy(m->ports);
    physmem_destroy(&m->mem);
}

static inline void machine_run(struct machine *m)
{
    if (!m->disk.manual)
        medium_run(&m->disk);
}

static inline uint8_t msr(struct machine *m)
{
    return in8(m->ports, 0x3f4);
}

/* Takes the result, if there is one. */
static inline void take_result(struct machine *m)
{
    m->result_size = 0;
    while ((msr(m) & 0xf0) == 0xd0 && m->result_size < sizeof(m->result))
        m->result[m->result_size++] = in8(m->ports, 0x3f5);
}

static inline void send(struct machine *m, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        out8(m->ports, 0x3f5, bytes[i]);
    machine_run(m);
}

/* Channel 2 for `size` bytes at gpa; mode 0x46 to memory, 0x4a from it. */
static inline void dma_setup(struct machine *m, uint8_t mode, uint32_t gpa, uint32_t size)
{
    out8(m->ports, 0x0a, 6);
    out8(m->ports, 0x0c, 0);
    out8(m->ports, 0x0b, mode);
    out8(m->ports, 0x04, gpa & 0xff);
    out8(m->ports, 0x04, gpa >> 8 & 0xff);
    out8(m->ports, 0x81, gpa >> 16);
    out8(m->ports, 0x05, (size - 1) & 0xff);
    out8(m->ports, 0x05, (size - 1) >> 8);
    out8(m->ports, 0x0a, 2);
}

#endif
