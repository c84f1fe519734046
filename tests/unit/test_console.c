/* Consoles between a chip played here and real descriptors: files, pseudo-terminals, sockets. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/kill.h"
#include "devices/chardev.h"
#include "frontend/console_host.h"
#include "frontend/error.h"
#include "frontend/poller.h"
#include "tests/check.h"

#define BIG (1u << 20)
#define TURNS_MAX 12000 /* two minutes at least */

/* --- The chip: sends a pattern, receives as much as its window says ------------------ */

static struct chip {
    struct chardev *line;
    size_t window, received, to_send, sent, breaks;
    uint8_t text[4096];
    unsigned columns, rows;
} chip;

static size_t chip_window(void *dev)
{
    (void)dev;
    return chip.window;
}

static void chip_receive(void *dev, const uint8_t *bytes, size_t size)
{
    (void)dev;
    CHECK_EQ(size <= chip.window, 1);
    memcpy(chip.text + chip.received, bytes, size);
    chip.received += size;
    chip.window -= size;
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 8));
}

static void chip_send(void)
{
    uint8_t bytes[1000];

    while (chip.sent < chip.to_send) {
        size_t size = chip.to_send - chip.sent < sizeof(bytes) ? chip.to_send - chip.sent
                                                               : sizeof(bytes), taken;

        for (size_t i = 0; i < size; i++)
            bytes[i] = pattern(chip.sent + i);
        taken = chardev_write(chip.line, bytes, size);
        chip.sent += taken;
        if (taken < size)
            return; /* chardev_writable() comes */
    }
}

static void chip_writable(void *dev)
{
    (void)dev;
    chip_send();
}

static void chip_break(void *dev)
{
    (void)dev;
    chip.breaks++;
}

static void chip_carrier(void *dev, bool on)
{
    (void)dev;
    (void)on;
}

static void chip_resize(void *dev, unsigned columns, unsigned rows)
{
    (void)dev;
    chip.columns = columns;
    chip.rows = rows;
}

static const struct chardev_device chip_ops = { chip_window, chip_receive, chip_writable,
                                                chip_break, chip_carrier, chip_resize };

/* --- The bench ------------------------------------------------------------------------ */

static struct poller *poller;
static struct vm_stop stop;
static struct error error;
static struct console *console;
static char directory[] = "/tmp/novt-test-XXXXXX";
static char path[128];

static void kick(void *arg)
{
    (void)arg;
}

/* How often somebody came to the console's other end, and how often the console knew that they had
 * gone. */
static size_t came, went;

void __real_console_attach(struct console *of, int in_fd, int out_fd);
void __wrap_console_attach(struct console *of, int in_fd, int out_fd);
void __real_console_detach(struct console *of);
void __wrap_console_detach(struct console *of);

void __wrap_console_attach(struct console *of, int in_fd, int out_fd)
{
    __real_console_attach(of, in_fd, out_fd);
    came++;
}

void __wrap_console_detach(struct console *of)
{
    __real_console_detach(of);
    went++;
}

static int open_spec(const struct console_spec *spec)
{
    struct console_config config = { .spec = *spec, .name = "serial line", .input = true,
                                     .stop = &stop };
    int err;

    stop = (struct vm_stop){ 0 };
    error = (struct error){ 0 };
    config.poller = poller = poller_create(kick, NULL);
    console = console_create(&config);
    memset(&chip, 0, sizeof(chip));
    chip.line = console_line(console);
    chardev_attach(chip.line, &chip_ops, NULL);
    err = console_open(console, &error);
    came = went = 0;
    return err;
}

static int open_console(enum console_kind kind, const char *where)
{
    struct console_spec spec = { .kind = kind, .path = where };

    return open_spec(&spec);
}

static void close_console(void)
{
    chardev_detach(chip.line);
    console_destroy(console);
    poller_destroy(poller);
}

/* What the run loop does, for a moment. */
static void turn(void)
{
    for (unsigned i = 0; i < 20; i++) {
        usleep(500);
        poller_dispatch(poller);
    }
}

