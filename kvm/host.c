/*
 * Opening /dev/kvm. Reference: Linux, Documentation/virt/kvm/api.rst. Nothing about the host is
 * taken for granted: each call may fail, and is named in what the user is told.
 */
#include "kvm/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Three pages for the CPU's task in real mode, and one for its page table, on CPUs that have VT-x
 * but no "unrestricted guest": where neither memory nor a chip is. */
#define GPA_TSS      0xfeffd000ul
#define GPA_IDENTITY 0xfeffc000ull

static bool fail(struct kvm_host *host, const char *what, int err)
{
    host->failed = what;
    host->err = err;
    return false;
}

bool kvm_host_ask(struct kvm_host *host, int fd, unsigned long request, void *arg,
                  const char *name)
{
    return ioctl(fd, request, arg) >= 0 || fail(host, name, errno);
}

static bool open_device(struct kvm_host *host)
{
    host->dev = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (host->dev < 0)
        return fail(host, "/dev/kvm cannot be opened", errno);
    if (ioctl(host->dev, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return fail(host, "/dev/kvm has an interface that is not version 12", 0);
    return true;
}

static int extension(const struct kvm_host *host, long which)
{
    return ioctl(host->vm, KVM_CHECK_EXTENSION, which);
}

static bool check_extensions(struct kvm_host *host)
{
    static const struct {
        int number;
        const char *missing;
    } needed[] = {
        { KVM_CAP_USER_MEMORY, "KVM has no KVM_CAP_USER_MEMORY" },
        { KVM_CAP_IMMEDIATE_EXIT, "KVM has no KVM_CAP_IMMEDIATE_EXIT (Linux 4.12)" },
        { KVM_CAP_READONLY_MEM, "KVM has no KVM_CAP_READONLY_MEM" },
        { KVM_CAP_XSAVE, "KVM has no KVM_CAP_XSAVE" },
        { KVM_CAP_VCPU_EVENTS, "KVM has no KVM_CAP_VCPU_EVENTS" },
        { KVM_CAP_DEBUGREGS, "KVM has no KVM_CAP_DEBUGREGS" },
    };
    const int sync = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;

    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
        if (extension(host, needed[i].number) <= 0)
            return fail(host, needed[i].missing, 0);
    host->slots = extension(host, KVM_CAP_NR_MEMSLOTS);
    host->sync = (extension(host, KVM_CAP_SYNC_REGS) & sync) == sync;
    return true;
}

/* What VT-x may need for real mode; others have no use for it, or do not know it. */
static void place_tss(const struct kvm_host *host)
{
    uint64_t identity = GPA_IDENTITY;

    if (extension(host, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0)
        ioctl(host->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    if (extension(host, KVM_CAP_SET_TSS_ADDR) > 0)
        ioctl(host->vm, KVM_SET_TSS_ADDR, GPA_TSS);
}

static bool make_vcpu(struct kvm_host *host)
{
    int size = ioctl(host->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
    void *run;

    if (size < (int)sizeof(*host->run))
        return fail(host, "KVM_GET_VCPU_MMAP_SIZE", size < 0 ? errno : 0);
    host->cpu = ioctl(host->vm, KVM_CREATE_VCPU, 0);
    if (host->cpu < 0)
        return fail(host, "KVM_CREATE_VCPU", errno);
    run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, host->cpu, 0);
    if (run == MAP_FAILED)
        return fail(host, "the vcpu's page cannot be mapped", errno);
    host->run = run;
    host->run_size = (size_t)size;
    return true;
}

bool kvm_host_open(struct kvm_host *host)
{
    *host = (struct kvm_host){ .dev = -1, .vm = -1, .cpu = -1 };
    if (!open_device(host))
        return false;
    host->vm = ioctl(host->dev, KVM_CREATE_VM, 0);
    if (host->vm < 0)
        return fail(host, "KVM_CREATE_VM", errno);
    if (!check_extensions(host))
        return false;
    place_tss(host);
    return make_vcpu(host);
}

void kvm_host_close(struct kvm_host *host)
{
    const int fds[] = { host->cpu, host->vm, host->dev };

    if (host->run)
        munmap(host->run, host->run_size);
    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *host = (struct kvm_host){ .dev = -1, .vm = -1, .cpu = -1 };
}

bool kvm_host_flat(struct kvm_host *host, unsigned eip)
{
    struct kvm_segment data = { .limit = UINT32_MAX, .selector = 16, .type = 3, .present = 1,
                                .s = 1, .db = 1, .g = 1 };
    struct kvm_regs regs = { .rip = eip, .rflags = 2 };
    struct kvm_sregs sregs;

    if (!KVM_ASK(host, host->cpu, KVM_GET_SREGS, &sregs))
        return false;
    sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = sregs.cs = data;
    sregs.cs.selector = 8;
    sregs.cs.type = 11;
    sregs.cr0 = 0x31; /* PE, ET, NE */
    return KVM_ASK(host, host->cpu, KVM_SET_SREGS, &sregs) &&
           KVM_ASK(host, host->cpu, KVM_SET_REGS, &regs);
}
