/*
 * What the host offers. Everything is tried, not looked up: a flag in /proc/cpuinfo says nothing
 * about what a container lets through.
 */
#include "frontend/doctor.h"

#include <asm/hwcap2.h>
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sysexits.h>
#include <unistd.h>

#include "direct/sandbox.h"
#include "frontend/cgroup.h"
#include "frontend/confine.h"
#include "kvm/kvm.h"

#define TRY_RAM (1u << 20)
#define MAPS_WANTED 65530 /* Linux's default for vm.max_map_count */

struct host {
    bool fsgsbase, memfd, exec;
    bool quick;
    bool kvm; /* runs an unmodified guest on the CPU */
    long maps;
    const char *no_direct; /* why there is no direct execution; NULL: it works */
};

__attribute__((format(printf, 2, 3))) static void line(const char *what,
                                                       const char *format, ...)
{
    va_list ap;

    printf("  %-22s ", what);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
}

/* --- Hardware virtualization --------------------------------------------------------- */

static const char *vt_flag(void)
{
    unsigned a, b, c, d;

    if (__get_cpuid(1, &a, &b, &c, &d) && c & 1u << 5)
        return "VT-x";
    if (__get_cpuid(0x80000001, &a, &b, &c, &d) && c & 1u << 2)
        return "SVM";
    return NULL;
}

static void look_at_vt(void)
{
    const char *flag = vt_flag();

    line("VT-x, SVM", "%s", flag ? flag : "not offered by this CPU (or by the host of this VM)");
}

#define PROBE_NS 1000000000ull

/* At how many instructions a second, in millions, a guest is emulated rather than run. */
#define EMULATED 100

static void look_into_kvm(struct host *host, const struct kvm_kind *kind)
{
    struct kvm_probe probe;

    kvm_probe_run(&probe, PROBE_NS);
    if (probe.failed) {
        line("engine kvm", "cannot be had: %s%s%s", probe.failed, probe.err ? ": " : "",
             probe.err ? strerror(probe.err) : "");
        return;
    }
    host->kvm = probe.paging && probe.per_second / 1000000 >= EMULATED;
    line("engine kvm", "%s: %s with %.1f million instructions a second%s",
         kind->module ? kind->module : "an unknown module",
         host->kvm ? "runs an unmodified guest" : "emulates an unmodified guest",
         (double)probe.per_second / 1e6, probe.paging ? "" : ", and without 32-bit paging");
    if (probe.paging)
        line("its paging", "%s", kind->paging);
}

static void look_at_kvm(struct host *host)
{
    struct kvm_kind kind;

    kvm_kind_of_host(&kind);
    if (access("/dev/kvm", R_OK | W_OK)) {
        line("/dev/kvm", "cannot be opened: %s", strerror(errno));
        return;
    }
    if (kind.hardware)
        line("/dev/kvm", "there, %s", kind.module);
    else
        line("/dev/kvm", "there, but not for VT-x or SVM%s%s",
             kind.module ? ": a paravirtual kind, " : "", kind.module ? kind.module : "");
    if (!host->quick)
        look_into_kvm(host, &kind);
}

/* --- The CPU --------------------------------------------------------------------------- */

static void look_at_cpu(struct host *host)
{
    char brand[49] = "unknown";
    unsigned words[12];
    bool known = true;

    for (unsigned i = 0; i < 3; i++)
        known &= __get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                             &words[4 * i + 3]);
    if (known)
        memcpy(brand, words, sizeof(words));
    line("CPU", "%s", brand);
    host->fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
    line("FSGSBASE", "%s", host->fsgsbase ? "yes" : "no");
    line("BMI2", "%s", __builtin_cpu_supports("bmi2") ? "yes" : "no");
    line("signal frame", "%lu bytes at least%s", getauxval(AT_MINSIGSTKSZ),
         __builtin_cpu_supports("avx512f") ? " (AVX-512)" : "");
}

/* --- The kernel -------------------------------------------------------------------------- */

static long read_number(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    return n > 0 ? strtol(text, NULL, 10) : -1;
}

static void look_at_memfd(struct host *host)
{
    int fd = memfd_create("novt-doctor", MFD_CLOEXEC);
    void *at = MAP_FAILED;

    host->memfd = fd >= 0;
    line("memfd", "%s", host->memfd ? "yes" : strerror(errno));
    if (fd >= 0 && !ftruncate(fd, 4096))
        at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    host->exec = at != MAP_FAILED;
    line("executable mappings", "%s", host->exec ? "yes" : "refused");
    if (host->exec)
        munmap(at, 4096);
    if (fd >= 0)
        close(fd);
}

