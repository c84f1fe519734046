/* Where a guest is: see crash.h. */
#include "frontend/crash.h"

#include <inttypes.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/describe.h"
#include "cpu/mem.h"
#include "cpu/transfers.h"
#include "cpu/vcpu.h"
#include "frontend/disasm.h"
#include "frontend/names.h"

enum { CODE_BEFORE = 24, CODE_AFTER = 24, NAME_SIZE = 128, SHOWN = 32, CALLERS = 16 };

/* --- Faults --------------------------------------------------------------------------------- */

static void print_fault(FILE *out, const char *which, struct vcpu *vcpu, const struct fault *fault)
{
    fprintf(out, "  %s: %s ", which, describe_vector(fault->vector));
    describe_fault(out, vcpu, fault, 4);
}

void crash_print_faults(FILE *out, struct vcpu *vcpu)
{
    print_fault(out, "first fault", vcpu, &vcpu->first_fault);
    print_fault(out, "last fault", vcpu, &vcpu->fault);
}

/* --- Registers ------------------------------------------------------------------------------ */

static void print_segment(FILE *out, const char *name, const struct segment *segment)
{
    fprintf(out, "  %-4s %04x  base %08" PRIx64 "  limit %08" PRIx32 "  ", name, segment->selector,
            segment->base, segment->limit);
    describe_segment(out, segment);
    fputc('\n', out);
}

