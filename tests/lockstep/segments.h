/* Streams of code that is not flat, and what they start in: made by test_segments.c, loaded by
 * segments.c. */
#ifndef TESTS_LOCKSTEP_SEGMENTS_H
#define TESTS_LOCKSTEP_SEGMENTS_H

#include "tests/lockstep/pair.h"

enum {
    CODE = 0x20000,      /* gla */
    CODE_SIZE = 0x3000,
    DATA = 0x30000,
    STACK = 0x44000,
    ROOM = 0x1000,       /* of a stream */
    GDT_LIMIT = 0x8f,
};

enum mode { REAL, V86, PROT16, PROT32, MODES };

/* What a stream starts in. */
struct scene {
    enum mode mode;
    unsigned cpl;
    uint32_t gpr[8], eflags, eip, start; /* start: gla of eip */
    uint32_t idt_limit, cr0, no_cr4;
    uint32_t absent;     /* the number of a page that is not there; 0: all are */
    struct segment seg[SEG_COUNT];
    uint8_t data[0x8000];
};

extern struct scene scene;
extern uint8_t stream[ROOM];
extern unsigned stream_len;

/* Has the stream 32-bit code? */
static inline bool wide(void)
{
    return scene.mode == PROT32;
}

/* Makes the machine what the scene says: memory, tables, the CPU. */
void segments_load(struct machine *m);
/* The CPU alone. */
void segments_load_registers(struct machine *m);

/* Did it come to the HLT behind the stream? */
bool segments_came_through(const struct vcpu *v);

/* Prints the scene and lists the stream. */
void segments_dump(uint64_t seed);

#endif
