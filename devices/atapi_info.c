/*
 * A CD-ROM drive: packet commands that describe the drive and its disc.
 *
 * Reference: SPC-3 (INQUIRY, MODE SENSE); MMC-5: 6.5 (GET CONFIGURATION), 6.6 (GET EVENT STATUS
 *            NOTIFICATION), 6.11 (MECHANISM STATUS), 6.21 to 6.23 (READ DISC INFORMATION, READ DISC
 *            STRUCTURE), 6.26, 6.27 (READ TOC, READ TRACK INFORMATION); ATA/ATAPI-6, 8.16.
 * Modelled:  a finished disc of one session with one data track; each answer is cut to what the
 *            host asks for.
 */
#include <string.h>

#include "devices/ide_drive.h"

enum { LEAD_OUT = 0xaa, CONTROL_DATA = 0x14 }; /* ADR 1; a data track */

static uint8_t *clear(struct ide_drive *drive, uint32_t size)
{
    return memset(drive->channel->buffer, 0, size);
}

static void bad_field(struct ide_drive *drive)
{
    atapi_fail(drive, SENSE_ILLEGAL, ASC_BAD_FIELD);
}

static bool is_dvd(const struct ide_drive *drive)
{
    return atapi_sectors(drive) > ATAPI_CD_SECTORS;
}

/* --- The drive ---------------------------------------------------------- */

/* Blanks up to the field's end. */
static void put_text(uint8_t *to, const char *text, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = *text ? (uint8_t)*text++ : ' ';
}

void atapi_inquiry(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;
    uint8_t *to = clear(drive, 36);

    if (packet[1] & 1 || packet[2]) { /* vital product data: none */
        bad_field(drive);
        return;
    }
    to[0] = 0x05; /* CD-ROM */
    to[1] = 0x80; /* removable */
    to[3] = 0x21; /* ATAPI */
    to[4] = 36 - 5;
    put_text(to + 8, "novt", 8);
    put_text(to + 16, "CD-ROM", 16);
    put_text(to + 32, "1.0", 4);
    atapi_reply(drive, 36, atapi_get16(packet + 3));
}

void atapi_identify(struct ide_drive *drive, uint8_t *to)
{
    memset(to, 0, BLOCK_SECTOR);
    ata_put_word(to, 0, 0x85c0); /* ATAPI, CD-ROM, removable, 12-byte packets, DRQ within 50 us */
    ata_put_serial(drive, to);
    ata_string(to + 46, "1.0", 8);
    ata_string(to + 54, "novt CD-ROM", 40);
    ata_put_word(to, 48, 1);
    ata_put_word(to, 49, 0x0f00); /* DMA, LBA, IORDY */
    ata_put_word(to, 50, 0x4000);
    ata_put_word(to, 53, 0x0006); /* words 64 to 70 and 88 hold */
    ata_put_word(to, 71, 30); /* us from the packet to the bus, and from SERVICE */
    ata_put_word(to, 72, 30);
    ata_put_word(to, 80, 0x00f0);
    ata_put_word(to, 82, 0x4218); /* NOP, DEVICE RESET, PACKET, power management */
    ata_put_word(to, 83, 0x4000);
    ata_put_word(to, 84, 0x4000);
    ata_put_word(to, 85, 0x4218);
    ata_put_word(to, 87, 0x4000);
    ata_identify_modes(drive, to);
}

static uint32_t page_errors(uint8_t *to)
{
    to[0] = 0x01;
    to[1] = 6;
    to[3] = 5; /* tries */
    return 8;
}

static uint32_t page_audio(uint8_t *to)
{
    to[0] = 0x0e;
    to[1] = 14;
    to[2] = 0x04;
    return 16;
}

