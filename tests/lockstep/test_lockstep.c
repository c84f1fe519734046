/*
 * Random instruction streams, the interpreter against the translator: registers, segments, flags,
 * the FPU state, memory with page tables and descriptors, and where it ended (the vector of the
 * exception, or the closing HLT).
 *
 *     test_lockstep [streams [seed [kicks]]]
 *
 * kicks: microseconds between signals that kick the translator, as the board's timer does; streams
 * have loops then, of calls, returns and indirect jumps. Kicks are samples too, so that the code
 * gets a window after some milliseconds. NOVT_ACCESS says which form of memory access there is;
 * with NOVT_CACHE_SIZE translations must have been evicted.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"
#include "cpu/mem.h"
#include "cpu/paging.h"
#include "tests/lockstep/documented.h"
#include "tests/host_fpu.h"
#include "tests/lockstep/streams.h"
#include "tests/machine.h"

static unsigned kick_us;
static bool direct; /* under direct execution (NOVT_ACCESS) */

/* --- The machines ------------------------------------------------------------------------ */

static void put32(struct machine *m, uint64_t gpa, uint32_t value)
{
    physmem_write(&m->mem, gpa, &value, 4);
}

/* What streams must not write: stale translations have no one right answer. */
static bool is_system(uint32_t gpa)
{
    return gpa - TABLES < PAGE_SIZE * (1 + (RAM >> 22)) || gpa == IDT || gpa == GDT ||
           gpa == HANDLERS;
}

static uint32_t entry_of(uint32_t page)
{
    const uint32_t alias = (ALIAS - CODE) >> PAGE_SHIFT;

    if (page == HOLE >> PAGE_SHIFT)
        return 0;
    if (page == READ_ONLY >> PAGE_SHIFT || is_system(page << PAGE_SHIFT))
        return page << PAGE_SHIFT | PTE_P | PTE_U;
    if (page == KERNEL_PAGE >> PAGE_SHIFT)
        return KERNEL_PAGE | PTE_P | PTE_W;
    if (page - (ALIAS >> PAGE_SHIFT) < CODE_PAGES)
        page -= alias;
    return page << PAGE_SHIFT | PTE_P | PTE_W | PTE_U;
}

/* As at first, with A and D clear. */
static void load_tables(struct machine *m)
{
    for (uint32_t i = 0; i < RAM >> 22; i++)
        put32(m, TABLES + 4 * i, (TABLES + 0x1000 * (i + 1)) | 7);
    for (uint32_t page = 0; page < RAM >> PAGE_SHIFT; page++)
        put32(m, TABLES + 0x1000 + 4 * page, entry_of(page));
    m->vcpu->mmu->root_changed(m->vcpu);
}

static void put_descriptor(struct machine *m, const struct segment *s)
{
    uint32_t limit = s->attr & SEG_G ? s->limit >> 12 : s->limit, base = (uint32_t)s->base;

    put32(m, GDT + (s->selector & ~7u), base << 16 | (limit & 0xffff));
    put32(m, GDT + (s->selector & ~7u) + 4, (base & 0xff000000) | (limit & 0xf0000) |
          (s->attr & 0xf0ff) << 8 | (base >> 16 & 0xff));
}

static void load_segments(struct machine *m, const struct scene *scene)
{
    struct vcpu *v = m->vcpu;
    struct segment code = v->seg[SEG_CS], data = v->seg[SEG_DS];

    code.attr |= SEG_DPL, data.attr |= SEG_DPL;
    code.selector = scene->code_selector, data.selector = scene->data_selector;
    put_descriptor(m, &code);
    put_descriptor(m, &data);
    put_descriptor(m, &scene->odd_segment[0]);
    put_descriptor(m, &scene->odd_segment[1]);
    v->gdtr.limit = GDT_LIMIT;
    if (scene->user) {
        for (unsigned i = 0; i < SEG_COUNT; i++)
            v->seg[i] = i == SEG_CS ? code : data;
        v->cpl = 3;
    }
    if (scene->odd) {
        v->seg[SEG_FS] = scene->odd_segment[0];
        v->seg[SEG_GS] = scene->odd_segment[1];
    }
}

/* inc dword [COUNTER]; iret, or HLT as the others. */
static void load_handler(struct machine *m, unsigned vector, bool counts)
{
    static const uint8_t count[] = { 0xff, 0x05, COUNTER & 0xff, COUNTER >> 8 & 0xff,
                                     COUNTER >> 16 & 0xff, COUNTER >> 24, 0xcf };
    uint8_t halt[sizeof(count)] = { 0xf4 };

    physmem_write(&m->mem, HANDLERS + 16 * vector, counts ? count : halt, sizeof(count));
}

