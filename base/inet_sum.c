/* The Internet checksum: eight bytes at a time, with the carries added back (RFC 1071, 2). */
#include "base/inet_sum.h"

#include <string.h>

static uint64_t add(uint64_t sum, uint64_t word)
{
    sum += word;
    return sum + (sum < word);
}

uint64_t inet_sum(uint64_t sum, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t word[4], other = 0;

    for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
        memcpy(word, at, sizeof(word));
        sum = add(add(sum, word[0]), word[1]);
        other = add(add(other, word[2]), word[3]);
    }
    sum = add(sum, other);
    while (size) {
        size_t part = size < 8 ? size : 8;

        word[0] = 0;
        memcpy(word, at, part);
        sum = add(sum, word[0]);
        at += part;
        size -= part;
    }
    return sum;
}

uint16_t inet_fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
