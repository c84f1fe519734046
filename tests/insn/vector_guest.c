/*
 * A machine with page tables that put the oracle's addresses where the oracle has them, entered at
 * CPL 3 with INT3 behind the instruction. Exceptions end at a HLT of CPL 0.
 */
#include "tests/insn/vector_guest.h"

#include <stdio.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/fpu.h"
#include "cpu/mem.h"
#include "cpu/paging.h"
#include "tests/machine.h"
#ifdef HAVE_TRANSLATOR
#include "translator/unit.h"
#endif

enum {
    CODE_GPA = 0x200000,
    DATA_GPA = 0x210000,
    TABLE_GPA = 0x300000,
    INT3 = 0xcc,
};

static struct machine machine;
static struct cpu_model *model;
static bool use_window;

static void put32(uint64_t gpa, uint32_t value)
{
    physmem_write(&machine.mem, gpa, &value, 4);
}

static void map(uint32_t gla, uint32_t gpa, uint32_t rights)
{
    put32(TABLE_GPA + 4 * (gla >> 12 & 1023), gpa | rights);
}

static void make_tables(void)
{
    uint8_t gate = 0xee; /* INT3 may be executed at CPL 3 */

    put32(TABLES + 4 * (ORACLE_CODE >> 22), TABLE_GPA | PTE_P | PTE_W | PTE_U);
    map(ORACLE_CODE, CODE_GPA, PTE_P | PTE_U);
    for (uint32_t i = 0; i < VECTOR_PAGES - 1; i++)
        map(ORACLE_DATA + i * PAGE_SIZE, DATA_GPA + i * (uint32_t)PAGE_SIZE,
            PTE_P | PTE_U | (i < VECTOR_WRITABLE ? PTE_W : 0));
    physmem_write(&machine.mem, IDT + 8 * VEC_BP + 5, &gate, 1);
}

/* The translator gives a window to what has been sampled often enough; and it must forget that this
 * place has faulted. */
static void prepare_translator(void)
{
#ifdef HAVE_TRANSLATOR
    struct translator *t = machine.vcpu->engine_state;

    if (machine.engine != &engine_translator)
        return;
    adapt_forget(t, CODE_GPA + (ORACLE_INSN & PAGE_MASK));
    for (unsigned i = 0; i < 1000 && use_window && !shadowmm_window(t->sm, true); i++)
        shadowmm_sample(t->sm, true);

#endif
}

int vector_guest_create(const struct engine *engine, uint64_t xcr0, bool window)
{
    const char *error;
    struct vcpu *v;

    machine_signal_stack();
    if (machine_create(&machine, engine) || cpu_model_parse("host", &model, &error))
        return -1;
    make_tables();
    v = machine.vcpu;
    v->model = model; /* of the host's vendor */
    v->cr4 |= CR4_OSXSAVE;
    v->xcr0 = xcr0;
    mem_mode_changed(v);
    use_window = window;
    return 0;
}

const struct vcpu *vector_guest_vcpu(void)
{
    return machine.vcpu;
}

uint8_t *vector_guest_data(void)
{
    return physmem_ptr(&machine.mem, DATA_GPA);
}

static void enter_user(struct vcpu *v)
{
    const uint32_t dpl = SEG_DPL, data = SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | SEG_DB |
                                         SEG_G | dpl;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = (struct segment){ 0x2b, data, UINT32_MAX, 0 };
    v->seg[SEG_CS] = (struct segment){ 0x23, data | SEG_CODE, UINT32_MAX, 0 };
    v->cpl = 3;
}

static uint32_t pop32(struct vcpu *v)
{
    uint32_t value;

    physmem_read(&machine.mem, v->gpr[RSP], &value, 4);
    v->gpr[RSP] += 4;
    return value;
}

/* What the exception's frame says, from the ring 0 stack. */
static void read_frame(struct vcpu *v, struct oracle_state *out, unsigned len)
{
    unsigned vector = (unsigned)(v->rip - HANDLERS) / 16;
    uint32_t eip;

    out->vector = (int)vector;
    out->error = vector == VEC_PF || vector == VEC_GP || vector == VEC_SS ? pop32(v) : 0;
    eip = pop32(v);
    pop32(v);
    out->eflags = pop32(v);
    out->gpr[RSP] = pop32(v);
    out->cr2 = (uint32_t)v->cr2;
    if (vector == VEC_BP && eip == ORACLE_INSN + len + 1)
        out->vector = -1;
}

void vector_guest_run(const uint8_t *insn, unsigned len, const struct oracle_state *in,
                      struct oracle_state *out)
{
    struct vcpu *v = machine.vcpu;
    uint8_t code[INSN_MAX + 1];

    memcpy(code, insn, len);
    code[len] = INT3;
    physmem_write(&machine.mem, CODE_GPA + (ORACLE_INSN & PAGE_MASK), code, len + 1);
    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = in->gpr[i];
    v->rip = ORACLE_INSN;
    v->eflags = (in->eflags & EFLAGS_ARITH) | EFLAGS_R1;
    v->halted = false;
    oracle_to_image(in->fpu, v->fpu);
    enter_user(v);
    prepare_translator();
    while (machine.engine->run(v) == EXIT_REQUEST)
        ;
    read_frame(v, out, len);
    for (unsigned i = 0; i < 8; i++)
        if (i != RSP)
            out->gpr[i] = (uint32_t)v->gpr[i];
    oracle_from_image(v->fpu, out->fpu);
}
