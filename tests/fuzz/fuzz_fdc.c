/* Any accesses to the floppy and the DMA controller's ports, whole commands among them, and a
 * medium that finishes when and how the input says. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fdc_machine.h"

enum { STEPS_MAX = 4096, PARAMETERS = 8 };

/* As a driver would begin it: data mostly on track 0, so that it is found. */
static void do_command(struct fuzz *f, struct machine *m)
{
    out8(m->ports, 0x3f5, fuzz_byte(f));
    for (unsigned i = 0; i < PARAMETERS && (msr(m) & 0xf0) == 0x90; i++)
        out8(m->ports, 0x3f5, fuzz_byte(f));
}

static void do_read(struct fuzz *f, struct machine *m)
{
    static const uint8_t codes[] = { 0xe6, 0xc5, 0x46, 0x45, 0x42, 0xd6, 0x56, 0x4c };
    uint8_t how = fuzz_byte(f), r = fuzz_byte(f), eot = fuzz_byte(f);
    const uint8_t bytes[] = { codes[how % 8], 0, 0, 0, r, 2, eot, 0x1b, 0xff };

    out8(m->ports, 0x3f7, 0);
    send(m, bytes, sizeof(bytes));
}

static void do_fifo(struct fuzz *f, struct machine *m)
{
    unsigned count = (unsigned)fuzz_below(f, 0x10000) % 1100;
    uint8_t value = fuzz_byte(f);

    for (unsigned i = 0; i < count; i++) {
        if (value & 1)
            out8(m->ports, 0x3f5, value);
        else
            in8(m->ports, 0x3f5);
    }
}

static void do_medium(struct fuzz *f, struct machine *m)
{
    uint8_t how = fuzz_byte(f);

    m->disk.err = how & 0x80 ? -EIO : 0;
    m->disk.bad = (how & 0x1f) * BLOCK_SECTOR;
    m->disk.bad_size = BLOCK_SECTOR;
    if (m->disk.queued)
        medium_step(&m->disk, 0);
}

static void do_change(struct fuzz *f, struct machine *m)
{
    uint8_t how = fuzz_byte(f);

    m->disk.dev.present = how & 1;
    m->disk.dev.readonly = how & 2;
    m->disk.dev.size = (1 + how / 4) * 45ull * BLOCK_SECTOR;
    m->disk.dev.changed(m->disk.dev.controller);
}

static void step(struct fuzz *f, struct machine *m)
{
    uint8_t what = fuzz_byte(f);
    uint32_t gpa, size;

    switch (what % 16) {
    case 0:
    case 1: fuzz_access(f, m->ports, 0x3f0, 8); break;
    case 2: fuzz_access(f, m->ports, 0, 16); break;
    case 3: fuzz_access(f, m->ports, 0x80, 16); break;
    case 4:
    case 5: do_command(f, m); break;
    case 6:
    case 7: do_read(f, m); break;
    case 8: do_fifo(f, m); break;
    case 9:
    case 10:
    case 11: do_medium(f, m); break;
    case 12:
        gpa = fuzz_bits(f, 3);
        size = fuzz_bits(f, 2);
        dma_setup(m, (fuzz_byte(f) & 0xfc) | 2, gpa, size);
        break;
    case 13: take_result(m); break;
    case 14: do_change(f, m); break;
    case 15:
        if (fuzz_byte(f) == 0x5a)
            fdc_reset(m->fdc);
        out8(m->ports, 0x3f2, 0x1c);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = { data, size };
    struct machine m;

    machine_create(&m, 64 * 45 * BLOCK_SECTOR); /* the most that do_change() makes of it */
    m.disk.manual = true;
    for (unsigned i = 0; i < STEPS_MAX && fuzz_more(&fuzz); i++)
        step(&fuzz, &m);
    machine_free(&m);
    return 0;
}
