/*
 * What is remembered of INT from virtual-8086 mode to flat code of CPL 0 and of IRET back (D3 in
 * crossing.c).
 */
#ifndef TRANSLATOR_CROSSING_H
#define TRANSLATOR_CROSSING_H

#include "translator/unit.h"

/* The vector's gate leads to cs, the TSS to ss; the frame has not been pushed. NULL: nothing is to
 * be remembered. */
struct bt_crossing *crossing_begin(struct vcpu *vcpu, uint8_t vector, const struct segment *cs,
                                   const struct segment *ss);
/* All of it is done; frame: where it has been pushed. c may be NULL. */
void crossing_in(struct vcpu *vcpu, struct bt_crossing *c, uint8_t vector, uint8_t *frame,
                 bool interrupt);
/* IRET has gone back to virtual-8086 mode. */
void crossing_out(struct vcpu *vcpu);
/* CPL 0's mode is one that bt_change_mode may lead to. */
void crossing_mode(struct vcpu *vcpu);
/* The jump table of the mode key, if that is remembered and needs no other window: the vcpu has
 * what else it goes by. NULL: it is to be looked for. */
const struct jump_table *crossing_known(struct vcpu *vcpu, uint32_t key);
void crossing_forget(struct vcpu *vcpu);
void crossing_forget_tables(struct vcpu *vcpu); /* but modes, which do not depend on tables */
void crossing_check(struct vcpu *vcpu); /* D3 */

#endif
