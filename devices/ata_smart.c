/*
 * SMART: a disk's own report of its health. Ours does not wear out, so the values are constants,
 * QEMU's; self-tests are over at once, and are remembered.
 *
 * Reference: ATA/ATAPI-7 volume 1 (T13/1532D), 6.53 (SMART): subcommands and data structures.
 *            Attributes and thresholds: SFF-8035i 2.0.
 * Not:       WRITE LOG, logs but the directory, the summary of errors and that of self-tests:
 *            they are aborted.
 */
#include <string.h>

#include "base/count.h"
#include "devices/ata.h"

enum { KEY_MID = 0x4f, KEY_HIGH = 0xc2 };
enum { LOG_DIRECTORY = 0, LOG_ERRORS = 1, LOG_SELF_TESTS = 6 };
enum { TEST_OFF_LINE = 0, TEST_SHORT = 1, TEST_EXTENDED = 2 };
enum { AUTOSAVE_OFF = 0x00, AUTOSAVE_ON = 0xf1 };
enum { HOURS = 3 }; /* the drive has been on, as its attribute says */

/* id, flags, value, worst value, raw value in six bytes; the threshold. */
static const struct {
    uint8_t id, flags, value, raw[6], threshold;
} attributes[] = {
    { 1, 3, 100, { 0 }, 6 },                        /* raw read error rate */
    { 3, 3, 100, { 16 }, 0 },                       /* spin-up time */
    { 4, 2, 100, { 100 }, 20 },                     /* starts and stops */
    { 5, 3, 100, { 0 }, 36 },                       /* reallocated sectors */
    { 9, 3, 100, { HOURS }, 0 },                    /* power-on hours */
    { 12, 3, 100, { 0 }, 0 },                       /* power cycles */
    { 190, 3, 69, { 0x1f, 0, 0x1f, 0x1f }, 50 },    /* airflow temperature */
};

/* All sums are 0, by the last byte. */
static void send(struct ide_drive *drive)
{
    uint8_t *data = drive->channel->buffer, sum = 0;

    for (unsigned i = 0; i < BLOCK_SECTOR - 1; i++)
        sum = (uint8_t)(sum + data[i]);
    data[BLOCK_SECTOR - 1] = (uint8_t)-sum;
    drive->dma = false;
    ide_transfer_in(drive, BLOCK_SECTOR, BLOCK_SECTOR, IDE_NEXT_ATA_IDENTIFY);
}

static uint8_t *clear(struct ide_drive *drive)
{
    return memset(drive->channel->buffer, 0, BLOCK_SECTOR);
}

static void read_data(struct ide_drive *drive)
{
    uint8_t *data = clear(drive);

    data[0] = 1; /* revision */
    for (size_t i = 0; i < COUNT(attributes); i++) {
        uint8_t *at = data + 2 + 12 * i;

        at[0] = attributes[i].id;
        at[1] = attributes[i].flags;
        at[3] = at[4] = attributes[i].value;
        memcpy(at + 5, attributes[i].raw, sizeof(attributes[i].raw));
    }
    data[362] = 0x02 | (drive->ata.smart_autosave ? 0x80 : 0); /* off-line data are complete */
    data[364] = 32; /* seconds that they take */
    data[367] = 0x19; /* EXECUTE OFF-LINE IMMEDIATE, off-line scans, self-tests */
    data[368] = 3;    /* saves attributes, by autosave too */
    data[370] = 1;    /* logs errors */
    data[372] = 2;    /* minutes of a short and an extended self-test */
    data[373] = 54;
    send(drive);
}

static void read_thresholds(struct ide_drive *drive)
{
    uint8_t *data = clear(drive);

    data[0] = 1;
    for (size_t i = 0; i < COUNT(attributes); i++) {
        data[2 + 12 * i] = attributes[i].id;
        data[3 + 12 * i] = attributes[i].threshold;
    }
    send(drive);
}

static void autosave(struct ide_drive *drive)
{
    uint8_t wanted = drive->reg[IDE_COUNT];

    if (wanted != AUTOSAVE_OFF && wanted != AUTOSAVE_ON) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    drive->ata.smart_autosave = wanted == AUTOSAVE_ON;
    ide_finish(drive);
}

static void execute_off_line(struct ide_drive *drive)
{
    struct ata_state *ata = &drive->ata;
    uint8_t test = drive->reg[IDE_LBA_LOW];

    if (test > TEST_EXTENDED) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    if (test != TEST_OFF_LINE) {
        ata->smart_last = ata->smart_last % ATA_SELF_TESTS + 1;
        ata->smart_test[ata->smart_last - 1] = test;
    }
    ide_finish(drive);
}

/* 21 descriptors of 24 bytes, the newest at the index; status 0: completed without an error. */
static void self_test_log(const struct ide_drive *drive, uint8_t *data)
{
    data[0] = 1;
    for (unsigned i = 0; i < ATA_SELF_TESTS; i++) {
        if (!drive->ata.smart_test[i])
            continue;
        data[2 + 24 * i] = drive->ata.smart_test[i];
        data[4 + 24 * i] = HOURS;
    }
    data[508] = drive->ata.smart_last;
}

/* Each log is one sector. */
static void read_log(struct ide_drive *drive)
{
    uint8_t log = drive->reg[IDE_LBA_LOW], *data;

    if (drive->reg[IDE_COUNT] != 1 ||
        (log != LOG_DIRECTORY && log != LOG_ERRORS && log != LOG_SELF_TESTS)) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    data = clear(drive);
    data[0] = 1; /* version */
    if (log == LOG_DIRECTORY)
        data[2 * LOG_ERRORS] = data[2 * LOG_SELF_TESTS] = 1; /* sectors */
    if (log == LOG_SELF_TESTS)
        self_test_log(drive, data);
    send(drive);
}

static void enable(struct ide_drive *drive)
{
    drive->ata.smart = true;
    ide_finish(drive);
}

static void disable(struct ide_drive *drive)
{
    drive->ata.smart = false;
    ide_finish(drive);
}

/* Subcommands, in the feature register. RETURN STATUS leaves the key in LBA mid and high as it
 * is while no attribute is below its threshold. */
void ata_smart(struct ide_drive *drive)
{
    static void (*const run[])(struct ide_drive *) = {
        [0x0] = read_data, [0x1] = read_thresholds, [0x2] = autosave, [0x4] = execute_off_line,
        [0x5] = read_log,  [0x8] = enable,          [0x9] = disable,  [0xa] = ide_finish,
    };
    uint8_t sub = drive->reg[IDE_FEATURE], n = sub & 0xf;

    if (drive->reg[IDE_LBA_MID] != KEY_MID || drive->reg[IDE_LBA_HIGH] != KEY_HIGH ||
        sub >> 4 != 0xd || n >= COUNT(run) || !run[n] || (!drive->ata.smart && n != 0x8))
        ide_fail(drive, ERROR_ABRT);
    else
        run[n](drive);
}
