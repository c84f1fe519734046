/* Each command of the floppy controller, DMA and not, formats, resets, errors of the medium. */
#include "devices/fdc.h"

#include "base/snap.h"
#include "tests/unit/fdc_machine.h"

enum { SIZE = 2880 * 512, TO_MEMORY = 0x46, FROM_MEMORY = 0x4a };

static struct machine m;
static uint8_t buffer[36 * 512];

#define SEND(...) \
    send(&m, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void sense(uint8_t st0, uint8_t cylinder)
{
    SEND(0x08);
    take_result(&m);
    CHECK_EQ(m.result_size, 2);
    CHECK_EQ(m.result[0], st0);
    CHECK_EQ(m.result[1], cylinder);
}

static void sense_reset(void)
{
    CHECK_EQ(m.irq.level, 1);
    for (unsigned i = 0; i < 4; i++)
        sense(0xc0 | i, 0);
    CHECK_EQ(m.irq.level, 0);
    SEND(0x08);
    take_result(&m);
    CHECK_EQ(m.result_size, 1);
    CHECK_EQ(m.result[0], 0x80);
}

/* A 1.44 MB disk that has been recalibrated, DMA mode. */
static void start_with(uint64_t size, uint8_t rate)
{
    machine_create(&m, size);
    medium_fill(&m.disk);
    sense_reset();
    SEND(0x03, 0xdf, 0x02);
    out8(m.ports, 0x3f7, rate);
    SEND(0x07, 0);
    CHECK_EQ(m.irq.level, 1);
    CHECK_EQ(msr(&m), 0x81);
    sense(0x20, 0);
    CHECK_EQ(msr(&m), 0x80);
}

static void start(void)
{
    start_with(SIZE, 0);
}

static void seek_to(uint8_t cylinder)
{
    SEND(0x0f, 0, cylinder);
    sense(0x20, cylinder);
}

static void expect(uint8_t st0, uint8_t st1, uint8_t st2, uint8_t c, uint8_t h, uint8_t r)
{
    const uint8_t want[7] = { st0, st1, st2, c, h, r, 2 };

    CHECK_EQ(m.irq.level, 1);
    take_result(&m);
    CHECK_EQ(m.irq.level, 0);
    CHECK_EQ(m.result_size, 7);
    for (unsigned i = 0; i < 7; i++)
        CHECK_EQ(m.result[i] << 4 | i, want[i] << 4 | i);
    CHECK_EQ(msr(&m), 0x80);
}

static const uint8_t *on_disk(unsigned c, unsigned h, unsigned r)
{
    return m.disk.bytes + ((c * 2 + h) * 18 + r - 1) * 512;
}

static void expect_memory(const uint8_t *want, unsigned size)
{
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA), want, size), 0);
}

/* --- Reading ------------------------------------------------------------ */

static void test_read(void)
{
    start();
    seek_to(3);
    dma_setup(&m, TO_MEMORY, GPA, 1024);
    SEND(0xe6, 4, 3, 1, 5, 2, 18, 0x1b, 0xff);
    expect(0x04, 0, 0, 3, 1, 7);
    expect_memory(on_disk(3, 1, 5), 1024);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA + 1024), 0);
    CHECK_EQ(in8(m.ports, 0x08) & 0x44, 0x04);
    dma_setup(&m, TO_MEMORY, GPA, 18 * 1024); /* the cylinder, both sides */
    SEND(0xe6, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x00, 0, 0, 4, 0, 1);
    expect_memory(on_disk(3, 0, 1), 18 * 1024);
    CHECK_EQ(m.disk.reads, 3);
    dma_setup(&m, TO_MEMORY, GPA, 18 * 512); /* up to the side's last byte, one side */
    SEND(0x46, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x00, 0, 0, 4, 0, 1);
    dma_setup(&m, TO_MEMORY, GPA, 4096); /* more than there is */
    SEND(0x46, 0, 3, 0, 17, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x80, 0, 4, 0, 1);
    expect_memory(on_disk(3, 0, 17), 1024);
    dma_setup(&m, TO_MEMORY, GPA, 100); /* less than a sector */
    SEND(0x46, 0, 3, 0, 17, 2, 18, 0x1b, 0xff);
    expect(0x00, 0, 0, 3, 0, 18);
    dma_setup(&m, TO_MEMORY, GPA, 1024);
    SEND(0x42, 0, 3, 0, 9, 2, 2, 0x1b, 0xff); /* the track from its beginning */
    expect(0x00, 0, 0, 4, 0, 1);
    expect_memory(on_disk(3, 0, 1), 1024);
    machine_free(&m);
}

