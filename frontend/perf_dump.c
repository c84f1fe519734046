/* A header, and a record for each unit as it is made. */
#include "frontend/perf_dump.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "frontend/code_names.h"
#include "frontend/error.h"

#define MAGIC 0x4a695444u /* "JiTD" */
#define VERSION 1
#define CODE_LOAD 0
#define CODE_CLOSE 3
#define PATH_SIZE 64

struct header {
    uint32_t magic, version, size, machine, reserved, pid;
    uint64_t time, flags;
};

struct prefix {
    uint32_t id, size;
    uint64_t time;
};

struct code_load {
    struct prefix prefix;
    uint32_t pid, tid;
    uint64_t vma, address, size, index;
};

struct perf_dump {
    struct code_names *names;
    FILE *out;
    void *marker; /* a mapping of the file, by which perf record learns of it */
    size_t marker_size;
    uint64_t index;
    char path[PATH_SIZE];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

struct perf_dump *perf_dump_create(struct code_names *names)
{
    struct perf_dump *dump = calloc(1, sizeof(*dump));

    if (dump)
        dump->names = names;
    return dump;
}

void perf_dump_destroy(struct perf_dump *dump)
{
    if (!dump)
        return;
    if (dump->marker)
        munmap(dump->marker, dump->marker_size);
    if (dump->out)
        fclose(dump->out);
    free(dump);
}

/* perf takes this process's from the name, and looks for a mapping that could be executed. */
static int mark(struct perf_dump *dump, int fd)
{
    void *marker;

    dump->marker_size = (size_t)sysconf(_SC_PAGESIZE);
    marker = mmap(NULL, dump->marker_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (marker == MAP_FAILED)
        return -1;
    dump->marker = marker;
    return 0;
}

int perf_dump_open(struct perf_dump *dump, struct error *error)
{
    struct header header = { MAGIC, VERSION, sizeof(header), EM_X86_64, 0, (uint32_t)getpid(),
                             now_ns(), 0 };
    int fd;

    snprintf(dump->path, sizeof(dump->path), "jit-%d.dump", (int)getpid());
    fd = open(dump->path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    dump->out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!dump->out)
        return error_set(error, EX_CANTCREAT,
                         "-perf jitdump: cannot make '%s' in this folder: %s; go to one of yours",
                         dump->path, strerror(errno));
    if (mark(dump, fd))
        return error_set(error, EX_CANTCREAT,
                         "-perf jitdump: cannot map '%s' as code: %s; go to a folder that is not"
                         " mounted noexec", dump->path, strerror(errno));
    fwrite(&header, sizeof(header), 1, dump->out);
    return 0;
}

void perf_dump_made(void *arg, const void *host, uint32_t size, uint32_t gla, bool user)
{
    struct perf_dump *dump = arg;
    uint64_t address = (uint64_t)(uintptr_t)host;
    struct code_load load = {
        .prefix = { .id = CODE_LOAD, .time = now_ns() },
        .pid = (uint32_t)getpid(), .tid = (uint32_t)gettid(),
        .vma = address, .address = address, .size = size, .index = dump->index++,
    };
    char name[CODE_NAME_SIZE];
    size_t length;

    code_names_put(dump->names, gla, user, true, 0, name);
    length = strlen(name) + 1;
    load.prefix.size = (uint32_t)(sizeof(load) + length + size);
    fwrite(&load, sizeof(load), 1, dump->out);
    fwrite(name, length, 1, dump->out);
    fwrite(host, size, 1, dump->out);
}

/* Records have times: the newest one before a sample is its. */
void perf_dump_reused(void *arg, const void *host, uint64_t size)
{
    (void)arg, (void)host, (void)size;
}

void perf_dump_write(struct perf_dump *dump)
{
    fflush(dump->out);
}

int perf_dump_close(struct perf_dump *dump, struct error *error)
{
    struct prefix end = { CODE_CLOSE, sizeof(end), now_ns() };
    FILE *out = dump->out;
    bool failed;

    fwrite(&end, sizeof(end), 1, out);
    failed = ferror(out);
    dump->out = NULL;
    if (!fclose(out) && !failed)
        return 0;
    return error_set(error, EX_IOERR, "-perf jitdump: cannot write to '%s': %s; free some space",
                     dump->path, strerror(errno));
}
