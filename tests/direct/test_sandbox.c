/* The sandboxed process: every kind of exit, guest memory, state that must survive, kicks, life. */
#include <dirent.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "direct/sandbox_private.h"
#include "tests/direct/fixture.h"

static void expect_fault(struct sandbox_exit e, const struct sandbox_regs *r, unsigned vector,
                         uint32_t error, uint32_t offset)
{
    CHECK_EQ(e.kind, SANDBOX_FAULT);
    CHECK_EQ(e.vector, vector);
    CHECK_EQ(e.error, error);
    CHECK_EQ(r->rip, CODE + offset);
}

/* code..., vector, error code, offset of the rip that is pushed, flags to start with */
#define FAULTS(vector, error, offset, flags, ...)                                            \
    do {                                                                                     \
        struct sandbox_regs r_ = fixture_regs();                                             \
        r_.eflags = flags;                                                                   \
        expect_fault(RUN(&r_, __VA_ARGS__), &r_, vector, error, offset);                     \
        CHECK_EQ(r_.gpr[7], 0x88);                                                           \
        CHECK_EQ(r_.cs, SANDBOX_CS32);                                                       \
        CHECK_EQ(r_.ds, SANDBOX_DS);                                                         \
    } while (0)

static void test_faults(void)
{
    struct sandbox_regs fpu;

    FAULTS(0, 0, 2, 0x202, 0x31, 0xdb, 0xf7, 0xf3);             /* xor ebx,ebx; div ebx */
    FAULTS(1, 0, 1, 0x302, 0x90, 0x90);                         /* TF */
    FAULTS(3, 0, 1, 0x202, 0xcc);                               /* int3 */
    FAULTS(3, 0, 2, 0x202, 0xcd, 0x03);                         /* int 3 in two bytes */
    FAULTS(4, 0, 1, 0xa02, 0xce);                               /* into, OF */
    FAULTS(5, 0, 9, 0x202, 0x6a, 1, 0x6a, 0, 0xb8, 9, 0, 0, 0, 0x62, 0x04, 0x24); /* bound */
    FAULTS(6, 0, 1, 0x202, 0x90, 0x0f, 0x0b);                   /* ud2 */
    FAULTS(13, 0, 0, 0x202, 0xf4);                              /* hlt */
    FAULTS(13, 0, 0, 0x202, 0xfa);                              /* cli */
    FAULTS(13, 0, 0, 0x202, 0xec);                              /* in al,dx */
    FAULTS(13, 0, 0, 0x202, 0x0f, 0x20, 0xc0);                  /* mov eax,cr0 */
    FAULTS(13, 0x21 * 8 + 2, 0, 0x202, 0xcd, 0x21);             /* int 0x21 */
    FAULTS(13, 2 * 8 + 2, 0, 0x202, 0xcd, 2);
    FAULTS(14, 4, 0, 0x202, 0xa1, 0, 0, 0, 0x60);               /* read of nothing */
    FAULTS(14, 6, 0, 0x202, 0xa3, 0, 0, 0, 0x60);
    FAULTS(14, 7, 0, 0x202, 0xa3, 0, 0x80, 0x04, 0x08);         /* write of CODE */
    FAULTS(17, 0, 0, 0x40202, 0xa1, 1, 0, 0, 0xbf);             /* AC */
    /* fninit; unmask #Z: push 0x37b; fldcw [esp]; fldz; fld1; fdivrp; fwait */
    FAULTS(16, 0, 17, 0x202, 0xdb, 0xe3, 0x68, 0x7b, 3, 0, 0, 0xd9, 0x2c, 0x24, 0xd9, 0xe8, 0xd9,
           0xee, 0xde, 0xf9, 0x90, 0x9b);
    fpu = fixture_regs();
    RUN(&fpu, 0xdb, 0xe3, 0xf4);
    /* push 0x1d80 (unmask #Z); ldmxcsr [esp]; divss xmm0 = 1/0 */
    FAULTS(19, 0, 21, 0x202, 0x0f, 0x57, 0xc9, 0x68, 0x80, 0x1d, 0, 0, 0xb8, 1, 0, 0, 0, 0xf3, 0x0f,
           0x2a, 0xc0, 0x0f, 0xae, 0x14, 0x24, 0xf3, 0x0f, 0x5e, 0xc1);
}

