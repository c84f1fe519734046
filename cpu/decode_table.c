/*
 * opcodes.def expanded, at compile time, into the decoder's tables: the rows, what the decoder
 * needs to know of each, and the index that finds a row by map, opcode, mandatory prefix, ModRM.reg
 * and ModRM.mod. -Woverride-init (in -Wextra) rejects two rows for one encoding.
 */
#include "cpu/decode_table.h"

#include "cpu/feature.h"

/* A row is known by its line in opcodes.def. */
#define PASTE(a, b) a##b
#define ROW_ON(line) PASTE(ROW_, line)
#define ROW_HERE ROW_ON(__LINE__)

enum {
    ROW_NONE,
#define ENC(...) ROW_HERE,
#define VEX(...) ROW_HERE,
#define EVX(...) ROW_HERE,
#define FIX(...) ROW_HERE,
#define UND(...) ROW_HERE,
#include "cpu/opcodes.def"
    ROW_COUNT
};

/* Flag sets, named by initials. */
enum {
    FL__ = 0,
    FL_C = EFLAGS_CF,
    FL_P = EFLAGS_PF,
    FL_A = EFLAGS_AF,
    FL_Z = EFLAGS_ZF,
    FL_S = EFLAGS_SF,
    FL_T = EFLAGS_TF,
    FL_I = EFLAGS_IF,
    FL_D = EFLAGS_DF,
    FL_O = EFLAGS_OF,
    FL_AC = FL_A | FL_C,
    FL_AP = FL_A | FL_P,
    FL_IT = FL_I | FL_T,
    FL_OC = FL_O | FL_C,
    FL_ZC = FL_Z | FL_C,
    FL_SAP = FL_S | FL_AP,
    FL_SZP = FL_S | FL_Z | FL_P,
    FL_OAC = FL_O | FL_AC,
    FL_OZC = FL_O | FL_ZC,
    FL_SZAP = FL_SZP | FL_A,
    FL_SZAPC = FL_SZAP | FL_C,
    FL_OSAP = FL_O | FL_SAP,
    FL_OSAPC = FL_OSAP | FL_C,
    FL_OSZC = FL_OZC | FL_S,
    FL_OSZP = FL_O | FL_SZP,
    FL_OSZPC = FL_OSZP | FL_C,
    FL_OSZAP = FL_O | FL_SZAP,
    FL_OSZAPC = FL_O | FL_SZAPC,
    FL_DOSZAPC = FL_D | FL_OSZAPC,
    FL_ALLF = FL_DOSZAPC | FL_IT | EFLAGS_IOPL | EFLAGS_NT,
};

/* The columns of INSN, by instruction. */
enum {
#define INSN(id, name, read, written, undefined, feature, attr)                                    \
    READ_##id = FL_##read, WRITTEN_##id = FL_##written, UNDEFINED_##id = FL_##undefined,           \
    FEATURE_OF_##id = CPUID_##feature, ATTR_##id = attr,
#include "cpu/opcodes.def"
};
#define INSN(id, name, read, written, undefined, feature, attr)                                    \
    static const char name_##id[] = name;
#include "cpu/opcodes.def"

/* The columns of OPERAND: SIZE_OF_Ev, ... */
enum {
    TRAITS_NONE = 0,
    TRAITS_OTHER = 0,
    TRAITS_OP = 0,
    TRAITS_OPB = 0,
    TRAITS_MOFFS = FORM_MOFFS,
    TRAITS_RM = FORM_MODRM,
    TRAITS_RMB = FORM_MODRM,
    TRAITS_ALIGN = FORM_MODRM,
    TRAITS_RM3 = FORM_MODRM | FORM_MOD_IGNORED,
    TRAITS_REG = FORM_MODRM,
    TRAITS_REGB = FORM_MODRM,
    TRAITS_VVVV = FORM_VVVV,
    TRAITS_VSIB = FORM_MODRM | FORM_VSIB,
};
enum {
    WHERE_NONE = 0,
    WHERE_OTHER = 0,
    WHERE_OP = 0,
    WHERE_OPB = A_BYTE,
    WHERE_MOFFS = 0,
    WHERE_RM = 0,
    WHERE_RMB = A_BYTE,
    WHERE_ALIGN = A_ALIGN16,
    WHERE_RM3 = 0,
    WHERE_REG = 0,
    WHERE_REGB = A_BYTE,
    WHERE_VVVV = 0,
    WHERE_VSIB = 0,
};
enum {
#define OPERAND(name, size, imm, where)                                                            \
    SIZE_OF_##name = SIZE_##size, IMM_OF_##name = IMM_##imm, TRAITS_OF_##name = TRAITS_##where,    \
    ATTR_OF_##name = WHERE_##where,
#include "cpu/opcodes.def"
};

