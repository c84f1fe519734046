/*
 * Direct execution: user code on the bare CPU, in its address space's sandbox.
 *
 * It begins when the policy has given the current view a sandbox and the user's state is one that
 * the bare CPU can have in a process (direct_wanted); it ends at the first exception, system call
 * or kick. What the guest sees of an exception is never the host's: the instruction is executed
 * again by the interpreter, which raises the guest's own. Only three things must be known for that:
 * where the instruction began (the eip of a trap is behind it), that a single step is complete, and
 * that SYSENTER happened (it loses its address, on the bare CPU too).
 *
 * docs/direct-execution.md lists what the bare CPU does differently from the guest's idea of it.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/spent.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"
#include "cpu/segment.h"
#include "direct/sandbox.h"
#include "translator/affinity.h"
#include "translator/segments.h"
#include "translator/switch.h"
#include "translator/unit.h"

/* What user code changes of EFLAGS by itself. */
#define USER_FLAGS                                                                                 \
    (EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID)

#define HOST_PF_KEY 0x20u /* of a page fault's error code */
#define SYSENTER_SECOND 0x34 /* behind 0F */

/* A runner that has not come back by then is asked to; without an answer it is killed. */
#define RUN_NS 100000000ull

struct direct {
    struct sandbox_host *host;
    struct sandbox *volatile running; /* what a kick must reach */
    bool tsc_fault;   /* RDTSC can be made to come back */
    bool lacked_ldt;  /* user code has run with LDTR null */
    unsigned pause;   /* samples before another sandbox is asked for: the host has refused one */
    uint64_t refused; /* entries of the kernel when a page was refused; 0: none was */
    uint64_t missing; /* the page fault that the guest was given last, 0: none since it ran */
    struct affinity affinity;
    uint64_t least[SANDBOX_EXIT_KINDS]; /* TSC cycles of the shortest run with each kind of end */
};

/* --- May it run there? ----------------------------------------------------------------------- */

/* One of Linux's selectors for thread areas. */
static bool is_thread_area(uint16_t selector)
{
    unsigned n = selector >> 3;

    return (selector & 7) == 3 && n >= SANDBOX_TLS_FIRST && n <= SANDBOX_TLS_LAST;
}

/* A thread area that is not whole, and which the sandbox's LDT can have. */
static bool is_limited(const struct translator *t, const struct segment *s)
{
    const uint32_t needed = SEG_S | SEG_P | SEG_DPL | SEG_DB | SEG_ACCESSED;

    return is_thread_area(s->selector) && !segment_whole(s) &&
           (s->attr & (needed | SEG_CODE | SEG_L | SEG_UNUSABLE)) == needed &&
           sandbox_host_caps(t->direct->host)->ldt;
}

static bool same_segment(const struct segment *a, const struct segment *b)
{
    return a->base == b->base && a->limit == b->limit && a->attr == b->attr;
}

/* FS, GS: whole with any base, null, or a thread area, of which both may be the same one. */
static bool segments_allowed(const struct translator *t)
{
    const struct segment *fs = &t->vcpu->seg[SEG_FS], *gs = &t->vcpu->seg[SEG_GS];
    bool fs_limited = is_limited(t, fs), gs_limited = is_limited(t, gs);

    if ((fs_limited || gs_limited) && fs->selector == gs->selector && !same_segment(fs, gs))
        return false;
    return (fs_limited || segment_whole(fs) || selector_null(fs->selector)) &&
           (gs_limited || segment_whole(gs) || selector_null(gs->selector));
}

static bool mode_allowed(const struct vcpu *vcpu, uint32_t key)
{
    const uint32_t needed = KEY_OK | KEY_USER | KEY_FPU;

    return (key & (needed | KEY_SEG)) == needed && !vcpu_iopl(vcpu) && !(vcpu->cr0 & CR0_TS) &&
           vcpu->eflags & EFLAGS_IF; /* as PUSHF shows it there */
}

/* The guest's counter is not the host's (it was paused, or wrote it), or not for its user code. */
static bool tsc_differs(const struct vcpu *vcpu)
{
    return vcpu->tsc_offset || vcpu->cr4 & CR4_TSD;
}

static bool has_ldt(const struct vcpu *vcpu)
{
    return !(vcpu->ldtr.attr & SEG_UNUSABLE);
}

/* An LDT that not every program has: this one may ask LAR, which would look into the host's. */
static bool made_ldt(const struct translator *t)
{
    return t->direct->lacked_ldt && has_ldt(t->vcpu);
}