/* Vectors that user code may raise by INT n, and come back from. */
static void load_gates(struct machine *m, const struct scene *scene)
{
    static const uint8_t vectors[] = { VEC_BP, VEC_OF, 0x21, 0x80 };

    load_handler(m, VEC_DB, scene->stepper);
    for (unsigned i = 0; scene->direct && i < sizeof(vectors); i++) {
        uint8_t attributes = 0xee;

        load_handler(m, vectors[i], true);
        physmem_write(&m->mem, IDT + 8 * vectors[i] + 5, &attributes, 1);
    }
    m->vcpu->sysenter_cs = scene->sysenter_cs;
    m->vcpu->sysenter_esp = TSS + 0x1000;
    m->vcpu->sysenter_eip = HANDLERS + 16 * 0x90;
}

static void load_fpu(struct vcpu *v, const struct scene *scene)
{
    fpu_reset(v);
    memcpy(v->fpu + FPU_CW, &scene->cw, 2);
    memcpy(v->fpu + FPU_MXCSR, &scene->mxcsr, 4);
    memcpy(v->fpu + FPU_XMM, scene->xmm, sizeof(scene->xmm));
    v->fpu[FPU_XSTATE_BV] |= XCR0_X87 | XCR0_SSE;
}

static void load(struct machine *m, const struct scene *scene, bool tables)
{
    struct vcpu *v = m->vcpu;

    physmem_write(&m->mem, CODE, stream, sizeof(stream));
    physmem_write(&m->mem, DATA, scene->data, DATA_SIZE);
    physmem_write(&m->mem, STACK, scene->data, DATA_SIZE);
    load_gates(m, scene);
    if (tables)
        load_tables(m);
    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = scene->gpr[i];
    v->eflags = scene->eflags;
    v->rip = CODE;
    v->intr_line = scene->interrupt;
    machine_rest(m);
    machine_flat(v);
    load_segments(m, scene);
    v->cr0 = (v->cr0 | scene->cr0_set) & ~(uint64_t)scene->cr0_clear;
    v->xcr0 = fpu_offered_xcr0() ? fpu_offered_xcr0() : XCR0_X87;
    v->cr4 |= v->xcr0 == XCR0_X87 ? 0 : CR4_OSXSAVE;
    v->cr4 &= ~(uint64_t)scene->cr4_clear;
    for (unsigned i = 0; i < 4; i++)
        v->dr[i] = scene->dr[i];
    v->dr[7] = scene->dr[7];
    if (scene->user && !scene->direct)
        v->cr4 |= CR4_TSD; /* streams that change themselves may read it, unlike */
    mem_mode_changed(v);
    load_fpu(v, scene);
}

/* --- Running and comparing -------------------------------------------------------------- */

static void run(struct machine *m)
{
    enum exit_reason why;

    do
        why = m->engine->run(m->vcpu);
    while (why == EXIT_REQUEST);
}

#define STEPS_MAX 1000000 /* where others take hundreds: a random jump has made a loop */

/* Under direct execution, step by step: true when it met something that the bare CPU is documented
 * to do differently, or does not end. */
static bool run_watched(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    for (unsigned steps = 0; m->stop.end == VM_RUNNING && !(v->halted && !vcpu_can_interrupt(v));
         steps++) {
        bool user = v->cpl == 3 && !vcpu_can_interrupt(v);

        if (steps == STEPS_MAX || (user && documented_next(v)))
            return true;
        interp_step(v);
        if (user && ((v->cpl == 0 && documented_faulted()) || documented_overwritten(v)))
            return true;
    }
    return false;
}

static unsigned differences;
static unsigned long left_out;

static void differ(const char *what, uint64_t interp, uint64_t bt)
{
    printf("  %s: interp %llx, bt %llx\n", what, (unsigned long long)interp,
           (unsigned long long)bt);
    differences++;
}

static const char *const gpr_names[] = { "eax", "ecx", "edx", "ebx",
                                         "esp", "ebp", "esi", "edi" };

/* Selectors 1 to 3 are as null as 0 is, and become 0 on the bare CPU. */
static uint16_t selector_of(const struct segment *s)
{
    return direct && s->selector <= 3 ? 0 : s->selector;
}

