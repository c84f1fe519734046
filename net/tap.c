/*
 * A tap interface of the host, which the user (or an administrator, for the user) has set up.
 *
 * With the kernel's virtio header, large segments and missing checksums pass in both directions.
 *
 * Reference: Linux, Documentation/networking/tuntap.rst; virtio 1.0, 5.1.6.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/segment.h"
#include "net/side.h"

enum { BURST = 64 };

struct tap {
    struct side side;
    int fd;
    bool headers; /* each frame has a struct virtio_net_hdr before it */
    bool stuck;   /* the kernel takes no more now */
    int entry;    /* in the poll set, or -1 */
};

/* --- Headers ---------------------------------------------------------------- */

static struct virtio_net_hdr header_of(const struct netdev_offload *offload)
{
    static const uint8_t types[] = { VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4,
                                     VIRTIO_NET_HDR_GSO_TCPV6 };
    struct virtio_net_hdr header = { .gso_type = types[offload->segments] };

    if (offload->checksum) {
        header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header.csum_start = offload->sum_from;
        header.csum_offset = (uint16_t)(offload->sum_at - offload->sum_from);
    }
    if (offload->segments != NETDEV_WHOLE) {
        header.gso_size = offload->segment_size;
        header.hdr_len = offload->header_size;
    }
    return header;
}

/* False: what we have not asked for. */
static bool offload_of(const struct virtio_net_hdr *header, struct netdev_offload *offload)
{
    unsigned type = header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

    *offload = (struct netdev_offload){ .verified = header->flags & VIRTIO_NET_HDR_F_DATA_VALID };
    if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        offload->checksum = true;
        offload->sum_from = header->csum_start;
        offload->sum_at = (uint16_t)(header->csum_start + header->csum_offset);
    }
    if (type == VIRTIO_NET_HDR_GSO_NONE)
        return true;
    offload->segments = type == VIRTIO_NET_HDR_GSO_TCPV6 ? NETDEV_TCP6 : NETDEV_TCP4;
    offload->segment_size = header->gso_size;
    offload->header_size = header->hdr_len;
    return type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
}

/* --- Frames ----------------------------------------------------------------- */

static bool put(struct tap *tap, const uint8_t *frame, size_t size,
                const struct netdev_offload *offload)
{
    struct virtio_net_hdr header = header_of(offload);
    struct iovec iov[] = { { &header, sizeof(header) }, { (void *)frame, size } };
    ssize_t n = tap->headers ? writev(tap->fd, iov, 2) : write(tap->fd, frame, size);

    tap->stuck = n < 0 && (errno == EAGAIN || errno == ENOBUFS);
    return !tap->stuck; /* down, or a frame that the kernel does not like: lost, as on a wire */
}

static void put_segment(void *arg, const uint8_t *frame, size_t size)
{
    put(arg, frame, size, &(struct netdev_offload){ 0 });
}

static bool tap_output(void *state, uint8_t *frame, size_t size, struct netdev_offload *offload)
{
    struct tap *tap = state;

    if (tap->headers)
        return put(tap, frame, size, offload);
    if (offload->segments != NETDEV_WHOLE) {
        segment_cut(frame, size, offload, put_segment, tap);
        return true;
    }
    segment_finish(frame, size, offload);
    *offload = (struct netdev_offload){ 0 };
    return put(tap, frame, size, offload);
}

static bool get(struct tap *tap)
{
    struct netdev_offload offload = { 0 };
    struct virtio_net_hdr header = { 0 };
    uint8_t *room = side_room(&tap->side, NETDEV_FRAME_MAX);
    struct iovec iov[] = { { &header, sizeof(header) }, { room, NETDEV_FRAME_MAX } };
    size_t skip = tap->headers ? sizeof(header) : 0;
    ssize_t n;

    if (!room)
        return false;
    n = tap->headers ? readv(tap->fd, iov, 2) : read(tap->fd, room, NETDEV_FRAME_MAX);
    if (n <= (ssize_t)skip)
        return false;
    if (offload_of(&header, &offload) && segment_is_sane(room, (size_t)n - skip, &offload))
        side_input(&tap->side, (size_t)n - skip, &offload);
    else
        side_dropped(&tap->side);
    return true;
}

static void tap_fill(void *state, struct side_poll *poll, bool full)
{
    struct tap *tap = state;
    short events = (short)((full ? 0 : POLLIN) | (tap->stuck ? POLLOUT : 0));

    tap->entry = events ? side_poll_add(poll, tap->fd, events) : -1;
}

static void tap_polled(void *state, const struct side_poll *poll)
{
    struct tap *tap = state;

    if (tap->entry < 0 || !(poll->fd[tap->entry].revents & (POLLIN | POLLERR)))
        return;
    for (unsigned i = 0; i < BURST && get(tap); i++)
        continue;
}

/* --- Life ------------------------------------------------------------------- */

static int open_error(char *why, int err)
{
    if (err == ENOENT || err == ENODEV)
        return side_error(why, "-nic tap: this host has no /dev/net/tun: %s; load its module (as "
                               "root: modprobe tun), or use -nic user", strerror(err));
    return side_error(why, "-nic tap: cannot open /dev/net/tun: %s; ask for the right to, or use "
                           "-nic user", strerror(err));
}

static int interface_error(char *why, const char *name, int err)
{
    switch (err) {
    case EPERM:
        return side_error(why, "-nic tap: '%s' may not be used by this user: %s; as root: ip "
                               "tuntap add dev %s mode tap user NAME", name, strerror(err), name);
    case EBUSY:
        return side_error(why, "-nic tap: '%s' is in use; end the program that has it, or name "
                               "another interface", name);
    case EINVAL:
        return side_error(why, "-nic tap: '%s' is not a tap interface; name one that is", name);
    default:
        return side_error(why, "-nic tap: '%s': %s; name another interface", name, strerror(err));
    }
}

/* For root the kernel would make one, which leads nowhere. */
static int no_interface(char *why, const char *name)
{
    return side_error(why, "-nic tap: there is no interface '%s'; as root: ip tuntap add dev %s "
                           "mode tap user NAME", name, name);
}

static int set_up(struct tap *tap, const char *name, char *why)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    int size = sizeof(struct virtio_net_hdr);

    strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
    tap->headers = !ioctl(tap->fd, TUNSETIFF, &ifr);
    if (!tap->headers) {
        ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
        if (ioctl(tap->fd, TUNSETIFF, &ifr))
            return interface_error(why, name, errno);
    }
    if (tap->headers)
        ioctl(tap->fd, TUNSETVNETHDRSZ, &size);
    /* Refused: then nothing large comes, that is all. */
    if (tap->headers)
        ioctl(tap->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
    return 0;
}

static int tap_open(void *state, const struct net_config *config, char *why)
{
    struct tap *tap = state;

    if (strlen(config->interface) >= IFNAMSIZ)
        return side_error(why, "-nic tap: '%.100s' is too long for an interface's name",
                          config->interface);
    if (!if_nametoindex(config->interface))
        return no_interface(why, config->interface);
    tap->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tap->fd < 0)
        return open_error(why, errno);
    if (!set_up(tap, config->interface, why))
        return 0;
    close(tap->fd);
    return -1;
}

static void tap_close(void *state)
{
    close(((struct tap *)state)->fd);
}

const struct side_ops side_tap = {
    .name = "tap",
    .state_size = sizeof(struct tap),
    .open = tap_open,
    .fill = tap_fill,
    .polled = tap_polled,
    .output = tap_output,
    .close = tap_close,
};