/* Until so many have come; for minutes, on a busy host. */
static void turn_until(const size_t *seen, size_t wanted)
{
    for (unsigned i = 0; i < TURNS_MAX && *seen < wanted; i++)
        turn();
    CHECK_EQ(*seen, wanted);
}

/* Reads size bytes from fd and compares them with the pattern from at on. */
static void read_pattern(int fd, size_t at, size_t size)
{
    uint8_t bytes[8192];

    while (size) {
        struct pollfd ready = { fd, POLLIN, 0 };
        ssize_t n;

        for (unsigned i = 0; i < 10 * TURNS_MAX && poll(&ready, 1, 1) <= 0; i++)
            poller_dispatch(poller);
        n = read(fd, bytes, size < sizeof(bytes) ? size : sizeof(bytes));
        CHECK_EQ(n > 0, 1);
        if (n <= 0)
            return;
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] != pattern(at + (size_t)i)) {
                CHECK_EQ(bytes[i], pattern(at + (size_t)i));
                return;
            }
        }
        at += (size_t)n;
        size -= (size_t)n;
    }
}

/* --- Files ------------------------------------------------------------------------------ */

static void test_file(void)
{
    struct stat st;
    int fd;

    snprintf(path, sizeof(path), "%s/file", directory);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK_EQ(write(fd, "old", 3), 3);
    close(fd);
    CHECK_EQ(open_console(CONSOLE_FILE, path), 0);
    chip.to_send = BIG;
    chip_send();
    CHECK_EQ(chip.sent, BIG);
    CHECK_EQ(console_flush(console, 0), true);
    CHECK_EQ(console_close(console, &error), true);
    close_console();
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ((size_t)st.st_size, BIG);
    fd = open(path, O_RDONLY);
    read_pattern(fd, 0, BIG);
    close(fd);
}

static void test_full_disk(void)
{
    CHECK_EQ(open_console(CONSOLE_FILE, "/dev/full"), 0);
    chip.to_send = BIG;
    chip_send();
    CHECK_EQ(stop.end, VM_HOST_ERROR);
    CHECK_EQ(stop.code, ENOSPC);
    CHECK_EQ(strstr(stop.reason, "/dev/full") && strstr(stop.reason, "free some"), 1);
    CHECK_EQ(chip.sent, BIG); /* dropped: the guest is not held up by what cannot be mended */
    close_console();
}

static void bad_open(enum console_kind kind, const char *where, int status, const char *part)
{
    CHECK_EQ(open_console(kind, where), -1);
    if (error.status != status || !strstr(error.text, part) || strchr(error.text, '\n')) {
        printf("%s: status %d, '%s', want '%s'\n", where, error.status, error.text, part);
        check_failures++;
    }
    close_console();
}

static void test_bad_paths(void)
{
    char longer[300];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    bad_open(CONSOLE_FILE, "/nonexistent/x", EX_CANTCREAT, "create its directory");
    bad_open(CONSOLE_FILE, "/tmp", EX_CANTCREAT, "directory");
    bad_open(CONSOLE_UNIX, "/nonexistent/x", EX_CANTCREAT, "create its directory");
    bad_open(CONSOLE_UNIX, longer, EX_CANTCREAT, "too long");
    snprintf(path, sizeof(path), "%s/file", directory); /* is there, and no socket */
    bad_open(CONSOLE_UNIX, path, EX_CANTCREAT, "in use");
    snprintf(path, sizeof(path), "%s/fifo", directory);
    CHECK_EQ(mkfifo(path, 0600), 0);
    bad_open(CONSOLE_FILE, path, EX_CANTCREAT, "start its reader");
    unlink(path);
}

/* --- Sockets ---------------------------------------------------------------------------- */

/* The console takes it when nobody is there: then somebody has come that often. */
static int connect_client(size_t coming)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    turn_until(&came, coming);
    return fd;
}

/* A client that reads slowly: the chip waits, and every byte comes. */
static void test_unix_output(void)
{
    int fd;

    snprintf(path, sizeof(path), "%s/socket", directory);
    CHECK_EQ(open_console(CONSOLE_UNIX, path), 0);
    fd = connect_client(1);
    chip.to_send = 4 * BIG;
    chip_send();
    CHECK_EQ(chip.sent < chip.to_send, 1);
    read_pattern(fd, 0, 4 * BIG);
    CHECK_EQ(chip.sent, chip.to_send);
    CHECK_EQ(console_flush(console, 1000), true);
    close(fd);
    close_console();
    CHECK_EQ(access(path, F_OK), (unsigned long long)-1);
}

