/*
 * 8259A programmable interrupt controllers, master and slave, with the edge/level control registers
 * that EISA and PCI chip sets added.
 *
 * Reference: Intel 8259A data sheet (order 231468); names of registers and modes are the sheet's.
 *            ELCR: Intel 82371AB (PIIX4) data sheet, 4.2.6.
 * Modelled:  everything in 8086 mode: priorities and their rotation, automatic EOI, special mask
 *            mode, special fully nested mode, poll, level and edge triggering, spurious vectors.
 * Not:       8080/8085 mode (CALL), buffered mode (no visible effect), more than one slave.
 */
#include "devices/i8259.h"

#include <errno.h>
#include <stdlib.h>

#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

enum { PORT_COMMAND, PORT_DATA, PORT_COUNT };

#define ICW1         0x10 /* A0 = 0: this bit makes it ICW1 */
#define ICW1_IC4     0x01
#define ICW1_SNGL    0x02
#define ICW1_LTIM    0x08
#define ICW2_BASE    0xf8
#define ICW4_AEOI    0x02
#define ICW4_SFNM    0x10
#define OCW3         0x08 /* A0 = 0, ICW1 clear: OCW3, else OCW2 */
#define OCW3_RIS     0x01
#define OCW3_RR      0x02
#define OCW3_POLL    0x04
#define OCW3_SMM     0x20
#define OCW3_ESMM    0x40
#define POLL_PENDING 0x80

#define CASCADE      2
#define SPURIOUS     7
#define ELCR_MASTER  0xf8 /* timer, keyboard and cascade cannot be level triggered, */
#define ELCR_SLAVE   0xde /* nor the clock and the coprocessor */

enum { READY, WANT_ICW2, WANT_ICW3, WANT_ICW4 };

/* --- State -------------------------------------------------------------- */

struct chip {
    uint8_t lines; /* IR inputs as they are */
    uint8_t irr, isr, imr;
    uint8_t elcr, elcr_writable;
    uint8_t base;   /* ICW2 */
    uint8_t lowest; /* the IR with the lowest priority; the next one has the highest */
    uint8_t step;   /* of the initialisation */
    uint8_t icw1;
    bool auto_eoi, rotate_on_auto_eoi, special_mask, nested, read_isr, poll;
    struct i8259 *pic;
};

struct i8259 {
    struct i8259_config config;
    struct chip chip[2]; /* master, slave */
};

/* --- Behaviour: one chip ------------------------------------------------ */

/* The one of highest priority in set, or -1. */
static int first(const struct chip *c, uint8_t set)
{
    unsigned highest = (c->lowest + 1) & 7;
    uint8_t turned = (uint8_t)(set >> highest | set << (8 - highest)); /* bit 0: the highest */

    return set ? (int)((highest + (unsigned)__builtin_ctz(turned)) & 7) : -1;
}

static unsigned rank(const struct chip *c, unsigned ir)
{
    return (ir - c->lowest - 1) & 7;
}

static bool is_master(const struct chip *c)
{
    return c == &c->pic->chip[0];
}

/*
 * The IR that the chip would interrupt for now, or -1: requested, not masked, and above everything
 * in service. In special mask mode the service of a masked IR holds nothing back; in special fully
 * nested mode the slave's own service does not hold back the slave.
 */
static int pending(const struct chip *c)
{
    uint8_t holds = c->special_mask ? c->isr & ~c->imr : c->isr;
    int ir = first(c, c->irr & ~c->imr), in_service;

    if (ir < 0 || c->step != READY)
        return -1;
    if (c->nested && is_master(c) && ir == CASCADE)
        holds &= ~(1u << CASCADE);
    in_service = first(c, holds);
    if (in_service >= 0 && rank(c, ir) >= rank(c, in_service))
        return -1;
    return ir;
}

static bool is_level(const struct chip *c, unsigned ir)
{
    return c->icw1 & ICW1_LTIM || c->elcr >> ir & 1;
}

/* An edge-triggered request needs its line to stay up until it is taken. */
static void set_line(struct chip *c, unsigned ir, bool level)
{
    uint8_t bit = 1u << ir;

    if (!level)
        c->irr &= ~bit;
    else if (is_level(c, ir) || !(c->lines & bit))
        c->irr |= bit;
    c->lines = level ? c->lines | bit : c->lines & ~bit;
}

/* ISR and IRR at the second INTA. */
static void take(struct chip *c, unsigned ir)
{
    uint8_t bit = 1u << ir;

    if (!is_level(c, ir))
        c->irr &= ~bit;
    if (!c->auto_eoi)
        c->isr |= bit;
    else if (c->rotate_on_auto_eoi)
        c->lowest = ir;
}

/* --- Behaviour: the pair ------------------------------------------------ */

