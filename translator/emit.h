/*
 * Emitting host code. The convention every emitter keeps (switch.S has the register list):
 *
 * Requirement #1: the guest's registers and arithmetic flags are changed by the guest's instruction
 *   alone. Helpers of the emitter use r8-r11 and instructions that leave flags alone (lea, mov,
 *   movzx, shrx, jrcxz, ...). rcx may be borrowed around jrcxz, its value waiting in a scratch
 *   register.
 * Requirement #2: nothing of the guest's state changes before the last host instruction that can
 * fault or leave. Requirement #3: nothing is written to a host stack: there is none.
 */
#ifndef TRANSLATOR_EMIT_H
#define TRANSLATOR_EMIT_H

#include "translator/light.h"
#include "translator/offsets.h"
#include "translator/unit.h"

#define UNIT_INSNS 64            /* guest instructions, at most */
#define UNIT_ROOM (48 * 1024)    /* host bytes reserved for one */
#define UNIT_SOFT (28 * 1024)    /* no further instruction is begun beyond */
#define UNIT_PENDING (4 * UNIT_INSNS)

/* A probe's way out, emitted after the unit's code. */
struct slow_end {
    uint32_t field;  /* rel32 of the jump to it */
    uint32_t retry;  /* where the access begins */
    uint32_t info;   /* ACCESS_ bits and size */
    uint32_t hit;    /* with ACCESS_LINES and the like: where r10 and rcx are as they should be */
};

#define ACCESS_SHIFT 8

/* A conditional transfer whose target wants more than a jump. */
struct pad {
    uint32_t field;
    uint32_t target;
};

/* Bytes of a unit that it does not depend on (live.c). */
struct soft {
    uint16_t at; /* from the unit's entry */
    uint8_t len;
};

/* A unit under construction. All positions are offsets from its entry. */
struct builder {
    struct translator *t;
    uint8_t *start, *out, *end;  /* writable mapping */
    const uint8_t *exec;         /* executable address of start */
    bool full;                   /* sticky: nothing was written past end */
    bool ended;
    bool native;                 /* U9 */
    bool loaded;                 /* it has looked for the state since TS may have changed */
    bool adapted;                /* this instruction uses the TLB form in a window unit */
    bool spots;                  /* this instruction often writes beside or into operands: T6 */
    uint8_t live;                /* LIVE_ bits: its operands that are read when it runs */
    bool parts;                  /* the next operand is more than one to the guest: each wraps */
    uint8_t form;                /* enum access_form of the operand at hand */
    uint8_t base;                /* of FORM_WINDOW_AT */
    int32_t disp;
    uint64_t gpa, gpa2;
    uint32_t key, eip, at;       /* at: eip of the instruction being translated */
    uint32_t cs_base, cs_limit;
    bool stack_beside;           /* real mode's stack is now where code is, too: T4 first */
    bool last;                   /* the unit may end behind this instruction */
    struct unit_insn insn[UNIT_INSNS + 1];
    struct slow_end slow[2 * UNIT_PENDING]; /* such with ACCESS_PAGE_SECOND bring another */
    struct pad pad[UNIT_PENDING];
    struct unit_exit exit[UNIT_PENDING];
    struct unit_site site[UNIT_INSNS + 1]; /* one for each, and SITE_LOAD */
    uint32_t site_field[UNIT_INSNS + 1]; /* imm64 that takes the site's address */
    struct soft soft[2 * UNIT_INSNS];
    unsigned insns, slows, pads, exits, sites, softs;
    unsigned counted;            /* of insns, by count_emit_insns() */
    uint32_t executions_field;   /* imm64 that takes the counter's address; 0: none */
};

static inline uint32_t here(const struct builder *b)
{
    return (uint32_t)(b->out - b->start);
}

/* --- emit.c: bytes and single host instructions --------------------------- */

