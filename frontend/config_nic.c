/*
 * -nic KIND[,PROPERTY=VALUE...]. A comma in a value is written twice.
 *
 * A row of the table says for which kinds a property is good, and what takes it.
 */
#include "frontend/config_nic.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/config_text.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

struct parse {
    struct nic_spec *nic;
    const char *said;  /* the whole option, for messages */
    bool socket;       /* listen, connect or path has been said */
    struct error *error;
};

typedef int property_fn(struct parse *parse, char *text);

static int wrong(const struct parse *parse, const char *name, const char *text, const char *hint)
{
    return error_set(parse->error, EX_USAGE, "%s: %s=%s is wrong; write %s", parse->said,
                     name, text, hint);
}

/* --- Addresses and ports ---------------------------------------------------- */

/* 1 to 65535. */
static bool port_of(const char *text, uint16_t *port)
{
    unsigned long number;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    number = strtoul(text, &end, 10);
    *port = (uint16_t)number;
    return !*end && number >= 1 && number <= UINT16_MAX;
}

/* Nothing stands for any. */
static bool address_of(const char *text, uint32_t *address)
{
    if (!strcmp(text, "localhost"))
        text = "127.0.0.1";
    *address = 0;
    return !*text || inet_pton(AF_INET, text, address) == 1;
}

/* [ADDRESS]:PORT; cuts text. */
static bool place_of(char *text, uint32_t *address, uint16_t *port)
{
    char *colon = strrchr(text, ':');

    if (!colon)
        return false;
    *colon = 0;
    return address_of(text, address) && port_of(colon + 1, port);
}

static bool forward_of(char *text, struct net_forward *f)
{
    char *guest;

    if (!strncmp(text, "udp:", 4))
        f->udp = true;
    else if (strncmp(text, "tcp:", 4) && *text != ':')
        return false;
    text += *text == ':' ? 1 : 4;
    guest = strchr(text, '-');
    if (!guest)
        return false;
    *guest++ = 0;
    return place_of(text, &f->host_address, &f->host_port) &&
           place_of(guest, &f->guest_address, &f->guest_port);
}

/* --- Properties ------------------------------------------------------------- */

static int take_forward(struct parse *parse, char *text)
{
    struct net_user *user = &parse->nic->net.user;
    struct net_forward f = { .udp = false };
    char shown[128];

    snprintf(shown, sizeof(shown), "%s", text);
    if (!forward_of(text, &f))
        return wrong(parse, "hostfwd", shown,
                     "tcp:127.0.0.1:2222-:22 (host's side - guest's side)");
    if (user->forwards == NET_FORWARDS_MAX)
        return error_set(parse->error, EX_USAGE, "%s: too many hostfwd; %u are the most",
                         parse->said, NET_FORWARDS_MAX);
    user->forward[user->forwards++] = f;
    return 0;
}

/* ADDRESS/BITS or ADDRESS/MASK; cuts text. */
static bool network_of(char *text, uint32_t *network, uint32_t *mask)
{
    char *slash = strchr(text, '/'), *end;
    unsigned long bits;

    if (!slash)
        return false;
    *slash++ = 0;
    bits = strtoul(slash, &end, 10);
    if (!*end && bits >= 4 && bits <= 30 && *slash >= '0' && *slash <= '9')
        *mask = htonl(UINT32_MAX << (32 - bits));
    else if (inet_pton(AF_INET, slash, mask) != 1 || ~ntohl(*mask) & (~ntohl(*mask) + 1))
        return false;
    if (inet_pton(AF_INET, text, network) != 1)
        return false;
    *network &= *mask;
    return *network;
}

static int take_network(struct parse *parse, char *text)
{
    struct net_user *user = &parse->nic->net.user;
    char shown[128];

    snprintf(shown, sizeof(shown), "%s", text);
    return network_of(text, &user->network, &user->mask)
               ? 0 : wrong(parse, "net", shown, "a network: net=192.168.76.0/24");
}

static int take_address(struct parse *parse, const char *name, uint32_t *address, const char *text)
{
    return inet_pton(AF_INET, text, address) == 1
               ? 0 : wrong(parse, name, text, "an IPv4 address of the guest's network");
}

static int take_host(struct parse *parse, char *text)
{
    return take_address(parse, "host", &parse->nic->net.user.host, text);
}

static int take_dns(struct parse *parse, char *text)
{
    return take_address(parse, "dns", &parse->nic->net.user.dns, text);
}

static int take_dhcp_start(struct parse *parse, char *text)
{
    return take_address(parse, "dhcpstart", &parse->nic->net.user.dhcp_start, text);
}

static int take_restrict(struct parse *parse, char *text)
{
    bool on;

    if (!config_text_switch(text, &on))
        return wrong(parse, "restrict", text, "restrict=on or off");
    parse->nic->net.user.restricted = on;
    return 0;
}

static int take_ip6(struct parse *parse, char *text)
{
    bool on;

    if (!config_text_switch(text, &on))
        return wrong(parse, "ipv6", text, "ipv6=on or off");
    parse->nic->net.user.no_ip6 = !on;
    return 0;
}

