/*
 * A debugger at the running machine: see debugger.h. Reference: tcp(7), unix(7).
 *
 * All of it happens on the vcpu's thread, through the poller, and never waits: a client that does
 * not take what it is sent is dropped.
 */
#include "frontend/debugger.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/tcp_socket.h"
#include "base/unix_socket.h"
#include "cpu/engine.h"
#include "cpu/stops.h"
#include "cpu/vcpu.h"
#include "frontend/config_debug.h"
#include "frontend/control.h"
#include "frontend/error.h"
#include "frontend/machine.h"
#include "frontend/pause.h"
#include "frontend/poller.h"
#include "frontend/terminal.h"
#include "gdb/stub.h"

enum { IN_SIZE = 4096, OUT_MAX = 1 << 20 };

struct debugger {
    struct machine *machine;
    struct vcpu *vcpus[1];
    struct gdb_stub *stub;
    struct control *control; /* for monitor commands, where there is no -monitor */
    const char *path;        /* of the socket; NULL: TCP */
    struct poller_fd door, client;
    bool left;               /* the client has detached */
    unsigned signal;         /* why the guest stands still, for a client that comes */
    char *out;               /* what could not be sent yet */
    size_t out_size;
};

/* --- The client --------------------------------------------------------------------------- */

static bool is_there(const struct debugger *d)
{
    return d->client.fd >= 0 && !d->left;
}

/* It has no say any more. It hangs up by itself, or when the next one comes. */
static void detach(struct debugger *d)
{
    d->left = true;
    gdb_stub_disconnect(d->stub);
    stops_apply(d->machine->vcpu);
    poller_change(d->machine->poller, &d->door, d->door.fd, POLLIN);
}

/* The guest goes on as it is: standing still, if it does, for whoever comes next. */
static void drop_client(struct debugger *d)
{
    if (d->client.fd < 0)
        return;
    detach(d);
    poller_remove(d->machine->poller, &d->client);
    close(d->client.fd);
    d->client.fd = -1;
    free(d->out);
    d->out = NULL;
    d->out_size = 0;
}

static void watch_client(struct debugger *d)
{
    poller_change(d->machine->poller, &d->client, d->client.fd,
                  d->out_size ? POLLIN | POLLOUT : POLLIN);
}

