/* A disk whose medium fails: reads, writes, flushes. */
#include "tests/unit/ata_disk.h"

static void bad(uint64_t lba, unsigned count, int err)
{
    disk->bad = lba * 512;
    disk->bad_size = count * 512;
    disk->err = err;
}

/* What is before the bad sector comes through. */
static void test_read_error(void)
{
    start();
    bad(105, 2, -EIO);
    address28(&m, 100, 20);
    command(&m, 0x20);
    pio_in(&m, buffer, 5 * 512);
    CHECK_EQ(memcmp(buffer, disk->bytes + 100 * 512, 5 * 512), 0);
    expect_error(0x40);
    CHECK_EQ(address_now(), 105);
    prds(&m, GPA, 20 * 512);
    address28(&m, 100, 20);
    command(&m, 0xc8);
    dma_start(&m, true);
    expect_error(0x40);
    CHECK_EQ(address_now(), 105);
    CHECK_EQ(dma_stop(&m), 5);
    CHECK_EQ(memcmp(physmem_ptr(&m.mem, GPA), disk->bytes + 100 * 512, 5 * 512), 0);
    CHECK_EQ(*physmem_ptr(&m.mem, GPA + 5 * 512), 0);
    bad(120, 1, -EIO); /* in the second block of 16 */
    address28(&m, 100, 40);
    command(&m, 0xc4);
    pio_in(&m, buffer, 16 * 512);
    expect_error(0x40);
    CHECK_EQ(address_now(), 120);
    address48(&m, 120, 1);
    command(&m, 0x42);
    expect_error(0x40);
    CHECK_EQ(address_now(), 120);
    wr(&m, R_DEVICE, 0); /* CHS: cylinder 0, head 1, sector 58 */
    wr(&m, R_HIGH, 0);
    wr(&m, R_MID, 0);
    wr(&m, R_DEVICE, 1);
    wr(&m, R_LOW, 58);
    wr(&m, R_COUNT, 1);
    command(&m, 0x20);
    expect_error(0x40);
    CHECK_EQ(address_now(), 1 << 24 | 58);
    disk->err = 0;
    read_pio(0x20, 118, 4, 1);
    machine_free(&m);
}

static void test_write_error(void)
{
    static const int errors[] = { -EIO, -ENOSPC };

    start();
    for (unsigned i = 0; i < 2; i++) {
        bad(105, 2, errors[i]);
        fill(20 * 512, 3 + i);
        physmem_write(&m.mem, GPA, buffer, 20 * 512);
        prds(&m, GPA, 20 * 512);
        address48(&m, 100, 20);
        dma_stop(&m);
        command(&m, 0x35);
        dma_start(&m, false);
        expect_error(0x04);
        CHECK_EQ(address_now(), 105);
        CHECK_EQ(memcmp(buffer, disk->bytes + 100 * 512, 5 * 512), 0);
        address28(&m, 105, 1);
        command(&m, 0x30);
        pio_out(&m, buffer, 512);
        expect_error(0x04);
        bad(0, 1, errors[i]); /* a flush, too, can fail */
        disk->bad_size = disk->dev.size;
    }
    disk->err = 0;
    write_pio(0x30, 100, 20, 1);
    machine_free(&m);
}

/* A flush has no range of its own: the medium fails it as a whole. */
static int flush_error;

static void failing_submit(void *arg, struct block_request *request)
{
    struct medium *medium = arg;

    if (request->op == BLOCK_FLUSH && flush_error) {
        medium->err = flush_error;
        medium->bad = 0;
        medium->bad_size = 512;
        request->size = 512;
        request->iov_count = 0;
    }
    medium_submit(arg, request);
}

static void test_flush_error(void)
{
    start();
    disk->dev.submit = failing_submit;
    flush_error = -ENOSPC;
    command(&m, 0xe7);
    expect_error(0x04);
    command(&m, 0xea);
    expect_error(0x04);
    flush_error = disk->err = 0;
    command(&m, 0xea);
    expect_ok();
    machine_free(&m);
}

int main(void)
{
    test_read_error();
    test_write_error();
    test_flush_error();
    return CHECK_DONE();
}
