/*
 * 16550A UART.
 *
 * Reference: National Semiconductor PC16550D data sheet; names of registers and bits are its.
 * Modelled:  both FIFOs and their trigger levels, every interrupt with its priority, the receiver
 *            time-out, loopback, breaks, modem lines.
 * Not:       OUT2 does not gate the interrupt (one wire, one chip: guests that forget it work,
 *            too); DMA mode; parity and framing errors, which no line here can have.
 *
 * Sending takes no time: a byte written is in the output buffer (outbuf.h) at once, and THR is
 * empty again, until the host has too many bytes waiting: then THRE stays off until it takes them.
 *
 * Receiving takes as long as the programmed line speed says. It must: a driver that finds the next
 * byte there whenever it has read one never leaves its interrupt handler, and a guest overruns its
 * own buffers. Bytes are asked for (chardev.h: the window) when all of this holds:
 *  - the FIFO has room,
 *  - the bytes before them have had their time on the line,
 *  - the guest listens: RTS is on; or it never was, and the guest has receiver interrupts on, or
 *    polls.
 * A driver clears the FIFOs before it raises RTS, and drops RTS to make the sender wait. So nothing
 * sent too early or too fast is lost.
 */
#include "devices/ns16550.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/snap.h"
#include "devices/bus.h"
#include "devices/chardev.h"
#include "devices/ns16550_fifo.h"
#include "devices/outbuf.h"

/* --- Registers ---------------------------------------------------------- */

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR, PORT_COUNT };

#define IER_ERBFI  0x01
#define IER_ETBEI  0x02
#define IER_ELSI   0x04
#define IER_EDSSI  0x08
#define IER_MASK   0x0f

#define IIR_MODEM   0x00
#define IIR_NONE    0x01
#define IIR_THRE    0x02
#define IIR_DATA    0x04
#define IIR_LINE    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS   0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_KEPT     0xc9 /* trigger level, DMA mode, enable */

#define LCR_LENGTH 0x03
#define LCR_STOP2  0x04
#define LCR_PARITY 0x08
#define LCR_BREAK  0x40
#define LCR_DLAB   0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR    0x01 /* its errors: ns16550_fifo.h */
#define LSR_THRE  0x20
#define LSR_TEMT  0x40
#define LSR_FIFO  0x80 /* an error is somewhere in the FIFO */

#define MSR_CTS    0x10 /* its change is in the bit four below, as for the other three */
#define MSR_DSR    0x20
#define MSR_RI     0x40
#define MSR_DCD    0x80
#define MSR_TERI   0x04
#define MSR_DELTAS 0x0f

#define BASE_BAUD     115200
#define TIMEOUT_CHARS 4
#define POLLS         64 /* LSR reads in a row: the guest waits for a byte */

/* --- State -------------------------------------------------------------- */

struct ns16550 {
    struct ns16550_config config;
    struct outbuf out;
    struct timer timeout, more;
    uint8_t ier, fcr, lcr, mcr, msr, scr;
    uint16_t divisor;
    struct ns16550_fifo fifo;
    bool thre_pending, timed_out;
    bool rts_used;                  /* RTS has been on since reset */
    bool carrier;
    uint8_t polls;
    uint64_t ready_ns;              /* when the line is free for the next byte */
    uint64_t timeout_ns;
};

/* --- Behaviour: interrupts ---------------------------------------------- */

static unsigned trigger(const struct ns16550 *uart)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };

    return uart->fifo.enabled ? levels[uart->fcr >> 6] : 1;
}

