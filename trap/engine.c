/*
 * Trap-and-emulate as VM/370 did it: all of the guest, its kernel too, runs as it is on the bare
 * CPU, in ring 3 of a sandboxed process. What traps is emulated by the interpreter at the privilege
 * that the guest believes it has; what does not trap, and should, goes wrong. On x86 some
 * instructions do (Popek and Goldberg, CACM 17(7), 1974; Robin and Irvine, USENIX Security 2000):
 * the audit (audit.c) shows which.
 *
 * Interpreted besides, since no process can run it: what is not 32-bit code in flat segments, what
 * lies where nothing can be mapped (below vm.mmap_min_addr, at the end of 4 GiB), single steps,
 * breakpoints, everything while CR0.TS or EM is set.
 */
#include "trap/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/spent.h"
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/interp.h"
#include "cpu/segment.h"

#define RUN_NS 100000000ull

/* --- What traps ---------------------------------------------------------------------- */

static void emulate(struct trap *t)
{
    uint8_t code[INSN_MAX];
    struct insn in;

    if (mem_debug_read(t->vcpu, t->vcpu->rip, code, sizeof(code)) &&
        decode(&in, code, sizeof(code), MODE_32) > 0)
        t->trapped[in.id]++;
    t->traps++;
    interp_one(t->vcpu);
}

static enum mem_access access_of(uint32_t error)
{
    return error & PF_I ? MEM_EXEC : error & PF_W ? MEM_WRITE : MEM_READ;
}

static void page_fault(struct trap *t, struct space *space, const struct sandbox_exit *exit)
{
    enum mem_fill fill = MEM_SPECIAL;

    t->page_faults++;
    if (!(exit->cr2 >> 32))
        fill = space_fill(space, t->vcpu, exit->cr2, access_of(exit->error));
    if (fill == MEM_FAULTED)
        fault_deliver(t->vcpu);
    else if (fill != MEM_FILLED)
        interp_one(t->vcpu);
}

/* INT3 and INTO are traps: their eip is behind them. */
static void before_trap(struct vcpu *vcpu, uint8_t opcode)
{
    uint8_t byte = 0;
    bool one = mem_debug_read(vcpu, (uint32_t)(vcpu->rip - 1), &byte, 1) && byte == opcode;

    vcpu->rip = (uint32_t)(vcpu->rip - (one ? 1 : 2));
}

static void fault(struct trap *t, struct space *space, const struct sandbox_exit *exit)
{
    switch (exit->vector) {
    case VEC_PF: page_fault(t, space, exit); return;
    case VEC_DB: t->vcpu->rip = (uint32_t)(t->vcpu->rip - 1); break; /* INT1: nobody steps */
    case VEC_BP: before_trap(t->vcpu, 0xcc); break;
    case VEC_OF: before_trap(t->vcpu, 0xce); break;
    default: break;
    }
    emulate(t);
}

static void sysenter(struct vcpu *vcpu)
{
    static const uint8_t code[INSN_MAX] = { 0x0f, 0x34 };
    struct insn in;

    decode(&in, code, sizeof(code), MODE_32);
    if (interp_execute(vcpu, &in) == STEP_FAULT)
        fault_deliver(vcpu);
}

/* Its process is gone, and with it what the guest did since it last trapped, but for memory: it
 * cannot go on. A user program may die of it. */
static void lost(struct trap *t, struct space *space)
{
    struct vm_stop *stop = t->vcpu->stop;

    t->lost++;
    if (stop->end == VM_RUNNING && sandbox_killed(space->sandbox))
        vm_stop(stop, VM_HOST_ERROR, 0, "engine trap: a process of the guest's was killed");
    else if (space == &t->space[SPACE_KERNEL])
        vm_stop(stop, VM_UNSUPPORTED, 0,
                "engine trap: the deprivileged guest has ended its process, or does not leave it");
    else
        fault_gp(t->vcpu, 0);
    if (!space_revive(space, t->host))
        vm_stop(stop, VM_HOST_ERROR, 0, "engine trap: no process for the guest");
    else if (stop->end == VM_RUNNING)
        fault_deliver(t->vcpu);
}

static void act(struct trap *t, struct space *space, const struct sandbox_exit *exit)
{
    switch (exit->kind) {
    case SANDBOX_FAULT: fault(t, space, exit); return;
    case SANDBOX_INT80:
    case SANDBOX_SYSCALL:
        t->vcpu->rip = (uint32_t)(t->vcpu->rip - 2);
        emulate(t);
        return;
    case SANDBOX_SYSENTER: sysenter(t->vcpu); return;
    case SANDBOX_SYSCALL32:
        vm_stop(t->vcpu->stop, VM_UNSUPPORTED, 0,
                "engine trap: SYSCALL in 32-bit code, which loses its address on this CPU");
        return;
    case SANDBOX_KICK: t->kicks++; return;
    case SANDBOX_ESCAPE:
        vm_stop(t->vcpu->stop, VM_UNSUPPORTED, 0,
                "engine trap: the deprivileged guest has gone to 64-bit code of its process");
        return;
    case SANDBOX_STUCK:
    case SANDBOX_GIVEN_UP:
    case SANDBOX_LOST: lost(t, space); return;
    }
}

