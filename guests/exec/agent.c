/*
 * The guest's first process for novt exec: runs one command and carries its streams and its end
 * over the virtio console (protocol.h).
 *
 * All it does happens in one loop around poll(): frames from the host, bytes from the command's
 * pipes, and SIGCHLD by a signalfd. The command's end ends all: what else still runs is killed, so
 * that the pipes end, and what was in them is sent before EXIT.
 */
#include "guests/bench/rt.h"
#include "guests/exec/protocol.h"

enum {
    NR_chdir = 12, NR_mount = 21, NR_mkdir = 39, NR_umount2 = 52, NR_dup2 = 63, NR_setsid = 66,
    NR_reboot = 88, NR_ioctl = 54, NR_poll = 168, NR_rt_sigprocmask = 175, NR_signalfd4 = 327,
    NR_pipe2 = 331, NR_syncfs = 344,
};
enum { O_RDWR = 2, O_NOCTTY = 0x100, O_NONBLOCK = 0x800, O_CLOEXEC = 0x80000 };
enum { ENOENT = 2, ENOEXEC = 8, EACCES = 13, EEXIST = 17, ENOTDIR = 20 };
enum { POLLIN = 1, POLLOUT = 4 };
enum { SIGKILL = 9, SIGCHLD = 17, SIG_SETMASK = 2, WNOHANG = 1 };
enum { TCSETS = 0x5402, TERMIOS_CS8_CREAD = 0xb0, VMIN = 6 };
enum { STRINGS_MAX = 1 << 16, ARENA = 16 << 20 };

struct termios { /* asm/termbits.h */
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line, cc[19];
};

struct pollfd {
    int32_t fd;
    int16_t events, revents;
};

/* One of the command's two outputs. */
struct source {
    int fd; /* the pipe's end that is read; -1 when it has ended */
    uint8_t kind;
    uint32_t granted; /* bytes that the host has room for */
};

struct strings {
    char **list; /* with a NULL behind the last */
    unsigned count;
};

static struct agent {
    int console, console_in; /* the first waits for room, the second never */
    uint8_t frame[EXEC_HEADER + EXEC_PAYLOAD_MAX];
    uint32_t got; /* bytes of it */

    char *arena, *arena_end; /* what strings are kept in */
    struct strings arguments, variables;
    const char *folder; /* NULL: none is shared */

    struct source source[2];
    int input; /* the pipe's end that is written; -1 when it is closed */
    uint8_t waiting[EXEC_WINDOW]; /* a ring of standard input, for the command to take */
    uint32_t waiting_from, waiting_size;
    int input_ended;

    int signals; /* signalfd */
    int pid;     /* the command; 0 before and after */
    int ended, status;
} agent;

/* ---- To the host --------------------------------------------------------- */

static size_t length(const char *text)
{
    size_t n = 0;

    while (text[n])
        n++;
    return n;
}

static void copy(void *to, const void *from, size_t size)
{
    __builtin_memcpy(to, from, size);
}

static void write_all(const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size) {
        long n = sys3(SYS_write, agent.console, at, size);

        if (n <= 0)
            continue; /* the console is all there is: nobody else could be told */
        at += n;
        size -= (size_t)n;
    }
}

static void send(uint8_t kind, const void *payload, uint32_t size)
{
    static uint8_t frame[EXEC_HEADER + EXEC_CHUNK]; /* in one piece: the console is not cheap */
    uint32_t head = kind | size << 8;

    copy(frame, &head, sizeof(head));
    copy(frame + EXEC_HEADER, payload, size);
    write_all(frame, EXEC_HEADER + size);
}

static void grant_input(uint32_t size)
{
    uint8_t payload[5] = { EXEC_INPUT };

    copy(payload + 1, &size, sizeof(size));
    send(EXEC_GRANT, payload, sizeof(payload));
}

__attribute__((noreturn)) static void power_off(void)
{
    for (;;)
        sys4(NR_reboot, 0xfee1dead, 672274793, 0x4321fedc, 0);
}

__attribute__((noreturn)) static void fail(const char *why)
{
    send(EXEC_FAILED, why, (uint32_t)length(why));
    power_off();
}

