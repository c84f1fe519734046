/* The stub: see stub.h. Packets are taken apart by packet.c and worked on by commands.c. */
#include "gdb/stub.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdb/registers.h"
#include "gdb/stub_private.h"

static uint32_t linear(const struct vcpu *vcpu)
{
    return (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip);
}

/* --- Replies ------------------------------------------------------------------------------ */

void stub_put(struct gdb_stub *stub, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(stub->reply + stub->size, sizeof(stub->reply) - stub->size, format, args);
    va_end(args);
    stub->size += (size_t)n;
    if (stub->size > GDB_PACKET_MAX)
        stub->size = GDB_PACKET_MAX;
}

void stub_put_hex(struct gdb_stub *stub, const void *bytes, size_t size)
{
    if (size > (GDB_PACKET_MAX - stub->size) / 2)
        size = (GDB_PACKET_MAX - stub->size) / 2;
    gdb_to_hex(stub->reply + stub->size, bytes, size);
    stub->size += 2 * size;
}

/* Sends what has been put. */
void stub_send(struct gdb_stub *stub)
{
    stub->out_size = gdb_packet_make(stub->out, stub->reply, stub->size);
    stub->size = 0;
    stub->host.send(stub->host.arg, stub->out, stub->out_size);
}

void stub_send_text(struct gdb_stub *stub, const char *text)
{
    stub->size = 0;
    stub_put(stub, "%s", text);
    stub_send(stub);
}

/* --- Stopping and going ------------------------------------------------------------------- */

static void put_register(struct gdb_stub *stub, char *reply, size_t size, unsigned number)
{
    uint8_t value[GDB_REGISTER_BYTES];
    const struct gdb_register *r = gdb_register(stub_cpu(stub), number);
    char digits[2 * GDB_REGISTER_BYTES + 1];

    gdb_register_get(stub_cpu(stub), r, value);
    gdb_to_hex(digits, value, r->bytes);
    snprintf(reply + strlen(reply), size - strlen(reply), "%02x:%s;", number, digits);
}

/* Why, as gdb asks for it. In a code segment with a base gdb's program counter is not the address
 * of its breakpoint, which it would think is gone, and go on: there it is told of a trap. */
static void put_reason(const struct gdb_stub *stub, char *reason, size_t size)
{
    static const char *const names[] = { [STOP_WRITE] = "watch", [STOP_READ] = "rwatch",
                                         [STOP_ACCESS] = "awatch" };
    const struct stops *stops = stub_cpu(stub)->stops;
    unsigned kinds = stops_code_at(stops, linear(stub_cpu(stub)));

    *reason = '\0';
    if (stops->hit)
        snprintf(reason, size, "%s:%x;", names[stops->touched.kind], stops->touched.gla);
    else if (kinds && !stub_cpu(stub)->seg[SEG_CS].base && !stops->stepping)
        snprintf(reason, size, "%s:;", kinds & 1u << STOP_CODE ? "swbreak" : "hwbreak");
}

static void note_stop(struct gdb_stub *stub, unsigned signal)
{
    char reason[40] = "", *reply = stub->stop_reply;
    size_t size = sizeof(stub->stop_reply);

    if (signal == GDB_SIGTRAP)
        put_reason(stub, reason, sizeof(reason));
    snprintf(reply, size, "T%02xthread:%x;%s", signal, stub->current + 1, reason);
    put_register(stub, reply, size, GDB_EIP);
    put_register(stub, reply, size, GDB_ESP);
    put_register(stub, reply, size, GDB_EBP);
}

/* A range of steps goes on while nothing else happens. */
static bool in_range(const struct gdb_stub *stub, unsigned signal)
{
    return signal == GDB_SIGTRAP && stub_cpu(stub)->rip - stub->range_from <
           stub->range_end - stub->range_from && !stub_cpu(stub)->stops->hit;
}

