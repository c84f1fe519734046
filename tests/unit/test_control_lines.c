/* Control's protocol: lines that are none, too long, cut up, binary; answers that nobody takes. */
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "frontend/config_control.h"
#include "frontend/control.h"
#include "frontend/control_lines.h"
#include "frontend/error.h"
#include "frontend/poller.h"
#include "tests/check.h"

#define PATH "control-test.sock"

static struct control *control;
static struct control_lines *lines;
static struct poller *poller;
static struct clock clock_;
static bool paused;
static unsigned answered;

/* --- The protocol ---------------------------------------------------------------------------- */

static json_t *answer(const char *line, size_t size)
{
    char *text = control_answer(control, line, size);
    json_t *value = json_loads(text ? text : "", 0, NULL);

    CHECK_EQ(text && !strchr(text, '\n'), 1);
    CHECK_EQ(json_is_object(value), 1);
    free(text);
    return value;
}

/* The line's answer is an error that says this. */
static void fails_sized(const char *line, size_t size, const char *part)
{
    json_t *value = answer(line, size);
    const char *desc = json_string_value(json_object_get(json_object_get(value, "error"), "desc"));

    if (!desc || !strstr(desc, part)) {
        printf("FAIL %.60s: '%s', want '%s'\n", line, desc ? desc : "no error", part);
        check_failures++;
    }
    json_decref(value);
}

static void fails(const char *line, const char *part)
{
    fails_sized(line, strlen(line), part);
}

static void test_garbage(void)
{
    fails("", "empty or too long");
    fails("status", "not a JSON object");
    fails("[1]", "something else");
    fails("{", "not a JSON object");
    fails("{}", "\"execute\"");
    fails("{\"execute\": 7}", "\"execute\"");
    fails("{\"execute\": \"statsu\"}", "did you mean stat");
    fails("{\"execute\": \"\"}", "unknown command");
    fails("{\"execute\": \"status\", \"arguments\": 3}", "no object");
    fails("{\"execute\": \"status\", \"arguments\": {\"a\": 1}}", "'a' is none of its arguments");
    fails("{\"execute\": \"sendkey\"}", "'keys' is missing");
    fails("{\"execute\": \"sendkey\", \"arguments\": {\"keys\": 4}}", "not what it takes");
    fails("{\"execute\": \"mouse\", \"arguments\": {\"dx\": \"0x\", \"dy\": 1}}", "dx");
    fails("{\"execute\": \"eject\", \"arguments\": {\"drive\": \"a\", \"force\": 1}}", "force");
    fails("{\"execute\": \"status\", \"execute\": \"quit\"}", "not a JSON object");
    fails("{\"execute\": \"status\"} {}", "not a JSON object");
    fails_sized("{\"execute\"\0: 1}", 15, "not a JSON object");
    fails("{\"execute\": \"\\u0000\"}", "not a JSON object");
    fails("\xff\xfe\x80{}", "not a JSON object");
}

static void test_deep_and_random(void)
{
    char *deep = malloc(CONTROL_LINE_MAX);
    unsigned seed = 1;

    memset(deep, '[', CONTROL_LINE_MAX);
    fails_sized(deep, CONTROL_LINE_MAX, "not a JSON object");
    for (unsigned i = 0; i < 2000; i++) {
        for (unsigned k = 0; k < 64; k++)
            deep[k] = (char)((seed = seed * 1103515245 + 12345) >> 16);
        json_decref(answer(deep, 64));
    }
    free(deep);
}

/* An id comes back as it was; a message that is cut within a letter is still UTF-8. */
static void test_ids(void)
{
    static const char request[] = "{\"execute\": \"help\", \"id\": {\"a\": [1, null]}}";
    char line[1024] = "{\"execute\": \"x";
    json_t *value = answer(request, sizeof(request) - 1), *id = json_object_get(value, "id");

    CHECK_EQ(json_array_size(json_object_get(id, "a")), 2);
    CHECK_EQ(json_is_object(json_object_get(value, "return")), 1);
    CHECK_EQ(json_is_null(json_object_get(value, "error")), 0);
    json_decref(value);
    for (unsigned i = 0; i < 300; i++)
        strcat(line, "\xc3\xa4");
    strcat(line, "\"}");
    fails(line, "unknown command");
}

static void words(const char *line, const char *part)
{
    char *text = control_answer_words(control, line, strlen(line));

    if (!text || !strstr(text, part)) {
        printf("FAIL '%s': '%s', want '%s'\n", line, text ? text : "nothing", part);
        check_failures++;
    }
    free(text);
}