static void update(struct i8259 *pic)
{
    set_line(&pic->chip[0], CASCADE, pending(&pic->chip[1]) >= 0);
    irq_set(&pic->config.intr, pending(&pic->chip[0]) >= 0);
}

static void told_taken(struct i8259 *pic, unsigned irq)
{
    if (pic->config.taken)
        pic->config.taken(pic->config.taken_arg, irq);
}

/* The cascade line drops with the request that is taken, so the slave's next one is an edge. */
static uint8_t ack_slave(struct i8259 *pic)
{
    struct chip *slave = &pic->chip[1];
    int ir = pending(slave);

    set_line(&pic->chip[0], CASCADE, false);
    if (ir < 0)
        return slave->base + SPURIOUS;
    take(slave, ir);
    told_taken(pic, 8 + ir);
    return slave->base + ir;
}

static uint8_t ack_master(struct i8259 *pic)
{
    struct chip *master = &pic->chip[0];
    int ir = pending(master);

    if (ir < 0)
        return master->base + SPURIOUS;
    take(master, ir);
    if (ir == CASCADE)
        return ack_slave(pic);
    told_taken(pic, ir);
    return master->base + ir;
}

uint8_t i8259_ack(struct i8259 *pic)
{
    uint8_t vector = ack_master(pic);

    update(pic);
    return vector;
}

bool i8259_waiting(const struct i8259 *pic, unsigned irq)
{
    const struct chip *c = &pic->chip[irq / 8 & 1];

    return (c->irr & ~c->imr) >> (irq & 7) & 1;
}

static void pin_set(void *sink, unsigned pin, bool level)
{
    struct i8259 *pic = sink;

    set_line(&pic->chip[pin / 8 & 1], pin & 7, level);
    update(pic);
}

struct irq i8259_irq(struct i8259 *pic, unsigned pin)
{
    return (struct irq){ pin_set, pic, pin };
}

/* --- Commands ----------------------------------------------------------- */

/* Edges seen before the initialisation are forgotten, levels are not. */
static void start_init(struct chip *c, uint8_t icw1)
{
    c->icw1 = icw1;
    c->step = WANT_ICW2;
    c->imr = 0;
    c->isr = 0;
    c->lowest = 7;
    c->special_mask = c->read_isr = c->poll = false;
    c->auto_eoi = c->rotate_on_auto_eoi = c->nested = false;
    c->irr = c->lines & (icw1 & ICW1_LTIM ? 0xff : c->elcr);
}

static void end_of_interrupt(struct chip *c, int ir, bool rotate)
{
    if (ir < 0)
        return;
    c->isr &= ~(1u << ir);
    if (rotate)
        c->lowest = ir;
}

/* What a non-specific EOI ends: in special mask mode, nothing that is masked. */
static int highest_in_service(const struct chip *c)
{
    return first(c, c->special_mask ? c->isr & ~c->imr : c->isr);
}

static void ocw2(struct chip *c, uint8_t value)
{
    unsigned level = value & 7;

    switch (value >> 5) { /* R, SL, EOI */
    case 0: c->rotate_on_auto_eoi = false; break;
    case 1: end_of_interrupt(c, highest_in_service(c), false); break;
    case 2: break; /* no operation */
    case 3: end_of_interrupt(c, level, false); break;
    case 4: c->rotate_on_auto_eoi = true; break;
    case 5: end_of_interrupt(c, highest_in_service(c), true); break;
    case 6: c->lowest = level; break;
    case 7: end_of_interrupt(c, level, true); break;
    }
}

static void ocw3(struct chip *c, uint8_t value)
{
    if (value & OCW3_ESMM)
        c->special_mask = value & OCW3_SMM;
    if (value & OCW3_RR)
        c->read_isr = value & OCW3_RIS;
    c->poll = value & OCW3_POLL;
}

static void command_write(struct chip *c, uint8_t value)
{
    if (value & ICW1)
        start_init(c, value);
    else if (value & OCW3)
        ocw3(c, value);
    else
        ocw2(c, value);
}

static void data_write(struct chip *c, uint8_t value)
{
    switch (c->step) {
    case READY:
        c->imr = value;
        break;
    case WANT_ICW2:
        c->base = value & ICW2_BASE;
        if (!(c->icw1 & ICW1_SNGL))
            c->step = WANT_ICW3;
        else
            c->step = c->icw1 & ICW1_IC4 ? WANT_ICW4 : READY;
        break;
    case WANT_ICW3: /* the cascade is soldered */
        c->step = c->icw1 & ICW1_IC4 ? WANT_ICW4 : READY;
        break;
    case WANT_ICW4:
        c->auto_eoi = value & ICW4_AEOI;
        c->nested = value & ICW4_SFNM;
        c->step = READY;
        break;
    }
}

