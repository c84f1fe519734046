/* What stub.c and commands.c share. Included by those alone. */
#ifndef GDB_STUB_PRIVATE_H
#define GDB_STUB_PRIVATE_H

#include "cpu/stops.h"
#include "gdb/packet.h"
#include "gdb/stub.h"

struct gdb_stub {
    struct gdb_host host;
    struct vcpu *const *vcpus;
    unsigned count;
    unsigned current; /* the CPU that registers and memory are of */
    bool connected, running, no_ack, physical;
    bool silent;      /* the packet gets no reply now */
    uint64_t range_from, range_end; /* steps go on in here; equal: there is none */
    char stop_reply[128];
    char *description; /* NULL: not asked for yet */
    struct gdb_packet packet;
    size_t size;                     /* of the reply */
    char reply[GDB_PACKET_MAX + 1];
    size_t out_size;
    char out[GDB_PACKED(GDB_PACKET_MAX)];
};

/* --- stub.c --- */

static inline struct vcpu *stub_cpu(const struct gdb_stub *stub)
{
    return stub->vcpus[stub->current];
}

/* Adds to the reply; what does not fit is lost. */
void stub_put(struct gdb_stub *stub, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void stub_put_hex(struct gdb_stub *stub, const void *bytes, size_t size);

/* Sends the reply so far: for commands that send more than one, or before something. */
void stub_send(struct gdb_stub *stub);
void stub_send_text(struct gdb_stub *stub, const char *text);

/* Lets the guest go on, or step. */
void stub_go(struct gdb_stub *stub, bool step);
void stub_clear_stops(struct gdb_stub *stub);

/* --- commands.c --- */

/* Does what the packet says and puts the reply, unless it sets silent. */
void stub_command(struct gdb_stub *stub);

#endif
