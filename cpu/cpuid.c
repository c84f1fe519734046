/*
 * CPUID: see cpuid.h. Reference: SDM volume 2, CPUID; AMD APM volume 3, appendix E.
 * Modelled: the leaves that 32-bit systems ask for; caches, brand and frequencies of model "host"
 * are the host's. Not offered: x2APIC, SMEP, SMAP, UMIP, long mode, virtualization.
 */
#include "cpu/cpuid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "cpu/paging.h"
#include "cpu/vcpu.h"

enum { EAX, EBX, ECX, EDX };

#define HOST_LEAVES 16

struct cpu_model {
    const char *name;
    char vendor[13];
    bool amd; /* or Hygon */
    char brand[49];
    uint32_t signature, max_leaf, max_extended;
    uint32_t word[WORD_COUNT];
    uint64_t arch_capabilities;
    /* Leaves that are the host's own: caches and frequencies. */
    struct host_leaf {
        uint32_t leaf, subleaf, reg[4];
    } host[HOST_LEAVES];
    unsigned hosts;
};

/* --- The tables ----------------------------------------------------------- */

static const struct feature {
    const char *name;
    uint8_t word, bit;
    bool implemented;
} features[] = {
#define CPUID_FEATURE(id, word, bit, name, implemented) { name, word, bit, implemented },
#include "cpu/cpuid.def"
};

enum {
#define CPUID_FEATURE(id, word, bit, name, implemented) BIT_##id = bit,
#include "cpu/cpuid.def"
};

static const struct model_row {
    const char *name, *help, *vendor;
    uint32_t signature, max_leaf, max_extended;
    const char *brand;
    uint32_t word_1_edx, word_1_ecx, word_x1_edx;
} rows[] = {
#define B(id) (1u << BIT_##id)
#define MODEL(id, name, help, vendor, signature, max_leaf, max_extended, brand, edx, ecx, x1_edx)  \
    { name, help, vendor, signature, max_leaf, max_extended, brand, edx, ecx, x1_edx },
#include "cpu/models.def"
#undef B
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char host_help[] = "the host's own CPU, as far as it is implemented (the default)";

/* --- The host ------------------------------------------------------------- */

static void host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(r[EAX]), "=b"(r[EBX]), "=c"(r[ECX]), "=d"(r[EDX])
                     : "a"(leaf), "c"(subleaf));
}

static void host_words(uint32_t word[WORD_COUNT], uint32_t max_leaf, uint32_t max_extended)
{
    uint32_t r[4];

    memset(word, 0, WORD_COUNT * sizeof(word[0]));
    host_cpuid(1, 0, r);
    word[WORD_1_EDX] = r[EDX];
    word[WORD_1_ECX] = r[ECX];
    if (max_leaf >= 7) {
        host_cpuid(7, 0, r);
        word[WORD_7_EBX] = r[EBX];
        word[WORD_7_ECX] = r[ECX];
        word[WORD_7_EDX] = r[EDX];
    }
    if (max_leaf >= 0xd) {
        host_cpuid(0xd, 1, r);
        word[WORD_D1_EAX] = r[EAX];
    }
    host_cpuid(0x80000001, 0, r);
    word[WORD_X1_ECX] = r[ECX];
    word[WORD_X1_EDX] = r[EDX];
    if (max_extended >= 0x80000007) {
        host_cpuid(0x80000007, 0, r);
        word[WORD_X7_EDX] = r[EDX];
    }
    if (max_extended >= 0x80000008) {
        host_cpuid(0x80000008, 0, r);
        word[WORD_X8_EBX] = r[EBX];
    }
    if (max_extended >= 0x80000021) {
        host_cpuid(0x80000021, 0, r);
        word[WORD_X21_EAX] = r[EAX];
        word[WORD_X21_ECX] = r[ECX];
    }
}

static void implemented_words(uint32_t word[WORD_COUNT])
{
    memset(word, 0, WORD_COUNT * sizeof(word[0]));
    for (unsigned i = 0; i < CPUID_FEATURE_COUNT; i++)
        if (features[i].implemented)
            word[features[i].word] |= 1u << features[i].bit;
}

