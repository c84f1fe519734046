/*
 * User networking: libslirp is the guest's gateway (10.0.2.2, unless told otherwise), DHCP, DNS
 * (10.0.2.3) and TFTP server and speaks to the world by ordinary sockets of this process.
 *
 * libslirp takes TCP segments up to an IP packet's 65535 bytes, so a guest's large segments go in
 * as they are, with their checksum filled in. What it sends are segments of the guest's MSS; those
 * of one stream that come one after the other are joined (segment.h).
 *
 * Reference: libslirp.h 4.7. Not: guest forwards, SMB.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "net/segment.h"
#include "net/side.h"

enum { TIMERS_MAX = 4 };

struct slirp_timer {
    SlirpTimerCb fire;
    void *arg;
    int64_t due_ms; /* 0: not set */
    bool used;
};

struct user {
    struct side side;
    Slirp *slirp;
    const struct side_poll *poll;
    struct slirp_timer timer[TIMERS_MAX];
    struct joined joined; /* being made in the queue's room */
    bool asked;           /* fill() has asked libslirp, so polled() must tell it */
};

/* --- To the guest --------------------------------------------------------- */

static void flush(struct user *user)
{
    struct netdev_offload offload;

    if (!user->joined.size)
        return;
    offload = join_end(&user->joined);
    side_input(&user->side, user->joined.size, &offload);
    user->joined.size = 0;
}

static ssize_t send_packet(const void *frame, size_t size, void *opaque)
{
    struct user *user = opaque;

    if (join_add(&user->joined, frame, size))
        return (ssize_t)size;
    flush(user);
    if (size < NETDEV_FRAME_MIN || size > NETDEV_FRAME_MAX)
        return (ssize_t)size;
    user->joined.frame = side_room(&user->side, NETDEV_FRAME_MAX);
    if (!user->joined.frame) {
        side_dropped(&user->side);
        return (ssize_t)size;
    }
    memcpy(user->joined.frame, frame, size);
    join_start(&user->joined, size);
    return (ssize_t)size;
}

/* --- What libslirp asks of us --------------------------------------------- */

static void guest_error(const char *text, void *opaque)
{
    (void)text;
    (void)opaque;
}

static int64_t clock_ns(void *opaque)
{
    struct timespec now;

    (void)opaque;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *timer_new(SlirpTimerCb fire, void *arg, void *opaque)
{
    struct user *user = opaque;

    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        if (!user->timer[i].used) {
            user->timer[i] = (struct slirp_timer){ .fire = fire, .arg = arg, .used = true };
            return &user->timer[i];
        }
    }
    return NULL;
}

static void timer_free(void *timer, void *opaque)
{
    (void)opaque;
    if (timer)
        ((struct slirp_timer *)timer)->used = false;
}

static void timer_mod(void *timer, int64_t due_ms, void *opaque)
{
    (void)opaque;
    if (timer)
        ((struct slirp_timer *)timer)->due_ms = due_ms;
}

static void fire_timers(struct user *user)
{
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        struct slirp_timer *timer = &user->timer[i];

        if (!timer->used || !timer->due_ms || timer->due_ms > side_now_ms())
            continue;
        timer->due_ms = 0;
        timer->fire(timer->arg);
    }
}

static void ignore_fd(int fd, void *opaque)
{
    (void)fd;
    (void)opaque;
}

/* Only ever called on our own thread, which looks anyway. */
static void notify(void *opaque)
{
    (void)opaque;
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = ignore_fd,
    .unregister_poll_fd = ignore_fd,
    .notify = notify,
};

/* --- The loop -------------------------------------------------------------- */

static int add_poll(int fd, int events, void *opaque)
{
    short wanted = 0;

    if (events & SLIRP_POLL_IN)
        wanted |= POLLIN;
    if (events & SLIRP_POLL_OUT)
        wanted |= POLLOUT;
    if (events & SLIRP_POLL_PRI)
        wanted |= POLLPRI;
    return side_poll_add(opaque, fd, wanted);
}

static int get_revents(int index, void *opaque)
{
    struct user *user = opaque;
    int events = 0, ready;

    if (index < 0)
        return 0;
    ready = user->poll->fd[index].revents;
    if (ready & POLLIN)
        events |= SLIRP_POLL_IN;
    if (ready & POLLOUT)
        events |= SLIRP_POLL_OUT;
    if (ready & POLLPRI)
        events |= SLIRP_POLL_PRI;
    if (ready & POLLERR)
        events |= SLIRP_POLL_ERR;
    if (ready & POLLHUP)
        events |= SLIRP_POLL_HUP;
    return events;
}

static void lower(struct side_poll *poll, int64_t ms)
{
    if (ms < poll->deadline_ms)
        poll->deadline_ms = ms;
}

