/* Signals to the vcpu's thread. */
#include "frontend/kick.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/count.h"
#include "cpu/vcpu.h"
#include "frontend/report.h"
#include "frontend/terminal.h"

#define GUARD 4096u
#define NEAR_ROUNDS 8
#define NEAR_MAX_NS 50000

static const int end_signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

struct kick {
    struct vcpu *vcpu;
    void (*on_kick)(struct vcpu *vcpu, void *ucontext);
    pid_t thread;
    pthread_t self;
    timer_t timer, deadline;
    volatile sig_atomic_t deadline_status;
    volatile uint64_t armed_ns; /* CLOCK_NEVER: not armed */
    uint64_t near_ns; /* what the host takes for a timer that is due at once, and its signal */
    uint64_t waited_ns; /* when kick_waited() was true last */
    volatile sig_atomic_t signal;
    uint8_t *stack; /* with the guard below */
    size_t stack_size;
    stack_t old_stack;
    struct sigaction old_kick, old_alarm, old_end[COUNT(end_signals)];
};

static struct kick *the_kick; /* for the handlers, which get no argument of ours */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static void set_timer(timer_t timer, uint64_t ns)
{
    struct itimerspec when = { .it_value = { (time_t)(ns / NS_PER_SEC), (long)(ns % NS_PER_SEC) } };

    if (!ns)
        when.it_value.tv_nsec = 1; /* all 0 would disarm */
    if (ns == CLOCK_NEVER)
        when = (struct itimerspec){ 0 };
    timer_settime(timer, TIMER_ABSTIME, &when, NULL);
}

void kick_deadline(struct kick *kick, uint64_t ns, int status)
{
    kick->deadline_status = status;
    set_timer(kick->deadline, ns);
}

/* How long until the signal of a timer that is due at once is there. */
static uint64_t time_timer(timer_t timer, const sigset_t *signal)
{
    const struct timespec none = { 0 };
    uint64_t start = now_ns(), took = 0;

    set_timer(timer, 0);
    while (sigtimedwait(signal, NULL, &none) < 0 && took < NEAR_MAX_NS)
        took = now_ns() - start;
    return now_ns() - start;
}

