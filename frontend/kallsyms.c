/*
 * A kernel's own table of symbols, in guest memory. Reference: Linux, scripts/kallsyms.c (the
 * layout), kernel/kallsyms.c (how it is read).
 *
 *      offsets  base  count  names  markers  [order]  tokens  index          up to Linux 6.3
 *                     count  names  markers           tokens  index  offsets  base      later
 *
 * A name is a length and as many numbers of tokens, of which there are 256; the expanded text
 * begins with the symbol's type. A marker is where every 256th name begins. Nothing says where the
 * table is: the tokens of the ten digits, which stand for themselves, are looked for.
 *
 * All of it is the guest's and may be anything: a copy is looked at, and every step stays in it.
 */
#include "frontend/kallsyms.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/physmem.h"

#define BEFORE (16u << 20) /* of the copy: how much may lie before the tokens, and behind them */
#define BEHIND (2u << 20)
#define TOKENS 256
#define NAME_MAX_LEN 512
#define GROUP 256 /* names for each marker */
#define COUNT_MIN 1000u
#define COUNT_MAX 1000000u

struct kallsyms {
    uint8_t *copy;
    size_t size;
    size_t tokens, index, names, markers, offsets; /* in the copy */
    uint32_t count, base;
};

/* --- The copy -------------------------------------------------------------------------------- */

static uint32_t word(const struct kallsyms *k, size_t at)
{
    uint32_t value = 0;

    if (at + 4 <= k->size)
        memcpy(&value, k->copy + at, 4);
    return value;
}

static uint8_t byte(const struct kallsyms *k, size_t at)
{
    return at < k->size ? k->copy[at] : 0;
}

static size_t token_offset(const struct kallsyms *k, unsigned token)
{
    return word(k, k->index + 2 * token) & 0xffff;
}

/* The length of the name at, and in *text where its tokens begin. */
static unsigned name_length(const struct kallsyms *k, size_t at, size_t *text)
{
    unsigned length = byte(k, at);

    *text = at + 1;
    if (!(length & 0x80))
        return length;
    ++*text;
    return (length & 0x7f) | (unsigned)byte(k, at + 1) << 7;
}

static size_t next_name(const struct kallsyms *k, size_t at)
{
    size_t text;
    unsigned length = name_length(k, at, &text);

    return text + length;
}

/* --- Finding its parts ----------------------------------------------------------------------- */

/* 256 texts, and behind them where each begins. */
static bool find_index(struct kallsyms *k)
{
    size_t at = k->tokens;

    for (unsigned i = 0; i < TOKENS; i++) {
        const uint8_t *end = at < k->size ? memchr(k->copy + at, 0, k->size - at) : NULL;

        if (!end)
            return false;
        at = (size_t)(end - k->copy) + 1;
    }
    k->index = (at + 3) & ~(size_t)3;
    at = k->tokens;
    for (unsigned i = 0; i < TOKENS; i++) {
        if (token_offset(k, i) != at - k->tokens)
            return false;
        at += strlen((const char *)k->copy + at) + 1;
    }
    return true;
}

static bool names_fit(const struct kallsyms *k)
{
    size_t at = k->names;

    for (uint32_t i = 0; i < k->count; i++) {
        if (i % GROUP == 0 && at - k->names != word(k, k->markers + i / GROUP * 4))
            return false;
        at = next_name(k, at);
        if (at > k->markers)
            return false;
    }
    return k->markers - at < 8;
}

/* Are the markers so far before the tokens: in between, 3 bytes a symbol, or nothing? */
static bool markers_at(struct kallsyms *k, size_t between)
{
    size_t size = 4 * (((size_t)k->count + GROUP - 1) / GROUP);

    if (k->tokens < k->names + between + size)
        return false;
    k->markers = k->tokens - between - size;
    return !word(k, k->markers) && word(k, k->markers + 4) && names_fit(k);
}

/* The count is before the names, and decides where the rest is. */
static bool find_names(struct kallsyms *k)
{
    for (size_t at = k->tokens & ~(size_t)3; at; at -= 4) {
        k->count = word(k, at - 4);
        k->names = at;
        if (k->count >= COUNT_MIN && k->count <= COUNT_MAX &&
            (markers_at(k, 0) || markers_at(k, (3 * (size_t)k->count + 3) & ~(size_t)3)))
            return true;
    }
    return false;
}

