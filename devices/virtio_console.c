/*
 * Virtio console.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 5.3.
 * Modelled:  port 0 with both queues, the terminal's size, the emergency write register.
 * Not:       several ports.
 *
 * The driver's buffers are the flow control: one chain of the receive queue is kept at hand and its
 * size is the line's window; a chain of the transmit queue is not given back before the host had
 * room for its bytes.
 */
#include "devices/virtio_console.h"

#include <errno.h>
#include <stdlib.h>

#include "base/snap.h"
#include "devices/chardev.h"
#include "devices/outbuf.h"

enum { QUEUE_RECEIVE = 0, QUEUE_TRANSMIT = 1, QUEUE_SIZE = 64 };
enum { F_SIZE = 0, F_EMERG_WRITE = 2 };
enum { CONFIG_COLUMNS = 0, CONFIG_ROWS = 2, CONFIG_PORTS = 4, CONFIG_EMERG = 8, CONFIG_SIZE = 12 };
enum {
    TRANSMIT_MAX = 1 << 20, /* bytes of a chain; no driver sends more at once */
    WINDOW_MAX = 4096,
};

struct virtio_console {
    struct virtio_pci virtio;
    struct outbuf out;
    bool receiving, sending; /* the chains below are taken */
    uint64_t sent;           /* bytes of the one that is being sent */
    struct virtqueue_chain receive, send;
};

/* --- Guest to host ------------------------------------------------------ */

/* Puts the rest of the chain into the buffer. False: it is full. */
static bool send_rest(struct virtio_console *console)
{
    uint8_t bytes[256];

    while (!outbuf_is_full(&console->out)) {
        size_t n = virtqueue_read(&console->send, console->sent, bytes, sizeof(bytes));

        for (size_t i = 0; i < n; i++)
            outbuf_put(&console->out, bytes[i]);
        console->sent += n;
        if (n < sizeof(bytes))
            return true;
    }
    return false;
}

static bool next_to_send(struct virtio_console *console)
{
    if (!console->sending) {
        console->sending = virtio_pci_pop(&console->virtio, QUEUE_TRANSMIT, &console->send);
        console->sent = 0;
    }
    if (console->sending && console->send.out_size > TRANSMIT_MAX) {
        virtio_pci_fail(&console->virtio, "more output at once than anybody sends");
        console->sending = false;
    }
    return console->sending;
}

static void transmit(struct virtio_console *console)
{
    for (unsigned n = 0; n < QUEUE_SIZE && next_to_send(console); n++) {
        if (!send_rest(console))
            break;
        console->sending = false;
        virtio_pci_push(&console->virtio, QUEUE_TRANSMIT, &console->send, 0);
    }
    virtio_pci_signal(&console->virtio, QUEUE_TRANSMIT);
}

/* --- Host to guest ------------------------------------------------------ */

static size_t line_window(void *dev)
{
    struct virtio_console *console = dev;

    for (unsigned n = 0; n < QUEUE_SIZE && !console->receiving; n++) {
        if (!virtio_pci_pop(&console->virtio, QUEUE_RECEIVE, &console->receive))
            return 0;
        console->receiving = console->receive.in_size;
        if (!console->receiving)
            virtio_pci_push(&console->virtio, QUEUE_RECEIVE, &console->receive, 0);
    }
    if (!console->receiving)
        return 0;
    return console->receive.in_size < WINDOW_MAX ? console->receive.in_size : WINDOW_MAX;
}

static void line_receive(void *dev, const uint8_t *bytes, size_t size)
{
    struct virtio_console *console = dev;
    struct virtqueue *vq = &console->virtio.queue[QUEUE_RECEIVE];

    if (!console->receiving)
        return;
    virtqueue_write(vq, &console->receive, 0, bytes, size);
    console->receiving = false;
    virtio_pci_push(&console->virtio, QUEUE_RECEIVE, &console->receive, (uint32_t)size);
    virtio_pci_signal(&console->virtio, QUEUE_RECEIVE);
}

static void line_writable(void *dev)
{
    struct virtio_console *console = dev;

    outbuf_writable(&console->out);
    transmit(console);
}

static void line_break(void *dev)
{
    (void)dev;
}

static void line_carrier(void *dev, bool on)
{
    (void)dev;
    (void)on;
}

