/* Threads beside the vcpu's: a host fault of theirs reaches the process's handler. */
#include "base/thread.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

enum { HEARD = 7 };

static void heard(int sig)
{
    (void)sig;
    _exit(HEARD);
}

static void *fault(void *page)
{
    *(volatile int *)page = 0;
    return NULL;
}

static void *nothing(void *arg)
{
    return arg;
}

static void test_fault(void)
{
    pid_t child = fork();
    pthread_t thread;
    int status = 0;

    if (!child) {
        void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        signal(SIGSEGV, heard);
        if (page != MAP_FAILED && !thread_start(&thread, fault, page))
            pthread_join(thread, NULL);
        _exit(1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WIFEXITED(status) && WEXITSTATUS(status) == HEARD, 1);
}

/* Whoever starts one has its own signals as before. */
static void test_mask(void)
{
    sigset_t before, after;
    pthread_t thread;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_EQ(thread_start(&thread, nothing, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int sig = 1; sig < 32; sig++)
        CHECK_EQ(sigismember(&after, sig), sigismember(&before, sig));
    pthread_join(thread, NULL);
}

int main(void)
{
    test_fault();
    test_mask();
    return CHECK_DONE();
}