static bool is_amd(const char *vendor)
{
    return !strcmp(vendor, "AuthenticAMD") || !strcmp(vendor, "HygonGenuine");
}

/* IA32_ARCH_CAPABILITIES bits by what the host's kernel says of the CPU: the guest then needs no
 * mitigation that the host does not need either. */
static uint64_t host_arch_capabilities(void)
{
    static const struct {
        const char *file;
        uint64_t bits;
    } known[] = {
        { "meltdown", 1u << 0 },         { "spec_store_bypass", 1u << 4 },
        { "mds", 1u << 5 },              { "itlb_multihit", 1u << 6 },
        { "tsx_async_abort", 1u << 8 },  { "mmio_stale_data", 7u << 13 },
        { "gather_data_sampling", 1u << 26 }, { "reg_file_data_sampling", 1u << 27 },
    };
    uint64_t bits = 0;

    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char path[96], line[32] = "";
        FILE *f;

        snprintf(path, sizeof(path), "/sys/devices/system/cpu/vulnerabilities/%s", known[i].file);
        f = fopen(path, "re");
        if (!f)
            continue;
        if (fgets(line, sizeof(line), f) && !strncmp(line, "Not affected", 12))
            bits |= known[i].bits;
        fclose(f);
    }
    return bits;
}

static void keep_leaf(struct cpu_model *m, uint32_t leaf, uint32_t subleaf)
{
    struct host_leaf *h = &m->host[m->hosts];

    if (m->hosts == HOST_LEAVES)
        return;
    h->leaf = leaf;
    h->subleaf = subleaf;
    host_cpuid(leaf, subleaf, h->reg);
    if (leaf == 4)
        h->reg[EAX] &= 0x3fff; /* nobody shares this CPU's caches */
    m->hosts++;
}

static void keep_leaves(struct cpu_model *m)
{
    static const uint32_t plain[] = { 2, 0x15, 0x16, 0x80000005, 0x80000006 };

    for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (plain[i] <= (plain[i] >> 31 ? m->max_extended : m->max_leaf))
            keep_leaf(m, plain[i], 0);
    for (uint32_t sub = 0; m->max_leaf >= 4 && !is_amd(m->vendor) && sub < 5; sub++)
        keep_leaf(m, 4, sub);
}

/* Features whose register state the host (or its kernel) does not let us save. */
static void drop_states(struct cpu_model *m)
{
    uint64_t states = fpu_offered_xcr0();

    if (!states)
        m->word[WORD_1_ECX] &= ~(1u << BIT_XSAVE);
    if (!(states & XCR0_AVX)) {
        m->word[WORD_1_ECX] &= ~(1u << BIT_AVX | 1u << BIT_FMA | 1u << BIT_F16C);
        m->word[WORD_7_EBX] &= ~(1u << BIT_AVX2);
        m->word[WORD_7_ECX] &= ~(1u << BIT_VAES | 1u << BIT_VPCLMULQDQ);
    }
    if (!(states & XCR0_AVX512)) {
        m->word[WORD_7_EBX] &= ~(1u << BIT_AVX512F | 1u << BIT_AVX512DQ | 1u << BIT_AVX512IFMA |
                                 1u << BIT_AVX512CD | 1u << BIT_AVX512BW | 1u << BIT_AVX512VL);
        m->word[WORD_7_ECX] &= ~(1u << BIT_AVX512VBMI | 1u << BIT_AVX512VBMI2 |
                                 1u << BIT_AVX512VNNI | 1u << BIT_AVX512BITALG |
                                 1u << BIT_AVX512VPOPCNTDQ);
    }
}

/* IA32_TSC_ADJUST is ours to give, and says that nobody has tampered with a TSC that never stops:
 * Linux then does not watch it by ticks, which come late when the host is busy. */
static void add_tsc_adjust(struct cpu_model *m)
{
    if (m->word[WORD_X7_EDX] & 1u << BIT_INVTSC && m->max_leaf >= 7)
        m->word[WORD_7_EBX] |= 1u << BIT_TSC_ADJUST;
}

