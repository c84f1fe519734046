/* Words for what the CPU knows in numbers: see describe.h. */
#include "cpu/describe.h"

#include <inttypes.h>

#include "base/count.h"
#include "cpu/mem.h"
#include "cpu/segment.h"

/* --- Vectors ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *text;
} exceptions[] = { /* SDM 3, table 6-1 */
    [VEC_DE] = { "#DE", "divide error" },
    [VEC_DB] = { "#DB", "debug exception" },
    [VEC_NMI] = { "NMI", "non-maskable interrupt" },
    [VEC_BP] = { "#BP", "breakpoint" },
    [VEC_OF] = { "#OF", "overflow" },
    [VEC_BR] = { "#BR", "bound range exceeded" },
    [VEC_UD] = { "#UD", "invalid opcode" },
    [VEC_NM] = { "#NM", "FPU not available" },
    [VEC_DF] = { "#DF", "double fault" },
    [VEC_TS] = { "#TS", "invalid TSS" },
    [VEC_NP] = { "#NP", "segment not present" },
    [VEC_SS] = { "#SS", "stack-segment fault" },
    [VEC_GP] = { "#GP", "general protection" },
    [VEC_PF] = { "#PF", "page fault" },
    [VEC_MF] = { "#MF", "x87 floating-point error" },
    [VEC_AC] = { "#AC", "alignment check" },
    [VEC_MC] = { "#MC", "machine check" },
    [VEC_XM] = { "#XM", "SIMD floating-point exception" },
};

const char *describe_vector(unsigned vector)
{
    return vector < COUNT(exceptions) && exceptions[vector].name ? exceptions[vector].name : "?";
}

/* "page fault"; "" for what is no exception. */
static const char *exception_name(unsigned vector)
{
    return vector < COUNT(exceptions) && exceptions[vector].text ? exceptions[vector].text : "";
}

/* --- Bits --------------------------------------------------------------------------------- */

struct bit {
    uint64_t mask;
    const char *name;
};

/* The names of those that are set, with blanks between them. */
static void print_bits(FILE *out, uint64_t value, const struct bit *bits, size_t count)
{
    const char *gap = "";

    for (size_t i = 0; i < count; i++) {
        if (!(value & bits[i].mask))
            continue;
        fprintf(out, "%s%s", gap, bits[i].name);
        gap = " ";
    }
}

void describe_flags(FILE *out, uint32_t eflags)
{
    static const struct bit bits[] = {
        { EFLAGS_ID, "ID" }, { EFLAGS_AC, "AC" }, { EFLAGS_VM, "VM" }, { EFLAGS_RF, "RF" },
        { EFLAGS_NT, "NT" }, { EFLAGS_OF, "OF" }, { EFLAGS_DF, "DF" }, { EFLAGS_IF, "IF" },
        { EFLAGS_TF, "TF" }, { EFLAGS_SF, "SF" }, { EFLAGS_ZF, "ZF" }, { EFLAGS_AF, "AF" },
        { EFLAGS_PF, "PF" }, { EFLAGS_CF, "CF" },
    };

    print_bits(out, eflags, bits, COUNT(bits));
    if (eflags & EFLAGS_IOPL)
        fprintf(out, ", IOPL %u", eflags >> 12 & 3);
}

/* --- Segments ----------------------------------------------------------------------------- */

static const char *system_name(unsigned type)
{
    static const char *const names[16] = {
        [DESC_TSS16] = "16-bit TSS", [DESC_LDT] = "LDT", [DESC_TSS16_BUSY] = "busy 16-bit TSS",
        [DESC_CALL16] = "16-bit call gate", [DESC_TASK_GATE] = "task gate",
        [DESC_INT16] = "16-bit interrupt gate", [DESC_TRAP16] = "16-bit trap gate",
        [DESC_TSS32] = "32-bit TSS", [DESC_TSS32_BUSY] = "busy 32-bit TSS",
        [DESC_CALL32] = "32-bit call gate", [DESC_INT32] = "32-bit interrupt gate",
        [DESC_TRAP32] = "32-bit trap gate",
    };

    return names[type & 15] ? names[type & 15] : "reserved type";
}

