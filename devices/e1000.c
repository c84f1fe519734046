/*
 * Intel 82540EM gigabit Ethernet controller: registers, EEPROM, PHY and interrupts. Its rings are
 * e1000_ring.c's.
 *
 * Reference: PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (Intel
 *            317453), 5.6 (EEPROM), 8 (PHY), 13 (registers), 3.4 (interrupts).
 * Modelled:  the registers that drivers use, EEPROM by EECD (Microwire) and EERD, PHY by MDIC,
 *            interrupt causes, mask and throttling, statistics, reset, the port window.
 * Not:       writes to the EEPROM, delays of single interrupts (RDTR, RADV, TIDV, TADV: throttling
 *            does), loopback, flow control, wake-up, diagnostics of the packet buffer.
 */
#include "devices/e1000.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/snap.h"
#include "devices/bus.h"
#include "devices/e1000_state.h"

/* --- Registers ---------------------------------------------------------- */

enum { MEMORY_SIZE = 0x20000, PORTS_SIZE = 64, VENDOR_INTEL = 0x8086, DEVICE_82540EM = 0x100e };
enum { STATUS_FD = 1, STATUS_LU = 2, STATUS_1000 = 0x80 };
enum { EECD_SK = 1, EECD_CS = 2, EECD_DI = 4, EECD_DO = 8, EECD_FWE = 0x30, EECD_REQ = 0x40,
       EECD_GNT = 0x80, EECD_PRES = 0x100 };
enum { EERD_START = 1, EERD_DONE = 0x10 };
enum { MDIC_WRITE = 1, MDIC_READ = 2, PHY_ADDRESS = 1 };
#define MDIC_READY 0x10000000u
#define MDIC_INTERRUPT 0x20000000u
#define MDIC_ERROR 0x40000000u
#define RAH_VALID 0x80000000u
#define RAH_KEPT  0x8003ffff /* the rest of an address's second word is reserved */

enum { PHY_CONTROL = 0, PHY_STATUS = 1, PHY_SPECIFIC_STATUS = 17, PHY_INTERRUPTS = 19,
       PHY_RESET = 0x8000, PHY_RESTART = 0x0200, PHY_LINK = 0x0004, PHY_NEGOTIATED = 0x0020 };

/* Registers that hold what was written: offset, how many, which bits. */
static const struct plain {
    uint16_t offset, count;
    uint32_t mask;
} plain[] = {
    { CTRL_EXT, 1, 0xffffffff }, { FCAL, 1, 0xffffffff }, { FCAH, 1, 0xffff },
    { FCT, 1, 0xffff }, { VET, 1, 0xffff },
    { ITR, 1, 0xffff }, { FCTTV, 1, 0xffff }, { TXCW, 1, 0xffffffff }, { TCTL, 1, 0x03fffffa },
    { TIPG, 1, 0x3fffffff }, { AIFS, 1, 0xffff }, { LEDCTL, 1, 0xffffffff }, { PBA, 1, 0xffff },
    { FCRTL, 1, 0x8000fff8 }, { FCRTH, 1, 0xfff8 },
    { RDBAL, 1, 0xfffffff0 }, { RDBAH, 1, 0xffffffff }, { RDLEN, 1, 0xfff80 }, { RDH, 1, 0xffff },
    { RDTR, 1, 0xffff }, { RXDCTL, 1, 0x3ffffff }, { RADV, 1, 0xffff }, { RSRPD, 1, 0xfff },
    { TDBAL, 1, 0xfffffff0 }, { TDBAH, 1, 0xffffffff }, { TDLEN, 1, 0xfff80 }, { TDH, 1, 0xffff },
    { TIDV, 1, 0xffff }, { TXDCTL, 1, 0xffffffff }, { TADV, 1, 0xffff }, { TSPMT, 1, 0xffffffff },
    { RXCSUM, 1, 0x7ff }, { MTA, 128, 0xffffffff }, { RA, 32, 0xffffffff },
    { VFTA, 128, 0xffffffff }, { WUC, 1, 0xf }, { WUFC, 1, 0xfffff }, { WUS, 1, 0 },
    { MANC, 1, 0xffffffff }, { IPAV, 1, 0xffff }, { WUPM, 32, 0xffffffff },
};

