/* novt exec's side of the console, against guests that are processes here: good and hostile. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/error.h"
#include "frontend/exec_link.h"
#include "guests/exec/protocol.h"
#include "tests/check.h"

static void write_all(int fd, const void *bytes, size_t size)
{
    for (const char *at = bytes; size;) {
        ssize_t n = write(fd, at, size);

        if (n <= 0)
            return;
        at += n;
        size -= (size_t)n;
    }
}

static bool read_all(int fd, void *bytes, size_t size)
{
    for (char *at = bytes; size;) {
        ssize_t n = read(fd, at, size);

        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static void send_frame(int fd, unsigned kind, const void *payload, uint32_t size)
{
    uint32_t head = kind | size << 8;

    write_all(fd, &head, sizeof(head));
    write_all(fd, payload, size);
}

/* The kind of the next frame, 0 at the end; what follows it goes into payload, of 1 MiB. */
static unsigned take_frame(int fd, uint8_t *payload, uint32_t *size)
{
    uint32_t head;

    if (!read_all(fd, &head, sizeof(head)))
        return 0;
    *size = head >> 8;
    return read_all(fd, payload, *size) ? head & 0xff : 0;
}

typedef void guest_fn(int console);

/* Runs the guest in a process and the link in another, whose output is a pipe that goes into out,
 * up to room bytes. Returns the link's exit status: the result's, or 100 + its end. */
static int run(guest_fn *guest, const char *input, char *out, size_t room, size_t *got)
{
    static char *words[] = { (char *)"word", (char *)"", NULL }, *none[] = { NULL };
    int console[2], said[2], output[2], feed[2], status;
    pid_t host, other;
    ssize_t n;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, console), 0);
    CHECK_EQ(pipe(said) | pipe(output) | pipe(feed), 0);
    write_all(feed[1], input, strlen(input));
    close(feed[1]);
    other = fork();
    if (!other) {
        close(console[0]);
        guest(console[1]);
        _exit(0);
    }
    host = fork();
    if (!host) {
        struct exec_link_config config = { .console = console[0], .said = said[0],
                                           .words = words, .variables = none };
        struct exec_result result;
        struct error error = { 0 };

        close(console[1]);
        close(said[1]);
        dup2(feed[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        exec_link_block();
        if (exec_link_run(&config, &result, &error))
            _exit(99);
        _exit(result.end == EXEC_END_EXITED ? result.status : 100 + (int)result.end);
    }
    close(console[0]);
    close(console[1]);
    close(said[0]);
    close(said[1]);
    close(feed[0]);
    close(output[1]);
    for (*got = 0; *got < room && (n = read(output[0], out + *got, room - *got)) > 0;)
        *got += (size_t)n;
    close(output[0]);
    waitpid(host, &status, 0);
    waitpid(other, NULL, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- A guest as it should be --------------------------------------------------------------- */

enum { TOTAL = 3 * EXEC_WINDOW + 1000 };

/* Expects the words, then sends as much as it is granted, and all of it. */
static void good_guest(int console)
{
    static uint8_t payload[1 << 20], data[TOTAL];
    static const unsigned wanted[] = { EXEC_ARGUMENT, EXEC_ARGUMENT, EXEC_RUN, EXEC_INPUT,
                                       EXEC_INPUT_END };
    uint32_t size, granted = EXEC_WINDOW, more, sent = 0;

    send_frame(console, EXEC_READY, "", 0);
    for (unsigned i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (take_frame(console, payload, &size) != wanted[i] ||
            (i == 3 && (size != 5 || memcmp(payload, "input", 5))))
            return; /* the link sees a guest that has gone */
    for (uint32_t i = 0; i < TOTAL; i++)
        data[i] = (uint8_t)(i * 7 / 5);
    while (sent < TOTAL) {
        uint32_t n = TOTAL - sent < EXEC_CHUNK ? TOTAL - sent : EXEC_CHUNK;

        n = n < granted ? n : granted;
        if (n) {
            send_frame(console, EXEC_OUTPUT, data + sent, n);
            sent += n;
            granted -= n;
        } else if (take_frame(console, payload, &size) == EXEC_GRANT && payload[0] == EXEC_OUTPUT) {
            memcpy(&more, payload + 1, sizeof(more));
            granted += more;
        } else {
            return;
        }
    }
    send_frame(console, EXEC_EXIT, "\x21", 1);
}

static void test_streams(void)
{
    static char out[TOTAL + 1];
    size_t got, wrong = 0;

    CHECK_EQ(run(good_guest, "input", out, sizeof(out), &got), 0x21);
    CHECK_EQ(got, TOTAL);
    for (uint32_t i = 0; i < got; i++)
        wrong += (uint8_t)out[i] != (uint8_t)(i * 7 / 5);
    CHECK_EQ(wrong, 0);
}

/* --- Guests as they should not be ----------------------------------------------------------- */

static void too_long(int console)
{
    static uint8_t bytes[EXEC_CHUNK + 1];

    send_frame(console, EXEC_OUTPUT, bytes, sizeof(bytes));
}

static void unknown_kind(int console)
{
    send_frame(console, 200, "", 0);
}

/* More than its window, while nobody has taken any. */
static void too_much(int console)
{
    static uint8_t bytes[EXEC_CHUNK];

    for (unsigned i = 0; i < 1000; i++)
        send_frame(console, EXEC_OUTPUT, bytes, sizeof(bytes));
}

static void odd_grants(int console)
{
    send_frame(console, EXEC_GRANT, "", 0);
    send_frame(console, EXEC_GRANT, "\6\377\377\377\377", 5);
    send_frame(console, EXEC_READY, "", 0);
    send_frame(console, EXEC_READY, "", 0);
    send_frame(console, EXEC_EXIT, "", 0);
}

static void fails(int console)
{
    send_frame(console, EXEC_FAILED, "because", 7);
}

static void goes(int console)
{
    send_frame(console, EXEC_READY, "", 0);
    write_all(console, "\1\2", 2); /* half of a frame */
}

static void test_hostile(void)
{
    static const struct {
        guest_fn *guest;
        int status;
    } cases[] = {
        { too_long, 100 + EXEC_END_FAILED }, { unknown_kind, 100 + EXEC_END_FAILED },
        { odd_grants, 0 },                   { fails, 100 + EXEC_END_FAILED },
        { goes, 100 + EXEC_END_LOST },
    };
    char out[16];
    size_t got;
    int status;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        CHECK_EQ(run(cases[i].guest, "", out, sizeof(out), &got), cases[i].status);
    status = run(too_much, "", out, 1, &got); /* the reader goes, or the window is passed: both */
    CHECK_EQ(status == 100 + EXEC_END_FAILED || status == 100 + EXEC_END_LOST, true);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_streams();
    test_hostile();
    return CHECK_DONE();
}
