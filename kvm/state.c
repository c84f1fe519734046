/*
 * struct vcpu to KVM's registers and back. Reference: Linux, Documentation/virt/kvm/api.rst,
 * KVM_SET_REGS, KVM_SET_SREGS, KVM_SET_XSAVE, KVM_SET_MSRS, KVM_SET_VCPU_EVENTS and their
 * counterparts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu/cpuid.h"
#include "cpu/env.h"
#include "cpu/fpu.h"
#include "cpu/segment.h"
#include "kvm/engine.h"

/* --- General registers --------------------------------------------------------------- */

static void put_regs(const struct vcpu *vcpu, struct kvm_regs *r)
{
    *r = (struct kvm_regs){
        .rax = vcpu->gpr[RAX], .rbx = vcpu->gpr[RBX], .rcx = vcpu->gpr[RCX],
        .rdx = vcpu->gpr[RDX], .rsi = vcpu->gpr[RSI], .rdi = vcpu->gpr[RDI],
        .rsp = vcpu->gpr[RSP], .rbp = vcpu->gpr[RBP], .rip = vcpu->rip, .rflags = vcpu->eflags,
    };
}

static void get_regs(struct vcpu *vcpu, const struct kvm_regs *r)
{
    const uint64_t gpr[8] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi };

    for (unsigned i = 0; i < 8; i++)
        vcpu->gpr[i] = (uint32_t)gpr[i];
    vcpu->rip = (uint32_t)r->rip;
    vcpu->eflags = ((uint32_t)r->rflags & EFLAGS_ALL) | EFLAGS_R1;
}

/* --- Segments and control registers -------------------------------------------------- */

static struct kvm_segment pack(const struct segment *s)
{
    return (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->attr & SEG_TYPE,
        .s = !!(s->attr & SEG_S),
        .dpl = (s->attr & SEG_DPL) >> 5,
        .present = !!(s->attr & SEG_P),
        .avl = !!(s->attr & SEG_AVL),
        .l = !!(s->attr & SEG_L),
        .db = !!(s->attr & SEG_DB),
        .g = !!(s->attr & SEG_G),
        .unusable = !!(s->attr & SEG_UNUSABLE),
    };
}

static struct segment unpack(const struct kvm_segment *s)
{
    uint32_t attr = s->type | (uint32_t)s->dpl << 5;

    attr |= (s->s ? SEG_S : 0) | (s->present ? SEG_P : 0) | (s->avl ? SEG_AVL : 0) |
            (s->l ? SEG_L : 0) | (s->db ? SEG_DB : 0) | (s->g ? SEG_G : 0) |
            (s->unusable ? SEG_UNUSABLE : 0);
    return (struct segment){ s->selector, attr, s->limit, (uint32_t)s->base };
}

static void put_sregs(const struct vcpu *vcpu, struct kvm_sregs *s)
{
    struct kvm_segment *const seg[SEG_COUNT] = { &s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs };

    *s = (struct kvm_sregs){ .ldt = pack(&vcpu->ldtr), .tr = pack(&vcpu->tr) };
    for (unsigned i = 0; i < SEG_COUNT; i++)
        *seg[i] = pack(&vcpu->seg[i]);
    s->gdt = (struct kvm_dtable){ .base = vcpu->gdtr.base, .limit = vcpu->gdtr.limit };
    s->idt = (struct kvm_dtable){ .base = vcpu->idtr.base, .limit = vcpu->idtr.limit };
    s->cr0 = vcpu->cr0;
    s->cr2 = vcpu->cr2;
    s->cr3 = vcpu->cr3;
    s->cr4 = vcpu->cr4;
    s->cr8 = vcpu->cr8;
    s->efer = vcpu->efer;
    s->apic_base = vcpu->apic_base;
}

static unsigned privilege(const struct vcpu *vcpu)
{
    if (!vcpu_protected(vcpu))
        return 0;
    return vcpu_v86(vcpu) ? 3 : (vcpu->seg[SEG_SS].attr & SEG_DPL) >> 5;
}

static void get_sregs(struct vcpu *vcpu, const struct kvm_sregs *s)
{
    const struct kvm_segment *const seg[SEG_COUNT] = { &s->es, &s->cs, &s->ss,
                                                       &s->ds, &s->fs, &s->gs };

    for (unsigned i = 0; i < SEG_COUNT; i++)
        vcpu->seg[i] = unpack(seg[i]);
    vcpu->ldtr = unpack(&s->ldt);
    vcpu->tr = unpack(&s->tr);
    vcpu->gdtr = (struct table_register){ s->gdt.base, s->gdt.limit };
    vcpu->idtr = (struct table_register){ s->idt.base, s->idt.limit };
    vcpu->cr0 = s->cr0;
    vcpu->cr2 = s->cr2;
    vcpu->cr3 = s->cr3;
    vcpu->cr4 = s->cr4;
    vcpu->cr8 = s->cr8;
    vcpu->efer = s->efer;
    vcpu->cpl = (uint8_t)privilege(vcpu);
}