/* INT1 is a trap, wherever the host says that it happened, and no single step. */
static void test_int1(void)
{
    for (unsigned tf = 0; tf <= 0x100; tf += 0x100) {
        struct sandbox_regs r = fixture_regs();
        struct sandbox_exit e;

        r.eflags |= tf;
        e = RUN(&r, 0xf1, 0xf1);
        expect_fault(e, &r, 1, 0, 1);
        CHECK_EQ(e.int1, 1);
        r = fixture_regs();
        r.eflags |= 0x100;
        e = RUN(&r, 0x90, 0xf1);
        expect_fault(e, &r, 1, 0, 1);
        CHECK_EQ(e.int1, 0);
    }
}

/* SYSCALL on AMD's CPUs: all but EIP, ECX and, where the word at ESP is not there, EAX is true. */
static void test_syscall32(void)
{
    for (unsigned i = 0; i < 4; i++) {
        struct sandbox_regs r = fixture_regs();
        struct sandbox_exit e;
        bool stack = !(i & 1), steps = i & 2;

        if (!stack)
            r.gpr[4] = 0x1000000; /* nothing is there */
        r.eflags |= steps ? 0x4dd5 : 0x8d5; /* NT, OF, DF, TF, SF, ZF, AF, PF, CF */
        e = RUN(&r, 0x0f, 0x05);
        CHECK_EQ(e.kind, SANDBOX_SYSCALL32);
        CHECK_EQ(r.rip, 0);
        CHECK_EQ(r.gpr[0] == 0x11 || !stack, 1);
        CHECK_EQ(r.gpr[1], 0);
        CHECK_EQ(r.gpr[2], 0x33);
        CHECK_EQ(r.gpr[3], 0x44);
        CHECK_EQ(r.gpr[4], stack ? DATA + 0x800 : 0x1000000);
        CHECK_EQ(r.gpr[5], DATA + 0x900);
        CHECK_EQ(r.gpr[6], 0x77);
        CHECK_EQ(r.gpr[7], 0x88);
        CHECK_EQ(r.eflags, steps ? 0x4fd7 : 0xad7);
    }
}

static void test_calls(void)
{
    const bool amd = sandbox_host_caps(host)->syscall32;
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e = RUN(&r, 0xcd, 0x80, 0xf4);

    CHECK_EQ(e.kind, SANDBOX_INT80);
    CHECK_EQ(e.number, 0x11);
    CHECK_EQ(r.rip, CODE + 2);
    CHECK_EQ(r.gpr[0], 0x11);
    CHECK_EQ(r.gpr[5], DATA + 0x900);
    r = fixture_regs();
    e = RUN(&r, 0x0f, 0x34); /* Intel: enters the kernel; AMD: #UD */
    CHECK_EQ(e.kind, amd ? SANDBOX_FAULT : SANDBOX_SYSENTER);
    CHECK_EQ(r.gpr[0], 0x11);
    CHECK_EQ(r.gpr[1], 0x22);
    CHECK_EQ(r.gpr[2], 0x33);
    CHECK_EQ(r.gpr[3], 0x44);
    CHECK_EQ(r.gpr[5], DATA + 0x900);
    CHECK_EQ(r.gpr[6], 0x77);
    if (amd) {
        CHECK_EQ(e.vector, 6);
        CHECK_EQ(r.rip, CODE);
        test_syscall32();
        return;
    }
    FAULTS(6, 0, 0, 0x202, 0x0f, 0x05);
    r = fixture_regs();
    r.gpr[5] = 0x1000000; /* nothing is there */
    e = RUN(&r, 0x0f, 0x34);
    CHECK_EQ(e.kind, SANDBOX_SYSENTER);
    CHECK_EQ(e.sysenter_lost_eax, 1);
    CHECK_EQ(r.gpr[5], 0x1000000);
}

