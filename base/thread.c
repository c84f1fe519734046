/* How threads start: see thread.h. */
#include "base/thread.h"

#include <signal.h>

#include "base/count.h"

int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
    static const int own[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
    sigset_t blocked, before;
    int err;

    sigfillset(&blocked);
    for (size_t i = 0; i < COUNT(own); i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    err = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}
