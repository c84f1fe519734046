/*
 * Length and mnemonic against Zydis and Capstone: random strings in 16- and 32-bit mode, and the
 * .text of a Linux kernel when there is one. Every disagreement must have its row in
 * disagreements.def, and the CPU is asked whether it says what the row claims.
 *
 *   test_peers random     NOVT_DECODE_STRINGS strings in each mode (10 million)
 *   test_peers vmlinux    .text of the file NOVT_VMLINUX (see vmlinux.sh); prints the speed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cases.h"
#include "disagreements.h"
#include "oracle.h"
#include "peers.h"
#include "vmlinux.h"

enum { SAMPLES = 64, MAX_ROWS = 128, SHOWN = 40, SKIPPED = 77, SILENT_PART = 10 };

struct sample {
    uint8_t bytes[INSN_MAX];
    bool code16;
};

struct tally {
    unsigned long strings, unexplained;
    unsigned long hits[MAX_ROWS];
    struct sample samples[MAX_ROWS][SAMPLES];
};

static const enum who who_of[PEER_COUNT] = {ZYDIS, CAPSTONE};
static const char *const peer_name[PEER_COUNT] = {"Zydis", "Capstone"};

/* True when peer and we disagree; *verdict says how. */
static bool disagree(enum peer peer, const struct insn *in, int length, bool undefined,
                     const struct peer_answer *answer, enum verdict *verdict)
{
    bool defined = !undefined || (in->id == M_UD && !(in->prefixes & PREFIX_LOCK));

    if (answer->length <= 0) {
        *verdict = REJECTS;
        return defined;
    }
    *verdict = !defined ? ACCEPTS : answer->length != length ? LENGTH : NAME;
    return *verdict != NAME || !peers_same_name(peer, in, answer->name);
}

static void count(struct tally *tally, const struct disagreement *row, const uint8_t *bytes,
                  bool code16)
{
    unsigned index = row - disagreements, n = tally->hits[index]++ % SAMPLES;

    memcpy(tally->samples[index][n].bytes, bytes, INSN_MAX);
    tally->samples[index][n].code16 = code16;
}

static void compare(struct peers *peers, struct tally *tally, const uint8_t bytes[INSN_MAX],
                    bool code16)
{
    static const char *const verdict_name[] = {"accepts", "rejects", "other length", "other name"};
    struct peer_answer answer;
    struct insn in;
    bool undefined, too_long = false;
    int length = cases_decode(&in, bytes, code16, &undefined);

    if (decode(&in, bytes, INSN_MAX, code16 ? MODE_16 : MODE_32) < 0)
        undefined = too_long = true;
    tally->strings++;
    for (enum peer peer = 0; peer < PEER_COUNT; peer++) {
        enum verdict verdict;
        const struct disagreement *row;

        peers_ask(peers, peer, bytes, code16, &answer);
        if (!disagree(peer, &in, length, undefined, &answer, &verdict))
            continue;
        row = disagreements_find(who_of[peer], verdict, &in, too_long);
        if (row) {
            count(tally, row, bytes, code16);
        } else if (tally->unexplained++ < SHOWN) {
            printf("%s %s: ours %d %s%s, theirs %d %s, %d-bit:", peer_name[peer],
                   verdict_name[verdict], length, in.info ? in.info->mnemonic : "-",
                   undefined ? " (undefined)" : "", answer.length, answer.name, code16 ? 16 : 32);
            cases_print(bytes);
        }
    }
}

/* Does the CPU say what the row claims? */
static bool confirmed(const struct disagreement *row, const struct oracle_case *c)
{
    struct insn in;
    bool undefined;
    int length = cases_decode(&in, c->bytes, c->code16, &undefined);

    if (row->cpu == EITHER || (row->cpu == INTEL && !__builtin_cpu_is("intel")))
        return true;
    return oracle_same_length(c, length, undefined) &&
           (row->cpu == HAS || c->undefined == undefined);
}

/*
 * Asks the CPU about the samples of every row; returns how often it says something else. A case
 * that it gives no answer to refutes nothing, as long as these are few.
 */
