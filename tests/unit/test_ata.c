/* Each command of a disk. */
#include "base/snap.h"
#include "tests/unit/ata_disk.h"

static unsigned word(unsigned n)
{
    return buffer[2 * n] | buffer[2 * n + 1] << 8;
}

static void identify(void)
{
    command(&m, 0xec);
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(rd(&m, R_STATUS), 0x58);
    pio_in(&m, buffer, 512);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(m.irq[0].level, 0);
}

static void test_identify(void)
{
    start();
    identify();
    CHECK_EQ(word(1), 4);
    CHECK_EQ(word(3), 16);
    CHECK_EQ(word(4), 63 * 512);
    CHECK_EQ(word(5), 512);
    CHECK_EQ(word(6), 63);
    CHECK_EQ(word(60) | word(61) << 16, SECTORS);
    CHECK_EQ(word(100) | word(101) << 16, SECTORS);
    CHECK_EQ(word(83) & 0x2400, 0x2400);
    CHECK_EQ(word(88), 0x203f);
    CHECK_EQ(memcmp(buffer + 54, "ontvd si k", 10), 0);
    strcpy(disk->dev.serial, "AB");
    wr(&m, 1, 3);
    wr(&m, R_COUNT, 0x21);
    command(&m, 0xef);
    expect_ok();
    identify();
    CHECK_EQ(memcmp(buffer + 20, "BA  ", 4), 0);
    CHECK_EQ(word(88), 0x003f);
    CHECK_EQ(word(63), 0x0207);
    disk->dev.size = 512; /* a boot sector; firmware must find it in the first of the cylinders */
    identify();
    CHECK_EQ(word(1), 2);
    CHECK_EQ(word(54), 2);
    CHECK_EQ(word(57) | word(58) << 16, 1);
    CHECK_EQ(word(60) | word(61) << 16, 1);
    machine_free(&m);
}

/* --- Reading ------------------------------------------------------------ */

static void test_read_pio(void)
{
    start();
    read_pio(0x20, 0, 1, 1);
    read_pio(0x21, SECTORS - 3, 3, 1);
    read_pio(0x24, 1000, 513, 1); /* more than one request */
    read_pio(0xc4, 16, 100, 16);
    read_pio(0x29, 16, 530, 16);
    wr(&m, R_COUNT, 4);
    command(&m, 0xc6);
    expect_ok();
    read_pio(0xc4, 16, 9, 4);
    address28(&m, 5, 0); /* 0 is 256 */
    command(&m, 0x20);
    pio_in(&m, buffer, 256 * 512);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(memcmp(buffer, disk->bytes + 5 * 512, 256 * 512), 0);
    machine_free(&m);
}

/* By 32 bits, and by bytes, which no driver does. */
static void test_data_port(void)
{
    uint32_t value;

    start();
    address28(&m, 9, 1);
    command(&m, 0x20);
    for (unsigned i = 0; i < 508; i += 4) {
        value = bus_read(m.ports, 0x1f0, 4);
        memcpy(buffer + i, &value, 4);
    }
    for (unsigned i = 508; i < 512; i++)
        buffer[i] = in8(m.ports, 0x1f0);
    CHECK_EQ(memcmp(buffer, disk->bytes + 9 * 512, 512), 0);
    CHECK_EQ(alternate(&m), 0x50);
    CHECK_EQ(bus_read(m.ports, 0x1f0, 4), 0xffffffff);
    bus_write(m.ports, 0x1f0, 4, 0);
    address28(&m, 9, 1);
    command(&m, 0x20);
    bus_write(m.ports, 0x1f0, 4, 0); /* the wrong way: nothing happens */
    CHECK_EQ(bus_read(m.ports, 0x1f0, 1), disk->bytes[9 * 512]);
    machine_free(&m);
}