static void compare_segments(const struct vcpu *a, const struct vcpu *b)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *s = &a->seg[i], *t = &b->seg[i];

        if (selector_of(s) != selector_of(t) || s->attr != t->attr || s->limit != t->limit ||
            s->base != t->base)
            differ("segment", i << 16 | s->selector, i << 16 | t->selector);
    }
}

static void compare_registers(const struct vcpu *a, const struct vcpu *b)
{
    if (a->stop->end != b->stop->end || a->halted != b->halted)
        differ("end, halted", a->stop->end << 8 | a->halted, b->stop->end << 8 | b->halted);
    if (a->rip != b->rip)
        differ("eip", a->rip, b->rip);
    for (unsigned i = 0; i < 8; i++)
        if (a->gpr[i] != b->gpr[i])
            differ(gpr_names[i], a->gpr[i], b->gpr[i]);
    if (a->eflags != b->eflags)
        differ("eflags", a->eflags, b->eflags);
    if (a->cr2 != b->cr2 && !(direct && documented_cr2(a, a->cr2, b->cr2)))
        differ("cr2", a->cr2, b->cr2);
    if (a->dr[6] != b->dr[6])
        differ("dr6", a->dr[6], b->dr[6]);
    if (a->cpl != b->cpl)
        differ("cpl", a->cpl, b->cpl);
}

/* A may be set early: by instructions that raise another exception, by decoding ahead. */
static uint8_t ignored_bits(uint64_t gpa)
{
    return gpa - TABLES < PAGE_SIZE * (1 + (RAM >> 22)) && !(gpa & 3) ? PTE_A : 0;
}

/* What differs is printed and made equal again. */
static void compare_memory(struct machine *a, struct machine *b)
{
    for (uint64_t page = IDT; page < STACK + 0x10000; page += PAGE_SIZE) {
        const uint8_t *p = physmem_ptr(&a->mem, page), *q = physmem_ptr(&b->mem, page);
        unsigned i = 0;

        if (!memcmp(p, q, PAGE_SIZE))
            continue;
        while (i < PAGE_SIZE && !((p[i] ^ q[i]) & ~ignored_bits(page + i)))
            i++;
        if (i == PAGE_SIZE)
            continue;
        differ("memory at", (page + i) << 8 | p[i], (page + i) << 8 | q[i]);
        physmem_write(&b->mem, page, p, PAGE_SIZE);
    }
}

/* For the next stream, when this one was left out. */
static void copy_memory(struct machine *a, struct machine *b)
{
    for (uint64_t page = 0; page < RAM; page += PAGE_SIZE) {
        const uint8_t *p = physmem_ptr(&a->mem, page);

        if (memcmp(p, physmem_ptr(&b->mem, page), PAGE_SIZE))
            physmem_write(&b->mem, page, p, PAGE_SIZE);
    }
}

/* Where CR2 may be on one missing page or on another, of which one is absent and one is protected,
 * so may be P in the error code. */
static void allow_present(const struct machine *a, struct machine *b)
{
    uint64_t at = a->vcpu->gpr[RSP];
    uint32_t interp = 0, cpu = 0;

    if (!direct || a->vcpu->cr2 == b->vcpu->cr2 || at != b->vcpu->gpr[RSP] ||
        !documented_cr2(a->vcpu, a->vcpu->cr2, b->vcpu->cr2))
        return;
    physmem_read(&a->mem, at, &interp, sizeof(interp));
    physmem_read(&b->mem, at, &cpu, sizeof(cpu));
    if ((interp ^ cpu) == PF_P)
        physmem_write(&b->mem, at, &interp, sizeof(interp));
}

static void compare(struct machine *a, struct machine *b)
{
    unsigned at = fpu_difference(a->vcpu->fpu, b->vcpu->fpu);

    compare_registers(a->vcpu, b->vcpu);
    allow_present(a, b);
    compare_segments(a->vcpu, b->vcpu);
    /* formatting a triple fault's report may use vector registers that nobody will read again */
    if (at < FPU_AREA_SIZE && a->stop.end == VM_RUNNING)
        differ("fpu image byte", at << 8 | a->vcpu->fpu[at], at << 8 | b->vcpu->fpu[at]);
    compare_memory(a, b);
}

/* The eip that the exception's frame holds, and the words beside it. */
static void print_frame(const char *name, const struct machine *m)
{
    uint32_t frame[4] = { 0 };

    physmem_read(&m->mem, m->vcpu->gpr[RSP], frame, sizeof(frame));
    printf("  %s frame: %08x %08x %08x %08x\n", name, frame[0], frame[1], frame[2], frame[3]);
}

