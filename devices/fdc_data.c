/*
 * 82077AA floppy controller: commands that read, write, verify and format.
 *
 * Reference: Intel 82077AA data sheet (order 290166), 5.1 (data transfer commands), 6 (status),
 *            table 5-6 (the address in the result).
 *
 * A track's part is read or written by one request; the order for a read is request, data, next
 * part, for a write data, request, next part. A part ends at the end of the track (EOT); the
 * command ends by a terminal count, or there with "end of cylinder".
 *
 * A request that fails is repeated sector by sector: what is good comes through first.
 */
#include <string.h>

#include "base/bug.h"
#include "devices/fdc_state.h"
#include "devices/i8237.h"

enum fdc_op { OP_READ, OP_WRITE, OP_VERIFY, OP_FORMAT };

#define CONFIGURE_IMPLIED 0x40
#define CONFIGURE_NO_FIFO 0x20
#define CONFIGURE_BURST   0x0f

#define VERIFY_COUNTS 0x80 /* in the second byte: the last one is a count of sectors */

/* --- The place ---------------------------------------------------------- */

static const struct fdc_format *format_of(const struct fdc *fdc)
{
    return fdc_format_of(fdc->config.medium);
}

/* The disk turns and its marks can be read at this rate. */
static bool is_readable(const struct fdc *fdc)
{
    uint8_t rate = fdc->rate == FDC_RATE_300 ? FDC_RATE_250 : fdc->rate;

    return !(fdc->dor & DOR_DRIVE) && fdc->config.medium->present &&
           rate == format_of(fdc)->rate && fdc->cylinder[0] < format_of(fdc)->cylinders;
}

static void fail(struct fdc *fdc, uint8_t st1, uint8_t st2)
{
    fdc->moving = false;
    fdc_finish(fdc, ST0_ABNORMAL, st1, st2);
}

/* Is there a sector of this name under the head? If not the command has failed. */
static bool find(struct fdc *fdc)
{
    const struct fdc_format *f = format_of(fdc);

    if (!is_readable(fdc))
        fail(fdc, ST1_NO_ADDRESS, 0);
    else if (fdc->c != fdc->cylinder[0])
        fail(fdc, ST1_NO_DATA, ST2_WRONG_CYLINDER);
    else if (fdc->h >= f->heads || !fdc->r || fdc->r > f->per_track)
        fail(fdc, ST1_NO_DATA, 0);
    else
        return true;
    return false;
}

static uint64_t offset_of(const struct fdc *fdc)
{
    const struct fdc_format *f = format_of(fdc);

    return (((uint64_t)fdc->c * f->heads + fdc->h) * f->per_track + fdc->r - 1) * BLOCK_SECTOR;
}

/* Sectors up to the end of the track. */
static uint32_t part(const struct fdc *fdc)
{
    uint8_t most = format_of(fdc)->per_track, last = fdc->eot;
    uint32_t count;

    if (last < fdc->r || last > most)
        last = most;
    count = last - fdc->r + 1u;
    if (fdc->op == OP_VERIFY && fdc->left && count > fdc->left)
        count = fdc->left;
    return fdc->one_by_one ? 1 : count;
}

/* Past `count` sectors. True at the end of the cylinder: of the track, or of its second side. */
static bool advance(struct fdc *fdc, uint32_t count)
{
    fdc->r += count;
    if (fdc->r != (uint8_t)(fdc->eot + 1))
        return false;
    fdc->r = 1;
    if (fdc->multi_track && !fdc->h) {
        fdc->h = 1;
        return false;
    }
    if (fdc->multi_track)
        fdc->h = 0;
    fdc->c++;
    return true;
}

/* --- Data between the buffer and the guest ------------------------------ */

static void data_moved(struct fdc *fdc);

static void start_data(struct fdc *fdc, uint32_t from, uint32_t size, bool out)
{
    BUG_ON(!size || from + size > FDC_BUFFER);
    fdc->data_from = fdc->data_at = from;
    fdc->data_end = from + size;
    fdc->out = out;
    fdc->moving = true;
    if (fdc_non_dma(fdc))
        fdc_raise(fdc);
    else if (fdc->dor & DOR_ENABLED)
        i8237_request(fdc->config.dma, fdc->config.channel, true);
}

static void end_data(struct fdc *fdc)
{
    fdc->moving = false;
    i8237_request(fdc->config.dma, fdc->config.channel, false);
    data_moved(fdc);
}

void fdc_dma_ready(void *arg)
{
    struct fdc *fdc = arg;
    bool end;

    if (!fdc->moving || fdc_non_dma(fdc))
        return;
    fdc->data_at += i8237_transfer(fdc->config.dma, fdc->config.channel,
                                   fdc->buffer + fdc->data_at, fdc->data_end - fdc->data_at, &end);
    fdc->ended |= end;
    if (fdc->ended || fdc->data_at == fdc->data_end)
        end_data(fdc);
}

