/*
 * /dev/kvm as an engine (cpu/engine.h: engine_kvm), and what there is to know about it beforehand.
 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

#include <stdbool.h>
#include <stdint.h>

/* How this host's KVM runs guests, by its modules and their parameters in /sys. */
struct kvm_kind {
    const char *module; /* "kvm_intel"; NULL: none that we know */
    const char *paging; /* "EPT": how it translates the guest's addresses */
    bool hardware;      /* by VT-x or SVM */
};

/* Reads /sys; what it does not find stays NULL and false. */
void kvm_kind_of_host(struct kvm_kind *kind);

/* What a guest of a second's length found. */
struct kvm_probe {
    const char *failed; /* the first thing that cannot be had, or NULL; err is its errno or 0 */
    int err;
    uint64_t per_second; /* instructions, of a loop without paging */
    bool paging;         /* 32-bit paging can be switched on */
};

/* Makes a VM, and runs it for so long. */
void kvm_probe_run(struct kvm_probe *probe, uint64_t ns);

#endif
