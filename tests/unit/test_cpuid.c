/* CPU models: parsing with its errors, leaves, that no model promises what is missing, and that
 * what it does not promise is not there. */
#include <errno.h>

#include "cpu/cpuid.h"
#include "cpu/feature.h"
#include "tests/unit/cpu_machine.h"

static void check_error(const char *spec, const char *word)
{
    struct cpu_model *model;
    const char *error = NULL;

    CHECK_EQ(cpu_model_parse(spec, &model, &error), -EINVAL);
    CHECK_EQ(model != NULL, 0);
    if (!error || !strstr(error, word))
        printf("%s: \"%s\" does not name %s\n", spec, error ? error : "", word), check_failures++;
    free((char *)error);
}

static void read_leaf(const char *spec, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    struct vcpu *v = vcpu_create();
    struct cpu_model *model;
    const char *error;

    CHECK_EQ(cpu_model_parse(spec, &model, &error), 0);
    v->model = model;
    cpuid_read(v, leaf, subleaf, out);
    vcpu_destroy(v);
    cpu_model_destroy(model);
}

static void test_errors(void)
{
    check_error("hots", "\"host\"");
    check_error("pentiun3", "\"pentium3\"");
    check_error("", "-cpu help");
    check_error("host,+ssse4.2", "\"sse4.2\"");
    check_error("host,sse2", "neither");
    check_error("host,+", "neither");
    check_error("pentium,+vme", "not implemented");
}

static void test_leaves(void)
{
    uint32_t r[4];

    read_leaf("486", 1, 0, r);
    CHECK_EQ(r[0], 0x480);
    CHECK_EQ(r[3], 1);
    read_leaf("486", 0, 0, r);
    CHECK_EQ(r[0], 1);
    CHECK_EQ(r[1], 0x756e6547); /* Genu */
    CHECK_EQ(r[2], 0x6c65746e); /* ntel */
    CHECK_EQ(r[3], 0x49656e69); /* ineI */
    read_leaf("pentium3", 1, 0, r);
    CHECK_EQ(r[3] & (1 << 25 | 1 << 26), 1 << 25);
    read_leaf("pentium3,-sse,+sse2", 1, 0, r);
    CHECK_EQ(r[3] & (1 << 25 | 1 << 26), 1 << 26);
    read_leaf("pentium3,+sse2,-fxsr", 1, 0, r); /* what depends on it goes as well */
    CHECK_EQ(r[3] & (7 << 24), 0);
    read_leaf("host,-xsave", 7, 0, r);
    CHECK_EQ(r[1] & 1 << 5, 0); /* AVX2 */
    read_leaf("486", 0x77777777, 0, r); /* beyond: the highest basic leaf */
    CHECK_EQ(r[0], 0x480);
    read_leaf("qemu32", 0x80000001, 0, r);
    CHECK_EQ(r[3] >> 20 & 1, 1); /* NX */
    read_leaf("host,-hypervisor", 1, 0, r);
    CHECK_EQ(r[2] >> 31, 0);
    read_leaf("qemu32,+hypervisor", 1, 0, r);
    CHECK_EQ(r[2] >> 31, 1);
    read_leaf("athlon", 0x80000000, 0, r);
    CHECK_EQ(r[0], 0x80000008);
    CHECK_EQ(r[1], 0x68747541); /* Auth */
    read_leaf("athlon", 0x80000001, 0, r);
    CHECK_EQ(r[0], 0x623);
    CHECK_EQ(r[3] >> 22 & 1, 1); /* MMXEXT, and bits of leaf 1 again: CMOV, but not SSE */
    CHECK_EQ(r[3] & (1 << 15 | 1 << 25), 1 << 15);
    read_leaf("pentium,+nx", 0x80000000, 0, r);
    CHECK_EQ(r[0], 0x80000001);
}

/* No RET of a guest's kernel is one of the host's: what Linux would warn of on AMD's CPUs. */
static void test_srso(void)
{
    uint32_t r[4], last;
    bool amd;

    read_leaf("host", 0, 0, r);
    amd = r[1] == 0x68747541 || r[1] == 0x6f677948; /* Auth, Hygo */
    read_leaf("host", 0x80000000, 0, r);
    last = r[0];
    read_leaf("host", 0x80000021, 0, r);
    CHECK_EQ(r[0] >> 29 & 1, amd);
    CHECK_EQ(last >= 0x80000021, (r[0] | r[2]) != 0); /* hypervisors show it on Intel's CPUs too */
    CHECK_EQ(r[1] | (r[2] & ~6u) | r[3], 0);
    read_leaf("host,-srso-no", 0x80000021, 0, r);
    CHECK_EQ(r[0] >> 29, 0);
    read_leaf("host,+srso-no", 0x80000021, 0, r);
    CHECK_EQ(r[0] >> 29, 1);
    read_leaf("qemu32", 0x80000021, 0, r);
    CHECK_EQ(r[0], 0);
}