static uint32_t page_capabilities(const struct ide_drive *drive, uint8_t *to)
{
    to[0] = 0x2a;
    to[1] = 18;
    to[2] = 0x3b; /* reads CD-R, CD-RW, method 2, DVD-ROM, DVD-R */
    to[4] = 0x70; /* mode 2 forms 1 and 2, sessions */
    to[6] = 0x29 | (drive->medium->locked ? 2 : 0); /* can be locked, ejects, has a tray */
    atapi_put16(to + 8, 706); /* KB/s at most: 4 times */
    atapi_put16(to + 10, 2);  /* volume steps */
    atapi_put16(to + 12, 512); /* KB of buffer */
    atapi_put16(to + 14, 706);
    return 20;
}

static uint32_t mode_pages(const struct ide_drive *drive, uint8_t page, uint8_t *to)
{
    uint32_t size = 0;

    if (page == 0x01 || page == 0x3f)
        size += page_errors(to + size);
    if (page == 0x0e || page == 0x3f)
        size += page_audio(to + size);
    if (page == 0x2a || page == 0x3f)
        size += page_capabilities(drive, to + size);
    return size;
}

static uint8_t medium_type(const struct ide_drive *drive)
{
    if (drive->medium->tray_open)
        return 0x71;
    return drive->medium->present ? 0x01 : 0x70;
}

/* Both sizes; nothing can be changed, nothing is saved. */
void atapi_mode_sense(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;
    bool is_6 = packet[0] == 0x1a;
    uint32_t head = is_6 ? 4 : 8, size;
    uint8_t *to = clear(drive, 128), control = packet[2] >> 6;

    size = mode_pages(drive, packet[2] & 0x3f, to + head);
    if (!size || control == 3) {
        if (size)
            atapi_fail(drive, SENSE_ILLEGAL, 0x3900); /* saved values */
        else
            bad_field(drive);
        return;
    }
    if (control == 1) /* what could be changed: keep the pages' heads only */
        for (uint32_t at = head; at < head + size; at += to[at + 1] + 2u)
            memset(to + at + 2, 0, to[at + 1]);
    size += head;
    if (is_6) {
        to[0] = size - 1;
        to[1] = medium_type(drive);
    } else {
        atapi_put16(to, size - 2);
        to[2] = medium_type(drive);
    }
    atapi_reply(drive, size, is_6 ? packet[4] : atapi_get16(packet + 7));
}

/* --- Features ----------------------------------------------------------- */

enum { PROFILE_CD = 0x08, PROFILE_DVD = 0x10 };

struct feature {
    uint16_t code;
    uint8_t flags; /* version, persistent, current */
    uint8_t size;
    uint8_t data[12];
};

static const struct feature features[] = {
    { 0x0000, 0x03, 8, { 0, PROFILE_DVD, 0, 0, 0, PROFILE_CD, 0, 0 } },
    { 0x0001, 0x0b, 8, { 0, 0, 0, 2, 1 } },           /* core: ATAPI */
    { 0x0002, 0x07, 4, { 2 } },                       /* morphing */
    { 0x0003, 0x03, 4, { 0x29 } },                    /* removable: tray, eject, lock */
    { 0x0010, 0x00, 8, { 0, 0, 8, 0, 0, 16, 1, 0 } }, /* random reads of 2 KiB */
    { 0x001e, 0x08, 4, { 0 } },                       /* reads CDs */
    { 0x001f, 0x00, 0, { 0 } },                       /* reads DVDs */
    { 0x0105, 0x07, 4, { 0 } },                       /* time-outs */
};

static uint8_t profile(const struct ide_drive *drive)
{
    return !atapi_has_disc(drive) ? 0 : is_dvd(drive) ? PROFILE_DVD : PROFILE_CD;
}

static bool is_current(const struct ide_drive *drive, const struct feature *f)
{
    switch (f->code) {
    case 0x0010: return profile(drive);
    case 0x001e: return profile(drive) == PROFILE_CD;
    case 0x001f: return profile(drive) == PROFILE_DVD;
    default: return f->flags & 1;
    }
}

