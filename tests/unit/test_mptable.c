/* The MultiProcessor tables, read as a kernel reads them. */
#include "frontend/mptable.h"

#include <stdbool.h>
#include <string.h>

#include "tests/check.h"
#include "tests/unit/table_bytes.h"

#define GPA 0xf0000

enum { NOWHERE = 0xffff };

static uint8_t bytes[MPTABLE_MAX];

static uint8_t pci_irq(unsigned slot, unsigned pin)
{
    return ((slot + pin) & 3) < 2 ? 10 : 11;
}

static const uint8_t *make(size_t *size)
{
    const struct mptable_config config = { .sci = 9, .pci_irq = pci_irq };

    memset(bytes, 0, sizeof(bytes));
    *size = mptable_build(&config, GPA, bytes);
    return bytes + 16;
}

static void test_frame(void)
{
    size_t size;
    const uint8_t *table = make(&size);

    CHECK_EQ(!memcmp(bytes, "_MP_", 4) && !sum(bytes, 16), true);
    CHECK_EQ(at(bytes, 4, 4) == GPA + 16 && bytes[8] == 1 && bytes[9] == 4, true);
    CHECK_EQ(!bytes[11] && !(bytes[12] & 0x80), true); /* has a table; no IMCR */
    CHECK_EQ(!memcmp(table, "PCMP", 4) && at(table, 4, 2) == size - 16 && table[6] == 4, true);
    CHECK_EQ(!sum(table, size - 16), true);
    CHECK_EQ(at(table, 36, 4), 0xfee00000);
}

/* The entries come in the order of their types, and end where the table does. */
static void test_entries(void)
{
    unsigned count[5] = { 0 }, entries = 0;
    size_t size;
    const uint8_t *table = make(&size), *p = table + 44, *end = bytes + size;
    uint8_t last = 0;

    for (; p < end; p += *p ? 8 : 20) {
        CHECK_EQ(*p <= 4 && *p >= last, true);
        last = *p;
        count[last]++;
        entries++;
        if (last == 0)
            CHECK_EQ(p[1] == 0 && p[3] == 3, true);
        if (last == 2)
            CHECK_EQ(p[1] == 0 && p[3] == 1 && at(p, 4, 4) == 0xfec00000, true);
    }
    CHECK_EQ(p == end && entries == at(table, 34, 2), true);
    CHECK_EQ(count[0] == 1 && count[1] == 2 && count[2] == 1 && count[4] == 2, true);
}

/* Which pin an interrupt of a bus is at, with its flags above. */
static unsigned pin_of(const uint8_t *table, size_t size, unsigned bus, unsigned irq)
{
    const uint8_t *p = table + 44;

    for (; p < bytes + size; p += *p ? 8 : 20)
        if (*p == 3 && p[1] == 0 && p[4] == bus && p[5] == irq)
            return p[7] | (unsigned)p[2] << 8;
    return NOWHERE;
}

static void test_wires(void)
{
    size_t size;
    const uint8_t *table = make(&size);

    CHECK_EQ(pin_of(table, size, 1, 0), 2); /* the 8254 */
    CHECK_EQ(pin_of(table, size, 1, 1), 1);
    CHECK_EQ(pin_of(table, size, 1, 2), NOWHERE);
    CHECK_EQ(pin_of(table, size, 1, 4), 4);
    CHECK_EQ(pin_of(table, size, 1, 9), 9 | 0x0d00);
    CHECK_EQ(pin_of(table, size, 1, 10), NOWHERE); /* PCI's */
    CHECK_EQ(pin_of(table, size, 1, 14), 14);
    CHECK_EQ(pin_of(table, size, 0, 3 << 2), 11 | 0x0d00);
    CHECK_EQ(pin_of(table, size, 0, 31 << 2 | 1), 10 | 0x0d00);
}

int main(void)
{
    test_frame();
    test_entries();
    test_wires();
    return CHECK_DONE();
}
