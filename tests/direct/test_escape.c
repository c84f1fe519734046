/*
 * Red team: hostile programs in the sandbox. They may reach 64-bit code, and the process may die of
 * what they do; no system call of theirs is carried out, nothing but what was mapped can be
 * touched, and the monitor neither crashes nor hangs nor believes them.
 */
#include <dirent.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "direct/sandbox_private.h"
#include "tests/direct/fixture.h"

#define ATTACK(name) extern const uint8_t attack_##name[], attack_##name##_end[];
ATTACK(jump)
ATTACK(call)
ATTACK(return)
ATTACK(iret)
ATTACK(stub)
ATTACK(touch)
ATTACK(scribble)
ATTACK(nostack)
extern const uint8_t stub_image[], stub_image_end[];

#define RUN_ATTACK(name, r) \
    fixture_run(attack_##name, (size_t)(attack_##name##_end - attack_##name), r)
#define TABLE_ENTRIES 16
#define NUMBERS 480
#define X32 0x40000000u

static uint64_t *table(void)
{
    return (uint64_t *)(ram + 4096 + 0x400);
}

static void set_table(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    memset(table(), 0, TABLE_ENTRIES * 8);
    table()[0] = number;
    table()[1] = a;
    table()[2] = b;
    table()[3] = c;
}

/* A harmless program runs as ever: the sandbox has kept, or got back, its sanity. */
static void expect_sane(void)
{
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e = RUN(&r, 0x40, 0xcd, 0x80);

    CHECK_EQ(e.kind, SANDBOX_INT80);
    CHECK_EQ(r.gpr[0], 0x12);
    CHECK_EQ(sandbox_parked(box), 1);
}

/* --- System calls, by every way ----------------------------------------------------------- */

/* Linux lets these two past every filter (6.14 and later): they do nothing but from the kernel's
 * own trampoline for uprobes. */
static bool is_uprobe(uint64_t number)
{
    return number == 335 || number == 336;
}

static void expect_trapped(struct sandbox_exit e, const struct sandbox_regs *r, uint64_t number)
{
    CHECK_EQ(e.kind, SANDBOX_ESCAPE);
    if (!is_uprobe(number)) /* rolled back by seccomp: not carried out */
        CHECK_EQ((uint32_t)r->gpr[0], (uint32_t)number);
}

static void try_number(uint64_t number)
{
    struct sandbox_regs r = fixture_regs();

    set_table(number, DATA + 0x600, 0, 0);
    expect_trapped(RUN_ATTACK(jump, &r), &r, number);
    r = fixture_regs();
    expect_trapped(RUN_ATTACK(call, &r), &r, number);
    r = fixture_regs();
    expect_trapped(RUN_ATTACK(return, &r), &r, number);
    r = fixture_regs();
    r.gpr[0] = number;
    CHECK_EQ(RUN(&r, 0xcd, 0x80).kind, SANDBOX_INT80);
    CHECK_EQ(r.gpr[0], number);
}

static void test_numbers(void)
{
    struct sandbox_regs r = fixture_regs();
    int pid = sandbox_pid(box);

    memcpy(ram + 4096 + 0x600, "/tmp/novt-escaped", 18);
    unlink("/tmp/novt-escaped");
    for (unsigned n = 0; n < NUMBERS; n++)
        try_number(n);
    for (unsigned n = 500; n < 560; n++)
        try_number(n | X32);
    try_number(0xffffffff);
    for (unsigned n = 0; n < NUMBERS; n++) {
        struct sandbox_exit e;

        set_table(n, DATA + 0x600, 0, 0);
        r = fixture_regs();
        e = RUN_ATTACK(iret, &r); /* SYSENTER from 64-bit code */
        CHECK_EQ(e.kind == SANDBOX_ESCAPE || e.kind == SANDBOX_SYSENTER, 1);
    }
    CHECK_EQ(access("/tmp/novt-escaped", F_OK) != 0, 1);
    CHECK_EQ((uint64_t)kill(pid, 0), 0);
    CHECK_EQ((uint64_t)pid, (uint64_t)sandbox_pid(box));
    expect_sane();
}

/* --- The stub's own code ----------------------------------------------------------------- */

/* The place where the stub makes this system call for good (the last one; the setup's come
 * before): mov eax,number ... syscall. 0: nowhere. */
static uint64_t site_of(uint64_t number)
{
    const size_t size = (size_t)(stub_image_end - stub_image);
    uint32_t wanted = (uint32_t)number;
    size_t at = size - 32;

    if (number != __NR_rt_sigreturn && number != __NR_sigaltstack && number != __NR_prctl)
        return 0;
    while (at && (stub_image[at] != 0xb8 || memcmp(stub_image + at + 1, &wanted, 4)))
        at--;
    while (at < size - 32 && (stub_image[at] != 0x0f || stub_image[at + 1] != 0x05))
        at++;
    return STUB_BASE + at;
}

/* From the stub's system call instructions, with registers of our choice. */
static void try_site(uint64_t site, uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e;

    set_table(number, a, b, c);
    table()[7] = site;
    table()[8] = DATA + 0x3000;
    e = RUN_ATTACK(stub, &r);
    CHECK_EQ(e.kind, SANDBOX_ESCAPE);
    CHECK_EQ(r.gpr[0], number);
    if (e.kind != SANDBOX_ESCAPE || r.gpr[0] != number) {
        printf("at %#llx, number %llu\n", (unsigned long long)site, (unsigned long long)number);
        fixture_box();
    }
}

/* RDTSC; HLT: which of them came back? */
static void expect_rdtsc(bool faults)
{
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e = RUN(&r, 0x0f, 0x31, 0xf4);

    CHECK_EQ(e.kind, SANDBOX_FAULT);
    CHECK_EQ(r.rip, CODE + (faults ? 0 : 2));
}

/* Where the runner switches RDTSC it may do that and nothing else. A program that does it finds the
 * host's counter, and the next program what it should. */
static void test_tsc_site(void)
{
    struct sandbox_regs r = fixture_regs();
    uint64_t site = site_of(__NR_prctl);

    for (uint64_t option = 0; option < 80; option++)
        if (option != PR_SET_TSC)
            try_site(site, __NR_prctl, option, PR_TSC_ENABLE, 0);
    sandbox_fault_tsc(box, true);
    expect_rdtsc(true);
    set_table(__NR_prctl, PR_SET_TSC, PR_TSC_ENABLE, 0);
    table()[7] = site;
    table()[8] = DATA + 0x3000;
    CHECK_EQ(RUN_ATTACK(stub, &r).kind, SANDBOX_ESCAPE); /* behind it the stub faults: no orders */
    expect_rdtsc(false);
    CHECK_EQ(sandbox_reset(box), 1);
    CHECK_EQ((uint64_t)sandbox_map(box, CODE, 0, 1, 5, false), 0);
    expect_rdtsc(true);
    fixture_box();
    r = fixture_regs(); /* the other way round the stub's own RDTSC faults: that is its end */
    set_table(__NR_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0);
    table()[7] = site;
    table()[8] = DATA + 0x3000;
    CHECK_EQ(RUN_ATTACK(stub, &r).kind, SANDBOX_LOST);
    CHECK_EQ(sandbox_killed(box), false);
    fixture_box();
}

static void try_futexes(uint64_t site)
{
    static const uint64_t words[] = {
        STUB_ORDERS + ORDERS_RUN, STUB_ORDERS + ORDERS_MAP, STUB_REPORT + REPORT_EXIT, DATA,
        STUB_ORDERS + (1ull << 32), STUB_REPORT + (1ull << 32),
    };

    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        for (unsigned op = 0; op < 14; op++) {
            bool wait = op == FUTEX_WAIT && words[i] == STUB_ORDERS + ORDERS_RUN;
            bool wake = op == FUTEX_WAKE && words[i] == STUB_REPORT + REPORT_EXIT;

            if (!wait && !wake) /* these two are what the runner is for, at one place each */
                try_site(site, __NR_futex, words[i], op, 0);
        }
}

static void test_stub_sites(void)
{
    unsigned sites = 0;

    for (const uint8_t *p = stub_image; p + 1 < stub_image_end; p++) {
        uint64_t site = STUB_BASE + (uint64_t)(p - stub_image);

        if (p[0] != 0x0f || p[1] != 0x05)
            continue;
        sites++;
        for (unsigned n = 0; n < NUMBERS; n++)
            if (!is_uprobe(n) && n != __NR_futex && site != site_of(n))
                try_site(site, n, DATA, 4096, 7);
        try_futexes(site);
    }
    CHECK_EQ(sites >= 8, 1);
    expect_sane();
}

/* Anywhere in the stub: whatever comes of it, it comes back, or is killed, or sleeps. */
static void test_stub_anywhere(void)
{
    const uint64_t size = (uint64_t)(stub_image_end - stub_image);
    unsigned lost = 0;

    for (uint64_t at = 0; at < size; at += 97) {
        struct sandbox_regs r = fixture_regs();
        struct sandbox_exit e;

        set_table(at, DATA, 4096, 7);
        table()[7] = STUB_BASE + at;
        table()[8] = at & 1 ? DATA + 0x3000 : STUB_ORDERS + 0x800;
        table()[9] = at & 2 ? STUB_ORDERS : DATA;
        table()[10] = at & 4 ? STUB_REPORT : DATA;
        memcpy(ram, attack_stub, (size_t)(attack_stub_end - attack_stub));
        /* One that sleeps in the stub is kicked: it parks, as after any signal. */
        if (sandbox_run(box, &r, 5000000, &e) || e.kind == SANDBOX_LOST
            || e.kind == SANDBOX_STUCK || !sandbox_reset(box)) {
            lost++;
            fixture_box();
            continue;
        }
        CHECK_EQ((uint64_t)sandbox_map(box, CODE, 0, 1, 5, false), 0);
        CHECK_EQ((uint64_t)sandbox_map(box, DATA, 4096, 4, 7, true), 0);
        expect_sane();
    }
    printf("jumps into the stub: %u of %u ended the process\n", lost, (unsigned)(size / 97 + 1));
    fixture_box();
}

/* --- Memory -------------------------------------------------------------------------------- */

static void expect_touch(uint64_t address, uint32_t reached)
{
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e;

    set_table(address, 0, 0, 0);
    e = RUN_ATTACK(touch, &r);
    CHECK_EQ(e.kind, SANDBOX_ESCAPE);
    if (table()[2] != reached)
        printf("%#llx\n", (unsigned long long)address);
    CHECK_EQ(table()[2], reached);
}

/* What the kernel says the process has: the stub, two shared areas, and what we mapped. */
static void test_areas(void)
{
    char path[64], line[256];
    unsigned areas = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/maps", sandbox_pid(box));
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        uint64_t start = strtoull(line, NULL, 16);
        const char *prot = strchr(line, ' ') + 1;

        areas++;
        if (start >> 32 == 0)
            CHECK_EQ(start == CODE || start == DATA, 1);
        else if (start == STUB_BASE)
            CHECK_EQ((unsigned)memcmp(prot, "r-xp", 4), 0);
        else if (start == STUB_ORDERS)
            CHECK_EQ((unsigned)memcmp(prot, "r--s", 4), 0);
        else if (start == STUB_REPORT)
            CHECK_EQ((unsigned)memcmp(prot, "rw-s", 4), 0);
        else
            CHECK_EQ(start, 0xffffffffff600000); /* [vsyscall] */
    }
    if (f)
        fclose(f);
    CHECK_EQ(areas == 5 || areas == 6, 1);
}