/* Many at once, as string instructions may: up to a block's end, and only whole ones. */
static void test_data_strings(void)
{
    uint8_t from[1024];
    unsigned edges;

    start();
    CHECK_EQ(bus_read_string(m.ports, 0x1f0, 2, buffer, 256), 0); /* no data yet */
    address28(&m, 9, 2);
    command(&m, 0x20);
    CHECK_EQ(bus_read_string(m.ports, 0x1f2, 2, buffer, 1), 0); /* another register */
    CHECK_EQ(bus_write_string(m.ports, 0x1f0, 2, buffer, 1), 0); /* the wrong way */
    CHECK_EQ(bus_read_string(m.ports, 0x1f0, 2, buffer, 100), 100);
    bus_read_string(m.ports, 0x1f0, 1, buffer + 200, 1);
    CHECK_EQ(bus_read_string(m.ports, 0x1f0, 2, buffer + 201, 1000), 155);
    CHECK_EQ(bus_read_string(m.ports, 0x1f0, 2, buffer + 511, 1000), 0); /* half a word */
    buffer[511] = in8(m.ports, 0x1f0);
    CHECK_EQ(rd(&m, R_STATUS), 0x58);
    CHECK_EQ(bus_read_string(m.ports, 0x1f0, 4, buffer + 512, 1000), 128);
    CHECK_EQ(memcmp(buffer, disk->bytes + 9 * 512, 1024), 0);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    edges = m.irq[0].edges;
    memset(from, 0x5a, sizeof(from));
    address28(&m, 20, 2);
    command(&m, 0x30);
    CHECK_EQ(bus_write_string(m.ports, 0x1f0, 2, from, 500), 256);
    CHECK_EQ(rd(&m, R_STATUS), 0x58);
    CHECK_EQ(bus_write_string(m.ports, 0x1f0, 2, from, 500), 256);
    machine_run(&m);
    CHECK_EQ(m.irq[0].edges - edges, 2);
    expect_ok();
    CHECK_EQ(memcmp(from, disk->bytes + 20 * 512, 1024), 0);
    machine_free(&m);
}

static void test_chs(void)
{
    start();
    wr(&m, R_COUNT, 2);
    wr(&m, R_LOW, 63);
    wr(&m, R_MID, 1);
    wr(&m, R_HIGH, 0);
    wr(&m, R_DEVICE, 0x0f);
    command(&m, 0x20); /* cylinder 1, head 15, sector 63, and the next */
    pio_in(&m, buffer, 1024);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(memcmp(buffer, disk->bytes + (2 * 16 * 63 - 1) * 512, 1024), 0);
    wr(&m, R_COUNT, 17); /* another translation: 4 heads, 17 sectors */
    wr(&m, R_DEVICE, 3);
    command(&m, 0x91);
    expect_ok();
    wr(&m, R_COUNT, 1);
    wr(&m, R_LOW, 17);
    wr(&m, R_MID, 2);
    wr(&m, R_DEVICE, 1);
    command(&m, 0x20);
    pio_in(&m, buffer, 512);
    CHECK_EQ(memcmp(buffer, disk->bytes + ((2 * 4 + 1) * 17 + 16) * 512, 512), 0);
    identify();
    CHECK_EQ(word(55), 4);
    CHECK_EQ(word(56), 17);
    wr(&m, R_LOW, 18);
    command(&m, 0x20);
    expect_error(0x10);
    wr(&m, R_LOW, 0);
    command(&m, 0x70);
    expect_error(0x10);
    wr(&m, R_LOW, 1);
    command(&m, 0x70);
    expect_ok();
    command(&m, 0x10);
    expect_ok();
    wr(&m, R_COUNT, 0);
    command(&m, 0x91);
    expect_error(0x04);
    wr(&m, R_COUNT, 64);
    command(&m, 0x91);
    expect_error(0x04);
    machine_free(&m);
}

static void test_range(void)
{
    static const uint8_t codes[] = { 0x20, 0x30, 0xc4, 0xc5, 0xc8, 0xca, 0x40 };

    start();
    for (unsigned i = 0; i < sizeof(codes); i++) {
        address28(&m, SECTORS - 1, 2);
        command(&m, codes[i]);
        expect_error(0x10);
        address28(&m, 0x0fffffff, 1);
        command(&m, codes[i]);
        expect_error(0x10);
    }
    address48(&m, 0xffffffffffff, 0xffff);
    command(&m, 0x25);
    expect_error(0x10);
    address48(&m, 0, 0); /* 65536 */
    command(&m, 0x24);
    expect_error(0x10);
    CHECK_EQ(disk->reads + disk->writes, 0);
    machine_free(&m);
}

