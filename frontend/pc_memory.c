/*
 * The guest's physical memory map, on top of base/physmem.
 *
 * Reference: Intel 440FX PCIset data sheet, 3.2.18 (PAM) and 4.1 (the memory map).
 *
 * Of a segment that can show RAM or ROM, physmem holds what is shown, so that code there runs as
 * anywhere. The RAM that is not shown is kept in physmem's `behind`; ROM is copied again when its
 * turn comes. Without firmware the ROM is all ones, as where nobody answers.
 *
 * Video memory is memory at the place where the guest has put it, if nothing else is there. A place
 * it has left is given back to the host when the next one is taken: the chip may still read it.
 *
 * VGA's window is memory while the chip says so, and meanwhile the planes' part of video memory is
 * not, so that the chip hears of accesses there.
 */
#include "frontend/pc_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/physmem.h"
#include "devices/pci.h"
#include "devices/vga.h"

enum {
    GPA_TEXT = 0xb8000,
    SEGMENT_SIZE = 0x4000,
    SEGMENT_COUNT = PHYSMEM_BEHIND_SIZE / SEGMENT_SIZE,
    LOW_ROM_SIZE = 0x20000, /* this much of its end is seen below 1 MiB, too */
};

struct pc_memory {
    struct physmem *mem;
    const uint8_t *rom;
    uint32_t rom_size;
    bool shows_ram[SEGMENT_COUNT];
    uint64_t video, video_before; /* gpa, or PCI_NOWHERE */
    uint64_t open, open_size;     /* of VGA's window: gpa; size 0: nothing */
};

/* --- Shadow RAM --------------------------------------------------------- */

/* What ROM there is of a segment. */
static void read_rom(const struct pc_memory *pm, uint32_t gpa, uint8_t *to)
{
    uint32_t low = pm->rom_size < LOW_ROM_SIZE ? pm->rom_size : LOW_ROM_SIZE;
    uint32_t start = PHYSMEM_BEHIND + PHYSMEM_BEHIND_SIZE - low;

    if (gpa < start)
        memset(to, 0xff, SEGMENT_SIZE);
    else
        memcpy(to, pm->rom + pm->rom_size - low + (gpa - start), SEGMENT_SIZE);
}

static void show_rom(struct pc_memory *pm, uint32_t gpa)
{
    uint8_t rom[SEGMENT_SIZE];

    read_rom(pm, gpa, rom);
    physmem_load(pm->mem, gpa, rom, sizeof(rom));
}

static void switch_segment(struct pc_memory *pm, uint32_t gpa, bool to_ram)
{
    uint8_t *behind = pm->mem->behind + (gpa - PHYSMEM_BEHIND);
    bool *shows_ram = &pm->shows_ram[(gpa - PHYSMEM_BEHIND) / SEGMENT_SIZE];

    if (*shows_ram == to_ram)
        return;
    *shows_ram = to_ram;
    if (to_ram) {
        physmem_load(pm->mem, gpa, behind, SEGMENT_SIZE);
        return;
    }
    memcpy(behind, physmem_ptr(pm->mem, gpa), SEGMENT_SIZE);
    show_rom(pm, gpa);
}

void pc_memory_pam(void *memory, uint32_t gpa, uint32_t size, bool read_ram, bool write_ram)
{
    struct pc_memory *pm = memory;

    for (uint32_t i = 0; i < size; i += SEGMENT_SIZE)
        switch_segment(pm, gpa + i, read_ram);
    if (read_ram)
        physmem_set_kind(pm->mem, gpa, size, write_ram ? PHYSMEM_RAM : PHYSMEM_ROM);
    else
        physmem_set_kind(pm->mem, gpa, size, write_ram ? PHYSMEM_ROM_RAM : PHYSMEM_ROM);
}

/* --- Video memory ------------------------------------------------------- */

static bool is_free(const struct pc_memory *pm, uint64_t gpa)
{
    return gpa >= pm->mem->size && gpa < PHYSMEM_LIMIT && !physmem_is_ram(pm->mem, gpa) &&
           physmem_is_uniform(pm->mem, gpa, VGA_VRAM_SIZE);
}

static void not_shown(struct pc_memory *pm, uint64_t gpa, uint64_t size)
{
    for (uint64_t i = 0; i < size >> PAGE_SHIFT; i++)
        physmem_unwatch(pm->mem, (gpa >> PAGE_SHIFT) + i, WATCH_DISPLAY);
}

static void unmap_video(struct pc_memory *pm)
{
    if (pm->video == PCI_NOWHERE)
        return;
    not_shown(pm, pm->video, VGA_VRAM_SIZE);
    physmem_set_kind(pm->mem, pm->video, VGA_VRAM_SIZE, PHYSMEM_NONE);
    if (pm->video_before != PCI_NOWHERE && pm->video_before != pm->video)
        physmem_discard(pm->mem, pm->video_before, VGA_VRAM_SIZE);
    pm->video_before = pm->video;
    pm->video = PCI_NOWHERE;
}

