/* The CPU executes one 32-bit instruction: for test_fpu.c. */
#ifndef TESTS_INSN_FPU_ORACLE_H
#define TESTS_INSN_FPU_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

/* Fixed addresses below 4 GiB. */
#define ORACLE_CODE 0x10000000u
#define ORACLE_INSN (ORACLE_CODE + 0x800) /* where the instruction runs */
#define ORACLE_STATE 0x10004000u
#define ORACLE_DATA 0x10010000u           /* 16 KiB */

#define ORACLE_FPU 2752

struct oracle_state {
    uint32_t gpr[8];
    uint32_t eflags;
    int vector;        /* out: the exception, or -1 */
    uint32_t error, cr2; /* out: of a page fault */
    /* XSAVE, standard format, 32-bit pointers; what AVX-512 adds is where the host has it */
    uint8_t fpu[ORACLE_FPU] __attribute__((aligned(64)));
};

/* Maps what is needed. 0 or -1. */
int oracle_create(void);

/* Runs the instruction on in. */
void oracle_run(const uint8_t *insn, unsigned len, const struct oracle_state *in,
                struct oracle_state *out);

/* What the CPU makes of an image: loads and stores it. */
void oracle_normalize(uint8_t *fpu);

/* XSAVE stores FIP, FDP and FOP only while an exception is pending, as AMD's CPUs do: what is in
 * oracle_run's out is FNSTENV's then, unless another task of the host came in between: 0. */
bool oracle_drops_pointers(void);

/* An image in the form of cpu/fpu.h, F3, from one of the oracle's, and the reverse. */
void oracle_to_image(const uint8_t *fpu, uint8_t *image);
void oracle_from_image(const uint8_t *image, uint8_t *fpu);

#endif
