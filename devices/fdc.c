/*
 * 82077AA floppy controller: registers, phases and the commands that move no data.
 *
 * Reference: Intel 82077AA data sheet (order 290166): 2.1 (registers), 4 (phases), 5 and 6
 *            (commands, status), 8 (resets). AT mode.
 * Modelled:  all commands but SCAN, DMA and non-DMA mode, implied seeks, the FIFO's settings as far
 *            as they can be read back, resets by DOR and DSR, the disk change line of drive 0.
 * Not:       SCAN (answered as invalid), registers A and B of PS/2 mode, single density, step and
 *            head load times: a seek is over at once.
 */
#include "devices/fdc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/snap.h"
#include "devices/bus.h"
#include "devices/fdc_state.h"
#include "devices/i8237.h"

/* --- Registers ---------------------------------------------------------- */

enum {
    REG_DOR = 2,
    REG_TDR = 3,
    REG_MSR_DSR = 4,
    REG_FIFO = 5,
    LOW_PORTS = 6,
    REG_DIR_CCR = 7,
};

#define MSR_READY   0x80
#define MSR_TO_HOST 0x40
#define MSR_NON_DMA 0x20
#define MSR_BUSY    0x10

#define DSR_RESET 0x80
#define DSR_RATE  0x03

#define DIR_CHANGED 0x80

#define SPECIFY_NON_DMA 0x01 /* of its second byte */

#define CONFIGURE_IMPLIED 0x40
#define CONFIGURE_NO_FIFO 0x20
#define CONFIGURE_NO_POLL 0x10

#define ST3_ALWAYS    0x28 /* ready, two-sided */
#define ST3_PROTECTED 0x40
#define ST3_TRACK_0   0x10

#define VERSION_82077 0x90

/* --- Behaviour: interrupts and results ---------------------------------- */

static void update_irq(struct fdc *fdc)
{
    bool level = fdc->irq && fdc->dor & DOR_ENABLED;

    if (level == fdc->level)
        return;
    fdc->level = level;
    irq_set(&fdc->config.irq, level);
}

static void set_irq(struct fdc *fdc, bool irq)
{
    fdc->irq = irq;
    update_irq(fdc);
}

void fdc_raise(struct fdc *fdc)
{
    set_irq(fdc, false);
    set_irq(fdc, true);
}

static void idle(struct fdc *fdc)
{
    fdc->phase = FDC_COMMAND;
    fdc->fifo_at = fdc->fifo_size = 0;
}

/* Of a command that does not interrupt. */
static void answer(struct fdc *fdc, const uint8_t *bytes, unsigned count)
{
    memcpy(fdc->fifo, bytes, count);
    fdc->fifo_at = 0;
    fdc->fifo_size = count;
    fdc->phase = FDC_RESULT;
}

void fdc_finish(struct fdc *fdc, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t where = (fdc->dor & DOR_DRIVE) | (fdc->h & 1) << 2;
    const uint8_t result[] = { st0 | where, st1, st2, fdc->c, fdc->h, fdc->r, 2 };

    answer(fdc, result, sizeof(result));
    fdc_raise(fdc);
}

bool fdc_non_dma(const struct fdc *fdc)
{
    return fdc->specify[1] & SPECIFY_NON_DMA;
}

/* --- Behaviour: resets -------------------------------------------------- */

/* What every reset does; the settings of CONFIGURE stay when the guest has locked them. */
static void clear(struct fdc *fdc)
{
    idle(fdc);
    fdc->moving = false;
    fdc->attention = fdc->seeking = 0;
    memset(fdc->cylinder, 0, sizeof(fdc->cylinder));
    if (!fdc->locked) {
        fdc->configure = CONFIGURE_NO_FIFO;
        fdc->precompensation = 0;
    }
    i8237_request(fdc->config.dma, fdc->config.channel, false);
    set_irq(fdc, false);
}

/* The chip runs again: each drive has "changed its readiness", if it polls. */
static void run(struct fdc *fdc)
{
    if (fdc->configure & CONFIGURE_NO_POLL)
        return;
    for (unsigned i = 0; i < FDC_DRIVES; i++)
        fdc->st0[i] = ST0_CHANGED | i;
    fdc->attention = (1u << FDC_DRIVES) - 1;
    fdc_raise(fdc);
}

bool fdc_settle(struct fdc *fdc)
{
    if (!fdc->resetting)
        return false;
    if (blockio_in_flight(fdc->io))
        return true;
    fdc->resetting = false;
    clear(fdc);
    if (fdc->dor & DOR_RUN)
        run(fdc);
    return true;
}