uint8_t *pc_memory_map_video(void *memory, uint64_t gpa)
{
    struct pc_memory *pm = memory;

    unmap_video(pm);
    if (gpa == PCI_NOWHERE || !is_free(pm, gpa))
        return NULL;
    physmem_set_kind(pm->mem, gpa, VGA_VRAM_SIZE, PHYSMEM_RAM);
    pm->video = gpa;
    return physmem_ptr(pm->mem, gpa);
}

/* Sets bit first for the frame at gpa, if it has been written, and so on. */
static void collect(struct pc_memory *pm, uint64_t gpa, uint32_t first, uint32_t count,
                    uint64_t *written)
{
    uint64_t gfn = gpa >> PAGE_SHIFT;

    for (uint32_t i = 0; i < count; i++)
        if (!(physmem_watched(pm->mem, gfn + i) & WATCH_DISPLAY))
            written[(first + i) / 64] |= 1ull << (first + i) % 64;
    physmem_clean(pm->mem, gfn, count);
}

void pc_memory_collect(void *memory, uint32_t first, uint32_t count, uint64_t *written)
{
    struct pc_memory *pm = memory;

    BUG_ON(first + count > VGA_VRAM_SIZE >> PAGE_SHIFT);
    if (pm->video != PCI_NOWHERE)
        collect(pm, pm->video + first * PAGE_SIZE, first, count, written);
}

void pc_memory_stored(void *memory, uint32_t offset, uint32_t size)
{
    struct pc_memory *pm = memory;

    if (pm->video != PCI_NOWHERE)
        physmem_written(pm->mem, pm->video + offset, size);
}

/* --- VGA's window -------------------------------------------------------- */

uint8_t *pc_memory_window(struct pc_memory *pm)
{
    return physmem_ptr(pm->mem, PHYSMEM_WINDOW);
}

/* Bytes change with the kinds: P3 of base/physmem.h. */
static void apply(struct pc_memory *pm, const struct physmem_change *change, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        not_shown(pm, change[i].gpa, change[i].size);
    physmem_set_kinds(pm->mem, change, count);
    for (unsigned i = 0; i < count; i++)
        physmem_written(pm->mem, change[i].gpa, change[i].size);
}

void pc_memory_open(void *memory, uint32_t base, uint32_t size)
{
    struct pc_memory *pm = memory;
    struct physmem_change change[3];
    unsigned n = 0;

    if (pm->open_size)
        change[n++] = (struct physmem_change){ pm->open, pm->open_size, PHYSMEM_NONE };
    pm->open = PHYSMEM_WINDOW + base;
    pm->open_size = size;
    if (size)
        change[n++] = (struct physmem_change){ pm->open, size, PHYSMEM_RAM };
    if (pm->video != PCI_NOWHERE)
        change[n++] = (struct physmem_change){ pm->video, VGA_PLANES_SIZE,
                                               size ? PHYSMEM_NONE : PHYSMEM_RAM };
    apply(pm, change, n);
}

uint32_t pc_memory_opened(void *memory)
{
    struct pc_memory *pm = memory;
    uint64_t written = 0;

    collect(pm, pm->open, (uint32_t)(pm->open - PHYSMEM_WINDOW) >> PAGE_SHIFT,
            (uint32_t)(pm->open_size >> PAGE_SHIFT), &written);
    return (uint32_t)written;
}

/* --- Life --------------------------------------------------------------- */

static void load_high_rom(struct pc_memory *pm)
{
    if (pm->rom_size)
        physmem_load(pm->mem, PHYSMEM_LIMIT - pm->rom_size, pm->rom, pm->rom_size);
}

void pc_memory_reset(struct pc_memory *pm)
{
    physmem_clear(pm->mem);
    load_high_rom(pm);
    for (unsigned i = 0; i < SEGMENT_COUNT; i++)
        if (!pm->shows_ram[i])
            show_rom(pm, PHYSMEM_BEHIND + i * SEGMENT_SIZE);
}

struct pc_memory *pc_memory_create(struct physmem *mem, bool text_is_ram, const uint8_t *rom,
                                   uint32_t rom_size)
{
    struct pc_memory *pm = calloc(1, sizeof(*pm));
    uint32_t hole_end = text_is_ram ? GPA_TEXT : PHYSMEM_BEHIND;

    if (!pm)
        return NULL;
    pm->mem = mem;
    pm->rom = rom;
    pm->rom_size = rom_size;
    pm->video = pm->video_before = PCI_NOWHERE;
    physmem_set_kind(mem, PHYSMEM_WINDOW, hole_end - PHYSMEM_WINDOW, PHYSMEM_NONE);
    physmem_set_kind(mem, PHYSMEM_BEHIND, PHYSMEM_BEHIND_SIZE, PHYSMEM_ROM);
    if (rom_size)
        physmem_set_kind(mem, PHYSMEM_LIMIT - rom_size, rom_size, PHYSMEM_ROM);
    return pm;
}

void pc_memory_destroy(struct pc_memory *pm)
{
    free(pm);
}
