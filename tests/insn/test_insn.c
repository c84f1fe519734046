/*
 * Every unprivileged general instruction, on the host's CPU and on an engine: registers, flags,
 * memory, exception, error code and CR2 must be the same.
 *
 *     test_insn [--engine interp|bt] [--cases N] [--seed N] [--only MNEMONIC] [--keep-going]
 *               [--direct]
 *
 * --direct: for NOVT_ACCESS=direct, cases that can run in a sandbox: flat segments, TF clear.
 *
 * A child process executes the cases, so that a CPU that does the unexpected is a failed test and
 * not a dead one. Sequences of SEQUENCE cases have seeds of their own: a failure names its
 * sequence's, and --seed with it and --cases SEQUENCE plays it again.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/physmem.h"
#include "cpu/mem.h"
#include "tests/insn/cases.h"
#include "tests/insn/guest.h"
#include "tests/insn/native.h"

enum { ALIASED_FRAME = 1, SEQUENCE = 1000, MAX_REPORTS = 20, STALL_SECONDS = 240 };

struct options {
    const struct engine *engine;
    unsigned long cases;
    uint64_t seed;
    const char *only;
    bool keep_going, direct;
};

/* Shared with the child. */
struct progress {
    volatile unsigned long cases, differences;
    volatile uint64_t seed;
    unsigned long direct_runs;
    struct test_case current;
    unsigned long by_vector[32], differing[M_COUNT];
};

static struct progress *progress;
static bool direct;

struct world_page world_pages[] = {
    {WORLD_LOW, PAGE_WRITE, 5},
    {WORLD_LOW + 0x1000, PAGE_WRITE, 6},
    {WORLD_CODE, PAGE_CODE, WORLD_CODE_FRAME},
    {WORLD_DATA + 0x1000, PAGE_WRITE, ALIASED_FRAME},
    {WORLD_DATA + 0x2000, PAGE_WRITE, 2},
    {WORLD_DATA + 0x4000, PAGE_READ, 3},
    {WORLD_DATA + 0x5000, PAGE_WRITE, 4},
    {WORLD_DATA + 0x7000, PAGE_WRITE, ALIASED_FRAME},
    {WORLD_DATA + 0x10000, PAGE_WRITE, 7}, /* the last page of WORLD_STACK16 */
    {0, PAGE_ABSENT, 0},
};

/* selector, code, expand-down, big, read-only, base, limit */
const struct world_segment world_segments[WORLD_SEGMENTS] = {
    [WORLD_NULL] = {0},
    [WORLD_CODE32] = {0x23, true, false, true, false, 0, UINT32_MAX},
    [WORLD_DATA32] = {0x2b, false, false, true, false, 0, UINT32_MAX},
    [WORLD_CODE_LIMIT] = {0x07, true, false, true, false, WORLD_CODE, 0xfff},
    [WORLD_CODE16] = {0x0f, true, false, false, false, WORLD_CODE, 0xffff},
    [WORLD_STACK16] = {0x17, false, false, false, false, WORLD_DATA + 0x1000, 0xffff},
    [WORLD_SHORT] = {0x1f, false, false, true, false, WORLD_DATA + 0x1000, 0x0ffb},
    [WORLD_DOWN16] = {0x27, false, true, false, false, WORLD_DATA + 0x1000, 0x07fe},
    [WORLD_DOWN32] = {0x2f, false, true, true, false, WORLD_DATA, 0x1fff},
    [WORLD_READONLY] = {0x37, false, false, true, true, WORLD_DATA, 0x7fff},
};
bool world_has_ldt;

/* --- Memory ------------------------------------------------------------------------------ */

static void write_both(unsigned frame, unsigned offset, const void *from, unsigned size)
{
    memcpy(native_frame(frame) + offset, from, size);
    guest_write(frame, offset, from, size);
}

static void write_world(uint32_t gla, const uint8_t *from, unsigned size)
{
    for (; size; size--, from++, gla++)
        for (const struct world_page *p = world_pages; p->kind != PAGE_ABSENT; p++)
            if (gla - p->gla < PAGE_SIZE && p->frame != WORLD_CODE_FRAME) {
                write_both(p->frame, gla & PAGE_MASK, from, 1);
                break;
            }
}