/* The channel is opened late: the chip waits. */
static void test_late_dma(void)
{
    start();
    SEND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(msr(&m), 0x10);
    CHECK_EQ(m.irq.level, 0);
    CHECK_EQ(in8(m.ports, 0x08), 0x40);
    out8(m.ports, 0x3f5, 0x08); /* not heard */
    CHECK_EQ(in8(m.ports, 0x3f5), 0);
    dma_setup(&m, TO_MEMORY, GPA, 512);
    expect(0x00, 0, 0, 0, 0, 2);
    expect_memory(on_disk(0, 0, 1), 512);
    machine_free(&m);
}

/* A driver that never writes CCR reads a 1.44 MB disk. */
static void test_rate_at_reset(void)
{
    machine_create(&m, SIZE);
    medium_fill(&m.disk);
    sense_reset();
    SEND(0x03, 0xdf, 0x02);
    SEND(0x07, 0);
    sense(0x20, 0);
    dma_setup(&m, TO_MEMORY, GPA, 512);
    SEND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x00, 0, 0, 0, 0, 2);
    expect_memory(on_disk(0, 0, 1), 512);
    machine_free(&m);
}

static void test_not_there(void)
{
    static const struct { uint8_t c, h, r, n, st1, st2; } cases[] = {
        { 4, 0, 1, 2, 0x04, 0x10 }, { 3, 0, 19, 2, 0x04, 0 }, { 3, 0, 0, 2, 0x04, 0 },
        { 3, 1, 1, 2, 0x04, 0 },    { 3, 0, 1, 3, 0x04, 0 },  { 3, 2, 1, 2, 0x04, 0 },
    };

    start();
    seek_to(3);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        SEND(0x46, 0, cases[i].c, cases[i].h, cases[i].r, cases[i].n, 18, 0x1b, 0xff);
        expect(0x40 | (cases[i].h & 1) << 2, cases[i].st1, cases[i].st2, cases[i].c, cases[i].h,
               cases[i].r);
    }
    SEND(0x46, 1, 3, 0, 1, 2, 18, 0x1b, 0xff); /* another drive */
    expect(0x41, 1, 0, 3, 0, 1);
    out8(m.ports, 0x3f7, 2); /* the wrong rate */
    SEND(0x46, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x40, 1, 0, 3, 0, 1);
    SEND(0x4a, 0);
    expect(0x40, 1, 0, 3, 0, 1);
    out8(m.ports, 0x3f7, 0);
    m.disk.dev.present = false;
    SEND(0x46, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x40, 1, 0, 3, 0, 1);
    CHECK_EQ(m.disk.reads, 0);
    machine_free(&m);
}

static void test_read_id(void)
{
    start();
    seek_to(9);
    for (unsigned i = 0; i < 20; i++) {
        SEND(0x4a, 4);
        expect(0x04, 0, 0, 9, 1, i % 18 + 1);
    }
    machine_free(&m);
}

static void test_verify(void)
{
    start();
    SEND(0x56, 0, 0, 0, 3, 2, 18, 0x1b, 0xff);
    expect(0x00, 0, 0, 1, 0, 1);
    SEND(0xd6, 0x80, 0, 0, 17, 2, 18, 0x1b, 5); /* five sectors over the side's end */
    expect(0x04, 0, 0, 0, 1, 4);
    machine_free(&m);
}

/* --- Writing ------------------------------------------------------------ */

static void fill(uint8_t seed)
{
    for (unsigned i = 0; i < sizeof(buffer); i++)
        buffer[i] = (uint8_t)(i * seed + (i >> 8));
    physmem_write(&m.mem, GPA, buffer, sizeof(buffer));
}

