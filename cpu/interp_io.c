/*
 * Port input and output. Reference: SDM volume 1, chapter 19; volume 2, IN, INS, OUT, OUTS, REP.
 *
 * INS makes sure of its memory before it touches the port, OUTS reads memory first: a page fault
 * never loses or repeats a port access.
 *
 * Forward repetitions in RAM are offered to the board up to a page at a time (a disk's data port
 * takes them), if no trap could be due in between.
 */
#include <stddef.h>

#include "cpu/debug.h"
#include "cpu/env.h"
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/mem.h"
#include "cpu/stops.h"
#include "cpu/task.h"

static uint64_t port_read(struct vcpu *vcpu, uint16_t port, unsigned size)
{
    uint64_t value;

    vcpu->stats.port_reads++;
    if (debug_armed(vcpu))
        debug_port_access(vcpu, port, size);
    value = vcpu->env->port_read(vcpu->env->board, port, size);
    event_tell(vcpu, EVENT_port_read, port, value, size);
    return value;
}

static void port_write(struct vcpu *vcpu, uint16_t port, unsigned size, uint64_t value)
{
    vcpu->stats.port_writes++;
    if (debug_armed(vcpu))
        debug_port_access(vcpu, port, size);
    event_tell(vcpu, EVENT_port_write, port, value, size);
    vcpu->env->port_write(vcpu->env->board, port, size, value);
}

/* Opcode bit 0: byte, or the operand size but at most 32 bits. */
static unsigned access_size(const struct insn *in)
{
    if (!(in->opcode & 1))
        return 1;
    return in->opsize == 2 ? 2 : 4;
}

/* Opcode bit 3: the port is in DX, not in the instruction. */
static uint16_t port_number(const struct vcpu *vcpu, const struct insn *in)
{
    return in->opcode & 8 ? vcpu->gpr[RDX] & 0xffff : in->imm & 0xff;
}

