/*
 * Host signals while translated code runs.
 *
 * A kick (an interrupt, a timer, input) poisons r14, so that the next poll faults. A fault at a
 * poll leaves by the lookup stub: the target is in r8 and everything else is in its place. Any
 * other fault is the guest instruction's own: by U3 its state is that before the instruction,
 * which the interpreter then repeats.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "base/spent.h"
#include "translator/switch.h"
#include "translator/unit.h"

/*
 * The accesses through r14 that exits.c emits. A kick between a lookup's load and its jump makes
 * the jump fault; the guest's instruction is complete by then, as it is at the load.
 */
static bool is_poll(const uint8_t *code)
{
    static const struct {
        uint8_t len, bytes[4];
    } polls[] = {
        { 3, { 0x4d, 0x8b, 0x0e } },       /* mov r9, [r14] */
        { 3, { 0x49, 0x8b, 0x8e } },       /* mov rcx, [r14 + slot] */
        { 4, { 0x4b, 0x8b, 0x0c, 0xce } }, /* mov rcx, [r14 + r9*8] */
        { 3, { 0x41, 0xff, 0xa6 } },       /* jmp [r14 + slot + JUMP_HOST] */
        { 4, { 0x43, 0xff, 0xa4, 0xce } }, /* jmp [r14 + r9*8 + JUMP_HOST] */
    };

    for (unsigned i = 0; i < sizeof(polls) / sizeof(*polls); i++)
        if (!memcmp(code, polls[i].bytes, polls[i].len))
            return true;
    return false;
}

static struct vcpu *running; /* the vcpu of this process, for signal handlers */
static struct sigaction previous[NSIG];

/* Where the handler sends a fault that is not a poll's: to the window's filling or to the
 * interpreter. */
static const char *fault_exit(int sig, const siginfo_t *info, const ucontext_t *uc)
{
    uint64_t gla = (uint64_t)(uintptr_t)info->si_addr - running->bt.window;

    running->bt.host_rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
    if (sig != SIGSEGV || !running->bt.window || gla >> 32 || info->si_code <= 0 ||
        info->si_code > SEGV_ACCERR)
        return bt_exit_fault;
    running->bt.fault_gla = (uint32_t)gla;
    running->bt.fault_write = uc->uc_mcontext.gregs[REG_ERR] & 2;
    return bt_exit_window;
}

/* A string instruction in a window has the window's base in RDI and RSI (rules_string.c). */
static void take_window(ucontext_t *uc, int reg)
{
    greg_t *value = &uc->uc_mcontext.gregs[reg];

    if ((uint64_t)*value >> 32)
        *value = (uint32_t)((uint64_t)*value - running->bt.window);
}

static bool guest_fault(int sig, const siginfo_t *info, ucontext_t *uc)
{
    struct translator *t = translator_of(running);
    uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
    struct unit *unit;

    if (!cache_holds(t, rip))
        return false;
    spent_begin(running->spent, SPENT_SIGNAL); /* until bt_lookup(), bt_fault() or bt_window() */
    if (is_poll((const uint8_t *)rip)) {
        t->stats.polls++;
        uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)bt_exit_lookup;
        return true;
    }
    unit = cache_find(t, (const void *)rip);
    if (!unit)
        return false;
    t->stats.host_faults++;
    running->rip = unit->eip + unit->insn[unit_insn_at(unit, (const void *)rip)].guest;
    take_window(uc, REG_RSI);
    take_window(uc, REG_RDI);
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)fault_exit(sig, info, uc);
    return true;
}

static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
    const struct sigaction *old = &previous[sig];

    if (running && (sig == SIGTRAP ? translator_of(running)->steps &&
                                         steps_trapped(running, ucontext)
                                   : guest_fault(sig, info, ucontext)))
        return;
    if (old->sa_flags & SA_SIGINFO && old->sa_sigaction) {
        old->sa_sigaction(sig, info, ucontext);
        return;
    }
    sigaction(sig, old, NULL); /* it comes again, to whoever had it before */
}

void precise_kick(struct vcpu *vcpu, void *ucontext)
{
    ucontext_t *uc = ucontext;
    struct translator *t = translator_of(vcpu);
    uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

    *(volatile uint64_t *)&vcpu->bt.jump_table = JUMP_POISON;
    t->stats.kicks++;
    direct_kick(t);
    if (cache_holds(t, rip) || rip == (uintptr_t)bt_jump_1 || rip == (uintptr_t)bt_jump_2 ||
        rip == (uintptr_t)bt_jump_3 || rip == (uintptr_t)bt_jump_4 ||
        rip == (uintptr_t)bt_jump_5 || rip == (uintptr_t)bt_jump_6)
        uc->uc_mcontext.gregs[REG_R14] = (greg_t)JUMP_POISON;
}

/* U3: the guest's registers are in the host's. */
enum interrupted precise_point(struct vcpu *vcpu, const void *ucontext, struct guest_point *point)
{
    const ucontext_t *uc = ucontext;
    struct translator *t = translator_of(vcpu);
    uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
    const void *host = (const void *)(uintptr_t)rip;
    struct unit *unit = cache_holds(t, rip) ? cache_find(t, host) : NULL;

    if (!unit)
        return direct_runs(t) ? INTERRUPTED_RUN : INTERRUPTED_MONITOR;
    *point = (struct guest_point){
        .eip = unit->base + unit->eip + unit->insn[unit_insn_at(unit, host)].guest,
        .esp = (uint32_t)uc->uc_mcontext.gregs[REG_RSP],
        .ebp = (uint32_t)uc->uc_mcontext.gregs[REG_RBP],
        .user = unit->key & KEY_USER,
        .flat = !(unit->key & KEY_SEG),
    };
    return INTERRUPTED_CODE;
}

int precise_install(struct translator *t)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    running = t->vcpu;
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        if (sigaction(signals[i], &action, &previous[signals[i]]))
            return -errno;
    return 0;
}