static void reset_chip(struct fdc *fdc)
{
    clear(fdc);
    blockio_cancel(fdc->io);
    fdc->resetting = true;
    fdc_settle(fdc);
}

static void dor_write(struct fdc *fdc, uint8_t value)
{
    uint8_t before = fdc->dor;

    fdc->dor = value;
    if (!(value & DOR_RUN) && before & DOR_RUN)
        reset_chip(fdc);
    else if (value & DOR_RUN && !(before & DOR_RUN) && !fdc->resetting)
        run(fdc);
    update_irq(fdc);
}

static void dsr_write(struct fdc *fdc, uint8_t value)
{
    fdc->rate = value & DSR_RATE;
    if (value & DSR_RESET && fdc->dor & DOR_RUN)
        reset_chip(fdc);
}

/* --- Behaviour: simple commands ----------------------------------------- */

static void select_drive(struct fdc *fdc)
{
    fdc->dor = (fdc->dor & ~DOR_DRIVE) | (fdc->fifo[1] & DOR_DRIVE);
    fdc->h = fdc->fifo[1] >> 2 & 1;
}

static void specify(struct fdc *fdc)
{
    memcpy(fdc->specify, fdc->fifo + 1, 2);
    idle(fdc);
}

static void sense_drive(struct fdc *fdc)
{
    uint8_t drive = fdc->fifo[1] & DOR_DRIVE, st3 = ST3_ALWAYS | (fdc->fifo[1] & 7);

    if (drive == 0 && fdc->config.medium->present && fdc->config.medium->readonly)
        st3 |= ST3_PROTECTED;
    if (drive == 0 && !fdc->cylinder[0])
        st3 |= ST3_TRACK_0;
    answer(fdc, &st3, 1);
}

/* One status at a time; when there is none the command is invalid. */
static void sense_interrupt(struct fdc *fdc)
{
    uint8_t result[2] = { ST0_INVALID, 0 };

    set_irq(fdc, false);
    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        if (!(fdc->attention >> i & 1))
            continue;
        fdc->attention &= ~(1u << i);
        fdc->seeking &= ~(1u << i);
        result[0] = fdc->st0[i];
        result[1] = fdc->cylinder[i];
        answer(fdc, result, 2);
        return;
    }
    answer(fdc, result, 1);
}

static void move_head(struct fdc *fdc, uint8_t cylinder, bool recalibrate)
{
    uint8_t drive = fdc->dor & DOR_DRIVE, st0 = ST0_SEEK_END | drive;

    if (drive == 0 && fdc->cylinder[0] != cylinder && fdc->config.medium->present)
        fdc->changed = false; /* a step with a disk in the drive */
    if (drive && recalibrate)
        st0 |= ST0_ABNORMAL | ST0_CHECK; /* nobody says "track 0" */
    fdc->cylinder[drive] = cylinder;
    fdc->st0[drive] = st0 | (recalibrate ? 0 : fdc->h << 2);
    fdc->attention |= 1u << drive;
    fdc->seeking |= 1u << drive;
    idle(fdc);
    fdc_raise(fdc);
}

static void recalibrate(struct fdc *fdc)
{
    select_drive(fdc);
    move_head(fdc, 0, true);
}

static void seek(struct fdc *fdc)
{
    select_drive(fdc);
    move_head(fdc, fdc->fifo[2], false);
}

static void seek_in(struct fdc *fdc)
{
    select_drive(fdc);
    move_head(fdc, fdc->cylinder[fdc->dor & DOR_DRIVE] + fdc->fifo[2], false);
}

static void seek_out(struct fdc *fdc)
{
    select_drive(fdc);
    move_head(fdc, fdc->cylinder[fdc->dor & DOR_DRIVE] - fdc->fifo[2], false);
}

static void version(struct fdc *fdc)
{
    answer(fdc, &(uint8_t){ VERSION_82077 }, 1);
}

static void configure(struct fdc *fdc)
{
    fdc->configure = fdc->fifo[2];
    fdc->precompensation = fdc->fifo[3];
    idle(fdc);
}

static void dump_registers(struct fdc *fdc)
{
    const uint8_t result[] = {
        fdc->cylinder[0], fdc->cylinder[1], fdc->cylinder[2], fdc->cylinder[3],
        fdc->specify[0], fdc->specify[1], fdc->eot,
        (uint8_t)(fdc->locked << 7) | (fdc->perpendicular & 0x3f),
        fdc->configure, fdc->precompensation,
    };

    answer(fdc, result, sizeof(result));
}

static void perpendicular(struct fdc *fdc)
{
    fdc->perpendicular = fdc->fifo[1];
    idle(fdc);
}

