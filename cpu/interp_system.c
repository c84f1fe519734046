/*
 * The instructions an operating system lives on: flags, descriptor tables, control and debug
 * registers, MSRs, the fast system calls, CPUID, RDTSC, HLT. Reference: SDM volume 2, each
 * instruction's "Operation" and exceptions; volume 3, 2.8 and 5.9 (who may).
 * Modelled: all modes with VME, UMIP and PCID absent. Not yet: long mode.
 */
#include "cpu/control.h"

#include "base/log.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/mem.h"
#include "cpu/msr.h"
#include "cpu/rm.h"
#include "cpu/segment.h"

/* #GP(0) above CPL 0, in virtual-8086 mode as well (CPL 3). */
static bool unprivileged(struct vcpu *vcpu)
{
    return vcpu->cpl != 0 && fault_gp(vcpu, 0) == STEP_FAULT;
}

static bool has_descriptors(const struct vcpu *vcpu)
{
    return vcpu_protected(vcpu) && !vcpu_v86(vcpu);
}

static enum step done(bool faulted)
{
    return faulted ? STEP_FAULT : STEP_NEXT;
}

/* --- Flags ---------------------------------------------------------------- */

static bool iopl_denies(const struct vcpu *vcpu)
{
    return vcpu_protected(vcpu) && vcpu->cpl > vcpu_iopl(vcpu);
}

enum step interp_cli(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    if (iopl_denies(vcpu))
        return fault_gp(vcpu, 0);
    vcpu->eflags &= ~EFLAGS_IF;
    return STEP_NEXT;
}

enum step interp_sti(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    if (iopl_denies(vcpu))
        return fault_gp(vcpu, 0);
    if (!(vcpu->eflags & EFLAGS_IF))
        vcpu->intr_shadow = true;
    vcpu->eflags |= EFLAGS_IF;
    return STEP_NEXT;
}

enum step interp_pushf(struct vcpu *vcpu, const struct insn *in)
{
    if (vcpu_v86(vcpu) && vcpu_iopl(vcpu) < 3)
        return fault_gp(vcpu, 0);
    return done(stack_push_current(vcpu, in->opsize, vcpu->eflags & ~(EFLAGS_VM | EFLAGS_RF)));
}

/* The flags POPF may change here (SDM 2, POPF, table 4-16). RF is cleared by every instruction. */
static uint32_t popf_mask(const struct vcpu *vcpu, unsigned size)
{
    uint32_t mask = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;

    if (size == 4)
        mask |= EFLAGS_AC | EFLAGS_ID;
    if (!iopl_denies(vcpu))
        mask |= EFLAGS_IF;
    if (vcpu->cpl == 0)
        mask |= EFLAGS_IOPL;
    return mask;
}

enum step interp_popf(struct vcpu *vcpu, const struct insn *in)
{
    uint32_t mask = popf_mask(vcpu, in->opsize);
    uint64_t flags;

    if (vcpu_v86(vcpu) && vcpu_iopl(vcpu) < 3)
        return fault_gp(vcpu, 0);
    if (stack_peek(vcpu, 0, in->opsize, &flags))
        return STEP_FAULT;
    stack_set_pointer(vcpu, &vcpu->seg[SEG_SS], vcpu->gpr[RSP] + in->opsize);
    vcpu->eflags = (vcpu->eflags & ~mask) | ((uint32_t)flags & mask);
    return STEP_NEXT;
}

/* --- Descriptor tables ---------------------------------------------------- */

static enum step store_table(struct vcpu *vcpu, const struct insn *in,
                             const struct table_register *table)
{
    uint8_t image[6];
    uint32_t base = (uint32_t)table->base; /* all 32 bits, whatever the operand size */

    __builtin_memcpy(image, &table->limit, 2);
    __builtin_memcpy(image + 2, &base, 4);
    return done(mem_write_bytes(vcpu, in->seg, operand_address(vcpu, in), image, 6));
}

enum step interp_sgdt(struct vcpu *vcpu, const struct insn *in)
{
    return store_table(vcpu, in, &vcpu->gdtr);
}

enum step interp_sidt(struct vcpu *vcpu, const struct insn *in)
{
    return store_table(vcpu, in, &vcpu->idtr);
}

static enum step load_table(struct vcpu *vcpu, const struct insn *in, struct table_register *table)
{
    uint8_t image[6];
    uint32_t base;

    if (unprivileged(vcpu) ||
        mem_read_bytes(vcpu, in->seg, operand_address(vcpu, in), image, 6))
        return STEP_FAULT;
    __builtin_memcpy(&table->limit, image, 2);
    __builtin_memcpy(&base, image + 2, 4);
    table->base = in->opsize == 2 ? base & 0xffffff : base;
    return STEP_NEXT;
}

