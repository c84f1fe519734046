/* Configuration space: BARs sized, placed, over each other and turned off; interrupt wires. */
#include "devices/pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "tests/unit/chip.h"

enum { ENABLE_ALL = PCI_COMMAND_IO | PCI_COMMAND_MEMORY };

static struct bus *ports, *memory;
static struct pci_bus *bus;
static bool pins[PCI_SLOT_COUNT][PCI_PIN_COUNT];
static unsigned pin_changes, writes, reads;
static unsigned written_at, written_size;
static uint64_t moved_to;

static void set_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    CHECK_EQ(board == &ports, 1);
    CHECK_EQ(pins[slot][pin] != level, 1);
    pins[slot][pin] = level;
    pin_changes++;
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned size)
{
    (void)size;
    return *(uint8_t *)dev + offset;
}

static void window_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)dev;
    (void)offset;
    (void)size;
    (void)value;
}

static const struct bus_ops window_ops = {
    .read = window_read,
    .write = window_write,
    .max_size = 1,
    .name = "window",
};

static void moved(void *dev, uint64_t base)
{
    (void)dev;
    moved_to = base;
}

static void written(void *dev, unsigned at, unsigned size)
{
    (void)dev;
    writes++;
    written_at = at;
    written_size = size;
}

static void reading(void *dev, unsigned at, unsigned size)
{
    struct pci_function *f = dev;

    (void)size;
    reads++;
    if (at == 0x44)
        f->config[0x44]++;
}

/* Their windows read as the tag plus the offset. */
static uint8_t tag_a = 0x10, tag_b = 0x80;

static struct pci_function a = {
    .name = "a",
    .after_reset = { 0x86, 0x80, 0x0e, 0x10, [PCI_CLASS] = 0, 0, 2, [PCI_INTERRUPT_PIN] = 1,
                     [0x40] = 0x55, [0x41] = 0xff },
    .writable = { [0x40] = 0x0f },
    .clears = { [0x41] = 0xf0 },
    .bar = { { .size = 0x20000, .ops = &window_ops, .dev = &tag_a },
             { .size = 0x40, .ports = true, .ops = &window_ops, .dev = &tag_a },
             { .size = 1 << 24, .prefetch = true, .moved = moved },
             [PCI_ROM_BAR] = { .size = 0x10000, .ops = &window_ops, .dev = &tag_a } },
    .written = written,
    .reading = reading,
};

static struct pci_function b = {
    .name = "b",
    .after_reset = { 0xf4, 0x1a, 0x01, 0x10, [PCI_INTERRUPT_PIN] = 1 },
    .bar = { { .size = 0x20000, .ops = &window_ops, .dev = &tag_b } },
};

static uint32_t where(const struct pci_function *f)
{
    return 0x80000000u | (uint32_t)f->slot << 11 | (uint32_t)f->function << 8;
}

static uint32_t get(const struct pci_function *f, unsigned at, unsigned size)
{
    return pci_config_read(bus, where(f) | at, size);
}

static void set(const struct pci_function *f, unsigned at, unsigned size, uint32_t value)
{
    pci_config_write(bus, where(f) | at, size, value);
}

static void test_space(void)
{
    CHECK_EQ(get(&a, 0, 4), 0x100e8086);
    CHECK_EQ(get(&a, 2, 2), 0x100e);
    CHECK_EQ(get(&a, 3, 1), 0x10);
    CHECK_EQ(get(&a, PCI_REVISION, 4), 0x02000000);
    CHECK_EQ(pci_config_read(bus, 0x80000000, 4), 0xffffffff); /* nobody at 00.0 */
    CHECK_EQ(pci_config_read(bus, 0x80011800, 2), 0xffff);     /* nor on bus 1 */
    pci_config_write(bus, 0x80000000, 4, 0);
    set(&a, 0, 4, 0);
    CHECK_EQ(get(&a, 0, 4), 0x100e8086);
    set(&a, 0x40, 2, 0x5aaa);
    CHECK_EQ(written_at, 0x40);
    CHECK_EQ(written_size, 2);
    CHECK_EQ(get(&a, 0x40, 2), 0xaf5a); /* low bits replaced; written ones cleared */
    CHECK_EQ(get(&a, 0x44, 1), 1);
    CHECK_EQ(get(&a, 0x44, 1), 2);
    set(&a, PCI_INTERRUPT_LINE, 1, 11);
    CHECK_EQ(get(&a, PCI_INTERRUPT_LINE, 2), 0x010b);
    set(&a, PCI_COMMAND, 2, 0xffff);
    CHECK_EQ(get(&a, PCI_COMMAND, 2), 0x0547);
    CHECK_EQ(pci_is_master(&a), 1);
    set(&a, PCI_COMMAND, 2, 0);
    CHECK_EQ(pci_is_master(&a), 0);
    CHECK_EQ(get(&a, PCI_HEADER_TYPE, 1), 0);
    CHECK_EQ(reads > 0 && writes > 0, 1);
}