/* A kernel leaves alone what a CPU of this model has and a virtual one has not: counters of the
 * uncore, microcode, thermal MSRs. */
static void add_hypervisor(struct cpu_model *m)
{
    m->word[WORD_1_ECX] |= 1u << BIT_HYPERVISOR;
}

/*
 * Speculative return stack overflow: user code makes a RET of the kernel's be predicted wrong (AMD:
 * "Technical update regarding speculative return stack overflow", 2023; the bit: APM volume 3,
 * appendix E, Fn8000_0021_EAX). No RET of a guest's kernel is a RET of the host's (decision 0001),
 * and one process of a guest is kept from another by the host's kernel, as its own are. With what
 * else a kernel does about it (IBPB) it can do nothing here. So the guest need not look after it.
 */
static void add_srso_no(struct cpu_model *m)
{
    if (is_amd(m->vendor))
        m->word[WORD_X21_EAX] |= 1u << BIT_SRSO_NO;
}

static void make_host(struct cpu_model *m)
{
    uint32_t r[4], can[WORD_COUNT], max_leaf, max_extended;

    host_cpuid(0, 0, r);
    max_leaf = r[EAX];
    memcpy(m->vendor, &r[EBX], 4);
    memcpy(m->vendor + 4, &r[EDX], 4);
    memcpy(m->vendor + 8, &r[ECX], 4);
    host_cpuid(0x80000000, 0, r);
    max_extended = r[EAX];
    m->name = "host";
    m->max_leaf = max_leaf < 0x16 ? max_leaf : 0x16;
    m->max_extended = max_extended < 0x80000008 ? max_extended : 0x80000008;
    host_words(m->word, max_leaf, max_extended);
    implemented_words(can);
    for (unsigned i = 0; i < WORD_COUNT; i++)
        m->word[i] &= can[i];
    drop_states(m);
    add_tsc_adjust(m);
    add_hypervisor(m);
    add_srso_no(m);
    if (!is_amd(m->vendor)) /* SYSCALL exists on Intel's CPUs in 64-bit mode only */
        m->word[WORD_X1_EDX] &= ~(1u << BIT_SYSCALL);
    host_cpuid(1, 0, r);
    m->signature = r[EAX];
    for (uint32_t i = 0; i < 3 && max_extended >= 0x80000004; i++) {
        host_cpuid(0x80000002 + i, 0, r);
        memcpy(m->brand + 16 * i, r, 16);
    }
    m->arch_capabilities = host_arch_capabilities();
    keep_leaves(m);
}

static void make_row(struct cpu_model *m, const struct model_row *row)
{
    uint32_t can[WORD_COUNT];

    m->name = row->name;
    strcpy(m->vendor, row->vendor);
    strcpy(m->brand, row->brand);
    m->signature = row->signature;
    m->max_leaf = row->max_leaf;
    m->max_extended = row->max_extended;
    m->word[WORD_1_EDX] = row->word_1_edx;
    m->word[WORD_1_ECX] = row->word_1_ecx;
    m->word[WORD_X1_EDX] = row->word_x1_edx;
    implemented_words(can);
    for (unsigned i = 0; i < WORD_COUNT; i++)
        m->word[i] &= can[i];
}

/* --- Parsing -cpu --------------------------------------------------------- */

static bool same(const char *a, size_t alen, const char *b)
{
    return strlen(b) == alen && !memcmp(a, b, alen);
}

static struct nearest_hint nearest_model(const char *text, size_t len)
{
    const char *names[ROWS + 1] = { "host" };

    for (unsigned i = 0; i < ROWS; i++)
        names[i + 1] = rows[i].name;
    return nearest_hint(text, len, names, ROWS + 1, "\"", "\"");
}

static struct nearest_hint nearest_feature(const char *text, size_t len)
{
    const char *names[CPUID_FEATURE_COUNT];
    size_t count = 0;

