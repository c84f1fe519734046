/* The IDE function itself: selection, resets, interrupts, DMA tables, PCI registers, and requests
 * that are done late. */
#include "devices/ide.h"

#include "base/snap.h"
#include "tests/unit/ide_machine.h"

static const uint64_t one_disk[4] = { 1 << 20 }, two_drives[4] = { 1 << 20, 2 << 20 };
static uint8_t sector[512 * 256];

static void expect_signature(struct machine *m, uint8_t mid, uint8_t high)
{
    CHECK_EQ(rd(m, R_ERROR), 1);
    CHECK_EQ(rd(m, R_COUNT), 1);
    CHECK_EQ(rd(m, R_LOW), 1);
    CHECK_EQ(rd(m, R_MID), mid);
    CHECK_EQ(rd(m, R_HIGH), high);
}

static void test_selection(void)
{
    const uint64_t second[4] = { 0, 1 << 20, 4 << 20 };
    struct machine m;

    machine_init(&m, one_disk, 0);
    CHECK_EQ(alternate(&m), 0x50);
    CHECK_EQ(rd(&m, R_DEVICE), 0xa0);
    expect_signature(&m, 0, 0);
    select_drive(&m, 1);
    CHECK_EQ(rd(&m, R_DEVICE), 0xb0);
    CHECK_EQ(alternate(&m), 0);
    CHECK_EQ(rd(&m, R_STATUS), 0);
    command(&m, 0xec); /* nobody there */
    CHECK_EQ(alternate(&m), 0);
    CHECK_EQ(m.irq[0].edges, 0);
    m.base = 0x170; /* no drive at all: the bus floats, DD7 pulled down: not busy for ever */
    CHECK_EQ(alternate(&m), 0x7f);
    CHECK_EQ(rd(&m, R_STATUS), 0x7f);
    wr(&m, R_COUNT, 0x55);
    CHECK_EQ(rd(&m, R_COUNT), 0x7f);
    command(&m, 0x90);
    CHECK_EQ(m.irq[1].edges, 0);
    CHECK_EQ(bus_read(m.ports, m.base, 2), 0xffff); /* data, of which there is no buffer either */
    bus_write(m.ports, m.base, 2, 0x1234);
    machine_free(&m);
    machine_init(&m, second, 1 << 2);
    CHECK_EQ(alternate(&m), 0);
    select_drive(&m, 1);
    CHECK_EQ(alternate(&m), 0x50);
    m.base = 0x170;
    CHECK_EQ(alternate(&m), 0);
    expect_signature(&m, 0x14, 0xeb);
    machine_free(&m);
}

static void test_interrupt(void)
{
    struct machine m;

    machine_init(&m, two_drives, 0);
    command(&m, 0xe7);
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(m.media[0].flushes, 1);
    alternate(&m); /* does not acknowledge */
    CHECK_EQ(m.irq[0].level, 1);
    select_drive(&m, 1); /* the other drive drives the wire now */
    CHECK_EQ(m.irq[0].level, 0);
    select_drive(&m, 0);
    CHECK_EQ(m.irq[0].level, 1);
    control(&m, 2);
    CHECK_EQ(m.irq[0].level, 0);
    control(&m, 0);
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(m.irq[0].level, 0);
    command(&m, 0xe7);
    command(&m, 0xe7); /* a command acknowledges, too */
    CHECK_EQ(m.irq[0].edges, 5);
    machine_free(&m);
}

static void test_hob(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    wr(&m, R_COUNT, 0x12);
    wr(&m, R_COUNT, 0x34);
    wr(&m, R_HIGH, 0x56);
    wr(&m, R_HIGH, 0x78);
    control(&m, 0x80);
    CHECK_EQ(rd(&m, R_COUNT), 0x12);
    CHECK_EQ(rd(&m, R_HIGH), 0x56);
    wr(&m, R_LOW, 1); /* a write of a register ends it */
    CHECK_EQ(rd(&m, R_COUNT), 0x34);
    CHECK_EQ(rd(&m, R_HIGH), 0x78);
    machine_free(&m);
}

static void test_diagnostic(void)
{
    const uint64_t drives[4] = { 1 << 20, 4 << 20 };
    struct machine m;

    machine_init(&m, drives, 1 << 1);
    select_drive(&m, 1);
    command(&m, 0xec); /* its interrupt is forgotten */
    select_drive(&m, 0);
    command(&m, 0x90);
    rd(&m, R_STATUS);
    select_drive(&m, 1);
    CHECK_EQ(m.irq[0].level, 0);
    command(&m, 0x90);
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(rd(&m, R_DEVICE), 0xa0);
    expect_signature(&m, 0, 0);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    select_drive(&m, 1);
    expect_signature(&m, 0x14, 0xeb);
    CHECK_EQ(alternate(&m), 0);
    machine_free(&m);
}

