/*
 * The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words in network order.
 * Sums are kept unfolded, so pieces can be added one after the other; all but the last have an even
 * number of bytes.
 */
#ifndef BASE_INET_SUM_H
#define BASE_INET_SUM_H

#include <stddef.h>
#include <stdint.h>

/* sum and the bytes at data; start with 0. Sums are in the host's byte order of 16-bit words. */
uint64_t inet_sum(uint64_t sum, const void *data, size_t size);

/* Down to 16 bits, to be stored as they are (memcpy); not yet complemented. */
uint16_t inet_fold(uint64_t sum);

/* What a checksum field holds: the complement, stored as it is. */
static inline uint16_t inet_checksum(const void *data, size_t size)
{
    return (uint16_t)~inet_fold(inet_sum(0, data, size));
}

#endif
