/*
 * The KVM engine: the kernel runs the guest's CPU, everything else stays the monitor's. There is no
 * interrupt controller in the kernel: the board's own put their interrupts to the CPU.
 *
 *            state_put          KVM_RUN                        an exit
 *   run() ------------> ready ----------> guest's code runs ------------> one of kinds[]
 *     ^                   ^                                                    |
 *     |                   +------ the bus has answered, nobody else is needed -+
 *     |    state_get                                                           |
 *     +------------------ finish(): the kernel completes the instruction <-----+
 *
 * What KVM's emulator does not know, our interpreter does. Registers stay in the kernel from exit
 * to exit. Reference: Linux, Documentation/virt/kvm/api.rst, section 5 (the kvm_run structure).
 */
#include "kvm/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/physmem.h"
#include "base/spent.h"
#include "cpu/engine.h"
#include "cpu/env.h"
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/interp.h"
#include "cpu/mem.h"
#include "cpu/msr.h"
#include "cpu/tlb.h"

#define TRY_BT "; -engine bt needs no KVM"

static void host_error(struct kvm *k, const char *what, int err)
{
    vm_stop(k->vcpu->stop, VM_HOST_ERROR, err, "engine kvm: %s%s%s", what, err ? ": " : "",
            err ? strerror(err) : "");
}

static void host_failed(struct kvm *k)
{
    host_error(k, k->host.failed, k->host.err);
}

/* --- Exits that the board answers ---------------------------------------------------- */

static void exit_io(struct kvm *k)
{
    struct kvm_run *run = k->host.run;
    const struct cpu_env *env = k->vcpu->env;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    bool out = run->io.direction == KVM_EXIT_IO_OUT;

    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        uint64_t value = 0;

        if (out) {
            memcpy(&value, data, run->io.size);
            env->port_write(env->board, run->io.port, run->io.size, value);
            k->vcpu->stats.port_writes++;
            event_tell(k->vcpu, EVENT_port_write, run->io.port, value, run->io.size);
        } else {
            value = env->port_read(env->board, run->io.port, run->io.size);
            memcpy(data, &value, run->io.size);
            k->vcpu->stats.port_reads++;
            event_tell(k->vcpu, EVENT_port_read, run->io.port, value, run->io.size);
        }
    }
    k->unfinished = true;
}

