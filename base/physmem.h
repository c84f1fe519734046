/*
 * Guest physical memory: RAM in one memfd, and who must hear of writes to it.
 *
 * RAM is one run [0, size) of guest physical addresses, except for holes (the VGA window and the
 * BIOS area from 0xa0000 to 0xfffff may be holes or RAM; the PCI hole is above the RAM of a 32-bit
 * guest). gpa is a byte address, gfn a 4 KiB frame number (gpa >> 12).
 *
 * Invariants:
 *  P1. Everybody who writes guest RAM (interpreter, translated code's slow path, DMA, loaders) goes
 *      through physmem_write() or calls physmem_written() after the bytes are there, unless
 *      watch[gfn] was 0 when it got its pointer and it hears of every later watch (the TLBs do).
 *  P2. A frame's watch bits only rise through physmem_watch(), which tells on_watch before it
 *      returns, so that cached write permissions are taken back first.
 */
#ifndef BASE_PHYSMEM_H
#define BASE_PHYSMEM_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ull
#define PAGE_MASK (PAGE_SIZE - 1)

enum {
    WATCH_CODE = 1,  /* translated code was made from this frame */
    WATCH_TABLE = 2, /* a paging structure that a view has been filled from */
    WATCH_DISPLAY = 4,
};

struct physmem {
    uint64_t size;   /* bytes, a multiple of PAGE_SIZE */
    uint64_t frames; /* size >> PAGE_SHIFT */
    uint8_t *ram;    /* host address of gpa 0, read-write */
    int fd;          /* the memfd; offset = gpa */
    uint8_t *watch;  /* per gfn, WATCH_ bits */
    uint64_t hole_start, hole_end; /* gpa; an access there is not RAM */

    /* After a write to a watched frame: [gpa, gpa + size) lies in one frame. May be NULL. */
    void (*on_write)(void *arg, uint64_t gpa, uint64_t size);
    /* Before a frame's watch bits rise from 0: take back every cached write permission. May be
     * NULL. */
    void (*on_watch)(void *arg, uint64_t gfn);
    void *arg;
};

/* size in bytes. 0, or -errno (the caller says what to do about it). */
int physmem_init(struct physmem *pm, uint64_t size);
void physmem_destroy(struct physmem *pm);

static inline bool physmem_is_ram(const struct physmem *pm, uint64_t gpa)
{
    return gpa < pm->size && !(gpa >= pm->hole_start && gpa < pm->hole_end);
}

/* Whether all of [gpa, gpa + size) is RAM; size may be anything. */
static inline bool physmem_is_ram_run(const struct physmem *pm, uint64_t gpa, uint64_t size)
{
    if (gpa > pm->size || size > pm->size - gpa)
        return false;
    return gpa + size <= pm->hole_start || gpa >= pm->hole_end || !size;
}

/* Host address of RAM at gpa; the caller has checked physmem_is_ram(). */
static inline uint8_t *physmem_ptr(const struct physmem *pm, uint64_t gpa)
{
    return pm->ram + gpa;
}

static inline uint8_t physmem_watched(const struct physmem *pm, uint64_t gfn)
{
    return gfn < pm->frames ? pm->watch[gfn] : 0;
}

/* Raises / lowers watch bits of a frame. */
void physmem_watch(struct physmem *pm, uint64_t gfn, uint8_t bits);
void physmem_unwatch(struct physmem *pm, uint64_t gfn, uint8_t bits);

/* Tells the watchers that [gpa, gpa + size) has been written (may span frames). */
void physmem_written(struct physmem *pm, uint64_t gpa, uint64_t size);

/* Copy in and out for devices and loaders; bytes outside RAM read as ones and are not written.
 * Return false when any byte lay outside RAM. */
bool physmem_read(const struct physmem *pm, uint64_t gpa, void *to, uint64_t size);
bool physmem_write(struct physmem *pm, uint64_t gpa, const void *from, uint64_t size);

#endif
