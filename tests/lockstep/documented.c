/* The rows of docs/direct-execution.md that lockstep streams can come to. */
#include "tests/lockstep/documented.h"

#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/mem.h"
#include "tests/hidden.h"

/* The selectors of a sandbox, for code and for whole segments with any base. */
enum { SANDBOX_CODE = 0x23, SANDBOX_DATA = 0x2b, SANDBOX_CODE64 = 0x33 };

/* The first and the last of the entries of its LDT that FS and GS may have filled. */
enum { SANDBOX_AREA_FIRST = 0x37, SANDBOX_AREA_LAST = 0x47 };

#define FXSAVE_SIZE 512

enum row {
    READ_BACK, LOADED, TO_64, CPUID, TSC, TABLES_READ, DESCRIPTORS, SYSENTER_LOST,
    NOT_OFFERED, XSTATE, PARTS,
    MASKED, OVERWRITTEN, DECIMAL, LOOPS, MISALIGNED_SSE, NONE,
};

/* Each row's first column. */
static const char *const names[NONE] = {
    [READ_BACK] = "selectors read back",
    [LOADED] = "a selector loaded",
    [TO_64] = "far jump, call, return, iret to 33h",
    [CPUID] = "CPUID",
    [TSC] = "RDTSC",
    [TABLES_READ] = "SGDT, SIDT, SLDT, STR, SMSW",
    [DESCRIPTORS] = "LAR, LSL, VERR, VERW",
    [SYSENTER_LOST] = "SYSENTER that is not allowed",
    [NOT_OFFERED] = "instructions that the guest's CPUID does not offer",
    [XSTATE] = "AVX-512 and others",
    [PARTS] = "ENTER, PUSHA, POPA, far CALL, 80-bit stores that fault midway",
    [MASKED] = "A and D of pages that a masked store could have written",
    [OVERWRITTEN] = "a repeated string instruction that overwrites itself",
    [DECIMAL] = "undefined flags of AAA, AAS, DAA, DAS",
    [LOOPS] = "LOOPE, LOOPNE with F2 or F3",
    [MISALIGNED_SSE] = "MXCSR.MM",
};

static const struct cpu_model *model;
static bool amd;
static unsigned long met[NONE];
static uint32_t last_eip;
static struct insn last; /* the instruction that documented_next() has seen */

static bool is_masked_store(const struct insn *in)
{
    bool evex = in->info->attr & A_AVX && in->opcode_at >= 4 &&
                in->bytes[in->opcode_at - 4] == 0x62;

    switch (in->id) {
    case M_MASKMOVQ: case M_MASKMOVDQU: case M_VMASKMOVDQU: return true;
    case M_VMASKMOVPS: case M_VMASKMOVPD: case M_VPMASKMOVD: case M_VPMASKMOVQ:
        return in->info->attr & A_WRITES_MEM;
    default:
        return evex && in->has_mem && in->info->attr & A_WRITES_MEM && evex_last(in) & EVEX_K;
    }
}

/* By the instruction alone. */
static enum row row_of(const struct insn *in)
{
    switch (in->id) {
    case M_CPUID: return CPUID;
    case M_RDTSC: case M_RDTSCP: case M_RDPMC: case M_RDRAND: case M_RDSEED: return TSC;
    case M_SGDT: case M_SIDT: case M_SLDT: case M_STR: case M_SMSW: return TABLES_READ;
    case M_LAR: case M_LSL: case M_VERR: case M_VERW: return DESCRIPTORS;
    case M_XSAVE: case M_XSAVEOPT: case M_XSAVEC: case M_XRSTOR: case M_XGETBV: return XSTATE;
    case M_AAA: case M_AAS: case M_DAA: case M_DAS: return amd ? DECIMAL : NONE;
    case M_LOOPE: case M_LOOPNE:
        return amd && in->prefixes & (PREFIX_REP | PREFIX_REPNE) ? LOOPS : NONE;
    default:
        return (in->info->attr & A_UNDEFINED && in->id != M_UD) || hidden(model, in) ? NOT_OFFERED
               : is_masked_store(in) ? MASKED : NONE;
    }
}

void documented_model(const struct cpu_model *of_host)
{
    model = of_host;
    amd = cpuid_is_amd(model);
}

bool documented_avoid(const struct insn *in)
{
    return row_of(in) != NONE;
}

/* --- Selectors --------------------------------------------------------------------------- */

/* Reading any register of which a sandbox shows another selector than the guest has. */
static bool read_back(const struct vcpu *vcpu, unsigned seg)
{
    uint16_t selector = vcpu->seg[seg].selector;

    return selector != (seg == SEG_CS ? SANDBOX_CODE : selector ? SANDBOX_DATA : 0);
}

static bool read_word(struct vcpu *vcpu, uint32_t gla, uint16_t *word)
{
    return mem_debug_read(vcpu, gla, word, 2);
}

static uint32_t operand_gla(const struct vcpu *vcpu, const struct insn *in)
{
    uint64_t at = (uint64_t)in->disp;

    if (in->base != REG_NONE)
        at += vcpu->gpr[in->base];
    if (in->index != REG_NONE)
        at += vcpu->gpr[in->index] << in->scale;
    return (uint32_t)(vcpu->seg[in->seg].base + (in->addrsize == 2 ? at & 0xffff : at));
}

static uint32_t stack_gla(const struct vcpu *vcpu, unsigned slot, const struct insn *in)
{
    return (uint32_t)(vcpu->gpr[RSP] + slot * (uint64_t)in->opsize);
}

/* The selector that an instruction loads into a segment register or CS; false: none, or none that
 * can be read. */
