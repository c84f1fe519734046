/*
 * Random instruction streams, the interpreter against the translator: registers, flags, the FPU
 * state, memory, and where it ended (the vector of the exception, or the closing HLT).
 *
 *     test_lockstep [streams [seed]]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/physmem.h"
#include "cpu/engine.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"

enum {
    RAM = 16 << 20,
    TABLES = 0x100000,  /* page directory, then page tables */
    IDT = 0x80000,
    GDT = 0x81000,
    TSS = 0x82000,
    HANDLERS = 0x90000, /* one HLT for each vector, 16 bytes apart */
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

/* --- A machine ------------------------------------------------------------------- */

struct machine {
    struct physmem mem;
    struct vm_stop stop;
    struct vcpu *vcpu;
    const struct engine *engine;
};

static uint64_t port_read(void *board, uint16_t port, unsigned size)
{
    (void)board;
    return port * 0x01010101u >> (32 - 8 * size);
}

static void port_write(void *board, uint16_t port, unsigned size, uint64_t value)
{
    (void)board, (void)port, (void)size, (void)value;
}

static uint64_t mmio_read(void *board, uint64_t gpa, unsigned size)
{
    (void)board, (void)size;
    return gpa;
}

static void mmio_write(void *board, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)board, (void)gpa, (void)size, (void)value;
}

static uint8_t intr_ack(void *board)
{
    (void)board;
    return 0x20;
}

static void ferr(void *board)
{
    (void)board;
}

static const struct cpu_env env = { NULL, port_read, port_write, mmio_read, mmio_write, intr_ack, ferr };

static void put32(struct machine *m, uint64_t gpa, uint32_t value)
{
    memcpy(physmem_ptr(&m->mem, gpa), &value, 4);
}

static void make_tables(struct machine *m)
{
    for (unsigned i = 0; i < RAM >> 22; i++)
        put32(m, TABLES + 4 * i, (TABLES + 0x1000 * (i + 1)) | 7);
    for (unsigned i = 0; i < RAM >> 12; i++)
        put32(m, TABLES + 0x1000 + 4 * i, i << 12 | 7);
    for (unsigned v = 0; v < 256; v++) {
        uint32_t to = HANDLERS + 16 * v;

        put32(m, IDT + 8 * v, 8 << 16 | (to & 0xffff));
        put32(m, IDT + 8 * v + 4, (to & 0xffff0000) | 0x8e00);
        *physmem_ptr(&m->mem, to) = 0xf4;
    }
    put32(m, GDT + 8, 0x0000ffff), put32(m, GDT + 12, 0x00cf9b00);
    put32(m, GDT + 16, 0x0000ffff), put32(m, GDT + 20, 0x00cf9300);
    put32(m, TSS + 4, STACK + 0x8000), put32(m, TSS + 8, 0x10);
}

static void flat_state(struct vcpu *v)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = (struct segment){ 0x10, SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G,
                                      UINT32_MAX, 0 };
    v->seg[SEG_CS] = (struct segment){ 8, SEG_S | SEG_P | SEG_CODE | SEG_READABLE | SEG_ACCESSED |
                                       SEG_DB | SEG_G, UINT32_MAX, 0 };
    v->tr = (struct segment){ 0x18, SEG_P | 11, 0x67, TSS };
    v->gdtr.base = GDT, v->gdtr.limit = 0x17;
    v->idtr.base = IDT, v->idtr.limit = 0x7ff;
    v->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE | CR0_MP;
    v->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PGE | CR4_PSE;
    v->cr3 = TABLES;
    v->cpl = 0;
    mem_mode_changed(v);
}

static int machine_create(struct machine *m, const struct engine *engine)
{
    const char *error = "?";

    memset(m, 0, sizeof(*m));
    if (physmem_init(&m->mem, RAM) || !(m->vcpu = vcpu_create()))
        return -1;
    m->vcpu->mem = &m->mem;
    m->vcpu->env = &env;
    m->vcpu->stop = &m->stop;
    m->engine = engine;
    if (mem_create(m->vcpu))
        return -1;
    vcpu_reset(m->vcpu);
    make_tables(m);
    flat_state(m->vcpu);
    if (engine->create) {
        m->vcpu->engine_state = engine->create(m->vcpu, &error);
        if (!m->vcpu->engine_state && engine != &engine_interp) {
            printf("engine %s: %s\n", engine->name, error);
            return -1;
        }
    }
    return 0;
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
        value = rnd() % 8 ? rnd() : (uint32_t[]){ 0, 0x7fffffff, 0x80000000, 0xffffffff }[rnd() & 3];
    memcpy(code + 1, &value, 4);
    put_bytes(code, 5);
}

