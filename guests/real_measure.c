/* See real_measure.h. */
#include "guests/real_measure.h"

const char *const real_modes[MODES] = { "real", "prot16", "v86", "native" };

enum { RUNS = 60, FIRST = 1024, MOST = 1 << 28 }; /* lodsb_stosb and others make one of 1024 */

static uint8_t pattern(uint32_t i)
{
    return (uint8_t)(i * 7 + 3);
}

static void fill_data(void)
{
    for (uint32_t i = 0; i < 0x10000; i += 4) { /* in words, for the interpreter's sake */
        *(volatile uint32_t *)&real_data[i] = pattern(i) | pattern(i + 1) << 8 |
                                              pattern(i + 2) << 16 |
                                              (uint32_t)pattern(i + 3) << 24;
        *(volatile uint32_t *)&real_copy[i] = 0;
    }
}

static bool right(const struct routine *r, uint32_t answer, uint32_t rounds)
{
    if (r->kind == NONE)
        return true;
    if (answer != (r->kind == COUNTS ? (rounds & 0xffff) : r->answer))
        return false;
    for (uint32_t i = 0; r->kind == MOVED && i < r->answer; i++)
        if (real_copy[i] != pattern(i))
            return false;
    return true;
}

uint64_t real_time(const struct routine *r, unsigned mode, uint32_t rounds)
{
    uint64_t start;
    uint32_t answer;

    fill_data();
    start = rdtsc();
    answer = real_answer(r, mode, rounds);
    start = rdtsc() - start;
    if (!right(r, answer, rounds))
        real_wrong(r, answer, rounds);
    return start;
}

/* The quickest of so many runs; the first perhaps with its translation. */
static uint64_t quickest(const struct routine *r, unsigned mode, uint32_t rounds, unsigned runs)
{
    uint64_t best = ~0ull, took;

    while (runs--) {
        took = real_time(r, mode, rounds);
        best = took < best ? took : best;
    }
    return best;
}

void real_measure(const struct routine *r, unsigned mode, uint64_t run)
{
    uint64_t best, took = 0, enough = run;
    uint32_t rounds = FIRST, tenths;

    divide(&enough, 10);
    for (; took < enough && rounds < MOST; rounds *= 2)
        took = quickest(r, mode, rounds, 4);
    for (rounds /= 2; took < run && rounds < MOST; took *= 2)
        rounds *= 2;
    best = quickest(r, mode, rounds, RUNS) * 10;
    divide(&best, rounds);
    tenths = divide(&best, 10);
    real_report(real_modes[mode], r->name, (uint32_t)best, tenths);
}