/* Sends some of it; returns how much, or -1: the client has gone. */
static ssize_t send_some(struct debugger *d, const char *bytes, size_t size)
{
    ssize_t n = write(d->client.fd, bytes, size);

    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static bool keep(struct debugger *d, const char *bytes, size_t size)
{
    char *out = d->out_size + size <= OUT_MAX ? realloc(d->out, d->out_size + size) : NULL;

    if (!out)
        return false;
    memcpy(out + d->out_size, bytes, size);
    d->out = out;
    d->out_size += size;
    return true;
}

/* A client that has gone is noticed when it is read from. */
static void send_bytes(void *arg, const char *bytes, size_t size)
{
    struct debugger *d = arg;
    ssize_t sent = d->out_size ? 0 : send_some(d, bytes, size);

    if (sent < 0 || (size_t)sent == size)
        return;
    if (!keep(d, bytes + sent, size - (size_t)sent))
        shutdown(d->client.fd, SHUT_RDWR);
    watch_client(d);
}

static void send_kept(struct debugger *d)
{
    ssize_t sent = d->out_size ? send_some(d, d->out, d->out_size) : 0;

    if (sent <= 0)
        return;
    d->out_size -= (size_t)sent;
    memmove(d->out, d->out + sent, d->out_size);
    watch_client(d);
}

static void client_ready(void *arg, short revents)
{
    struct debugger *d = arg;
    uint8_t bytes[IN_SIZE];
    ssize_t n;

    if (revents & POLLOUT)
        send_kept(d);
    if (!(revents & ~POLLOUT))
        return;
    n = read(d->client.fd, bytes, sizeof(bytes));
    if (n > 0)
        gdb_stub_feed(d->stub, bytes, (size_t)n);
    else if (!n || (errno != EAGAIN && errno != EINTR))
        drop_client(d);
}

static void door_ready(void *arg, short revents)
{
    struct debugger *d = arg;
    int fd = accept4(d->door.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)revents;
    if (fd < 0)
        return;
    drop_client(d);
    d->left = false;
    d->client = (struct poller_fd){ .fd = fd, .events = POLLIN, .ready = client_ready, .arg = d };
    if (poller_add(d->machine->poller, &d->client)) {
        close(fd);
        d->client.fd = -1;
        return;
    }
    poller_change(d->machine->poller, &d->door, d->door.fd, 0); /* the next one waits */
    if (!d->machine->paused)
        d->signal = GDB_SIGTRAP;
    pause_begin(d->machine);
    gdb_stub_connect(d->stub, d->signal);
}

/* --- What the stub asks for ----------------------------------------------------------------- */

static void go(void *arg)
{
    struct debugger *d = arg;

    stops_apply(d->machine->vcpu);
    d->signal = GDB_SIGTRAP;
    pause_end(d->machine);
}

static void halt(void *arg)
{
    struct debugger *d = arg;

    pause_begin(d->machine);
    d->signal = GDB_SIGINT;
    gdb_stub_stopped(d->stub, GDB_SIGINT);
}

static void leave(void *arg, bool kill)
{
    struct debugger *d = arg;

    if (kill)
        vm_stop(&d->machine->stop, VM_QUIT, 0, "killed by the debugger");
    else
        go(d);
    detach(d);
}

static char *command(void *arg, const char *words)
{
    struct debugger *d = arg;

    return debugger_monitor(d->machine, d->control ? d->control : d->machine->control, d->stub,
                            words);
}

/* --- What happens to the machine ------------------------------------------------------------ */

void debugger_stopped(struct debugger *d)
{
    if (!is_there(d)) { /* it has gone meanwhile */
        stops_apply(d->machine->vcpu);
        return;
    }
    pause_begin(d->machine);
    gdb_stub_stopped(d->stub, GDB_SIGTRAP);
}

void debugger_paused(struct debugger *d)
{
    if (d && gdb_stub_is_running(d->stub))
        halt(d);
}

bool debugger_holds(const struct debugger *d)
{
    return d && is_there(d) && !gdb_stub_is_running(d->stub);
}

static unsigned signal_of(enum vm_end end)
{
    switch (end) {
    case VM_TRIPLE_FAULT: return GDB_SIGSEGV;
    case VM_PANIC: case VM_HALTED: case VM_UNSUPPORTED: return GDB_SIGABRT;
    default: return 0;
    }
}

bool debugger_crashed(struct debugger *d, const struct vm_stop *stop)
{
    if (!d || !signal_of(stop->end))
        return false;
    d->signal = signal_of(stop->end);
    pause_begin(d->machine);
    fprintf(stderr, "novt: %s: the guest is stopped %s debugger%s\n",
            *stop->reason ? stop->reason : "a crash", is_there(d) ? "for the" : "and waits for a",
            terminal_is_raw() ? "\r" : "");
    gdb_stub_stopped(d->stub, d->signal);
    return true;
}

bool debugger_crashed_alone(struct machine *m, const struct vm_stop *stop)
{
    if (!m->config->debug.stopped || m->debugger || !signal_of(stop->end))
        return false;
    pause_begin(m);
    fprintf(stderr, "novt: %s: the guest is stopped: look by the monitor, continue ends it%s\n",
            *stop->reason ? stop->reason : "a crash", terminal_is_raw() ? "\r" : "");
    return true;
}

/* --- Life ----------------------------------------------------------------------------------- */

static int listen_tcp(const struct tcp_place *place, struct error *error)
{
    char why[TCP_WHY_MAX];
    int fd = tcp_socket_listen(place, 1, why);

    return fd >= 0 ? fd : error_set(error, -fd, "-gdb tcp:%s:%s: %s", place->host, place->port,
                                    why);
}

static int listen_unix(const char *path, struct error *error)
{
    int fd = unix_socket_listen(path, true, 1);

    if (fd >= 0)
        return fd;
    return error_set(error, EX_CANTCREAT, "-gdb unix:%s: cannot listen there: %s; choose another "
                                          "name", path, strerror(-fd));
}

static int create_parts(struct debugger *d, struct error *error)
{
    const struct gdb_host host = { d, send_bytes, go, halt, leave, command };

    d->stub = gdb_stub_create(&host, d->vcpus, 1);
    if (!d->stub)
        return error_set(error, EX_OSERR, "-gdb: no host memory; free some");
    return d->machine->control ? 0 : control_begin(&d->control, d->machine, error);
}

int debugger_open(struct debugger **made, const struct debug_spec *spec, struct machine *machine,
                  struct error *error)
{
    struct debugger *d;

    *made = NULL;
    if (!spec->given)
        return 0;
    if (machine->engine->undebugged)
        return error_set(error, EX_USAGE, "-gdb: not with -engine %s; use bt or interp",
                         machine->engine->name);
    d = *made = calloc(1, sizeof(*d));
    if (!d)
        return error_set(error, EX_OSERR, "-gdb: no host memory; free some");
    d->machine = machine;
    d->vcpus[0] = machine->vcpu;
    d->path = spec->path;
    d->signal = GDB_SIGTRAP;
    d->client.fd = d->door.fd = -1;
    if (create_parts(d, error))
        return -1;
    d->door = (struct poller_fd){ .fd = spec->path ? listen_unix(spec->path, error)
                                                   : listen_tcp(&spec->place, error),
                                  .events = POLLIN, .ready = door_ready, .arg = d };
    if (d->door.fd < 0)
        return -1;
    if (poller_add(machine->poller, &d->door))
        return error_set(error, EX_SOFTWARE, "-gdb: too many descriptors to wait for");
    return 0;
}

void debugger_ended(struct debugger *d, int status)
{
    if (d && is_there(d))
        gdb_stub_ended(d->stub, status);
}

void debugger_close(struct debugger *d)
{
    if (!d)
        return;
    if (d->client.fd >= 0) {
        poller_remove(d->machine->poller, &d->client);
        close(d->client.fd);
    }
    if (d->door.fd >= 0) {
        poller_remove(d->machine->poller, &d->door);
        close(d->door.fd);
        if (d->path)
            unlink(d->path);
    }
    gdb_stub_destroy(d->stub);
    control_close(d->control);
    free(d->out);
    free(d);
}
