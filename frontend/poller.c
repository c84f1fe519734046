/* Waiting for host descriptors: see poller.h for who runs what. */
#include "frontend/poller.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"

enum { MAX = 32 };

struct poller {
    void (*kick)(void *arg);
    void *arg;
    pthread_mutex_t lock; /* of entry[] and count against the thread */
    struct poller_fd *entry[MAX];
    unsigned count;
    struct poller_call *calls; /* the vcpu's thread alone, as */
    bool urgent;               /* this: inside poller_urgent() */
    pthread_t thread;
    bool started;
    atomic_bool ending;
    atomic_bool seen; /* the thread saw something ready, and sleeps until that has been looked at */
    int wake;         /* eventfd: the thread shall look again */
};

static void wake(struct poller *poller)
{
    uint64_t one = 1;

    if (write(poller->wake, &one, sizeof(one)) < 0)
        return; /* the counter is full: awake it is */
}

/* --- The thread ------------------------------------------------------------- */

/* fds has room for MAX. */
static nfds_t collect(struct poller *poller, struct pollfd *fds)
{
    nfds_t n = 0;

    pthread_mutex_lock(&poller->lock);
    for (unsigned i = 0; i < poller->count; i++)
        if (poller->entry[i]->events && poller->entry[i]->fd >= 0)
            fds[n++] = (struct pollfd){ poller->entry[i]->fd, poller->entry[i]->events, 0 };
    pthread_mutex_unlock(&poller->lock);
    return n;
}

static void drain(struct poller *poller)
{
    uint64_t count;

    if (read(poller->wake, &count, sizeof(count)) < 0)
        return;
}

static void *watch(void *arg)
{
    struct poller *poller = arg;
    struct pollfd fds[MAX + 1];

    while (!atomic_load(&poller->ending)) {
        nfds_t n = atomic_load(&poller->seen) ? 0 : collect(poller, fds + 1);
        int ready;

        fds[0] = (struct pollfd){ poller->wake, POLLIN, 0 };
        ready = poll(fds, n + 1, -1);
        if (ready <= 0)
            continue;
        if (fds[0].revents)
            drain(poller);
        else if (!atomic_exchange(&poller->seen, true))
            poller->kick(poller->arg);
    }
    return NULL;
}

/* --- The vcpu's thread ------------------------------------------------------ */

/* The set has changed: the thread must hear of it, unless it will look anyway. */
static void changed(struct poller *poller, short events)
{
    if (!poller->started && events)
        poller->started = !thread_start(&poller->thread, watch, poller);
    else if (poller->started && !atomic_load(&poller->seen))
        wake(poller);
}

int poller_add(struct poller *poller, struct poller_fd *entry)
{
    if (poller->count == MAX)
        return -ENOSPC;
    pthread_mutex_lock(&poller->lock);
    poller->entry[poller->count++] = entry;
    pthread_mutex_unlock(&poller->lock);
    if (entry->events)
        changed(poller, entry->events);
    return 0;
}

void poller_remove(struct poller *poller, struct poller_fd *entry)
{
    pthread_mutex_lock(&poller->lock);
    for (unsigned i = 0; i < poller->count; i++) {
        if (poller->entry[i] == entry) {
            poller->entry[i] = poller->entry[--poller->count];
            break;
        }
    }
    pthread_mutex_unlock(&poller->lock);
    changed(poller, 0);
}

void poller_change(struct poller *poller, struct poller_fd *entry, int fd, short events)
{
    if (entry->fd == fd && entry->events == events)
        return;
    pthread_mutex_lock(&poller->lock);
    entry->fd = fd;
    entry->events = events;
    pthread_mutex_unlock(&poller->lock);
    changed(poller, events);
}

static bool is_present(const struct poller *poller, const struct poller_fd *entry)
{
    for (unsigned i = 0; i < poller->count; i++)
        if (poller->entry[i] == entry)
            return true;
    return false;
}

static void poll_once(struct poller *poller, const struct timespec *timeout, const sigset_t *mask)
{
    struct poller_fd *who[MAX];
    struct pollfd fds[MAX];
    nfds_t n = 0;

    for (unsigned i = 0; i < poller->count; i++) {
        if (poller->entry[i]->events && poller->entry[i]->fd >= 0 &&
            poller->entry[i]->urgent >= poller->urgent) {
            who[n] = poller->entry[i];
            fds[n++] = (struct pollfd){ poller->entry[i]->fd, poller->entry[i]->events, 0 };
        }
    }
    if (ppoll(fds, n, timeout, mask) <= 0)
        return;
    for (nfds_t i = 0; i < n; i++) /* a callback may have taken the next one away, or closed it */
        if (fds[i].revents && is_present(poller, who[i]) && who[i]->fd == fds[i].fd)
            who[i]->ready(who[i]->arg, fds[i].revents);
}

/* --- Calls ------------------------------------------------------------------ */

void poller_add_call(struct poller *poller, struct poller_call *call)
{
    call->next = poller->calls;
    poller->calls = call;
}

void poller_remove_call(struct poller *poller, struct poller_call *call)
{
    struct poller_call **at = &poller->calls;

    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
}

void poller_call(struct poller *poller, struct poller_call *call)
{
    if (!atomic_exchange(&call->wanted, true))
        poller->kick(poller->arg);
}

static void run_calls(struct poller *poller)
{
    struct poller_call *next;

    for (struct poller_call *call = poller->calls; call; call = next) {
        next = call->next;
        if (atomic_load_explicit(&call->wanted, memory_order_relaxed) &&
            atomic_exchange(&call->wanted, false))
            call->ready(call->arg);
    }
}

void poller_dispatch(struct poller *poller)
{
    const struct timespec now = { 0, 0 };

    run_calls(poller);
    if (!atomic_load(&poller->seen))
        return;
    poll_once(poller, &now, NULL);
    atomic_store(&poller->seen, false);
    wake(poller);
}

void poller_urgent(struct poller *poller)
{
    const struct timespec now = { 0, 0 };

    poller->urgent = true;
    poll_once(poller, &now, NULL);
    poller->urgent = false;
}

bool poller_is_urgent(const struct poller *poller)
{
    return poller->urgent;
}

static bool is_called(const struct poller *poller)
{
    for (const struct poller_call *call = poller->calls; call; call = call->next)
        if (atomic_load(&call->wanted))
            return true;
    return false;
}

/* A call that this thread itself has asked for came without a signal. */
void poller_wait(struct poller *poller, const sigset_t *mask)
{
    if (!is_called(poller))
        poll_once(poller, NULL, mask);
}

/* --- Life ------------------------------------------------------------------- */

struct poller *poller_create(void (*kick)(void *arg), void *arg)
{
    struct poller *poller = calloc(1, sizeof(*poller));

    if (!poller)
        return NULL;
    poller->kick = kick;
    poller->arg = arg;
    poller->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->wake < 0) {
        free(poller);
        return NULL;
    }
    pthread_mutex_init(&poller->lock, NULL);
    return poller;
}

void poller_destroy(struct poller *poller)
{
    if (!poller)
        return;
    if (poller->started) {
        atomic_store(&poller->ending, true);
        wake(poller);
        pthread_join(poller->thread, NULL);
    }
    pthread_mutex_destroy(&poller->lock);
    close(poller->wake);
    free(poller);
}
