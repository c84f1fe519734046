/*
 * The 9P server, and everything that could lead out of the folder: names, links, also while
 * somebody swaps directories and links on the host.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/p9_client.h"

static void test_dots(void)
{
    char text[64];

    start_server(false);
    CHECK_EQ(read_file("../outside/f", text, sizeof(text)), ENOENT);
    CHECK_EQ(read_file("d/../../../outside/f", text, sizeof(text)), ENOENT);
    CHECK_EQ(walk(2, ".."), 0); /* above the folder is the folder */
    CHECK_EQ(ask(TGETATTR, "48", 2, 0ull), 0);
    clunk(2);
    CHECK_EQ(walk(2, "d/../d/f"), 0);
    clunk(2);
    CHECK_EQ(ask(TWALK, "442s", ROOT, 2, 1, "d/f"), EINVAL);
    CHECK_EQ(ask(TWALK, "442s", ROOT, 2, 1, "/etc"), EINVAL);
    CHECK_EQ(ask(TWALK, "442s", ROOT, 2, 1, ""), EINVAL);
    CHECK_EQ(ask(TWALK, "442s", ROOT, 2, 1, "."), EINVAL);
    CHECK_EQ(create(2, "", ".."), EINVAL);
    CHECK_EQ(create(2, "", "../x"), EINVAL);
    CHECK_EQ(create(2, "", "/tmp/x"), EINVAL);
    CHECK_EQ(make_directory("", "../x"), EINVAL);
    CHECK_EQ(unlink_in("", "../outside/f", 0), EINVAL);
    CHECK_EQ(unlink_in("d", "..", 0x200), EINVAL);
    CHECK_EQ(ask(TRENAMEAT, "4s4s", ROOT, "top", ROOT, "../top"), EINVAL);
    CHECK_EQ(ask(TRENAMEAT, "4s4s", ROOT, "../outside", ROOT, "mine"), EINVAL);
    CHECK_EQ(walk(2, "top"), 0);
    CHECK_EQ(ask(TLINK, "44s", ROOT, 2, "../top"), EINVAL);
    stop_server();
}

static void test_links(void)
{
    char text[64];
    struct stat st;

    start_server(false);
    CHECK_EQ(read_file("out/f", text, sizeof(text)), ENOENT);
    CHECK_EQ(read_file("in/f", text, sizeof(text)), ENOENT); /* the guest's to follow */
    CHECK_EQ(read_file("slash/etc/passwd", text, sizeof(text)), ENOENT);
    CHECK_EQ(read_file("out-f", text, sizeof(text)), ENXIO);
    CHECK_EQ(create(2, "out", "new"), ENOTDIR);
    CHECK_EQ(make_directory("out", "new"), ENOTDIR);
    CHECK_EQ(unlink_in("out", "f", 0), ENOTDIR);
    CHECK_EQ(make_link("out", "l", "x"), ENOTDIR);
    CHECK_EQ(set_mode("out-f", 0777), EOPNOTSUPP);
    /* Creating where a link is. */
    CHECK_EQ(walk(2, ""), 0);
    CHECK_EQ(ask(TLCREATE, "4s444", 2, "out-f", O_CREAT | O_RDWR | O_TRUNC, 0644, 0), ELOOP);
    clunk(2);
    /* The size of what a link means. */
    CHECK_EQ(walk(2, "out-f"), 0);
    CHECK_EQ(ask(TSETATTR, "4444488888", 2, 8, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), ENXIO);
    clunk(2);
    /* Hard links are of the link. */
    CHECK_EQ(walk(2, "out-f"), 0);
    CHECK_EQ(ask(TLINK, "44s", ROOT, 2, "hard"), 0);
    CHECK_EQ(lstat(host("share/hard"), &st), 0);
    CHECK_EQ(S_ISLNK(st.st_mode), true);
    clunk(2);
    /* A guest's own links lead nowhere either. */
    CHECK_EQ(make_link("", "mine", "../outside"), 0);
    CHECK_EQ(read_file("mine/f", text, sizeof(text)), ENOENT);
    CHECK_EQ(stat(host("outside/f"), &st), 0);
    CHECK_EQ(st.st_size, 7);
    CHECK_EQ(st.st_mode & 0777, 0644);
    stop_server();
}

static atomic_bool swapping;

/* "swap" is a directory at one moment, and a link out of the folder at the next. */
static void *swap(void *arg)
{
    int share = open(host("share"), O_PATH | O_DIRECTORY);
    unsigned *count = arg;

    while (atomic_load(&swapping)) {
        if (renameat2(share, "swap", share, "other", RENAME_EXCHANGE))
            break;
        ++*count;
    }
    close(share);
    return NULL;
}

static unsigned count_names(const char *path)
{
    DIR *dir = opendir(path);
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void race_once(unsigned i, unsigned *inside)
{
    char text[64] = "", name[16];

    snprintf(name, sizeof(name), "n%u", i);
    if (!read_file("swap/f", text, sizeof(text))) {
        ++*inside;
        if (strcmp(text, "inside"))
            CHECK_EQ(*text, 'i');
    }
    if (!create(2, "swap", name)) {
        ask(TWRITE, "484b", 2, 0ull, 4, "gone", 4u);
        clunk(2);
    }
    make_directory("swap", "made");
    unlink_in("swap", "made", 0x200);
    unlink_in("swap", name, 0);
    unlink_in("swap", "victim", 0);
    set_mode("swap/victim", 0777);
    make_link("swap", "l", "x");
    unlink_in("swap", "l", 0);
    if (!walk(3, "swap")) {
        ask(TRENAMEAT, "4s4s", 3, "victim", ROOT, "stolen");
        ask(TLINK, "44s", 3, ROOT, "x");
        clunk(3);
    }
    if (!walk(3, "swap/victim")) {
        ask(TSETATTR, "4444488888", 3, 8, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull);
        clunk(3);
    }
}

static void test_races(void)
{
    unsigned swaps = 0, inside = 0;
    pthread_t thread;
    struct stat st;

    put_file("outside/victim", "keep me");
    CHECK_EQ(mkdir(host("share/swap"), 0755), 0);
    put_file("share/swap/f", "inside");
    CHECK_EQ(symlink("../outside", host("share/other")), 0);
    start_server(false);
    atomic_store(&swapping, true);
    CHECK_EQ(pthread_create(&thread, NULL, swap, &swaps), 0);
    for (unsigned i = 0; i < 200000 && (i < 3000 || swaps < 3000 || inside < 100); i++)
        race_once(i, &inside);
    atomic_store(&swapping, false);
    pthread_join(thread, NULL);
    CHECK_EQ(inside >= 100, true);
    CHECK_EQ(count_names(host("outside")), 4);
    CHECK_EQ(stat(host("outside/victim"), &st), 0);
    CHECK_EQ(st.st_size, 7);
    CHECK_EQ(st.st_mode & 0777, 0644);
    CHECK_EQ(st.st_nlink, 1);
    stop_server();
}

int main(void)
{
    umask(0);
    make_folder();
    test_dots();
    test_links();
    test_races();
    remove_folder();
    return CHECK_DONE();
}
