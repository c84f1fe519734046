/*
 * A CD-ROM drive: packet commands that read, sense, and move the tray.
 *
 * Reference: ATA/ATAPI-6 (T13/1410D), 9.7 and 9.8 (packet protocols); SPC-3, MMC-5 (packets);
 *            SFF-8020i (ATAPI drives).
 * Modelled:  one data track, as a CD or (larger than 80 minutes) a DVD; tray, lock, unit attention
 *            after resets and changes of the medium; data by PIO in the blocks that the host asks
 *            for, or by DMA.
 * Not:       audio, writing, mode select; the error correction bytes of raw sectors are 0.
 *
 * A command with an error says CHECK CONDITION and its sense key; REQUEST SENSE has the rest.
 */
#include <string.h>

#include "devices/ide_drive.h"

enum { PACKET_SIZE = 12, FRAME_RAW = 2352, FRAME_HEAD = 16 };

#define REASON_COMMAND 0x01
#define REASON_IN      0x02

#define ATTENTION_SENSE_RESET  0x2900
#define ATTENTION_SENSE_MEDIUM 0x2800

/* --- The end of a command ----------------------------------------------- */

static void end(struct ide_drive *drive)
{
    drive->reg[IDE_COUNT] = REASON_COMMAND | REASON_IN;
}

static void set_sense(struct ide_drive *drive, uint8_t key, uint16_t sense)
{
    drive->atapi.key = key;
    drive->atapi.asc = sense >> 8;
    drive->atapi.ascq = sense & 0xff;
}

static void succeed(struct ide_drive *drive)
{
    end(drive);
    ide_finish(drive);
}

void atapi_fail(struct ide_drive *drive, uint8_t key, uint16_t sense)
{
    set_sense(drive, key, sense);
    end(drive);
    ide_fail(drive, (uint8_t)(key << 4) | (key == SENSE_ILLEGAL ? ERROR_ABRT : 0));
}

/* A transport problem: the host may try again. */
void atapi_dma_failed(struct ide_drive *drive)
{
    atapi_fail(drive, SENSE_ABORTED, 0x4b00);
}

/* --- Data to the host --------------------------------------------------- */

/* What the host takes at a time by PIO: an odd limit is for the last block only. */
static uint32_t block_limit(const struct ide_drive *drive)
{
    uint32_t limit = drive->reg[IDE_LBA_MID] | (uint32_t)drive->reg[IDE_LBA_HIGH] << 8;

    if (limit == 0xffff || !limit)
        limit = 0xfffe;
    return limit < 2 ? 2 : limit & ~1u;
}

void atapi_reply_sent(struct ide_drive *drive)
{
    succeed(drive);
}

void atapi_reply(struct ide_drive *drive, uint32_t size, uint32_t allocation)
{
    uint32_t part = size < allocation ? size : allocation;

    if (part)
        ide_transfer_in(drive, part, drive->atapi.limit, IDE_NEXT_ATAPI_REPLY);
    else
        succeed(drive);
}

/* --- The disc ----------------------------------------------------------- */

bool atapi_has_disc(const struct ide_drive *drive)
{
    return drive->medium->present && !drive->medium->tray_open;
}

/* Ready, or the command has failed. */
static bool is_ready(struct ide_drive *drive)
{
    if (atapi_has_disc(drive))
        return true;
    atapi_fail(drive, SENSE_NOT_READY, drive->medium->tray_open ? ASC_TRAY_OPEN : ASC_NO_DISC);
    return false;
}

static void test_ready(struct ide_drive *drive)
{
    if (is_ready(drive))
        succeed(drive);
}

static void read_capacity(struct ide_drive *drive)
{
    uint8_t *to = drive->channel->buffer;

    atapi_put32(to, atapi_sectors(drive) - 1);
    atapi_put32(to + 4, ATAPI_SECTOR);
    atapi_reply(drive, 8, 8);
}

/* A raw sector: sync, header, data; then checks that are 0 here. The data is moved down to where
 * it belongs. */
