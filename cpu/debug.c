/*
 * Debug registers: see debug.h. Reference: SDM volume 3, 17.2 and 17.3.
 * Modelled: DR0 to DR7, instruction, data and I/O breakpoints, GD, single step, T bit.
 * Not yet: LBR, BTF.
 */
#include "cpu/debug.h"

#include "cpu/fault.h"

enum { RW_EXECUTE, RW_WRITE, RW_IO, RW_ACCESS };

static bool enabled(const struct vcpu *vcpu, unsigned i)
{
    return vcpu->dr[7] >> 2 * i & 3;
}

static unsigned kind(const struct vcpu *vcpu, unsigned i)
{
    return vcpu->dr[7] >> (16 + 4 * i) & 3;
}

/* LEN: 1, 2, 8 (undefined outside 64-bit mode), 4 bytes. */
static unsigned length(const struct vcpu *vcpu, unsigned i)
{
    static const uint8_t bytes[] = { 1, 2, 8, 4 };

    return bytes[vcpu->dr[7] >> (18 + 4 * i) & 3];
}

bool debug_code_hit(struct vcpu *vcpu)
{
    uint64_t gla = (vcpu->seg[SEG_CS].base + vcpu->rip) & UINT32_MAX;
    uint32_t hit = 0;

    if (vcpu->eflags & EFLAGS_RF || vcpu->debug_shadow) /* MOV SS is as good as RF */
        return false;
    for (unsigned i = 0; i < 4; i++)
        if (enabled(vcpu, i) && kind(vcpu, i) == RW_EXECUTE && vcpu->dr[i] == gla)
            hit |= 1u << i;
    if (!hit)
        return false;
    vcpu->dr[6] = (vcpu->dr[6] & ~0xfull) | hit;
    fault_raise(vcpu, VEC_DB);
    vcpu->fault.no_rf = true;
    return true;
}

/* Breakpoint addresses are aligned to their length (SDM 3, 17.2.5). */
static bool overlaps(const struct vcpu *vcpu, unsigned i, uint64_t address, unsigned size)
{
    uint64_t len = length(vcpu, i), at = vcpu->dr[i] & ~(len - 1);

    return address < at + len && at < address + size;
}

void debug_data_access(struct vcpu *vcpu, uint64_t gla, unsigned size, bool write)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned k = kind(vcpu, i);

        if (enabled(vcpu, i) && (k == RW_ACCESS || (k == RW_WRITE && write)) &&
            overlaps(vcpu, i, gla, size))
            debug_pend(vcpu, 1u << i);
    }
}

void debug_port_access(struct vcpu *vcpu, uint16_t port, unsigned size)
{
    if (!(vcpu->cr4 & CR4_DE))
        return;
    for (unsigned i = 0; i < 4; i++)
        if (enabled(vcpu, i) && kind(vcpu, i) == RW_IO && overlaps(vcpu, i, port, size))
            debug_pend(vcpu, 1u << i);
}

bool debug_page_watched(const struct vcpu *vcpu, uint64_t gla)
{
    for (unsigned i = 0; i < 4; i++)
        if (enabled(vcpu, i) && kind(vcpu, i) & 1 && !((vcpu->dr[i] ^ gla) & ~PAGE_MASK))
            return true;
    return false;
}

void debug_raise_pending(struct vcpu *vcpu)
{
    uint32_t bits = vcpu->debug_pending;

    vcpu->debug_pending = 0;
    if (bits & 0xf)
        vcpu->dr[6] &= ~0xfull;
    vcpu->dr[6] |= bits;
    fault_raise(vcpu, VEC_DB);
    vcpu->fault.trap = true;
}

void debug_write(struct vcpu *vcpu, unsigned number, uint32_t value)
{
    if (number == 6) {
        vcpu->dr[6] = DR6_RESET | (value & 0xe00f);
        return;
    }
    if (number == 7)
        value = (value & 0xffff23ff) | DR7_RESET;
    if (vcpu->dr[number] == value)
        return;
    vcpu->dr[number] = value;
    if (debug_armed(vcpu) || number == 7)
        mem_mode_changed(vcpu); /* TLBs may hold pages that now have a breakpoint */
}

void debug_delivered(struct vcpu *vcpu)
{
    vcpu->dr[7] &= ~(uint64_t)DR7_GD;
}
