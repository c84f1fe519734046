/*
 * The PCI side of the board.
 *
 * To put a chip here: write a create_x(pci) that makes it from pci->config.pc (the fields that
 * machine.c fills for it), attaches it to pci->bus at its slot (next_slot() for network cards and
 * virtio), and calls add() with the chip and its three functions; name create_x in creators[]. It
 * is then reset, saved, loaded and (last one first) destroyed with the others. It returns NULL, or
 * a sentence for the user.
 *
 * Wires: INTA# of slot 1 goes to PIRQA, of slot 2 to PIRQB, and so on; the other pins follow.
 */
#include "frontend/pc_pci.h"

#include <stdlib.h>

#include "base/bug.h"
#include "base/physmem.h"
#include "base/snap.h"
#include "devices/e1000.h"
#include "devices/i440fx.h"
#include "devices/ide.h"
#include "devices/pci.h"
#include "devices/piix4_pm.h"
#include "devices/virtio_net.h"
#include "devices/vga.h"
#include "frontend/pc.h"
#include "frontend/pc_irq.h"
#include "frontend/pc_map.h"
#include "frontend/pc_memory.h"
#include "frontend/pc_virtio.h"

/* --- State -------------------------------------------------------------- */

enum { CHIPS_MAX = 64 };

/* A chip and what is done with it. */
struct pc_chip {
    void *chip;
    void (*reset)(void *chip);
    void (*snapshot)(void *chip, struct snap *snap);
    void (*destroy)(void *chip);
};

struct pc_pci {
    struct pc_pci_config config;
    struct pci_bus *bus;
    struct piix3 *piix3;
    struct vga *vga; /* or NULL */
    struct pc_virtio_chips *virtio;
    unsigned next_slot;
    unsigned count;
    struct pc_chip chips[CHIPS_MAX];
};

static const char no_memory[] = "not enough memory for the board";

static void add(struct pc_pci *pci, const struct pc_chip *chip)
{
    BUG_ON(pci->count == CHIPS_MAX);
    pci->chips[pci->count++] = *chip;
}

/* For network cards and virtio, in the order of the command line. */
static unsigned next_slot(struct pc_pci *pci)
{
    BUG_ON(pci->next_slot == PCI_SLOT_COUNT);
    return pci->next_slot++;
}

/* --- Bridges ------------------------------------------------------------ */

static void host_reset(void *chip)
{
    i440fx_reset(chip);
}

static void host_snapshot(void *chip, struct snap *snap)
{
    i440fx_snapshot(chip, snap);
}

static void host_destroy(void *chip)
{
    i440fx_destroy(chip);
}

static const char *create_host(struct pc_pci *pci)
{
    const struct pc_pci_config *config = &pci->config;
    struct i440fx *host = i440fx_create(&(struct i440fx_config){
        config->ports, config->config_port, config->pci_ports, pci->bus, pc_memory_pam,
        config->memory_map });

    if (!host)
        return no_memory;
    add(pci, &(struct pc_chip){ host, host_reset, host_snapshot, host_destroy });
    return NULL;
}

static void isa_reset(void *chip)
{
    piix3_reset(chip);
}

static void isa_snapshot(void *chip, struct snap *snap)
{
    piix3_snapshot(chip, snap);
}

static void isa_destroy(void *chip)
{
    piix3_destroy(chip);
}

static const char *create_isa(struct pc_pci *pci)
{
    struct piix3_config config = { .pci = pci->bus, .slot = PC_SLOT_ISA };

    for (unsigned i = 0; i < PIIX3_IRQ_COUNT; i++)
        config.irq[i] = pci->config.irq[i];
    pci->piix3 = piix3_create(&config);
    if (!pci->piix3)
        return no_memory;
    add(pci, &(struct pc_chip){ pci->piix3, isa_reset, isa_snapshot, isa_destroy });
    return NULL;
}

/* --- Network cards ------------------------------------------------------ */

static void virtio_net_chip_reset(void *chip)
{
    virtio_net_reset(chip);
}

static void virtio_net_chip_snapshot(void *chip, struct snap *snap)
{
    virtio_net_snapshot(chip, snap);
}

static void virtio_net_chip_destroy(void *chip)
{
    virtio_net_destroy(chip);
}