/* Type and rights. */
static void print_attributes(FILE *out, uint32_t attr)
{
    if (!(attr & SEG_S)) {
        fprintf(out, "%s, DPL %u", system_name(attr & SEG_TYPE), attr >> 5 & 3);
        return;
    }
    fprintf(out, "%s, %u bits, DPL %u", attr & SEG_CODE ? "code" : "data",
            attr & SEG_DB ? 32u : 16u, attr >> 5 & 3);
    if (attr & SEG_CODE)
        fprintf(out, "%s%s", attr & SEG_READABLE ? ", readable" : "",
                attr & SEG_CONFORM ? ", conforming" : "");
    else
        fprintf(out, "%s%s", attr & SEG_WRITABLE ? ", writable" : ", read-only",
                attr & SEG_EXPDOWN ? ", expand-down" : "");
}

void describe_segment(FILE *out, const struct segment *segment)
{
    if (segment->attr & SEG_UNUSABLE) {
        fprintf(out, "null");
        return;
    }
    print_attributes(out, segment->attr);
    if (!(segment->attr & SEG_P))
        fprintf(out, ", not present");
}

static bool is_gate(uint64_t descriptor)
{
    unsigned type = descriptor_system_type(descriptor);

    return type == DESC_TASK_GATE || (type & 4 && type != DESC_TASK_GATE);
}

/* What 8 bytes of a descriptor table say. */
static void print_descriptor(FILE *out, uint64_t d)
{
    fprintf(out, "%016" PRIx64 ", ", d);
    if (!d) {
        fprintf(out, "empty");
        return;
    }
    print_attributes(out, descriptor_attr(d));
    if (is_gate(d))
        fprintf(out, ", to %04x:%08x", (unsigned)(d >> 16 & 0xffff),
                (unsigned)((d & 0xffff) | (d >> 32 & 0xffff0000)));
    else
        fprintf(out, ", base %08" PRIx64 " limit %08" PRIx32, descriptor_base(d),
                descriptor_limit(d));
    if (!descriptor_present(d))
        fprintf(out, ", not present");
}

/* Entry index, of 8 bytes, of the table there. */
static void print_table_entry(FILE *out, struct vcpu *vcpu, const char *table, uint64_t base,
                              uint32_t limit, unsigned index)
{
    uint64_t d = 0, gla = (base + index * 8u) & UINT32_MAX;

    fprintf(out, "%s entry %u", table, index);
    if (index * 8u + 7 > limit)
        fprintf(out, ": beyond the table's limit %04" PRIx32, limit);
    else if (!mem_debug_read(vcpu, gla, &d, sizeof(d)))
        fprintf(out, " at %08" PRIx64 ": cannot be read there", gla);
    else {
        fprintf(out, " at %08" PRIx64 ": ", gla);
        print_descriptor(out, d);
    }
}

/* Which entry of which table a selector or an error code names, and what is in it now. */
static void print_selector(FILE *out, struct vcpu *vcpu, uint16_t selector)
{
    if (selector_null(selector))
        fprintf(out, "the null selector");
    else if (selector & SELECTOR_TI)
        print_table_entry(out, vcpu, "LDT", vcpu->ldtr.base, vcpu->ldtr.limit, selector >> 3);
    else
        print_table_entry(out, vcpu, "GDT", vcpu->gdtr.base, vcpu->gdtr.limit, selector >> 3);
}

/* In real mode an entry is a far pointer. */
static void print_gate(FILE *out, struct vcpu *vcpu, unsigned vector)
{
    uint32_t pointer = 0;

    if (vcpu_protected(vcpu)) {
        print_table_entry(out, vcpu, "IDT", vcpu->idtr.base, vcpu->idtr.limit, vector);
        return;
    }
    fprintf(out, "interrupt vector %u", vector);
    if (mem_debug_read(vcpu, vcpu->idtr.base + vector * 4u, &pointer, 4))
        fprintf(out, ": to %04" PRIx32 ":%04" PRIx32, pointer >> 16, pointer & 0xffff);
}

/* --- Page tables -------------------------------------------------------------------------- */

void describe_entry(FILE *out, const struct paging_step *step)
{
    static const struct bit bits[] = {
        { PTE_P, "P" }, { PTE_W, "W" }, { PTE_U, "U" }, { PTE_A, "A" }, { PTE_D, "D" },
        { PTE_G, "G" }, { PTE_NX, "NX" },
    };

    if (!(step->entry & PTE_P)) {
        fprintf(out, "not present");
        return;
    }
    print_bits(out, step->entry, bits, COUNT(bits));
    if (step->large)
        fprintf(out, " PS");
    if (step->reserved)
        fprintf(out, ", reserved bits %" PRIx64, step->reserved);
}

