/* Host faults in a thunk are the guest's own: they end the thunk instead of the process. */
#include "cpu/fpu_run.h"

#include <signal.h>
#include <ucontext.h>

#include "base/bug.h"

static enum fpu_trap trap_of(int sig, const siginfo_t *info)
{
    if (sig == SIGILL)
        return FPU_UD;
    if (sig == SIGFPE)
        return FPU_XM;
    return info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR ? FPU_ABSENT : FPU_GP;
}

/* Ends a thunk that faulted: fpu_run's registers say where it was called. */
static void on_signal(int sig, siginfo_t *info, void *context)
{
    greg_t *reg = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct fpu_frame *frame = (struct fpu_frame *)(uintptr_t)reg[REG_RBX];

    if ((uintptr_t)reg[REG_R12] != (uintptr_t)fpu_run_fault) {
        signal(sig, SIG_DFL); /* not ours: die of it when it happens again */
        return;
    }
    frame->trap = trap_of(sig, info);
    reg[REG_RIP] = reg[REG_R12];
}

static const int signals[] = { SIGILL, SIGFPE, SIGSEGV, SIGBUS };
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

void fpu_run_guarded(struct fpu_frame *frame)
{
    struct sigaction ours = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    struct sigaction before[SIGNALS];

    for (unsigned i = 0; i < SIGNALS; i++)
        BUG_ON(sigaction(signals[i], &ours, &before[i]));
    fpu_run(frame);
    for (unsigned i = 0; i < SIGNALS; i++)
        BUG_ON(sigaction(signals[i], &before[i], NULL));
}
