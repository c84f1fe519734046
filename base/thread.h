/*
 * Threads beside the vcpu's. Signals that are sent to the process are for that one alone, so the
 * others have all of them blocked; but for those that a thread's own instructions bring about:
 * SIGSYS, by which the confinement (frontend/confine.h) answers a system call, and host faults, on
 * which the terminal is given back (frontend/terminal.h). Blocked, they would end the process at
 * once.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* Runs run(arg) on a new thread, for the caller to join. 0 or -errno. */
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
