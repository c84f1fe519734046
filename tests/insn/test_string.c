/*
 * Repeated string instructions of the interpreter against a byte-wise model: long and overlapping
 * runs over page ends, both directions; stops in the middle (fault, interrupt, trap) and goes on;
 * stores to watched frames.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/interp.h"
#include "cpu/mem.h"
#include "tests/check.h"
#include "tests/machine.h"

enum { AREA = 0x300000, AREA_SIZE = 0x20000, RUNS = 3000 };

static struct machine m;
static uint8_t model[AREA_SIZE];

static uint8_t *area(void)
{
    return physmem_ptr(&m.mem, AREA);
}

static void fill(void)
{
    for (unsigned i = 0; i < AREA_SIZE; i++)
        area()[i] = model[i] = (uint8_t)rand();
}

static struct insn decoded(const char *bytes)
{
    uint8_t code[INSN_MAX] = {0};
    struct insn in;

    memcpy(code, bytes, strlen(bytes));
    decode(&in, code, sizeof(code), MODE_32);
    return in;
}

static void set(uint32_t from, uint32_t to, uint32_t count, bool down)
{
    struct vcpu *v = m.vcpu;

    v->gpr[RSI] = AREA + from;
    v->gpr[RDI] = AREA + to;
    v->gpr[RCX] = count;
    v->rip = 0x1000;
    v->eflags = EFLAGS_R1 | (down ? EFLAGS_DF : 0);
}

/* Executes until it is done; returns how often it yielded. */
static unsigned finish(const struct insn *in)
{
    unsigned yields = 0;
    enum step step;

    while ((step = interp_execute(m.vcpu, in)) == STEP_JUMPED) {
        CHECK_EQ(m.vcpu->rip, 0x1000);
        yields++;
    }
    CHECK_EQ(step, STEP_NEXT);
    CHECK_EQ(m.vcpu->rip, 0x1000 + in->len);
    return yields;
}

static void model_movs(uint32_t from, uint32_t to, uint32_t count, unsigned size, bool down)
{
    uint8_t element[4];

    for (; count; count--) {
        memcpy(element, model + from, size);
        memcpy(model + to, element, size);
        from += down ? -size : size;
        to += down ? -size : size;
    }
}

static void test_movs(void)
{
    const struct insn by_size[] = {decoded("\xf3\xa4"), decoded("\x66\xf3\xa5"),
                                   decoded("\xf3\xa5")};

    fill();
    for (unsigned i = 0; i < RUNS; i++) {
        unsigned which = (unsigned)rand() % 3, size = 1u << which;
        uint32_t count = (uint32_t)(i % 8 ? rand() % 200 : rand() % 0x3000) / size;
        uint32_t from = 0xc000 + (uint32_t)rand() % 0x8000;
        uint32_t to = i % 2 ? from + (uint32_t)rand() % 16 : 0xc000 + (uint32_t)rand() % 0x8000;
        bool down = i % 3 == 0;

        if (i % 5 == 0) /* where the host's own is slow */
            to = from + 4096 * (uint32_t)(rand() % 5 - 2) + (uint32_t)rand() % 40;
        set(from, to, count, down);
        finish(&by_size[which]);
        model_movs(from, to, count, size, down);
        CHECK_EQ(m.vcpu->gpr[RCX], 0);
        CHECK_EQ(m.vcpu->gpr[RDI], AREA + to + (down ? -(count * size) : count * size));
        if (i % 50 == 0)
            CHECK_EQ(memcmp(area(), model, AREA_SIZE), 0);
    }
    CHECK_EQ(memcmp(area(), model, AREA_SIZE), 0);
}

static void set_page(uint32_t gla, bool present)
{
    uint32_t pte = gla | (present ? 7 : 6);

    memcpy(physmem_ptr(&m.mem, TABLES + 0x1000 + 4 * (gla >> 12)), &pte, 4);
    mem_invlpg(m.vcpu, gla);
}

/* The destination's second page is away: as far as it goes, exactly; then it goes on. */
static void test_fault_midway(void)
{
    const struct insn movsd = decoded("\xf3\xa5");

    fill();
    set_page(AREA + 0x3000, false);
    set(0x8001, 0x2ff2, 0x100, false);
    CHECK_EQ(interp_execute(m.vcpu, &movsd), STEP_FAULT);
    CHECK_EQ(m.vcpu->fault.vector, VEC_PF);
    CHECK_EQ(m.vcpu->fault.cr2, AREA + 0x3000);
    CHECK_EQ(m.vcpu->rip, 0x1000);
    CHECK_EQ(m.vcpu->gpr[RCX], 0x100 - 3);
    CHECK_EQ(m.vcpu->gpr[RSI], AREA + 0x8001 + 12);
    CHECK_EQ(m.vcpu->gpr[RDI], AREA + 0x2ff2 + 12);
    model_movs(0x8001, 0x2ff2, 3, 4, false);
    CHECK_EQ(memcmp(area(), model, AREA_SIZE), 0);
    set_page(AREA + 0x3000, true);
    finish(&movsd);
    model_movs(0x8001 + 12, 0x2ff2 + 12, 0x100 - 3, 4, false);
    CHECK_EQ(memcmp(area(), model, AREA_SIZE), 0);
}

