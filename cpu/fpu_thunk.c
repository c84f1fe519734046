/*
 * Thunks: copies of guest instructions that the host's CPU executes on the guest's FPU state. See
 * fpu_thunk.h for the invariants.
 */
#include "cpu/fpu_thunk.h"

#include <cpuid.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bug.h"
#include "cpu/fault.h"

/* --- Life ---------------------------------------------------------------------- */

#define CODE_BYTES ((size_t)THUNK_COUNT * THUNK_SIZE)

static bool map_code(struct fpu_unit *unit)
{
    int fd = memfd_create("novt-fpu", MFD_CLOEXEC);
    void *write = MAP_FAILED, *exec = MAP_FAILED;

    if (fd >= 0 && !ftruncate(fd, CODE_BYTES)) {
        write = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        exec = mmap(NULL, CODE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    }
    if (fd >= 0)
        close(fd);
    unit->write = write == MAP_FAILED ? NULL : write;
    unit->exec = exec == MAP_FAILED ? NULL : exec;
    return unit->write && unit->exec;
}

static bool map_edge(struct fpu_unit *unit)
{
    uint8_t *pages = mmap(NULL, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);

    if (pages == MAP_FAILED)
        return false;
    unit->edge = pages + PAGE_SIZE;
    return !mprotect(unit->edge, PAGE_SIZE, PROT_NONE);
}

struct fpu_unit *fpu_thunk_create(void)
{
    struct fpu_unit *unit = mmap(NULL, sizeof(*unit), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (unit == MAP_FAILED)
        return NULL;
    if (!map_code(unit) || !map_edge(unit)) {
        int err = errno;

        fpu_thunk_destroy(unit);
        errno = err;
        return NULL;
    }
    /* Host pointers are told from the guest's by their upper halves. */
    BUG_ON(!((uintptr_t)unit >> 32) || !((uintptr_t)unit->exec >> 32));
    return unit;
}

void fpu_thunk_destroy(struct fpu_unit *unit)
{
    if (!unit)
        return;
    if (unit->write)
        munmap(unit->write, CODE_BYTES);
    if (unit->exec)
        munmap((void *)(uintptr_t)unit->exec, CODE_BYTES);
    if (unit->edge)
        munmap(unit->edge - PAGE_SIZE, 3 * PAGE_SIZE);
    munmap(unit, sizeof(*unit));
}

/* --- Encoding --------------------------------------------------------------------- */

#define MODRM_RDI 7 /* mod 0, rm 7: [rdi]; eax is 0 in every field */
#define RET 0xc3

static uint8_t redirect(const struct insn *in, const struct fpu_gpr *gpr)
{
    uint8_t modrm = in->modrm;

    if (gpr->reg != REG_NONE && !gpr->in_rm)
        modrm &= 0xc7;
    if (in->has_mem)
        return (modrm & 0x38) | MODRM_RDI;
    return gpr->reg != REG_NONE && gpr->in_rm ? modrm & 0xf8 : modrm;
}

/*
 * Of the prefixes only the mandatory ones count here: 67 and segment overrides go with the memory
 * operand, LOCK has been refused, and x87 instructions ignore all (FNSTENV and the like use the
 * 32-bit format in thunks).
 */
static unsigned put_prefixes(const struct insn *in, unsigned end, uint8_t *code)
{
    unsigned n = 0;

    if (in->info->attr & A_X87 && !(in->info->attr & A_MMX))
        return 0;
    for (unsigned i = 0; i < end; i++) {
        uint8_t byte = in->bytes[i];

        if (byte == 0x66 || byte == 0xf2 || byte == 0xf3)
            code[n++] = byte;
    }
    return n;
}

/* Escape bytes and opcode of a legacy encoding. */
static unsigned put_opcode(const struct insn *in, uint8_t *code)
{
    unsigned escape = in->opcode_at;
    unsigned n;

    if (in->map)
        escape -= in->map == 1 ? 1 : 2;
    n = put_prefixes(in, escape, code);
    for (unsigned i = escape; i <= in->opcode_at; i++)
        code[n++] = in->bytes[i];
    return n;
}

/* Does W select the size of a general operand? */
static bool has_sized_operand(const struct insn *in, const struct fpu_gpr *gpr)
{
    const uint8_t *kind = in->info->operand;

    return gpr->reg != REG_NONE || kind[0] == OPND_Ey || kind[1] == OPND_Ey || kind[2] == OPND_Ey;
}

/*
 * The same with a VEX prefix. 32-bit code ignores B, the top bit of vvvv, and W where it selects
 * the size of a general register; 64-bit code does not (SDM 2, 2.3.5).
 */
static unsigned put_vex(const struct insn *in, const struct fpu_gpr *gpr, uint8_t *code)
{
    const uint8_t *opcode = in->bytes + in->opcode_at;

    if (in->opcode_at >= 3 && opcode[-3] == 0xc4) {
        code[0] = 0xc4;
        code[1] = opcode[-2] | 0xe0;
        code[2] = opcode[-1] | 0x40;
        if (in->mode != MODE_64 && has_sized_operand(in, gpr))
            code[2] &= 0x7f;
        code[3] = opcode[0];
        return 4;
    }
    code[0] = 0xc5;
    code[1] = opcode[-1];
    code[2] = opcode[0];
    return 3;
}

/* With an EVEX prefix: likewise, and R', V' and B. */
static unsigned put_evex(const struct insn *in, const struct fpu_gpr *gpr, uint8_t *code)
{
    const uint8_t *opcode = in->bytes + in->opcode_at;

    code[0] = 0x62;
    code[1] = opcode[-3] | 0xf0;
    code[2] = opcode[-2] | 0x40;
    if (has_sized_operand(in, gpr))
        code[2] &= 0x7f;
    code[3] = opcode[-1] | EVEX_NOT_V;
    code[4] = opcode[0];
    return 5;
}

void fpu_thunk_encode(const struct insn *in, const struct fpu_gpr *gpr, uint8_t *code)
{
    unsigned n;

    __builtin_memset(code, 0, THUNK_SIZE);
    n = in->prefixes & PREFIX_EVEX  ? put_evex(in, gpr, code)
        : in->prefixes & PREFIX_VEX ? put_vex(in, gpr, code)
                                    : put_opcode(in, code);
    if (in->has_modrm)
        code[n++] = redirect(in, gpr);
    for (unsigned i = 0; i < in->imm_len; i++)
        code[n++] = in->bytes[in->imm_at + i];
    if (in->info->operand[3] == OPND_Lx && in->mode != MODE_64)
        code[n - 1] &= 0x7f; /* the register's top bit is ignored there */
    code[n] = RET;
}

void fpu_thunk_bytes(const uint8_t *bytes, unsigned count, uint8_t *code)
{
    __builtin_memset(code, 0, THUNK_SIZE);
    for (unsigned i = 0; i < count; i++)
        code[i] = bytes[i];
    code[count] = RET;
}

/* --- Running ------------------------------------------------------------------------- */

void fpu_thunk_frame(struct vcpu *vcpu, uint64_t components, struct fpu_frame *frame)
{
    struct fpu_unit *unit = vcpu->fpu_unit;

    *frame = (struct fpu_frame){
        .area = vcpu->fpu,
        .mask = unit->components & components,
        .rax = vcpu->gpr[RAX],
        .rdx = vcpu->gpr[RDX],
        .operand = unit->operand,
        .flags = vcpu->eflags & EFLAGS_ARITH,
    };
}

static unsigned hash(const uint64_t key[2])
{
    uint64_t h = (key[0] ^ key[1] << 7) * 0x9e3779b97f4a7c15u;

    return (unsigned)(h >> 52) % THUNK_COUNT;
}

/* Cross-modified code: the CPU must be serialized before it fetches (SDM 3, 8.1.3). */
static void serialize(void)
{
    uint32_t eax, ebx, ecx, edx;

    __cpuid(0, eax, ebx, ecx, edx);
    __asm__ volatile("" : : "r"(eax), "r"(ebx), "r"(ecx), "r"(edx));
}

static enum fpu_trap run(struct vcpu *vcpu, const uint8_t *code, bool guard,
                         struct fpu_frame *frame)
{
    struct fpu_unit *unit = vcpu->fpu_unit;
    uint64_t key[2], have[2];
    unsigned slot;

    __builtin_memcpy(key, code, sizeof(key));
    slot = hash(key);
    __builtin_memcpy(have, unit->write[slot], sizeof(have));
    frame->code = unit->exec[slot];
    if (have[0] != key[0] || have[1] != key[1]) {
        unit->ready[slot] = false;
        __builtin_memcpy(unit->write[slot], key, sizeof(key));
        serialize();
    }
    if (__builtin_expect(unit->ready[slot] && !guard, 1)) {
        fpu_run(frame);
        return FPU_DONE;
    }
    fpu_run_guarded(frame);
    if (frame->trap == FPU_DONE)
        unit->ready[slot] = true;
    return (enum fpu_trap)frame->trap;
}

enum fpu_trap fpu_thunk_run(struct vcpu *vcpu, const uint8_t *code, bool guard,
                            struct fpu_frame *frame)
{
    uint8_t pointers[FPU_MXCSR - FPU_FOP];
    enum fpu_trap trap;

    if (!vcpu->fpu_unit->drops_pointers)
        return run(vcpu, code, guard, frame);
    memcpy(pointers, vcpu->fpu + FPU_FOP, sizeof(pointers));
    trap = run(vcpu, code, guard, frame);
    memcpy(vcpu->fpu + FPU_FOP, pointers, sizeof(pointers));
    return trap;
}

void fpu_thunk_absent(struct vcpu *vcpu, const struct insn *in, uint64_t offset, unsigned size,
                      struct fpu_frame *frame)
{
    uint64_t before = 0;

    if (vcpu->fault.vector == VEC_PF)
        before = (uint32_t)(vcpu->fault.cr2 - vcpu->seg[in->seg].base - offset);
    frame->operand = vcpu->fpu_unit->edge - (before < size ? before : 0);
}

enum step fpu_thunk_fault(struct vcpu *vcpu, enum fpu_trap trap)
{
    if (trap == FPU_ABSENT)
        return STEP_FAULT;
    if (trap == FPU_UD)
        return fault_ud(vcpu);
    if (trap == FPU_GP)
        return fault_gp(vcpu, 0);
    return vcpu->cr4 & CR4_OSXMMEXCPT ? fault_raise(vcpu, VEC_XM) : fault_ud(vcpu);
}