static void test_sizing(void)
{
    static const struct {
        unsigned at;
        uint32_t sized, empty;
    } bars[] = {
        { 0x10, 0xfffe0000, 0 }, { 0x14, 0xffffffc1, 1 }, { 0x18, 0xff000008, 8 }, { 0x1c, 0, 0 },
        { PCI_ROM, 0xffff0001, 0 },
    };

    set(&a, PCI_COMMAND, 1, ENABLE_ALL);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(get(&a, bars[i].at, 4), bars[i].empty);
        set(&a, bars[i].at, 4, 0xffffffff);
        CHECK_EQ(get(&a, bars[i].at, 4), bars[i].sized);
        CHECK_EQ(bus_read(memory, 0xffff0000, 1), 0xff); /* sizing places nothing */
        set(&a, bars[i].at, 4, 0);
    }
    CHECK_EQ(bus_read(ports, 0, 1), 0xff);
    CHECK_EQ(moved_to, 0);
}

static void test_windows(void)
{
    set(&a, PCI_COMMAND, 1, 0);
    set(&a, 0x10, 4, 0xe0000000);
    set(&a, 0x14, 4, 0xc000);
    set(&a, PCI_ROM, 4, 0xe1000001);
    CHECK_EQ(bus_read(memory, 0xe0000005, 1), 0xff);
    set(&a, PCI_COMMAND, 1, PCI_COMMAND_MEMORY);
    CHECK_EQ(bus_read(memory, 0xe0000005, 1), 0x15);
    CHECK_EQ(bus_read(memory, 0xe1000002, 1), 0x12);
    CHECK_EQ(bus_read(ports, 0xc001, 1), 0xff);
    set(&a, PCI_COMMAND, 1, ENABLE_ALL);
    CHECK_EQ(bus_read(ports, 0xc001, 1), 0x11);
    set(&a, PCI_ROM, 1, 0); /* one byte: the enable bit */
    CHECK_EQ(bus_read(memory, 0xe1000002, 1), 0xff);
    set(&a, 0x12, 1, 0x04); /* one byte of the address */
    CHECK_EQ(bus_read(memory, 0xe0000005, 1), 0xff);
    CHECK_EQ(bus_read(memory, 0xe0040005, 1), 0x15);
    CHECK_EQ(a.bar[0].base, 0xe0040000);
    set(&a, 0x18, 4, 0xfd123456);
    CHECK_EQ(moved_to, 0xfd000000);
    set(&a, PCI_COMMAND, 1, PCI_COMMAND_IO);
    CHECK_EQ(moved_to, PCI_NOWHERE);
    CHECK_EQ(a.bar[0].base, PCI_NOWHERE);
    CHECK_EQ(bus_read(ports, 0xc001, 1), 0x11);
}

/* Two at one place: the first one has it until it goes. */
static void test_overlap(void)
{
    set(&a, PCI_COMMAND, 1, ENABLE_ALL);
    set(&a, 0x10, 4, 0xe0000000);
    set(&b, PCI_COMMAND, 1, ENABLE_ALL);
    set(&b, 0x10, 4, 0xe0000000);
    CHECK_EQ(bus_read(memory, 0xe0000001, 1), 0x11);
    CHECK_EQ(b.bar[0].base, PCI_NOWHERE);
    set(&b, PCI_COMMAND, 1, 0);
    CHECK_EQ(bus_read(memory, 0xe0000001, 1), 0x11);
    set(&b, PCI_COMMAND, 1, ENABLE_ALL);
    set(&a, 0x10, 4, 0xe0020000);
    CHECK_EQ(bus_read(memory, 0xe0000001, 1), 0x81);
    CHECK_EQ(bus_read(memory, 0xe0020001, 1), 0x11);
    set(&a, 0x10, 4, 0xe0000000);
    CHECK_EQ(a.bar[0].base, PCI_NOWHERE);
    pci_reset(&b);
    CHECK_EQ(b.bar[0].base, PCI_NOWHERE);
    set(&a, PCI_COMMAND, 1, ENABLE_ALL);
    CHECK_EQ(bus_read(memory, 0xe0000001, 1), 0x11);
}

