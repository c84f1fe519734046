/*
 * A timer of the host's sends SIGPROF to the vcpu's thread. Its handler only notes, and kicks:
 *
 *   translated code ran    the instruction, by the unit's table, ESP and EBP: the host's registers
 *   a sandbox, the         nothing: the engine comes back with the instruction that was
 *   interpreter, KVM       interrupted, or the one behind it
 *   C of the translator's  that it did; the sample's innermost frame is "[novt]"
 *
 * The sample is taken when the engine has come back, before anything else is done (profile_look).
 * Between the two, translated code went on to its next poll, which is at the end of the unit or
 * earlier: no CALL was executed, so the stack that is walked then is the one of the moment noted.
 *
 * Nothing is sampled while the guest sleeps in HLT.
 */
#include "frontend/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/output.h"
#include "cpu/engine.h"
#include "cpu/vcpu.h"
#include "frontend/backtrace.h"
#include "frontend/code_names.h"
#include "frontend/config_profile.h"
#include "frontend/error.h"
#include "frontend/folded.h"
#include "frontend/machine.h"

#define LINE_SIZE (64 << 10)

struct profile {
    struct machine *machine;
    struct code_names *names;
    FILE *out;
    const char *path;
    struct folded *folded;
    timer_t timer;
    bool running;
    volatile sig_atomic_t due; /* what follows is the handler's until it is set, then ours */
    enum interrupted interrupted;
    struct guest_point point;
    size_t used; /* of line */
    char line[LINE_SIZE];
};

/* --- The handler ----------------------------------------------------------------------------- */

static void tick(int sig, siginfo_t *info, void *ucontext)
{
    struct profile *p = info->si_value.sival_ptr;
    const struct engine *engine;
    struct vcpu *vcpu;

    (void)sig;
    if (info->si_code != SI_TIMER) /* somebody else's SIGPROF */
        return;
    vcpu = p->machine->vcpu;
    engine = p->machine->engine;
    if (vcpu->halted || p->due)
        return;
    p->interrupted = engine->interrupted ? engine->interrupted(vcpu, ucontext, &p->point)
                                         : INTERRUPTED_RUN;
    p->due = 1;
    vcpu_kick(vcpu);
    if (engine->on_kick)
        engine->on_kick(vcpu, ucontext);
}

