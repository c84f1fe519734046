/*
 * A trace as a file: a header, blocks of events, each compressed by zlib and readable as soon as it
 * is written, and a block without events as the end.
 *
 *   header   "NOVTRACE", version, the table's sum (kinds.h), the counter, the host's and the
 *            guest's time at the start, CRC-32
 *   block    FORMAT_BLOCK, CRC-32 of what follows, sizes, number of events, the counter that its
 *            first event counts from, the counter and the host's time when it was written; then
 *            the records, compressed
 *   record   kind, mode and what it has led to (in the high half); then as variable-length
 *            numbers: the counter as the difference to the record before, eip and each HEX as that
 *            to the record of the same kind before (0 at the start of a block), other values as
 *            they are; of a WORD its number. kind | FORMAT_SAME: all but the counter is as in that
 *            record, and left out
 *   word     FORMAT_WORD, length, bytes: the next number, from 1 on, in all blocks behind it
 *
 * All numbers are little-endian; variable-length ones have 7 bits in each byte, the low ones first,
 * and bit 7 set in all bytes but the last; differences are zigzag-encoded (0, -1, 1, -2, ...).
 */
#ifndef TRACEFILE_FORMAT_H
#define TRACEFILE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/events.h"

#define FORMAT_VERSION 1
#define FORMAT_MAGIC "NOVTRACE"
#define FORMAT_BLOCK 0x4b42544eu /* "NTBK" */
#define FORMAT_WORD 0xff
#define FORMAT_SAME 0x80
#define FORMAT_HEADER_SIZE 48
#define FORMAT_BLOCK_SIZE 48
#define FORMAT_RAW_MAX (1u << 20)    /* of a block's records */
#define FORMAT_PACKED_MAX (1u << 21) /* and compressed */
#define FORMAT_WORDS_MAX 4096        /* further ones are left out */
#define FORMAT_WORD_LEN 255
/* A record, and a word before each of its values. */
#define FORMAT_RECORD_MAX (2 + (2 + EVENT_VALUES) * 10 + EVENT_VALUES * (3 + FORMAT_WORD_LEN))

struct format_header {
    uint32_t version, sum;
    uint64_t tsc, host_ns, guest_ns;
};

struct format_block {
    uint32_t packed, raw, events;
    uint64_t tsc;                  /* what its first event counts from */
    uint64_t written_tsc, host_ns; /* when it was written; the same moment */
};

/* FORMAT_HEADER_SIZE bytes. */
void format_put_header(uint8_t *out, const struct format_header *header);

/* NULL, or what is wrong with it. */
const char *format_get_header(const uint8_t *in, struct format_header *header);

/* Writes the block's header before its packed bytes, at out + FORMAT_BLOCK_SIZE. */
void format_put_block(uint8_t *out, const struct format_block *block);

/* The header; then, with the packed bytes at in + FORMAT_BLOCK_SIZE, the sum. False: damaged. */
bool format_get_block(const uint8_t *in, struct format_block *block);
bool format_check_block(const uint8_t *in, const struct format_block *block);

/* --- Records ------------------------------------------------------------------------ */

struct format_words; /* words by their addresses, and the numbers they have got */
struct format_words *format_words_create(void); /* NULL: no memory */
void format_words_destroy(struct format_words *words);

/* Where a block's records are being written or read. */
struct format_cursor {
    uint8_t *at, *end;
    uint64_t tsc;
    struct event_record last[EVENT_COUNT]; /* of each kind */
};

/* At the start of a block. */
void format_begin(struct format_cursor *cursor, uint8_t *at, uint8_t *end, uint64_t tsc);

/* Appends a record; there are FORMAT_RECORD_MAX bytes left. */
void format_put(struct format_cursor *to, struct format_words *words,
                const struct event_record *event);

/* What was read: a record, or a word that is defined. WORD values are numbers, 0 for none. */
enum format_got { FORMAT_GOT_END, FORMAT_GOT_EVENT, FORMAT_GOT_WORD, FORMAT_GOT_DAMAGE };
struct format_word {
    const uint8_t *text; /* in the block */
    uint8_t len;
};
enum format_got format_get(struct format_cursor *from, struct event_record *event,
                           struct format_word *word);

#endif