/* --- What is pending ----------------------------------------------------------------- */

static void put_events(const struct vcpu *vcpu, struct kvm_vcpu_events *e)
{
    *e = (struct kvm_vcpu_events){
        .flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
        .nmi.masked = vcpu->nmi_blocked,
        .interrupt.shadow = !vcpu->intr_shadow  ? 0
                            : vcpu->debug_shadow ? KVM_X86_SHADOW_INT_MOV_SS
                                                 : KVM_X86_SHADOW_INT_STI,
    };
}

/* The kernel tells at its exits whether the CPU would take an interrupt. Of a state that it is
 * given we know as much. */
static void put_readiness(struct kvm *k)
{
    bool enabled = k->vcpu->eflags & EFLAGS_IF;

    k->host.run->if_flag = enabled;
    k->host.run->ready_for_interrupt_injection = enabled && !k->vcpu->intr_shadow;
}

/* INT n being given again is its instruction's to do. */
static void get_events(struct kvm *k, const struct kvm_vcpu_events *e)
{
    struct vcpu *vcpu = k->vcpu;

    k->given = e->interrupt.injected && !e->interrupt.soft;
    k->given_vector = e->interrupt.nr;
    k->given_nmi = e->nmi.injected || e->nmi.pending;
    vcpu->nmi_blocked = e->nmi.masked;
    vcpu->intr_shadow = e->interrupt.shadow;
    vcpu->debug_shadow = e->interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS;
}

/* --- FPU ----------------------------------------------------------------------------- */

static uint64_t pointer(const uint8_t *image, unsigned at)
{
    uint64_t value;

    memcpy(&value, image + at, sizeof(value));
    return value;
}

#define OURS (FPU_XSTATE_BV - FPU_FCS) /* bytes of the image that are not the CPU's: F3 */

static bool put_fpu(struct kvm *k)
{
    struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = k->vcpu->xcr0 };
    struct kvm_xsave image;

    memcpy(&image, k->vcpu->fpu, sizeof(image));
    memset((uint8_t *)&image + FPU_FCS, 0, OURS);
    if (cpuid_has(k->vcpu->model, CPUID_XSAVE) &&
        !KVM_ASK(&k->host, k->host.cpu, KVM_SET_XCRS, &xcrs))
        return false;
    return KVM_ASK(&k->host, k->host.cpu, KVM_SET_XSAVE, &image);
}

static bool get_fpu(struct kvm *k)
{
    struct vcpu *vcpu = k->vcpu;
    uint64_t fip = pointer(vcpu->fpu, FPU_FIP), fdp = pointer(vcpu->fpu, FPU_FDP);
    struct kvm_xsave image;
    struct kvm_xcrs xcrs;

    if (!KVM_ASK(&k->host, k->host.cpu, KVM_GET_XSAVE, &image))
        return false;
    memcpy((uint8_t *)&image + FPU_FCS, vcpu->fpu + FPU_FCS, OURS);
    memcpy(vcpu->fpu, &image, sizeof(image));
    fpu_taken(vcpu, fip, fdp);
    if (!ioctl(k->host.cpu, KVM_GET_XCRS, &xcrs) && xcrs.nr_xcrs)
        vcpu->xcr0 = xcrs.xcrs[0].value;
    return true;
}

/* --- Debug registers ----------------------------------------------------------------- */

static bool put_debug(struct kvm *k)
{
    struct kvm_debugregs d = { .dr6 = k->vcpu->dr[6], .dr7 = k->vcpu->dr[7] };

    memcpy(d.db, k->vcpu->dr, sizeof(d.db));
    return KVM_ASK(&k->host, k->host.cpu, KVM_SET_DEBUGREGS, &d);
}

static bool get_debug(struct kvm *k)
{
    struct kvm_debugregs d;

    if (!KVM_ASK(&k->host, k->host.cpu, KVM_GET_DEBUGREGS, &d))
        return false;
    memcpy(k->vcpu->dr, d.db, sizeof(d.db));
    k->vcpu->dr[6] = d.dr6;
    k->vcpu->dr[7] = d.dr7;
    return true;
}

/* --- MSRs ---------------------------------------------------------------------------- */

enum { MSR_TSC = 0x10, TSC_NOISE = 1 << 24 /* cycles: some milliseconds */ };

