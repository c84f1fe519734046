/*
 * What drivers see of a virtio device on PCI: the registers of both interfaces, the capabilities
 * that say where they are, and the identity. What they do is virtio_pci.c's.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 4.1.4 (structures in PCI memory), 4.1.4.7 (access by
 *            configuration space), 4.1.4.8 (the legacy interface).
 * Modelled:  BAR 0, ports, of the legacy interface; BAR 4, memory, of the modern one; BAR 1,
 *            MSI-X, where the board takes messages.
 */
#include <string.h>

#include "base/bug.h"
#include "devices/bus.h"
#include "devices/virtio_pci_private.h"

/* --- Registers ---------------------------------------------------------- */

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
    LEGACY_CONFIG = 20,        /* without MSI-X, which has two words here */
    LEGACY_CONFIG_VECTOR = 20,
    LEGACY_QUEUE_VECTOR = 22,
    LEGACY_CONFIG_MSIX = 24,
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
    MSIX_BAR = 1,
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

/* --- Device-specific configuration -------------------------------------- */

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
    struct virtqueue *vq = virtio_pci_selected(v);

    if (!vq)
        return;
    if (!pfn) {
        virtio_pci_write_status(v, 0, false); /* so drivers of 0.9 stop a device; they may */
        return;
    }
    virtqueue_place_legacy(vq, (uint64_t)pfn << 12);
    virtio_pci_start_queue(v, vq);
}

static unsigned legacy_config(const struct virtio_pci *v)
{
    return pci_msix_on(&v->msix) ? LEGACY_CONFIG_MSIX : LEGACY_CONFIG;
}

static uint64_t legacy_read(void *dev, uint64_t at, unsigned size)
{
    struct virtio_pci *v = dev;
    const struct virtqueue *vq = virtio_pci_selected(v);

    if (at >= legacy_config(v))
        return config_read(v, at - legacy_config(v), size);
    switch (at) {
    case LEGACY_FEATURES: return virtio_pci_offered_legacy(v);
    case LEGACY_ACCEPTED: return (uint32_t)v->accepted;
    case LEGACY_QUEUE_PFN: return vq && vq->started ? vq->desc >> 12 : 0;
    case LEGACY_QUEUE_SIZE: return vq ? vq->max : 0;
    case LEGACY_QUEUE_SELECT: return v->queue_select;
    case LEGACY_STATUS: return virtio_pci_read_status(v);
    case LEGACY_ISR: return virtio_pci_read_isr(v);
    case LEGACY_CONFIG_VECTOR: return v->config_vector;
    case LEGACY_QUEUE_VECTOR: return virtio_pci_queue_vector(v);
    default: return 0;
    }
}

static void legacy_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    struct virtio_pci *v = dev;

    if (at >= legacy_config(v)) {
        config_write(v, at - legacy_config(v), size, value);
        return;
    }
    switch (at) {
    case LEGACY_ACCEPTED: virtio_pci_accept(v, value & virtio_pci_offered_legacy(v)); break;
    case LEGACY_QUEUE_PFN: legacy_place(v, (uint32_t)value); break;
    case LEGACY_QUEUE_SELECT: v->queue_select = (uint16_t)value; break;
    case LEGACY_NOTIFY: virtio_pci_notify(v, (uint16_t)value); break;
    case LEGACY_STATUS: virtio_pci_write_status(v, (uint8_t)value, false); break;
    case LEGACY_CONFIG_VECTOR: virtio_pci_set_config_vector(v, (uint16_t)value); break;
    case LEGACY_QUEUE_VECTOR: virtio_pci_set_queue_vector(v, (uint16_t)value); break;
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
    put_le(image + COMMON_QUEUE_SIZE, 2, vq->size);
    put_le(image + COMMON_QUEUE_ENABLE, 2, vq->started);
    put_le(image + COMMON_QUEUE_NOTIFY, 2, number);
    put_le(image + COMMON_QUEUE_DESC, 8, vq->desc);
    put_le(image + COMMON_QUEUE_AVAIL, 8, vq->avail);
    put_le(image + COMMON_QUEUE_USED, 8, vq->used);
}

/* The whole structure as the driver would read it: it does so while it starts alone. */
static void common_image(struct virtio_pci *v, uint8_t image[COMMON_SIZE])
{
    uint32_t select = v->feature_select, driver = v->driver_feature_select;

    memset(image, 0, COMMON_SIZE);
    put_le(image + COMMON_FEATURE_SELECT, 4, select);
    put_le(image + COMMON_FEATURE, 4, select < 2 ? virtio_pci_offered_modern(v) >> 32 * select : 0);
    put_le(image + COMMON_DRIVER_SELECT, 4, driver);
    put_le(image + COMMON_DRIVER, 4, driver < 2 ? v->accepted >> 32 * driver : 0);
    put_le(image + COMMON_VECTOR, 2, v->config_vector);
    put_le(image + COMMON_QUEUES, 2, v->setup.class->queues);
    image[COMMON_STATUS] = virtio_pci_read_status(v);
    image[COMMON_GENERATION] = v->generation;
    put_le(image + COMMON_QUEUE_SELECT, 2, v->queue_select);
    put_le(image + COMMON_QUEUE_VECTOR, 2, virtio_pci_queue_vector(v));
    if (virtio_pci_selected(v))
        common_image_queue(virtio_pci_selected(v), v->queue_select, image);
}