static void one(struct machine *a, struct machine *b, uint64_t seed)
{
    static struct scene scene;
    unsigned before = differences;

    streams_make(seed, kick_us, direct, &scene);
    load(a, &scene, seed % 16 == 0);
    load(b, &scene, seed % 16 == 0);
    if (!direct) {
        run(a);
    } else if (run_watched(a)) {
        left_out++;
        copy_memory(a, b);
        return;
    }
    run(b);
    compare(a, b);
    if (differences == before)
        return;
    print_frame("interp", a);
    print_frame("bt", b);
    printf("seed %llu, CPL %u, eflags %x:\n", (unsigned long long)seed, scene.user ? 3 : 0,
           scene.eflags);
    streams_dump();
}

/* --- Kicks ------------------------------------------------------------------------------ */

static struct vcpu *kicked; /* while the translator runs it */
static unsigned long kicks;

/* From the end of one kick to the next, so that the guest gets on however long a kick takes. */
static void arm_kick(void)
{
    struct itimerval once = { { 0, 0 }, { 0, (suseconds_t)kick_us } };

    setitimer(ITIMER_REAL, &once, NULL);
}

static void on_alarm(int sig, siginfo_t *info, void *ucontext)
{
    (void)sig, (void)info;
    if (!kicked)
        return;
    vcpu_kick(kicked);
    engine_translator.on_kick(kicked, ucontext);
    kicks++;
    arm_kick();
}

static void start_kicks(struct vcpu *vcpu)
{
    struct sigaction action = { .sa_sigaction = on_alarm,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

    if (!kick_us)
        return;
    kicked = vcpu;
    sigaction(SIGALRM, &action, NULL);
    arm_kick();
}

static void stop_kicks(void)
{
    struct itimerval never = { 0 };

    setitimer(ITIMER_REAL, &never, NULL);
    kicked = NULL;
}

static uint64_t evictions, direct_runs;

static void put_stat(void *arg, const char *name, uint64_t value)
{
    static const char *const printed[] = { "polls", "windows_made", "window_maps", "evictions",
                                           "direct_runs", "direct_faults", "direct_violations" };

    (void)arg;
    if (!strcmp(name, "evictions"))
        evictions = value;
    if (!strcmp(name, "direct_runs"))
        direct_runs = value;
    for (unsigned i = 0; i < sizeof(printed) / sizeof(*printed); i++)
        if (!strcmp(name, printed[i]))
            printf("%s %llu\n", name, (unsigned long long)value);
}

/* True: too little was tested. */
static bool judge_direct(unsigned long streams)
{
    documented_print();
    printf("%lu streams left out\n", left_out);
    if (!differences && (direct_runs < streams || left_out > streams / 4))
        printf("too few ran directly\n");
    return direct_runs < streams || left_out > streams / 4;
}

int main(int argc, char **argv)
{
    const char *error;
    struct cpu_model *model;
    unsigned long streams = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    struct machine interp, bt;

    direct = getenv("NOVT_ACCESS") && !strcmp(getenv("NOVT_ACCESS"), "direct");
    kick_us = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 0;
    machine_signal_stack();
    if (cpu_model_parse("host", &model, &error))
        return 2;
    if (machine_create(&interp, &engine_interp))
        return 2;
    if (machine_create(&bt, &engine_translator))
        return direct ? 77 : 2; /* a host without direct execution: skipped */
    documented_model(model);
    interp.vcpu->model = bt.vcpu->model = model; /* vendors differ, and the host's CPU is at work */
    load_tables(&interp);
    load_tables(&bt);
    start_kicks(bt.vcpu);
    for (unsigned long i = 0; i < streams && differences < 20; i++)
        one(&interp, &bt, seed + i);
    stop_kicks();
    printf("%lu kicks\n", kicks);
    engine_translator.stats(bt.vcpu, put_stat, NULL);
    printf("%lu streams from seed %llu: %u differences\n", streams, (unsigned long long)seed,
           differences);
    if (getenv("NOVT_CACHE_SIZE") && !evictions) {
        printf("no eviction\n");
        differences++;
    }
    if (direct && judge_direct(streams))
        differences++;
    machine_destroy(&interp);
    machine_destroy(&bt);
    cpu_model_destroy(model);
    return differences != 0;
}