/* What no model may offer: the monitor has no such thing. */
static void test_promises(void)
{
    static const char *const specs[] = { "host", "486", "pentium", "pentium3", "qemu32",
                                        "athlon" };
    uint32_t r[4];

    for (unsigned i = 0; i < 6; i++) {
        read_leaf(specs[i], 1, 0, r);
        /* VME, HTT */
        CHECK_EQ(r[3] & (1 << 1 | 1 << 28), 0);
        /* MONITOR, VMX, CX16, PCID, X2APIC, TSC deadline */
        CHECK_EQ(r[2] & (1u << 3 | 1u << 5 | 1u << 13 | 1u << 17 | 1u << 21 | 1u << 24), 0);
        CHECK_EQ(r[2] >> 31, i == 0); /* a hypervisor is there */
        read_leaf(specs[i], 7, 0, r);
        if (i == 0) /* FSGSBASE, SMEP, INVPCID, SMAP */
            CHECK_EQ(r[1] & (1 << 0 | 1 << 7 | 1 << 10 | 1 << 20), 0);
        read_leaf(specs[i], 0x80000001, 0, r);
        CHECK_EQ(specs[i][0] == 'h' && r[3] >> 29 & 1, 0); /* long mode */
    }
    read_leaf("host", 0x80000008, 0, r);
    CHECK_EQ(r[0], 36 | 32 << 8);
}

/* Does a CPU of this model have the instruction? *amd: by its vendor. */
static bool has_instruction(const char *spec, const uint8_t code[INSN_MAX], bool *amd)
{
    struct cpu_model *model;
    const char *error;
    struct insn in;

    CHECK_EQ(cpu_model_parse(spec, &model, &error), 0);
    CHECK_EQ(decode(&in, code, INSN_MAX, MODE_32) > 0, 1);
    CHECK_EQ(in.info->attr & A_UNDEFINED, 0);
    feature_limit(model, &in);
    *amd = cpuid_is_amd(model);
    cpu_model_destroy(model);
    return !(in.info->attr & A_UNDEFINED);
}

static void test_instructions(void)
{
    static const uint8_t movdiri[INSN_MAX] = { 0x0f, 0x38, 0xf9, 0x08 },
                         movdir64b[INSN_MAX] = { 0x66, 0x0f, 0x38, 0xf8, 0x08 },
                         gf2p8mulb[INSN_MAX] = { 0x66, 0x0f, 0x38, 0xcf, 0xc1 };
    uint32_t r[4];
    bool amd;

    CHECK_EQ(has_instruction("qemu32", movdiri, &amd), 0);
    CHECK_EQ(has_instruction("qemu32", movdir64b, &amd), 0);
    CHECK_EQ(has_instruction("qemu32", gf2p8mulb, &amd), 0);
    read_leaf("host", 7, 0, r);
    CHECK_EQ(has_instruction("host", movdiri, &amd), r[2] >> 27 & 1);
    CHECK_EQ(has_instruction("host", movdir64b, &amd), r[2] >> 28 & 1);
    CHECK_EQ(has_instruction("host", gf2p8mulb, &amd), r[2] >> 8 & 1);
}

/* The model's vendor decides, not the host's. */
static void test_vendor(void)
{
    static const uint8_t prefetch[INSN_MAX] = { 0x0f, 0x0d, 0x08 },
                         prefetch_register[INSN_MAX] = { 0x0f, 0x0d, 0xc8 },
                         nop[INSN_MAX] = { 0x0f, 0x1f, 0xc8 };
    bool amd;

    CHECK_EQ(has_instruction("qemu32", prefetch_register, &amd), 1);
    CHECK_EQ(amd, 0);
    CHECK_EQ(has_instruction("athlon", prefetch_register, &amd), 0);
    CHECK_EQ(amd, 1);
    CHECK_EQ(has_instruction("host", prefetch_register, &amd), !amd);
    CHECK_EQ(has_instruction("host", prefetch, &amd), 1);
    CHECK_EQ(has_instruction("host", nop, &amd), 1);
}

int main(void)
{
    test_errors();
    test_leaves();
    test_srso();
    test_promises();
    test_instructions();
    test_vendor();
    return CHECK_DONE();
}
