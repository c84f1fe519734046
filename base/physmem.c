/* Guest physical memory: see physmem.h for the invariants. */
#include "base/physmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

int physmem_init(struct physmem *pm, uint64_t size)
{
    int err;

    memset(pm, 0, sizeof(*pm));
    pm->size = size & ~PAGE_MASK;
    pm->frames = pm->size >> PAGE_SHIFT;
    pm->fd = memfd_create("novt-ram", MFD_CLOEXEC);
    if (pm->fd < 0)
        return -errno;
    if (ftruncate(pm->fd, (off_t)pm->size))
        goto fail;
    pm->ram = mmap(NULL, pm->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, pm->fd, 0);
    if (pm->ram == MAP_FAILED)
        goto fail;
    pm->watch = calloc(pm->frames, 1);
    if (!pm->watch)
        goto fail;
    return 0;
fail:
    err = -errno;
    physmem_destroy(pm);
    return err;
}

void physmem_destroy(struct physmem *pm)
{
    if (pm->ram && pm->ram != MAP_FAILED)
        munmap(pm->ram, pm->size);
    if (pm->fd >= 0)
        close(pm->fd);
    free(pm->watch);
    memset(pm, 0, sizeof(*pm));
    pm->fd = -1;
}

static const char *watch_name(uint8_t bits)
{
    return bits == WATCH_TABLE ? "page table" : bits == WATCH_CODE ? "code" : "page table, code";
}

void physmem_watch(struct physmem *pm, uint64_t gfn, uint8_t bits)
{
    if (gfn >= pm->frames)
        return;
    if (!pm->watch[gfn] && pm->on_watch)
        pm->on_watch(pm->arg, gfn);
    if (log_on(LOG_trace) && (pm->watch[gfn] & bits) != bits)
        log_print(LOG_trace, "trace set on frame %llx: %s\n", (unsigned long long)gfn,
                  watch_name(bits));
    pm->watch[gfn] |= bits;
}

void physmem_unwatch(struct physmem *pm, uint64_t gfn, uint8_t bits)
{
    if (gfn >= pm->frames)
        return;
    if (log_on(LOG_trace) && pm->watch[gfn] & bits)
        log_print(LOG_trace, "trace dropped from frame %llx: %s\n", (unsigned long long)gfn,
                  watch_name(bits));
    pm->watch[gfn] &= ~bits;
}

void physmem_written(struct physmem *pm, uint64_t gpa, uint64_t size)
{
    while (size && pm->on_write) {
        uint64_t part = PAGE_SIZE - (gpa & PAGE_MASK);

        if (part > size)
            part = size;
        if (physmem_watched(pm, gpa >> PAGE_SHIFT))
            pm->on_write(pm->arg, gpa, part);
        gpa += part;
        size -= part;
    }
}

/* The longest run from gpa that is all RAM or all not, at most size bytes. */
static uint64_t run_length(const struct physmem *pm, uint64_t gpa, uint64_t size, bool *ram)
{
    uint64_t end = UINT64_MAX;

    *ram = physmem_is_ram(pm, gpa);
    if (gpa < pm->hole_start)
        end = pm->hole_start;
    else if (gpa < pm->hole_end)
        end = pm->hole_end;
    else if (gpa < pm->size)
        end = pm->size;
    if (gpa < pm->size && end > pm->size)
        end = pm->size;
    return end - gpa < size ? end - gpa : size;
}

bool physmem_read(const struct physmem *pm, uint64_t gpa, void *to, uint64_t size)
{
    uint8_t *out = to;
    bool all = true, ram;

    while (size) {
        uint64_t run = run_length(pm, gpa, size, &ram);

        if (ram)
            memcpy(out, pm->ram + gpa, run);
        else
            memset(out, 0xff, run);
        all &= ram;
        out += run;
        gpa += run;
        size -= run;
    }
    return all;
}

bool physmem_write(struct physmem *pm, uint64_t gpa, const void *from, uint64_t size)
{
    const uint8_t *in = from;
    bool all = true, ram;

    while (size) {
        uint64_t run = run_length(pm, gpa, size, &ram);

        if (ram) {
            memcpy(pm->ram + gpa, in, run);
            physmem_written(pm, gpa, run);
        }
        all &= ram;
        in += run;
        gpa += run;
        size -= run;
    }
    return all;
}