bool gdb_stub_stopped(struct gdb_stub *stub, unsigned signal)
{
    if (!stub->connected)
        return true;
    if (stub->running && in_range(stub, signal)) {
        stub->host.go(stub->host.arg);
        return false;
    }
    note_stop(stub, signal);
    if (stub->running)
        stub_send_text(stub, stub->stop_reply);
    stub->running = false;
    stub_cpu(stub)->stops->stepping = false;
    return true;
}

/* A stop that gdb cannot know it stands at (put_reason) is passed, and one in the middle of a
 * repeated instruction: its beginning is what stops. */
void stub_go(struct gdb_stub *stub, bool step)
{
    struct vcpu *vcpu = stub_cpu(stub);

    vcpu->stops->stepping = step;
    vcpu->stops->passing = vcpu->seg[SEG_CS].base || vcpu->stops->repeating ? linear(vcpu)
                                                                            : STOPS_NOWHERE;
    vcpu->stops->repeating = false;
    stub->running = stub->silent = true;
    stub->host.go(stub->host.arg);
}

void stub_clear_stops(struct gdb_stub *stub)
{
    for (unsigned i = 0; i < stub->count; i++) {
        stops_clear(stub->vcpus[i]);
        stub->vcpus[i]->stops->stepping = false;
    }
}

/* --- Packets ------------------------------------------------------------------------------ */

static void work(struct gdb_stub *stub)
{
    stub->size = 0;
    stub->silent = false;
    stub_command(stub);
    if (!stub->silent)
        stub_send(stub);
}

static void acknowledge(struct gdb_stub *stub, const char *sign)
{
    if (!stub->no_ack)
        stub->host.send(stub->host.arg, sign, 1);
}

static void take(struct gdb_stub *stub, enum gdb_input input)
{
    switch (input) {
    case GDB_PACKET:
        acknowledge(stub, "+");
        work(stub);
        break;
    case GDB_BROKEN: acknowledge(stub, "-"); break;
    case GDB_NAK: stub->host.send(stub->host.arg, stub->out, stub->out_size); break;
    case GDB_INTERRUPT:
        stub->range_from = stub->range_end = 0;
        if (stub->running) /* else it has just stopped by itself, and said why */
            stub->host.halt(stub->host.arg);
        break;
    case GDB_ACK:
    case GDB_NOTHING: break;
    }
}

void gdb_stub_feed(struct gdb_stub *stub, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size && stub->connected; i++)
        take(stub, gdb_packet_take(&stub->packet, bytes[i]));
}

/* --- Life --------------------------------------------------------------------------------- */

void gdb_stub_connect(struct gdb_stub *stub, unsigned signal)
{
    stub->connected = true;
    stub->running = stub->no_ack = stub->physical = false;
    stub->packet.state = GDB_OUTSIDE;
    stub->out_size = 0;
    stub->current = 0;
    note_stop(stub, signal);
}

void gdb_stub_disconnect(struct gdb_stub *stub)
{
    stub->connected = stub->running = false;
    free(stub->description);
    stub->description = NULL;
    stub_clear_stops(stub);
}

void gdb_stub_ended(struct gdb_stub *stub, int status)
{
    if (!stub->connected || !stub->running)
        return;
    stub->size = 0;
    stub_put(stub, "W%02x", status & 0xff);
    stub_send(stub);
}

bool gdb_stub_is_running(const struct gdb_stub *stub)
{
    return stub->running;
}

void gdb_stub_use_physical(struct gdb_stub *stub, bool physical)
{
    stub->physical = physical;
}

struct gdb_stub *gdb_stub_create(const struct gdb_host *host, struct vcpu *const *vcpus,
                                 unsigned count)
{
    struct gdb_stub *stub = calloc(1, sizeof(*stub));

    if (!stub)
        return NULL;
    stub->host = *host;
    stub->vcpus = vcpus;
    stub->count = count;
    for (unsigned i = 0; i < count; i++)
        if (stops_create(vcpus[i])) {
            free(stub);
            return NULL;
        }
    return stub;
}

void gdb_stub_destroy(struct gdb_stub *stub)
{
    if (!stub)
        return;
    free(stub->description);
    free(stub);
}
