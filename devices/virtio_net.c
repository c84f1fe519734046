/*
 * Virtio network card.
 *
 * Reference: Virtual I/O Device (VIRTIO) 1.0, 5.1.
 * Modelled:  one pair of queues and the control queue: checksums and TCP segments left to do in
 *            both directions, merged receive buffers, MAC and VLAN filters, promiscuous modes, link
 *            state.
 * Not:       several pairs, UDP segments, offloads changed while it runs, announcements.
 */
#include "devices/virtio_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/snap.h"
#include "devices/netdev.h"

/* --- Registers ---------------------------------------------------------- */

/* Features. */
enum {
    F_CSUM = 0,
    F_GUEST_CSUM = 1,
    F_MAC = 5,
    F_GUEST_TSO4 = 7,
    F_GUEST_TSO6 = 8,
    F_HOST_TSO4 = 11,
    F_HOST_TSO6 = 12,
    F_MRG_RXBUF = 15,
    F_STATUS = 16,
    F_CTRL_VQ = 17,
    F_CTRL_RX = 18,
    F_CTRL_VLAN = 19,
    F_CTRL_RX_EXTRA = 20,
    F_CTRL_MAC_ADDR = 23,
};

#define FEATURES                                                                                   \
    (1u << F_CSUM | 1u << F_GUEST_CSUM | 1u << F_MAC | 1u << F_GUEST_TSO4 | 1u << F_GUEST_TSO6 |   \
     1u << F_HOST_TSO4 | 1u << F_HOST_TSO6 | 1u << F_MRG_RXBUF | 1u << F_STATUS |                  \
     1u << F_CTRL_VQ | 1u << F_CTRL_RX | 1u << F_CTRL_VLAN | 1u << F_CTRL_RX_EXTRA |               \
     1u << F_CTRL_MAC_ADDR)

enum { QUEUE_RX, QUEUE_TX, QUEUE_CONTROL, QUEUES };

/* Configuration space. */
enum { CONFIG_MAC = 0, CONFIG_STATUS = 6, CONFIG_SIZE = 8, LINK_UP = 1 };

/* What precedes each frame. */
struct header {
    uint8_t flags, type;
    uint16_t header_size, segment_size, sum_start, sum_offset;
    uint16_t buffers; /* with merged buffers or virtio 1.0 */
};

enum { HEADER_SHORT = 10, HEADER_LONG = 12 };
enum { NEEDS_CSUM = 1, DATA_VALID = 2 };
enum { TYPE_NONE = 0, TYPE_TCP4 = 1, TYPE_TCP6 = 4, TYPE_ECN = 0x80 };

/* Control commands. */
enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_VLAN = 2, CONTROL_OK = 0, CONTROL_ERR = 1 };
enum { RX_PROMISCUOUS, RX_ALL_MULTI, RX_ALL_UNI, RX_NO_MULTI, RX_NO_UNI, RX_NO_BROADCAST,
       RX_MODES };
enum { MAC_TABLE = 0, MAC_SET = 1 };
enum { VLAN_ADD = 0, VLAN_DELETE = 1, VLANS = 4096 };

enum {
    TABLE_MAX = 64,   /* addresses of each kind; with more, all are taken */
    MERGED_MAX = 64,  /* buffers for one frame */
};

/* --- State -------------------------------------------------------------- */

/* Addresses that the driver asked for. */
struct table {
    unsigned count;
    bool overflowed;
    uint8_t mac[TABLE_MAX][6];
};

struct virtio_net {
    struct virtio_pci virtio;
    struct virtio_net_config config;
    bool tx_waits;          /* the host takes no more now */
    bool rx_waits;          /* the host keeps a frame until there are buffers */
    uint8_t mac[6];
    uint8_t mode[RX_MODES]; /* bools */
    struct table uni, multi;
    uint8_t vlan[VLANS / 8];
    struct virtqueue_chain tx;
    struct virtqueue_chain rx[MERGED_MAX];
};

