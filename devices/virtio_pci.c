/*
 * Virtio over PCI: see virtio_pci.h.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 2.1 (status), 2.2 (features), 4.1 (over PCI).
 * Modelled:  status, features, queues, INTA#, MSI-X; the registers are virtio_pci_regs.c's.
 * Not:       notification data, resets of single queues.
 *
 * A modern device moves memory only while the driver has made it bus master. Legacy drivers often
 * forgot that; they need not have.
 */
#include "devices/virtio_pci_private.h"

#include <string.h>

#include "base/bug.h"
#include "base/log.h"
#include "base/snap.h"

/* --- Bits --------------------------------------------------------------- */

enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

#define FEATURES_RINGS (1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)

/* --- Interrupts --------------------------------------------------------- */

static void raise(struct virtio_pci *v, uint8_t why, uint16_t vector)
{
    if (pci_msix_on(&v->msix)) {
        pci_msix_send(&v->msix, vector);
        return;
    }
    v->isr |= why;
    pci_set_irq(&v->function, true);
}

void virtio_pci_update_line(struct virtio_pci *v)
{
    pci_set_irq(&v->function, v->isr && !pci_msix_on(&v->msix));
}

static uint16_t known_vector(const struct virtio_pci *v, uint16_t vector)
{
    return vector < v->msix.count ? vector : NO_VECTOR;
}

void virtio_pci_set_config_vector(struct virtio_pci *v, uint16_t vector)
{
    v->config_vector = known_vector(v, vector);
}

void virtio_pci_set_queue_vector(struct virtio_pci *v, uint16_t vector)
{
    if (virtio_pci_selected(v))
        v->queue_vector[v->queue_select] = known_vector(v, vector);
}

uint16_t virtio_pci_queue_vector(const struct virtio_pci *v)
{
    return v->queue_select < v->setup.class->queues ? v->queue_vector[v->queue_select] : NO_VECTOR;
}

uint8_t virtio_pci_read_isr(struct virtio_pci *v)
{
    uint8_t isr = v->isr;

    v->isr = 0;
    pci_set_irq(&v->function, false);
    return isr;
}

/* --- Features and status ------------------------------------------------ */

uint64_t virtio_pci_offered_modern(const struct virtio_pci *v)
{
    return v->setup.features | FEATURES_RINGS | 1ull << VIRTIO_F_VERSION_1;
}

uint32_t virtio_pci_offered_legacy(const struct virtio_pci *v)
{
    return (uint32_t)(v->setup.features | FEATURES_RINGS | 1ull << VIRTIO_F_ANY_LAYOUT);
}

void virtio_pci_accept(struct virtio_pci *v, uint64_t features)
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
    virtio_pci_read_isr(v);
    v->config_vector = NO_VECTOR;
    v->early = 0;
    for (unsigned i = 0; i < v->setup.class->queues; i++) {
        virtqueue_reset(&v->queue[i]);
        v->queue_vector[i] = NO_VECTOR;
    }
    virtio_pci_accept(v, 0);
    if (v->setup.class->reset)
        v->setup.class->reset(v->setup.dev);
}

/* DRIVER_OK. Linux's balloon has notified of its statistics before, and never does again. */
static void start(struct virtio_pci *v)
{
    unsigned early = v->early;

    v->early = 0;
    if (v->setup.class->start)
        v->setup.class->start(v->setup.dev);
    for (unsigned i = 0; i < v->setup.class->queues; i++)
        if (early >> i & 1)
            virtio_pci_notify(v, i);
}

uint8_t virtio_pci_read_status(const struct virtio_pci *v)
{
    return v->status ? v->status : v->stale ? STATUS_BUSY : 0;
}

void virtio_pci_write_status(struct virtio_pci *v, uint8_t value, bool modern)
{
    uint8_t before = v->status;

    if (!value) {
        reset(v);
        return;
    }
    if (modern && value & ~before & STATUS_FEATURES_OK &&
        (v->accepted & ~virtio_pci_offered_modern(v) || !virtio_pci_has(v, VIRTIO_F_VERSION_1)))
        value &= ~STATUS_FEATURES_OK;
    v->status = value | (before & STATUS_NEEDS_RESET);
    if (value & ~before & STATUS_DRIVER_OK)
        start(v);
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
        raise(v, ISR_CONFIG, v->config_vector);
}

/* --- Queues ------------------------------------------------------------- */

struct virtqueue *virtio_pci_selected(struct virtio_pci *v)
{
    return v->queue_select < v->setup.class->queues ? &v->queue[v->queue_select] : NULL;
}

void virtio_pci_start_queue(struct virtio_pci *v, struct virtqueue *vq)
{
    if (!virtqueue_start(vq))
        virtio_pci_fail(v, "a queue that cannot be");
}

void virtio_pci_notify(struct virtio_pci *v, unsigned queue)
{
    if (queue >= v->setup.class->queues || !v->queue[queue].started)
        return;
    if (!virtio_pci_is_live(v)) {
        v->early |= (uint8_t)(1u << queue);
        return;
    }
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
        raise(v, ISR_QUEUE, v->queue_vector[queue]);
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
    put_le(v->config + at, size, value);
}

uint64_t virtio_pci_get(const struct virtio_pci *v, unsigned at, unsigned size)
{
    BUG_ON(at + size > VIRTIO_PCI_CONFIG_MAX);
    return get_le(v->config + at, size);
}

void virtio_pci_config_changed(struct virtio_pci *v)
{
    v->generation++;
    if (v->status & STATUS_DRIVER_OK)
        raise(v, ISR_CONFIG, v->config_vector);
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
    virtio_pci_identify(v);
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
    pci_msix_reset(&v->msix);
}

void virtio_pci_snapshot(struct virtio_pci *v, struct snap *snap)
{
    uint64_t accepted = v->accepted;

    BUG_ON(v->held || v->stale);
    pci_snapshot(&v->function, snap);
    pci_msix_snapshot(&v->msix, snap);
    snap_bytes(snap, &v->config_vector, sizeof(v->config_vector));
    snap_bytes(snap, v->queue_vector, sizeof(v->queue_vector));
    snap_bytes(snap, &accepted, sizeof(accepted));
    snap_bytes(snap, &v->feature_select, sizeof(v->feature_select));
    snap_bytes(snap, &v->driver_feature_select, sizeof(v->driver_feature_select));
    snap_bytes(snap, &v->queue_select, sizeof(v->queue_select));
    snap_u8(snap, &v->status);
    snap_u8(snap, &v->isr);
    snap_u8(snap, &v->generation);
    snap_u8(snap, &v->early);
    snap_bytes(snap, v->config, sizeof(v->config));
    for (unsigned i = 0; i < v->setup.class->queues; i++)
        virtqueue_snapshot(&v->queue[i], snap);
    virtio_pci_accept(v, accepted);
}
