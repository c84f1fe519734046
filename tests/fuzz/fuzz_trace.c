/*
 * Traces of novt run -trace: a file of any bytes; and, behind a header and sums that are right, any
 * bytes as a block's compressed data, or as its records. Whatever is read is printed.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/fuzz/fuzz.h"
#include "tracefile/format.h"
#include "tracefile/kinds.h"
#include "tracefile/print.h"
#include "tracefile/reader.h"

#define INPUT_MAX 65536

static uint8_t file[FORMAT_HEADER_SIZE + 2 * (FORMAT_BLOCK_SIZE + 2 * INPUT_MAX)];

/* A block of these bytes, compressed already or not; returns its size. */
static size_t put_block(uint8_t *out, const uint8_t *data, size_t size, uint32_t raw, bool packed)
{
    struct format_block block = { .raw = raw, .events = raw / 8, .tsc = 1, .written_tsc = 1000,
                                  .host_ns = 500 };
    uLongf room = 2 * INPUT_MAX;

    if (packed) {
        memcpy(out + FORMAT_BLOCK_SIZE, data, size);
        room = size;
    } else if (compress(out + FORMAT_BLOCK_SIZE, &room, data, size) != Z_OK) {
        abort();
    }
    block.packed = (uint32_t)room;
    format_put_block(out, &block);
    return FORMAT_BLOCK_SIZE + room;
}

static size_t put_file(const uint8_t *data, size_t size, bool packed)
{
    const struct format_header header = { .version = FORMAT_VERSION, .sum = kinds_sum() };
    size_t half = size / 2, at = FORMAT_HEADER_SIZE;

    format_put_header(file, &header);
    at += put_block(file + at, data, half, packed ? 1000 : (uint32_t)half, packed);
    at += put_block(file + at, data + half, size - half, packed ? 1000 : (uint32_t)(size - half),
                    packed);
    return at;
}

static void show(uint8_t *bytes, size_t size)
{
    static FILE *out;
    FILE *in = fmemopen(bytes, size, "r");
    const char *why;
    struct reader *reader = in ? reader_open(in, &why) : NULL;

    if (!out)
        out = fopen("/dev/null", "w");
    if (reader) {
        print_text(out, reader, NULL);
        reader_rewind(reader);
        print_summary(out, reader, NULL);
    }
    reader_close(reader);
    if (in)
        fclose(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_MAX)
        return 0;
    if (*data % 3 == 0)
        memcpy(file, data + 1, size - 1);
    show(file, *data % 3 ? put_file(data + 1, size - 1, *data % 3 == 1) : size - 1);
    return 0;
}