/* On from such a page the program stays translated until the kernel is entered: pages that call
 * each other would pay for a change of tiers each time. */
static bool refused(const struct translator *t)
{
    const struct vcpu *vcpu = t->vcpu;
    uint64_t now = vcpu->stats.soft_interrupts + vcpu->stats.interrupts + 1;

    if (shadowmm_direct_refuses(t->sm, vcpu->rip))
        t->direct->refused = now;
    return t->direct->refused == now;
}

bool direct_wanted(const struct translator *t, uint32_t key)
{
    return t->direct && key & KEY_USER && shadowmm_sandbox(t->sm) &&
           mode_allowed(t->vcpu, key) && segments_allowed(t) &&
           (t->direct->tsc_fault || !tsc_differs(t->vcpu)) &&
           !made_ldt(t) &&
           !(t->vcpu->stops && stops_in_user(t->vcpu)) &&
           !refused(t);
}

/* --- The state, in and out ------------------------------------------------------------------- */

static uint64_t descriptor_of(const struct segment *s)
{
    uint64_t limit = s->attr & SEG_G ? s->limit >> 12 : s->limit;

    return (limit & 0xffff) | (limit & 0xf0000) << 32 | (s->base & 0xffffff) << 16 |
           (s->base >> 24 & 0xff) << 56 | (uint64_t)s->attr << 40;
}

/* Where its selector is one for a thread area, one that shows the same number. */
static void put_segment(const struct translator *t, const struct segment *s, uint16_t *selector,
                        uint64_t *base, uint64_t *limited)
{
    *limited = is_limited(t, s) ? descriptor_of(s) : 0;
    if (!*limited && !segment_whole(s))
        return;
    *selector = is_thread_area(s->selector) ? SANDBOX_TLS(s->selector >> 3) : SANDBOX_DS;
    *base = s->base;
}

static void put_state(const struct translator *t, struct sandbox_regs *r)
{
    struct vcpu *vcpu = t->vcpu;

    *r = (struct sandbox_regs){ .rip = vcpu->rip, .eflags = vcpu->eflags & ~EFLAGS_RF,
                                .cs = SANDBOX_CS32, .ss = SANDBOX_DS, .ds = SANDBOX_DS,
                                .es = SANDBOX_DS };
    for (unsigned i = 0; i < 8; i++)
        r->gpr[i] = vcpu->gpr[i];
    for (unsigned i = 0; i < SEG_COUNT; i++)
        vcpu->bare[i] = vcpu->seg[i].selector;
    put_segment(t, &vcpu->seg[SEG_FS], &r->fs, &r->fs_base, &r->fs_limited);
    put_segment(t, &vcpu->seg[SEG_GS], &r->gs, &r->gs_base, &r->gs_limited);
}

/*
 * The guest's code has loaded a selector: what the host's tables hold there means nothing, and the
 * guest's segment is loaded now. One that cannot be loaded would have faulted: it becomes null, and
 * faults when it is used. A selector that the guest can only have read from a register of the
 * sandbox stands for the segment it had, or where that was null for SS, which is flat; CS likewise.
 * True: the sandbox ran on with another segment.
 */
static bool take_selector(struct vcpu *vcpu, unsigned seg, uint16_t now, uint16_t before)
{
    if (now == before)
        return false;
    if (now == SANDBOX_CS32)
        now = vcpu->seg[SEG_CS].selector;
    if (now == SANDBOX_DS && selector_null(before))
        vcpu->seg[seg] = vcpu->seg[SEG_SS];
    else if (now != SANDBOX_DS && segment_load(vcpu, seg, now) && seg != SEG_SS)
        segment_load_null(vcpu, seg, now);
    return true;
}

/* True: a segment was not the guest's, so that a fault may be none of its. */
static bool take_state(struct vcpu *vcpu, const struct sandbox_regs *r,
                       const struct sandbox_regs *before)
{
    bool other = r->fs_base != before->fs_base || r->gs_base != before->gs_base;

    for (unsigned i = 0; i < 8; i++)
        vcpu->gpr[i] = (uint32_t)r->gpr[i];
    vcpu->rip = (uint32_t)r->rip;
    vcpu->eflags = (vcpu->eflags & ~USER_FLAGS) | (r->eflags & USER_FLAGS);
    other |= take_selector(vcpu, SEG_DS, r->ds, before->ds);
    other |= take_selector(vcpu, SEG_ES, r->es, before->es);
    other |= take_selector(vcpu, SEG_SS, r->ss, before->ss);
    other |= take_selector(vcpu, SEG_FS, r->fs, before->fs);
    other |= take_selector(vcpu, SEG_GS, r->gs, before->gs);
    return other;
}