/* Those that the vcpu keeps as fields. False: there is none of this number. */
static bool msr_at(struct vcpu *vcpu, unsigned i, uint32_t *index, uint64_t **field)
{
    struct {
        uint32_t first, count;
        uint64_t *field;
    } const all[] = {
        { 0x174, 1, &vcpu->sysenter_cs },   { 0x175, 1, &vcpu->sysenter_esp },
        { 0x176, 1, &vcpu->sysenter_eip },  { 0x277, 1, &vcpu->pat },
        { 0x1a0, 1, &vcpu->misc_enable },   { 0xc0000081, 1, &vcpu->star },
        { 0xc0000103, 1, &vcpu->tsc_aux },  { 0x250, 1, &vcpu->mtrr_fixed[0] },
        { 0x258, 2, &vcpu->mtrr_fixed[1] }, { 0x268, 8, &vcpu->mtrr_fixed[3] },
        { 0x200, 16, vcpu->mtrr_var },      { 0x2ff, 1, &vcpu->mtrr_def_type },
    };

    for (unsigned n = 0; n < sizeof(all) / sizeof(*all); n++) {
        if (i < all[n].count) {
            *index = all[n].first + i;
            *field = all[n].field + i;
            return true;
        }
        i -= all[n].count;
    }
    return false;
}

struct msr_list {
    struct kvm_msrs head;
    struct kvm_msr_entry entry[KVM_MSRS];
    unsigned number[KVM_MSRS]; /* as msr_at() counts */
};

static bool msr_ask(struct kvm *k, unsigned long request, uint32_t index, uint64_t *value)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } one = { { .nmsrs = 1 }, { .index = index, .data = *value } };

    if (ioctl(k->host.cpu, request, &one) != 1)
        return false;
    *value = one.entry.data;
    return true;
}

/* Those that have not been refused, with the vcpu's values. */
static void fill_list(struct kvm *k, struct msr_list *list)
{
    uint64_t *field;
    uint32_t index;

    list->head = (struct kvm_msrs){ 0 };
    for (unsigned i = 0; i < KVM_MSRS && msr_at(k->vcpu, i, &index, &field); i++) {
        if (k->refused[i])
            continue;
        list->number[list->head.nmsrs] = i;
        list->entry[list->head.nmsrs++] = (struct kvm_msr_entry){ .index = index, .data = *field };
    }
}

/* All at once; the kernel stops at one that it refuses, which is left out from then on. */
static void ask_list(struct kvm *k, unsigned long request, struct msr_list *list)
{
    for (;;) {
        int done;

        fill_list(k, list);
        done = list->head.nmsrs ? ioctl(k->host.cpu, request, &list->head) : 0;
        if (done < 0 || (unsigned)done >= list->head.nmsrs)
            return;
        k->refused[list->number[done]] = true;
    }
}

static void put_msrs(struct kvm *k)
{
    uint64_t tsc = __builtin_ia32_rdtsc() + k->vcpu->tsc_offset;
    struct msr_list list;

    ask_list(k, KVM_SET_MSRS, &list);
    msr_ask(k, KVM_SET_MSRS, MSR_TSC, &tsc);
    k->tsc_offset = k->vcpu->tsc_offset;
}

/* The guest may have written its counter: what differs by more than this took to look. */
static void get_tsc(struct kvm *k)
{
    uint64_t tsc = 0, offset, off_by;

    if (!msr_ask(k, KVM_GET_MSRS, MSR_TSC, &tsc))
        return;
    offset = tsc - __builtin_ia32_rdtsc();
    off_by = offset - k->vcpu->tsc_offset;
    if (off_by + TSC_NOISE > 2 * TSC_NOISE)
        k->vcpu->tsc_offset = k->tsc_offset = offset;
}

static void get_msrs(struct kvm *k)
{
    struct msr_list list;
    uint64_t *field;
    uint32_t index;

    get_tsc(k);
    ask_list(k, KVM_GET_MSRS, &list);
    for (unsigned i = 0; i < list.head.nmsrs; i++)
        if (msr_at(k->vcpu, list.number[i], &index, &field))
            *field = list.entry[i].data;
}

/* The machine was paused: the guest's counter has stood still, wherever the guest had put it. */
static void move_tsc(struct kvm *k)
{
    uint64_t tsc = 0;

    if (k->tsc_offset == k->vcpu->tsc_offset || !msr_ask(k, KVM_GET_MSRS, MSR_TSC, &tsc))
        return;
    tsc += k->vcpu->tsc_offset - k->tsc_offset;
    msr_ask(k, KVM_SET_MSRS, MSR_TSC, &tsc);
    k->tsc_offset = k->vcpu->tsc_offset;
}

/* --- All of it ----------------------------------------------------------------------- */