/* As much as one access of the bus may have. */
static unsigned part_of(unsigned left)
{
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

static void mmio_write(struct kvm *k, uint64_t gpa, unsigned size, uint64_t value)
{
    const struct cpu_env *env = k->vcpu->env;

    if (physmem_is_ram(k->vcpu->mem, gpa)) {
        physmem_rom_store(k->vcpu->mem, gpa, value, size);
        return;
    }
    k->vcpu->stats.mmio_writes++;
    event_tell(k->vcpu, EVENT_mmio_write, gpa, value, size);
    env->mmio_write(env->board, gpa, size, value);
}

static uint64_t mmio_read(struct kvm *k, uint64_t gpa, unsigned size)
{
    const struct cpu_env *env = k->vcpu->env;
    uint64_t value = env->mmio_read(env->board, gpa, size);

    k->vcpu->stats.mmio_reads++;
    event_tell(k->vcpu, EVENT_mmio_read, gpa, value, size);
    return value;
}

static void exit_mmio(struct kvm *k)
{
    struct kvm_run *run = k->host.run;
    uint64_t gpa = memory_address(k, run->mmio.phys_addr);
    unsigned size;

    for (unsigned at = 0; at < run->mmio.len && at < sizeof(run->mmio.data); at += size) {
        uint64_t value = 0;

        size = part_of(run->mmio.len - at);
        if (run->mmio.is_write) {
            memcpy(&value, run->mmio.data + at, size);
            mmio_write(k, gpa + at, size, value);
        } else {
            value = mmio_read(k, gpa + at, size);
            memcpy(run->mmio.data + at, &value, size);
        }
    }
    k->unfinished = true;
}

/* MSRs that KVM does not know are the interpreter's, refused or not. */
static void exit_rdmsr(struct kvm *k)
{
    struct kvm_run *run = k->host.run;
    uint64_t value = 0;

    run->msr.error = msr_read(k->vcpu, run->msr.index, &value);
    run->msr.data = value;
    k->unfinished = true;
}

static void exit_wrmsr(struct kvm *k)
{
    struct kvm_run *run = k->host.run;

    run->msr.error = msr_write(k->vcpu, run->msr.index, run->msr.data);
    k->unfinished = true;
}

static void exit_halt(struct kvm *k)
{
    k->vcpu->halted = true;
    k->vcpu->stats.halts++;
}

static void exit_nothing(struct kvm *k)
{
    (void)k;
}

/* --- Exits that end the guest, or nearly --------------------------------------------- */

static void exit_shutdown(struct kvm *k)
{
    struct vcpu *vcpu = k->vcpu;

    if (!k->paging) {
        vm_stop(vcpu->stop, VM_UNSUPPORTED, 0,
                "this host's KVM (%s) has ended the guest: it has no 32-bit paging, which the "
                "guest may have wanted; use -engine bt", k->kind.module ? k->kind.module : "?");
        return;
    }
    state_get(k);
    vcpu->shutdown = true;
    vcpu->first_fault = vcpu->fault = (struct fault){ .vector = VEC_DF, .has_error = true };
    vcpu->first_fault_rip = vcpu->rip;
    vm_stop(vcpu->stop, VM_TRIPLE_FAULT, 0, "triple fault");
}

static void exit_fail_entry(struct kvm *k)
{
    vm_stop(k->vcpu->stop, VM_HOST_ERROR, 0,
            "engine kvm: the CPU refuses the guest's state (hardware reason 0x%llx)" TRY_BT,
            (unsigned long long)k->host.run->fail_entry.hardware_entry_failure_reason);
}

/* The interpreter's TLBs, which hear of nothing that the guest does. */
static void flush(struct vcpu *vcpu)
{
    tlb_flush(vcpu->tlb[0]);
    tlb_flush(vcpu->tlb[1]);
}

/* An interrupt that the kernel was given, and the guest has not begun, comes before the
 * instruction: after it the CPU might not take it any more. */
static void go_on(struct kvm *k)
{
    k->vcpu->nmi_pending |= k->given_nmi;
    if (k->given) {
        fault_interrupt(k->vcpu, k->given_vector);
        return;
    }
    k->interpreted++;
    interp_one(k->vcpu);
}

/* Something that KVM's emulator does not know. */
static void exit_internal(struct kvm *k)
{
    if (k->host.run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
        vm_stop(k->vcpu->stop, VM_HOST_ERROR, 0, "engine kvm: KVM_EXIT_INTERNAL_ERROR %u" TRY_BT,
                k->host.run->internal.suberror);
        return;
    }
    if (!state_get(k)) {
        host_failed(k);
        return;
    }
    flush(k->vcpu);
    go_on(k);
    k->reset = true;
    if (!state_put(k))
        host_failed(k);
}

/* --- The table of exits -------------------------------------------------------------- */

static const struct exit_kind {
    uint32_t reason;
    const char *name; /* in -stats */
    void (*act)(struct kvm *k);
} kinds[] = {
    { KVM_EXIT_IO, "exits_io", exit_io },
    { KVM_EXIT_MMIO, "exits_mmio", exit_mmio },
    { KVM_EXIT_HLT, "exits_hlt", exit_halt },
    { KVM_EXIT_IRQ_WINDOW_OPEN, "exits_irq_window", exit_nothing },
    { KVM_EXIT_INTR, "exits_intr", exit_nothing },
    { KVM_EXIT_X86_RDMSR, "exits_rdmsr", exit_rdmsr },
    { KVM_EXIT_X86_WRMSR, "exits_wrmsr", exit_wrmsr },
    { KVM_EXIT_INTERNAL_ERROR, "exits_internal_error", exit_internal },
    { KVM_EXIT_SHUTDOWN, "exits_shutdown", exit_shutdown },
    { KVM_EXIT_FAIL_ENTRY, "exits_fail_entry", exit_fail_entry },
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

_Static_assert(KINDS <= sizeof((struct kvm){ 0 }.exits) / sizeof(uint64_t), "a count for each");

/* The guest has written IA32_APIC_BASE, which KVM keeps. */
static void look_at_apic_base(struct kvm *k)
{
    struct vcpu *vcpu = k->vcpu;
    uint64_t changed = vcpu->apic_base ^ k->host.run->apic_base;

    vcpu->apic_base = k->host.run->apic_base;
    if (changed && vcpu->env->apic_base)
        vcpu->env->apic_base(vcpu->env->board, vcpu->apic_base);
}

static void act(struct kvm *k)
{
    uint32_t reason = k->host.run->exit_reason;

    look_at_apic_base(k);
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].reason == reason) {
            k->exits[i]++;
            kinds[i].act(k);
            return;
        }
    }
    vm_stop(k->vcpu->stop, VM_HOST_ERROR, 0, "engine kvm: KVM_RUN has ended for reason %u, which "
            "novt does not know" TRY_BT, reason);
}