/* An exception whose instruction can be begun anew. */
static bool is_fault(const struct sandbox_exit *exit)
{
    return exit->kind == SANDBOX_FAULT && exit->vector != VEC_DB && exit->vector != VEC_BP &&
           exit->vector != VEC_OF;
}

/* --- What it came back with ------------------------------------------------------------------ */

static void interpret(struct translator *t)
{
    enum spent_on before = spent_begin(t->vcpu->spent, SPENT_INTERPRETER);

    t->stats.interpreted++;
    interp_one(t->vcpu);
    spent_back(t->vcpu->spent, before);
}

/* INT3 and INTO, with one byte or as INT n: which was it? */
static void before_trap(struct vcpu *vcpu, uint8_t opcode)
{
    uint8_t byte;
    bool one = mem_debug_read(vcpu, (uint32_t)(vcpu->rip - 1), &byte, 1) && byte == opcode;

    vcpu->rip = (uint32_t)(vcpu->rip - (one ? 1 : 2));
}

static void stepped(struct translator *t)
{
    struct vcpu *vcpu = t->vcpu;

    debug_pend(vcpu, DR6_BS);
    debug_raise_pending(vcpu);
    fault_deliver(vcpu);
}

static enum mem_access access_of(uint32_t error)
{
    return error & 0x10 ? MEM_EXEC : error & 2 ? MEM_WRITE : MEM_READ;
}

/* A write to a frame that is watched for units alone, which the program does not need while it runs
 * here: without them it is a page as any. */
static bool free_of_units(struct translator *t, const struct sandbox_exit *exit)
{
    uint64_t gpa;

    if (!(exit->error & 2) || !mem_debug_translate(t->vcpu, exit->cr2, &gpa) ||
        physmem_watched(t->vcpu->mem, gpa >> PAGE_SHIFT) != WATCH_CODE)
        return false;
    smc_drop_frame(t, gpa >> PAGE_SHIFT);
    return true;
}

static void page_fault(struct translator *t, const struct sandbox_exit *exit)
{
    enum mem_fill fill = MEM_SPECIAL;

    /* a protection key that the program has set by itself: the guest's tables know none */
    if (!(exit->cr2 >> 32) && !(exit->error & HOST_PF_KEY)) {
        fill = shadowmm_direct_fault(t->sm, exit->cr2, access_of(exit->error));
        if (fill == MEM_SPECIAL && free_of_units(t, exit))
            fill = shadowmm_direct_fault(t->sm, exit->cr2, MEM_WRITE);
    }
    if (fill == MEM_FAULTED) {
        t->direct->missing = exit->cr2;
        fault_deliver(t->vcpu);
    } else if (fill != MEM_FILLED) {
        interpret(t);
    } else {
        event_tell(t->vcpu, EVENT_hidden_fault, exit->cr2,
                   event_word(exit->error & 2 ? "write" : "read"), event_word("direct"));
    }
}

static bool code_is(struct vcpu *vcpu, uint32_t gla, uint8_t second)
{
    uint8_t code[2];

    return mem_debug_read(vcpu, gla, code, sizeof(code)) && code[0] == 0x0f && code[1] == second;
}

/* On AMD's CPUs #UD is how SYSENTER comes back, a call as others and none of the policy's traps. */
static void trapped(struct translator *t, const struct sandbox_exit *exit)
{
    if (exit->vector != VEC_UD || !code_is(t->vcpu, (uint32_t)t->vcpu->rip, SYSENTER_SECOND))
        shadowmm_direct_trapped(t->sm);
}

static void fault(struct translator *t, const struct sandbox_exit *exit)
{
    switch (exit->vector) {
    case VEC_PF: page_fault(t, exit); return;
    case VEC_DB:
        if (!exit->int1) {
            stepped(t);
            return;
        }
        t->vcpu->rip = (uint32_t)(t->vcpu->rip - 1);
        break;
    case VEC_BP: before_trap(t->vcpu, 0xcc); break;
    case VEC_OF: before_trap(t->vcpu, 0xce); break;
    default: trapped(t, exit); break;
    }
    interpret(t);
}

