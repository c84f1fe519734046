/*
 * Tasks: see task.h. Reference: SDM volume 3, 7.2 to 7.6; checks in the order of table 7-1.
 * Modelled: 16- and 32-bit TSS, nested tasks, T bit, I/O permission bitmap, PAE roots.
 * Not yet: the 64-bit TSS.
 */
#include "cpu/task.h"

#include "base/log.h"
#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/fault.h"

/* Offsets in a TSS, SDM 3, figures 7-2 and 7-11. */
enum {
    TSS32_CR3 = 0x1c,
    TSS32_EIP = 0x20,
    TSS32_EFLAGS = 0x24,
    TSS32_GPR = 0x28,
    TSS32_SEG = 0x48,
    TSS32_LDT = 0x60,
    TSS32_T = 0x64,
    TSS32_IOMAP = 0x66,
    TSS32_LIMIT = 0x67,
    TSS16_IP = 0x0e,
    TSS16_FLAGS = 0x10,
    TSS16_GPR = 0x12,
    TSS16_SEG = 0x22,
    TSS16_LDT = 0x2a,
    TSS16_LIMIT = 0x2b,
};

#define DESC_BUSY (2ull << 40)

static bool tss_is_32(uint32_t attr)
{
    return attr & 8;
}

/* --- Inner stacks and the I/O bitmap -------------------------------------- */

/* SDM 2, INT n, INTER-PRIVILEGE-LEVEL-INTERRUPT: the new stack segment's checks. */
static bool inner_stack_segment(struct vcpu *vcpu, uint16_t selector, unsigned dpl, uint32_t ext,
                                struct segment *ss)
{
    uint64_t d, gla;

    if (selector_null(selector))
        return segment_raise(vcpu, VEC_TS, 0, ext);
    if (segment_descriptor(vcpu, selector, VEC_TS, ext, &d, &gla))
        return true;
    if ((selector & SELECTOR_RPL) != dpl || descriptor_dpl(d) != dpl || !descriptor_is_stack(d))
        return segment_raise(vcpu, VEC_TS, selector, ext);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_SS, selector, ext);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    *ss = segment_unpack(selector, d);
    return false;
}

bool task_inner_stack(struct vcpu *vcpu, unsigned dpl, uint32_t ext, struct stack *st)
{
    bool wide = tss_is_32(vcpu->tr.attr);
    uint32_t at = wide ? dpl * 8 + 4 : dpl * 4 + 2, last = at + (wide ? 5 : 3);
    uint64_t sp, selector, gla = vcpu->tr.base + at;

    if (last > vcpu->tr.limit)
        return segment_raise(vcpu, VEC_TS, vcpu->tr.selector, ext);
    if (mem_read_system(vcpu, gla, wide ? 4 : 2, &sp) ||
        mem_read_system(vcpu, gla + (wide ? 4 : 2), 2, &selector))
        return true;
    if (inner_stack_segment(vcpu, (uint16_t)selector, dpl, ext, &st->ss))
        return true;
    st->mask = stack_mask(&st->ss);
    st->sp = sp;
    st->system = true;
    st->error = (selector & ~SELECTOR_RPL) | ext;
    return false;
}

static bool deny(struct vcpu *vcpu)
{
    return fault_gp(vcpu, 0) == STEP_FAULT;
}

bool task_port_denied(struct vcpu *vcpu, uint16_t port, unsigned size)
{
    const struct segment *tr = &vcpu->tr;
    uint64_t map, bits, at;

    if (!vcpu_protected(vcpu) || (!vcpu_v86(vcpu) && vcpu->cpl <= vcpu_iopl(vcpu)))
        return false;
    if (!tss_is_32(tr->attr) || tr->attr & SEG_UNUSABLE || tr->limit < TSS32_LIMIT)
        return deny(vcpu);
    if (mem_read_system(vcpu, tr->base + TSS32_IOMAP, 2, &map))
        return true;
    at = map + port / 8;
    if (at + 1 > tr->limit) /* two bytes are always read (SDM 1, 19.5.2) */
        return deny(vcpu);
    if (mem_read_system(vcpu, tr->base + at, 2, &bits))
        return true;
    return bits >> (port & 7) & ((1u << size) - 1) ? deny(vcpu) : false;
}

