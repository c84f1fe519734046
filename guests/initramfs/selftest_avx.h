/* selftest.c's AVX2 work: eight vector registers that must outlive system calls. */
#ifndef GUESTS_INITRAMFS_SELFTEST_AVX_H
#define GUESTS_INITRAMFS_SELFTEST_AVX_H

#include <stdint.h>

/* CPUID and XCR0 offer AVX2 to programs. */
int avx_offered(void);

/* Rounds of arithmetic on ymm0-7, from state and back; a sched_yield in the middle of each. */
void avx_rounds(uint32_t state[64], unsigned rounds);

/* The same for AVX-512 (F, BW): mask registers and zmm0-7. */
int avx512_offered(void);
void avx512_rounds(uint32_t state[72], unsigned rounds);

#endif
