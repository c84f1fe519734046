/* The page of a timeline: see timeline.h. */
#include "tracefile/timeline.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tracefile/format.h"
#include "tracefile/kinds.h"

/* timeline.html, by timeline_page.S. */
extern const char timeline_page[];

#define MARK "<!-- the trace -->"
#define TIMELINE_MARK 256 /* events, as MARK in the page: it can begin to read at any of them */
#define CHUNK 49152 /* a multiple of 3, so that base 64 needs no padding but at the end */

struct page {
    FILE *out;
    z_stream zlib;
    uint8_t packed[CHUNK];
    uint8_t raw[CHUNK + FORMAT_RECORD_MAX];
    uint64_t events;
};

/* --- Base 64 (RFC 4648, 4) -------------------------------------------------------------- */

static void put_base64(FILE *out, const uint8_t *in, size_t size)
{
    static const char digit[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (left > 2 ? in[i + 2] : 0);
        char text[4] = { digit[bits >> 18], digit[bits >> 12 & 63],
                         left > 1 ? digit[bits >> 6 & 63] : '=',
                         left > 2 ? digit[bits & 63] : '=' };

        fwrite(text, 1, 4, out);
    }
}

/* --- The events -------------------------------------------------------------------------- */

static void compress_some(struct page *page, size_t size, int flush)
{
    page->zlib.next_in = page->raw;
    page->zlib.avail_in = (uInt)size;
    while (deflate(&page->zlib, flush) == Z_OK && !page->zlib.avail_out) {
        put_base64(page->out, page->packed, sizeof(page->packed));
        page->zlib.next_out = page->packed;
        page->zlib.avail_out = sizeof(page->packed);
    }
}

static struct event_record record_of(const struct reader_event *event)
{
    struct event_record record = { .tsc = event->ns, .eip = event->eip, .kind = event->kind,
                                   .mode = event->mode, .then = event->mode };

    for (unsigned v = 0; v < EVENT_VALUES; v++)
        record.value[v] = event->word[v] ? event_word(event->word[v]) : event->value[v];
    return record;
}

static void put_events(struct page *page, struct reader *reader, const struct filter *filter,
                       struct format_words *words)
{
    struct format_cursor cursor;
    struct reader_event event;

    format_begin(&cursor, page->raw, NULL, 0);
    page->zlib.next_out = page->packed;
    page->zlib.avail_out = sizeof(page->packed);
    while (page->events < TIMELINE_EVENTS_MAX && reader_next(reader, &event)) {
        struct event_record record;

        if (!filter_wants(filter, &event))
            continue;
        if (!(page->events % TIMELINE_MARK))
            format_begin(&cursor, cursor.at, NULL, cursor.tsc);
        record = record_of(&event);
        format_put(&cursor, words, &record);
        page->events++;
        if (cursor.at - page->raw >= CHUNK) {
            compress_some(page, (size_t)(cursor.at - page->raw), Z_NO_FLUSH);
            cursor.at = page->raw;
        }
    }
    compress_some(page, (size_t)(cursor.at - page->raw), Z_FINISH);
    put_base64(page->out, page->packed, sizeof(page->packed) - page->zlib.avail_out);
}

/* --- The tables -------------------------------------------------------------------------- */

static json_t *values_of(const struct kind *kind)
{
    static const char *const types[] = { "", "hex", "dec", "word" };
    json_t *array = json_array();

    for (unsigned v = 0; v < EVENT_VALUES && kind->value[v].type; v++)
        json_array_append_new(array, json_pack("{s:s, s:s}", "name", kind->value[v].name, "type",
                                               types[kind->value[v].type]));
    return array;
}

static json_t *tables(const char *name)
{
    json_t *all = json_object(), *rows = json_array(), *modes = json_array();

    for (unsigned i = 0; i < EVENT_COUNT; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:o}", "name", kinds[i].name,
                                              "group", kind_groups[kinds[i].group], "help",
                                              kinds[i].help, "values", values_of(&kinds[i])));
    for (unsigned i = 0; i < EVENT_MODES; i++)
        json_array_append_new(modes, json_string(kind_modes[i]));
    json_object_set_new(all, "trace", json_string(name));
    json_object_set_new(all, "kinds", rows);
    json_object_set_new(all, "modes", modes);
    return all;
}

/* Nothing in it may end the element that it is in. */
static bool put_tables(FILE *out, const char *name)
{
    json_t *all = tables(name);
    char *text = json_dumps(all, JSON_COMPACT | JSON_ENSURE_ASCII);

    for (const char *at = text; at && *at; at++)
        if (*at == '<')
            fputs("\\u003c", out);
        else
            putc(*at, out);
    free(text);
    json_decref(all);
    return text;
}

/* --- All of it --------------------------------------------------------------------------- */

static int put_page(struct page *page, struct reader *reader, const struct filter *filter,
                    const char *name, struct format_words *words)
{
    const char *mark = strstr(timeline_page, MARK);
    bool done;

    fwrite(timeline_page, 1, (size_t)(mark - timeline_page), page->out);
    fputs("<script type=\"application/json\" id=\"tables\">", page->out);
    done = put_tables(page->out, name);
    fputs("</script>\n<script type=\"text/plain\" id=\"events\">", page->out);
    put_events(page, reader, filter, words);
    fputs("</script>", page->out);
    fputs(mark + sizeof(MARK) - 1, page->out);
    return done ? 0 : -1;
}

int timeline_write(FILE *out, struct reader *reader, const struct filter *filter, const char *name,
                   char *why, size_t size)
{
    struct page *page = calloc(1, sizeof(*page));
    struct format_words *words = format_words_create();
    int err = -1;

    snprintf(why, size, "no host memory");
    if (page && words && deflateInit(&page->zlib, Z_BEST_COMPRESSION) == Z_OK) {
        page->out = out;
        err = put_page(page, reader, filter, name, words);
        deflateEnd(&page->zlib);
    }
    if (!err && page->events == TIMELINE_EVENTS_MAX) {
        snprintf(why, size, "more than %u events are too many for a page; choose some by --filter,"
                 " time=A-B for example", TIMELINE_EVENTS_MAX - 1);
        err = -1;
    }
    format_words_destroy(words);
    free(page);
    return err;
}
