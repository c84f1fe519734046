/* Any accesses to the IDE function's ports and PCI registers, any descriptor tables, and media that
 * finish when and how the input says: a disk and a CD-ROM on one channel, a disk on the other. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/ide_machine.h"

enum { DISK = 256 << 10, DISC = 64 * 2048, STEPS_MAX = 4096 };

static void do_data(struct fuzz *f, struct machine *m)
{
    unsigned count = (unsigned)fuzz_below(f, 0x10000) % 2100;
    uint64_t value = fuzz_bits(f, 2);
    static uint8_t memory[4 * 2100];
    unsigned size = 1u << (value >> 2) % 3;
    bool out = value & 1;

    if (value & 2) {
        if (out)
            bus_write_string(m->ports, m->base, size, memory, count);
        else
            bus_read_string(m->ports, m->base, size, memory, count);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (out)
            bus_write(m->ports, m->base, 2, value);
        else
            bus_read(m->ports, m->base, 2);
    }
}

/* A packet, as a driver sends it. */
static void do_packet(struct fuzz *f, struct machine *m)
{
    wr(m, R_DEVICE, fuzz_byte(f));
    wr(m, R_STATUS, 0xa0);
    for (unsigned i = 0; i < 6; i++)
        bus_write(m->ports, m->base, 2, fuzz_bits(f, 2));
}

static void do_command(struct fuzz *f, struct machine *m)
{
    for (unsigned reg = R_ERROR; reg <= R_STATUS; reg++)
        wr(m, reg, fuzz_byte(f));
}

static void do_medium(struct fuzz *f, struct machine *m)
{
    uint8_t how = fuzz_byte(f);
    struct medium *medium = &m->media[how % 3];

    medium->err = how & 0x80 ? -EIO : 0;
    medium->bad = fuzz_bits(f, 2) * BLOCK_SECTOR;
    medium->bad_size = 4096;
    if (medium->queued)
        medium_step(medium, how / 4 % medium->queued);
}

static void do_change(struct fuzz *f, struct machine *m)
{
    struct blockdev *disc = &m->media[1].dev;
    uint8_t how = fuzz_byte(f);

    disc->present = how & 1;
    disc->size = (1 + how / 4) * 2048;
    if (how & 2)
        disc->changed(disc->controller);
    else
        disc->eject_request(disc->controller);
}

static void do_prd(struct fuzz *f, struct machine *m)
{
    uint32_t entry[2] = { fuzz_bits(f, 4), fuzz_bits(f, 4) };

    physmem_write(&m->mem, TABLE + 8 * fuzz_below(f, 8), entry, sizeof(entry));
}

static void do_dma(struct fuzz *f, struct machine *m)
{
    bus_write(m->ports, bm(m) + 4, 4, fuzz_byte(f) & 1 ? TABLE : fuzz_bits(f, 4));
    out8(m->ports, bm(m), 1);
}

static void step(struct fuzz *f, struct machine *m)
{
    uint8_t what = fuzz_byte(f);

    m->base = what & 0x80 ? 0x170 : 0x1f0;
    switch (what % 16) {
    case 0:
    case 1: fuzz_access(f, m->ports, m->base, 8); break;
    case 2: fuzz_access(f, m->ports, m->base + 0x206, 1); break;
    case 3: fuzz_access(f, m->ports, BMIDE, 16); break;
    case 4: do_data(f, m); break;
    case 5: do_packet(f, m); break;
    case 6: do_command(f, m); break;
    case 7:
    case 8:
    case 9: do_medium(f, m); break;
    case 10: do_change(f, m); break;
    case 11: do_prd(f, m); break;
    case 12: do_dma(f, m); break;
    case 13: machine_config(m, fuzz_byte(f) & 0xfc, 4, fuzz_bits(f, 4)); break;
    case 14: machine_enable(m); break;
    case 15:
        if (fuzz_byte(f) == 0x5a)
            ide_reset(m->ide);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t sizes[4] = { DISK, DISC, DISK };
    struct fuzz fuzz = { data, size };
    struct machine m;

    machine_create(&m, sizes, 1 << 1);
    for (unsigned i = 0; i < 3; i++)
        m.media[i].manual = true;
    for (unsigned i = 0; i < STEPS_MAX && fuzz_more(&fuzz); i++)
        step(&fuzz, &m);
    machine_free(&m);
    return 0;
}