static void test_memory(void)
{
    struct sandbox_regs r = fixture_regs();
    const uint8_t store[] = { 0xa3, 4, 0, 0, 0xbf, 0xf4 }, load[] = { 0xa1, 4, 0, 0, 0xbf, 0xf4 };

    expect_fault(fixture_run(store, 6, &r), &r, 13, 0, 5);
    CHECK_EQ(*(uint32_t *)(ram + 4096 + 4), 0x11);
    CHECK_EQ((uint64_t)sandbox_protect(box, DATA, 1, SANDBOX_READ), 0);
    r = fixture_regs();
    expect_fault(fixture_run(store, 6, &r), &r, 14, 7, 0);
    expect_fault(fixture_run(load, 6, &r), &r, 13, 0, 5);
    CHECK_EQ((uint64_t)sandbox_unmap(box, DATA, 1), 0);
    r = fixture_regs();
    expect_fault(fixture_run(load, 6, &r), &r, 14, 4, 0);
    CHECK_EQ((uint64_t)sandbox_map(box, DATA, 4096 * 7, 1, SANDBOX_READ, false), 0);
    *(uint32_t *)(ram + 4096 * 7 + 4) = 0xabcdef;
    r = fixture_regs();
    expect_fault(fixture_run(load, 6, &r), &r, 13, 0, 5);
    CHECK_EQ(r.gpr[0], 0xabcdef);
    CHECK_EQ((uint64_t)sandbox_map(box, DATA, 4096, 4, 7, true), 0);
    /* Refused before they are queued. */
    CHECK_EQ((uint64_t)-sandbox_map(box, 0x1001, 0, 1, 1, false), EINVAL);
    CHECK_EQ((uint64_t)-sandbox_map(box, 0xfff00000, 0, 1, 1, false), EINVAL);
    CHECK_EQ((uint64_t)-sandbox_map(box, 0xffeff000, 0, 2, 1, false), EINVAL);
    CHECK_EQ((uint64_t)-sandbox_map(box, 1ull << 32, 0, 1, 1, false), EINVAL);
    CHECK_EQ((uint64_t)-sandbox_map(box, 0x10000, RAM_SIZE, 1, 1, false), EINVAL);
    CHECK_EQ((uint64_t)-sandbox_map(box, 0x10000, RAM_SIZE - 4096, 2, 1, false), EINVAL);
    CHECK_EQ((uint64_t)-sandbox_unmap(box, 0x10000, ~0ull), EINVAL);
    /* A request that the host refuses says so; those behind it are not done. */
    CHECK_EQ((uint64_t)sandbox_protect(box, 0x10000000, 1, 1), 0);
    CHECK_EQ((uint64_t)sandbox_unmap(box, DATA, 1), 0);
    CHECK_EQ((uint64_t)-sandbox_flush(box), ENOMEM);
    r = fixture_regs();
    expect_fault(fixture_run(load, 6, &r), &r, 13, 0, 5);
}

/* More requests than the queue holds. */
static void test_batch(void)
{
    struct sandbox_regs r = fixture_regs();
    uint64_t flushes = sandbox_stats(box)->flushes;

    for (unsigned i = 0; i < 1000; i++)
        CHECK_EQ((uint64_t)sandbox_map(box, 0x20000000 + i * 8192, 4096, 1, 1, false), 0);
    CHECK_EQ((uint64_t)sandbox_flush(box), 0);
    CHECK_EQ(sandbox_stats(box)->flushes - flushes, 3);
    expect_fault(RUN(&r, 0xa1, 0, 0xe0, 0x7c, 0x20, 0xa1, 0, 0xf0, 0x7c, 0x20), &r, 14, 4, 5);
    CHECK_EQ((uint64_t)sandbox_unmap(box, 0x20000000, 2000), 0);
}

/* New mappings alone: the mapper starts the runner, and what it says is read with the next ones. */
static void test_fresh(void)
{
    const unsigned prot = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_FRESH;
    struct sandbox_regs r;
    struct sandbox_exit e;

    for (unsigned i = 0; i < 2000; i++) {
        uint32_t gva = 0x24000000 + i * 4096;
        uint8_t code[] = { 0xc6, 0x05, (uint8_t)gva, (uint8_t)(gva >> 8), (uint8_t)(gva >> 16),
                           (uint8_t)(gva >> 24), (uint8_t)i, 0xcc };

        r = fixture_regs();
        CHECK_EQ((uint64_t)sandbox_map(box, gva, 4096ull * (1 + i % 3), 1, prot, i % 2), 0);
        e = fixture_run(code, sizeof(code), &r);
        CHECK_EQ(e.vector, 3); /* not a page fault: it began after the mapping */
        CHECK_EQ(ram[4096 * (1 + i % 3)], (uint8_t)i);
    }
    CHECK_EQ((uint64_t)sandbox_unmap(box, 0x24000000, 2000), 0);
}