static void randomize_world(struct rng *rng)
{
    uint64_t page[PAGE_SIZE / 8];

    for (unsigned f = 1; f < WORLD_FRAMES; f++) {
        for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
            page[i] = rng_next(rng);
        write_both(f, 0, page, sizeof(page));
    }
}

static void write_case(const struct test_case *c)
{
    uint32_t base = world_segments[c->before.seg[SEG_CS]].base;
    uint32_t offset = base + c->before.eip - WORLD_CODE;
    unsigned size = offset + sizeof(c->code) > PAGE_SIZE ? PAGE_SIZE - offset : sizeof(c->code);

    write_both(WORLD_CODE_FRAME, offset, c->code, size);
    for (unsigned i = 0; i < 2; i++)
        if (c->patch[i].size)
            write_world(c->patch[i].gla, c->patch[i].bytes, c->patch[i].size);
}

static int differing_frame(int first)
{
    for (int f = first; f < WORLD_FRAMES; f++)
        if (memcmp(native_frame((unsigned)f), guest_frame((unsigned)f), PAGE_SIZE))
            return f;
    return -1;
}

/* --- Comparison ---------------------------------------------------------------------------- */

/* Ours does as Intel's CPUs where the manuals leave something open. */
static bool on_intel(void)
{
    return __builtin_cpu_is("intel");
}

/* The host cannot compute what decimal instructions leave undefined: interp_decimal.c knows
 * Intel. */
static uint32_t masked_flags(const struct insn *in)
{
    bool decimal = in->id == M_DAA || in->id == M_DAS || in->id == M_AAA || in->id == M_AAS ||
                   in->id == M_AAM || in->id == M_AAD;

    return decimal && !on_intel() ? in->info->flags_undefined : 0;
}

static void normalize(struct cpu_state *s, const struct insn *in)
{
    s->eflags &= EFLAGS_ALL & ~(EFLAGS_RF | EFLAGS_TF | EFLAGS_IF | masked_flags(in));
    if (s->vector != VEC_PF)
        s->cr2 = 0;
    else /* the guest has no NX */
        s->error &= guest_private(s->cr2) ? ~(PF_I | PF_P) : ~PF_I;
}

/*
 * CPUs leave what these have done before a fault midway, because starting again does the same; ours
 * changes nothing (cpu/interp_stack.c): then only the fault is compared, and of CALL not the
 * memory.
 */
static bool leaves_parts(const struct test_case *c, const struct cpu_state *after)
{
    unsigned id = c->in.id;

    if (after->eip != c->before.eip || after->vector == VEC_DB)
        return false;
    if (id == M_CALL || id == M_CALL_IND)
        return after->vector == VEC_GP;
    return id == M_PUSHA || id == M_POPA || id == M_ENTER;
}

static void print_state(const char *name, const struct cpu_state *s)
{
    printf("  %-6s eax %08x ecx %08x edx %08x ebx %08x esp %08x ebp %08x esi %08x edi %08x\n"
           "         eip %08x eflags %08x vector %u error %x cr2 %08x\n",
           name, s->gpr[0], s->gpr[1], s->gpr[2], s->gpr[3], s->gpr[4], s->gpr[5], s->gpr[6],
           s->gpr[7], s->eip, s->eflags, s->vector, s->error, s->cr2);
    for (unsigned i = 0; i < 6 && s->seg[SEG_CS]; i++)
        printf("%s%s %04x base %08x limit %08x%s", i % 3 ? "  " : i ? "\n         " : "         ",
               (const char *[]){"es", "cs", "ss", "ds", "fs", "gs"}[i],
               world_segments[s->seg[i]].selector, world_segments[s->seg[i]].base,
               world_segments[s->seg[i]].limit, i == 5 ? "\n" : "");
}

