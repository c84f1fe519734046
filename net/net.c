/*
 * A cable: two queues, and the thread between them and the host.
 *
 *      vcpu's thread                                    the cable's thread
 *   chip -- send() ------> | to_host | --- output() ---> slirp, tap, socket
 *   chip <- receive() ---- | to_guest | <-- input() ----
 *
 * Who puts into an empty queue wakes the other side if that sleeps, once: `asleep` and `told` say
 * so. Both are exchanged after the queue's head has moved and looked at before sleeping, each
 * sequentially consistent, so no frame waits unseen.
 *
 * Who holds the lock takes from to_host, puts into to_guest and has the kind's state. That is the
 * thread, except while it polls. Then the vcpu's thread does it with a small frame that it has just
 * sent: libslirp answers an acknowledgement with more data at once, and no thread need wake up for
 * that. Data is better left to the thread, where more of it comes together. When the lock is taken,
 * the frame waits for the thread, which is awake. If the kind wants to wait for other things
 * afterwards, the thread is woken to look: `epoch` tells it that what it polled for is no longer
 * what the kind knows of.
 *
 * Work that a sender left to do is done by the kind (to the host) or here (to a chip that does not
 * take it, on the vcpu's thread).
 */
#include "net/net.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/thread.h"
#include "devices/netdev.h"
#include "net/queue.h"
#include "net/segment.h"
#include "net/side.h"

enum {
    DIRECT_MAX = 128,
    TO_HOST_BYTES = 1 << 20,
    TO_HOST_ROOM = 1 << 18,  /* as much must be free before a chip that waits is called */
    TO_GUEST_BYTES = 1 << 21,
    TO_GUEST_ROOM = 3 << 18, /* and before the host is asked for more */
};

#define NEVER_MS INT64_MAX

struct net {
    struct netdev device;
    const struct side_ops *ops;
    void *state;
    struct queue *to_host, *to_guest;
    int to_thread; /* eventfd */
    void (*wake)(void *arg);
    void *wake_arg;
    pthread_t thread;
    bool started;
    atomic_bool ending;
    atomic_bool asleep;     /* the thread is, or will look at to_host before it sleeps */
    atomic_bool told;       /* the vcpu's thread has been since net_ready() looked */
    atomic_bool wants_room; /* the chip was told to wait */
    atomic_bool wants_take; /* the thread waits until the guest takes frames */
    bool refused;           /* the chip has no buffers; the vcpu's thread alone knows */
    pthread_mutex_t lock;
    unsigned epoch;         /* under the lock: counts changes of what the kind waits for */
    bool full;              /* likewise: the host was not asked for more */
    struct dump *dump;      /* likewise; NULL: none */
    const uint8_t *room;    /* likewise: side_room()'s last */
    bool dumped;            /* likewise: the frame that the kind did not take is in the file */
    atomic_uint_fast64_t out_frames, out_bytes, in_frames, in_bytes, in_dropped, wakes_thread,
        wakes_vcpu;
    struct side_poll poll;  /* what the thread polls for */
    struct side_poll other; /* what it should, as the vcpu's thread finds it */
};

static void signal_fd(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: awake it is */
}

static void clear_fd(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0)
        return;
}

