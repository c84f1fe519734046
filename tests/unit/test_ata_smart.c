/* A disk's SMART commands, and what IDENTIFY DEVICE says of them. */
#include "tests/unit/ata_disk.h"

enum { READ_DATA = 0xd0, READ_THRESHOLDS, AUTOSAVE, OFF_LINE = 0xd4, READ_LOG,
       ENABLE = 0xd8, DISABLE, RETURN_STATUS };

static void smart(uint8_t sub, uint8_t low, uint8_t count)
{
    address28(&m, 0xc24f00u | low, count);
    wr(&m, R_ERROR /* writes: features */, sub);
    command(&m, 0xb0);
}

static uint8_t sum_now(void)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + buffer[i]);
    return sum;
}

static void take(void)
{
    CHECK_EQ(m.irq[0].level, 1);
    CHECK_EQ(rd(&m, R_STATUS), 0x58);
    pio_in(&m, buffer, 512);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
}

static void read_smart(uint8_t sub, uint8_t low, uint8_t count)
{
    smart(sub, low, count);
    take();
    CHECK_EQ(sum_now(), 0);
}

static unsigned identify_word(unsigned word)
{
    command(&m, 0xec);
    take();
    return buffer[2 * word] | buffer[2 * word + 1] << 8;
}

static void test_switch(void)
{
    start();
    CHECK_EQ(identify_word(82) & 1, 1);
    CHECK_EQ(identify_word(84) & 3, 3);
    CHECK_EQ(identify_word(85) & 1, 1);
    smart(DISABLE, 0, 0);
    expect_ok();
    CHECK_EQ(identify_word(82) & 1, 1);
    CHECK_EQ(identify_word(85) & 1, 0);
    for (uint8_t sub = READ_DATA; sub <= RETURN_STATUS; sub++)
        if (sub != ENABLE) {
            smart(sub, 0, 1);
            expect_error(0x04);
        }
    smart(ENABLE, 0, 0);
    expect_ok();
    CHECK_EQ(identify_word(85) & 1, 1);
    machine_free(&m);
}

/* The same attributes in both, none of them below its threshold. */
static void test_data(void)
{
    uint8_t data[512];

    start();
    read_smart(READ_DATA, 0, 1);
    memcpy(data, buffer, sizeof(data));
    read_smart(READ_THRESHOLDS, 0, 1);
    CHECK_EQ(data[2], 1);
    for (unsigned i = 2; i < 2 + 30 * 12; i += 12) {
        CHECK_EQ(data[i], buffer[i]);
        CHECK_EQ(!data[i] || data[i + 3] > buffer[i + 1], true);
    }
    CHECK_EQ(data[362], 0x82);
    smart(AUTOSAVE, 0, 0);
    expect_ok();
    read_smart(READ_DATA, 0, 1);
    CHECK_EQ(buffer[362], 0x02);
    smart(AUTOSAVE, 0, 0xf1);
    expect_ok();
    smart(AUTOSAVE, 0, 1);
    expect_error(0x04);
    smart(RETURN_STATUS, 0, 0);
    expect_ok();
    CHECK_EQ(rd(&m, R_MID) == 0x4f && rd(&m, R_HIGH) == 0xc2, true);
    machine_free(&m);
}

/* The log holds the last 21. */
static void test_self_tests(void)
{
    start();
    read_smart(READ_LOG, 6, 1);
    CHECK_EQ(buffer[508], 0);
    smart(OFF_LINE, 0, 0);
    expect_ok();
    smart(OFF_LINE, 3, 0);
    expect_error(0x04);
    for (unsigned i = 0; i < 22; i++) {
        smart(OFF_LINE, i == 21 ? 2 : 1, 0);
        expect_ok();
    }
    read_smart(READ_LOG, 6, 1);
    CHECK_EQ(buffer[508], 1);
    CHECK_EQ(buffer[2], 2);
    for (unsigned i = 1; i < 21; i++)
        CHECK_EQ(buffer[2 + 24 * i] == 1 && buffer[3 + 24 * i] == 0, true);
    machine_free(&m);
}

static void test_logs(void)
{
    start();
    read_smart(READ_LOG, 0, 1);
    CHECK_EQ(buffer[0] == 1 && buffer[2] == 1 && buffer[12] == 1 && buffer[4] == 0, true);
    read_smart(READ_LOG, 1, 1);
    CHECK_EQ(buffer[452] | buffer[453], 0);
    smart(READ_LOG, 2, 1);
    expect_error(0x04);
    smart(READ_LOG, 1, 0);
    expect_error(0x04);
    smart(READ_LOG, 1, 2);
    expect_error(0x04);
    machine_free(&m);
}

/* Without its key, and where there is no such subcommand. */
static void test_refused(void)
{
    static const uint8_t subs[] = { 0x00, 0xc0, 0xd3, 0xd6, 0xd7, 0xdb, 0xdf, 0xe0 };

    start();
    for (size_t i = 0; i < sizeof(subs); i++) {
        smart(subs[i], 0, 1);
        expect_error(0x04);
    }
    address28(&m, 0xc24e00, 1);
    wr(&m, R_ERROR /* writes: features */, READ_DATA);
    command(&m, 0xb0);
    expect_error(0x04);
    machine_free(&m);
}

int main(void)
{
    test_switch();
    test_data();
    test_self_tests();
    test_logs();
    test_refused();
    return CHECK_DONE();
}
