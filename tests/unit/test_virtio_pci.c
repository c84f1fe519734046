/* The transport, both interfaces, with a device that turns texts around. */
#include "devices/virtio_pci.h"

#include "base/snap.h"
#include "tests/unit/virtio_driver.h"

enum { SIZE = 16, TOY_CONFIG = 12, CAP_MSIX = 0x98 };

struct toy {
    struct virtio_pci virtio;
    struct virtqueue_chain chain;
    bool keep;         /* hold what comes on queue 0 */
    unsigned epoch, resets, starts, notified, config_at;
};

static void toy_notify(void *dev, unsigned queue)
{
    struct toy *toy = dev;
    char text[64];

    toy->notified++;
    while (virtio_pci_pop(&toy->virtio, queue, &toy->chain)) {
        size_t n = virtqueue_read(&toy->chain, 0, text, sizeof(text));

        if (toy->keep) {
            toy->epoch = virtio_pci_hold(&toy->virtio);
            continue;
        }
        for (size_t i = 0; i < n / 2; i++) {
            char c = text[i];

            text[i] = text[n - 1 - i];
            text[n - 1 - i] = c;
        }
        n = virtqueue_write(&toy->virtio.queue[queue], &toy->chain, 0, text, n);
        virtio_pci_push(&toy->virtio, queue, &toy->chain, (uint32_t)n);
    }
    virtio_pci_signal(&toy->virtio, queue);
}

static void toy_reset(void *dev)
{
    ((struct toy *)dev)->resets++;
}

static void toy_start(void *dev)
{
    ((struct toy *)dev)->starts++;
}

static void toy_config(void *dev, unsigned at, unsigned size)
{
    ((struct toy *)dev)->config_at = at + 100 * size;
}

static const struct virtio_pci_class toy_class = {
    .name = "toy",
    .type = VIRTIO_RNG,
    .pci_class = { 1, 2, 3 },
    .queues = 2,
    .queue_size = (const uint16_t[]){ SIZE, SIZE },
    .config_size = TOY_CONFIG,
    .notify = toy_notify,
    .reset = toy_reset,
    .start = toy_start,
    .config_written = toy_config,
};

static void open_toy(struct driver *d, struct toy *toy, bool legacy, enum virtio_pci_mode mode)
{
    driver_open(d, legacy);
    memset(toy, 0, sizeof(*toy));
    CHECK_EQ(virtio_pci_attach(&toy->virtio,
                               &(struct virtio_pci_config){ &toy_class, toy, 1 << 5, mode, &d->mem,
                                                            d->pci, DRIVER_SLOT }),
             0);
    virtio_pci_put(&toy->virtio, 4, 8, 0x8877665544332211);
    driver_probe(d);
}

static void close_toy(struct driver *d, struct toy *toy)
{
    virtio_pci_detach(&toy->virtio);
    driver_close(d);
}

#define RINGS (1ull << VIRTIO_F_EVENT_IDX | 1ull << VIRTIO_F_INDIRECT_DESC)

static void start_toy(struct driver *d, uint64_t features)
{
    CHECK_EQ(driver_negotiate(d, features), true);
    driver_queue(d, 0, SIZE);
    driver_queue(d, 1, SIZE);
    driver_go(d);
}

/* --- Identity ----------------------------------------------------------- */

static void check_identity(enum virtio_pci_mode mode, uint16_t device, uint16_t subsystem,
                           bool ports, bool memory)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, false, mode);
    CHECK_EQ(pci_config_read(d.pci, driver_config(PCI_VENDOR), 2), 0x1af4);
    CHECK_EQ(pci_config_read(d.pci, driver_config(PCI_DEVICE), 2), device);
    CHECK_EQ(pci_config_read(d.pci, driver_config(PCI_SUBSYSTEM), 2), subsystem);
    CHECK_EQ(pci_config_read(d.pci, driver_config(8), 4) >> 8, 0x030201);
    CHECK_EQ(pci_config_read(d.pci, driver_config(PCI_BAR0), 4) != 0, ports);
    CHECK_EQ(pci_config_read(d.pci, driver_config(PCI_BAR0 + 16), 4) != 0, memory);
    CHECK_EQ(pci_config_read(d.pci, driver_config(PCI_CAPABILITIES), 1), CAP_MSIX);
    CHECK_EQ(pci_config_read(d.pci, driver_config(CAP_MSIX), 2), memory ? 0x4011 : 0x0011);
    CHECK_EQ(pci_config_read(d.pci, driver_config(CAP_MSIX + 2), 2), 2); /* three vectors */
    close_toy(&d, &toy);
}