/* Only one thread adds to each. */
static void count(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* --- Who holds the lock ----------------------------------------------------- */

static void tell_vcpu(struct net *net)
{
    if (atomic_exchange(&net->told, true))
        return;
    count(&net->wakes_vcpu, 1);
    net->wake(net->wake_arg);
}

/* Before the kind has it, which may change it; once, as often as the kind says no. */
static void dump_sent(struct net *net, const uint8_t *frame, size_t size)
{
    if (net->dump && !net->dumped)
        dump_frame(net->dump, frame, size);
    net->dumped = true;
}

/* True: the kind takes no more now. */
static bool send_all(struct net *net)
{
    struct netdev_offload *offload;
    uint8_t *frame;
    size_t size;

    while ((frame = queue_front(net->to_host, &size, &offload))) {
        dump_sent(net, frame, size);
        if (!net->ops->output(net->state, frame, size, offload))
            return true;
        net->dumped = false;
        count(&net->out_frames, 1);
        count(&net->out_bytes, size);
        queue_drop(net->to_host);
        if (atomic_load(&net->wants_room) && queue_free(net->to_host) >= TO_HOST_ROOM) {
            atomic_store(&net->wants_room, false);
            tell_vcpu(net);
        }
    }
    return false;
}

/* --- The vcpu's thread ------------------------------------------------------ */

static void wake_thread(struct net *net)
{
    if (!atomic_exchange(&net->asleep, false))
        return;
    count(&net->wakes_thread, 1);
    signal_fd(net->to_thread);
}

static bool is_same(const struct side_poll *a, const struct side_poll *b)
{
    if (a->count != b->count || b->deadline_ms < a->deadline_ms)
        return false;
    for (unsigned i = 1; i < a->count; i++) /* the first is ours */
        if (a->fd[i].fd != b->fd[i].fd || a->fd[i].events != b->fd[i].events)
            return false;
    return true;
}

/* Asks the kind what it waits for. */
static void fill(struct net *net, struct side_poll *set)
{
    set->count = 0;
    set->deadline_ms = NEVER_MS;
    if (side_poll_add(set, net->to_thread, POLLIN))
        BUG_ON(true);
    net->ops->fill(net->state, set, net->full);
}

/* Does the thread's work while that polls. False: somebody has to wake it, if it sleeps. */
static bool send_directly(struct net *net)
{
    bool same = true;

    if (!net->ops->direct || pthread_mutex_trylock(&net->lock))
        return false;
    if (!send_all(net)) {
        fill(net, &net->other);
        same = is_same(&net->poll, &net->other);
    }
    if (!same)
        net->epoch++;
    pthread_mutex_unlock(&net->lock);
    return same;
}

static size_t total_of(const struct iovec *iov, unsigned n)
{
    size_t size = 0;

    for (unsigned i = 0; i < n && size <= NETDEV_FRAME_MAX; i++)
        size += iov[i].iov_len < NETDEV_FRAME_MAX ? iov[i].iov_len : NETDEV_FRAME_MAX + 1;
    return size;
}

static uint8_t *room_for(struct net *net, size_t size)
{
    uint8_t *room = queue_room(net->to_host, size);

    if (room)
        return room;
    atomic_store(&net->wants_room, true);
    room = queue_room(net->to_host, size); /* made since we looked */
    if (room)
        atomic_store(&net->wants_room, false);
    return room;
}

static bool device_send(void *host, const struct iovec *iov, unsigned n,
                        const struct netdev_offload *offload)
{
    static const struct netdev_offload nothing;
    size_t size = total_of(iov, n), done = 0;
    struct net *net = host;
    uint8_t *room;
    bool direct;

    if (size < NETDEV_FRAME_MIN || size > NETDEV_FRAME_MAX)
        return true;
    room = room_for(net, size);
    if (!room)
        return false;
    for (unsigned i = 0; i < n; done += iov[i++].iov_len)
        memcpy(room + done, iov[i].iov_base, iov[i].iov_len);
    if (!segment_is_sane(room, size, offload ? offload : &nothing))
        return true;
    direct = size <= DIRECT_MAX && queue_is_empty(net->to_host);
    queue_put(net->to_host, size, offload);
    if (!direct || !send_directly(net))
        wake_thread(net);
    return true;
}

/* From inside a call of the chip: not now, but soon. */
static void device_ready(void *host)
{
    struct net *net = host;

    if (net->refused && net->wake && !atomic_exchange(&net->told, true))
        net->wake(net->wake_arg);
}

static void give_whole(void *arg, const uint8_t *frame, size_t size)
{
    static const struct netdev_offload nothing = { .verified = true };
    struct net *net = arg;

    /* A segment for which there is no buffer is lost, as on a wire. */
    net->device.receive(net->device.chip, frame, size, &nothing);
}

static unsigned needed_of(const struct netdev_offload *offload)
{
    static const unsigned segments[] = { 0, NETDEV_TAKES_TCP4, NETDEV_TAKES_TCP6 };

    return segments[offload->segments] | (offload->checksum ? NETDEV_TAKES_CHECKSUM : 0);
}

/* What is done to a frame that is refused need not be done again. */
static bool give(struct net *net, uint8_t *frame, size_t size, struct netdev_offload *offload)
{
    struct netdev *device = &net->device;
    unsigned missing = needed_of(offload) & ~device->takes;

    if (!missing)
        return device->receive(device->chip, frame, size, offload);
    if (offload->segments != NETDEV_WHOLE) {
        segment_cut(frame, size, offload, give_whole, net);
        return true;
    }
    segment_finish(frame, size, offload);
    *offload = (struct netdev_offload){ .verified = true };
    return device->receive(device->chip, frame, size, offload);
}

static void give_all(struct net *net)
{
    struct netdev_offload *offload;
    uint8_t *frame;
    size_t size;

    net->refused = false;
    while (!net->refused && (frame = queue_front(net->to_guest, &size, &offload))) {
        if (net->device.receive && !give(net, frame, size, offload))
            net->refused = true;
        else
            queue_drop(net->to_guest);
    }
}

void net_ready(struct net *net)
{
    atomic_store(&net->told, false);
    give_all(net);
    if (atomic_load(&net->wants_take) && queue_free(net->to_guest) >= TO_GUEST_ROOM &&
        atomic_exchange(&net->wants_take, false))
        signal_fd(net->to_thread);
    if (!atomic_load(&net->wants_room) && net->device.room)
        net->device.room(net->device.chip);
}

void net_reset(struct net *net)
{
    struct netdev_offload *offload;
    size_t size;

    while (queue_front(net->to_guest, &size, &offload))
        queue_drop(net->to_guest);
    net->refused = false;
    if (atomic_exchange(&net->wants_take, false))
        signal_fd(net->to_thread);
}

/* --- The cable's thread ----------------------------------------------------- */

uint8_t *side_room(struct side *side, size_t size)
{
    uint8_t *room = queue_room(side->net->to_guest, size);

    side->net->room = room;
    return room;
}

void side_input(struct side *side, size_t size, const struct netdev_offload *offload)
{
    struct net *net = side->net;

    if (net->dump)
        dump_frame(net->dump, net->room, size);
    queue_put(net->to_guest, size, offload);
    count(&net->in_frames, 1);
    count(&net->in_bytes, size);
    tell_vcpu(net);
}

void side_dropped(struct side *side)
{
    count(&side->net->in_dropped, 1);
}

/* Whether the guest leaves too much in the queue for the host to be asked for more. */
static bool is_full(struct net *net)
{
    if (queue_free(net->to_guest) >= TO_GUEST_ROOM)
        return false;
    atomic_store(&net->wants_take, true);
    if (queue_free(net->to_guest) < TO_GUEST_ROOM)
        return true;
    atomic_store(&net->wants_take, false);
    return false;
}

static int wait_ms(int64_t deadline)
{
    int64_t now;

    if (deadline == NEVER_MS)
        return -1;
    now = side_now_ms();
    return deadline <= now ? 0 : deadline - now > 1000000 ? 1000000 : (int)(deadline - now);
}

/* Sends what the guest has sent, and says what to wait for. True: there is more to send. */
static bool prepare(struct net *net, unsigned *epoch)
{
    bool stuck;

    pthread_mutex_lock(&net->lock);
    stuck = send_all(net);
    net->full = is_full(net);
    fill(net, &net->poll);
    *epoch = net->epoch;
    atomic_store(&net->asleep, true);
    pthread_mutex_unlock(&net->lock);
    return !stuck && !queue_is_empty(net->to_host);
}

static void step(struct net *net)
{
    struct side_poll *set = &net->poll;
    unsigned epoch;
    bool more = prepare(net, &epoch);
    int ready = poll(set->fd, set->count, more ? 0 : wait_ms(set->deadline_ms));

    atomic_store(&net->asleep, false);
    if (ready > 0 && set->fd[0].revents)
        clear_fd(net->to_thread);
    pthread_mutex_lock(&net->lock);
    if (ready >= 0 && epoch == net->epoch)
        net->ops->polled(net->state, set);
    pthread_mutex_unlock(&net->lock);
}

static void *run(void *arg)
{
    struct net *net = arg;

    while (!atomic_load(&net->ending))
        step(net);
    return NULL;
}

int side_poll_add(struct side_poll *set, int fd, short events)
{
    if (set->count == set->room) {
        unsigned room = set->room ? 2 * set->room : 32;
        struct pollfd *more = room > SIDE_FDS_MAX ? NULL
                                                  : realloc(set->fd, room * sizeof(*set->fd));

        if (!more)
            return -1;
        set->fd = more;
        set->room = room;
    }
    set->fd[set->count] = (struct pollfd){ fd, events, 0 };
    return (int)set->count++;
}

int64_t side_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- Life ------------------------------------------------------------------- */

int side_error(char *why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, NET_WHY_MAX, format, args);
    va_end(args);
    return -1;
}

