/* The machine of ide_machine.h with one disk, and sectors read and written in each way. */
#ifndef TESTS_UNIT_ATA_DISK_H
#define TESTS_UNIT_ATA_DISK_H

#include "tests/unit/ide_machine.h"

enum { SECTORS = 16 * 63 * 4 + 100, BIG = 600 };

static uint8_t buffer[BIG * 512];
static struct machine m;
static struct medium *disk;

static inline void start(void)
{
    const uint64_t sizes[4] = { SECTORS * 512 };

    machine_init(&m, sizes, 0);
    disk = &m.media[0];
}

static inline void expect_ok(void)
{
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(m.irq[0].level, 0);
}

static inline void expect_error(uint8_t error)
{
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(rd(&m, R_ERROR), error);
    CHECK_EQ(rd(&m, R_STATUS), 0x51);
}

/* The LBA in the registers. */
static inline uint32_t address_now(void)
{
    return rd(&m, R_LOW) | rd(&m, R_MID) << 8 | rd(&m, R_HIGH) << 16 |
           (uint32_t)(rd(&m, R_DEVICE) & 15) << 24;
}

static inline void read_pio(uint8_t code, uint64_t lba, unsigned count, unsigned block)
{
    unsigned edges = m.irq[0].edges;

    if (code == 0x24 || code == 0x29)
        address48(&m, lba, count);
    else
        address28(&m, lba, count);
    command(&m, code);
    memset(buffer, 0, sizeof(buffer));
    for (unsigned i = 0; i < count; i += block) {
        unsigned size = (count - i < block ? count - i : block) * 512;

        CHECK_EQ(m.irq[0].level, 1);
        CHECK_EQ(rd(&m, R_STATUS), 0x58);
        pio_in(&m, buffer + i * 512, size);
    }
    CHECK_EQ(m.irq[0].edges - edges, (count + block - 1) / block);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(memcmp(buffer, disk->bytes + lba * 512, count * 512), 0);
}

static inline void fill(unsigned size, unsigned seed)
{
    for (unsigned i = 0; i < size; i++)
        buffer[i] = (uint8_t)(i * seed + (i >> 9));
}

static inline void write_pio(uint8_t code, uint64_t lba, unsigned count, unsigned block)
{
    unsigned edges = m.irq[0].edges;

    fill(count * 512, code);
    if (code == 0x34 || code == 0x39 || code == 0xce)
        address48(&m, lba, count);
    else
        address28(&m, lba, count);
    command(&m, code);
    CHECK_EQ(m.irq[0].level, 0); /* the first block is not announced */
    for (unsigned i = 0; i < count; i += block) {
        unsigned size = (count - i < block ? count - i : block) * 512;

        CHECK_EQ(rd(&m, R_STATUS), 0x58);
        pio_out(&m, buffer + i * 512, size);
        CHECK_EQ(m.irq[0].level, 1);
    }
    CHECK_EQ(m.irq[0].edges - edges, (count + block - 1) / block);
    expect_ok();
    CHECK_EQ(memcmp(buffer, disk->bytes + lba * 512, count * 512), 0);
}

#endif