static int take_tftp(struct parse *parse, char *text)
{
    parse->nic->net.user.tftp = text;
    return 0;
}

static int take_boot_file(struct parse *parse, char *text)
{
    parse->nic->net.user.boot_file = text;
    return 0;
}

static int take_host_name(struct parse *parse, char *text)
{
    parse->nic->net.user.host_name = text;
    return 0;
}

static int take_interface(struct parse *parse, char *text)
{
    parse->nic->net.interface = text;
    return 0;
}

/* No helper is run by us; the words that say so are good. */
static int take_script(struct parse *parse, char *text)
{
    if (strcmp(text, "no"))
        return wrong(parse, "script", text,
                     "script=no: novt runs none, set the interface up before");
    return 0;
}

static int take_place(struct parse *parse, const char *name, enum net_socket_kind kind, char *text)
{
    struct net_socket *socket = &parse->nic->net.socket;
    char shown[128];

    snprintf(shown, sizeof(shown), "%s", text);
    socket->kind = kind;
    if (parse->socket)
        return error_set(parse->error, EX_USAGE,
                         "%s: say one of listen, connect and path, once", parse->said);
    parse->socket = true;
    if (kind == NET_PATH) {
        socket->path = text;
        return *text ? 0 : wrong(parse, name, shown, "the path of a socket");
    }
    if (!place_of(text, &socket->address, &socket->port))
        return wrong(parse, name, shown, "an IPv4 address and a port: 127.0.0.1:1234");
    if (!socket->address)
        socket->address = htonl(INADDR_LOOPBACK);
    return 0;
}

static int take_listen(struct parse *parse, char *text)
{
    return take_place(parse, "listen", NET_LISTEN, text);
}

static int take_connect(struct parse *parse, char *text)
{
    return take_place(parse, "connect", NET_CONNECT, text);
}

static int take_path(struct parse *parse, char *text)
{
    return take_place(parse, "path", NET_PATH, text);
}

static int take_mac(struct parse *parse, char *text)
{
    uint8_t *mac = parse->nic->net.mac;
    int end = 0;

    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3],
               &mac[4], &mac[5], &end) != 6 || text[end] || mac[0] & 1)
        return wrong(parse, "mac", text, "six bytes, the first one even: 52:54:00:12:34:56");
    parse->nic->has_mac = true;
    return 0;
}

static bool model_of(const char *name, enum nic_model *model)
{
    static const struct {
        const char *name;
        enum nic_model model;
    } models[] = {
        { "virtio", NIC_VIRTIO }, { "virtio-net-pci", NIC_VIRTIO }, { "virtio-net", NIC_VIRTIO },
        { "e1000", NIC_E1000 }, { "e1000-82540em", NIC_E1000 },
    };

    for (size_t i = 0; i < COUNT(models); i++) {
        *model = models[i].model;
        if (!strcmp(models[i].name, name))
            return true;
    }
    return false;
}

bool config_nic_is_model(const char *name)
{
    enum nic_model model;

    return model_of(name, &model);
}

static int take_id(struct parse *parse, char *text)
{
    parse->nic->id = text;
    return 0;
}

static int take_dump(struct parse *parse, char *text)
{
    parse->nic->dump = text;
    return *text ? 0 : wrong(parse, "dump", text, "the file's name");
}

static bool length_of(const char *text, uint32_t *length)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    *length = number < DUMP_LENGTH_MAX ? (uint32_t)number : DUMP_LENGTH_MAX;
    return *text >= '0' && *text <= '9' && !*end && number;
}

static int take_dump_length(struct parse *parse, char *text)
{
    return length_of(text, &parse->nic->dump_length)
               ? 0 : wrong(parse, "dumplen", text, "how many bytes of a frame: dumplen=128");
}

int config_nic_dump(struct nic_spec *nic, const char *said, const char *file, const char *length,
                    struct error *error)
{
    if (nic->dump)
        return error_set(error, EX_USAGE, "%s: frames of %s go to '%s' already", said, nic->id,
                         nic->dump);
    if (!*file || strlen(file) >= sizeof(nic->dump_text))
        return error_set(error, EX_USAGE, "%s: file= is %s; name a file", said,
                         *file ? "too long" : "empty");
    if (length && !length_of(length, &nic->dump_length))
        return error_set(error, EX_USAGE, "%s: maxlen=%s is wrong; write how many bytes of a frame:"
                         " maxlen=128", said, length);
    nic->dump = strcpy(nic->dump_text, file);
    return 0;
}

static int take_model(struct parse *parse, char *text)
{
    return model_of(text, &parse->nic->model)
               ? 0 : wrong(parse, "model", text, "model=virtio or model=e1000");
}

/* --- The table -------------------------------------------------------------- */

enum { USER = 1 << NET_USER, TAP = 1 << NET_TAP, SOCKET = 1 << NET_SOCKET,
       ALL = USER | TAP | SOCKET };