static void test_write(void)
{
    start();
    seek_to(79);
    fill(3);
    dma_setup(&m, FROM_MEMORY, GPA, 36 * 512);
    SEND(0xc5, 0, 79, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x00, 0, 0, 80, 0, 1);
    CHECK_EQ(memcmp(on_disk(79, 0, 1), buffer, 36 * 512), 0);
    fill(5);
    dma_setup(&m, FROM_MEMORY, GPA, 600); /* the rest of the second sector is 0 */
    SEND(0xc5, 0, 79, 0, 3, 2, 18, 0x1b, 0xff);
    expect(0x00, 0, 0, 79, 0, 5);
    CHECK_EQ(memcmp(on_disk(79, 0, 3), buffer, 600), 0);
    CHECK_EQ(on_disk(79, 0, 3)[600] | on_disk(79, 0, 3)[1023], 0);
    m.disk.dev.readonly = true;
    SEND(0xc5, 0, 79, 0, 3, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x02, 0, 79, 0, 3);
    SEND(0x4d, 0, 2, 18, 0x54, 0xf6);
    expect(0x40, 0x02, 0, 79, 0, 1);
    SEND(0x04, 0);
    take_result(&m);
    CHECK_EQ(m.result[0], 0x68);
    machine_free(&m);
}

static void test_format(void)
{
    uint8_t ids[18][4];

    start();
    seek_to(2);
    for (unsigned i = 0; i < 18; i++)
        memcpy(ids[i], (uint8_t[]){ 2, 1, i + 1, 2 }, 4);
    physmem_write(&m.mem, GPA, ids, sizeof(ids));
    dma_setup(&m, FROM_MEMORY, GPA, sizeof(ids));
    SEND(0x4d, 4, 2, 18, 0x54, 0xf6);
    CHECK_EQ(m.result[0], 0x20);
    take_result(&m);
    CHECK_EQ(m.result_size, 7);
    CHECK_EQ(m.result[0] | m.result[1] | m.result[2], 4);
    memset(buffer, 0xf6, sizeof(buffer));
    CHECK_EQ(memcmp(on_disk(2, 1, 1), buffer, 18 * 512), 0);
    CHECK_EQ(on_disk(2, 1, 1)[-1] == 0xf6 && on_disk(3, 0, 1)[0] == 0xf6, 0);
    ids[3][0] = 7; /* not this cylinder */
    physmem_write(&m.mem, GPA, ids, sizeof(ids));
    dma_setup(&m, FROM_MEMORY, GPA, sizeof(ids));
    SEND(0x4d, 4, 2, 18, 0x54, 0x11);
    expect(0x44, 0x04, 0x10, 7, 1, 4);
    CHECK_EQ(on_disk(2, 1, 3)[0] << 8 | on_disk(2, 1, 4)[0], 0x11f6);
    SEND(0x4d, 0, 2, 0, 0x54, 0x11);
    expect(0x40, 0x04, 0, 2, 0, 1);
    machine_free(&m);
}

/* --- Non-DMA mode ------------------------------------------------------- */