/* FPU and vector state stays from run to run, comes out and goes in. */
static void test_xstate(void)
{
    static uint8_t image[4096] __attribute__((aligned(64)));
    struct sandbox_regs r = fixture_regs();
    uint32_t mask;

    memset(image, 0, sizeof(image));
    sandbox_get_xstate(box, image, sizeof(image));
    image[512] |= 3;
    image[160] = 0x55;            /* xmm0 */
    image[160 + 16] = 0x02;       /* xmm1 */
    *(uint32_t *)(image + 24) = 0xffff1f80;
    sandbox_set_xstate(box, image, sizeof(image));
    RUN(&r, 0x66, 0x0f, 0xfe, 0xc1, 0xf4); /* paddd xmm0,xmm1 */
    r = fixture_regs();
    RUN(&r, 0x66, 0x0f, 0xfe, 0xc1, 0xcd, 0x80);
    memset(image, 0xee, sizeof(image));
    sandbox_get_xstate(box, image, sizeof(image));
    CHECK_EQ(image[160], 0x59);
    CHECK_EQ(image[464], 0);
    mask = *(uint32_t *)(image + 28); /* with MM (bit 17) on AMD's CPUs */
    CHECK_EQ(mask & ~0x20000u, 0xffff);
    CHECK_EQ(*(uint32_t *)(image + 24), 0xffff1f80 & mask);
    CHECK_EQ(image[sandbox_host_caps(host)->xstate_size], 0xee);
    memset(image, 0xee, sizeof(image));
    sandbox_get_xstate(box, image, 576);
    CHECK_EQ(image[160], 0x59);
    CHECK_EQ(image[576], 0xee);
    CHECK_EQ(image[512] & ~7, 0);
    sandbox_set_xstate(box, image, 576);
    r = fixture_regs();
    RUN(&r, 0x66, 0x0f, 0xfe, 0xc1, 0x66, 0x0f, 0x7e, 0xc0, 0xf4);
    CHECK_EQ(r.gpr[0], 0x5b);
}

/* As on a host without XSAVE: the frame has what FXSAVE stores, and no marks. (This kernel restores
 * no more of such a frame either.) */
static void test_fxsave(void)
{
    static uint8_t image[4096] __attribute__((aligned(64)));
    struct sandbox_caps caps = host->caps;
    uint8_t software[sizeof(box->xstate_software)];
    uint32_t size = box->xstate_size;
    struct sandbox_regs r = fixture_regs();

    memcpy(software, box->xstate_software, sizeof(software));
    memset(box->xstate_software, 0, sizeof(software));
    box->xstate_size = 512;
    host->caps.xstate_size = 576;
    host->caps.xfeatures = XSTATE_FX;
    memset(image, 0xee, sizeof(image));
    sandbox_get_xstate(box, image, sizeof(image));
    CHECK_EQ(*(uint64_t *)(image + 512), XSTATE_FX);
    CHECK_EQ(*(uint64_t *)(image + 520), 0);
    CHECK_EQ(image[576], 0xee);
    memset(image + 160, 0, 32);
    image[160] = 0x55;
    image[160 + 16] = 0x02;
    sandbox_set_xstate(box, image, sizeof(image));
    RUN(&r, 0x66, 0x0f, 0xfe, 0xc1, 0xd9, 0xe8, 0xf4); /* paddd xmm0,xmm1; fld1 */
    sandbox_get_xstate(box, image, sizeof(image));
    CHECK_EQ(image[160], 0x57);
    CHECK_EQ(image[32 + 9], 0x3f); /* st0 */
    CHECK_EQ(image[4], 0x80);      /* its tag */
    memset(image, 0xaa, 24);       /* what the header says is initial */
    image[512] = 0;
    sandbox_set_xstate(box, image, sizeof(image));
    r = fixture_regs();
    RUN(&r, 0x66, 0x0f, 0x7e, 0xc0, 0xf4); /* movd eax, xmm0 */
    CHECK_EQ(r.gpr[0], 0);
    sandbox_get_xstate(box, image, 512);
    CHECK_EQ(*(uint16_t *)image, 0x37f);
    CHECK_EQ(image[4], 0);
    CHECK_EQ(image[32 + 9], 0);
    host->caps = caps;
    box->xstate_size = size;
    memcpy(box->xstate_software, software, sizeof(software));
}

