/* The 82540EM: frames through its rings, offloads against straightforward computations, filters. */
#include "tests/unit/e1000_machine.h"
#include "tests/unit/net_frames.h"

/* --- Transmit ----------------------------------------------------------- */

static void add_tx(uint64_t gpa, uint32_t word2, uint32_t word3)
{
    uint8_t *d = physmem_ptr(&mem, TX_RING + 16 * tx_tail);

    memcpy(d, &gpa, 8);
    memcpy(d + 8, &word2, 4);
    memcpy(d + 12, &word3, 4);
    tx_tail = (tx_tail + 1) % ENTRIES;
}

static void go(void)
{
    wr(TDT, tx_tail);
}

static void add_context(const struct frame_tcp *t, unsigned header, unsigned mss, bool cut)
{
    uint64_t low;
    unsigned ip = 14, tcp = header - 20;

    low = ip | (ip + 10) << 8 | (tcp - 1) << 16 | (uint64_t)tcp << 32 | (uint64_t)(tcp + 16) << 40;
    add_tx(low, (uint32_t)t->payload | (1u | (t->v6 ? 0 : 2) | (cut ? 4 : 0) | 0x28u) << 24,
           (header << 8) | mss << 16);
}

static void test_legacy(void)
{
    uint8_t *data = physmem_ptr(&mem, DATA);

    for (unsigned i = 0; i < 3000; i++)
        data[i] = frame_byte(i);
    for (unsigned n = 0; n < 40; n++) { /* round the ring more than twice */
        add_tx(DATA, 60 + n, 0);
        add_tx(DATA + 60 + n, 0x0b000000 | (100 + n), 0);
        go();
        CHECK_EQ(cable.sent, n + 1);
        CHECK_EQ(cable.size[0], 160 + 2 * n);
        CHECK_EQ(memcmp(cable.frame[0], data, 160 + 2 * n), 0);
        CHECK_EQ(physmem_ptr(&mem, TX_RING + 16 * ((2 * n + 1) % ENTRIES))[12], 1);
        CHECK_EQ(physmem_ptr(&mem, TX_RING + 16 * (2 * n % ENTRIES))[12], 0);
        CHECK_EQ(rd(TDH), (2 * n + 2) % ENTRIES);
    }
    CHECK_EQ(rd(ICR) & 3, 3);
    CHECK_EQ(rd(0x4080), 40);
    CHECK_EQ(rd(0x4080), 0);
    /* a checksum from 30 on, put at 40 */
    add_tx(DATA, 0x0f000000 | 40 << 16 | 200, 30 << 8);
    go();
    CHECK_EQ(cable.offload[0].checksum, true);
    CHECK_EQ(cable.offload[0].sum_from, 30);
    CHECK_EQ(cable.offload[0].sum_at, 40);
    /* out of order: the chip does it */
    add_tx(DATA, 0x0f000000 | 20 << 16 | 200, 30 << 8);
    go();
    CHECK_EQ(cable.offload[0].checksum, false);
    CHECK_EQ(frame_get16(cable.frame[0] + 20), frame_sum(0, data + 30, 170) ^ 0xffff);
}

/* Data descriptors with both sums, not cut. */
static void test_sums(bool v6)
{
    struct frame_tcp t = { .v6 = v6, .flags = 0x18, .payload = 500 };
    uint8_t *data = physmem_ptr(&mem, DATA), right[1000];
    size_t size = frame_make(data, &t);

    memcpy(right, data, size);
    frame_leave_sum(data, &t);
    if (!v6)
        frame_put16(data + 24, 0);
    add_context(&t, (unsigned)frame_header(&t), 0, false);
    add_tx(DATA, 0x29100000 | (uint32_t)size, v6 ? 0x200 : 0x300);
    go();
    CHECK_EQ(cable.size[0], size);
    CHECK_EQ(cable.offload[0].checksum, true);
    CHECK_EQ(cable.offload[0].segments, NETDEV_WHOLE);
    memcpy(cable.frame[0] + cable.offload[0].sum_at, right + cable.offload[0].sum_at, 2);
    CHECK_EQ(memcmp(cable.frame[0], right, size), 0);
}