/* Finds each capability where its type says that its structure is. */
static void test_capabilities(void)
{
    struct driver d;
    static struct toy toy;
    unsigned seen = 0, count = 0;

    open_toy(&d, &toy, false, VIRTIO_PCI_TRANSITIONAL);
    CHECK_EQ(pci_config_read(d.pci, driver_config(PCI_STATUS), 2) & 0x10, 0x10);
    for (uint32_t at = pci_config_read(d.pci, driver_config(CAP_MSIX + 1), 1); at && count < 9;
         at = pci_config_read(d.pci, driver_config(at + 1), 1)) {
        uint32_t type = pci_config_read(d.pci, driver_config(at + 3), 1);
        uint32_t size = pci_config_read(d.pci, driver_config(at + 2), 1);
        uint32_t offset = pci_config_read(d.pci, driver_config(at + 8), 4);

        CHECK_EQ(pci_config_read(d.pci, driver_config(at), 1), 9);
        CHECK_EQ(size, type == 2 || type == 5 ? 20 : 16);
        if (type == 2) {
            CHECK_EQ(offset, 0x3000);
            CHECK_EQ(pci_config_read(d.pci, driver_config(at + 16), 4), 4);
        }
        if (type == 4)
            CHECK_EQ(pci_config_read(d.pci, driver_config(at + 12), 4), TOY_CONFIG);
        seen |= 1u << type;
        count++;
    }
    CHECK_EQ(seen, 0x3e);
    CHECK_EQ(count, 5);
    close_toy(&d, &toy);
}

/* Every register of BAR 4 by configuration space alone. */
static void test_access_capability(void)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, false, VIRTIO_PCI_MODERN);
    pci_config_write(d.pci, driver_config(PCI_COMMAND), 2, 0);
    pci_config_write(d.pci, driver_config(0x88), 1, 4);
    pci_config_write(d.pci, driver_config(0x8c), 4, 0x2004);
    pci_config_write(d.pci, driver_config(0x90), 4, 4);
    CHECK_EQ(pci_config_read(d.pci, driver_config(0x94), 4), 0x44332211);
    pci_config_write(d.pci, driver_config(0x90), 4, 2);
    CHECK_EQ(pci_config_read(d.pci, driver_config(0x94), 2), 0x2211);
    pci_config_write(d.pci, driver_config(0x8c), 4, 20);
    pci_config_write(d.pci, driver_config(0x90), 4, 1);
    pci_config_write(d.pci, driver_config(0x94), 1, 3);
    CHECK_EQ(toy.virtio.status, 3);
    CHECK_EQ(pci_config_read(d.pci, driver_config(0x94), 1), 3);
    /* Wrong ones do nothing. */
    pci_config_write(d.pci, driver_config(0x88), 1, 0);
    pci_config_write(d.pci, driver_config(0x94), 1, 0);
    CHECK_EQ(toy.virtio.status, 3);
    pci_config_write(d.pci, driver_config(0x88), 1, 4);
    for (unsigned length = 0; length < 9; length++) {
        if (length == 1)
            continue;
        pci_config_write(d.pci, driver_config(0x8c), 4, length == 2 ? 21 : 0x4000);
        pci_config_write(d.pci, driver_config(0x90), 4, length);
        pci_config_write(d.pci, driver_config(0x94), 4, 0);
        pci_config_read(d.pci, driver_config(0x94), 4);
    }
    CHECK_EQ(toy.virtio.status, 3);
    close_toy(&d, &toy);
}

/* --- Both interfaces ---------------------------------------------------- */

