/*
 * Any accesses to PCI configuration space: host bridge, ISA bridge and two functions with every
 * kind of window, whose interrupts come and go. A window answers where its register says, or
 * nowhere.
 */
#include <stdlib.h>

#include "devices/i440fx.h"
#include "devices/pci.h"
#include "devices/piix3.h"
#include "tests/fuzz/fuzz.h"

struct board {
    struct bus *ports, *memory;
    struct pci_bus *pci;
    struct i440fx *host;
    struct piix3 *piix3;
    struct pci_function function[2];
};

static void set_pin(void *arg, unsigned slot, unsigned pin, bool level)
{
    struct board *b = arg;

    if (b->piix3)
        piix3_set_pirq(b->piix3, (slot + pin + 3) & 3, slot, level);
}

static void set_irq(void *sink, unsigned n, bool level)
{
    (void)sink, (void)n, (void)level;
}

static void pam(void *board, uint32_t gpa, uint32_t size, bool read_ram, bool write_ram)
{
    (void)board, (void)read_ram, (void)write_ram;
    if (gpa < 0xc0000 || gpa + size > 0x100000 || gpa % 0x4000)
        abort();
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned size)
{
    const struct pci_bar *bar = dev;

    if (offset + size > bar->size)
        abort();
    return offset;
}

static void window_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)value;
    window_read(dev, offset, size);
}

static const struct bus_ops window_ops = {
    .read = window_read,
    .write = window_write,
    .max_size = 4,
    .name = "window",
};

static void attach(struct board *b, unsigned i)
{
    struct pci_function *f = &b->function[i];

    f->name = "function";
    f->after_reset[PCI_INTERRUPT_PIN] = 1 + i;
    f->bar[0] = (struct pci_bar){ .size = 0x1000, .ops = &window_ops, .dev = &f->bar[0] };
    f->bar[1] = (struct pci_bar){ .size = 0x20, .ports = true, .ops = &window_ops,
                                  .dev = &f->bar[1] };
    f->bar[5] = (struct pci_bar){ .size = 1u << 31, .prefetch = true, .ops = &window_ops,
                                  .dev = &f->bar[5] };
    f->bar[PCI_ROM_BAR] = (struct pci_bar){ .size = 0x800, .ops = &window_ops,
                                            .dev = &f->bar[PCI_ROM_BAR] };
    pci_attach(b->pci, 2 + i, 0, f);
}

static void check(const struct board *b)
{
    for (unsigned i = 0; i < 2; i++)
        for (unsigned k = 0; k <= PCI_ROM_BAR; k++) {
            const struct pci_bar *bar = &b->function[i].bar[k];

            if (bar->size && bar->base != PCI_NOWHERE &&
                (bar->base % bar->size || !bar->base ||
                 bar->base + bar->size > (bar->ports ? 1ull << 16 : 1ull << 32)))
                abort();
        }
}

static void configure(struct fuzz *fuzz, struct board *b)
{
    uint32_t address = (uint32_t)fuzz_below(fuzz, 5) << 11 | (fuzz_byte(fuzz) & 0xfc);

    bus_write(b->ports, 0xcf8, 4, 0x80000000 | address);
    fuzz_access(fuzz, b->ports, 0xcfc, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = { data, size };
    struct board b = { .ports = bus_create(), .memory = bus_create() };
    struct piix3_config isa = { .slot = 1 };

    b.pci = pci_create(&(struct pci_bus_config){ b.ports, b.memory, set_pin, &b, NULL });
    b.host = i440fx_create(&(struct i440fx_config){ b.ports, 0xcf8, b.memory, b.pci, pam, &b });
    isa.pci = b.pci;
    for (unsigned i = 0; i < PIIX3_IRQ_COUNT; i++)
        isa.irq[i] = (struct irq){ set_irq, NULL, i };
    b.piix3 = piix3_create(&isa);
    attach(&b, 0);
    attach(&b, 1);
    while (fuzz_more(&fuzz)) {
        uint8_t what = fuzz_byte(&fuzz);

        switch (what & 7) {
        case 0: fuzz_access(&fuzz, b.memory, 0, 1ull << 32); break;
        case 1: fuzz_access(&fuzz, b.ports, 0xcf0, 0x20); break;
        case 2: pci_set_irq(&b.function[what >> 3 & 1], what & 0x80); break;
        case 3: pci_reset(&b.function[what >> 3 & 1]); break;
        default: configure(&fuzz, &b); break;
        }
        check(&b);
    }
    pci_detach(&b.function[0]);
    pci_detach(&b.function[1]);
    piix3_destroy(b.piix3);
    i440fx_destroy(b.host);
    pci_destroy(b.pci);
    bus_destroy(b.memory);
    bus_destroy(b.ports);
    return 0;
}
