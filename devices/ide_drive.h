/*
 * What the files of the IDE function share: a drive with its registers, its channel, and the
 * ways data takes.
 *
 *   ide.c      registers, selection, interrupts, resets, PIO; the PCI function
 *   ide_dma.c  the bus master: PRD tables, guest memory
 *   ide_io.c   requests to the medium (by blockio.h)
 *   ide_snapshot.c
 *   ata.c, ata_data.c, ata_identify.c  commands of a disk (and those that every drive has)
 *   atapi.c, atapi_info.c  commands of a CD-ROM
 *
 * A command runs like this; the names are the functions that go on:
 *
 *   guest writes the command -> ata_command() / atapi's packet
 *        |                                   (the drive is BSY from here on)
 *        +-> ide_io_submit() ... done(drive, good, err)      from the medium, later
 *        +-> ide_transfer_in/out() ... enum ide_next's function, by PIO blocks or by DMA
 *        +-> ide_finish() / ide_fail()                       status, interrupt
 *
 * Invariants:
 *  D1. At most one request is in flight on a channel; both drives ignore registers meanwhile
 *      (a reset is remembered in `resetting` and settled when the request is done).
 *  D2. The buffer belongs to the request while it is in flight, else to the transfer.
 */
#ifndef DEVICES_IDE_DRIVE_H
#define DEVICES_IDE_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/irq.h"
#include "devices/blockdev.h"
#include "devices/blockio.h"
#include "devices/ide.h"
#include "devices/pci.h"

enum { IDE_CHUNK = 128 << 10 }; /* bytes of a channel's buffer: most of one request */

enum ide_reg {
    IDE_DATA,
    IDE_FEATURE, /* reads: error */
    IDE_COUNT,   /* a packet command: interrupt reason */
    IDE_LBA_LOW,
    IDE_LBA_MID,  /* a packet command: byte count, with the next */
    IDE_LBA_HIGH,
    IDE_DEVICE,
    IDE_COMMAND, /* reads: status */
    IDE_REG_COUNT,
};

#define STATUS_ERR 0x01
#define STATUS_DRQ 0x08
#define STATUS_DSC 0x10
#define STATUS_DF  0x20
#define STATUS_RDY 0x40
#define STATUS_BSY 0x80

#define ERROR_ABRT 0x04
#define ERROR_IDNF 0x10
#define ERROR_UNC  0x40
#define ERROR_ICRC 0x80

#define DEVICE_DEV 0x10
#define DEVICE_LBA 0x40

/* What IDENTIFY says of every disk, and what holds from power-on. */
enum { ATA_HEADS = 16, ATA_SECTORS = 63, ATA_MULTIPLE_MAX = 16, ATA_TRIM_BLOCKS_MAX = 8,
       ATA_SELF_TESTS = 21 /* that are remembered */ };

#define ATA_LBA28_LIMIT 0x0fffffffu

#define MODE_PIO   0x08 /* of SET FEATURES; the number in the low three bits */
#define MODE_MWDMA 0x20
#define MODE_UDMA  0x40

struct ide_channel;
struct ide_drive;

/* Who goes on when a transfer is over. */
enum ide_next {
    IDE_NEXT_ATA_READ,
    IDE_NEXT_ATA_WRITE,
    IDE_NEXT_ATA_TRIM,
    IDE_NEXT_ATA_IDENTIFY,
    IDE_NEXT_ATAPI_PACKET,
    IDE_NEXT_ATAPI_REPLY,
    IDE_NEXT_ATAPI_READ,
    IDE_NEXT_COUNT,
};

/* good: bytes that came through before the error. err: 0 or -errno. */
typedef void ide_io_done(struct ide_drive *drive, uint32_t good, int err);

/* The buffer on its way between the drive and the guest. */
struct ide_transfer {
    uint32_t at, size;
    uint32_t block, block_end; /* PIO: bytes of a data request, and where this one ends */
    bool out;                  /* from the guest */
    uint8_t next;              /* enum ide_next */
};

struct ata_state {
    uint64_t lba;
    uint32_t left, chunk; /* sectors: of the command, of the request */
    uint32_t flags;       /* of the command (ata.h) */
    uint32_t trim_at;
    uint8_t heads, sectors; /* the translation of CHS addresses */
    uint8_t multiple;       /* sectors of a block of READ MULTIPLE; 0: off */
    uint8_t mode;           /* of DMA, as SET FEATURES has it */
    uint8_t power;          /* what CHECK POWER MODE says */
    bool asleep, write_cache, look_ahead;
    bool smart, smart_autosave;
    uint8_t smart_last;     /* which self-test was the last, from 1 on; 0: none */
    uint8_t smart_test[ATA_SELF_TESTS];
};