static void test_read_dma(void)
{
    start();
    prds(&m, GPA, BIG * 512);
    address48(&m, 700, BIG);
    command(&m, 0x25);
    dma_start(&m, true);
    expect_ok();
    CHECK_EQ(dma_stop(&m), 4);
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA), disk->bytes + 700 * 512, BIG * 512), 0);
    address28(&m, 3, 2);
    command(&m, 0xc9);
    prds(&m, GPA, 1024);
    dma_start(&m, true);
    expect_ok();
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA), disk->bytes + 3 * 512, 1024), 0);
    machine_free(&m);
}

/* --- Writing ------------------------------------------------------------ */

static void test_write_pio(void)
{
    start();
    write_pio(0x30, 0, 1, 1);
    write_pio(0x31, 17, 3, 1);
    write_pio(0x34, 1000, 513, 1);
    write_pio(0xc5, 16, 100, 16);
    write_pio(0x39, 16, 530, 16);
    CHECK_EQ(disk->flushes, 0);
    write_pio(0xce, 16, 20, 16);
    CHECK_EQ(disk->flushes, 1);
    machine_free(&m);
}

static void write_dma(uint8_t code, uint64_t lba, unsigned count)
{
    fill(count * 512, code);
    physmem_write(&m.mem, GPA, buffer, count * 512);
    prds(&m, GPA, count * 512);
    if (code == 0xca || code == 0xcb)
        address28(&m, lba, count);
    else
        address48(&m, lba, count);
    command(&m, code);
    dma_start(&m, false);
    expect_ok();
    CHECK_EQ(dma_stop(&m), 4);
    CHECK_EQ(memcmp(buffer, disk->bytes + lba * 512, count * 512), 0);
}

static void test_write_dma(void)
{
    start();
    write_dma(0xca, 5, 3);
    write_dma(0xcb, 50, 3);
    write_dma(0x35, 700, BIG);
    CHECK_EQ(disk->flushes, 0);
    write_dma(0x3d, 70, 3);
    CHECK_EQ(disk->flushes, 1);
    wr(&m, 1, 0x82); /* no write cache: each write is flushed */
    command(&m, 0xef);
    expect_ok();
    CHECK_EQ(disk->flushes, 2);
    write_dma(0xca, 5, 3);
    CHECK_EQ(disk->flushes, 3);
    identify();
    CHECK_EQ(word(85) & 0x20, 0);
    wr(&m, 1, 0x02);
    command(&m, 0xef);
    expect_ok();
    write_dma(0xca, 5, 3);
    CHECK_EQ(disk->flushes, 3);
    machine_free(&m);
}

static void test_readonly(void)
{
    static const uint8_t codes[] = { 0x30, 0x34, 0xc5, 0xca, 0x35, 0x3d };

    start();
    disk->dev.readonly = true;
    for (unsigned i = 0; i < sizeof(codes); i++) {
        address48(&m, 5, 1);
        command(&m, codes[i]);
        expect_error(0x04);
    }
    wr(&m, 1, 1);
    command(&m, 0x06);
    expect_error(0x04);
    identify();
    CHECK_EQ(word(169), 0);
    machine_free(&m);
}

/* --- Others ------------------------------------------------------------- */

static void test_trim(void)
{
    uint64_t entries[64] = { 100 | 4ull << 48, 0, 200 | 1ull << 48 };

    start();
    memset(physmem_ptr(&m.mem, GPA), 0, 512);
    physmem_write(&m.mem, GPA, entries, sizeof(entries));
    prds(&m, GPA, 512);
    wr(&m, 1, 1);
    address48(&m, 0, 1);
    command(&m, 0x06);
    dma_start(&m, false);
    expect_ok();
    CHECK_EQ(disk->discards, 2);
    CHECK_EQ(disk->bytes[104 * 512 - 1] | disk->bytes[200 * 512], 0);
    entries[0] = (SECTORS - 1) | 2ull << 48;
    physmem_write(&m.mem, GPA, entries, sizeof(entries));
    dma_stop(&m);
    command(&m, 0x06);
    dma_start(&m, false);
    expect_error(0x14);
    CHECK_EQ(disk->discards, 2);
    disk->err = -EOPNOTSUPP; /* a hint that is not taken is no error */
    disk->bad = 0;
    disk->bad_size = disk->dev.size;
    entries[0] = 100 | 4ull << 48;
    physmem_write(&m.mem, GPA, entries, sizeof(entries));
    dma_stop(&m);
    command(&m, 0x06);
    dma_start(&m, false);
    expect_ok();
    wr(&m, R_COUNT, 0);
    wr(&m, R_COUNT, 9);
    command(&m, 0x06);
    expect_error(0x04);
    wr(&m, 1, 0);
    command(&m, 0x06);
    expect_error(0x04);
    machine_free(&m);
}

