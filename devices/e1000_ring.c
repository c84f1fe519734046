/*
 * The 82540EM's rings: packets put together from transmit descriptors, and taken apart into receive
 * buffers.
 *
 * Reference: Intel 317453, 3.2 (receive), 3.2.9 (its checksums), 3.3 (transmit), 3.5 (TCP
 *            segmentation).
 * Modelled:  legacy, context and data descriptors, IP and TCP checksums, TCP segmentation; all
 *            sizes of buffers, address and VLAN filters, VLAN tags put in and taken out.
 * Not:       segmentation of UDP, the packet checksum, early interrupts, the bytes of the FCS (0).
 *
 * A packet to be cut leaves as TCP segments of up to 64 KiB, which the cable cuts if it must. What
 * the cable does not take stays in dev->packet: transmit begins again where it stopped.
 */
#include <string.h>

#include "base/inet_sum.h"
#include "base/physmem.h"
#include "devices/e1000_state.h"

/* Commands of transmit descriptors. */
enum { TX_EOP = 0x01, TX_IC = 0x04, TX_TSE = 0x04, TX_RS = 0x08, TX_RPS = 0x10, TX_DEXT = 0x20,
       TX_VLE = 0x40 };
enum { TYPE_CONTEXT = 0, TYPE_DATA = 1, CONTEXT_TCP = 1, CONTEXT_IP = 2 };
enum { IXSM = 1, TXSM = 2 };
enum { TX_DD = 1 };
enum { RX_DD = 0x01, RX_EOP = 0x02, RX_IXSM = 0x04, RX_VP = 0x08, RX_TCPCS = 0x20,
       RX_IPCS = 0x40, RX_PIF = 0x80 };

enum { TAG = 4, FCS = 4, PACKET_MIN = 60, PACKET_MAX = 1518, IP_MAX = 65535, FIN = 1, PSH = 8 };

static unsigned get16(const uint8_t *at) /* of the network */
{
    return (unsigned)at[0] << 8 | at[1];
}

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

static uint64_t ring_base(struct e1000 *dev, unsigned low)
{
    return *e1000_reg(dev, low) | (uint64_t)*e1000_reg(dev, low + 4) << 32;
}

static unsigned ring_entries(struct e1000 *dev, unsigned length)
{
    return *e1000_reg(dev, length) / DESC_SIZE;
}

void e1000_ring_reset(struct e1000 *dev)
{
    memset(dev->context, 0, sizeof(dev->context));
    dev->packet.started = dev->packet.finished = false;
    dev->packet.taken = dev->packet.size = dev->packet.done = 0;
    dev->tx_waits = false;
}

/* --- Statistics --------------------------------------------------------- */

/* Six ranges of sizes, the FCS counted. */
static unsigned range_of(size_t size)
{
    static const uint16_t most[] = { 64, 127, 255, 511, 1023 };
    unsigned i = 0;

    while (i < 5 && size > most[i])
        i++;
    return 4 * i;
}

