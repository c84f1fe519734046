/* The 9P server: files, names, locks, bounds, garbage, and the thread that it works on. */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "share/share.h"
#include "tests/unit/p9_client.h"

/* --- Files and names ---------------------------------------------------- */

static void test_files(void)
{
    char text[64];
    struct stat st;

    start_server(false);
    CHECK_EQ(read_file("d/f", text, sizeof(text)), 0);
    CHECK_EQ(strcmp(text, "inside"), 0);
    CHECK_EQ(create(2, "d", "new"), 0);
    CHECK_EQ(ask(TWRITE, "484b", 2, 3ull, 5, "hello", 5u), 0);
    CHECK_EQ(p9_get32(&in), 5);
    CHECK_EQ(ask(TFSYNC, "44", 2, 0), 0);
    CHECK_EQ(ask(TGETATTR, "48", 2, 0x7ffull), 0);
    in.at += 8 + 13;
    CHECK_EQ(p9_get32(&in), S_IFREG | 0644);
    CHECK_EQ(stat(host("share/d/new"), &st), 0);
    CHECK_EQ(st.st_size, 8);
    CHECK_EQ(clunk(2), 0);
    CHECK_EQ(clunk(2), EBADF);
    CHECK_EQ(read_file("d/new", text, sizeof(text)), 0);
    CHECK_EQ(memcmp(text, "\0\0\0hello", 8), 0);
    CHECK_EQ(create(2, "d", "new"), EEXIST);
    CHECK_EQ(set_mode("d/new", 06755), 0);
    CHECK_EQ(stat(host("share/d/new"), &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0755); /* no set-user-ID on the host */
    CHECK_EQ(walk(2, "d/new"), 0);
    CHECK_EQ(ask(TSETATTR, "4444488888", 2, 8 | 0x20 | 0x100, 0, 0, 0, 2ull, 0ull, 0ull, 1000ull,
                 5ull), 0);
    CHECK_EQ(clunk(2), 0);
    CHECK_EQ(stat(host("share/d/new"), &st), 0);
    CHECK_EQ(st.st_size, 2);
    CHECK_EQ(st.st_mtim.tv_sec, 1000);
    CHECK_EQ(st.st_mtim.tv_nsec, 5);
    CHECK_EQ(unlink_in("d", "new", 0), 0);
    CHECK_EQ(walk(2, "d/new"), ENOENT);
    CHECK_EQ(ask(TSTATFS, "4", ROOT), 0);
    CHECK_EQ(walk(2, "d/f"), 0);
    CHECK_EQ(ask(TXATTRWALK, "44s", 2, 3, "user.x"), EOPNOTSUPP);
    CHECK_EQ(clunk(2), 0);
    CHECK_EQ(ask(TFLUSH, "2", 5), 0);
    stop_server();
}

static void test_directories(void)
{
    unsigned seen = 0, offset_ok = 1, calls = 0;
    uint64_t offset = 0;

    start_server(false);
    CHECK_EQ(make_directory("", "many"), 0);
    for (unsigned i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof(name), "file-%u", i);
        CHECK_EQ(create(2, "many", name), 0);
        clunk(2);
    }
    CHECK_EQ(open_fid(2, "many", O_RDONLY | O_DIRECTORY), 0);
    for (;; calls++) {
        uint32_t left;

        CHECK_EQ(ask(TREADDIR, "484", 2, offset, 300), 0);
        left = p9_get32(&in);
        CHECK_EQ(left <= 300, true);
        if (!left)
            break;
        while (in.at < 11 + left) {
            uint8_t type = p9_get8(&in);
            char name[256];

            in.at += 12;
            offset = p9_get64(&in);
            offset_ok &= (p9_get8(&in) == DT_DIR) == (type == P9_QID_DIRECTORY);
            p9_get_string(&in, name, 255);
            seen++;
        }
    }
    CHECK_EQ(seen, 102);
    CHECK_EQ(calls > 5, true);
    CHECK_EQ(offset_ok, true);
    CHECK_EQ(ask(TREADDIR, "484", 2, 0ull, 4000), 0); /* and from the start */
    CHECK_EQ(p9_get32(&in) > 300, true);
    clunk(2);
    CHECK_EQ(unlink_in("", "many", 0), EISDIR);
    CHECK_EQ(unlink_in("", "many", 0x200), ENOTEMPTY);
    stop_server();
}