static bool acceptable(const struct insn *in)
{
    uint32_t attr = in->info->attr;

    if (attr & (A_PRIVILEGED | A_FAR | A_BRANCH | A_UNDEFINED | A_IOPL | A_SENSITIVE | A_AVX))
        return false;
    if (in->id == M_RDTSC || in->id == M_RDTSCP || in->id == M_CPUID || in->id == M_RDRAND || in->id == M_RDSEED ||
        in->id == M_RDPMC)
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

/* A conditional jump over the next few instructions, or a loop is not worth the risk of not ending. */
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

static void make_stream(void)
{
    unsigned insns = 1 + rnd() % 60;

    memset(stream, 0xf4, sizeof(stream));
    stream_len = rnd() % 2 ? 4096 - rnd() % 200 : 0; /* over a page end, often */
    if (stream_len)
        memset(stream, 0x90, stream_len);
    while (insns-- && stream_len < sizeof(stream) - 256) {
        unsigned what = rnd() % 16;

        if (what < 5)
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

static void load(struct machine *m, const struct start *start, const uint8_t *data)
{
    struct vcpu *v = m->vcpu;

    physmem_write(&m->mem, CODE, stream, sizeof(stream));
    physmem_write(&m->mem, DATA, data, DATA_SIZE);
    physmem_write(&m->mem, STACK, data, DATA_SIZE);
    memcpy(v->gpr, start->gpr, sizeof(start->gpr));
    v->eflags = start->eflags;
    v->rip = CODE;
    v->halted = v->shutdown = v->intr_shadow = false;
    m->stop.end = VM_RUNNING;
    flat_state(v);
    memcpy(v->fpu + FPU_XMM, start->fpu + FPU_XMM, 128);
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
    printf("  %s: interp %llx, bt %llx\n", what, (unsigned long long)interp, (unsigned long long)bt);
    differences++;
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
    for (unsigned i = 0; i < 512; i++)
        if ((i < FPU_FOP || i >= FPU_MXCSR) && i < 464 && a->vcpu->fpu[i] != b->vcpu->fpu[i]) {
            differ("fpu image byte", i << 8 | a->vcpu->fpu[i], i << 8 | b->vcpu->fpu[i]);
            break;
        }
    for (uint64_t gpa = CODE; gpa < STACK + 0x10000; gpa++)
        if (*physmem_ptr(&a->mem, gpa) != *physmem_ptr(&b->mem, gpa)) {
            differ("memory at", gpa << 8 | *physmem_ptr(&a->mem, gpa), gpa << 8 | *physmem_ptr(&b->mem, gpa));
            break;
        }
}

static void dump_stream(uint64_t seed)
{
    struct insn in;
    unsigned at = 0;
    int len;

    printf("seed %llu:\n", (unsigned long long)seed);
    while (at < stream_len && stream[at] == 0x90)
        at++;
    for (; at < stream_len && (len = decode(&in, stream + at, INSN_MAX, MODE_32)) > 0; at += (unsigned)len) {
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
    if (differences != before)
        dump_stream(seed);
}

static void signal_stack(void)
{
    stack_t ss = { .ss_size = 256 << 10 };

    ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&ss, NULL);
}

int main(int argc, char **argv)
{
    unsigned long streams = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    struct machine interp, bt;

    signal_stack();
    if (machine_create(&interp, &engine_interp) || machine_create(&bt, &engine_translator))
        return 2;
    for (unsigned long i = 0; i < streams && differences < 20; i++)
        one(&interp, &bt, seed + i);
    printf("%lu streams from seed %llu: %u differences\n", streams, (unsigned long long)seed, differences);
    return differences != 0;
}