/* Nobody there, somebody, nobody, somebody else; two at once. */
static void test_unix_clients(void)
{
    int first, second;

    CHECK_EQ(open_console(CONSOLE_UNIX, path), 0);
    chip.to_send = CONSOLE_KEPT + 1000;
    chip_send();
    CHECK_EQ(chip.sent, chip.to_send);
    first = connect_client(1);
    read_pattern(first, 1000, CONSOLE_KEPT); /* the last of it */
    second = connect_client(1); /* has to wait */
    chip.to_send += 500;
    chip_send();
    read_pattern(first, CONSOLE_KEPT + 1000, 500);
    close(first);
    chip.to_send += 500;
    chip_send(); /* which finds that the first is gone */
    turn_until(&came, 2);
    read_pattern(second, CONSOLE_KEPT + 1500, 500);
    close(second);
    close_console();
}

/* A client that leaves while the guest waits for it: the guest goes on. */
static void test_unix_leaves(void)
{
    int fd;

    CHECK_EQ(open_console(CONSOLE_UNIX, path), 0);
    fd = connect_client(1);
    chip.to_send = 4 * BIG;
    chip_send();
    CHECK_EQ(chip.sent < chip.to_send, 1);
    close(fd);
    turn_until(&chip.sent, chip.to_send);
    CHECK_EQ(stop.end, VM_RUNNING);
    close_console();
}

static void test_unix_input(void)
{
    int fd;

    CHECK_EQ(open_console(CONSOLE_UNIX, path), 0);
    chip.window = 3;
    chardev_accept(chip.line);
    fd = connect_client(1);
    CHECK_EQ(write(fd, "abcdefgh", 8), 8);
    turn_until(&chip.received, 3);
    turn(); /* and no more, which chip_receive() would tell */
    chip.window = 4;
    chardev_accept(chip.line);
    turn_until(&chip.received, 7);
    turn();
    CHECK_EQ(shutdown(fd, SHUT_WR), 0); /* as nc does at the end of its input */
    chip.window = 10;
    chardev_accept(chip.line);
    turn_until(&chip.received, 8);
    CHECK_EQ(memcmp(chip.text, "abcdefgh", 8), 0);
    chip.to_send = 100; /* and it still hears */
    chip_send();
    read_pattern(fd, 0, 100);
    close(fd);
    turn_until(&went, 1);
    fd = connect_client(2);
    chip.to_send = 200;
    chip_send();
    read_pattern(fd, 100, 100);
    close(fd);
    close_console();
}

static void test_unix_stale(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQ(listen(fd, 1), 0);
    bad_open(CONSOLE_UNIX, path, EX_CANTCREAT, "end the program");
    close(fd);
    CHECK_EQ(open_console(CONSOLE_UNIX, path), 0);
    close_console();
}

/* --- TCP ---------------------------------------------------------------------------------- */

/* At a port that was free a moment ago. */
static void open_tcp(struct console_spec *spec)
{
    struct sockaddr_in name = { .sin_family = AF_INET };
    socklen_t size = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *)&name, size), 0);
    getsockname(fd, (struct sockaddr *)&name, &size);
    snprintf(spec->tcp.place.port, sizeof(spec->tcp.place.port), "%u", ntohs(name.sin_port));
    CHECK_EQ(open_spec(spec), -1); /* somebody has it */
    CHECK_EQ(error.status, EX_UNAVAILABLE);
    CHECK_EQ(strstr(error.text, "choose another port") != NULL, true);
    close_console();
    close(fd);
    CHECK_EQ(open_spec(spec), 0);
}

