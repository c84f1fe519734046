/* -nic: what each property sets, and what each mistake is answered with. */
#include <arpa/inet.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/config_nic.h"
#include "frontend/error.h"
#include "tests/check.h"

static struct nic_specs nics;

static int take(const char *value, struct error *error)
{
    *error = (struct error){ 0 };
    return config_nic_take(&nics, value, error);
}

static const struct {
    const char *value, *part; /* of the message */
} wrong[] = {
    { "", "one of user, tap, socket, none" },
    { "usr", "did you mean user?" },
    { "user,hostfw=x", "did you mean hostfwd=?" },
    { "user,ifname=x", "no property of this kind" },
    { "user,hostfwd", "hostfwd has no value" },
    { "user,hostfwd=2222", "tcp:127.0.0.1:2222-:22" },
    { "user,hostfwd=tcp:127.0.0.1:2222", "tcp:127.0.0.1:2222-:22" },
    { "user,hostfwd=tcp:127.0.0.1:0-:22", "hostfwd=tcp:127.0.0.1:0-:22 is wrong" },
    { "user,hostfwd=tcp::65536-:22", "is wrong" },
    { "user,hostfwd=tcp::22x-:22", "is wrong" },
    { "user,hostfwd=icmp::22-:22", "is wrong" },
    { "user,hostfwd=tcp:1.2.3:22-:22", "is wrong" },
    { "user,net=10.0.3.0", "net=192.168.76.0/24" },
    { "user,net=10.0.3.0/33", "net=192.168.76.0/24" },
    { "user,net=10.0.3.0/255.0.255.0", "net=192.168.76.0/24" },
    { "user,net=0.0.0.0/24", "net=192.168.76.0/24" },
    { "user,host=10.0.2", "an IPv4 address" },
    { "user,dhcpstart=10.0.3.15", "three addresses of the network" },
    { "user,dhcpstart=10.0.2.2", "three addresses of the network" },
    { "user,dns=10.0.2.255", "three addresses of the network" },
    { "user,net=10.0.3.0/28", "three addresses of the network" },
    { "user,restrict=maybe", "restrict=on or off" },
    { "user,ipv6=4", "ipv6=on or off" },
    { "user,model=rtl8139", "model=virtio or model=e1000" },
    { "user,mac=52:54:00:12:34", "six bytes" },
    { "user,mac=52:54:00:12:34:5g", "six bytes" },
    { "user,mac=53:54:00:12:34:56", "the first one even" },
    { "tap", "write tap,ifname=tap0" },
    { "tap,ifname=", "which interface?" },
    { "tap,ifname=tap0,script=/etc/qemu-ifup", "script=no" },
    { "socket", "where is the other end?" },
    { "socket,listen=1234", "an IPv4 address and a port" },
    { "socket,connect=host:1", "an IPv4 address and a port" },
    { "socket,listen=:1,connect=:1", "say one of" },
    { "socket,path=", "the path of a socket" },
};

static void test_wrong(void)
{
    char many[2000] = "user";
    struct error error;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        nics = (struct nic_specs){ .count = 0 };
        CHECK_EQ(take(wrong[i].value, &error), -1);
        CHECK_EQ(error.status, EX_USAGE);
        if (!strstr(error.text, wrong[i].part)) {
            printf("-nic %s: '%s' has no '%s'\n", wrong[i].value, error.text, wrong[i].part);
            check_failures++;
        }
    }
    nics = (struct nic_specs){ .count = 0 };
    for (unsigned i = 0; i <= NET_FORWARDS_MAX; i++)
        strcat(many, ",hostfwd=tcp::1-:1");
    CHECK_EQ(take(many, &error), -1);
    CHECK_EQ(!strstr(error.text, "too many hostfwd"), false);
    memset(many + 4, 'x', 1900);
    CHECK_EQ(take(many, &error), -1);
    CHECK_EQ(!strstr(error.text, "too many; 1023"), false);
}

static void test_addresses(void)
{
    const struct net_user *user = &nics.nic[0].net.user;
    struct error error;

    nics = (struct nic_specs){ .count = 0 };
    CHECK_EQ(take("user,net=192.168.76.5/24,dhcpstart=192.168.76.9", &error), 0);
    CHECK_EQ(user->network, inet_addr("192.168.76.0"));
    CHECK_EQ(user->mask, inet_addr("255.255.255.0"));
    CHECK_EQ(user->host, inet_addr("192.168.76.2"));
    CHECK_EQ(user->dns, inet_addr("192.168.76.3"));
    CHECK_EQ(user->dhcp_start, inet_addr("192.168.76.9"));
    nics = (struct nic_specs){ .count = 0 };
    CHECK_EQ(take("user,net=10.1.0.0/255.255.0.0,host=10.1.1.1,dns=10.1.1.2", &error), 0);
    CHECK_EQ(user->host, inet_addr("10.1.1.1"));
    CHECK_EQ(user->dns, inet_addr("10.1.1.2"));
    CHECK_EQ(user->dhcp_start, inet_addr("10.1.0.15"));
}

static void test_values(void)
{
    const struct net_user *user = &nics.nic[0].net.user;
    struct error error;

    nics = (struct nic_specs){ .count = 0 };
    CHECK_EQ(take("user,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp::53-10.0.2.16:5353,restrict=on,"
                  "tftp=/a,,b,bootfile=x,hostname=h,ipv6=false,model=e1000,mac=02:00:00:00:00:0a",
                  &error), 0);
    CHECK_EQ(nics.nic[0].net.kind, NET_USER);
    CHECK_EQ(nics.nic[0].model, NIC_E1000);
    CHECK_EQ(nics.nic[0].net.mac[5], 10);
    CHECK_EQ(user->forwards, 2);
    CHECK_EQ(user->forward[0].udp, false);
    CHECK_EQ(user->forward[0].host_address, inet_addr("127.0.0.1"));
    CHECK_EQ(user->forward[0].host_port, 2222);
    CHECK_EQ(user->forward[0].guest_address, 0);
    CHECK_EQ(user->forward[0].guest_port, 22);
    CHECK_EQ(user->forward[1].udp, true);
    CHECK_EQ(user->forward[1].host_address, 0);
    CHECK_EQ(user->forward[1].guest_address, inet_addr("10.0.2.16"));
    CHECK_EQ(user->restricted && user->no_ip6, true);
    CHECK_EQ(strcmp(user->tftp, "/a,b"), 0);
    CHECK_EQ(strcmp(user->boot_file, "x"), 0);
    CHECK_EQ(strcmp(user->host_name, "h"), 0);
    CHECK_EQ(take("tap,ifname=tap7,script=no", &error), 0);
    CHECK_EQ(strcmp(nics.nic[1].net.interface, "tap7"), 0);
    CHECK_EQ(nics.nic[1].model, NIC_VIRTIO);
    CHECK_EQ(take("socket,connect=:1234", &error), 0);
    CHECK_EQ(nics.nic[2].net.socket.kind, NET_CONNECT);
    CHECK_EQ(nics.nic[2].net.socket.address, htonl(INADDR_LOOPBACK));
    CHECK_EQ(nics.nic[2].net.socket.port, 1234);
    CHECK_EQ(take("none", &error), -1);
    for (unsigned i = 3; i < NICS_MAX; i++)
        CHECK_EQ(take("user", &error), 0);
    CHECK_EQ(take("user", &error), -1);
    nics = (struct nic_specs){ .count = 0 };
    CHECK_EQ(take("none", &error), 0);
    CHECK_EQ(take("user", &error), -1);
}

int main(void)
{
    test_wrong();
    test_addresses();
    test_values();
    return CHECK_DONE();
}
