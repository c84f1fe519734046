/*
 * Length and validity against the CPU, in 32-bit and 16-bit compatibility mode:
 *
 *   test_cpu sweep     every opcode of the four legacy maps with every ModRM byte and mandatory
 *                      prefix, and of the VEX maps with W, L and vvvv
 *   test_cpu random    NOVT_CPU_STRINGS random strings (1 million) in each mode
 *
 * Differences must have a CPU row in disagreements.def.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cases.h"
#include "disagreements.h"
#include "oracle.h"

enum { BATCH = 65536, SHOWN = 40, SKIPPED = 77 };

struct run {
    struct oracle *oracle;
    struct oracle_case *cases;
    unsigned pending, who;
    unsigned long asked, silent, explained, wrong;
};

static void judge(struct run *run, const struct oracle_case *c)
{
    struct insn in;
    bool undefined;
    int length = cases_decode(&in, c->bytes, c->code16, &undefined);
    bool too_long = decode(&in, c->bytes, INSN_MAX, c->code16 ? MODE_16 : MODE_32) < 0;
    bool same_length = oracle_same_length(c, length, undefined);
    enum verdict verdict = undefined ? ACCEPTS : REJECTS;

    run->asked++;
    if (!c->length) {
        run->silent++;
        return;
    }
    if (too_long ? c->length == INSN_MAX && c->trap == VEC_GP
                 : same_length && c->undefined == undefined)
        return;
    if (!too_long && same_length && disagreements_find(run->who, verdict, &in, false)) {
        run->explained++;
        return;
    }
    if (run->wrong++ < SHOWN) {
        printf("%d-bit: ours %d %s%s, the CPU's %d%s, vector %d:", c->code16 ? 16 : 32,
               too_long ? -1 : length, too_long ? "-" : in.info->mnemonic,
               undefined ? " (undefined)" : "", c->length, c->undefined ? " (undefined)" : "",
               c->trap);
        cases_print(c->bytes);
    }
}

static void flush(struct run *run)
{
    oracle_ask(run->oracle, run->pending);
    for (unsigned i = 0; i < run->pending; i++)
        judge(run, &run->cases[i]);
    run->pending = 0;
}

static void add(struct run *run, const uint8_t *bytes, bool code16)
{
    struct oracle_case *c = &run->cases[run->pending];
    struct insn in;
    bool undefined;

    memcpy(c->bytes, bytes, INSN_MAX);
    c->code16 = code16;
    c->hint = cases_decode(&in, c->bytes, code16, &undefined);
    if (++run->pending == BATCH)
        flush(run);
}

/* One opcode of a legacy map (0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A). */
static void sweep_opcode(struct run *run, unsigned map, unsigned opcode, bool code16)
{
    static const uint8_t prefixes[4] = {0, 0x66, 0xf3, 0xf2};

    for (unsigned i = 0; i < 4 * 256; i++) {
        uint8_t bytes[INSN_MAX + 4];
        unsigned n = 0;

        memset(bytes, 0x11, sizeof(bytes));
        if (i >> 8)
            bytes[n++] = prefixes[i >> 8];
        if (map)
            bytes[n++] = 0x0f;
        if (map > 1)
            bytes[n++] = map == 2 ? 0x38 : 0x3a;
        bytes[n++] = opcode;
        bytes[n] = i;
        add(run, bytes, code16);
    }
}

/* One opcode of a VEX map with every pp, L and W, vvvv used or not, and some ModRM bytes. */
static void sweep_vex(struct run *run, unsigned map, unsigned opcode, bool code16)
{
    for (unsigned fields = 0; fields < 32; fields++) {
        for (unsigned modrm = opcode % 23; modrm < 256; modrm += 23) {
            uint8_t bytes[INSN_MAX];

            memset(bytes, 0x11, sizeof(bytes));
            bytes[0] = 0xc4;
            bytes[1] = 0xe0 | map;
            bytes[2] = (fields & 7) | (fields & 8 ? 0x80 : 0) | (fields & 16 ? 0x50 : 0x78);
            bytes[3] = opcode;
            bytes[4] = modrm;
            add(run, bytes, code16);
        }
    }
}

static void run_sweep(struct run *run, bool code16)
{
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        for (unsigned map = 0; map < 4; map++)
            sweep_opcode(run, map, opcode, code16);
        for (unsigned map = 1; map < 4; map++)
            sweep_vex(run, map, opcode, code16);
    }
}

static void run_random(struct run *run, bool code16)
{
    unsigned long strings = cases_option("NOVT_CPU_STRINGS", 1000000);
    uint64_t random = cases_option("NOVT_SEED", 1) * 2 + 1 + code16;
    uint8_t bytes[INSN_MAX];

    for (unsigned long i = 0; i < strings; i++) {
        cases_next(&random, bytes);
        add(run, bytes, code16);
    }
}

/* Whose rows hold: the compiler's __builtin_cpu_is() does not take Hygon's CPUs for AMD's. */
static unsigned host_who(void)
{
    struct cpu_model *model;
    const char *error;
    bool amd;

    if (cpu_model_parse("host", &model, &error))
        return CPU;
    amd = cpuid_is_amd(model);
    cpu_model_destroy(model);
    return amd ? CPU | AMD : CPU;
}

int main(int argc, char **argv)
{
    const char *why;
    struct run run = {.oracle = oracle_create(BATCH, &why), .who = host_who()};
    bool sweep = argc > 1 && !strcmp(argv[1], "sweep");

    if (!run.oracle) {
        printf("SKIPPED: the CPU cannot be asked: %s\n", why);
        return SKIPPED;
    }
    run.cases = oracle_cases(run.oracle);
    for (int code16 = 0; code16 < 2; code16++) {
        if (code16 && !oracle_has_code16(run.oracle)) {
            printf("16-bit mode SKIPPED: no modify_ldt on this host\n");
            break;
        }
        if (sweep)
            run_sweep(&run, code16);
        else
            run_random(&run, code16);
        flush(&run);
    }
    oracle_destroy(run.oracle);
    printf("%lu strings, %lu without an answer, %lu known disagreements, %lu wrong\n", run.asked,
           run.silent, run.explained, run.wrong);
    return run.wrong || run.silent * 1000 > run.asked;
}