static void test_names(void)
{
    char text[64];

    start_server(false);
    /* Whoever is below a renamed directory goes with it. */
    CHECK_EQ(make_directory("", "a"), 0);
    CHECK_EQ(make_directory("a", "b"), 0);
    CHECK_EQ(create(2, "a/b", "c"), 0);
    CHECK_EQ(ask(TWRITE, "484b", 2, 0ull, 3, "abc", 3u), 0);
    CHECK_EQ(walk(3, "a/b/c"), 0);
    CHECK_EQ(ask(TRENAMEAT, "4s4s", ROOT, "a", ROOT, "z"), 0);
    CHECK_EQ(ask(TGETATTR, "48", 3, 0x7ffull), 0);
    CHECK_EQ(read_file("z/b/c", text, sizeof(text)), 0);
    CHECK_EQ(strcmp(text, "abc"), 0);
    CHECK_EQ(walk(4, "d"), 0);
    CHECK_EQ(ask(TRENAME, "44s", 3, 4, "moved"), 0);
    CHECK_EQ(read_file("d/moved", text, sizeof(text)), 0);
    CHECK_EQ(ask(TLINK, "44s", 4, 3, "linked"), 0);
    CHECK_EQ(read_file("d/linked", text, sizeof(text)), 0);
    CHECK_EQ(strcmp(text, "abc"), 0);
    /* Unlinked, and open still. */
    CHECK_EQ(ask(TREMOVE, "4", 3), 0);
    CHECK_EQ(clunk(3), EBADF);
    CHECK_EQ(unlink_in("d", "linked", 0), 0);
    CHECK_EQ(ask(TREAD, "484", 2, 0ull, 10), 0);
    CHECK_EQ(ask(TGETATTR, "48", 2, 0x7ffull), 0);
    CHECK_EQ(ask(TRENAMEAT, "4s4s", ROOT, "z", ROOT, "d/e"), EINVAL);
    CHECK_EQ(ask(TRENAME, "44s", ROOT, 4, "x"), EBUSY);
    CHECK_EQ(ask(TRENAMEAT, "4s4s", ROOT, "d", 4, "x"), EINVAL); /* into itself */
    CHECK_EQ(make_link("d", "sym", "some/where"), 0);
    CHECK_EQ(walk(5, "d/sym"), 0);
    CHECK_EQ(ask(TREADLINK, "4", 5), 0);
    CHECK_EQ(p9_get16(&in), 10);
    CHECK_EQ(with_directory(TMKNOD, "d", "4s", "fifo", 0, 0), EINVAL);
    CHECK_EQ(with_directory(TMKDIR, "d", "4s", "new", 0, 0), EINVAL);
    CHECK_EQ(walk(6, "d"), 0);
    CHECK_EQ(ask(TMKNOD, "4s4444", 6, "fifo", S_IFIFO | 0644, 0, 0, 0), 0);
    CHECK_EQ(ask(TMKNOD, "4s4444", 6, "null", S_IFCHR | 0644, 1, 3, 0), EPERM);
    CHECK_EQ(open_fid(7, "d/fifo", O_RDONLY), ENXIO);
    stop_server();
}

static void test_locks(void)
{
    start_server(false);
    CHECK_EQ(open_fid(2, "top", O_RDWR), 0);
    CHECK_EQ(open_fid(3, "top", O_RDWR), 0);
    CHECK_EQ(ask(TLOCK, "414884s", 2, 9, 0, 0ull, 10ull, 1, "me"), EINVAL);
    CHECK_EQ(ask(TLOCK, "414884s", 2, F_WRLCK, 0, 0ull, 10ull, 1, "me"), 0);
    CHECK_EQ(p9_get8(&in), 0);
    CHECK_EQ(ask(TLOCK, "414884s", 3, F_WRLCK, 0, 5ull, 10ull, 1, "me"), 0);
    CHECK_EQ(p9_get8(&in), 1); /* blocked */
    CHECK_EQ(ask(TGETLOCK, "41884s", 3, F_WRLCK, 5ull, 10ull, 1, "me"), 0);
    CHECK_EQ(p9_get8(&in), F_WRLCK);
    clunk(2);
    CHECK_EQ(ask(TLOCK, "414884s", 3, F_WRLCK, 0, 5ull, 10ull, 1, "me"), 0);
    CHECK_EQ(p9_get8(&in), 0);
    stop_server();
}

