/*
 * Packets of gdb's remote protocol, in bytes: "$data#checksum", '+' and '-', and a byte 3 between
 * packets that interrupts. Reference: "Debugging with GDB", appendix E, Overview.
 *
 * Knows nothing of what packets say, nor of sockets.
 */
#ifndef GDB_PACKET_H
#define GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GDB_PACKET_MAX = 16384 }; /* bytes of data, as qSupported's PacketSize says */

enum gdb_input {
    GDB_NOTHING,   /* go on */
    GDB_PACKET,    /* data[size], a zero behind it */
    GDB_BROKEN,    /* the checksum is wrong, or it is too long */
    GDB_INTERRUPT,
    GDB_ACK,
    GDB_NAK,       /* send the last one again */
};

struct gdb_packet {
    enum { GDB_OUTSIDE, GDB_INSIDE, GDB_ESCAPED, GDB_CHECK_HIGH, GDB_CHECK_LOW } state;
    size_t size; /* more than GDB_PACKET_MAX: too long */
    uint8_t sum, wanted;
    char data[GDB_PACKET_MAX + 1];
};

/* Takes the next byte of what gdb sends; a packet is zeroes before the first. */
enum gdb_input gdb_packet_take(struct gdb_packet *packet, uint8_t byte);

/* Puts data[size] into out as a packet, escaped; out has room for GDB_PACKED(size) bytes. Returns
 * how many it took. */
#define GDB_PACKED(size) (2 * (size) + 5)
size_t gdb_packet_make(char *out, const char *data, size_t size);

/* --- Digits ------------------------------------------------------------------------------- */

/* A number in hexadecimal at *text, which is moved behind it. False: there is none. */
bool gdb_number(const char **text, uint64_t *value);

/* size bytes as 2 * size digits and a zero; to has room for them. */
void gdb_to_hex(char *to, const void *from, size_t size);

/* As many bytes as there are pairs of digits, at most size; returns how many. */
size_t gdb_from_hex(void *to, const char *from, size_t size);

#endif
