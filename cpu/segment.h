/*
 * Segment registers and descriptors. Reference: SDM volume 3, chapter 3 and 5.
 *
 * Functions returning bool return true when they faulted (vcpu->fault is then filled in). ext is
 * the error code's EXT bit, 0 or 1: set while an external event or an exception is being delivered.
 */
#ifndef CPU_SEGMENT_H
#define CPU_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/decode.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"

/* System descriptor types (S clear), SDM 3, table 3-2. */
enum {
    DESC_TSS16 = 1,
    DESC_LDT = 2,
    DESC_TSS16_BUSY = 3,
    DESC_CALL16 = 4,
    DESC_TASK_GATE = 5,
    DESC_INT16 = 6,
    DESC_TRAP16 = 7,
    DESC_TSS32 = 9,
    DESC_TSS32_BUSY = 11,
    DESC_CALL32 = 12,
    DESC_INT32 = 14,
    DESC_TRAP32 = 15,
};

#define SELECTOR_RPL 3u
#define SELECTOR_TI  4u

/* Attributes of what real mode, virtual-8086 mode and SYSENTER load. */
#define ATTR_REAL   0x0093u
#define ATTR_V86    0x00f3u
#define ATTR_FLAT_CODE(dpl) (0xc09bu | (dpl) << 5)
#define ATTR_FLAT_DATA(dpl) (0xc093u | (dpl) << 5)

/* --- fields of a descriptor as memory holds it ---------------------------- */

static inline uint32_t descriptor_attr(uint64_t d)
{
    return d >> 40 & 0xf0ff;
}

static inline unsigned descriptor_dpl(uint64_t d)
{
    return d >> 45 & 3;
}

static inline uint64_t descriptor_base(uint64_t d)
{
    return (d >> 16 & 0xffffff) | (d >> 56) << 24;
}

static inline uint32_t descriptor_limit(uint64_t d)
{
    uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));

    return d >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

static inline bool descriptor_present(uint64_t d)
{
    return d >> 47 & 1;
}

static inline bool selector_null(uint16_t selector)
{
    return !(selector & ~SELECTOR_RPL);
}

/* The code or data descriptor d is a code segment / a writable data segment. */
static inline bool descriptor_is_code(uint64_t d)
{
    return (descriptor_attr(d) & (SEG_S | SEG_CODE)) == (SEG_S | SEG_CODE);
}

static inline bool descriptor_is_stack(uint64_t d)
{
    return (descriptor_attr(d) & (SEG_S | SEG_CODE | SEG_WRITABLE)) == (SEG_S | SEG_WRITABLE);
}

static inline bool descriptor_is_conforming(uint64_t d)
{
    return descriptor_attr(d) & SEG_CONFORM;
}

/* Type of a system descriptor, or 0 (reserved) for code and data. */
static inline unsigned descriptor_system_type(uint64_t d)
{
    return descriptor_attr(d) & SEG_S ? 0 : descriptor_attr(d) & SEG_TYPE;
}

static inline struct segment segment_unpack(uint16_t selector, uint64_t d)
{
    return (struct segment){ selector, descriptor_attr(d), descriptor_limit(d),
                             descriptor_base(d) };
}

/* Are offset to offset + size - 1 inside the limit (SDM 3, 5.3)? A 4 GiB segment wraps around, as
 * the CPUs do. */
static inline bool segment_within(const struct segment *s, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;

    if ((s->attr & (SEG_CODE | SEG_EXPDOWN)) == SEG_EXPDOWN)
        return offset > s->limit && last <= (s->attr & SEG_DB ? UINT32_MAX : 0xffff);
    return last <= s->limit || s->limit == UINT32_MAX;
}

/* --- loading -------------------------------------------------------------- */

/*
 * Reads the descriptor that selector names; *gla is where it is. Outside its table: vector with the
 * selector as error code.
 */
MUST_CHECK bool segment_descriptor(struct vcpu *vcpu, uint16_t selector, uint8_t vector,
                                   uint32_t ext, uint64_t *d, uint64_t *gla);