static const struct plain *plain_of(unsigned offset)
{
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        if (offset >= plain[i].offset && offset < plain[i].offset + 4u * plain[i].count)
            return &plain[i];
    return NULL;
}

/* --- Interrupts --------------------------------------------------------- */

/* The pin follows the causes; where it rises, ITR says how long after the last time. */
static void update_pin(struct e1000 *dev)
{
    uint64_t now, next;

    if (!(*e1000_reg(dev, ICR) & *e1000_reg(dev, IMS))) {
        timer_cancel(&dev->throttle);
        dev->asserted = false;
        pci_set_irq(&dev->function, false);
        return;
    }
    if (dev->asserted || dev->throttle.clock)
        return;
    now = clock_now_ns(dev->config.clock);
    next = dev->asserted_ns + *e1000_reg(dev, ITR) * 256ull;
    if (dev->asserted_ns && now < next) {
        timer_arm(&dev->throttle, dev->config.clock, next);
        return;
    }
    dev->asserted = true;
    dev->asserted_ns = now ? now : 1;
    pci_set_irq(&dev->function, true);
}

static void throttled(void *arg)
{
    struct e1000 *dev = arg;

    dev->asserted_ns = 0;
    update_pin(dev);
}

void e1000_cause(struct e1000 *dev, uint32_t causes)
{
    *e1000_reg(dev, ICR) |= causes;
    update_pin(dev);
}

static uint32_t read_icr(struct e1000 *dev)
{
    uint32_t causes = *e1000_reg(dev, ICR);

    *e1000_reg(dev, ICR) = 0;
    update_pin(dev);
    return causes;
}

/* --- Statistics --------------------------------------------------------- */

static bool is_wide(unsigned offset)
{
    return offset == GORCL || offset == GOTCL || offset == TORL || offset == TOTL;
}

/* Those of 64 bits wrap, the others stay at their end. */
void e1000_count(struct e1000 *dev, unsigned statistic, uint64_t n)
{
    uint32_t *low = e1000_reg(dev, statistic);
    uint64_t sum = *low + n;

    if (is_wide(statistic)) {
        low[1] += (uint32_t)(sum >> 32);
        low[0] = (uint32_t)sum;
    } else {
        *low = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
    }
}

/* Reading clears; of the wide ones, reading the upper half does. */
static uint32_t read_statistic(struct e1000 *dev, unsigned offset)
{
    uint32_t value = *e1000_reg(dev, offset);

    if (is_wide(offset))
        return value;
    *e1000_reg(dev, offset) = 0;
    if (is_wide(offset - 4))
        *e1000_reg(dev, offset - 4) = 0;
    return value;
}

/* --- EEPROM ------------------------------------------------------------- */

static void make_eeprom(struct e1000 *dev)
{
    const uint8_t *mac = dev->config.cable->mac;
    uint16_t *word = dev->eeprom, sum = 0;

    memset(word, 0xff, sizeof(dev->eeprom));
    for (unsigned i = 0; i < 3; i++)
        word[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
    word[0x03] = 0x0000;
    word[0x0a] = 0x3000 | 1 << 14; /* signature, and our identity is valid */
    word[0x0b] = 0x001e;
    word[0x0c] = VENDOR_INTEL;
    word[0x0d] = DEVICE_82540EM;
    word[0x0e] = VENDOR_INTEL;
    word[0x0f] = 0xb0c0;
    for (unsigned i = 0; i < EEPROM_WORDS - 1; i++)
        sum += word[i];
    word[EEPROM_WORDS - 1] = 0xbaba - sum;
}

/* Commands are a start bit, two bits and six of address; then come the words, highest bit first. */
static void shift(struct e1000 *dev, bool in)
{
    struct microwire *wire = &dev->wire;

    if (wire->reading) {
        if (!wire->out_bits) {
            wire->out = dev->eeprom[wire->address++ & (EEPROM_WORDS - 1)];
            wire->out_bits = 16;
        }
        wire->data_out = wire->out >> --wire->out_bits & 1;
        return;
    }
    if (!wire->in_bits && !in)
        return; /* no start bit yet */
    wire->in = (uint16_t)(wire->in << 1 | in);
    if (++wire->in_bits < 9)
        return;
    wire->reading = (wire->in >> 6 & 3) == 2;
    wire->address = wire->in & (EEPROM_WORDS - 1);
    wire->data_out = !wire->reading; /* a 0 precedes the words; else: ready */
    wire->in_bits = 0;
    wire->in = 0;
}

static void write_eecd(struct e1000 *dev, uint32_t value)
{
    uint32_t before = *e1000_reg(dev, EECD);

    *e1000_reg(dev, EECD) = value & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ);
    if (!(value & EECD_CS))
        dev->wire = (struct microwire){ .data_out = true };
    else if (value & ~before & EECD_SK)
        shift(dev, value & EECD_DI);
}

