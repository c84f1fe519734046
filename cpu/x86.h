/* Architectural constants, with the names of Intel's SDM volume 3. */
#ifndef CPU_X86_H
#define CPU_X86_H

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPR_COUNT };

/* Segment registers in the order of the instruction encoding (SDM 2, table 2-1). */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT, SEG_NONE = 0xff };

#define INSN_MAX 15 /* bytes */

/* EFLAGS, SDM 1, 3.4.3 */
#define EFLAGS_CF   0x00000001u
#define EFLAGS_R1   0x00000002u /* always 1 */
#define EFLAGS_PF   0x00000004u
#define EFLAGS_AF   0x00000010u
#define EFLAGS_ZF   0x00000040u
#define EFLAGS_SF   0x00000080u
#define EFLAGS_TF   0x00000100u
#define EFLAGS_IF   0x00000200u
#define EFLAGS_DF   0x00000400u
#define EFLAGS_OF   0x00000800u
#define EFLAGS_IOPL 0x00003000u
#define EFLAGS_NT   0x00004000u
#define EFLAGS_RF   0x00010000u
#define EFLAGS_VM   0x00020000u
#define EFLAGS_AC   0x00040000u
#define EFLAGS_VIF  0x00080000u
#define EFLAGS_VIP  0x00100000u
#define EFLAGS_ID   0x00200000u
/* All that a 32-bit CPU without VME has (no VIF, no VIP). */
#define EFLAGS_ALL  0x00277fd7u
#define EFLAGS_ARITH                                                                               \
    (EFLAGS_CF | EFLAGS_PF | EFLAGS_AF | EFLAGS_ZF | EFLAGS_SF | EFLAGS_OF)

/* CR0 */
#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

/* CR4 */
#define CR4_VME        0x00000001u
#define CR4_PVI        0x00000002u
#define CR4_TSD        0x00000004u
#define CR4_DE         0x00000008u
#define CR4_PSE        0x00000010u
#define CR4_PAE        0x00000020u
#define CR4_MCE        0x00000040u
#define CR4_PGE        0x00000080u
#define CR4_PCE        0x00000100u
#define CR4_OSFXSR     0x00000200u
#define CR4_OSXMMEXCPT 0x00000400u
#define CR4_UMIP       0x00000800u
#define CR4_FSGSBASE   0x00010000u
#define CR4_OSXSAVE    0x00040000u
#define CR4_SMEP       0x00100000u
#define CR4_SMAP       0x00200000u

/* IA32_EFER */
#define EFER_SCE 0x001u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u

/* Exceptions, SDM 3, table 6-1 */
enum {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19,
};

/* Page-fault error code */
#define PF_P  0x01u
#define PF_W  0x02u
#define PF_U  0x04u
#define PF_R  0x08u /* reserved bit set */
#define PF_I  0x10u /* instruction fetch */

/* struct segment's attributes: the descriptor's bytes 5 and 6, as SDM 3, 24.4.1 packs them */
#define SEG_TYPE     0x000fu
#define SEG_ACCESSED 0x0001u
#define SEG_WRITABLE 0x0002u /* data */
#define SEG_READABLE 0x0002u /* code */
#define SEG_EXPDOWN  0x0004u /* data */
#define SEG_CONFORM  0x0004u /* code */
#define SEG_CODE     0x0008u
#define SEG_S        0x0010u /* code or data, not system */
#define SEG_DPL      0x0060u
#define SEG_P        0x0080u
#define SEG_AVL      0x1000u
#define SEG_L        0x2000u
#define SEG_DB       0x4000u
#define SEG_G        0x8000u
#define SEG_UNUSABLE 0x10000u /* a null selector was loaded */

#endif
