/*
 * The PIIX3's IDE function: the registers of two channels and what they have in common.
 *
 * Reference: Intel 82371SB data sheet (PIIX3), 2.3 (PCI registers) and 2.7 (bus master, ide_dma.c);
 *            ATA/ATAPI-6 (T13/1410D): 7 (registers), 9 (protocols), 9.2 (resets), 9.16 (drive 1
 *            absent).
 * Modelled:  both channels in legacy mode with the decode enables of IDETIM, one or two drives on
 *            each, 48-bit registers (HOB), SRST, nIEN, PIO by 16 and 32 bits, bus-master DMA.
 * Not:       native mode, overlapped and queued commands; timings have no effect. The legacy ports
 *            answer also while PCI_COMMAND_IO is off (boot loaders and old kernels count on them).
 *
 * A channel with no drive floats, but for DD7, which the host pulls down (ATA/ATAPI-6, required
 * terminations): it never says busy. With one drive, the other's status is 0 and it takes no
 * command but the diagnosis.
 */
#include "devices/ide.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "devices/ide_drive.h"

/* --- Registers ---------------------------------------------------------- */

static const struct {
    uint16_t command, control;
} legacy[IDE_CHANNEL_COUNT] = { { 0x1f0, 0x3f6 }, { 0x170, 0x376 } };

#define FLOATING     0x7f
#define CONTROL_NIEN 0x02
#define CONTROL_SRST 0x04
#define CONTROL_HOB  0x80

#define DMA_STATUS_INTERRUPT 0x04

#define SIGNATURE_CDROM 0xeb14

#define CONFIG_IDETIM 0x40 /* two bytes a channel */
#define IDETIM_DECODE 0x80 /* in the upper one */

#define DEVICE_ONES 0xa0 /* these two bits read as ones */

#define DIAGNOSIS_GOOD 0x01

/* --- Behaviour: interrupts ---------------------------------------------- */

static void update_irq(struct ide_channel *channel)
{
    bool level = ide_selected(channel)->intrq && !(channel->control & CONTROL_NIEN);

    if (level == channel->level)
        return;
    channel->level = level;
    if (level)
        channel->dma.status |= DMA_STATUS_INTERRUPT;
    irq_set(&channel->irq, level);
}

static void set_intrq(struct ide_drive *drive, bool level)
{
    drive->intrq = level;
    update_irq(drive->channel);
}

void ide_raise(struct ide_drive *drive)
{
    set_intrq(drive, true);
}

/* --- Behaviour: the ends of a command ----------------------------------- */

void ide_finish(struct ide_drive *drive)
{
    drive->status = STATUS_RDY | STATUS_DSC;
    drive->error = 0;
    ide_raise(drive);
}

void ide_fail(struct ide_drive *drive, uint8_t error)
{
    drive->status = STATUS_RDY | STATUS_DSC | STATUS_ERR;
    drive->error = error;
    ide_raise(drive);
}

/* --- Behaviour: resets -------------------------------------------------- */

void ide_sign(struct ide_drive *drive)
{
    unsigned mark = drive->cdrom ? SIGNATURE_CDROM : 0;

    drive->reg[IDE_COUNT] = drive->reg[IDE_LBA_LOW] = 1;
    drive->reg[IDE_LBA_MID] = mark & 0xff;
    drive->reg[IDE_LBA_HIGH] = mark >> 8;
    drive->reg[IDE_DEVICE] &= DEVICE_DEV;
    memset(drive->hob, 0, sizeof(drive->hob));
}

/* A packet drive says RDY only after its first command. */
static void diagnosed(struct ide_drive *drive)
{
    ide_sign(drive);
    drive->error = DIAGNOSIS_GOOD;
    drive->status = drive->cdrom ? 0 : STATUS_RDY | STATUS_DSC;
}

static void stop_drive(struct ide_drive *drive)
{
    drive->intrq = false;
    drive->status = STATUS_BSY;
    if (drive->channel->dma.drive == drive)
        drive->channel->dma.drive = NULL;
}

