/* Each packet command of a CD-ROM, by PIO and by DMA, its tray, and errors of the disc. */
#include "tests/unit/ide_machine.h"

enum { SECTORS = 200 };

static uint8_t buffer[100 * 2352];
static struct machine m;
static struct medium *disc;

static void start_with(uint64_t size)
{
    const uint64_t sizes[4] = { 0, 0, size };

    machine_init(&m, sizes, 1 << 2);
    m.base = 0x170;
    disc = &m.media[2];
}

/* Sends a packet; by PIO the limit of a block is given. */
static void send(const uint8_t packet[12], bool dma, uint16_t limit)
{
    wr(&m, 1, dma);
    wr(&m, R_MID, limit & 0xff);
    wr(&m, R_HIGH, limit >> 8);
    command(&m, 0xa0);
    CHECK_EQ(m.irq[1].level, 0);
    CHECK_EQ(rd(&m, R_STATUS), 0x58);
    CHECK_EQ(rd(&m, R_COUNT), 1);
    pio_out(&m, packet, 12);
}

/* Takes the answer's blocks; its size. */
static unsigned receive(void)
{
    unsigned at = 0, size;

    while (alternate(&m) & 8) {
        CHECK_EQ(m.irq[1].level, 1);
        CHECK_EQ(rd(&m, R_COUNT), 2);
        rd(&m, R_STATUS);
        size = rd(&m, R_MID) | rd(&m, R_HIGH) << 8;
        pio_in(&m, buffer + at, size);
        at += size;
    }
    CHECK_EQ(m.irq[1].level, 1);
    CHECK_EQ(rd(&m, R_COUNT), 3);
    return at;
}

/* The whole command by PIO; the answer's size, or -1 when it failed. */
static int run(const uint8_t packet[12])
{
    unsigned size;

    memset(buffer, 0xcc, sizeof(buffer));
    send(packet, false, 0xfffe);
    size = receive();
    return rd(&m, R_STATUS) == 0x50 ? (int)size : -1;
}

#define RUN(...) run((const uint8_t[12]){ __VA_ARGS__ })

static void expect_sense(uint8_t key, uint8_t asc, uint8_t ascq)
{
    CHECK_EQ(RUN(0x03, 0, 0, 0, 18), 18);
    CHECK_EQ(buffer[0], 0x70);
    CHECK_EQ(buffer[2], key);
    CHECK_EQ(buffer[12], asc);
    CHECK_EQ(buffer[13], ascq);
}

static void expect_failure(int result, uint8_t key, uint8_t asc, uint8_t ascq)
{
    CHECK_EQ(result, -1);
    CHECK_EQ(rd(&m, R_ERROR), key << 4 | (key == 5 ? 4 : 0));
    expect_sense(key, asc, ascq);
    expect_sense(0, 0, 0);
}

/* Through the unit attention after power-on. */
static void start(void)
{
    start_with(SECTORS * 2048);
    CHECK_EQ(alternate(&m), 0);
    CHECK_EQ(RUN(0x12, 0, 0, 0, 36), 36); /* is not stopped by it */
    CHECK_EQ(RUN(0), -1);
    CHECK_EQ(rd(&m, R_ERROR), 0x60);
    expect_sense(6, 0x29, 0);
    CHECK_EQ(RUN(0), 0);
}

static void test_identify(void)
{
    start();
    command(&m, 0xec);
    CHECK_EQ(rd(&m, R_ERROR), 4);
    CHECK_EQ(rd(&m, R_STATUS), 0x51);
    CHECK_EQ(rd(&m, R_MID), 0x14);
    CHECK_EQ(rd(&m, R_HIGH), 0xeb);
    command(&m, 0x20);
    CHECK_EQ(rd(&m, R_STATUS), 0x51);
    command(&m, 0xa1);
    CHECK_EQ(rd(&m, R_STATUS), 0x58);
    pio_in(&m, buffer, 512);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(buffer[0] | buffer[1] << 8, 0x85c0);
    CHECK_EQ(memcmp(buffer + 54, "ontvC -DOR M", 12), 0);
    command(&m, 0xc8);
    CHECK_EQ(rd(&m, R_STATUS), 0x51);
    wr(&m, 1, 3);
    wr(&m, R_COUNT, 0x22);
    command(&m, 0xef);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    command(&m, 0xe5);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    machine_free(&m);
}

/* Who asks for no data reads the count afterwards, and takes anything above for data (U-Boot). */
static void test_no_data_no_count(void)
{
    start();
    wr(&m, R_COUNT, 0x55);
    send((const uint8_t[12]){ 0 }, false, 0);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(rd(&m, R_COUNT), 3);
    CHECK_EQ(rd(&m, R_MID), 0);
    CHECK_EQ(rd(&m, R_HIGH), 0);
    machine_free(&m);
}

