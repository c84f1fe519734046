/*
 * Commands of an ATA disk, and those that a CD-ROM has, too: the table, and those that move no data
 * but what the drive says of itself.
 *
 * Reference: ATA/ATAPI-6 (T13/1410D), 8 (commands); ATA-1 for the older codes of power commands.
 * Modelled:  the general and 48-bit feature sets, power management, write cache, look-ahead,
 *            READ NATIVE MAX ADDRESS, TRIM, SMART (ata_smart.c).
 * Not:       security, host protected area (SET MAX), APM, queued commands, microcode: they
 *            are aborted and IDENTIFY DEVICE does not announce them.
 */
#include "devices/ata.h"

/* --- Commands' properties ----------------------------------------------- */

struct command {
    void (*run)(struct ide_drive *drive);
    uint8_t flags;
};

enum { MODE_PIO_MAX = 4, MODE_MWDMA_MAX = 2, MODE_UDMA_MAX = 5 };

/* --- IDENTIFY ----------------------------------------------------------- */

void ata_identify_sent(struct ide_drive *drive)
{
    drive->status = STATUS_RDY | STATUS_DSC;
}

static void identify(struct ide_drive *drive)
{
    if (drive->cdrom) { /* how a host finds out that it is none */
        ide_sign(drive);
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    ata_identify(drive, drive->channel->buffer);
    drive->dma = false;
    ide_transfer_in(drive, BLOCK_SECTOR, BLOCK_SECTOR, IDE_NEXT_ATA_IDENTIFY);
}

static void identify_packet(struct ide_drive *drive)
{
    atapi_identify(drive, drive->channel->buffer);
    drive->dma = false;
    ide_transfer_in(drive, BLOCK_SECTOR, BLOCK_SECTOR, IDE_NEXT_ATA_IDENTIFY);
}

/* --- Settings ----------------------------------------------------------- */

static bool set_transfer_mode(struct ide_drive *drive, uint8_t mode)
{
    uint8_t kind = mode & 0xf8, number = mode & 7, most;

    switch (kind) {
    case 0x00: most = 1; break; /* PIO as it is, with or without IORDY */
    case MODE_PIO: most = MODE_PIO_MAX; break;
    case MODE_MWDMA: most = MODE_MWDMA_MAX; break;
    case MODE_UDMA: most = MODE_UDMA_MAX; break;
    default: return false;
    }
    if (number > most)
        return false;
    if (kind >= MODE_MWDMA)
        drive->ata.mode = mode;
    return true;
}

static bool set_feature(struct ide_drive *drive, uint8_t feature)
{
    switch (feature) {
    case 0x03: return set_transfer_mode(drive, drive->reg[IDE_COUNT]);
    case 0x02: drive->ata.write_cache = true; break;
    case 0xaa: drive->ata.look_ahead = true; break;
    case 0x55: drive->ata.look_ahead = false; break;
    case 0x66: /* keep settings over a soft reset, */
    case 0xcc: /* or not: they are kept */
        break;
    default: return false;
    }
    return true;
}

/* Turning the write cache off empties it. */
static void set_features(struct ide_drive *drive)
{
    uint8_t feature = drive->reg[IDE_FEATURE];

    if (feature == 0x82 && !drive->cdrom) {
        drive->ata.write_cache = false;
        ata_flush_cache(drive);
    } else if ((drive->cdrom && feature != 0x03) || !set_feature(drive, feature)) {
        ide_fail(drive, ERROR_ABRT);
    } else {
        ide_finish(drive);
    }
}

static void set_multiple(struct ide_drive *drive)
{
    uint8_t count = drive->reg[IDE_COUNT];

    if (count > ATA_MULTIPLE_MAX || count & (count - 1)) {
        drive->ata.multiple = 0;
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    drive->ata.multiple = count;
    ide_finish(drive);
}

static void init_parameters(struct ide_drive *drive)
{
    if (!drive->reg[IDE_COUNT] || drive->reg[IDE_COUNT] > ATA_SECTORS) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    drive->ata.sectors = drive->reg[IDE_COUNT];
    drive->ata.heads = (drive->reg[IDE_DEVICE] & 0x0f) + 1;
    ide_finish(drive);
}

static void succeed(struct ide_drive *drive)
{
    ide_finish(drive);
}

static void diagnostic(struct ide_drive *drive)
{
    ide_diagnose(drive->channel);
}

static void device_reset(struct ide_drive *drive)
{
    ide_device_reset(drive);
}

/* READ SECTORS on a packet drive is answered with its signature. */
static void read_or_sign(struct ide_drive *drive)
{
    if (drive->cdrom) {
        ide_sign(drive);
        ide_fail(drive, ERROR_ABRT);
    } else {
        ata_read_sectors(drive);
    }
}

/* --- Power -------------------------------------------------------------- */

/* What has been written is safe when the disk stops. */
static void rest(struct ide_drive *drive, uint8_t power)
{
    drive->ata.power = power;
    if (drive->cdrom || power != POWER_STANDBY)
        ide_finish(drive);
    else
        ata_flush_cache(drive);
}

static void standby(struct ide_drive *drive)
{
    rest(drive, POWER_STANDBY);
}

static void idle(struct ide_drive *drive)
{
    rest(drive, POWER_IDLE);
}

static void sleep_now(struct ide_drive *drive)
{
    drive->ata.asleep = true;
    rest(drive, POWER_STANDBY);
}

static void check_power(struct ide_drive *drive)
{
    drive->reg[IDE_COUNT] = drive->ata.power;
    ide_finish(drive);
}

/* --- The table ---------------------------------------------------------- */

/* clang-format off */
static const struct command commands[256] = {
    [0x06] = { ata_data_set_management, DISK | EXT | DMA },
    [0x08] = { device_reset, CDROM },
    [0x10 ... 0x1f] = { succeed, DISK }, /* RECALIBRATE */
    [0x20] = { read_or_sign, BOTH },
    [0x21] = { ata_read_sectors, DISK },
    [0x24] = { ata_read_sectors, DISK | EXT },
    [0x25] = { ata_read_sectors, DISK | EXT | DMA },
    [0x27] = { ata_native_max, DISK | EXT },
    [0x29] = { ata_read_sectors, DISK | EXT | MULTIPLE },
    [0x30] = { ata_write_sectors, DISK },
    [0x31] = { ata_write_sectors, DISK },
    [0x34] = { ata_write_sectors, DISK | EXT },
    [0x35] = { ata_write_sectors, DISK | EXT | DMA },
    [0x39] = { ata_write_sectors, DISK | EXT | MULTIPLE },
    [0x3d] = { ata_write_sectors, DISK | EXT | DMA | FUA },
    [0x40] = { ata_verify_sectors, DISK },
    [0x41] = { ata_verify_sectors, DISK },
    [0x42] = { ata_verify_sectors, DISK | EXT },
    [0x70 ... 0x7f] = { ata_seek, DISK },
    [0x90] = { diagnostic, BOTH },
    [0x91] = { init_parameters, DISK },
    [0x94] = { standby, BOTH },
    [0x95] = { idle, BOTH },
    [0x96] = { standby, BOTH },
    [0x97] = { idle, BOTH },
    [0x98] = { check_power, BOTH },
    [0x99] = { sleep_now, BOTH },
    [0xa0] = { atapi_packet, CDROM },
    [0xa1] = { identify_packet, CDROM },
    [0xb0] = { ata_smart, DISK },
    [0xc4] = { ata_read_sectors, DISK | MULTIPLE },
    [0xc5] = { ata_write_sectors, DISK | MULTIPLE },
    [0xc6] = { set_multiple, DISK },
    [0xc8] = { ata_read_sectors, DISK | DMA },
    [0xc9] = { ata_read_sectors, DISK | DMA },
    [0xca] = { ata_write_sectors, DISK | DMA },
    [0xcb] = { ata_write_sectors, DISK | DMA },
    [0xce] = { ata_write_sectors, DISK | EXT | MULTIPLE | FUA },
    [0xe0] = { standby, BOTH },
    [0xe1] = { idle, BOTH },
    [0xe2] = { standby, BOTH },
    [0xe3] = { idle, BOTH },
    [0xe5] = { check_power, BOTH },
    [0xe6] = { sleep_now, BOTH },
    [0xe7] = { ata_flush_cache, DISK },
    [0xea] = { ata_flush_cache, DISK | EXT },
    [0xec] = { identify, BOTH },
    [0xef] = { set_features, BOTH },
    [0xf8] = { ata_native_max, DISK },
};
/* clang-format on */

/* A drive that sleeps hears nothing but resets. */
void ata_command(struct ide_drive *drive, uint8_t command)
{
    const struct command *c = &commands[command];

    if (drive->ata.asleep && command != 0x90 && command != 0x08)
        return;
    drive->status = STATUS_BSY;
    drive->error = 0;
    drive->ata.flags = c->flags;
    if (c->run && (command == 0x90 || c->flags & (drive->cdrom ? CDROM : DISK)))
        c->run(drive);
    else
        ide_fail(drive, ERROR_ABRT);
}

void ata_reset(struct ide_drive *drive, bool power_on)
{
    struct ata_state *ata = &drive->ata;

    ata->asleep = false;
    ata->power = POWER_ACTIVE;
    if (!power_on)
        return;
    *ata = (struct ata_state){
        .heads = ATA_HEADS,
        .sectors = ATA_SECTORS,
        .multiple = ATA_MULTIPLE_MAX,
        .mode = MODE_UDMA | MODE_UDMA_MAX,
        .power = POWER_ACTIVE,
        .write_cache = true,
        .look_ahead = true,
        .smart = true,
        .smart_autosave = true,
    };
}
