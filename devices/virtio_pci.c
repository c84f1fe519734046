/*
 * Virtio over PCI: see virtio_pci.h.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 2.1 (status), 2.2 (features), 4.1.4 (structures in
 *            PCI memory), 4.1.4.8 (the legacy interface), 4.1.4.7 (access by configuration space).
 * Modelled:  BAR 0, ports, of the legacy interface; BAR 4, memory, of the modern one; INTA#.
 * Not:       MSI-X (it wants a local APIC: BAR 1, the capability at CAP_END and the vectors in
 *            both layouts are free for it), notification data, resets of single queues.
 *
 * A modern device moves memory only while the driver has made it bus master. Legacy drivers often
 * forgot that; they need not have.
 */
#include "devices/virtio_pci.h"

#include <string.h>

#include "base/bug.h"
#include "base/log.h"
#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

enum {
    STATUS_DRIVER_OK = 0x04,
    STATUS_FEATURES_OK = 0x08,
    STATUS_NEEDS_RESET = 0x40,
    STATUS_BUSY = 0x01, /* what is read until chains of before a reset are back */
};

enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

#define NO_VECTOR 0xffff

/* The legacy interface, in BAR 0. */
enum {
    LEGACY_FEATURES = 0,
    LEGACY_ACCEPTED = 4,
    LEGACY_QUEUE_PFN = 8,
    LEGACY_QUEUE_SIZE = 12,
    LEGACY_QUEUE_SELECT = 14,
    LEGACY_NOTIFY = 16,
    LEGACY_STATUS = 18,
    LEGACY_ISR = 19,
    LEGACY_CONFIG = 20,
    LEGACY_SIZE = 128,
};

/* BAR 4: a page for each structure. */
enum {
    PAGE_COMMON = 0x0000,
    PAGE_ISR = 0x1000,
    PAGE_CONFIG = 0x2000,
    PAGE_NOTIFY = 0x3000,
    MODERN_SIZE = 0x4000,
    MODERN_BAR = 4,
    PAGE_BYTES = 0x1000,
    NOTIFY_STRIDE = 4,
};

/* The common structure. */
enum {
    COMMON_FEATURE_SELECT = 0,
    COMMON_FEATURE = 4,
    COMMON_DRIVER_SELECT = 8,
    COMMON_DRIVER = 12,
    COMMON_VECTOR = 16,
    COMMON_QUEUES = 18,
    COMMON_STATUS = 20,
    COMMON_GENERATION = 21,
    COMMON_QUEUE_SELECT = 22,
    COMMON_QUEUE_SIZE = 24,
    COMMON_QUEUE_VECTOR = 26,
    COMMON_QUEUE_ENABLE = 28,
    COMMON_QUEUE_NOTIFY = 30,
    COMMON_QUEUE_DESC = 32,
    COMMON_QUEUE_AVAIL = 40,
    COMMON_QUEUE_USED = 48,
    COMMON_SIZE = 56,
};

/* Capabilities in configuration space. */
enum {
    CAP_FIRST = 0x40,
    CAP_SIZE = 16,
    CAP_ACCESS = 0x84, /* the one that gives access to BAR 4 by configuration space */
    CAP_ACCESS_BAR = CAP_ACCESS + 4,
    CAP_ACCESS_OFFSET = CAP_ACCESS + 8,
    CAP_ACCESS_LENGTH = CAP_ACCESS + 12,
    CAP_ACCESS_DATA = CAP_ACCESS + 16,
    CAP_END = 0x98,
    CAP_VENDOR_ID = 9,
};

enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_CONFIG = 4, CAP_PCI = 5 };

enum {
    VENDOR_VIRTIO = 0x1af4,
    MODERN_DEVICE = 0x1040, /* plus the type */
    MODERN_SUBSYSTEM = 0x1100,
    STATUS_HAS_CAPABILITIES = 0x10,
};

#define FEATURES_RINGS (1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)

static void put(uint8_t *at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = value >> 8 * i & 0xff;
}