static uint64_t common_read(struct virtio_pci *v, uint64_t at, unsigned size)
{
    uint8_t image[COMMON_SIZE];

    if (at == COMMON_STATUS && size == 1) /* what a driver waits for */
        return virtio_pci_read_status(v);
    if (at + size > COMMON_SIZE)
        return 0;
    common_image(v, image);
    return get_le(image + at, size);
}

static void accept_half(struct virtio_pci *v, uint32_t value)
{
    unsigned shift = 32 * v->driver_feature_select;

    if (v->driver_feature_select > 1 || v->status & STATUS_FEATURES_OK)
        return;
    virtio_pci_accept(v, (v->accepted & ~(0xffffffffull << shift)) | (uint64_t)value << shift);
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
            virtio_pci_start_queue(v, vq);
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
    case COMMON_STATUS: virtio_pci_write_status(v, (uint8_t)value, true); break;
    case COMMON_QUEUE_SELECT: v->queue_select = (uint16_t)value; break;
    case COMMON_VECTOR: virtio_pci_set_config_vector(v, (uint16_t)value); break;
    case COMMON_QUEUE_VECTOR: virtio_pci_set_queue_vector(v, (uint16_t)value); break;
    default: queue_write(v, virtio_pci_selected(v), at, value); break;
    }
}

static uint64_t modern_read(void *dev, uint64_t at, unsigned size)
{
    struct virtio_pci *v = dev;

    switch (at & ~(uint64_t)(PAGE_BYTES - 1)) {
    case PAGE_COMMON: return common_read(v, at, size);
    case PAGE_ISR: return at == PAGE_ISR ? virtio_pci_read_isr(v) : 0;
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
    case PAGE_NOTIFY: virtio_pci_notify(v, (unsigned)(at - PAGE_NOTIFY) / NOTIFY_STRIDE); break;
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
    uint64_t length = get_le(config + CAP_ACCESS_LENGTH, 4);

    *at = get_le(config + CAP_ACCESS_OFFSET, 4);
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
        put_le(v->function.config + CAP_ACCESS_DATA, length, modern_read(v, offset, length));
}

static void config_space_written(void *dev, unsigned at, unsigned size)
{
    struct virtio_pci *v = dev;
    uint64_t offset;
    unsigned length;

    virtio_pci_update_line(v);
    pci_msix_written(&v->msix, at, size);
    if (v->setup.mode == VIRTIO_PCI_LEGACY)
        return;
    if (touches_data(at, size) && pointed(v, &offset, &length))
        modern_write(v, offset, length, get_le(v->function.config + CAP_ACCESS_DATA, length));
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
    put_le(space + at + 8, 4, (uint32_t)cap[3] << 12);
    put_le(space + at + 12, 4, length);
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
    put_le(f->after_reset + CAP_ACCESS - 4, 4, NOTIFY_STRIDE); /* the end of the one before */
    BUG_ON(at != CAP_END);
    f->after_reset[PCI_STATUS] |= STATUS_HAS_CAPABILITIES;
    f->writable[CAP_ACCESS_BAR] = 0xff;
    memset(f->writable + CAP_ACCESS_OFFSET, 0xff, 12);
    f->reading = config_space_reading;
}

void virtio_pci_identify(struct virtio_pci *v)
{
    const struct virtio_pci_class *class = v->setup.class;
    struct pci_function *f = &v->function;
    bool modern = v->setup.mode == VIRTIO_PCI_MODERN;
    uint8_t *space = f->after_reset;

    f->name = class->name;
    f->dev = v;
    put_le(space + PCI_VENDOR, 2, VENDOR_VIRTIO);
    put_le(space + PCI_DEVICE, 2,
           modern ? MODERN_DEVICE + class->type : legacy_device(class->type));
    space[PCI_REVISION] = modern;
    memcpy(space + PCI_CLASS, class->pci_class, 3);
    put_le(space + PCI_SUBSYSTEM_VENDOR, 2, VENDOR_VIRTIO);
    put_le(space + PCI_SUBSYSTEM, 2, modern ? MODERN_SUBSYSTEM : class->type);
    space[PCI_INTERRUPT_PIN] = 1;
    if (!modern)
        f->bar[0] = (struct pci_bar){ .size = LEGACY_SIZE, .ports = true, .ops = &legacy_ops,
                                      .dev = v };
    f->written = config_space_written;
    if (v->setup.mode != VIRTIO_PCI_LEGACY) {
        f->bar[MODERN_BAR] = (struct pci_bar){ .size = MODERN_SIZE, .ops = &modern_ops,
                                               .dev = v };
        add_caps(v, f);
    }
    if (pci_takes_messages(v->setup.bus)) /* a vector for each queue, and one for the rest */
        pci_msix_add(&v->msix, f, MSIX_BAR, CAP_END, class->queues + 1);
}