static uint32_t read_eecd(struct e1000 *dev)
{
    uint32_t value = *e1000_reg(dev, EECD) | EECD_PRES;

    return value | (value & EECD_REQ ? EECD_GNT : 0) | (dev->wire.data_out ? EECD_DO : 0);
}

static void write_eerd(struct e1000 *dev, uint32_t value)
{
    unsigned address = value >> 8 & 0xff;
    uint32_t word = address < EEPROM_WORDS ? dev->eeprom[address] : 0xffff;

    *e1000_reg(dev, EERD) = value & EERD_START ? word << 16 | address << 8 | EERD_DONE
                                               : value & 0xff00;
}

/* --- PHY ---------------------------------------------------------------- */

static void reset_phy(struct e1000 *dev)
{
    static const uint16_t start[PHY_REGISTERS] = {
        [PHY_CONTROL] = 0x1140, [PHY_STATUS] = 0x7949, [2] = 0x0141, [3] = 0x0c20, [4] = 0x0de1,
        [5] = 0x4de1, [6] = 0x000d, [9] = 0x0e00, [10] = 0x3c00, [15] = 0x3000, [16] = 0x0068,
        [PHY_SPECIFIC_STATUS] = 0xa800, [20] = 0x0d60,
    };

    memcpy(dev->phy, start, sizeof(start));
}

static bool has_link(const struct e1000 *dev)
{
    return dev->config.cable->link;
}

static uint16_t read_phy(const struct e1000 *dev, unsigned reg)
{
    uint16_t value = dev->phy[reg];

    if (reg == PHY_STATUS && has_link(dev))
        value |= PHY_LINK | PHY_NEGOTIATED;
    if (reg == PHY_SPECIFIC_STATUS && has_link(dev))
        value |= 0x0400;
    return value;
}

static void write_phy(struct e1000 *dev, unsigned reg, uint16_t value)
{
    if (reg == PHY_CONTROL && value & PHY_RESET)
        reset_phy(dev);
    else if (reg == PHY_CONTROL)
        dev->phy[reg] = value & ~PHY_RESTART;
    else if (reg != PHY_STATUS && reg != 2 && reg != 3 && reg != 5 && reg != 10 &&
             reg != PHY_SPECIFIC_STATUS && reg != PHY_INTERRUPTS)
        dev->phy[reg] = value;
    if (reg == PHY_CONTROL && value & (PHY_RESET | PHY_RESTART) && has_link(dev))
        e1000_cause(dev, ICR_LSC);
}

static void write_mdic(struct e1000 *dev, uint32_t value)
{
    unsigned reg = value >> 16 & 31, phy = value >> 21 & 31, operation = value >> 26 & 3;

    value &= ~(MDIC_READY | MDIC_ERROR);
    if (phy != PHY_ADDRESS)
        value |= MDIC_ERROR;
    else if (operation == MDIC_READ)
        value = (value & 0xffff0000) | read_phy(dev, reg);
    else if (operation == MDIC_WRITE)
        write_phy(dev, reg, value & 0xffff);
    *e1000_reg(dev, MDIC) = value | MDIC_READY;
    if (value & MDIC_INTERRUPT)
        e1000_cause(dev, ICR_MDAC);
}

/* --- Reset -------------------------------------------------------------- */