static uint64_t get(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* --- Interrupts --------------------------------------------------------- */

static void raise(struct virtio_pci *v, uint8_t why)
{
    v->isr |= why;
    v->signals++;
    pci_set_irq(&v->function, true);
}

static uint8_t read_isr(struct virtio_pci *v)
{
    uint8_t isr = v->isr;

    v->isr = 0;
    pci_set_irq(&v->function, false);
    return isr;
}

/* --- Features and status ------------------------------------------------ */

static uint64_t offered_modern(const struct virtio_pci *v)
{
    return v->setup.features | FEATURES_RINGS | 1ull << VIRTIO_F_VERSION_1;
}

static uint32_t offered_legacy(const struct virtio_pci *v)
{
    return (uint32_t)(v->setup.features | FEATURES_RINGS | 1ull << VIRTIO_F_ANY_LAYOUT);
}

static void accept(struct virtio_pci *v, uint64_t features)
{
    v->accepted = features;
    for (unsigned i = 0; i < v->setup.class->queues; i++) {
        v->queue[i].event_idx = virtio_pci_has(v, VIRTIO_F_EVENT_IDX);
        v->queue[i].indirect = virtio_pci_has(v, VIRTIO_F_INDIRECT_DESC);
    }
}

static void reset(struct virtio_pci *v)
{
    v->epoch++;
    v->stale += v->held;
    v->held = 0;
    v->status = 0;
    v->feature_select = v->driver_feature_select = 0;
    v->queue_select = 0;
    read_isr(v);
    for (unsigned i = 0; i < v->setup.class->queues; i++)
        virtqueue_reset(&v->queue[i]);
    accept(v, 0);
    if (v->setup.class->reset)
        v->setup.class->reset(v->setup.dev);
}

static uint8_t read_status(const struct virtio_pci *v)
{
    return v->status ? v->status : v->stale ? STATUS_BUSY : 0;
}

static void write_status(struct virtio_pci *v, uint8_t value, bool modern)
{
    uint8_t before = v->status;

    if (!value) {
        reset(v);
        return;
    }
    if (modern && value & ~before & STATUS_FEATURES_OK &&
        (v->accepted & ~offered_modern(v) || !virtio_pci_has(v, VIRTIO_F_VERSION_1)))
        value &= ~STATUS_FEATURES_OK;
    v->status = value | (before & STATUS_NEEDS_RESET);
    if (value & ~before & STATUS_DRIVER_OK && v->setup.class->start)
        v->setup.class->start(v->setup.dev);
}

bool virtio_pci_is_live(const struct virtio_pci *v)
{
    if (v->status & STATUS_NEEDS_RESET)
        return false;
    return !virtio_pci_has(v, VIRTIO_F_VERSION_1) ||
           (v->status & STATUS_DRIVER_OK && pci_is_master(&v->function));
}

void virtio_pci_fail(struct virtio_pci *v, const char *why)
{
    if (log_on(LOG_dev))
        log_print(LOG_dev, "%s: needs a reset: %s\n", v->setup.class->name, why);
    if (v->status & STATUS_NEEDS_RESET)
        return;
    v->status |= STATUS_NEEDS_RESET;
    if (v->status & STATUS_DRIVER_OK && virtio_pci_has(v, VIRTIO_F_VERSION_1))
        raise(v, ISR_CONFIG);
}

/* --- Queues ------------------------------------------------------------- */

static struct virtqueue *selected(struct virtio_pci *v)
{
    return v->queue_select < v->setup.class->queues ? &v->queue[v->queue_select] : NULL;
}

static void start_queue(struct virtio_pci *v, struct virtqueue *vq)
{
    if (!virtqueue_start(vq))
        virtio_pci_fail(v, "a queue that cannot be");
}

static void notify(struct virtio_pci *v, unsigned queue)
{
    if (queue >= v->setup.class->queues || !v->queue[queue].started || !virtio_pci_is_live(v))
        return;
    v->function.kicks++;
    v->setup.class->notify(v->setup.dev, queue);
}

bool virtio_pci_pop(struct virtio_pci *v, unsigned queue, struct virtqueue_chain *chain)
{
    struct virtqueue *vq = &v->queue[queue];

    if (!virtio_pci_is_live(v))
        return false;
    if (virtqueue_pop(vq, chain))
        return true;
    if (vq->broken)
        virtio_pci_fail(v, "a ring that makes no sense");
    return false;
}

void virtio_pci_unpop(struct virtio_pci *v, unsigned queue)
{
    virtqueue_unpop(&v->queue[queue]);
}

void virtio_pci_push(struct virtio_pci *v, unsigned queue, const struct virtqueue_chain *chain,
                     uint32_t written)
{
    if (virtio_pci_is_live(v))
        virtqueue_push(&v->queue[queue], chain, written);
    else
        virtqueue_touched(&v->queue[queue], chain, 0, written);
}

void virtio_pci_signal(struct virtio_pci *v, unsigned queue)
{
    if (virtio_pci_is_live(v) && virtqueue_publish(&v->queue[queue]))
        raise(v, ISR_QUEUE);
}

unsigned virtio_pci_hold(struct virtio_pci *v)
{
    v->held++;
    return v->epoch;
}

bool virtio_pci_release(struct virtio_pci *v, unsigned epoch)
{
    unsigned *count = epoch == v->epoch ? &v->held : &v->stale;

    BUG_ON(!*count);
    --*count;
    return epoch == v->epoch;
}

/* --- Device-specific configuration -------------------------------------- */

void virtio_pci_put(struct virtio_pci *v, unsigned at, unsigned size, uint64_t value)
{
    BUG_ON(at + size > VIRTIO_PCI_CONFIG_MAX);
    put(v->config + at, size, value);
}

uint64_t virtio_pci_get(const struct virtio_pci *v, unsigned at, unsigned size)
{
    BUG_ON(at + size > VIRTIO_PCI_CONFIG_MAX);
    return get(v->config + at, size);
}

void virtio_pci_config_changed(struct virtio_pci *v)
{
    v->generation++;
    if (v->status & STATUS_DRIVER_OK)
        raise(v, ISR_CONFIG);
}

static uint64_t config_read(const struct virtio_pci *v, uint64_t at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size && at + i < v->setup.class->config_size; i++)
        value |= (uint64_t)v->config[at + i] << 8 * i;
    return value;
}

