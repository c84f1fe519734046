/*
 * The speed of real mode: small 16-bit routines, entered from 32-bit code and left. Prints "REAL
 * name cycles" with the TSC cycles of a round, and checks the answers.
 *
 * Rounds are calibrated to 60 ms ("fast" on the command line: 4 ms); the quickest of three counts.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/console.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum { REAL_AT = 0x10000, DATA = 0x30000, COPY = 0x40000, ROUNDS = 3, ROUND_MS = 60,
       FAST_ROUND_MS = 4, VECTOR = 0x60 };

extern const uint8_t real_blob[], real_blob_end[];
/* Offsets in the blob. */
extern const uint8_t real_alu[], real_load_store[], real_rep_movsb_64[], real_rep_movsb_4096[];
extern const uint8_t real_lodsb_stosb[], real_call_ret[], real_call_far[], real_int_iret[];
extern const uint8_t real_segments[], real_push_pop[], real_own_page[], real_handler[];

uint32_t real_run(uint32_t offset, uint32_t rounds);

static const struct routine {
    const char *name;
    const uint8_t *offset;
    bool counts;       /* its answer is the number of rounds, modulo 64 Ki */
    uint32_t answer;   /* else, unless 0 */
} routines[] = {
    { "alu", real_alu, false, 0 },
    { "load_store", real_load_store, false, 0 },
    { "rep_movsb_64", real_rep_movsb_64, false, 64 },
    { "rep_movsb_4096", real_rep_movsb_4096, false, 4096 },
    { "lodsb_stosb", real_lodsb_stosb, false, 1024 },
    { "call_ret", real_call_ret, true, 0 },
    { "call_far", real_call_far, true, 0 },
    { "int_iret", real_int_iret, true, 0 },
    { "segments", real_segments, true, 0 },
    { "push_pop", real_push_pop, true, 0 },
    { "own_page", real_own_page, true, 0 },
};

static void copy_blob(void)
{
    volatile uint8_t *to = (volatile uint8_t *)REAL_AT;
    volatile uint32_t *vector = (volatile uint32_t *)(VECTOR * 4);

    for (uint32_t i = 0; i < (uint32_t)(real_blob_end - real_blob); i++)
        to[i] = real_blob[i];
    *vector = REAL_AT >> 4 << 16 | (uint32_t)real_handler;
    for (uint32_t i = 0; i < 0x10000; i++) {
        ((volatile uint8_t *)DATA)[i] = (uint8_t)(i * 7 + 3);
        ((volatile uint8_t *)COPY)[i] = 0;
    }
}

/* TSC ticks; the answer is checked. */
static uint64_t time_of(const struct routine *r, uint32_t n)
{
    uint64_t start;
    uint32_t answer;

    copy_blob();
    start = rdtsc();
    answer = real_run((uint32_t)r->offset, n);
    start = rdtsc() - start;
    if (r->counts)
        check_that(answer == (n & 0xffff), "%s: %u in %u rounds", r->name, answer, n);
    if (r->answer)
        check_that(answer == r->answer, "%s: %u", r->name, answer);
    for (uint32_t i = 0; r->answer && i < r->answer; i++)
        check_that(((uint8_t *)COPY)[i] == (uint8_t)(i * 7 + 3), "%s: byte %u", r->name, i);
    return start;
}

static void measure(const struct routine *r, uint64_t round)
{
    uint64_t best = ~0ull, took = 0, enough = round, count;
    uint32_t n = 1024, tenths;

    divide(&enough, 10);
    for (; took < enough && n < 1u << 28; n *= 2)
        took = time_of(r, n);
    for (count = n; took < round && count < 1u << 28; took *= 2)
        count *= 2;
    n = (uint32_t)count;
    for (unsigned i = 0; i < ROUNDS; i++) {
        took = time_of(r, n);
        best = took < best ? took : best;
    }
    best *= 10;
    divide(&best, n);
    tenths = divide(&best, 10);
    print("REAL %s %llu.%u\n", r->name, best, tenths);
}

unsigned guest_main(void)
{
    uint64_t round = (uint64_t)time_tsc_khz() *
                     (boot_option("fast", NULL) ? FAST_ROUND_MS : ROUND_MS);

    print("\nreal: TSC %u MHz\n", time_tsc_khz() / 1000);
    check_begin("real mode");
    for (unsigned i = 0; i < ARRAY_SIZE(routines); i++)
        measure(&routines[i], round);
    check_end();
    return check_done();
}
