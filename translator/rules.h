/* The emitters that rules.def names; private to translator/. Each returns false, having emitted
 * nothing, for a form that it leaves to the interpreter. */
#ifndef TRANSLATOR_RULES_H
#define TRANSLATOR_RULES_H

#include "translator/emit.h"

typedef bool rule_fn(struct builder *b, const struct insn *in);

/* --- rules.c --- */
rule_fn rule_same, rule_bit_string, rule_bit_scan, rule_inc_dec, rule_lea, rule_nop,
    rule_fence;
/* --- rules_vector.c: AVX; BMI --- */
rule_fn rule_vector, rule_bmi;
/* --- rules_decimal.c --- */
rule_fn rule_aam, rule_aad, rule_adjust, rule_salc, rule_into;
/* --- rules_stack.c --- */
rule_fn rule_push, rule_pop, rule_enter, rule_leave, rule_pusha, rule_popa;
/* --- rules_branch.c --- */
rule_fn rule_call, rule_call_indirect, rule_jmp, rule_jmp_indirect, rule_ret;
rule_fn rule_jcc, rule_jcxz, rule_loop;
/* The interpreter does the transfer when its target, in r8d, is beyond CS's limit; then the unit
 * ends. */
void rule_check_target(struct builder *b, const struct insn *in);
/* A near call to what is in r8d and has been checked. */
void rule_call_r8(struct builder *b, const struct insn *in);
/* --- ports.c; rules_string.c --- */
rule_fn rule_port, rule_port_string;
/* --- rules_system.c --- */
rule_fn rule_pushf, rule_popf, rule_cli, rule_sti, rule_cld, rule_std, rule_rdtsc, rule_sysenter,
    rule_sysexit, rule_int, rule_iret, rule_mov_to_cr, rule_mov_from_cr, rule_clts, rule_invlpg,
    rule_load_table;
/* IF's or DF's offset in struct vcpu: 0 or its bit. No flag of the host's changes. */
void rule_store_flag(struct builder *b, uint32_t offset, uint32_t value);
/* A light call that goes on somewhere else, where far.c or entry.c says; its argument is in r8d. */
bool rule_transfer(struct builder *b, const struct insn *in, light_fn *fn);
/* The next instruction's offset into vcpu.rip, for those; r9 is used. */
void rule_store_next(struct builder *b, const struct insn *in);
/* EFLAGS into r9d; from r9d (size bytes), and where they cannot be: rules_system.c says how. */
void rule_compose_flags(struct builder *b);
void rule_load_flags(struct builder *b, unsigned size, uint32_t ways[2]);
/* --- rules_real.c --- */
rule_fn rule_int_real, rule_iret_real, rule_jmp_far, rule_call_far, rule_ret_far;
/* From the selector in r8d: a segment register (not CS) as real mode loads it. */
void rule_load_real(struct builder *b, unsigned seg);
/* Is real mode's or virtual-8086 mode's meaning of segments all that there is to it? */
static inline bool rule_is_real(const struct builder *b)
{
    return (b->key & (KEY_REAL | KEY_ODD)) == KEY_REAL;
}
void rule_load_pointer(struct builder *b, const struct insn *in); /* 16:16, into r8d */
void rule_count_interrupt(struct builder *b); /* r9 is used */
/* --- rules_far.c --- */
rule_fn rule_jmp_far_protected, rule_call_far_protected, rule_ret_far_protected,
    rule_int_protected, rule_iret_protected;
/* --- rules_descriptor.c --- */
/* What is looked for, and the jumps of those who do not find it. */
struct wanted {
    uint32_t start; /* of the instruction's code, which changes nothing before */
    uint32_t use;   /* enum descriptor_use */
    uint32_t miss[3];
    unsigned misses;
};
/* kind in this key. */
unsigned rule_use(const struct builder *b, unsigned kind);
/* r10: the entry of the selector in r8 (zero-extended) or of a fixed one (or a vector), which is in
 * r8d then. r9 is used; rcx is in r11 until rule_found(). */
struct wanted rule_find(struct builder *b, uint32_t start, uint32_t use);
struct wanted rule_find_fixed(struct builder *b, uint32_t start, uint32_t use, uint16_t selector);
void rule_found(struct builder *b);
/* For those jumps, out of the way of what has been found: makes the entry and begins anew. Where
 * none can be made it goes on as with light_call(). */
uint32_t rule_missed(struct builder *b, const struct wanted *w);
/* r10: the entry that has been found before. */
void rule_entry_fixed(struct builder *b, uint32_t use, uint16_t selector);
/* The segment of entry r10 into seg; its base is in r9. */
void rule_entry_load(struct builder *b, unsigned seg);
/* The same of CS, whose selector is in r8. */
void rule_entry_load_cs(struct builder *b);
/* Before rule_found(): the jump whose rel32 is at *other is taken if a data segment's entry r10
 * brings something else to the mode's key (bt_descriptors.mode). */
void rule_entry_expect(struct builder *b, uint32_t mode, uint32_t *other);
/* What it brings, into r9. */
void rule_entry_mode(struct builder *b);
/* A gate's offset into r8. */
void rule_entry_offset(struct builder *b);
/* Before rule_found(): the jump whose rel32 is at *outside is taken if the offset in r9d is beyond
 * the limit of entry r10. */
void rule_entry_limit(struct builder *b, uint32_t *outside);
/* --- rules_segment.c --- */
rule_fn rule_mov_from_seg, rule_mov_to_seg, rule_pop_seg, rule_push_seg, rule_les;
/* --- rules_string.c --- */
rule_fn rule_lods, rule_stos, rule_movs, rule_scas, rule_cmps;
/* --- rules_repeat.c --- */
rule_fn rule_xlat;
/* A repeated MOVS of segmented code. What follows is emitted by the caller for the case that
 * nothing has been done; the rel32 at what this returns leads behind that. */
uint32_t rule_repeat_movs(struct builder *b, const struct insn *in);

#endif
