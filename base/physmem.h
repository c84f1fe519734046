/*
 * Guest physical memory: what is where in the first 4 GiB, and who must hear of writes.
 *
 * All of it is one sparse memfd in which a byte's offset is its guest physical address, so that a
 * mapping of it needs no table. gpa is a byte address, gfn a 4 KiB frame number (gpa >> 12). What a
 * frame is (enum physmem_kind) can change while the guest runs: RAM from 0 on but for the VGA
 * window, which is RAM at times, shadow RAM and ROM below 1 MiB, video memory where its BAR is, ROM
 * below 4 GiB.
 *
 * Invariants:
 *  P1. Everybody who writes guest RAM (interpreter, translated code's slow path, DMA, loaders) goes
 *      through physmem_write() or calls physmem_written() after the bytes are there (WATCH_CODE:
 *      or before, if no code is made meanwhile), unless watch[gfn] was 0 when it got its pointer
 *      and it hears of every later watch (the TLBs do).
 *  P2. A frame's watch bits only rise through physmem_watch(), which tells on_watch before it
 *      returns, so that cached write permissions are taken back first.
 *  P3. Nothing is cached about a frame when its kind has changed: physmem_set_kinds() tells
 *      on_layout before it returns. Who changes bytes with the kind calls physmem_written() too.
 *  P4. Nobody but physmem_load() writes a frame that is not PHYSMEM_RAM.
 *  P5. A frame with WATCH_DISPLAY has not been written since physmem_clean().
 */
#ifndef BASE_PHYSMEM_H
#define BASE_PHYSMEM_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ull
#define PAGE_MASK (PAGE_SIZE - 1)

#define PHYSMEM_LIMIT (4ull << 30)

enum {
    WATCH_CODE = 1,  /* translated code was made from this frame */
    WATCH_TABLE = 2, /* a paging structure that a view has been filled from */
    WATCH_DISPLAY = 4, /* shown, and not written yet: see physmem_clean() */
};

/* What the guest finds at a frame. */
enum physmem_kind {
    PHYSMEM_NONE, /* chips, or nobody */
    PHYSMEM_RAM,
    PHYSMEM_ROM,     /* reads and executes as RAM; writes are lost */
    PHYSMEM_ROM_RAM, /* the same, but writes go to the RAM behind it (below 1 MiB) */
};

/* VGA's window: what is RAM there is shown. */
#define PHYSMEM_WINDOW      0xa0000u
#define PHYSMEM_WINDOW_SIZE 0x20000u

/* Where PHYSMEM_ROM_RAM may be. */
#define PHYSMEM_BEHIND      0xc0000u
#define PHYSMEM_BEHIND_SIZE 0x40000u

struct physmem {
    uint64_t size;   /* of RAM from 0 on, holes included; bytes, a multiple of PAGE_SIZE */
    uint64_t frames; /* PHYSMEM_LIMIT >> PAGE_SHIFT: as many as the tables below have */
    uint8_t *ram;    /* host address of gpa 0, read-write, of all PHYSMEM_LIMIT bytes */
    int fd;          /* the memfd; offset = gpa */
    uint8_t *watch;  /* per gfn, WATCH_ bits */
    uint8_t *kind;   /* per gfn */
    uint8_t *behind; /* the RAM from PHYSMEM_BEHIND on, where ROM is in front of it */

    /* After a write to a watched frame: [gpa, gpa + size) lies in one frame. May be NULL. */
    void (*on_write)(void *arg, uint64_t gpa, uint64_t size);
    /* Before the watch bits of count frames rise: take back every cached write permission.
     * May be NULL. */
    void (*on_watch)(void *arg, uint64_t gfn, uint64_t count);
    void *arg;
    /* Kinds have changed: forget every cached translation. May be NULL. */
    void (*on_layout)(void *arg);
    void *layout_arg;
    /* A first frame has been touched since physmem_clean(). Guest FPU state may be live: general
     * registers only. May be NULL. */
    void (*on_touched)(void *arg);
    void *touched_arg;
    /* What a look at [gpa, gpa + size), in one frame that is not memory, finds without changing
     * anything. False: nothing that can be looked at. May be NULL. */
    bool (*on_peek)(void *arg, uint64_t gpa, void *to, uint64_t size);
    void *peek_arg;
    bool touched;
    uint64_t touch_end, touch_count; /* where the last physmem_touch() ended, and its size */
};

