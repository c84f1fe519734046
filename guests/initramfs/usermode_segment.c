/*
 * usermode, part: segments. Slots of set_thread_area, an LDT's segments of every kind, selectors
 * loaded and read back, instructions that look at descriptors, and CPUID and the time stamp.
 */
#include "guests/initramfs/usermode.h"

enum { DESC_32BIT = 1, DESC_EXPAND_DOWN = 1 << 1, DESC_CODE = 2 << 1, DESC_READ_ONLY = 1 << 3,
       DESC_PAGES = 1 << 4, DESC_NOT_PRESENT = 1 << 5, DESC_USABLE = 1 << 6 };

struct descriptor {
    uint32_t entry, base, limit, flags;
};

static uint32_t area[2 * PAGE / 4] __attribute__((aligned(4096)));

static void fill_area(void)
{
    for (unsigned i = 0; i < sizeof(area) / 4; i++)
        area[i] = i * 2654435761u;
}

static uint32_t thread_area(void *base, uint32_t limit, uint32_t flags)
{
    struct descriptor d = { (uint32_t)-1, (uint32_t)base, limit, flags };
    long result = sys1(SYS_set_thread_area, &d);

    if (result)
        rt_fail("set_thread_area", result);
    return d.entry << 3 | 3;
}

static uint32_t local(unsigned entry, void *base, uint32_t limit, uint32_t flags)
{
    struct descriptor d = { entry, (uint32_t)base, limit, flags };
    long result = sys3(SYS_modify_ldt, 1, &d, sizeof(d));

    if (result)
        rt_fail("modify_ldt", result);
    return entry << 3 | 7;
}