bool ide_settle(struct ide_channel *channel)
{
    uint8_t all = channel->resetting;

    if (!all)
        return false;
    if (channel->control & CONTROL_SRST || (channel->io && blockio_in_flight(channel->io)))
        return true;
    channel->resetting = 0;
    for (unsigned i = 0; i < 2; i++)
        if (all >> i & 1)
            diagnosed(&channel->drive[i]);
    return true;
}

static void reset_channel(struct ide_channel *channel, bool power_on)
{
    channel->selected = 0;
    channel->resetting = 3;
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drive[i];

        stop_drive(drive);
        drive->reg[IDE_DEVICE] = 0;
        ata_reset(drive, power_on);
        atapi_reset(drive, power_on);
    }
    if (channel->io)
        blockio_cancel(channel->io);
    update_irq(channel);
    ide_settle(channel);
}

void ide_device_reset(struct ide_drive *drive)
{
    stop_drive(drive);
    drive->channel->resetting |= 1u << drive->unit;
    atapi_reset(drive, false);
    blockio_cancel(drive->channel->io);
    update_irq(drive->channel);
    ide_settle(drive->channel);
}

void ide_diagnose(struct ide_channel *channel)
{
    for (unsigned i = 0; i < 2; i++) {
        diagnosed(&channel->drive[i]);
        channel->drive[i].reg[IDE_DEVICE] = 0;
    }
    channel->selected = 0;
    channel->drive[1].intrq = false;
    if (channel->drive[0].medium)
        ide_raise(&channel->drive[0]);
    else
        update_irq(channel);
}

/* --- Behaviour: taskfile ------------------------------------------------ */

static bool is_busy(const struct ide_channel *channel)
{
    uint8_t both = channel->drive[0].status | channel->drive[1].status;

    return both & (STATUS_BSY | STATUS_DRQ);
}

static bool is_empty(const struct ide_channel *channel)
{
    return !channel->io;
}

/* Both drives hear every write. */
static void set_reg(struct ide_channel *channel, unsigned reg, uint8_t value)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ide_drive *drive = &channel->drive[i];

        drive->hob[reg] = drive->reg[reg];
        drive->reg[reg] = value;
    }
}

static void device_write(struct ide_channel *channel, uint8_t value)
{
    set_reg(channel, IDE_DEVICE, value);
    channel->selected = !!(value & DEVICE_DEV);
    update_irq(channel);
}

static void command_write(struct ide_channel *channel, uint8_t value)
{
    struct ide_drive *drive = ide_selected(channel);

    if (!drive->medium && value != 0x90)
        return;
    if (channel->resetting || (is_busy(channel) && !(drive->cdrom && value == 0x08)))
        return;
    set_intrq(drive, false);
    ata_command(drive, value);
}

static void reg_write(struct ide_channel *channel, unsigned reg, uint8_t value)
{
    if (is_empty(channel))
        return;
    channel->control &= ~CONTROL_HOB;
    if (reg == IDE_COMMAND)
        command_write(channel, value);
    else if (is_busy(channel))
        return;
    else if (reg == IDE_DEVICE)
        device_write(channel, value);
    else
        set_reg(channel, reg, value);
}

static uint8_t status_of(const struct ide_channel *channel)
{
    const struct ide_drive *drive = &channel->drive[channel->selected];

    if (is_empty(channel))
        return FLOATING;
    return drive->medium ? drive->status : 0;
}

static uint8_t reg_read(struct ide_channel *channel, unsigned reg)
{
    struct ide_drive *drive = ide_selected(channel);

    if (is_empty(channel))
        return FLOATING;
    switch (reg) {
    case IDE_FEATURE: return drive->error;
    case IDE_DEVICE: return drive->reg[IDE_DEVICE] | DEVICE_ONES;
    case IDE_COMMAND:
        set_intrq(drive, false);
        return status_of(channel);
    default: return channel->control & CONTROL_HOB ? drive->hob[reg] : drive->reg[reg];
    }
}