/* A guest's flock(): for writing through what is open for reading, and the other way round. */
static void test_whole_locks(void)
{
    static const int modes[] = { O_RDONLY, O_WRONLY };

    for (unsigned i = 0; i < 2; i++) {
        int type = i ? F_RDLCK : F_WRLCK;

        start_server(false);
        CHECK_EQ(open_fid(2, "top", modes[i]), 0);
        CHECK_EQ(open_fid(3, "top", O_RDONLY), 0);
        CHECK_EQ(ask(TLOCK, "414884s", 2, type, 0, 0ull, 0ull, 1, "me"), 0);
        CHECK_EQ(p9_get8(&in), 0);
        CHECK_EQ(ask(TLOCK, "414884s", 3, F_WRLCK, 0, 0ull, 0ull, 1, "me"), 0);
        CHECK_EQ(p9_get8(&in), 1);
        CHECK_EQ(ask(TLOCK, "414884s", 2, F_UNLCK, 0, 0ull, 0ull, 1, "me"), 0);
        CHECK_EQ(p9_get8(&in), 0);
        CHECK_EQ(ask(TLOCK, "414884s", 3, F_WRLCK, 0, 0ull, 0ull, 1, "me"), 0);
        CHECK_EQ(p9_get8(&in), 0);
        stop_server();
    }
}

static void test_readonly(void)
{
    char text[64];

    start_server(true);
    CHECK_EQ(read_file("d/f", text, sizeof(text)), 0);
    CHECK_EQ(create(2, "d", "ro"), EROFS);
    CHECK_EQ(open_fid(2, "d/f", O_RDWR), EROFS);
    CHECK_EQ(open_fid(2, "d/f", O_RDONLY | O_TRUNC), EROFS);
    CHECK_EQ(make_directory("", "ro"), EROFS);
    CHECK_EQ(unlink_in("d", "f", 0), EROFS);
    CHECK_EQ(set_mode("d/f", 0600), EROFS);
    CHECK_EQ(make_link("", "ro", "x"), EROFS);
    CHECK_EQ(ask(TRENAMEAT, "4s4s", ROOT, "d", ROOT, "x"), EROFS);
    CHECK_EQ(walk(2, "d/f"), 0);
    CHECK_EQ(ask(TLINK, "44s", ROOT, 2, "x"), EROFS);
    CHECK_EQ(ask(TREMOVE, "4", 2), EROFS);
    stop_server();
}

/* --- Bounds and garbage ------------------------------------------------- */

static void test_bounds(void)
{
    unsigned fids = 0, open_count = 0;
    uint8_t small[10];
    struct iovec from = { small, 6 }, to = { answer, 20 };
    struct share_request r = { .out = &from, .out_count = 1, .out_size = 6, .in = &to,
                               .in_count = 1, .in_size = 20 };

    start_server(false);
    while (fids <= P9_FIDS_MAX && !walk(1000 + fids, "d/f"))
        fids++;
    CHECK_EQ(fids, P9_FIDS_MAX - 1);
    while (open_count <= P9_OPEN_MAX && !ask(TLOPEN, "44", 1000 + open_count, O_RDONLY))
        open_count++;
    CHECK_EQ(open_count, P9_OPEN_MAX);
    CHECK_EQ(ask(TVERSION, "4s", 65536, "9P2000.L"), 0); /* all are gone */
    CHECK_EQ(clunk(1000), EBADF);
    CHECK_EQ(ask(TVERSION, "4s", 100, "9P2000.L"), EINVAL);
    CHECK_EQ(ask(TVERSION, "4s", 65536, "9P2000.u"), 0);
    CHECK_EQ(ask(99, "4", 1), EOPNOTSUPP);
    CHECK_EQ(ask(255, "4", 1), EOPNOTSUPP);
    CHECK_EQ(ask(TATTACH, "44ss4", ROOT, ~0u, "root", "", 0), 0);
    CHECK_EQ(ask(TATTACH, "44ss4", ROOT, ~0u, "root", "", 0), EEXIST);
    CHECK_EQ(ask(TWALK, "442", ROOT, 5, 17), EINVAL);
    CHECK_EQ(ask(TWALK, "442", ROOT, 5, 3), EINVAL); /* the names are not there */
    CHECK_EQ(ask(TWRITE, "484", ROOT, 0ull, 100), EINVAL);
    CHECK_EQ(p9_answer(server, &r), 0);
    from.iov_len = r.out_size = 7;
    memcpy(small, "\xff\xff\xff\xff\x6e\x01\x00", 7); /* longer than it is */
    CHECK_EQ(p9_answer(server, &r), 11);
    memcpy(small, "\x03\x00\x00\x00\x6e\x01\x00", 7);
    CHECK_EQ(p9_answer(server, &r), 11);
    r.in_size = to.iov_len = 5;
    CHECK_EQ(p9_answer(server, &r), 0);
    stop_server();
}