/* The other columns of the rows. */
enum { ACCESS__ = 0, ACCESS_R = A_READS_MEM, ACCESS_W = A_WRITES_MEM,
       ACCESS_RW = A_READS_MEM | A_WRITES_MEM };
enum { MODES_ALL = 0, MODES_NO64 = FORM_NO64, MODES_ONLY64 = FORM_ONLY64, MODES_D64 = FORM_D64,
       MODES_F64 = FORM_F64 };
enum { PFX_LO_NP, PFX_LO_66, PFX_LO_F3, PFX_LO_F2, PFX_LO_NP66 = 0, PFX_LO_ANY = 0 };
enum { PFX_HI_NP, PFX_HI_66, PFX_HI_F3, PFX_HI_F2, PFX_HI_NP66 = 1, PFX_HI_ANY = 3 };
enum { REG_LO_0, REG_LO_1, REG_LO_2, REG_LO_3, REG_LO_4, REG_LO_5, REG_LO_6, REG_LO_7,
       REG_LO_ANY = 0, REG_LO_0_1 = 0, REG_LO_0_5 = 0, REG_LO_2_4 = 2, REG_LO_2_5 = 2 };
enum { REG_HI_0, REG_HI_1, REG_HI_2, REG_HI_3, REG_HI_4, REG_HI_5, REG_HI_6, REG_HI_7,
       REG_HI_ANY = 7, REG_HI_0_1 = 1, REG_HI_0_5 = 5, REG_HI_2_4 = 4, REG_HI_2_5 = 5 };
enum { MOD_LO_ANY = 0, MOD_LO_MEM = 0, MOD_LO_REG = 1, MOD_HI_ANY = 1, MOD_HI_MEM = 0,
       MOD_HI_REG = 1 };
enum { W_LO_ANY, W_LO_0 = 0, W_LO_1, W_HI_ANY = 1, W_HI_0 = 0, W_HI_1 };
enum { L_ANY, L_0 = FORM_L0, L_1 = FORM_L1 };

/* LOCK needs a destination in memory. */
#define ATTR(attr) ((attr) & A_WRITES_MEM ? (attr) : (attr) & ~(uint32_t)A_LOCKABLE)

/* MMX and SSE instructions on XMM registers came later: with 66 (or F3) they are SSE2's, in map
 * 0F 3A SSE4.1's. */
