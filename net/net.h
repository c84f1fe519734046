/*
 * The host sides of network cables: user networking (libslirp), a tap interface, a line to another
 * novt. Each has a thread of its own between two queues of frames (docs/decisions/0011); the chip
 * sees a struct netdev, whose calls stay on the vcpu's thread.
 *
 *  N1. Everything that needs a name, a permission or a free port is asked for by net_create().
 *  N2. A guest that sends faster than the host takes is told to wait (netdev.send says no); what
 *      comes faster than the guest takes waits in the queue, then in the host's sockets.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/dump.h"

struct net;
struct netdev;

enum net_kind { NET_USER, NET_TAP, NET_SOCKET };

enum { NET_FORWARDS_MAX = 16 };

/* A host port whose connections or datagrams go to the guest. Addresses are IPv4's, in network
 * order; guest_address 0: the one that DHCP gives. */
struct net_forward {
    bool udp;
    uint32_t host_address, guest_address;
    uint16_t host_port, guest_port; /* in host order */
};

struct net_user {
    struct net_forward forward[NET_FORWARDS_MAX];
    unsigned forwards;
    /* IPv4's, in network order; 0: libslirp's usual ones, see net_user_complete(). */
    uint32_t network, mask, host, dhcp_start, dns;
    bool restricted;       /* the guest reaches nothing but what is forwarded to it */
    bool no_ip6;
    const char *tftp;      /* a directory that is served; NULL: none */
    const char *boot_file; /* what DHCP names; NULL: none */
    const char *host_name; /* likewise */
};

/* Fills in the addresses that are 0: network 10.0.2.0/24, and in it host 2, dns 3, dhcp_start 15.
 * False: one is outside of the network, or two are the same. */
bool net_user_complete(struct net_user *user);

enum net_socket_kind { NET_LISTEN, NET_CONNECT, NET_PATH };

struct net_socket {
    enum net_socket_kind kind;
    uint32_t address;  /* IPv4, in network order */
    uint16_t port;     /* in host order */
    const char *path;  /* NET_PATH: of a UNIX socket; who comes first listens */
};

/* Strings and structs stay the caller's until net_create() is back; paths until net_destroy(). */
struct net_config {
    enum net_kind kind;
    uint8_t mac[6];
    struct net_user user;
    const char *interface; /* NET_TAP */
    struct net_socket socket;
};

enum { NET_WHY_MAX = 512 };

/* NULL: why has a sentence for the user that names the thing and says what to do about it. */
struct net *net_create(const struct net_config *config, char why[NET_WHY_MAX]);
/* Starts the thread; signals are blocked in it. 0 or -errno. */
int net_start(struct net *net);
void net_destroy(struct net *net);

/* What the chip is plugged into. */
struct netdev *net_device(struct net *net);

/* Before net_start(): wake(arg) is called on any thread, and net_ready() is to follow on the
 * vcpu's, soon, but not from inside wake(). */
void net_set_wake(struct net *net, void (*wake)(void *arg), void *arg);
void net_ready(struct net *net);

/* The machine was reset: what was on its way to the guest is dropped. */
void net_reset(struct net *net);

/* The thread counts these; they may be read at any time. */
struct net_counts {
    uint64_t out_frames, out_bytes, in_frames, in_bytes; /* out: from the guest */
    uint64_t in_dropped;
    uint64_t wakes_thread, wakes_vcpu; /* system calls made to tell the other side */
};
struct net_counts net_count(const struct net *net);

/* Before net_start(): all frames go to this file, too, see dump.h. 0 or -errno. */
int net_set_dump(struct net *net, const char *path, uint32_t length);
/* How that file is doing; all 0 without one. */
struct dump_stats net_dump(const struct net *net);

#endif
