/* The sixteen conditions of Jcc, SETcc and CMOVcc. Reference: SDM volume 1, appendix B. */
#ifndef CPU_CONDITION_H
#define CPU_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86.h"

/* opcode: its low four bits are the condition, the lowest negates. */
static inline bool condition_holds(uint32_t eflags, uint8_t opcode)
{
    static const uint32_t tested[8] = {
        EFLAGS_OF, EFLAGS_CF, EFLAGS_ZF,  EFLAGS_CF | EFLAGS_ZF, EFLAGS_SF,
        EFLAGS_PF, EFLAGS_SF, EFLAGS_SF,
    };
    unsigned which = opcode >> 1 & 7;
    uint32_t flags = eflags;

    if (which >= 6) /* L and LE: SF differs from OF */
        flags ^= eflags >> 4 & EFLAGS_SF;
    bool holds = flags & tested[which] || (which == 7 && eflags & EFLAGS_ZF);

    return holds ^ (opcode & 1);
}

#endif
