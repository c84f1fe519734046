/*
 * What flat code that patches itself costs (patch_code.S), in rings 0 and 3 with paging, in TSC
 * cycles a round: "REAL mode name cycles", as guests/real.c has it, for bench/sixteen. The quickest
 * of many runs counts. "only NAME..." on the command line leaves out other routines.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"

enum { ROUNDS = 20000, RUNS = 40 };

extern const struct routine {
    const char *name;
    uint32_t at;
} patch_table[], patch_table_end[];

static uint64_t time(const struct routine *r, unsigned ring)
{
    struct frame f = trap_frame(r->at, ring);
    uint64_t start;

    f.ecx = ROUNDS;
    start = rdtsc();
    trap_run(&f);
    start = rdtsc() - start;
    check_that(f.vector == TRAP_END && f.eax == ROUNDS, "%s: %u rounds, trap %u at %x", r->name,
               f.eax, f.vector, f.eip);
    return start;
}

static void measure(const struct routine *r, unsigned ring)
{
    uint64_t best = ~0ull, took;
    uint32_t tenths;

    for (unsigned i = 0; i < RUNS; i++) {
        took = time(r, ring);
        best = took < best ? took : best;
    }
    best *= 10;
    divide(&best, ROUNDS);
    tenths = divide(&best, 10);
    print("REAL %s %s %u.%u\n", ring ? "user" : "kernel", r->name, (uint32_t)best, tenths);
}

unsigned guest_main(void)
{
    paging_init(false, false);
    check_begin("code that patches itself");
    for (unsigned ring = 0; ring <= 3; ring += 3)
        for (const struct routine *r = patch_table; r < patch_table_end; r++)
            if (!boot_option("only", NULL) || boot_option(r->name, NULL))
                measure(r, ring);
    check_end();
    return check_done();
}
