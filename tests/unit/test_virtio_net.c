/* The virtio network card, by a driver of both interfaces and a cable that keeps frames. */
#include "devices/virtio_net.h"

#include "base/snap.h"
#include "tests/unit/fake_cable.h"
#include "tests/unit/net_frames.h"
#include "tests/unit/virtio_driver.h"

enum { RX, TX, CONTROL };
enum { CSUM = 0, GUEST_CSUM = 1, GUEST_TSO4 = 7, GUEST_TSO6 = 8, HOST_TSO4 = 11, MRG = 15,
       CTRL_VQ = 17, CTRL_RX = 18, CTRL_VLAN = 19, CTRL_MAC = 23 };
#define ALL (1ull << CSUM | 1ull << GUEST_CSUM | 1ull << GUEST_TSO4 | 1ull << GUEST_TSO6 |         \
             1ull << HOST_TSO4 | 1ull << MRG | 1ull << CTRL_VQ | 1ull << CTRL_RX |                 \
             1ull << CTRL_VLAN | 1ull << CTRL_MAC)

static struct driver d;
static struct fake_cable cable;
static struct virtio_net *net;

static void open_card(bool legacy, uint64_t features)
{
    driver_open(&d, legacy);
    cable_init(&cable);
    net = virtio_net_create(&(struct virtio_net_config){
        .bus = d.pci, .slot = DRIVER_SLOT, .mode = VIRTIO_PCI_TRANSITIONAL, .mem = &d.mem,
        .cable = &cable.dev });
    driver_probe(&d);
    CHECK_EQ(driver_negotiate(&d, features), true);
    driver_queue(&d, RX, 256);
    driver_queue(&d, TX, 256);
    driver_queue(&d, CONTROL, 256);
    driver_go(&d);
}

static void close_card(void)
{
    virtio_net_destroy(net);
    CHECK_EQ(cable.dev.receive == NULL, true);
    driver_close(&d);
}

static unsigned header_size(void)
{
    return d.legacy && !(d.accepted >> MRG & 1) ? 10 : 12;
}

/* Sends a frame as one chain: the header, and the frame in two pieces. */
static void send(const uint8_t *header, const uint8_t *frame, size_t size)
{
    uint64_t gpa = driver_alloc(&d, header_size() + size + 64, 64), at = gpa + header_size();
    struct driver_buffer buffers[] = { { gpa, header_size(), false },
                                       { at + 16, (uint32_t)size / 2, false },
                                       { at + 32 + size / 2, (uint32_t)(size - size / 2), false } };

    memcpy(driver_ptr(&d, gpa), header, header_size());
    memcpy(driver_ptr(&d, at + 16), frame, size / 2);
    memcpy(driver_ptr(&d, at + 32 + size / 2), frame + size / 2, size - size / 2);
    driver_add(&d, TX, buffers, 3);
    driver_notify(&d, TX);
    d.heap = gpa;
}

static uint64_t offer(uint32_t size)
{
    uint64_t gpa = driver_alloc(&d, size, 64);

    driver_add(&d, RX, &(struct driver_buffer){ gpa, size, true }, 1);
    return gpa;
}

static void test_transmit(bool legacy)
{
    static uint8_t frame[NETDEV_FRAME_MAX];
    struct frame_tcp t = { .flags = 0x18, .payload = 30000 };
    uint8_t plain[12] = { 0 };
    uint8_t large[12] = { 1, 1, 54, 0, 0xb4, 0x05, 34, 0, 16, 0 };
    size_t size = frame_make(frame, &t);

    open_card(legacy, ALL);
    send(plain, frame, 700);
    CHECK_EQ(cable.sent, 1);
    CHECK_EQ(cable.size[0], 700);
    CHECK_EQ(memcmp(cable.frame[0], frame, 700), 0);
    CHECK_EQ(cable.offload[0].checksum, false);
    CHECK_EQ(driver_used(&d, TX, NULL) >= 0, true);
    CHECK_EQ(d.pin, true);
    driver_isr(&d);
    send(large, frame, size);
    CHECK_EQ(cable.size[0], size);
    CHECK_EQ(memcmp(cable.frame[0], frame, size), 0);
    CHECK_EQ(cable.offload[0].checksum, true);
    CHECK_EQ(cable.offload[0].sum_from, 34);
    CHECK_EQ(cable.offload[0].sum_at, 50);
    CHECK_EQ(cable.offload[0].segments, NETDEV_TCP4);
    CHECK_EQ(cable.offload[0].segment_size, 1460);
    large[1] = 3; /* UDP segments: not offered */
    send(large, frame, size);
    send(plain, frame, 13);
    CHECK_EQ(cable.sent, 2);
    close_card();
}

