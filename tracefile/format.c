/* Encoding and decoding of a trace's parts: see format.h. */
#include "tracefile/format.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tracefile/kinds.h"

/* --- Fixed-size numbers ------------------------------------------------------------- */

static uint8_t *put_bytes(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *out++ = (uint8_t)(value >> 8 * i);
    return out;
}

static uint64_t get_bytes(const uint8_t **in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)*(*in)++ << 8 * i;
    return value;
}

/* --- Headers ------------------------------------------------------------------------ */

#define HEADER_SUMMED 40 /* bytes of a header that its sum is over; it follows them */

void format_put_header(uint8_t *out, const struct format_header *h)
{
    uint8_t *at = out + 8;

    memcpy(out, FORMAT_MAGIC, 8);
    at = put_bytes(at, h->version, 4);
    at = put_bytes(at, h->sum, 4);
    at = put_bytes(at, h->tsc, 8);
    at = put_bytes(at, h->host_ns, 8);
    at = put_bytes(at, h->guest_ns, 8);
    put_bytes(at, crc32(0, out, HEADER_SUMMED), 8);
}

const char *format_get_header(const uint8_t *in, struct format_header *h)
{
    const uint8_t *at = in + 8;

    if (memcmp(in, FORMAT_MAGIC, 8))
        return "not a trace of novt run -trace";
    h->version = (uint32_t)get_bytes(&at, 4);
    h->sum = (uint32_t)get_bytes(&at, 4);
    h->tsc = get_bytes(&at, 8);
    h->host_ns = get_bytes(&at, 8);
    h->guest_ns = get_bytes(&at, 8);
    if (get_bytes(&at, 8) != crc32(0, in, HEADER_SUMMED))
        return "its header is damaged";
    if (h->version != FORMAT_VERSION || h->sum != kinds_sum())
        return "written by another version of novt; read it with that one";
    return NULL;
}

#define BLOCK_SUMMED 8 /* the bytes from here on */

static uint32_t block_sum(const uint8_t *block, uint32_t packed)
{
    return (uint32_t)crc32(0, block + BLOCK_SUMMED, FORMAT_BLOCK_SIZE - BLOCK_SUMMED + packed);
}

void format_put_block(uint8_t *out, const struct format_block *b)
{
    uint8_t *at = put_bytes(out, FORMAT_BLOCK, 4) + 4;

    at = put_bytes(at, b->packed, 4);
    at = put_bytes(at, b->raw, 4);
    at = put_bytes(at, b->events, 8);
    at = put_bytes(at, b->tsc, 8);
    at = put_bytes(at, b->written_tsc, 8);
    put_bytes(at, b->host_ns, 8);
    put_bytes(out + 4, block_sum(out, b->packed), 4);
}

bool format_get_block(const uint8_t *in, struct format_block *b)
{
    const uint8_t *at = in + 8;

    b->packed = (uint32_t)get_bytes(&at, 4);
    b->raw = (uint32_t)get_bytes(&at, 4);
    b->events = (uint32_t)get_bytes(&at, 8);
    b->tsc = get_bytes(&at, 8);
    b->written_tsc = get_bytes(&at, 8);
    b->host_ns = get_bytes(&at, 8);
    at = in;
    return get_bytes(&at, 4) == FORMAT_BLOCK && b->packed <= FORMAT_PACKED_MAX &&
           b->raw <= FORMAT_RAW_MAX && b->events <= b->raw;
}

bool format_check_block(const uint8_t *in, const struct format_block *b)
{
    const uint8_t *at = in + 4;

    return get_bytes(&at, 4) == block_sum(in, b->packed);
}

/* --- Numbers of variable length ----------------------------------------------------- */

static void put_number(struct format_cursor *to, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        *to->at++ = (uint8_t)(value | 0x80);
    *to->at++ = (uint8_t)value;
}