static void lock(struct fdc *fdc)
{
    fdc->locked = fdc->fifo[0] & 0x80;
    answer(fdc, &(uint8_t){ fdc->locked << 4 }, 1);
}

static void invalid(struct fdc *fdc)
{
    answer(fdc, &(uint8_t){ ST0_INVALID }, 1);
}

/* --- The table ---------------------------------------------------------- */

static const struct command {
    uint8_t mask, code, size; /* size: bytes, with the first */
    void (*run)(struct fdc *fdc);
} commands[] = {
    { 0x9f, 0x02, 9, fdc_read_track },
    { 0xff, 0x03, 3, specify },
    { 0xff, 0x04, 2, sense_drive },
    { 0x3f, 0x05, 9, fdc_write },
    { 0x1f, 0x06, 9, fdc_read },
    { 0xff, 0x07, 2, recalibrate },
    { 0xff, 0x08, 1, sense_interrupt },
    { 0x3f, 0x09, 9, fdc_write }, /* deleted data is data here */
    { 0xbf, 0x0a, 2, fdc_read_id },
    { 0x1f, 0x0c, 9, fdc_read },
    { 0xbf, 0x0d, 6, fdc_format_track },
    { 0xff, 0x0e, 1, dump_registers },
    { 0xff, 0x0f, 3, seek },
    { 0xff, 0x10, 1, version },
    { 0xff, 0x12, 2, perpendicular },
    { 0xff, 0x13, 4, configure },
    { 0x7f, 0x14, 1, lock },
    { 0x1f, 0x16, 9, fdc_verify },
    { 0xff, 0x8f, 3, seek_out },
    { 0xff, 0xcf, 3, seek_in },
    { 0x00, 0x00, 1, invalid },
};

static const struct command *command_of(uint8_t code)
{
    const struct command *c = commands;

    while ((code & c->mask) != c->code)
        c++;
    return c;
}

static void command_byte(struct fdc *fdc, uint8_t value)
{
    const struct command *c;

    fdc->fifo[fdc->fifo_at++] = value;
    c = command_of(fdc->fifo[0]);
    fdc->fifo_size = c->size;
    if (fdc->fifo_at == c->size)
        c->run(fdc);
}

/* --- Behaviour: the FIFO ------------------------------------------------ */

static bool is_running(const struct fdc *fdc)
{
    return fdc->dor & DOR_RUN && !fdc->resetting;
}

static uint8_t status(const struct fdc *fdc)
{
    uint8_t busy = fdc->seeking;

    if (!is_running(fdc))
        return 0;
    switch (fdc->phase) {
    case FDC_COMMAND: return busy | MSR_READY | (fdc->fifo_at ? MSR_BUSY : 0);
    case FDC_RESULT: return busy | MSR_READY | MSR_TO_HOST | MSR_BUSY;
    default:
        if (!fdc->moving || !fdc_non_dma(fdc))
            return busy | MSR_BUSY;
        return busy | MSR_READY | MSR_NON_DMA | MSR_BUSY | (fdc->out ? 0 : MSR_TO_HOST);
    }
}

static uint8_t fifo_read(struct fdc *fdc)
{
    uint8_t byte;

    if (!is_running(fdc))
        return 0;
    if (fdc->phase == FDC_EXECUTE)
        return fdc_data_read(fdc);
    if (fdc->phase != FDC_RESULT)
        return 0;
    if (!fdc->fifo_at)
        set_irq(fdc, false);
    byte = fdc->fifo[fdc->fifo_at++];
    if (fdc->fifo_at == fdc->fifo_size)
        idle(fdc);
    return byte;
}

static void fifo_write(struct fdc *fdc, uint8_t value)
{
    if (!is_running(fdc))
        return;
    if (fdc->phase == FDC_EXECUTE)
        fdc_data_write(fdc, value);
    else if (fdc->phase == FDC_COMMAND)
        command_byte(fdc, value);
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct fdc *fdc = dev;

    (void)size;
    switch (offset) {
    case REG_DOR: return fdc->dor;
    case REG_TDR: return fdc->tdr;
    case REG_MSR_DSR: return status(fdc);
    case REG_FIFO: return fifo_read(fdc);
    default: return 0xff;
    }
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct fdc *fdc = dev;

    (void)size;
    switch (offset) {
    case REG_DOR: dor_write(fdc, value & 0xff); break;
    case REG_TDR: fdc->tdr = value & 3; break;
    case REG_MSR_DSR: dsr_write(fdc, value & 0xff); break;
    case REG_FIFO: fifo_write(fdc, value & 0xff); break;
    }
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "fdc",
};

