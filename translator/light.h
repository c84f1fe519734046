/*
 * Light calls: C that translated code calls with most of the guest still in registers, and what
 * those of different files share.
 */
#ifndef TRANSLATOR_LIGHT_H
#define TRANSLATOR_LIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/vcpu.h"

/*
 * Light calls, from switch.S: what is in registers only (rax, rcx, rdx, rsi, rdi of the guest are
 * in gpr[] and are loaded again) and needs none of the rest. False: nothing was done, ask the
 * interpreter.
 */
typedef bool light_fn(struct vcpu *vcpu, uint32_t argument);
light_fn bt_load_segment; /* segment register << 16 | selector; flat code's of CPL 0 */
#define LIGHT_LEAVES 0x100000 /* ... which goes on in another mode if need be; rip: as below */
light_fn bt_load_segment_any; /* the same in segmented code of any CPL */
light_fn bt_describe;     /* use << 16 | selector: makes the entry in vcpu.bt_descriptors */
/* Repeated string instructions: operand size; in segmented code segment << 8, address size << 16 */
#define LIGHT_SEGMENTED 0x1000000
#define LIGHT_UNTIL_EQUAL 0x2000000 /* REPNE */
light_fn bt_rep_stos, bt_rep_movs, bt_rep_lods, bt_rep_scas, bt_rep_cmps;
light_fn bt_invlpg;       /* gla; rip is its own */
light_fn bt_in, bt_out;   /* ports.c says what */
light_fn bt_rep_ins, bt_rep_outs; /* as those of strings */
light_fn bt_sysenter;     /* the unit's key */
light_fn bt_sysexit;
light_fn bt_int;          /* the vector and the unit's key << 8; rip: of the next instruction */
light_fn bt_iret;         /* the unit's key */
/* far.c's, of segmented code in protected mode; rip: of the next instruction */
light_fn bt_jmp_far, bt_call_far; /* the far pointer */
light_fn bt_ret_far;      /* bytes to drop */
light_fn bt_int_same, bt_int_v86; /* the vector; from virtual-8086 mode */
light_fn bt_iret_same;    /* operands of 16 bits */
light_fn bt_iret_v86;     /* to virtual-8086 mode */
/* modes.c's LGDT and LIDT at CPL 0: the operand's offset; bt.scratch: segment register and this */
light_fn bt_load_table;
#define LIGHT_BASE24 0x100
#define LIGHT_IDT 0x200
light_fn bt_write_cr0;    /* modes.c's, of segmented code: the value; rip: as above */

/* --- entry.c --- */
/* In a light call: EFLAGS; and CPL 0's stack, from the TSS, if it is flat. */
uint32_t entry_eflags(const struct vcpu *vcpu);
bool entry_kernel_stack(const struct vcpu *vcpu, struct segment *ss, uint32_t *esp);

/* --- modes.c --- */
/* Flat code has loaded s into seg (not CS), which makes the mode another one: on at rip. */
void modes_leave_flat(struct vcpu *vcpu, unsigned seg, const struct segment *s);

/* --- far.c --- */
/* In a light call that has changed the mode: goes on at rip in it. */
void far_go_to(struct vcpu *vcpu, uint32_t rip);

/* --- ports.c: what light calls to the board begin and end with --- */
/* False: it must not be called from here. */
bool ports_begin(struct vcpu *vcpu);
/* Has no device done anything that translated code has to be left for? */
bool ports_stay(const struct vcpu *vcpu);
/* What the light call returns: translated code goes on behind the instruction. */
bool ports_end(struct vcpu *vcpu, bool finished);

#endif