enum step interp_lgdt(struct vcpu *vcpu, const struct insn *in)
{
    return load_table(vcpu, in, &vcpu->gdtr);
}

enum step interp_lidt(struct vcpu *vcpu, const struct insn *in)
{
    return load_table(vcpu, in, &vcpu->idtr);
}

/* SLDT, STR, SMSW: a register gets the operand size, memory 16 bits. */
static enum step store_word(struct vcpu *vcpu, const struct insn *in, uint64_t value)
{
    return done(rm_write(vcpu, in, in->has_mem ? 2 : in->opsize, value));
}

enum step interp_sldt(struct vcpu *vcpu, const struct insn *in)
{
    if (!has_descriptors(vcpu))
        return fault_ud(vcpu);
    return store_word(vcpu, in, vcpu->ldtr.selector);
}

enum step interp_str(struct vcpu *vcpu, const struct insn *in)
{
    if (!has_descriptors(vcpu))
        return fault_ud(vcpu);
    return store_word(vcpu, in, vcpu->tr.selector);
}

enum step interp_lldt(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t selector;

    if (!has_descriptors(vcpu))
        return fault_ud(vcpu);
    if (unprivileged(vcpu) || rm_read(vcpu, in, 2, &selector))
        return STEP_FAULT;
    return done(segment_load_ldtr(vcpu, (uint16_t)selector, VEC_GP, 0));
}

enum step interp_ltr(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t selector;

    if (!has_descriptors(vcpu))
        return fault_ud(vcpu);
    if (unprivileged(vcpu) || rm_read(vcpu, in, 2, &selector))
        return STEP_FAULT;
    return done(segment_load_tr(vcpu, (uint16_t)selector));
}

/* --- Control registers ---------------------------------------------------- */

enum step interp_smsw(struct vcpu *vcpu, const struct insn *in)
{
    return store_word(vcpu, in, vcpu->cr0 & UINT32_MAX);
}

/* Sets PE, MP, EM, TS; cannot clear PE. */
enum step interp_lmsw(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;

    if (unprivileged(vcpu) || rm_read(vcpu, in, 2, &value))
        return STEP_FAULT;
    value = (vcpu->cr0 & ~0xeull) | (value & 0xf);
    return done(control_write_cr0(vcpu, (uint32_t)value));
}

enum step interp_clts(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    if (unprivileged(vcpu))
        return STEP_FAULT;
    vcpu->cr0 &= ~(uint64_t)CR0_TS;
    return STEP_NEXT;
}

enum step interp_mov_from_cr(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;

    switch (in->reg) {
    case 0: value = vcpu->cr0; break;
    case 2: value = vcpu->cr2; break;
    case 3: value = vcpu->cr3; break;
    case 4: value = vcpu->cr4; break;
    default: return fault_ud(vcpu);
    }
    if (unprivileged(vcpu))
        return STEP_FAULT;
    vcpu->gpr[in->rm] = value & UINT32_MAX;
    return STEP_NEXT;
}

enum step interp_mov_to_cr(struct vcpu *vcpu, const struct insn *in)
{
    uint32_t value = (uint32_t)vcpu->gpr[in->rm];

    if (in->reg != 0 && in->reg != 2 && in->reg != 3 && in->reg != 4)
        return fault_ud(vcpu);
    if (unprivileged(vcpu))
        return STEP_FAULT;
    switch (in->reg) {
    case 0: return done(control_write_cr0(vcpu, value));
    case 3: return done(control_write_cr3(vcpu, value));
    case 4: return done(control_write_cr4(vcpu, value));
    default: vcpu->cr2 = value; return STEP_NEXT;
    }
}

/* What MOV DRn checks first: DR4 and DR5, the privilege, and GD (SDM 3, 17.2.2 and 17.2.4). */
static bool debug_register(struct vcpu *vcpu, const struct insn *in, unsigned *number)
{
    *number = in->reg;
    if (in->reg == 4 || in->reg == 5) {
        if (vcpu->cr4 & CR4_DE)
            return fault_ud(vcpu) == STEP_FAULT;
        *number = in->reg + 2u;
    }
    if (unprivileged(vcpu))
        return true;
    if (!(vcpu->dr[7] & DR7_GD))
        return false;
    vcpu->dr[6] |= DR6_BD;
    return fault_raise(vcpu, VEC_DB) == STEP_FAULT;
}

enum step interp_mov_from_dr(struct vcpu *vcpu, const struct insn *in)
{
    unsigned number;