static void frame_sector(uint8_t *to, const uint8_t *data, uint32_t lba)
{
    memmove(to + FRAME_HEAD, data, ATAPI_SECTOR);
    memset(to, 0xff, 12);
    to[0] = to[11] = 0;
    atapi_put_msf(to + 12, lba);
    for (unsigned i = 12; i < 15; i++)
        to[i] = to[i] / 10 % 10 << 4 | to[i] % 10;
    to[15] = 1;
    memset(to + FRAME_HEAD + ATAPI_SECTOR, 0, FRAME_RAW - FRAME_HEAD - ATAPI_SECTOR);
}

/* Where the data of `sectors` sectors is read to, so that frame_sector() overwrites none that is
 * still needed. */
static uint32_t data_at(const struct ide_drive *drive, uint32_t sectors)
{
    return sectors * (drive->atapi.frame - ATAPI_SECTOR);
}

static void read_more(struct ide_drive *drive);

static void read_done(struct ide_drive *drive, uint32_t good, int err)
{
    struct atapi_state *atapi = &drive->atapi;
    uint32_t sectors = good / ATAPI_SECTOR, at = data_at(drive, atapi->chunk);

    if (err && !sectors) {
        if (is_ready(drive))
            atapi_fail(drive, SENSE_MEDIUM, 0x1100);
        return;
    }
    for (uint32_t i = 0; i < sectors && atapi->frame == FRAME_RAW; i++) {
        uint8_t *buffer = drive->channel->buffer;

        frame_sector(buffer + i * FRAME_RAW, buffer + at + i * ATAPI_SECTOR, atapi->lba + i);
    }
    atapi->chunk = sectors;
    ide_transfer_in(drive, sectors * atapi->frame, atapi->limit, IDE_NEXT_ATAPI_READ);
}

static void read_more(struct ide_drive *drive)
{
    struct atapi_state *atapi = &drive->atapi;
    uint32_t most = IDE_CHUNK / atapi->frame;

    atapi->chunk = atapi->left < most ? atapi->left : most;
    ide_io_submit(drive, BLOCK_READ, (uint64_t)atapi->lba * ATAPI_SECTOR,
                  atapi->chunk * ATAPI_SECTOR, data_at(drive, atapi->chunk), ATAPI_SECTOR,
                  read_done);
}

void atapi_read_sent(struct ide_drive *drive)
{
    struct atapi_state *atapi = &drive->atapi;

    atapi->lba += atapi->chunk;
    atapi->left -= atapi->chunk;
    if (atapi->left)
        read_more(drive);
    else
        succeed(drive);
}

static void read_range(struct ide_drive *drive, uint32_t lba, uint32_t count, uint16_t frame)
{
    struct atapi_state *atapi = &drive->atapi;
    uint32_t all = atapi_sectors(drive);

    if (lba > all || count > all - lba) {
        atapi_fail(drive, SENSE_ILLEGAL, ASC_OUT_OF_RANGE);
        return;
    }
    atapi->lba = lba;
    atapi->left = count;
    atapi->frame = frame;
    if (count)
        read_more(drive);
    else
        succeed(drive);
}

static void read_10(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;

    read_range(drive, atapi_get32(packet + 2), atapi_get16(packet + 7), ATAPI_SECTOR);
}

static void read_12(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;

    read_range(drive, atapi_get32(packet + 2), atapi_get32(packet + 6), ATAPI_SECTOR);
}

/* Which parts of a sector: nothing, user data, or all of it. */
static void read_parts(struct ide_drive *drive, uint32_t lba, uint32_t count, uint8_t parts)
{
    switch (parts & 0xf8) {
    case 0x00: succeed(drive); break;
    case 0x10: read_range(drive, lba, count, ATAPI_SECTOR); break;
    case 0xf8: read_range(drive, lba, count, FRAME_RAW); break;
    default: atapi_fail(drive, SENSE_ILLEGAL, ASC_BAD_FIELD);
    }
}