void emit(struct builder *b, const uint8_t *bytes, unsigned len);
void emit8(struct builder *b, uint8_t value);
void emit32(struct builder *b, uint32_t value);
void emit64(struct builder *b, uint64_t value);
/* EMIT(b, 0x49, 0x89, 0xca): literal bytes. */
#define EMIT(b, ...)                                                                               \
    emit(b, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Sets the rel32 at field to reach position to / the executable address to. */
void emit_patch(struct builder *b, uint32_t field, uint32_t to);
/* A jump with the one-byte opcode op, over less than 128 bytes to where emit_land() is called with
 * what this returns. */
uint32_t emit_jump_short(struct builder *b, uint8_t op);
void emit_land(struct builder *b, uint32_t from);
/* jmp to one of switch.S's stubs, by its thunk in the cache. */
enum thunk { THUNK_LOOKUP, THUNK_CHAIN, THUNK_SLOW, THUNK_CALLOUT, THUNK_LIGHT, THUNK_INT_V86,
             THUNK_IRET, THUNK_MODE, THUNK_COUNT };
void emit_jump_thunk(struct builder *b, enum thunk thunk);

/* ModRM (with SIB and displacement) for memory at guest registers; reg: the ModRM reg field, 0 to
 * 7. */
void emit_modrm_mem(struct builder *b, unsigned reg, unsigned base, unsigned index, unsigned scale,
                    int32_t disp);
/* op r32, [r15 + offset] with the opcode byte op; reg 0 to 15. */
void emit_vcpu(struct builder *b, uint8_t op, unsigned reg, uint32_t offset);
/* 66, F2 and F3, as the host's instruction of the same name needs them. */
void emit_prefixes(struct builder *b, const struct insn *in);
void emit_mov_r8d_imm(struct builder *b, uint32_t imm);
/* lea reg32, [guest base + index << scale + disp]; reg 0 to 15. */
void emit_lea(struct builder *b, unsigned reg, unsigned base, unsigned index, unsigned scale,
              int32_t disp);

/* --- access.c: guest memory ------------------------------------------------ */

/* Where the operand is after access_operand() or access_at(). */
enum access_form {
    FORM_TLB,       /* [r10 + r8] */
    FORM_WINDOW,    /* gs:[the guest's own address], 32 bits wide */
    FORM_WINDOW_R8, /* gs:[r8d] */
    FORM_WINDOW_AT, /* gs:[register + disp] of access_at(), in b->base and b->disp; r8 is free */
};

/* These make the guest's operand of size bytes reachable (b->form says how), or leave the unit. */
void access_operand(struct builder *b, const struct insn *in, enum mem_access access,
                    unsigned size);
void access_at(struct builder *b, unsigned base, int32_t disp, enum mem_access access,
               unsigned size);
/* At the offset in r8d of the segment of in (if access_possible()); retry: where its computation
 * begins. */
void access_r8(struct builder *b, const struct insn *in, enum mem_access access, unsigned size,
               uint32_t retry);
/* At the linear address in r8d; retry: where its computation begins. */
void access_linear(struct builder *b, enum mem_access access, unsigned size, uint32_t retry);
/* The element of a string instruction at seg:[base]. */
void access_string(struct builder *b, const struct insn *in, unsigned seg, unsigned base,
                   enum mem_access access, unsigned size);
/* Will the next access_at() leave r8 alone? */
bool access_at_direct(const struct builder *b);
/* After access_at() and the access, with registers still as they were: mov esp, its address. */
void access_set_esp(struct builder *b);
/* The stack pointer (by SS.B) = base + disp. */
void access_move_sp(struct builder *b, unsigned base, int32_t disp);
/* The offset of the memory operand in its segment into r8d. */
void access_offset(struct builder *b, const struct insn *in);
/* Can the memory operand of in be reached by access_operand in this key? */
bool access_possible(const struct builder *b, const struct insn *in, enum mem_access access);
/* Is it the window's, at the guest's own address? */
bool access_in_window(const struct builder *b, const struct insn *in);
/* ModRM, SIB and displacement of the operand of in; reg: the ModRM reg field. The prefixes (gs: and
 * 67h in a window, and what extends registers) are the caller's. */
void access_emit_operand(struct builder *b, const struct insn *in, unsigned reg);
/* The guest's instruction itself with its memory operand there; reg replaces its reg field. */
void access_emit_insn(struct builder *b, const struct insn *in, unsigned reg);
/* mov reg32, operand (of in). */
void access_load(struct builder *b, const struct insn *in, unsigned reg);
/* movzx reg32, word operand (of in, or after access_at()). */
void access_load16(struct builder *b, const struct insn *in, unsigned reg);
/* After access_at(): mov reg32, operand; mov operand, reg32; mov operand of 2 or 4 bytes, imm. */
void access_load_at(struct builder *b, unsigned reg);
void access_store_at(struct builder *b, unsigned reg);
/* The same for 1, 2 or 4 bytes (reg's low part; never AH ... BH); cmp reg, operand. */
void access_load_sized_at(struct builder *b, unsigned reg, unsigned size);
void access_store_sized_at(struct builder *b, unsigned reg, unsigned size);
void access_compare_at(struct builder *b, unsigned reg, unsigned size);
/* op operand, reg: op is that of more than a byte, even for one. */
void access_operate_at(struct builder *b, uint8_t op, unsigned reg, unsigned size);
/* The same for an opcode 0F op of 2 or 4 bytes, with a LOCK prefix or without. */
void access_operate_0f_at(struct builder *b, uint8_t op, unsigned reg, unsigned size, bool lock);
void access_store_imm_at(struct builder *b, uint32_t imm, unsigned size);
/* Bytes of a larger operand in FORM_WINDOW_AT or FORM_TLB: disp bytes (less than 128) behind its
 * start; the load writes the low size bytes of reg. */
void access_load_beside(struct builder *b, unsigned reg, unsigned size, unsigned disp);
/* movzx reg32, word; FORM_TLB only. */
void access_load16_beside(struct builder *b, unsigned reg, unsigned disp);
void access_store_beside(struct builder *b, unsigned reg, unsigned size, unsigned disp);

/* --- exits.c: leaving a unit ------------------------------------------------ */

/* To a known address / to the address in r8d / conditional: jcc (opcode 0F 80+cc) to it. */
void exit_direct(struct builder *b, uint32_t target);
void exit_indirect(struct builder *b);
/* Real and virtual-8086 mode: to the offset in r8d (16 bits) of the segment in r9d, in the mode
 * key. */
void exit_far(struct builder *b, uint32_t key);
/* To the offset in r8d of the segment that CS has been loaded with, whose base is in r9. */
void exit_based(struct builder *b, uint32_t key);
/* To this address in the mode r9d, as crossing.S has it. */
void exit_mode(struct builder *b, uint32_t target);
void exit_jcc(struct builder *b, unsigned cc, uint32_t target);
/* The conditional jump whose rel32 is at field goes to target. */
void exit_field(struct builder *b, uint32_t field, uint32_t target);
/* Everything out of line: slow ends, pads, chain stubs. */
void exit_finish(struct builder *b);

/* --- count.c: instructions by tier ------------------------------------------ */

/* Counts the guest instructions up to and with the one being translated; r11 is used. */
void count_emit_insns(struct builder *b);
void count_emit_direct(struct builder *b);
void count_emit_looked_up(struct builder *b);
/* At a unit's beginning: how often it is entered; r9 and r11 are used. */
void count_emit_entry(struct builder *b);

/* --- record.c: the last control transfers ------------------------------------ */

void record_emit(struct builder *b);

/* --- light.c: light calls -------------------------------------------------- */

/* Calls fn with the argument in r8d. What follows is emitted by the caller for the case that it did
 * the work; then light_end() with what this returns, which emits the other case. */
uint32_t light_call(struct builder *b, light_fn *fn);
/* The same by another stub, which leads to THUNK_LIGHT's if need be. */
uint32_t light_call_by(struct builder *b, light_fn *fn, enum thunk thunk);
void light_end(struct builder *b, const struct insn *in, uint32_t slow);
void light_end_as(struct builder *b, const struct insn *in, uint32_t slow, enum site_kind kind);
/* The same by one of bt_strings, which calls the C if need be; mask: of SI, DI and CX. */
uint32_t light_string(struct builder *b, const void *string, uint32_t mask);

/* --- rules.c ---------------------------------------------------------------- */

/* Translates one instruction; sets b->ended when the unit ends with it. */
void rule_apply(struct builder *b, const struct insn *in);
/* A call of C for it; kind: enum site_kind. */
void rule_callout(struct builder *b, const struct insn *in, enum site_kind kind, bool resumes);

#endif
