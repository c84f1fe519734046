/*
 * The speed of 16-bit code: small routines, each in real mode, in 16-bit protected mode at CPL 0 as
 * a 286 has it, and in virtual-8086 mode with IOPL 3. Prints "REAL mode name cycles" with the TSC
 * cycles of a round, and checks the answers. (real_native.c does the same on the host.)
 *
 * A run is calibrated to 5 ms ("fast" on the command line: 0.3 ms, which a busy host interrupts
 * less often); the quickest of sixty counts.
 * "only NAME..." leaves out other routines, "in real" or "in prot16" other modes; "check" does not
 * measure.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/console.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"
#include "guests/real_measure.h"

enum { REAL_AT = 0x10000, STACK = 0x20000, DATA = 0x30000, COPY = 0x40000, STACK_TOP = 0xfff0,
       RUN_US = 5000, FAST_RUN_US = 300, CHECK_RUN = 3000, VECTOR = 0x60, MONITOR = 0x62,
       HOOKED = 0x63, CHAINED };

extern const uint8_t real_blob[], real_blob_end[];
/* offsets in the blob */
extern const uint8_t real_handler[], real_dos[], real_hooked[], real_chained[], real_v86_end[];

uint32_t real_run(uint32_t offset, uint32_t rounds, bool protected_mode);
void v86_handler(void), v86_monitor(void);

volatile uint8_t *const real_data = (volatile uint8_t *)DATA;
volatile uint8_t *const real_copy = (volatile uint8_t *)COPY;

static void set_vector(unsigned vector, const uint8_t *handler)
{
    volatile uint32_t *to = (volatile uint32_t *)(vector * 4);

    *to = REAL_AT >> 4 << 16 | (uint32_t)handler;
}

/* Once: an instruction that is written again and again is not translated. */
static void copy_blob(void)
{
    volatile uint8_t *to = (volatile uint8_t *)REAL_AT;

    for (uint32_t i = 0; i < (uint32_t)(real_blob_end - real_blob); i++)
        to[i] = real_blob[i];
    set_vector(VECTOR, real_handler);
    set_vector(VECTOR + 1, real_dos);
    set_vector(HOOKED, real_hooked);
    set_vector(CHAINED, real_chained);
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

uint32_t real_answer(const struct routine *r, unsigned mode, uint32_t rounds)
{
    return mode == V86 ? v86_run(r->offset, rounds)
                       : real_run(r->offset, rounds, mode == PROTECTED);
}

void real_wrong(const struct routine *r, uint32_t answer, uint32_t rounds)
{
    check_that(false, "%s: %u in %u rounds", r->name, answer, rounds);
}

void real_report(const char *mode, const char *name, uint32_t cycles, uint32_t tenths)
{
    print("REAL %s %s %u.%u\n", mode, name, cycles, tenths);
}

static void try(const struct routine *r, unsigned mode, uint64_t round)
{
    if (boot_option("check", NULL))
        check_that(real_time(r, mode, CHECK_RUN) > 0, "%s", r->name);
    else
        real_measure(r, mode, round);
}

static bool wanted(const struct routine *r, unsigned mode)
{
    return r->modes & 1u << mode &&
           (!boot_option("only", NULL) || boot_option(r->name, NULL)) &&
           (!boot_option("in", NULL) || boot_option(real_modes[mode], NULL));
}

unsigned guest_main(void)
{
    uint64_t round = (uint64_t)time_tsc_khz() *
                     (boot_option("fast", NULL) ? FAST_RUN_US : RUN_US);

    divide(&round, 1000);
    print("\nreal: TSC %u MHz\n", time_tsc_khz() / 1000);
    idt[VECTOR] = gate_make(KERNEL_CS, (uint32_t)v86_handler, ACCESS_INT_GATE | ACCESS_DPL3, 0);
    idt[MONITOR] = gate_make(KERNEL_CS, (uint32_t)v86_monitor, ACCESS_INT_GATE | ACCESS_DPL3, 0);
    copy_blob();
    check_begin("16-bit code");
    for (unsigned mode = 0; mode < NATIVE; mode++)
        for (const struct routine *r = real_table; r < real_table_end; r++)
            if (wanted(r, mode))
                try(r, mode, round);
    check_end();
    return check_done();
}
