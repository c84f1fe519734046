/* The histogram of latencies: its percentiles are within a sixteenth above the true ones. */
#include "frontend/latency.h"

#include <string.h>

#include "tests/check.h"

static struct latency latency;

static void one(uint64_t ns, unsigned tier)
{
    latency_due(&latency, 1000000);
    latency_taken(&latency, 1000000 + ns, tier);
}

static void check_near(uint64_t got, uint64_t want)
{
    CHECK_EQ(got >= want && got <= want + want / 16, 1);
    if (!(got >= want && got <= want + want / 16))
        printf("got %llu, want %llu\n", (unsigned long long)got, (unsigned long long)want);
}

static void test_percentiles(void)
{
    const struct latency_row *row = &latency.row[SPENT_CODE_DIRECT];

    memset(&latency, 0, sizeof(latency));
    CHECK_EQ(latency_percentile(row, 0.5), 0);
    for (uint64_t i = 1; i <= 1000; i++)
        one(i * 1000, SPENT_CODE_DIRECT);
    CHECK_EQ(row->count, 1000);
    CHECK_EQ(row->max_ns, 1000000);
    check_near(latency_percentile(row, 0.5), 500000);
    check_near(latency_percentile(row, 0.9), 900000);
    check_near(latency_percentile(row, 0.99), 990000);
    CHECK_EQ(latency_percentile(row, 1), 1000000);
    CHECK_EQ(latency.row[SPENT_CODE_TLB].count, 0);
}

/* Every size of number has a bucket, and buckets are in order. */
static void test_sizes(void)
{
    for (unsigned bit = 0; bit < 40; bit++) {
        uint64_t ns = 1ull << bit;

        memset(&latency, 0, sizeof(latency));
        one(ns, SPENT_CODE_TLB);
        one(ns + ns / 3, SPENT_CODE_TLB);
        CHECK_EQ(latency.row[SPENT_CODE_TLB].max_ns, ns + ns / 3);
        if (bit < 39)
            check_near(latency_percentile(&latency.row[SPENT_CODE_TLB], 0.5), ns);
    }
}

static void test_unasked(void)
{
    memset(&latency, 0, sizeof(latency));
    latency_taken(&latency, 5000, SPENT_CODE_TLB);
    CHECK_EQ(latency.row[SPENT_CODE_TLB].count, 0);
    latency_due(&latency, 6000);
    latency_taken(&latency, 5000, SPENT_COUNT); /* a clock that went back; a tier that is none */
    CHECK_EQ(latency.row[LATENCY_TIERS - 1].count, 1);
    CHECK_EQ(latency.row[LATENCY_TIERS - 1].max_ns, 0);
}

int main(void)
{
    test_percentiles();
    test_sizes();
    test_unasked();
    return CHECK_DONE();
}