static bool loaded(struct vcpu *vcpu, const struct insn *in, uint16_t *selector)
{
    switch (in->id) {
    case M_MOV_TO_SEG:
        if (in->has_mem)
            return read_word(vcpu, operand_gla(vcpu, in), selector);
        *selector = (uint16_t)vcpu->gpr[in->rm];
        return true;
    case M_POP_SEG: return read_word(vcpu, stack_gla(vcpu, 0, in), selector);
    case M_LDS: case M_LES: case M_LFS: case M_LGS: case M_LSS:
    case M_CALL_FAR: case M_JMP_FAR:
        if (in->has_mem)
            return read_word(vcpu, operand_gla(vcpu, in) + in->opsize, selector);
        *selector = in->imm2;
        return true;
    case M_RET_FAR: case M_IRET: return read_word(vcpu, stack_gla(vcpu, 1, in), selector);
    default: return false;
    }
}

static unsigned target(const struct insn *in)
{
    switch (in->id) {
    case M_MOV_TO_SEG: return in->reg;
    case M_PUSH_SEG:
    case M_POP_SEG: return in->map ? (in->opcode & 8 ? SEG_GS : SEG_FS) : in->opcode >> 3 & 3;
    case M_LES: return SEG_ES;
    case M_LFS: return SEG_FS;
    case M_LGS: return SEG_GS;
    case M_LSS: return SEG_SS;
    default: return SEG_DS;
    }
}

static enum row read_row(const struct vcpu *vcpu, const struct insn *in)
{
    switch (in->id) {
    case M_MOV_FROM_SEG: return read_back(vcpu, in->reg) ? READ_BACK : NONE;
    case M_PUSH_SEG:
        return read_back(vcpu, target(in)) ? READ_BACK : NONE;
    case M_CALL_FAR: return read_back(vcpu, SEG_CS) ? READ_BACK : NONE;
    case M_FXSAVE: /* one that is not aligned stores no MXCSR_MASK */
        return amd && !(operand_gla(vcpu, in) & 15) ? MISALIGNED_SSE : NONE;
    case M_SYSENTER:
        return vcpu->sysenter_cs & ~3ull ? NONE : SYSENTER_LOST;
    default: return NONE;
    }
}

static bool is_flat(const struct segment *s)
{
    return s->selector == SANDBOX_DATA && !s->base;
}

static bool is_area(uint16_t selector)
{
    return selector & 4 && selector >= SANDBOX_AREA_FIRST && selector <= SANDBOX_AREA_LAST;
}

/*
 * Loads differ where the host's table has a segment too, 23h, 2Bh, 33h, and the guest's is another:
 * until the next exit the program runs with the host's.
 */
static enum row loaded_row(struct vcpu *vcpu, const struct insn *in)
{
    bool flat_there = vcpu->seg[SEG_CS].selector == SANDBOX_CODE;
    uint16_t selector;

    if (!loaded(vcpu, in, &selector))
        return NONE;
    selector |= 3;
    if (in->info->attr & A_FAR)
        return selector == SANDBOX_CODE64 ? TO_64
               : selector == SANDBOX_CODE && !flat_there ? LOADED : NONE;
    if (selector == SANDBOX_CODE64 || is_area(selector))
        return LOADED;
    if (selector != SANDBOX_CODE && selector != SANDBOX_DATA)
        return NONE;
    if (!flat_there)
        return LOADED;
    /* 2Bh where something else was, null too, may be what a program read there before that. */
    return selector == SANDBOX_CODE || is_flat(&vcpu->seg[target(in)]) ? NONE : LOADED;
}

bool documented_next(struct vcpu *vcpu)
{
    uint8_t code[INSN_MAX] = { 0 };
    struct insn in;
    unsigned got = INSN_MAX;
    enum row row;

    while (got && !mem_debug_read(vcpu, (uint32_t)vcpu->rip, code, got))
        got--;
    if (!got || decode(&in, code, INSN_MAX, MODE_32) <= 0)
        return false;
    last = in;
    last_eip = (uint32_t)vcpu->rip;
    row = row_of(&in);
    if (row == NONE)
        row = read_row(vcpu, &in);
    if (row == NONE)
        row = loaded_row(vcpu, &in);
    if (row != NONE)
        met[row]++;
    return row != NONE;
}

bool documented_faulted(void)
{
    bool parts = last.id == M_ENTER || last.id == M_PUSHA || last.id == M_POPA ||
                 last.id == M_CALL_FAR || last.id == M_FBSTP ||
                 (last.id == M_FSTP && last.memsize == 10);

    met[PARTS] += parts;
    return parts;
}

bool documented_overwritten(struct vcpu *vcpu)
{
    uint8_t code[INSN_MAX];
    bool changed = last.info && last.info->attr & A_STRING &&
                   last.prefixes & (PREFIX_REP | PREFIX_REPNE) &&
                   mem_debug_read(vcpu, last_eip, code, last.len) &&
                   memcmp(code, last.bytes, last.len);

    met[OVERWRITTEN] += changed;
    return changed;
}

bool documented_cr2(const struct vcpu *vcpu, uint64_t interp, uint64_t cpu)
{
    uint64_t apart = interp < cpu ? cpu - interp : interp - cpu;

    switch (last.id) {
    case M_FNSAVE: case M_FRSTOR: case M_FNSTENV: case M_FLDENV: case M_FXSAVE: case M_FXRSTOR:
        return apart < FXSAVE_SIZE;
    case M_CMPS: /* which is read first */
        return (uint32_t)(interp - vcpu->gpr[RDI]) < 4 &&
               (uint32_t)(cpu - vcpu->seg[last.seg].base - vcpu->gpr[RSI]) < 4;
    default:
        return false;
    }
}

void documented_print(void)
{
    for (unsigned i = 0; i < NONE; i++)
        if (met[i])
            printf("left out: %s: %lu\n", names[i], met[i]);
}