static void print_registers(FILE *out, const struct vcpu *vcpu)
{
    static const char *const gpr[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
    static const char *const segment[] = { "es", "cs", "ss", "ds", "fs", "gs" };

    for (unsigned i = 0; i < 8; i++)
        fprintf(out, "  %s %08" PRIx64 "%s", gpr[i], vcpu->gpr[i], i % 4 == 3 ? "\n" : "");
    fprintf(out, "  eip %08" PRIx64 "  cpl %u  eflags %08" PRIx32 "  ", vcpu->rip, vcpu->cpl,
            vcpu->eflags);
    describe_flags(out, vcpu->eflags);
    fprintf(out, "\n  cr0 %08" PRIx64 "  cr2 %08" PRIx64 "  cr3 %08" PRIx64 "  cr4 %08" PRIx64 "\n",
            vcpu->cr0, vcpu->cr2, vcpu->cr3, vcpu->cr4);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        print_segment(out, segment[i], &vcpu->seg[i]);
    print_segment(out, "ldtr", &vcpu->ldtr);
    print_segment(out, "tr", &vcpu->tr);
    fprintf(out, "  gdt %08" PRIx64 " limit %04x  idt %08" PRIx64 " limit %04x\n", vcpu->gdtr.base,
            vcpu->gdtr.limit, vcpu->idtr.base, vcpu->idtr.limit);
}

/* --- Code ----------------------------------------------------------------------------------- */

/* How many bytes of code at gla can be read, at most size, in the direction of step. */
static unsigned readable(struct vcpu *vcpu, uint64_t gla, unsigned size, int step)
{
    uint8_t byte;
    unsigned n = 0;

    while (n < size && mem_debug_read(vcpu, (gla + (uint64_t)((int64_t)n * step)) & UINT32_MAX,
                                      &byte, 1))
        n++;
    return n;
}

static void print_code(FILE *out, struct vcpu *vcpu, uint64_t rip)
{
    uint64_t gla = (vcpu->seg[SEG_CS].base + rip) & UINT32_MAX;
    unsigned after = readable(vcpu, gla, CODE_AFTER, 1);
    unsigned before = after ? readable(vcpu, gla - 1, CODE_BEFORE, -1) : 0;
    uint8_t code[CODE_BEFORE + CODE_AFTER];
    int bits = vcpu_code32(vcpu) ? 32 : 16;
    size_t shown;

    if (!after) {
        fprintf(out, "  there is no readable code at eip\n");
        return;
    }
    for (unsigned i = 0; i < before + after; i++)
        if (!mem_debug_read(vcpu, (gla - before + i) & UINT32_MAX, &code[i], 1))
            code[i] = 0;
    shown = disasm_sync(code, before, bits);
    disasm_print_marked(out, code + before - shown, shown + after, rip - shown, bits, rip);
}

/* --- How it came there ------------------------------------------------------------------------ */

static void print_place(FILE *out, struct names *names, uint32_t gla, int width)
{
    char text[NAME_SIZE];

    names_at(names, gla, text, sizeof(text));
    fprintf(out, "%08" PRIx32 " %-*s", gla, width, text);
}

/* What code that keeps frame pointers was called from. */
static void print_callers(FILE *out, struct vcpu *vcpu, struct names *names)
{
    uint32_t frame[2], ebp = (uint32_t)vcpu->gpr[RBP];

    for (unsigned i = 0; i < CALLERS && vcpu_code32(vcpu); i++) {
        if (!mem_debug_read(vcpu, (uint32_t)(vcpu->seg[SEG_SS].base + ebp), frame, 8) || !frame[1])
            return;
        fprintf(out, "%s    ", i ? "" : "  called from, if there are frame pointers:\n");
        print_place(out, names, frame[1], 0);
        fputc('\n', out);
        if (frame[0] <= ebp)
            return;
        ebp = frame[0];
    }
}

static void branch_name(struct vcpu *vcpu, uint32_t gla, char *text, size_t size)
{
    static const char *const conditions[] = { "o", "no", "b", "ae", "e", "ne", "be", "a",
                                              "s", "ns", "p", "np", "l", "ge", "le", "g" };
    unsigned size_there = readable(vcpu, gla, INSN_MAX, 1);
    uint8_t code[INSN_MAX];
    struct insn in;

    if (!mem_debug_read(vcpu, gla, code, size_there) ||
        decode(&in, code, size_there, vcpu_code32(vcpu) ? MODE_32 : MODE_16) <= 0)
        snprintf(text, size, "?");
    else if (in.id == M_JCC)
        snprintf(text, size, "j%s", conditions[in.opcode & 15]);
    else
        snprintf(text, size, "%s", in.info->mnemonic);
}

/* "jne", "#PF", "interrupt 32", "?": what a transfer was made by. */
static void transfer_name(struct vcpu *vcpu, const struct transfer *t, char *text, size_t size)
{
    switch (t->kind) {
    case TRANSFER_NONE: case TRANSFER_UNIT: snprintf(text, size, "?"); break;
    case TRANSFER_BRANCH: branch_name(vcpu, t->from, text, size); break;
    case TRANSFER_EXCEPTION: snprintf(text, size, "%s", describe_vector(t->vector)); break;
    case TRANSFER_INTERRUPT: snprintf(text, size, "interrupt %u", t->vector); break;
    }
}

static void print_transfer(FILE *out, struct vcpu *vcpu, struct names *names,
                           const struct transfer *t)
{
    char what[32];

    transfer_name(vcpu, t, what, sizeof(what));
    fprintf(out, "    ");
    if (t->kind == TRANSFER_UNIT)
        fprintf(out, "%-33s", "?");
    else
        print_place(out, names, t->from, 24);
    fprintf(out, "  %-12s -> ", what);
    print_place(out, names, t->to, 0);
    if (t->times > 1)
        fprintf(out, "  (%u times)", t->times);
    fputc('\n', out);
}

static void print_transfers(FILE *out, struct vcpu *vcpu, struct names *names)
{
    struct transfer last[SHOWN];
    unsigned count = transfers_last(vcpu, last, SHOWN);

    if (!vcpu->transfers)
        return;
    if (vcpu->transfers->all)
        fprintf(out, "  the last %u control transfers, oldest first:\n", count);
    else
        fprintf(out, "  the last exceptions and interrupts, oldest first (with -d int: all control "
                     "transfers):%s\n", count ? "" : " none");
    for (unsigned i = 0; i < count; i++)
        print_transfer(out, vcpu, names, &last[i]);
}

/* --- All of it -------------------------------------------------------------------------------- */

void crash_print(FILE *out, struct vcpu *vcpu, struct names *names, uint64_t rip)
{
    print_registers(out, vcpu);
    print_transfers(out, vcpu, names);
    print_callers(out, vcpu, names);
    print_code(out, vcpu, rip);
}