static void config_write(struct virtio_pci *v, uint64_t at, unsigned size, uint64_t value)
{
    bool any = false;

    for (unsigned i = 0; i < size && at + i < v->setup.class->config_size; i++) {
        uint8_t mask = v->config_writable[at + i], *byte = &v->config[at + i];

        *byte = (*byte & ~mask) | ((value >> 8 * i) & mask);
        any |= mask;
    }
    if (any && v->setup.class->config_written)
        v->setup.class->config_written(v->setup.dev, (unsigned)at, size);
}

/* --- The legacy interface ----------------------------------------------- */

static void legacy_place(struct virtio_pci *v, uint32_t pfn)
{
    struct virtqueue *vq = selected(v);

    if (!vq)
        return;
    if (!pfn) {
        reset(v); /* drivers of 0.9 stop a device so, and the specification lets them */
        return;
    }
    virtqueue_place_legacy(vq, (uint64_t)pfn << 12);
    start_queue(v, vq);
}

static uint64_t legacy_read(void *dev, uint64_t at, unsigned size)
{
    struct virtio_pci *v = dev;
    const struct virtqueue *vq = selected(v);

    if (at >= LEGACY_CONFIG)
        return config_read(v, at - LEGACY_CONFIG, size);
    switch (at) {
    case LEGACY_FEATURES: return offered_legacy(v);
    case LEGACY_ACCEPTED: return (uint32_t)v->accepted;
    case LEGACY_QUEUE_PFN: return vq && vq->started ? vq->desc >> 12 : 0;
    case LEGACY_QUEUE_SIZE: return vq ? vq->max : 0;
    case LEGACY_QUEUE_SELECT: return v->queue_select;
    case LEGACY_STATUS: return read_status(v);
    case LEGACY_ISR: return read_isr(v);
    default: return 0;
    }
}

static void legacy_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    struct virtio_pci *v = dev;

    if (at >= LEGACY_CONFIG) {
        config_write(v, at - LEGACY_CONFIG, size, value);
        return;
    }
    switch (at) {
    case LEGACY_ACCEPTED: accept(v, value & offered_legacy(v)); break;
    case LEGACY_QUEUE_PFN: legacy_place(v, (uint32_t)value); break;
    case LEGACY_QUEUE_SELECT: v->queue_select = (uint16_t)value; break;
    case LEGACY_NOTIFY: notify(v, (uint16_t)value); break;
    case LEGACY_STATUS: write_status(v, (uint8_t)value, false); break;
    default: break;
    }
}

