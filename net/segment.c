/*
 * Segments cut and joined. Reference: RFC 791, 8200, 9293; virtio 1.0, 5.1.6 for what is left to do
 * in a frame.
 */
#include "net/segment.h"

#include <string.h>

#include "base/inet_sum.h"

enum {
    ETHERTYPE_AT = 12,
    VLAN_TAG = 4,
    IP4_SIZE = 20,
    IP6_SIZE = 40,
    TCP_SIZE = 20,
    TCP_SEQUENCE = 4,
    TCP_ACK = 8,
    TCP_OFFSET = 12,
    TCP_FLAGS = 13,
    TCP_WINDOW = 14,
    TCP_CHECKSUM = 16,
    PROTOCOL_TCP = 6,
};

enum { FIN = 1, PSH = 8, ACK = 0x10, CWR = 0x80 };

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = value >> 8 & 0xff;
    at[1] = value & 0xff;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

/* --- Finding ------------------------------------------------------------ */

static bool find_ip4(const uint8_t *frame, size_t size, struct tcp_place *p)
{
    const uint8_t *ip = frame + p->ip;
    size_t header;

    if (size < p->ip + IP4_SIZE || ip[0] >> 4 != 4)
        return false;
    header = (ip[0] & 15u) * 4;
    p->v6 = false;
    p->tcp = p->ip + header;
    p->end = p->ip + get16(ip + 2);
    return header >= IP4_SIZE && ip[9] == PROTOCOL_TCP && !(get16(ip + 6) & 0x3fff);
}

static bool find_ip6(const uint8_t *frame, size_t size, struct tcp_place *p)
{
    const uint8_t *ip = frame + p->ip;

    if (size < p->ip + IP6_SIZE || ip[0] >> 4 != 6)
        return false;
    p->v6 = true;
    p->tcp = p->ip + IP6_SIZE;
    p->end = p->tcp + get16(ip + 4);
    return ip[6] == PROTOCOL_TCP;
}

/* False: the frame (size bytes) is something else, or is cut off. */
static bool find_tcp(const uint8_t *frame, size_t size, struct tcp_place *p)
{
    unsigned type;

    if (size < ETHERTYPE_AT + 2)
        return false;
    type = get16(frame + ETHERTYPE_AT);
    p->ip = NETDEV_FRAME_MIN;
    if (type == 0x8100 && size >= NETDEV_FRAME_MIN + VLAN_TAG) {
        type = get16(frame + ETHERTYPE_AT + VLAN_TAG);
        p->ip += VLAN_TAG;
    }
    if (!(type == 0x0800 ? find_ip4(frame, size, p) : type == 0x86dd && find_ip6(frame, size, p)))
        return false;
    if (p->end > size || p->end < p->tcp + TCP_SIZE)
        return false;
    p->payload = p->tcp + (frame[p->tcp + TCP_OFFSET] >> 4) * 4u;
    return p->payload >= p->tcp + TCP_SIZE && p->payload <= p->end;
}

/* --- Sums ---------------------------------------------------------------- */

static uint16_t pseudo_sum(const uint8_t *frame, const struct tcp_place *p, size_t length)
{
    uint8_t tail[4] = { 0, PROTOCOL_TCP };
    uint64_t sum = p->v6 ? inet_sum(0, frame + p->ip + 8, 32) : inet_sum(0, frame + p->ip + 12, 8);

    put16(tail + 2, (unsigned)length);
    return inet_fold(inet_sum(sum, tail, sizeof(tail)));
}

/* The sum of the pseudo-header, folded, as the checksum field holds it before the rest is added. */
static uint16_t tcp_pseudo_sum(const uint8_t *frame, const struct tcp_place *p)
{
    return pseudo_sum(frame, p, p->end - p->tcp);
}

/* Writes the IP header's length (and checksum) for this many bytes from place->ip on. */
static void set_length(uint8_t *frame, const struct tcp_place *p, size_t length)
{
    uint8_t *ip = frame + p->ip;
    uint16_t sum;

    if (p->v6) {
        put16(ip + 4, (unsigned)(length - IP6_SIZE));
        return;
    }
    put16(ip + 2, (unsigned)length);
    put16(ip + 10, 0);
    sum = inet_checksum(ip, p->tcp - p->ip);
    memcpy(ip + 10, &sum, sizeof(sum));
}

bool segment_is_sane(const uint8_t *frame, size_t size, const struct netdev_offload *offload)
{
    struct tcp_place p;

    if (size < NETDEV_FRAME_MIN || size > NETDEV_FRAME_MAX)
        return false;
    if (offload->checksum && (offload->sum_from < NETDEV_FRAME_MIN || offload->sum_from > size ||
                              offload->sum_at < offload->sum_from || offload->sum_at + 2u > size))
        return false;
    if (offload->segments == NETDEV_WHOLE)
        return true;
    return offload->checksum && offload->segment_size && find_tcp(frame, size, &p) &&
           p.v6 == (offload->segments == NETDEV_TCP6) && p.end == size &&
           p.tcp == offload->sum_from && p.tcp + TCP_CHECKSUM == offload->sum_at;
}

void segment_finish(uint8_t *frame, size_t size, const struct netdev_offload *offload)
{
    uint16_t sum;

    if (!offload->checksum)
        return;
    sum = (uint16_t)~inet_fold(inet_sum(0, frame + offload->sum_from, size - offload->sum_from));
    if (!sum) /* UDP: 0 would say that there is none; for TCP both are the same number */
        sum = 0xffff;
    memcpy(frame + offload->sum_at, &sum, sizeof(sum));
}

/* --- Cutting ------------------------------------------------------------- */