/* --- Task switches -------------------------------------------------------- */

/* A TSS's contents, whatever its width. Segments in the order of SEG_. */
struct image {
    bool wide;
    uint64_t cr3, eip, eflags, gpr[8], seg[SEG_COUNT], ldt, t;
};

static bool image_read(struct vcpu *vcpu, uint64_t base, struct image *im)
{
    unsigned size = im->wide ? 4 : 2, segments = im->wide ? 6 : 4;
    uint64_t gpr = base + (im->wide ? TSS32_GPR : TSS16_GPR);
    uint64_t seg = base + (im->wide ? TSS32_SEG : TSS16_SEG);

    im->cr3 = im->t = im->seg[SEG_FS] = im->seg[SEG_GS] = 0;
    if (im->wide && (mem_read_system(vcpu, base + TSS32_CR3, 4, &im->cr3) ||
                     mem_read_system(vcpu, base + TSS32_T, 2, &im->t)))
        return true;
    for (unsigned i = 0; i < 8; i++)
        if (mem_read_system(vcpu, gpr + i * size, size, &im->gpr[i]))
            return true;
    for (unsigned i = 0; i < segments; i++)
        if (mem_read_system(vcpu, seg + i * size, 2, &im->seg[i]))
            return true;
    if (im->wide)
        return mem_read_system(vcpu, base + TSS32_EIP, 4, &im->eip) ||
               mem_read_system(vcpu, base + TSS32_EFLAGS, 4, &im->eflags) ||
               mem_read_system(vcpu, base + TSS32_LDT, 2, &im->ldt);
    return mem_read_system(vcpu, base + TSS16_IP, 2, &im->eip) ||
           mem_read_system(vcpu, base + TSS16_FLAGS, 2, &im->eflags) ||
           mem_read_system(vcpu, base + TSS16_LDT, 2, &im->ldt);
}

/* Saves the outgoing task. Its first and last words are written first: should its second page
 * fault, little has been changed, and all of it is written again after the restart. */
static bool image_save(struct vcpu *vcpu, const struct task_switch *ts, uint32_t eflags)
{
    uint64_t base = vcpu->tr.base;
    bool wide = tss_is_32(vcpu->tr.attr);
    unsigned size = wide ? 4 : 2, segments = wide ? 6 : 4;
    uint64_t gpr = base + (wide ? TSS32_GPR : TSS16_GPR);
    uint64_t seg = base + (wide ? TSS32_SEG : TSS16_SEG);

    if (mem_write_system(vcpu, base + (wide ? TSS32_EIP : TSS16_IP), size, ts->next_rip))
        return true;
    for (unsigned i = segments; i-- > 0;)
        if (mem_write_system(vcpu, seg + i * size, 2, vcpu->seg[i].selector))
            return true;
    for (unsigned i = 0; i < 8; i++)
        if (mem_write_system(vcpu, gpr + i * size, size, vcpu->gpr[i]))
            return true;
    return mem_write_system(vcpu, base + (wide ? TSS32_EFLAGS : TSS16_FLAGS), size, eflags);
}

/* Sets or clears the busy bit of the TSS descriptor that selector names. */
static bool set_busy(struct vcpu *vcpu, uint16_t selector, bool busy)
{
    uint64_t d, gla;

    if (segment_descriptor(vcpu, selector & ~SELECTOR_TI, VEC_TS, 0, &d, &gla))
        return true;
    d = busy ? d | DESC_BUSY : d & ~DESC_BUSY;
    return mem_write_system(vcpu, gla + 5, 1, d >> 40 & 0xff);
}

