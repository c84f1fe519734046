/* A VM with one vcpu, as descriptors: private to kvm/. */
#ifndef KVM_HOST_H
#define KVM_HOST_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>

struct kvm_host {
    int dev, vm, cpu;    /* descriptors, or -1 */
    struct kvm_run *run; /* shared with the kernel */
    size_t run_size;
    int slots;           /* how many runs of memory there may be */
    bool sync;           /* registers come and go in *run */
    const char *failed;  /* what could not be had, with errno or 0 in err */
    int err;
};

/* Opens /dev/kvm and makes the VM. False: host->failed says what was missing; close it, too. */
bool kvm_host_open(struct kvm_host *host);
void kvm_host_close(struct kvm_host *host);

/* An ioctl whose failure is kept in host->failed under its name. */
bool kvm_host_ask(struct kvm_host *host, int fd, unsigned long request, void *arg,
                  const char *name);
#define KVM_ASK(host, fd, request, arg) kvm_host_ask(host, fd, request, arg, #request)

/* Runs without paging or page tables: 32-bit code from eip on, in flat segments. */
bool kvm_host_flat(struct kvm_host *host, unsigned eip);

#endif
