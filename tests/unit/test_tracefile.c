/* Traces: the ring, the file written by its thread and read again, cut off and damaged; filters. */
#include "tracefile/reader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check.h"
#include "tracefile/filter.h"
#include "tracefile/format.h"
#include "tracefile/kinds.h"
#include "tracefile/print.h"
#include "tracefile/writer.h"

#define MANY 100000u /* more than the ring holds */

static char path[] = "/tmp/novt-trace-XXXXXX";
static const char *const words[] = { "popf", "mov", "hlt", "" };

/* Event n of the trace that these tests write. */
static struct event_record nth(uint32_t n)
{
    struct event_record e = { .eip = 0xc0000000u + n * 7u, .mode = n / 3 % EVENT_MODES,
                              .then = (n + 1) / 3 % EVENT_MODES };

    switch (n % 4) {
    case 0:
        e.kind = EVENT_callout;
        e.value[0] = event_word(words[n / 4 % 4]);
        break;
    case 1:
        e.kind = EVENT_exception;
        e.value[0] = n % 32, e.value[1] = n, e.value[2] = UINT64_MAX - n;
        break;
    case 2:
        e.kind = EVENT_hidden_fault;
        e.value[0] = n * 4096ull, e.value[1] = event_word("read"), e.value[2] = 0;
        break;
    default: e.kind = EVENT_halt; break;
    }
    return e;
}

static bool same(const struct reader_event *got, uint32_t n)
{
    struct event_record want = nth(n);
    const struct kind_value *value = kinds[want.kind].value;

    if (got->kind != want.kind || got->mode != want.mode || got->eip != want.eip)
        return false;
    for (unsigned v = 0; v < EVENT_VALUES; v++)
        if (value[v].type == TYPE_WORD
                ? strcmp(got->word[v], want.value[v] ? (char *)(uintptr_t)want.value[v] : "")
                : got->value[v] != want.value[v] || got->word[v])
            return false;
    return true;
}

static void write_trace(uint32_t count)
{
    struct events *events = events_create(false);
    struct writer_stats stats;
    struct writer *writer;

    CHECK_EQ(writer_open(&writer, path, events, 5000), 0);
    for (uint32_t n = 0; n < count; n++) {
        struct event_record e = nth(n);

        events_put(events, e.kind, (struct event_modes){ e.mode, e.then }, e.eip, e.value[0],
                   e.value[1], e.value[2]);
    }
    CHECK_EQ(writer_close(writer, &stats), 0);
    CHECK_EQ(stats.events, count);
    CHECK_EQ(events_stats(events).put, count);
    events_destroy(events);
}

/* Reads what is in the file: how many events, all of which are right. */
static uint32_t read_trace(enum reader_end *end)
{
    FILE *file = fopen(path, "r");
    const char *why = NULL;
    struct reader *reader = reader_open(file, &why);
    struct reader_event event;
    uint64_t offset, last = 0;
    uint32_t n = 0;

    *end = READER_DAMAGED;
    while (reader && reader_next(reader, &event)) {
        if (event.kind == EVENT_mode) { /* found between the others, at every third */
            CHECK_EQ(n % 3, 0);
            CHECK_EQ(strcmp(event.word[0], kind_modes[(n + 17) / 3 % EVENT_MODES]), 0);
            CHECK_EQ(strcmp(event.word[1], kind_modes[n / 3 % EVENT_MODES]), 0);
            continue;
        }
        if (!same(&event, n) || event.ns < last || event.ns < 5000)
            check_failures++;
        last = event.ns;
        n++;
    }
    if (reader)
        *end = reader_end(reader, &offset);
    reader_close(reader);
    fclose(file);
    return n;
}

static void test_whole(void)
{
    enum reader_end end;

    write_trace(MANY);
    CHECK_EQ(read_trace(&end), MANY);
    CHECK_EQ(end, READER_WHOLE);
    write_trace(0);
    CHECK_EQ(read_trace(&end), 0);
    CHECK_EQ(end, READER_WHOLE);
}

static long size_of_file(void)
{
    FILE *file = fopen(path, "r");
    long size;

    fseek(file, 0, SEEK_END);
    size = ftell(file);
    fclose(file);
    return size;
}

/* Wherever it is cut off, what is there is right, and there is never less of it than before. */
static void test_cut(void)
{
    uint32_t before = MANY;
    enum reader_end end;
    long size;

    write_trace(MANY);
    for (size = size_of_file() - 1; size >= FORMAT_HEADER_SIZE; size -= 1 + size / 50) {
        uint32_t n;

        CHECK_EQ(truncate(path, size), 0);
        n = read_trace(&end);
        CHECK_EQ(end, READER_CUT);
        CHECK_EQ(n <= before, 1);
        before = n;
    }
    CHECK_EQ(before, 0);
}

static void flip(long at, uint8_t bits)
{
    FILE *file = fopen(path, "r+");
    int byte;

    fseek(file, at, SEEK_SET);
    byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ bits, file);
    fclose(file);
}

/* One byte that is not what was written: noticed, and nothing wrong is shown. */
static void test_damage(void)
{
    enum reader_end end;
    uint32_t n;
    long size;

    write_trace(1000);
    size = size_of_file();
    for (long at = 0; at < size; at++) {
        flip(at, (uint8_t)(1 + at % 255));
        n = read_trace(&end);
        if (end == READER_WHOLE || n > 1000)
            CHECK_EQ(at, -1);
        flip(at, (uint8_t)(1 + at % 255));
    }
    CHECK_EQ(read_trace(&end), 1000);
    CHECK_EQ(end, READER_WHOLE);
}