bool state_put(struct kvm *k)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_vcpu_events events;

    move_tsc(k);
    if (!k->reset)
        return true;
    put_regs(k->vcpu, &regs);
    put_sregs(k->vcpu, &sregs);
    put_events(k->vcpu, &events);
    if (!KVM_ASK(&k->host, k->host.cpu, KVM_SET_SREGS, &sregs) ||
        !KVM_ASK(&k->host, k->host.cpu, KVM_SET_REGS, &regs) ||
        !KVM_ASK(&k->host, k->host.cpu, KVM_SET_VCPU_EVENTS, &events) || !put_fpu(k) ||
        !put_debug(k))
        return false;
    put_msrs(k);
    put_readiness(k);
    k->host.run->kvm_dirty_regs = 0;
    k->reset = false;
    return true;
}

/* The interpreter's; KVM reads them when it is given CR3. */
static void get_pdptes(struct vcpu *vcpu)
{
    if (vcpu->cr0 & CR0_PG && vcpu->cr4 & CR4_PAE)
        physmem_read(vcpu->mem, vcpu->cr3 & 0xffffffe0, vcpu->pdpte, sizeof(vcpu->pdpte));
}

static bool get_plain(struct kvm *k)
{
    struct kvm_vcpu_events events;
    struct kvm_sregs sregs;
    struct kvm_regs regs;

    if (!KVM_ASK(&k->host, k->host.cpu, KVM_GET_REGS, &regs) ||
        !KVM_ASK(&k->host, k->host.cpu, KVM_GET_SREGS, &sregs) ||
        !KVM_ASK(&k->host, k->host.cpu, KVM_GET_VCPU_EVENTS, &events))
        return false;
    get_regs(k->vcpu, &regs);
    get_sregs(k->vcpu, &sregs);
    get_events(k, &events);
    return true;
}

bool state_get(struct kvm *k)
{
    const struct kvm_run *run = k->host.run;

    if (!k->ran)
        return true;
    k->ran = false;
    if (k->host.sync) {
        get_regs(k->vcpu, &run->s.regs.regs);
        get_sregs(k->vcpu, &run->s.regs.sregs);
        get_events(k, &run->s.regs.events);
    } else if (!get_plain(k)) {
        return false;
    }
    if (!get_fpu(k) || !get_debug(k))
        return false;
    get_msrs(k);
    get_pdptes(k->vcpu);
    return true;
}

/* --- CPUID --------------------------------------------------------------------------- */

#define LEAVES 128

struct leaves {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entry[LEAVES];
};

static void add_leaf(struct leaves *all, const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf,
                     bool indexed)
{
    struct kvm_cpuid_entry2 *e = &all->entry[all->head.nent];
    uint32_t out[4];

    if (all->head.nent == LEAVES)
        return;
    cpuid_read(vcpu, leaf, subleaf, out);
    if (leaf == 0x80000008) /* KVM refuses 32 linear address bits; without long mode nobody asks */
        out[0] = (out[0] & 0xffff00ff) | 48 << 8;
    *e = (struct kvm_cpuid_entry2){ .function = leaf, .index = subleaf,
                                    .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
                                    .eax = out[0], .ebx = out[1], .ecx = out[2], .edx = out[3] };
    all->head.nent++;
}

/* How many subleaves a leaf has for us; 1: it does not look at ECX. */
static uint32_t subleaves(uint32_t leaf)
{
    switch (leaf) {
    case 4: return 5;
    case 7: return 1;
    case 0xb: return 2;
    case 0xd: return 10;
    default: return 1;
    }
}

/* Not 0x80000021: that RET is safe (SRSO_NO) is said of translated code. */
static void add_leaves(struct leaves *all, const struct vcpu *vcpu, uint32_t base)
{
    uint32_t top[4];

    cpuid_read(vcpu, base, 0, top);
    for (uint32_t leaf = base; leaf <= top[0] && leaf - base < 32; leaf++)
        for (uint32_t sub = 0; sub < subleaves(leaf); sub++)
            add_leaf(all, vcpu, leaf, sub, subleaves(leaf) > 1 || leaf == 7);
}

bool state_create(struct kvm *k)
{
    struct leaves *all = calloc(1, sizeof(*all));
    bool good;

    if (!all) {
        k->host.failed = "no memory for CPUID";
        return false;
    }
    add_leaves(all, k->vcpu, 0);
    add_leaves(all, k->vcpu, 0x80000000);
    good = KVM_ASK(&k->host, k->host.cpu, KVM_SET_CPUID2, all);
    free(all);
    if (k->host.sync)
        k->host.run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS |
                                      KVM_SYNC_X86_EVENTS;
    k->reset = true;
    return good;
}