/* A read after the poll command is an INTA of this chip alone. */
static uint8_t poll_read(struct chip *c)
{
    unsigned first_irq = is_master(c) ? 0 : 8;
    int ir = pending(c);

    c->poll = false;
    if (ir < 0)
        return 0;
    take(c, ir);
    update(c->pic);
    told_taken(c->pic, first_irq + ir);
    return POLL_PENDING | ir;
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct chip *c = dev;

    (void)size;
    if (c->poll)
        return poll_read(c);
    if (offset == PORT_DATA)
        return c->imr;
    return c->read_isr ? c->isr : c->irr;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct chip *c = dev;

    (void)size;
    if (offset == PORT_DATA)
        data_write(c, value);
    else
        command_write(c, value);
    update(c->pic);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "i8259",
};

static uint64_t elcr_read(void *dev, uint64_t offset, unsigned size)
{
    struct i8259 *pic = dev;

    (void)size;
    return pic->chip[offset & 1].elcr;
}

static void elcr_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8259 *pic = dev;
    struct chip *c = &pic->chip[offset & 1];

    (void)size;
    c->elcr = value & c->elcr_writable;
    c->irr |= c->lines & c->elcr;
    update(pic);
}

void i8259_set_levels(struct i8259 *pic, uint16_t irqs)
{
    elcr_write(pic, 0, 1, irqs & 0xff);
    elcr_write(pic, 1, 1, irqs >> 8);
}

static const struct bus_ops elcr_ops = {
    .read = elcr_read,
    .write = elcr_write,
    .max_size = 1,
    .name = "elcr",
};

/* --- Life --------------------------------------------------------------- */

/* The chip has no reset pin: this is power-on. The lines are what the other chips drive. */
void i8259_reset(struct i8259 *pic)
{
    for (unsigned i = 0; i < 2; i++) {
        struct chip *c = &pic->chip[i];

        start_init(c, 0);
        c->step = READY;
        c->imr = 0xff;
        c->irr = 0;
        c->elcr = 0;
        c->base = 0;
    }
    update(pic);
}

static void snapshot_chip(struct chip *c, struct snap *snap)
{
    uint8_t flags = c->auto_eoi | c->rotate_on_auto_eoi << 1 | c->special_mask << 2 |
                    c->nested << 3 | c->read_isr << 4 | c->poll << 5;

    snap_u8(snap, &c->lines);
    snap_u8(snap, &c->irr);
    snap_u8(snap, &c->isr);
    snap_u8(snap, &c->imr);
    snap_u8(snap, &c->elcr);
    snap_u8(snap, &c->base);
    snap_u8(snap, &c->lowest);
    snap_u8(snap, &c->step);
    snap_u8(snap, &c->icw1);
    snap_u8(snap, &flags);
    c->lowest &= 7;
    c->auto_eoi = flags & 1;
    c->rotate_on_auto_eoi = flags & 2;
    c->special_mask = flags & 4;
    c->nested = flags & 8;
    c->read_isr = flags & 16;
    c->poll = flags & 32;
}

void i8259_snapshot(struct i8259 *pic, struct snap *snap)
{
    snapshot_chip(&pic->chip[0], snap);
    snapshot_chip(&pic->chip[1], snap);
    if (snap->loading)
        update(pic);
}

static int claim(struct i8259 *pic)
{
    const struct i8259_config *config = &pic->config;
    int err;

    err = bus_claim(config->ports, config->master_base, PORT_COUNT, &port_ops, &pic->chip[0]);
    if (!err)
        err = bus_claim(config->ports, config->slave_base, PORT_COUNT, &port_ops, &pic->chip[1]);
    if (!err)
        err = bus_claim(config->ports, config->elcr_base, 2, &elcr_ops, pic);
    return err;
}

struct i8259 *i8259_create(const struct i8259_config *config)
{
    struct i8259 *pic = calloc(1, sizeof(*pic));
    int err;

    if (!pic)
        return NULL;
    pic->config = *config;
    pic->chip[0].pic = pic->chip[1].pic = pic;
    pic->chip[0].elcr_writable = ELCR_MASTER;
    pic->chip[1].elcr_writable = ELCR_SLAVE;
    err = claim(pic);
    if (err) {
        free(pic);
        errno = -err;
        return NULL;
    }
    i8259_reset(pic);
    return pic;
}

void i8259_look(const struct i8259 *pic, struct i8259_view view[2])
{
    for (unsigned i = 0; i < 2; i++) {
        const struct chip *c = &pic->chip[i];

        view[i] = (struct i8259_view){ c->irr, c->isr, c->imr, c->elcr, c->base };
    }
}

void i8259_destroy(struct i8259 *pic)
{
    free(pic);
}
