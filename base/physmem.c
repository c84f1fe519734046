/* Guest physical memory: see physmem.h for the invariants. */
#include "base/physmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/log.h"

#define TOUCH_FRAMES     16 /* a power of two */
#define TOUCH_FRAMES_MAX 256
#define LOW_END      0x100000u

int physmem_init(struct physmem *pm, uint64_t size)
{
    int err;

    memset(pm, 0, sizeof(*pm));
    pm->size = size & ~PAGE_MASK;
    pm->frames = PHYSMEM_LIMIT >> PAGE_SHIFT;
    if (pm->size > PHYSMEM_LIMIT)
        return -EINVAL;
    pm->fd = memfd_create("novt-ram", MFD_CLOEXEC);
    if (pm->fd < 0)
        return -errno;
    if (ftruncate(pm->fd, (off_t)PHYSMEM_LIMIT))
        goto fail;
    pm->ram = mmap(NULL, PHYSMEM_LIMIT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, pm->fd,
                   0);
    if (pm->ram == MAP_FAILED)
        goto fail;
    pm->watch = calloc(pm->frames, 1);
    pm->kind = calloc(pm->frames, 1);
    pm->behind = calloc(PHYSMEM_BEHIND_SIZE, 1);
    if (!pm->watch || !pm->kind || !pm->behind)
        goto fail;
    memset(pm->kind, PHYSMEM_RAM, pm->size >> PAGE_SHIFT);
    return 0;
fail:
    err = -errno;
    physmem_destroy(pm);
    return err;
}

void physmem_destroy(struct physmem *pm)
{
    if (pm->ram && pm->ram != MAP_FAILED)
        munmap(pm->ram, PHYSMEM_LIMIT);
    if (pm->fd >= 0)
        close(pm->fd);
    free(pm->watch);
    free(pm->kind);
    free(pm->behind);
    memset(pm, 0, sizeof(*pm));
    pm->fd = -1;
}

/* --- What is where --------------------------------------------------------- */

static void note_kind(struct physmem *pm, uint64_t gpa, uint64_t size, enum physmem_kind kind)
{
    BUG_ON((gpa | size) & PAGE_MASK || gpa > PHYSMEM_LIMIT || size > PHYSMEM_LIMIT - gpa);
    BUG_ON(gpa < pm->size && gpa + size > LOW_END);
    BUG_ON(kind == PHYSMEM_ROM_RAM &&
           (gpa < PHYSMEM_BEHIND || gpa + size > PHYSMEM_BEHIND + PHYSMEM_BEHIND_SIZE));
    memset(pm->kind + (gpa >> PAGE_SHIFT), kind, size >> PAGE_SHIFT);
}

void physmem_set_kinds(struct physmem *pm, const struct physmem_change *change, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        note_kind(pm, change[i].gpa, change[i].size, change[i].kind);
    if (count && pm->on_layout)
        pm->on_layout(pm->layout_arg);
}

void physmem_set_kind(struct physmem *pm, uint64_t gpa, uint64_t size, enum physmem_kind kind)
{
    physmem_set_kinds(pm, &(struct physmem_change){ gpa, size, kind }, 1);
}

/* Most of what is asked about is RAM from 1 MiB on, which is. */
bool physmem_is_uniform(const struct physmem *pm, uint64_t gpa, uint64_t size)
{
    const uint8_t *kind = pm->kind + (gpa >> PAGE_SHIFT);

    if (gpa >= LOW_END && gpa + size <= pm->size)
        return true;
    if (gpa >= PHYSMEM_LIMIT || size > PHYSMEM_LIMIT - gpa)
        return false;
    for (uint64_t i = 1; i < size >> PAGE_SHIFT; i++)
        if (kind[i] != kind[0])
            return false;
    return true;
}

/* --- Who must hear of writes -------------------------------------------------- */

static const char *watch_name(uint8_t bits)
{
    return bits == WATCH_TABLE     ? "page table"
           : bits == WATCH_CODE    ? "code"
           : bits == WATCH_DISPLAY ? "display"
                                   : "page table, code";
}

void physmem_watch(struct physmem *pm, uint64_t gfn, uint8_t bits)
{
    if (gfn >= pm->frames)
        return;
    if ((pm->watch[gfn] & bits) != bits && pm->on_watch)
        pm->on_watch(pm->arg, gfn, 1);
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
    while (size) {
        uint64_t part = PAGE_SIZE - (gpa & PAGE_MASK), gfn = gpa >> PAGE_SHIFT, first;

        if (part > size)
            part = size;
        if (physmem_watched(pm, gfn) & WATCH_DISPLAY)
            physmem_touch(pm, gfn, &first);
        if (physmem_watched(pm, gfn) && pm->on_write)
            pm->on_write(pm->arg, gpa, part);
        gpa += part;
        size -= part;
    }
}

void physmem_clean(struct physmem *pm, uint64_t gfn, uint64_t count)
{
    uint64_t end = gfn + count;

    pm->touched = false;
    pm->touch_end = 0;
    while (gfn < end) {
        uint64_t first = gfn;

        while (gfn < end && !(pm->watch[gfn] & WATCH_DISPLAY))
            gfn++;
        if (gfn > first && pm->on_watch)
            pm->on_watch(pm->arg, first, gfn - first);
        while (first < gfn)
            pm->watch[first++] |= WATCH_DISPLAY;
        while (gfn < end && pm->watch[gfn] & WATCH_DISPLAY)
            gfn++;
    }
}