/*
 * User code that ran on the bare CPU may have read a host process's selectors there. The guest's
 * own, which one of them stands for when it is loaded into seg, by the code itself or by its kernel
 * on its behalf; others, and those that the guest's table has a segment for, are as they are.
 */
#define SEGMENT_BARE_CODE 0x23
#define SEGMENT_BARE_DATA 0x2b
#define SEGMENT_BARE_TLS(n) ((n) * 8 + 7) /* for the guest's n * 8 + 3, n from 6 to 8 */
uint16_t segment_meant(const struct vcpu *vcpu, unsigned seg, uint16_t selector);

/* vector(selector + ext); always true. */
bool segment_raise(struct vcpu *vcpu, uint8_t vector, uint16_t selector, uint32_t ext);

/* Sets the accessed bit of the code or data descriptor *d in its table, where it is clear. */
MUST_CHECK bool segment_accessed(struct vcpu *vcpu, uint64_t gla, uint64_t *d);

/* MOV, POP, LDS...: loads ES, SS, DS, FS or GS, in every mode. */
MUST_CHECK bool segment_load(struct vcpu *vcpu, unsigned seg, uint16_t selector);

/* The same without checks, as real mode (limit and attributes stay) or virtual-8086 mode does. */
void segment_load_real(struct vcpu *vcpu, unsigned seg, uint16_t selector);
void segment_load_v86(struct vcpu *vcpu, unsigned seg, uint16_t selector);

/* Marks a data segment register null. */
void segment_load_null(struct vcpu *vcpu, unsigned seg, uint16_t selector);

/* After a return to an outer privilege: nulls ES, DS, FS, GS that the new CPL may not use. */
void segment_drop_inner(struct vcpu *vcpu);

/* LLDT and LTR, in protected mode at CPL 0; vector and ext are those of failed checks. */
MUST_CHECK bool segment_load_ldtr(struct vcpu *vcpu, uint16_t selector, uint8_t vector,
                                  uint32_t ext);
MUST_CHECK bool segment_load_tr(struct vcpu *vcpu, uint16_t selector);

/* --- stacks --------------------------------------------------------------- */

/* A stack that a frame is pushed on before anybody sees the change. */
struct stack {
    struct segment ss;
    uint64_t sp;
    uint64_t mask;   /* of the stack pointer: by SS.B */
    bool system;     /* pushes have supervisor rights */
    uint32_t error;  /* #SS's error code when there is no room */
};

static inline uint64_t stack_mask(const struct segment *ss)
{
    return ss->attr & SEG_DB ? 0xffffffff : 0xffff;
}

/* The current stack, for pushes at the current CPL. */
void stack_current(const struct vcpu *vcpu, uint32_t error, struct stack *st);

/* Room for count values of size bytes? True: no, #SS is raised. */
MUST_CHECK bool stack_check(struct vcpu *vcpu, const struct stack *st, unsigned count,
                            unsigned size);
MUST_CHECK bool stack_push(struct vcpu *vcpu, struct stack *st, unsigned size, uint64_t value);

/*
 * How many bytes of a slot of opsize bytes PUSH and POP of a segment register touch: on Intel's
 * CPUs 2, so that the rest of a slot written stays as it was (SDM 3, chapter 23, "Selector Pushes
 * and Pops"), on AMD's all (measured, Zen 4). Far transfers are not meant: RET wants the slot's
 * second doubleword on the stack (SDM 2, RET).
 */
unsigned stack_selector_size(const struct vcpu *vcpu, unsigned opsize);

/* The current stack, with the current rights: reads the value skip bytes above its top; pushes. */
MUST_CHECK bool stack_peek(struct vcpu *vcpu, uint64_t skip, unsigned size, uint64_t *value);
MUST_CHECK bool stack_push_current(struct vcpu *vcpu, unsigned size, uint64_t value);

/* Makes st the vcpu's stack pointer (not SS): 16-bit stacks keep ESP's upper half. */
void stack_set_pointer(struct vcpu *vcpu, const struct segment *ss, uint64_t sp);

#endif
