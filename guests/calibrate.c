/*
 * The TSC's rate by Linux's slow loop (arch/x86/kernel/tsc.c, pit_calibrate_tsc), "rounds=N" times:
 * how many rates it accepts, how many of them are wrong. tests/guest/stops.py stops novt meanwhile,
 * from the line "begin" on.
 */
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/time.h"

enum { MS = 10, LOOPS_MIN = 1000, STEP_FACTOR = 10, TOLERANCE = 32 /* 3 % */ };

/* In kHz; 0: too few looks, or one that took far longer than another. */
static uint32_t measure(void)
{
    uint64_t start, now, before, ticks;
    uint32_t looks = 0, least = ~0u, most = 0, step;

    time_start_one_shot(TIME_PIT_HZ / 1000 * MS);
    before = now = start = rdtsc();
    for (; !time_one_shot_ended(); looks++) {
        now = rdtsc();
        step = now - before > ~0u ? ~0u : (uint32_t)(now - before);
        before = now;
        least = step < least ? step : least;
        most = step > most ? step : most;
    }
    if (looks < LOOPS_MIN || most / STEP_FACTOR > least)
        return 0;
    ticks = now - start;
    divide(&ticks, MS);
    return (uint32_t)ticks;
}

unsigned guest_main(void)
{
    uint32_t rounds = 100, khz = time_tsc_khz(), accepted = 0, wrong = 0;

    boot_option("rounds", &rounds);
    print("begin: %u kHz\n", khz);
    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t found = measure();

        accepted += found != 0;
        if (!found || (found > khz - khz / TOLERANCE && found < khz + khz / TOLERANCE))
            continue;
        wrong++;
        print("wrong: %u kHz\n", found);
    }
    print("%u rounds: %u accepted, %u wrong\n", rounds, accepted, wrong);
    return wrong != 0;
}