static void reset_registers(struct e1000 *dev)
{
    const uint8_t *mac = dev->config.cable->mac;

    memset(dev->reg, 0, sizeof(dev->reg));
    *e1000_reg(dev, CTRL) = 0x00140240; /* full speed, link up */
    *e1000_reg(dev, PBA) = 0x00100030;
    *e1000_reg(dev, LEDCTL) = 0x07068302;
    *e1000_reg(dev, MANC) = 0;
    *e1000_reg(dev, VET) = 0x8100;
    *e1000_reg(dev, MDIC) = MDIC_READY;
    *e1000_reg(dev, RA) = (uint32_t)mac[0] | mac[1] << 8 | mac[2] << 16 | (uint32_t)mac[3] << 24;
    *e1000_reg(dev, RA + 4) = mac[4] | (uint32_t)mac[5] << 8 | RAH_VALID;
    dev->wire = (struct microwire){ .data_out = true };
    dev->asserted_ns = 0;
    e1000_transmit_reset(dev);
    update_pin(dev);
    if (dev->rx_waits) /* dropped, then */
        dev->config.cable->ready(dev->config.cable->host);
    dev->rx_waits = false;
}

static void write_ctrl(struct e1000 *dev, uint32_t value)
{
    if (value & CTRL_RST) {
        reset_registers(dev);
        return;
    }
    if (value & 1u << 31)
        reset_phy(dev);
    *e1000_reg(dev, CTRL) = value & 0x7fffffff;
}

/* --- Accesses ----------------------------------------------------------- */

static void wake_receiver(struct e1000 *dev)
{
    if (dev->rx_waits)
        dev->config.cable->ready(dev->config.cable->host);
}

static void write_plain(struct e1000 *dev, unsigned offset, uint32_t value)
{
    const struct plain *p = plain_of(offset);

    if (p && p->offset == RA && offset & 4)
        value &= RAH_KEPT;
    if (p)
        *e1000_reg(dev, offset) = value & p->mask;
    if (offset == TCTL || offset == TDT)
        e1000_transmit(dev);
}

static void write_register(struct e1000 *dev, unsigned offset, uint32_t value)
{
    switch (offset) {
    case CTRL: case CTRL + 4: write_ctrl(dev, value); break;
    case EECD: write_eecd(dev, value); break;
    case EERD: write_eerd(dev, value); break;
    case MDIC: write_mdic(dev, value); break;
    case ICR: *e1000_reg(dev, ICR) &= ~value; update_pin(dev); break;
    case ICS: e1000_cause(dev, value & ICR_ALL); break;
    case IMS: *e1000_reg(dev, IMS) |= value & ICR_ALL; update_pin(dev); break;
    case IMC: *e1000_reg(dev, IMS) &= ~value; update_pin(dev); break;
    case RCTL: *e1000_reg(dev, RCTL) = value; wake_receiver(dev); break;
    case RDT: *e1000_reg(dev, RDT) = value & 0xffff; wake_receiver(dev); break;
    case TDT:
        *e1000_reg(dev, TDT) = value & 0xffff;
        dev->function.kicks++;
        e1000_transmit(dev);
        break;
    default: write_plain(dev, offset, value); break;
    }
}

static uint32_t read_register(struct e1000 *dev, unsigned offset)
{
    if (offset >= STATISTICS && offset < STATISTICS_END)
        return read_statistic(dev, offset);
    switch (offset) {
    case CTRL + 4: return *e1000_reg(dev, CTRL);
    case STATUS:
        return STATUS_FD | STATUS_1000 |
               (has_link(dev) && *e1000_reg(dev, CTRL) & CTRL_SLU ? STATUS_LU : 0);
    case EECD: return read_eecd(dev);
    case ICR: return read_icr(dev);
    case IMC: return 0;
    case ICS: return *e1000_reg(dev, ICR);
    case CTRL: case EERD: case MDIC: case IMS: case RCTL: case RDT: case TDT:
        return *e1000_reg(dev, offset);
    default: return plain_of(offset) ? *e1000_reg(dev, offset) : 0;
    }
}

static uint64_t memory_read(void *chip, uint64_t offset, unsigned size)
{
    uint32_t value = offset < REGISTERS_END ? read_register(chip, offset & ~3u) : 0;

    return size == 4 ? value : value >> 8 * (offset & 3) & ((1u << 8 * size) - 1);
}

/* The manual allows whole registers alone. */
static void memory_write(void *chip, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset < REGISTERS_END && size == 4 && !(offset & 3))
        write_register(chip, (unsigned)offset, (uint32_t)value);
}

static const struct bus_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .max_size = 4,
    .name = "e1000",
};