static void test_flags(void)
{
    struct sandbox_regs r = fixture_regs();

    r.eflags = 0x200cd7 | 0x4000; /* ID, NT, OF DF SF ZF AF PF CF */
    RUN(&r, 0x9c, 0x58, 0xf4);
    CHECK_EQ(r.gpr[0], 0x204ed7);
    CHECK_EQ(r.eflags & 0x204ed7, 0x204ed7);
    r = fixture_regs();
    RUN(&r, 0x9c, 0x58, 0xf4);
    CHECK_EQ(r.gpr[0], 0x202);
}

/* Bases hold over thousands of switches of task; other selectors are noticed. */
static void test_segments(void)
{
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e;
    unsigned kicks = 0;
    /* L: cmp dword gs:[0],0x1234567; jne out; cmp dword fs:[0],...; je L; out: ud2 */
    const uint8_t code[] = { 0x65, 0x81, 0x3d, 0, 0, 0, 0, 0x67, 0x45, 0x23, 0x01, 0x75, 0x0d,
                             0x64, 0x81, 0x3d, 0, 0, 0, 0, 0x89, 0x67, 0x45, 0x23, 0x74, 0xe6,
                             0x0f, 0x0b };

    memcpy(ram, code, sizeof(code));
    *(uint32_t *)(ram + 4096 + 0x100) = 0x01234567;
    *(uint32_t *)(ram + 4096 + 0x200) = 0x23456789;
    r.gs_base = DATA + 0x100;
    r.fs_base = DATA + 0x200;
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ((uint64_t)sandbox_run(box, &r, 500000, &e), 0);
        kicks += e.kind == SANDBOX_KICK;
    }
    CHECK_EQ(kicks, 100);
    CHECK_EQ(r.gs, SANDBOX_DS);
    CHECK_EQ(r.gs_base, DATA + 0x100);
    r = fixture_regs();
    e = RUN(&r, 0xb8, 0x33, 0, 0, 0, 0x8e, 0xe8, 0xf4); /* mov gs,0x33: the host's 64-bit code */
    CHECK_EQ(e.vector, 13);
    CHECK_EQ(r.gs, 0x33);
}

/* The number that code finds in its selector, and the base, whichever of them has it. */
static void test_thread_areas(void)
{
    struct sandbox_regs r;
    bool ldt = sandbox_host_caps(host)->ldt;

    *(uint32_t *)(ram + 4096 + 0x100) = 0x01234567;
    *(uint32_t *)(ram + 4096 + 0x200) = 0x23456789;
    for (unsigned round = 0; round < 12; round++) {
        uint16_t gs = (uint16_t)SANDBOX_TLS(SANDBOX_TLS_FIRST + round % 3);
        uint16_t fs = (uint16_t)SANDBOX_TLS(SANDBOX_TLS_FIRST + round / 3 % 3);
        uint64_t swap = round & 1 ? 0x100 : 0;

        r = fixture_regs();
        r.gs = gs, r.gs_base = DATA + 0x100 + swap;
        r.fs = fs, r.fs_base = DATA + 0x200 - swap;
        /* mov eax,gs; mov ebx,gs:[0]; mov ecx,fs:[0]; hlt */
        RUN(&r, 0x8c, 0xe8, 0x65, 0x8b, 0x1d, 0, 0, 0, 0, 0x64, 0x8b, 0x0d, 0, 0, 0, 0, 0xf4);
        CHECK_EQ(r.gpr[0], ldt ? gs : SANDBOX_DS);
        CHECK_EQ(r.gpr[3], swap ? 0x23456789 : 0x01234567);
        CHECK_EQ(r.gpr[1], swap ? 0x01234567 : 0x23456789);
        CHECK_EQ(r.gs, gs);
        CHECK_EQ(r.fs, fs);
        CHECK_EQ(r.gs_base, DATA + 0x100 + swap);
    }
    FAULTS(13, 0x3c, 5, 0x202, 0xb8, 0x3f, 0, 0, 0, 0x8e, 0xe8); /* mov gs,0x3f: no area now */
}

