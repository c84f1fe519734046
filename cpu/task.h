/*
 * The task-state segment: stacks of inner privileges, the I/O permission bitmap, task switches.
 * Reference: SDM volume 3, chapter 7.
 */
#ifndef CPU_TASK_H
#define CPU_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/mem.h"
#include "cpu/segment.h"
#include "cpu/vcpu.h"

/*
 * The stack that the current TSS gives for privilege dpl, with all checks on it; ext: the error
 * codes' EXT bit. True when it faulted (#TS, #SS, #PF).
 */
MUST_CHECK bool task_inner_stack(struct vcpu *vcpu, unsigned dpl, uint32_t ext, struct stack *st);

/* Does the I/O permission bitmap or IOPL forbid this port? Then #GP(0) (or #PF) is raised. */
MUST_CHECK bool task_port_denied(struct vcpu *vcpu, uint16_t port, unsigned size);

enum task_reason { TASK_JMP, TASK_CALL, TASK_EVENT, TASK_IRET };

struct task_switch {
    enum task_reason reason;
    uint16_t selector;   /* of the new task's TSS */
    uint64_t next_rip;   /* saved in the old TSS */
    uint32_t saved_eflags; /* likewise */
    uint32_t ext;
    bool has_error;      /* TASK_EVENT: pushed on the new task's stack */
    uint32_t error;
};

/*
 * Switches tasks. For JMP and CALL of a TSS descriptor the caller has checked the privilege; type,
 * presence and everything after is checked here. True when it faulted: before the switch with
 * nothing changed, or in the new task's context (vcpu->rip and all registers are the new task's),
 * SDM 3, table 7-1.
 */
MUST_CHECK bool task_switch(struct vcpu *vcpu, const struct task_switch *ts);

/* IRET with NT set: back to the task that the current TSS's link names. */
MUST_CHECK bool task_return(struct vcpu *vcpu, uint64_t next_rip);

#endif
