/* Looks into shadowmm: does what is cached keep its invariants? */
#ifndef TESTS_SHADOW_SHADOW_CHECK_H
#define TESTS_SHADOW_SHADOW_CHECK_H

#include <stdbool.h>

struct shadowmm;

/*
 * S1 to S5, T1, T2 and W1 (shadowmm.h, tlb.h): every TLB entry and every page mapped in a window,
 * of all views, against a walk through what is traced. synced: a CR3 write has just been. Returns
 * how many do not hold, having printed the first ones.
 */
unsigned shadow_check(struct shadowmm *sm, bool synced);

/* The areas against what the host says is mapped (/proc/self/maps; costs milliseconds). */
unsigned shadow_check_maps(const struct shadowmm *sm);

#endif