static void finish_tcp(uint8_t *frame, struct tcp_place *p)
{
    uint16_t sum = tcp_pseudo_sum(frame, p);

    memcpy(frame + p->tcp + TCP_CHECKSUM, &sum, sizeof(sum));
    sum = (uint16_t)~inet_fold(inet_sum(0, frame + p->tcp, p->end - p->tcp));
    memcpy(frame + p->tcp + TCP_CHECKSUM, &sum, sizeof(sum));
}

/* The header of segment n, whose payload starts at done and is part bytes. */
static void head_of(uint8_t *cut, const uint8_t *frame, struct tcp_place *p, unsigned n,
                    size_t done, size_t part, bool last)
{
    uint8_t *tcp = cut + p->tcp, flags = frame[p->tcp + TCP_FLAGS];

    memcpy(cut, frame, p->payload);
    if (!p->v6)
        put16(cut + p->ip + 4, get16(frame + p->ip + 4) + n);
    set_length(cut, p, p->payload + part - p->ip);
    put32(tcp + TCP_SEQUENCE, get32(frame + p->tcp + TCP_SEQUENCE) + (uint32_t)done);
    tcp[TCP_FLAGS] = (uint8_t)(flags & (last ? 0xff : ~(FIN | PSH)) & (n ? ~CWR : 0xff));
}

void segment_cut(const uint8_t *frame, size_t size, const struct netdev_offload *offload,
                 segment_fn *emit, void *arg)
{
    uint8_t cut[NETDEV_FRAME_MAX];
    struct tcp_place p, whole;
    size_t done = 0, total;
    unsigned n = 0;

    if (!find_tcp(frame, size, &whole))
        return;
    total = whole.end - whole.payload;
    do {
        size_t part = total - done < offload->segment_size ? total - done : offload->segment_size;

        p = whole;
        p.end = p.payload + part;
        head_of(cut, frame, &p, n++, done, part, done + part == total);
        memcpy(cut + p.payload, frame + p.payload + done, part);
        finish_tcp(cut, &p);
        emit(arg, cut, p.end);
        done += part;
    } while (done < total);
}

/* --- Joining ------------------------------------------------------------- */

static bool may_join(const uint8_t *frame, const struct tcp_place *p)
{
    return p->end > p->payload && (frame[p->tcp + TCP_FLAGS] & ~PSH) == ACK &&
           (p->v6 || p->tcp - p->ip == IP4_SIZE);
}

void join_start(struct joined *j, size_t size)
{
    j->size = size;
    j->count = 1;
    j->tcp = find_tcp(j->frame, size, &j->place) && may_join(j->frame, &j->place);
    j->closed = j->tcp && j->frame[j->place.tcp + TCP_FLAGS] & PSH;
    j->segment = j->tcp ? j->place.end - j->place.payload : 0;
    if (j->tcp)
        j->size = j->place.end; /* padding has no place in front of more */
}

static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
    return !memcmp(a + from, b + from, to - from);
}

/* All but lengths, identification, sums, sequence number and PSH. */
static bool is_same_flow(const struct joined *j, const uint8_t *frame, const struct tcp_place *p)
{
    const uint8_t *first = j->frame;
    size_t ip = p->ip, tcp = p->tcp;

    if (p->v6 != j->place.v6 || ip != j->place.ip || tcp != j->place.tcp ||
        p->payload != j->place.payload || !same(first, frame, 0, ip))
        return false;
    if (p->v6 ? !same(first, frame, ip, ip + 4) || !same(first, frame, ip + 6, tcp)
              : !same(first, frame, ip, ip + 2) || !same(first, frame, ip + 6, ip + 10) ||
                    !same(first, frame, ip + 12, tcp))
        return false;
    return same(first, frame, tcp, tcp + TCP_SEQUENCE) &&
           same(first, frame, tcp + TCP_ACK, tcp + TCP_FLAGS) &&
           same(first, frame, tcp + TCP_WINDOW, tcp + TCP_CHECKSUM) &&
           same(first, frame, tcp + TCP_CHECKSUM + 2, p->payload);
}

bool join_add(struct joined *j, const uint8_t *frame, size_t size)
{
    size_t have = j->size - j->place.payload, part;
    struct tcp_place p;

    if (!j->size || !j->tcp || j->closed || !find_tcp(frame, size, &p) || !may_join(frame, &p))
        return false;
    part = p.end - p.payload;
    if (part > j->segment || j->size + part - j->place.ip > SEGMENT_MAX ||
        !is_same_flow(j, frame, &p) ||
        get32(frame + p.tcp + TCP_SEQUENCE) !=
            get32(j->frame + p.tcp + TCP_SEQUENCE) + (uint32_t)have)
        return false;
    memcpy(j->frame + j->size, frame + p.payload, part);
    j->frame[p.tcp + TCP_FLAGS] |= frame[p.tcp + TCP_FLAGS] & PSH;
    j->size += part;
    j->count++;
    j->closed = part < j->segment || frame[p.tcp + TCP_FLAGS] & PSH;
    return true;
}

struct netdev_offload join_end(struct joined *j)
{
    struct netdev_offload offload = { .verified = true };
    uint16_t sum;

    if (j->count == 1)
        return offload;
    j->place.end = j->size;
    set_length(j->frame, &j->place, j->size - j->place.ip);
    sum = tcp_pseudo_sum(j->frame, &j->place);
    memcpy(j->frame + j->place.tcp + TCP_CHECKSUM, &sum, sizeof(sum));
    return (struct netdev_offload){
        .checksum = true,
        .sum_from = (uint16_t)j->place.tcp,
        .sum_at = (uint16_t)(j->place.tcp + TCP_CHECKSUM),
        .segments = j->place.v6 ? NETDEV_TCP6 : NETDEV_TCP4,
        .segment_size = (uint16_t)j->segment,
        .header_size = (uint16_t)j->place.payload,
    };
}