/* Another interrupt for each burst of the FIFO, or each byte when it is off. */
static void byte_moved(struct fdc *fdc)
{
    uint32_t burst = fdc->configure & CONFIGURE_NO_FIFO ? 1 :
                                                          (fdc->configure & CONFIGURE_BURST) + 1u;

    fdc->data_at++;
    if (fdc->data_at == fdc->data_end)
        end_data(fdc);
    else if ((fdc->data_at - fdc->data_from) % burst == 0)
        fdc_raise(fdc);
}

static bool wants_byte(const struct fdc *fdc, bool out)
{
    return fdc->moving && fdc->out == out && fdc_non_dma(fdc);
}

uint8_t fdc_data_read(struct fdc *fdc)
{
    uint8_t byte;

    if (!wants_byte(fdc, false))
        return 0;
    byte = fdc->buffer[fdc->data_at];
    byte_moved(fdc);
    return byte;
}

void fdc_data_write(struct fdc *fdc, uint8_t value)
{
    if (!wants_byte(fdc, true))
        return;
    fdc->buffer[fdc->data_at] = value;
    byte_moved(fdc);
}

/* --- Requests to the medium --------------------------------------------- */

static void go_on(struct fdc *fdc);

/* Sectors of the current part have been moved and, if written, are on the medium. */
static void part_done(struct fdc *fdc, uint32_t count)
{
    bool at_end = advance(fdc, count);

    if (fdc->op == OP_VERIFY && fdc->left) {
        fdc->left -= count;
        fdc->ended = !fdc->left;
    }
    if (fdc->ended)
        fdc_finish(fdc, 0, 0, 0);
    else if (at_end && fdc->op == OP_VERIFY)
        fdc_finish(fdc, 0, 0, 0);
    else if (at_end)
        fail(fdc, ST1_END_CYLINDER, 0);
    else
        go_on(fdc);
}

/* The request failed with `good` bytes before: a read gives the guest those. */
static void request_failed(struct fdc *fdc, uint32_t good)
{
    uint32_t sectors = good / BLOCK_SECTOR;

    if (fdc->op == OP_READ && sectors) {
        fdc->one_by_one = true;
        fdc->chunk = sectors;
        start_data(fdc, 0, sectors * BLOCK_SECTOR, false);
        return;
    }
    advance(fdc, sectors);
    fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
}

static void request_done(void *owner, uint32_t good, int err)
{
    struct fdc *fdc = owner;

    if (fdc_settle(fdc))
        return;
    if (err)
        request_failed(fdc, good);
    else if (fdc->op == OP_READ)
        start_data(fdc, 0, fdc->chunk * BLOCK_SECTOR, false);
    else
        part_done(fdc, fdc->chunk);
}

static void submit(struct fdc *fdc, enum block_op op, uint32_t size)
{
    struct block_request what = { .op = op, .offset = offset_of(fdc), .size = size };

    blockio_submit(fdc->io, fdc->config.medium, &what, 0, BLOCK_SECTOR, request_done);
}

/* An image may end before its format does: zeros follow. */
static void request_read(struct fdc *fdc)
{
    uint64_t at = offset_of(fdc), end = fdc->config.medium->size;
    uint32_t size = fdc->chunk * BLOCK_SECTOR;

    memset(fdc->buffer, 0, size);
    if (at >= end)
        request_done(fdc, size, 0);
    else
        submit(fdc, BLOCK_READ, size < end - at ? size : (uint32_t)(end - at));
}

/* --- Commands ----------------------------------------------------------- */

/* The next sector of FORMAT's list. */
static void format_next(struct fdc *fdc)
{
    const uint8_t *id = fdc->buffer + FDC_IDS_AT + fdc->format_at;

    if (!fdc->left) {
        fdc_finish(fdc, 0, 0, 0);
        return;
    }
    fdc->left--;
    fdc->format_at += 4;
    fdc->c = id[0];
    fdc->r = id[2];
    if (id[1] != fdc->h || id[3] != 2) {
        fail(fdc, ST1_NO_DATA, 0);
        return;
    }
    if (!find(fdc))
        return;
    fdc->chunk = 1;
    memset(fdc->buffer, fdc->filler, BLOCK_SECTOR);
    submit(fdc, BLOCK_WRITE, BLOCK_SECTOR);
}

static void go_on(struct fdc *fdc)
{
    if (fdc->op == OP_FORMAT) {
        format_next(fdc);
        return;
    }
    if (!find(fdc))
        return;
    fdc->chunk = part(fdc);
    if (fdc->op == OP_WRITE)
        start_data(fdc, 0, fdc->chunk * BLOCK_SECTOR, true);
    else
        request_read(fdc);
}

