/*
 * The 82540EM's transmit ring: packets put together from descriptors.
 *
 * Reference: Intel 317453, 3.3 (transmit), 3.5 (TCP segmentation).
 * Modelled:  legacy, context and data descriptors, IP and TCP checksums, TCP segmentation, VLAN
 *            tags put in.
 * Not:       segmentation of UDP, the bytes of the FCS (0).
 *
 * A packet to be cut leaves as TCP segments of up to 64 KiB, which the cable cuts if it must. What
 * the cable does not take stays in dev->packet: transmit begins again where it stopped.
 */
#include <string.h>

#include "base/inet_sum.h"
#include "base/physmem.h"
#include "devices/e1000_ring.h"

/* Commands of transmit descriptors. */
enum { TX_EOP = 0x01, TX_IC = 0x04, TX_TSE = 0x04, TX_RS = 0x08, TX_RPS = 0x10, TX_DEXT = 0x20,
       TX_VLE = 0x40 };
enum { TYPE_CONTEXT = 0, TYPE_DATA = 1, CONTEXT_TCP = 1, CONTEXT_IP = 2 };
enum { IXSM = 1, TXSM = 2 };
enum { TX_DD = 1 };

enum { IP_MAX = 65535, FIN = 1, PSH = 8 };

static void put16(uint8_t *at, unsigned value)
{
    at[0] = value >> 8 & 0xff;
    at[1] = value & 0xff;
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static void count_sent(struct e1000 *dev, const uint8_t *frame, size_t size)
{
    static const struct e1000_counters sent = { GPTC, TPT, GOTCL, TOTL, PTC64, BPTC, MPTC };

    e1000_count_frame(dev, &sent, frame, size);
}

/* --- One frame out ------------------------------------------------------ */

static uint8_t *frame_of(struct e1000_packet *p)
{
    return p->bytes + TAG;
}

/* The checksum of [from, end) to at; an end of 0 is the frame's. */
static void sum_up(struct e1000_packet *p, unsigned from, unsigned at, unsigned last)
{
    unsigned end = last ? last + 1 : p->size;
    uint16_t sum;

    if (end > p->size)
        end = p->size;
    if (from >= end || at + 2 > p->size)
        return;
    sum = inet_checksum(frame_of(p) + from, end - from);
    memcpy(frame_of(p) + at, &sum, sizeof(sum));
}

/* A checksum over all of the rest is left to the cable. */
static void leave_sum(struct e1000_packet *p, unsigned from, unsigned at, unsigned last,
                      struct netdev_offload *offload)
{
    if (from < NETDEV_FRAME_MIN || at < from || at + 2 > p->size ||
        (last && last + 1 < p->size)) {
        sum_up(p, from, at, last);
        return;
    }
    offload->checksum = true;
    offload->sum_from = (uint16_t)from;
    offload->sum_at = (uint16_t)at;
}

/* Makes the header of what is in the frame, out of the driver's. */
static void make_header(struct e1000_packet *p, bool last)
{
    const struct e1000_context *c = &p->context;
    uint8_t *ip = frame_of(p) + c->ip_from, *tcp = frame_of(p) + c->tcp_from;
    uint16_t sum, length;

    memcpy(frame_of(p), p->header, c->header);
    if (c->command & CONTEXT_IP) {
        put16(ip + 2, p->size - c->ip_from);
        put16(ip + 4, get16(ip + 4) + p->done / c->mss);
    } else {
        put16(ip + 4, p->size - c->ip_from - 40);
    }
    put32(tcp + 4, get32(tcp + 4) + p->done);
    if (!last)
        tcp[13] &= (uint8_t)~(FIN | PSH);
    put16((uint8_t *)&length, p->size - c->tcp_from);
    memcpy(&sum, frame_of(p) + c->tcp_at, sizeof(sum)); /* the pseudo-header without the length */
    sum = inet_fold((uint64_t)sum + length);
    memcpy(frame_of(p) + c->tcp_at, &sum, sizeof(sum));
}

/* Whether the cable can cut it: checksums of TCP at its place, and a header that is one. */
static bool is_sane(const struct e1000_context *c)
{
    return c->mss && c->command & CONTEXT_TCP && c->ip_from >= NETDEV_FRAME_MIN &&
           c->tcp_from >= c->ip_from + 20 && c->tcp_at == c->tcp_from + 16 &&
           c->header >= c->tcp_from + 20;
}

static struct netdev_offload finish(struct e1000_packet *p, bool last)
{
    const struct e1000_context *c = &p->context;
    struct netdev_offload offload = { 0 };

    if (p->cut)
        make_header(p, last);
    if (p->options & IXSM)
        sum_up(p, c->ip_from, c->ip_at, c->ip_end);
    if (p->options & TXSM)
        leave_sum(p, c->tcp_from, c->tcp_at, c->tcp_end, &offload);
    else if (p->sum)
        leave_sum(p, p->sum_from, p->sum_at, 0, &offload);
    if (p->cut && p->size > (unsigned)c->header + c->mss && offload.checksum) {
        offload.segments = c->command & CONTEXT_IP ? NETDEV_TCP4 : NETDEV_TCP6;
        offload.segment_size = c->mss;
        offload.header_size = c->header;
    }
    return offload;
}

/* Puts the tag in front of the type; the room before the frame is for that. */
static void insert_tag(struct e1000 *dev, unsigned tag, struct netdev_offload *offload)
{
    struct e1000_packet *p = &dev->packet;
    uint8_t *start = p->bytes;

    memmove(start, frame_of(p), 12);
    put16(start + 12, *e1000_reg(dev, VET));
    put16(start + 14, tag);
    if (offload->checksum) {
        offload->sum_from += TAG;
        offload->sum_at += TAG;
    }
    if (offload->segments)
        offload->header_size += TAG;
}

/* False: the cable takes no more now; it is offered the same again. */
static bool emit(struct e1000 *dev, bool last, bool tagged, unsigned tag)
{
    struct e1000_packet *p = &dev->packet;
    struct netdev *cable = dev->config.cable;
    struct iovec iov;

    if (p->size < NETDEV_FRAME_MIN || !(*e1000_reg(dev, CTRL) & CTRL_SLU))
        return true;
    if (!p->finished) {
        p->offload = finish(p, last);
        p->tagged = tagged && *e1000_reg(dev, CTRL) & CTRL_VME;
        if (p->tagged)
            insert_tag(dev, tag, &p->offload);
        p->finished = true;
    }
    iov = p->tagged ? (struct iovec){ p->bytes, p->size + TAG }
                    : (struct iovec){ frame_of(p), p->size };
    if (!cable->send(cable->host, &iov, 1, &p->offload))
        return false;
    p->finished = false;
    count_sent(dev, iov.iov_base, iov.iov_len);
    return true;
}

/* --- Descriptors -------------------------------------------------------- */

struct tx {
    uint8_t bytes[DESC_SIZE];
    uint64_t gpa;
    uint32_t length;
    uint8_t command;
    uint16_t special;
    bool legacy;
};

static void set_context(struct e1000 *dev, const uint8_t *d)
{
    dev->context[!!(d[11] & TX_TSE)] = (struct e1000_context){
        .ip_from = d[0], .ip_at = d[1], .ip_end = (uint16_t)le(d + 2, 2),
        .tcp_from = d[4], .tcp_at = d[5], .tcp_end = (uint16_t)le(d + 6, 2),
        .command = d[11], .header = d[13], .mss = (uint16_t)le(d + 14, 2),
    };
}

static void start_packet(struct e1000 *dev, const struct tx *tx)
{
    struct e1000_packet *p = &dev->packet;

    p->started = true;
    p->size = p->done = 0;
    p->cut = !tx->legacy && tx->command & TX_TSE;
    p->context = dev->context[p->cut];
    p->options = tx->legacy ? 0 : tx->bytes[13];
    p->sum = tx->legacy && tx->command & TX_IC;
    p->sum_at = tx->bytes[10];
    p->sum_from = tx->bytes[13];
    if (p->cut && !is_sane(&p->context))
        p->cut = false; /* it leaves as it is, if it is not too large */
}

/* How much may be in the frame before it has to go. */
static uint32_t frame_limit(const struct e1000_packet *p)
{
    uint32_t room;

    if (!p->cut)
        return NETDEV_FRAME_MAX - TAG;
    room = IP_MAX - p->context.header;
    return p->context.header + (room < p->context.mss ? room
                                                      : room / p->context.mss * p->context.mss);
}

/* Copies what the descriptor points to; false: stopped by the cable. */
static bool gather(struct e1000 *dev, const struct tx *tx)
{
    struct e1000_packet *p = &dev->packet;
    uint32_t limit = frame_limit(p);

    while (p->taken < tx->length) {
        uint32_t n = tx->length - p->taken;

        if (p->size == limit && p->cut) {
            if (!emit(dev, false, tx->command & TX_VLE, tx->special))
                return false;
            p->done += p->size - p->context.header;
            p->size = p->context.header;
        }
        if (p->cut && p->size < p->context.header && n > p->context.header - p->size)
            n = p->context.header - p->size;
        if (n > limit - p->size)
            n = limit - p->size;
        if (!n)
            return true; /* too large for any packet: the rest is lost */
        physmem_read(dev->config.mem, tx->gpa + p->taken, frame_of(p) + p->size, n);
        p->size += n;
        p->taken += n;
        if (p->cut && p->size == p->context.header && !p->done)
            memcpy(p->header, frame_of(p), p->context.header);
    }
    return true;
}

static bool take_data(struct e1000 *dev, const struct tx *tx)
{
    struct e1000_packet *p = &dev->packet;

    if (!p->started)
        start_packet(dev, tx);
    if (!gather(dev, tx))
        return false;
    if (!(tx->command & TX_EOP)) {
        p->taken = 0;
        return true;
    }
    if (p->cut && p->size < p->context.header)
        p->cut = false;
    if (!emit(dev, true, tx->command & TX_VLE, tx->special))
        return false;
    if (p->cut)
        e1000_count(dev, TSCTC, 1);
    p->started = false;
    p->taken = p->size = p->done = 0;
    return true;
}

static struct tx decode(const uint8_t *bytes)
{
    struct tx tx = { .gpa = le(bytes, 4) | (uint64_t)le(bytes + 4, 4) << 32,
                     .command = bytes[11], .special = (uint16_t)le(bytes + 14, 2),
                     .legacy = !(bytes[11] & TX_DEXT) };

    memcpy(tx.bytes, bytes, DESC_SIZE);
    tx.length = tx.legacy ? le(bytes + 8, 2) : le(bytes + 8, 4) & 0xfffff;
    return tx;
}

static bool take_descriptor(struct e1000 *dev, uint64_t gpa, uint32_t *causes)
{
    uint8_t bytes[DESC_SIZE];
    struct tx tx;

    physmem_read(dev->config.mem, gpa, bytes, sizeof(bytes));
    tx = decode(bytes);
    if (!tx.legacy && bytes[10] >> 4 == TYPE_CONTEXT)
        set_context(dev, bytes);
    else if (!take_data(dev, &tx))
        return false;
    if (!(tx.command & (TX_RS | TX_RPS)))
        return true;
    bytes[12] |= TX_DD;
    physmem_write(dev->config.mem, gpa + 12, bytes + 12, 1);
    *causes |= ICR_TXDW;
    return true;
}

void e1000_transmit(struct e1000 *dev)
{
    unsigned entries = e1000_ring_entries(dev, TDLEN), n;
    uint32_t *head = e1000_reg(dev, TDH), tail = *e1000_reg(dev, TDT), causes = 0;

    dev->tx_waits = false;
    if (!(*e1000_reg(dev, TCTL) & TCTL_EN) || !pci_is_master(&dev->function) || *head >= entries)
        return;
    for (n = 0; *head != tail && n < entries; n++) {
        if (!take_descriptor(dev, e1000_ring_base(dev, TDBAL) + *head * DESC_SIZE, &causes)) {
            dev->tx_waits = true;
            break;
        }
        *head = *head + 1 == entries ? 0 : *head + 1;
    }
    if (n && !dev->tx_waits)
        causes |= ICR_TXQE;
    if (causes)
        e1000_cause(dev, causes);
}

void e1000_transmit_reset(struct e1000 *dev)
{
    memset(dev->context, 0, sizeof(dev->context));
    dev->packet.started = dev->packet.finished = false;
    dev->packet.taken = dev->packet.size = dev->packet.done = 0;
    dev->tx_waits = false;
}
