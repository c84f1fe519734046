/* The end of a run as a number and in words. */
#include "frontend/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "base/bug.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"
#include "frontend/disasm.h"
#include "frontend/error.h"
#include "frontend/symbols.h"

#define CODE_BEFORE 24
#define CODE_AFTER 24
#define NAME_SIZE 256

/* --- The status ------------------------------------------------------------------- */

static int host_error_status(int err)
{
    return err == ENOMEM || err == EMFILE || err == EAGAIN ? EX_OSERR : EX_IOERR;
}

int report_status(const struct vm_stop *stop, bool unmet)
{
    switch (stop->end) {
    case VM_RUNNING: break;
    case VM_POWEROFF: return unmet ? STATUS_EXPECT_UNMET : 0;
    case VM_EXPECTED: return 0;
    case VM_RESET: return STATUS_REBOOT;
    case VM_DEBUG_EXIT: return stop->code;
    case VM_TRIPLE_FAULT: return STATUS_TRIPLE_FAULT;
    case VM_PANIC: return STATUS_PANIC;
    case VM_HALTED: return STATUS_HALTED;
    case VM_TIMEOUT: return STATUS_TIMEOUT;
    case VM_SIGNAL: return STATUS_SIGNAL + stop->code;
    case VM_QUIT: return STATUS_QUIT;
    case VM_UNSUPPORTED: return EX_SOFTWARE;
    case VM_HOST_ERROR: return host_error_status(stop->code);
    }
    BUG_ON(true);
    return EX_SOFTWARE;
}

const char *report_end_name(enum vm_end end)
{
    static const char *const names[] = {
        [VM_RUNNING] = "running",
        [VM_POWEROFF] = "power off",
        [VM_RESET] = "reboot",
        [VM_DEBUG_EXIT] = "isa-debug-exit",
        [VM_TRIPLE_FAULT] = "triple fault",
        [VM_PANIC] = "kernel panic",
        [VM_HALTED] = "halted for ever",
        [VM_EXPECTED] = "expected output seen",
        [VM_TIMEOUT] = "timeout",
        [VM_SIGNAL] = "signal",
        [VM_QUIT] = "quit",
        [VM_UNSUPPORTED] = "unsupported",
        [VM_HOST_ERROR] = "host error",
    };

    return names[end];
}

/* --- The triple fault ------------------------------------------------------------- */

static const char *vector_name(unsigned vector)
{
    static const char *const names[] = { "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                         "#NM", "#DF", "?",   "#TS", "#NP", "#SS", "#GP",
                                         "#PF", "?",   "#MF", "#AC", "#MC", "#XM" };

    return vector < sizeof(names) / sizeof(*names) ? names[vector] : "?";
}

static void print_fault(FILE *out, const char *which, const struct fault *fault)
{
    fprintf(out, "  %s: %s (vector %u)", which, vector_name(fault->vector), fault->vector);
    if (fault->has_error)
        fprintf(out, ", error code 0x%" PRIx32, fault->error);
    if (fault->vector == VEC_PF)
        fprintf(out, ", address 0x%08" PRIx64, fault->cr2);
    fprintf(out, "\n");
}

static void print_registers(FILE *out, const struct vcpu *vcpu)
{
    static const char *const gpr[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
    static const char *const segment[] = { "es", "cs", "ss", "ds", "fs", "gs" };

    for (unsigned i = 0; i < 8; i++)
        fprintf(out, "  %s %08" PRIx64 "%s", gpr[i], vcpu->gpr[i], i % 4 == 3 ? "\n" : "");
    fprintf(out, "  eip %08" PRIx64 "  eflags %08" PRIx32 "  cpl %u\n", vcpu->rip, vcpu->eflags,
            vcpu->cpl);
    fprintf(out, "  cr0 %08" PRIx64 "  cr2 %08" PRIx64 "  cr3 %08" PRIx64 "  cr4 %08" PRIx64 "\n",
            vcpu->cr0, vcpu->cr2, vcpu->cr3, vcpu->cr4);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        fprintf(out,
                "  %s %04x  base %08" PRIx64 "  limit %08" PRIx32 "  attributes %05" PRIx32 "\n",
                segment[i], vcpu->seg[i].selector, vcpu->seg[i].base, vcpu->seg[i].limit,
                vcpu->seg[i].attr);
    fprintf(out, "  tr %04x  gdt %08" PRIx64 "+%04x  idt %08" PRIx64 "+%04x\n", vcpu->tr.selector,
            vcpu->gdtr.base, vcpu->gdtr.limit, vcpu->idtr.base, vcpu->idtr.limit);
}

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

void report_triple_fault(FILE *out, struct vcpu *vcpu, const char *kernel)
{
    const struct fault *first = &vcpu->first_fault, *last = &vcpu->fault;
    uint64_t rip = vcpu->first_fault_rip;
    char name[NAME_SIZE];

    symbols_name(kernel, (vcpu->seg[SEG_CS].base + rip) & UINT32_MAX, name, sizeof(name));
    error_make_line(name);
    fprintf(out, "novt: triple fault: the guest could not handle %s at %04x:%08" PRIx64 "%s%s\n",
            vector_name(first->vector), vcpu->seg[SEG_CS].selector, rip, *name ? " " : "", name);
    print_fault(out, "first fault", first);
    print_fault(out, "last fault", last);
    print_registers(out, vcpu);
    print_code(out, vcpu, rip);
}

/* --- All ends --------------------------------------------------------------------- */

static void say(FILE *out, const char *what, const struct vm_stop *stop)
{
    char reason[sizeof(stop->reason)];

    memcpy(reason, stop->reason, sizeof(reason));
    error_make_line(reason);
    fprintf(out, "novt: %s%s%s\n", what, *what && *reason ? ": " : "", reason);
}

void report_end(FILE *out, const struct vm_stop *stop, struct vcpu *vcpu, const char *kernel,
                bool unmet)
{
    switch (stop->end) {
    case VM_RUNNING: case VM_DEBUG_EXIT: case VM_EXPECTED: case VM_QUIT: break;
    case VM_POWEROFF:
        if (unmet)
            fprintf(out, "novt: the guest powered off, and never printed what -expect asks for\n");
        break;
    case VM_RESET:
        fprintf(out, "novt: the guest asked for a reboot (-no-reboot: this is the end)\n");
        break;
    case VM_TRIPLE_FAULT: report_triple_fault(out, vcpu, kernel); break;
    case VM_PANIC: fprintf(out, "novt: the guest's kernel panicked\n"); break;
    case VM_HALTED:
        fprintf(out, "novt: the guest halted for ever: HLT with interrupts off at eip %08" PRIx64
                "\n", vcpu->rip);
        break;
    case VM_TIMEOUT: case VM_UNSUPPORTED: case VM_HOST_ERROR: say(out, "", stop); break;
    case VM_SIGNAL: fprintf(out, "novt: ended by signal %d (%s)\n", stop->code,
                            strsignal(stop->code)); break;
    }
}