static const char *create_virtio_net(struct pc_pci *pci, const struct pc_nic *nic)
{
    const struct pc_config *pc = pci->config.pc;
    struct virtio_net *net = virtio_net_create(&(struct virtio_net_config){
        .bus = pci->bus, .slot = next_slot(pci), .mode = pc->virtio.mode, .mem = pc->mem,
        .cable = nic->cable, .rom = { nic->rom, nic->rom_size } });

    if (!net)
        return no_memory;
    add(pci, &(struct pc_chip){ net, virtio_net_chip_reset, virtio_net_chip_snapshot,
                                virtio_net_chip_destroy });
    return NULL;
}

static void e1000_chip_reset(void *chip)
{
    e1000_reset(chip);
}

static void e1000_chip_snapshot(void *chip, struct snap *snap)
{
    e1000_snapshot(chip, snap);
}

static void e1000_chip_destroy(void *chip)
{
    e1000_destroy(chip);
}

static const char *create_e1000(struct pc_pci *pci, const struct pc_nic *nic)
{
    const struct pc_config *pc = pci->config.pc;
    struct e1000 *dev = e1000_create(&(struct e1000_config){
        .bus = pci->bus, .slot = next_slot(pci), .mem = pc->mem, .clock = pc->clock,
        .cable = nic->cable, .rom = { nic->rom, nic->rom_size } });

    if (!dev)
        return no_memory;
    add(pci, &(struct pc_chip){ dev, e1000_chip_reset, e1000_chip_snapshot, e1000_chip_destroy });
    return NULL;
}

static const char *create_nics(struct pc_pci *pci)
{
    const struct pc_config *pc = pci->config.pc;
    const char *error = NULL;

    for (unsigned i = 0; !error && i < pc->nics; i++)
        error = pc->nic[i].e1000 ? create_e1000(pci, &pc->nic[i])
                                 : create_virtio_net(pci, &pc->nic[i]);
    return error;
}

/* --- Virtio but network cards ------------------------------------------- */

static void virtio_reset(void *chip)
{
    pc_virtio_reset(chip);
}

static void virtio_snapshot(void *chip, struct snap *snap)
{
    pc_virtio_snapshot(chip, snap);
}

static void virtio_destroy(void *chip)
{
    pc_virtio_destroy(chip);
}

static const char *create_virtio(struct pc_pci *pci)
{
    pci->virtio = pc_virtio_create(pci->config.pc, pci->bus, &pci->next_slot);
    if (!pci->virtio)
        return no_memory;
    add(pci, &(struct pc_chip){ pci->virtio, virtio_reset, virtio_snapshot, virtio_destroy });
    return NULL;
}

/* The others have buffers of their own. */
void pc_pci_quiet(struct pc_pci *pci)
{
    pc_virtio_reset(pci->virtio);
}

void pc_pci_idle(struct pc_pci *pci)
{
    pc_virtio_idle(pci->virtio);
}

struct pci_bus *pc_pci_bus(struct pc_pci *pci)
{
    return pci->bus;
}

struct virtio_balloon *pc_pci_balloon(struct pc_pci *pci)
{
    return pc_virtio_balloon(pci->virtio);
}

/* --- VGA ---------------------------------------------------------------- */

static void video_reset(void *chip)
{
    vga_reset(chip);
}

static void video_snapshot(void *chip, struct snap *snap)
{
    vga_snapshot(chip, snap);
}

static void video_destroy(void *chip)
{
    vga_destroy(chip);
}

static bool video_peek(void *chip, uint64_t gpa, void *to, uint64_t size)
{
    return gpa >= PHYSMEM_WINDOW && gpa < PHYSMEM_WINDOW + PHYSMEM_WINDOW_SIZE &&
           vga_peek(chip, (uint32_t)gpa - PHYSMEM_WINDOW, to, size);
}

static const char *create_video(struct pc_pci *pci)
{
    const struct pc_config *pc = pci->config.pc;
    struct vga_config config = {
        .ports = pci->config.ports,
        .memory = pci->config.memory,
        .pci = pci->bus,
        .slot = PC_SLOT_VGA,
        .clock = pc->clock,
        .display = pc->display,
        .map = pc_memory_map_video,
        .collect = pc_memory_collect,
        .stored = pc_memory_stored,
        .window = pc_memory_window(pci->config.memory_map),
        .open = pc_memory_open,
        .opened = pc_memory_opened,
        .board = pci->config.memory_map,
        .rom = pc->vga_rom,
        .rom_size = pc->vga_rom_size,
    };

    if (!pc->vga)
        return NULL;
    pci->vga = vga_create(&config);
    if (!pci->vga)
        return no_memory;
    pc->mem->on_peek = video_peek;
    pc->mem->peek_arg = pci->vga;
    add(pci, &(struct pc_chip){ pci->vga, video_reset, video_snapshot, video_destroy });
    return NULL;
}