static void read_cd(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;

    read_parts(drive, atapi_get32(packet + 2),
               (uint32_t)packet[6] << 16 | atapi_get16(packet + 7), packet[9]);
}

static uint32_t lba_of_msf(const uint8_t *msf)
{
    return (msf[0] * 60u + msf[1]) * 75 + msf[2] - 150; /* before the disc: out of range */
}

static void read_cd_msf(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;
    uint32_t from = lba_of_msf(packet + 3), to = lba_of_msf(packet + 6);

    if (to < from)
        atapi_fail(drive, SENSE_ILLEGAL, ASC_BAD_FIELD);
    else
        read_parts(drive, from, to - from, packet[9]);
}

static void seek(struct ide_drive *drive)
{
    if (atapi_get32(drive->atapi.packet + 2) < atapi_sectors(drive))
        succeed(drive);
    else
        atapi_fail(drive, SENSE_ILLEGAL, ASC_OUT_OF_RANGE);
}

/* --- The tray ----------------------------------------------------------- */

static void set_locked(struct ide_drive *drive, bool locked)
{
    drive->medium->locked = locked;
}

/* What comes in again is the same disc: no unit attention, after which systems refuse the reads of
 * whoever opened the drive and so closed it. */
static void move_tray(struct ide_drive *drive, bool open)
{
    struct blockdev *medium = drive->medium;

    if (medium->tray_open == open)
        return;
    medium->tray_open = open;
    drive->atapi.event = open                ? ATAPI_EVENT_REMOVAL :
                         medium->present     ? ATAPI_EVENT_NEW :
                                               ATAPI_EVENT_NONE;
    if (medium->tray_moved)
        medium->tray_moved(medium->medium);
}

/* LoEj and Start; without LoEj the disc starts or stops turning, which it needs not. */
static void start_stop(struct ide_drive *drive)
{
    uint8_t what = drive->atapi.packet[4] & 3;

    if (what == 2 && drive->medium->locked) {
        atapi_fail(drive, SENSE_ILLEGAL, ASC_LOCKED);
        return;
    }
    if (what >= 2)
        move_tray(drive, what == 2);
    succeed(drive);
}

static void prevent_allow(struct ide_drive *drive)
{
    set_locked(drive, drive->atapi.packet[4] & 1);
    succeed(drive);
}

/* The host put in a disc, which closes the tray, or took it away. */
void atapi_changed(void *arg)
{
    struct ide_drive *drive = arg;

    if (drive->medium->present) {
        drive->medium->tray_open = false;
        drive->atapi.attention |= ATAPI_ATTENTION_MEDIUM;
        drive->atapi.event = ATAPI_EVENT_NEW;
    } else {
        drive->atapi.event = ATAPI_EVENT_REMOVAL;
    }
}

void atapi_eject_request(void *arg)
{
    struct ide_drive *drive = arg;

    drive->atapi.event = ATAPI_EVENT_EJECT_REQUEST;
}

/* --- Sense -------------------------------------------------------------- */

/* The next unit attention becomes the sense. */
static bool take_attention(struct ide_drive *drive)
{
    uint8_t *attention = &drive->atapi.attention;
    bool reset = *attention & ATAPI_ATTENTION_RESET;

    if (!*attention)
        return false;
    *attention &= reset ? ~ATAPI_ATTENTION_RESET : ~ATAPI_ATTENTION_MEDIUM;
    set_sense(drive, SENSE_ATTENTION, reset ? ATTENTION_SENSE_RESET : ATTENTION_SENSE_MEDIUM);
    return true;
}

static void request_sense(struct ide_drive *drive)
{
    struct atapi_state *atapi = &drive->atapi;
    uint8_t *to = drive->channel->buffer;

    if (!atapi->key)
        take_attention(drive);
    memset(to, 0, 18);
    to[0] = 0x70;
    to[2] = atapi->key;
    to[7] = 10;
    to[12] = atapi->asc;
    to[13] = atapi->ascq;
    set_sense(drive, 0, 0);
    atapi_reply(drive, 18, atapi->packet[4]);
}