static int connect_tcp(const struct console_spec *spec, size_t coming)
{
    struct sockaddr_in name = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons((uint16_t)atoi(spec->tcp.place.port));
    CHECK_EQ(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    turn_until(&came, coming);
    return fd;
}

static void test_tcp(void)
{
    struct console_spec spec = { .kind = CONSOLE_TCP, .tcp = { .listens = true } };
    int fd;

    open_tcp(&spec);
    fd = connect_tcp(&spec, 1);
    chip.window = 20;
    chardev_accept(chip.line);
    CHECK_EQ(write(fd, "a\r\0\xff\xf3z", 6), 6);
    turn_until(&chip.received, 6);
    CHECK_EQ(memcmp(chip.text, "a\r\0\xff\xf3z", 6), 0);
    chip.to_send = 4 * BIG;
    chip_send();
    CHECK_EQ(chip.sent < chip.to_send, 1);
    read_pattern(fd, 0, 4 * BIG);
    close(fd);
    turn_until(&went, 1);
    fd = connect_tcp(&spec, 2);
    close(fd);
    close_console();
}

/* We call, once; what the guest says when the other end has gone is nobody's. */
static void test_tcp_calls(void)
{
    struct console_spec spec = { .kind = CONSOLE_TCP };
    struct sockaddr_in name = { .sin_family = AF_INET };
    socklen_t size = sizeof(name);
    int door = socket(AF_INET, SOCK_STREAM, 0), fd;

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(door, (struct sockaddr *)&name, size), 0);
    getsockname(door, (struct sockaddr *)&name, &size);
    snprintf(spec.tcp.place.port, sizeof(spec.tcp.place.port), "%u", ntohs(name.sin_port));
    CHECK_EQ(open_spec(&spec), -1); /* nobody listens */
    CHECK_EQ(error.status, EX_UNAVAILABLE);
    CHECK_EQ(strstr(error.text, "start what listens there first") != NULL, true);
    close_console();
    CHECK_EQ(listen(door, 1), 0);
    CHECK_EQ(open_spec(&spec), 0);
    fd = accept(door, NULL, NULL);
    chip.window = 20;
    chardev_accept(chip.line);
    CHECK_EQ(write(fd, "hello", 5), 5);
    turn_until(&chip.received, 5);
    CHECK_EQ(memcmp(chip.text, "hello", 5), 0);
    chip.to_send = BIG;
    chip_send();
    read_pattern(fd, 0, BIG);
    close(fd);
    chip.to_send = 3 * BIG;
    for (unsigned i = 0; i < 10; i++)
        turn();
    chip_send();
    CHECK_EQ(chip.sent, chip.to_send);
    close_console();
    close(door);
}

/* Commands and what belongs to them, cut anywhere, are not for the guest. */
static void test_telnet(void)
{
    static const char sent[] = "a\r\0b\r\n\xff\xfd\1c\xff\xffz\xff\xfa\x18\0\xff\xff\xf0x\xff\xf0"
                               "\xff\xf3" "d\xff\xf1\xff\xfe\xff" "e\0";
    static const char heard[] = "a\rb\r\nc\xffzde\0";
    struct console_spec spec = { .kind = CONSOLE_TCP, .tcp = { .listens = true, .telnet = true } };
    uint8_t hello[12];
    int fd;

    open_tcp(&spec);
    fd = connect_tcp(&spec, 1);
    CHECK_EQ(recv(fd, hello, sizeof(hello), MSG_WAITALL), sizeof(hello));
    CHECK_EQ(memcmp(hello, "\xff\xfb\1\xff\xfb\3\xff\xfb\0\xff\xfd\0", sizeof(hello)), 0);
    chip.window = 100;
    chardev_accept(chip.line);
    for (size_t i = 0; i < sizeof(sent) - 1; i++) {
        CHECK_EQ(write(fd, sent + i, 1), 1);
        poller_dispatch(poller);
    }
    turn_until(&chip.received, sizeof(heard) - 1);
    turn();
    CHECK_EQ(chip.received, sizeof(heard) - 1);
    CHECK_EQ(memcmp(chip.text, heard, sizeof(heard) - 1), 0);
    CHECK_EQ(chip.breaks, 1);
    close(fd);
    close_console();
}

/* --- Pseudo-terminals -------------------------------------------------------------------- */

