/* Cables whose other end is the test: sockets of our own on loopback, libslirp's DHCP. */
#include "net/net.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/netdev.h"
#include "tests/check.h"
#include "tests/unit/net_frames.h"

enum { DHCP_THEN = 20000 };

/* A chip that keeps the last frame; the test is its vcpu. */
struct chip {
    struct net *net;
    atomic_bool woken;
    unsigned received, rooms;
    bool deaf;
    uint8_t frame[NETDEV_FRAME_MAX];
    size_t size;
    struct netdev_offload offload;
};

static bool receive(void *arg, const uint8_t *frame, size_t size,
                    const struct netdev_offload *offload)
{
    struct chip *chip = arg;

    if (chip->deaf)
        return false;
    chip->received++;
    memcpy(chip->frame, frame, size);
    chip->size = size;
    chip->offload = *offload;
    return true;
}

static void room(void *arg)
{
    ((struct chip *)arg)->rooms++;
}

static void wake(void *arg)
{
    atomic_store(&((struct chip *)arg)->woken, true);
}

static void plug_dumping(struct chip *chip, const struct net_config *config, const char *dump)
{
    char why[NET_WHY_MAX] = "";
    struct netdev *dev;

    memset(chip, 0, sizeof(*chip));
    chip->net = net_create(config, why);
    if (!chip->net) {
        printf("%s\n", why);
        exit(1);
    }
    dev = net_device(chip->net);
    dev->chip = chip;
    dev->receive = receive;
    dev->room = room;
    net_set_wake(chip->net, wake, chip);
    CHECK_EQ(dump ? net_set_dump(chip->net, dump, DUMP_LENGTH_MAX) : 0, 0);
    CHECK_EQ(net_start(chip->net), 0);
}

static void plug(struct chip *chip, const struct net_config *config)
{
    plug_dumping(chip, config, NULL);
}

/* Plays the vcpu's thread until so many frames have come, or two minutes have gone. */
static void wait_for(struct chip *chip, unsigned frames)
{
    for (unsigned i = 0; i < 120000 && chip->received < frames; i++) {
        if (atomic_exchange(&chip->woken, false))
            net_ready(chip->net);
        else
            nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
    CHECK_EQ(chip->received, frames);
}

static bool put(struct chip *chip, const uint8_t *frame, size_t size,
                const struct netdev_offload *offload)
{
    struct iovec iov[2] = { { (void *)frame, 10 }, { (void *)(frame + 10), size - 10 } };
    struct netdev *dev = net_device(chip->net);

    return dev->send(dev->host, iov, 2, offload);
}

static void read_all(int fd, void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, (uint8_t *)to + done, size - done);

        if (n <= 0) {
            CHECK_EQ(done, size);
            return;
        }
        done += (size_t)n;
    }
}

static int listener(uint16_t *port)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(bind(fd, (struct sockaddr *)&name, size), 0);
    CHECK_EQ(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&name, &size);
    *port = ntohs(name.sin_port);
    return fd;
}

