/* Expansion ROMs. Reference: PCI Local Bus Specification 2.2, 6.2.5.2 and 6.3. */
#include "devices/pci_rom.h"

#include "devices/bus.h"

static uint64_t rom_read(void *dev, uint64_t offset, unsigned size)
{
    const struct pci_rom *rom = dev;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)(offset + i < rom->size ? rom->bytes[offset + i] : 0xff) << 8 * i;
    return value;
}

static void rom_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)dev;
    (void)offset;
    (void)size;
    (void)value;
}

static const struct bus_ops rom_ops = {
    .read = rom_read,
    .write = rom_write,
    .max_size = 8,
    .name = "expansion ROM",
};

void pci_rom_install(struct pci_function *f, const struct pci_rom *rom)
{
    uint32_t size = 2048;

    if (!rom->bytes || !rom->size || rom->size > PCI_ROM_MAX)
        return;
    while (size < rom->size)
        size *= 2;
    f->bar[PCI_ROM_BAR] = (struct pci_bar){ .size = size, .ops = &rom_ops, .dev = (void *)rom };
}
