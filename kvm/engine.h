/*
 * The state of the KVM engine: private to kvm/.
 *
 *  K1. Between two runs struct vcpu holds everything (V1): run() gives the kernel what has changed
 *      and fetches all of it before it returns, after the kernel has completed what the last exit
 *      left half done.
 *  K2. The kernel is never given a value that it has refused before; what it refuses of registers
 *      that do not decide how a guest runs (MSRs) stays the monitor's alone.
 *  K3. Memory slots agree with physmem's kinds and the A20 gate whenever the guest runs.
 */
#ifndef KVM_ENGINE_H
#define KVM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/vcpu.h"
#include "kvm/host.h"
#include "kvm/kvm.h"

#define KVM_MSRS 40

struct slot {
    uint64_t gpa, size, source; /* of the guest's address; of the memory behind it */
    uint32_t flags;             /* KVM_MEM_ */
};

struct kvm {
    struct vcpu *vcpu;
    struct kvm_host host;
    struct kvm_kind kind;
    char about[64]; /* "kvm_intel, EPT" */
    bool paging; /* the host's KVM can do 32-bit paging */

    /* state.c */
    bool reset;              /* the vcpu has been changed from outside: all of it is to be put */
    bool inside;             /* run() goes on: what changes is not from outside */
    bool ran;                /* since state_get(): the kernel's registers are the true ones */
    bool refused[KVM_MSRS];  /* MSRs that the host does not take or give */
    bool given, given_nmi;   /* the kernel has an interrupt that the guest has not begun */
    uint8_t given_vector;
    uint64_t tsc_offset;     /* of the vcpu when it was last given */

    /* memory.c */
    struct slot *slot;
    unsigned slots, slots_made; /* made: there is room for so many */
    bool relayout;              /* kinds or A20 have changed */
    uint64_t *dirty;            /* a slot's log */
    size_t dirty_size;
    bool shown;                 /* some frame is watched for the display */

    /* engine.c */
    const struct mmu_ops *plain; /* the vcpu's own */
    bool unfinished;         /* the kernel has yet to complete the last exit's instruction */
    uint64_t exits[16], injected, kicks, interpreted;
};

/* --- state.c: registers ---------------------------------------------------------------- */

/* Once: what CPUID says. */
bool state_create(struct kvm *k);

/* To the kernel, where the vcpu has changed since state_get(); back. False: host.failed. */
bool state_put(struct kvm *k);
bool state_get(struct kvm *k);

/* --- memory.c -------------------------------------------------------------------------- */

bool memory_create(struct kvm *k);
void memory_destroy(struct kvm *k);

/* Before the guest runs: K3. */
bool memory_update(struct kvm *k);

/* After it ran: tells physmem which of the frames that are shown it has written. */
void memory_collect(struct kvm *k);

/* The guest's address of the bus for one of its own: A20. */
uint64_t memory_address(const struct kvm *k, uint64_t gpa);

#endif
