/*
 * The 82540EM's receive ring: packets taken apart into buffers.
 *
 * Reference: Intel 317453, 3.2 (receive), 3.2.9 (its checksums).
 * Modelled:  all sizes of buffers, address and VLAN filters, VLAN tags taken out.
 * Not:       the packet checksum, early interrupts, the bytes of the FCS (0).
 */
#include <string.h>

#include "base/physmem.h"
#include "devices/e1000_ring.h"

enum { RX_DD = 0x01, RX_EOP = 0x02, RX_IXSM = 0x04, RX_VP = 0x08, RX_TCPCS = 0x20,
       RX_IPCS = 0x40, RX_PIF = 0x80 };

enum { PACKET_MIN = 60, PACKET_MAX = 1518 };

static void count_received(struct e1000 *dev, const uint8_t *frame, size_t size)
{
    static const struct e1000_counters received = { GPRC, TPR, GORCL, TORL, PRC64, BPRC, MPRC };

    e1000_count_frame(dev, &received, frame, size);
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
    if (e1000_is_broadcast(frame) && rctl & RCTL_BAM)
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
    unsigned entries = e1000_ring_entries(dev, RDLEN), head = *e1000_reg(dev, RDH);
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
    if (frame[0] & 1 && !e1000_is_broadcast(frame))
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
    uint64_t gpa = e1000_ring_base(dev, RDBAL) + *head * DESC_SIZE;
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
    *head = *head + 1 == e1000_ring_entries(dev, RDLEN) ? 0 : *head + 1;
}

static bool is_deaf(struct e1000 *dev)
{
    return !(*e1000_reg(dev, RCTL) & RCTL_EN) || !pci_is_master(&dev->function) ||
           !(*e1000_reg(dev, CTRL) & CTRL_SLU) || !e1000_ring_entries(dev, RDLEN);
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
    if (buffers_free(dev) <=
        e1000_ring_entries(dev, RDLEN) >> ((*e1000_reg(dev, RCTL) >> 8 & 3) + 1))
        causes |= ICR_RXDMT0;
    e1000_cause(dev, causes);
    return true;
}