/* ---- What to run --------------------------------------------------------- */

static char *keep(const uint8_t *bytes, uint32_t size)
{
    char *text = agent.arena;

    if ((size_t)(agent.arena_end - agent.arena) <= size)
        fail("the command and its environment are too long");
    copy(text, bytes, size);
    text[size] = 0;
    agent.arena += size + 1;
    return text;
}

static void append(struct strings *strings, const uint8_t *bytes, uint32_t size)
{
    if (strings->count == STRINGS_MAX)
        fail("the command has too many words");
    strings->list[strings->count++] = keep(bytes, size);
}

/* Every directory of the path. */
static void make_directories(char *path)
{
    for (char *at = path + 1;; at++) {
        char was = *at;

        if (was && was != '/')
            continue;
        *at = 0;
        sys2(NR_mkdir, path, 0755);
        *at = was;
        if (!was)
            return;
    }
}

static void mount_folder(const uint8_t *bytes, uint32_t size)
{
    char *path = keep(bytes, size);

    make_directories(path);
    if (sys6(NR_mount, (long)"share", (long)path, (long)"9p", 0,
             (long)"trans=virtio,version=9p2000.L,msize=262144,access=any,cache=mmap", 0))
        fail("cannot mount the shared folder");
    agent.folder = path;
}

/* ---- The command --------------------------------------------------------- */

static const char *variable(const char *name)
{
    for (unsigned i = 0; i < agent.variables.count; i++) {
        const char *text = agent.variables.list[i], *wanted = name;

        while (*wanted && *text == *wanted)
            text++, wanted++;
        if (!*wanted && *text == '=')
            return text + 1;
    }
    return "";
}

/* As execvp() does: a file that is no program is a script for the shell. */
static long execute(const char *path)
{
    char **words = agent.arguments.list;
    long err = sys3(SYS_execve, path, words, agent.variables.list);

    if (err == -ENOEXEC) {
        char **script = words - 1; /* there is room in front */
        script[0] = (char *)"sh";
        words[0] = (char *)path;
        err = sys3(SYS_execve, "/bin/sh", script, agent.variables.list);
    }
    return err;
}

static int has_slash(const char *text)
{
    for (; *text; text++)
        if (*text == '/')
            return 1;
    return 0;
}

/* Tries each directory of PATH; returns why none of them will do. */
static long execute_by_path(const char *name)
{
    static char path[1 << 16];
    long err, worst = -ENOENT;

    for (const char *at = variable("PATH"), *end = at; *at; at = *end ? end + 1 : end) {
        size_t size;

        for (end = at; *end && *end != ':'; end++)
            ;
        size = (size_t)(end - at);
        if (size + length(name) + 2 > sizeof(path))
            continue;
        copy(path, at, size);
        path[size] = '/';
        copy(path + size + 1, name, length(name) + 1);
        err = execute(path);
        if (err != -ENOENT && err != -ENOTDIR)
            worst = err;
    }
    return worst;
}

static void say(const char *text)
{
    sys3(SYS_write, 2, text, length(text));
}

__attribute__((noreturn)) static void be_command(const int pipes[3])
{
    static const uint32_t none[2];
    const char *name = agent.arguments.list[0];
    long err;

    sys0(NR_setsid);
    for (int i = 0; i < 3; i++)
        sys2(NR_dup2, pipes[i], i);
    sys4(NR_rt_sigprocmask, SIG_SETMASK, none, 0, sizeof(none));
    sys1(NR_chdir, agent.folder ? agent.folder : variable("HOME"));
    err = has_slash(name) ? execute(name) : *name ? execute_by_path(name) : -ENOENT;
    say("novt exec: ");
    say(name);
    say(err == -ENOENT ? ": not found in the guest\n"
        : err == -EACCES ? ": may not be executed in the guest\n"
                         : ": cannot be executed in the guest\n");
    rt_exit(err == -ENOENT ? 127 : 126);
}

