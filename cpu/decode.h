/*
 * The decoder: bytes to struct insn. What an opcode is comes from opcodes.def, the one instruction
 * table; reference: SDM volume 2, chapter 2 and appendix A, whose operand names are used here.
 */
#ifndef CPU_DECODE_H
#define CPU_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86.h"

struct vcpu;
struct insn;

enum cpu_mode { MODE_16, MODE_32, MODE_64 }; /* by CS.D and CS.L */

#define REG_NONE 0xff
#define REG_PC 0xfe /* insn.base in 64-bit mode */

/* Prefixes seen (any number, any order). */
enum {
    PREFIX_LOCK = 1,
    PREFIX_REPNE = 2, /* F2 */
    PREFIX_REP = 4,   /* F3; the last of F2 and F3 wins: only one is set */
    PREFIX_OPSIZE = 8,
    PREFIX_ADDRSIZE = 16,
    PREFIX_SEG = 32,
    PREFIX_VEX = 64,
    PREFIX_EVEX = 128,
};

/* What executing one instruction did. */
enum step {
    STEP_NEXT,   /* done; rip has not been advanced yet */
    STEP_JUMPED, /* done; rip is set */
    STEP_FAULT,  /* vcpu->fault must be delivered; registers, flags, rip are those before the
                    instruction (except where the manual says otherwise: string instructions keep
                    their progress) */
};

typedef enum step interp_fn(struct vcpu *vcpu, const struct insn *in);

/* Attributes of a row of opcodes.def. */
enum {
    A_PRIVILEGED = 1u << 0, /* #GP unless CPL 0 */
    A_SENSITIVE = 1u << 1,  /* Robin and Irvine: behaves differently deprivileged, without a trap */
    A_IOPL = 1u << 2,       /* depends on IOPL */
    A_BRANCH = 1u << 3,     /* near control transfer */
    A_FAR = 1u << 4,        /* far control transfer, interrupt or return */
    A_COND = 1u << 5,       /* may fall through (Jcc, LOOP, JCXZ) */
    A_ENDS = 1u << 6,       /* ends a translation unit */
    A_STRING = 1u << 7,
    A_LOCKABLE = 1u << 8,   /* LOCK is allowed with a memory destination */
    A_X87 = 1u << 9,
    A_MMX = 1u << 10,
    A_SSE = 1u << 11,       /* SSE to SSE4.2, AES, ... : legacy-encoded XMM code */
    A_AVX = 1u << 12,       /* VEX or EVEX */
    A_READS_MEM = 1u << 13, /* the memory form of the ModRM (or moffs) operand is read ... */
    A_WRITES_MEM = 1u << 14,/* ... is written */
    /* touches memory besides its ModRM operand (push, string, far, ...) */
    A_IMPLICIT_MEM = 1u << 15,
    A_BYTE = 1u << 16,      /* its r/m or reg operand is an 8-bit general register */
    A_UNDEFINED = 1u << 17, /* #UD (reserved, or not in this mode) */
    A_ALIGN16 = 1u << 18,   /* SSE memory operand must be 16-byte aligned */
    /* plain general-register/memory instruction: no system effect, no FPU */
    A_GPR = 1u << 19,
    A_MASK = 1u << 21,      /* AVX-512: needs the state of mask registers and ZMM */
    A_NO_MEM = 1u << 20,    /* ModRM memory form computes no access (LEA, NOP, PREFETCH, INVLPG) */
};

/* One row of opcodes.def. */
struct opcode {
    const char *mnemonic; /* lower case, Intel's */
    uint16_t id;          /* enum mnemonic */
    uint8_t operand[4];   /* enum operand_kind */
    uint16_t flags_read, flags_written, flags_undefined; /* low 16 EFLAGS bits */
    uint8_t feature;      /* which CPUs have it: cpu/feature.h */
    uint32_t attr;
    interp_fn *interp;    /* NULL: not interpreted, #UD */
};

struct insn {
    const struct opcode *info;
    uint16_t id;         /* enum mnemonic, = info->id */
    uint8_t len;         /* bytes, 1 to 15 */
    uint8_t mode;        /* enum cpu_mode it was decoded in */
    uint8_t prefixes;    /* PREFIX_ bits */
    uint8_t opsize;      /* effective operand size of "v" operands, bytes: 2, 4, 8 */
    uint8_t addrsize;    /* effective address size, bytes */
    /* bytes the ModRM/moffs memory operand spans; 0: none or not fixed (fxsave, ...) */
    uint8_t memsize;
    uint8_t map;         /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A; more with VEX/EVEX */
    uint8_t opcode;      /* last opcode byte */
    bool has_modrm;
    uint8_t modrm, mod, reg, rm; /* rm and reg with REX/VEX extensions */
    bool has_mem;        /* ModRM names memory, or a moffs operand */
    uint8_t seg;         /* SEG_: segment of the memory operand (default or override); for string
                            instructions that of the source */
    uint8_t base, index; /* GPR numbers of the effective address, or REG_NONE */
    uint8_t scale;       /* 0 to 3 */
    /* sign-extended; moffs: the offset. For 16-bit forms base/index are BX/BP/SI/DI */
    int64_t disp;
    uint64_t imm;        /* sign-extended to 64 bits where the manual sign-extends, else
                            zero-extended; near branches: the displacement, sign-extended */
    uint16_t imm2;       /* ENTER's level, a far pointer's selector */
    uint8_t vvvv;        /* VEX.vvvv as a register number; 0 to 7 outside 64-bit mode */
    uint8_t vl;          /* VEX, EVEX: vector length in bytes, 16, 32 or 64; else 0 */
    bool w;              /* REX.W or VEX.W */
    /* Offsets into bytes[], for re-encoding; 0 where there is none. */
    uint8_t opcode_at;   /* first byte of the last opcode byte (after 0F, 0F38, ...) */
    uint8_t modrm_at, disp_at, disp_len, imm_at, imm_len;
    uint8_t bytes[INSN_MAX];
};

/* The last byte of an EVEX prefix, SDM 2, 2.7. */
enum { EVEX_Z = 0x80, EVEX_L = 0x60, EVEX_B = 0x10, EVEX_NOT_V = 8, EVEX_K = 7 };

static inline uint8_t evex_last(const struct insn *in)
{
    return in->bytes[in->opcode_at - 1];
}

/* M_ADD, M_MOV, ...: one per distinct mnemonic column of opcodes.def. Generated by the X-macro
 * file itself; declared in cpu/opcodes.h. */
#include "cpu/opcodes.h"

/*
 * Decodes one instruction from code[0..avail), in mode. Returns its length, or
 *   0   more than avail bytes are needed (avail < 15),
 *   -1  longer than 15 bytes (#GP).
 * An undefined opcode decodes to an insn with A_UNDEFINED and the length at which the CPU notices.
 */
int decode(struct insn *in, const uint8_t *code, unsigned avail, enum cpu_mode mode);

#endif
