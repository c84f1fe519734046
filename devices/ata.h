/* What the files of an ATA disk's commands share: ata.c, ata_data.c,
 * ata_smart.c. */
#ifndef DEVICES_ATA_H
#define DEVICES_ATA_H

#include "devices/ide_drive.h"

/* What a command is: ata_state's flags. */
enum {
    EXT = 1,      /* 48-bit registers */
    DMA = 2,
    MULTIPLE = 4, /* PIO by blocks */
    FUA = 8,
    DISK = 16,    /* for disks */
    CDROM = 32,   /* for CD-ROMs */
    BOTH = DISK | CDROM,
};

#define POWER_STANDBY 0x00
#define POWER_IDLE    0x80
#define POWER_ACTIVE  0xff

/* Commands, as the table has them; each ends in ide_finish() or ide_fail(), now or later. */
void ata_read_sectors(struct ide_drive *drive);
void ata_verify_sectors(struct ide_drive *drive);
void ata_write_sectors(struct ide_drive *drive);
void ata_flush_cache(struct ide_drive *drive);
void ata_data_set_management(struct ide_drive *drive);
void ata_native_max(struct ide_drive *drive);
void ata_seek(struct ide_drive *drive);
void ata_smart(struct ide_drive *drive);

#endif
