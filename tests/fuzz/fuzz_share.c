/* Messages to the 9P server of a small folder; what is outside of it must not change. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/sharedev.h"
#include "share/p9.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 8192 };

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void put_file(int folder, const char *name)
{
    int fd = openat(folder, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, "text", 4) != 4)
        abort();
    close(fd);
}

/* base/share with a, d, d/b and the link l to base; base/outside */
static int make_folder(char *base)
{
    int all, share;

    if (!mkdtemp(base) || (all = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        abort();
    put_file(all, "outside");
    if (mkdirat(all, "share", 0755))
        abort();
    share = openat(all, "share", O_PATH | O_DIRECTORY | O_CLOEXEC);
    close(all);
    put_file(share, "a");
    if (mkdirat(share, "d", 0755) || symlinkat("..", share, "l"))
        abort();
    put_file(share, "d/b");
    return share;
}

static void check_outside(const char *base)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "%s/outside", base);
    if (stat(path, &st) || st.st_size != 4 || st.st_mode != (S_IFREG | 0644) || st.st_nlink != 1)
        abort();
    if (stat(base, &st) || st.st_nlink != 3)
        abort();
}

static void ask(struct p9 *p9, const uint8_t *message, size_t size)
{
    static uint8_t answer[ROOM];
    struct iovec from = { (uint8_t *)(uintptr_t)message, size }, to = { answer, sizeof(answer) };
    struct share_request r = { .out = &from, .out_count = 1, .out_size = size, .in = &to,
                               .in_count = 1, .in_size = sizeof(answer) };

    if (p9_answer(p9, &r) > sizeof(answer))
        abort();
}

static void begin(struct p9 *p9)
{
    static const char version[] = "\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\0" "9P2000.L";
    static const char attach[] = "\x17\0\0\0\x68\1\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0";

    ask(p9, (const uint8_t *)version, sizeof(version) - 1);
    ask(p9, (const uint8_t *)attach, sizeof(attach) - 1);
}

/* The input is messages one after the other, each behind its size; the header's size is put in. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char base[] = "/dev/shm/novt-fuzz-XXXXXX";
    struct fuzz fuzz = { data, size };
    struct p9 *p9;

    umask(0);
    p9 = p9_create(make_folder(base), false);
    begin(p9);
    for (unsigned n = 0; n < 64 && fuzz_more(&fuzz); n++) {
        uint8_t message[256 + 7] = { 0 };
        uint32_t length = 7u + fuzz_byte(&fuzz);

        for (unsigned i = 4; i < length; i++)
            message[i] = fuzz_byte(&fuzz);
        memcpy(message, &length, 4);
        ask(p9, message, length);
    }
    p9_destroy(p9);
    check_outside(base);
    nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
