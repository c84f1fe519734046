/* opcodes.def as constant tables, for decode.c. */
#ifndef CPU_DECODE_TABLE_H
#define CPU_DECODE_TABLE_H

#include <stdint.h>

#include "cpu/decode.h"

/* Opcode maps. The VEX and EVEX maps have one table for VEX.W = 0 and one for 1. */
enum {
    MAP_ONE, MAP_TWO, MAP_T38, MAP_T3A, MAP_ONE64,
    MAP_V0F, MAP_V38 = MAP_V0F + 2, MAP_V3A = MAP_V38 + 2,
    MAP_E0F = MAP_V3A + 2, MAP_E38 = MAP_E0F + 2, MAP_E3A = MAP_E38 + 2, MAP_COUNT = MAP_E3A + 2,
    MAP_NONE = MAP_COUNT, /* no map at all: no table */
};
/* Tables of FIX rows. */
enum { FIXED_F01_NP, FIXED_F01_66, FIXED_F01_F3, FIXED_F01_F2, FIXED_XD8, FIXED_XD9, FIXED_XDA,
       FIXED_XDB, FIXED_XDC, FIXED_XDD, FIXED_XDE, FIXED_XDF, FIXED_COUNT };

/* Codes of memory operand sizes, OPERAND's column. */
enum {
    SIZE_0, SIZE_1, SIZE_2, SIZE_4, SIZE_8, SIZE_10, SIZE_16, SIZE_32, SIZE_64,
    SIZE_V, SIZE_Z, SIZE_Y, SIZE_P, SIZE_A, SIZE_S, SIZE_ENV, SIZE_STATE,
    SIZE_X, SIZE_XH, SIZE_XQ, SIZE_XE, /* the vector length, a half, a quarter, an eighth of it */
    SIZE_XD, /* the vector length, but 8 for 16 */
};

/* Codes of immediates, OPERAND's column. ENTER's two are IMM_2 | IMM_1. */
enum { IMM_0, IMM_1, IMM_2, IMM_ENTER, IMM_S1, IMM_J1 = IMM_S1, IMM_4, IMM_Z, IMM_JZ, IMM_V, IMM_AP,
       IMM_O };

enum {
    FORM_MODRM = 1,
    FORM_MOD_IGNORED = 2, /* as if mod were 3 */
    FORM_MOFFS = 4,
    FORM_ONLY64 = 8,
    FORM_NO64 = 16,
    FORM_D64 = 32,
    FORM_F64 = 64,
    FORM_VVVV = 128, /* VEX.vvvv names an operand: else it must be 1111 */
    FORM_L0 = 256,   /* VEX.L must be 0 */
    FORM_L1 = 512,   /* VEX.L must be 1 */
    /* EVEX: what opcodes.def calls traits */
    EV_L128 = 1 << 16, EV_L256 = 1 << 17, EV_L512 = 1 << 18, EV_LBIG = EV_L256 | EV_L512,
    EV_BC = 1 << 19, EV_RC = 1 << 20, EV_K = 1 << 21, EV_MK = 1 << 22 | EV_K, EV_Z = 1 << 23,
    EV_ZR = 1 << 24, EV_T1 = 1 << 25,
    FORM_VSIB = 1024, /* the index is a vector register: a SIB byte, no 16-bit addresses (2.3.12) */
};

/* What the decoder needs of a row beyond struct opcode. */
struct form {
    uint32_t traits; /* FORM_, EV_ */
    uint8_t imm;     /* IMM_ */
    uint8_t size;    /* SIZE_: of the memory operand */
};

/* Row numbers index the first two; row 0 is "no such encoding". */
extern const struct opcode decode_rows[];
extern const struct form decode_forms[];
/* [map][opcode][prefix][reg][mod == 3] */
extern const uint16_t decode_index[MAP_COUNT][256][4][8][2];
extern const uint16_t decode_fixed[FIXED_COUNT][64]; /* [table][ModRM - C0h] */

#endif