/* --- Interrupts ---------------------------------------------------------------------- */

static bool may_interrupt(const struct kvm *k)
{
    return k->host.run->ready_for_interrupt_injection && k->host.run->if_flag;
}

static bool inject_nmi(struct kvm *k)
{
    k->vcpu->nmi_pending = false; /* KVM holds it back while it must */
    k->vcpu->halted = false;
    return KVM_ASK(&k->host, k->host.cpu, KVM_NMI, NULL);
}

static bool inject_interrupt(struct kvm *k)
{
    struct vcpu *vcpu = k->vcpu;
    struct kvm_interrupt interrupt = { .irq = vcpu->env->intr_ack(vcpu->env->board) };

    vcpu->halted = false;
    vcpu->stats.interrupts++;
    event_tell(vcpu, EVENT_interrupt, interrupt.irq, 0, 0);
    k->injected++;
    k->host.run->ready_for_interrupt_injection = 0; /* until the kernel says so again */
    return KVM_ASK(&k->host, k->host.cpu, KVM_INTERRUPT, &interrupt);
}

/* Gives the CPU what waits for it, or asks to be told when it will take it. */
static bool inject(struct kvm *k)
{
    if (k->vcpu->nmi_pending && !inject_nmi(k))
        return false;
    if (k->vcpu->intr_line && may_interrupt(k) && !inject_interrupt(k))
        return false;
    k->host.run->request_interrupt_window = k->vcpu->intr_line;
    return true;
}

/* --- Running ------------------------------------------------------------------------- */

/* False: an interrupt of ours, or a failure that vcpu->stop knows. */
static bool enter(struct kvm *k)
{
    k->ran = true;
    if (!ioctl(k->host.cpu, KVM_RUN, 0))
        return true;
    k->host.run->immediate_exit = 0;
    if (errno == EINTR || errno == EAGAIN)
        k->kicks++;
    else
        host_error(k, "KVM_RUN", errno);
    return false;
}

static bool is_running(const struct kvm *k)
{
    return k->vcpu->stop->end == VM_RUNNING;
}

/* The kernel completes the last exit's instruction, which may take several exits. */
static void finish(struct kvm *k)
{
    while (k->unfinished) {
        k->unfinished = false;
        k->host.run->immediate_exit = 1;
        if (enter(k))
            act(k);
    }
}

static enum exit_reason loop(struct kvm *k)
{
    struct vcpu *vcpu = k->vcpu;

    for (;;) {
        if (!is_running(k))
            return EXIT_STOP;
        if (vcpu->exit_request) {
            vcpu->exit_request = false;
            return EXIT_REQUEST;
        }
        if (!memory_update(k) || !inject(k)) {
            host_failed(k);
            return EXIT_STOP;
        }
        if (vcpu->halted)
            return EXIT_HALT;
        k->unfinished = false;
        if (enter(k))
            act(k);
    }
}

static enum exit_reason run(struct vcpu *vcpu)
{
    struct kvm *k = vcpu->engine_state;
    enum spent_on before = spent_begin(vcpu->spent, SPENT_CODE_KVM);
    enum exit_reason reason = EXIT_STOP;

    k->inside = true;
    if (state_put(k)) {
        reason = loop(k);
        finish(k);
        if (!state_get(k))
            host_failed(k);
        memory_collect(k);
    } else {
        host_failed(k);
    }
    k->inside = false;
    spent_back(vcpu->spent, before);
    return is_running(k) ? reason : EXIT_STOP;
}

