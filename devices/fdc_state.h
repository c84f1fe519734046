/*
 * What the files of the floppy controller share.
 *
 *   fdc.c         registers, phases, interrupts, commands that move no data
 *   fdc_data.c    reading, writing, verifying and formatting
 *   fdc_format.c  which sizes of images are which formats
 *
 * Phases: the guest writes a command's bytes (COMMAND); a command with data executes (EXECUTE),
 * waiting for the medium or moving the buffer to or from the guest; then the guest reads the result
 * (RESULT). While the medium works the chip takes nothing but a reset, which is settled when the
 * request is done.
 */
#ifndef DEVICES_FDC_STATE_H
#define DEVICES_FDC_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/blockdev.h"
#include "devices/blockio.h"
#include "devices/fdc.h"

enum {
    FDC_DRIVES = 4,         /* that can be selected; one exists */
    FDC_FIFO = 16,
    FDC_TRACK_MAX = 36 * BLOCK_SECTOR,
    FDC_IDS_AT = FDC_TRACK_MAX, /* in the buffer: what FORMAT is told of each sector */
    FDC_IDS_MAX = 256 * 4,
    FDC_BUFFER = FDC_IDS_AT + FDC_IDS_MAX,
};

enum fdc_phase { FDC_COMMAND, FDC_EXECUTE, FDC_RESULT };

#define ST0_ABNORMAL 0x40
#define ST0_INVALID  0x80
#define ST0_CHANGED  0xc0 /* ready changed: after a reset */
#define ST0_SEEK_END 0x20
#define ST0_CHECK    0x10 /* equipment check */

#define ST1_NO_ADDRESS   0x01
#define ST1_NOT_WRITABLE 0x02
#define ST1_NO_DATA      0x04
#define ST1_DATA_ERROR   0x20
#define ST1_END_CYLINDER 0x80

#define ST2_DATA_ERROR     0x20
#define ST2_WRONG_CYLINDER 0x10

#define DOR_DRIVE   0x03
#define DOR_RUN     0x04 /* not in reset */
#define DOR_ENABLED 0x08 /* interrupts and DMA requests reach the bus */

struct fdc_format {
    uint32_t sectors;
    uint8_t cylinders, heads, per_track;
    uint8_t rate;  /* as CCR has it; FDC_RATE_250 also at 300 (a 1.2 MB drive turns faster) */
    uint8_t drive; /* enum fdc_drive */
};

enum { FDC_RATE_500, FDC_RATE_300, FDC_RATE_250, FDC_RATE_1000 };

struct fdc {
    struct fdc_config config;
    struct blockio *io;
    uint8_t *buffer; /* io's */

    uint8_t dor, tdr, rate;
    uint8_t specify[2], configure, precompensation, perpendicular;
    bool locked;    /* a reset keeps CONFIGURE */
    bool resetting; /* the chip is reset when the medium is done */
    bool changed;   /* the disk change line */
    bool irq, level;
    uint8_t attention;       /* a bit per drive with a status for SENSE INTERRUPT */
    uint8_t st0[FDC_DRIVES]; /* that status */
    uint8_t seeking;         /* a bit per drive, until that is sensed */
    uint8_t cylinder[FDC_DRIVES];
    uint8_t next_id;         /* what READ ID finds next */

    uint8_t phase;
    uint8_t fifo[FDC_FIFO], fifo_at, fifo_size; /* of the command or its result */

    /* The command that executes. */
    uint8_t op;         /* enum fdc_op */
    uint8_t c, h, r, eot;
    bool multi_track;
    bool one_by_one;    /* a request failed: find out where */
    bool moving;        /* data is wanted, or there for the guest */
    bool out;           /* from the guest */
    bool ended;         /* terminal count */
    uint16_t left;      /* sectors that VERIFY still counts, or FORMAT still writes */
    uint16_t format_at; /* the next of FORMAT's ids */
    uint8_t filler;
    uint32_t data_from, data_at, data_end; /* in the buffer */
    uint32_t chunk; /* sectors of the request */
};

/* fdc.c */
void fdc_raise(struct fdc *fdc);
/* Result phase with ST0 to ST2 and the address. */
void fdc_finish(struct fdc *fdc, uint8_t st0, uint8_t st1, uint8_t st2);
bool fdc_non_dma(const struct fdc *fdc);
/* A reset that waited for the medium: settles it. */
bool fdc_settle(struct fdc *fdc);

/* fdc_data.c: commands by their first byte, parameters in fifo[1] and following. */
void fdc_read(struct fdc *fdc);
void fdc_write(struct fdc *fdc);
void fdc_verify(struct fdc *fdc);
void fdc_read_track(struct fdc *fdc);
void fdc_read_id(struct fdc *fdc);
void fdc_format_track(struct fdc *fdc);
/* The DMA controller is ready for the channel. */
void fdc_dma_ready(void *fdc);
/* Non-DMA mode: a byte of the data. */
uint8_t fdc_data_read(struct fdc *fdc);
void fdc_data_write(struct fdc *fdc, uint8_t value);

/* fdc_format.c: the format that has the medium's size; 2.88 MB's where none has. */
const struct fdc_format *fdc_format_of(const struct blockdev *medium);

#endif
