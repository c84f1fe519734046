/*
 * What is where in the guest's physical memory: RAM, the segments from 0xc0000 to 0xfffff that show
 * RAM or ROM, the firmware's ROM below 4 GiB, and video memory.
 *
 * No snapshot: the bytes are base/physmem's (with what is behind ROM), who shows what follows from
 * i440FX's and VGA's registers.
 */
#ifndef FRONTEND_PC_MEMORY_H
#define FRONTEND_PC_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pc_memory;
struct physmem;

/* mem has RAM from 0 on. text_is_ram: there is no display, and the text buffer at 0xb8000 is plain
 * RAM, because early kernels print there without looking. rom: the firmware (a multiple of 64 KiB,
 * at most 16 MiB; it stays the caller's), or NULL. NULL when memory is out. */
struct pc_memory *pc_memory_create(struct physmem *mem, bool text_is_ram, const uint8_t *rom,
                                   uint32_t rom_size);
void pc_memory_destroy(struct pc_memory *pm);

/* Power-on: RAM is zeroes, ROM as it was. What is shown where does not change. */
void pc_memory_reset(struct pc_memory *pm);

/* For i440FX: struct i440fx_config's pam. */
void pc_memory_pam(void *pm, uint32_t gpa, uint32_t size, bool read_ram, bool write_ram);

/* For VGA: struct vga_config's map, collect and stored. */
uint8_t *pc_memory_map_video(void *pm, uint64_t gpa);
void pc_memory_collect(void *pm, uint32_t first, uint32_t count, uint64_t *written);
void pc_memory_stored(void *pm, uint32_t offset, uint32_t size);
/* And its window, open and opened. */
uint8_t *pc_memory_window(struct pc_memory *pm);
void pc_memory_open(void *pm, uint32_t base, uint32_t size);
uint32_t pc_memory_opened(void *pm);

#endif