    for (unsigned i = 0; i < CPUID_FEATURE_COUNT; i++)
        if (features[i].implemented)
            names[count++] = features[i].name;
    return nearest_hint(text, len, names, count, "\"", "\"");
}

static int fail(const char **error, const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vasprintf(&text, format, ap);
    va_end(ap);
    *error = n < 0 ? NULL : text;
    return n < 0 ? -ENOMEM : -EINVAL;
}

static int choose_model(struct cpu_model *m, const char *text, size_t len, const char **error)
{
    if (same(text, len, "host") || same(text, len, "max")) {
        make_host(m);
        return 0;
    }
    for (unsigned i = 0; i < ROWS; i++)
        if (same(text, len, rows[i].name)) {
            make_row(m, &rows[i]);
            return 0;
        }
    return fail(error, "there is no CPU model \"%.*s\"%s (-cpu help lists them)", (int)len, text,
                nearest_model(text, len).text);
}

static bool host_has(const struct feature *f)
{
    uint32_t word[WORD_COUNT], r[4], max_leaf;

    host_cpuid(0, 0, r);
    max_leaf = r[EAX];
    host_cpuid(0x80000000, 0, r);
    host_words(word, max_leaf, r[EAX]);
    return word[f->word] >> f->bit & 1;
}

/* These the interpreter does itself, whatever the host has. */
static bool needs_host(const struct feature *f)
{
    return f->word != WORD_1_EDX && f->word != WORD_X1_EDX && f->word != WORD_7_EDX &&
           f != &features[CPUID_HYPERVISOR] && f != &features[CPUID_SRSO_NO];
}

/* Without the first there is no second. */
static const uint8_t depends[][2] = {
    { CPUID_FXSR, CPUID_SSE },    { CPUID_SSE, CPUID_SSE2 },     { CPUID_SSE2, CPUID_SSE3 },
    { CPUID_SSE3, CPUID_SSSE3 },  { CPUID_SSSE3, CPUID_SSE41 },  { CPUID_SSE41, CPUID_SSE42 },
    { CPUID_SSE2, CPUID_AES },    { CPUID_SSE2, CPUID_PCLMULQDQ }, { CPUID_SSE2, CPUID_SHA },
    { CPUID_XSAVE, CPUID_AVX },   { CPUID_XSAVE, CPUID_XSAVEOPT }, { CPUID_XSAVE, CPUID_XSAVEC },
    { CPUID_AVX, CPUID_AVX2 },    { CPUID_AVX, CPUID_FMA },      { CPUID_AVX, CPUID_F16C },
};

/* The rows are in such an order that one pass is enough. */
static void remove_feature(struct cpu_model *m, unsigned feature)
{
    bool gone[CPUID_FEATURE_COUNT] = { false };

    gone[feature] = true;
    for (unsigned i = 0; i < sizeof(depends) / sizeof(depends[0]); i++)
        gone[depends[i][1]] |= gone[depends[i][0]];
    for (unsigned i = 0; i < CPUID_FEATURE_COUNT; i++)
        if (gone[i])
            m->word[features[i].word] &= ~(1u << features[i].bit);
}

/* text: "+name" or "-name". */
static int change_feature(struct cpu_model *m, const char *text, size_t len, const char **error)
{
    const struct feature *f = NULL;

    if (len < 2 || (*text != '+' && *text != '-'))
        return fail(error, "-cpu: \"%.*s\" is neither +FEATURE nor -FEATURE", (int)len, text);
    for (unsigned i = 0; i < CPUID_FEATURE_COUNT && !f; i++)
        if (same(text + 1, len - 1, features[i].name))
            f = &features[i];
    if (!f)
        return fail(error, "there is no CPU feature \"%.*s\"%s (names are QEMU's)", (int)len - 1,
                    text + 1, nearest_feature(text + 1, len - 1).text);
    if (*text == '-') {
        remove_feature(m, (unsigned)(f - features));
        return 0;
    }
    if (!f->implemented)
        return fail(error, "the CPU feature \"%s\" is not implemented", f->name);
    if (needs_host(f) && !host_has(f))
        return fail(error, "this host's CPU does not have the feature \"%s\"", f->name);
    m->word[f->word] |= 1u << f->bit;
    return 0;
}