static void test_non_dma(void)
{
    unsigned edges;

    start();
    SEND(0x03, 0xdf, 0x03);
    edges = m.irq.edges;
    SEND(0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
    for (unsigned i = 0; i < 512; i++) {
        CHECK_EQ(msr(&m), 0xf0);
        CHECK_EQ(m.irq.level, 1);
        buffer[i] = in8(m.ports, 0x3f5);
    }
    CHECK_EQ(m.irq.edges - edges, 513); /* a byte each, and the result */
    CHECK_EQ(memcmp(buffer, on_disk(0, 0, 18), 512), 0);
    expect(0x40, 0x80, 0, 1, 0, 1);
    fill(7);
    SEND(0x45, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
    CHECK_EQ(msr(&m), 0xb0);
    CHECK_EQ(in8(m.ports, 0x3f5), 0); /* the wrong way */
    send(&m, buffer, 1024);
    expect(0x40, 0x80, 0, 1, 0, 1);
    CHECK_EQ(memcmp(buffer, on_disk(0, 0, 17), 1024), 0);
    SEND(0x13, 0, 0x0f, 0); /* with a FIFO of 16 */
    edges = m.irq.edges;
    SEND(0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
    for (unsigned i = 0; i < 512; i++)
        in8(m.ports, 0x3f5);
    CHECK_EQ(m.irq.edges - edges, 33);
    expect(0x40, 0x80, 0, 1, 0, 1);
    machine_free(&m);
}

/* --- Errors of the medium ----------------------------------------------- */

static void test_errors(void)
{
    start();
    m.disk.err = -EIO;
    m.disk.bad = 4 * 512;
    m.disk.bad_size = 512;
    dma_setup(&m, TO_MEMORY, GPA, 18 * 512);
    SEND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x20, 0x20, 0, 0, 5);
    expect_memory(on_disk(0, 0, 1), 4 * 512);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA + 4 * 512), 0);
    fill(9);
    dma_setup(&m, FROM_MEMORY, GPA, 18 * 512);
    SEND(0xc5, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x20, 0x20, 0, 0, 5);
    CHECK_EQ(memcmp(on_disk(0, 0, 1), buffer, 4 * 512), 0);
    SEND(0x56, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x20, 0x20, 0, 0, 5);
    machine_free(&m);
}

/* --- Resets ------------------------------------------------------------- */

static void test_reset(void)
{
    start();
    seek_to(5);
    SEND(0x46, 0, 5, 0); /* half a command */
    CHECK_EQ(msr(&m), 0x90);
    out8(m.ports, 0x3f2, 0x18);
    CHECK_EQ(msr(&m), 0);
    out8(m.ports, 0x3f2, 0x1c);
    sense_reset();
    out8(m.ports, 0x3f4, 0x80);
    sense_reset();
    SEND(0x13, 0, 0x10, 0); /* no polling, no interrupt; forgotten by the reset */
    out8(m.ports, 0x3f4, 0x80);
    sense_reset();
    SEND(0x13, 0, 0x57, 0x21);
    SEND(0x94);
    take_result(&m);
    CHECK_EQ(m.result[0], 0x10);
    out8(m.ports, 0x3f4, 0x80);
    CHECK_EQ(m.irq.level, 0);
    SEND(0x0e);
    take_result(&m);
    CHECK_EQ(m.result_size, 10);
    CHECK_EQ(m.result[8] << 8 | m.result[9], 0x5721);
    CHECK_EQ(m.result[7], 0x80);
    machine_free(&m);
}

static void test_reset_in_flight(void)
{
    start();
    m.disk.manual = true;
    dma_setup(&m, TO_MEMORY, GPA, 512);
    SEND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(m.disk.queued, 1);
    CHECK_EQ(fdc_is_idle(m.fdc), 0);
    out8(m.ports, 0x3f4, 0x80);
    CHECK_EQ(msr(&m), 0); /* until the medium is done */
    CHECK_EQ(m.irq.level, 0);
    medium_run(&m.disk);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA), 0);
    sense_reset();
    m.disk.dev.drain = medium_drain; /* by the board: at once, if the medium can */
    SEND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    fdc_reset(m.fdc);
    CHECK_EQ(fdc_is_idle(m.fdc), 1);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA), 0);
    out8(m.ports, 0x3f2, 0x1c);
    sense_reset();
    out8(m.ports, 0x3f7, 0);
    SEND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    CHECK_EQ(m.disk.queued, 1);
    fdc_destroy(m.fdc);
    m.fdc = NULL;
    machine_free(&m);
}

/* --- Others ------------------------------------------------------------- */