static uint32_t put_feature(const struct ide_drive *drive, const struct feature *f, uint8_t *to)
{
    atapi_put16(to, f->code);
    to[2] = (f->flags & ~1u) | is_current(drive, f);
    to[3] = f->size;
    memcpy(to + 4, f->data, f->size);
    if (f->code == 0) { /* which of the profiles it is now */
        to[4 + 2] = profile(drive) == PROFILE_DVD;
        to[8 + 2] = profile(drive) == PROFILE_CD;
    }
    return 4u + f->size;
}

/* Which: 0 all from that code on, 1 the current ones of those, 2 that one. */
void atapi_get_configuration(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;
    uint8_t *to = clear(drive, 256), which = packet[1] & 3;
    uint32_t from = atapi_get16(packet + 2), size = 8;

    if (which == 3) {
        bad_field(drive);
        return;
    }
    for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++) {
        const struct feature *f = &features[i];

        if (which == 2 ? f->code == from : f->code >= from && (!which || is_current(drive, f)))
            size += put_feature(drive, f, to + size);
    }
    atapi_put32(to, size - 4);
    atapi_put16(to + 6, profile(drive));
    atapi_reply(drive, size, atapi_get16(packet + 7));
}

/* Only when asked, not by an interrupt. An event is told once. */
void atapi_get_event(struct ide_drive *drive)
{
    struct atapi_state *atapi = &drive->atapi;
    uint8_t *to = clear(drive, 8);
    uint32_t size = 4;

    if (!(atapi->packet[1] & 1)) {
        bad_field(drive);
        return;
    }
    to[3] = 0x10; /* we know of media */
    to[2] = 0x80; /* no event of a class we know */
    if (atapi->packet[4] & 0x10) {
        to[2] = 0x04;
        to[4] = atapi->event;
        to[5] = atapi_has_disc(drive) << 1 | drive->medium->tray_open;
        size = 8;
        atapi->event = ATAPI_EVENT_NONE;
    }
    atapi_put16(to, size - 2);
    atapi_reply(drive, size, atapi_get16(atapi->packet + 7));
}

void atapi_mechanism_status(struct ide_drive *drive)
{
    uint8_t *to = clear(drive, 8);

    to[1] = drive->medium->tray_open ? 0x10 : 0;
    to[5] = 1; /* no changer */
    atapi_reply(drive, 8, atapi_get16(drive->atapi.packet + 8));
}

/* --- The disc ----------------------------------------------------------- */

static void put_address(uint8_t *to, uint32_t lba, bool msf)
{
    if (!msf) {
        atapi_put32(to, lba);
        return;
    }
    to[0] = 0;
    atapi_put_msf(to + 1, lba);
}

static uint32_t put_track(uint8_t *to, uint8_t track, uint32_t lba, bool msf)
{
    to[1] = CONTROL_DATA;
    to[2] = track;
    put_address(to + 4, lba, msf);
    return 8;
}

/* Format 0: track 1 and the lead-out, from that track on. 0: no such track. */
static uint32_t toc_tracks(const struct ide_drive *drive, uint8_t *to, bool msf)
{
    uint8_t first = drive->atapi.packet[6];
    uint32_t size = 4;

    if (first > 1 && first != LEAD_OUT)
        return 0;
    to[2] = to[3] = 1;
    if (first <= 1)
        size += put_track(to + size, 1, 0, msf);
    return size + put_track(to + size, LEAD_OUT, atapi_sectors(drive), msf);
}

static uint32_t toc_sessions(uint8_t *to, bool msf)
{
    to[2] = to[3] = 1;
    return 4 + put_track(to + 4, 1, 0, msf);
}

/* Format 2: the lead-in's points A0 (first track), A1 (last track), A2 (lead-out), and track 1;
 * addresses are always minutes, seconds and frames. */
