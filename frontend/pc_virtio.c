/* The virtio devices of the board: see pc_virtio.h. */
#include "frontend/pc_virtio.h"

#include <stdbool.h>
#include <stdlib.h>

#include "devices/virtio_9p.h"
#include "devices/virtio_balloon.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_rng.h"
#include "frontend/pc.h"

struct pc_virtio_chips {
    const struct pc_config *config; /* while it is made */
    struct pci_bus *bus;
    unsigned *next_slot;
    enum virtio_pci_mode mode;
    struct virtio_blk *disk[PC_VIRTIO_DISK_COUNT];
    struct virtio_console *console;
    struct virtio_rng *rng;
    struct virtio_balloon *balloon;
    struct virtio_9p *share[PC_SHARE_COUNT];
};

static bool create_disks(struct pc_virtio_chips *c)
{
    const struct pc_config *pc = c->config;

    for (unsigned i = 0; i < pc->virtio.disks; i++) {
        c->disk[i] = virtio_blk_create(&(struct virtio_blk_config){
            c->bus, (*c->next_slot)++, c->mode, pc->mem, pc->virtio.disk[i], i });
        if (!c->disk[i])
            return false;
    }
    return true;
}

static bool create_console(struct pc_virtio_chips *c)
{
    const struct pc_config *pc = c->config;

    if (!pc->virtio.console)
        return true;
    c->console = virtio_console_create(&(struct virtio_console_config){
        c->bus, (*c->next_slot)++, c->mode, pc->mem, pc->clock, pc->virtio.console });
    return c->console;
}

static bool create_rng(struct pc_virtio_chips *c)
{
    const struct pc_config *pc = c->config;

    if (!pc->virtio.rng)
        return true;
    c->rng = virtio_rng_create(&(struct virtio_rng_config){ c->bus, (*c->next_slot)++, c->mode,
                                                            pc->mem, pc->clock });
    return c->rng;
}

static bool create_balloon(struct pc_virtio_chips *c)
{
    const struct pc_config *pc = c->config;

    if (!pc->virtio.balloon)
        return true;
    c->balloon = virtio_balloon_create(&(struct virtio_balloon_config){
        c->bus, (*c->next_slot)++, c->mode, pc->mem, pc->clock, pc->virtio.balloon_reports });
    if (c->balloon && pc->virtio.balloon_target)
        virtio_balloon_set_target(c->balloon, pc->virtio.balloon_target);
    return c->balloon;
}

static bool create_shares(struct pc_virtio_chips *c)
{
    const struct pc_config *pc = c->config;

    for (unsigned i = 0; i < pc->virtio.shares; i++) {
        c->share[i] = virtio_9p_create(&(struct virtio_9p_config){
            c->bus, (*c->next_slot)++, c->mode, pc->mem, pc->virtio.share[i] });
        if (!c->share[i])
            return false;
    }
    return true;
}

struct pc_virtio_chips *pc_virtio_create(const struct pc_config *config, struct pci_bus *bus,
                                         unsigned *next_slot)
{
    struct pc_virtio_chips *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->config = config;
    c->bus = bus;
    c->next_slot = next_slot;
    c->mode = config->virtio.mode;
    if (create_disks(c) && create_console(c) && create_rng(c) && create_balloon(c) &&
        create_shares(c))
        return c;
    pc_virtio_destroy(c);
    return NULL;
}

void pc_virtio_destroy(struct pc_virtio_chips *c)
{
    for (unsigned i = 0; i < PC_SHARE_COUNT; i++)
        if (c->share[i])
            virtio_9p_destroy(c->share[i]);
    if (c->balloon)
        virtio_balloon_destroy(c->balloon);
    if (c->rng)
        virtio_rng_destroy(c->rng);
    if (c->console)
        virtio_console_destroy(c->console);
    for (unsigned i = 0; i < PC_VIRTIO_DISK_COUNT; i++)
        if (c->disk[i])
            virtio_blk_destroy(c->disk[i]);
    free(c);
}

void pc_virtio_reset(struct pc_virtio_chips *c)
{
    for (unsigned i = 0; i < PC_SHARE_COUNT; i++)
        if (c->share[i])
            virtio_9p_reset(c->share[i]);
    if (c->balloon)
        virtio_balloon_reset(c->balloon);
    if (c->rng)
        virtio_rng_reset(c->rng);
    if (c->console)
        virtio_console_reset(c->console);
    for (unsigned i = 0; i < PC_VIRTIO_DISK_COUNT; i++)
        if (c->disk[i])
            virtio_blk_reset(c->disk[i]);
}

void pc_virtio_snapshot(struct pc_virtio_chips *c, struct snap *snap)
{
    for (unsigned i = 0; i < PC_SHARE_COUNT; i++)
        if (c->share[i])
            virtio_9p_snapshot(c->share[i], snap);
    if (c->balloon)
        virtio_balloon_snapshot(c->balloon, snap);
    if (c->rng)
        virtio_rng_snapshot(c->rng, snap);
    if (c->console)
        virtio_console_snapshot(c->console, snap);
    for (unsigned i = 0; i < PC_VIRTIO_DISK_COUNT; i++)
        if (c->disk[i])
            virtio_blk_snapshot(c->disk[i], snap);
}

void pc_virtio_idle(struct pc_virtio_chips *c)
{
    if (c->console)
        virtio_console_flush(c->console);
}

struct virtio_balloon *pc_virtio_balloon(struct pc_virtio_chips *c)
{
    return c->balloon;
}