#define FEATURE(f, pfx, map)                                                                       \
    ((int)(f) != CPUID_MMX && (int)(f) != CPUID_SSE ? (int)(f)                                     \
     : MAP_##map == MAP_T3A                         ? (int)CPUID_SSE41                             \
     : PFX_LO_##pfx == PFX_LO_66 ||                                                                \
             (PFX_LO_##pfx == PFX_LO_F3 && (int)(f) == CPUID_MMX) ? (int)CPUID_SSE2                \
                                                                  : (int)(f))

#define OPCODE(id_, o1, o2, o3, o4, attr_, feature_, function)                                     \
    {                                                                                              \
        .mnemonic = name_##id_, .id = M_##id_,                                                     \
        .operand = {OPND_##o1, OPND_##o2, OPND_##o3, OPND_##o4}, .flags_read = READ_##id_,         \
        .flags_written = WRITTEN_##id_, .flags_undefined = UNDEFINED_##id_,                        \
        .attr = ATTR((uint32_t)(attr_) | ATTR_##id_ | ATTR_OF_##o1 | ATTR_OF_##o2 |                \
                     ATTR_OF_##o3 | ATTR_OF_##o4),                                                 \
        .feature = feature_, .interp = function                                                    \
    }

const struct opcode decode_rows[ROW_COUNT] = {
    [ROW_NONE] = {.mnemonic = "undefined", .attr = A_UNDEFINED | A_ENDS, .feature = CPUID__},
#define ENC(id, function, map, first, last, pfx, reg, mod, o1, o2, o3, access, modes, attr)        \
    [ROW_HERE] = OPCODE(id, o1, o2, o3, _, ACCESS_##access | attr,                                 \
                        FEATURE(FEATURE_OF_##id, pfx, map), interp_##function),
#define VEX(id, function, map, opcode, pfx, reg, mod, l, w, o1, o2, o3, o4, access, attr)          \
    [ROW_HERE] = OPCODE(id, o1, o2, o3, o4, ACCESS_##access | attr, FEATURE_OF_##id,               \
                        interp_##function),
#define EVX(id, map, opcode, pfx, w, reg, mod, o1, o2, o3, o4, access, traits)                     \
    [ROW_HERE] = OPCODE(id, o1, o2, o3, o4, ACCESS_##access | A_MASK, FEATURE_OF_##id, interp_evex),
#define FIX(id, function, table, first, last, o1, o2, o3, access, modes, attr)                     \
    [ROW_HERE] = OPCODE(id, o1, o2, o3, _, ACCESS_##access | attr, FEATURE_OF_##id,                \
                        interp_##function),
#define UND(id, map, first, last, pfx, reg, mod, o1, o2, o3, modes)                                \
    [ROW_HERE] = OPCODE(id, o1, o2, o3, _, A_UNDEFINED | A_ENDS, CPUID__, 0),
#include "cpu/opcodes.def"
};

#define FORM(o1, o2, o3, o4, traits_)                                                              \
    {                                                                                              \
        .imm = IMM_OF_##o1 | IMM_OF_##o2 | IMM_OF_##o3 | IMM_OF_##o4,                              \
        .traits = (traits_) | TRAITS_OF_##o1 | TRAITS_OF_##o2 | TRAITS_OF_##o3 | TRAITS_OF_##o4,   \
        .size = SIZE_OF_##o1 | SIZE_OF_##o2 | SIZE_OF_##o3 | SIZE_OF_##o4                          \
    }

/* Some rows have a ModRM byte only because it is part of the opcode. */
#define SELECTED_BY_MODRM(reg, mod)                                                                \
    (REG_HI_##reg - REG_LO_##reg != 7 || MOD_HI_##mod == MOD_LO_##mod ? FORM_MODRM : 0)

const struct form decode_forms[ROW_COUNT] = {
#define ENC(id, function, map, first, last, pfx, reg, mod, o1, o2, o3, access, modes, attr)        \
    [ROW_HERE] = FORM(o1, o2, o3, _, SELECTED_BY_MODRM(reg, mod) | MODES_##modes),
#define VEX(id, function, map, opcode, pfx, reg, mod, l, w, o1, o2, o3, o4, access, attr)          \
    [ROW_HERE] = FORM(o1, o2, o3, o4, SELECTED_BY_MODRM(reg, mod) | L_##l),
#define EVX(id, map, opcode, pfx, w, reg, mod, o1, o2, o3, o4, access, traits)                     \
    [ROW_HERE] = FORM(o1, o2, o3, o4, FORM_MODRM | traits),
#define FIX(id, function, table, first, last, o1, o2, o3, access, modes, attr)                     \
    [ROW_HERE] = FORM(o1, o2, o3, _, FORM_MODRM | MODES_##modes),
#define UND(id, map, first, last, pfx, reg, mod, o1, o2, o3, modes)                                \
    [ROW_HERE] = FORM(o1, o2, o3, _, SELECTED_BY_MODRM(reg, mod) | MODES_##modes),
#include "cpu/opcodes.def"
};

#define SLOTS(pfx, reg, mod)                                                                       \
    [PFX_LO_##pfx ... PFX_HI_##pfx][REG_LO_##reg ... REG_HI_##reg][MOD_LO_##mod ... MOD_HI_##mod]

const uint16_t decode_index[MAP_COUNT][256][4][8][2] = {
#define ENC(id, function, map, first, last, pfx, reg, mod, ...)                                    \
    [MAP_##map][first ... last] SLOTS(pfx, reg, mod) = ROW_HERE,
#define VEX(id, function, map, opcode, pfx, reg, mod, l, w, ...)                                   \
    [MAP_##map + W_LO_##w ... MAP_##map + W_HI_##w][opcode] SLOTS(pfx, reg, mod) = ROW_HERE,
#define EVX(id, map, opcode, pfx, w, reg, mod, ...)                                                \
    [MAP_##map + W_LO_##w ... MAP_##map + W_HI_##w][opcode] SLOTS(pfx, reg, mod) = ROW_HERE,
#define UND(id, map, first, last, pfx, reg, mod, ...)                                              \
    [MAP_##map][first ... last] SLOTS(pfx, reg, mod) = ROW_HERE,
#include "cpu/opcodes.def"
};

const uint16_t decode_fixed[FIXED_COUNT][64] = {
#define FIX(id, function, table, first, last, ...)                                                 \
    [FIXED_##table][(first)-0xC0 ... (last)-0xC0] = ROW_HERE,
#include "cpu/opcodes.def"
};
