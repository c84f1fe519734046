/* The end of a run as a number and in words. */
#include "frontend/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "base/bug.h"
#include "cpu/describe.h"
#include "cpu/vcpu.h"
#include "frontend/crash.h"
#include "frontend/error.h"
#include "frontend/names.h"

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

static void report_triple_fault(FILE *out, struct vcpu *vcpu, struct names *names)
{
    uint64_t rip = vcpu->first_fault_rip;
    char name[NAME_SIZE];

    names_at(names, (uint32_t)(vcpu->seg[SEG_CS].base + rip), name, sizeof(name));
    fprintf(out, "novt: triple fault: the guest could not handle %s at %04x:%08" PRIx64 "%s%s\n",
            describe_vector(vcpu->first_fault.vector), vcpu->seg[SEG_CS].selector, rip,
            *name ? " " : "", name);
    crash_print_faults(out, vcpu);
    crash_print(out, vcpu, names, rip);
}

/* A guest that stopped by itself, or that we do not know how to run on. */
static void report_stop(FILE *out, const char *what, struct vcpu *vcpu, struct names *names)
{
    char name[NAME_SIZE];

    names_at(names, (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip), name, sizeof(name));
    fprintf(out, "novt: %s at eip %08" PRIx64 "%s%s\n", what, vcpu->rip, *name ? " " : "", name);
    crash_print(out, vcpu, names, vcpu->rip);
}

/* --- All ends --------------------------------------------------------------------- */

static void say(FILE *out, const char *what, const struct vm_stop *stop)
{
    char reason[sizeof(stop->reason)];

    memcpy(reason, stop->reason, sizeof(reason));
    error_make_line(reason);
    fprintf(out, "novt: %s%s%s\n", what, *what && *reason ? ": " : "", reason);
}

void report_end(FILE *out, const struct vm_stop *stop, struct vcpu *vcpu, struct names *names,
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
    case VM_TRIPLE_FAULT: report_triple_fault(out, vcpu, names); break;
    case VM_PANIC: report_stop(out, "the guest's kernel panicked", vcpu, names); break;
    case VM_HALTED:
        report_stop(out, "the guest halted for ever: HLT with interrupts off", vcpu, names);
        break;
    case VM_UNSUPPORTED:
        say(out, "", stop);
        crash_print(out, vcpu, names, vcpu->rip);
        break;
    case VM_TIMEOUT: case VM_HOST_ERROR: say(out, "", stop); break;
    case VM_SIGNAL: fprintf(out, "novt: ended by signal %d (%s)\n", stop->code,
                            strsignal(stop->code)); break;
    }
}