static void look_at_seccomp(void)
{
    unsigned action = SECCOMP_RET_TRAP;

    if (!syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
        line("seccomp filters", "yes");
    else
        line("seccomp filters", "no: %s", strerror(errno));
}

static void look_at_limits(struct host *host)
{
    static const char *const overcommit[] = { "heuristic", "always", "never" };
    long mode = read_number("/proc/sys/vm/overcommit_memory");
    uint64_t memory = cgroup_limit("memory", "memory.max", "memory.limit_in_bytes");
    struct rlimit space;
    struct sysinfo info;

    host->maps = read_number("/proc/sys/vm/max_map_count");
    line("vm.max_map_count", "%ld", host->maps);
    line("vm.overcommit_memory", "%ld (%s)", mode, mode >= 0 && mode <= 2 ? overcommit[mode] : "?");
    if (!sysinfo(&info))
        line("memory", "%llu MiB, %llu MiB of it free",
             (unsigned long long)info.totalram * info.mem_unit >> 20,
             (unsigned long long)info.freeram * info.mem_unit >> 20);
    if (memory != UINT64_MAX)
        line("memory of this group", "%" PRIu64 " MiB (memory.max); a guest that has more is "
             "killed, with novt", memory >> 20);
    if (!getrlimit(RLIMIT_AS, &space) && space.rlim_cur != RLIM_INFINITY)
        line("ulimit -v", "%llu MiB; a guest takes 4096 and more",
             (unsigned long long)space.rlim_cur >> 20);
}

/* --- Direct execution ------------------------------------------------------------------ */

static const char *yes_or_errno(long result)
{
    return result < 0 ? strerror(errno) : "yes";
}

static void look_at_facilities(void)
{
    uint64_t tasks = cgroup_limit("pids", "pids.max", "pids.max");
    struct user_desc nothing[1];
    struct rlimit processes;
    long fd = syscall(SYS_pidfd_open, getpid(), 0);

    line("pidfds", "%s", yes_or_errno(fd));
    if (fd >= 0)
        close((int)fd);
    line("modify_ldt", "%s", yes_or_errno(syscall(SYS_modify_ldt, 0, nothing, sizeof(nothing))));
    line("CPUID faulting", "%s; not used: the guest's programs see this CPU's",
         syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1ul) ? "no" : "yes");
    line("ptrace", "not needed");
    line("vm.mmap_min_addr", "%ld: what a program has below that is translated",
         read_number("/proc/sys/vm/mmap_min_addr"));
    if (getrlimit(RLIMIT_NPROC, &processes) || processes.rlim_cur == RLIM_INFINITY)
        line("processes", "unlimited (ulimit -u)");
    else
        line("processes", "%llu of yours (ulimit -u); novt takes two or three, and two for each "
             "guest program that computes", (unsigned long long)processes.rlim_cur);
    if (tasks != UINT64_MAX)
        line("tasks of this group", "%" PRIu64 " (pids.max), direct execution takes four and more",
             tasks);
}

/* All of it at once: a sandbox is made and runs an instruction. */
static const char *try_direct(void)
{
    int fd = memfd_create("novt-doctor", MFD_CLOEXEC);
    const char *why = "memfd_create is refused";
    struct sandbox_host *host = NULL;

    if (fd >= 0 && !ftruncate(fd, TRY_RAM))
        host = sandbox_host_create(fd, TRY_RAM, 0, &why);
    if (host)
        why = NULL;
    sandbox_host_destroy(host);
    if (fd >= 0)
        close(fd);
    return why;
}

static void look_at_direct(struct host *host)
{
    const char *unconfined = confine_try();

    look_at_facilities();
    host->no_direct = try_direct();
    line("direct execution", "%s", host->no_direct ? host->no_direct : "works");
    line("monitor's own filter", "%s", unconfined ? unconfined : "works");
}

/* Loaded by the windows' process alone; looked for here. */
static void look_at_screen(void)
{
    static const struct {
        const char *what, *library, *package;
    } list[] = {
        { "windows", "libSDL2-2.0.so.0", "libsdl2-2.0-0" },
        { "VNC", "libvncserver.so.1", "libvncserver1" },
    };
    const char *desktop = getenv("DISPLAY");

    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
        void *library = dlopen(list[i].library, RTLD_LAZY | RTLD_LOCAL);

        line(list[i].what, library ? "%s is there" : "%s is missing: apt-get install %s",
             list[i].library, list[i].package);
        if (library)
            dlclose(library);
    }
    line("desktop", "%s", desktop && *desktop ? desktop : "none (DISPLAY is not set)");
}

/* --- The verdict ----------------------------------------------------------------------------- */

static int verdict(const struct host *host)
{
    printf("\nnovt will use:\n");
    if (!host->memfd) {
        line("nothing", "novt needs memfd_create(): Linux 3.17 or newer that allows it");
        return EX_UNAVAILABLE;
    }
    if (host->exec)
        line("-engine bt", "guest code is translated; switching address spaces costs %s",
             host->fsgsbase ? "one wrgsbase" : "a system call (no FSGSBASE)");
    else
        line("-engine interp", "must be asked for: this host maps no code that novt makes");
    if (host->exec && host->no_direct)
        line("-user window, tlb", "guest programs are translated, too: computing is slower than on "
             "a host that lets novt run them on the bare CPU");
    else if (host->exec)
        line("-user auto", "guest programs that compute run on the bare CPU (direct), others are "
             "translated (window, tlb)");
    if (host->exec && host->maps >= 0 && host->maps < MAPS_WANTED)
        line("few maps", "vm.max_map_count is low: sysctl vm.max_map_count=%d is faster",
             MAPS_WANTED);
    line("VT-x, SVM, /dev/kvm", host->kvm ? "not used but for -engine kvm"
                              : host->quick ? "not used; -engine kvm was not tried"
                                            : "not used; -engine kvm is not worth it here");
    return EX_OK;
}

int doctor_run(bool quick)
{
    struct host host = { .quick = quick };

    printf("This host:\n");
    look_at_cpu(&host);
    look_at_vt();
    look_at_kvm(&host);
    look_at_memfd(&host);
    look_at_seccomp();
    look_at_limits(&host);
    look_at_direct(&host);
    look_at_screen();
    return verdict(&host);
}