static int catch_ticks(void)
{
    struct sigaction action = { .sa_sigaction = tick,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

    sigfillset(&action.sa_mask); /* as kick.c's */
    sigdelset(&action.sa_mask, SIGSEGV);
    sigdelset(&action.sa_mask, SIGBUS);
    sigdelset(&action.sa_mask, SIGALRM);
    return sigaction(SIGPROF, &action, NULL);
}

static int start(struct profile *p, unsigned hz)
{
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
    struct timespec period = { .tv_sec = hz == 1, .tv_nsec = hz == 1 ? 0 : NS_PER_SEC / hz };
    struct itimerspec times = { .it_interval = period, .it_value = period };

    event.sigev_value.sival_ptr = p;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (catch_ticks() || timer_create(CLOCK_MONOTONIC, &event, &p->timer))
        return -1;
    p->running = true;
    return timer_settime(p->timer, 0, &times, NULL);
}

static void stop(struct profile *p)
{
    if (p->running)
        timer_delete(p->timer);
    p->running = false;
    signal(SIGPROF, SIG_IGN); /* one may be on its way still */
}

/* --- A sample -------------------------------------------------------------------------------- */

static bool is_flat(const struct vcpu *vcpu)
{
    const struct segment *cs = &vcpu->seg[SEG_CS], *ss = &vcpu->seg[SEG_SS];

    return vcpu->cr0 & CR0_PE && !(vcpu->eflags & EFLAGS_VM) && cs->attr & ss->attr & SEG_DB &&
           !cs->base && !ss->base;
}

static struct guest_point point_of(const struct vcpu *vcpu)
{
    uint64_t stack = vcpu->seg[SEG_SS].base;

    return (struct guest_point){
        .eip = (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip),
        .esp = (uint32_t)(stack + vcpu->gpr[RSP]),
        .ebp = (uint32_t)(stack + vcpu->gpr[RBP]),
        .user = vcpu->cpl == 3,
        .flat = is_flat(vcpu),
    };
}

/* Another frame of the line. One that has no room is left out. */
static void put(struct profile *p, const char *text)
{
    size_t size = strlen(text);

    if (p->used + size + 2 > LINE_SIZE)
        return;
    if (p->used)
        p->line[p->used++] = ';';
    memcpy(p->line + p->used, text, size + 1);
    p->used += size;
}

/* A function without a name is known by its entry, or by the address. */
static void put_frame(struct profile *p, const struct backtrace *trace, unsigned i)
{
    uint32_t at = trace->frame[i].eip - (i > 0); /* the CALL before it */
    uint32_t entry = trace->frame[i].entry;
    bool user = trace->frame[i].user;
    char text[CODE_NAME_SIZE + 8];

    code_names_put(p->names, at, user, false, entry ? at - entry : 0, text);
    if (!user)
        strcat(text, "_[k]");
    put(p, text);
}

static void put_program(struct profile *p, const struct guest_point *at,
                        const struct backtrace *trace)
{
    char program[CODE_NAME_SIZE] = "[kernel]";

    if (!at->flat)
        snprintf(program, sizeof(program), "[16-bit]");
    else if (trace->in_user)
        code_names_program(p->names, trace->user_esp, program);
    put(p, program);
}

static void take(struct profile *p, const struct guest_point *at)
{
    struct backtrace trace;

    p->used = 0;
    backtrace_take(p->machine->vcpu, at, &trace);
    put_program(p, at, &trace);
    for (unsigned i = trace.count; i-- > 0;)
        put_frame(p, &trace, i);
    if (p->interrupted == INTERRUPTED_MONITOR)
        put(p, "[novt]");
    folded_count(p->folded, p->line);
}

void profile_look(struct profile *p)
{
    struct guest_point point;

    if (!p || !p->due)
        return;
    point = p->interrupted == INTERRUPTED_CODE ? p->point : point_of(p->machine->vcpu);
    take(p, &point);
    p->due = 0;
}

/* --- Life ------------------------------------------------------------------------------------ */

int profile_open(struct profile **profile, struct machine *machine, struct code_names *names,
                 const struct profile_spec *spec, struct error *error)
{
    struct profile *p = calloc(1, sizeof(*p));

    *profile = p;
    if (p)
        p->folded = folded_create();
    if (!p || !p->folded)
        return error_set(error, EX_OSERR, "-profile: no host memory; free some");
    p->machine = machine;
    p->names = names;
    p->path = spec->file;
    p->out = output_stream(p->path);
    if (!p->out)
        return error_set(error, EX_CANTCREAT,
                         "-profile: cannot open '%s': %s; %s", p->path, strerror(errno),
                         output_advice(errno));
    if (start(p, spec->hz))
        return error_set(error, EX_OSERR,
                         "-profile: no host timer: %s; raise the limit (ulimit -i)",
                         strerror(errno));
    return 0;
}

int profile_close(struct profile *p, struct error *error)
{
    FILE *out;
    bool failed;

    if (!p)
        return 0;
    stop(p);
    out = p->out;
    p->out = NULL;
    folded_print(p->folded, out);
    failed = ferror(out);
    if (!fclose(out) && !failed)
        return 0;
    return error_set(error, EX_IOERR, "-profile: cannot write to '%s': %s; free some space",
                     p->path, strerror(errno));
}

void profile_destroy(struct profile *p)
{
    if (!p)
        return;
    stop(p);
    if (p->out)
        fclose(p->out);
    folded_free(p->folded);
    free(p);
}