static void control_write(struct ide_channel *channel, uint8_t value)
{
    uint8_t before = channel->control;

    channel->control = value;
    if (is_empty(channel))
        return;
    if (value & CONTROL_SRST && !(before & CONTROL_SRST))
        reset_channel(channel, false);
    update_irq(channel);
    ide_settle(channel);
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t command_port_read(void *dev, uint64_t offset, unsigned size)
{
    struct ide_channel *channel = dev;
    uint64_t value = 0;

    if (offset == IDE_DATA && size > 1)
        return ide_pio_read(channel, size);
    for (unsigned i = 0; i < size; i++) {
        unsigned reg = (offset + i) % IDE_REG_COUNT;
        uint64_t byte = reg == IDE_DATA ? ide_pio_read(channel, 1) : reg_read(channel, reg);

        value |= (byte & 0xff) << 8 * i;
    }
    return value;
}

static void command_port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide_channel *channel = dev;

    if (offset == IDE_DATA) {
        ide_pio_write(channel, size, value & UINT32_MAX);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        reg_write(channel, (offset + i) % IDE_REG_COUNT, value >> 8 * i & 0xff);
}

static uint64_t command_port_read_string(void *dev, uint64_t offset, unsigned size, void *to,
                                         uint64_t count)
{
    return offset == IDE_DATA ? ide_pio_read_string(dev, size, to, count) : 0;
}

static uint64_t command_port_write_string(void *dev, uint64_t offset, unsigned size,
                                          const void *from, uint64_t count)
{
    return offset == IDE_DATA ? ide_pio_write_string(dev, size, from, count) : 0;
}

static const struct bus_ops command_ops = {
    .read = command_port_read,
    .write = command_port_write,
    .read_string = command_port_read_string,
    .write_string = command_port_write_string,
    .max_size = 4,
    .name = "ide",
};

static uint64_t control_port_read(void *dev, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    return status_of(dev);
}

static void control_port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset;
    (void)size;
    control_write(dev, value & 0xff);
}

static const struct bus_ops control_ops = {
    .read = control_port_read,
    .write = control_port_write,
    .max_size = 1,
    .name = "ide-control",
};

/* --- PCI ---------------------------------------------------------------- */

static void release(struct ide *ide, unsigned n)
{
    struct bus *ports = ide->config.ports;

    if (!ide->channel[n].decoded)
        return;
    bus_release(ports, legacy[n].command);
    bus_release(ports, legacy[n].control);
    ide->channel[n].decoded = false;
}

/* Where somebody else has a window (a guest can put any there), the ports are his. */
static void claim(struct ide *ide, unsigned n)
{
    struct ide_channel *channel = &ide->channel[n];
    struct bus *ports = ide->config.ports;

    if (channel->decoded)
        return;
    if (bus_claim(ports, legacy[n].command, IDE_REG_COUNT, &command_ops, channel))
        return;
    channel->decoded = !bus_claim(ports, legacy[n].control, 1, &control_ops, channel);
    if (!channel->decoded)
        bus_release(ports, legacy[n].command);
}

void ide_decode(struct ide *ide)
{
    for (unsigned n = 0; n < IDE_CHANNEL_COUNT; n++) {
        if (!(ide->pci.config[CONFIG_IDETIM + 2 * n + 1] & IDETIM_DECODE))
            release(ide, n);
        else
            claim(ide, n);
    }
}

static void config_written(void *dev, unsigned at, unsigned size)
{
    struct ide *ide = dev;

    (void)at;
    (void)size;
    ide_decode(ide);
    for (unsigned n = 0; n < IDE_CHANNEL_COUNT; n++)
        ide_dma_run(&ide->channel[n]); /* it may be master now */
}