static const struct bus_ops legacy_ops = {
    .read = legacy_read,
    .write = legacy_write,
    .max_size = 4,
    .name = "virtio (legacy)",
};

/* --- The modern interface ----------------------------------------------- */

static void common_image_queue(const struct virtqueue *vq, unsigned number, uint8_t *image)
{
    put(image + COMMON_QUEUE_SIZE, 2, vq->size);
    put(image + COMMON_QUEUE_ENABLE, 2, vq->started);
    put(image + COMMON_QUEUE_NOTIFY, 2, number);
    put(image + COMMON_QUEUE_DESC, 8, vq->desc);
    put(image + COMMON_QUEUE_AVAIL, 8, vq->avail);
    put(image + COMMON_QUEUE_USED, 8, vq->used);
}

/* The whole structure as the driver would read it: it does so while it starts alone. */
static void common_image(struct virtio_pci *v, uint8_t image[COMMON_SIZE])
{
    uint32_t select = v->feature_select, driver = v->driver_feature_select;

    memset(image, 0, COMMON_SIZE);
    put(image + COMMON_FEATURE_SELECT, 4, select);
    put(image + COMMON_FEATURE, 4, select < 2 ? offered_modern(v) >> 32 * select : 0);
    put(image + COMMON_DRIVER_SELECT, 4, driver);
    put(image + COMMON_DRIVER, 4, driver < 2 ? v->accepted >> 32 * driver : 0);
    put(image + COMMON_VECTOR, 2, NO_VECTOR);
    put(image + COMMON_QUEUES, 2, v->setup.class->queues);
    image[COMMON_STATUS] = read_status(v);
    image[COMMON_GENERATION] = v->generation;
    put(image + COMMON_QUEUE_SELECT, 2, v->queue_select);
    put(image + COMMON_QUEUE_VECTOR, 2, NO_VECTOR);
    if (selected(v))
        common_image_queue(selected(v), v->queue_select, image);
}

static uint64_t common_read(struct virtio_pci *v, uint64_t at, unsigned size)
{
    uint8_t image[COMMON_SIZE];

    if (at == COMMON_STATUS && size == 1) /* what a driver waits for */
        return read_status(v);
    if (at + size > COMMON_SIZE)
        return 0;
    common_image(v, image);
    return get(image + at, size);
}

static void accept_half(struct virtio_pci *v, uint32_t value)
{
    unsigned shift = 32 * v->driver_feature_select;

    if (v->driver_feature_select > 1 || v->status & STATUS_FEATURES_OK)
        return;
    accept(v, (v->accepted & ~(0xffffffffull << shift)) | (uint64_t)value << shift);
}

static void half(uint64_t *field, bool high, uint64_t value)
{
    unsigned shift = high ? 32 : 0;

    *field = (*field & ~(0xffffffffull << shift)) | (value & 0xffffffff) << shift;
}

static void queue_write(struct virtio_pci *v, struct virtqueue *vq, uint64_t at, uint64_t value)
{
    if (!vq || vq->started)
        return;
    switch (at) {
    case COMMON_QUEUE_SIZE: vq->size = (uint16_t)value; break;
    case COMMON_QUEUE_ENABLE:
        if (value == 1)
            start_queue(v, vq);
        break;
    case COMMON_QUEUE_DESC: case COMMON_QUEUE_DESC + 4: half(&vq->desc, at & 4, value); break;
    case COMMON_QUEUE_AVAIL: case COMMON_QUEUE_AVAIL + 4: half(&vq->avail, at & 4, value); break;
    case COMMON_QUEUE_USED: case COMMON_QUEUE_USED + 4: half(&vq->used, at & 4, value); break;
    default: break;
    }
}

static void common_write(struct virtio_pci *v, uint64_t at, uint64_t value)
{
    switch (at) {
    case COMMON_FEATURE_SELECT: v->feature_select = (uint32_t)value; break;
    case COMMON_DRIVER_SELECT: v->driver_feature_select = (uint32_t)value; break;
    case COMMON_DRIVER: accept_half(v, (uint32_t)value); break;
    case COMMON_STATUS: write_status(v, (uint8_t)value, true); break;
    case COMMON_QUEUE_SELECT: v->queue_select = (uint16_t)value; break;
    default: queue_write(v, selected(v), at, value); break;
    }
}

