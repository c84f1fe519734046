/*
 * The TSC against the 8254.
 *
 * Reference: Intel 8254 data sheet; IBM AT Technical Reference, port 61h (bit 0 the gate of channel
 *            2, bit 1 the speaker, bit 5 channel 2's output).
 */
#include "guests/lib/time.h"

enum { PIT = 0x40, PORT_B = 0x61, GATE = 1, SPEAKER = 2, OUTPUT = 0x20 };
enum { MEASURED_MS = 30, ATTEMPTS = 50 };

void time_start_one_shot(uint16_t count)
{
    outb(PORT_B, (inb(PORT_B) & ~SPEAKER) | GATE);
    outb(PIT + 3, 0xb0); /* channel 2, both bytes, mode 0 */
    outb(PIT + 2, count);
    outb(PIT + 2, count >> 8);
}

bool time_one_shot_ended(void)
{
    return inb(PORT_B) & OUTPUT;
}

static uint32_t measure(void)
{
    uint64_t start, ticks;

    time_start_one_shot(TIME_PIT_HZ / 1000 * MEASURED_MS);
    start = rdtsc();
    while (!time_one_shot_ended())
        ;
    ticks = rdtsc() - start;
    divide(&ticks, MEASURED_MS);
    return ticks;
}

/* The smallest of some, once another one has been nearly as small: somebody else may have had the
 * CPU while the counter ran out. */
uint32_t time_tsc_khz(void)
{
    static uint32_t khz;
    unsigned alike = 0;

    for (unsigned i = 0; i < ATTEMPTS && (i || !khz) && alike < 2; i++) {
        uint32_t now = measure();

        if (!khz || now < khz - khz / 128)
            alike = 0;
        alike += !khz || now < khz + khz / 128;
        khz = khz && khz < now ? khz : now;
    }
    return khz;
}

void time_start_ticks(uint16_t divisor)
{
    outb(PIT + 3, 0x34); /* channel 0, both bytes, mode 2 */
    outb(PIT, divisor);
    outb(PIT, divisor >> 8);
}

void time_wait_us(uint32_t us)
{
    uint64_t ticks = (uint64_t)us * time_tsc_khz(), start = rdtsc();

    divide(&ticks, 1000);
    while (rdtsc() - start < ticks)
        ;
}
