/*
 * block_kills FOLDER COUNT SEED [qemu-img options of create]: kills a process that writes to a
 * qcow2 image through the pool, COUNT times, and looks after each whether qemu-img check passes and
 * everything that was flushed is there and nothing that was never written.
 *
 * The disk is cut into records; the writer and we share two counters for each: the version that was
 * submitted last, and the last one that was written when a flush began which has ended. 77: there
 * is no qemu-img.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "block/disk.h"
#include "block/pool.h"
#include "devices/blockdev.h"
#include "tests/block/bell.h"
#include "tests/random.h"

enum { RECORD = 4096, RECORDS = 16384, DEPTH = 8 };

struct shared {
    uint32_t submitted[RECORDS], flushed[RECORDS];
    uint64_t flushes, writes;
};

struct slot {
    struct block_request request;
    struct iovec iov;
    uint32_t data[RECORD / 4];
    uint32_t record;
    bool busy;
};

struct writer {
    struct shared *shared;
    struct pool *pool;
    struct blockdev *drive;
    struct slot slot[DEPTH];
    struct block_request flush;
    bool flushing;
    uint32_t written[RECORDS]; /* done */
    uint32_t flushing_to[RECORDS];
    uint64_t state;
};

static uint64_t draw(uint64_t *state, uint64_t below)
{
    return random_next(state) % below;
}

/* --- The one that is killed ------------------------------------------------- */

static void wrote(void *arg, struct block_request *request, int err)
{
    struct writer *w = arg;
    struct slot *s = (struct slot *)request;

    s->busy = false;
    if (err)
        _exit(3);
    if (request->op == BLOCK_WRITE && s->data[1] > w->written[s->record])
        w->written[s->record] = s->data[1];
    w->shared->writes++;
}

static void flushed(void *arg, struct block_request *request, int err)
{
    struct writer *w = arg;

    (void)request;
    if (err)
        _exit(4);
    for (unsigned i = 0; i < RECORDS; i++)
        w->shared->flushed[i] = w->flushing_to[i];
    w->shared->flushes++;
    w->flushing = false;
}

static void start_write(struct writer *w, struct slot *s)
{
    bool near = draw(&w->state, 2);

    s->record = (uint32_t)(near ? draw(&w->state, 64) : draw(&w->state, RECORDS));
    s->data[0] = s->record;
    s->data[1] = ++w->shared->submitted[s->record];
    for (unsigned i = 2; i < RECORD / 4; i++)
        s->data[i] = s->data[1] * 2654435761u + s->record + i;
    s->iov = (struct iovec){ s->data, RECORD };
    s->busy = true;
    s->request = (struct block_request){ .op = BLOCK_WRITE, .offset = (uint64_t)s->record * RECORD,
        .size = RECORD, .iov = &s->iov, .iov_count = 1, .done = wrote, .arg = w };
    blockdev_submit(w->drive, &s->request);
}

static void start_flush(struct writer *w)
{
    memcpy(w->flushing_to, w->written, sizeof(w->written));
    w->flushing = true;
    w->flush = (struct block_request){ .op = BLOCK_FLUSH, .done = flushed, .arg = w };
    blockdev_submit(w->drive, &w->flush);
}

static int write_on(struct writer *w, const char *path)
{
    struct disk_options options = { .format = DISK_QCOW2 };
    struct disk_error error;
    struct disk *image = disk_open(path, &options, &error);
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (!image) {
        printf("FAIL %s\n", error.text);
        return 5;
    }
    w->pool = pool_create(bell_ring, &bell);
    w->drive = pool_add(w->pool, image, false, NULL);
    memcpy(w->written, w->shared->flushed, sizeof(w->written));
    for (;;) {
        for (unsigned i = 0; i < DEPTH; i++)
            if (!w->slot[i].busy)
                start_write(w, &w->slot[i]);
        if (!w->flushing && !draw(&w->state, 4))
            start_flush(w);
        bell_wait(bell, w->pool, -1);
    }
}

