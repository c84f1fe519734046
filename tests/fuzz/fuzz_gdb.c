/*
 * gdb's packets: the input is what a client sends. What comes out as a packet, made into one again,
 * must come out the same; numbers and bytes in hexadecimal are read out of it. (What the stub does
 * with packets is tests/unit/test_gdb.c: clang does not compile cpu/.)
 */
#include <stdlib.h>
#include <string.h>

#include "gdb/packet.h"
#include "tests/fuzz/fuzz.h"

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void look_inside(const struct gdb_packet *packet)
{
    static uint8_t bytes[GDB_PACKET_MAX];
    const char *at = packet->data;
    uint64_t value;
    size_t done;

    expect(packet->size <= GDB_PACKET_MAX && !packet->data[packet->size]);
    if (gdb_number(&at, &value))
        expect(at > packet->data && at <= packet->data + packet->size);
    done = gdb_from_hex(bytes, packet->data, sizeof(bytes));
    expect(2 * done <= packet->size);
}

static void round_trip(const struct gdb_packet *packet)
{
    static char out[GDB_PACKED(GDB_PACKET_MAX)];
    static struct gdb_packet again;
    size_t size = gdb_packet_make(out, packet->data, packet->size);
    enum gdb_input last = GDB_NOTHING;

    expect(size <= sizeof(out));
    for (size_t i = 0; i < size; i++)
        last = gdb_packet_take(&again, (uint8_t)out[i]);
    expect(last == GDB_PACKET && again.size == packet->size &&
           !memcmp(again.data, packet->data, packet->size));
}

/* A '#' of the input ends a packet with the right sum. */
static enum gdb_input feed(struct gdb_packet *packet, uint8_t byte, uint8_t *sum)
{
    static const char digits[] = "0123456789abcdef";

    *sum = byte == '$' ? 0 : (uint8_t)(*sum + byte);
    if (byte != '#')
        return gdb_packet_take(packet, byte);
    *sum = (uint8_t)(*sum - byte);
    gdb_packet_take(packet, byte);
    gdb_packet_take(packet, (uint8_t)digits[*sum >> 4]);
    return gdb_packet_take(packet, (uint8_t)digits[*sum & 15]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gdb_packet packet;
    uint8_t sum = 0;

    memset(&packet, 0, sizeof(packet));
    for (size_t i = 0; i < size; i++) {
        if (feed(&packet, data[i], &sum) != GDB_PACKET)
            continue;
        look_inside(&packet);
        round_trip(&packet);
    }
    return 0;
}
