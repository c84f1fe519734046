/*
 * A record for each unit, and the file.
 *
 * User code gets its name when it is made, in its address space. A kernel's may have no name yet
 * then, so that the file is written anew when there are names, and when code has gone. Else what is
 * new is added at its end.
 */
#include "frontend/perf_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/code_names.h"
#include "frontend/error.h"

#define PATH_SIZE 64

struct record {
    uint64_t host;
    uint32_t size, gla;
    char *name; /* NULL: a kernel's, whose names are not known yet */
};

struct perf_map {
    struct code_names *names;
    struct record *record;
    size_t count, room;
    size_t written; /* records that are in the file */
    bool named;     /* the file has the kernel's names */
    FILE *out;
    char path[PATH_SIZE];
};

struct perf_map *perf_map_create(struct code_names *names)
{
    struct perf_map *map = calloc(1, sizeof(*map));

    if (map)
        map->names = names;
    return map;
}

void perf_map_destroy(struct perf_map *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->count; i++)
        free(map->record[i].name);
    free(map->record);
    if (map->out)
        fclose(map->out);
    free(map);
}

/* /tmp is everybody's: an old file of this name goes, somebody else's is not written to. */
int perf_map_open(struct perf_map *map, struct error *error)
{
    int fd;

    snprintf(map->path, sizeof(map->path), "/tmp/perf-%d.map", (int)getpid());
    unlink(map->path);
    fd = open(map->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    map->out = fd < 0 ? NULL : fdopen(fd, "w");
    if (map->out)
        return 0;
    return error_set(error, EX_CANTCREAT, "-perf: cannot make '%s', where perf looks for it: %s",
                     map->path, strerror(errno));
}

/* --- Records --------------------------------------------------------------------------------- */

static char *name_of(struct perf_map *map, uint32_t gla, bool user)
{
    char text[CODE_NAME_SIZE];

    code_names_put(map->names, gla, user, true, 0, text);
    return strdup(text);
}

/* Without memory, a piece of code has no name. */
void perf_map_made(void *arg, const void *host, uint32_t size, uint32_t gla, bool user)
{
    struct perf_map *map = arg;

    if (map->count == map->room) {
        size_t room = map->room ? 2 * map->room : 4096;
        struct record *record = realloc(map->record, room * sizeof(*record));

        if (!record)
            return;
        map->record = record;
        map->room = room;
    }
    map->record[map->count++] = (struct record){
        (uint64_t)(uintptr_t)host, size, gla, user ? name_of(map, gla, true) : NULL,
    };
}

void perf_map_reused(void *arg, const void *host, uint64_t size)
{
    uint64_t start = (uint64_t)(uintptr_t)host;
    struct perf_map *map = arg;
    size_t kept = 0;

    for (size_t i = 0; i < map->count; i++) {
        if (map->record[i].host - start < size)
            free(map->record[i].name);
        else
            map->record[kept++] = map->record[i];
    }
    map->count = kept;
    map->written = SIZE_MAX; /* what is in the file is not true any more */
}

/* --- The file -------------------------------------------------------------------------------- */

static void write_record(struct perf_map *map, struct record *r)
{
    char text[CODE_NAME_SIZE];

    if (!r->name && map->named)
        r->name = name_of(map, r->gla, false);
    if (!r->name)
        code_names_put(map->names, r->gla, false, true, 0, text);
    fprintf(map->out, "%llx %x %s\n", (unsigned long long)r->host, r->size,
            r->name ? r->name : text);
}

void perf_map_write(struct perf_map *map)
{
    bool named = code_names_known(map->names);

    if (named != map->named || map->written > map->count) {
        rewind(map->out);
        if (ftruncate(fileno(map->out), 0))
            return;
        map->written = 0;
    }
    map->named = named;
    while (map->written < map->count)
        write_record(map, &map->record[map->written++]);
    fflush(map->out);
}

int perf_map_close(struct perf_map *map, struct error *error)
{
    FILE *out = map->out;
    bool failed;

    perf_map_write(map);
    failed = ferror(out);
    map->out = NULL;
    if (!fclose(out) && !failed)
        return 0;
    return error_set(error, EX_IOERR, "-perf: cannot write to '%s': %s; free some space", map->path,
                     strerror(errno));
}
