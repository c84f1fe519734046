/* What each operand kind is, and the memory half of operand.h. */
#include "cpu/operand.h"

const struct operand_form operand_forms[OPND_COUNT] = {
    [OPND_Eb] = {PLACE_RM, 1},
    [OPND_Ew] = {PLACE_RM, 2},
    [OPND_Ed] = {PLACE_RM, 4},
    [OPND_Ey] = {PLACE_RM, WIDTH_Y},
    [OPND_Ez] = {PLACE_RM, WIDTH_Z},
    [OPND_Ev] = {PLACE_RM, WIDTH_V},
    [OPND_Rv] = {PLACE_RM, WIDTH_V},
    [OPND_Gb] = {PLACE_REG, 1},
    [OPND_Gw] = {PLACE_REG, 2},
    [OPND_Gd] = {PLACE_REG, 4},
    [OPND_Gy] = {PLACE_REG, WIDTH_Y},
    [OPND_Gv] = {PLACE_REG, WIDTH_V},
    [OPND_Ga] = {PLACE_REG, WIDTH_A},
    [OPND_By] = {PLACE_VVVV, WIDTH_Y},
    [OPND_Zb] = {PLACE_OPCODE, 1},
    [OPND_Zv] = {PLACE_OPCODE, WIDTH_V},
    [OPND_Mb] = {PLACE_MEM, 1},
    [OPND_Mw] = {PLACE_MEM, 2},
    [OPND_Md] = {PLACE_MEM, 4},
    [OPND_Mq] = {PLACE_MEM, 8},
    [OPND_Mv] = {PLACE_MEM, WIDTH_V},
    [OPND_My] = {PLACE_MEM, WIDTH_Y},
    [OPND_Ob] = {PLACE_MEM, 1},
    [OPND_Ov] = {PLACE_MEM, WIDTH_V},
    [OPND_Ib] = {PLACE_IMM, 1},
    [OPND_sIb] = {PLACE_IMM, WIDTH_V},
    [OPND_Iw] = {PLACE_IMM, 2},
    [OPND_Iz] = {PLACE_IMM, WIDTH_V}, /* sign-extended to 64 bits */
    [OPND_Iv] = {PLACE_IMM, WIDTH_V},
    [OPND_I_1] = {PLACE_ONE, 1},
    [OPND_AL] = {PLACE_RAX, 1},
    [OPND_AX] = {PLACE_RAX, 2},
    [OPND_rAX] = {PLACE_RAX, WIDTH_V},
    [OPND_zAX] = {PLACE_RAX, WIDTH_Z},
    [OPND_CL] = {PLACE_RCX, 1},
    [OPND_DX] = {PLACE_RDX, 2},
};

bool operand_load(struct vcpu *vcpu, const struct insn *in, unsigned size, uint64_t *value)
{
    return mem_read(vcpu, in->seg, operand_address(vcpu, in), size, value);
}

bool operand_load_modify(struct vcpu *vcpu, const struct insn *in, unsigned size, uint64_t *value)
{
    return mem_read_modify(vcpu, in->seg, operand_address(vcpu, in), size, value);
}

bool operand_store(struct vcpu *vcpu, const struct insn *in, unsigned size, uint64_t value)
{
    return mem_write(vcpu, in->seg, operand_address(vcpu, in), size, value);
}