static void line_resize(void *dev, unsigned columns, unsigned rows)
{
    struct virtio_console *console = dev;

    virtio_pci_put(&console->virtio, CONFIG_COLUMNS, 2, columns);
    virtio_pci_put(&console->virtio, CONFIG_ROWS, 2, rows);
    if (virtio_pci_has(&console->virtio, F_SIZE))
        virtio_pci_config_changed(&console->virtio);
}

static const struct chardev_device line_ops = {
    .window = line_window,
    .receive = line_receive,
    .writable = line_writable,
    .receive_break = line_break,
    .carrier = line_carrier,
    .resize = line_resize,
};

/* --- The device --------------------------------------------------------- */

static void notify(void *dev, unsigned queue)
{
    struct virtio_console *console = dev;

    if (queue == QUEUE_TRANSMIT)
        transmit(console);
    else if (line_window(console))
        chardev_accept(console->out.line);
}

/* Linux reads the size when it changes, and never before. */
static void start(void *dev)
{
    struct virtio_console *console = dev;

    if (virtio_pci_has(&console->virtio, F_SIZE) &&
        virtio_pci_get(&console->virtio, CONFIG_COLUMNS, 4))
        virtio_pci_config_changed(&console->virtio);
}

static void config_written(void *dev, unsigned at, unsigned size)
{
    struct virtio_console *console = dev;

    if (at <= CONFIG_EMERG && CONFIG_EMERG < at + size)
        outbuf_put(&console->out, (uint8_t)virtio_pci_get(&console->virtio, CONFIG_EMERG, 1));
}

static void reset(void *dev)
{
    struct virtio_console *console = dev;

    console->receiving = console->sending = false;
}

static const struct virtio_pci_class class = {
    .name = "virtio-console",
    .type = VIRTIO_CONSOLE,
    .pci_class = { 0x00, 0x80, 0x07 },
    .queues = 2,
    .queue_size = (const uint16_t[]){ QUEUE_SIZE, QUEUE_SIZE },
    .config_size = CONFIG_SIZE,
    .notify = notify,
    .reset = reset,
    .start = start,
    .config_written = config_written,
};

void virtio_console_flush(struct virtio_console *console)
{
    outbuf_flush(&console->out);
}

/* --- Life --------------------------------------------------------------- */

struct virtio_console *virtio_console_create(const struct virtio_console_config *config)
{
    struct virtio_console *console = calloc(1, sizeof(*console));
    int err;

    if (!console)
        return NULL;
    virtio_pci_put(&console->virtio, CONFIG_PORTS, 4, 1);
    console->virtio.config_writable[CONFIG_EMERG] = 0xff;
    err = outbuf_init(&console->out, config->line, config->clock);
    if (!err)
        err = virtio_pci_attach(
            &console->virtio,
            &(struct virtio_pci_config){ &class, console, 1 << F_SIZE | 1 << F_EMERG_WRITE,
                                         config->mode, config->mem, config->bus, config->slot });
    if (err) {
        outbuf_destroy(&console->out);
        free(console);
        errno = -err;
        return NULL;
    }
    chardev_attach(config->line, &line_ops, console);
    return console;
}

void virtio_console_destroy(struct virtio_console *console)
{
    chardev_detach(console->out.line);
    virtio_pci_detach(&console->virtio);
    outbuf_destroy(&console->out);
    free(console);
}

void virtio_console_reset(struct virtio_console *console)
{
    virtio_pci_reset(&console->virtio);
}

/* Chains at hand go back to their rings; the output of one that is half sent is sent first. */
void virtio_console_snapshot(struct virtio_console *console, struct snap *snap)
{
    if (!snap->loading && console->sending) {
        uint8_t byte;

        for (; virtqueue_read(&console->send, console->sent, &byte, 1); console->sent++)
            outbuf_put(&console->out, byte);
        console->sending = false;
        virtio_pci_push(&console->virtio, QUEUE_TRANSMIT, &console->send, 0);
        virtio_pci_signal(&console->virtio, QUEUE_TRANSMIT);
    }
    if (!snap->loading && console->receiving) {
        virtio_pci_unpop(&console->virtio, QUEUE_RECEIVE);
        console->receiving = false;
    }
    virtio_pci_snapshot(&console->virtio, snap);
    reset(console);
}