    if (debug_register(vcpu, in, &number))
        return STEP_FAULT;
    vcpu->gpr[in->rm] = vcpu->dr[number] & UINT32_MAX;
    return STEP_NEXT;
}

enum step interp_mov_to_dr(struct vcpu *vcpu, const struct insn *in)
{
    unsigned number;

    if (debug_register(vcpu, in, &number))
        return STEP_FAULT;
    debug_write(vcpu, number, (uint32_t)vcpu->gpr[in->rm]);
    return STEP_NEXT;
}

/* --- Caches, TLB, halt ---------------------------------------------------- */

enum step interp_invlpg(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t gla = (vcpu->seg[in->seg].base + operand_address(vcpu, in)) & UINT32_MAX;

    if (unprivileged(vcpu))
        return STEP_FAULT;
    log_print(LOG_mmu, "invlpg %08llx\n", (unsigned long long)gla);
    mem_invlpg(vcpu, gla);
    return STEP_NEXT;
}

static enum step privileged_nothing(struct vcpu *vcpu)
{
    return unprivileged(vcpu) ? STEP_FAULT : STEP_NEXT;
}

enum step interp_invd(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return privileged_nothing(vcpu);
}

enum step interp_wbinvd(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return privileged_nothing(vcpu);
}

/* PCID, SMAP: no model has them. */
enum step interp_invpcid(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return fault_ud(vcpu);
}

enum step interp_clac(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return fault_ud(vcpu);
}

enum step interp_stac(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    return fault_ud(vcpu);
}

enum step interp_hlt(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    if (unprivileged(vcpu))
        return STEP_FAULT;
    vcpu->halted = true;
    vcpu->stats.halts++;
    return STEP_NEXT;
}

/* --- MSRs, counters, CPUID ------------------------------------------------ */

static void set_edx_eax(struct vcpu *vcpu, uint64_t value)
{
    vcpu->gpr[RAX] = value & UINT32_MAX;
    vcpu->gpr[RDX] = value >> 32;
}

enum step interp_rdmsr(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value;

    (void)in;
    if (!cpuid_has(vcpu->model, CPUID_MSR))
        return fault_ud(vcpu);
    if (unprivileged(vcpu) || msr_read(vcpu, (uint32_t)vcpu->gpr[RCX], &value))
        return STEP_FAULT;
    set_edx_eax(vcpu, value);
    return STEP_NEXT;
}

enum step interp_wrmsr(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t value = (vcpu->gpr[RDX] & UINT32_MAX) << 32 | (vcpu->gpr[RAX] & UINT32_MAX);

    (void)in;
    if (!cpuid_has(vcpu->model, CPUID_MSR))
        return fault_ud(vcpu);
    if (unprivileged(vcpu))
        return STEP_FAULT;
    return done(msr_write(vcpu, (uint32_t)vcpu->gpr[RCX], value));
}

static bool tsc_denied(struct vcpu *vcpu)
{
    return vcpu->cr4 & CR4_TSD && unprivileged(vcpu);
}

enum step interp_rdtsc(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    if (!cpuid_has(vcpu->model, CPUID_TSC))
        return fault_ud(vcpu);
    if (tsc_denied(vcpu))
        return STEP_FAULT;
    set_edx_eax(vcpu, msr_tsc(vcpu));
    return STEP_NEXT;
}

enum step interp_rdtscp(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    if (!cpuid_has(vcpu->model, CPUID_RDTSCP))
        return fault_ud(vcpu);
    if (tsc_denied(vcpu))
        return STEP_FAULT;
    set_edx_eax(vcpu, msr_tsc(vcpu));
    vcpu->gpr[RCX] = vcpu->tsc_aux & UINT32_MAX;
    return STEP_NEXT;
}

/* The P6's two counters exist and stand still. */
enum step interp_rdpmc(struct vcpu *vcpu, const struct insn *in)
{
    (void)in;
    if (!(vcpu->cr4 & CR4_PCE) && unprivileged(vcpu))
        return STEP_FAULT;
    if ((uint32_t)vcpu->gpr[RCX] > 1)
        return fault_gp(vcpu, 0);
    set_edx_eax(vcpu, 0);
    return STEP_NEXT;
}

enum step interp_cpuid(struct vcpu *vcpu, const struct insn *in)
{
    uint32_t out[4];

    (void)in;
    cpuid_read(vcpu, (uint32_t)vcpu->gpr[RAX], (uint32_t)vcpu->gpr[RCX], out);
    vcpu->gpr[RAX] = out[0];
    vcpu->gpr[RBX] = out[1];
    vcpu->gpr[RCX] = out[2];
    vcpu->gpr[RDX] = out[3];
    return STEP_NEXT;
}