static void turn_around(struct driver *d, unsigned queue)
{
    uint64_t out = driver_alloc(d, 16, 16), in = driver_alloc(d, 16, 16);
    struct driver_buffer text[] = { { out, 5, false }, { in, 8, true } };

    memcpy(driver_ptr(d, out), "abcde", 5);
    CHECK_EQ(driver_do(d, queue, text, 2), 5);
    CHECK_EQ(memcmp(driver_ptr(d, in), "edcba", 6), 0);
}

static void test_data(bool legacy, uint64_t features)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, legacy, VIRTIO_PCI_TRANSITIONAL);
    start_toy(&d, features | 1 << 5);
    CHECK_EQ(virtio_pci_has(&toy.virtio, 5), true);
    CHECK_EQ(virtio_pci_has(&toy.virtio, VIRTIO_F_VERSION_1), !legacy);
    CHECK_EQ(toy.starts, 1);
    for (unsigned i = 0; i < 40; i++) {
        turn_around(&d, i & 1);
        driver_want(&d, i & 1, d.queue[i & 1].used_seen);
        CHECK_EQ(d.pin, true);
        CHECK_EQ(driver_isr(&d), 1);
        CHECK_EQ(d.pin, false);
        CHECK_EQ(driver_isr(&d), 0);
    }
    CHECK_EQ(d.edges, 40);
    CHECK_EQ(driver_status(&d), legacy ? 7 : 15);
    driver_set_status(&d, 0);
    CHECK_EQ(driver_status(&d), 0);
    close_toy(&d, &toy);
}

/* --- Interrupts by messages ---------------------------------------------- */

static void set_entry(struct driver *d, unsigned vector, uint64_t address, uint32_t data,
                      bool masked)
{
    uint64_t at = DRIVER_MSIX + 16 * vector;

    bus_write(d->memory, at, 8, address);
    bus_write(d->memory, at + 8, 4, data);
    bus_write(d->memory, at + 12, 4, masked ? 0xffffffff : 0);
}

static void set_control(struct driver *d, uint16_t control)
{
    pci_config_write(d->pci, driver_config(CAP_MSIX + 2), 2, control);
}

static void set_vectors(struct driver *d, uint16_t config, uint16_t first, uint16_t second)
{
    unsigned select = d->legacy ? 14 : 22, vector = d->legacy ? 22 : 26;

    driver_write(d, d->legacy ? 20 : 16, 2, config);
    driver_write(d, select, 2, 0);
    driver_write(d, vector, 2, first);
    driver_write(d, select, 2, 1);
    driver_write(d, vector, 2, second);
    CHECK_EQ(driver_read(d, vector, 2), second > 2 ? 0xffff : second);
    CHECK_EQ(driver_read(d, d->legacy ? 20 : 16, 2), config > 2 ? 0xffff : config);
}

static void test_messages(bool legacy)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, legacy, VIRTIO_PCI_TRANSITIONAL);
    start_toy(&d, 0);
    CHECK_EQ(bus_read(d.memory, DRIVER_MSIX + 12, 4), 1); /* masked at first */
    set_control(&d, 0x8000);
    for (unsigned i = 0; i < 3; i++)
        set_entry(&d, i, 0x1fee01003 + i * 0x1000, 0x40 + i, false);
    set_vectors(&d, 0, 1, 2);
    turn_around(&d, 1);
    CHECK_EQ(d.messages, 1);
    CHECK_EQ(d.message_address, 0x1fee03000); /* of dwords */
    CHECK_EQ(d.message_data, 0x42);
    CHECK_EQ(d.edges, 0);
    CHECK_EQ(driver_isr(&d), 0);
    virtio_pci_config_changed(&toy.virtio);
    CHECK_EQ(d.message_data, 0x40);
    if (legacy) /* two words further */
        CHECK_EQ(driver_read(&d, 24 + 4, 4), 0x44332211);
    set_entry(&d, 1, 0xfee00000, 0x51, true);
    turn_around(&d, 0);
    turn_around(&d, 0);
    CHECK_EQ(d.messages, 2);
    CHECK_EQ(bus_read(d.memory, DRIVER_MSIX + 0x800, 4), 2);
    bus_write(d.memory, DRIVER_MSIX + 16 + 12, 4, 0);
    CHECK_EQ(d.messages, 3);
    CHECK_EQ(d.message_data, 0x51);
    CHECK_EQ(bus_read(d.memory, DRIVER_MSIX + 0x800, 4), 0);
    set_control(&d, 0xc000);
    turn_around(&d, 0);
    CHECK_EQ(d.messages, 3);
    set_control(&d, 0x8000);
    CHECK_EQ(d.messages, 4);
    set_vectors(&d, 3, 0xffff, 200); /* none of these is there */
    turn_around(&d, 0);
    turn_around(&d, 1);
    virtio_pci_config_changed(&toy.virtio);
    CHECK_EQ(d.messages, 4);
    set_control(&d, 0); /* the pin again */
    turn_around(&d, 0);
    CHECK_EQ(d.pin, true);
    set_control(&d, 0x8000);
    CHECK_EQ(d.pin, false);
    set_vectors(&d, 0, 1, 2);
    driver_set_status(&d, 0);
    CHECK_EQ(toy.virtio.config_vector & toy.virtio.queue_vector[0], 0xffff);
    close_toy(&d, &toy);
}