static void test_garbage(void)
{
    static uint8_t message[512];
    unsigned seed = 7;

    start_server(false);
    for (unsigned i = 0; i < 100000; i++) {
        static const uint8_t types[] = { 8, 12, 14, 16, 20, 22, 24, 26, 40, 52, 54, 70, 72, 74, 76,
                                         104, 108, 110, 116, 118, 120, 122 };
        uint32_t size, fid;
        struct iovec from, to = { answer, 256 };
        struct share_request r;

        for (unsigned k = 0; k < sizeof(message); k++) {
            seed = seed * 1103515245 + 12345;
            message[k] = seed >> 16 & (seed & 0x1000000 ? 0xff : 0x03);
        }
        size = 7 + (seed >> 8) % 200;
        memcpy(message, &size, 4);
        message[4] = types[(seed >> 4) % sizeof(types)];
        fid = seed >> 3 & 3;
        memcpy(message + 7, &fid, 4);
        from = (struct iovec){ message, size };
        r = (struct share_request){ .out = &from, .out_count = 1, .out_size = size, .in = &to,
                                    .in_count = 1, .in_size = 256 };
        p9_answer(server, &r);
        if (i % 1000 == 0)
            ask(TATTACH, "44ss4", ROOT, ~0u, "root", "", 0);
    }
    stop_server();
}

/* --- The thread --------------------------------------------------------- */

static void wake(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

static void answered(void *arg, struct share_request *r, uint32_t written)
{
    (void)r;
    *(unsigned *)arg += written;
}

static void test_thread(void)
{
    uint8_t message[] = "\x15\x00\x00\x00\x64\xff\xff\x00\x00\x01\x00\x08\x00"
                        "9P2000.L";
    struct iovec from = { message, 21 }, to = { answer, 256 };
    struct share_request r = { .out = &from, .out_count = 1, .out_size = 21, .in = &to,
                               .in_count = 1, .in_size = 256, .done = answered };
    char error[256];
    struct share *share;
    struct sharedev *device;
    unsigned written = 0;
    atomic_uint wakes = 0;

    CHECK_EQ(!share_open(&(struct share_config){ .path = "/nowhere" }, error, sizeof(error)), true);
    CHECK_EQ(!share_open(&(struct share_config){ .path = base, .tag = "" }, error, sizeof(error)),
             true);
    share = share_open(&(struct share_config){ .path = host("share"), .tag = "work",
                                               .answered = wake, .arg = &wakes },
                       error, sizeof(error));
    device = share_device(share);
    CHECK_EQ(strcmp(device->tag, "work"), 0);
    device->reset(device->server); /* before there is a thread */
    CHECK_EQ(share_start(share), 0);
    r.arg = &written;
    for (unsigned i = 0; i < 100; i++) {
        device->submit(device->server, &r);
        device->reset(device->server);
        CHECK_EQ(written, 21 * (i + 1));
    }
    device->submit(device->server, &r);
    for (unsigned i = 0; i < 120000 && atomic_load(&wakes) < 101; i++)
        usleep(1000);
    share_dispatch(share);
    CHECK_EQ(written, 21 * 101);
    CHECK_EQ(atomic_load(&wakes) <= 101, true);
    share_close(share);
}

int main(void)
{
    umask(0);
    make_folder();
    test_files();
    test_directories();
    test_names();
    test_locks();
    test_whole_locks();
    test_readonly();
    test_bounds();
    test_garbage();
    test_thread();
    remove_folder();
    return CHECK_DONE();
}
