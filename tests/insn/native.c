/*
 * IRETQ loads the flags (TF too), ESP, SS and a 32-bit CS at once; an exception comes back as a
 * signal, whose handler notes the state and continues at native_leave with the host's registers.
 *
 * FS keeps the C library's thread pointer and is null, so that guests see #GP through it; GS is
 * flat.
 */
#include "tests/insn/native.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/physmem.h"
#include "cpu/x86.h"

/* Popped by native_enter. */
struct entry {
    uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* The low half of IRET's own stack pointer is what a 16-bit stack inherits: entries are here. */
#define ENTRY ((struct entry *)(0x200000000000ull + WORLD_ESP_HIGH))

void native_enter(const struct entry *entry);
void native_leave(void);
void native_signal(int number, siginfo_t *info, void *context);
void native_handler(int number, siginfo_t *info, void *context);

uint64_t native_host_rsp;

__asm__("    .text\n"
        "    .globl native_enter\n"
        "native_enter:\n"
        "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, native_host_rsp(%rip)\n"
        "    mov %rdi, %rsp\n"
        "    pop %rax\n    pop %rcx\n    pop %rdx\n    pop %rbx\n    pop %rbp\n    pop %rsi\n"
        "    pop %rdi\n"
        "    iretq\n"
        "    .globl native_leave\n"
        "native_leave:\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
        "    ret\n"
        /* The kernel leaves AC as the guest had it: C may not run so. */
        "    .globl native_signal\n"
        "native_signal:\n"
        "    pushfq\n"
        "    andl $~0x40000, (%rsp)\n"
        "    popfq\n"
        "    jmp native_handler\n");

static uint8_t *frames;
static struct cpu_state *result;

uint8_t *native_frame(unsigned frame)
{
    return frames + frame * PAGE_SIZE;
}

void native_handler(int number, siginfo_t *info, void *context)
{
    static const uint8_t order[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX,
                                     REG_RSP, REG_RBP, REG_RSI, REG_RDI};
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;

    (void)info;
    if ((g[REG_CSGSFS] & 0xffff) == 0x33) { /* our own bug: let it kill us */
        signal(number, SIG_DFL);
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        result->gpr[i] = (uint32_t)g[order[i]];
    result->eip = (uint32_t)g[REG_RIP];
    result->eflags = (uint32_t)g[REG_EFL];
    result->vector = (uint32_t)g[REG_TRAPNO];
    result->error = (uint32_t)g[REG_ERR];
    result->cr2 = (uint32_t)g[REG_CR2];
    g[REG_RSP] = (greg_t)native_host_rsp;
    g[REG_RIP] = (greg_t)(uintptr_t)native_leave;
    g[REG_EFL] = 0x202;
    g[REG_CSGSFS] = 0x2bll << 48 | 0x33;
}

static int take_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    static uint8_t stack[1 << 17];
    struct sigaction sa = {.sa_sigaction = native_signal,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};

    if (sigaltstack(&ss, NULL))
        return -errno;
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (sigaction(numbers[i], &sa, NULL))
            return -errno;
    return 0;
}

static int map_page(int fd, struct world_page *p)
{
    static const int rights[] = {
        [PAGE_READ] = PROT_READ,
        [PAGE_WRITE] = PROT_READ | PROT_WRITE,
        [PAGE_CODE] = PROT_READ | PROT_EXEC,
    };
    void *at = mmap((void *)(uintptr_t)p->gla, PAGE_SIZE, rights[p->kind],
                    MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd,
                    (off_t)(p->frame * PAGE_SIZE));

    if (at != MAP_FAILED)
        return 0;
    if (p->gla >= 0x10000)
        return -errno;
    p->gla = WORLD_CODE; /* vm.mmap_min_addr: the page is not there, for nobody */
    p->kind = PAGE_CODE;
    p->frame = WORLD_CODE_FRAME;
    return 0;
}

static bool make_ldt(void)
{
    for (unsigned i = 0; i < WORLD_SEGMENTS; i++) {
        const struct world_segment *w = &world_segments[i];
        struct user_desc d = {
            .entry_number = w->selector >> 3,
            .base_addr = w->base,
            .limit = w->limit > 0xfffff ? w->limit >> 12 : w->limit,
            .seg_32bit = w->big,
            .contents = w->code ? MODIFY_LDT_CONTENTS_CODE
                        : w->expand_down ? MODIFY_LDT_CONTENTS_STACK : MODIFY_LDT_CONTENTS_DATA,
            .read_exec_only = w->read_only,
            .limit_in_pages = w->limit > 0xfffff,
            .useable = 1,
        };

        if (w->selector & 4 && syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)))
            return false;
    }
    return true;
}

int native_create(void)
{
    int fd = memfd_create("insn", 0), err;

    if (fd < 0 || ftruncate(fd, WORLD_FRAMES * PAGE_SIZE))
        return -errno;
    frames = mmap(NULL, WORLD_FRAMES * PAGE_SIZE, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, fd, 0);
    if (frames == MAP_FAILED)
        return -errno;
    for (struct world_page *p = world_pages; p->kind != PAGE_ABSENT; p++) {
        err = map_page(fd, p);
        if (err)
            return err;
    }
    close(fd);
    if (mmap(ENTRY, PAGE_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != ENTRY)
        return -errno;
    world_has_ldt = make_ldt();
    return take_signals();
}

static uint16_t selector(const struct cpu_state *s, unsigned seg)
{
    return world_segments[s->seg[seg]].selector;
}

static void load_data_segments(const struct cpu_state *s)
{
    static uint8_t loaded[6];

    if (!memcmp(loaded, s->seg, sizeof(loaded)))
        return;
    memcpy(loaded, s->seg, sizeof(loaded));
    __asm__ volatile("mov %0, %%ds" : : "r"(selector(s, SEG_DS)));
    __asm__ volatile("mov %0, %%es" : : "r"(selector(s, SEG_ES)));
    __asm__ volatile("mov %0, %%gs" : : "r"(selector(s, SEG_GS)));
}

/* The translator keeps a window's address in the base of GS, which its selector does not show. */
static uint64_t gs_base(void)
{
    uint64_t base = 0;

    syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
    return base;
}

void native_run(const struct cpu_state *before, struct cpu_state *after)
{
    uint64_t base = gs_base();

    *ENTRY = (struct entry){
        .rax = before->gpr[0], .rcx = before->gpr[1], .rdx = before->gpr[2],
        .rbx = before->gpr[3], .rbp = before->gpr[5], .rsi = before->gpr[6],
        .rdi = before->gpr[7], .rip = before->eip, .cs = selector(before, SEG_CS),
        .rflags = before->eflags, .rsp = before->gpr[4], .ss = selector(before, SEG_SS),
    };
    load_data_segments(before);
    if (base)
        __asm__ volatile("mov %0, %%gs" : : "r"(selector(before, SEG_GS)));
    result = after;
    native_enter(ENTRY);
    if (base)
        syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}
