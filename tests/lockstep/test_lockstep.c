/*
 * Random instruction streams, the interpreter against the translator: registers, flags, the FPU
 * state, memory, and where it ended (the vector of the exception, or the closing HLT).
 *
 *     test_lockstep [streams [seed [kicks]]]
 *
 * kicks: microseconds between signals that kick the translator, as the board's timer does; streams
 * have loops then, of calls, returns and indirect jumps. Kicks are samples too, so that the code
 * gets a window after some milliseconds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "cpu/fpu.h"
#include "tests/machine.h"

enum {
    CODE = 0x200000,
    CODE_PAGES = 3,
    DATA = 0x300000,
    DATA_SIZE = 0x8000,
    STACK = 0x400000,
};

static uint64_t seed_state;

static uint32_t rnd(void)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return (uint32_t)(seed_state >> 16);
}

/* --- Streams ------------------------------------------------------------------------ */

static uint8_t stream[CODE_PAGES * 4096];
static unsigned stream_len;

static void put_bytes(const void *bytes, unsigned len)
{
    memcpy(stream + stream_len, bytes, len);
    stream_len += len;
}

/* mov r32, a pointer into the data or something odd */
static void put_pointer(void)
{
    uint8_t code[5] = { 0xb8 | (rnd() & 7) };
    uint32_t value = DATA + rnd() % DATA_SIZE;

    if (code[0] == 0xbc)
        value = STACK + 0x1000 + (rnd() & 0xffc);
    else if (rnd() % 4 == 0)
        value =
            rnd() % 8 ? rnd() : (uint32_t[]){ 0, 0x7fffffff, 0x80000000, 0xffffffff }[rnd() & 3];
    memcpy(code + 1, &value, 4);
    put_bytes(code, 5);
}

static bool acceptable(const struct insn *in)
{
    uint32_t attr = in->info->attr;

    if (attr & (A_PRIVILEGED | A_FAR | A_BRANCH | A_UNDEFINED | A_IOPL | A_SENSITIVE | A_AVX))
        return false;
    if (in->id == M_RDTSC || in->id == M_RDTSCP || in->id == M_CPUID || in->id == M_RDRAND ||
        in->id == M_RDSEED || in->id == M_RDPMC)
        return false;
    return true;
}

/* Random bytes that decode to an instruction both engines are asked to run. */
static void put_random(void)
{
    struct insn in;
    uint8_t code[INSN_MAX + 1];

    for (;;) {
        for (unsigned i = 0; i < INSN_MAX; i++)
            code[i] = (uint8_t)rnd();
        if (rnd() % 3 == 0)
            code[0] = 0x0f;
        if (decode(&in, code, INSN_MAX, MODE_32) > 0 && acceptable(&in))
            break;
    }
    /* displacements near 0, so that pointers stay pointers */
    if (in.disp_len == 4 && in.base != REG_NONE) {
        int32_t disp = (int32_t)(rnd() % 512) - 256;

        memcpy(code + in.disp_at, &disp, 4);
    }
    put_bytes(code, in.len);
}

/* A conditional jump over the next few instructions, or a loop is not worth the risk of not
 * ending. */
static void put_jump(void)
{
    unsigned at = stream_len, count = 1 + rnd() % 3;
    uint8_t code[6] = { 0x0f, 0x80 | (rnd() & 15) };
    uint32_t rel;

    put_bytes(code, 6);
    while (count--)
        put_random();
    rel = stream_len - at - 6;
    memcpy(stream + at + 2, &rel, 4);
}

/* call over a block that ends in ret */
static void put_call(void)
{
    uint8_t call[5] = { 0xe8, 2 }, jump[2] = { 0xeb, 0 };
    unsigned at;

    put_bytes((const uint8_t[]){ 0xbc, 0, 0x20, 0x40, 0 }, 5); /* mov esp, STACK + 0x2000 */
    put_bytes(call, 5);
    at = stream_len;
    put_bytes(jump, 2);
    put_bytes((const uint8_t[]){ 0x40 | (rnd() & 3), 0xc3 }, 2);
    stream[at + 1] = (uint8_t)(stream_len - at - 2);
}

static void put_u32(uint32_t value)
{
    put_bytes(&value, 4);
}

