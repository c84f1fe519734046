/*
 * The way into translated code, the ways out of it that are written in assembly, and the C behind
 * those (callouts.c).
 */
#ifndef TRANSLATOR_SWITCH_H
#define TRANSLATOR_SWITCH_H

#include "translator/unit.h"

/* In bt_access's info, beside the access and its size: the instruction uses the FPU or vector
 * registers. */
#define ACCESS_FPU 0x10000
/* ... or it goes through a kernel's FS or GS (segment register << 20), whose TLB may be the one
 * that never hits; or through any segment that is not flat, perhaps with 16-bit addresses. */
#define ACCESS_SEG_SHIFT 20
#define ACCESS_SEGMENTED 0x20000
#define ACCESS_WRAPS 0x40000
#define ACCESS_SPOTS 0x400 /* ... or to what T6 says */
#define ACCESS_PAGE_SECOND 0x800 /* the line has been asked for first: never leaves for C */
#define ACCESS_LINES 0x80000 /* a write that can go to a line beside code (cpu/tlb.h, T4) */

/* --- callouts.c: called from switch.S; each returns where to go on, or NULL to leave --- */
const void *bt_lookup(struct vcpu *vcpu);
const void *bt_lookup_mode(struct vcpu *vcpu); /* the same, and the mode is remembered */
const void *bt_chain(struct vcpu *vcpu, uint32_t exit_number);
const void *bt_access(struct vcpu *vcpu, uint64_t gla, uint32_t info, const void *resume);
const void *bt_call_site(struct vcpu *vcpu, struct unit_site *site);
const void *bt_fault(struct vcpu *vcpu);
const void *bt_window(struct vcpu *vcpu);
void translator_window(struct translator *t, bool user); /* gs base */
/* What translated code of this mode finds in struct vcpu; returns where it looks addresses up. */
struct jump_table *bt_prepare(struct vcpu *vcpu, uint32_t key);
void bt_fpu_in(struct vcpu *vcpu);
void bt_fpu_out(struct vcpu *vcpu);

/* --- switch.S --- */
uint64_t bt_enter(struct vcpu *vcpu, const void *host);
extern const char bt_exit_lookup[], bt_exit_second[], bt_exit_chain[], bt_slow_access[];
extern const char bt_callout[], bt_exit_fault[], bt_exit_window[], bt_light_call[];
extern const char bt_jump_1[], bt_jump_2[], bt_jump_3[], bt_jump_4[];

/* --- strings.S: for light_string(), by the logarithm of the element's size --- */
enum string_kind {
    STRING_STOS,
    STRING_LODS,
    STRING_SCAS,
    STRING_CMPS = 4,
    STRING_MOVS = 6,
    STRING_KINDS
};
#define STRING_UNTIL_EQUAL 1 /* of those that compare */
extern const void *const bt_strings[STRING_KINDS][3];
extern const char bt_jump_5[];

/* --- crossing.S --- */
extern const char bt_cross_in[], bt_cross_out[], bt_change_mode[], bt_jump_6[];

#define JUMP_POISON 0x8000000000000000ull

/* Translated code looks up its jumps there; a kick that comes later poisons it. */
static inline void unit_set_jumps(struct vcpu *vcpu, const struct jump_table *jumps)
{
    vcpu->bt.jumps = (uint64_t)(uintptr_t)jumps;
    *(volatile uint64_t *)&vcpu->bt.jump_table = vcpu->bt.jumps;
}

#endif