static void test_small(void)
{
    start();
    SEND(0x10);
    take_result(&m);
    CHECK_EQ(m.result_size << 8 | m.result[0], 0x190);
    SEND(0x18); /* that would be a later chip */
    take_result(&m);
    CHECK_EQ(m.result_size << 8 | m.result[0], 0x180);
    SEND(0x12, 0x05);
    SEND(0x0e);
    take_result(&m);
    CHECK_EQ(m.result[4] << 8 | m.result[5], 0xdf02);
    CHECK_EQ(m.result[7], 0x05);
    SEND(0x04, 4);
    take_result(&m);
    CHECK_EQ(m.result[0], 0x3c);
    SEND(0xcf, 0, 10);
    sense(0x20, 10);
    SEND(0x8f, 0, 3);
    sense(0x20, 7);
    SEND(0x07, 1); /* nobody there */
    sense(0x71, 0);
    SEND(0x13, 0, 0x40, 0); /* implied seek */
    dma_setup(&m, TO_MEMORY, GPA, 512);
    SEND(0x46, 0, 60, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x00, 0, 0, 60, 0, 2);
    expect_memory(on_disk(60, 0, 1), 512);
    machine_free(&m);
}

/* Interrupts and DMA requests only when DOR lets them. */
static void test_gate(void)
{
    start();
    out8(m.ports, 0x3f2, 0x14);
    SEND(0x07, 0);
    CHECK_EQ(m.irq.level, 0);
    out8(m.ports, 0x3f2, 0x1c);
    CHECK_EQ(m.irq.level, 1);
    sense(0x20, 0);
    CHECK_EQ(in8(m.ports, 0x3f0), 0xff);
    CHECK_EQ(in8(m.ports, 0x3f2), 0x1c);
    out8(m.ports, 0x3f3, 0xff);
    CHECK_EQ(in8(m.ports, 0x3f3), 3);
    machine_free(&m);
}

static void test_change_line(void)
{
    start();
    CHECK_EQ(in8(m.ports, 0x3f7), 0x80);
    seek_to(1);
    CHECK_EQ(in8(m.ports, 0x3f7), 0);
    m.disk.dev.present = false;
    m.disk.dev.changed(m.disk.dev.controller);
    CHECK_EQ(in8(m.ports, 0x3f7), 0x80);
    seek_to(2); /* with no disk it stays */
    CHECK_EQ(in8(m.ports, 0x3f7), 0x80);
    m.disk.dev.present = true;
    m.disk.dev.changed(m.disk.dev.controller);
    seek_to(2); /* no step */
    CHECK_EQ(in8(m.ports, 0x3f7), 0x80);
    seek_to(1);
    CHECK_EQ(in8(m.ports, 0x3f7), 0);
    machine_free(&m);
}

/* 2.88 MB, of which the end is zeros: a boot program alone, and one sector more than 1.44 MB. */
static void test_other_sizes(void)
{
    static const uint64_t sizes[] = { 36 * 512, 2881 * 512, 1000 * 1024 };

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        start_with(sizes[i], 3);
        CHECK_EQ(fdc_drive_kind(&m.disk.dev), FDC_DRIVE_2880K);
        dma_setup(&m, TO_MEMORY, GPA, 35 * 512);
        SEND(0x46, 0, 0, 0, 2, 2, 36, 0x1b, 0xff);
        expect(0, 0, 0, 1, 0, 1);
        expect_memory(m.disk.bytes + 512, 35 * 512);
        seek_to(79);
        physmem_write(&m.mem, GPA, "x", 1);
        dma_setup(&m, TO_MEMORY, GPA, 512);
        SEND(0x46, 0, 79, 0, 1, 2, 36, 0x1b, 0xff);
        expect(0, 0, 0, 79, 0, 2);
        CHECK_EQ(physmem_ptr(&m.mem, GPA)[0] | physmem_ptr(&m.mem, GPA)[1], 0);
        dma_setup(&m, FROM_MEMORY, GPA, 512);
        SEND(0x45, 0, 79, 0, 1, 2, 36, 0x1b, 0xff);
        expect(0x40, 0x20, 0x20, 79, 0, 1);
        machine_free(&m);
    }
}