/* a and b share pin A of the slot. */
static void test_interrupts(void)
{
    CHECK_EQ(get(&a, PCI_HEADER_TYPE, 1), 0x80);
    pci_set_irq(&a, true);
    pci_set_irq(&a, true);
    CHECK_EQ(pins[3][0], 1);
    CHECK_EQ(get(&a, PCI_STATUS, 1) & 8, 8);
    pci_set_irq(&b, true);
    pci_set_irq(&a, false);
    CHECK_EQ(pins[3][0], 1);
    CHECK_EQ(get(&a, PCI_STATUS, 1) & 8, 0);
    set(&b, PCI_COMMAND, 2, PCI_COMMAND_INTX_OFF);
    CHECK_EQ(pins[3][0], 0);
    CHECK_EQ(get(&b, PCI_STATUS, 1) & 8, 8);
    set(&b, PCI_COMMAND, 2, 0);
    CHECK_EQ(pins[3][0], 1);
    pci_reset(&b);
    CHECK_EQ(pins[3][0], 0);
    CHECK_EQ(pin_changes, 4);
}

static void test_snapshot(void)
{
    uint8_t image[PCI_CONFIG_SIZE + 1];

    set(&a, 0x10, 4, 0xe0000000);
    pci_set_irq(&a, true);
    pci_snapshot(&a, &(struct snap){ .at = image });
    pci_set_irq(&a, false);
    pci_reset(&a);
    CHECK_EQ(bus_read(memory, 0xe0000001, 1), 0xff);
    CHECK_EQ(get(&a, 0x10, 4), 0);
    pci_snapshot(&a, &(struct snap){ .loading = true, .at = image });
    CHECK_EQ(bus_read(memory, 0xe0000001, 1), 0x11);
    CHECK_EQ(pins[3][0], 1);
}

static void test_refused(void)
{
    static struct pci_function odd = { .bar = { { .size = 0x30 } } };
    static struct pci_function small = { .bar = { { .size = 8 } } };
    static struct pci_function rom = { .bar = { [PCI_ROM_BAR] = { .size = 0x200 } } };
    static struct pci_function fine;

    CHECK_EQ(pci_attach(bus, 4, 0, &odd), -EINVAL);
    CHECK_EQ(pci_attach(bus, 4, 0, &small), -EINVAL);
    CHECK_EQ(pci_attach(bus, 4, 0, &rom), -EINVAL);
    CHECK_EQ(pci_attach(bus, 3, 0, &fine), -EEXIST);
}

/* Any value in any register, with a live window or two. */
static void test_garbage(void)
{
    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned size = 1u << rand() % 3;
        uint32_t address = ((uint32_t)rand() & 0xff & ~(size - 1)) | 3 << 11 | (rand() & 0x100);

        pci_config_write(bus, address, size, (uint32_t)rand() * 5);
        pci_config_read(bus, address, size);
        bus_read(memory, (uint32_t)rand() * 2, 1);
        bus_read(ports, rand() & 0xffff, 1);
        pci_set_irq(rand() & 1 ? &a : &b, rand() & 1);
    }
}

int main(void)
{
    ports = bus_create();
    memory = bus_create();
    bus = pci_create(&(struct pci_bus_config){ ports, memory, set_pin, &ports, NULL });
    a.dev = &a;
    CHECK_EQ(pci_attach(bus, 3, 0, &a), 0);
    test_space();
    test_sizing();
    test_windows();
    CHECK_EQ(pci_attach(bus, 3, 1, &b), 0);
    test_overlap();
    test_interrupts();
    test_snapshot();
    test_refused();
    test_garbage();
    pci_detach(&b);
    pci_detach(&a);
    for (unsigned slot = 0; slot < PCI_SLOT_COUNT; slot++)
        CHECK_EQ(pins[slot][0] | pins[slot][1] | pins[slot][2] | pins[slot][3], 0);
    CHECK_EQ(pci_config_read(bus, 3 << 11, 4), 0xffffffff);
    pci_destroy(bus);
    bus_destroy(memory);
    bus_destroy(ports);
    return CHECK_DONE();
}