static void measure_timer(struct kick *kick)
{
    sigset_t signal, old;

    sigemptyset(&signal);
    sigaddset(&signal, KICK_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &signal, &old);
    kick->near_ns = NEAR_MAX_NS;
    for (unsigned i = 0; i < NEAR_ROUNDS; i++) {
        uint64_t took = time_timer(kick->timer, &signal);

        kick->near_ns = took < kick->near_ns ? took : kick->near_ns;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Asked to end: once gently, twice at once. */
static void end_asked(struct kick *kick, int sig)
{
    if (kick->signal) {
        terminal_restore();
        _exit(STATUS_SIGNAL + sig);
    }
    kick->signal = sig;
    kick_deadline(kick, now_ns() + KICK_GRACE_NS, STATUS_SIGNAL + sig);
}

static void deadline_passed(int sig)
{
    static const char text[] = "novt: the monitor does not answer; ended by force\n";

    (void)sig;
    terminal_restore();
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(the_kick->deadline_status);
    _exit(the_kick->deadline_status);
}

static void kicked(int sig, siginfo_t *info, void *ucontext)
{
    struct kick *kick = the_kick;

    if (!kick)
        return;
    if (sig != KICK_SIGNAL)
        end_asked(kick, sig);
    else if (info->si_code == SI_TIMER)
        kick->armed_ns = CLOCK_NEVER;
    vcpu_kick(kick->vcpu);
    if (kick->on_kick)
        kick->on_kick(kick->vcpu, ucontext);
}

static int make_stack(struct kick *kick)
{
    size_t size = (size_t)sysconf(_SC_SIGSTKSZ) + (64u << 10);
    stack_t stack;

    kick->stack_size = GUARD + ((size + GUARD - 1) & ~(size_t)(GUARD - 1));
    kick->stack = mmap(NULL, kick->stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    if (kick->stack == MAP_FAILED) {
        kick->stack = NULL;
        return -errno;
    }
    if (mprotect(kick->stack, GUARD, PROT_NONE))
        return -errno;
    stack = (stack_t){ .ss_sp = kick->stack + GUARD, .ss_size = kick->stack_size - GUARD };
    return sigaltstack(&stack, &kick->old_stack) ? -errno : 0;
}

static int make_timers(struct kick *kick)
{
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK_SIGNAL };

    event._sigev_un._tid = kick->thread;
    kick->armed_ns = CLOCK_NEVER;
    if (timer_create(CLOCK_MONOTONIC, &event, &kick->timer))
        return -errno;
    event.sigev_signo = SIGALRM;
    if (!timer_create(CLOCK_MONOTONIC, &event, &kick->deadline))
        return 0;
    timer_delete(kick->timer);
    return -errno;
}

static void delete_timers(struct kick *kick)
{
    timer_delete(kick->timer);
    timer_delete(kick->deadline);
}

static void catch_signals(struct kick *kick)
{
    struct sigaction action = { .sa_sigaction = kicked,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

    struct sigaction deadline = { .sa_handler = deadline_passed, .sa_flags = SA_ONSTACK };

    sigfillset(&action.sa_mask); /* one handler at a time on the stack, except for host faults */
    sigdelset(&action.sa_mask, SIGSEGV);
    sigdelset(&action.sa_mask, SIGBUS);
    sigdelset(&action.sa_mask, SIGALRM);
    sigemptyset(&deadline.sa_mask);
    sigaction(SIGALRM, &deadline, &kick->old_alarm);
    sigaction(KICK_SIGNAL, &action, &kick->old_kick);
    for (size_t i = 0; i < COUNT(end_signals); i++) {
        sigaction(end_signals[i], &action, &kick->old_end[i]);
        if (kick->old_end[i].sa_handler == SIG_IGN) /* nohup, or a shell's background job */
            sigaction(end_signals[i], &kick->old_end[i], NULL);
    }
}

int kick_create(struct kick **out, struct vcpu *vcpu,
                void (*on_kick)(struct vcpu *vcpu, void *ucontext))
{
    struct kick *kick = calloc(1, sizeof(*kick));
    int err;

    if (!kick)
        return -ENOMEM;
    kick->vcpu = vcpu;
    kick->on_kick = on_kick;
    kick->thread = (pid_t)syscall(SYS_gettid);
    kick->self = pthread_self();
    err = make_timers(kick);
    if (err) {
        free(kick);
        return err;
    }
    err = make_stack(kick);
    if (err) {
        delete_timers(kick);
        if (kick->stack)
            munmap(kick->stack, kick->stack_size);
        free(kick);
        return err;
    }
    the_kick = kick;
    catch_signals(kick);
    measure_timer(kick);
    *out = kick;
    return 0;
}

void kick_destroy(struct kick *kick)
{
    if (!kick)
        return;
    delete_timers(kick);
    for (size_t i = 0; i < COUNT(end_signals); i++)
        sigaction(end_signals[i], &kick->old_end[i], NULL);
    sigaction(SIGALRM, &kick->old_alarm, NULL);
    signal(KICK_SIGNAL, SIG_IGN); /* one may be on its way still */
    the_kick = NULL;
    if (kick->old_stack.ss_flags & SS_DISABLE)
        kick->old_stack = (stack_t){ .ss_flags = SS_DISABLE };
    sigaltstack(&kick->old_stack, NULL);
    munmap(kick->stack, kick->stack_size);
    free(kick);
}

bool kick_waited(struct kick *kick, uint64_t ns)
{
    uint64_t now = now_ns();

    if (ns > now + kick->near_ns)
        return false;
    while (now < ns)
        now = now_ns();
    kick->waited_ns = now;
    return true;
}

/* The guest has run for longer than it would now be kept waiting: it gets on, whatever it arms. */
static bool may_wait(const struct kick *kick, uint64_t ns)
{
    uint64_t now = now_ns();

    return ns <= now || now - kick->waited_ns >= ns - now;
}

void kick_at(struct kick *kick, uint64_t ns)
{
    if (ns >= kick->armed_ns)
        return;
    if (may_wait(kick, ns) && kick_waited(kick, ns)) {
        vcpu_kick(kick->vcpu);
        return;
    }
    kick->armed_ns = ns;
    set_timer(kick->timer, ns);
}

void kick_now(struct kick *kick)
{
    if (pthread_equal(kick->self, pthread_self())) {
        vcpu_kick(kick->vcpu); /* it is not in the guest's code now */
        return;
    }
    syscall(SYS_tgkill, getpid(), kick->thread, KICK_SIGNAL);
}

int kick_signal(const struct kick *kick)
{
    return kick->signal;
}