static const struct property {
    const char *name;
    unsigned kinds;
    property_fn *take;
} properties[] = {
    { "model", ALL, take_model },
    { "mac", ALL, take_mac },
    { "id", ALL, take_id },
    { "dump", ALL, take_dump },
    { "dumplen", ALL, take_dump_length },
    { "hostfwd", USER, take_forward },
    { "net", USER, take_network },
    { "host", USER, take_host },
    { "dns", USER, take_dns },
    { "dhcpstart", USER, take_dhcp_start },
    { "restrict", USER, take_restrict },
    { "ipv6", USER, take_ip6 },
    { "tftp", USER, take_tftp },
    { "bootfile", USER, take_boot_file },
    { "hostname", USER, take_host_name },
    { "ifname", TAP, take_interface },
    { "script", TAP, take_script },
    { "downscript", TAP, take_script },
    { "listen", SOCKET, take_listen },
    { "connect", SOCKET, take_connect },
    { "path", SOCKET, take_path },
};

static int unknown_property(const struct parse *parse, const char *name, unsigned kind)
{
    const char *names[COUNT(properties)];
    size_t count = 0;

    for (size_t i = 0; i < COUNT(properties); i++)
        if (properties[i].kinds & kind)
            names[count++] = properties[i].name;
    return error_set(parse->error, EX_USAGE,
                     "%s: '%s' is no property of this kind%s (novt -h lists them)",
                     parse->said, name,
                     nearest_hint(name, strlen(name), names, count, "", "=").text);
}

static int take_property(struct parse *parse, char *text)
{
    unsigned kind = 1u << parse->nic->net.kind;
    char *equals = strchr(text, '=');

    if (equals)
        *equals = 0;
    for (size_t i = 0; i < COUNT(properties); i++) {
        const struct property *p = &properties[i];

        if (strcmp(p->name, text) || !(p->kinds & kind))
            continue;
        if (!equals)
            return error_set(parse->error, EX_USAGE, "%s: %s has no value: %s=...",
                             parse->said, text, text);
        return p->take(parse, equals + 1);
    }
    return unknown_property(parse, text, kind);
}

static int take_kind(struct parse *parse, const char *name)
{
    static const char *const names[] = { [NET_USER] = "user", [NET_TAP] = "tap",
                                         [NET_SOCKET] = "socket", "none" };

    for (unsigned i = 0; i < COUNT(names) - 1; i++) {
        if (name && !strcmp(names[i], name)) {
            parse->nic->net.kind = (enum net_kind)i;
            return 0;
        }
    }
    if (!strcmp(name, "bridge"))
        return error_set(parse->error, EX_USAGE, "%s: novt joins no bridge itself; write tap,"
                         "ifname=NAME, with an interface that is in it", parse->said);
    return error_set(parse->error, EX_USAGE, "%s: unknown%s (one of user, tap, socket, none)",
                     parse->said,
                     nearest_hint(name, strlen(name), names, COUNT(names), "", "").text);
}

static int check(const struct parse *parse)
{
    struct net_config *net = &parse->nic->net;

    if (net->kind == NET_USER && !net_user_complete(&net->user))
        return error_set(parse->error, EX_USAGE,
                         "%s: host=, dns= and dhcpstart= must be three addresses of the "
                         "network (10.0.2.0/24, or net=)", parse->said);
    if (net->kind == NET_TAP && (!net->interface || !*net->interface))
        return error_set(parse->error, EX_USAGE,
                         "%s: which interface? write tap,ifname=tap0", parse->said);
    if (net->kind == NET_SOCKET && !parse->socket)
        return error_set(parse->error, EX_USAGE,
                         "%s: where is the other end? write listen=127.0.0.1:1234 for one "
                         "guest and connect=127.0.0.1:1234 for the other, or path=SOCKET for both",
                         parse->said);
    return 0;
}

int config_nic_take_as(struct nic_specs *nics, const char *said, const char *value,
                       struct error *error)
{
    struct nic_spec *nic = &nics->nic[nics->count];
    struct parse parse = { .nic = nic, .said = said, .error = error };
    char *rest, *piece;

    if (!strcmp(value, "none")) {
        nics->none = !nics->count;
        return nics->count ? error_set(error, EX_USAGE, "%s: there is another -nic", said) : 0;
    }
    if (nics->none)
        return error_set(error, EX_USAGE, "%s: there is -nic none, too", said);
    if (nics->count == NICS_MAX)
        return error_set(error, EX_USAGE, "%s: one too many, the board has room for %u", said,
                         NICS_MAX);
    if (strlen(value) >= sizeof(nic->text))
        return error_set(error, EX_USAGE, "-nic: %zu characters are too many; %zu are the most",
                         strlen(value), sizeof(nic->text) - 1);
    *nic = (struct nic_spec){ .model = NIC_VIRTIO, .dump_length = DUMP_LENGTH_MAX };
    rest = strcpy(nic->text, value);
    if (take_kind(&parse, config_text_next(&rest)))
        return -1;
    while ((piece = config_text_next(&rest)))
        if (take_property(&parse, piece))
            return -1;
    nics->count++;
    return check(&parse);
}

int config_nic_take(struct nic_specs *nics, const char *value, struct error *error)
{
    char said[NIC_TEXT_MAX];

    snprintf(said, sizeof(said), "-nic %s", value);
    return config_nic_take_as(nics, said, value, error);
}
