/*
 * tests/machine.c's machine, entered at CPL 3: an exception ends at a HLT of CPL 0, and the frame
 * on that stack says what the CPU pushed.
 */
#include "tests/insn/guest.h"

#include <stdio.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/mem.h"
#include "cpu/paging.h"
#include "cpu/segment.h"
#include "tests/hidden.h"
#include "tests/machine.h"

enum {
    FRAMES = 0x400000,     /* gpa of frame 0; frames are two pages apart */
    CODE_TABLE = 0x200000, /* page tables */
    DATA_TABLE = 0x201000,
    STACK_TOP = TSS + 0x1000,
};

static struct machine machine;

static uint64_t frame_gpa(unsigned frame)
{
    return FRAMES + 2 * PAGE_SIZE * frame;
}

const uint8_t *guest_frame(unsigned frame)
{
    return physmem_ptr(&machine.mem, frame_gpa(frame));
}

void guest_write(unsigned frame, unsigned offset, const void *from, unsigned size)
{
    physmem_write(&machine.mem, frame_gpa(frame) + offset, from, size);
}

static void put32(uint64_t gpa, uint32_t value)
{
    physmem_write(&machine.mem, gpa, &value, 4);
}

static uint64_t table_of(uint32_t gla)
{
    return gla >= WORLD_DATA ? DATA_TABLE : gla >= WORLD_CODE ? CODE_TABLE : TABLES + PAGE_SIZE;
}

/* INT3 may be executed at CPL 3. */
static void open_gate(unsigned vector)
{
    uint8_t attributes = 0xee;

    physmem_write(&machine.mem, IDT + 8 * vector + 5, &attributes, 1);
}

bool guest_private(uint32_t gla)
{
    return gla >= IDT && gla < HANDLERS + PAGE_SIZE;
}

/* Of the machine's own one-to-one map, what delivers exceptions stays, for CPL 0. */
static void make_tables(void)
{
    for (uint32_t i = 0; i < RAM >> 12; i++) {
        put32(TABLES + PAGE_SIZE + 4 * i, guest_private(i << 12) ? i << 12 | PTE_P | PTE_W : 0);
    }
    put32(TABLES + 4 * (WORLD_CODE >> 22), CODE_TABLE | PTE_P | PTE_W | PTE_U);
    put32(TABLES + 4 * (WORLD_DATA >> 22), DATA_TABLE | PTE_P | PTE_W | PTE_U);
    for (const struct world_page *p = world_pages; p->kind != PAGE_ABSENT; p++)
        put32(table_of(p->gla) + 4 * (p->gla >> 12 & 1023),
              (uint32_t)frame_gpa(p->frame) | PTE_P | PTE_U | (p->kind == PAGE_WRITE ? PTE_W : 0));
}

/* The host's CPU is what the machine is compared with: it has the same instructions, and vendor. */
static int set_model(void)
{
    struct cpu_model *model;
    const char *error;

    if (cpu_model_parse("host", &model, &error))
        return -1;
    machine.vcpu->model = model;
    return 0;
}

bool guest_lacks(const struct insn *in)
{
    return hidden(machine.vcpu->model, in);
}

int guest_create(const struct engine *engine)
{
    machine_signal_stack();
    if (machine_create(&machine, engine) || set_model())
        return -1;
    make_tables();
    open_gate(VEC_BP);
    machine.vcpu->cr0 |= CR0_AM;
    mem_mode_changed(machine.vcpu);
    return 0;
}

static struct segment segment_of(const struct world_segment *w)
{
    uint32_t attr = SEG_P | SEG_DPL | SEG_S | SEG_ACCESSED;

    if (w->code)
        attr |= SEG_CODE;
    if (!w->read_only || w->code)
        attr |= SEG_WRITABLE; /* of code: readable */
    if (w->expand_down)
        attr |= SEG_EXPDOWN;
    if (w->big)
        attr |= SEG_DB;
    if (w->limit > 0xfffff)
        attr |= SEG_G;
    return (struct segment){w->selector, attr, w->limit, w->base};
}

static void set_segments(struct vcpu *v, const uint8_t seg[6])
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        if (seg[i] == WORLD_NULL)
            segment_load_null(v, i, 0);
        else
            v->seg[i] = segment_of(&world_segments[seg[i]]);
    }
    v->cpl = 3;
}

static uint32_t pop32(struct vcpu *v)
{
    uint32_t value;

    physmem_read(&machine.mem, v->gpr[RSP], &value, 4);
    v->gpr[RSP] += 4;
    return value;
}

static bool has_error(unsigned vector)
{
    return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;
}

void guest_run(const struct cpu_state *before, struct cpu_state *after)
{
    struct vcpu *v = machine.vcpu;

    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = before->gpr[i];
    v->rip = before->eip;
    v->eflags = before->eflags;
    v->halted = false;
    v->dr[6] = 0xffff0ff0;
    set_segments(v, before->seg);
    while (machine.engine->run(v) == EXIT_REQUEST)
        ;
    after->vector = (uint32_t)(v->rip - HANDLERS) / 16;
    after->error = has_error(after->vector) ? pop32(v) : 0;
    after->eip = pop32(v);
    pop32(v);
    after->eflags = pop32(v);
    after->gpr[RSP] = pop32(v);
    after->cr2 = (uint32_t)v->cr2;
    for (unsigned i = 0; i < 8; i++)
        if (i != RSP)
            after->gpr[i] = (uint32_t)v->gpr[i];
}

uint64_t guest_stat(const char *name)
{
    return machine_stat(&machine, name);
}