static void soft_reset(struct machine *m)
{
    control(m, 4);
    CHECK_EQ(alternate(m), 0x80);
    control(m, 0);
}

static void test_reset(void)
{
    struct machine m;

    machine_init(&m, two_drives, 0);
    select_drive(&m, 1);
    address28(&m, 5, 1);
    command(&m, 0x20);
    CHECK_EQ(alternate(&m), 0x58);
    CHECK_EQ(m.irq[0].level, 1);
    soft_reset(&m);
    CHECK_EQ(m.irq[0].level, 0);
    CHECK_EQ(rd(&m, R_DEVICE), 0xa0);
    expect_signature(&m, 0, 0);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    command(&m, 0xe7);
    CHECK_EQ(m.media[0].flushes, 1);
    select_drive(&m, 1);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    machine_free(&m);
}

/* A reset while the medium works: BSY until that is done, and its data goes nowhere. */
static void test_reset_in_flight(void)
{
    struct machine m;
    unsigned edges;

    machine_init(&m, two_drives, 0);
    m.media[0].manual = true;
    prds(&m, GPA, 512);
    address28(&m, 5, 1);
    command(&m, 0xc8);
    dma_start(&m, true);
    CHECK_EQ(alternate(&m), 0x80);
    wr(&m, R_COUNT, 0x77); /* nobody listens */
    wr(&m, R_DEVICE, 0x10);
    command(&m, 0xec);
    CHECK_EQ(m.media[0].queued, 1);
    soft_reset(&m);
    CHECK_EQ(alternate(&m), 0x80);
    command(&m, 0xec);
    CHECK_EQ(m.media[0].queued, 1);
    edges = m.irq[0].edges;
    medium_run(&m.media[0]);
    CHECK_EQ(alternate(&m), 0x50);
    expect_signature(&m, 0, 0);
    CHECK_EQ(m.irq[0].edges, edges);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA), 0);
    address28(&m, 6, 1); /* and it works again */
    command(&m, 0x20);
    medium_run(&m.media[0]);
    pio_in(&m, sector, 512);
    CHECK_EQ(memcmp(sector, m.media[0].bytes + 6 * 512, 512), 0);
    address28(&m, 7, 1); /* reset by the board: the same */
    command(&m, 0x20);
    ide_reset(m.ide);
    machine_enable(&m);
    CHECK_EQ(alternate(&m), 0x80);
    CHECK_EQ(ide_is_idle(m.ide), 0);
    medium_run(&m.media[0]);
    CHECK_EQ(alternate(&m), 0x50);
    CHECK_EQ(ide_is_idle(m.ide), 1);
    machine_free(&m);
}

/* A medium that drains: all is over when the reset is, and nothing has moved. */
static void test_reset_drains(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    m.media[0].manual = true;
    m.media[0].dev.drain = medium_drain;
    prds(&m, GPA, 512);
    address28(&m, 5, 1);
    command(&m, 0xc8);
    dma_start(&m, true);
    ide_reset(m.ide);
    CHECK_EQ(ide_is_idle(m.ide), 1);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA), 0);
    CHECK_EQ(m.irq[0].edges, 0);
    machine_enable(&m);
    CHECK_EQ(alternate(&m), 0x50);
    machine_free(&m);
}

/* What failed is not tried again for a drive that is reset. */
static void test_reset_of_failure(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    m.media[0].manual = true;
    m.media[0].err = -EIO;
    m.media[0].bad_size = 64 * 512;
    address28(&m, 0, 64);
    command(&m, 0x20);
    soft_reset(&m);
    medium_run(&m.media[0]);
    CHECK_EQ(m.media[0].reads, 1);
    m.media[0].bad = 63 * 512; /* while it is tried sector by sector */
    address28(&m, 0, 64);
    command(&m, 0x20);
    for (unsigned i = 0; i < 5; i++)
        medium_step(&m.media[0], 0);
    soft_reset(&m);
    CHECK_EQ(m.media[0].queued, 1);
    medium_run(&m.media[0]);
    CHECK_EQ(m.media[0].reads, 7);
    CHECK_EQ(alternate(&m), 0x50);
    machine_free(&m);
}

/* The chip goes first; the request ends after it. */
static void test_destroy_in_flight(void)
{
    struct machine m;

    machine_init(&m, two_drives, 0);
    m.media[0].manual = true;
    address28(&m, 5, 1);
    command(&m, 0x20);
    ide_destroy(m.ide);
    m.ide = NULL;
    CHECK_EQ(m.media[0].queued, 1);
    CHECK_EQ(m.media[0].dev.controller == NULL, 1);
    machine_free(&m);
}