/* Segmentation: what comes out, cut or not yet, put together again is what went in. */
static void test_cut(bool v6, size_t payload, unsigned mss, unsigned piece)
{
    struct frame_tcp t = { .v6 = v6, .sequence = 5000, .flags = 0x19, .payload = payload };
    unsigned header = (unsigned)frame_header(&t), before = cable.sent;
    static uint8_t whole[200000];
    uint8_t *data = physmem_ptr(&mem, DATA);
    size_t size = frame_make(whole, &t), done = 0;

    memcpy(data, whole, size);
    frame_put16(data + (v6 ? 18 : 16), 0); /* as drivers leave it */
    if (!v6)
        frame_put16(data + 24, 0);
    frame_put16(data + header - 4, frame_pseudo(data, &t, 0));
    add_context(&t, header, mss, true);
    add_tx(DATA, 0x24100000 | header, v6 ? 0x200 : 0x300);
    for (size_t at = header; at < size; at += piece)
        add_tx(DATA + at,
               (at + piece < size ? 0x24100000u | piece : 0x2d100000u | (uint32_t)(size - at)), 0);
    go();
    CHECK_EQ(rd(TDH), tx_tail);
    for (unsigned n = cable.sent - before; n-- > 0;) {
        uint8_t *frame = cable.frame[n], *tcp = frame + header - 20;
        struct frame_tcp part = { .v6 = v6, .payload = cable.size[n] - header };
        const struct netdev_offload *o = &cable.offload[n];

        CHECK_EQ(o->checksum, true);
        CHECK_EQ(o->sum_at, header - 4);
        CHECK_EQ(o->segments, part.payload <= mss ? NETDEV_WHOLE : v6 ? NETDEV_TCP6 : NETDEV_TCP4);
        CHECK_EQ(frame_get32(tcp + 4), 5000 + done);
        CHECK_EQ(tcp[13], n ? 0x10 : 0x19);
        CHECK_EQ(frame_get16(tcp + 16), frame_pseudo(frame, &part, 20 + part.payload));
        CHECK_EQ(v6 || frame_sum(0, frame + 14, 20) == 0xffff, true);
        CHECK_EQ(frame_get16(frame + (v6 ? 18 : 16)), part.payload + (v6 ? 20 : 40));
        if (!v6)
            CHECK_EQ(frame_get16(frame + 18), 0x1234 + done / mss);
        CHECK_EQ(memcmp(frame + header, whole + header + done, part.payload), 0);
        CHECK_EQ(!n || part.payload % mss == 0, true);
        done += part.payload;
    }
    CHECK_EQ(done, payload);
}

/* The cable says no in the middle of a packet that is cut: it goes on there. */
static void test_stuck(void)
{
    struct frame_tcp t = { .sequence = 5000, .flags = 0x18, .payload = 180000 };
    static uint8_t whole[200000];
    uint8_t *data = physmem_ptr(&mem, DATA);
    size_t size = frame_make(whole, &t), done = 0;

    memcpy(data, whole, size);
    frame_put16(data + 24, 0);
    frame_put16(data + 50, frame_pseudo(data, &t, 0));
    add_context(&t, 54, 1000, true);
    add_tx(DATA, 0x2d100000 | (uint32_t)size, 0x300);
    cable.sent = 0;
    cable.room = 1;
    go();
    CHECK_EQ(cable.sent, 1);
    CHECK_EQ(rd(TDH) == tx_tail, false);
    go();
    cable.room = 1;
    cable.dev.room(dev);
    CHECK_EQ(cable.sent, 2);
    cable.room = ~0u;
    cable.dev.room(dev);
    CHECK_EQ(cable.sent, 3);
    CHECK_EQ(rd(TDH), tx_tail);
    for (unsigned n = 3; n-- > 0;) {
        CHECK_EQ(frame_sum(0, cable.frame[n] + 14, 20), 0xffff);
        CHECK_EQ(memcmp(cable.frame[n] + 54, whole + 54 + done, cable.size[n] - 54), 0);
        done += cable.size[n] - 54;
    }
    CHECK_EQ(done, t.payload);
}

