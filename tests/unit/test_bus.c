/* Who answers at which address, and in which widths. */
#include "devices/bus.h"

#include <errno.h>

#include "tests/unit/chip.h"

/* A chip that remembers its last access. */
struct probe {
    uint64_t offset, value;
    unsigned size, reads, writes;
};

static uint64_t probe_read(void *dev, uint64_t offset, unsigned size)
{
    struct probe *p = dev;

    p->offset = offset;
    p->size = size;
    p->reads++;
    return 0x1122334455667700 + offset; /* more than was asked for: the bus must cut it */
}

static void probe_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct probe *p = dev;

    p->offset = offset;
    p->size = size;
    p->value = value;
    p->writes++;
}

static const struct bus_ops bytes = {
    .read = probe_read,
    .write = probe_write,
    .max_size = 1,
    .name = "bytes",
};
static const struct bus_ops words = {
    .read = probe_read,
    .write = probe_write,
    .max_size = 2,
    .name = "words",
};
static const struct bus_ops quads = {
    .read = probe_read,
    .write = probe_write,
    .max_size = 8,
    .name = "quads",
};

static void test_claims(void)
{
    struct bus *bus = bus_create();
    struct probe p = { 0 };

    CHECK_EQ(bus_claim(bus, 0x100, 0x10, &bytes, &p), 0);
    CHECK_EQ(bus_claim(bus, 0x10f, 1, &bytes, &p) == -EEXIST, 1);
    CHECK_EQ(bus_claim(bus, 0xf0, 0x11, &bytes, &p) == -EEXIST, 1);
    CHECK_EQ(bus_claim(bus, 0, 0x10000, &bytes, &p) == -EEXIST, 1);
    CHECK_EQ(bus_claim(bus, 0x110, 0, &bytes, &p) == -EINVAL, 1);
    CHECK_EQ(bus_claim(bus, ~0ull, 2, &bytes, &p) == -EINVAL, 1);
    CHECK_EQ(bus_claim(bus, 0xf0, 0x10, &bytes, &p), 0);
    CHECK_EQ(bus_claim(bus, 0x110, 1, &bytes, &p), 0);
    CHECK_EQ(bus_claim(bus, ~0ull, 1, &bytes, &p), 0); /* the last address there is */
    bus_release(bus, 0x100);
    CHECK_EQ(bus_read(bus, 0x100, 1), 0xff);
    CHECK_EQ(bus_read(bus, 0xff, 1), 0x0f);
    CHECK_EQ(bus_read(bus, 0x110, 1), 0x00);
    CHECK_EQ(bus_claim(bus, 0x100, 0x10, &bytes, &p), 0);
    bus_destroy(bus);
}

static void test_full(void)
{
    struct bus *bus = bus_create();
    struct probe p = { 0 };
    int err = 0;
    unsigned n;

    for (n = 0; n < 1000 && !err; n++)
        err = bus_claim(bus, 2 * n, 1, &bytes, &p);
    CHECK_EQ(err == -ENOSPC, 1);
    CHECK_EQ(n > 200, 1);
    CHECK_EQ(bus_read(bus, 2 * (n - 2), 1), 0x00); /* the last one that went in */
    CHECK_EQ(bus_read(bus, 2 * (n - 1), 1), 0xff);
    bus_destroy(bus);
}

static void test_widths(void)
{
    struct bus *bus = bus_create();
    struct probe b = { 0 }, w = { 0 }, q = { 0 };

    bus_claim(bus, 0x70, 2, &bytes, &b);
    bus_claim(bus, 0x80, 4, &words, &w);
    bus_claim(bus, 0xfed00000, 0x400, &quads, &q);

    CHECK_EQ(bus_read(bus, 0x70, 2), 0x0100);
    CHECK_EQ(b.reads, 2);
    CHECK_EQ(bus_read(bus, 0x71, 4), 0xffffff01); /* leaves the window */
    CHECK_EQ(b.offset, 1);
    bus_write(bus, 0x70, 2, 0xabcd);
    CHECK_EQ(b.writes, 2);
    CHECK_EQ(b.offset, 1); /* low byte first */
    CHECK_EQ(b.value, 0xab);

    CHECK_EQ(bus_read(bus, 0x80, 4), 0x77027700);
    CHECK_EQ(w.reads, 2);
    bus_write(bus, 0x82, 2, 0xfffff1234);
    CHECK_EQ(w.value, 0x1234);
    bus_write(bus, 0x83, 2, 0x5566); /* half in, half out */
    CHECK_EQ(w.size, 1);
    CHECK_EQ(w.value, 0x66);

    CHECK_EQ(bus_read(bus, 0xfed00008, 8), 0x1122334455667708);
    CHECK_EQ(bus_read(bus, 0xfed00400, 4), 0xffffffff);
    CHECK_EQ(bus_read(bus, 0xfecfffff, 1), 0xff);
    CHECK_EQ(bus_read(bus, 0xffff, 4), 0xffffffff); /* across the table's end */
    CHECK_EQ(bus_read(bus, ~0ull - 3, 8), ~0ull);
    bus_destroy(bus);
}

/* Where nobody is a run ends before the next window. */
static void test_runs(void)
{
    struct bus *bus = bus_create();
    struct probe p = { 0 };
    uint32_t to[4] = { 1, 2, 3, 4 };

    bus_claim(bus, 0x10000, 8, &quads, &p);
    CHECK_EQ(bus_read_run(bus, 0xfff6, 4, to, 4), 2);
    CHECK_EQ(to[1], 0xffffffff);
    CHECK_EQ(to[2], 3);
    CHECK_EQ(bus_write_run(bus, 0xfff6, 4, to, false, 4), 2);
    CHECK_EQ(bus_write_run(bus, 0xfffd, 4, to, true, 4), 0); /* over its edge */
    CHECK_EQ(bus_read_run(bus, 0x10000, 4, to, 4), 0);
    CHECK_EQ(bus_read_run(bus, 0x10008, 4, to, 4), 4);
    CHECK_EQ(bus_copy_run(bus, 0x20000, 0xfff8, 4, 4), 2);
    CHECK_EQ(bus_copy_run(bus, 0xfffc, 0x20000, 4, 4), 1);
    CHECK_EQ(bus_copy_run(bus, 0x10000, 0x20000, 4, 4), 0);
    CHECK_EQ(p.reads + p.writes, 0);
    CHECK_EQ(bus_read(bus, 0xfffe, 4), 0x7700ffff);
    CHECK_EQ(bus_read(bus, UINT64_MAX, 1), 0xff);
    bus_destroy(bus);
}

int main(void)
{
    struct bus *empty = bus_create();

    CHECK_EQ(bus_read(empty, 0x60, 4), 0xffffffff);
    bus_write(empty, 0x60, 4, 1);
    bus_destroy(empty);
    test_claims();
    test_full();
    test_widths();
    test_runs();
    return CHECK_DONE();
}