static void start(void)
{
    int input[2], pipes[3];

    if (sys2(NR_pipe2, input, O_CLOEXEC))
        fail("no pipe");
    pipes[0] = input[0];
    agent.input = input[1];
    for (int i = 0; i < 2; i++) {
        int output[2];

        if (sys2(NR_pipe2, output, O_CLOEXEC))
            fail("no pipe");
        agent.source[i].fd = output[0];
        pipes[i + 1] = output[1];
    }
    agent.pid = (int)sys0(SYS_fork);
    if (!agent.pid)
        be_command(pipes);
    if (agent.pid < 0)
        fail("no memory for the command");
    for (int i = 0; i < 3; i++)
        sys1(SYS_close, pipes[i]);
}

/* ---- From the host ------------------------------------------------------- */

static struct source *source_of(uint8_t kind)
{
    return &agent.source[kind == EXEC_ERRORS];
}

static void close_source(struct source *source)
{
    if (source->fd >= 0)
        sys1(SYS_close, source->fd);
    source->fd = -1;
}

static void take_input(const uint8_t *bytes, uint32_t size)
{
    if (agent.input < 0 || size > EXEC_WINDOW - agent.waiting_size)
        return; /* nobody reads it */
    for (uint32_t i = 0; i < size; i++)
        agent.waiting[(agent.waiting_from + agent.waiting_size++) % EXEC_WINDOW] = bytes[i];
}

static void take_grant(const uint8_t *payload)
{
    uint32_t size;

    copy(&size, payload + 1, sizeof(size));
    source_of(payload[0])->granted += size;
}

static void take_frame(uint8_t kind, const uint8_t *payload, uint32_t size)
{
    switch (kind) {
    case EXEC_FOLDER: mount_folder(payload, size); break;
    case EXEC_ARGUMENT: append(&agent.arguments, payload, size); break;
    case EXEC_VARIABLE: append(&agent.variables, payload, size); break;
    case EXEC_RUN: start(); break;
    case EXEC_INPUT: take_input(payload, size); break;
    case EXEC_INPUT_END: agent.input_ended = 1; break;
    case EXEC_GRANT: take_grant(payload); break;
    case EXEC_CLOSE: close_source(source_of(payload[0])); break;
    case EXEC_SIGNAL:
        if (agent.pid)
            sys2(SYS_kill, -agent.pid, payload[0]);
        break;
    default: break;
    }
}

/* Reads what the frame at hand still lacks, and no byte of the next. */
static void hear_host(void)
{
    for (;;) {
        uint32_t head = 0, wanted = EXEC_HEADER;
        long n;

        if (agent.got >= EXEC_HEADER) {
            copy(&head, agent.frame, sizeof(head));
            wanted += head >> 8;
        }
        if (agent.got == wanted && agent.got >= EXEC_HEADER) {
            agent.got = 0;
            take_frame((uint8_t)head, agent.frame + EXEC_HEADER, head >> 8);
            continue;
        }
        if (wanted > sizeof(agent.frame))
            fail("a frame is too long");
        n = sys3(SYS_read, agent.console_in, agent.frame + agent.got, wanted - agent.got);
        if (n <= 0)
            return;
        agent.got += (uint32_t)n;
        if (agent.got == EXEC_HEADER)
            continue; /* now its length is known */
    }
}

/* ---- The command's streams and its end ----------------------------------- */

static void feed_command(void)
{
    uint32_t most = EXEC_WINDOW - agent.waiting_from; /* up to the ring's end */
    long n = 0;

    most = agent.waiting_size < most ? agent.waiting_size : most;
    if (most) {
        n = sys3(SYS_write, agent.input, agent.waiting + agent.waiting_from,
                 most < 4096 ? most : 4096); /* so much a pipe that can be written takes at once */
        if (n > 0) {
            agent.waiting_from = (agent.waiting_from + (uint32_t)n) % EXEC_WINDOW;
            agent.waiting_size -= (uint32_t)n;
            grant_input((uint32_t)n);
        }
    }
    if (n < 0 || (!agent.waiting_size && agent.input_ended)) {
        sys1(SYS_close, agent.input);
        agent.input = -1;
    }
}

static void carry(struct source *source)
{
    static uint8_t bytes[EXEC_CHUNK];
    uint32_t most = source->granted < EXEC_CHUNK ? source->granted : EXEC_CHUNK;
    long n = sys3(SYS_read, source->fd, bytes, most);

    if (n <= 0) {
        close_source(source);
        return;
    }
    source->granted -= (uint32_t)n;
    send(source->kind, bytes, (uint32_t)n);
}