/* The name that novt prints. */
static int open_printed_pty(void)
{
    char text[256] = "", *name;
    int pipes[2], saved = dup(STDERR_FILENO), fd;

    CHECK_EQ(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    CHECK_EQ(open_console(CONSOLE_PTY, NULL), 0);
    dup2(saved, STDERR_FILENO);
    CHECK_EQ(read(pipes[0], text, sizeof(text) - 1) > 0, 1);
    name = strstr(text, "/dev/pts/");
    CHECK_EQ(name != NULL, 1);
    strtok(name, "\n");
    chip.to_send = 300; /* before anybody is there */
    chip_send();
    fd = open(name, O_RDWR | O_NOCTTY);
    snprintf(path, sizeof(path), "%s", name);
    close(pipes[0]);
    close(pipes[1]);
    close(saved);
    turn_until(&came, 1);
    return fd;
}

static void test_pty(void)
{
    int fd = open_printed_pty();

    CHECK_EQ(chip.sent, 300);
    read_pattern(fd, 0, 300);
    chip.to_send = BIG;
    chip_send();
    CHECK_EQ(chip.sent < chip.to_send, 1);
    read_pattern(fd, 300, BIG - 300);
    chip.window = 100;
    chardev_accept(chip.line);
    CHECK_EQ(write(fd, "\x03typed\r", 7), 7); /* no key is special */
    turn_until(&chip.received, 7);
    CHECK_EQ(memcmp(chip.text, "\x03typed\r", 7), 0);
    close(fd);
    turn_until(&went, 1);
    chip.to_send += 100;
    chip_send();
    CHECK_EQ(chip.sent, chip.to_send);
    fd = open(path, O_RDWR | O_NOCTTY);
    turn_until(&came, 2);
    read_pattern(fd, BIG, 100);
    close(fd);
    close_console();
}

/* With nobody there, nothing must spin: the process's own time says. */
static void test_pty_is_idle(void)
{
    bool idle = false;

    close(open_printed_pty());
    turn();
    for (unsigned i = 0; i < 5 && !idle; i++) { /* the host may charge it for others */
        struct timespec before, after;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        usleep(300000);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        after.tv_nsec += (after.tv_sec - before.tv_sec) * 1000000000;
        idle = after.tv_nsec - before.tv_nsec < 30000000;
    }
    CHECK_EQ(idle, true);
    close_console();
}

/* --- The terminal ------------------------------------------------------------------------ */

static void set_size(int fd, uint16_t columns, uint16_t rows)
{
    CHECK_EQ(ioctl(fd, TIOCSWINSZ, &(struct winsize){ .ws_col = columns, .ws_row = rows }), 0);
}

static void expect_size(unsigned columns, unsigned rows)
{
    for (unsigned i = 0; i < TURNS_MAX && chip.columns != columns; i++)
        turn();
    CHECK_EQ(chip.columns, columns);
    CHECK_EQ(chip.rows, rows);
}

/* Its size at first; then another one, of which a signal tells; and one after a stop. */
static void test_stdio_size(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), saved = dup(STDOUT_FILENO), slave;

    CHECK_EQ(grantpt(master) || unlockpt(master), 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    set_size(slave, 100, 40);
    dup2(slave, STDOUT_FILENO);
    CHECK_EQ(open_console(CONSOLE_STDIO, NULL), 0);
    CHECK_EQ(chip.columns, 100);
    CHECK_EQ(chip.rows, 40);
    set_size(slave, 132, 50);
    raise(SIGWINCH);
    expect_size(132, 50);
    set_size(slave, 80, 25);
    raise(SIGCONT);
    expect_size(80, 25);
    close_console();
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(slave);
    close(master);
    raise(SIGWINCH); /* nobody listens now */
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(directory))
        return 1;
    test_file();
    test_full_disk();
    test_bad_paths();
    test_unix_output();
    test_unix_clients();
    test_unix_leaves();
    test_unix_input();
    test_unix_stale();
    test_tcp();
    test_tcp_calls();
    test_telnet();
    test_pty();
    test_pty_is_idle();
    test_stdio_size();
    snprintf(path, sizeof(path), "%s/file", directory);
    unlink(path);
    rmdir(directory);
    return CHECK_DONE();
}