static void test_line(void)
{
    static uint8_t frame[NETDEV_FRAME_MAX], got[2000];
    struct frame_tcp t = { .flags = 0x18, .payload = 2000 };
    struct netdev_offload cut = { .checksum = true, .sum_from = 34, .sum_at = 50,
                                  .segments = NETDEV_TCP4, .segment_size = 1000,
                                  .header_size = 54 };
    struct net_config config = { .kind = NET_SOCKET, .socket = {
        .kind = NET_CONNECT, .address = htonl(INADDR_LOOPBACK) } };
    int door = listener(&config.socket.port), fd;
    static struct chip chip;
    uint32_t length;

    plug(&chip, &config);
    fd = accept(door, NULL, NULL);
    length = htonl(60);
    CHECK_EQ(write(fd, &length, 4), 4);
    CHECK_EQ(write(fd, got, 60), 60);
    wait_for(&chip, 1); /* so it has heard that the line is there */
    CHECK_EQ(put(&chip, frame, 100, NULL), true);
    read_all(fd, &length, 4);
    CHECK_EQ(ntohl(length), 100);
    read_all(fd, got, 100);
    CHECK_EQ(put(&chip, frame, frame_make(frame, &t), &cut), true); /* leaves as two */
    for (unsigned i = 0; i < 2; i++) {
        t.payload = 1000;
        read_all(fd, &length, 4);
        CHECK_EQ(ntohl(length), 1054);
        read_all(fd, got, 1054);
        CHECK_EQ(frame_is_right(got, &t, 1054), true);
        CHECK_EQ(memcmp(got + 54, frame + 54 + 1000 * i, 1000), 0);
    }
    length = htonl(1054); /* one comes, in pieces */
    CHECK_EQ(write(fd, &length, 2), 2);
    CHECK_EQ(write(fd, (uint8_t *)&length + 2, 2), 2);
    CHECK_EQ(write(fd, got, 1000), 1000);
    CHECK_EQ(write(fd, got + 1000, 54), 54);
    wait_for(&chip, 2);
    CHECK_EQ(chip.size, 1054);
    CHECK_EQ(memcmp(chip.frame, got, 1054), 0);
    length = htonl(100000); /* no frame: the line is hung up, and joined again */
    CHECK_EQ(write(fd, &length, 4), 4);
    CHECK_EQ(read(fd, got, 1), 0);
    close(fd);
    fd = accept(door, NULL, NULL);
    length = htonl(60);
    CHECK_EQ(write(fd, &length, 4), 4);
    CHECK_EQ(write(fd, got, 60), 60);
    wait_for(&chip, 3);
    close(fd);
    close(door);
    net_destroy(chip.net);
}

/* What a chip refuses comes when it is ready. */
static void test_refused(void)
{
    struct net_config config = { .kind = NET_SOCKET, .socket = {
        .kind = NET_CONNECT, .address = htonl(INADDR_LOOPBACK) } };
    int door = listener(&config.socket.port), fd;
    static struct chip chip;
    uint8_t bytes[64] = { 0, 0, 0, 60, 7 };

    plug(&chip, &config);
    chip.deaf = true;
    fd = accept(door, NULL, NULL);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(write(fd, bytes, 64), 64);
    while (!atomic_exchange(&chip.woken, false))
        continue;
    net_ready(chip.net);
    CHECK_EQ(chip.received, 0);
    chip.deaf = false;
    net_device(chip.net)->ready(net_device(chip.net)->host);
    CHECK_EQ(atomic_load(&chip.woken), true);
    wait_for(&chip, 3);
    CHECK_EQ(chip.frame[0], 7);
    close(fd);
    close(door);
    net_destroy(chip.net);
}

static void check_why(const struct net_config *config, const char *one, const char *two)
{
    char why[NET_WHY_MAX] = "";

    CHECK_EQ(net_create(config, why) == NULL, true);
    if (!strstr(why, one) || !strstr(why, two)) {
        printf("'%s' has no '%s' and '%s'\n", why, one, two);
        check_failures++;
    }
}

static void test_wrong(void)
{
    struct net_config line = { .kind = NET_SOCKET, .socket = {
        .kind = NET_LISTEN, .address = htonl(INADDR_LOOPBACK) } };
    struct net_config user = { .kind = NET_USER };
    struct net_config tap = { .kind = NET_TAP, .interface = "a-name-that-is-too-long" };
    struct net_config absent = { .kind = NET_TAP, .interface = "novt-absent" };
    int door = listener(&line.socket.port);
    char port[32];

    snprintf(port, sizeof(port), "port %u of 127.0.0.1", line.socket.port);
    check_why(&line, port, "choose another port");
    user.user.forward[0] = (struct net_forward){ .host_address = htonl(INADDR_LOOPBACK),
                                                 .host_port = line.socket.port,
                                                 .guest_port = 22 };
    user.user.forwards = 1;
    check_why(&user, port, "choose another port");
    user.user.tftp = "/nowhere/at/all";
    check_why(&user, "/nowhere/at/all", "name a directory");
    user.user.tftp = "/dev/null";
    check_why(&user, "/dev/null", "is not a directory");
    check_why(&tap, "too long", "a-name");
    check_why(&absent, "no interface 'novt-absent'", "ip tuntap add dev novt-absent");
    CHECK_EQ(if_nametoindex("novt-absent"), 0u); /* root could have made it */
    line.socket = (struct net_socket){ .kind = NET_PATH, .path = "/nowhere/at/all" };
    check_why(&line, "/nowhere/at/all", "create its directory");
    close(door);
}

