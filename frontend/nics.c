/* Cables: their threads are net/'s; here they meet the vcpu's thread. */
#include "frontend/nics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

#include "base/output.h"
#include "devices/netdev.h"
#include "frontend/config_nic.h"
#include "frontend/confine.h"
#include "frontend/error.h"
#include "frontend/poller.h"

enum { ROM_MAX = 256 << 10 };

struct card {
    struct net *net;
    struct poller *poller;
    struct poller_call call;
    enum net_kind kind;
    const char *dump; /* the specs' */
    bool e1000;
    uint8_t *rom;
    uint32_t rom_size;
};

struct nics {
    struct poller *poller;
    struct card card[NICS_MAX];
    unsigned count;
};

static void ready(void *arg)
{
    net_ready(arg);
}

/* On the cable's thread. */
static void wake(void *arg)
{
    struct card *card = arg;

    poller_call(card->poller, &card->call);
}

/* Behind its own libslirp every guest may have the same one; on a shared wire none may. */
static void make_mac(const struct nic_spec *spec, unsigned card, uint8_t mac[6])
{
    static const uint8_t usual[] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

    memcpy(mac, spec->has_mac ? spec->net.mac : usual, 6);
    if (spec->has_mac)
        return;
    if (spec->net.kind == NET_USER || getrandom(mac + 3, 3, 0) != 3)
        mac[5] = (uint8_t)(mac[5] + card);
}

/* Firmware runs an image only for the device that it names: that of virtio 1.0, where our card has
 * the number of those that know the older interface, too. Byte 6 of iPXE's images is their
 * sum's. */
static void name_device(uint8_t *rom, uint32_t size)
{
    enum { PCIR_AT = 0x18, DEVICE = 6, MODERN = 0x1041, TRANSITIONAL = 0x1000 };
    unsigned at = size > PCIR_AT + 1 ? rom[PCIR_AT] | rom[PCIR_AT + 1] << 8 : 0;
    uint8_t *device = rom + at + DEVICE;

    if (!at || at + DEVICE + 2u > size || (device[0] | device[1] << 8) != MODERN)
        return;
    rom[6] += device[0] + device[1] - (TRANSITIONAL & 0xff) - (TRANSITIONAL >> 8);
    device[0] = TRANSITIONAL & 0xff;
    device[1] = TRANSITIONAL >> 8;
}

/* iPXE as Debian's ipxe-qemu has it, for firmware that boots from the network. */
static void read_rom(struct card *card)
{
    static const char *const paths[] = { "/usr/lib/ipxe/qemu/pxe-virtio.rom",
                                         "/usr/lib/ipxe/qemu/pxe-e1000.rom" };
    FILE *file = fopen(paths[card->e1000], "re");

    card->rom = file ? malloc(ROM_MAX) : NULL;
    if (card->rom)
        card->rom_size = (uint32_t)fread(card->rom, 1, ROM_MAX, file);
    if (card->rom && !card->e1000)
        name_device(card->rom, card->rom_size);
    if (file)
        fclose(file);
}

static int set_dump(struct card *card, const struct nic_spec *spec, struct error *error)
{
    int err = spec->dump ? net_set_dump(card->net, spec->dump, spec->dump_length) : 0;

    card->dump = spec->dump;
    return err ? error_set(error, EX_CANTCREAT, "-nic: cannot write frames to '%s': %s; %s",
                           spec->dump, strerror(-err), output_advice(-err))
               : 0;
}

static int create_card(struct nics *nics, const struct nic_spec *spec, struct error *error)
{
    struct card *card = &nics->card[nics->count];
    struct net_config config = spec->net;
    char why[NET_WHY_MAX];

    make_mac(spec, nics->count, config.mac);
    card->net = net_create(&config, why);
    if (!card->net)
        return error_set(error, EX_UNAVAILABLE, "%s", why);
    nics->count++;
    card->kind = config.kind;
    card->e1000 = spec->model == NIC_E1000;
    read_rom(card);
    card->poller = nics->poller;
    card->call = (struct poller_call){ .ready = ready, .arg = card->net };
    poller_add_call(card->poller, &card->call);
    net_set_wake(card->net, wake, card);
    return set_dump(card, spec, error);
}

int nics_create(struct nics **made, const struct nic_specs *specs, struct poller *poller,
                struct error *error)
{
    struct nics *nics = *made = calloc(1, sizeof(*nics));

    if (!nics)
        return error_set(error, EX_OSERR, "no host memory for network cards; free some");
    nics->poller = poller;
    for (unsigned i = 0; i < specs->count; i++)
        if (create_card(nics, &specs->nic[i], error))
            return -1;
    return 0;
}

int nics_open(struct nics *nics, struct error *error)
{
    for (unsigned i = 0; i < nics->count; i++) {
        int err = net_start(nics->card[i].net);

        if (err)
            return error_set(error, EX_OSERR, "-nic: no thread: %s; raise the limit (ulimit -u)",
                             strerror(-err));
    }
    return 0;
}

/* What is not in the file that the user asked for. */
static void tell_of_dump(const struct card *card)
{
    struct dump_stats stats = net_dump(card->net);

    if (stats.err)
        fprintf(stderr, "novt: warning: frames to '%s': %s; it ends after %" PRIu64 " of %" PRIu64
                "\n", card->dump, strerror(stats.err), stats.frames, stats.frames + stats.missed);
    else if (stats.missed)
        fprintf(stderr, "novt: warning: frames to '%s': its reader was too slow for %" PRIu64
                " of %" PRIu64 "\n", card->dump, stats.missed, stats.frames + stats.missed);
}

void nics_destroy(struct nics *nics)
{
    if (!nics)
        return;
    for (unsigned i = 0; i < nics->count; i++) {
        tell_of_dump(&nics->card[i]);
        net_destroy(nics->card[i].net);
        poller_remove_call(nics->poller, &nics->card[i].call);
        free(nics->card[i].rom);
    }
    free(nics);
}

unsigned nics_fill(const struct nics *nics, struct pc_nic card[PC_NIC_COUNT])
{
    for (unsigned i = 0; i < nics->count; i++)
        card[i] = (struct pc_nic){ net_device(nics->card[i].net), nics->card[i].e1000,
                                   nics->card[i].rom, nics->card[i].rom_size };
    return nics->count;
}

bool nics_view(const struct nics *nics, unsigned n, struct nic_view *view)
{
    static const char *const cables[] = { [NET_USER] = "user", [NET_TAP] = "tap",
                                          [NET_SOCKET] = "socket" };
    const struct netdev *end;

    if (n >= nics->count)
        return false;
    end = net_device(nics->card[n].net);
    *view = (struct nic_view){
        .model = nics->card[n].e1000 ? "e1000" : "virtio",
        .cable = cables[nics->card[n].kind],
        .link = end->link,
        .counts = net_count(nics->card[n].net),
    };
    memcpy(view->mac, end->mac, 6);
    return true;
}

void nics_reset(struct nics *nics)
{
    for (unsigned i = 0; i < nics->count; i++)
        net_reset(nics->card[i].net);
}

void nics_confine(const struct nic_specs *specs, struct confine_wants *wants)
{
    for (unsigned i = 0; i < specs->count; i++) {
        const struct net_config *net = &specs->nic[i].net;

        wants->user_network |= net->kind == NET_USER;
        wants->read_files |= net->kind == NET_USER && net->user.tftp;
        wants->socket_line |= net->kind == NET_SOCKET;
        wants->remove_files |= net->kind == NET_SOCKET && net->socket.kind == NET_PATH;
    }
}