/* Leaves that a feature's word lives in must be in reach. */
static void raise_limits(struct cpu_model *m)
{
    if ((m->word[WORD_7_EBX] | m->word[WORD_7_ECX] | m->word[WORD_7_EDX]) && m->max_leaf < 7)
        m->max_leaf = 7;
    if (m->word[WORD_1_ECX] >> BIT_XSAVE & 1 && m->max_leaf < 0xd)
        m->max_leaf = 0xd;
    if ((m->word[WORD_X1_ECX] | m->word[WORD_X1_EDX]) && m->max_extended < 0x80000001)
        m->max_extended = 0x80000001;
    if (m->word[WORD_X7_EDX] && m->max_extended < 0x80000007)
        m->max_extended = 0x80000007;
    if (m->word[WORD_X8_EBX] && m->max_extended < 0x80000008)
        m->max_extended = 0x80000008;
    if ((m->word[WORD_X21_EAX] | m->word[WORD_X21_ECX]) && m->max_extended < 0x80000021)
        m->max_extended = 0x80000021;
}

int cpu_model_parse(const char *spec, struct cpu_model **model, const char **error)
{
    struct cpu_model *m = calloc(1, sizeof(*m));
    size_t len = strcspn(spec, ",");
    int err;

    *model = NULL;
    if (!m)
        return -ENOMEM;
    err = choose_model(m, spec, len, error);
    while (!err && spec[len]) {
        spec += len + 1;
        len = strcspn(spec, ",");
        err = change_feature(m, spec, len, error);
    }
    if (err) {
        free(m);
        return err;
    }
    raise_limits(m);
    m->amd = is_amd(m->vendor);
    *model = m;
    return 0;
}

void cpu_model_destroy(struct cpu_model *model)
{
    free(model);
}

void cpu_model_list(void (*put)(void *arg, const char *name, const char *text), void *arg)
{
    put(arg, "host", host_help);
    for (unsigned i = 0; i < ROWS; i++)
        put(arg, rows[i].name, rows[i].help);
}

bool cpuid_is_hosts(const struct cpu_model *model)
{
    struct cpu_model *host;
    const char *error;
    bool same_words;

    if (!model || cpu_model_parse("host", &host, &error))
        return !model;
    same_words = !strcmp(model->name, host->name) &&
                 !memcmp(model->word, host->word, sizeof(model->word));
    cpu_model_destroy(host);
    return same_words;
}

/* --- Questions ------------------------------------------------------------ */

bool cpuid_has(const struct cpu_model *model, enum cpuid_feature feature)
{
    const struct feature *f = &features[feature];

    return model ? model->word[f->word] >> f->bit & 1 : f->implemented;
}

bool cpuid_is_amd(const struct cpu_model *model)
{
    return model && model->amd;
}

uint64_t cpuid_arch_capabilities(const struct cpu_model *model)
{
    return model ? model->arch_capabilities : 0;
}

uint32_t cpuid_signature(const struct cpu_model *model)
{
    return model ? model->signature : 0x600;
}

uint64_t cpuid_xcr0_bits(const struct cpu_model *model)
{
    uint64_t bits = 0;

    if (cpuid_has(model, CPUID_XSAVE))
        bits = XCR0_X87 | XCR0_SSE;
    if (bits && cpuid_has(model, CPUID_AVX))
        bits |= XCR0_AVX;
    if (bits & XCR0_AVX && cpuid_has(model, CPUID_AVX512F))
        bits |= XCR0_AVX512;
    return bits;
}

/* --- CPUID ---------------------------------------------------------------- */

static void leaf_0(const struct cpu_model *m, uint32_t max, uint32_t out[4])
{
    out[EAX] = max;
    memcpy(&out[EBX], m->vendor, 4);
    memcpy(&out[EDX], m->vendor + 4, 4);
    memcpy(&out[ECX], m->vendor + 8, 4);
}

