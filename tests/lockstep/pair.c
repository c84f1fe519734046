/* The same machine under two engines, and what differs between them afterwards. */
#include "tests/lockstep/pair.h"

#include <stdio.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "tests/host_fpu.h"
#include "cpu/interp.h"
#include "cpu/segment.h"

static bool run_interp(struct machine *m)
{
    for (unsigned i = 0; i < PAIR_STEPS; i++) {
        if (m->vcpu->halted || m->stop.end != VM_RUNNING)
            return true;
        m->vcpu->exit_request = false; /* as an engine does */
        interp_step(m->vcpu);
    }
    return false;
}

static void run_bt(struct machine *m)
{
    enum exit_reason why;

    do
        why = m->engine->run(m->vcpu);
    while (why == EXIT_REQUEST);
}

static void differ(struct pair *pair, const char *what, uint64_t interp, uint64_t bt)
{
    printf("  %s: interp %llx, bt %llx\n", what, (unsigned long long)interp,
           (unsigned long long)bt);
    pair->differences++;
}

static void compare_segments(struct pair *pair)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *s = &pair->interp.vcpu->seg[i], *t = &pair->bt.vcpu->seg[i];

        if (s->selector != t->selector || s->attr != t->attr || s->limit != t->limit ||
            s->base != t->base)
            differ(pair, "segment", i << 16 | s->selector, i << 16 | t->selector);
        if (s->attr != t->attr || s->limit != t->limit)
            differ(pair, "attributes, limit", (uint64_t)s->attr << 32 | s->limit,
                   (uint64_t)t->attr << 32 | t->limit);
    }
}

static void compare_registers(struct pair *pair)
{
    static const char *const names[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
    const struct vcpu *a = pair->interp.vcpu, *b = pair->bt.vcpu;
    unsigned at;

    if (a->stop->end != b->stop->end || a->halted != b->halted)
        differ(pair, "end, halted", a->stop->end << 8 | a->halted, b->stop->end << 8 | b->halted);
    if (a->rip != b->rip)
        differ(pair, "eip", a->rip, b->rip);
    for (unsigned i = 0; i < 8; i++)
        if (a->gpr[i] != b->gpr[i])
            differ(pair, names[i], a->gpr[i], b->gpr[i]);
    if (a->eflags != b->eflags)
        differ(pair, "eflags", a->eflags, b->eflags);
    if (a->cpl != b->cpl)
        differ(pair, "cpl", a->cpl, b->cpl);
    if (a->cr2 != b->cr2)
        differ(pair, "cr2", a->cr2, b->cr2);
    at = fpu_difference(a->fpu, b->fpu);
    if (at < FPU_AREA_SIZE && a->stop->end == VM_RUNNING)
        differ(pair, "fpu image byte", at << 8 | a->fpu[at], at << 8 | b->fpu[at]);
}

/* say: count what differs. */
static void compare_memory(struct pair *pair, bool say)
{
    for (uint64_t page = 0; page < RAM; page += PAGE_SIZE) {
        const uint8_t *p = physmem_ptr(&pair->interp.mem, page);
        const uint8_t *q = physmem_ptr(&pair->bt.mem, page);
        unsigned i = 0;

        if (!memcmp(p, q, PAGE_SIZE))
            continue;
        while (p[i] == q[i])
            i++;
        if (say && page < PAIR_COMPARED)
            differ(pair, "memory at", (page + i) << 8 | p[i], (page + i) << 8 | q[i]);
        physmem_write(&pair->bt.mem, page, p, PAGE_SIZE);
    }
}

bool pair_run(struct pair *pair)
{
    bool ended = run_interp(&pair->interp);

    if (ended) {
        run_bt(&pair->bt);
        compare_registers(pair);
        compare_segments(pair);
    }
    compare_memory(pair, ended);
    return ended;
}

int pair_create(struct pair *pair)
{
    const char *error;

    pair->differences = 0;
    if (machine_create(&pair->interp, &engine_interp) ||
        machine_create(&pair->bt, &engine_translator) ||
        cpu_model_parse("host", &pair->model, &error))
        return -1;
    pair->interp.vcpu->model = pair->bt.vcpu->model = pair->model;
    return 0;
}

void pair_destroy(struct pair *pair)
{
    machine_destroy(&pair->interp);
    machine_destroy(&pair->bt);
    cpu_model_destroy(pair->model);
}

void pair_dma(struct pair *pair, uint64_t gpa, const void *bytes, size_t size)
{
    physmem_write(&pair->interp.mem, gpa, bytes, size);
    physmem_write(&pair->bt.mem, gpa, bytes, size);
}