static void test_verify(void)
{
    start();
    address48(&m, 0, 700);
    command(&m, 0x42);
    expect_ok();
    CHECK_EQ(disk->reads, 3);
    machine_free(&m);
}

static void test_native_max(void)
{
    start();
    address28(&m, 0, 0);
    command(&m, 0xf8);
    expect_ok();
    CHECK_EQ(address_now(), SECTORS - 1);
    command(&m, 0x27);
    expect_ok();
    CHECK_EQ(rd(&m, R_LOW) | rd(&m, R_MID) << 8, SECTORS - 1);
    control(&m, 0x80);
    CHECK_EQ(rd(&m, R_LOW), 0);
    machine_free(&m);
}

static void test_power(void)
{
    start();
    command(&m, 0xe5);
    expect_ok();
    CHECK_EQ(rd(&m, R_COUNT), 0xff);
    command(&m, 0xe0);
    expect_ok();
    CHECK_EQ(disk->flushes, 1);
    command(&m, 0xe5);
    CHECK_EQ(rd(&m, R_COUNT), 0);
    command(&m, 0xe3);
    command(&m, 0x98);
    CHECK_EQ(rd(&m, R_COUNT), 0x80);
    read_pio(0x20, 3, 1, 1);
    command(&m, 0xe5);
    CHECK_EQ(rd(&m, R_COUNT), 0xff);
    rd(&m, R_STATUS);
    command(&m, 0xe6);
    expect_ok();
    command(&m, 0xec); /* asleep */
    CHECK_EQ(alternate(&m), 0x50);
    CHECK_EQ(m.irq[0].level, 0);
    control(&m, 4);
    control(&m, 0);
    read_pio(0x20, 3, 1, 1);
    machine_free(&m);
}

static void test_refused(void)
{
    static const uint8_t codes[] = { 0x00, 0x08, 0x2f, 0x61, 0x92, 0xa0, 0xa1, 0xb0, 0xc7,
                                     0xde, 0xf5, 0xf9, 0x37, 0xff };

    start();
    for (unsigned i = 0; i < sizeof(codes); i++) {
        command(&m, codes[i]);
        expect_error(0x04);
    }
    wr(&m, R_COUNT, 3);
    command(&m, 0xc6);
    expect_error(0x04);
    command(&m, 0xc4); /* blocks are off now */
    expect_error(0x04);
    wr(&m, R_COUNT, 0);
    command(&m, 0xc6);
    expect_ok();
    command(&m, 0xc5);
    expect_error(0x04);
    for (unsigned mode = 0; mode < 256; mode++) {
        bool good = mode < 2 || (mode >= 8 && mode < 13) || (mode >= 0x20 && mode < 0x23) ||
                    (mode >= 0x40 && mode < 0x46);

        wr(&m, 1, 3);
        wr(&m, R_COUNT, mode);
        command(&m, 0xef);
        CHECK_EQ(rd(&m, R_STATUS) << 8 | mode, (good ? 0x5000 : 0x5100) | mode);
    }
    wr(&m, 1, 0x05);
    command(&m, 0xef);
    expect_error(0x04);
    machine_free(&m);
}

int main(void)
{
    test_identify();
    test_read_pio();
    test_data_port();
    test_data_strings();
    test_chs();
    test_range();
    test_read_dma();
    test_write_pio();
    test_write_dma();
    test_readonly();
    test_trim();
    test_verify();
    test_native_max();
    test_power();
    test_refused();
    return CHECK_DONE();
}