static void leaf_1(const struct vcpu *vcpu, uint32_t out[4])
{
    const struct cpu_model *m = vcpu->model;

    out[EAX] = m->signature;
    out[EBX] = cpuid_has(m, CPUID_CLFLUSH) ? 8 << 8 : 0; /* 64-byte lines */
    out[ECX] = m->word[WORD_1_ECX];
    if (vcpu->cr4 & CR4_OSXSAVE)
        out[ECX] |= 1u << 27;
    out[EDX] = m->word[WORD_1_EDX];
    if (!(vcpu->apic_base & MSR_APIC_ENABLED)) /* SDM 3, 10.4.3 */
        out[EDX] &= ~(1u << 9);
}

/* XSAVE, SDM 1, 13.2. */
static void leaf_d(const struct vcpu *vcpu, uint32_t subleaf, uint32_t out[4])
{
    uint64_t can = cpuid_xcr0_bits(vcpu->model);
    const struct fpu_layout *layout = fpu_layout(vcpu);

    if (!can)
        return;
    if (subleaf == 0) {
        out[EAX] = (uint32_t)can;
        out[EBX] = fpu_xsave_size(layout, vcpu->xcr0);
        out[ECX] = fpu_xsave_size(layout, can);
    } else if (subleaf == 1) {
        out[EAX] = vcpu->model->word[WORD_D1_EAX];
        if (cpuid_has(vcpu->model, CPUID_XSAVEC))
            out[EBX] = fpu_xsavec_size(layout, vcpu->xcr0);
    } else if (subleaf < STATE_COUNT && can >> subleaf & 1) {
        out[EAX] = layout->size[subleaf];
        out[EBX] = layout->offset[subleaf];
        out[ECX] = (layout->aligned >> subleaf & 1u) << 1;
    }
}

/* AMD repeats the low bits of leaf 1's EDX in 0x80000001. */
#define AMD_REPEATED 0x0183f3ffu

static void leaf_x1(const struct cpu_model *m, uint32_t out[4])
{
    out[ECX] = m->word[WORD_X1_ECX];
    out[EDX] = m->word[WORD_X1_EDX];
    if (m->amd) {
        out[EAX] = m->signature;
        out[EDX] |= m->word[WORD_1_EDX] & AMD_REPEATED;
    }
}

static void leaf_host(const struct cpu_model *m, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    for (unsigned i = 0; i < m->hosts; i++)
        if (m->host[i].leaf == leaf && (leaf != 4 || m->host[i].subleaf == subleaf))
            memcpy(out, m->host[i].reg, sizeof(m->host[i].reg));
}

void cpuid_read(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct cpu_model *m = vcpu->model;

    memset(out, 0, 4 * sizeof(out[0]));
    if (!m)
        return;
    if (leaf >> 31) {
        if (leaf > m->max_extended && m->max_extended)
            return;
    } else if (leaf > m->max_leaf) {
        leaf = m->max_leaf; /* SDM 2: the data of the highest basic leaf */
    }
    switch (leaf) {
    case 0: leaf_0(m, m->max_leaf, out); break;
    case 1: leaf_1(vcpu, out); break;
    case 7:
        if (subleaf == 0)
            memcpy(&out[EBX], &m->word[WORD_7_EBX], 12);
        break;
    case 0xd: leaf_d(vcpu, subleaf, out); break;
    case 0x80000000:
        out[EAX] = m->max_extended;
        if (m->amd)
            leaf_0(m, m->max_extended, out);
        break;
    case 0x80000001: leaf_x1(m, out); break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: memcpy(out, m->brand + 16 * (leaf - 0x80000002), 16); break;
    case 0x80000007: out[EDX] = m->word[WORD_X7_EDX]; break;
    case 0x80000008:
        out[EAX] = PHYS_BITS | 32 << 8;
        out[EBX] = m->word[WORD_X8_EBX];
        break;
    case 0x80000021:
        out[EAX] = m->word[WORD_X21_EAX];
        out[ECX] = m->word[WORD_X21_ECX];
        break;
    default: leaf_host(m, leaf, subleaf, out); break;
    }
}