static unsigned confirm(const struct tally *tally)
{
    const char *why;
    struct oracle *oracle = oracle_create(SAMPLES, &why);
    struct oracle_case *cases;
    unsigned wrong = 0, asked = 0, silent = 0;

    if (!oracle) {
        printf("the CPU cannot be asked: %s\n", why);
        return 0;
    }
    cases = oracle_cases(oracle);
    for (unsigned i = 0; i < disagreement_count; i++) {
        unsigned n = tally->hits[i] < SAMPLES ? tally->hits[i] : SAMPLES;
        for (unsigned k = 0; k < n; k++) {
            const struct sample *sample = &tally->samples[i][k];
            cases[k] = (struct oracle_case){.code16 = sample->code16, .hint = 1};
            memcpy(cases[k].bytes, sample->bytes, INSN_MAX);
        }
        oracle_ask(oracle, n);
        asked += n;
        for (unsigned k = 0; k < n; k++) {
            if ((cases[k].code16 && !oracle_has_code16(oracle)) ||
                confirmed(&disagreements[i], &cases[k]))
                continue;
            if (!cases[k].length) {
                silent++;
                continue;
            }
            wrong++;
            printf("\"%s\": but the CPU says length %u, %sdefined:", disagreements[i].why,
                   cases[k].length, cases[k].undefined ? "un" : "");
            cases_print(cases[k].bytes);
        }
    }
    oracle_destroy(oracle);
    if (silent)
        printf("no answer to %u of %u questions to the CPU\n", silent, asked);
    return silent > asked / SILENT_PART ? wrong + silent : wrong;
}

static int report(const struct tally *tally)
{
    unsigned wrong = confirm(tally);

    for (unsigned i = 0; i < disagreement_count; i++)
        if (tally->hits[i])
            printf("%9lu  %s\n", tally->hits[i], disagreements[i].why);
    printf("%lu strings, %lu unexplained disagreements, %u answers of the CPU refute a row\n",
           tally->strings, tally->unexplained, wrong);
    return tally->unexplained || wrong;
}

static void run_random(struct peers *peers, struct tally *tally)
{
    unsigned long strings = cases_option("NOVT_DECODE_STRINGS", 10000000);
    uint64_t random = cases_option("NOVT_SEED", 1) * 2 + 1;
    uint8_t bytes[INSN_MAX];

    for (unsigned long i = 0; i < strings; i++) {
        cases_next(&random, bytes);
        compare(peers, tally, bytes, false);
        compare(peers, tally, bytes, true);
    }
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The best of five passes over the code: for people to read, not for the test to judge. */
static void print_speed(const struct vmlinux *vmlinux)
{
    double best = 1e9;

    for (int pass = 0; pass < 5; pass++) {
        unsigned long count_ = 0;
        double start = seconds(), each;
        struct insn in;
        for (size_t at = 0; at + INSN_MAX <= vmlinux->size; count_++) {
            int length = decode(&in, vmlinux->text + at, INSN_MAX, MODE_32);
            at += length > 0 ? length : 1;
        }
        each = (seconds() - start) * 1e9 / (double)count_;
        best = each < best ? each : best;
    }
    printf("decode: %.1f ns an instruction\n", best);
}

static int run_vmlinux(struct peers *peers, struct tally *tally)
{
    struct vmlinux vmlinux;
    const char *path = getenv("NOVT_VMLINUX");

    if (!path || !vmlinux_load(&vmlinux, path)) {
        printf("SKIPPED: no kernel to read; NOVT_VMLINUX names none\n");
        return SKIPPED;
    }
    for (size_t at = 0; at + INSN_MAX <= vmlinux.size;) {
        struct insn in;
        bool undefined;
        compare(peers, tally, vmlinux.text + at, false);
        at += cases_decode(&in, vmlinux.text + at, false, &undefined);
    }
    print_speed(&vmlinux);
    vmlinux_free(&vmlinux);
    return 0;
}

int main(int argc, char **argv)
{
    struct tally *tally = calloc(1, sizeof(*tally));
    struct peers *peers = peers_create();
    int status = 0;

    if (!tally || !peers || disagreement_count > MAX_ROWS) {
        printf("no memory, or MAX_ROWS is too small\n");
        return 1;
    }
    if (argc > 1 && !strcmp(argv[1], "vmlinux"))
        status = run_vmlinux(peers, tally);
    else
        run_random(peers, tally);
    if (!status)
        status = report(tally);
    peers_destroy(peers);
    free(tally);
    return status;
}