static void print_case(const struct test_case *c)
{
    printf("%s:", c->in.info->mnemonic);
    for (unsigned i = 0; i < c->in.len; i++)
        printf(" %02x", c->code[i]);
    printf("   (sequence seed %#llx, case %lu)\n", (unsigned long long)progress->seed,
           progress->cases % SEQUENCE);
}

static void print_memory(unsigned frame)
{
    const uint8_t *a = native_frame(frame), *b = guest_frame(frame);

    for (unsigned i = 0; i < PAGE_SIZE; i++)
        if (a[i] != b[i]) {
            printf("  memory: frame %u offset %03x is %02x, on the CPU %02x\n", frame, i, b[i],
                   a[i]);
            return;
        }
}

/* Before the CPU has run: did the engine change anything although it faulted? */
static bool changed_before_fault(const struct test_case *c, const struct cpu_state *got)
{
    return !direct && leaves_parts(c, got) &&
           (memcmp(got->gpr, c->before.gpr, sizeof(got->gpr)) || differing_frame(0) >= 0);
}

/*
 * CPUs copy strings in large pieces where source and destination do not overlap by their linear
 * addresses: a copy onto itself through an alias does not come out element by element. Ours does.
 */
static bool copies_through_alias(const struct insn *in, int frame)
{
    return in->id == M_MOVS && in->prefixes & (PREFIX_REP | PREFIX_REPNE) &&
           frame == ALIASED_FRAME && differing_frame(ALIASED_FRAME + 1) < 0;
}

/* Both sides start the next case alike. */
static void copy_memory(void)
{
    for (unsigned f = 0; f < WORLD_FRAMES; f++)
        guest_write(f, 0, native_frame(f), PAGE_SIZE);
}

/* AddressSanitizer has its tables below 4 GiB: the native side must not go there. */
static bool native_possible(const struct cpu_state *after)
{
#ifdef __SANITIZE_ADDRESS__
    return after->vector != VEC_PF || after->cr2 < 0x7fff0000;
#else
    (void)after;
    return true;
#endif
}

/* A jump to data: those pages have no code for the CPU, but the guest has no NX to say so. */
static bool executes_data(const struct cpu_state *after)
{
    return after->vector == VEC_PF && (after->error & (PF_I | PF_P)) == (PF_I | PF_P);
}

static void run_case(const struct test_case *c)
{
    struct cpu_state want = {0}, got = {0};
    int frame;
    bool changed;

    write_case(c);
    guest_run(&c->before, &got);
    if (!native_possible(&got)) {
        copy_memory();
        return;
    }
    changed = changed_before_fault(c, &got);
    native_run(&c->before, &want);
    if (executes_data(&want) || (!on_intel() && cases_left_open(c, &want)) ||
        (guest_lacks(&c->in) && want.vector != VEC_UD)) {
        copy_memory();
        return;
    }
    normalize(&want, &c->in);
    normalize(&got, &c->in);
    frame = differing_frame(0);
    if (copies_through_alias(&c->in, frame)) {
        copy_memory();
        frame = -1;
    }
    if (leaves_parts(c, &want)) {
        if (c->in.id == M_POPA)
            memcpy(want.gpr, got.gpr, sizeof(want.gpr));
        copy_memory();
        frame = -1;
    }
    progress->by_vector[want.vector & 31]++;
    if (frame < 0 && !changed && !memcmp(&want, &got, sizeof(want)))
        return;
    progress->differing[c->in.id]++;
    if (progress->differences++ < MAX_REPORTS) {
        if (changed)
            printf("changed something before a fault:\n");
        print_case(c);
        print_state("before", &c->before);
        print_state("CPU", &want);
        print_state("engine", &got);
        if (frame >= 0)
            print_memory((unsigned)frame);
        fflush(stdout);
    }
    copy_memory();
}

/* --- The child -------------------------------------------------------------------------------- */

static void run_sequence(const struct options *o, unsigned long count)
{
    struct rng rng = {progress->seed};
    unsigned rows = cases_rows();

    randomize_world(&rng);
    while (count) {
        struct test_case *c = &progress->current;

        if (!cases_make((unsigned)(rng_next(&rng) % rows), &rng, c))
            continue;
        if (o->direct && c->before.eflags & EFLAGS_TF)
            continue;
        if (o->only && strcmp(o->only, c->in.info->mnemonic))
            continue;
        run_case(c);
        progress->cases++;
        count--;
    }
}