/* --- Running ------------------------------------------------------------------------- */

/* A selector that the CPU has loaded without a trap: the guest's segment of that number. */
static void take_selector(struct vcpu *vcpu, unsigned seg, uint16_t now, uint16_t given)
{
    if (now != given && segment_load(vcpu, seg, now))
        segment_load_null(vcpu, seg, 0);
}

static void take_state(struct vcpu *vcpu, const struct sandbox_regs *r,
                       const struct sandbox_regs *given)
{
    for (unsigned i = 0; i < 8; i++)
        vcpu->gpr[i] = (uint32_t)r->gpr[i];
    vcpu->rip = (uint32_t)r->rip;
    vcpu->eflags = (vcpu->eflags & ~SPACE_FLAGS) | (r->eflags & SPACE_FLAGS);
    take_selector(vcpu, SEG_DS, r->ds, given->ds);
    take_selector(vcpu, SEG_ES, r->es, given->es);
    take_selector(vcpu, SEG_FS, r->fs, given->fs);
    take_selector(vcpu, SEG_GS, r->gs, given->gs);
}

static void run_deprivileged(struct trap *t, struct space *space)
{
    struct vcpu *vcpu = t->vcpu;
    struct sandbox_exit exit = { .kind = SANDBOX_KICK };
    enum spent_on before = spent_begin(vcpu->spent, SPENT_CODE_DIRECT);
    struct sandbox_regs given, regs;
    int err = 0;

    if (space->stale)
        space_empty(space);
    space_put(space, vcpu, &given);
    regs = given;
    t->running = space->sandbox;
    if (!vcpu->exit_request) /* who asks either sees the sandbox or is seen here */
        err = sandbox_run(space->sandbox, &regs, RUN_NS, &exit);
    t->running = NULL;
    t->runs++;
    spent_back(vcpu->spent, before);
    if (err == -EOWNERDEAD) {
        lost(t, space);
        return;
    }
    if (err) {
        space->stale = true; /* more areas than the host gives: begin anew */
        t->refused++;
        interp_one(vcpu);
        return;
    }
    if (!sandbox_exit_lost(exit.kind)) {
        take_state(vcpu, &regs, &given);
        space_get_fpu(space, vcpu);
    }
    act(t, space, &exit);
}

static bool interrupt_due(const struct vcpu *vcpu)
{
    return (vcpu->nmi_pending && !vcpu->nmi_blocked && !vcpu->intr_shadow) ||
           vcpu_can_interrupt(vcpu);
}

static void step(struct trap *t)
{
    struct vcpu *vcpu = t->vcpu;
    struct space *space = &t->space[vcpu->cpl == 3 ? SPACE_USER : SPACE_KERNEL];

    if (interrupt_due(vcpu))
        interp_step(vcpu); /* takes it */
    else if (t->audit)
        audit_step(t);
    else if (space_allowed(space, vcpu))
        run_deprivileged(t, space);
    else
        interp_one(vcpu);
}

static enum exit_reason loop(struct trap *t)
{
    struct vcpu *vcpu = t->vcpu;

    for (;;) {
        if (vcpu->stop->end != VM_RUNNING)
            return EXIT_STOP;
        if (vcpu->exit_request) {
            vcpu->exit_request = false;
            return EXIT_REQUEST;
        }
        if (vcpu->halted && !interrupt_due(vcpu))
            return EXIT_HALT;
        step(t);
    }
}

static enum exit_reason run(struct vcpu *vcpu)
{
    enum spent_on before = spent_begin(vcpu->spent, SPENT_INTERPRETER);
    enum exit_reason reason = loop(vcpu->engine_state);

    spent_back(vcpu->spent, before);
    return reason;
}

static void on_kick(struct vcpu *vcpu, void *ucontext)
{
    struct trap *t = vcpu->engine_state;
    struct sandbox *running = t ? t->running : NULL;

    (void)ucontext;
    if (running)
        sandbox_kick(running);
}

/* --- What empties a TLB -------------------------------------------------------------- */

static void go_stale(struct vcpu *vcpu)
{
    struct trap *t = vcpu->engine_state;

    for (unsigned i = 0; i < SPACES; i++)
        t->space[i].stale = true;
}

static void root_changed(struct vcpu *vcpu)
{
    go_stale(vcpu);
    ((struct trap *)vcpu->engine_state)->plain->root_changed(vcpu);
}

