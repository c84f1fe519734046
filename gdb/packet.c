/* Packets of gdb's remote protocol: see packet.h. */
#include "gdb/packet.h"

#define ESCAPE '}'
#define ESCAPE_FLIP 0x20
#define INTERRUPT 3

/* 0 to 15, or -1. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* --- In ----------------------------------------------------------------------------------- */

static void begin(struct gdb_packet *p)
{
    p->state = GDB_INSIDE;
    p->size = 0;
    p->sum = 0;
}

static void append(struct gdb_packet *p, uint8_t byte)
{
    if (p->size < GDB_PACKET_MAX)
        p->data[p->size] = (char)byte;
    if (p->size <= GDB_PACKET_MAX)
        p->size++;
}

static enum gdb_input between(struct gdb_packet *p, uint8_t byte)
{
    switch (byte) {
    case '$': begin(p); return GDB_NOTHING;
    case '+': return GDB_ACK;
    case '-': return GDB_NAK;
    case INTERRUPT: return GDB_INTERRUPT;
    default: return GDB_NOTHING;
    }
}

/* A '$' in the middle begins anew: the end of what was before is lost. */
static void inside(struct gdb_packet *p, uint8_t byte)
{
    if (byte == '$') {
        begin(p);
        return;
    }
    if (byte == '#' && p->state == GDB_INSIDE) {
        p->state = GDB_CHECK_HIGH;
        return;
    }
    p->sum = (uint8_t)(p->sum + byte);
    if (byte == ESCAPE && p->state == GDB_INSIDE) {
        p->state = GDB_ESCAPED;
        return;
    }
    append(p, p->state == GDB_ESCAPED ? byte ^ ESCAPE_FLIP : byte);
    p->state = GDB_INSIDE;
}

static enum gdb_input end(struct gdb_packet *p, uint8_t byte)
{
    int low = hex_digit((char)byte);
    bool good = low >= 0 && p->sum == (p->wanted | low) && p->size <= GDB_PACKET_MAX;

    p->state = GDB_OUTSIDE;
    if (!good)
        return GDB_BROKEN;
    p->data[p->size] = '\0';
    return GDB_PACKET;
}

enum gdb_input gdb_packet_take(struct gdb_packet *p, uint8_t byte)
{
    int digit;

    switch (p->state) {
    case GDB_OUTSIDE: return between(p, byte);
    case GDB_INSIDE:
    case GDB_ESCAPED: inside(p, byte); return GDB_NOTHING;
    case GDB_CHECK_HIGH: break;
    case GDB_CHECK_LOW: return end(p, byte);
    }
    digit = hex_digit((char)byte);
    p->state = digit < 0 ? GDB_OUTSIDE : GDB_CHECK_LOW;
    p->wanted = (uint8_t)((unsigned)digit << 4);
    return digit < 0 ? GDB_BROKEN : GDB_NOTHING;
}

/* --- Out ---------------------------------------------------------------------------------- */

static bool needs_escape(char c)
{
    return c == '$' || c == '#' || c == '*' || c == ESCAPE;
}

size_t gdb_packet_make(char *out, const char *data, size_t size)
{
    uint8_t sum = 0;
    size_t n = 0;

    out[n++] = '$';
    for (size_t i = 0; i < size; i++) {
        if (needs_escape(data[i])) {
            out[n++] = ESCAPE;
            sum = (uint8_t)(sum + ESCAPE);
        }
        out[n] = needs_escape(data[i]) ? (char)(data[i] ^ ESCAPE_FLIP) : data[i];
        sum = (uint8_t)(sum + (uint8_t)out[n++]);
    }
    out[n++] = '#';
    gdb_to_hex(out + n, &sum, 1); /* its zero is in the room of GDB_PACKED */
    return n + 2;
}

/* --- Digits ------------------------------------------------------------------------------- */

bool gdb_number(const char **text, uint64_t *value)
{
    const char *at = *text;

    for (*value = 0; hex_digit(*at) >= 0; at++)
        *value = *value << 4 | (unsigned)hex_digit(*at);
    if (at == *text)
        return false;
    *text = at;
    return true;
}

void gdb_to_hex(char *to, const void *from, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = from;

    for (size_t i = 0; i < size; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '\0';
}

size_t gdb_from_hex(void *to, const char *from, size_t size)
{
    uint8_t *bytes = to;
    size_t i;

    for (i = 0; i < size && hex_digit(from[2 * i]) >= 0 && hex_digit(from[2 * i + 1]) >= 0; i++)
        bytes[i] = (uint8_t)(hex_digit(from[2 * i]) << 4 | hex_digit(from[2 * i + 1]));
    return i;
}
