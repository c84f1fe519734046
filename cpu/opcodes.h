/* Names generated from opcodes.def. Included by cpu/decode.h only. */
#ifndef CPU_OPCODES_H
#define CPU_OPCODES_H

/* M_ADD, ...: what an instruction is, whatever its encoding. M_NONE: no table row at all. */
enum mnemonic {
    M_NONE,
#define INSN(id, name, read, written, undefined, feature, attr) M_##id,
#include "cpu/opcodes.def"
    M_COUNT
};

/* OPND_Eb, ...: SDM 2, appendix A.2; the comments of opcodes.def say what we added. */
enum operand_kind {
#define OPERAND(name, size, imm, where) OPND_##name,
#include "cpu/opcodes.def"
    OPND_COUNT,
    OPND_NONE = OPND__
};

/* interp_add, ...: defined in cpu/interp_*.c; several rows may share one. */
#define ENC(id, function, ...) interp_fn interp_##function;
#define FIX(id, function, ...) interp_fn interp_##function;
#define VEX(id, function, ...) interp_fn interp_##function;
#include "cpu/opcodes.def"
interp_fn interp_evex;

#endif
