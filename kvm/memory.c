/*
 * Guest memory as KVM's slots: runs of frames of one kind. Reference: Linux,
 * Documentation/virt/kvm/api.rst, KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG.
 *
 * ROM is a slot that cannot be written: a store to it comes back as MMIO. Video memory, which is
 * RAM beyond the end of RAM or in VGA's window, has a dirty log. While A20 is masked, every odd
 * megabyte is the even one below it, as runs of their own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/physmem.h"
#include "kvm/engine.h"

#define A20 (1ull << 20)

uint64_t memory_address(const struct kvm *k, uint64_t gpa)
{
    return k->vcpu->a20_masked ? gpa & ~A20 : gpa;
}

/* --- What there should be ------------------------------------------------------------ */

static uint32_t flags_of(const struct physmem *mem, uint64_t gpa)
{
    if (mem->kind[gpa >> PAGE_SHIFT] != PHYSMEM_RAM)
        return KVM_MEM_READONLY;
    if (gpa >= mem->size || gpa - PHYSMEM_WINDOW < PHYSMEM_WINDOW_SIZE)
        return KVM_MEM_LOG_DIRTY_PAGES;
    return 0;
}

/* The run of one kind from gpa on, at most up to end. */
static struct slot run_at(const struct kvm *k, uint64_t gpa, uint64_t end)
{
    const struct physmem *mem = k->vcpu->mem;
    struct slot run = { gpa, PAGE_SIZE, memory_address(k, gpa), 0 };
    uint8_t kind = mem->kind[run.source >> PAGE_SHIFT];

    run.flags = kind == PHYSMEM_NONE ? 0 : flags_of(mem, run.source);
    while (gpa + run.size < end && gpa + run.size != mem->size) {
        uint64_t source = memory_address(k, gpa + run.size);

        if (source != run.source + run.size || mem->kind[source >> PAGE_SHIFT] != kind ||
            (kind == PHYSMEM_RAM && flags_of(mem, source) != run.flags))
            break;
        run.size += PAGE_SIZE;
    }
    return run;
}

static bool make_room(struct kvm *k, unsigned count)
{
    struct slot *more;

    if (count < k->slots_made)
        return true;
    more = realloc(k->slot, (count + 64) * sizeof(*more));
    if (!more)
        return false;
    memset(more + k->slots_made, 0, (count + 64 - k->slots_made) * sizeof(*more));
    k->slot = more;
    k->slots_made = count + 64;
    return true;
}

static bool same(const struct slot *a, const struct slot *b)
{
    return a->gpa == b->gpa && a->size == b->size && a->source == b->source &&
           a->flags == b->flags;
}

/* --- Telling the kernel -------------------------------------------------------------- */

static bool set_slot(struct kvm *k, unsigned number, const struct slot *slot)
{
    struct kvm_userspace_memory_region region = {
        .slot = number,
        .flags = slot->size ? slot->flags : 0,
        .guest_phys_addr = slot->gpa,
        .memory_size = slot->size,
        .userspace_addr = (uintptr_t)(k->vcpu->mem->ram + slot->source),
    };

    return KVM_ASK(&k->host, k->host.vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static bool drop_slot(struct kvm *k, unsigned number)
{
    struct slot *slot = &k->slot[number];

    if (!slot->size)
        return true;
    slot->size = 0;
    return set_slot(k, number, slot);
}

static bool no_room(struct kvm *k)
{
    k->host.failed = "more kinds of memory than KVM has slots for";
    k->host.err = ENOSPC;
    return false;
}

/* Slots from number on that are not as they should be, until the runs end. */
static bool each_slot(struct kvm *k, bool (*act)(struct kvm *k, unsigned number,
                                                 const struct slot *wanted), unsigned *count)
{
    struct slot run;

    *count = 0;
    for (uint64_t gpa = 0; gpa < PHYSMEM_LIMIT; gpa += run.size) {
        run = run_at(k, gpa, PHYSMEM_LIMIT);
        if (!physmem_is_ram(k->vcpu->mem, run.source))
            continue;
        if (*count >= (unsigned)k->host.slots || !make_room(k, *count))
            return no_room(k);
        if (!same(&k->slot[*count], &run) && !act(k, *count, &run))
            return false;
        ++*count;
    }
    return true;
}

static bool drop_old(struct kvm *k, unsigned number, const struct slot *wanted)
{
    (void)wanted;
    return drop_slot(k, number);
}

static bool make_new(struct kvm *k, unsigned number, const struct slot *wanted)
{
    k->slot[number] = *wanted;
    return set_slot(k, number, wanted);
}

bool memory_update(struct kvm *k)
{
    unsigned count;

    if (!k->relayout)
        return true;
    if (!each_slot(k, drop_old, &count))
        return false;
    for (unsigned i = count; i < k->slots; i++)
        if (!drop_slot(k, i))
            return false;
    k->slots = count;
    k->relayout = false;
    return each_slot(k, make_new, &count);
}

/* --- Who writes what is shown -------------------------------------------------------- */

static bool get_log(struct kvm *k, unsigned number)
{
    struct kvm_dirty_log log = { .slot = number, .dirty_bitmap = k->dirty };
    size_t size = (k->slot[number].size / PAGE_SIZE + 63) / 64 * 8;

    if (size > k->dirty_size) {
        free(k->dirty);
        k->dirty = malloc(size);
        k->dirty_size = k->dirty ? size : 0;
        log.dirty_bitmap = k->dirty;
    }
    return k->dirty && !ioctl(k->host.vm, KVM_GET_DIRTY_LOG, &log);
}

/* A log that cannot be had says that all has been written. */
static void collect_slot(struct kvm *k, unsigned number)
{
    struct physmem *mem = k->vcpu->mem;
    const struct slot *slot = &k->slot[number];
    bool got = get_log(k, number);
    uint64_t first;

    for (uint64_t i = 0; i < slot->size / PAGE_SIZE; i++) {
        uint64_t gfn = (slot->source >> PAGE_SHIFT) + i;

        if ((!got || k->dirty[i / 64] >> i % 64 & 1) &&
            physmem_watched(mem, gfn) & WATCH_DISPLAY)
            physmem_touch(mem, gfn, &first);
    }
}

void memory_collect(struct kvm *k)
{
    if (!k->shown)
        return;
    for (unsigned i = 0; i < k->slots; i++)
        if (k->slot[i].size && k->slot[i].flags & KVM_MEM_LOG_DIRTY_PAGES)
            collect_slot(k, i);
    k->vcpu->sample_soon = !k->vcpu->mem->touched; /* the log does not tell by itself */
}

/* physmem's. The guest does not run, and what it has written before has been collected. */
static void on_watch(void *arg, uint64_t gfn, uint64_t count)
{
    (void)gfn, (void)count;
    ((struct kvm *)arg)->shown = true;
}

/* --- Life ---------------------------------------------------------------------------- */

bool memory_create(struct kvm *k)
{
    k->relayout = true;
    k->vcpu->mem->on_write = NULL;
    k->vcpu->mem->on_watch = on_watch;
    k->vcpu->mem->arg = k;
    return memory_update(k);
}

void memory_destroy(struct kvm *k)
{
    k->vcpu->mem->on_watch = NULL;
    free(k->slot);
    free(k->dirty);
}