void describe_step(FILE *out, const struct paging_step *step)
{
    static const char *const names[] = { "", "PTE", "PDE", "PDPTE" };

    fprintf(out, "%-5s %4u", names[step->level & 3], step->index);
}

/* Why an access with this error code goes no further here; NULL: it does. */
static const char *denial(const struct paging_step *step, uint32_t error, bool bare)
{
    if (!(step->entry & PTE_P))
        return "not present";
    if (step->reserved)
        return "reserved bits are set";
    if (bare)
        return NULL;
    if (error & PF_U && !(step->entry & PTE_U))
        return "not for user code";
    if (error & PF_W && !(step->entry & PTE_W))
        return "not writable";
    return error & PF_I && step->entry & PTE_NX ? "not executable" : NULL;
}

static void print_step(FILE *out, struct vcpu *vcpu, const struct paging_step *step,
                       const char *why, int indent)
{
    int digits = 2 * (int)paging_format(vcpu)->entry_bytes;

    fprintf(out, "%*s", indent, "");
    describe_step(out, step);
    if (step->gpa == PAGING_REGISTER)
        fprintf(out, " in a register: ");
    else
        fprintf(out, " at %08" PRIx64 ": ", step->gpa);
    fprintf(out, "%0*" PRIx64 "  ", digits, step->entry);
    describe_entry(out, step);
    fprintf(out, "%s%s\n", why ? "   <- " : "", why ? why : "");
}

/* A line for each entry that a walk of gla reads, behind indent spaces; the one that an access with
 * this error code fails at is marked. */
static void print_walk(FILE *out, struct vcpu *vcpu, uint32_t gla, uint32_t error, int indent)
{
    struct paging_step step[PAGING_STEPS];
    const char *failed = NULL;
    unsigned count;

    if (!paging_on(vcpu)) {
        fprintf(out, "%*sthere is no paging\n", indent, "");
        return;
    }
    count = paging_steps(vcpu, gla, step);
    fprintf(out, "%*swalk of %08" PRIx32 " from CR3 %08" PRIx64 ", %s paging:\n", indent, "", gla,
            vcpu->cr3, vcpu->cr4 & CR4_PAE ? "PAE" : "32-bit");
    for (unsigned i = 0; i < count; i++) {
        bool bare = paging_format(vcpu)->bare_levels >> step[i].level & 1;
        const char *why = failed ? NULL : denial(&step[i], error, bare);

        print_step(out, vcpu, &step[i], why, indent + 2);
        failed = why ? why : failed;
    }
    if (!failed)
        fprintf(out, "%*sas the tables are now, this access is allowed\n", indent + 2, "");
}

/* --- Faults ------------------------------------------------------------------------------- */

static void print_page_fault(FILE *out, uint32_t error, uint64_t cr2)
{
    fprintf(out, ": %s %s %08" PRIx64 ", %s", error & PF_U ? "user code" : "the kernel",
            error & PF_I ? "executes at" : error & PF_W ? "writes to" : "reads", cr2,
            error & PF_R ? "whose entry has reserved bits set" :
            error & PF_P ? "which its rights do not allow" : "which is not present");
}

/* Error codes that name a selector: SDM 3, 6.13. */
static void print_selector_error(FILE *out, struct vcpu *vcpu, uint32_t error, int indent)
{
    fprintf(out, ":%s\n%*s", error & 1 ? " while an event was being delivered," : "", indent, "");
    if (error & 2)
        print_gate(out, vcpu, error >> 3 & 0xff);
    else
        print_selector(out, vcpu, error & 0xfffc);
}

static bool names_selector(uint8_t vector)
{
    return vector == VEC_TS || vector == VEC_NP || vector == VEC_SS || vector == VEC_GP;
}

void describe_fault(FILE *out, struct vcpu *vcpu, const struct fault *fault, int indent)
{
    fprintf(out, "%s (vector %u)", exception_name(fault->vector), fault->vector);
    if (fault->has_error)
        fprintf(out, ", error code 0x%04" PRIx32, fault->error);
    if (fault->vector == VEC_PF)
        print_page_fault(out, fault->error, fault->cr2);
    else if (fault->has_error && names_selector(fault->vector) && fault->error & 0xfffe)
        print_selector_error(out, vcpu, fault->error, indent);
    else if (fault->has_error && names_selector(fault->vector))
        fprintf(out, ": no selector%s", fault->error ? "; while an event was being delivered" : "");
    fputc('\n', out);
    if (fault->vector == VEC_PF)
        print_walk(out, vcpu, (uint32_t)fault->cr2, fault->error, indent);
}