void pc_pci_touched(struct pc_pci *pci)
{
    if (pci->vga)
        vga_touched(pci->vga);
}

/* --- Disks and CD-ROMs --------------------------------------------------- */

enum { FUNCTION_IDE = 1, IRQ_IDE = 14 };

static void disks_reset(void *chip)
{
    ide_reset(chip);
}

static void disks_snapshot(void *chip, struct snap *snap)
{
    ide_snapshot(chip, snap);
}

static void disks_destroy(void *chip)
{
    ide_destroy(chip);
}

static const char *create_ide(struct pc_pci *pci)
{
    struct ide_config config = {
        .pci = pci->bus,
        .slot = PC_SLOT_ISA,
        .function = FUNCTION_IDE,
        .ports = pci->config.ports,
        .mem = pci->config.pc->mem,
        .decodes = true,
    };
    struct ide *ide;

    for (unsigned i = 0; i < IDE_CHANNEL_COUNT; i++)
        config.irq[i] = pci->config.irq[IRQ_IDE + i];
    for (unsigned i = 0; i < IDE_DRIVE_COUNT; i++)
        config.drive[i] = pci->config.pc->ide[i];
    ide = ide_create(&config);
    if (!ide)
        return no_memory;
    add(pci, &(struct pc_chip){ ide, disks_reset, disks_snapshot, disks_destroy });
    return NULL;
}

/* --- Power management ---------------------------------------------------- */

enum { FUNCTION_PM = 3 };

static void pm_reset(void *chip)
{
    piix4_pm_reset(chip);
}

static void pm_snapshot(void *chip, struct snap *snap)
{
    piix4_pm_snapshot(chip, snap);
}

static void pm_destroy(void *chip)
{
    piix4_pm_destroy(chip);
}

static const char *create_pm(struct pc_pci *pci)
{
    struct piix4_pm *pm = piix4_pm_create(&(struct piix4_pm_config){
        .pci = pci->bus, .slot = PC_SLOT_ISA, .function = FUNCTION_PM,
        .ports = pci->config.ports, .base = PORT_ACPI_PM, .smbus = PORT_SMBUS });

    if (!pm)
        return no_memory;
    add(pci, &(struct pc_chip){ pm, pm_reset, pm_snapshot, pm_destroy });
    return NULL;
}

/* --- The list ----------------------------------------------------------- */

static const char *(*const creators[])(struct pc_pci *pci) = {
    create_host,
    create_isa,
    create_ide,
    create_pm,
    create_nics,
    create_virtio,
    create_video,
};

static void set_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    struct pc_pci *pci = board;

    if (pci->piix3)
        piix3_set_pirq(pci->piix3, pc_pci_pirq(slot, pin), slot, level);
}

static void message(void *board, uint64_t address, uint32_t data)
{
    pc_irq_message(((struct pc_pci *)board)->config.irqs, address, data);
}

struct pc_pci *pc_pci_create(const struct pc_pci_config *config, const char **error)
{
    struct pc_pci *pci = calloc(1, sizeof(*pci));

    *error = no_memory;
    if (!pci)
        return NULL;
    pci->config = *config;
    pci->next_slot = PC_SLOT_FIRST_FREE;
    pci->bus = pci_create(&(struct pci_bus_config){
        config->ports, config->memory, set_pin, pci,
        pc_irq_takes_messages(config->irqs) ? message : NULL });
    if (pci->bus)
        *error = NULL;
    for (size_t i = 0; !*error && i < sizeof(creators) / sizeof(*creators); i++)
        *error = creators[i](pci);
    if (!*error)
        return pci;
    pc_pci_destroy(pci);
    return NULL;
}

/* The first ones, the bridges, stay while others let go of their pins. */
void pc_pci_destroy(struct pc_pci *pci)
{
    for (unsigned i = pci->count; i-- > 0;)
        pci->chips[i].destroy(pci->chips[i].chip);
    if (pci->bus)
        pci_destroy(pci->bus);
    free(pci);
}

