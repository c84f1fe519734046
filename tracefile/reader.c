/*
 * Reading a trace: see reader.h. Nothing in the file is believed: sizes have limits, sums are
 * checked, and what is decoded is compared with what the block's header has announced.
 */
#include "tracefile/reader.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tracefile/format.h"
#include "tracefile/kinds.h"

struct reader {
    FILE *file;
    struct format_header header;
    double ns_per_tick;
    /* where it is */
    uint64_t offset;   /* of the next block */
    uint32_t left;     /* events of this one */
    enum reader_end end;
    bool ended;
    struct format_cursor cursor;
    struct reader_event record; /* read, and not yet given */
    bool pending, given;
    uint8_t mode, then;         /* of the guest, up to here; what the record has led to */
    char *word[FORMAT_WORDS_MAX + 1]; /* by number; 0 is "" */
    unsigned words;
    uint8_t packed[FORMAT_BLOCK_SIZE + FORMAT_PACKED_MAX], raw[FORMAT_RAW_MAX];
};

/* --- Time ---------------------------------------------------------------------------- */

/* The counter's rate, by the block that was written last. */
static void take_rate(struct reader *r, const struct format_block *b)
{
    double ticks = (double)(b->written_tsc - r->header.tsc);
    double ns = (double)(b->host_ns - r->header.host_ns);

    if (b->written_tsc > r->header.tsc && b->host_ns > r->header.host_ns)
        r->ns_per_tick = ns / ticks;
}

static uint64_t ns_of(const struct reader *r, uint64_t tsc)
{
    double ns = (double)(int64_t)(tsc - r->header.tsc) * r->ns_per_tick;

    if (!(ns > -1e18 && ns < 1e18))
        return r->header.guest_ns;
    return r->header.guest_ns + (uint64_t)(int64_t)ns;
}

/* --- Blocks -------------------------------------------------------------------------- */

static void end_here(struct reader *r, enum reader_end end)
{
    r->end = end;
    r->ended = true;
}

/* The header of the block at offset, into packed. */
static bool read_block_header(struct reader *r, uint64_t offset, struct format_block *b)
{
    if (fseeko(r->file, (off_t)offset, SEEK_SET) ||
        fread(r->packed, 1, FORMAT_BLOCK_SIZE, r->file) != FORMAT_BLOCK_SIZE) {
        end_here(r, READER_CUT);
        return false;
    }
    if (!format_get_block(r->packed, b)) {
        end_here(r, READER_DAMAGED);
        return false;
    }
    return true;
}

static bool unpack(struct reader *r, const struct format_block *b)
{
    uLongf size = sizeof(r->raw);

    if (uncompress(r->raw, &size, r->packed + FORMAT_BLOCK_SIZE, b->packed) != Z_OK ||
        size != b->raw)
        return false;
    format_begin(&r->cursor, r->raw, r->raw + size, b->tsc);
    r->left = b->events;
    return true;
}

/* False: there is none, and end is set. */
static bool next_block(struct reader *r)
{
    struct format_block b;

    if (r->ended || !read_block_header(r, r->offset, &b))
        return false;
    if (fread(r->packed + FORMAT_BLOCK_SIZE, 1, b.packed, r->file) != b.packed)
        end_here(r, READER_CUT);
    else if (!format_check_block(r->packed, &b))
        end_here(r, READER_DAMAGED);
    else if (!b.raw)
        end_here(r, READER_WHOLE);
    else if (!unpack(r, &b))
        end_here(r, READER_DAMAGED);
    else
        r->offset += FORMAT_BLOCK_SIZE + b.packed;
    return !r->ended;
}

/* --- Words --------------------------------------------------------------------------- */

static void forget_words(struct reader *r)
{
    while (r->words)
        free(r->word[r->words--]);
}

/* Printable text, whatever the file has there. */
static bool define(struct reader *r, const struct format_word *word)
{
    char *text = r->words < FORMAT_WORDS_MAX ? malloc(word->len + 1u) : NULL;

    if (!text)
        return false;
    for (unsigned i = 0; i < word->len; i++)
        text[i] = word->text[i] < ' ' || word->text[i] > '~' ? '?' : (char)word->text[i];
    text[word->len] = 0;
    r->word[++r->words] = text;
    return true;
}