static bool create(struct net *net)
{
    net->state = calloc(1, net->ops->state_size);
    net->to_host = queue_create(TO_HOST_BYTES);
    net->to_guest = queue_create(TO_GUEST_BYTES);
    net->to_thread = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!net->state || !net->to_host || !net->to_guest || net->to_thread < 0)
        return false;
    ((struct side *)net->state)->net = net;
    return true;
}

static void take_apart(struct net *net)
{
    if (net->to_thread >= 0)
        close(net->to_thread);
    queue_destroy(net->to_host);
    queue_destroy(net->to_guest);
    dump_destroy(net->dump);
    free(net->poll.fd);
    free(net->other.fd);
    pthread_mutex_destroy(&net->lock);
    free(net->state);
    free(net);
}

struct net *net_create(const struct net_config *config, char why[NET_WHY_MAX])
{
    static const struct side_ops *const kinds[] = {
        [NET_USER] = &side_user, [NET_TAP] = &side_tap, [NET_SOCKET] = &side_socket,
    };
    struct net *net = calloc(1, sizeof(*net));

    side_error(why, "no host memory or descriptors for a network; free some");
    if (!net)
        return NULL;
    net->ops = kinds[config->kind];
    pthread_mutex_init(&net->lock, NULL);
    net->device = (struct netdev){ .send = device_send, .ready = device_ready, .host = net,
                                   .link = true };
    memcpy(net->device.mac, config->mac, sizeof(net->device.mac));
    if (!create(net) || net->ops->open(net->state, config, why)) {
        take_apart(net);
        return NULL;
    }
    return net;
}