static void test_config(bool legacy)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, legacy, VIRTIO_PCI_TRANSITIONAL);
    start_toy(&d, 0);
    CHECK_EQ(driver_read(&d, driver_config_at(&d, 4), 4), 0x44332211);
    CHECK_EQ(driver_read(&d, driver_config_at(&d, 11), 1), 0x88);
    CHECK_EQ(driver_read(&d, driver_config_at(&d, TOY_CONFIG), 4), 0);
    driver_write(&d, driver_config_at(&d, 4), 4, 0);
    CHECK_EQ(driver_read(&d, driver_config_at(&d, 4), 4), 0x44332211);
    toy.virtio.config_writable[1] = 0x0f;
    driver_write(&d, driver_config_at(&d, 0), 2, 0xffff);
    CHECK_EQ(virtio_pci_get(&toy.virtio, 0, 4), 0x0f00);
    CHECK_EQ(toy.config_at, 200);
    virtio_pci_config_changed(&toy.virtio);
    CHECK_EQ(d.pin, true);
    CHECK_EQ(driver_isr(&d), 2);
    if (!legacy)
        CHECK_EQ(driver_read(&d, 21, 1), 1);
    close_toy(&d, &toy);
}

/* --- Features and status ------------------------------------------------ */

static void test_features(void)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, false, VIRTIO_PCI_MODERN);
    CHECK_EQ(driver_features(&d), RINGS | 1ull << 32 | 1 << 5);
    driver_set_status(&d, 3);
    driver_accept(&d, 1 << 5); /* without VERSION_1 */
    driver_set_status(&d, 11);
    CHECK_EQ(driver_status(&d), 3);
    driver_accept(&d, 1ull << 32 | 1 << 6); /* not offered */
    driver_set_status(&d, 11);
    CHECK_EQ(driver_status(&d), 3);
    driver_accept(&d, 1ull << 32);
    driver_set_status(&d, 11);
    CHECK_EQ(driver_status(&d), 11);
    driver_accept(&d, 1ull << 32 | 1 << 5); /* too late */
    CHECK_EQ(virtio_pci_has(&toy.virtio, 5), false);
    driver_write(&d, 0, 4, 2);
    CHECK_EQ(driver_read(&d, 4, 4), 0);
    driver_write(&d, 8, 4, 2);
    driver_write(&d, 12, 4, ~0u);
    CHECK_EQ(driver_read(&d, 12, 4), 0);
    close_toy(&d, &toy);

    open_toy(&d, &toy, true, VIRTIO_PCI_LEGACY);
    CHECK_EQ(driver_features(&d), RINGS | 1 << 5 | 1 << 27);
    driver_accept(&d, ~0u);
    CHECK_EQ(driver_read(&d, 4, 4), RINGS | 1 << 5 | 1 << 27);
    close_toy(&d, &toy);
}