static void mode_changed(struct vcpu *vcpu)
{
    go_stale(vcpu);
    ((struct trap *)vcpu->engine_state)->plain->mode_changed(vcpu);
}

static void layout_changed(struct vcpu *vcpu)
{
    go_stale(vcpu);
    ((struct trap *)vcpu->engine_state)->plain->layout_changed(vcpu);
}

static void invlpg(struct vcpu *vcpu, uint64_t gla)
{
    struct trap *t = vcpu->engine_state;

    for (unsigned i = 0; i < SPACES; i++)
        space_drop(&t->space[i], gla & UINT32_MAX);
    t->plain->invlpg(vcpu, gla);
}

/* Somebody wants to hear of writes to frames: nothing of them may be writable. */
static void on_watch(void *arg, uint64_t gfn, uint64_t count)
{
    (void)gfn, (void)count;
    root_changed(arg);
}

static const struct mmu_ops mmu = {
    .root_changed = root_changed,
    .mode_changed = mode_changed,
    .layout_changed = layout_changed,
    .invlpg = invlpg,
};

/* --- Life ---------------------------------------------------------------------------- */

static void release(struct trap *t)
{
    audit_destroy(t->audit);
    for (unsigned i = 0; i < SPACES; i++)
        space_destroy(&t->space[i]);
    sandbox_host_destroy(t->host);
    free(t);
}

static void destroy(struct vcpu *vcpu)
{
    struct trap *t = vcpu->engine_state;

    vcpu->mem->on_watch = NULL;
    vcpu->mmu = t->plain;
    vcpu->engine_state = NULL;
    release(t);
}

/* A process of ours is not run by the host. */
static bool given_up(void *arg)
{
    const struct cpu_env *env = ((struct trap *)arg)->vcpu->env;

    return env && env->held_up && env->held_up(env->board);
}

static const char *make_spaces(struct trap *t)
{
    const char *why = NULL;
    int fd = t->vcpu->mem->fd;

    /* CPUID traps where the CPU can do that; else a kernel sees the host's, as user code does. */
    t->host = sandbox_host_create(fd, PHYSMEM_LIMIT, SANDBOX_FAULT_CPUID, &why);
    if (!t->host && cpuid_is_hosts(t->vcpu->model))
        t->host = sandbox_host_create(fd, PHYSMEM_LIMIT, 0, &why);
    if (!t->host)
        return why;
    sandbox_host_ask(t->host, given_up, t);
    for (unsigned i = 0; i < SPACES && !why; i++)
        why = space_create(&t->space[i], t->host);
    return why;
}

static void *create(struct vcpu *vcpu, struct engine_request *request)
{
    struct trap *t = calloc(1, sizeof(*t));

    if (!t) {
        request->error = "no memory";
        return NULL;
    }
    t->vcpu = vcpu;
    request->error = make_spaces(t);
    if (!request->error && request->audit != AUDIT_OFF && !(t->audit = audit_create(t, request)))
        request->error = "no memory for the audit";
    if (request->error) {
        release(t);
        return NULL;
    }
    vcpu->engine_state = t;
    t->plain = vcpu->mmu;
    vcpu->mmu = &mmu;
    vcpu->mem->on_watch = on_watch;
    vcpu->mem->arg = vcpu;
    return t;
}

/* --- Statistics ---------------------------------------------------------------------- */

const char *trap_insn_name(unsigned id)
{
    static const char *const names[M_COUNT] = {
        [M_NONE] = "undefined",
#define INSN(id, ...) [M_##id] = #id,
#include "cpu/opcodes.def"
    };

    return names[id];
}

static void put_trapped(const struct trap *t,
                        void (*put)(void *arg, const char *name, uint64_t value), void *arg)
{
    for (unsigned id = 0; id < M_COUNT; id++) {
        char name[48];

        if (!t->trapped[id])
            continue;
        snprintf(name, sizeof(name), "trapped_%s", trap_insn_name(id));
        put(arg, name, t->trapped[id]);
    }
}

static void stats(const struct vcpu *vcpu, void (*put)(void *arg, const char *name, uint64_t value),
                  void *arg)
{
    const struct trap *t = vcpu->engine_state;

    put(arg, "deprivileged_runs", t->runs);
    put(arg, "traps_emulated", t->traps);
    put(arg, "page_faults", t->page_faults);
    put(arg, "refused_maps", t->refused);
    put(arg, "kicks", t->kicks);
    put(arg, "processes_lost", t->lost);
    put_trapped(t, put, arg);
    if (t->audit)
        audit_stats(t->audit, put, arg);
}

const struct engine engine_trap = {
    .name = "trap",
    .uncounted = true,
    .undebugged = true,
    .help = "runs the guest's kernel deprivileged and untranslated: fails, with -audit shows where",
    .create = create,
    .destroy = destroy,
    .run = run,
    .on_kick = on_kick,
    .stats = stats,
};
