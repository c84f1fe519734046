/*
 * The KVM engine at a kernel that answers oddly: ioctl() is ours here. Each call that is needed may
 * be refused and is named then; each that is not needed may be refused; exits come as no kernel
 * gives them. What KVM_RUN is given is checked as VT-x checks it (SDM 3C, 27.3.1: checks on the
 * guest state area), so that a host with VT-x would take it.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/env.h"
#include "cpu/mem.h"
#include "kvm/kvm.h"
#include "tests/check.h"
#include "tests/machine.h"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_ioctl(int fd, unsigned long request, ...);

enum { PAGES = 3, CODE = 0x1000, VECTOR = 0x20 };

/* --- The kernel ---------------------------------------------------------------------- */

static struct {
    unsigned long refused; /* this request fails with EINVAL */
    int without;           /* this capability is not there */
    int slots;             /* KVM_CAP_NR_MEMSLOTS */
    int msrs;              /* so many of a list are taken; -1: as many as there are */
    int msr_calls;
    int (*step)(struct kvm_run *run, unsigned n); /* what KVM_RUN does the nth time */
    uint32_t reason, suberror; /* of step_reason() */
    unsigned runs, interrupts;
    struct kvm_run *run;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_vcpu_events events;
} kernel;

static struct kvm_run *page_of(int fd)
{
    if (!kernel.run)
        kernel.run = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return kernel.run;
}

static int new_fd(void)
{
    int fd = memfd_create("kvm", MFD_CLOEXEC);

    return ftruncate(fd, PAGES * PAGE_SIZE) ? -1 : fd;
}

static void check_segment(const struct kvm_segment *s)
{
    if (s->unusable)
        return;
    CHECK_EQ(s->s && s->present && s->type & 1, true);
    CHECK_EQ(!s->g && s->limit >> 20, false);
    CHECK_EQ(s->g && (s->limit & 0xfff) != 0xfff, false);
}

static void check_entry(void)
{
    const struct kvm_sregs *s = &kernel.sregs;
    const struct kvm_segment *const all[] = { &s->cs, &s->ss, &s->ds, &s->es, &s->fs, &s->gs };

    for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
        check_segment(all[i]);
    CHECK_EQ(s->tr.unusable || !s->tr.present || s->tr.s, false);
    CHECK_EQ(s->tr.type == 3 || s->tr.type == 11, true);
    CHECK_EQ(s->ldt.unusable || (s->ldt.type == 2 && s->ldt.present && !s->ldt.s), true);
    CHECK_EQ((s->cr0 & 1) || !(s->cr0 >> 31), true);
    CHECK_EQ((s->cr0 & 1) || !s->ss.dpl, true);
    CHECK_EQ(kernel.regs.rflags & (2 | 8 | 1 << 5 | 1 << 15), 2);
    if (kernel.events.interrupt.injected) {
        CHECK_EQ(kernel.regs.rflags >> 9 & 1, true);
        CHECK_EQ(kernel.events.interrupt.shadow, 0);
    }
}

static void leave(struct kvm_run *run)
{
    run->if_flag = kernel.regs.rflags >> 9 & 1;
    run->ready_for_interrupt_injection =
        run->if_flag && !kernel.events.interrupt.shadow && !kernel.events.interrupt.injected;
    run->apic_base = kernel.sregs.apic_base;
    run->s.regs.regs = kernel.regs;
    run->s.regs.sregs = kernel.sregs;
    run->s.regs.events = kernel.events;
}

static int answer_run(int fd)
{
    struct kvm_run *run = page_of(fd);
    int result;

    check_entry();
    if (run->immediate_exit) {
        leave(run);
        errno = EINTR;
        return -1;
    }
    result = kernel.step(run, kernel.runs++);
    leave(run);
    errno = -result;
    return result ? -1 : 0;
}

static int answer_msrs(const struct kvm_msrs *list)
{
    kernel.msr_calls++;
    return kernel.msrs < 0 ? (int)list->nmsrs : kernel.msrs;
}

static int give_interrupt(const struct kvm_interrupt *interrupt)
{
    CHECK_EQ(kernel.regs.rflags >> 9 & 1, true);
    kernel.events.interrupt.injected = 1;
    kernel.events.interrupt.nr = (uint8_t)interrupt->irq;
    kernel.interrupts++;
    return 0;
}