/* The same downwards, from above a page that is away. */
static void test_fault_midway_down(void)
{
    const struct insn movsd = decoded("\xf3\xa5");

    fill();
    set_page(AREA + 0x2000, false);
    set(0x8001, 0x3009, 0x100, true);
    CHECK_EQ(interp_execute(m.vcpu, &movsd), STEP_FAULT);
    CHECK_EQ(m.vcpu->fault.vector, VEC_PF);
    CHECK_EQ(m.vcpu->fault.cr2, AREA + 0x2ffd);
    CHECK_EQ(m.vcpu->gpr[RCX], 0x100 - 3);
    CHECK_EQ(m.vcpu->gpr[RSI], AREA + 0x8001 - 12);
    CHECK_EQ(m.vcpu->gpr[RDI], AREA + 0x3009 - 12);
    set_page(AREA + 0x2000, true);
    finish(&movsd);
    model_movs(0x8001, 0x3009, 0x100, 4, true);
    CHECK_EQ(memcmp(area(), model, AREA_SIZE), 0);
}

/* Backward runs are done a page at a time, not element by element: it yields between them. */
static void test_down_is_a_run(void)
{
    const struct insn movsb = decoded("\xf3\xa4");
    unsigned yields;

    fill();
    set(0x5fff, 0x9fff, 0x4000, true);
    m.vcpu->exit_request = true;
    yields = finish(&movsb);
    m.vcpu->exit_request = false;
    CHECK_EQ(yields, 3);
    model_movs(0x5fff, 0x9fff, 0x4000, 1, true);
    CHECK_EQ(memcmp(area(), model, AREA_SIZE), 0);
}

/* Flags of a comparison that faults midway are those before it. */
static void test_fault_keeps_flags(void)
{
    const struct insn scasb = decoded("\xf2\xae");

    memset(area(), 1, AREA_SIZE);
    set_page(AREA + 0x3000, false);
    set(0, 0x2ff0, 0x100, false);
    m.vcpu->gpr[RAX] = 2;
    m.vcpu->eflags |= EFLAGS_ZF | EFLAGS_OF;
    CHECK_EQ(interp_execute(m.vcpu, &scasb), STEP_FAULT);
    CHECK_EQ(m.vcpu->gpr[RCX], 0xf0);
    CHECK_EQ(m.vcpu->eflags, EFLAGS_R1 | EFLAGS_ZF | EFLAGS_OF);
    set_page(AREA + 0x3000, true);
}

/* A due interrupt, a request, a trap: it stops between iterations and can be continued. */
static void test_yields(void)
{
    const struct insn movsb = decoded("\xf3\xa4");

    fill();
    set(0x1000, 0x8000, 0x5000, false);
    m.vcpu->eflags |= EFLAGS_IF;
    m.vcpu->intr_line = true;
    CHECK_EQ(finish(&movsb), 4); /* page runs */
    m.vcpu->intr_line = false;
    set(0x1000, 0x8000, 0x5000, true);
    m.vcpu->gpr[RSI] += 0x5000;
    m.vcpu->gpr[RDI] += 0x5000;
    m.vcpu->exit_request = true;
    CHECK_EQ(interp_execute(m.vcpu, &movsb), STEP_JUMPED);
    CHECK_EQ(m.vcpu->gpr[RCX] > 0x5000 - 0x1001, 1);
    m.vcpu->exit_request = false;
    finish(&movsb);
    set(0, 0x100, 5, false);
    m.vcpu->eflags |= EFLAGS_TF;
    CHECK_EQ(finish(&movsb), 4); /* each iteration but the last */
}

struct tellings {
    uint8_t told[PAGE_SIZE]; /* of the watched frame */
    unsigned times;
};

static void on_write(void *arg, uint64_t gpa, uint64_t size)
{
    struct tellings *t = arg;

    t->times++;
    CHECK_EQ((gpa & PAGE_MASK) + size <= PAGE_SIZE, 1);
    memset(t->told + (gpa & PAGE_MASK), 1, size);
}

/* Every byte stored to a watched frame is told of: the run at once, and an element across either
 * end of the frame. */
static void test_watched(void)
{
    const struct insn stosd = decoded("\xf3\xab");
    struct tellings t = {0};
    unsigned told = 0;

    m.mem.on_write = on_write;
    m.mem.arg = &t;
    physmem_watch(&m.mem, (AREA + 0x4000) >> 12, WATCH_CODE);
    mem_invlpg(m.vcpu, AREA + 0x4000);
    set(0, 0x3ffe, 0x800, false);
    finish(&stosd);
    for (unsigned i = 0; i < PAGE_SIZE; i++)
        told += t.told[i];
    CHECK_EQ(told, PAGE_SIZE);
    CHECK_EQ(t.times < 8, 1);
    physmem_unwatch(&m.mem, (AREA + 0x4000) >> 12, WATCH_CODE);
    m.mem.on_write = NULL;
}

int main(void)
{
    if (machine_create(&m, &engine_interp))
        return 1;
    test_movs();
    test_fault_midway();
    test_fault_midway_down();
    test_down_is_a_run();
    test_fault_keeps_flags();
    test_yields();
    test_watched();
    return CHECK_DONE();
}
