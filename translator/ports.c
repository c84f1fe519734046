/*
 * IN and OUT at CPL 0, where no permission is asked for: light calls of the board. What a device
 * has changed of the machine (an interrupt waits, memory is elsewhere, the guest is to stop) is for
 * the callout behind it to look at, which then does not do the access again (enum port_left).
 * Repeated INS and OUTS are light.c's.
 *
 * Reference: SDM 1, 19; SDM 2, IN, OUT. Not: where a port's breakpoint, a log or a trace waits for
 * each access, or the guest's FPU state is in the host's registers, which the board's C may use.
 */
#include "base/log.h"
#include "cpu/debug.h"
#include "cpu/env.h"
#include "cpu/operand.h"
#include "cpu/tlb.h"
#include "translator/descriptors.h"
#include "translator/rules.h"

/* --- Emitting ------------------------------------------------------------------------- */

/* The light calls' argument: size; the port << 16, or that it is in DX. */
#define PORT_IN_DX 0x100
#define PORT_SHIFT 16

static uint32_t argument(const struct insn *in)
{
    uint32_t size = !(in->opcode & 1) ? 1 : in->opsize == 2 ? 2 : 4;

    return size | (in->opcode & 8 ? PORT_IN_DX : (uint32_t)(in->imm & 0xff) << PORT_SHIFT);
}

bool rule_port(struct builder *b, const struct insn *in)
{
    if (b->key & (KEY_USER | KEY_RING) || in->prefixes & PREFIX_LOCK)
        return false;
    emit_mov_r8d_imm(b, argument(in));
    light_end_as(b, in, light_call(b, in->id == M_IN ? bt_in : bt_out), SITE_OUTSIDE);
    return true;
}

/* --- Calls ---------------------------------------------------------------------------- */

/* May the board be called now? */
bool ports_begin(struct vcpu *vcpu)
{
    if (vcpu->bt.fpu_loaded || vcpu->events || novt_log.topics || debug_armed(vcpu))
        return false;
    vcpu->bt.leave = 0;
    return true;
}

/* IF is not in eflags now. */
bool ports_stay(const struct vcpu *vcpu)
{
    return !vcpu->bt.leave && !vcpu->exit_request && !vcpu->nmi_pending && !vcpu->shutdown &&
           vcpu->stop->end == VM_RUNNING && !(vcpu->intr_line && vcpu->bt.flag_if);
}

/* D1 and D3, where no register of the guest's has changed; nor a view, a window or a jump table, as
 * then bt.leave is set. */
static void check_pages(struct vcpu *vcpu)
{
    const struct translator *t = translator_of(vcpu);
    const struct tlb *tlb = vcpu->tlb[0];

    if (t->described && (tlb != t->tables.tlb || tlb->drops != t->tables.drops))
        descriptors_changed(vcpu);
}

/* Nothing is left to the callout (PORT_ASKED) while translated code runs. */
static inline bool end(struct vcpu *vcpu, bool finished)
{
    if (__builtin_expect(ports_stay(vcpu), 1)) {
        check_pages(vcpu); /* else behind the callout, all of it */
        return finished;
    }
    translator_of(vcpu)->port = finished ? PORT_DONE : PORT_LATER;
    return false;
}

bool ports_end(struct vcpu *vcpu, bool finished)
{
    return end(vcpu, finished);
}

static uint16_t port_of(const struct vcpu *vcpu, uint32_t argument)
{
    return (argument & PORT_IN_DX ? vcpu->gpr[RDX] : argument >> PORT_SHIFT) & 0xffff;
}

bool bt_in(struct vcpu *vcpu, uint32_t argument)
{
    unsigned size = argument & 0xff;

    if (!ports_begin(vcpu))
        return false;
    vcpu->stats.port_reads++;
    operand_set_register(vcpu, RAX, size,
                         vcpu->env->port_read(vcpu->env->board, port_of(vcpu, argument), size));
    return end(vcpu, true);
}

bool bt_out(struct vcpu *vcpu, uint32_t argument)
{
    unsigned size = argument & 0xff;

    if (!ports_begin(vcpu))
        return false;
    vcpu->stats.port_writes++;
    vcpu->env->port_write(vcpu->env->board, port_of(vcpu, argument), size,
                          vcpu->gpr[RAX] & operand_mask(size));
    return end(vcpu, true);
}