static bool get_number(struct format_cursor *from, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && from->at < from->end; shift += 7) {
        uint8_t byte = *from->at++;

        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static uint64_t zigzag(uint64_t difference)
{
    return difference << 1 ^ -(difference >> 63);
}

static uint64_t unzigzag(uint64_t value)
{
    return value >> 1 ^ -(value & 1);
}

/* --- Words -------------------------------------------------------------------------- */

#define WORD_SLOTS (2 * FORMAT_WORDS_MAX)

struct format_words {
    uint64_t address[WORD_SLOTS]; /* hashed; 0: empty */
    uint16_t number[WORD_SLOTS];
    unsigned count;
};

struct format_words *format_words_create(void)
{
    return calloc(1, sizeof(struct format_words));
}

void format_words_destroy(struct format_words *words)
{
    free(words);
}

static void define(struct format_cursor *to, const char *text)
{
    size_t len = strnlen(text, FORMAT_WORD_LEN);

    *to->at++ = FORMAT_WORD;
    *to->at++ = (uint8_t)len;
    memcpy(to->at, text, len);
    to->at += len;
}

/* The word's number; one that has none yet is defined. 0: no word, or too many. */
static unsigned number_of(struct format_words *words, struct format_cursor *to, uint64_t address)
{
    uint64_t slot = (address * 0x9e3779b97f4a7c15u) >> 32 & (WORD_SLOTS - 1);

    if (!address)
        return 0;
    while (words->address[slot] && words->address[slot] != address)
        slot = (slot + 1) & (WORD_SLOTS - 1);
    if (!words->address[slot]) {
        if (words->count == FORMAT_WORDS_MAX)
            return 0;
        define(to, (const char *)(uintptr_t)address);
        words->address[slot] = address;
        words->number[slot] = (uint16_t)++words->count;
    }
    return words->number[slot];
}

_Static_assert(EVENT_COUNT < (FORMAT_WORD & ~FORMAT_SAME), "a kind and FORMAT_SAME in a byte");

/* --- Records ------------------------------------------------------------------------ */

void format_begin(struct format_cursor *cursor, uint8_t *at, uint8_t *end, uint64_t tsc)
{
    memset(cursor, 0, sizeof(*cursor));
    cursor->at = at;
    cursor->end = end;
    cursor->tsc = tsc;
}

static uint32_t eip_difference(uint32_t now, uint32_t before)
{
    return (uint32_t)zigzag((uint64_t)(int64_t)(int32_t)(now - before));
}

static bool is_same(const struct event_record *a, const struct event_record *b)
{
    bool same = a->eip == b->eip && a->mode == b->mode && a->then == b->then;

    for (unsigned i = 0; i < EVENT_VALUES; i++)
        same &= a->value[i] == b->value[i];
    return same;
}

static void put_values(struct format_cursor *to, const struct event_record *event,
                       const struct event_record *last, const uint64_t word[EVENT_VALUES])
{
    const struct kind_value *value = kinds[event->kind].value;

    for (unsigned i = 0; i < EVENT_VALUES && value[i].type; i++)
        put_number(to, value[i].type == TYPE_WORD  ? word[i]
                       : value[i].type == TYPE_HEX ? zigzag(event->value[i] - last->value[i])
                                                   : event->value[i]);
}

void format_put(struct format_cursor *to, struct format_words *words,
                const struct event_record *event)
{
    const struct kind_value *value = kinds[event->kind].value;
    struct event_record *last = &to->last[event->kind];
    uint64_t word[EVENT_VALUES] = { 0 }, passed = zigzag(event->tsc - to->tsc);

    to->tsc = event->tsc;
    if (is_same(event, last)) {
        *to->at++ = event->kind | FORMAT_SAME;
        put_number(to, passed);
        return;
    }
    for (unsigned i = 0; i < EVENT_VALUES; i++)
        if (value[i].type == TYPE_WORD)
            word[i] = number_of(words, to, event->value[i]);
    *to->at++ = event->kind;
    *to->at++ = (uint8_t)(event->mode | event->then << 4);
    put_number(to, passed);
    put_number(to, eip_difference(event->eip, last->eip));
    put_values(to, event, last, word);
    *last = *event;
}

static enum format_got get_word(struct format_cursor *from, struct format_word *word)
{
    if (from->at == from->end || from->end - from->at <= *from->at)
        return FORMAT_GOT_DAMAGE;
    word->len = *from->at++;
    word->text = from->at;
    from->at += word->len;
    return FORMAT_GOT_WORD;
}

static bool get_modes(struct format_cursor *from, struct event_record *event)
{
    if (from->at == from->end)
        return false;
    event->mode = *from->at & 15;
    event->then = *from->at++ >> 4;
    return event->mode < EVENT_MODES && event->then < EVENT_MODES;
}

static bool get_values(struct format_cursor *from, struct event_record *event,
                       const struct event_record *last)
{
    const struct kind_value *value = kinds[event->kind].value;

    for (unsigned i = 0; i < EVENT_VALUES && value[i].type; i++) {
        if (!get_number(from, &event->value[i]))
            return false;
        if (value[i].type == TYPE_HEX)
            event->value[i] = last->value[i] + unzigzag(event->value[i]);
    }
    return true;
}

/* Behind the kind of a record that is not FORMAT_SAME. */
static bool get_record(struct format_cursor *from, struct event_record *event,
                       const struct event_record *last)
{
    uint64_t passed, eip;

    if (!get_modes(from, event) || !get_number(from, &passed) || !get_number(from, &eip) ||
        !get_values(from, event, last))
        return false;
    event->tsc = from->tsc + unzigzag(passed);
    event->eip = last->eip + (uint32_t)unzigzag(eip);
    return true;
}

static bool get_same(struct format_cursor *from, struct event_record *event,
                     const struct event_record *last)
{
    uint8_t kind = event->kind;
    uint64_t passed;

    *event = *last;
    event->kind = kind;
    if (!get_number(from, &passed))
        return false;
    event->tsc = from->tsc + unzigzag(passed);
    return true;
}

enum format_got format_get(struct format_cursor *from, struct event_record *event,
                           struct format_word *word)
{
    uint8_t first;
    bool ok;

    if (from->at == from->end)
        return FORMAT_GOT_END;
    first = *from->at++;
    if (first == FORMAT_WORD)
        return get_word(from, word);
    *event = (struct event_record){ .kind = first & ~FORMAT_SAME };
    if (event->kind >= EVENT_COUNT)
        return FORMAT_GOT_DAMAGE;
    ok = first & FORMAT_SAME ? get_same(from, event, &from->last[event->kind])
                             : get_record(from, event, &from->last[event->kind]);
    if (!ok)
        return FORMAT_GOT_DAMAGE;
    from->tsc = event->tsc;
    from->last[event->kind] = *event;
    return FORMAT_GOT_EVENT;
}