/* Both channels at once, done in the other order. */
static void test_two_channels(void)
{
    const uint64_t drives[4] = { 1 << 20, 0, 1 << 20 };
    struct machine m;

    machine_init(&m, drives, 0);
    m.media[0].manual = m.media[2].manual = true;
    address28(&m, 5, 1);
    command(&m, 0x20);
    m.base = 0x170;
    address28(&m, 9, 1);
    command(&m, 0x20);
    medium_run(&m.media[2]);
    CHECK_EQ(m.irq[1].level, 1);
    CHECK_EQ(m.irq[0].level, 0);
    pio_in(&m, sector, 512);
    CHECK_EQ(memcmp(sector, m.media[2].bytes + 9 * 512, 512), 0);
    m.base = 0x1f0;
    CHECK_EQ(alternate(&m), 0x80);
    medium_run(&m.media[0]);
    CHECK_EQ(m.irq[0].level, 1);
    pio_in(&m, sector, 512);
    CHECK_EQ(memcmp(sector, m.media[0].bytes + 5 * 512, 512), 0);
    machine_free(&m);
}

/* --- DMA ---------------------------------------------------------------- */

static void test_dma_scatter(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    physmem_watch(&m.mem, GPA >> 12, WATCH_TABLE);
    prd(&m, 0, GPA + 0xf00, 0x300, false); /* over a page's end; the first page is traced */
    prd(&m, 1, GPA + 0x10000, 2, false);
    prd(&m, 2, GPA + 0x20001, 0x1000 - 0x302, true); /* the low bit does not count */
    address28(&m, 8, 8);
    command(&m, 0xc8);
    CHECK_EQ(m.irq[0].level, 0); /* waits for START */
    dma_start(&m, true);
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(dma_stop(&m), 4);
    CHECK_EQ(in8(m.ports, bm(&m) + 2), 0);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(in8(m.ports, bm(&m) + 2), 0); /* set when the interrupt comes, not when it goes */
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA + 0xf00), m.media[0].bytes + 4096, 0x300), 0);
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA + 0x10000), m.media[0].bytes + 4096 + 0x300, 2), 0);
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA + 0x20000), m.media[0].bytes + 4096 + 0x302,
                    0x1000 - 0x302), 0);
    CHECK_EQ(m.traced, 1);
    machine_free(&m);
}

/* START before the command; a table longer than the command stays active. */
static void test_dma_order(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    prds(&m, GPA, 2048);
    dma_start(&m, true);
    CHECK_EQ(in8(m.ports, bm(&m) + 2), 1);
    address28(&m, 8, 2);
    command(&m, 0xc8);
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(dma_stop(&m), 5);
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA), m.media[0].bytes + 4096, 1024), 0);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA + 1024), 0);
    machine_free(&m);
}

static void test_dma_short(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    prds(&m, GPA, 512);
    address28(&m, 8, 2);
    command(&m, 0xc8);
    dma_start(&m, true);
    CHECK_EQ(m.irq[0].level, 0);
    CHECK_EQ(dma_stop(&m), 0);
    CHECK_EQ(alternate(&m), 0x50);
    address28(&m, 8, 2); /* of a write nothing is written */
    command(&m, 0xca);
    dma_start(&m, false);
    CHECK_EQ(m.media[0].writes, 0);
    machine_free(&m);
}

static void expect_dma_error(struct machine *m)
{
    CHECK_EQ(m->irq[0].level, 1);
    CHECK_EQ(dma_stop(m), 6);
    CHECK_EQ(rd(m, R_ERROR), 0x84);
    CHECK_EQ(rd(m, R_STATUS), 0x51);
}

static void test_dma_outside(void)
{
    static const uint32_t places[] = { RAM - 256, 0xfffffffe, 0xe0000000 };
    struct machine m;

    machine_init(&m, one_disk, 0);
    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        prds(&m, places[i], 512);
        address28(&m, 8, 1);
        command(&m, 0xc8);
        dma_start(&m, true);
        expect_dma_error(&m);
        address28(&m, 8, 1);
        command(&m, 0xca);
        dma_start(&m, false);
        expect_dma_error(&m);
        CHECK_EQ(m.media[0].writes, 0);
    }
    address28(&m, 8, 1); /* the table itself */
    command(&m, 0xc8);
    bus_write(m.ports, BMIDE + 4, 4, RAM - 4);
    out8(m.ports, BMIDE, 9);
    expect_dma_error(&m);
    machine_free(&m);
}

