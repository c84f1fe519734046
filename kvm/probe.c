/*
 * What this host's KVM is and what it can do: asked of /sys, and of a guest of our own.
 *
 * Known case: kvm_pvm, which makes VMs without VT-x or SVM for guests that were written for it.
 * Unmodified ones are interpreted by KVM's instruction emulator, and have no 32-bit paging.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "kvm/host.h"
#include "kvm/kvm.h"

/* --- By its modules ------------------------------------------------------------------ */

static bool is_on(const char *parameter)
{
    char value = 'N';
    int fd = open(parameter, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    if (read(fd, &value, 1) != 1)
        value = 'N';
    close(fd);
    return value == 'Y' || value == '1';
}

void kvm_kind_of_host(struct kvm_kind *kind)
{
    static const struct {
        const char *module, *folder, *parameter, *with, *without;
        bool hardware;
    } known[] = {
        { "kvm_intel", "/sys/module/kvm_intel", "/sys/module/kvm_intel/parameters/ept", "EPT",
          "shadow paging", true },
        { "kvm_amd", "/sys/module/kvm_amd", "/sys/module/kvm_amd/parameters/npt", "NPT",
          "shadow paging", true },
        { "kvm_pvm", "/sys/module/kvm_pvm", "", "", "shadow paging", false },
    };

    *kind = (struct kvm_kind){ .paging = "unknown paging" };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (access(known[i].folder, F_OK))
            continue;
        *kind = (struct kvm_kind){ known[i].module,
                                   is_on(known[i].parameter) ? known[i].with : known[i].without,
                                   known[i].hardware };
        return;
    }
}

/* --- By a guest ---------------------------------------------------------------------- */

enum {
    RAM = 0x10000,
    CODE = 0x1000,
    PAGING_CODE = 0x1100,
    DIRECTORY = 0x2000,
    CR4_PSE = 0x10,
    LARGE_PAGE = 0x83, /* present, writable, 4 MiB */
    DONE_PORT = 0x80,
};

/* 1: add $1, %eax; adc $0, %edx; jmp 1b: EDX:EAX counts. */
static const uint8_t counting[] = { 0x83, 0xc0, 0x01, 0x83, 0xd2, 0x00, 0xeb, 0xf8 };
enum { COUNTING_INSNS = 3 };

/* mov %cr0, %eax; bts $31, %eax; mov %eax, %cr0; out %al, $DONE_PORT */
static const uint8_t paging_on[] = { 0x0f, 0x20, 0xc0, 0x0f, 0xba, 0xe8, 0x1f,
                                     0x0f, 0x22, 0xc0, 0xe6, DONE_PORT };

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void interrupt(int sig)
{
    (void)sig; /* KVM_RUN comes back */
}

/* A signal now and then, so that no run lasts for ever. */
static void interrupts(bool on, struct sigaction *old)
{
    struct sigaction action = { .sa_handler = interrupt };
    struct itimerval timer = { .it_value = { 0, 50000 }, .it_interval = { 0, 50000 } };

    if (on) {
        sigaction(SIGALRM, &action, old);
    } else {
        timer = (struct itimerval){ 0 };
    }
    setitimer(ITIMER_REAL, &timer, NULL);
    if (!on)
        sigaction(SIGALRM, old, NULL);
}

static bool give_memory(struct kvm_host *host, void *ram)
{
    struct kvm_userspace_memory_region region = { .memory_size = RAM,
                                                  .userspace_addr = (uintptr_t)ram };
    const uint32_t entry = LARGE_PAGE;

    memcpy((uint8_t *)ram + CODE, counting, sizeof(counting));
    memcpy((uint8_t *)ram + PAGING_CODE, paging_on, sizeof(paging_on));
    memcpy((uint8_t *)ram + DIRECTORY, &entry, sizeof(entry));
    return KVM_ASK(host, host->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* True: it was interrupted, and may go on. */
static bool run_a_while(struct kvm_host *host)
{
    if (!ioctl(host->cpu, KVM_RUN, 0))
        return false;
    if (errno == EINTR || errno == EAGAIN)
        return true;
    host->failed = "KVM_RUN";
    host->err = errno;
    return false;
}

static bool count_insns(struct kvm_host *host, uint64_t ns, uint64_t *per_second)
{
    uint64_t start = now_ns(), took;
    struct kvm_regs regs;

    if (!kvm_host_flat(host, CODE))
        return false;
    do {
        if (!run_a_while(host)) {
            if (!host->failed)
                host->failed = "a guest that does nothing but count has ended";
            return false;
        }
        took = now_ns() - start;
    } while (took < ns);
    if (!KVM_ASK(host, host->cpu, KVM_GET_REGS, &regs))
        return false;
    *per_second = (uint64_t)((double)((regs.rdx << 32) + regs.rax) * COUNTING_INSNS * 1e9 /
                             (double)took);
    return true;
}

/* True: a guest has switched it on, and lived. */
static bool try_paging(struct kvm_host *host, uint64_t ns)
{
    uint64_t start = now_ns();
    struct kvm_sregs sregs;

    if (!kvm_host_flat(host, PAGING_CODE) || !KVM_ASK(host, host->cpu, KVM_GET_SREGS, &sregs))
        return false;
    sregs.cr3 = DIRECTORY;
    sregs.cr4 = CR4_PSE;
    if (!KVM_ASK(host, host->cpu, KVM_SET_SREGS, &sregs))
        return false;
    while (run_a_while(host))
        if (now_ns() - start > ns)
            return false;
    return !host->failed && host->run->exit_reason == KVM_EXIT_IO &&
           host->run->io.port == DONE_PORT;
}

static void run_guests(struct kvm_host *host, struct kvm_probe *probe, uint64_t ns)
{
    struct sigaction old;

    interrupts(true, &old);
    if (count_insns(host, ns, &probe->per_second)) {
        probe->paging = try_paging(host, ns);
        host->failed = NULL; /* that it has none is an answer */
    }
    interrupts(false, &old);
}

void kvm_probe_run(struct kvm_probe *probe, uint64_t ns)
{
    void *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct kvm_host host;

    *probe = (struct kvm_probe){ 0 };
    if (kvm_host_open(&host) && ram != MAP_FAILED && give_memory(&host, ram))
        run_guests(&host, probe, ns);
    probe->failed = ram == MAP_FAILED ? "no memory for a guest" : host.failed;
    probe->err = host.err;
    kvm_host_close(&host);
    if (ram != MAP_FAILED)
        munmap(ram, RAM);
}