/* A cable that takes no more: nothing is lost, nothing sent twice. */
static void test_stuck(void)
{
    uint8_t frame[100] = { 0 }, header[12] = { 0 };

    open_card(false, ALL);
    cable.room = 2;
    for (unsigned i = 0; i < 5; i++) {
        frame[20] = (uint8_t)i;
        send(header, frame, 100);
        d.heap += 4096;
    }
    CHECK_EQ(cable.sent, 2);
    cable.room = 2;
    cable.dev.room(cable.dev.chip);
    CHECK_EQ(cable.sent, 4);
    CHECK_EQ(cable.frame[0][20], 3);
    cable.room = 9;
    cable.dev.room(cable.dev.chip);
    cable.dev.room(cable.dev.chip);
    CHECK_EQ(cable.sent, 5);
    CHECK_EQ(cable.frame[0][20], 4);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(driver_used(&d, TX, NULL) >= 0, true);
    CHECK_EQ(driver_used(&d, TX, NULL), -1);
    close_card();
}

/* One frame over many buffers. */
static void test_merged(bool legacy)
{
    static uint8_t frame[NETDEV_FRAME_MAX], got[NETDEV_FRAME_MAX + 12];
    struct frame_tcp t = { .flags = 0x10, .payload = 20000 };
    struct netdev_offload offload = { .checksum = true, .sum_from = 34, .sum_at = 50,
                                      .segments = NETDEV_TCP4, .segment_size = 1460,
                                      .header_size = 54 };
    size_t size = frame_make(frame, &t), at = 0;
    uint64_t gpa[20];
    uint32_t len = 0;

    open_card(legacy, ALL & ~(1ull << CTRL_RX | 1ull << CTRL_VLAN));
    CHECK_EQ(cable.dev.takes, 7);
    memcpy(frame, cable.dev.mac, 6);
    for (unsigned i = 0; i < 10; i++)
        gpa[i] = offer(1500 + i);
    CHECK_EQ(cable.dev.receive(net, frame, size, &offload), false); /* not enough buffers */
    CHECK_EQ(driver_used(&d, RX, NULL), -1);
    for (unsigned i = 10; i < 20; i++)
        gpa[i] = offer(1500 + i);
    driver_notify(&d, RX);
    CHECK_EQ(cable.readies, 1);
    CHECK_EQ(cable.dev.receive(net, frame, size, &offload), true);
    CHECK_EQ(d.pin, true);
    for (unsigned i = 0; i < 14; i++) {
        CHECK_EQ(driver_used(&d, RX, &len), i);
        memcpy(got + at, driver_ptr(&d, gpa[i]), len);
        at += len;
    }
    CHECK_EQ(driver_used(&d, RX, &len), -1);
    CHECK_EQ(at, size + 12);
    CHECK_EQ(memcmp(got + 12, frame, size), 0);
    CHECK_EQ(got[0], 1);
    CHECK_EQ(got[1], 1);
    CHECK_EQ(got[2], 54);
    CHECK_EQ(got[4] | got[5] << 8, 1460);
    CHECK_EQ(got[6], 34);
    CHECK_EQ(got[8], 16);
    CHECK_EQ(got[10], 14);
    close_card();
}

/* Without merged buffers: one that is too small loses the frame, and only that. */
static void test_whole(void)
{
    uint8_t frame[200] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
    uint64_t gpa;
    uint32_t len = 0;

    open_card(true, 0);
    CHECK_EQ(cable.dev.takes, 0);
    offer(100);
    CHECK_EQ(cable_give(&cable, frame, 200), true);
    CHECK_EQ(driver_used(&d, RX, &len), -1);
    CHECK_EQ(cable_give(&cable, frame, 90), true);
    CHECK_EQ(driver_used(&d, RX, &len), 0);
    CHECK_EQ(len, 100);
    gpa = offer(2048);
    frame[199] = 0x77;
    CHECK_EQ(cable_give(&cable, frame, 200), true);
    CHECK_EQ(driver_used(&d, RX, &len), 1);
    CHECK_EQ(len, 210);
    CHECK_EQ(driver_ptr(&d, gpa)[209], 0x77);
    CHECK_EQ(driver_ptr(&d, gpa)[0], 0);
    close_card();
}

static uint8_t control(const void *command, uint32_t size)
{
    uint64_t gpa = driver_alloc(&d, size + 1, 16);
    struct driver_buffer buffers[] = { { gpa, size, false }, { gpa + size, 1, true } };

    memcpy(driver_ptr(&d, gpa), command, size);
    driver_ptr(&d, gpa)[size] = 0xee;
    driver_add(&d, CONTROL, buffers, 2);
    driver_notify(&d, CONTROL);
    CHECK_EQ(driver_used(&d, CONTROL, NULL) >= 0, true);
    return driver_ptr(&d, gpa)[size];
}