static int run_all(const struct options *o)
{
    int err = native_create();

    if (err || guest_create(o->engine)) {
        printf("cannot set up: %s\n", strerror(-err));
        return o->direct && !err ? 77 : 2; /* a host without direct execution: skipped */
    }
    direct = o->direct;
    if (direct)
        world_has_ldt = false;
    else if (!world_has_ldt)
        printf("no modify_ldt here: flat 32-bit segments only\n");
    progress->seed = o->seed;
    for (unsigned long left = o->cases; left;) {
        unsigned long n = left < SEQUENCE ? left : SEQUENCE;

        alarm(STALL_SECONDS);
        run_sequence(o, n);
        left -= n;
        progress->seed++;
        if (progress->differences && !o->keep_going)
            break;
    }
    progress->direct_runs = guest_stat("direct_runs");
    if (direct && progress->direct_runs < o->cases / 2) {
        printf("too few ran directly\n");
        return 1;
    }
    return progress->differences ? 1 : 0;
}

/* --- The parent ----------------------------------------------------------- */

static const char *const names[M_COUNT] = {
#define INSN(id, name, read, written, undefined, feature, attr) [M_##id] = name,
#include "cpu/opcodes.def"
};

static void report(int status)
{
    static const struct {
        unsigned vector;
        const char *name;
    } ends[] = {{VEC_DE, "#DE"}, {VEC_DB, "ended"}, {VEC_BP, "ended"}, {VEC_BR, "#BR"},
                {VEC_UD, "#UD"}, {VEC_SS, "#SS"},   {VEC_GP, "#GP"},   {VEC_PF, "#PF"},
                {VEC_AC, "#AC"}};

    if (WIFSIGNALED(status)) {
        printf("signal %d (%s) in\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
        print_case(&progress->current);
        print_state("before", &progress->current.before);
    }
    if (progress->direct_runs)
        printf("%lu runs in a sandbox\n", progress->direct_runs);
    for (unsigned i = 0; i < sizeof(ends) / sizeof(*ends); i++)
        printf("%s %lu  ", ends[i].name, progress->by_vector[ends[i].vector]);
    for (unsigned i = 0; i < M_COUNT; i++)
        if (progress->differing[i])
            printf("\n%s: %lu differences", names[i], progress->differing[i]);
    printf("\n%lu cases, %lu differences\n", progress->cases, progress->differences);
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (!strcmp(argv[i], "--keep-going")) {
            o->keep_going = true;
            continue;
        }
        if (!strcmp(argv[i], "--direct")) {
            o->direct = true;
            continue;
        }
        if (!value)
            return false;
        if (!strcmp(argv[i], "--cases"))
            o->cases = strtoul(value, NULL, 0);
        else if (!strcmp(argv[i], "--seed"))
            o->seed = strtoull(value, NULL, 0);
        else if (!strcmp(argv[i], "--only"))
            o->only = value;
        else if (!strcmp(argv[i], "--engine") && !strcmp(value, "interp"))
            o->engine = &engine_interp;
#ifdef HAVE_TRANSLATOR
        else if (!strcmp(argv[i], "--engine") && !strcmp(value, "bt"))
            o->engine = &engine_translator;
#endif
        else
            return false;
        i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {&engine_interp, 1000000, (uint64_t)getpid() << 32, NULL, false, false};
    int status;
    pid_t child;

    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: %s [--engine interp|bt] [--cases N] [--seed N] [--only MNEMONIC] "
                        "[--keep-going] [--direct]\n", argv[0]);
        return 2;
    }
    progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                    -1, 0);
    if (progress == MAP_FAILED)
        return 2;
    printf("engine %s, seed %#llx\n", o.engine->name, (unsigned long long)o.seed);
    fflush(stdout);
    child = fork();
    if (!child)
        exit(run_all(&o));
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 2;
    report(status);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