static unsigned open_files(int pid, int tid)
{
    char path[96];
    unsigned set = 0;
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/fd", pid, tid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            set |= 1u << atoi(entry->d_name);
    if (dir)
        closedir(dir);
    return set;
}

static void test_touch(void)
{
    test_areas();
    CHECK_EQ(open_files(sandbox_pid(box), sandbox_pid(box)), 0);
    CHECK_EQ(open_files(sandbox_pid(box), box->mapper), 1u << STUB_FD_RAM | 1u << STUB_FD_DONE);
    expect_touch(STUB_ORDERS, 1);                  /* can be read, not written */
    expect_touch(STUB_ORDERS + STUB_REQUESTS, 1);
    expect_touch(STUB_BASE, 1);
    expect_touch(CODE, 1);
    expect_touch(DATA, 2);
    expect_touch(STUB_REPORT + 0x1000, 2);
    expect_touch(STUB_LANDING, 0);
    expect_touch(1ull << 32, 0);
    expect_touch(0xffffffffff600000, 0);           /* vsyscall: execute only, if at all */
    expect_touch((uint64_t)(uintptr_t)&host, 0);   /* the monitor's */
    expect_touch((uint64_t)(uintptr_t)ram, 0);
    expect_touch((uint64_t)(uintptr_t)box->shared, 0);
    for (uint64_t at = STUB_BASE - (1ull << 32); at < STUB_BASE + (1ull << 32); at += 0x7fff000)
        if (at != STUB_BASE)
            expect_touch(at, 0);
    for (uint64_t at = 1ull << 32; at < 1ull << 47; at += 0x3fffffff000)
        expect_touch(at, 0);
    expect_sane();
}