static void test_words(void)
{
    char *request[] = { "dump", "memory", "0x1000", "16" }, *text[] = { "type", "a", "b\\n" };
    struct error error = { 0 };
    json_t *value = control_request(request, 4, "/tmp", &error);
    const json_t *arguments = json_object_get(value, "arguments");

    CHECK_EQ(json_object_get(arguments, "file") == NULL, 1);
    CHECK_EQ(!strcmp(json_string_value(json_object_get(arguments, "address")), "0x1000"), 1);
    json_decref(value);
    value = control_request(text, 3, NULL, &error);
    CHECK_EQ(!strcmp(json_string_value(json_object_get(json_object_get(value, "arguments"),
                                                       "text")), "a b\n"), 1);
    json_decref(value);
    words("", "");
    words("help", "screenshot FILE.png");
    words("puase", "did you mean pause");
    words("xp /4x 0", "xp: no command here; write dump memory");
    words("nosuch", "nosuch: unknown command (help lists all)");
    words("mouse 1", "'dy' is missing");
    words("mouse a b", "usage");
    words("status now", "too much");
    words("eject \"my drive\" force", "no machine");
    words("type \xff", "UTF-8");
}

/* --- Lines ------------------------------------------------------------------------------------ */

/* Long answers for those who ask for them, else how long the line was. */
static char *count(void *arg, const char *line, size_t size)
{
    char *text = malloc(1 << 20);

    (void)arg;
    answered++;
    snprintf(text, 64, "%zu", size);
    if (size && *line == 'L') {
        memset(text, 'x', 1 << 20);
        text[(1 << 20) - 1] = 0;
    }
    return text;
}

static bool is_paused(void *arg)
{
    (void)arg;
    return paused;
}

static void kick(void *arg)
{
    (void)arg;
}

static struct control_lines *start(const struct control_spec *spec, const char *prompt,
                                   struct error *error)
{
    const struct control_lines_config config = { .spec = spec, .prompt = prompt, .answer = count,
                                                 .poller = poller, .is_paused = is_paused,
                                                 .clock = &clock_ };

    return control_lines_open(&config, error);
}

