/*
 * Golden listings: what the translator makes of each sensitive instruction, of IRET, and of one
 * instruction for each kind of rule, in both access forms. The listing is compared with
 * golden/NAME.txt; what depends on where things are in memory is replaced by what it is.
 *
 *     test_rules DIRECTORY [--write]
 */
#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "tests/machine.h"
#include "translator/emit.h"

enum { CODE = 0x200000, OFFSET = 0x100 /* in segmented code */ };

static const struct sample {
    const char *name;
    uint8_t bytes[16];
    unsigned len;
    enum { FLAT, KERNEL_TOO, LIMITED_TOO, REAL_MODE, AMDS } kind;
} samples[] = {
#define ENTRY(name, kernel, ...)                                                                   \
    { name, { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), kernel },
#define SAMPLE(name, ...) ENTRY(name, FLAT, __VA_ARGS__)
#define KERNEL(name, ...) ENTRY(name, KERNEL_TOO, __VA_ARGS__)
#define LIMITED(name, ...) ENTRY(name, LIMITED_TOO, __VA_ARGS__)
#define REAL(name, ...) ENTRY(name, REAL_MODE, __VA_ARGS__)
#define AMD(name, ...) ENTRY(name, AMDS, __VA_ARGS__)
#include "tests/rules/samples.def"
};

static FILE *out;

static void print_host(csh cs, const struct translator *t, const struct unit *unit)
{
    cs_insn *insn;
    size_t count = cs_disasm(cs, unit->host, unit->host_len, 0, 0, &insn);

    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = unit->host + insn[i].address;
        int32_t rel;

        memcpy(&rel, at + 1, 4);
        if (at[0] == 0x49 && at[1] == 0xb9)
            fprintf(out, "    %4llx  movabs r9, site\n", (unsigned long long)insn[i].address);
        else if (at[0] == 0xe9 &&
                 (at + 5 + rel < unit->host || at + 5 + rel > unit->host + unit->host_len))
            fprintf(out, "    %4llx  jmp thunk %td\n", (unsigned long long)insn[i].address,
                    (at + 5 + rel - t->exec) / 8);
        else if (at[0] == 0x41 && at[1] == 0xb9 && at[6] == 0xe9)
            fprintf(out, "    %4llx  mov r9d, exit\n", (unsigned long long)insn[i].address);
        else
            fprintf(out, "    %4llx  %s %s\n", (unsigned long long)insn[i].address,
                    insn[i].mnemonic, insn[i].op_str);
    }
    cs_free(insn, count);
}

static void translate_sample(struct machine *m, csh cs32, csh cs64, const struct sample *s,
                             uint32_t key)
{
    struct translator *t = m->vcpu->engine_state;
    uint8_t *code = physmem_ptr(&m->mem, CODE);
    struct unit *unit;
    bool vector = s->bytes[0] == 0xc4 || s->bytes[0] == 0xc5 || s->bytes[0] == 0x62;
    cs_insn *insn;

    memset(code, 0xf4, 64);
    memcpy(code, s->bytes, s->len);
    unit = translate_unit(t, key & KEY_SEG ? OFFSET : CODE, CODE, code,
                          vector ? key | KEY_VECTORS : key);
    fprintf(out, "%s, key %02x:\n", key & KEY_WINDOW ? "window" : "TLB", key);
    if (cs_disasm(cs32, s->bytes, s->len, CODE, 1, &insn)) {
        fprintf(out, "  %s %s\n", insn->mnemonic, insn->op_str);
        cs_free(insn, 1);
    }
    print_host(cs64, t, unit);
    unit_drop(t, unit);
    unit_bury(t);
}