/* --- Lies ----------------------------------------------------------------------------------- */

/* The program itself fills all that it can write, while the monitor waits, reads, goes on. */
static void test_scribble(void)
{
    static uint8_t image[8192] __attribute__((aligned(64)));

    for (unsigned round = 0; round < 3; round++) {
        struct sandbox_regs r = fixture_regs();
        struct sandbox_exit e;

        /* All; all but the word that the monitor waits for; the frames only. */
        set_table(STUB_REPORT + (round ? round == 1 ? 8 : STUB_ALTSTACK : 0),
                  STUB_REPORT + STUB_REPORT_SIZE, 0, 0);
        memcpy(ram, attack_scribble, (size_t)(attack_scribble_end - attack_scribble));
        for (unsigned i = 0; i < 50 && !sandbox_run(box, &r, 2000000, &e); i++) {
            sandbox_get_xstate(box, image, sizeof(image));
            CHECK_EQ(*(uint32_t *)(image + 24) & ~box->mxcsr_mask, 0);
            CHECK_EQ(*(uint64_t *)(image + 520), 0);
            CHECK_EQ(*(uint64_t *)(image + 512) & ~sandbox_host_caps(host)->xfeatures, 0);
            r = fixture_regs();
        }
        fixture_box();
    }
    expect_sane();
}

