/* What the 82540EM's two rings have in common: see e1000_ring.h. Reference: Intel 317453, 13.7
 * (statistics). */
#include "devices/e1000_ring.h"

#include <string.h>

uint64_t e1000_ring_base(struct e1000 *dev, unsigned low)
{
    return *e1000_reg(dev, low) | (uint64_t)*e1000_reg(dev, low + 4) << 32;
}

unsigned e1000_ring_entries(struct e1000 *dev, unsigned length)
{
    return *e1000_reg(dev, length) / DESC_SIZE;
}

bool e1000_is_broadcast(const uint8_t *frame)
{
    static const uint8_t all[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    return !memcmp(frame, all, sizeof(all));
}

/* Six ranges of sizes, the FCS counted. */
static unsigned range_of(size_t size)
{
    static const uint16_t most[] = { 64, 127, 255, 511, 1023 };
    unsigned i = 0;

    while (i < 5 && size > most[i])
        i++;
    return 4 * i;
}

void e1000_count_frame(struct e1000 *dev, const struct e1000_counters *counters,
                       const uint8_t *frame, size_t size)
{
    e1000_count(dev, counters->good, 1);
    e1000_count(dev, counters->total, 1);
    e1000_count(dev, counters->good_bytes, size + FCS);
    e1000_count(dev, counters->total_bytes, size + FCS);
    e1000_count(dev, counters->sizes + range_of(size + FCS), 1);
    if (e1000_is_broadcast(frame))
        e1000_count(dev, counters->broadcast, 1);
    else if (frame[0] & 1)
        e1000_count(dev, counters->multicast, 1);
}