static void translate_flat(struct machine *m, csh cs32, csh cs64, const struct sample *s)
{
    translate_sample(m, cs32, cs64, s, KEY_OK | KEY_FPU);
    translate_sample(m, cs32, cs64, s,
                     KEY_OK | KEY_FPU | KEY_USER | KEY_FS | KEY_GS | KEY_WINDOW);
    if (s->kind == LIMITED_TOO) /* FS has a limit */
        translate_sample(m, cs32, cs64, s,
                         KEY_OK | KEY_FPU | KEY_USER | KEY_LIMITED | KEY_GS | KEY_WINDOW);
    if (s->kind == KERNEL_TOO)
        translate_sample(m, cs32, cs64, s, KEY_OK | KEY_FPU | KEY_TSC | KEY_WINDOW);
}

/* The same bytes in real mode and in a 32-bit code segment with a base and a limit. */
static void translate_segmented(struct machine *m, csh cs16, csh cs32, csh cs64,
                                const struct sample *s)
{
    const uint32_t key = KEY_OK | KEY_SEG | KEY_DS | KEY_ES | KEY_SS;
    struct segment *cs = &m->vcpu->seg[SEG_CS], flat = *cs;

    cs->base = CODE - OFFSET;
    cs->limit = 0xffff;
    translate_sample(m, cs16, cs64, s, key | KEY_REAL | KEY_CODE16 | KEY_STACK16);
    translate_sample(m, cs32, cs64, s, key | KEY_USER);
    *cs = flat;
}

/* Flat code and real mode of a CPU of AMD's. */
static void translate_amd(struct machine *m, csh cs16, csh cs32, csh cs64, const struct sample *s)
{
    const struct cpu_model *model = m->vcpu->model;
    struct cpu_model *amd;
    const char *error;

    if (cpu_model_parse("athlon", &amd, &error))
        return; /* the listing shows it */
    m->vcpu->model = amd;
    translate_sample(m, cs32, cs64, s, KEY_OK | KEY_FPU);
    translate_segmented(m, cs16, cs32, cs64, s);
    m->vcpu->model = model;
    cpu_model_destroy(amd);
}

static int compare(const char *path, const char *text)
{
    static char golden[1 << 20];
    FILE *f = fopen(path, "r");
    size_t got;

    if (!f) {
        printf("FAIL %s is missing: run with --write and look at it\n", path);
        return 1;
    }
    got = fread(golden, 1, sizeof(golden) - 1, f);
    golden[got] = 0;
    fclose(f);
    if (strcmp(golden, text))
        printf("FAIL %s differs; now it is:\n%s", path, text);
    return !!strcmp(golden, text);
}

static int check(const char *directory, const char *name, const char *text, bool write)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.txt", directory, name);
    if (!write)
        return compare(path, text);
    f = fopen(path, "w");
    if (!f)
        return 1;
    fputs(text, f);
    fclose(f);
    return 0;
}

int main(int argc, char **argv)
{
    bool write = argc > 2 && !strcmp(argv[2], "--write");
    static struct machine m;
    int failed = 0;
    csh cs16, cs32, cs64;

    if (argc < 2 || machine_create(&m, &engine_translator))
        return 2;
    if (!((struct translator *)m.vcpu->engine_state)->bmi2) { /* other code: segments by calls */
        fprintf(stderr, "the listings are of a host with BMI2\n");
        return 77;
    }
    ((struct translator *)m.vcpu->engine_state)->bmi = true;
    cs_open(CS_ARCH_X86, CS_MODE_16, &cs16);
    cs_open(CS_ARCH_X86, CS_MODE_32, &cs32);
    cs_open(CS_ARCH_X86, CS_MODE_64, &cs64);
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        size_t size;
        char *text;

        out = open_memstream(&text, &size);
        if (samples[i].kind == REAL_MODE)
            translate_segmented(&m, cs16, cs32, cs64, &samples[i]);
        else if (samples[i].kind == AMDS)
            translate_amd(&m, cs16, cs32, cs64, &samples[i]);
        else
            translate_flat(&m, cs32, cs64, &samples[i]);
        fclose(out);
        failed += check(argv[1], samples[i].name, text, write);
        free(text);
    }
    cs_close(&cs16);
    cs_close(&cs32);
    cs_close(&cs64);
    printf("%zu listings, %d failed\n", sizeof(samples) / sizeof(*samples), failed);
    return failed != 0;
}
