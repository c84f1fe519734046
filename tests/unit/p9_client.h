/* A folder on the host, the 9P server for it, and a client that speaks to it as Linux does. */
#ifndef TESTS_UNIT_P9_CLIENT_H
#define TESTS_UNIT_P9_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/sharedev.h"
#include "share/p9.h"
#include "share/p9_wire.h"
#include "tests/check.h"

enum {
    TSTATFS = 8, TLOPEN = 12, TLCREATE = 14, TSYMLINK = 16, TMKNOD = 18, TRENAME = 20,
    TREADLINK = 22, TGETATTR = 24, TSETATTR = 26, TXATTRWALK = 30, TREADDIR = 40, TFSYNC = 50,
    TLOCK = 52, TGETLOCK = 54, TLINK = 70, TMKDIR = 72, TRENAMEAT = 74, TUNLINKAT = 76,
    TVERSION = 100, TATTACH = 104, TFLUSH = 108, TWALK = 110, TREAD = 116, TWRITE = 118,
    TCLUNK = 120, TREMOVE = 122,
};

enum { ROOT = 1, ROOM = 65536 };

/* --- A client ----------------------------------------------------------- */

static struct p9 *server;
static char base[64]; /* of this test; share and outside are in it */
static uint8_t answer[ROOM];
static struct p9_in in; /* the answer, behind its header */

/* format: 1, 2, 4, 8: a number of that size; s: a string; b: bytes, and how many. Returns 0 or the
 * error of the answer. */
static inline int ask(uint8_t type, const char *format, ...)
{
    static uint8_t message[ROOM];
    struct p9_out out = { message, sizeof(message), 7, false };
    struct iovec from, to = { answer, sizeof(answer) };
    struct share_request r;
    uint32_t size;
    va_list args;

    va_start(args, format);
    for (; *format; format++) {
        if (*format == 's') {
            const char *text = va_arg(args, const char *);

            p9_put_string(&out, text, (uint32_t)strlen(text));
        } else if (*format == 'b') {
            const char *bytes = va_arg(args, const char *);

            p9_put_bytes(&out, bytes, va_arg(args, unsigned));
        } else {
            p9_put(&out, (unsigned)(*format - '0'),
                   *format == '8' ? va_arg(args, uint64_t) : va_arg(args, unsigned));
        }
    }
    va_end(args);
    memcpy(message, &out.size, 4);
    message[4] = type;
    message[5] = 7;
    from = (struct iovec){ message, out.size };
    r = (struct share_request){ .out = &from, .out_count = 1, .out_size = out.size, .in = &to,
                                .in_count = 1, .in_size = ROOM };
    size = p9_answer(server, &r);
    in = (struct p9_in){ answer, size, 7, false };
    CHECK_EQ(size >= 7, true);
    CHECK_EQ(answer[5], 7);
    if (answer[4] == 7)
        return (int)p9_get32(&in);
    CHECK_EQ(answer[4], type + 1);
    return 0;
}

/* Walks from ROOT by a path; the fid must be free. */
static inline int walk(uint32_t fid, const char *path)
{
    char names[16][256];
    unsigned count = 0;
    struct p9_out out;
    uint8_t bytes[8192];
    int err;

    while (*path && count < 16) {
        size_t len = strcspn(path, "/");

        memcpy(names[count], path, len);
        names[count++][len] = 0;
        path += len + (path[len] == '/');
    }
    out = (struct p9_out){ bytes, sizeof(bytes), 0, false };
    for (unsigned i = 0; i < count; i++)
        p9_put_string(&out, names[i], (uint32_t)strlen(names[i]));
    err = ask(TWALK, "442b", ROOT, fid, count, bytes, out.size);
    return err ? err : p9_get16(&in) == count ? 0 : ENOENT;
}

static inline int clunk(uint32_t fid)
{
    return ask(TCLUNK, "4", fid);
}

static inline int open_fid(uint32_t fid, const char *path, unsigned flags)
{
    int err = walk(fid, path);

    if (err)
        return err;
    err = ask(TLOPEN, "44", fid, flags);
    if (err)
        clunk(fid);
    return err;
}

/* A new file in a directory below ROOT; the fid is open then. */
static inline int create(uint32_t fid, const char *directory, const char *name)
{
    int err = walk(fid, directory);

    if (err)
        return err;
    err = ask(TLCREATE, "4s444", fid, name, O_CREAT | O_EXCL | O_RDWR, 0644, 0);
    if (err)
        clunk(fid);
    return err;
}

static inline int with_directory(uint8_t type, const char *path, const char *format,
                                 const char *name, unsigned a, unsigned b)
{
    int err = walk(90, path);

    if (err)
        return err;
    err = ask(type, format, 90, name, a, b);
    clunk(90);
    return err;
}

static inline int make_directory(const char *path, const char *name)
{
    return with_directory(TMKDIR, path, "4s44", name, 0755, 0);
}

static inline int unlink_in(const char *path, const char *name, unsigned flags)
{
    return with_directory(TUNLINKAT, path, "4s4", name, flags, 0);
}

static inline int make_link(const char *path, const char *name, const char *target)
{
    int err = walk(90, path);

    if (err)
        return err;
    err = ask(TSYMLINK, "4ss4", 90, name, target, 0);
    clunk(90);
    return err;
}

static inline int read_file(const char *path, char *text, unsigned size)
{
    int err = open_fid(91, path, O_RDONLY);
    uint32_t n;

    if (err)
        return err;
    err = ask(TREAD, "484", 91, 0ull, size - 1);
    n = err ? 0 : p9_get32(&in);
    memcpy(text, answer + 11, n);
    text[n] = 0;
    clunk(91);
    return err;
}

static inline int set_mode(const char *path, unsigned mode)
{
    int err = walk(92, path);

    if (err)
        return err;
    err = ask(TSETATTR, "4444488888", 92, 1, mode, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull);
    clunk(92);
    return err;
}

/* --- A folder ----------------------------------------------------------- */

static inline const char *host(const char *name)
{
    static char path[4][256];
    static unsigned turn;

    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", base, name);
    return path[turn];
}

static inline void put_file(const char *name, const char *text)
{
    int fd = open(host(name), O_CREAT | O_TRUNC | O_WRONLY, 0644);

    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline void start_server(bool readonly)
{
    server = p9_create(open(host("share"), O_PATH | O_DIRECTORY | O_CLOEXEC), readonly);
    CHECK_EQ(ask(TVERSION, "4s", 65536, "9P2000.L"), 0);
    CHECK_EQ(p9_get32(&in), 65536);
    CHECK_EQ(ask(TATTACH, "44ss4", ROOT, ~0u, "root", "", 0), 0);
}

static inline void stop_server(void)
{
    p9_destroy(server);
}

static inline void make_folder(void)
{
    snprintf(base, sizeof(base), "/tmp/novt-share-XXXXXX");
    if (!mkdtemp(base))
        exit(1);
    mkdir(host("share"), 0755);
    mkdir(host("share/d"), 0755);
    mkdir(host("outside"), 0755);
    put_file("share/d/f", "inside");
    put_file("share/top", "top");
    put_file("outside/f", "outside");
    CHECK_EQ(symlink("../outside", host("share/out")), 0);
    CHECK_EQ(symlink("d", host("share/in")), 0);
    CHECK_EQ(symlink("/", host("share/slash")), 0);
    CHECK_EQ(symlink("../outside/f", host("share/out-f")), 0);
}

static inline void remove_folder(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", base);
    CHECK_EQ(system(command), 0);
}

#endif