static void test_tag_out(void)
{
    struct frame_tcp t = { .flags = 0x18, .payload = 100 };
    uint8_t *data = physmem_ptr(&mem, DATA);
    size_t size = frame_make(data, &t);

    wr(CTRL, 0x40 | 1u << 30);
    add_tx(DATA, 0x4b000000 | (uint32_t)size, 0x0123u << 16);
    go();
    CHECK_EQ(cable.size[0], size + 4);
    CHECK_EQ(frame_get32(cable.frame[0] + 12), 0x81000123);
    CHECK_EQ(memcmp(cable.frame[0], data, 12), 0);
    CHECK_EQ(memcmp(cable.frame[0] + 16, data + 12, size - 12), 0);
    wr(CTRL, 0x40);
}

/* --- Receive ------------------------------------------------------------ */

static unsigned rx_next;

static uint8_t *rx_desc(unsigned i)
{
    return physmem_ptr(&mem, RX_RING + 16 * (i % ENTRIES));
}

/* Takes a frame back out of its descriptors and gives them back; its size without the FCS. */
static size_t take(uint8_t *frame)
{
    size_t size = 0;
    uint8_t *d;

    do {
        unsigned part;

        d = rx_desc(rx_next);
        if (!(d[12] & 1))
            return 0;
        part = d[8] | d[9] << 8;
        memcpy(frame + size, physmem_ptr(&mem, BUFFERS + 0x4000 * (rx_next % ENTRIES)), part);
        size += part;
        d[12] &= 2;
        wr(RDT, rx_next % ENTRIES);
        rx_next++;
    } while (!d[12]);
    return size - 4;
}

static void test_receive(void)
{
    static const uint32_t sizes[] = { 0, 1u << 16, 2u << 16, 3u << 16, 1u << 16 | 1u << 25,
                                      2u << 16 | 1u << 25, 3u << 16 | 1u << 25 };
    static uint8_t frame[20000], got[20000];

    rx_next = 0;
    for (unsigned n = 0; n < 7 * 20; n++) {
        size_t size = n % 20 < 18 ? 14 + n * 31 % 1500 : 9000 + n;

        wr(RCTL, 1 << 1 | 1 << 15 | 1 << 5 | sizes[n / 20]);
        for (size_t i = 0; i < size; i++)
            frame[i] = frame_byte(i + n);
        memcpy(frame, cable.dev.mac, 6);
        if (!cable_give(&cable, frame, size)) { /* nine kilobytes in small buffers */
            CHECK_EQ(size > 256 * (ENTRIES - 1), true);
            continue;
        }
        CHECK_EQ(take(got), size < 60 ? 60 : size);
        CHECK_EQ(memcmp(frame, got, size), 0);
        CHECK_EQ(take(got), 0);
    }
    wr(RCTL, 1 << 1 | 1 << 15);
    CHECK_EQ(cable_give(&cable, frame, 1515), true); /* too long: dropped, counted */
    CHECK_EQ(take(got), 0);
    CHECK_EQ(rd(0x40ac), 1);
}

static void test_no_buffers(void)
{
    uint8_t frame[100] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, got[200];
    unsigned n = 0;

    rd(ICR);
    while (cable_give(&cable, frame, 100))
        n++;
    CHECK_EQ(n, ENTRIES - 1);
    CHECK_EQ(rd(ICR) & 0x90, 0x90);
    cable.readies = 0;
    CHECK_EQ(take(got), 100);
    CHECK_EQ(cable.readies, 1);
    CHECK_EQ(cable_give(&cable, frame, 100), true);
    CHECK_EQ(cable_give(&cable, frame, 100), false);
    while (take(got))
        continue;
    wr(RCTL, 0); /* off: dropped */
    CHECK_EQ(cable_give(&cable, frame, 100), true);
    CHECK_EQ(take(got), 0);
    wr(RCTL, 1 << 1 | 1 << 15);
}

static bool comes(const uint8_t *to, unsigned vlan)
{
    uint8_t frame[64] = { 0 }, got[128];

    memcpy(frame, to, 6);
    if (vlan) {
        frame_put16(frame + 12, 0x8100);
        frame_put16(frame + 14, vlan);
    }
    CHECK_EQ(cable_give(&cable, frame, 64), true);
    return take(got) > 0;
}