static void note_end(int status)
{
    agent.ended = 1;
    agent.pid = 0;
    agent.status = status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 255;
    sys2(SYS_kill, -1, SIGKILL);
}

/* Orphans are ours as well. */
static void reap(void)
{
    uint8_t info[128];
    int status = 0;
    long pid;

    sys3(SYS_read, agent.signals, info, sizeof(info));
    while ((pid = sys4(SYS_wait4, -1, &status, WNOHANG, 0)) > 0)
        if (pid == agent.pid)
            note_end(status);
}

/* What the command wrote to the folder must be there when it is said to have ended. */
static void leave_folder(void)
{
    int fd;

    if (!agent.folder)
        return;
    while (sys4(SYS_wait4, -1, 0, 0, 0) > 0)
        ; /* the dead let go of it */
    fd = (int)sys2(SYS_open, agent.folder, 0);
    if (fd >= 0)
        sys1(NR_syncfs, fd);
    sys1(SYS_close, fd);
    sys2(NR_umount2, agent.folder, 0);
}

/* ---- The loop ------------------------------------------------------------ */

static struct pollfd wish(int wanted, int fd, int16_t events)
{
    return (struct pollfd){ wanted ? fd : -1, events, 0 };
}

static void step(void)
{
    struct pollfd fds[5] = {
        wish(1, agent.console_in, POLLIN),
        wish(1, agent.signals, POLLIN),
        wish(agent.waiting_size || agent.input_ended, agent.input, POLLOUT),
        wish(agent.source[0].granted > 0, agent.source[0].fd, POLLIN),
        wish(agent.source[1].granted > 0, agent.source[1].fd, POLLIN),
    };

    sys3(NR_poll, fds, 5, -1);
    for (int i = 0; i < 2; i++)
        if (fds[3 + i].revents && agent.source[i].fd == fds[3 + i].fd)
            carry(&agent.source[i]);
    if (fds[1].revents)
        reap();
    if (fds[2].revents)
        feed_command();
    if (fds[0].revents)
        hear_host();
}

static void open_console(void)
{
    struct termios raw = { .cflag = TERMIOS_CS8_CREAD, .cc = { [VMIN] = 1 } };

    agent.console = (int)sys2(SYS_open, "/dev/hvc0", O_RDWR | O_NOCTTY | O_CLOEXEC);
    agent.console_in =
        (int)sys2(SYS_open, "/dev/hvc0", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (agent.console < 0 || sys3(NR_ioctl, agent.console, TCSETS, &raw))
        rt_fail("/dev/hvc0", agent.console);
}

static void prepare(void)
{
    static const uint32_t child[2] = { 1u << (SIGCHLD - 1) };
    char **lists = rt_map(2 * (STRINGS_MAX + 2) * sizeof(char *), PROT_READ | PROT_WRITE);

    agent.arena = rt_map(ARENA, PROT_READ | PROT_WRITE);
    agent.arena_end = agent.arena + ARENA;
    agent.arguments.list = lists + 1; /* execute() needs one in front */
    agent.variables.list = lists + STRINGS_MAX + 2;
    agent.input = -1;
    agent.source[0] = (struct source){ -1, EXEC_OUTPUT, EXEC_WINDOW };
    agent.source[1] = (struct source){ -1, EXEC_ERRORS, EXEC_WINDOW };
    sys4(NR_rt_sigprocmask, SIG_SETMASK, child, 0, sizeof(child));
    agent.signals = (int)sys4(NR_signalfd4, -1, child, sizeof(child), O_NONBLOCK | O_CLOEXEC);
}

int rt_main(int argc, char **argv, char **envp)
{
    uint8_t status;

    (void)argc, (void)argv, (void)envp;
    prepare();
    open_console();
    send(EXEC_READY, "", 0);
    while (!agent.ended || agent.source[0].fd >= 0 || agent.source[1].fd >= 0)
        step();
    leave_folder();
    status = (uint8_t)agent.status;
    send(EXEC_EXIT, &status, 1);
    power_off();
}