static bool has(const struct virtio_net *net, unsigned feature)
{
    return virtio_pci_has(&net->virtio, feature);
}

static unsigned header_size(const struct virtio_net *net)
{
    return has(net, F_MRG_RXBUF) || has(net, VIRTIO_F_VERSION_1) ? HEADER_LONG : HEADER_SHORT;
}

/* --- Guest to host ------------------------------------------------------ */

/* False: what this card has not offered. */
static bool offload_of(const struct header *header, struct netdev_offload *offload)
{
    *offload = (struct netdev_offload){ 0 };
    if (header->flags & NEEDS_CSUM) {
        if (header->sum_start + header->sum_offset > UINT16_MAX)
            return false;
        offload->checksum = true;
        offload->sum_from = header->sum_start;
        offload->sum_at = (uint16_t)(header->sum_start + header->sum_offset);
    }
    switch (header->type & ~TYPE_ECN) {
    case TYPE_NONE: return true;
    case TYPE_TCP4: offload->segments = NETDEV_TCP4; break;
    case TYPE_TCP6: offload->segments = NETDEV_TCP6; break;
    default: return false;
    }
    offload->segment_size = header->segment_size;
    offload->header_size = header->header_size;
    return true;
}

/* False: the host takes no more now. What makes no sense is dropped. */
static bool send_chain(struct virtio_net *net)
{
    struct iovec frame[VIRTQUEUE_SEGMENTS_MAX];
    struct netdev *cable = net->config.cable;
    struct netdev_offload offload;
    struct header header = { 0 };
    unsigned skip = header_size(net), count;

    if (net->tx.out_size < skip + NETDEV_FRAME_MIN || net->tx.out_size > skip + NETDEV_FRAME_MAX ||
        virtqueue_read(&net->tx, 0, &header, skip) != skip || !offload_of(&header, &offload))
        return true;
    count = virtqueue_slice(net->tx.iov, net->tx.out_count, skip, net->tx.out_size - skip, frame,
                            VIRTQUEUE_SEGMENTS_MAX);
    return cable->send(cable->host, frame, count, &offload);
}

static void transmit(struct virtio_net *net)
{
    unsigned n = 0;

    net->tx_waits = false;
    for (; n < VIRTQUEUE_SIZE_MAX && virtio_pci_pop(&net->virtio, QUEUE_TX, &net->tx); n++) {
        if (!send_chain(net)) {
            virtio_pci_unpop(&net->virtio, QUEUE_TX);
            net->tx_waits = true;
            break;
        }
        virtio_pci_push(&net->virtio, QUEUE_TX, &net->tx, 0);
    }
    if (n)
        virtio_pci_signal(&net->virtio, QUEUE_TX);
}

static void chip_room(void *chip)
{
    struct virtio_net *net = chip;

    if (net->tx_waits)
        transmit(net);
}

/* --- Filters ------------------------------------------------------------ */

static bool in_table(const struct table *table, const uint8_t *mac)
{
    for (unsigned i = 0; i < table->count; i++)
        if (!memcmp(table->mac[i], mac, 6))
            return true;
    return table->overflowed;
}

