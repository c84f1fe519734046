/*
 * Map requests: queued as the system calls that the mapper makes of them, carried out in batches.
 *
 * The monitor is the only one who writes requests; the mapper's filter would stop what does not
 * stay below 4 GiB. Holes are holes: nobody else in the process maps anything.
 */
#include <asm/ldt.h>
#include <asm/unistd.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "direct/sandbox_private.h"

#define FUTEX_WAKE 1

int sandbox_settle(struct sandbox *s)
{
    if (!s->unread)
        return 0;
    s->unread = false;
    return sandbox_wait_done(s);
}

void sandbox_send_batch(struct sandbox *s, uint32_t flags)
{
    s->orders->flags = (s->orders->flags & ~(uint32_t)STUB_START) | flags;
    s->orders->count = s->queued;
    s->orders->start = s->map + 1;
    __atomic_store_n(&s->orders->run, s->run, __ATOMIC_SEQ_CST); /* a new one with STUB_START */
    s->queued = 0;
    s->ordered = false;
    s->unread = true;
    s->stats.flushes++;
    __atomic_store_n(&s->orders->map, ++s->map, __ATOMIC_SEQ_CST);
    sandbox_futex(&s->orders->map, FUTEX_WAKE, 1, NULL);
}

int sandbox_flush(struct sandbox *s)
{
    int error = s->lost ? -EOWNERDEAD : sandbox_settle(s);

    if (error || !s->queued)
        return error;
    sandbox_send_batch(s, 0);
    return sandbox_settle(s);
}

/* The next free request, or NULL: *error is set. */
static struct stub_request *queue(struct sandbox *s, bool ordered, int *error)
{
    *error = s->lost ? -EOWNERDEAD : sandbox_settle(s);
    if (!*error && s->queued == STUB_REQUEST_COUNT)
        *error = sandbox_flush(s);
    if (*error)
        return NULL;
    s->stats.requests++;
    s->ordered |= ordered;
    return &s->request[s->queued++];
}

static int check(const struct sandbox *s, uint64_t gva, uint64_t pages)
{
    const struct sandbox_caps *caps = &s->host->caps;

    if (gva % PAGE || !pages || pages > caps->max_gva / PAGE)
        return -EINVAL;
    if (gva < caps->min_gva || gva + pages * PAGE > caps->max_gva)
        return -EINVAL;
    return 0;
}

static uint64_t host_prot(unsigned prot)
{
    return (prot & SANDBOX_READ ? PROT_READ : 0) | (prot & SANDBOX_WRITE ? PROT_WRITE : 0)
           | (prot & SANDBOX_EXEC ? PROT_EXEC : 0);
}

int sandbox_map(struct sandbox *s, uint64_t gva, uint64_t gpa, uint64_t pages, unsigned prot,
                bool populate)
{
    int error = check(s, gva, pages);
    struct stub_request *r;

    if (error)
        return error;
    if (gpa % PAGE || gpa >= s->host->ram_size || pages * PAGE > s->host->ram_size - gpa)
        return -EINVAL;
    r = queue(s, !(prot & SANDBOX_FRESH), &error);
    if (!r)
        return error;
    r->number = __NR_mmap;
    r->arg[0] = gva;
    r->arg[1] = pages * PAGE;
    r->arg[2] = host_prot(prot);
    r->arg[3] = MAP_SHARED | MAP_FIXED | (populate ? MAP_POPULATE : 0);
    r->arg[4] = STUB_FD_RAM;
    r->arg[5] = gpa;
    return 0;
}

static int queue_range(struct sandbox *s, uint64_t number, uint64_t gva, uint64_t pages,
                       uint64_t prot)
{
    int error = check(s, gva, pages);
    struct stub_request *r = error ? NULL : queue(s, true, &error);

    if (!r)
        return error;
    r->number = number;
    r->arg[0] = gva;
    r->arg[1] = pages * PAGE;
    r->arg[2] = prot;
    return 0;
}

int sandbox_unmap(struct sandbox *s, uint64_t gva, uint64_t pages)
{
    return queue_range(s, __NR_munmap, gva, pages, 0);
}

int sandbox_protect(struct sandbox *s, uint64_t gva, uint64_t pages, unsigned prot)
{
    return queue_range(s, __NR_mprotect, gva, pages, host_prot(prot));
}

static int queue_entry(struct sandbox *s, const struct user_desc *desc)
{
    int error;
    struct stub_request *r = queue(s, true, &error);
    uint64_t at;

    if (!r)
        return error;
    sandbox_copy(&r->arg[3], desc, sizeof(*desc));
    at = STUB_ORDERS + (uint64_t)((uint8_t *)&r->arg[3] - s->shared);
    r->number = __NR_modify_ldt;
    r->arg[0] = 0x11;
    r->arg[1] = at;
    r->arg[2] = sizeof(*desc);
    s->ldt_base[desc->entry_number] = desc->base_addr;
    return 0;
}

int sandbox_queue_ldt(struct sandbox *s, unsigned entry, uint32_t base, uint32_t limit,
                      bool limit_in_pages)
{
    struct user_desc desc = { .entry_number = entry };

    if (!limit) { /* the kernel's idea of an empty entry */
        desc.read_exec_only = desc.seg_not_present = 1;
        return queue_entry(s, &desc);
    }
    desc.base_addr = base;
    desc.limit = limit;
    desc.limit_in_pages = limit_in_pages;
    desc.seg_32bit = desc.useable = 1;
    return queue_entry(s, &desc);
}

int sandbox_queue_descriptor(struct sandbox *s, unsigned entry, uint64_t d)
{
    const struct user_desc desc = {
        .entry_number = entry,
        .base_addr = (d >> 16 & 0xffffff) | (d >> 56) << 24,
        .limit = (d & 0xffff) | (d >> 32 & 0xf0000),
        .seg_32bit = 1, .contents = d >> 42 & 1, .read_exec_only = ~d >> 41 & 1,
        .limit_in_pages = d >> 55 & 1, .useable = d >> 52 & 1,
    };

    return queue_entry(s, &desc);
}