static int answer_extension(int which)
{
    if (which == kernel.without)
        return 0;
    if (which == KVM_CAP_NR_MEMSLOTS)
        return kernel.slots;
    return which == KVM_CAP_SYNC_REGS ? KVM_SYNC_X86_VALID_FIELDS : 1;
}

static int answer(int fd, unsigned long request, void *arg)
{
    switch (request) {
    case KVM_GET_API_VERSION: return KVM_API_VERSION;
    case KVM_CREATE_VM:
    case KVM_CREATE_VCPU: return new_fd();
    case KVM_GET_VCPU_MMAP_SIZE: return PAGES * PAGE_SIZE;
    case KVM_CHECK_EXTENSION: return answer_extension((int)(intptr_t)arg);
    case KVM_GET_REGS: *(struct kvm_regs *)arg = kernel.regs; return 0;
    case KVM_SET_REGS: kernel.regs = *(struct kvm_regs *)arg; return 0;
    case KVM_GET_SREGS: *(struct kvm_sregs *)arg = kernel.sregs; return 0;
    case KVM_SET_SREGS: kernel.sregs = *(struct kvm_sregs *)arg; return 0;
    case KVM_GET_VCPU_EVENTS: *(struct kvm_vcpu_events *)arg = kernel.events; return 0;
    case KVM_SET_VCPU_EVENTS: kernel.events = *(struct kvm_vcpu_events *)arg; return 0;
    case KVM_GET_XSAVE: memset(arg, 0, sizeof(struct kvm_xsave)); return 0;
    case KVM_GET_DEBUGREGS: memset(arg, 0, sizeof(struct kvm_debugregs)); return 0;
    case KVM_GET_MSRS:
    case KVM_SET_MSRS: return answer_msrs(arg);
    case KVM_INTERRUPT: return give_interrupt(arg);
    case KVM_RUN: return answer_run(fd);
    default: return 0;
    }
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    void *arg;

    va_start(list, request);
    arg = va_arg(list, void *);
    va_end(list);
    if (request == kernel.refused) {
        errno = EINVAL;
        return -1;
    }
    return answer(fd, request, arg);
}

int __wrap_open(const char *path, int flags, ...)
{
    return strcmp(path, "/dev/kvm") ? __real_open(path, flags, 0600) : new_fd();
}

/* The module that the engine asks for. */
int __wrap_access(const char *path, int mode)
{
    return strncmp(path, "/sys/module/kvm", 15) ? __real_access(path, mode)
                                                : -!!strcmp(path, "/sys/module/kvm_intel");
}

/* --- The machine --------------------------------------------------------------------- */

static struct machine m;
static struct cpu_env env;

static uint8_t acknowledge(void *board)
{
    (void)board;
    m.vcpu->intr_line = false;
    return VECTOR;
}

static int hlt(struct kvm_run *run, unsigned n)
{
    (void)n;
    run->exit_reason = KVM_EXIT_HLT;
    return 0;
}

static void begin(void)
{
    memset(&kernel, 0, sizeof(kernel));
    kernel.without = -1;
    kernel.slots = 32;
    kernel.msrs = -1;
    kernel.step = hlt;
}

static bool make(void)
{
    if (machine_create(&m, &engine_interp)) /* whatever there is but the engine */
        return false;
    env = *m.vcpu->env;
    env.intr_ack = acknowledge;
    m.vcpu->env = &env;
    m.vcpu->rip = CODE;
    return true;
}

/* NULL, or what the engine says. */
static const char *start(void)
{
    struct engine_request request = { .user = USER_AUTO };

    if (!make())
        return "no machine";
    m.engine = &engine_kvm;
    m.vcpu->engine_state = engine_kvm.create(m.vcpu, &request);
    return m.vcpu->engine_state ? NULL : request.error;
}

static void expect_run(enum exit_reason reason)
{
    CHECK_EQ(m.engine->run(m.vcpu), reason);
}

static void start_and_run(enum exit_reason reason)
{
    CHECK_EQ(!start(), true);
    expect_run(reason);
}