static void test_dma_master(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    machine_config(&m, PCI_COMMAND, 2, PCI_COMMAND_IO);
    prds(&m, GPA, 512);
    address28(&m, 8, 1);
    command(&m, 0xc8);
    dma_start(&m, true);
    CHECK_EQ(m.irq[0].level, 0);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA), 0);
    machine_config(&m, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA), m.media[0].bytes + 4096, 512), 0);
    machine_free(&m);
}

static void test_dma_registers(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    bus_write(m.ports, BMIDE + 4, 4, 0x12345677);
    CHECK_EQ(bus_read(m.ports, BMIDE + 4, 4), 0x12345674);
    bus_write(m.ports, BMIDE + 14, 2, 0xabcd);
    CHECK_EQ(bus_read(m.ports, BMIDE + 12, 4), 0xabcd0000);
    out8(m.ports, BMIDE + 2, 0xff);
    CHECK_EQ(in8(m.ports, BMIDE + 2), 0x60);
    out8(m.ports, BMIDE + 2, 0);
    CHECK_EQ(in8(m.ports, BMIDE + 2), 0);
    out8(m.ports, BMIDE + 8, 0x09);
    CHECK_EQ(bus_read(m.ports, BMIDE + 8, 4), 0x10009);
    machine_free(&m);
}

/* --- PCI, snapshots ----------------------------------------------------- */

static void test_decode(void)
{
    struct machine m;

    machine_init(&m, one_disk, 0);
    CHECK_EQ(pci_config_read(m.pci, 1 << 11 | 1 << 8, 4), 0x70108086);
    CHECK_EQ(pci_config_read(m.pci, 1 << 11 | 1 << 8 | 8, 4), 0x01018000);
    machine_config(&m, 0x40, 2, 0);
    CHECK_EQ(alternate(&m), 0xff);
    CHECK_EQ(rd(&m, R_DEVICE), 0xff);
    machine_config(&m, 0x40, 2, 0x8000);
    CHECK_EQ(alternate(&m), 0x50);
    ide_reset(m.ide);
    CHECK_EQ(alternate(&m), 0xff);
    CHECK_EQ(in8(m.ports, BMIDE), 0xff);
    machine_free(&m);
}

/* On a board whose firmware sets no bit of IDETIM. */
static void test_decodes(void)
{
    struct machine m;
    struct ide_config config = { .slot = 1, .function = 1, .decodes = true };

    machine_init(&m, one_disk, 0);
    ide_destroy(m.ide);
    config.pci = m.pci;
    config.ports = m.ports;
    config.mem = &m.mem;
    config.drive[0] = &m.media[0].dev;
    m.ide = ide_create(&config);
    CHECK_EQ(alternate(&m), 0x50);
    machine_config(&m, 0x40, 2, 0);
    CHECK_EQ(alternate(&m), 0xff);
    ide_reset(m.ide);
    CHECK_EQ(alternate(&m), 0x50);
    machine_free(&m);
}

/* In the middle of a block. */
static void test_snapshot(void)
{
    static uint8_t image[200 << 10], again[200 << 10];
    struct snap save = { .at = image }, load = { .loading = true, .at = image },
                second = { .at = again };
    struct machine m;

    machine_init(&m, two_drives, 0);
    select_drive(&m, 1);
    address28(&m, 3, 2);
    command(&m, 0x20);
    pio_in(&m, sector, 100);
    ide_snapshot(m.ide, &save);
    ide_reset(m.ide);
    ide_snapshot(m.ide, &load);
    CHECK_EQ(load.at - image, save.at - image);
    ide_snapshot(m.ide, &second);
    CHECK_EQ(memcmp(image, again, save.at - image), 0);
    CHECK_EQ(alternate(&m), 0x58);
    pio_in(&m, sector + 100, 924);
    CHECK_EQ(memcmp(sector, m.media[1].bytes + 3 * 512, 1024), 0);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    machine_free(&m);
}

static void test_place_taken(void)
{
    struct machine m;
    struct ide_config config = { .slot = 1, .function = 1 };

    machine_init(&m, one_disk, 0);
    config.pci = m.pci;
    config.ports = m.ports;
    config.mem = &m.mem;
    errno = 0;
    CHECK_EQ(ide_create(&config) == NULL, 1);
    CHECK_EQ(errno, EEXIST);
    machine_free(&m);
}

int main(void)
{
    test_selection();
    test_interrupt();
    test_hob();
    test_diagnostic();
    test_reset();
    test_reset_in_flight();
    test_reset_drains();
    test_reset_of_failure();
    test_destroy_in_flight();
    test_two_channels();
    test_dma_scatter();
    test_dma_order();
    test_dma_short();
    test_dma_outside();
    test_dma_master();
    test_dma_registers();
    test_decode();
    test_decodes();
    test_snapshot();
    test_place_taken();
    return CHECK_DONE();
}
