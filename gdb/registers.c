/*
 * Registers in and out of struct vcpu. Reference: SDM 1, 8.1 (x87), 13.4 (the XSAVE area).
 * Writing a register does what the guest's own instruction would, with its checks but the
 * privilege's; hidden parts of segment registers, limits and system registers without an
 * instruction of their own cannot be written, bases of segments can.
 */
#include "gdb/registers.h"

#include <stddef.h>
#include <string.h>

#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/fpu.h"
#include "cpu/segment.h"

const struct gdb_register gdb_registers[] = {
#define REGISTER(feature, name, bytes, type, group, kind, index)                                   \
    { FEATURE_##feature, #name, bytes, #type, group, KIND_##kind, index },
#include "gdb/registers.def"
};

const unsigned gdb_register_count = sizeof(gdb_registers) / sizeof(*gdb_registers);

bool gdb_feature_present(const struct vcpu *vcpu, enum gdb_feature feature)
{
    switch (feature) {
    case FEATURE_SSE: return cpuid_has(vcpu->model, CPUID_SSE);
    case FEATURE_AVX: return cpuid_has(vcpu->model, CPUID_AVX);
    default: return true;
    }
}

const struct gdb_register *gdb_register(const struct vcpu *vcpu, unsigned number)
{
    for (unsigned i = 0; i < gdb_register_count; i++)
        if (gdb_feature_present(vcpu, gdb_registers[i].feature) && !number--)
            return &gdb_registers[i];
    return NULL;
}

/* --- The FPU's image ------------------------------------------------------------------------ */

#define ST_BYTES 16 /* from one to the next */
#define TAG_ZERO 1u
#define TAG_SPECIAL 2u
#define TAG_EMPTY 3u
#define CW_RESET 0x37f

static uint64_t component_of(enum gdb_register_kind kind)
{
    switch (kind) {
    case KIND_XMM: return XCR0_SSE;
    case KIND_YMM_HIGH: return XCR0_AVX;
    default: return XCR0_X87;
    }
}

static uint64_t present(const struct vcpu *vcpu)
{
    uint64_t bits;

    memcpy(&bits, vcpu->fpu + FPU_XSTATE_BV, sizeof(bits));
    return bits;
}

/* What the image holds of a component that XSTATE_BV says is as at reset means nothing: makes it
 * mean that. */
static void make_present(struct vcpu *vcpu, uint64_t component)
{
    uint64_t bits = present(vcpu);

    if (bits & component)
        return;
    if (component == XCR0_X87) {
        memset(vcpu->fpu, 0, FPU_MXCSR);
        memset(vcpu->fpu + FPU_ST, 0, FPU_XMM - FPU_ST);
        memset(vcpu->fpu + FPU_FCS, 0, 4);
        vcpu->fpu[FPU_CW] = CW_RESET & 0xff;
        vcpu->fpu[FPU_CW + 1] = CW_RESET >> 8;
    }
    if (component == XCR0_SSE)
        memset(vcpu->fpu + FPU_XMM, 0, 8 * 16);
    if (component == XCR0_AVX)
        memset(vcpu->fpu + FPU_YMM, 0, FPU_END - FPU_YMM);
    bits |= component;
    memcpy(vcpu->fpu + FPU_XSTATE_BV, &bits, sizeof(bits));
}

static unsigned offset_of(const struct gdb_register *r)
{
    switch (r->kind) {
    case KIND_ST: return FPU_ST + ST_BYTES * r->index;
    case KIND_XMM: return FPU_XMM + 16 * r->index;
    case KIND_YMM_HIGH: return FPU_YMM + 16 * r->index;
    case KIND_MXCSR: return FPU_MXCSR;
    default: return r->index; /* X87_WORD, X87_LONG */
    }
}

static unsigned width_of(const struct gdb_register *r)
{
    return r->kind == KIND_X87_WORD ? 2 : r->bytes;
}

static unsigned tag_of(const uint8_t *st)
{
    uint64_t fraction;
    uint16_t exponent;

    memcpy(&fraction, st, sizeof(fraction));
    memcpy(&exponent, st + 8, sizeof(exponent));
    exponent &= 0x7fff;
    if (!exponent && !fraction)
        return TAG_ZERO;
    return !exponent || exponent == 0x7fff || !(fraction >> 63) ? TAG_SPECIAL : 0;
}

static unsigned top_of(const struct vcpu *vcpu)
{
    return vcpu->fpu[FPU_SW + 1] >> 3 & 7;
}

/* The tag word as FNSTENV stores it; the image has a bit for each register. */
static uint16_t tags(const struct vcpu *vcpu)
{
    uint16_t word = 0;

    for (unsigned i = 0; i < 8; i++) {
        const uint8_t *st = vcpu->fpu + FPU_ST + ST_BYTES * ((i - top_of(vcpu)) & 7);
        unsigned tag = vcpu->fpu[FPU_TW] >> i & 1 ? tag_of(st) : TAG_EMPTY;

        word |= (uint16_t)(tag << 2 * i);
    }
    return word;
}

static void set_tags(struct vcpu *vcpu, uint16_t word)
{
    uint8_t full = 0;

    for (unsigned i = 0; i < 8; i++)
        full |= (uint8_t)(((word >> 2 * i & 3) != TAG_EMPTY) << i);
    vcpu->fpu[FPU_TW] = full;
}

static void fpu_get(const struct vcpu *vcpu, const struct gdb_register *r, uint8_t *to)
{
    static const uint16_t reset = CW_RESET, empty = UINT16_MAX;
    uint16_t word;

    if (r->kind != KIND_MXCSR && !(present(vcpu) & component_of(r->kind))) {
        if (r->kind == KIND_X87_TAGS)
            memcpy(to, &empty, sizeof(empty));
        else if (r->kind == KIND_X87_WORD && r->index == FPU_CW)
            memcpy(to, &reset, sizeof(reset));
        return;
    }
    if (r->kind != KIND_X87_TAGS) {
        memcpy(to, vcpu->fpu + offset_of(r), width_of(r));
        return;
    }
    word = tags(vcpu);
    memcpy(to, &word, sizeof(word));
}

static bool fpu_set(struct vcpu *vcpu, const struct gdb_register *r, const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    if (r->kind == KIND_MXCSR && value & ~fpu_mxcsr_mask(vcpu))
        return false;
    if (r->kind != KIND_MXCSR)
        make_present(vcpu, component_of(r->kind));
    if (r->kind == KIND_X87_TAGS)
        set_tags(vcpu, (uint16_t)value);
    else
        memcpy(vcpu->fpu + offset_of(r), from, width_of(r));
    return true;
}

/* --- The others ----------------------------------------------------------------------------- */

static bool is_fpu(enum gdb_register_kind kind)
{
    return kind >= KIND_ST && kind <= KIND_YMM_HIGH;
}

static uint64_t control(const struct vcpu *vcpu, unsigned number)
{
    switch (number) {
    case 0: return vcpu->cr0;
    case 2: return vcpu->cr2;
    case 3: return vcpu->cr3;
    default: return vcpu->cr4;
    }
}

static uint64_t value_of(const struct vcpu *vcpu, const struct gdb_register *r)
{
    const uint8_t *field = (const uint8_t *)vcpu + r->index;
    uint64_t value = 0;

    switch (r->kind) {
    case KIND_GPR: return vcpu->gpr[r->index];
    case KIND_EIP: return vcpu->rip;
    case KIND_EFLAGS: return vcpu->eflags;
    case KIND_SELECTOR: return vcpu->seg[r->index].selector;
    case KIND_CONTROL: return control(vcpu, r->index);
    case KIND_DEBUG: return vcpu->dr[r->index];
    case KIND_CPL: return vcpu->cpl;
    case KIND_BASE: return vcpu->seg[r->index].base;
    case KIND_LIMIT: return vcpu->seg[r->index].limit;
    case KIND_ATTRIBUTES: return vcpu->seg[r->index].attr;
    case KIND_SHORT: memcpy(&value, field, 2); return value;
    case KIND_LONG: memcpy(&value, field, 4); return value;
    default: memcpy(&value, field, 8); return value;
    }
}

void gdb_register_get(const struct vcpu *vcpu, const struct gdb_register *r, uint8_t *to)
{
    uint64_t value;

    memset(to, 0, r->bytes);
    if (is_fpu(r->kind)) {
        fpu_get(vcpu, r, to);
        return;
    }
    value = value_of(vcpu, r);
    memcpy(to, &value, r->bytes);
}

/* CS as a far jump of the same privilege would load it. */
static bool load_code(struct vcpu *vcpu, uint16_t selector)
{
    uint64_t d, gla;

    if (selector_null(selector) || segment_descriptor(vcpu, selector, VEC_GP, 0, &d, &gla) ||
        !descriptor_is_code(d) || !descriptor_present(d) || descriptor_dpl(d) != vcpu->cpl)
        return false;
    vcpu->seg[SEG_CS] = segment_unpack(selector, d);
    return true;
}

static bool load_segment(struct vcpu *vcpu, unsigned seg, uint64_t selector)
{
    if (selector > UINT16_MAX)
        return false;
    if (seg != SEG_CS)
        return !segment_load(vcpu, seg, (uint16_t)selector);
    if (!vcpu_protected(vcpu))
        segment_load_real(vcpu, seg, (uint16_t)selector);
    else if (vcpu_v86(vcpu))
        segment_load_v86(vcpu, seg, (uint16_t)selector);
    else
        return load_code(vcpu, (uint16_t)selector);
    return true;
}

static bool write_control(struct vcpu *vcpu, unsigned number, uint32_t value)
{
    switch (number) {
    case 0: return !control_write_cr0(vcpu, value);
    case 2: vcpu->cr2 = value; return true;
    case 3: return !control_write_cr3(vcpu, value);
    default: return !control_write_cr4(vcpu, value);
    }
}

static bool set_value(struct vcpu *vcpu, const struct gdb_register *r, uint64_t value)
{
    const uint32_t stays = EFLAGS_VM | EFLAGS_R1;

    switch (r->kind) {
    case KIND_GPR: vcpu->gpr[r->index] = value; return true;
    case KIND_EIP: vcpu->rip = value; return true;
    case KIND_EFLAGS:
        vcpu->eflags = ((uint32_t)value & EFLAGS_ALL & ~stays) | (vcpu->eflags & stays);
        return true;
    case KIND_SELECTOR: return load_segment(vcpu, r->index, value);
    case KIND_CONTROL: return write_control(vcpu, r->index, (uint32_t)value);
    case KIND_DEBUG: debug_write(vcpu, r->index, (uint32_t)value); return true;
    case KIND_BASE: vcpu->seg[r->index].base = value; return true;
    default: return false;
    }
}

bool gdb_register_set(struct vcpu *vcpu, const struct gdb_register *r, const uint8_t *from)
{
    uint8_t now[GDB_REGISTER_BYTES];
    uint64_t value = 0;

    gdb_register_get(vcpu, r, now);
    if (!memcmp(now, from, r->bytes))
        return true;
    if (is_fpu(r->kind))
        return fpu_set(vcpu, r, from);
    memcpy(&value, from, r->bytes);
    return set_value(vcpu, r, value);
}