static uint32_t toc_full(const struct ide_drive *drive, uint8_t *to)
{
    static const uint8_t points[] = { 0xa0, 0xa1, 0xa2, 1 };
    uint32_t size = 4;

    to[2] = to[3] = 1;
    for (unsigned i = 0; i < sizeof(points); i++, size += 11) {
        to[size] = 1; /* session */
        to[size + 1] = CONTROL_DATA;
        to[size + 3] = points[i];
        if (i < 2)
            to[size + 8] = 1;
        else
            atapi_put_msf(to + size + 8, i == 2 ? atapi_sectors(drive) : 0);
    }
    return size;
}

/* The format is in two places: older drives had it in the control byte. */
void atapi_read_toc(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;
    uint8_t format = packet[2] & 0x0f, *to = clear(drive, 64);
    bool msf = packet[1] & 2;
    uint32_t size = 0;

    switch (format ? format : packet[9] >> 6) {
    case 0: size = toc_tracks(drive, to, msf); break;
    case 1: size = toc_sessions(to, msf); break;
    case 2: size = toc_full(drive, to); break;
    default: break; /* what only recordable discs and audio discs have */
    }
    if (!size) {
        bad_field(drive);
        return;
    }
    atapi_put16(to, size - 2);
    atapi_reply(drive, size, atapi_get16(packet + 7));
}

void atapi_disc_information(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;
    uint8_t *to = clear(drive, 34);

    if (packet[1] & 7) {
        bad_field(drive);
        return;
    }
    atapi_put16(to, 32);
    to[2] = 0x0e; /* finished, and so is its last session */
    to[3] = to[4] = to[5] = to[6] = 1; /* first track; sessions; first and last of the last one */
    to[7] = 0x20;                      /* unrestricted use */
    memset(to + 16, 0xff, 8);          /* no more sessions, no lead-out of them */
    atapi_reply(drive, 34, atapi_get16(packet + 7));
}

static bool is_track_1(const struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;
    uint32_t number = atapi_get32(packet + 2);

    switch (packet[1] & 3) {
    case 0: return number < atapi_sectors(drive);
    case 1: return number == 1 || number == 0xff;
    case 2: return number == 1;
    default: return false;
    }
}

void atapi_track_information(struct ide_drive *drive)
{
    uint8_t *to = clear(drive, 36);

    if (!is_track_1(drive)) {
        bad_field(drive);
        return;
    }
    atapi_put16(to, 34);
    to[2] = to[3] = 1; /* track, session */
    to[5] = 0x04;      /* data */
    to[6] = 0x01;      /* mode 1 */
    atapi_put32(to + 24, atapi_sectors(drive));
    atapi_reply(drive, 36, atapi_get16(drive->atapi.packet + 7));
}

/* --- DVD structures ----------------------------------------------------- */

static uint32_t dvd_physical(const struct ide_drive *drive, uint8_t *to)
{
    uint32_t last = 0x30000 + atapi_sectors(drive) - 1;

    to[4] = 0x01; /* DVD-ROM, version 1 */
    to[5] = 0x0f; /* 12 cm, any rate */
    to[6] = 0x01; /* one layer */
    to[9] = 0x03; /* the data area's first sector is 30000h */
    atapi_put32(to + 12, last);
    return 20;
}

/* Only formats that every DVD-ROM has: physical, copyright (none), manufacturer (empty). */
void atapi_dvd_structure(struct ide_drive *drive)
{
    const uint8_t *packet = drive->atapi.packet;
    uint8_t *to = clear(drive, 2052);
    uint32_t size = 0;

    if (!atapi_has_disc(drive)) {
        atapi_fail(drive, SENSE_NOT_READY, ASC_NO_DISC);
        return;
    }
    if (!is_dvd(drive)) {
        atapi_fail(drive, SENSE_ILLEGAL, 0x3002); /* not that kind of disc */
        return;
    }
    switch (packet[6] ? 0xff : packet[7]) { /* layer, format */
    case 0x00: size = dvd_physical(drive, to); break;
    case 0x01: size = 8; break;
    case 0x04: size = 2052; break;
    default: bad_field(drive); return;
    }
    atapi_put16(to, size - 2);
    atapi_reply(drive, size, atapi_get16(packet + 8));
}