static void fill_config(struct ide *ide)
{
    struct pci_function *f = &ide->pci;
    static const uint8_t identity[] = {
        0x86, 0x80, 0x10, 0x70, /* 8086:7010 */
        0x00, 0x00, 0x80, 0x02, /* status: fast back to back, medium DEVSEL# */
        0x00, 0x80, 0x01, 0x01, /* IDE, bus master, both channels in legacy mode only */
    };

    f->name = "ide";
    f->dev = ide;
    f->written = config_written;
    memcpy(f->after_reset, identity, sizeof(identity));
    memset(f->writable + CONFIG_IDETIM, 0xff, 5); /* and the drives' 1 timings */
    for (unsigned n = 0; ide->config.decodes && n < IDE_CHANNEL_COUNT; n++)
        f->after_reset[CONFIG_IDETIM + 2 * n + 1] = IDETIM_DECODE;
    f->bar[4] =
        (struct pci_bar){ .size = 16, .ports = true, .ops = &ide_dma_ops, .dev = ide };
}

/* --- Life --------------------------------------------------------------- */

void ide_reset(struct ide *ide)
{
    pci_reset(&ide->pci);
    ide_decode(ide);
    for (unsigned n = 0; n < IDE_CHANNEL_COUNT; n++) {
        struct ide_channel *channel = &ide->channel[n];

        channel->control = 0;
        ide_dma_reset(channel);
        reset_channel(channel, true);
    }
    /* Now what is in flight goes nowhere: the guest's memory has another owner already. */
    for (unsigned i = 0; i < IDE_DRIVE_COUNT; i++)
        if (ide->config.drive[i])
            blockdev_drain(ide->config.drive[i]);
}

bool ide_is_idle(const struct ide *ide)
{
    for (unsigned n = 0; n < IDE_CHANNEL_COUNT; n++)
        if (ide->channel[n].io && blockio_in_flight(ide->channel[n].io))
            return false;
    return true;
}

static void attach_medium(struct ide_drive *drive, struct blockdev *medium)
{
    drive->medium = medium;
    if (!medium)
        return;
    drive->cdrom = medium->cdrom;
    medium->controller = drive;
    if (!drive->cdrom)
        return;
    medium->changed = atapi_changed;
    medium->eject_request = atapi_eject_request;
}

static int create_channel(struct ide *ide, unsigned n)
{
    struct ide_channel *channel = &ide->channel[n];

    channel->ide = ide;
    channel->irq = ide->config.irq[n];
    for (unsigned i = 0; i < 2; i++) {
        channel->drive[i].channel = channel;
        channel->drive[i].unit = i;
        attach_medium(&channel->drive[i], ide->config.drive[2 * n + i]);
    }
    if (channel->drive[0].medium || channel->drive[1].medium) {
        channel->io = blockio_create(IDE_CHUNK, channel);
        if (!channel->io)
            return -ENOMEM;
        channel->buffer = blockio_buffer(channel->io);
    }
    return 0;
}

struct ide *ide_create(const struct ide_config *config)
{
    struct ide *ide = calloc(1, sizeof(*ide));
    int err;

    if (!ide)
        return NULL;
    ide->config = *config;
    fill_config(ide);
    err = pci_attach(config->pci, config->slot, config->function, &ide->pci);
    if (err) {
        free(ide);
        errno = -err;
        return NULL;
    }
    for (unsigned n = 0; n < IDE_CHANNEL_COUNT && !err; n++)
        err = create_channel(ide, n);
    if (err) {
        ide_destroy(ide);
        errno = -err;
        return NULL;
    }
    ide_reset(ide);
    return ide;
}

static void detach_medium(struct ide_drive *drive)
{
    struct blockdev *medium = drive->medium;

    if (!medium || medium->controller != drive)
        return;
    medium->changed = medium->eject_request = NULL;
    medium->controller = NULL;
}

void ide_destroy(struct ide *ide)
{
    for (unsigned n = 0; n < IDE_CHANNEL_COUNT; n++) {
        release(ide, n);
        for (unsigned i = 0; i < 2; i++)
            detach_medium(&ide->channel[n].drive[i]);
        if (ide->channel[n].io)
            blockio_destroy(ide->channel[n].io);
    }
    pci_detach(&ide->pci);
    free(ide);
}