static uint64_t modern_read(void *dev, uint64_t at, unsigned size)
{
    struct virtio_pci *v = dev;

    switch (at & ~(uint64_t)(PAGE_BYTES - 1)) {
    case PAGE_COMMON: return common_read(v, at, size);
    case PAGE_ISR: return at == PAGE_ISR ? read_isr(v) : 0;
    case PAGE_CONFIG: return config_read(v, at - PAGE_CONFIG, size);
    default: return 0;
    }
}

static void modern_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    struct virtio_pci *v = dev;

    switch (at & ~(uint64_t)(PAGE_BYTES - 1)) {
    case PAGE_COMMON: common_write(v, at, value); break;
    case PAGE_CONFIG: config_write(v, at - PAGE_CONFIG, size, value); break;
    case PAGE_NOTIFY: notify(v, (unsigned)(at - PAGE_NOTIFY) / NOTIFY_STRIDE); break;
    default: break;
    }
}

static const struct bus_ops modern_ops = {
    .read = modern_read,
    .write = modern_write,
    .max_size = 4,
    .name = "virtio",
};

/* --- Access by configuration space -------------------------------------- */

static bool touches_data(unsigned at, unsigned size)
{
    return at < CAP_ACCESS_DATA + 4 && CAP_ACCESS_DATA < at + size;
}

/* Where the driver points. False: not into BAR 4, or with a wrong length. */
static bool pointed(const struct virtio_pci *v, uint64_t *at, unsigned *size)
{
    const uint8_t *config = v->function.config;
    uint64_t length = get(config + CAP_ACCESS_LENGTH, 4);

    *at = get(config + CAP_ACCESS_OFFSET, 4);
    *size = (unsigned)length;
    return config[CAP_ACCESS_BAR] == MODERN_BAR && (length == 1 || length == 2 || length == 4) &&
           !(*at & (length - 1)) && *at < MODERN_SIZE;
}

static void config_space_reading(void *dev, unsigned at, unsigned size)
{
    struct virtio_pci *v = dev;
    uint64_t offset;
    unsigned length;

    if (touches_data(at, size) && pointed(v, &offset, &length))
        put(v->function.config + CAP_ACCESS_DATA, length, modern_read(v, offset, length));
}

static void config_space_written(void *dev, unsigned at, unsigned size)
{
    struct virtio_pci *v = dev;
    uint64_t offset;
    unsigned length;

    if (touches_data(at, size) && pointed(v, &offset, &length))
        modern_write(v, offset, length, get(v->function.config + CAP_ACCESS_DATA, length));
}

/* --- Identity ----------------------------------------------------------- */

/* Each type had an ID of its own before virtio 1.0. */
static uint16_t legacy_device(uint16_t type)
{
    switch (type) {
    case VIRTIO_NET: return 0x1000;
    case VIRTIO_BLK: return 0x1001;
    case VIRTIO_BALLOON: return 0x1002;
    case VIRTIO_CONSOLE: return 0x1003;
    case VIRTIO_RNG: return 0x1005;
    default: return 0x1000 + type;
    }
}

/* Appends a capability; *link is where its own address goes. Returns where the next one's goes. */
static unsigned add_cap(uint8_t *space, unsigned link, unsigned at, const uint8_t cap[4],
                        uint32_t length)
{
    space[link] = (uint8_t)at;
    space[at] = CAP_VENDOR_ID;
    space[at + 2] = cap[0];
    space[at + 3] = cap[1];
    space[at + 4] = cap[2];
    put(space + at + 8, 4, (uint32_t)cap[3] << 12);
    put(space + at + 12, 4, length);
    return at + 1;
}

