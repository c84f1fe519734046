/* The monitor's filter: what is stopped, with which status, and what is not; each in a child. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/thread.h"
#include "frontend/confine.h"
#include "tests/check.h"

#define SKIPPED 77

static void *nothing(void *arg)
{
    return arg;
}

static void allowed(void)
{
    pthread_t thread;
    int fd = memfd_create("test", MFD_CLOEXEC);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK_EQ(fd >= 0, 1);
    CHECK_EQ(ftruncate(fd, 4096), 0);
    CHECK_EQ(page != MAP_FAILED, 1);
    CHECK_EQ(mprotect(page, 4096, PROT_READ), 0);
    CHECK_EQ(munmap(page, 4096), 0);
    CHECK_EQ(pthread_create(&thread, NULL, nothing, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    signal(SIGUSR1, SIG_IGN);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(close(fd), 0);
}

#define BLOCKS 64

static void *allocate(void *blocks)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        ((void **)blocks)[i] = malloc(16384);
    return NULL;
}

static void give_back(void **blocks)
{
    for (unsigned i = BLOCKS; i-- > 0;)
        free(blocks[i]);
}

/* What another thread has allocated is given back to the kernel. */
static void shrink(void)
{
    void *blocks[BLOCKS];
    pthread_t thread;

    CHECK_EQ(thread_start(&thread, allocate, blocks), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    give_back(blocks);
}

static void *allocate_and_give_back(void *blocks)
{
    allocate(blocks);
    give_back(blocks);
    return NULL;
}

/* ... and by that thread itself. */
static void shrink_there(void)
{
    void *blocks[BLOCKS];
    pthread_t thread;

    CHECK_EQ(thread_start(&thread, allocate_and_give_back, blocks), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void run(void)
{
    char *const args[] = { "true", NULL };

    execve("/bin/true", args, args + 1);
}

static void make_code(void)
{
    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void open_file(void)
{
    open("/dev/null", O_RDONLY);
}

static void remove_file(void)
{
    unlink("/nowhere/nothing");
}

static void kill_parent(void)
{
    kill(getppid(), 0);
}

static void make_child(void)
{
    fork();
}

static void connect_out(void)
{
    socket(AF_INET, SOCK_STREAM, 0);
}

static void make_line(void)
{
    socket(AF_UNIX, SOCK_STREAM, 0);
}

static void make_packets(void)
{
    socket(AF_PACKET, SOCK_RAW, 0);
}

/* What libslirp does: sockets, and the resolver's file by its name, of which there is a copy. */
static void network(void)
{
    static const struct sockaddr_in anywhere = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct stat st = { .st_size = -1 }, of_file = { .st_size = 0 };

    CHECK_EQ(bind(fd, (const struct sockaddr *)&anywhere, sizeof(anywhere)), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(stat("/etc/resolv.conf", &st), 0);
    for (unsigned i = 0; i < 2; i++) {
        char byte[2] = "";

        fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
        CHECK_EQ(fd >= 0 && !fstat(fd, &of_file) && of_file.st_size == st.st_size, 1);
        CHECK_EQ((size_t)read(fd, byte, 1), st.st_size > 0);
        CHECK_EQ(close(fd), 0);
    }
    CHECK_EQ(open("/etc/resolv.conf", O_RDWR | O_CLOEXEC), -1);
}

/* ... and the number of an interface that a resolver's address names. */
static void name_interface(void)
{
    CHECK_EQ(if_nametoindex("lo") != 0, true);
}

static void trace(void)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

/* The child's exit status: 100 when nothing was stopped. */
static int in_child(void (*what)(void), const struct confine_wants *wants)
{
    int status = -1;
    const char *why;
    pid_t pid = fork();

    if (!pid) {
        if (!freopen("/dev/null", "w", stderr) || confine_enter(wants, &why))
            _exit(SKIPPED);
        what();
        _exit(check_failures ? 1 : 100);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
    static void (*const stopped[])(void) = {
        run, make_code, open_file, remove_file, kill_parent, make_child, connect_out, trace,
    };
    const struct confine_wants none = { 0 };
    const struct confine_wants user = { .user_network = true }, line = { .socket_line = true };
    const struct confine_wants both = { .user_network = true, .socket_line = true };
    const struct confine_wants tftp = { .user_network = true, .read_files = true };
    const struct confine_wants all = { .write_files = true, .remove_files = true };
    const char *why = confine_try();

    if (why) {
        printf("skipped: %s\n", why);
        return SKIPPED;
    }
    CHECK_EQ((unsigned)in_child(allowed, &none), 100);
    CHECK_EQ((unsigned)in_child(shrink, &none), 100);
    CHECK_EQ((unsigned)in_child(shrink_there, &none), 100);
    for (unsigned i = 0; i < sizeof(stopped) / sizeof(*stopped); i++)
        CHECK_EQ((unsigned)in_child(stopped[i], &none), EX_SOFTWARE);
    CHECK_EQ((unsigned)in_child(open_file, &all), 100);
    CHECK_EQ((unsigned)in_child(remove_file, &all), 100);
    CHECK_EQ((unsigned)in_child(run, &all), EX_SOFTWARE);
    CHECK_EQ((unsigned)in_child(network, &none), EX_SOFTWARE);
    CHECK_EQ((unsigned)in_child(network, &line), EX_SOFTWARE);
    CHECK_EQ((unsigned)in_child(network, &user), 100);
    CHECK_EQ((unsigned)in_child(name_interface, &none), EX_SOFTWARE);
    CHECK_EQ((unsigned)in_child(name_interface, &user), 100);
    CHECK_EQ((unsigned)in_child(name_interface, &both), 100);
    CHECK_EQ((unsigned)in_child(open_file, &user), EX_SOFTWARE);
    CHECK_EQ((unsigned)in_child(open_file, &tftp), 100);
    CHECK_EQ((unsigned)in_child(make_line, &user), EX_SOFTWARE);
    CHECK_EQ((unsigned)in_child(make_line, &line), 100);
    CHECK_EQ((unsigned)in_child(make_packets, &user), EX_SOFTWARE);
    return CHECK_DONE();
}