/* Whether a frame to that address comes through. */
static bool comes(const uint8_t *to, unsigned vlan)
{
    uint8_t frame[64] = { 0 };

    memcpy(frame, to, 6);
    if (vlan) {
        frame_put16(frame + 12, 0x8100);
        frame_put16(frame + 14, vlan);
    }
    offer(128);
    CHECK_EQ(cable_give(&cable, frame, 64), true);
    return driver_used(&d, RX, NULL) >= 0;
}

static void test_filters(void)
{
    static const uint8_t ours[] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, all[] = { 255, 255, 255, 255,
                                                                                 255, 255 };
    static const uint8_t other[] = { 2, 2, 2, 2, 2, 2 }, multi[] = { 0x33, 0x33, 0, 0, 0, 1 };
    static const uint8_t table[] = { 1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2,
                                     1, 0, 0, 0, 0x33, 0x33, 0, 0, 0, 1 };
    static const uint8_t many[] = { 1, 0, 65, 0, 0, 0, 2 };

    open_card(false, ALL);
    CHECK_EQ(comes(ours, 0) && comes(all, 0), true);
    CHECK_EQ(comes(other, 0) || comes(multi, 0) || comes(ours, 5), false);
    CHECK_EQ(control("\0\0\1", 3), 0); /* promiscuous */
    CHECK_EQ(comes(other, 0) && comes(multi, 0), true);
    CHECK_EQ(control("\0\0\0", 3), 0);
    CHECK_EQ(control("\0\1\1", 3), 0); /* all multicasts */
    CHECK_EQ(comes(multi, 0) && !comes(other, 0), true);
    CHECK_EQ(control("\0\1\0", 3), 0);
    CHECK_EQ(control(table, sizeof(table)), 0);
    CHECK_EQ(comes(multi, 0) && comes(other, 0), true);
    CHECK_EQ(control("\0\5\1", 3), 0); /* no broadcasts */
    CHECK_EQ(comes(all, 0), false);
    CHECK_EQ(control("\2\0\5\0", 4), 0); /* VLAN 5 */
    CHECK_EQ(comes(ours, 5) && !comes(ours, 6), true);
    CHECK_EQ(control("\2\1\5\0", 4), 0);
    CHECK_EQ(comes(ours, 5), false);
    CHECK_EQ(control("\1\1\2\2\2\2\2\3", 8), 0); /* our own */
    CHECK_EQ(comes((const uint8_t *)"\2\2\2\2\2\3", 0) && !comes(ours, 0), true);
    CHECK_EQ(driver_read(&d, driver_config_at(&d, 4), 2), 0x0302);
    CHECK_EQ(control(many, sizeof(many)), 1); /* says 65, has less than one */
    CHECK_EQ(control("\7\0\0", 3), 1);
    CHECK_EQ(control("\0\6\1", 3), 1);
    CHECK_EQ(control("\2\0\0\x10", 4), 1);
    CHECK_EQ(control("\0", 1), 1);
    close_card();
}

static void test_reset_and_snapshot(void)
{
    static uint8_t image[65536];
    uint8_t frame[64] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
    struct snap snap = { .at = image };

    open_card(false, ALL);
    control("\1\1\2\2\2\2\2\3", 8);
    virtio_net_snapshot(net, &snap);
    virtio_net_reset(net);
    CHECK_EQ(cable.dev.takes, 0);
    CHECK_EQ(cable_give(&cable, frame, 64), true); /* dropped */
    snap = (struct snap){ .loading = true, .at = image };
    virtio_net_snapshot(net, &snap);
    CHECK_EQ(cable.dev.takes, 7);
    CHECK_EQ(comes((const uint8_t *)"\2\2\2\2\2\3", 0), true);
    cable.dev.link = false;
    cable.dev.link_changed(net);
    CHECK_EQ(driver_read(&d, driver_config_at(&d, 6), 2), 0);
    driver_set_status(&d, 0);
    CHECK_EQ(cable_give(&cable, frame, 64), true);
    CHECK_EQ(driver_read(&d, driver_config_at(&d, 4), 2), 0x5634);
    close_card();
}

int main(void)
{
    for (unsigned legacy = 0; legacy < 2; legacy++) {
        test_transmit(legacy);
        test_merged(legacy);
    }
    test_stuck();
    test_whole();
    test_filters();
    test_reset_and_snapshot();
    return CHECK_DONE();
}