/* size in bytes, of RAM at 0. 0, or -errno (the caller says what to do about it). */
int physmem_init(struct physmem *pm, uint64_t size);
void physmem_destroy(struct physmem *pm);

/* --- What is where --------------------------------------------------------- */

/* Frames [gpa, gpa + size) are of this kind now; both multiples of PAGE_SIZE, below the limit.
 * What is in the memfd there stays. RAM from 1 MiB to size never changes. */
struct physmem_change {
    uint64_t gpa, size;
    enum physmem_kind kind;
};
void physmem_set_kind(struct physmem *pm, uint64_t gpa, uint64_t size, enum physmem_kind kind);
/* Several at once, of which on_layout hears once. */
void physmem_set_kinds(struct physmem *pm, const struct physmem_change *change, unsigned count);

/* Is there memory to read and execute: RAM or ROM? */
static inline bool physmem_is_ram(const struct physmem *pm, uint64_t gpa)
{
    return gpa < PHYSMEM_LIMIT && pm->kind[gpa >> PAGE_SHIFT] != PHYSMEM_NONE;
}

/* RAM that the guest, or a chip by DMA, may write by a host pointer. */
static inline bool physmem_is_writable(const struct physmem *pm, uint64_t gpa)
{
    return gpa < PHYSMEM_LIMIT && pm->kind[gpa >> PAGE_SHIFT] == PHYSMEM_RAM;
}

/* Is all of it of one kind? Both are multiples of PAGE_SIZE. */
bool physmem_is_uniform(const struct physmem *pm, uint64_t gpa, uint64_t size);

/* Host address of memory at gpa; the caller has checked physmem_is_ram() or is_writable(). */
static inline uint8_t *physmem_ptr(const struct physmem *pm, uint64_t gpa)
{
    return pm->ram + gpa;
}

/* --- Who must hear of writes -------------------------------------------------- */

static inline uint8_t physmem_watched(const struct physmem *pm, uint64_t gfn)
{
    return gfn < pm->frames ? pm->watch[gfn] : 0;
}

/* Raises / lowers watch bits of a frame. */
void physmem_watch(struct physmem *pm, uint64_t gfn, uint8_t bits);
void physmem_unwatch(struct physmem *pm, uint64_t gfn, uint8_t bits);

/* Tells the watchers that [gpa, gpa + size) has been written (may span frames). */
void physmem_written(struct physmem *pm, uint64_t gpa, uint64_t size);

/* Display: count frames are to be noticed when they are next written; frames that are watched
 * already cost nothing. */
void physmem_clean(struct physmem *pm, uint64_t gfn, uint64_t count);

/* The frame, which has WATCH_DISPLAY, is about to be written: lowers the bit, with those of the
 * frames around it, and of more and more while writes go on where the last ones ended, as a
 * redraw's do. Returns how many frames, and in *first the first one. */
uint64_t physmem_touch(struct physmem *pm, uint64_t gfn, uint64_t *first);

/* --- Bytes --------------------------------------------------------------------- */

/* Copy in and out for devices and loaders; bytes outside RAM read as ones and are not written (but
 * behind PHYSMEM_ROM_RAM). Return false when any byte lay outside what can be read or written. */
bool physmem_read(const struct physmem *pm, uint64_t gpa, void *to, uint64_t size);
bool physmem_write(struct physmem *pm, uint64_t gpa, const void *from, uint64_t size);

/* physmem_read() for a user who looks: chips' memory, too, where that changes nothing (VGA's window
 * while it is no memory). */
bool physmem_peek(const struct physmem *pm, uint64_t gpa, void *to, uint64_t size);

/* Everything is zeroes, RAM that is not shown too; kinds stay. Who goes on running the guest tells
 * physmem_written(). */
void physmem_clear(struct physmem *pm);

/* What was at [gpa, gpa + size), multiples of PAGE_SIZE, is not needed any more: zeroes, and the
 * host gets its memory back. */
void physmem_discard(struct physmem *pm, uint64_t gpa, uint64_t size);

/* What is in ROM; tells the watchers. */
void physmem_load(struct physmem *pm, uint64_t gpa, const void *from, uint64_t size);

/* A guest's store to memory that is not PHYSMEM_RAM; within a frame. General registers only. */
void physmem_rom_store(struct physmem *pm, uint64_t gpa, uint64_t value, unsigned size);

#endif