static uint8_t interrupt(const struct ns16550 *uart)
{
    if (uart->ier & IER_ELSI && uart->fifo.errors)
        return IIR_LINE;
    if (uart->ier & IER_ERBFI && uart->fifo.count >= trigger(uart))
        return IIR_DATA;
    if (uart->ier & IER_ERBFI && uart->timed_out)
        return IIR_TIMEOUT;
    if (uart->ier & IER_ETBEI && uart->thre_pending)
        return IIR_THRE;
    if (uart->ier & IER_EDSSI && uart->msr & MSR_DELTAS)
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_irq(struct ns16550 *uart)
{
    irq_set(&uart->config.irq, interrupt(uart) != IIR_NONE);
}

/* --- Behaviour: receiving ----------------------------------------------- */

static uint64_t char_ns(const struct ns16550 *uart)
{
    unsigned bits = 1 + 5 + (uart->lcr & LCR_LENGTH) + !!(uart->lcr & LCR_PARITY) + 1 +
                    !!(uart->lcr & LCR_STOP2);

    return bits * NS_PER_SEC * (uart->divisor ? uart->divisor : 1) / BASE_BAUD;
}

static bool listens(const struct ns16550 *uart)
{
    if (uart->mcr & MCR_LOOP)
        return false;
    if (uart->mcr & MCR_RTS)
        return true;
    return !uart->rts_used && (uart->ier & IER_ERBFI || uart->polls >= POLLS);
}

static size_t line_window(void *dev)
{
    struct ns16550 *uart = dev;

    if (!listens(uart) || clock_now_ns(uart->config.clock) < uart->ready_ns)
        return 0;
    return ns16550_fifo_capacity(&uart->fifo) - uart->fifo.count;
}

/* The window may be open, now or when the line is free: the host hears of it from the run loop, not
 * from inside a guest's access, which may be one of a probe that is taken back at once. */
static void expect_more(struct ns16550 *uart)
{
    struct clock *clock = uart->config.clock;
    uint64_t now = clock_now_ns(clock);

    if (listens(uart) && !uart->more.clock)
        timer_arm(&uart->more, clock, uart->ready_ns > now ? uart->ready_ns : now + char_ns(uart));
}

/* Bytes received since the timer was armed may have moved ready_ns on. */
static void more_fire(void *dev)
{
    struct ns16550 *uart = dev;

    if (line_window(uart))
        chardev_accept(uart->config.line);
    else if (clock_now_ns(uart->config.clock) < uart->ready_ns)
        expect_more(uart);
}

/* The time-out runs from the last byte received or read. A fire that comes too early moves the
 * timer on: a guest that empties the FIFO does not move it with each byte. */
static void restart_timeout(struct ns16550 *uart)
{
    struct clock *clock = uart->config.clock;

    if (!(uart->fcr & FCR_ENABLE) || !uart->fifo.count) {
        timer_cancel(&uart->timeout);
        return;
    }
    uart->timeout_ns = clock_now_ns(clock) + TIMEOUT_CHARS * char_ns(uart);
    if (!uart->timeout.clock)
        timer_arm(&uart->timeout, clock, uart->timeout_ns);
}

static void timeout_fire(void *dev)
{
    struct ns16550 *uart = dev;

    if (clock_now_ns(uart->config.clock) < uart->timeout_ns) {
        timer_arm(&uart->timeout, uart->config.clock, uart->timeout_ns);
        return;
    }
    uart->timed_out = true;
    update_irq(uart);
}

static void received(struct ns16550 *uart)
{
    uart->timed_out = false;
    restart_timeout(uart);
    update_irq(uart);
}

static void line_receive(void *dev, const uint8_t *bytes, size_t size)
{
    struct ns16550 *uart = dev;
    uint64_t now = clock_now_ns(uart->config.clock);

    BUG_ON(size > ns16550_fifo_capacity(&uart->fifo) - uart->fifo.count);
    for (size_t i = 0; i < size; i++)
        ns16550_fifo_push(&uart->fifo, bytes[i], 0);
    uart->ready_ns = (uart->ready_ns > now ? uart->ready_ns : now) + size * char_ns(uart);
    expect_more(uart);
    received(uart);
}

static void line_break(void *dev)
{
    struct ns16550 *uart = dev;

    if (uart->mcr & MCR_LOOP)
        return;
    ns16550_fifo_push(&uart->fifo, 0, LSR_BI);
    received(uart);
}

static void clear_received(struct ns16550 *uart)
{
    ns16550_fifo_clear(&uart->fifo);
    uart->timed_out = false;
    timer_cancel(&uart->timeout);
}

/* --- Behaviour: sending ------------------------------------------------- */

static bool is_thr_empty(const struct ns16550 *uart)
{
    return !outbuf_is_full(&uart->out);
}

/* The line drops in between, so that an edge-triggered controller sees each byte's interrupt. */
static void send(struct ns16550 *uart, uint8_t byte)
{
    uart->thre_pending = false;
    if (uart->mcr & MCR_LOOP) {
        ns16550_fifo_push(&uart->fifo, byte, 0);
        uart->timed_out = false;
        restart_timeout(uart);
    } else {
        outbuf_put(&uart->out, byte);
    }
    update_irq(uart);
    uart->thre_pending = is_thr_empty(uart);
    update_irq(uart);
}

static void line_writable(void *dev)
{
    struct ns16550 *uart = dev;
    bool was_empty = is_thr_empty(uart);

    outbuf_writable(&uart->out);
    if (!was_empty && is_thr_empty(uart))
        uart->thre_pending = true;
    update_irq(uart);
}

/* --- Behaviour: modem lines --------------------------------------------- */

static uint8_t modem_inputs(const struct ns16550 *uart)
{
    uint8_t mcr = uart->mcr;

    if (!(mcr & MCR_LOOP))
        return uart->carrier ? MSR_CTS | MSR_DSR | MSR_DCD : 0;
    return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
           (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void update_modem(struct ns16550 *uart)
{
    uint8_t old = uart->msr & ~MSR_DELTAS, now = modem_inputs(uart), deltas = (old ^ now) >> 4;

    if (now & MSR_RI)
        deltas &= ~MSR_TERI; /* only the trailing edge */
    uart->msr = now | (uart->msr & MSR_DELTAS) | deltas;
    update_irq(uart);
}

static void line_carrier(void *dev, bool on)
{
    struct ns16550 *uart = dev;

    uart->carrier = on;
    update_modem(uart);
}

/* The output pins; loopback switches them off. */
static uint8_t modem_pins(const struct ns16550 *uart)
{
    return uart->mcr & MCR_LOOP ? 0 : uart->mcr & (MCR_DTR | MCR_RTS);
}

static void mcr_write(struct ns16550 *uart, uint8_t value)
{
    uint8_t old = modem_pins(uart), pins;

    uart->mcr = value & MCR_MASK;
    pins = modem_pins(uart);
    if (pins != old)
        chardev_modem(uart->config.line, pins & MCR_DTR, pins & MCR_RTS);
    if (pins & MCR_RTS)
        uart->rts_used = true;
    update_modem(uart);
    expect_more(uart);
}

static const struct chardev_device line_ops = {
    .window = line_window,
    .receive = line_receive,
    .writable = line_writable,
    .receive_break = line_break,
    .carrier = line_carrier,
};

/* --- Registers' reads and writes ---------------------------------------- */

static uint8_t rbr_read(struct ns16550 *uart)
{
    uint8_t byte = ns16550_fifo_pop(&uart->fifo);

    received(uart);
    if (!uart->fifo.count)
        expect_more(uart);
    return byte;
}

static uint8_t iir_read(struct ns16550 *uart)
{
    uint8_t iir = interrupt(uart);

    if (iir == IIR_THRE) {
        uart->thre_pending = false;
        update_irq(uart);
    }
    return iir | (uart->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t lsr_read(struct ns16550 *uart)
{
    bool has_errors = ns16550_fifo_has_error(&uart->fifo);
    uint8_t errors = ns16550_fifo_take_errors(&uart->fifo);
    uint8_t lsr = errors | (uart->fifo.count ? LSR_DR : 0);

    if (is_thr_empty(uart))
        lsr |= LSR_THRE | LSR_TEMT;
    if (has_errors && uart->fifo.enabled)
        lsr |= LSR_FIFO;
    if (errors)
        update_irq(uart);
    if (uart->polls < POLLS && ++uart->polls == POLLS)
        expect_more(uart);
    return lsr;
}

static uint8_t msr_read(struct ns16550 *uart)
{
    uint8_t msr = uart->msr;

    uart->msr &= ~MSR_DELTAS;
    update_irq(uart);
    return msr;
}

static void ier_write(struct ns16550 *uart, uint8_t value)
{
    value &= IER_MASK;
    if (value & ~uart->ier & IER_ETBEI)
        uart->thre_pending = is_thr_empty(uart);
    uart->ier = value;
    update_irq(uart);
    expect_more(uart);
}

static void fcr_write(struct ns16550 *uart, uint8_t value)
{
    if ((value ^ uart->fcr) & FCR_ENABLE || value & FCR_CLEAR_RX)
        clear_received(uart);
    uart->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    uart->fifo.enabled = uart->fcr & FCR_ENABLE;
    update_irq(uart);
    expect_more(uart);
}

static void lcr_write(struct ns16550 *uart, uint8_t value)
{
    uint8_t changed = uart->lcr ^ value;

    uart->lcr = value;
    if (!(changed & LCR_BREAK))
        return;
    if (!(uart->mcr & MCR_LOOP)) {
        chardev_send_break(uart->config.line, value & LCR_BREAK);
    } else if (value & LCR_BREAK) {
        ns16550_fifo_push(&uart->fifo, 0, LSR_BI);
        received(uart);
    }
}

static void data_write(struct ns16550 *uart, uint8_t value)
{
    if (uart->lcr & LCR_DLAB)
        uart->divisor = (uart->divisor & 0xff00) | value;
    else
        send(uart, value);
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct ns16550 *uart = dev;

    (void)size;
    if (offset != REG_LSR && uart->polls < POLLS)
        uart->polls = 0;
    switch (offset) {
    case REG_DATA: return uart->lcr & LCR_DLAB ? uart->divisor & 0xff : rbr_read(uart);
    case REG_IER: return uart->lcr & LCR_DLAB ? uart->divisor >> 8 : uart->ier;
    case REG_IIR_FCR: return iir_read(uart);
    case REG_LCR: return uart->lcr;
    case REG_MCR: return uart->mcr;
    case REG_LSR: return lsr_read(uart);
    case REG_MSR: return msr_read(uart);
    default: return uart->scr;
    }
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct ns16550 *uart = dev;

    (void)size;
    if (uart->polls < POLLS)
        uart->polls = 0;
    switch (offset) {
    case REG_DATA: data_write(uart, value); break;
    case REG_IER:
        if (uart->lcr & LCR_DLAB)
            uart->divisor = (uart->divisor & 0xff) | value << 8;
        else
            ier_write(uart, value);
        break;
    case REG_IIR_FCR: fcr_write(uart, value); break;
    case REG_LCR: lcr_write(uart, value); break;
    case REG_MCR: mcr_write(uart, value); break;
    case REG_SCR: uart->scr = value; break;
    default: break; /* LSR and MSR are for the factory to write */
    }
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "ns16550",
};

/* --- Life --------------------------------------------------------------- */

void ns16550_flush(struct ns16550 *uart)
{
    outbuf_flush(&uart->out);
}

/* Master reset. The divisor is undefined then; ours is the fastest line. */
void ns16550_reset(struct ns16550 *uart)
{
    if (uart->lcr & LCR_BREAK)
        lcr_write(uart, 0);
    clear_received(uart);
    timer_cancel(&uart->more);
    uart->ier = uart->fcr = uart->lcr = uart->scr = uart->polls = 0;
    uart->fifo.errors = 0;
    uart->fifo.enabled = false;
    uart->divisor = 1;
    uart->thre_pending = uart->rts_used = false;
    uart->ready_ns = 0;
    mcr_write(uart, 0);
    uart->msr &= ~MSR_DELTAS;
    update_irq(uart);
}

void ns16550_snapshot(struct ns16550 *uart, struct snap *snap)
{
    uint8_t flags = uart->thre_pending | uart->timed_out << 1 | uart->rts_used << 2;

    snap_u8(snap, &uart->ier);
    snap_u8(snap, &uart->fcr);
    snap_u8(snap, &uart->lcr);
    snap_u8(snap, &uart->mcr);
    snap_u8(snap, &uart->msr);
    snap_u8(snap, &uart->scr);
    snap_bytes(snap, &uart->divisor, sizeof(uart->divisor));
    ns16550_fifo_snapshot(&uart->fifo, snap);
    snap_u8(snap, &flags);
    snap_u8(snap, &uart->polls);
    snap_bytes(snap, &uart->ready_ns, sizeof(uart->ready_ns));
    if (!snap->loading)
        return;
    uart->thre_pending = flags & 1;
    uart->timed_out = flags & 2;
    uart->rts_used = flags & 4;
    restart_timeout(uart);
    expect_more(uart);
    chardev_modem(uart->config.line, modem_pins(uart) & MCR_DTR, modem_pins(uart) & MCR_RTS);
    update_modem(uart);
}

struct ns16550 *ns16550_create(const struct ns16550_config *config)
{
    struct ns16550 *uart = calloc(1, sizeof(*uart));
    int err;

    if (!uart)
        return NULL;
    uart->config = *config;
    uart->carrier = true;
    uart->timeout.fire = timeout_fire;
    uart->more.fire = more_fire;
    uart->timeout.arg = uart->more.arg = uart;
    err = outbuf_init(&uart->out, config->line, config->clock);
    if (!err)
        err = bus_claim(config->ports, config->base, PORT_COUNT, &port_ops, uart);
    if (err) {
        outbuf_destroy(&uart->out);
        free(uart);
        errno = -err;
        return NULL;
    }
    ns16550_reset(uart);
    chardev_attach(config->line, &line_ops, uart);
    return uart;
}

void ns16550_destroy(struct ns16550 *uart)
{
    chardev_detach(uart->config.line);
    timer_cancel(&uart->timeout);
    timer_cancel(&uart->more);
    outbuf_destroy(&uart->out);
    free(uart);
}