/* --- Fast system calls ---------------------------------------------------- */

/* Flat segments without looking at any descriptor (SDM 3, 5.8.7). */
static void load_flat(struct vcpu *vcpu, uint16_t cs, uint16_t ss, unsigned cpl)
{
    vcpu->seg[SEG_CS] = (struct segment){ cs, ATTR_FLAT_CODE(cpl), UINT32_MAX, 0 };
    vcpu->seg[SEG_SS] = (struct segment){ ss, ATTR_FLAT_DATA(cpl), UINT32_MAX, 0 };
    vcpu->cpl = (uint8_t)cpl;
}

static uint16_t selector_plus(uint64_t base, unsigned add, unsigned rpl)
{
    return (uint16_t)(((base & 0xfffc) + add) | rpl);
}

enum step interp_sysenter(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t cs = vcpu->sysenter_cs;
    enum event_mode mode = event_mode_before(vcpu);
    uint64_t rip = vcpu->rip;

    (void)in;
    if (!cpuid_has(vcpu->model, CPUID_SEP))
        return fault_ud(vcpu);
    if (!vcpu_protected(vcpu) || !(cs & 0xfffc))
        return fault_gp(vcpu, 0);
    if (vcpu->cpl == 3)
        vcpu_note_sysenter(vcpu);
    vcpu->eflags &= ~(EFLAGS_VM | EFLAGS_IF | EFLAGS_RF);
    load_flat(vcpu, selector_plus(cs, 0, 0), selector_plus(cs, 8, 0), 0);
    vcpu->gpr[RSP] = vcpu->sysenter_esp & UINT32_MAX;
    vcpu->rip = vcpu->sysenter_eip & UINT32_MAX;
    vcpu->stats.soft_interrupts++;
    event_in(vcpu, EVENT_software, mode, rip, 0, event_word("sysenter"), 0);
    return STEP_JUMPED;
}

enum step interp_sysexit(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t cs = vcpu->sysenter_cs;
    enum event_mode mode = event_mode_before(vcpu);
    uint64_t rip = vcpu->rip;

    (void)in;
    if (!cpuid_has(vcpu->model, CPUID_SEP))
        return fault_ud(vcpu);
    if (!vcpu_protected(vcpu) || vcpu->cpl != 0 || !(cs & 0xfffc))
        return fault_gp(vcpu, 0);
    load_flat(vcpu, selector_plus(cs, 16, 3), selector_plus(cs, 24, 3), 3);
    vcpu->gpr[RSP] = vcpu->gpr[RCX];
    vcpu->rip = vcpu->gpr[RDX];
    event_in(vcpu, EVENT_return, mode, rip, vcpu->rip, event_word("sysexit"), 0);
    return STEP_JUMPED;
}

/* Legacy-mode SYSCALL and SYSRET: AMD APM volume 2, 6.1.1; volume 3. */
static bool no_syscall(struct vcpu *vcpu)
{
    return !cpuid_has(vcpu->model, CPUID_SYSCALL) || !(vcpu->efer & EFER_SCE) ||
           !vcpu_protected(vcpu);
}

enum step interp_syscall(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t cs = vcpu->star >> 32;
    enum event_mode mode = event_mode_before(vcpu);
    uint64_t rip = vcpu->rip;

    if (no_syscall(vcpu))
        return fault_ud(vcpu);
    vcpu->gpr[RCX] = (vcpu->rip + in->len) & UINT32_MAX;
    vcpu->eflags &= ~(EFLAGS_VM | EFLAGS_IF | EFLAGS_RF);
    load_flat(vcpu, selector_plus(cs, 0, 0), selector_plus(cs, 8, 0), 0);
    vcpu->rip = vcpu->star & UINT32_MAX;
    vcpu->stats.soft_interrupts++;
    event_in(vcpu, EVENT_software, mode, rip, 0, event_word("syscall"), 0);
    return STEP_JUMPED;
}

enum step interp_sysret(struct vcpu *vcpu, const struct insn *in)
{
    uint64_t cs = vcpu->star >> 48;
    enum event_mode mode = event_mode_before(vcpu);
    uint64_t rip = vcpu->rip;

    (void)in;
    if (no_syscall(vcpu))
        return fault_ud(vcpu);
    if (unprivileged(vcpu))
        return STEP_FAULT;
    load_flat(vcpu, selector_plus(cs, 0, 3), selector_plus(cs, 8, 3), 3);
    vcpu->eflags |= EFLAGS_IF;
    vcpu->rip = vcpu->gpr[RCX];
    event_in(vcpu, EVENT_return, mode, rip, vcpu->rip, event_word("sysret"), 0);
    return STEP_JUMPED;
}
