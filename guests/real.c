/*
 * The speed of 16-bit code: small routines, each in real mode, in 16-bit protected mode at CPL 0 as
 * a 286 has it, and in virtual-8086 mode with IOPL 3. Prints "REAL mode name cycles" with the TSC
 * cycles of a round, and checks the answers.
 *
 * A run is calibrated to 5 ms ("fast" on the command line: 0.3 ms, which a busy host interrupts
 * less often); the quickest of sixty counts.
 * "only NAME..." leaves out other routines; "check" does not measure.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/console.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum { REAL_AT = 0x10000, STACK = 0x20000, DATA = 0x30000, COPY = 0x40000, STACK_TOP = 0xfff0,
       RUNS = 60, RUN_US = 5000, FAST_RUN_US = 300, CHECK_RUN = 3000, VECTOR = 0x60 };

enum { REAL, PROTECTED, V86, MODES };

/* As real_routines.inc's. */
enum kind { NONE, COUNTS, MOVED, EQUALS };

struct routine {
    const char *name;
    uint32_t offset; /* in the blob */
    uint32_t modes;  /* bit n: mode n */
    enum kind kind;
    uint32_t answer;
};

extern const struct routine real_table[], real_table_end[];
extern const uint8_t real_blob[], real_blob_end[];
extern const uint8_t real_handler[], real_v86_end[]; /* offsets in the blob */

uint32_t real_run(uint32_t offset, uint32_t rounds, bool protected_mode);
void v86_handler(void);

/* Once: an instruction that is written again and again is not translated. */
static void copy_blob(void)
{
    volatile uint8_t *to = (volatile uint8_t *)REAL_AT;
    volatile uint32_t *vector = (volatile uint32_t *)(VECTOR * 4);

    for (uint32_t i = 0; i < (uint32_t)(real_blob_end - real_blob); i++)
        to[i] = real_blob[i];
    *vector = REAL_AT >> 4 << 16 | (uint32_t)real_handler;
}

static void fill_data(void)
{
    for (uint32_t i = 0; i < 0x10000; i++) {
        ((volatile uint8_t *)DATA)[i] = (uint8_t)(i * 7 + 3);
        ((volatile uint8_t *)COPY)[i] = 0;
    }
}

/* Its answer. */
static uint32_t v86_run(uint32_t offset, uint32_t rounds)
{
    struct frame f = trap_frame(offset, 0);

    f.eflags |= FL_VM | FL_IOPL3;
    f.cs = REAL_AT >> 4;
    f.ss = STACK >> 4;
    f.v86_ds = DATA >> 4;
    f.v86_es = COPY >> 4;
    f.ds = f.es = 0;
    f.esp = STACK_TOP;
    f.ecx = rounds;
    *(volatile uint16_t *)(STACK + STACK_TOP) = (uint16_t)(uint32_t)real_v86_end;
    trap_run(&f);
    check_equal("vector", f.vector, TRAP_END);
    return f.eax;
}

static uint32_t run(const struct routine *r, unsigned mode, uint32_t rounds)
{
    return mode == V86 ? v86_run(r->offset, rounds)
                       : real_run(r->offset, rounds, mode == PROTECTED);
}

/* TSC ticks; the answer is checked. */
static uint64_t time_of(const struct routine *r, unsigned mode, uint32_t n)
{
    uint64_t start;
    uint32_t answer;

    fill_data();
    start = rdtsc();
    answer = run(r, mode, n);
    start = rdtsc() - start;
    if (r->kind == COUNTS)
        check_that(answer == (n & 0xffff), "%s: %u in %u rounds", r->name, answer, n);
    if (r->kind >= MOVED)
        check_that(answer == r->answer, "%s: %u", r->name, answer);
    for (uint32_t i = 0; r->kind == MOVED && i < r->answer; i++)
        check_that(((uint8_t *)COPY)[i] == (uint8_t)(i * 7 + 3), "%s: byte %u", r->name, i);
    return start;
}

static void measure(const struct routine *r, unsigned mode, uint64_t round)
{
    static const char *const names[MODES] = { "real", "prot16", "v86" };
    uint64_t best = ~0ull, took = 0, enough = round, count, again;
    uint32_t n = 1024, tenths; /* lodsb_stosb and others make one of 1024 */

    divide(&enough, 10);
    for (; took < enough && n < 1u << 28; n *= 2) {
        took = time_of(r, mode, n); /* perhaps with translating it, or interrupted */
        for (unsigned i = 0; i < 3; i++) {
            again = time_of(r, mode, n);
            took = again < took ? again : took;
        }
    }
    for (count = n; took < round && count < 1u << 28; took *= 2)
        count *= 2;
    n = (uint32_t)count;
    for (unsigned i = 0; i < RUNS; i++) {
        took = time_of(r, mode, n);
        best = took < best ? took : best;
    }
    best *= 10;
    divide(&best, n);
    tenths = divide(&best, 10);
    print("REAL %s %s %llu.%u\n", names[mode], r->name, best, tenths);
}

static void try(const struct routine *r, unsigned mode, uint64_t round)
{
    if (boot_option("check", NULL))
        time_of(r, mode, CHECK_RUN);
    else
        measure(r, mode, round);
}

static bool wanted(const struct routine *r)
{
    return !boot_option("only", NULL) || boot_option(r->name, NULL);
}

unsigned guest_main(void)
{
    uint64_t round = (uint64_t)time_tsc_khz() *
                     (boot_option("fast", NULL) ? FAST_RUN_US : RUN_US);

    divide(&round, 1000);
    print("\nreal: TSC %u MHz\n", time_tsc_khz() / 1000);
    idt[VECTOR] = gate_make(KERNEL_CS, (uint32_t)v86_handler, ACCESS_INT_GATE | ACCESS_DPL3, 0);
    copy_blob();
    check_begin("16-bit code");
    for (unsigned mode = 0; mode < MODES; mode++)
        for (const struct routine *r = real_table; r < real_table_end; r++)
            if (r->modes & 1u << mode && wanted(r))
                try(r, mode, round);
    check_end();
    return check_done();
}