struct atapi_state {
    uint8_t packet[12];
    uint8_t key, asc, ascq;
    uint8_t attention; /* ATAPI_ATTENTION_ bits that nobody has been told of */
    uint8_t event;     /* what GET EVENT STATUS says next */
    uint16_t frame;    /* bytes of a sector as the command wants it */
    uint16_t limit;    /* bytes of a PIO block, at most */
    uint32_t lba, left, chunk;
};

struct ide_drive {
    struct ide_channel *channel;
    struct blockdev *medium; /* NULL: no such drive */
    uint8_t unit;
    bool cdrom;
    uint8_t reg[IDE_REG_COUNT]; /* as last written, or as a command leaves them */
    uint8_t hob[IDE_REG_COUNT]; /* what was written before that */
    uint8_t error, status;
    bool intrq;
    bool dma;                   /* the command moves its data by DMA */
    struct ide_transfer transfer;
    struct ata_state ata;
    struct atapi_state atapi;
};

/* The bus master of a channel. */
struct ide_dma {
    uint8_t command, status;
    uint32_t table;        /* as written, gpa */
    uint32_t entry;        /* gpa of the next PRD */
    uint32_t gpa, left;    /* of this PRD; left: bytes */
    bool last;             /* it is the table's last */
    struct ide_drive *drive; /* that waits with a transfer; NULL: none */
};

struct ide_channel {
    struct ide *ide;
    struct irq irq;
    struct ide_drive drive[2];
    struct blockio *io; /* NULL: no drive here */
    uint8_t *buffer;    /* io's, IDE_CHUNK bytes */
    struct ide_drive *io_drive; /* whose request it is */
    ide_io_done *io_done;
    struct ide_dma dma;
    uint8_t selected;
    uint8_t control;
    uint8_t resetting; /* a bit per drive that is to be as after a reset when all is done */
    bool level; /* of irq */
    bool decoded; /* the ports are claimed */
};

struct ide {
    struct ide_config config;
    struct pci_function pci;
    struct ide_channel channel[IDE_CHANNEL_COUNT];
};

static inline struct ide_drive *ide_selected(struct ide_channel *channel)
{
    return &channel->drive[channel->selected];
}

/* --- ide.c -------------------------------------------------------------- */

/* INTRQ. */
void ide_raise(struct ide_drive *drive);
/* The command is over: status and interrupt. */
void ide_finish(struct ide_drive *drive);
void ide_fail(struct ide_drive *drive, uint8_t error);
/* The drive's registers say what it is; error: the result of its diagnosis. */
void ide_sign(struct ide_drive *drive);
/* EXECUTE DEVICE DIAGNOSTIC: all drives of the channel, interrupt from drive 0. */
void ide_diagnose(struct ide_channel *channel);
/* DEVICE RESET, at once or when the request in flight is done. */
void ide_device_reset(struct ide_drive *drive);
/* A request is done: are there resets that waited for it? Settles them. */
bool ide_settle(struct ide_channel *channel);

/* Claims the legacy ports of the channels that the PCI registers turn on. */
void ide_decode(struct ide *ide);

/* --- ide_pio.c ---------------------------------------------------------- */

/* size bytes of the channel's buffer go to the guest, or come from it, in blocks of `block` bytes
 * (PIO) or by the bus master; then `next`. irq: the first block, too, is announced. */
void ide_transfer_in(struct ide_drive *drive, uint32_t size, uint32_t block, enum ide_next next);
void ide_transfer_out(struct ide_drive *drive, uint32_t size, uint32_t block, bool irq,
                      enum ide_next next);

/* All of it has been moved: goes on. */
void ide_transfer_done(struct ide_drive *drive);

/* The selected drive's data port, of size bytes; ones where there is no data now. A string
 * instruction's elements: how many were moved, to the end of a block at most. */
uint64_t ide_pio_read(struct ide_channel *channel, unsigned size);
void ide_pio_write(struct ide_channel *channel, unsigned size, uint32_t value);
uint64_t ide_pio_read_string(struct ide_channel *channel, unsigned size, void *to,
                             uint64_t count);
uint64_t ide_pio_write_string(struct ide_channel *channel, unsigned size, const void *from,
                              uint64_t count);

/* --- ide_io.c ----------------------------------------------------------- */

/* As blockio_submit(): size bytes from offset between the medium and the buffer at `at`. */
void ide_io_submit(struct ide_drive *drive, enum block_op op, uint64_t offset, uint32_t size,
                   uint32_t at, uint32_t unit, ide_io_done *done);

/* --- ide_dma.c ---------------------------------------------------------- */

extern const struct bus_ops ide_dma_ops; /* of BAR 4, dev: the struct ide */