#define PUT(...)                                                                                   \
    put_bytes((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* A loop long enough for kicks: a call, a return, an indirect jump, and the carry through all. */
static void put_loop(void)
{
    unsigned function, top;

    PUT(0xbc), put_u32(STACK + 0x2000);        /* mov esp, ... */
    PUT(0xb9), put_u32(1 + rnd() % 3000);      /* mov ecx, ... */
    PUT(0xeb, 6);
    function = stream_len;
    PUT(0x83, 0xd0, 3, 0x31, 0xc2, 0xc3);      /* adc eax, 3; xor edx, eax; ret */
    top = stream_len;
    PUT(0xe8), put_u32(function - (stream_len + 4));
    PUT(0x01, 0x05), put_u32(DATA + rnd() % 0x2000); /* add [...], eax */
    PUT(0x11, 0xd3, 0xbe), put_u32(CODE + stream_len + 6); /* adc ebx, edx; mov esi, behind */
    PUT(0xff, 0xe6);                           /* jmp esi */
    /* the mask: it ends whatever the rest of the stream has done to the code before it */
    PUT(0x49, 0x81, 0xe1), put_u32(0xfff);     /* dec ecx; and ecx, 0xfff */
    PUT(0x0f, 0x85), put_u32(top - (stream_len + 4)); /* jnz top */
}

static unsigned kick_us;

static void make_stream(void)
{
    unsigned insns = 1 + rnd() % 60;

    memset(stream, 0xf4, sizeof(stream));
    stream_len = rnd() % 2 ? 4096 - rnd() % 200 : 0; /* over a page end, often */
    if (stream_len)
        memset(stream, 0x90, stream_len);
    while (insns-- && stream_len < sizeof(stream) - 256) {
        unsigned what = rnd() % 16;

        if (what == 7 && kick_us)
            put_loop();
        else if (what < 5)
            put_pointer();
        else if (what == 5)
            put_jump();
        else if (what == 6)
            put_call();
        else
            put_random();
    }
}

/* --- Running and comparing -------------------------------------------------------------- */

struct start {
    uint64_t gpr[8];
    uint32_t eflags;
    uint8_t fpu[512];
};

/* NOVT_ACCESS=window */
static bool in_windows;

static void load(struct machine *m, const struct start *start, const uint8_t *data)
{
    struct vcpu *v = m->vcpu;

    physmem_write(&m->mem, CODE, stream, sizeof(stream));
    physmem_write(&m->mem, DATA, data, DATA_SIZE);
    physmem_write(&m->mem, STACK, data, DATA_SIZE);
    memcpy(v->gpr, start->gpr, sizeof(start->gpr));
    v->eflags = start->eflags;
    v->rip = CODE;
    v->cr2 = 0;
    v->halted = v->shutdown = v->intr_shadow = false;
    m->stop.end = VM_RUNNING;
    machine_flat(v);
    fpu_reset(v);
    memcpy(v->fpu + FPU_XMM, start->fpu + FPU_XMM, 128);
    v->fpu[FPU_XSTATE_BV] |= XCR0_X87 | XCR0_SSE;
    if (in_windows)
        v->fpu[FPU_CW] |= 0x3f;
}

static void run(struct machine *m)
{
    enum exit_reason why;

    do
        why = m->engine->run(m->vcpu);
    while (why == EXIT_REQUEST);
}

static unsigned differences;

static void differ(const char *what, uint64_t interp, uint64_t bt)
{
    printf("  %s: interp %llx, bt %llx\n", what, (unsigned long long)interp,
           (unsigned long long)bt);
    differences++;
}

/*
 * In a window the host's CPU runs the instruction up to its fault. Two things differ then by model
 * of CPU, and the manual allows either: a faulting MMX instruction may have set TOP to 0 and the tags to
 * valid; and a store whose value raises an unmasked x87 exception may not look at its address.
 */
static bool fpu_byte_counts(unsigned i)
{
    if (i >= 464 || (i >= FPU_FOP && i < FPU_MXCSR))
        return false;
    return !in_windows || (i != FPU_SW + 1 && i != FPU_TW);
}

static void compare(struct machine *a, struct machine *b)
{
    static const char *const names[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };

    if (a->vcpu->rip != b->vcpu->rip)
        differ("eip", a->vcpu->rip, b->vcpu->rip);
    for (unsigned i = 0; i < 8; i++)
        if (a->vcpu->gpr[i] != b->vcpu->gpr[i])
            differ(names[i], a->vcpu->gpr[i], b->vcpu->gpr[i]);
    if (a->vcpu->eflags != b->vcpu->eflags)
        differ("eflags", a->vcpu->eflags, b->vcpu->eflags);
    if (a->vcpu->cr2 != b->vcpu->cr2)
        differ("cr2", a->vcpu->cr2, b->vcpu->cr2);
    /* formatting a triple fault's report may use vector registers that nobody will read again */
    for (unsigned i = 0; i < 512 && a->stop.end == VM_RUNNING; i++)
        if (fpu_byte_counts(i) && a->vcpu->fpu[i] != b->vcpu->fpu[i]) {
            differ("fpu image byte", i << 8 | a->vcpu->fpu[i], i << 8 | b->vcpu->fpu[i]);
            break;
        }
    for (uint64_t gpa = CODE; gpa < STACK + 0x10000; gpa++)
        if (*physmem_ptr(&a->mem, gpa) != *physmem_ptr(&b->mem, gpa)) {
            differ("memory at", gpa << 8 | *physmem_ptr(&a->mem, gpa),
                   gpa << 8 | *physmem_ptr(&b->mem, gpa));
            break;
        }
}

/* The eip that the exception's frame holds, and the words beside it. */
static void print_frame(const char *name, const struct machine *m)
{
    uint32_t frame[4] = { 0 };

    physmem_read(&m->mem, m->vcpu->gpr[RSP], frame, sizeof(frame));
    printf("  %s frame: %08x %08x %08x %08x\n", name, frame[0], frame[1], frame[2], frame[3]);
}

static void dump_stream(uint64_t seed)
{
    struct insn in;
    unsigned at = 0;
    int len;

    printf("seed %llu:\n", (unsigned long long)seed);
    while (at < stream_len && stream[at] == 0x90)
        at++;
    for (; at < stream_len && (len = decode(&in, stream + at, INSN_MAX, MODE_32)) > 0;
         at += (unsigned)len) {
        printf("  %x %-10s", CODE + at, in.info->mnemonic);
        for (int i = 0; i < len; i++)
            printf(" %02x", stream[at + (unsigned)i]);
        printf("\n");
    }
}

static void one(struct machine *a, struct machine *b, uint64_t seed)
{
    static uint8_t data[DATA_SIZE];
    struct start start = { .eflags = EFLAGS_R1 };
    unsigned before = differences;

    seed_state = seed * 0x9e3779b97f4a7c15ull + 1;
    for (unsigned i = 0; i < 20; i++)
        rnd();
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)rnd();
    for (unsigned i = 0; i < 512; i++)
        start.fpu[i] = (uint8_t)rnd();
    for (unsigned i = 0; i < 8; i++)
        start.gpr[i] = DATA + rnd() % DATA_SIZE;
    start.gpr[RSP] = STACK + 0x2000;
    start.eflags |= rnd() & EFLAGS_ARITH;
    make_stream();
    load(a, &start, data);
    load(b, &start, data);
    run(a);
    run(b);
    compare(a, b);
    if (differences != before) {
        print_frame("interp", a);
        print_frame("bt", b);
    }
    if (differences != before)
        dump_stream(seed);
}

/* --- Kicks ------------------------------------------------------------------------------ */

static struct vcpu *kicked; /* while the translator runs it */
static unsigned long kicks;

static void on_alarm(int sig, siginfo_t *info, void *ucontext)
{
    (void)sig, (void)info;
    if (!kicked)
        return;
    vcpu_kick(kicked);
    engine_translator.on_kick(kicked, ucontext);
    kicks++;
}

static void start_kicks(struct vcpu *vcpu)
{
    struct sigaction action = { .sa_sigaction = on_alarm,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
    struct itimerval every = { { 0, (suseconds_t)kick_us }, { 0, (suseconds_t)kick_us } };

    if (!kick_us)
        return;
    kicked = vcpu;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void stop_kicks(void)
{
    struct itimerval never = { 0 };

    setitimer(ITIMER_REAL, &never, NULL);
    kicked = NULL;
}

static void put_stat(void *arg, const char *name, uint64_t value)
{
    (void)arg;
    if (!strcmp(name, "polls") || !strcmp(name, "windows_made") || !strcmp(name, "window_maps"))
        printf("%s %llu\n", name, (unsigned long long)value);
}

int main(int argc, char **argv)
{
    unsigned long streams = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    struct machine interp, bt;

    in_windows = getenv("NOVT_ACCESS") && !strcmp(getenv("NOVT_ACCESS"), "window");
    kick_us = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 0;
    machine_signal_stack();
    if (machine_create(&interp, &engine_interp) || machine_create(&bt, &engine_translator))
        return 2;
    start_kicks(bt.vcpu);
    for (unsigned long i = 0; i < streams && differences < 20; i++)
        one(&interp, &bt, seed + i);
    stop_kicks();
    if (kick_us) {
        printf("%lu kicks\n", kicks);
        engine_translator.stats(bt.vcpu, put_stat, NULL);
    }
    printf("%lu streams from seed %llu: %u differences\n", streams, (unsigned long long)seed,
           differences);
    machine_destroy(&interp);
    machine_destroy(&bt);
    return differences != 0;
}