/* --- Events -------------------------------------------------------------------------- */

static bool take(struct reader *r, const struct event_record *from)
{
    const struct kind_value *value = kinds[from->kind].value;
    struct reader_event *event = &r->record;

    r->then = from->then;
    *event = (struct reader_event){ .ns = ns_of(r, from->tsc), .eip = from->eip,
                                    .kind = from->kind, .mode = from->mode };
    for (unsigned i = 0; i < EVENT_VALUES; i++) {
        event->value[i] = from->value[i];
        if (value[i].type != TYPE_WORD)
            continue;
        if (from->value[i] > r->words)
            return false;
        event->word[i] = r->word[from->value[i]];
    }
    return true;
}

/* The next record of this block that is an event. False: the block is over, as announced, or end is
 * set. */
static bool next_here(struct reader *r)
{
    struct event_record record;
    struct format_word word;

    for (;;) {
        switch (format_get(&r->cursor, &record, &word)) {
        case FORMAT_GOT_EVENT:
            if (r->left-- && take(r, &record))
                return true;
            break;
        case FORMAT_GOT_WORD:
            if (define(r, &word))
                continue;
            break;
        case FORMAT_GOT_END:
            if (!r->left)
                return false;
            break;
        case FORMAT_GOT_DAMAGE: break;
        }
        end_here(r, READER_DAMAGED);
        return false;
    }
}

static bool next_record(struct reader *r)
{
    while (!r->ended)
        if (next_here(r))
            return true;
        else if (!next_block(r))
            break;
    return false;
}

static void change_mode(struct reader *r, uint8_t to, struct reader_event *event)
{
    *event = (struct reader_event){ .ns = r->record.ns, .eip = r->record.eip, .mode = to,
                                    .kind = EVENT_mode,
                                    .word = { kind_modes[r->mode], kind_modes[to] } };
    r->mode = to;
}

/* The record between the changes of mode before and behind it. */
bool reader_next(struct reader *r, struct reader_event *event)
{
    if (!r->pending) {
        if (!next_record(r))
            return false;
        r->pending = true;
        r->given = false;
    }
    if (!r->given && r->mode != r->record.mode) {
        change_mode(r, r->record.mode, event);
        return true;
    }
    if (!r->given) {
        *event = r->record;
        r->given = true;
    } else {
        change_mode(r, r->then, event);
    }
    r->pending = r->mode != r->then;
    return true;
}

/* --- Life ---------------------------------------------------------------------------- */

/* Every header, for the counter's rate. */
static void look_ahead(struct reader *r)
{
    uint64_t offset = FORMAT_HEADER_SIZE;
    struct format_block b;

    while (read_block_header(r, offset, &b) && b.raw) {
        take_rate(r, &b);
        offset += FORMAT_BLOCK_SIZE + b.packed;
    }
}

struct reader *reader_open(FILE *file, const char **why)
{
    struct reader *r = calloc(1, sizeof(*r));

    *why = "no host memory";
    if (!r)
        return NULL;
    r->file = file;
    r->word[0] = "";
    r->ns_per_tick = 1;
    *why = "too short for a trace, or not a file that can be read from any position";
    if (!fseeko(file, 0, SEEK_SET) &&
        fread(r->packed, 1, FORMAT_HEADER_SIZE, file) == FORMAT_HEADER_SIZE)
        *why = format_get_header(r->packed, &r->header);
    if (*why) {
        free(r);
        return NULL;
    }
    look_ahead(r);
    reader_rewind(r);
    return r;
}

void reader_rewind(struct reader *r)
{
    forget_words(r);
    r->offset = FORMAT_HEADER_SIZE;
    r->left = 0;
    r->ended = false;
    r->pending = false;
    r->mode = EVENT_MODE_REAL;
    format_begin(&r->cursor, r->raw, r->raw, 0);
}

void reader_close(struct reader *r)
{
    if (!r)
        return;
    forget_words(r);
    free(r);
}

enum reader_end reader_end(const struct reader *r, uint64_t *offset)
{
    *offset = r->offset;
    return r->end;
}
