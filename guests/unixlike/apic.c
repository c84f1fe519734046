/*
 * The interrupt controllers: found by the MultiProcessor tables, with the 8259s masked behind them.
 *
 * Reference: MultiProcessor Specification 1.4, chapter 4; SDM volume 3, chapter 10; Intel 82093AA.
 */
#include "guests/unixlike/unixlike.h"

enum { LAPIC_ID = 0x20, LAPIC_VERSION = 0x30, LAPIC_TPR = 0x80, LAPIC_EOI = 0xb0, LAPIC_SVR = 0xf0,
       LAPIC_ESR = 0x280, LAPIC_ICR = 0x300, LAPIC_ICR_HIGH = 0x310, LAPIC_TIMER = 0x320,
       LAPIC_PERFORMANCE = 0x340, LAPIC_LINT0 = 0x350, LAPIC_LINT1 = 0x360, LAPIC_ERROR = 0x370,
       LAPIC_COUNT = 0x380, LAPIC_DIVIDE = 0x3e0 };
enum { MASKED = 0x10000, PERIODIC = 0x20000, ENABLED = 0x100, BY_1 = 0xb, COUNT = 10000000 };
enum { ICR_INIT_DEASSERT = 0x88500, ICR_BUSY = 0x1000 };
enum { IOAPIC_ID = 0, IOAPIC_VERSION = 1, IOAPIC_TABLE = 0x10 };
enum { MP_CPU = 0, MP_IOAPIC = 2, MP_LAST = 4, IMCR_PRESENT = 0x80 };

struct mp_pointer {
    char signature[4];
    uint32_t table;
    uint8_t length, revision, checksum, type, imcr, reserved[3];
};

struct mp_table {
    char signature[4];
    uint16_t length;
    uint8_t revision, checksum;
    char product[20];
    uint32_t oem_table;
    uint16_t oem_length, entries;
    uint32_t lapic;
    uint16_t extended;
    uint8_t extended_checksum, reserved;
};

static volatile uint32_t *lapic;
static volatile struct {
    uint32_t index, pad[3], data;
} *ioapic;
static uint8_t ioapic_id;
static unsigned cpus;

/* --- The tables ----------------------------------------------------------------------------- */

static bool is(const char *a, const char *b, unsigned size)
{
    while (size && *a++ == *b++)
        size--;
    return !size;
}

static uint8_t sum(const void *at, unsigned size)
{
    const uint8_t *p = at;
    uint8_t total = 0;

    while (size--)
        total += *p++;
    return total;
}

static const struct mp_pointer *look(uint32_t gpa, uint32_t size)
{
    for (uint32_t at = gpa; at < gpa + size; at += 16) {
        const struct mp_pointer *p = VIRTUAL(at);

        if (is(p->signature, "_MP_", 4) && !sum(p, sizeof(*p)))
            return p;
    }
    return NULL;
}

/* In the first KiB of the extended BIOS data area or the last of base memory, or in the ROM. */
static const struct mp_pointer *find_pointer(void)
{
    uint32_t ebda = *(uint16_t *)VIRTUAL(0x40e) << 4, base = *(uint16_t *)VIRTUAL(0x413) << 10;
    const struct mp_pointer *found = ebda ? look(ebda, 1024) : look(base - 1024, 1024);

    return found ? found : look(0xf0000, 0x10000);
}

static void read_entries(const struct mp_table *table)
{
    const uint8_t *p = (const uint8_t *)(table + 1), *end = (const uint8_t *)table + table->length;

    for (; p < end; p += *p == MP_CPU ? 20 : 8) {
        if (*p > MP_LAST)
            panic("MP entry %u", *p);
        cpus += *p == MP_CPU;
        if (*p != MP_IOAPIC)
            continue;
        ioapic_id = p[1];
        ioapic = *(void *const *)(p + 4);
    }
}

static void read_tables(void)
{
    const struct mp_pointer *pointer = find_pointer();
    const struct mp_table *table;

    if (!pointer || !pointer->table)
        panic("no MP table");
    table = VIRTUAL(pointer->table);
    if (!is(table->signature, "PCMP", 4) || sum(table, table->length))
        panic("a wrong MP table");
    lapic = (volatile uint32_t *)table->lapic;
    read_entries(table);
    if (pointer->imcr & IMCR_PRESENT) {
        outb(0x22, 0x70);
        outb(0x23, inb(0x23) | 1);
    }
}

/* --- The chips ------------------------------------------------------------------------ */

static uint32_t ioapic_read(unsigned index)
{
    ioapic->index = index;
    return ioapic->data;
}

static void ioapic_write(unsigned index, uint32_t value)
{
    ioapic->index = index;
    ioapic->data = value;
}

static void lapic_write(unsigned offset, uint32_t value)
{
    lapic[offset / 4] = value;
    (void)lapic[LAPIC_ID / 4]; /* until it has been written */
}

static void start_lapic(void)
{
    lapic_write(LAPIC_SVR, ENABLED | VECTOR_SPURIOUS);
    lapic_write(LAPIC_DIVIDE, BY_1);
    lapic_write(LAPIC_TIMER, PERIODIC | (VECTOR_IRQ + IRQ_TIMER));
    lapic_write(LAPIC_COUNT, COUNT);
    lapic_write(LAPIC_LINT0, MASKED);
    lapic_write(LAPIC_LINT1, MASKED);
    if ((lapic[LAPIC_VERSION / 4] >> 16 & 0xff) >= 4)
        lapic_write(LAPIC_PERFORMANCE, MASKED);
    lapic_write(LAPIC_ERROR, VECTOR_IRQ + IRQ_ERROR);
    lapic_write(LAPIC_ESR, 0);
    lapic_write(LAPIC_ESR, 0);
    lapic_write(LAPIC_EOI, 0);
    lapic_write(LAPIC_ICR_HIGH, 0);
    lapic_write(LAPIC_ICR, ICR_INIT_DEASSERT);
    while (lapic[LAPIC_ICR / 4] & ICR_BUSY)
        ;
    lapic_write(LAPIC_TPR, 0);
}

static void start_ioapic(void)
{
    unsigned pins = (ioapic_read(IOAPIC_VERSION) >> 16 & 0xff) + 1;

    if (ioapic_read(IOAPIC_ID) >> 24 != ioapic_id)
        panic("the I/O APIC is not the one of the MP table");
    for (unsigned i = 0; i < pins; i++) {
        ioapic_write(IOAPIC_TABLE + 2 * i, MASKED | (VECTOR_IRQ + i));
        ioapic_write(IOAPIC_TABLE + 2 * i + 1, 0);
    }
}

void apic_init(void)
{
    read_tables();
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    start_lapic();
    start_ioapic();
    print("apic: %u CPU, this one is %u\n", cpus, lapic[LAPIC_ID / 4] >> 24);
}

void apic_enable(unsigned irq)
{
    ioapic_write(IOAPIC_TABLE + 2 * irq, VECTOR_IRQ + irq);
    ioapic_write(IOAPIC_TABLE + 2 * irq + 1, lapic[LAPIC_ID / 4]);
}

void apic_end_of_interrupt(void)
{
    lapic_write(LAPIC_EOI, 0);
}