void pc_pci_reset(struct pc_pci *pci)
{
    for (unsigned i = pci->count; i-- > 0;)
        pci->chips[i].reset(pci->chips[i].chip);
}

void pc_pci_snapshot(struct pc_pci *pci, struct snap *snap)
{
    for (unsigned i = 0; i < pci->count; i++)
        pci->chips[i].snapshot(pci->chips[i].chip, snap);
}

/* --- What firmware would do ------------------------------------------------ */

enum { FUNCTION_COUNT = 8, CLASS_IDE = 0x0101, PAM_FIRST = 0x59, PAM_LAST = 0x5f };

static uint32_t config_read(struct pc_pci *pci, uint32_t function, unsigned at, unsigned size)
{
    return pci_config_read(pci->bus, function | at, size);
}

static void config_write(struct pc_pci *pci, uint32_t function, unsigned at, unsigned size,
                         uint32_t value)
{
    pci_config_write(pci->bus, function | at, size, value);
}

/* What is left of the two spaces; windows are placed upwards at multiples of their size. */
struct room {
    uint32_t at, end;
};

static void place_window(struct pc_pci *pci, uint32_t function, unsigned at, uint32_t size_mask,
                         struct room *room)
{
    uint32_t size = -(config_read(pci, function, at, 4) & size_mask);
    uint64_t base = ((uint64_t)room->at + size - 1) & ~(uint64_t)(size - 1);

    if (!size || base + size > room->end) {
        config_write(pci, function, at, 4, 0);
        return;
    }
    config_write(pci, function, at, 4, (uint32_t)base);
    room->at = (uint32_t)base + size;
}

/* Option ROMs stay off: there is no BIOS that would run them. */
static void place_windows(struct pc_pci *pci, uint32_t function, struct room *ports,
                          struct room *memory)
{
    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        unsigned at = PCI_BAR0 + 4 * i;

        config_write(pci, function, at, 4, UINT32_MAX);
        if (config_read(pci, function, at, 4) & 1)
            place_window(pci, function, at, ~3u, ports);
        else
            place_window(pci, function, at, ~15u, memory);
    }
}

static void set_up_function(struct pc_pci *pci, uint32_t function, unsigned slot,
                            const struct pc_pci_setup *setup, struct room *ports,
                            struct room *memory)
{
    uint32_t pin = config_read(pci, function, PCI_INTERRUPT_PIN, 1);

    place_windows(pci, function, ports, memory);
    if (pin)
        config_write(pci, function, PCI_INTERRUPT_LINE, 1,
                     setup->pirq[pc_pci_pirq(slot, pin - 1)]);
    if (config_read(pci, function, PCI_CLASS + 1, 2) == CLASS_IDE)
        config_write(pci, function, 0x40, 4, 0x80008000); /* both channels decode their ports */
    config_write(pci, function, PCI_COMMAND, 2,
                 config_read(pci, function, PCI_COMMAND, 2) | PCI_COMMAND_IO |
                     PCI_COMMAND_MEMORY);
}

static void set_up_bridges(struct pc_pci *pci, const struct pc_pci_setup *setup)
{
    for (unsigned i = PAM_FIRST; i <= PAM_LAST; i++)
        config_write(pci, PC_SLOT_HOST << 11, i, 1, 0x33);
    for (unsigned i = 0; i < PIIX3_PIRQ_COUNT; i++)
        config_write(pci, PC_SLOT_ISA << 11, PIIX3_PIRQ_ROUTE + i, 1, setup->pirq[i]);
}

void pc_pci_set_up(struct pc_pci *pci, const struct pc_pci_setup *setup)
{
    struct room ports = { setup->ports, setup->ports_end },
                memory = { setup->memory, setup->memory_end };

    set_up_bridges(pci, setup);
    if (pci->vga)
        vga_text_mode(pci->vga);
    for (unsigned slot = PC_SLOT_ISA; slot < PCI_SLOT_COUNT; slot++)
        for (unsigned i = 0; i < FUNCTION_COUNT; i++) {
            uint32_t function = slot << 11 | i << 8;

            if (config_read(pci, function, PCI_VENDOR, 2) != 0xffff)
                set_up_function(pci, function, slot, setup, &ports, &memory);
        }
}