/* A part of a sector is filled up with zeros. */
static void write_data(struct fdc *fdc)
{
    uint32_t size = (fdc->data_at + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;

    memset(fdc->buffer + fdc->data_at, 0, size - fdc->data_at);
    fdc->chunk = size / BLOCK_SECTOR;
    submit(fdc, BLOCK_WRITE, size);
}

static void data_moved(struct fdc *fdc)
{
    if (fdc->op == OP_WRITE) {
        write_data(fdc);
    } else if (fdc->op == OP_FORMAT) {
        fdc->left = (fdc->data_at - fdc->data_from) / 4;
        fdc->ended = false; /* of the list, not of the track */
        format_next(fdc);
    } else {
        part_done(fdc, (fdc->data_at + BLOCK_SECTOR - 1) / BLOCK_SECTOR);
    }
}

static void begin(struct fdc *fdc, enum fdc_op op)
{
    fdc->op = op;
    fdc->phase = FDC_EXECUTE;
    fdc->dor = (fdc->dor & ~DOR_DRIVE) | (fdc->fifo[1] & DOR_DRIVE);
    fdc->one_by_one = fdc->moving = fdc->ended = false;
    fdc->left = 0;
}

/* Parameters: drive and head, C, H, R, N, EOT, gap, length. */
static bool take_place(struct fdc *fdc, enum fdc_op op)
{
    bool size_known = fdc->fifo[5] == 2, head_matches;

    begin(fdc, op);
    fdc->multi_track = fdc->fifo[0] & 0x80;
    fdc->c = fdc->fifo[2];
    fdc->h = fdc->fifo[3];
    fdc->r = fdc->fifo[4];
    fdc->eot = fdc->fifo[6];
    head_matches = fdc->h == (fdc->fifo[1] >> 2 & 1);
    if (fdc->configure & CONFIGURE_IMPLIED && !(fdc->dor & DOR_DRIVE))
        fdc->cylinder[0] = fdc->c;
    if (size_known && head_matches)
        return true;
    fail(fdc, is_readable(fdc) ? ST1_NO_DATA : ST1_NO_ADDRESS, 0);
    return false;
}

void fdc_read(struct fdc *fdc)
{
    if (take_place(fdc, OP_READ))
        go_on(fdc);
}

/* From the index hole on, whatever R is. */
void fdc_read_track(struct fdc *fdc)
{
    if (!take_place(fdc, OP_READ))
        return;
    fdc->multi_track = false;
    fdc->r = 1;
    go_on(fdc);
}

void fdc_verify(struct fdc *fdc)
{
    if (!take_place(fdc, OP_VERIFY))
        return;
    if (fdc->fifo[1] & VERIFY_COUNTS)
        fdc->left = fdc->fifo[8] ? fdc->fifo[8] : 256;
    go_on(fdc);
}

static bool may_write(struct fdc *fdc)
{
    if (!fdc->config.medium->readonly || !is_readable(fdc))
        return true;
    fail(fdc, ST1_NOT_WRITABLE, 0);
    return false;
}

void fdc_write(struct fdc *fdc)
{
    if (take_place(fdc, OP_WRITE) && may_write(fdc))
        go_on(fdc);
}

void fdc_read_id(struct fdc *fdc)
{
    begin(fdc, OP_READ);
    fdc->c = fdc->cylinder[fdc->dor & DOR_DRIVE];
    fdc->h = fdc->fifo[1] >> 2 & 1;
    fdc->r = 1;
    if (!is_readable(fdc) || fdc->h >= format_of(fdc)->heads) {
        fail(fdc, ST1_NO_ADDRESS, 0);
        return;
    }
    fdc->next_id = fdc->next_id % format_of(fdc)->per_track + 1;
    fdc->r = fdc->next_id;
    fdc_finish(fdc, 0, 0, 0);
}

/* Parameters: drive and head, N, sectors, gap, filler. Then four bytes for each sector: it ends
 * with their list, not with the track, and EOT is out of reach. */
void fdc_format_track(struct fdc *fdc)
{
    uint8_t size = fdc->fifo[2], sectors = fdc->fifo[3];

    begin(fdc, OP_FORMAT);
    fdc->c = fdc->cylinder[0];
    fdc->h = fdc->fifo[1] >> 2 & 1;
    fdc->r = 1;
    fdc->filler = fdc->fifo[5];
    fdc->multi_track = false;
    fdc->format_at = 0;
    fdc->eot = 0xfe;
    if (size != 2 || !sectors) {
        fail(fdc, ST1_NO_DATA, 0);
        return;
    }
    if (!find(fdc) || !may_write(fdc))
        return;
    start_data(fdc, FDC_IDS_AT, sectors * 4u, true);
}