static int stop;

static void *liar(void *arg)
{
    uint64_t x = 88172645463325252ull;
    volatile uint64_t *p = arg;

    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        for (unsigned i = 0; i < STUB_REPORT_SIZE / 8; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            p[i] = x;
        }
    return NULL;
}

/* The same from beside, at all times: in the middle of the monitor's reading too. */
static void test_liar(void)
{
    static uint8_t image[8192] __attribute__((aligned(64)));

    for (time_t end = time(NULL) + 2; time(NULL) < end;) {
        struct sandbox_regs r = fixture_regs();
        struct sandbox_exit e;
        pthread_t thread;

        __atomic_store_n(&stop, 0, __ATOMIC_SEQ_CST);
        memcpy(ram, "\x90\xcd\x80", 3);
        pthread_create(&thread, NULL, liar, (void *)(uintptr_t)box->report);
        for (unsigned i = 0; i < 60 && time(NULL) < end && !sandbox_run(box, &r, 1000000, &e);
             i++) {
            sandbox_get_xstate(box, image, sizeof(image));
            sandbox_set_xstate(box, image, sizeof(image));
            if (i == 50)
                sandbox_parked(box);
            r = fixture_regs();
        }
        __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
        pthread_join(thread, NULL);
        fixture_box();
    }
    expect_sane();
}

/* --- Forged frames ---------------------------------------------------------------------------- */

/* The frame's other registers. */
static uint64_t forged[FRAME_REGS];

/* rt_sigreturn to 64-bit code at rip, with a mask and an alternate stack of our choice. */
static struct sandbox_exit forge(uint64_t rip, uint64_t mask, uint64_t stack, uint64_t size,
                                 uint64_t timeout)
{
    struct stub_frame *f = (struct stub_frame *)(ram + 4096 + 0x2000);
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e = { .kind = SANDBOX_LOST };

    memset(f, 0, sizeof(*f));
    memcpy(f->reg, forged, sizeof(forged));
    f->reg[FRAME_RIP] = rip;
    f->reg[FRAME_RSP] = DATA + 0x3000;
    f->reg[FRAME_RFLAGS] = 0x202;
    f->reg[FRAME_SELECTORS] = SANDBOX_CS64 | (uint64_t)SANDBOX_DS << 48;
    f->stack[0] = stack;
    f->stack[2] = size;
    f->sigmask = mask;
    set_table(__NR_rt_sigreturn, 0, 0, 0);
    table()[7] = site_of(__NR_rt_sigreturn);
    table()[8] = DATA + 0x2000 + 8;
    memcpy(ram, attack_stub, (size_t)(attack_stub_end - attack_stub));
    memcpy(ram + 0x800, "\x0f\x0b\xeb\xfe", 4);
    do {
        if (f->reg[FRAME_RAX] == __NR_futex)
            f->reg[FRAME_R12] = box->run + 1;
        CHECK_EQ((uint64_t)sandbox_run(box, &r, timeout, &e), 0);
    } while (e.kind == SANDBOX_KICK && r.rip == CODE); /* kicked before it had begun */
    return e;
}