void ide_dma_start(struct ide_drive *drive); /* its transfer is ready */
void ide_dma_run(struct ide_channel *channel);
void ide_dma_reset(struct ide_channel *channel);

/* --- ata.c, atapi.c ----------------------------------------------------- */

/* A byte for the command register; what the drive does not know is aborted. */
void ata_command(struct ide_drive *drive, uint8_t command);
void ata_reset(struct ide_drive *drive, bool power_on);
void ata_identify(const struct ide_drive *drive, uint8_t *to); /* BLOCK_SECTOR bytes */
/* Words that a packet drive's IDENTIFY has, too: modes of DMA and PIO, the cable. */
void ata_identify_modes(const struct ide_drive *drive, uint8_t *to);
void ata_put_word(uint8_t *to, unsigned word, uint32_t value);
/* The medium's serial number, or one made up for the place. */
void ata_put_serial(const struct ide_drive *drive, uint8_t *to);
/* Strings in IDENTIFY have the first character in the upper byte; padded with blanks. */
void ata_string(uint8_t *to, const char *text, unsigned size);
void ata_read_sent(struct ide_drive *drive);
void ata_write_taken(struct ide_drive *drive);
void ata_trim_taken(struct ide_drive *drive);
void ata_identify_sent(struct ide_drive *drive);

void atapi_packet(struct ide_drive *drive); /* the command PACKET */
void atapi_packet_taken(struct ide_drive *drive);
void atapi_reply_sent(struct ide_drive *drive);
void atapi_read_sent(struct ide_drive *drive);
void atapi_identify(struct ide_drive *drive, uint8_t *to);
void atapi_reset(struct ide_drive *drive, bool power_on);
void atapi_dma_failed(struct ide_drive *drive);
void atapi_changed(void *drive);
void atapi_eject_request(void *drive);

/* The packet command is over, with a sense key and additional sense (code, qualifier). */
void atapi_fail(struct ide_drive *drive, uint8_t key, uint16_t sense);
/* size bytes of the buffer are the answer, of which the guest wants at most `allocation`. */
void atapi_reply(struct ide_drive *drive, uint32_t size, uint32_t allocation);
bool atapi_has_disc(const struct ide_drive *drive);

#define SENSE_NOT_READY   0x02
#define SENSE_MEDIUM      0x03
#define SENSE_ILLEGAL     0x05
#define SENSE_ATTENTION   0x06
#define SENSE_ABORTED     0x0b

#define ASC_BAD_COMMAND   0x2000
#define ASC_OUT_OF_RANGE  0x2100
#define ASC_BAD_FIELD     0x2400
#define ASC_NO_DISC       0x3a00
#define ASC_TRAY_OPEN     0x3a02
#define ASC_LOCKED        0x5302

enum {
    ATAPI_ATTENTION_RESET = 1,
    ATAPI_ATTENTION_MEDIUM = 2,
};

enum { ATAPI_EVENT_NONE, ATAPI_EVENT_EJECT_REQUEST, ATAPI_EVENT_NEW, ATAPI_EVENT_REMOVAL };

enum { ATAPI_SECTOR = 2048, ATAPI_CD_SECTORS = 80 * 60 * 75 }; /* more: it is a DVD */

static inline uint32_t atapi_get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t atapi_get32(const uint8_t *at)
{
    return atapi_get16(at) << 16 | atapi_get16(at + 2);
}

static inline void atapi_put16(uint8_t *at, uint32_t value)
{
    at[0] = value >> 8 & 0xff;
    at[1] = value & 0xff;
}

static inline void atapi_put32(uint8_t *at, uint32_t value)
{
    atapi_put16(at, value >> 16);
    atapi_put16(at + 2, value & 0xffff);
}

static inline uint32_t atapi_sectors(const struct ide_drive *drive)
{
    uint64_t count = drive->medium->size / ATAPI_SECTOR;

    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

/* An address as minutes, seconds and frames. */
static inline void atapi_put_msf(uint8_t *at, uint32_t lba)
{
    uint32_t frames = lba + 150;

    at[0] = frames / 75 / 60 & 0xff;
    at[1] = frames / 75 % 60;
    at[2] = frames % 75;
}

/* --- atapi_info.c: commands that answer with a description -------------- */

/* Each takes its packet from the drive and ends in atapi_fail() or an answer. */
void atapi_inquiry(struct ide_drive *drive);
void atapi_mode_sense(struct ide_drive *drive);
void atapi_read_toc(struct ide_drive *drive);
void atapi_get_configuration(struct ide_drive *drive);
void atapi_get_event(struct ide_drive *drive);
void atapi_mechanism_status(struct ide_drive *drive);
void atapi_disc_information(struct ide_drive *drive);
void atapi_track_information(struct ide_drive *drive);
void atapi_dvd_structure(struct ide_drive *drive);

#endif
