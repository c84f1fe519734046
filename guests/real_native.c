/*
 * The routines of real_routines.inc on the host itself, in 16-bit segments of a local descriptor
 * table: what a bare CPU takes for those that need no privilege and name no segment by its number.
 * A static i386 program; "fast", "check" and "only NAME..." as for real.c.
 */
#include "guests/bench/rt.h"
#include "guests/real_measure.h"

enum { SEGMENT = 0x10000, CODE_AT = 0x1000, RUN = 12000000, FAST_RUN = 800000, CHECK_RUN = 3000 };
enum { CONTENTS_DATA = 0, CONTENTS_CODE = 2, WRITE_NEW = 0x11 };

/* struct user_desc of the host's. */
struct descriptor {
    uint32_t number, base, limit, seg_32bit : 1, contents : 2, read_exec_only : 1;
};

extern const uint8_t real_blob[], real_blob_end[];

uint32_t real_run(uint32_t offset, uint32_t rounds);

/* As in the guest: code, stack, ds and es. */
static uint8_t memory[4 * SEGMENT] __attribute__((aligned(SEGMENT)));
volatile uint8_t *const real_data = memory + 2 * SEGMENT;
volatile uint8_t *const real_copy = memory + 3 * SEGMENT;
volatile uint8_t *const real_code = memory;

static const char *const *words; /* of the command line */

static bool given(const char *word)
{
    for (const char *const *at = words; *at; at++)
        if (rt_equal(*at, word))
            return true;
    return false;
}

static void segment(unsigned i, unsigned contents)
{
    struct descriptor d = { .number = (i + 1) * CODE_AT / 8, .limit = SEGMENT - 1,
                            .base = (uint32_t)memory + i * SEGMENT, .contents = contents };
    long failed = sys3(SYS_modify_ldt, WRITE_NEW, &d, sizeof(d));

    if (failed)
        rt_fail("modify_ldt", failed);
}

uint32_t real_answer(const struct routine *r, unsigned mode, uint32_t rounds)
{
    (void)mode;
    return real_run(r->offset, rounds);
}

void real_wrong(const struct routine *r, uint32_t answer, uint32_t rounds)
{
    (void)rounds;
    rt_fail(r->name, (long)answer);
}

void real_report(const char *mode, const char *name, uint32_t cycles, uint32_t tenths)
{
    rt_print("REAL ");
    rt_print(mode);
    rt_print(" ");
    rt_print(name);
    rt_print(" ");
    rt_print_unsigned(cycles, 10, 1);
    rt_print(".");
    rt_print_unsigned(tenths, 10, 1);
    rt_print("\n");
}

static void try(const struct routine *r)
{
    if (!(r->modes & 1u << NATIVE) || (given("only") && !given(r->name)))
        return;
    if (given("check"))
        real_time(r, NATIVE, CHECK_RUN);
    else
        real_measure(r, NATIVE, given("fast") ? FAST_RUN : RUN);
}

int rt_main(int argc, char **argv, char **envp)
{
    (void)argc, (void)envp;
    words = (const char *const *)argv;
    if (sys3(SYS_mprotect, memory, SEGMENT, PROT_READ | PROT_WRITE | PROT_EXEC))
        rt_fail("mprotect", -1);
    for (uint32_t i = 0; i < (uint32_t)(real_blob_end - real_blob); i++)
        memory[i] = real_blob[i];
    for (unsigned i = 0; i < 4; i++)
        segment(i, i ? CONTENTS_DATA : CONTENTS_CODE);
    for (const struct routine *r = real_table; r < real_table_end; r++)
        try(r);
    rt_print("REAL: 0 failed\n");
    return 0;
}
