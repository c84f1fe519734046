/*
 * Executes a known number of instructions, for novt's own count (-stats): "rounds=N" rounds of
 * count_code.S with paging on, nothing printed. tests/guest/count.py looks at the count.
 */
#include "guests/lib/boot.h"
#include "guests/lib/trap.h"

enum { PAGE_LARGE = 0x83, MAPPED_4M = 16 }; /* PS, RW, P; 64 MiB */

void count_run(uint32_t rounds);
void count_de(void);
void count_pf(void);

static uint32_t directory[1024] __attribute__((aligned(4096)));

unsigned guest_main(void)
{
    uint32_t rounds = 1;

    boot_option("rounds", &rounds);
    for (uint32_t i = 0; i < MAPPED_4M; i++)
        directory[i] = i << 22 | PAGE_LARGE;
    idt[VEC_DE] = gate_make(KERNEL_CS, (uint32_t)count_de, 0x8e, 0);
    idt[VEC_PF] = gate_make(KERNEL_CS, (uint32_t)count_pf, 0x8e, 0);
    __asm__ volatile("mov %0, %%cr4" : : "r"(CR4_PSE));
    __asm__ volatile("mov %0, %%cr3" : : "r"(directory));
    __asm__ volatile("mov %%cr0, %%eax; or $0x80000000, %%eax; mov %%eax, %%cr0" : : : "eax");
    count_run(rounds);
    return 0;
}