static void test_device_reset(void)
{
    start();
    disc->manual = true;
    send((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 3, 0, 0, 1 }, false, 2048);
    CHECK_EQ(alternate(&m), 0x80);
    command(&m, 0x08); /* the medium still works */
    CHECK_EQ(alternate(&m), 0x80);
    medium_run(disc);
    CHECK_EQ(alternate(&m), 0);
    CHECK_EQ(rd(&m, R_MID), 0x14);
    CHECK_EQ(rd(&m, R_ERROR), 1);
    disc->manual = false;
    CHECK_EQ(RUN(0), -1);
    expect_sense(6, 0x29, 0);
    send((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 3, 0, 0, 1 }, false, 2048);
    CHECK_EQ(alternate(&m), 0x58);
    command(&m, 0x08); /* in the middle of its data */
    CHECK_EQ(alternate(&m), 0);
    machine_free(&m);
}

static void test_inquiry(void)
{
    start();
    CHECK_EQ(RUN(0x12, 0, 0, 0, 96), 36);
    CHECK_EQ(buffer[0], 5);
    CHECK_EQ(buffer[1], 0x80);
    CHECK_EQ(memcmp(buffer + 8, "novt    CD-ROM          1.0 ", 28), 0);
    CHECK_EQ(RUN(0x12, 0, 0, 0, 5), 5);
    CHECK_EQ(buffer[4], 31);
    CHECK_EQ(RUN(0x12), 0);
    expect_failure(RUN(0x12, 1, 0, 0, 36), 5, 0x24, 0);
    expect_failure(RUN(0xff), 5, 0x20, 0);
    machine_free(&m);
}

/* --- Reading ------------------------------------------------------------ */

static void expect_data(const uint8_t *got, unsigned lba, unsigned count)
{
    CHECK_EQ(memcmp(got, disc->bytes + lba * 2048, count * 2048), 0);
}

static void test_read_pio(void)
{
    start();
    CHECK_EQ(RUN(0x25), 8);
    CHECK_EQ(buffer[3] | buffer[6] << 8, (SECTORS - 1) | 8 << 8);
    CHECK_EQ(RUN(0x28, 0, 0, 0, 0, 3, 0, 0, 2), 2 * 2048);
    expect_data(buffer, 3, 2);
    CHECK_EQ(RUN(0xa8, 0, 0, 0, 0, 10, 0, 0, 0, 100), 100 * 2048);
    expect_data(buffer, 10, 100);
    CHECK_EQ(RUN(0x28, 0, 0, 0, 0, SECTORS - 1, 0, 0, 1), 2048);
    CHECK_EQ(RUN(0x28, 0, 0, 0, 0, SECTORS, 0, 0, 0), 0);
    expect_failure(RUN(0x28, 0, 0, 0, 0, SECTORS - 1, 0, 0, 2), 5, 0x21, 0);
    expect_failure(RUN(0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 5, 0x21, 0);
    CHECK_EQ(RUN(0x2b, 0, 0, 0, 0, 5), 0);
    expect_failure(RUN(0x2b, 0, 0, 0, 1, 0), 5, 0x21, 0);
    machine_free(&m);
}

/* Blocks as the host wants them: odd ones are rounded, 0 is the most there can be. */
static void test_limits(void)
{
    static const struct { uint16_t limit, first; } cases[] = {
        { 2048, 2048 }, { 512, 512 }, { 513, 512 }, { 1, 2 }, { 0, 4096 }, { 0xffff, 4096 },
        { 3000, 3000 },
    };

    start();
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        send((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 7, 0, 0, 2 }, false, cases[i].limit);
        CHECK_EQ(rd(&m, R_MID) | rd(&m, R_HIGH) << 8, cases[i].first);
        CHECK_EQ(receive(), 4096);
        expect_data(buffer, 7, 2);
        CHECK_EQ(rd(&m, R_STATUS), 0x50);
    }
    machine_free(&m);
}