/* Checks 1 to 4 of table 7-1: the new TSS's descriptor. */
static bool check_descriptor(struct vcpu *vcpu, const struct task_switch *ts, uint64_t *d)
{
    uint8_t vector = ts->reason == TASK_IRET ? VEC_TS : VEC_GP;
    unsigned busy = ts->reason == TASK_IRET ? 2 : 0, type;
    uint64_t gla;

    if (ts->selector & SELECTOR_TI)
        return segment_raise(vcpu, vector, ts->selector, ts->ext);
    if (segment_descriptor(vcpu, ts->selector, vector, ts->ext, d, &gla))
        return true;
    type = descriptor_system_type(*d);
    if (type != (DESC_TSS16 | busy) && type != (DESC_TSS32 | busy))
        return segment_raise(vcpu, vector, ts->selector, ts->ext);
    if (!descriptor_present(*d))
        return segment_raise(vcpu, VEC_NP, ts->selector, ts->ext);
    if (descriptor_limit(*d) < (tss_is_32((uint32_t)type) ? TSS32_LIMIT : TSS16_LIMIT))
        return segment_raise(vcpu, VEC_TS, ts->selector, ts->ext);
    return false;
}

/* --- In the new task's context: steps 5 and on of table 7-1 --------------- */

static bool load_code(struct vcpu *vcpu, uint16_t selector, uint32_t ext)
{
    unsigned rpl = selector & SELECTOR_RPL;
    uint64_t d, gla;

    if (selector_null(selector))
        return segment_raise(vcpu, VEC_TS, 0, ext);
    if (segment_descriptor(vcpu, selector, VEC_TS, ext, &d, &gla))
        return true;
    if (!descriptor_is_code(d))
        return segment_raise(vcpu, VEC_TS, selector, ext);
    if (descriptor_is_conforming(d) ? descriptor_dpl(d) > rpl : descriptor_dpl(d) != rpl)
        return segment_raise(vcpu, VEC_TS, selector, ext);
    if (!descriptor_present(d))
        return segment_raise(vcpu, VEC_NP, selector, ext);
    if (segment_accessed(vcpu, gla, &d))
        return true;
    vcpu->seg[SEG_CS] = segment_unpack(selector, d);
    return false;
}

static bool load_stack(struct vcpu *vcpu, uint16_t selector, uint32_t ext)
{
    return inner_stack_segment(vcpu, selector, vcpu->cpl, ext, &vcpu->seg[SEG_SS]);
}

/* Data segments raise #TS where MOV raises #GP. */
static bool load_data(struct vcpu *vcpu, unsigned seg, uint16_t selector, uint32_t ext)
{
    if (!segment_load(vcpu, seg, selector))
        return false;
    if (vcpu->fault.vector == VEC_GP)
        vcpu->fault.vector = VEC_TS;
    if (vcpu->fault.vector != VEC_PF)
        vcpu->fault.error |= ext;
    return true;
}

static bool load_segments(struct vcpu *vcpu, const struct image *im, uint32_t ext)
{
    static const uint8_t data[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };

    if (segment_load_ldtr(vcpu, (uint16_t)im->ldt, VEC_TS, ext))
        return true;
    if (vcpu_v86(vcpu)) {
        for (unsigned i = 0; i < SEG_COUNT; i++)
            segment_load_v86(vcpu, i, (uint16_t)im->seg[i]);
        return false;
    }
    if (load_code(vcpu, (uint16_t)im->seg[SEG_CS], ext) ||
        load_stack(vcpu, (uint16_t)im->seg[SEG_SS], ext))
        return true;
    for (unsigned i = 0; i < 4; i++)
        if (load_data(vcpu, data[i], (uint16_t)im->seg[data[i]], ext))
            return true;
    return false;
}