/* --- The table ---------------------------------------------------------- */

enum {
    ATTENTIVE = 1, /* is refused while there is a unit attention to tell */
    DISC = 2,      /* needs a disc */
    KEEPS = 4,     /* does not touch the sense of the command before */
};

struct packet {
    void (*run)(struct ide_drive *drive);
    uint8_t flags;
};

static const struct packet packets[256] = {
    [0x00] = { test_ready, ATTENTIVE },
    [0x03] = { request_sense, KEEPS },
    [0x12] = { atapi_inquiry, 0 },
    [0x1a] = { atapi_mode_sense, ATTENTIVE },
    [0x1b] = { start_stop, ATTENTIVE },
    [0x1e] = { prevent_allow, ATTENTIVE },
    [0x25] = { read_capacity, ATTENTIVE | DISC },
    [0x28] = { read_10, ATTENTIVE | DISC },
    [0x2b] = { seek, ATTENTIVE | DISC },
    [0x2f] = { succeed, ATTENTIVE | DISC }, /* VERIFY */
    [0x35] = { succeed, ATTENTIVE | DISC }, /* SYNCHRONIZE CACHE */
    [0x43] = { atapi_read_toc, ATTENTIVE | DISC },
    [0x46] = { atapi_get_configuration, 0 },
    [0x4a] = { atapi_get_event, 0 },
    [0x51] = { atapi_disc_information, ATTENTIVE | DISC },
    [0x52] = { atapi_track_information, ATTENTIVE | DISC },
    [0x5a] = { atapi_mode_sense, ATTENTIVE },
    [0xa8] = { read_12, ATTENTIVE | DISC },
    [0xad] = { atapi_dvd_structure, ATTENTIVE },
    [0xb9] = { read_cd_msf, ATTENTIVE | DISC },
    [0xbb] = { succeed, ATTENTIVE }, /* SET CD SPEED */
    [0xbd] = { atapi_mechanism_status, 0 },
    [0xbe] = { read_cd, ATTENTIVE | DISC },
};

void atapi_packet_taken(struct ide_drive *drive)
{
    struct atapi_state *atapi = &drive->atapi;
    const struct packet *p;

    memcpy(atapi->packet, drive->channel->buffer, PACKET_SIZE);
    drive->dma = drive->reg[IDE_FEATURE] & 1;
    p = &packets[atapi->packet[0]];
    if (!(p->flags & KEEPS))
        set_sense(drive, 0, 0);
    if (!p->run)
        atapi_fail(drive, SENSE_ILLEGAL, ASC_BAD_COMMAND);
    else if (p->flags & ATTENTIVE && take_attention(drive))
        atapi_fail(drive, atapi->key, (uint16_t)(atapi->asc << 8 | atapi->ascq));
    else if (!(p->flags & DISC) || is_ready(drive))
        p->run(drive);
}

/* The packet itself always comes by PIO. */
void atapi_packet(struct ide_drive *drive)
{
    drive->atapi.limit = block_limit(drive);
    drive->dma = false;
    ide_transfer_out(drive, PACKET_SIZE, PACKET_SIZE, false, IDE_NEXT_ATAPI_PACKET);
    drive->reg[IDE_COUNT] = REASON_COMMAND;
}

/* --- Life --------------------------------------------------------------- */

void atapi_reset(struct ide_drive *drive, bool power_on)
{
    if (!drive->cdrom)
        return;
    set_sense(drive, 0, 0);
    set_locked(drive, false);
    drive->atapi.attention = ATAPI_ATTENTION_RESET;
    if (!power_on)
        return;
    drive->atapi = (struct atapi_state){ .attention = ATAPI_ATTENTION_RESET };
    move_tray(drive, false);
    drive->atapi.event = ATAPI_EVENT_NONE;
}