/* ESP is lost, so nothing is learnt from its being EBP; from a lost EAX, that they differ. (Where
 * the guest cannot read the word either, Linux answers with -EFAULT whatever EAX is.) */
static void sysenter(struct vcpu *vcpu, bool lost_eax)
{
    static const uint8_t code[15] = { 0x0f, 0x34 };
    uint8_t ways = vcpu->sysenter_ways;
    uint32_t word;
    struct insn in;

    if (lost_eax && mem_debug_read(vcpu, (uint32_t)vcpu->gpr[RBP], &word, sizeof(word)))
        ways |= SYSENTER_ELSEWHERE;
    decode(&in, code, sizeof(code), MODE_32);
    if (interp_execute(vcpu, &in) == STEP_FAULT)
        fault_deliver(vcpu);
    vcpu->sysenter_ways = ways;
}

/* SYSCALL of a program that has hidden it, or the first one of a guest in which it is #UD: that it
 * is, with the address where the program was last entered. From now on it is found before it is
 * executed (shadowmm/avoid.c). */
static void syscall_lost(struct vcpu *vcpu, const struct sandbox_regs *in)
{
    vcpu->syscall_lost = true;
    vcpu->rip = (uint32_t)in->rip;
    fault_ud(vcpu);
    fault_deliver(vcpu);
}

/* The program has left what it was given, or killed its process: it dies of #GP. */
static void violated(struct translator *t)
{
    t->stats.direct_violations++;
    if (log_on(LOG_unit))
        log_print(LOG_unit, "direct: a program left its segments at %08llx\n",
                  (unsigned long long)t->vcpu->rip);
    fault_gp(t->vcpu, 0);
    fault_deliver(t->vcpu);
    shadowmm_lost_sandbox(t->sm);
}

/* The process is gone: by its own program's doing, or was it killed from outside? */
static void lost(struct translator *t)
{
    if (t->vcpu->stop->end != VM_RUNNING)
        shadowmm_lost_sandbox(t->sm); /* given_up() */
    else if (sandbox_killed(shadowmm_sandbox(t->sm)))
        vm_stop(t->vcpu->stop, VM_HOST_ERROR, 0,
                "a process of direct execution was killed; -user window does without them");
    else
        violated(t);
}

static void act(struct translator *t, const struct sandbox_exit *exit,
                const struct sandbox_regs *in)
{
    struct vcpu *vcpu = t->vcpu;

    switch (exit->kind) {
    case SANDBOX_FAULT: fault(t, exit); return;
    case SANDBOX_INT80:
    case SANDBOX_SYSCALL:
        vcpu->rip = (uint32_t)(vcpu->rip - 2);
        interpret(t);
        return;
    case SANDBOX_SYSENTER: sysenter(vcpu, exit->sysenter_lost_eax); return;
    case SANDBOX_SYSCALL32: syscall_lost(vcpu, in); return;
    case SANDBOX_KICK: return;
    case SANDBOX_ESCAPE:
    case SANDBOX_STUCK: violated(t); return;
    case SANDBOX_GIVEN_UP:
    case SANDBOX_LOST: lost(t); return;
    }
}

/* --- Running --------------------------------------------------------------------------------- */

static uint64_t fpu_field(const struct vcpu *vcpu, unsigned at)
{
    uint64_t value;

    __builtin_memcpy(&value, vcpu->fpu + at, 8);
    return value;
}

/* State that the guest has not switched on, and so does not save, user code finds as at reset: not
 * as another program has left it. */
static void put_fpu(struct vcpu *vcpu, struct sandbox *sandbox)
{
    uint64_t on = vcpu->cr4 & CR4_OSXSAVE ? vcpu->xcr0 : XCR0_X87 | XCR0_SSE;
    uint64_t present = fpu_field(vcpu, FPU_XSTATE_BV) & on;

    __builtin_memcpy(vcpu->fpu + FPU_XSTATE_BV, &present, 8);
    sandbox_set_xstate(sandbox, vcpu->fpu, sizeof(vcpu->fpu));
}