static uint64_t size_mask(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

enum step interp_in(struct vcpu *vcpu, const struct insn *in)
{
    uint16_t port = port_number(vcpu, in);
    unsigned size = access_size(in);
    uint64_t mask = size_mask(size), value;

    if (task_port_denied(vcpu, port, size))
        return STEP_FAULT;
    value = port_read(vcpu, port, size);
    vcpu->gpr[RAX] = (vcpu->gpr[RAX] & ~mask & UINT32_MAX) | (value & mask);
    return STEP_NEXT;
}

enum step interp_out(struct vcpu *vcpu, const struct insn *in)
{
    uint16_t port = port_number(vcpu, in);
    unsigned size = access_size(in);

    if (task_port_denied(vcpu, port, size))
        return STEP_FAULT;
    port_write(vcpu, port, size, vcpu->gpr[RAX] & size_mask(size));
    return STEP_NEXT;
}

/* --- Strings -------------------------------------------------------------- */

/* rSI, rDI or rCX plus n, in the address size. */
static void advance(struct vcpu *vcpu, const struct insn *in, unsigned reg, int64_t n)
{
    uint64_t mask = size_mask(in->addrsize), old = vcpu->gpr[reg];

    vcpu->gpr[reg] = (old & ~mask & UINT32_MAX) | ((old + (uint64_t)n) & mask);
}

static bool ins_once(struct vcpu *vcpu, const struct insn *in, uint16_t port, unsigned size)
{
    uint64_t at = vcpu->gpr[RDI] & size_mask(in->addrsize);

    if (mem_probe(vcpu, SEG_ES, at, size, true))
        return true;
    return mem_write(vcpu, SEG_ES, at, size, port_read(vcpu, port, size));
}

static bool outs_once(struct vcpu *vcpu, const struct insn *in, uint16_t port, unsigned size)
{
    uint64_t at = vcpu->gpr[RSI] & size_mask(in->addrsize), value;

    if (mem_read(vcpu, in->seg, at, size, &value))
        return true;
    port_write(vcpu, port, size, value);
    return false;
}

/* --- Many elements at once: how many were done, 0 for none -------------------- */

static bool runs_allowed(struct vcpu *vcpu, int64_t step)
{
    bool checks_alignment = vcpu->eflags & EFLAGS_AC && vcpu->cr0 & CR0_AM && vcpu->cpl == 3;

    return step > 0 && !checks_alignment && !(vcpu->eflags & EFLAGS_TF) && !debug_armed(vcpu) &&
           !stops_stepping(vcpu);
}

/* Host memory of up to *count elements; NULL where element by element has to say what is there. */
static uint8_t *elements_at(struct vcpu *vcpu, const struct insn *in, unsigned seg, unsigned reg,
                            bool write, unsigned size, uint64_t *count)
{
    uint64_t mask = size_mask(in->addrsize), at = vcpu->gpr[reg] & mask;
    uint64_t bytes = *count < PAGE_SIZE ? *count * size : PAGE_SIZE * size;
    uint8_t *host;

    if (bytes > mask - at + 1)
        bytes = mask - at + 1;
    if (mem_span(vcpu, seg, at, write, &bytes, &host) || !host)
        return NULL;
    *count = bytes / size;
    return *count ? host : NULL;
}

static uint64_t ins_many(struct vcpu *vcpu, const struct insn *in, uint16_t port, unsigned size,
                         uint64_t count)
{
    const struct cpu_env *env = vcpu->env;
    uint8_t *to = env->port_read_string ?
                      elements_at(vcpu, in, SEG_ES, RDI, true, size, &count) : NULL;
    uint64_t done = to ? env->port_read_string(env->board, port, size, to, count) : 0;

    vcpu->stats.port_reads += done;
    if (done)
        event_tell(vcpu, EVENT_port_read_string, port, done, size);
    return done;
}

static uint64_t outs_many(struct vcpu *vcpu, const struct insn *in, uint16_t port, unsigned size,
                          uint64_t count)
{
    const struct cpu_env *env = vcpu->env;
    uint8_t *from = env->port_write_string ?
                        elements_at(vcpu, in, in->seg, RSI, false, size, &count) : NULL;
    uint64_t done = from ? env->port_write_string(env->board, port, size, from, count) : 0;

    vcpu->stats.port_writes += done;
    if (done)
        event_tell(vcpu, EVENT_port_write_string, port, done, size);
    return done;
}

/* What INS or OUTS does. */
struct string_ops {
    bool (*once)(struct vcpu *vcpu, const struct insn *in, uint16_t port, unsigned size);
    uint64_t (*many)(struct vcpu *vcpu, const struct insn *in, uint16_t port, unsigned size,
                     uint64_t count);
    unsigned index; /* register */
};

/* Some of count elements; 0: it faulted. */
static uint64_t some(struct vcpu *vcpu, const struct insn *in, const struct string_ops *ops,
                     uint16_t port, unsigned size, int64_t step, uint64_t count)
{
    uint64_t done = count > 1 && runs_allowed(vcpu, step) ?
                        ops->many(vcpu, in, port, size, count) : 0;

    if (done)
        return done;
    return ops->once(vcpu, in, port, size) ? 0 : 1;
}

/* Between two iterations: is anything waiting to be taken? */
static bool interrupted(const struct vcpu *vcpu)
{
    return vcpu->exit_request || vcpu_can_interrupt(vcpu) || vcpu->nmi_pending ||
           vcpu->eflags & EFLAGS_TF || vcpu->debug_pending || stops_stepping(vcpu);
}

static enum step string(struct vcpu *vcpu, const struct insn *in, const struct string_ops *ops)
{
    bool rep = in->prefixes & (PREFIX_REP | PREFIX_REPNE);
    uint64_t mask = size_mask(in->addrsize);
    uint16_t port = vcpu->gpr[RDX] & 0xffff;
    unsigned size = access_size(in);
    int64_t step = vcpu->eflags & EFLAGS_DF ? -(int64_t)size : (int64_t)size;
    uint64_t left = rep ? vcpu->gpr[RCX] & mask : 1, done;

    /* The CPUs check the port even when there is nothing to do. */
    if (task_port_denied(vcpu, port, size))
        return STEP_FAULT;
    for (; left; left -= done) {
        done = some(vcpu, in, ops, port, size, step, left);
        if (!done)
            return STEP_FAULT;
        advance(vcpu, in, ops->index, step * (int64_t)done);
        if (rep)
            advance(vcpu, in, RCX, -(int64_t)done);
        if (left > done && interrupted(vcpu))
            return STEP_JUMPED; /* rip stays: the rest comes later */
    }
    return STEP_NEXT;
}

enum step interp_ins(struct vcpu *vcpu, const struct insn *in)
{
    static const struct string_ops ops = { ins_once, ins_many, RDI };

    return string(vcpu, in, &ops);
}

enum step interp_outs(struct vcpu *vcpu, const struct insn *in)
{
    static const struct string_ops ops = { outs_once, outs_many, RSI };

    return string(vcpu, in, &ops);
}