/* --- The one that looks ----------------------------------------------------- */

/* Is the sector that begins with word k of the record of this version (0: never written)? */
static bool is_version(const uint32_t *data, uint32_t record, uint32_t version, uint32_t k)
{
    for (uint32_t end = k + BLOCK_SECTOR / 4; k < end; k++) {
        uint32_t word = k == 0 ? record : k == 1 ? version : version * 2654435761u + record + k;

        if (data[k] != (version ? word : 0))
            return false;
    }
    return true;
}

/* What was not flushed may be there in part: a disk writes single sectors whole, no more. */
static bool is_record(const uint32_t *data, uint32_t record, uint32_t flushed, uint32_t submitted)
{
    for (uint32_t k = 0; k < RECORD / 4; k += BLOCK_SECTOR / 4) {
        uint32_t version = flushed;

        while (version <= submitted && !is_version(data, record, version, k))
            version++;
        if (version > submitted)
            return false;
    }
    return true;
}

static int check_records(const char *path, struct shared *shared)
{
    struct disk_options options = { .format = DISK_QCOW2, .readonly = true };
    struct disk_error error;
    struct disk *image = disk_open(path, &options, &error);
    uint32_t data[RECORD / 4];
    int bad = 0;

    if (!image)
        return printf("FAIL %s\n", error.text);
    for (uint32_t i = 0; i < RECORDS; i++) {
        bool good = !disk_read(image, (uint64_t)i * RECORD, RECORD, data);

        good = good && is_record(data, i, shared->flushed[i], shared->submitted[i]);
        if (!good && bad++ < 10)
            printf("FAIL record %u: version %u, flushed %u, submitted %u\n", i, data[1],
                   shared->flushed[i], shared->submitted[i]);
    }
    disk_close(image);
    return bad;
}

static int run(const char *format, const char *path)
{
    char command[4096];

    snprintf(command, sizeof(command), format, path);
    return system(command);
}

static int one_kill(const char *path, struct shared *shared, uint64_t *state)
{
    const struct timespec nap = { 0, (long)draw(state, 8000000) + 1000 }, moment = { 0, 200000 };
    uint64_t before = shared->writes;
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (!pid) {
        struct writer *w = calloc(1, sizeof(*w));

        w->shared = shared;
        w->state = *state;
        _exit(write_on(w, path));
    }
    while (*(volatile uint64_t *)&shared->writes == before && !waitpid(pid, &status, WNOHANG))
        nanosleep(&moment, NULL);
    nanosleep(&nap, NULL);
    kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
        return printf("FAIL the writer ended by itself: %#x\n", status);
    if (run("qemu-img check -q '%s'", path))
        return printf("FAIL qemu-img check\n");
    return check_records(path, shared);
}

int main(int argc, char **argv)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t state = argc > 3 ? strtoull(argv[3], NULL, 0) * 0x9e3779b97f4a7c15 + 1 : 1;
    char path[2048], create[4096];
    int bad = 0;

    if (argc < 4)
        return 2;
    if (system("qemu-img --version >/dev/null 2>&1")) {
        printf("SKIPPED: there is no qemu-img (apt-get install qemu-utils)\n");
        return 77;
    }
    snprintf(path, sizeof(path), "%s/kills-%s.qcow2", argv[1], argv[3]);
    snprintf(create, sizeof(create), "qemu-img create -q -f qcow2 %s '%%s' %u",
             argc > 4 ? argv[4] : "", RECORDS * RECORD);
    if (run(create, path))
        return 2;
    for (int i = 0; !bad && i < atoi(argv[2]); i++)
        bad = one_kill(path, shared, &state);
    printf("%s: %s kills, %llu writes, %llu flushes\n", bad ? "FAIL" : "ok", argv[2],
           (unsigned long long)shared->writes, (unsigned long long)shared->flushes);
    if (!bad)
        unlink(path);
    return bad != 0;
}