uint64_t physmem_touch(struct physmem *pm, uint64_t gfn, uint64_t *first)
{
    uint64_t low = gfn & ~(uint64_t)(TOUCH_FRAMES - 1), high, end;
    bool before = pm->touched;

    if (gfn != pm->touch_end)
        pm->touch_count = TOUCH_FRAMES;
    else if (pm->touch_count < TOUCH_FRAMES_MAX)
        pm->touch_count *= 2;
    high = low + pm->touch_count;
    for (*first = gfn; *first > low && pm->watch[*first - 1] & WATCH_DISPLAY;)
        --*first;
    for (end = *first; end < high && end < pm->frames && pm->watch[end] & WATCH_DISPLAY; end++)
        pm->watch[end] &= ~WATCH_DISPLAY;
    pm->touch_end = end;
    pm->touched = true;
    if (!before && pm->on_touched)
        pm->on_touched(pm->touched_arg);
    return end - *first;
}

/* --- Bytes --------------------------------------------------------------------- */

static uint64_t in_frame(uint64_t gpa, uint64_t size)
{
    uint64_t part = PAGE_SIZE - (gpa & PAGE_MASK);

    return part < size ? part : size;
}

static bool read_frame(const struct physmem *pm, uint64_t gpa, uint8_t *to, uint64_t size)
{
    bool ram = physmem_is_ram(pm, gpa);

    if (ram)
        memcpy(to, pm->ram + gpa, size);
    else
        memset(to, 0xff, size);
    return ram;
}

static bool peek_frame(const struct physmem *pm, uint64_t gpa, uint8_t *to, uint64_t size)
{
    return read_frame(pm, gpa, to, size) ||
           (pm->on_peek && pm->on_peek(pm->peek_arg, gpa, to, size));
}

typedef bool frame_reader(const struct physmem *pm, uint64_t gpa, uint8_t *to, uint64_t size);

static inline bool read_by(frame_reader *read, const struct physmem *pm, uint64_t gpa, uint8_t *to,
                           uint64_t size)
{
    bool all = true;

    while (size) {
        uint64_t part = in_frame(gpa, size);

        all &= read(pm, gpa, to, part);
        to += part;
        gpa += part;
        size -= part;
    }
    return all;
}

bool physmem_read(const struct physmem *pm, uint64_t gpa, void *to, uint64_t size)
{
    return read_by(read_frame, pm, gpa, to, size);
}

bool physmem_peek(const struct physmem *pm, uint64_t gpa, void *to, uint64_t size)
{
    return read_by(peek_frame, pm, gpa, to, size);
}

static bool write_frame(struct physmem *pm, uint64_t gpa, const uint8_t *from, uint64_t size)
{
    if (gpa >= PHYSMEM_LIMIT)
        return false;
    switch ((enum physmem_kind)pm->kind[gpa >> PAGE_SHIFT]) {
    case PHYSMEM_NONE:
    case PHYSMEM_ROM: return false;
    case PHYSMEM_RAM:
        memcpy(pm->ram + gpa, from, size);
        physmem_written(pm, gpa, size);
        return true;
    case PHYSMEM_ROM_RAM: memcpy(pm->behind + (gpa - PHYSMEM_BEHIND), from, size); return true;
    }
    return false;
}

bool physmem_write(struct physmem *pm, uint64_t gpa, const void *from, uint64_t size)
{
    const uint8_t *in = from;
    bool all = true;

    while (size) {
        uint64_t part = in_frame(gpa, size);

        all &= write_frame(pm, gpa, in, part);
        in += part;
        gpa += part;
        size -= part;
    }
    return all;
}

void physmem_discard(struct physmem *pm, uint64_t gpa, uint64_t size)
{
    if (!fallocate(pm->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)gpa, (off_t)size))
        return;
    for (uint64_t i = 0; i < size; i += PAGE_SIZE)
        if (physmem_is_ram(pm, gpa + i))
            memset(pm->ram + gpa + i, 0, PAGE_SIZE);
}

void physmem_clear(struct physmem *pm)
{
    physmem_discard(pm, 0, PHYSMEM_LIMIT);
    memset(pm->behind, 0, PHYSMEM_BEHIND_SIZE);
}

void physmem_load(struct physmem *pm, uint64_t gpa, const void *from, uint64_t size)
{
    BUG_ON(gpa > PHYSMEM_LIMIT || size > PHYSMEM_LIMIT - gpa);
    memcpy(pm->ram + gpa, from, size);
    physmem_written(pm, gpa, size);
}

void physmem_rom_store(struct physmem *pm, uint64_t gpa, uint64_t value, unsigned size)
{
    if (pm->kind[gpa >> PAGE_SHIFT] != PHYSMEM_ROM_RAM)
        return;
    for (unsigned i = 0; i < size; i++)
        pm->behind[gpa - PHYSMEM_BEHIND + i] = value >> 8 * i & 0xff;
}