/* Nothing moves before DRIVER_OK, when what was said before is heard, and without bus mastering. */
static void test_not_live(void)
{
    struct driver d;
    static struct toy toy;
    struct driver_buffer in = { 0x1000, 8, true };

    open_toy(&d, &toy, false, VIRTIO_PCI_TRANSITIONAL);
    CHECK_EQ(driver_negotiate(&d, 0), true);
    driver_queue(&d, 0, SIZE);
    driver_add(&d, 0, &in, 1);
    driver_notify(&d, 0);
    CHECK_EQ(toy.notified, 0);
    driver_go(&d);
    CHECK_EQ(toy.notified, 1);
    driver_notify(&d, 1); /* not started */
    driver_notify(&d, 2); /* not there */
    driver_notify(&d, 1000);
    CHECK_EQ(toy.notified, 1);
    pci_config_write(d.pci, driver_config(PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
    driver_notify(&d, 0);
    CHECK_EQ(toy.notified, 1);
    pci_config_write(d.pci, driver_config(PCI_COMMAND), 2,
                     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    driver_notify(&d, 0);
    CHECK_EQ(driver_used(&d, 0, NULL), 0);
    close_toy(&d, &toy);
}

static void test_smaller_queue(void)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, false, VIRTIO_PCI_MODERN);
    CHECK_EQ(driver_negotiate(&d, RINGS), true);
    driver_queue(&d, 0, 4);
    driver_go(&d);
    CHECK_EQ(driver_read(&d, 24, 2), 4);
    CHECK_EQ(driver_read(&d, 28, 2), 1);
    driver_write(&d, 24, 2, 8); /* while it runs */
    driver_write(&d, 32, 4, 0);
    CHECK_EQ(driver_read(&d, 24, 2), 4);
    for (unsigned i = 0; i < 10; i++)
        turn_around(&d, 0);
    driver_write(&d, 22, 2, 2);
    CHECK_EQ(driver_read(&d, 24, 2), 0);
    close_toy(&d, &toy);
}

/* --- Breaking the rules ------------------------------------------------- */

static void test_needs_reset(bool legacy)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, legacy, VIRTIO_PCI_TRANSITIONAL);
    start_toy(&d, RINGS);
    driver_offer(&d, 0, SIZE + 3);
    driver_notify(&d, 0);
    CHECK_EQ(driver_status(&d), (legacy ? 7 : 15) | 0x40);
    CHECK_EQ(d.pin, !legacy);
    driver_isr(&d);
    driver_set_status(&d, 15); /* it does not go away so */
    CHECK_EQ(driver_status(&d), 0x4f);
    driver_add(&d, 1, &(struct driver_buffer){ 0x1000, 8, true }, 1);
    driver_notify(&d, 1); /* nor does the other queue run */
    CHECK_EQ(driver_used(&d, 1, NULL), -1);
    virtio_pci_signal(&toy.virtio, 1);
    CHECK_EQ(d.pin, false);
    driver_set_status(&d, 0);
    start_toy(&d, RINGS);
    turn_around(&d, 0);
    close_toy(&d, &toy);
}

static void test_bad_places(void)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, false, VIRTIO_PCI_TRANSITIONAL);
    CHECK_EQ(driver_negotiate(&d, 0), true);
    driver_place(&d, 0, SIZE);
    d.queue[0].used = 0xfffffffffffff000;
    driver_start_queue(&d, 0);
    CHECK_EQ(driver_status(&d), 0x4b);
    close_toy(&d, &toy);

    open_toy(&d, &toy, true, VIRTIO_PCI_TRANSITIONAL);
    CHECK_EQ(driver_negotiate(&d, 0), true);
    driver_write(&d, 8, 4, 0xffffffff);
    CHECK_EQ(driver_status(&d), 0x43);
    driver_write(&d, 8, 4, 0);
    CHECK_EQ(driver_status(&d), 0); /* the old way to reset */
    close_toy(&d, &toy);
}