#define SEG_READ(seg, offset)                                                                      \
    ({                                                                                             \
        uint32_t got_;                                                                             \
        __asm__ volatile("movl %%" #seg ":(%1), %0" : "=r"(got_) : "r"(offset) : "memory");        \
        got_;                                                                                      \
    })
#define SEG_WRITE(seg, offset, value)                                                              \
    __asm__ volatile("movl %0, %%" #seg ":(%1)" : : "r"(value), "r"(offset) : "memory")
#define SEG_LOAD(seg, selector) __asm__ volatile("movw %w0, %%" #seg : : "r"(selector))
#define SEG_GET(seg)                                                                               \
    ({                                                                                             \
        uint32_t got_;                                                                             \
        __asm__ volatile("movl %%" #seg ", %0" : "=r"(got_));                                      \
        got_ & 0xffff;                                                                             \
    })

static void case_tls(void)
{
    uint32_t s[3];

    fill_area();
    for (unsigned i = 0; i < 3; i++)
        s[i] = thread_area(area + i * 500, 0xfffff, DESC_32BIT | DESC_PAGES | DESC_USABLE);
    see("apart", (s[1] - s[0]) << 8 | (s[2] - s[1]));
    for (unsigned i = 0; i < 3; i++) { /* as C libraries name a new thread's area */
        SEG_LOAD(gs, s[i]);
        sys0(SYS_getppid);
        expect("number", SEG_GET(gs) >> 3, s[i] >> 3);
    }
    for (unsigned round = 0; round < 400; round++) {
        uint32_t sel = s[round % 3];

        SEG_LOAD(gs, sel);
        expect("gs", SEG_READ(gs, round), *(uint32_t *)((char *)(area + round % 3 * 500) + round));
        SEG_LOAD(fs, s[(round + 1) % 3]);
        expect("fs", SEG_READ(fs, 4), area[(round + 1) % 3 * 500 + 1]);
        SEG_WRITE(fs, 8, round);
        expect("fs-written", area[(round + 1) % 3 * 500 + 2], round);
        if (round % 5 == 0) {
            sys0(SYS_getppid);
            expect("gs-kept", SEG_READ(gs, 12), area[round % 3 * 500 + 3]);
        }
    }
    SEG_LOAD(gs, 0);
    SEG_LOAD(fs, 0);
}

static void case_tls_es(void)
{
    uint32_t s, got = 0;

    fill_area();
    s = thread_area(area, 0xfffff, DESC_32BIT | DESC_PAGES | DESC_USABLE);
    __asm__ volatile("pushl %%es\n movw %w1, %%es\n movl %%es:4, %0\n popl %%es"
                     : "=&r"(got) : "r"(s));
    expect("es", got, area[1]);
    __asm__ volatile("pushl %%ds\n movw %w1, %%ds\n movl 8, %0\n movl $77, 12\n popl %%ds"
                     : "=&r"(got) : "r"(s) : "memory");
    expect("ds", got, area[2]);
    see("ds-written", area[3]);
}

/* Reads that are within the limit and beyond it, by the segment in fs. */
static void limits(const char *name, uint32_t selector)
{
    static volatile uint32_t sel;

    sel = selector;
    SEG_LOAD(fs, sel);
    see(name, SEG_READ(fs, 200));
    TRAP("0", "movl %%fs:0, %%eax");
    TRAP("96", "movl %%fs:96, %%eax");
    TRAP("97", "movl %%fs:97, %%eax");
    TRAP("99", "movb %%fs:99, %%al");
    TRAP("100", "movb %%fs:100, %%al");
    TRAP("4095", "movw %%fs:4095, %%ax");
    TRAP("65534", "movl %%fs:65534, %%eax");
    TRAP("write", "movl %%eax, %%fs:400");
    SEG_LOAD(fs, 0);
}

/* Thread areas that end, which change under the selector, as SBCL's do from thread to thread. */
static void case_tls_limits(void)
{
    uint32_t s;

    fill_area();
    um_traps();
    s = thread_area(area, 0x3ff, DESC_32BIT | DESC_USABLE);
    limits("bytes", s);
    for (unsigned round = 0; round < 60; round++) {
        struct descriptor d = { s >> 3, (uint32_t)(area + round), 99 + 4 * (round % 3),
                                DESC_32BIT | DESC_USABLE };

        if (sys1(SYS_set_thread_area, &d))
            rt_fail("set_thread_area", round);
        SEG_LOAD(fs, s);
        expect("base", SEG_READ(fs, 96), area[round + 24]);
        SEG_WRITE(fs, 92, round);
        expect("written", area[round + 23], round);
        if (round % 10 == 0)
            TRAP("end", "movl %%fs:100, %%eax");
        SEG_LOAD(gs, s); /* two registers, one area */
        expect("gs", SEG_READ(gs, 96), area[round + 24]);
        expect("number", SEG_GET(gs) >> 3, s >> 3);
        if (round % 7 == 0)
            sys0(SYS_getppid);
        SEG_LOAD(gs, 0);
    }
    SEG_LOAD(fs, 0);
}

static void case_ldt(void)
{
    fill_area();
    um_traps();
    local(0, area, 0x3ff, DESC_32BIT | DESC_USABLE);
    limits("bytes", 7);
    local(1, area, 99, DESC_32BIT | DESC_EXPAND_DOWN | DESC_USABLE);
    limits("down", 15);
    local(2, area, 99, DESC_EXPAND_DOWN | DESC_USABLE);
    limits("down16", 2 << 3 | 7);
    local(3, area, 0, DESC_32BIT | DESC_PAGES | DESC_USABLE);
    limits("page", 3 << 3 | 7);
    local(4, area, 1, DESC_32BIT | DESC_PAGES | DESC_READ_ONLY | DESC_USABLE);
    limits("read-only", 4 << 3 | 7);
    local(5, area, 0xfff, DESC_32BIT | DESC_NOT_PRESENT | DESC_USABLE);
    TRAP("not-present", "movl $47, %%eax; movl %%eax, %%fs");
    TRAP("absent", "movl $63, %%eax; movl %%eax, %%gs");
    TRAP("beyond", "movl $0xffff, %%eax; movl %%eax, %%es");
    TRAP("null", "xorl %%eax, %%eax; movl %%eax, %%fs; movl %%fs:0, %%eax");
    TRAP("ss-null", "xorl %%eax, %%eax; movl %%eax, %%ss");
    TRAP("ds-code", "movl %%cs, %%eax; movl %%eax, %%es; movl %%es:(%%ebx), %%eax;"
         "pushl %%ds; popl %%es");
    TRAP("es-code-write", "movl %%cs, %%eax; movl %%eax, %%es; movl %%eax, %%es:(%%ebx)");
    __asm__ volatile("pushl %ss\n popl %es");
    /* A segment whose entry changes while it is loaded is as before until it is loaded again. */
    local(0, area, 0x3ff, DESC_32BIT | DESC_USABLE);
    SEG_LOAD(fs, 7);
    local(0, area + 1, 0x3ff, DESC_32BIT | DESC_USABLE);
    SEG_LOAD(fs, 7);
    expect("changed", SEG_READ(fs, 0), area[1]);
    SEG_LOAD(fs, 0);
}

static void case_ldt_stack(void)
{
    uint32_t got, esp;

    fill_area();
    local(6, area, 0xfff, DESC_32BIT | DESC_USABLE);
    __asm__ volatile("movl %%esp, %1\n movl %%ss, %%ecx\n movw %w2, %%ss\n movl $0x100, %%esp\n"
                     "pushl $1234\n pushl $77\n popl %0\n movw %%cx, %%ss\n movl %1, %%esp"
                     : "=&r"(got), "=&r"(esp) : "r"(6 << 3 | 7) : "ecx", "memory");
    see("stack32", got << 16 | area[0xfc / 4]);
    local(6, area, 0xffff, DESC_USABLE); /* 16 bits: SP, not ESP */
    __asm__ volatile("movl %%esp, %1\n movl %%ss, %%ecx\n movw %w2, %%ss\n"
                     "movl $0x12340200, %%esp\n"
                     "pushl $1235\n movl %%esp, %0\n movw %%cx, %%ss\n movl %1, %%esp"
                     : "=&r"(got), "=&r"(esp) : "r"(6 << 3 | 7) : "ecx", "memory");
    see("stack16", got);
    see("pushed", area[0x1fc / 4]);
}

/* Code segments of an LDT: 32 bits with a base, and 16 bits. They are left by a far return. */
static void case_ldt_code(void)
{
    static const uint8_t code[] = { 0xb8, 0x78, 0x56, 0x34, 0x12, 0x2e, 0x03, 0x05, 16, 0, 0, 0,
                                    0xcb, 0x90, 0x90, 0x90, 5, 0, 0, 0 };
    static const uint8_t code16[] = { 0x66, 0xb8, 0x78, 0x56, 0x34, 0x12, 0xb8, 1, 0, 0x66, 0xcb };
    uint8_t *at = rt_map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    struct {
        uint32_t offset;
        uint16_t selector;
    } __attribute__((packed)) far = { 0x80, 7 << 3 | 7 };
    uint32_t got;

    for (unsigned i = 0; i < sizeof(code); i++)
        at[0x80 + i] = code[i], at[i] = i < sizeof(code16) ? code16[i] : 0x90;
    at[0x80 + 8] = 0x90; /* the word is at offset 0x90 */
    local(7, at, 0xfff, DESC_32BIT | DESC_CODE | DESC_USABLE);
    local(8, at, 0xfff, DESC_CODE | DESC_USABLE);
    for (unsigned i = 0; i < 50; i++) {
        __asm__ volatile("lcall *%1" : "=a"(got) : "m"(far) : "memory");
        mix32(got);
    }
    see("based", got);
    far.selector = 8 << 3 | 7;
    far.offset = 0;
    __asm__ volatile("lcall *%1" : "=a"(got) : "m"(far) : "memory");
    see("code16", got);
    see("sum", mixed());
}

static void case_selectors(void)
{
    uint32_t ds, es, ss, cs, pushed, got;

    ds = SEG_GET(ds), es = SEG_GET(es), ss = SEG_GET(ss), cs = SEG_GET(cs);
    see("rpl", (ds & 3) << 12 | (es & 3) << 8 | (ss & 3) << 4 | (cs & 3));
    see("same", (ds == es) << 1 | (ds == ss));
    __asm__ volatile("pushl %%cs\n popl %0" : "=r"(pushed));
    see("push-cs", (pushed & 0xffff) == SEG_GET(cs));
    for (unsigned i = 0; i < 1000; i++) {
        __asm__ volatile("pushl %%ds\n popl %%es\n pushl %%ss\n popl %%ds\n movl %%ss, %%eax\n"
                         "movl %%eax, %%ss" : : : "eax", "memory");
        if (i % 100 == 0)
            sys0(SYS_getppid);
    }
    /* A far return and a far call to one's own code segment. */
    __asm__ volatile("pushl %%cs\n pushl $1f\n lret\n 1: movl $5, %0" : "=r"(got));
    see("lret", got);
    __asm__ volatile("pushfl\n pushl %%cs\n pushl $1f\n iretl\n 1: movl $6, %0" : "=r"(got));
    see("iret", got);
    /* Saved, a system call, restored. */
    __asm__ volatile("pushl %%ds\n pushl %%es\n movl $20, %%eax\n int $0x80\n popl %%es\n popl %%ds"
                     : : : "eax", "memory");
    __asm__ volatile("movl %%ds, %0" : "=r"(got));
    SEG_LOAD(gs, 3);
    see("null-load", SEG_GET(gs));
    SEG_LOAD(gs, 0);
    see("null", SEG_GET(gs));
}

/* Under a 64-bit kernel CS is another one, by which programs know it. */
static uint32_t kernels_cs(void)
{
    static struct {
        char system[65], node[65], release[65], version[65], machine[65], domain[65];
    } name;

    sys1(NR_uname, &name);
    return name.machine[0] == 'x' ? 0x23 : 0x73; /* x86_64, i686 */
}

static void case_compared_cs(void)
{
    for (unsigned i = 0; i < 100; i++)
        expect("cs", um_compared_cs(), kernels_cs());
    see("done", 1);
}

#define LOOK(insn, selector)                                                                       \
    ({                                                                                             \
        uint32_t got_ = 0, zf_;                                                                    \
        __asm__ volatile(insn "\n sete %b1\n movzbl %b1, %1" : "+r"(got_), "=&q"(zf_)              \
                         : "r"(selector) : "cc");                                                  \
        zf_ << 31 | (got_ >> 8 & 0x6f);                                                            \
    })

/* What says something about the guest's own descriptors, of selectors that code does have. */
static void case_descriptors(void)
{
    uint32_t cs = SEG_GET(cs), ds = SEG_GET(ds);
    uint8_t table[10];

    see("lar-null", LOOK("lar %2, %0", 0));
    see("lar-beyond", LOOK("lar %2, %0", 0xfff8));
    see("verr-null", LOOK("verr %w2", 0));
    see("verw-beyond", LOOK("verw %w2", 0xfffb));
    see("lar-cs", LOOK("lar %2, %0", cs) & 0x8000006a);
    see("lar-ds", LOOK("lar %2, %0", ds) & 0x8000006a);
    see("verr-cs", LOOK("verr %w2", cs));
    see("verw-cs", LOOK("verw %w2", cs));
    see("verw-ds", LOOK("verw %w2", ds));
    see("lsl-ds", LOOK("lsl %2, %0", ds) >> 31);
    /* These have values that differ, but end. */
    __asm__ volatile("sgdt %0" : "=m"(table) : : "memory");
    __asm__ volatile("sidt %0" : "=m"(table) : : "memory");
    __asm__ volatile("smsw %%ax\n sldt %%ax\n str %%ax" : : : "eax");
    see("tables", 1);
}

/* A program that has made an LDT may ask what is in it. */
static void case_ldt_descriptors(void)
{
    uint32_t data = local(3, area, 0x123, DESC_32BIT);
    uint32_t code = local(4, 0, 0x345, DESC_32BIT | DESC_CODE);
    uint32_t absent = local(5, area, 0x67, DESC_NOT_PRESENT | DESC_READ_ONLY);

    see("lar-data", LOOK("lar %2, %0", data));
    see("lar-code", LOOK("lar %2, %0", code));
    see("lar-absent", LOOK("lar %2, %0", absent));
    see("lar-empty", LOOK("lar %2, %0", 6 << 3 | 7));
    see("lsl-data", LOOK("lsl %2, %0", data));
    see("verw-data", LOOK("verw %w2", data));
    see("verr-code", LOOK("verr %w2", code));
    see("verw-absent", LOOK("verw %w2", absent));
}

static void cpuid(uint32_t leaf, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "0"(leaf), "2"(0));
}

static uint64_t rdtsc(void)
{
    uint64_t t;

    __asm__ volatile("rdtsc" : "=A"(t));
    return t;
}

static uint64_t rdtscp(void)
{
    uint64_t t;

    __asm__ volatile("rdtscp" : "=A"(t) : : "ecx");
    return t;
}

static void case_time_stamp(void)
{
    uint32_t r[4], again[4];
    uint64_t last = rdtsc(), now;
    int has_rdtscp;

    cpuid(0x80000001, r);
    has_rdtscp = r[3] >> 27 & 1;
    for (unsigned i = 0; i < 30000; i++) {
        now = has_rdtscp && i & 1 ? rdtscp() : rdtsc();
        if (now <= last)
            see("back", (uint32_t)(last - now));
        last = now;
        if (i % 3000 == 0)
            sys0(NR_sched_yield);
    }
    for (unsigned leaf = 0; leaf < 2; leaf++) {
        cpuid(leaf, r);
        for (unsigned i = 0; i < 50; i++) {
            if (i % 10 == 0)
                sys0(NR_sched_yield);
            cpuid(leaf, again);
            expect("cpuid", again[3], r[3]);
            expect("cpuid", again[0], r[0]);
        }
    }
    if (r[2] >> 27 & 1) { /* OSXSAVE: then XGETBV is there and says no less than x87 and SSE */
        uint32_t low, high;

        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        see("xcr0", low & 3);
        expect("avx", low >> 2 & 1, r[2] >> 28 & 1);
    }
    see("done", 1);
}

const struct um_case um_segment_cases[] = {
    { "tls", case_tls },
    { "tls-es", case_tls_es },
    { "tls-limits", case_tls_limits },
    { "ldt", case_ldt },
    { "ldt-stack", case_ldt_stack },
    { "ldt-code", case_ldt_code },
    { "selectors", case_selectors },
    { "compared-cs", case_compared_cs },
    { "descriptors", case_descriptors },
    { "ldt-descriptors", case_ldt_descriptors },
    { "time-stamp", case_time_stamp },
    { 0, 0 },
};