static void test_filters(void)
{
    static const uint8_t all[] = { 255, 255, 255, 255, 255, 255 }, other[] = { 2, 2, 2, 2, 2, 2 };
    static const uint8_t multi[] = { 0x33, 0x33, 0, 0, 0x34, 0x12 };
    const uint8_t *ours = cable.dev.mac;

    CHECK_EQ(comes(ours, 0) && comes(all, 0) && !comes(other, 0) && !comes(multi, 0), true);
    wr(RCTL, 1 << 1);
    CHECK_EQ(comes(all, 0), false);
    wr(RCTL, 1 << 1 | 1 << 3);
    CHECK_EQ(comes(other, 0) && !comes(multi, 0), true);
    wr(RCTL, 1 << 1 | 1 << 4);
    CHECK_EQ(comes(multi, 0) && comes(all, 0) && !comes(other, 0), true);
    for (unsigned mo = 0; mo < 4; mo++) {
        static const uint8_t shift[] = { 4, 3, 2, 0 };
        unsigned hash = 0x1234 >> shift[mo] & 0xfff;

        wr(RCTL, 1 << 1 | mo << 12);
        CHECK_EQ(comes(multi, 0), false);
        wr(MTA + 4 * (hash >> 5), 1u << (hash & 31));
        CHECK_EQ(comes(multi, 0), true);
        wr(MTA + 4 * (hash >> 5), 0);
    }
    wr(RA + 8 * 15, 0x02020202);
    wr(RA + 8 * 15 + 4, 0x80000202);
    CHECK_EQ(comes(other, 0), true);
    wr(RA + 8 * 15 + 4, 0x0202);
    CHECK_EQ(comes(other, 0), false);
    wr(RCTL, 1 << 1 | 1 << 18);
    CHECK_EQ(comes(ours, 0) && !comes(ours, 37), true);
    wr(VFTA + 4, 1 << 5);
    CHECK_EQ(comes(ours, 37) && !comes(ours, 38), true);
}

static void test_tag_in(void)
{
    struct frame_tcp t = { .vlan = true, .flags = 0x10, .payload = 200 };
    struct netdev_offload verified = { .verified = true };
    uint8_t frame[400], got[400], status;
    size_t size = frame_make(frame, &t);
    unsigned first = rx_next;

    memcpy(frame, cable.dev.mac, 6);
    wr(RCTL, 1 << 1);
    wr(CTRL, 0x40 | 1u << 30);
    wr(RXCSUM, 0x300);
    CHECK_EQ(cable.dev.receive(dev, frame, size, &verified), true);
    CHECK_EQ(rx_desc(first)[14] | rx_desc(first)[15] << 8, 5);
    CHECK_EQ(rx_desc(first)[12] & 8, 8);
    CHECK_EQ(take(got), size - 4);
    CHECK_EQ(memcmp(got, frame, 12), 0);
    CHECK_EQ(memcmp(got + 12, frame + 16, size - 16), 0);
    wr(CTRL, 0x40);
    /* a checked segment says so, another that it was not looked at */
    t.vlan = false;
    size = frame_make(frame, &t);
    memcpy(frame, cable.dev.mac, 6);
    CHECK_EQ(cable.dev.receive(dev, frame, size, &verified), true);
    status = rx_desc(rx_next)[12];
    CHECK_EQ(status & 0x64, 0x60);
    take(got);
    CHECK_EQ(cable_give(&cable, frame, size), true);
    status = rx_desc(rx_next)[12];
    CHECK_EQ(status & 0x64, 0x04);
    take(got);
}

int main(void)
{
    open_chip();
    test_legacy();
    for (unsigned v6 = 0; v6 < 2; v6++) {
        test_sums(v6);
        test_cut(v6, 1000, 1460, 600);
        test_cut(v6, 1460, 1460, 4096);
        test_cut(v6, 10000, 1000, 1111);
        test_cut(v6, 64000, 1460, 8192);
        test_cut(v6, 150000, 1460, 16384);
    }
    test_stuck();
    test_tag_out();
    test_receive();
    test_no_buffers();
    test_filters();
    test_tag_in();
    close_chip();
    return CHECK_DONE();
}
