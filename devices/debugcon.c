/*
 * Debug console, one write-only byte port.
 *
 * Reference: Bochs' user manual, "port_e9_hack"; QEMU's isa-debugcon.
 * Modelled:  all of it. It has no state a guest could see: no reset, no snapshot.
 */
#include "devices/debugcon.h"

#include <errno.h>
#include <stdlib.h>

#include "devices/bus.h"
#include "devices/chardev.h"
#include "devices/outbuf.h"

#define READBACK 0xe9

/* --- State -------------------------------------------------------------- */

struct debugcon {
    struct debugcon_config config;
    struct outbuf out;
};

/* --- The host's side ---------------------------------------------------- */

static size_t line_window(void *dev)
{
    (void)dev;
    return 0;
}

static void line_receive(void *dev, const uint8_t *bytes, size_t size)
{
    (void)dev;
    (void)bytes;
    (void)size;
}

static void line_writable(void *dev)
{
    struct debugcon *con = dev;

    outbuf_writable(&con->out);
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

static const struct chardev_device line_ops = {
    .window = line_window,
    .receive = line_receive,
    .writable = line_writable,
    .receive_break = line_break,
    .carrier = line_carrier,
};

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev;
    (void)offset;
    (void)size;
    return READBACK;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct debugcon *con = dev;

    (void)offset;
    (void)size;
    outbuf_put(&con->out, value);
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 1,
    .name = "debugcon",
};

/* --- Life --------------------------------------------------------------- */

void debugcon_flush(struct debugcon *con)
{
    outbuf_flush(&con->out);
}

struct debugcon *debugcon_create(const struct debugcon_config *config)
{
    struct debugcon *con = calloc(1, sizeof(*con));
    int err;

    if (!con)
        return NULL;
    con->config = *config;
    err = outbuf_init(&con->out, config->line, config->clock);
    if (!err)
        err = bus_claim(config->ports, config->base, 1, &port_ops, con);
    if (!err && config->second_base) {
        err = bus_claim(config->ports, config->second_base, 1, &port_ops, con);
        if (err)
            bus_release(config->ports, config->base);
    }
    if (err) {
        outbuf_destroy(&con->out);
        free(con);
        errno = -err;
        return NULL;
    }
    chardev_attach(config->line, &line_ops, con);
    return con;
}

void debugcon_destroy(struct debugcon *con)
{
    chardev_detach(con->config.line);
    outbuf_destroy(&con->out);
    free(con);
}