static void test_read_dma(void)
{
    start();
    prds(&m, GPA, 150 * 2048);
    send((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 3, 0, 0, 150 }, true, 0);
    CHECK_EQ(alternate(&m), 0x80);
    dma_start(&m, true);
    CHECK_EQ(m.irq[1].level, 1);
    CHECK_EQ(dma_stop(&m), 4);
    CHECK_EQ(rd(&m, R_COUNT), 3);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    expect_data(physmem_ptr(&m.mem, GPA), 3, 150);
    prds(&m, GPA, 36); /* answers go by DMA, too */
    send((const uint8_t[12]){ 0x12, 0, 0, 0, 36 }, true, 0);
    dma_start(&m, true);
    CHECK_EQ(dma_stop(&m), 4);
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA + 8), "novt", 4), 0);
    prds(&m, RAM - 1024, 2048);
    send((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 3, 0, 0, 1 }, true, 0);
    dma_start(&m, true);
    CHECK_EQ(dma_stop(&m), 6);
    CHECK_EQ(rd(&m, R_STATUS), 0x51);
    expect_sense(0x0b, 0x4b, 0);
    machine_free(&m);
}

static void test_read_cd(void)
{
    start();
    CHECK_EQ(RUN(0xbe, 0, 0, 0, 0, 3, 0, 0, 2, 0x10), 2 * 2048);
    expect_data(buffer, 3, 2);
    CHECK_EQ(RUN(0xbe, 0, 0, 0, 0, 100, 0, 0, 90, 0xf8), 90 * 2352);
    for (unsigned i = 0; i < 90; i++) {
        const uint8_t *frame = buffer + i * 2352;

        CHECK_EQ(memcmp(frame, "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12), 0);
        expect_data(frame + 16, 100 + i, 1);
        CHECK_EQ(frame[2351], 0);
    }
    CHECK_EQ(buffer[13] << 8 | buffer[14], 0x0325); /* 100 + 150 frames are 3 s and 25 */
    CHECK_EQ(buffer[15], 1);
    CHECK_EQ(RUN(0xbe, 0, 0, 0, 0, 3, 0, 0, 2, 0), 0);
    expect_failure(RUN(0xbe, 0, 0, 0, 0, 3, 0, 0, 2, 0x40), 5, 0x24, 0);
    CHECK_EQ(RUN(0xb9, 0, 0, 0, 2, 3, 0, 2, 5, 0x10), 2 * 2048);
    expect_data(buffer, 3, 2);
    expect_failure(RUN(0xb9, 0, 0, 0, 2, 5, 0, 2, 3, 0x10), 5, 0x24, 0);
    expect_failure(RUN(0xb9, 0, 0, 0, 0, 0, 0, 0, 5, 0x10), 5, 0x21, 0);
    machine_free(&m);
}

static void test_read_error(void)
{
    start();
    disc->err = -EIO;
    disc->bad = 5 * 2048;
    disc->bad_size = 2048;
    send((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 3, 0, 0, 4 }, false, 2048);
    CHECK_EQ(receive(), 2 * 2048); /* what is good comes first */
    expect_data(buffer, 3, 2);
    CHECK_EQ(rd(&m, R_ERROR), 0x30);
    CHECK_EQ(rd(&m, R_STATUS), 0x51);
    expect_sense(3, 0x11, 0);
    machine_free(&m);
}

/* --- Descriptions ------------------------------------------------------- */

static void test_toc(void)
{
    start();
    CHECK_EQ(RUN(0x43, 0, 0, 0, 0, 0, 0, 0, 12), 12);
    CHECK_EQ(buffer[1] << 16 | buffer[2] << 8 | buffer[3], 18 << 16 | 0x0101);
    CHECK_EQ(RUN(0x43, 0, 0, 0, 0, 0, 1, 0, 100), 20);
    CHECK_EQ(buffer[5] << 8 | buffer[6], 0x1401);
    CHECK_EQ(buffer[14] << 8 | buffer[19], 0xaa << 8 | SECTORS);
    CHECK_EQ(RUN(0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100), 12);
    CHECK_EQ(buffer[10] << 8 | buffer[11], (SECTORS + 150) / 75 << 8 | (SECTORS + 150) % 75);
    expect_failure(RUN(0x43, 0, 0, 0, 0, 0, 2, 0, 100), 5, 0x24, 0);
    CHECK_EQ(RUN(0x43, 0, 1, 0, 0, 0, 0, 0, 12), 12);
    CHECK_EQ(buffer[1] << 8 | buffer[6], 10 << 8 | 1);
    CHECK_EQ(RUN(0x43, 2, 2, 0, 0, 0, 0, 1, 0), 48);
    CHECK_EQ(buffer[1], 46);
    CHECK_EQ(buffer[7] << 16 | buffer[18] << 8 | buffer[29], 0xa0a1a2);
    CHECK_EQ(RUN(0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40), 12); /* the format where it once was */
    CHECK_EQ(buffer[1], 10);
    for (unsigned format = 3; format < 16; format++)
        expect_failure(RUN(0x43, 0, format, 0, 0, 0, 0, 0, 12), 5, 0x24, 0);
    machine_free(&m);
}

static void test_mode_sense(void)
{
    start();
    CHECK_EQ(RUN(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128), 28);
    CHECK_EQ(buffer[1] << 16 | buffer[2] << 8 | buffer[8], 26 << 16 | 1 << 8 | 0x2a);
    CHECK_EQ(buffer[14], 0x29);
    CHECK_EQ(RUN(0x1e, 0, 0, 0, 1), 0);
    CHECK_EQ(RUN(0x1a, 0, 0x2a, 0, 128), 24);
    CHECK_EQ(buffer[0] << 8 | buffer[10], 23 << 8 | 0x2b); /* locked now */
    CHECK_EQ(RUN(0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 128), 8 + 8 + 16 + 20);
    CHECK_EQ(RUN(0x5a, 0, 0x6a, 0, 0, 0, 0, 0, 128), 28);
    CHECK_EQ(buffer[9] << 8 | buffer[14], 18 << 8);
    expect_failure(RUN(0x5a, 0, 0xea, 0, 0, 0, 0, 0, 128), 5, 0x39, 0);
    expect_failure(RUN(0x5a, 0, 0x05, 0, 0, 0, 0, 0, 128), 5, 0x24, 0);
    machine_free(&m);
}

static void test_configuration(void)
{
    start();
    CHECK_EQ(RUN(0x46, 0, 0, 0, 0, 0, 0, 0, 8), 8);
    CHECK_EQ(buffer[6] << 8 | buffer[7], 0x0008);
    CHECK_EQ(RUN(0x46, 2, 0, 0, 0, 0, 0, 0, 100), 20);
    CHECK_EQ(buffer[14] << 8 | buffer[18], 0x00 << 8 | 0x01);
    CHECK_EQ(RUN(0x46, 2, 0, 0x1f, 0, 0, 0, 0, 100), 12);
    CHECK_EQ(buffer[10] & 1, 0);
    CHECK_EQ(RUN(0x46, 1, 0, 0, 0, 0, 0, 1, 0), 76);
    CHECK_EQ(RUN(0x46, 0, 0, 2, 0, 0, 0, 1, 0), 56);
    expect_failure(RUN(0x46, 3, 0, 0, 0, 0, 0, 0, 8), 5, 0x24, 0);
    disc->dev.present = false;
    CHECK_EQ(RUN(0x46, 0, 0, 0, 0, 0, 0, 0, 8), 8);
    CHECK_EQ(buffer[6] << 8 | buffer[7], 0);
    machine_free(&m);
}

static void test_disc(void)
{
    start();
    CHECK_EQ(RUN(0x51, 0, 0, 0, 0, 0, 0, 0, 100), 34);
    CHECK_EQ(buffer[2], 0x0e);
    expect_failure(RUN(0x51, 1, 0, 0, 0, 0, 0, 0, 100), 5, 0x24, 0);
    CHECK_EQ(RUN(0x52, 1, 0, 0, 0, 1, 0, 0, 100), 36);
    CHECK_EQ(buffer[27], SECTORS);
    CHECK_EQ(RUN(0x52, 0, 0, 0, 0, 7, 0, 0, 4), 4);
    expect_failure(RUN(0x52, 1, 0, 0, 0, 2, 0, 0, 36), 5, 0x24, 0);
    CHECK_EQ(RUN(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), 8);
    CHECK_EQ(buffer[1], 0);
    CHECK_EQ(RUN(0xbb, 0, 0xff, 0xff), 0);
    expect_failure(RUN(0xad, 0, 0, 0, 0, 0, 0, 0, 8), 5, 0x30, 2);
    machine_free(&m);
}

/* More than a CD holds. */
static void test_dvd(void)
{
    start();
    disc->dev.size = 400000ull * 2048;
    CHECK_EQ(RUN(0x46, 0, 0, 0, 0, 0, 0, 0, 8), 8);
    CHECK_EQ(buffer[7], 0x10);
    CHECK_EQ(RUN(0xad, 0, 0, 0, 0, 0, 0, 4, 8, 4), 2052);
    expect_failure(RUN(0xad, 0, 0, 0, 0, 0, 0, 0x77, 8, 4), 5, 0x24, 0);
    CHECK_EQ(RUN(0xad, 0, 0, 0, 0, 0, 0, 0, 0, 20), 20);
    CHECK_EQ(buffer[13] << 16 | buffer[14] << 8 | buffer[15], 0x30000 + 400000 - 1);
    machine_free(&m);
}

/* --- The tray ----------------------------------------------------------- */

static void expect_event(uint8_t event, uint8_t status)
{
    CHECK_EQ(RUN(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 8);
    CHECK_EQ(buffer[2], 0x04);
    CHECK_EQ(buffer[4], event);
    CHECK_EQ(buffer[5], status);
}

static void test_tray(void)
{
    start();
    expect_event(0, 2);
    CHECK_EQ(RUN(0x1e, 0, 0, 0, 1), 0);
    CHECK_EQ(disc->dev.locked, 1);
    expect_failure(RUN(0x1b, 0, 0, 0, 2), 5, 0x53, 2);
    CHECK_EQ(disc->dev.tray_open, 0);
    disc->dev.eject_request(disc->dev.controller);
    expect_event(1, 2);
    expect_event(0, 2);
    CHECK_EQ(RUN(0x1e), 0);
    CHECK_EQ(RUN(0x1b, 0, 0, 0, 2), 0);
    CHECK_EQ(disc->dev.tray_open, 1);
    CHECK_EQ(disc->trays, 1);
    expect_event(3, 1);
    expect_failure(RUN(0), 2, 0x3a, 2);
    expect_failure(RUN(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 2, 0x3a, 2);
    CHECK_EQ(RUN(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), 8);
    CHECK_EQ(buffer[1], 0x10);
    CHECK_EQ(RUN(0x1b, 0, 0, 0, 3), 0); /* in again */
    CHECK_EQ(disc->trays, 2);
    CHECK_EQ(RUN(0), 0);
    expect_event(2, 2);
    CHECK_EQ(RUN(0x1b, 0, 0, 0, 0), 0);
    expect_failure(RUN(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), 5, 0x24, 0);
    CHECK_EQ(RUN(0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8), 4);
    CHECK_EQ(buffer[2] << 8 | buffer[3], 0x8010);
    machine_free(&m);
}

static void test_change(void)
{
    start();
    disc->dev.present = false;
    disc->dev.changed(disc->dev.controller);
    expect_event(3, 0);
    expect_failure(RUN(0), 2, 0x3a, 0);
    expect_failure(RUN(0x25), 2, 0x3a, 0);
    disc->dev.present = true;
    disc->dev.size = 100 * 2048;
    disc->dev.changed(disc->dev.controller);
    CHECK_EQ(RUN(0x12, 0, 0, 0, 36), 36);
    expect_failure(RUN(0x25), 6, 0x28, 0);
    CHECK_EQ(RUN(0x25), 8);
    CHECK_EQ(buffer[3], 99);
    expect_event(2, 2);
    CHECK_EQ(RUN(0xff), -1);
    disc->dev.changed(disc->dev.controller);
    expect_sense(5, 0x20, 0); /* what went before */
    expect_sense(6, 0x28, 0); /* whoever asks first */
    CHECK_EQ(RUN(0), 0);
    machine_free(&m);
}

/* The disc is taken out while it is read; a shorter one comes. */
static void test_change_in_flight(void)
{
    start();
    disc->manual = true;
    send((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 3, 0, 0, 150 }, false, 2048);
    disc->dev.present = false;
    disc->dev.changed(disc->dev.controller);
    medium_run(disc);
    CHECK_EQ(rd(&m, R_STATUS), 0x51);
    disc->manual = false;
    expect_sense(2, 0x3a, 0);
    disc->dev.present = true;
    disc->dev.changed(disc->dev.controller);
    expect_failure(RUN(0), 6, 0x28, 0);
    send((const uint8_t[12]){ 0x28, 0, 0, 0, 0, 3, 0, 0, 150 }, false, 2048);
    disc->dev.size = 10 * 2048; /* before the second request */
    CHECK_EQ(receive(), 64 * 2048);
    CHECK_EQ(rd(&m, R_STATUS), 0x51);
    expect_sense(3, 0x11, 0);
    machine_free(&m);
}

static void test_lock_ends(void)
{
    start();
    CHECK_EQ(RUN(0x1e, 0, 0, 0, 1), 0);
    control(&m, 4);
    control(&m, 0);
    CHECK_EQ(disc->dev.locked, 0);
    CHECK_EQ(RUN(0), -1);
    expect_sense(6, 0x29, 0);
    machine_free(&m);
}

int main(void)
{
    test_identify();
    test_no_data_no_count();
    test_device_reset();
    test_inquiry();
    test_read_pio();
    test_limits();
    test_read_dma();
    test_read_cd();
    test_read_error();
    test_toc();
    test_mode_sense();
    test_configuration();
    test_disc();
    test_dvd();
    test_tray();
    test_change();
    test_change_in_flight();
    test_lock_ends();
    return CHECK_DONE();
}