static void end(void)
{
    machine_destroy(&m);
    if (kernel.run)
        munmap(kernel.run, PAGES * PAGE_SIZE);
    kernel.run = NULL;
}

static void expect_reason(enum vm_end how, const char *text)
{
    CHECK_EQ(m.stop.end, how);
    if (!strstr(m.stop.reason, text)) {
        printf("\"%s\" is not in \"%s\"\n", text, m.stop.reason);
        check_failures++;
    }
}

/* --- Refused ------------------------------------------------------------------------- */

static void test_refused_at_creation(void)
{
    static const struct {
        unsigned long request;
        const char *named;
    } table[] = {
        { KVM_GET_API_VERSION, "version 12" },
        { KVM_CREATE_VM, "KVM_CREATE_VM" },
        { KVM_CHECK_EXTENSION, "KVM_CAP_USER_MEMORY" },
        { KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE" },
        { KVM_CREATE_VCPU, "KVM_CREATE_VCPU" },
        { KVM_SET_CPUID2, "KVM_SET_CPUID2" },
        { KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION" },
    };

    for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const char *error;

        begin();
        kernel.refused = table[i].request;
        error = start();
        CHECK_EQ(error && strstr(error, table[i].named), true);
        end();
    }
}

/* Given at the first run, or needed after it. */
static void test_refused_at_run(void)
{
    static const struct {
        unsigned long request;
        const char *named;
    } table[] = {
        { KVM_SET_REGS, "KVM_SET_REGS" },     { KVM_SET_SREGS, "KVM_SET_SREGS" },
        { KVM_SET_XSAVE, "KVM_SET_XSAVE" },   { KVM_SET_DEBUGREGS, "KVM_SET_DEBUGREGS" },
        { KVM_GET_XSAVE, "KVM_GET_XSAVE" },   { KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS" },
        { KVM_GET_REGS, "KVM_GET_REGS" },     { KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS" },
        { KVM_RUN, "KVM_RUN" },
    };

    for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
        begin();
        kernel.refused = table[i].request;
        kernel.without = KVM_CAP_SYNC_REGS;
        start_and_run(EXIT_STOP);
        expect_reason(VM_HOST_ERROR, table[i].named);
        end();
    }
}

static void test_not_needed(void)
{
    static const unsigned long table[] = { KVM_ENABLE_CAP, KVM_SET_TSS_ADDR,
                                           KVM_SET_IDENTITY_MAP_ADDR, KVM_GET_XCRS, KVM_GET_MSRS,
                                           KVM_SET_MSRS, KVM_GET_DIRTY_LOG };

    for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
        begin();
        kernel.refused = table[i];
        start_and_run(EXIT_HALT);
        end();
    }
}

/* Each MSR may be refused, and is not asked for again; more than there were cannot be taken. */
static void test_msrs(void)
{
    static const int taken[] = { 0, 1000 };
    int calls;

    for (unsigned i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
        begin();
        kernel.msrs = taken[i];
        start_and_run(EXIT_HALT);
        calls = kernel.msr_calls;
        m.vcpu->halted = false;
        expect_run(EXIT_HALT);
        CHECK_EQ(kernel.msr_calls - calls <= 2, true);
        end();
    }
}

static void test_few_slots(void)
{
    const char *error;

    begin();
    kernel.slots = 0;
    error = start();
    CHECK_EQ(error && strstr(error, "slots"), true);
    end();
}

/* --- Exits --------------------------------------------------------------------------- */

static int step_reason(struct kvm_run *run, unsigned n)
{
    (void)n;
    run->exit_reason = kernel.reason;
    run->internal.suberror = kernel.suberror;
    return 0;
}

static void test_ends(void)
{
    static const struct {
        uint32_t reason, suberror;
        enum vm_end how;
        const char *text;
    } table[] = {
        { KVM_EXIT_UNKNOWN, 0, VM_HOST_ERROR, "reason 0" },
        { KVM_EXIT_EXCEPTION, 0, VM_HOST_ERROR, "-engine bt" },
        { KVM_EXIT_DEBUG, 0, VM_HOST_ERROR, "-engine bt" },
        { 12345, 0, VM_HOST_ERROR, "reason 12345" },
        { KVM_EXIT_FAIL_ENTRY, 0, VM_HOST_ERROR, "refuses the guest's state" },
        { KVM_EXIT_INTERNAL_ERROR, KVM_INTERNAL_ERROR_DELIVERY_EV, VM_HOST_ERROR, "ERROR 3" },
        { KVM_EXIT_SHUTDOWN, 0, VM_TRIPLE_FAULT, "triple fault" },
    };

    for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
        begin();
        kernel.step = step_reason;
        kernel.reason = table[i].reason;
        kernel.suberror = table[i].suberror;
        start_and_run(EXIT_STOP);
        expect_reason(table[i].how, table[i].text);
        end();
    }
}

