/* See nano_measure.h. */
#include "guests/nano_measure.h"

enum { ROUNDS = 3, MOST = 1 << 30 };

/* How many make a round; the first measurement, over a tenth of a round, also warms things up. */
static uint32_t calibrate(nano_time *time_of, const void *operation, uint64_t round)
{
    uint64_t enough = round, took = 0, count;
    uint32_t n = NANO_BATCH / 2;

    divide(&enough, 10);
    while (took < enough && n < MOST) {
        n *= 2;
        took = time_of(operation, n);
    }
    for (count = n; took < round && count < MOST; took *= 2)
        count *= 2;
    return count;
}

void nano_measure(const char *name, nano_time *time_of, const void *operation, uint64_t idle,
                  const struct nano_rules *rules)
{
    uint32_t n = rules->count ? rules->count : calibrate(time_of, operation, rules->round);
    uint64_t best = ~0ull, waited = idle * n;
    uint32_t tenths;

    for (unsigned i = 0; i < (rules->count ? 1 : ROUNDS); i++) {
        uint64_t took;

        if (rules->marks)
            nano_mark("FROM", name, n);
        took = time_of(operation, n);
        if (rules->marks)
            nano_mark("TO", name, n);
        best = took < best ? took : best;
    }
    best = best > waited ? (best - waited) * 10 : 0;
    divide(&best, n);
    tenths = divide(&best, 10);
    nano_report(name, best, tenths);
}
