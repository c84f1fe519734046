/*
 * Writing a trace: see writer.h. The events are encoded as they come, which makes room in the ring
 * at once; what is encoded is compressed and written when it is much, or FLUSH_MS old, so that novt
 * may be killed at any moment and the file still tells what happened until just before.
 *
 * A file that cannot be written to any more does not end the run: the rest is thrown away, and
 * writer_close() says so.
 */
#include "tracefile/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/output.h"
#include "base/thread.h"
#include "tracefile/format.h"
#include "tracefile/kinds.h"

#define FLUSH_MS 250
#define BLOCK_FULL (FORMAT_RAW_MAX / 4)
#define LEVEL 1 /* of zlib: the guest waits for this thread when it is slow */

struct writer {
    int fd, err;
    struct events *events;
    pthread_t thread;
    struct format_words *words;
    struct format_cursor cursor;
    z_stream zlib;
    uint32_t count;   /* events in the block at hand, */
    uint64_t tsc;     /* which count from this */
    uint64_t last_tsc;
    struct writer_stats stats;
    uint8_t raw[FORMAT_RAW_MAX];
    uint8_t packed[FORMAT_BLOCK_SIZE + FORMAT_PACKED_MAX];
};

static uint64_t host_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void write_out(struct writer *w, const uint8_t *bytes, size_t size)
{
    while (size && !w->err) {
        ssize_t done = write(w->fd, bytes, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            w->err = done ? -errno : -EIO;
            return;
        }
        bytes += done;
        size -= (size_t)done;
        w->stats.bytes += (uint64_t)done;
    }
}

static void begin_block(struct writer *w)
{
    format_begin(&w->cursor, w->raw, w->raw + sizeof(w->raw), w->last_tsc);
    w->tsc = w->last_tsc;
    w->count = 0;
}

/* With no events, the end. */
static void end_block(struct writer *w)
{
    struct format_block block = { .raw = (uint32_t)(w->cursor.at - w->raw), .events = w->count,
                                  .tsc = w->tsc };

    w->zlib.next_in = w->raw;
    w->zlib.avail_in = block.raw;
    w->zlib.next_out = w->packed + FORMAT_BLOCK_SIZE;
    w->zlib.avail_out = FORMAT_PACKED_MAX;
    if (block.raw) {
        if (deflate(&w->zlib, Z_FINISH) != Z_STREAM_END)
            w->err = w->err ? w->err : -EIO;
        deflateReset(&w->zlib);
        w->stats.blocks++;
    }
    block.packed = FORMAT_PACKED_MAX - w->zlib.avail_out;
    block.written_tsc = __builtin_ia32_rdtsc();
    block.host_ns = host_ns();
    format_put_block(w->packed, &block);
    write_out(w, w->packed, FORMAT_BLOCK_SIZE + block.packed);
    begin_block(w);
}

/* Encodes what there is. */
static void take_events(struct writer *w)
{
    const struct event_record *first;
    size_t count;

    while ((count = events_peek(w->events, &first))) {
        for (size_t i = 0; i < count; i++) {
            format_put(&w->cursor, w->words, &first[i]);
            w->count++;
            if (w->cursor.at > w->raw + BLOCK_FULL) {
                w->last_tsc = first[i].tsc;
                end_block(w);
            }
        }
        w->last_tsc = first[count - 1].tsc;
        w->stats.events += count;
        events_taken(w->events, count);
    }
}

static void *write_events(void *arg)
{
    struct writer *w = arg;
    uint64_t flushed = host_ns();
    bool stopped;

    do {
        events_wait(w->events, FLUSH_MS);
        stopped = events_stopped(w->events); /* before looking: nothing comes after it */
        take_events(w);
        if (w->count && (stopped || host_ns() - flushed > FLUSH_MS * 1000000ull)) {
            end_block(w);
            flushed = host_ns();
        }
    } while (!stopped);
    end_block(w);
    return NULL;
}

static void write_header(struct writer *w, uint64_t guest_ns)
{
    struct format_header header = { .version = FORMAT_VERSION, .sum = kinds_sum(),
                                    .tsc = __builtin_ia32_rdtsc(), .host_ns = host_ns(),
                                    .guest_ns = guest_ns };
    uint8_t bytes[FORMAT_HEADER_SIZE];

    w->last_tsc = header.tsc;
    format_put_header(bytes, &header);
    write_out(w, bytes, sizeof(bytes));
}

static void destroy(struct writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    deflateEnd(&w->zlib);
    format_words_destroy(w->words);
    free(w);
}

int writer_open(struct writer **out, const char *path, struct events *events, uint64_t guest_ns)
{
    struct writer *w = calloc(1, sizeof(*w));
    int err = 0;

    if (!w)
        return -ENOMEM;
    w->events = events;
    w->words = format_words_create();
    w->fd = -1;
    if (!w->words || deflateInit(&w->zlib, LEVEL) != Z_OK)
        err = -ENOMEM;
    if (!err) {
        w->fd = output_open(path);
        err = w->fd < 0 ? w->fd : 0;
    }
    if (!err) {
        write_header(w, guest_ns);
        begin_block(w);
        err = w->err ? w->err : thread_start(&w->thread, write_events, w);
    }
    if (err) {
        destroy(w);
        return err;
    }
    *out = w;
    return 0;
}

int writer_close(struct writer *w, struct writer_stats *stats)
{
    int err;

    if (!w)
        return 0;
    events_stop(w->events);
    pthread_join(w->thread, NULL);
    *stats = w->stats;
    err = w->err;
    destroy(w);
    return err;
}