/* The registers that a task switch loads unchecked. */
static void load_registers(struct vcpu *vcpu, const struct image *im, uint16_t selector, uint64_t d)
{
    vcpu->tr = segment_unpack(selector, d | DESC_BUSY);
    vcpu->cr0 |= CR0_TS;
    vcpu->dr[7] &= ~0x55ull; /* L0 to L3 */
    vcpu->rip = im->eip;
    vcpu->eflags = ((uint32_t)im->eflags & EFLAGS_ALL) | EFLAGS_R1;
    for (unsigned i = 0; i < 8; i++)
        vcpu->gpr[i] = im->wide ? im->gpr[i] : 0xffff0000 | im->gpr[i];
    for (unsigned i = 0; i < SEG_COUNT; i++)
        segment_load_null(vcpu, i, (uint16_t)im->seg[i]);
    vcpu->ldtr = (struct segment){ .selector = (uint16_t)im->ldt, .attr = SEG_UNUSABLE };
    vcpu->halted = false;
    vcpu->intr_shadow = vcpu->debug_shadow = false;
}

static bool push_error(struct vcpu *vcpu, const struct task_switch *ts, bool wide)
{
    struct stack st;

    stack_current(vcpu, ts->ext, &st);
    if (stack_push(vcpu, &st, wide ? 4 : 2, ts->error))
        return true;
    stack_set_pointer(vcpu, &st.ss, st.sp);
    return false;
}

/* What the old context must still do: saving, busy bits, the back link. */
static bool leave_old(struct vcpu *vcpu, const struct task_switch *ts, uint64_t base)
{
    uint32_t eflags = ts->saved_eflags;
    bool nests = ts->reason == TASK_CALL || ts->reason == TASK_EVENT;

    if (ts->reason == TASK_IRET)
        eflags &= ~EFLAGS_NT;
    if (image_save(vcpu, ts, eflags))
        return true;
    if (nests && mem_write_system(vcpu, base, 2, vcpu->tr.selector))
        return true;
    if (!nests && set_busy(vcpu, vcpu->tr.selector, false))
        return true;
    return ts->reason != TASK_IRET && set_busy(vcpu, ts->selector, true);
}

static bool enter_new(struct vcpu *vcpu, const struct task_switch *ts, const struct image *im,
                      uint64_t d)
{
    load_registers(vcpu, im, ts->selector, d);
    if (ts->reason == TASK_CALL || ts->reason == TASK_EVENT)
        vcpu->eflags |= EFLAGS_NT;
    vcpu->cpl = vcpu_v86(vcpu) ? 3 : im->seg[SEG_CS] & SELECTOR_RPL;
    if (im->wide && vcpu->cr0 & CR0_PG && control_load_root(vcpu, (uint32_t)im->cr3))
        return true;
    if (load_segments(vcpu, im, ts->ext))
        return true;
    if (ts->has_error && push_error(vcpu, ts, im->wide))
        return true;
    if (vcpu->rip > vcpu->seg[SEG_CS].limit)
        return fault_raise_error(vcpu, VEC_GP, ts->ext) == STEP_FAULT;
    if (im->t & 1)
        debug_pend(vcpu, DR6_BT);
    return false;
}

bool task_switch(struct vcpu *vcpu, const struct task_switch *ts)
{
    struct image im;
    uint64_t d;

    if (check_descriptor(vcpu, ts, &d))
        return true;
    im.wide = tss_is_32(descriptor_attr(d));
    if (image_read(vcpu, descriptor_base(d), &im))
        return true;
    if (leave_old(vcpu, ts, descriptor_base(d)))
        return true;
    log_print(LOG_int, "task switch %04x -> %04x eip %08llx\n", vcpu->tr.selector, ts->selector,
              (unsigned long long)im.eip);
    return enter_new(vcpu, ts, &im, d);
}

bool task_return(struct vcpu *vcpu, uint64_t next_rip)
{
    struct task_switch ts = {
        .reason = TASK_IRET, .next_rip = next_rip, .saved_eflags = vcpu->eflags
    };
    uint64_t link;

    if (mem_read_system(vcpu, vcpu->tr.base, 2, &link))
        return true;
    ts.selector = (uint16_t)link;
    return task_switch(vcpu, &ts);
}