/* Areas that end: of bytes and of pages, one that expands down, and the same entry whole again. */
static void test_limited_areas(void)
{
    static const struct {
        uint32_t limit, high;  /* high: G, D, AVL and the type, as in a descriptor's second half */
        uint32_t inside, beyond;
    } area[] = {
        { 0x103, 0x0050f300, 0x100, 0x101 },
        { 0, 0x00d0f300, 0xffc, 0xffd },
        { 0x1ff, 0x0050f700, 0x200, 0x1ff },
    };
    uint16_t tls = SANDBOX_TLS(SANDBOX_TLS_FIRST + 1);
    struct sandbox_regs r;

    if (!sandbox_host_caps(host)->ldt)
        return;
    for (unsigned i = 0; i < 12; i++) {
        unsigned k = i % 3;
        uint32_t base = DATA + 0x10 * i;
        uint64_t d = (uint64_t)(area[k].high | base >> 24 << 24 | (base >> 16 & 0xff)) << 32 |
                     base << 16 | area[k].limit;

        *(uint32_t *)(ram + 4096 + 0x10 * i + area[k].inside) = 0x1000 + i;
        r = fixture_regs();
        r.fs = tls, r.fs_base = base, r.fs_limited = d;
        r.gpr[1] = area[k].inside;
        RUN(&r, 0x8c, 0xe0, 0x64, 0x8b, 0x19, 0xf4); /* mov eax,fs; mov ebx,fs:[ecx]; hlt */
        CHECK_EQ(r.gpr[0], tls);
        CHECK_EQ(r.gpr[3], 0x1000 + i);
        CHECK_EQ(r.fs, tls);
        CHECK_EQ(r.fs_base, base);
        r = fixture_regs();
        r.fs = tls, r.fs_base = base, r.fs_limited = d;
        r.gpr[1] = area[k].beyond, r.gpr[3] = 7;
        RUN(&r, 0x64, 0x8b, 0x19, 0xf4);
        CHECK_EQ(r.gpr[3], 7); /* the #GP is the load's */
        CHECK_EQ(r.rip, CODE);
        r = fixture_regs();
        r.fs = r.gs = tls, r.fs_base = r.gs_base = base, r.fs_limited = r.gs_limited = d;
        r.gpr[1] = area[k].inside;
        RUN(&r, 0x65, 0x8b, 0x19, 0xf4);
        CHECK_EQ(r.gpr[3], 0x1000 + i);
        r = fixture_regs();
        r.fs = tls, r.fs_base = base;
        r.gpr[1] = area[k].beyond;
        RUN(&r, 0x64, 0x8b, 0x19, 0xf4);
        CHECK_EQ(r.rip, CODE + 3); /* whole */
    }
}

/* --- Kicks ---------------------------------------------------------------------------- */

static volatile unsigned kick_rounds;

static void *kicker(void *arg)
{
    (void)arg;
    for (unsigned seen = 0; seen < 200; seen++) {
        while (kick_rounds == seen)
            usleep(10);
        sandbox_kick(box);
    }
    return NULL;
}

static void test_kicks(void)
{
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e;
    pthread_t thread;

    sandbox_kick(box);
    e = (struct sandbox_exit){ .kind = SANDBOX_LOST };
    CHECK_EQ((uint64_t)sandbox_run(box, &r, 0, &e), 0);
    CHECK_EQ(e.kind, SANDBOX_KICK);
    memcpy(ram, "\xeb\xfe", 2);
    pthread_create(&thread, NULL, kicker, NULL);
    while (kick_rounds < 200) {
        kick_rounds++;
        CHECK_EQ((uint64_t)sandbox_run(box, &r, 0, &e), 0);
        CHECK_EQ(e.kind, SANDBOX_KICK);
        CHECK_EQ(r.rip, CODE);
    }
    pthread_join(thread, NULL);
    CHECK_EQ(r.gpr[0], 0x11);
    CHECK_EQ(sandbox_parked(box), 1);
}