/* A chain in flight when the driver resets. */
static void test_reset_in_flight(void)
{
    struct driver d;
    static struct toy toy;

    open_toy(&d, &toy, false, VIRTIO_PCI_TRANSITIONAL);
    start_toy(&d, RINGS);
    toy.keep = true;
    driver_add(&d, 0, &(struct driver_buffer){ 0x1000, 8, true }, 1);
    driver_notify(&d, 0);
    CHECK_EQ(toy.virtio.held, 1);
    driver_set_status(&d, 0);
    CHECK_EQ(driver_status(&d) != 0, true); /* wait */
    CHECK_EQ(virtio_pci_release(&toy.virtio, toy.epoch), false);
    CHECK_EQ(driver_status(&d), 0);
    start_toy(&d, RINGS);
    driver_add(&d, 0, &(struct driver_buffer){ 0x1000, 8, true }, 1);
    driver_notify(&d, 0);
    CHECK_EQ(virtio_pci_release(&toy.virtio, toy.epoch), true);
    virtio_pci_push(&toy.virtio, 0, &toy.chain, 3);
    virtio_pci_signal(&toy.virtio, 0);
    CHECK_EQ(driver_used(&d, 0, NULL), 0);
    close_toy(&d, &toy);
}

static void test_garbage(void)
{
    struct driver d;
    static struct toy toy;
    unsigned seed = 1;

    open_toy(&d, &toy, false, VIRTIO_PCI_TRANSITIONAL);
    start_toy(&d, RINGS);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned at, size, value;

        seed = seed * 1103515245 + 12345;
        at = seed >> 8 & 0x3fff;
        size = 1u << (seed >> 24 & 3);
        value = seed * 2654435761u >> (seed >> 28);
        if (seed & 0x40)
            at &= 0x3f;
        if (seed & 0x80)
            bus_write(d.memory, DRIVER_MEMORY + at, size, value);
        else
            bus_write(d.ports, DRIVER_PORTS + (at & 127), size > 4 ? 4 : size, value);
        bus_write(d.memory, DRIVER_MSIX + (at & 0xfff), size, value);
        bus_read(d.memory, DRIVER_MSIX + (at & 0xfff), size);
        bus_read(d.memory, DRIVER_MEMORY + at, size);
        bus_read(d.ports, DRIVER_PORTS + (at & 127), size > 4 ? 4 : size);
        pci_config_write(d.pci, driver_config(0x40 + (at & 0x7c)), 4, value);
        pci_config_read(d.pci, driver_config(0x40 + (at & 0x7c)), 4);
    }
    driver_set_status(&d, 0);
    start_toy(&d, RINGS);
    turn_around(&d, 0);
    close_toy(&d, &toy);
}

static void test_snapshot(void)
{
    struct driver d, e;
    static struct toy toy, other;
    static uint8_t bytes[4096];
    struct snap snap = { false, bytes };

    open_toy(&d, &toy, false, VIRTIO_PCI_TRANSITIONAL);
    start_toy(&d, RINGS);
    turn_around(&d, 0);
    virtio_pci_snapshot(&toy.virtio, &snap);
    open_toy(&e, &other, false, VIRTIO_PCI_TRANSITIONAL);
    memcpy(e.mem.ram, d.mem.ram, DRIVER_RAM);
    snap = (struct snap){ true, bytes };
    virtio_pci_snapshot(&other.virtio, &snap);
    CHECK_EQ(e.pin, true);
    memcpy(e.queue, d.queue, sizeof(e.queue));
    e.heap = d.heap;
    e.indirect = e.event_idx = true;
    turn_around(&e, 0);
    close_toy(&e, &other);
    close_toy(&d, &toy);
}

int main(void)
{
    check_identity(VIRTIO_PCI_TRANSITIONAL, 0x1005, VIRTIO_RNG, true, true);
    check_identity(VIRTIO_PCI_MODERN, 0x1044, 0x1100, false, true);
    check_identity(VIRTIO_PCI_LEGACY, 0x1005, VIRTIO_RNG, true, false);
    test_capabilities();
    test_access_capability();
    for (unsigned legacy = 0; legacy < 2; legacy++) {
        test_data(legacy, 0);
        test_data(legacy, RINGS);
        test_data(legacy, 1ull << VIRTIO_F_EVENT_IDX);
        test_messages(legacy);
        test_config(legacy);
        test_needs_reset(legacy);
    }
    test_features();
    test_not_live();
    test_smaller_queue();
    test_bad_places();
    test_reset_in_flight();
    test_garbage();
    test_snapshot();
    return CHECK_DONE();
}