/* A line's name may be a socket's that nobody listens to; a file of the user's stays. */
static void test_path(void)
{
    char folder[] = "/tmp/novt-net-XXXXXX", path[64];
    struct net_config config = { .kind = NET_SOCKET };
    struct stat st;
    FILE *file;

    CHECK_EQ(mkdtemp(folder) != NULL, true);
    snprintf(path, sizeof(path), "%s/name", folder);
    config.socket = (struct net_socket){ .kind = NET_PATH, .path = path };
    file = fopen(path, "w");
    CHECK_EQ(file && fputs("mine", file) >= 0 && !fclose(file), true);
    check_why(&config, path, "choose another name");
    CHECK_EQ(!stat(path, &st) && st.st_size == 4, true);
    unlink(path);
    rmdir(folder);
}

/* As both threads have counted them, the file has the frames: each once. */
static void check_dump(const struct net *net, const char *path)
{
    struct net_counts counts;
    struct stat st;

    do {
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
        counts = net_count(net);
    } while (counts.out_frames <= DHCP_THEN);
    CHECK_EQ(net_dump(net).frames, counts.in_frames + counts.out_frames);
    CHECK_EQ(net_dump(net).missed, 0);
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ((uint64_t)st.st_size,
             24 + 16 * net_dump(net).frames + counts.in_bytes + counts.out_bytes);
}

/* DHCP, as a guest asks; then more frames than the thread takes at once. */
static void test_user(void)
{
    struct net_config config = { .kind = NET_USER, .mac = { 2, 0, 0, 0, 0, 9 } };
    uint8_t frame[342] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 8, 0 };
    uint8_t *ip = frame + 14, *udp = ip + 20, *dhcp = udp + 8;
    char dump[] = "/tmp/novt-net-XXXXXX";
    static struct chip chip;

    close(mkstemp(dump));
    plug_dumping(&chip, &config, dump);
    ip[0] = 0x45;
    frame_put16(ip + 2, sizeof(frame) - 14);
    ip[8] = 64;
    ip[9] = 17;
    frame_put32(ip + 16, 0xffffffff);
    frame_put16(ip + 10, ~frame_sum(0, ip, 20));
    frame_put16(udp, 68);
    frame_put16(udp + 2, 67);
    frame_put16(udp + 4, sizeof(frame) - 34);
    dhcp[0] = dhcp[1] = 1;
    dhcp[2] = 6;
    memcpy(dhcp + 28, config.mac, 6);
    memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\x01\x01\xff", 8); /* discover */
    CHECK_EQ(put(&chip, frame, sizeof(frame), NULL), true);
    for (unsigned i = 0; i < 120000 && !(chip.size > 300 && chip.frame[23] == 17); i++) {
        wait_for(&chip, chip.received); /* IPv6's announcements may come before */
        if (atomic_exchange(&chip.woken, false))
            net_ready(chip.net);
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    }
    CHECK_EQ(frame_get32(chip.frame + 14 + 20 + 8 + 16), 0x0a00020f);
    CHECK_EQ(chip.offload.verified, true);
    for (unsigned i = 0; i < DHCP_THEN; i++)
        while (!put(&chip, frame, 60, NULL))
            nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    check_dump(chip.net, dump);
    net_destroy(chip.net);
    unlink(dump);
}

int main(void)
{
    test_line();
    test_refused();
    test_wrong();
    test_path();
    test_user();
    return CHECK_DONE();
}