static int join(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = PATH };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    CHECK_EQ(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Turns of the run loop, each a millisecond later. */
static void turn(unsigned times)
{
    while (times--) {
        usleep(1000);
        poller_dispatch(poller);
        clock_advance(&clock_, 1000000);
    }
}

static void is_said(int fd, const char *wanted)
{
    char text[256] = "";
    ssize_t n = 0;

    for (unsigned i = 0; i < 120000 && (size_t)n < strlen(wanted); i++) {
        ssize_t more = recv(fd, text + n, sizeof(text) - 1 - (size_t)n, MSG_DONTWAIT);

        n += more > 0 ? more : 0;
        turn(1);
    }
    if (strcmp(text, wanted)) {
        printf("FAIL '%s', want '%s'\n", text, wanted);
        check_failures++;
    }
}

static void put(int fd, const char *text)
{
    CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_lines(void)
{
    int fd = join();

    put(fd, "abc\nde");
    is_said(fd, "3\n");
    put(fd, "f\n\n  \nx\r\n");
    is_said(fd, "3\n1\n"); /* empty lines are none, and a CR is no part of one */
    close(fd);
    turn(20);
}

static void test_long_line(void)
{
    char *text = malloc(100000);
    int fd = join();

    memset(text, 'a', 100000);
    for (size_t sent = 0; sent < 300000;) {
        ssize_t n = send(fd, text, 10000, MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        turn(3);
    }
    put(fd, "\nabcd\n");
    is_said(fd, "0\n4\n");
    close(fd);
    free(text);
    turn(20);
}

/* It is not read from, others are. */
static void test_deaf(void)
{
    int deaf = join(), other;
    unsigned before = answered;
    int size = 4096;

    setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    for (unsigned i = 0; i < 50; i++)
        put(deaf, "L\n");
    turn(100);
    other = join();
    put(other, "abc\n");
    is_said(other, "3\n");
    turn(100);
    CHECK_EQ(answered - before < 10, 1);
    close(deaf);
    close(other);
    turn(50);
}

/* Four are served; the fifth when there is room. */
static void test_many(void)
{
    int fd[CONTROL_CLIENTS_MAX + 1];

    for (unsigned i = 0; i <= CONTROL_CLIENTS_MAX; i++)
        fd[i] = join();
    turn(20);
    put(fd[CONTROL_CLIENTS_MAX], "abc\n");
    turn(50);
    close(fd[0]);
    is_said(fd[CONTROL_CLIENTS_MAX], "3\n");
    for (unsigned i = 1; i <= CONTROL_CLIENTS_MAX; i++)
        close(fd[i]);
    turn(20);
}

static void swallow(int fd)
{
    char text[4096];

    while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
        ;
}

/* Without time going on there is a batch, and no more. */
static void test_flood(void)
{
    char text[8192];
    unsigned before = answered;
    int fd = join();

    for (unsigned i = 0; i < sizeof(text); i += 4)
        memcpy(text + i, "abc\n", 4);
    CHECK_EQ(write(fd, text, sizeof(text)), (ssize_t)sizeof(text));
    for (unsigned i = 0; i < 300; i++) {
        usleep(100);
        poller_dispatch(poller); /* the clock stands still */
        swallow(fd);
    }
    CHECK_EQ(answered - before < sizeof(text) / 4, 1);
    for (unsigned i = 0; i < 120000 && answered - before < sizeof(text) / 4; i++) {
        turn(1);
        swallow(fd);
    }
    CHECK_EQ(answered - before, sizeof(text) / 4);
    close(fd);
    turn(20);
}

static void test_places(void)
{
    static struct control_spec spec = { .where = CONTROL_UNIX, .path = PATH };
    char name[300];
    struct error error = { 0 };
    struct stat st;

    CHECK_EQ(stat(PATH, &st), 0);
    CHECK_EQ(st.st_mode & 077, 0);
    CHECK_EQ(start(&spec, NULL, &error) == NULL, 1);
    CHECK_EQ(error.status, EX_CANTCREAT);
    error = (struct error){ 0 };
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    spec.path = name;
    CHECK_EQ(start(&spec, NULL, &error) == NULL, 1);
    CHECK_EQ(error.status, EX_USAGE);
}

/* A port that is free, while somebody has it. */
static int take_port(struct control_spec *spec, struct sockaddr_in *name)
{
    socklen_t size = sizeof(*name);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *name = (struct sockaddr_in){ .sin_family = AF_INET };
    name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *)name, size), 0);
    getsockname(fd, (struct sockaddr *)name, &size);
    snprintf(spec->tcp.place.port, sizeof(spec->tcp.place.port), "%u", ntohs(name->sin_port));
    return fd;
}

/* By TCP there is a prompt; what telnet says of itself is no part of a line, nor does it matter
 * how its lines end. */
static void test_tcp(void)
{
    static const char sent[] = "\xff\xfd\1abc\r\0" "d\xff\xffg\r\n\xff\xf3h\n";
    static struct control_spec spec = { .where = CONTROL_TCP, .tcp = { .telnet = true } };
    struct error error = { 0 };
    struct sockaddr_in name;
    int fd = take_port(&spec, &name);

    CHECK_EQ(start(&spec, "> ", &error) == NULL, 1);
    CHECK_EQ(error.status, EX_UNAVAILABLE);
    CHECK_EQ(strncmp(error.text, "-monitor tcp:", 13), 0);
    close(fd);
    lines = start(&spec, "> ", &error);
    CHECK_EQ(lines != NULL, 1);
    if (!lines)
        return;
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    is_said(fd, "> ");
    for (size_t i = 0; i < sizeof(sent) - 1; i++) {
        CHECK_EQ(write(fd, sent + i, 1), 1);
        turn(1);
    }
    is_said(fd, "3\n> 3\n> 1\n> ");
    close(fd);
    turn(20);
    control_lines_close(lines);
}

int main(void)
{
    static const struct control_spec spec = { .where = CONTROL_UNIX, .path = PATH };
    struct error error = { 0 };

    signal(SIGPIPE, SIG_IGN);
    control = control_create(NULL);
    test_garbage();
    test_deep_and_random();
    test_ids();
    test_words();
    control_close(control);

    poller = poller_create(kick, NULL);
    unlink(PATH);
    lines = start(&spec, NULL, &error);
    CHECK_EQ(lines != NULL, 1);
    if (lines) {
        test_lines();
        test_long_line();
        test_deaf();
        test_many();
        test_flood();
        test_places();
        control_lines_close(lines);
    }
    CHECK_EQ(access(PATH, F_OK), -1);
    test_tcp();
    poller_destroy(poller);
    return CHECK_DONE();
}