int net_start(struct net *net)
{
    int err = thread_start(&net->thread, run, net);

    net->started = !err;
    return err;
}

void net_destroy(struct net *net)
{
    if (!net)
        return;
    if (net->started) {
        atomic_store(&net->ending, true);
        signal_fd(net->to_thread);
        pthread_join(net->thread, NULL);
    }
    net->ops->close(net->state);
    take_apart(net);
}

struct netdev *net_device(struct net *net)
{
    return &net->device;
}

void net_set_wake(struct net *net, void (*wake)(void *arg), void *arg)
{
    net->wake = wake;
    net->wake_arg = arg;
}

int net_set_dump(struct net *net, const char *path, uint32_t length)
{
    return dump_create(&net->dump, path, length);
}

struct dump_stats net_dump(const struct net *net)
{
    return net->dump ? dump_stats(net->dump) : (struct dump_stats){ 0 };
}

struct net_counts net_count(const struct net *net)
{
    return (struct net_counts){
        .out_frames = atomic_load(&net->out_frames),
        .out_bytes = atomic_load(&net->out_bytes),
        .in_frames = atomic_load(&net->in_frames),
        .in_bytes = atomic_load(&net->in_bytes),
        .in_dropped = atomic_load(&net->in_dropped),
        .wakes_thread = atomic_load(&net->wakes_thread),
        .wakes_vcpu = atomic_load(&net->wakes_vcpu),
    };
}
