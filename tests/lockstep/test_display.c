/*
 * Frames that are shown (WATCH_DISPLAY): after random stores by guest code, each frame that has
 * changed has lost its watch, and no run of frames has without a store in it. In the interpreter
 * and in the translator, whose form of access NOVT_ACCESS says; by kernel and by user code.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/mem.h"
#include "tests/check.h"
#include "tests/machine.h"

enum {
    CODE = 0x400000,
    SHOWN = 0x600000, /* gpa and gla */
    FRAMES = 256,
    ROUNDS = 200,
    STORES = 20,
};

static uint8_t before[FRAMES * PAGE_SIZE];
static uint8_t *code;

static void put8(uint8_t value)
{
    *code++ = value;
}

static void put32(uint32_t value)
{
    memcpy(code, &value, 4);
    code += 4;
}

/* A store of a kind, near where it may touch two frames; about a fifth of them outside. */
static void put_store(void)
{
    uint32_t page = SHOWN + (uint32_t)(rand() % (FRAMES + FRAMES / 4)) * PAGE_SIZE;
    uint32_t to = page + (uint32_t)(rand() % 2 ? PAGE_SIZE - 2 : (uint32_t)rand() % 4000);

    switch (rand() % 5) {
    case 0: /* mov dword [to], value */
        put8(0xc7), put8(0x05), put32(to), put32((uint32_t)rand() | 1);
        break;
    case 1: /* inc dword [to] */
        put8(0xff), put8(0x05), put32(to);
        break;
    case 2: /* mov edi, to; mov ecx, n; mov eax, value; rep stosd */
        put8(0xbf), put32(to);
        put8(0xb9), put32((uint32_t)rand() % 3000);
        put8(0xb8), put32((uint32_t)rand() | 1);
        put8(0xf3), put8(0xab);
        break;
    case 3: /* mov esp, to + 8; push value */
        put8(0xbc), put32(to + 8);
        put8(0x68), put32((uint32_t)rand() | 1);
        break;
    default: /* mov eax, [to]: no store at all */
        put8(0xa1), put32(to);
        break;
    }
}

static void make_code(struct machine *m)
{
    uint8_t *start = code = physmem_ptr(&m->mem, CODE);

    for (unsigned i = 0; i < STORES; i++)
        put_store();
    put8(0xf4); /* hlt; in user code #GP, whose handler does */
    physmem_written(&m->mem, CODE, (uint64_t)(code - start));
}

static void run(struct machine *m, bool user)
{
    struct vcpu *v = m->vcpu;

    machine_flat(v);
    for (unsigned i = 0; i < SEG_COUNT && user; i++) {
        v->seg[i].selector |= 3;
        v->seg[i].attr |= SEG_DPL;
    }
    v->cpl = user ? 3 : 0;
    v->rip = CODE;
    v->eflags = EFLAGS_R1;
    v->halted = false;
    mem_mode_changed(v);
    do
        v->exit_request = false;
    while (m->engine->run(v) == EXIT_REQUEST);
}

static bool changed(const struct machine *m, unsigned first, unsigned count)
{
    return memcmp(before + first * PAGE_SIZE, physmem_ptr(&m->mem, SHOWN + first * PAGE_SIZE),
                  count * PAGE_SIZE) != 0;
}

static bool watched(const struct machine *m, unsigned frame)
{
    return physmem_watched(&m->mem, SHOWN / PAGE_SIZE + frame) & WATCH_DISPLAY;
}

/* The frames that have lost their watch with this one: has any changed? Or the one before them: a
 * store across the two may put the same bytes into the second. */
static bool group_changed(const struct machine *m, unsigned frame)
{
    unsigned first = frame, end = frame;

    while (first && !watched(m, first - 1))
        first--;
    while (end < FRAMES && !watched(m, end))
        end++;
    first -= first != 0;
    return changed(m, first, end - first);
}

static void check(const struct machine *m, unsigned round)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < FRAMES; i++) {
        if (watched(m, i) ? changed(m, i, 1) : !group_changed(m, i)) {
            printf("round %u: frame %u: watched %d\n", round, i, watched(m, i));
            wrong++;
        }
    }
    CHECK_EQ(wrong, 0);
}

static void test(const struct engine *engine)
{
    struct machine m;

    if (machine_create(&m, engine))
        exit(2);
    mem_attach(m.vcpu);
    srand(7);
    for (unsigned i = 0; i < ROUNDS; i++) {
        make_code(&m);
        memcpy(before, physmem_ptr(&m.mem, SHOWN), sizeof(before));
        physmem_clean(&m.mem, SHOWN / PAGE_SIZE, FRAMES);
        run(&m, i & 1);
        check(&m, i);
        CHECK_EQ(m.vcpu->halted, 1);
    }
    machine_destroy(&m);
}

int main(void)
{
    machine_signal_stack();
    test(&engine_interp);
    test(&engine_translator);
    return CHECK_DONE();
}