/* The runner gives way to the monitor that wakes it: see be_batch() in the stub. */
static void test_policy(void)
{
    int ours = sched_getscheduler(0);

    CHECK_EQ((unsigned)sched_getscheduler(sandbox_pid(box)),
             ours == SCHED_OTHER ? SCHED_BATCH : (unsigned)ours);
}

/* --- Life ------------------------------------------------------------------------------ */

static unsigned count_entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static unsigned count_lines(const char *path)
{
    FILE *f = fopen(path, "re");
    unsigned n = 0;
    int c;

    while (f && (c = getc(f)) != EOF)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

static void test_pool(void)
{
    unsigned fds, maps;
    struct sandbox *pool[8] = { NULL };
    const char *why;

    fixture_box();
    fds = count_entries("/proc/self/fd");
    maps = count_lines("/proc/self/maps");
    for (unsigned i = 0; i < 200; i++) {
        sandbox_destroy(pool[i % 8]);
        pool[i % 8] = sandbox_create(host, &why);
        CHECK_EQ(!pool[i % 8], 0);
        if (!pool[i % 8])
            printf("%s\n", why);
    }
    for (unsigned i = 0; i < 8; i++)
        sandbox_destroy(pool[i]);
    CHECK_EQ(count_entries("/proc/self/fd"), fds);
    CHECK_EQ(count_lines("/proc/self/maps") <= maps + 2, 1);
    CHECK_EQ((uint64_t)waitpid(-1, NULL, WNOHANG), 0); /* children alive: box and the helper */
    fixture_close();
    CHECK_EQ(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, 1);
    fixture_open(0);
    fixture_box();
}

static void test_reset(void)
{
    struct sandbox_regs r = fixture_regs();

    RUN(&r, 0x66, 0x0f, 0x6e, 0xc0, 0xf4); /* movd xmm0,eax */
    CHECK_EQ(sandbox_reset(box), 1);
    r = fixture_regs();
    expect_fault(RUN(&r, 0xf4), &r, 14, 0x14, 0);
    CHECK_EQ((uint64_t)sandbox_map(box, CODE, 0, 1, 7, false), 0);
    expect_fault(RUN(&r, 0x66, 0x0f, 0x7e, 0xc0, 0xf4), &r, 13, 0, 4);
    CHECK_EQ(r.gpr[0], 0);
    fixture_box();
}

#define RDTSC_FAULTS(offset)                                                                 \
    do {                                                                                     \
        r = fixture_regs();                                                                  \
        expect_fault(RUN(&r, 0x0f, 0x31, 0xf4), &r, 13, 0, offset);                          \
    } while (0)

/* RDTSC is the host's until it is asked for, in a sandbox that has run and in one for a new
 * program; another sandbox keeps the host's. */
static void test_tsc(void)
{
    struct sandbox_regs r;

    CHECK_EQ(sandbox_host_caps(host)->tsc_fault, 1);
    RDTSC_FAULTS(2);
    sandbox_fault_tsc(box, true);
    RDTSC_FAULTS(0);
    RDTSC_FAULTS(0);
    CHECK_EQ(r.gpr[0], 0x11);
    CHECK_EQ(r.gpr[2], 0x33);
    CHECK_EQ(sandbox_reset(box), 1);
    CHECK_EQ((uint64_t)sandbox_map(box, CODE, 0, 1, 7, false), 0);
    RDTSC_FAULTS(0);
    sandbox_fault_tsc(box, false);
    sandbox_fault_tsc(box, true);
    sandbox_fault_tsc(box, false);
    RDTSC_FAULTS(2);
    CHECK_EQ((r.gpr[2] << 32 | r.gpr[0]) <= __builtin_ia32_rdtsc(), 1);
    sandbox_fault_tsc(box, true);
    fixture_box();
    RDTSC_FAULTS(2);
}

/* What a run's program took of it, if the runner may look at the clock. */
static void test_user_cycles(void)
{
    const uint64_t rounds = 10000000;
    uint64_t start = __builtin_ia32_rdtsc();
    struct sandbox_exit exit;
    struct sandbox_regs r = fixture_regs();

    r.gpr[1] = rounds;
    exit = RUN(&r, 0x49, 0x75, 0xfd, 0xf4); /* 1: dec ecx; jnz 1b */
    CHECK_EQ(exit.user_cycles > rounds / 4, 1);
    CHECK_EQ(exit.user_cycles < __builtin_ia32_rdtsc() - start, 1);
    r = fixture_regs();
    CHECK_EQ(RUN(&r, 0xf4).user_cycles > 0, 1);
    sandbox_fault_tsc(box, true);
    r = fixture_regs();
    CHECK_EQ(RUN(&r, 0xf4).user_cycles, 0);
    fixture_box();
}

/* The process dies under a run, between runs, by either of its tasks. */
static void *killer(void *arg)
{
    usleep(20000);
    kill(sandbox_pid(arg), SIGKILL);
    return NULL;
}

static int second_task(int pid)
{
    char path[64];
    struct dirent *entry;
    DIR *dir;
    int tid = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (atoi(entry->d_name) && atoi(entry->d_name) != pid)
            tid = atoi(entry->d_name);
    if (dir)
        closedir(dir);
    return tid;
}

static void test_loss(void)
{
    struct sandbox_regs r = fixture_regs(), before = r;
    struct sandbox_exit e = { .kind = SANDBOX_KICK };
    pthread_t thread;

    memcpy(ram, "\x40\xeb\xfd", 3); /* L: inc eax; jmp L */
    pthread_create(&thread, NULL, killer, box);
    CHECK_EQ((uint64_t)sandbox_run(box, &r, 0, &e), 0);
    CHECK_EQ(e.kind, SANDBOX_LOST);
    CHECK_EQ(memcmp(&r, &before, sizeof(r)), 0);
    pthread_join(thread, NULL);
    CHECK_EQ((uint64_t)-sandbox_run(box, &r, 0, &e), EOWNERDEAD);
    CHECK_EQ(sandbox_killed(box), 1);
    CHECK_EQ((uint64_t)-sandbox_map(box, CODE, 0, 1, 1, false), EOWNERDEAD);
    CHECK_EQ(sandbox_parked(box), 0);
    fixture_box();
    kill(second_task(sandbox_pid(box)), SIGKILL); /* the mapper, between runs */
    CHECK_EQ((uint64_t)-sandbox_flush(box), EOWNERDEAD);
    fixture_box();
}

/* kill -9 of the monitor leaves nothing: as subreaper we get to see what it left. */
static void test_orphans(void)
{
    int pid, status, left = 0;

    fixture_close();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = fork();
    if (!pid) {
        fixture_open(0);
        for (unsigned i = 0; i < 3; i++) {
            box = NULL; /* abandoned */
            fixture_box();
        }
        memcpy(ram, "\xeb\xfe", 2);
        kill(getpid(), SIGSTOP);
        _exit(0);
    }
    waitpid(pid, &status, WUNTRACED);
    CHECK_EQ(WIFSTOPPED(status), 1);
    kill(pid, SIGKILL);
    for (;;) {
        pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            break;
        /* The helper may see the end of its socket first. */
        CHECK_EQ((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || !status, 1);
        left++;
    }
    CHECK_EQ((unsigned)left, 5); /* three, the helper and their monitor */
}

int main(void)
{
    alarm(1100);
    fixture_open(0);
    if (sandbox_host_caps(host)->ldt) {
        fixture_close();
        fixture_open(SANDBOX_USE_LDT);
        fixture_box();
        test_segments();
        test_thread_areas();
        test_limited_areas();
    }
    fixture_close();
    fixture_open(SANDBOX_FAULT_CPUID);
    fixture_box();
    if (sandbox_host_caps(host)->cpuid_fault)
        FAULTS(13, 0, 0, 0x202, 0x0f, 0xa2);
    fixture_close();
    fixture_open(0);
    fixture_box();
    test_faults();
    test_int1();
    test_calls();
    test_memory();
    test_batch();
    test_fresh();
    fixture_box();
    test_xstate();
    test_fxsave();
    test_flags();
    test_segments();
    test_thread_areas();
    test_limited_areas();
    test_kicks();
    test_policy();
    test_reset();
    test_tsc();
    test_user_cycles();
    test_pool();
    test_loss();
    test_orphans();
    return CHECK_DONE();
}