/* The signal may come between the last look at exit_request and KVM_RUN. */
static void on_kick(struct vcpu *vcpu, void *ucontext)
{
    struct kvm *k = vcpu->engine_state;

    (void)ucontext;
    if (k)
        k->host.run->immediate_exit = 1;
}

/* --- What the monitor changes -------------------------------------------------------- */

/* A reset, or A20. */
static void mode_changed(struct vcpu *vcpu)
{
    struct kvm *k = vcpu->engine_state;

    flush(vcpu);
    k->relayout = true;
    if (!k->inside)
        k->reset = true;
}

static void layout_changed(struct vcpu *vcpu)
{
    struct kvm *k = vcpu->engine_state;

    flush(vcpu);
    k->relayout = true;
}

static void drop_page(struct vcpu *vcpu, uint64_t gla)
{
    (void)gla;
    flush(vcpu);
}

static const struct mmu_ops mmu = {
    .root_changed = flush,
    .mode_changed = mode_changed,
    .layout_changed = layout_changed,
    .invlpg = drop_page,
};

/* --- Life ---------------------------------------------------------------------------- */

static void destroy(struct vcpu *vcpu)
{
    struct kvm *k = vcpu->engine_state;

    vcpu->engine_state = NULL;
    vcpu->mmu = k->plain;
    memory_destroy(k);
    kvm_host_close(&k->host);
    free(k);
}

/* MSRs that KVM does not know, and instructions that its emulator does not, come to us: where that
 * cannot be had, they are #GP and #UD. */
static void ask_for_exits(struct kvm *k)
{
    struct kvm_enable_cap msrs = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
                                   .args[0] = KVM_MSR_EXIT_REASON_UNKNOWN };
    struct kvm_enable_cap failures = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args[0] = 1 };

    ioctl(k->host.vm, KVM_ENABLE_CAP, &msrs);
    ioctl(k->host.vm, KVM_ENABLE_CAP, &failures);
}

#define PROBE_NS 1000000 /* for paging, at a host that may have none */

static void look_at_host(struct kvm *k)
{
    struct kvm_probe probe;

    kvm_kind_of_host(&k->kind);
    snprintf(k->about, sizeof(k->about), "%s, %s",
             k->kind.module ? k->kind.module : "an unknown module", k->kind.paging);
    k->paging = k->kind.hardware;
    if (k->paging)
        return;
    kvm_probe_run(&probe, PROBE_NS);
    k->paging = probe.paging;
}

static void *create(struct vcpu *vcpu, struct engine_request *request)
{
    struct kvm *k = calloc(1, sizeof(*k));

    if (!k) {
        request->error = "no memory";
        return NULL;
    }
    k->vcpu = vcpu;
    look_at_host(k);
    if (kvm_host_open(&k->host) && state_create(k) && memory_create(k)) {
        ask_for_exits(k);
        vcpu->engine_state = k;
        k->plain = vcpu->mmu;
        vcpu->mmu = &mmu;
        return k;
    }
    request->error = k->host.failed;
    request->err = k->host.err;
    memory_destroy(k);
    kvm_host_close(&k->host);
    free(k);
    return NULL;
}

static void stats(const struct vcpu *vcpu, void (*put)(void *arg, const char *name, uint64_t value),
                  void *arg)
{
    const struct kvm *k = vcpu->engine_state;

    for (size_t i = 0; i < KINDS; i++)
        put(arg, kinds[i].name, k->exits[i]);
    put(arg, "interrupts_injected", k->injected);
    put(arg, "kicks", k->kicks);
    put(arg, "interpreted", k->interpreted);
}

static const char *about(const struct vcpu *vcpu)
{
    return ((const struct kvm *)vcpu->engine_state)->about;
}

const struct engine engine_kvm = {
    .name = "kvm",
    .help = "the host's KVM runs guest code: for comparison, where there is VT-x or SVM",
    .uncounted = true,
    .undebugged = true,
    .create = create,
    .destroy = destroy,
    .run = run,
    .on_kick = on_kick,
    .stats = stats,
    .about = about,
};