/* The place in the stub. */
static uint64_t place_of(const void *code, size_t size)
{
    const uint8_t *at = memmem(stub_image, (size_t)(stub_image_end - stub_image), code, size);

    CHECK_EQ(at != NULL, 1);
    return STUB_BASE + (uint64_t)(at - stub_image);
}

/* All signals blocked, and asleep on a word of the stub's: it needs no CPU for that. */
static void expect_found_asleep(uint64_t place, uint64_t word, uint32_t value)
{
    struct sandbox_exit e;

    forged[FRAME_RAX] = __NR_futex;
    forged[FRAME_RDI] = word;
    forged[FRAME_RDX] = value;
    forged[FRAME_RBP] = STUB_ORDERS;
    e = forge(place, ~0ull, STUB_REPORT + STUB_ALTSTACK, STUB_ALTSTACK_SIZE, SECOND / 50);
    CHECK_EQ(e.kind, SANDBOX_STUCK);
    memset(forged, 0, sizeof(forged));
    fixture_box();
}

static void test_sleepers(void)
{
    /* mov r12d,edx; xor r10d,r10d; syscall: where it waits for the next run. And for the mapper:
     * xor esi,esi; xor r10d,r10d; syscall; jmp. */
    const uint64_t run = place_of("\x44\x89\xe2\x45\x31\xd2\x0f\x05", 8);
    const uint64_t go = place_of("\x31\xf6\x45\x31\xd2\x0f\x05\xeb", 8);

    expect_found_asleep(run, STUB_ORDERS + ORDERS_RUN, 0);
    expect_found_asleep(go, STUB_REPORT + REPORT_GO, box->report->go);
    expect_sane();
}

static void expect_reset(void)
{
    CHECK_EQ(sandbox_reset(box), 1);
    CHECK_EQ((uint64_t)sandbox_map(box, CODE, 0, 1, 5, false), 0);
    CHECK_EQ((uint64_t)sandbox_map(box, DATA, 4096, 4, 7, true), 0);
    expect_sane();
}

static void test_forged(void)
{
    struct sandbox_exit e;
    int pid;

    /* The next signal's frame goes where the program wants it: noticed, and undone by a reset. */
    e = forge(CODE + 0x800, 0, DATA + 0x1000, 0x3000, 10 * SECOND);
    CHECK_EQ(e.kind, SANDBOX_ESCAPE);
    expect_reset();
    /* A stack on which the runner's own sigreturn is: that cannot undo it, a reset can. */
    e = forge(CODE + 0x800, 0, STUB_ORDERS, STUB_REPORT + STUB_REPORT_SIZE - 0x40 - STUB_ORDERS,
              10 * SECOND);
    CHECK_EQ(e.kind, SANDBOX_ESCAPE);
    expect_reset();
    /* A fault while its signal is blocked: the kernel ends the process. */
    e = forge(CODE + 0x800, ~0ull, STUB_REPORT + STUB_ALTSTACK, STUB_ALTSTACK_SIZE, 10 * SECOND);
    CHECK_EQ(e.kind, SANDBOX_LOST);
    fixture_box();
    /* All signals blocked, and no more faults: nothing but SIGKILL helps. */
    pid = sandbox_pid(box);
    e = forge(CODE + 0x802, ~0ull, STUB_REPORT + STUB_ALTSTACK, STUB_ALTSTACK_SIZE, SECOND / 50);
    CHECK_EQ(e.kind, SANDBOX_STUCK);
    CHECK_EQ(sandbox_parked(box), 0);
    fixture_box();
    CHECK_EQ(kill(pid, 0) < 0 && errno == ESRCH, 1);
    expect_sane();
}

