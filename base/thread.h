/*
 * Threads beside the vcpu's. Signals that are sent to the process are for that one alone, so the
 * others have all of them blocked; but for SIGSYS, by which the confinement (frontend/confine.h)
 * answers a system call of the thread's own. Blocked, it would end the process.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* Runs run(arg) on a new thread, for the caller to join. 0 or -errno. */
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