static bool offsets_at(struct kallsyms *k, size_t at, size_t base)
{
    if (at + 4 * (size_t)k->count > k->size || base + 4 > k->size || word(k, at))
        return false;
    for (uint32_t i = 1; i < k->count; i++)
        if (word(k, at + 4 * i) < word(k, at + 4 * i - 4))
            return false;
    k->offsets = at;
    k->base = word(k, base);
    return k->base && word(k, at + 4 * (size_t)k->count - 4); /* not only zeroes */
}

static bool find_offsets(struct kallsyms *k)
{
    size_t count = k->names - 4, size = 4 * (size_t)k->count, behind = k->index + 2 * TOKENS;

    return (count >= size + 4 && offsets_at(k, count - 4 - size, count - 4)) ||
           offsets_at(k, behind, behind + size);
}

static bool find_parts(struct kallsyms *k)
{
    return find_index(k) && find_names(k) && find_offsets(k);
}

/* --- Finding the table ------------------------------------------------------------------------ */

static const char digits[] = "\0000\0001\0002\0003\0004\0005\0006\0007\0008\0009";

/* Where the texts begin whose number 48, "0", is behind the NUL at digit. 0: not there. */
static uint64_t first_token(const uint8_t *ram, uint64_t from, uint64_t digit)
{
    unsigned nuls = 0;

    for (uint64_t at = digit; at > from; at--)
        if (!ram[at - 1] && ++nuls == '0')
            return at;
    return 0;
}

static struct kallsyms *copy_at(const uint8_t *ram, uint64_t from, uint64_t to, uint64_t tokens)
{
    uint64_t start = tokens - from > BEFORE ? (tokens - BEFORE) & ~PAGE_MASK : from;
    uint64_t end = to - tokens > BEHIND ? tokens + BEHIND : to;
    struct kallsyms *k = calloc(1, sizeof(*k));

    if (!k || !(k->copy = malloc(end - start))) {
        free(k);
        return NULL;
    }
    k->size = end - start;
    k->tokens = tokens - start;
    memcpy(k->copy, ram + start, k->size);
    if (find_parts(k))
        return k;
    kallsyms_free(k);
    return NULL;
}

/* In memory that has been written at all. */
static struct kallsyms *look_in(const uint8_t *ram, uint64_t from, uint64_t to)
{
    const uint8_t *at = ram + from;
    struct kallsyms *k = NULL;

    while (!k && (at = memmem(at, (size_t)(ram + to - at), digits, sizeof(digits) - 1))) {
        uint64_t tokens = first_token(ram, from, (uint64_t)(at - ram));

        if (tokens)
            k = copy_at(ram, from, to, tokens);
        at++;
    }
    return k;
}

struct kallsyms *kallsyms_in(const uint8_t *bytes, size_t size)
{
    return look_in(bytes, 0, size);
}

struct kallsyms *kallsyms_find(const struct physmem *mem)
{
    struct kallsyms *k = NULL;
    off_t from = 0, to = 0;

    while (!k && (from = lseek(mem->fd, to, SEEK_DATA)) >= 0 && (uint64_t)from < mem->size) {
        to = lseek(mem->fd, from, SEEK_HOLE);
        if (to <= from)
            return NULL;
        k = look_in(mem->ram, (uint64_t)from,
                    (uint64_t)to < mem->size ? (uint64_t)to : mem->size);
    }
    return k;
}

void kallsyms_free(struct kallsyms *k)
{
    if (k)
        free(k->copy);
    free(k);
}

/* --- Names ------------------------------------------------------------------------------------ */

/* The type, which is a letter, and the name; returns where the next one begins. */
static size_t expand_at(const struct kallsyms *k, size_t at, char *name, size_t size)
{
    size_t tokens, used = 0;
    unsigned length = name_length(k, at, &tokens);

    for (unsigned i = 0; i < length; i++) {
        size_t token = k->tokens + token_offset(k, byte(k, tokens + i));

        while (byte(k, token) && used < size - 1)
            name[used++] = (char)byte(k, token++);
    }
    name[used] = '\0';
    return tokens + length;
}

void kallsyms_each(const struct kallsyms *k,
                   void (*hear)(void *arg, uint32_t gla, char type, const char *name), void *arg)
{
    size_t at = k->names;
    char name[NAME_MAX_LEN];

    for (uint32_t i = 0; i < k->count; i++) {
        at = expand_at(k, at, name, sizeof(name));
        if (*name)
            hear(arg, k->base + word(k, k->offsets + 4 * (size_t)i), *name, name + 1);
    }
}
