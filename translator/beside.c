/*
 * Writes to frames that hold code, beside the code or into operands that are read when they are
 * used (live.c): done in line once the TLB has the line (cpu/tlb.h, T4) or the bytes (T6).
 */
#include "cpu/stops.h"
#include "cpu/tlb.h"
#include "translator/emit.h"
#include "translator/switch.h"

/* Data beside code, in its page: may be written there by lines. */
static bool fill_line(struct translator *t, uint64_t line)
{
    uint64_t gpa;

    if (!mem_debug_translate(t->vcpu, line, &gpa) || gpa != line || /* not so: A20 is off */
        smc_has_code(t, gpa, TLB_LINE_SIZE) || !shadowmm_line(t->sm, line, gpa))
        return false;
    t->lines = true;
    return true;
}

/* The one or two that it writes to: then the probe hits. */
static bool fill_lines(struct translator *t, uint64_t gla, unsigned size)
{
    uint64_t first = gla & -TLB_LINE_SIZE, last = (gla + size - 1) & -TLB_LINE_SIZE;

    return size <= TLB_LINE_SIZE && !stops_data(t->vcpu) && /* cpu/stops.h, X2 */
           fill_line(t, first) && (last == first || fill_line(t, last));
}

/* Where the bytes at gla are, whose page a walk has found just now; NO_GPA: not in one page of
 * RAM. */
static uint64_t known_gpa(struct vcpu *vcpu, uint64_t gla, unsigned size)
{
    const struct tlb *tlb = vcpu->tlb[vcpu->cpl == 3];

    if ((gla & PAGE_MASK) + size > PAGE_SIZE || !tlb_hit(tlb, MEM_READ, gla))
        return NO_GPA;
    return tlb->addend[tlb_index(gla)] + gla - (uint64_t)(uintptr_t)vcpu->mem->ram;
}

/* Data among code, or operands that are read when they are used (live.c). */
static bool fill_spot(struct translator *t, uint64_t gla, unsigned size)
{
    uint64_t gpa = known_gpa(t->vcpu, gla, size);

    if (gpa == NO_GPA || stops_data(t->vcpu) || smc_marked(t, gpa, size) ||
        !shadowmm_spot(t->sm, t->vcpu->cpl == 3, gla, gpa, (unsigned)__builtin_ctz(size)))
        return false;
    t->lines = true;
    return true;
}

bool beside_fill(struct translator *t, uint64_t gla, uint32_t info)
{
    unsigned size = info & 0xff;

    return (info & ACCESS_LINES && fill_lines(t, gla, size)) ||
           (info & ACCESS_SPOTS && fill_spot(t, gla, size));
}

void beside_wrote(struct translator *t, struct unit *unit, unsigned insn, uint64_t gla,
                  uint32_t info)
{
    unsigned size = info & 0xff;
    uint64_t gpa;

    if ((info >> ACCESS_SHIFT & 3) != MEM_WRITE || info & (ACCESS_SPOTS | ACCESS_FPU) || size > 8 ||
        size & (size - 1))
        return;
    gpa = known_gpa(t->vcpu, gla, size);
    if (gpa != NO_GPA && physmem_watched(t->vcpu->mem, gpa >> PAGE_SHIFT) == WATCH_CODE)
        adapt_wrote(t, unit, insn);
}