static void user_fill(void *state, struct side_poll *poll, bool full)
{
    struct user *user = state;
    uint32_t timeout = UINT32_MAX;

    flush(user); /* what libslirp sent while it took the guest's frames */
    user->asked = !full;
    if (full)
        return;
    slirp_pollfds_fill(user->slirp, &timeout, add_poll, poll);
    if (timeout != UINT32_MAX)
        lower(poll, side_now_ms() + timeout);
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        if (user->timer[i].used && user->timer[i].due_ms)
            lower(poll, user->timer[i].due_ms);
}

static void user_polled(void *state, const struct side_poll *poll)
{
    struct user *user = state;

    if (!user->asked)
        return;
    user->poll = poll;
    slirp_pollfds_poll(user->slirp, 0, get_revents, user);
    fire_timers(user);
    flush(user);
}

static bool user_output(void *state, uint8_t *frame, size_t size, struct netdev_offload *offload)
{
    struct user *user = state;

    segment_finish(frame, size, offload);
    slirp_input(user->slirp, frame, (int)size);
    return true;
}

/* --- Life ------------------------------------------------------------------- */

static bool belongs(const struct net_user *user, uint32_t address)
{
    uint32_t part = address & ~user->mask;

    return (address & user->mask) == user->network && part && part != ~user->mask;
}

bool net_user_complete(struct net_user *user)
{
    if (!user->network) {
        user->network = inet_addr("10.0.2.0");
        user->mask = inet_addr("255.255.255.0");
    }
    if (!user->host)
        user->host = user->network | htonl(2);
    if (!user->dns)
        user->dns = user->network | htonl(3);
    if (!user->dhcp_start)
        user->dhcp_start = user->network | htonl(15);
    return belongs(user, user->host) && belongs(user, user->dns) &&
           belongs(user, user->dhcp_start) && user->host != user->dns &&
           user->host != user->dhcp_start && user->dns != user->dhcp_start;
}

static SlirpConfig settings(const struct net_user *config)
{
    SlirpConfig s = {
        .version = 1,
        .restricted = config->restricted,
        .in_enabled = true,
        .vnetwork = { config->network },
        .vnetmask = { config->mask },
        .vhost = { config->host },
        .vdhcp_start = { config->dhcp_start },
        .vnameserver = { config->dns },
        .in6_enabled = !config->no_ip6,
        .vprefix_len = 64,
        .vhostname = config->host_name,
        .tftp_path = config->tftp,
        .bootfile = config->boot_file,
    };

    inet_pton(AF_INET6, "fec0::", &s.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &s.vhost6);
    inet_pton(AF_INET6, "fec0::3", &s.vnameserver6);
    return s;
}

static const char *advice(int err)
{
    switch (err) {
    case EADDRINUSE: return "choose another port, or end the program that has it";
    case EACCES: return "choose a port above 1023";
    case EADDRNOTAVAIL: return "name an address of this machine, or none";
    default: return "choose another one";
    }
}

static int forward(struct user *user, const struct net_forward *f, char *why)
{
    struct in_addr host = { f->host_address }, guest = { f->guest_address };
    char name[INET_ADDRSTRLEN];

    errno = 0;
    if (!slirp_add_hostfwd(user->slirp, f->udp, host, f->host_port, guest, f->guest_port))
        return 0;
    return side_error(why, "-nic user: hostfwd: cannot take %s port %u of %s: %s; %s",
                      f->udp ? "UDP" : "TCP", f->host_port,
                      inet_ntop(AF_INET, &host, name, sizeof(name)), strerror(errno),
                      advice(errno));
}

static int check_tftp(const char *path, char *why)
{
    struct stat st;

    if (!path)
        return 0;
    if (!stat(path, &st) && !S_ISDIR(st.st_mode))
        return side_error(why, "-nic user: tftp: '%.200s' is not a directory; name the one it is "
                               "in", path);
    if (access(path, R_OK | X_OK))
        return side_error(why, "-nic user: tftp: cannot read '%.200s': %s; name a directory", path,
                          strerror(errno));
    return 0;
}

static int user_open(void *state, const struct net_config *config, char *why)
{
    struct user *user = state;
    struct net_user wanted = config->user;
    SlirpConfig s;

    if (check_tftp(wanted.tftp, why))
        return -1;
    if (!net_user_complete(&wanted))
        return side_error(why, "-nic user: the addresses do not go together");
    s = settings(&wanted);
    user->slirp = slirp_new(&s, &callbacks, user);
    if (!user->slirp)
        return side_error(why, "-nic user: libslirp does not start; is the boot file's or the "
                               "host's name too long?");
    for (unsigned i = 0; i < config->user.forwards; i++) {
        if (forward(user, &config->user.forward[i], why)) {
            slirp_cleanup(user->slirp);
            return -1;
        }
    }
    return 0;
}

static void user_close(void *state)
{
    slirp_cleanup(((struct user *)state)->slirp);
}

const struct side_ops side_user = {
    .name = "user",
    .state_size = sizeof(struct user),
    .direct = true,
    .open = user_open,
    .fill = user_fill,
    .polled = user_polled,
    .output = user_output,
    .close = user_close,
};