/* The bytes of the image that are not the FPU's stay ours (cpu/fpu.h, F3). */
static void take_fpu(struct vcpu *vcpu, const struct sandbox *sandbox)
{
    uint64_t fip = fpu_field(vcpu, FPU_FIP), fdp = fpu_field(vcpu, FPU_FDP);
    uint32_t selectors;

    __builtin_memcpy(&selectors, vcpu->fpu + FPU_FCS, 4);
    sandbox_get_xstate(sandbox, vcpu->fpu, sizeof(vcpu->fpu));
    __builtin_memcpy(vcpu->fpu + FPU_FCS, &selectors, 4);
    fpu_taken(vcpu, fip, fdp);
}

/* Has a kick come just before the SYSENTER of Linux's vDSO? */
static bool at_sysenter(struct vcpu *vcpu)
{
    return code_is(vcpu, (uint32_t)vcpu->rip, SYSENTER_SECOND) ||
           code_is(vcpu, (uint32_t)(vcpu->rip + 2), SYSENTER_SECOND);
}

/* SYSENTER loses EAX while the stack is not mapped (sandbox.h, sysenter_lost_eax): false when it is
 * not, and SYSENTER is next. And what was missing is needed at once: that saves a second fault for
 * each page that is touched first. */
static bool map_needed(struct translator *t)
{
    uint32_t esp = (uint32_t)t->vcpu->gpr[RSP];

    if (t->direct->missing)
        shadowmm_direct_expect(t->sm, t->direct->missing);
    t->direct->missing = 0;
    if (!shadowmm_direct_mapped(t->sm, esp))
        shadowmm_direct_fault(t->sm, esp, MEM_READ);
    return shadowmm_direct_mapped(t->sm, esp) || !at_sysenter(t->vcpu);
}

/* For the trace: why it came back. */
static void tell_exit(struct vcpu *vcpu, const struct sandbox_exit *exit)
{
    static const char *const why[] = {
        [SANDBOX_FAULT] = "fault",       [SANDBOX_INT80] = "int80",
        [SANDBOX_SYSENTER] = "sysenter", [SANDBOX_SYSCALL32] = "syscall",
        [SANDBOX_SYSCALL] = "syscall",   [SANDBOX_KICK] = "kick",
        [SANDBOX_ESCAPE] = "escape",     [SANDBOX_STUCK] = "stuck",
        [SANDBOX_GIVEN_UP] = "given up", [SANDBOX_LOST] = "lost",
    };

    event_tell(vcpu, EVENT_direct_leave, event_word(why[exit->kind]), exit->vector, exit->cr2);
}

/* What of a run was user code's own: the way there and back is what the shortest run with such an
 * end has taken. A program that lies about it (D1) has others taken for more than they are. */
static uint64_t own_cycles(struct direct *d, const struct sandbox_exit *exit)
{
    uint64_t *least = &d->least[exit->kind], user = exit->user_cycles;

    if (!user)
        return UINT64_MAX;
    *least = user < *least ? user : *least;
    return user - *least;
}

void direct_run(struct translator *t)
{
    struct vcpu *vcpu = t->vcpu;
    struct sandbox *sandbox = shadowmm_sandbox(t->sm);
    enum spent_on before = spent_begin(vcpu->spent, SPENT_CODE_DIRECT);
    struct sandbox_exit exit = { .kind = SANDBOX_KICK };
    struct sandbox_regs in, regs;
    bool other = false, ran;
    uint64_t start;
    int err = 0;

    bt_fpu_out(vcpu);
    if (!map_needed(t)) {
        spent_back(vcpu->spent, before);
        interpret(t);
        return;
    }
    event_tell(vcpu, EVENT_direct_enter, 0, 0, 0);
    t->direct->lacked_ldt |= !has_ldt(vcpu);
    put_state(t, &in);
    regs = in;
    put_fpu(vcpu, sandbox);
    if (t->direct->tsc_fault)
        sandbox_fault_tsc(sandbox, tsc_differs(vcpu));
    affinity_enter(&t->direct->affinity, sandbox);
    t->direct->running = sandbox;
    ran = !vcpu->exit_request; /* looked at after that: who asks either sees it or is seen */
    if (ran) {
        start = __builtin_ia32_rdtsc();
        err = sandbox_run(sandbox, &regs, RUN_NS, &exit);
        shadowmm_direct_ran(t->sm, __builtin_ia32_rdtsc() - start, own_cycles(t->direct, &exit));
    }
    t->direct->running = NULL;
    affinity_left(&t->direct->affinity, sandbox);
    t->stats.direct_runs++;
    spent_back(vcpu->spent, before);
    if (err == -EOWNERDEAD) {
        exit.kind = SANDBOX_LOST;
        tell_exit(vcpu, &exit);
        lost(t);
        return;
    }
    if (err) { /* a mapping was refused: nothing ran */
        tell_exit(vcpu, &exit);
        shadowmm_lost_sandbox(t->sm);
        return;
    }
    if (!sandbox_exit_lost(exit.kind)) {
        other = take_state(vcpu, &regs, &in);
        take_fpu(vcpu, sandbox);
    }
    t->stats.direct_exits[exit.kind]++;
    tell_exit(vcpu, &exit);
    if (ran && exit.kind == SANDBOX_KICK && regs.rip == in.rip)
        interpret(t); /* a far call without a stack keeps the host's kernel busy */
    else if (!other || !is_fault(&exit))
        act(t, &exit, &in);
}