static void test_formats(void)
{
    static const struct { unsigned kib, cylinder, head, last, rate, drive; } cases[] = {
        { 160, 39, 0, 8, 2, 1 },   { 180, 39, 0, 9, 2, 1 },   { 320, 39, 1, 8, 1, 1 },
        { 360, 39, 1, 9, 1, 1 },   { 720, 79, 1, 9, 2, 3 },   { 1200, 79, 1, 15, 0, 2 },
        { 1440, 79, 1, 18, 0, 4 }, { 1680, 79, 1, 21, 0, 4 }, { 2880, 79, 1, 36, 3, 5 },
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned c = cases[i].cylinder, h = cases[i].head, r = cases[i].last;

        start_with(cases[i].kib * 1024, cases[i].rate);
        CHECK_EQ(fdc_drive_kind(&m.disk.dev), cases[i].drive);
        seek_to(c);
        dma_setup(&m, TO_MEMORY, GPA, 512);
        SEND(0x46, h << 2, c, h, r, 2, r, 0x1b, 0xff);
        expect(h << 2, 0, 0, c + 1, h, 1);
        expect_memory(m.disk.bytes + cases[i].kib * 1024 - 512, 512);
        SEND(0x46, h << 2, c, h, r + 1, 2, r + 1, 0x1b, 0xff);
        expect(0x40 | h << 2, 0x04, 0, c, h, r + 1);
        machine_free(&m);
    }
    start_with(160 * 1024, 2); /* one side */
    SEND(0x46, 4, 0, 1, 1, 2, 8, 0x1b, 0xff);
    expect(0x44, 0x04, 0, 0, 1, 1);
    SEND(0x4a, 4);
    expect(0x44, 0x01, 0, 0, 1, 1);
    machine_free(&m);
    test_other_sizes();
}

static void test_snapshot(void)
{
    static uint8_t image[64 << 10];

    start();
    SEND(0x03, 0xdf, 0x03);
    SEND(0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
    for (unsigned i = 0; i < 100; i++)
        buffer[i] = in8(m.ports, 0x3f5);
    fdc_snapshot(m.fdc, &(struct snap){ .at = image });
    fdc_reset(m.fdc);
    fdc_snapshot(m.fdc, &(struct snap){ .loading = true, .at = image });
    for (unsigned i = 100; i < 512; i++)
        buffer[i] = in8(m.ports, 0x3f5);
    CHECK_EQ(memcmp(buffer, on_disk(0, 0, 18), 512), 0);
    machine_free(&m);
}

/* Anything, under AddressSanitizer; then it works after a reset. */
static void test_garbage(void)
{
    uint64_t seed = 99;

    start();
    m.disk.manual = true;
    for (unsigned i = 0; i < 300000; i++) {
        unsigned what, value;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        what = seed >> 58;
        value = seed >> 40 & 0xff;
        m.disk.err = what == 9 ? -EIO : 0;
        if (what < 32)
            out8(m.ports, 0x3f5, what < 16 ? value : value & 0x4f);
        else if (what < 40)
            in8(m.ports, 0x3f0 + value % 8);
        else if (what < 44)
            out8(m.ports, 0x3f0 + value % 6, value | 0x0c);
        else if (what < 46)
            dma_setup(&m, 0x42 | (value & 0x3c), seed >> 20 & 0xfffff, 1 + value * 16);
        else if (what < 56 && m.disk.queued)
            medium_step(&m.disk, 0);
        else if (what == 60 && value < 4)
            out8(m.ports, 0x3f4, 0x80);
    }
    m.disk.manual = false;
    m.disk.err = 0;
    medium_run(&m.disk);
    fdc_reset(m.fdc);
    out8(m.ports, 0x3f2, 0x1c);
    sense_reset();
    out8(m.ports, 0x3f7, 0);
    dma_setup(&m, TO_MEMORY, GPA, 512);
    SEND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0, 0, 0, 0, 0, 2);
    expect_memory(on_disk(0, 0, 1), 512);
    machine_free(&m);
}

int main(void)
{
    test_read();
    test_late_dma();
    test_rate_at_reset();
    test_not_there();
    test_read_id();
    test_verify();
    test_write();
    test_format();
    test_non_dma();
    test_errors();
    test_reset();
    test_reset_in_flight();
    test_small();
    test_gate();
    test_change_line();
    test_formats();
    test_snapshot();
    test_garbage();
    return CHECK_DONE();
}