static bool is_broadcast(const uint8_t *frame)
{
    static const uint8_t all[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    return !memcmp(frame, all, sizeof(all));
}

static void count_sent(struct e1000 *dev, const uint8_t *frame, size_t size)
{
    e1000_count(dev, GPTC, 1);
    e1000_count(dev, TPT, 1);
    e1000_count(dev, GOTCL, size + FCS);
    e1000_count(dev, TOTL, size + FCS);
    e1000_count(dev, PTC64 + range_of(size + FCS), 1);
    if (is_broadcast(frame))
        e1000_count(dev, BPTC, 1);
    else if (frame[0] & 1)
        e1000_count(dev, MPTC, 1);
}

static void count_received(struct e1000 *dev, const uint8_t *frame, size_t size)
{
    e1000_count(dev, GPRC, 1);
    e1000_count(dev, TPR, 1);
    e1000_count(dev, GORCL, size + FCS);
    e1000_count(dev, TORL, size + FCS);
    e1000_count(dev, PRC64 + range_of(size + FCS), 1);
    if (is_broadcast(frame))
        e1000_count(dev, BPRC, 1);
    else if (frame[0] & 1)
        e1000_count(dev, MPRC, 1);
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

/* --- Transmit descriptors ----------------------------------------------- */

struct tx {
    uint8_t bytes[DESC_SIZE];
    uint64_t gpa;
    uint32_t length;
    uint8_t command;
    uint16_t special;
    bool legacy;
};

static uint32_t le(const uint8_t *at, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

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
    unsigned entries = ring_entries(dev, TDLEN), n;
    uint32_t *head = e1000_reg(dev, TDH), tail = *e1000_reg(dev, TDT), causes = 0;

    dev->tx_waits = false;
    if (!(*e1000_reg(dev, TCTL) & TCTL_EN) || !pci_is_master(&dev->function) || *head >= entries)
        return;
    for (n = 0; *head != tail && n < entries; n++) {
        if (!take_descriptor(dev, ring_base(dev, TDBAL) + *head * DESC_SIZE, &causes)) {
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

/* --- Filters ------------------------------------------------------------ */

static bool is_tagged(struct e1000 *dev, const uint8_t *frame, size_t size)
{
    return size >= NETDEV_FRAME_MIN + TAG && get16(frame + 12) == *e1000_reg(dev, VET);
}

static bool is_ours(struct e1000 *dev, const uint8_t *to)
{
    for (unsigned i = 0; i < 16; i++) {
        uint32_t low = *e1000_reg(dev, RA + 8 * i), high = *e1000_reg(dev, RA + 8 * i + 4);

        if (high >> 31 && low == le(to, 4) && (high & 0xffff) == le(to + 4, 2))
            return true;
    }
    return false;
}

static bool in_multicast_table(struct e1000 *dev, const uint8_t *to)
{
    static const uint8_t shifts[] = { 4, 3, 2, 0 };
    unsigned hash = le(to + 4, 2) >> shifts[*e1000_reg(dev, RCTL) >> 12 & 3] & 0xfff;

    return *e1000_reg(dev, MTA + 4 * (hash >> 5)) >> (hash & 31) & 1;
}

static bool passes_vlan(struct e1000 *dev, const uint8_t *frame, size_t size)
{
    unsigned tag;

    if (!(*e1000_reg(dev, RCTL) & RCTL_VFE) || !is_tagged(dev, frame, size))
        return true;
    tag = get16(frame + 14) & 0xfff;
    return *e1000_reg(dev, VFTA + 4 * (tag >> 5)) >> (tag & 31) & 1;
}

static bool passes(struct e1000 *dev, const uint8_t *frame, size_t size)
{
    uint32_t rctl = *e1000_reg(dev, RCTL);

    if (!passes_vlan(dev, frame, size))
        return false;
    if (is_broadcast(frame) && rctl & RCTL_BAM)
        return true;
    if (frame[0] & 1 ? rctl & RCTL_MPE || in_multicast_table(dev, frame) : rctl & RCTL_UPE)
        return true;
    return is_ours(dev, frame);
}

/* --- One frame in ------------------------------------------------------- */

static uint32_t buffer_size(struct e1000 *dev)
{
    uint32_t rctl = *e1000_reg(dev, RCTL), size = 2048u >> (rctl >> 16 & 3);

    return rctl & RCTL_BSEX && size < 2048 ? size * 16 : size;
}

static unsigned buffers_free(struct e1000 *dev)
{
    unsigned entries = ring_entries(dev, RDLEN), head = *e1000_reg(dev, RDH);
    unsigned tail = *e1000_reg(dev, RDT);

    if (head >= entries || tail >= entries)
        return 0;
    return tail >= head ? tail - head : entries - head + tail;
}

/* What is known of the sums: of IPv4's TCP and UDP that somebody has looked at. */
static uint8_t sum_status(struct e1000 *dev, const uint8_t *frame, size_t size, bool verified)
{
    uint32_t rxcsum = *e1000_reg(dev, RXCSUM);
    uint8_t status = 0;

    if (!verified || size < 34 || get16(frame + 12) != 0x0800 || get16(frame + 20) & 0x3fff ||
        (frame[23] != 6 && frame[23] != 17))
        return RX_IXSM;
    status |= rxcsum & RXCSUM_IPOFL ? RX_IPCS : 0;
    status |= rxcsum & RXCSUM_TUOFL ? RX_TCPCS : 0;
    return status ? status : RX_IXSM;
}

struct rx {
    uint8_t head[NETDEV_FRAME_MIN]; /* the frame's start, where a tag was taken out */
    const uint8_t *part[2];
    size_t size[2];                 /* the two parts; what is beyond is zeroes */
    size_t total;                   /* with padding and FCS */
    uint8_t status;
    uint16_t tag;
};

static struct rx *prepare(struct e1000 *dev, const uint8_t *frame, size_t size, bool verified,
                          struct rx *rx)
{
    *rx = (struct rx){ .part = { frame }, .size = { size } };
    rx->status = sum_status(dev, frame, size, verified);
    if (frame[0] & 1 && !is_broadcast(frame))
        rx->status |= is_ours(dev, frame) ? 0 : RX_PIF;
    if (*e1000_reg(dev, CTRL) & CTRL_VME && is_tagged(dev, frame, size)) {
        memcpy(rx->head, frame, 12);
        rx->part[0] = rx->head;
        rx->size[0] = 12;
        rx->part[1] = frame + 16;
        rx->size[1] = size - 16;
        rx->tag = (uint16_t)get16(frame + 14);
        rx->status |= RX_VP;
    }
    rx->total = rx->size[0] + rx->size[1];
    if (rx->total < PACKET_MIN)
        rx->total = PACKET_MIN;
    if (!(*e1000_reg(dev, RCTL) & RCTL_SECRC))
        rx->total += FCS;
    return rx;
}

/* [at, at + size) of the packet to a buffer. */
static void fill(struct e1000 *dev, const struct rx *rx, uint64_t gpa, size_t at, size_t size)
{
    static const uint8_t zeroes[PACKET_MIN + FCS];
    size_t start = 0; /* of the part */

    for (unsigned i = 0; i < 2; start += rx->size[i++]) {
        size_t end = start + rx->size[i], n;

        if (at >= end || !size)
            continue;
        n = end - at < size ? end - at : size;
        physmem_write(dev->config.mem, gpa, rx->part[i] + (at - start), n);
        at += n;
        gpa += n;
        size -= n;
    }
    if (size)
        physmem_write(dev->config.mem, gpa, zeroes, size < sizeof(zeroes) ? size : sizeof(zeroes));
}

static void put_buffer(struct e1000 *dev, const struct rx *rx, size_t at, size_t size)
{
    uint32_t *head = e1000_reg(dev, RDH);
    uint64_t gpa = ring_base(dev, RDBAL) + *head * DESC_SIZE;
    bool last = at + size == rx->total;
    uint8_t d[DESC_SIZE];

    physmem_read(dev->config.mem, gpa, d, sizeof(d));
    if (le(d, 4) | le(d + 4, 4))
        fill(dev, rx, le(d, 4) | (uint64_t)le(d + 4, 4) << 32, at, size);
    d[8] = size & 0xff;
    d[9] = size >> 8 & 0xff;
    d[10] = d[11] = 0;
    d[12] = RX_DD | (last ? RX_EOP | rx->status : 0);
    d[13] = 0;
    d[14] = rx->tag & 0xff;
    d[15] = rx->tag >> 8;
    physmem_write(dev->config.mem, gpa + 8, d + 8, 8);
    *head = *head + 1 == ring_entries(dev, RDLEN) ? 0 : *head + 1;
}

static bool is_deaf(struct e1000 *dev)
{
    return !(*e1000_reg(dev, RCTL) & RCTL_EN) || !pci_is_master(&dev->function) ||
           !(*e1000_reg(dev, CTRL) & CTRL_SLU) || !ring_entries(dev, RDLEN);
}

static bool is_too_long(struct e1000 *dev, const uint8_t *frame, size_t size)
{
    size_t most = *e1000_reg(dev, RCTL) & RCTL_LPE ? 16384 : PACKET_MAX - FCS;

    return size > most + (is_tagged(dev, frame, size) ? TAG : 0);
}

bool e1000_receive(void *chip, const uint8_t *frame, size_t size,
                   const struct netdev_offload *offload)
{
    struct e1000 *dev = chip;
    uint32_t buffer = buffer_size(dev), causes = ICR_RXT0;
    size_t at = 0;
    struct rx rx;

    dev->rx_waits = false;
    if (size < NETDEV_FRAME_MIN || is_deaf(dev) || !passes(dev, frame, size))
        return true;
    if (is_too_long(dev, frame, size)) {
        e1000_count(dev, ROC, 1);
        return true;
    }
    prepare(dev, frame, size, offload->verified, &rx);
    if ((size_t)buffers_free(dev) * buffer < rx.total) {
        dev->rx_waits = true;
        return false;
    }
    for (; at < rx.total; at += buffer)
        put_buffer(dev, &rx, at, rx.total - at < buffer ? rx.total - at : buffer);
    count_received(dev, frame, size);
    if (buffers_free(dev) <= ring_entries(dev, RDLEN) >> ((*e1000_reg(dev, RCTL) >> 8 & 3) + 1))
        causes |= ICR_RXDMT0;
    e1000_cause(dev, causes);
    return true;
}
