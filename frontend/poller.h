/*
 * Host descriptors that somebody waits for.
 *
 * All callbacks run on the vcpu's thread: from poller_wait() while the guest sleeps, from
 * poller_dispatch() while it runs. In between, a small thread watches the same descriptors and does
 * nothing but call kick() when one is ready; it then waits until poller_dispatch() has looked. It
 * is started by the first descriptor with events, and no signal is sent to it.
 *
 * Our own threads need no descriptor and nobody to watch it: they ask for a call (poller_call).
 */
#ifndef FRONTEND_POLLER_H
#define FRONTEND_POLLER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

struct poller;

/* Embedded in whoever waits; fd < 0 or events 0: not now. */
struct poller_fd {
    int fd;
    short events; /* POLLIN, POLLOUT */
    void (*ready)(void *arg, short revents);
    void *arg;
    bool urgent; /* poller_urgent(): touches neither the CPU nor memory nor chips */
};

/* kick(arg) is called on the poller's thread, and on others'. NULL: errno says why. */
struct poller *poller_create(void (*kick)(void *arg), void *arg);
void poller_destroy(struct poller *poller);

/* 0 or -ENOSPC. The entry stays the caller's, until poller_remove(). */
int poller_add(struct poller *poller, struct poller_fd *entry);
void poller_remove(struct poller *poller, struct poller_fd *entry);

/* Waits for other events, or for another descriptor. */
void poller_change(struct poller *poller, struct poller_fd *entry, int fd, short events);

/* A callback that other threads ask for. Embedded in whoever does; zero but for the first two. */
struct poller_call {
    void (*ready)(void *arg);
    void *arg;
    atomic_bool wanted;
    struct poller_call *next;
};

/* On the vcpu's thread, before others use it and when they have ended. */
void poller_add_call(struct poller *poller, struct poller_call *call);
void poller_remove_call(struct poller *poller, struct poller_call *call);

/* From any thread: ready() is called on the vcpu's, once, soon. A kick, unless one is under way. */
void poller_call(struct poller *poller, struct poller_call *call);

/* Calls back for what is ready, without waiting. Cheap when nothing has been seen to be ready. */
void poller_dispatch(struct poller *poller);

/* The same for urgent descriptors alone, and for no calls: in the middle of a run. */
void poller_urgent(struct poller *poller);
bool poller_is_urgent(const struct poller *poller); /* inside that */

/* Waits for a descriptor or a signal, with this signal mask, and calls back. */
void poller_wait(struct poller *poller, const sigset_t *mask);

#endif
