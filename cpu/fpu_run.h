/* Private to cpu/fpu*.c: running one thunk. Knows nothing of the guest. */
#ifndef CPU_FPU_RUN_H
#define CPU_FPU_RUN_H

#include <stdint.h>

/* How a thunk ended; the host's signal is not known beyond fpu_guard.c. */
enum fpu_trap {
    FPU_DONE,
    FPU_UD,
    FPU_XM,
    FPU_GP,
    FPU_ABSENT, /* the operand is not there: fpu_thunk_absent() had made it so */
};

/* What fpu_run.S works on; it knows the offsets. */
struct fpu_frame {
    void *area;             /* 0: the image */
    const void *code;       /* 8 */
    uint64_t mask;          /* 16: state components; 0: FXSAVE's */
    uint64_t rax, rcx, rdx; /* 24; rdx goes in only */
    void *operand;          /* 48: rdi */
    uint64_t flags;         /* 56 */
    uint64_t trap;          /* enum fpu_trap: what ended the thunk */
};

/* Loads the state, runs the thunk, stores the state. */
void fpu_run(struct fpu_frame *frame);

/* Where in fpu_run a thunk that faulted goes on. */
extern const char fpu_run_fault[];

/* fpu_run with signal handlers that end the thunk and set frame->trap (fpu_guard.c). */
void fpu_run_guarded(struct fpu_frame *frame);

#endif