/* A program that claims to have stopped and goes on: not parked, not fit for anybody else. */
static void test_pretender(void)
{
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e;

    /* 64-bit: edx = orders.run; report.exit = edx; loop */
    const uint8_t code[] = { 0xea, 7, 0x80, 0x04, 0x08, 0x33, 0,
                             0x48, 0xb8, 0, 0, 0x10, 0, 0, 0x7e, 0, 0,
                             0x48, 0xb9, 0, 0, 0x20, 0, 0, 0x7e, 0, 0,
                             0x8b, 0x10, 0x89, 0x11, 0xeb, 0xfa };

    memcpy(ram, code, sizeof(code));
    CHECK_EQ((uint64_t)sandbox_run(box, &r, 10 * SECOND, &e), 0);
    CHECK_EQ(sandbox_parked(box), 0);
    CHECK_EQ(sandbox_reset(box), 0);
    /* Rights are gone all the same once a flush has returned. */
    CHECK_EQ((uint64_t)sandbox_unmap(box, DATA, 4), 0);
    CHECK_EQ((uint64_t)sandbox_flush(box), 0);
    fixture_box();
}

/* Where the handler begins: movabs $STUB_REPORT,%rbx. */
static uint64_t handler(void)
{
    const uint8_t begin[] = { 0x48, 0xbb, 0, 0, 0x20, 0, 0, 0x7e, 0, 0 };
    const uint8_t *p = stub_image;

    while (p + sizeof(begin) < stub_image_end && memcmp(p, begin, sizeof(begin)))
        p++;
    return STUB_BASE + (uint64_t)(p - stub_image);
}

/* A program that enters the handler itself, with the stack that the kernel would give it: it parks,
 * and the frame is that of an exit that the monitor has dealt with. */
static void test_old_frame(void)
{
    for (unsigned round = 0; round < 3; round++) {
        struct sandbox_regs r = fixture_regs();

        CHECK_EQ(RUN(&r, 0xcd, 0x80).kind, SANDBOX_INT80);
        r = fixture_regs();
        set_table(0, 0, 0, 0);
        table()[7] = handler();
        table()[8] = box->frame_rsp;
        CHECK_EQ(RUN_ATTACK(stub, &r).kind, SANDBOX_ESCAPE);
        CHECK_EQ(sandbox_reset(box), 1);
        CHECK_EQ((uint64_t)sandbox_map(box, CODE, 0, 1, 5, false), 0);
        CHECK_EQ((uint64_t)sandbox_map(box, DATA, 4096, 4, 7, true), 0);
    }
    expect_sane();
}

static void test_nostack(void)
{
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e;

    memcpy(ram, attack_nostack, (size_t)(attack_nostack_end - attack_nostack));
    CHECK_EQ((uint64_t)sandbox_run(box, &r, 1000000, &e), 0);
    CHECK_EQ(e.kind == SANDBOX_STUCK || e.kind == SANDBOX_KICK || e.kind == SANDBOX_FAULT, 1);
    printf("lcall without a stack: %s\n", e.kind == SANDBOX_FAULT ? "fault"
                                          : e.kind == SANDBOX_KICK ? "kicked" : "stuck");
    fixture_box();
    expect_sane();
}

static void timed(const char *name, void (*test)(void))
{
    struct timespec a, b;

    clock_gettime(CLOCK_MONOTONIC, &a);
    test();
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%s: %ld ms\n", name,
           (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
    fflush(stdout);
}
#define TIMED(test) timed(#test, test)

int main(void)
{
    alarm(1100);
    fixture_open(0);
    fixture_box();
    expect_sane();
    TIMED(test_touch);
    TIMED(test_numbers);
    TIMED(test_stub_sites);
    TIMED(test_tsc_site);
    TIMED(test_stub_anywhere);
    TIMED(test_scribble);
    TIMED(test_liar);
    TIMED(test_forged);
    TIMED(test_sleepers);
    TIMED(test_pretender);
    TIMED(test_old_frame);
    TIMED(test_nostack);
    fixture_close();
    return CHECK_DONE();
}
