/* Parts of selftest: thread-local segments, segment limits. See selftest.h. */
#include "guests/initramfs/selftest.h"

/* ---- Threads and segments ---------------------------------------------- */

struct descriptor {
    uint32_t entry, base, limit, flags;
};

enum { DESC_32BIT = 1, DESC_DATA = 0, DESC_EXPAND_DOWN = 1 << 1, DESC_PAGES = 1 << 4,
       DESC_USABLE = 1 << 6 };

static uint8_t text[PAGE]; /* behind the segments */

/* A descriptor of the GDT that the kernel swaps with the thread, behind gs. */
void part_tls(void)
{
    struct descriptor d = { (uint32_t)-1, (uint32_t)text, 0xfffff,
                            DESC_32BIT | DESC_PAGES | DESC_USABLE };
    uint32_t got;
    int pid;

    if (sys1(SYS_set_thread_area, &d))
        rt_fail("set_thread_area", -1);
    __asm__ volatile("movw %w0, %%gs" : : "r"(d.entry << 3 | 3));
    for (unsigned i = 0; i < 256; i++)
        text[i] = (uint8_t)(i * 7);
    pid = rt_fork();
    for (unsigned i = 0; i < 252; i++) {
        __asm__ volatile("movl %%gs:(%1), %0" : "=r"(got) : "r"(i));
        mix32(got);
        __asm__ volatile("movl %0, %%gs:(%1)" : : "r"(got + (uint32_t)pid % 1), "r"(i) : "memory");
        sys0(SYS_getppid);
    }
    if (!pid)
        rt_exit(0);
    rt_wait(pid);
    __asm__ volatile("movw %w0, %%gs" : : "r"(0));
}

static volatile uint32_t fault_count, fault_resume;

static void note_limit(int signal, void *info, struct context *context)
{
    (void)info;
    mix32((uint32_t)signal << 16 | context->trapno);
    mix32(context->err);
    fault_count++;
    context->eip = fault_resume;
}

static void set_ldt(unsigned entry, uint32_t limit, uint32_t flags)
{
    struct descriptor d = { entry, (uint32_t)text, limit, flags };
    long result = sys3(SYS_modify_ldt, 1, &d, sizeof(d));

    if (result)
        rt_fail("modify_ldt", result);
}

static uint32_t read_fs(uint32_t offset)
{
    uint32_t got = 0xdead;

    __asm__ volatile("movl $1f, %1\n movl %%fs:(%2), %0\n 1:"
                     : "+r"(got), "=m"(fault_resume) : "r"(offset) : "memory");
    return got;
}

/* Limits of an LDT's segments: byte granular, and expand-down. */
void part_limits(void)
{
    on_signal(11, note_limit);
    set_ldt(0, 99, DESC_32BIT | DESC_USABLE);
    set_ldt(1, 99, DESC_32BIT | DESC_EXPAND_DOWN | DESC_USABLE);
    for (unsigned entry = 0; entry < 2; entry++) {
        __asm__ volatile("movw %w0, %%fs" : : "r"(entry << 3 | 7));
        for (unsigned i = 90; i < 110; i++)
            mix32(read_fs(i));
        mix32(read_fs(0xffffffff));
    }
    __asm__ volatile("movw %w0, %%fs" : : "r"(0));
    mix32(fault_count);
}