static void test_version(void)
{
    uint8_t bytes[FORMAT_HEADER_SIZE];
    struct format_header header = { .version = FORMAT_VERSION, .sum = kinds_sum(), .tsc = 1 }, got;

    format_put_header(bytes, &header);
    CHECK_EQ(format_get_header(bytes, &got) == NULL, 1);
    CHECK_EQ(got.sum == header.sum && got.tsc == 1, 1);
    header.sum++;
    format_put_header(bytes, &header);
    CHECK_EQ(!strstr(format_get_header(bytes, &got), "another version"), 0);
    header.sum--;
    header.version++;
    format_put_header(bytes, &header);
    CHECK_EQ(!strstr(format_get_header(bytes, &got), "another version"), 0);
    bytes[0]++;
    CHECK_EQ(!strstr(format_get_header(bytes, &got), "not a trace"), 0);
}

/* Guest time stands still during a pause. */
static void test_pause(void)
{
    struct events *events = events_create(false);
    const struct event_record *first;

    events_paused(events, 1ull << 40);
    events_put(events, EVENT_halt, (struct event_modes){ 0, 0 }, 0, 0, 0, 0);
    CHECK_EQ(events_peek(events, &first), 1);
    CHECK_EQ(first->tsc + (1ull << 40) - __builtin_ia32_rdtsc() < 1ull << 40, 0);
    CHECK_EQ(__builtin_ia32_rdtsc() - (1ull << 40) - first->tsc < 1ull << 40, 1);
    events_destroy(events);
}

/* --- Filters ----------------------------------------------------------------------------- */

static const struct reader_event samples[] = {
    { .kind = EVENT_exception, .mode = EVENT_MODE_USER, .ns = 1500000000, .eip = 0x8048000,
      .value = { 14, 6, 0xbff00000 } },
    { .kind = EVENT_exception, .mode = EVENT_MODE_KERNEL, .ns = 2000000000, .eip = 0xc0100000,
      .value = { 13, 0, 0 } },
    { .kind = EVENT_callout, .mode = EVENT_MODE_KERNEL, .ns = 2500000000, .eip = 0xc0100010,
      .word = { "popf" } },
    { .kind = EVENT_port_write, .mode = EVENT_MODE_KERNEL, .ns = 3000000000, .eip = 0xc0100020,
      .value = { 0x3f8, 'x', 1 } },
};

/* Which samples are wanted, as bits; -1: the filter is refused. */
static int wanted(const char *text)
{
    struct filter *filter = NULL;
    char why[200] = "";
    int bits = 0;

    if (filter_add(&filter, text, why, sizeof(why)))
        bits = *why ? -1 : -2;
    for (unsigned i = 0; bits >= 0 && i < 4; i++)
        bits |= filter_wants(filter, &samples[i]) << i;
    filter_destroy(filter);
    return bits;
}

static void test_filter(void)
{
    static const struct {
        const char *text;
        int bits;
    } rows[] = {
        { "exception", 3 }, { "exception,callout", 7 }, { "cpu", 3 }, { "board,sensitive", 12 },
        { "!exception", 12 }, { "cpu,!exception", 0 }, { "!cpu,!board", 4 },
        { "vector=14", 1 }, { "vector=13-14", 3 }, { "vector=-13", 2 }, { "vector=14-", 1 },
        { "exception,vector=0xd", 2 }, { "instruction=popf", 4 }, { "instruction=hlt", 0 },
        { "mode=kernel", 14 }, { "mode=kernel,mode=user", 15 }, { "mode=user,callout", 0 },
        { "time=1.5-2", 3 }, { "time=2.1-", 12 }, { "time=-1.9", 1 },
        { "eip=0xc0100000-0xc0100010", 6 }, { "port=0x3f8", 8 }, { "port=1000-1100,value=120", 8 },
        { "port=0x3f8,callout", 0 },
        { "", -1 }, { ",", -1 }, { "exception,", -1 }, { "nonsense", -1 }, { "!nonsense", -1 },
        { "nonsense=1", -1 }, { "vector=", -1 }, { "vector=-", -1 }, { "vector=2-1", -1 },
        { "vector=1x", -1 }, { "time=x", -1 }, { "eip=", -1 }, { "mode=nonsense", -1 },
        { "=", -1 }, { "=5", -1 }, { "time=1e5", -1 },
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (wanted(rows[i].text) != rows[i].bits) {
            printf("filter '%s': %d, want %d\n", rows[i].text, wanted(rows[i].text),
                   rows[i].bits);
            check_failures++;
        }
}

static void test_values(void)
{
    char text[100];

    print_values(text, sizeof(text), &samples[0]);
    CHECK_EQ(strcmp(text, " vector=14 error=0x6 cr2=0xbff00000"), 0);
    print_values(text, sizeof(text), &samples[2]);
    CHECK_EQ(strcmp(text, " instruction=popf"), 0);
    print_values(text, 12, &samples[0]);
    CHECK_EQ(strcmp(text, " vector=14 "), 0);
}

int main(void)
{
    int fd = mkstemp(path);

    test_whole();
    test_cut();
    test_damage();
    test_version();
    test_pause();
    test_filter();
    test_values();
    close(fd);
    unlink(path);
    return CHECK_DONE();
}