static bool wants_address(const struct virtio_net *net, const uint8_t *to)
{
    static const uint8_t broadcast[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const uint8_t *mode = net->mode;

    if (mode[RX_PROMISCUOUS])
        return true;
    if (!memcmp(to, broadcast, 6))
        return !mode[RX_NO_BROADCAST];
    if (to[0] & 1)
        return !mode[RX_NO_MULTI] && (mode[RX_ALL_MULTI] || in_table(&net->multi, to));
    if (mode[RX_NO_UNI])
        return false;
    return mode[RX_ALL_UNI] || !memcmp(to, net->mac, 6) || in_table(&net->uni, to);
}

static bool wants(const struct virtio_net *net, const uint8_t *frame, size_t size)
{
    unsigned vlan;

    if (size < NETDEV_FRAME_MIN)
        return false;
    if (has(net, F_CTRL_VLAN) && size >= 16 && frame[12] == 0x81 && !frame[13]) {
        vlan = (frame[14] & 15u) << 8 | frame[15];
        if (!(net->vlan[vlan / 8] >> vlan % 8 & 1))
            return false;
    }
    return wants_address(net, frame);
}

/* --- Host to guest ------------------------------------------------------ */

static struct header header_of(const struct virtio_net *net, const struct netdev_offload *offload)
{
    static const uint8_t types[] = { TYPE_NONE, TYPE_TCP4, TYPE_TCP6 };
    struct header header = { .type = types[offload->segments] };

    if (offload->checksum) {
        header.flags = NEEDS_CSUM;
        header.sum_start = offload->sum_from;
        header.sum_offset = offload->sum_at - offload->sum_from;
    } else if (offload->verified && has(net, F_GUEST_CSUM)) {
        header.flags = DATA_VALID;
    }
    if (offload->segments != NETDEV_WHOLE) {
        header.segment_size = offload->segment_size;
        header.header_size = offload->header_size;
    }
    return header;
}

static void put_back(struct virtio_net *net, unsigned count)
{
    while (count--)
        virtio_pci_unpop(&net->virtio, QUEUE_RX);
}

/* Takes buffers for so many bytes. 0: there are not enough of them now, or ever (*never). */
static unsigned gather(struct virtio_net *net, size_t size, bool *never)
{
    unsigned most = has(net, F_MRG_RXBUF) ? MERGED_MAX : 1, n = 0;
    uint64_t room = 0;

    *never = false;
    while (room < size && n < most) {
        if (!virtio_pci_pop(&net->virtio, QUEUE_RX, &net->rx[n]))
            break;
        room += net->rx[n++].in_size;
    }
    if (room >= size)
        return n;
    *never = n == most;
    put_back(net, n);
    return 0;
}

/* [at, at + size) of a header of skip bytes and the frame, into one buffer from its start on. */
static void fill(struct virtio_net *net, const struct virtqueue_chain *chain,
                 const struct header *header, unsigned skip, const uint8_t *frame, size_t at,
                 size_t size)
{
    struct virtqueue *vq = &net->virtio.queue[QUEUE_RX];
    size_t head = at >= skip ? 0 : size < skip - at ? size : skip - at;

    virtqueue_write(vq, chain, 0, (const uint8_t *)header + at, head);
    if (size > head)
        virtqueue_write(vq, chain, head, frame + at + head - skip, size - head);
}

static void scatter(struct virtio_net *net, unsigned count, const struct header *header,
                    const uint8_t *frame, size_t size)
{
    unsigned skip = header_size(net);
    size_t at = 0, all = skip + size;

    for (unsigned i = 0; i < count; i++) {
        size_t part = all - at < net->rx[i].in_size ? all - at : (size_t)net->rx[i].in_size;

        fill(net, &net->rx[i], header, skip, frame, at, part);
        virtio_pci_push(&net->virtio, QUEUE_RX, &net->rx[i], (uint32_t)part);
        at += part;
    }
}

static bool chip_receive(void *chip, const uint8_t *frame, size_t size,
                         const struct netdev_offload *offload)
{
    struct virtio_net *net = chip;
    struct header header;
    unsigned count;
    bool never;

    net->rx_waits = false;
    if (!virtio_pci_is_live(&net->virtio) || !net->virtio.queue[QUEUE_RX].started ||
        !wants(net, frame, size))
        return true;
    count = gather(net, header_size(net) + size, &never);
    if (!count && !never && virtio_pci_is_live(&net->virtio)) {
        net->rx_waits = true;
        return false;
    }
    if (!count)
        return true;
    header = header_of(net, offload);
    header.buffers = (uint16_t)count;
    scatter(net, count, &header, frame, size);
    virtio_pci_signal(&net->virtio, QUEUE_RX);
    return true;
}

/* --- The control queue -------------------------------------------------- */

static bool control_mode(struct virtio_net *net, uint8_t command)
{
    uint8_t on;

    if (command >= RX_MODES || virtqueue_read(&net->tx, 2, &on, 1) != 1)
        return false;
    net->mode[command] = !!on;
    return true;
}

/* Reads one of the two tables at byte *at. */
static bool read_table(struct virtio_net *net, struct table *table, uint64_t *at)
{
    uint32_t count;

    if (virtqueue_read(&net->tx, *at, &count, 4) != 4 ||
        *at + 4 + 6ull * count > net->tx.out_size)
        return false;
    table->overflowed = count > TABLE_MAX;
    table->count = table->overflowed ? 0 : count;
    virtqueue_read(&net->tx, *at + 4, table->mac, 6ull * table->count);
    *at += 4 + 6ull * count;
    return true;
}

static bool control_mac(struct virtio_net *net, uint8_t command)
{
    uint64_t at = 2;

    if (command == MAC_TABLE)
        return read_table(net, &net->uni, &at) && read_table(net, &net->multi, &at);
    if (command != MAC_SET || virtqueue_read(&net->tx, 2, net->mac, 6) != 6)
        return false;
    memcpy(net->virtio.config + CONFIG_MAC, net->mac, 6);
    return true;
}

static bool control_vlan(struct virtio_net *net, uint8_t command)
{
    uint16_t vlan;

    if (virtqueue_read(&net->tx, 2, &vlan, 2) != 2 || vlan >= VLANS || command > VLAN_DELETE)
        return false;
    if (command == VLAN_ADD)
        net->vlan[vlan / 8] |= (uint8_t)(1 << vlan % 8);
    else
        net->vlan[vlan / 8] &= (uint8_t)~(1 << vlan % 8);
    return true;
}

static bool control_command(struct virtio_net *net)
{
    uint8_t head[2];

    if (virtqueue_read(&net->tx, 0, head, sizeof(head)) != sizeof(head))
        return false;
    switch (head[0]) {
    case CLASS_RX: return control_mode(net, head[1]);
    case CLASS_MAC: return control_mac(net, head[1]);
    case CLASS_VLAN: return control_vlan(net, head[1]);
    default: return false;
    }
}

static void control(struct virtio_net *net)
{
    for (unsigned n = 0; n < VIRTQUEUE_SIZE_MAX; n++) {
        uint8_t answer;
        size_t written;

        if (!virtio_pci_pop(&net->virtio, QUEUE_CONTROL, &net->tx))
            break;
        answer = control_command(net) ? CONTROL_OK : CONTROL_ERR;
        written = virtqueue_write(&net->virtio.queue[QUEUE_CONTROL], &net->tx, 0, &answer, 1);
        virtio_pci_push(&net->virtio, QUEUE_CONTROL, &net->tx, (uint32_t)written);
    }
    virtio_pci_signal(&net->virtio, QUEUE_CONTROL);
}

/* --- The transport's calls ---------------------------------------------- */

static void notify(void *dev, unsigned queue)
{
    struct virtio_net *net = dev;

    if (queue == QUEUE_TX)
        transmit(net);
    else if (queue == QUEUE_CONTROL)
        control(net);
    else if (net->rx_waits)
        net->config.cable->ready(net->config.cable->host);
}

static void set_link(struct virtio_net *net)
{
    virtio_pci_put(&net->virtio, CONFIG_STATUS, 2, net->config.cable->link ? LINK_UP : 0);
}

static void reset(void *dev)
{
    struct virtio_net *net = dev;

    net->config.cable->takes = 0;
    net->tx_waits = false;
    memset(net->mode, 0, sizeof(net->mode));
    net->mode[RX_PROMISCUOUS] = 1; /* until a driver says what it wants */
    net->uni = net->multi = (struct table){ 0 };
    memset(net->vlan, 0, sizeof(net->vlan));
    memcpy(net->mac, net->config.cable->mac, 6);
    memcpy(net->virtio.config + CONFIG_MAC, net->mac, 6);
    set_link(net);
    if (net->rx_waits) /* dropped, then */
        net->config.cable->ready(net->config.cable->host);
    net->rx_waits = false;
}

static void set_takes(struct virtio_net *net)
{
    unsigned takes = 0;

    if (has(net, F_GUEST_CSUM)) {
        takes = NETDEV_TAKES_CHECKSUM;
        takes |= has(net, F_GUEST_TSO4) ? NETDEV_TAKES_TCP4 : 0;
        takes |= has(net, F_GUEST_TSO6) ? NETDEV_TAKES_TCP6 : 0;
    }
    net->config.cable->takes = takes;
}

static void start(void *dev)
{
    struct virtio_net *net = dev;

    set_takes(net);
    if (has(net, F_CTRL_RX)) /* the driver will say */
        net->mode[RX_PROMISCUOUS] = 0;
}

static void config_written(void *dev, unsigned at, unsigned size)
{
    struct virtio_net *net = dev;

    if (at < CONFIG_MAC + 6 && size)
        memcpy(net->mac, net->virtio.config + CONFIG_MAC, 6);
}

static const uint16_t queue_sizes[QUEUES] = { 256, 256, 256 };

static const struct virtio_pci_class class = {
    .name = "virtio-net",
    .type = VIRTIO_NET,
    .pci_class = { 0x00, 0x00, 0x02 },
    .queues = QUEUES,
    .queue_size = queue_sizes,
    .config_size = CONFIG_SIZE,
    .notify = notify,
    .reset = reset,
    .start = start,
    .config_written = config_written,
};

/* --- Life --------------------------------------------------------------- */

static void link_changed(void *chip)
{
    struct virtio_net *net = chip;

    set_link(net);
    virtio_pci_config_changed(&net->virtio);
}

struct virtio_net *virtio_net_create(const struct virtio_net_config *config)
{
    struct virtio_net *net = calloc(1, sizeof(*net));
    struct netdev *cable = config->cable;
    int err;

    if (!net)
        return NULL;
    net->config = *config;
    pci_rom_install(&net->virtio.function, &net->config.rom);
    memset(net->virtio.config_writable, 0xff, 6); /* legacy drivers set the address there */
    err = virtio_pci_attach(&net->virtio,
                            &(struct virtio_pci_config){ &class, net, FEATURES, config->mode,
                                                         config->mem, config->bus, config->slot });
    if (err) {
        free(net);
        errno = -err;
        return NULL;
    }
    reset(net);
    cable->chip = net;
    cable->receive = chip_receive;
    cable->room = chip_room;
    cable->link_changed = link_changed;
    return net;
}

void virtio_net_destroy(struct virtio_net *net)
{
    struct netdev *cable = net->config.cable;

    cable->receive = NULL;
    cable->room = NULL;
    cable->link_changed = NULL;
    virtio_pci_detach(&net->virtio);
    free(net);
}

void virtio_net_reset(struct virtio_net *net)
{
    virtio_pci_reset(&net->virtio);
}

static void snapshot_table(struct table *table, struct snap *snap)
{
    snap_bytes(snap, &table->count, sizeof(table->count));
    snap_bytes(snap, &table->overflowed, sizeof(table->overflowed));
    snap_bytes(snap, table->mac, sizeof(table->mac));
}

void virtio_net_snapshot(struct virtio_net *net, struct snap *snap)
{
    virtio_pci_snapshot(&net->virtio, snap);
    snap_bytes(snap, net->mac, sizeof(net->mac));
    snap_bytes(snap, net->mode, sizeof(net->mode));
    snapshot_table(&net->uni, snap);
    snapshot_table(&net->multi, snap);
    snap_bytes(snap, net->vlan, sizeof(net->vlan));
    if (!snap->loading)
        return;
    set_takes(net);
    net->tx_waits = true; /* look at the queues again */
    net->rx_waits = true;
}