/* Signals, several times; then the guest sleeps. */
static int step_interrupted(struct kvm_run *run, unsigned n)
{
    static const int errors[] = { EINTR, EAGAIN, EINTR };

    run->exit_reason = KVM_EXIT_INTR;
    if (n < 3)
        return -errors[n];
    return n == 3 ? 0 : hlt(run, n);
}

static void test_signals(void)
{
    begin();
    kernel.step = step_interrupted;
    start_and_run(EXIT_HALT);
    CHECK_EQ(kernel.runs, 5);
    end();
}

/* --- Interrupts ---------------------------------------------------------------------- */

static void put_code(const void *code, size_t size)
{
    memcpy(physmem_ptr(&m.mem, CODE), code, size);
    m.vcpu->eflags |= EFLAGS_IF;
    m.vcpu->gpr[RSP] = 0x8000;
}

/* One instruction that KVM's emulator cannot do, and with it comes an interrupt. */
static void run_emulated(int (*step)(struct kvm_run *run, unsigned n), uint8_t opcode)
{
    begin();
    kernel.step = step;
    CHECK_EQ(!start(), true);
    put_code(&opcode, 1);
    expect_run(EXIT_HALT);
}

static int not_emulated(struct kvm_run *run)
{
    run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
    return 0;
}

/* It waits at the controller. */
static int step_waiting(struct kvm_run *run, unsigned n)
{
    if (n)
        return hlt(run, n);
    m.vcpu->intr_line = true;
    return not_emulated(run);
}

/* The kernel has it, and the guest has not begun to serve it. */
static int step_given(struct kvm_run *run, unsigned n)
{
    if (n)
        return hlt(run, n);
    kernel.events.interrupt.injected = 1;
    kernel.events.interrupt.nr = VECTOR;
    return not_emulated(run);
}

/* give_interrupt() and check_entry() look at what follows. */
static void test_emulated_cli(void)
{
    run_emulated(step_waiting, 0xfa);
    CHECK_EQ(kernel.interrupts, 0);
    CHECK_EQ(m.vcpu->rip, CODE + 1);
    CHECK_EQ(kernel.run->request_interrupt_window, 1);
    end();
}

/* The interrupt wakes it. */
static void test_emulated_hlt(void)
{
    run_emulated(step_waiting, 0xf4);
    CHECK_EQ(kernel.interrupts, 1);
    CHECK_EQ(kernel.runs, 2);
    end();
}

/* It is not lost. */
static void test_given(void)
{
    run_emulated(step_given, 0xfa);
    CHECK_EQ(m.vcpu->rip, HANDLERS + 16 * VECTOR);
    CHECK_EQ(m.vcpu->gpr[RSP], 0x8000 - 12);
    end();
}

/* A machine that was reset takes no interrupt for what it would have taken before. */
static void test_reset(void)
{
    begin();
    CHECK_EQ(!start(), true);
    put_code("", 1);
    expect_run(EXIT_HALT);
    CHECK_EQ(kernel.run->ready_for_interrupt_injection, 1);
    vcpu_reset(m.vcpu);
    mem_mode_changed(m.vcpu);
    m.vcpu->intr_line = true;
    expect_run(EXIT_HALT);
    CHECK_EQ(kernel.interrupts, 0);
    CHECK_EQ(kernel.sregs.cs.base, 0xffff0000);
    end();
}

int main(void)
{
    test_refused_at_creation();
    test_refused_at_run();
    test_not_needed();
    test_msrs();
    test_few_slots();
    test_ends();
    test_signals();
    test_emulated_cli();
    test_emulated_hlt();
    test_given();
    test_reset();
    return CHECK_DONE();
}