static void add_caps(const struct virtio_pci *v, struct pci_function *f)
{
    const struct virtio_pci_class *class = v->setup.class;
    unsigned link = PCI_CAPABILITIES, at = CAP_FIRST;
    const struct {
        uint8_t cap[4]; /* size, type, BAR, page */
        uint32_t length;
    } caps[] = {
        { { CAP_SIZE, CAP_COMMON, MODERN_BAR, PAGE_COMMON >> 12 }, COMMON_SIZE },
        { { CAP_SIZE, CAP_ISR, MODERN_BAR, PAGE_ISR >> 12 }, 1 },
        { { CAP_SIZE, CAP_CONFIG, MODERN_BAR, PAGE_CONFIG >> 12 }, class->config_size },
        { { CAP_SIZE + 4, CAP_NOTIFY, MODERN_BAR, PAGE_NOTIFY >> 12 },
          class->queues * NOTIFY_STRIDE },
        { { CAP_SIZE + 4, CAP_PCI, 0, 0 }, 0 },
    };

    for (unsigned i = 0; i < sizeof(caps) / sizeof(*caps); at += caps[i++].cap[0])
        if (caps[i].length || caps[i].cap[1] == CAP_PCI)
            link = add_cap(f->after_reset, link, at, caps[i].cap, caps[i].length);
    put(f->after_reset + CAP_ACCESS - 4, 4, NOTIFY_STRIDE); /* the end of the one before */
    BUG_ON(at != CAP_END);
    f->after_reset[PCI_STATUS] |= STATUS_HAS_CAPABILITIES;
    f->writable[CAP_ACCESS_BAR] = 0xff;
    memset(f->writable + CAP_ACCESS_OFFSET, 0xff, 12);
    f->reading = config_space_reading;
    f->written = config_space_written;
}

static void identify(struct virtio_pci *v)
{
    const struct virtio_pci_class *class = v->setup.class;
    struct pci_function *f = &v->function;
    bool modern = v->setup.mode == VIRTIO_PCI_MODERN;
    uint8_t *space = f->after_reset;

    f->name = class->name;
    f->dev = v;
    put(space + PCI_VENDOR, 2, VENDOR_VIRTIO);
    put(space + PCI_DEVICE, 2, modern ? MODERN_DEVICE + class->type : legacy_device(class->type));
    space[PCI_REVISION] = modern;
    memcpy(space + PCI_CLASS, class->pci_class, 3);
    put(space + PCI_SUBSYSTEM_VENDOR, 2, VENDOR_VIRTIO);
    put(space + PCI_SUBSYSTEM, 2, modern ? MODERN_SUBSYSTEM : class->type);
    space[PCI_INTERRUPT_PIN] = 1;
    if (!modern)
        f->bar[0] = (struct pci_bar){ .size = LEGACY_SIZE, .ports = true, .ops = &legacy_ops,
                                      .dev = v };
    if (v->setup.mode == VIRTIO_PCI_LEGACY)
        return;
    f->bar[MODERN_BAR] = (struct pci_bar){ .size = MODERN_SIZE, .ops = &modern_ops, .dev = v };
    add_caps(v, f);
}

/* --- Life --------------------------------------------------------------- */

int virtio_pci_attach(struct virtio_pci *v, const struct virtio_pci_config *config)
{
    const struct virtio_pci_class *class = config->class;

    BUG_ON(class->queues > VIRTIO_PCI_QUEUES_MAX || class->config_size > VIRTIO_PCI_CONFIG_MAX);
    v->setup = *config;
    for (unsigned i = 0; i < class->queues; i++) {
        BUG_ON(class->queue_size[i] > VIRTQUEUE_SIZE_MAX);
        virtqueue_init(&v->queue[i], config->mem, class->queue_size[i]);
    }
    identify(v);
    return pci_attach(config->bus, config->slot, 0, &v->function);
}

void virtio_pci_detach(struct virtio_pci *v)
{
    if (v->function.bus)
        pci_detach(&v->function);
}

void virtio_pci_reset(struct virtio_pci *v)
{
    reset(v);
    pci_reset(&v->function);
}

void virtio_pci_snapshot(struct virtio_pci *v, struct snap *snap)
{
    uint64_t accepted = v->accepted;

    BUG_ON(v->held || v->stale);
    pci_snapshot(&v->function, snap);
    snap_bytes(snap, &accepted, sizeof(accepted));
    snap_bytes(snap, &v->feature_select, sizeof(v->feature_select));
    snap_bytes(snap, &v->driver_feature_select, sizeof(v->driver_feature_select));
    snap_bytes(snap, &v->queue_select, sizeof(v->queue_select));
    snap_u8(snap, &v->status);
    snap_u8(snap, &v->isr);
    snap_u8(snap, &v->generation);
    snap_bytes(snap, v->config, sizeof(v->config));
    for (unsigned i = 0; i < v->setup.class->queues; i++)
        virtqueue_snapshot(&v->queue[i], snap);
    accept(v, accepted);
}