static uint64_t ports_read(void *chip, uint64_t offset, unsigned size)
{
    struct e1000 *dev = chip;

    if (size == 4 && offset == 0)
        return dev->io_address;
    return size == 4 && offset == 4 ? memory_read(dev, dev->io_address & ~3u, 4) : 0;
}

static void ports_write(void *chip, uint64_t offset, unsigned size, uint64_t value)
{
    struct e1000 *dev = chip;

    if (size == 4 && offset == 0)
        dev->io_address = value & (MEMORY_SIZE - 1);
    else if (size == 4 && offset == 4)
        memory_write(dev, dev->io_address & ~3u, 4, value);
}

static const struct bus_ops ports_ops = {
    .read = ports_read,
    .write = ports_write,
    .max_size = 4,
    .name = "e1000 (ports)",
};

/* --- Life --------------------------------------------------------------- */

static void put16(uint8_t *at, unsigned value)
{
    at[0] = value & 0xff;
    at[1] = value >> 8 & 0xff;
}

static void identify(struct e1000 *dev)
{
    struct pci_function *f = &dev->function;
    uint8_t *space = f->after_reset;

    f->name = "e1000";
    f->dev = dev;
    put16(space + PCI_VENDOR, VENDOR_INTEL);
    put16(space + PCI_DEVICE, DEVICE_82540EM);
    put16(space + PCI_SUBSYSTEM_VENDOR, VENDOR_INTEL);
    put16(space + PCI_SUBSYSTEM, 0x001e);
    space[PCI_REVISION] = 2;
    space[PCI_CLASS + 2] = 0x02;
    space[PCI_INTERRUPT_PIN] = 1;
    space[0x3e] = 0xff; /* MIN_GNT */
    f->bar[0] = (struct pci_bar){ .size = MEMORY_SIZE, .ops = &memory_ops, .dev = dev };
    f->bar[1] = (struct pci_bar){ .size = PORTS_SIZE, .ports = true, .ops = &ports_ops,
                                  .dev = dev };
    pci_rom_install(f, &dev->config.rom);
}

static void chip_room(void *chip)
{
    struct e1000 *dev = chip;

    if (dev->tx_waits)
        e1000_transmit(dev);
}

static void link_changed(void *chip)
{
    e1000_cause(chip, ICR_LSC);
}

struct e1000 *e1000_create(const struct e1000_config *config)
{
    struct e1000 *dev = calloc(1, sizeof(*dev));
    struct netdev *cable = config->cable;
    int err;

    if (!dev)
        return NULL;
    dev->config = *config;
    dev->throttle = (struct timer){ .fire = throttled, .arg = dev };
    identify(dev);
    err = pci_attach(config->bus, config->slot, 0, &dev->function);
    if (err) {
        free(dev);
        errno = -err;
        return NULL;
    }
    make_eeprom(dev);
    reset_phy(dev);
    reset_registers(dev);
    cable->chip = dev;
    cable->receive = e1000_receive;
    cable->room = chip_room;
    cable->link_changed = link_changed;
    cable->takes = 0;
    return dev;
}

void e1000_destroy(struct e1000 *dev)
{
    struct netdev *cable = dev->config.cable;

    timer_cancel(&dev->throttle);
    cable->receive = NULL;
    cable->room = NULL;
    cable->link_changed = NULL;
    pci_detach(&dev->function);
    free(dev);
}

void e1000_reset(struct e1000 *dev)
{
    reset_phy(dev);
    reset_registers(dev);
    dev->io_address = 0;
    pci_reset(&dev->function);
}

void e1000_snapshot(struct e1000 *dev, struct snap *snap)
{
    pci_snapshot(&dev->function, snap);
    snap_bytes(snap, dev->reg, sizeof(dev->reg));
    snap_bytes(snap, &dev->io_address, sizeof(dev->io_address));
    snap_bytes(snap, &dev->wire, sizeof(dev->wire));
    snap_bytes(snap, dev->phy, sizeof(dev->phy));
    snap_bytes(snap, dev->context, sizeof(dev->context));
    snap_bytes(snap, &dev->packet, sizeof(dev->packet));
    if (!snap->loading)
        return;
    dev->asserted = false;
    dev->asserted_ns = 0;
    dev->tx_waits = dev->rx_waits = true; /* look again */
    update_pin(dev);
}