void direct_kick(struct translator *t)
{
    struct sandbox *running = t->direct ? t->direct->running : NULL;

    if (running)
        sandbox_kick(running);
}

bool direct_runs(const struct translator *t)
{
    return t->direct && t->direct->running;
}

/* --- Sandboxes ------------------------------------------------------------------------------- */

#define REFUSED_SAMPLES 500 /* about a second: to ask is not free where processes are few */

void direct_supply(struct translator *t)
{
    struct direct *d = t->direct;
    struct sandbox *sandbox;
    const char *why;

    if (!d || !d->host)
        return;
    affinity_idle(&d->affinity);
    if (!shadowmm_wants_sandbox(t->sm) || (d->pause && d->pause--))
        return;
    sandbox = sandbox_create(d->host, &why);
    if (sandbox) {
        shadowmm_give_sandbox(t->sm, sandbox, sandbox_host_caps(d->host));
        return;
    }
    d->pause = REFUSED_SAMPLES;
    t->stats.directs_refused++;
    if (log_on(LOG_unit))
        log_print(LOG_unit, "direct: no more processes: %s\n", why);
}

/* A system call, and what is mapped anew, cost more than the shortest run; other things run too. */
#define HANDOFF_FACTOR 3

/* A run that ends at its first instruction: nothing is mapped yet. */
static uint64_t time_run(struct sandbox *sandbox, uint64_t rip)
{
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < 8; i++) {
        struct sandbox_regs regs = { .rip = rip, .ss = SANDBOX_DS, .ds = SANDBOX_DS,
                                     .es = SANDBOX_DS };
        struct sandbox_exit exit;
        uint64_t start = __builtin_ia32_rdtsc();

        if (sandbox_run(sandbox, &regs, RUN_NS, &exit))
            break;
        start = __builtin_ia32_rdtsc() - start;
        best = start < best ? start : best;
    }
    return best;
}

/* A process of ours is not run by the host. */
static bool given_up(void *arg)
{
    struct translator *t = arg;
    const struct cpu_env *env = t->vcpu->env;

    bt_fpu_out(t->vcpu);
    return env && env->held_up && env->held_up(env->board);
}

const char *direct_create(struct translator *t, uint64_t *handoff)
{
    struct direct *d = calloc(1, sizeof(*d));
    struct sandbox *sandbox;
    const char *why;

    if (!d)
        return "no memory for direct execution";
    d->host = sandbox_host_create(t->vcpu->mem->fd, PHYSMEM_LIMIT,
                                  cpuid_is_hosts(t->vcpu->model) ? 0 : SANDBOX_FAULT_CPUID, &why);
    sandbox = d->host ? sandbox_create(d->host, &why) : NULL;
    if (!sandbox) {
        sandbox_host_destroy(d->host);
        free(d);
        if (novt_log.topics)
            log_print(LOG_unit, "direct execution cannot be had: %s\n", why);
        return why;
    }
    t->direct = d;
    sandbox_host_ask(d->host, given_up, t);
    d->tsc_fault = sandbox_host_caps(d->host)->tsc_fault;
    affinity_enter(&d->affinity, sandbox);
    *handoff = HANDOFF_FACTOR * time_run(sandbox, sandbox_host_caps(d->host)->min_gva);
    for (unsigned kind = 0; kind < SANDBOX_EXIT_KINDS; kind++)
        d->least[kind] = 2 * *handoff;
    shadowmm_give_sandbox(t->sm, sandbox, sandbox_host_caps(d->host));
    return NULL;
}

void direct_destroy(struct translator *t)
{
    if (t->direct)
        sandbox_host_destroy(t->direct->host);
    free(t->direct);
    t->direct = NULL;
}
