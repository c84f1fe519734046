/*
 * Who called the guest code that runs: a walk over its stack, of 32-bit code. A guess where the
 * code keeps no frame pointers: see backtrace.c.
 */
#ifndef FRONTEND_BACKTRACE_H
#define FRONTEND_BACKTRACE_H

#include <stdbool.h>
#include <stdint.h>

struct guest_point;
struct vcpu;

#define BACKTRACE_MAX 128

struct backtrace {
    unsigned count;
    struct {
        uint32_t eip;   /* [0]: the point's; others: return addresses */
        uint32_t entry; /* of the function, as its caller calls it; 0: not known */
        bool user;
    } frame[BACKTRACE_MAX];
    bool in_user;      /* a user's program is at the outer end ... */
    uint32_t user_esp; /* ... and this was its stack pointer */
};

/* In the current address space. Looks only; whatever the guest has there. */
void backtrace_take(struct vcpu *vcpu, const struct guest_point *at, struct backtrace *trace);

#endif
