/* The parts of kernels.elf, and what they share. */
#ifndef GUESTS_KERNELS_H
#define GUESTS_KERNELS_H

#include "guests/lib/trap.h"

enum { CR0_NORMAL = CR0_PE | CR0_MP | CR0_NE };

/* Selectors, beside the library's; kernels_code.S knows them too. */
enum { GATE = 0x70, TASK_A = 0x90, TASK_B = 0x98, TASK_16 = 0xa0, CODE16 = 0xa8, DATA16 = 0xb0,
       SEG_1 = 0xb8, SEG_2 = 0xc0, CONFORMING = 0xc8 };

/* Room for code that is made at run time, and for what it works on. */
extern uint8_t code_room[256];
extern uint32_t data[64];

/* A frame for trap_run(): this code in that ring, edi: data. */
struct frame frame_at(const uint8_t *code, unsigned ring);
/* Runs n bytes of code, the lowest first, in code_room; as it ended. */
struct frame run_bytes(unsigned n, uint64_t bytes, unsigned ring);
/* Code to another place. */
void copy(void *to, const uint8_t *from, const uint8_t *end);

/* kernels_paging.c: formats and rights changed while they are used; features: cpuid_features(). */
void kernels_paging(uint32_t features);
/* kernels_task.c: nested tasks, jumps, gates, 286 TSSs. */
void kernels_tasks(void);
/* kernels_segment.c: rings 1 and 2, conforming code, expand-down stacks, LDTs, odd code bases. */
void kernels_segments(void);
/* kernels_priority.c: which of two exceptions comes, single steps, branches beyond the limit. */
void kernels_priorities(void);

#endif
