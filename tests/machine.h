/*
 * A bare machine for tests of engines: 16 MiB of RAM mapped one to one by 4 KiB pages, flat 32-bit
 * segments, and an IDT whose handlers are HLT instructions, so that rip tells which exception came.
 */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H

#include "base/physmem.h"
#include "cpu/decode.h"
#include "cpu/engine.h"
#include "cpu/vcpu.h"

enum {
    RAM = 16 << 20,
    TABLES = 0x100000,  /* page directory, then page tables */
    IDT = 0x80000,
    GDT = 0x81000,      /* 8 code, 10 data */
    TSS = 0x82000,
    HANDLERS = 0x90000, /* one HLT for each vector, 16 bytes apart */
};

struct machine {
    struct physmem mem;
    struct vm_stop stop;
    struct vcpu *vcpu;
    const struct engine *engine;
};

/* 0, or -1 having said why. */
int machine_create(struct machine *m, const struct engine *engine);

void machine_destroy(struct machine *m);

/* Control registers and segments as machine_create leaves them. */
void machine_flat(struct vcpu *v);

/* Nothing of a run before is left: no CR2, DR6, HLT, shadow or pending #DB; it may run again. */
void machine_rest(struct machine *m);

/* One of the engine's counters, by the name that it has in -stats; 0: the engine has none such. */
uint64_t machine_stat(const struct machine *m, const char *name);

/* Lists code: for each instruction a line with where, the mnemonic, the bytes. */
void machine_list(uint32_t at, const uint8_t *code, unsigned size, enum cpu_mode mode);

/* Translated code needs one on its thread. */
void machine_signal_stack(void);

#endif
