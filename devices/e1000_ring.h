/* What the 82540EM's two rings have in common: e1000_transmit.c, e1000_receive.c. */
#ifndef DEVICES_E1000_RING_H
#define DEVICES_E1000_RING_H

#include "devices/e1000_state.h"

enum { TAG = 4, FCS = 4 }; /* bytes, of a VLAN tag and behind a frame */

/* Two bytes as the network has them. */
static inline unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Up to four as descriptors have them. */
static inline uint32_t le(const uint8_t *at, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

/* gpa of a ring whose base's lower half is in the register `low`; the entries of one by its length
 * register. */
uint64_t e1000_ring_base(struct e1000 *dev, unsigned low);
unsigned e1000_ring_entries(struct e1000 *dev, unsigned length);

bool e1000_is_broadcast(const uint8_t *frame);

/* Registers in which frames of one direction are counted. */
struct e1000_counters {
    uint16_t good, total, good_bytes, total_bytes;
    uint16_t sizes; /* the first of six */
    uint16_t broadcast, multicast;
};

/* A frame of that size, without its FCS, has gone that way. */
void e1000_count_frame(struct e1000 *dev, const struct e1000_counters *counters,
                       const uint8_t *frame, size_t size);

#endif