static uint64_t dir_read(void *dev, uint64_t offset, unsigned size)
{
    struct fdc *fdc = dev;

    (void)offset;
    (void)size;
    return fdc->changed && !(fdc->dor & DOR_DRIVE) ? DIR_CHANGED : 0;
}

static void ccr_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct fdc *fdc = dev;

    (void)offset;
    (void)size;
    fdc->rate = value & DSR_RATE;
}

static const struct bus_ops dir_ops = {
    .read = dir_read,
    .write = ccr_write,
    .max_size = 1,
    .name = "fdc-dir",
};

/* --- Life --------------------------------------------------------------- */

static void medium_changed(void *arg)
{
    struct fdc *fdc = arg;

    fdc->changed = true;
}

void fdc_reset(struct fdc *fdc)
{
    fdc->locked = false;
    fdc->dor = fdc->tdr = 0;
    fdc->rate = FDC_RATE_500; /* as a BIOS leaves it; Bochs' own never sets it */
    fdc->perpendicular = fdc->eot = 0;
    memset(fdc->specify, 0, sizeof(fdc->specify));
    fdc->changed = true;
    reset_chip(fdc);
    blockdev_drain(fdc->config.medium); /* now that it goes nowhere */
}

bool fdc_is_idle(const struct fdc *fdc)
{
    return !blockio_in_flight(fdc->io);
}

#define SNAP(snap, field) snap_bytes(snap, &(field), sizeof(field))

static void snapshot_command(struct fdc *fdc, struct snap *snap)
{
    SNAP(snap, fdc->phase);
    SNAP(snap, fdc->fifo);
    SNAP(snap, fdc->fifo_at);
    SNAP(snap, fdc->fifo_size);
    SNAP(snap, fdc->op);
    SNAP(snap, fdc->c);
    SNAP(snap, fdc->h);
    SNAP(snap, fdc->r);
    SNAP(snap, fdc->eot);
    SNAP(snap, fdc->multi_track);
    SNAP(snap, fdc->one_by_one);
    SNAP(snap, fdc->moving);
    SNAP(snap, fdc->out);
    SNAP(snap, fdc->ended);
    SNAP(snap, fdc->left);
    SNAP(snap, fdc->format_at);
    SNAP(snap, fdc->filler);
    SNAP(snap, fdc->data_from);
    SNAP(snap, fdc->data_at);
    SNAP(snap, fdc->data_end);
    SNAP(snap, fdc->chunk);
    if (fdc->phase == FDC_EXECUTE)
        snap_bytes(snap, fdc->buffer, FDC_BUFFER);
}

void fdc_snapshot(struct fdc *fdc, struct snap *snap)
{
    BUG_ON(!fdc_is_idle(fdc));
    SNAP(snap, fdc->dor);
    SNAP(snap, fdc->tdr);
    SNAP(snap, fdc->rate);
    SNAP(snap, fdc->specify);
    SNAP(snap, fdc->configure);
    SNAP(snap, fdc->precompensation);
    SNAP(snap, fdc->perpendicular);
    SNAP(snap, fdc->locked);
    SNAP(snap, fdc->resetting);
    SNAP(snap, fdc->changed);
    SNAP(snap, fdc->irq);
    SNAP(snap, fdc->level);
    SNAP(snap, fdc->attention);
    SNAP(snap, fdc->st0);
    SNAP(snap, fdc->seeking);
    SNAP(snap, fdc->cylinder);
    SNAP(snap, fdc->next_id);
    snapshot_command(fdc, snap);
}

struct fdc *fdc_create(const struct fdc_config *config)
{
    struct fdc *fdc = calloc(1, sizeof(*fdc));
    int err;

    if (!fdc)
        return NULL;
    fdc->config = *config;
    fdc->io = blockio_create(FDC_BUFFER, fdc);
    if (!fdc->io) {
        free(fdc);
        return NULL;
    }
    fdc->buffer = blockio_buffer(fdc->io);
    err = bus_claim(config->ports, config->base, LOW_PORTS, &port_ops, fdc);
    if (!err)
        err = bus_claim(config->ports, config->base + REG_DIR_CCR, 1, &dir_ops, fdc);
    if (err) {
        blockio_destroy(fdc->io);
        free(fdc);
        errno = -err;
        return NULL;
    }
    config->medium->controller = fdc;
    config->medium->changed = medium_changed;
    i8237_connect(config->dma, config->channel, fdc_dma_ready, fdc);
    fdc_reset(fdc);
    return fdc;
}

void fdc_destroy(struct fdc *fdc)
{
    fdc->config.medium->changed = NULL;
    fdc->config.medium->controller = NULL;
    blockio_destroy(fdc->io);
    free(fdc);
}
