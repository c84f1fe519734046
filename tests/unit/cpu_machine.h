/*
 * A small machine for CPU tests: 2 MiB of RAM, flat protected mode, an IDT whose handlers tell the
 * vector by their address. Nothing in it comes from the code under test.
 */
#ifndef TESTS_UNIT_CPU_MACHINE_H
#define TESTS_UNIT_CPU_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "base/kill.h"
#include "base/physmem.h"
#include "cpu/fault.h"
#include "cpu/interp.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"
#include "tests/check.h"

enum {
    AT_GDT = 0x1000,
    AT_IDT = 0x2000,
    AT_TSS = 0x3000,   /* the current task's */
    AT_TSS2 = 0x3800,
    AT_LDT = 0x3c00,
    STACK0 = 0x7000,   /* tops */
    STACK1 = 0x7800,
    STACK3 = 0x9000,
    AT_HANDLER = 0x20000, /* + 16 * vector */
    AT_CODE = 0x10000,
    AT_DATA = 0x18000,
};

/* Selectors. */
enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    CODE3 = 0x1b,
    DATA3 = 0x23,
    TSS_SEL = 0x28,
    LDT_SEL = 0x30,
    CODE16 = 0x38,
    DATA16 = 0x40,
    CODE1 = 0x49,
    DATA1 = 0x51,
    CODE2 = 0x5a,
    DATA2 = 0x62,
    TSS2_SEL = 0x68,
    SPARE = 0x70, /* and the next ones: for the test */
};

struct machine {
    struct physmem pm;
    struct vcpu *vcpu;
    struct vm_stop stop;
    struct cpu_env env;
    unsigned port_reads, port_writes;
    uint16_t last_port;
    uint64_t last_value, next_read;
    uint8_t interrupt; /* INTA's answer */
};

static inline uint64_t m_port_read(void *board, uint16_t port, unsigned size)
{
    struct machine *m = board;

    (void)size;
    m->port_reads++;
    m->last_port = port;
    return m->next_read++;
}

static inline void m_port_write(void *board, uint16_t port, unsigned size, uint64_t value)
{
    struct machine *m = board;

    (void)size;
    m->port_writes++;
    m->last_port = port;
    m->last_value = value;
}

static inline uint64_t m_mmio_read(void *board, uint64_t gpa, unsigned size)
{
    (void)board, (void)gpa, (void)size;
    return UINT64_MAX;
}

static inline void m_mmio_write(void *board, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)board, (void)gpa, (void)size, (void)value;
}

static inline uint8_t m_intr_ack(void *board)
{
    struct machine *m = board;

    m->vcpu->intr_line = false;
    return m->interrupt;
}

static inline void m_put(struct machine *m, uint64_t gpa, uint64_t value, unsigned size)
{
    memcpy(m->pm.ram + gpa, &value, size);
}

static inline uint64_t m_get(const struct machine *m, uint64_t gpa, unsigned size)
{
    uint64_t value = 0;

    if (gpa > m->pm.size - 8)
        return 0xbadbadbadbad;
    memcpy(&value, m->pm.ram + gpa, size);
    return value;
}

/* A descriptor: access is byte 5; flags the upper half of byte 6 (G, D/B). */
static inline uint64_t m_descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)flags << 52 |
           (uint64_t)(base >> 24) << 56;
}

static inline uint64_t m_gate(uint16_t selector, uint32_t offset, unsigned access, unsigned count)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)count << 32 |
           (uint64_t)access << 40 | (uint64_t)(offset >> 16) << 48;
}

static inline void m_gdt(struct machine *m, uint16_t selector, uint64_t d)
{
    m_put(m, AT_GDT + (selector & 0xfff8u), d, 8);
}

static inline void m_tables(struct machine *m)
{
    memset(m->pm.ram + AT_GDT, 0, 0x1000);
    for (unsigned dpl = 0; dpl < 4; dpl++) {
        static const uint16_t code[] = { CODE0, CODE1, CODE2, CODE3 };
        static const uint16_t data[] = { DATA0, DATA1, DATA2, DATA3 };

        m_gdt(m, code[dpl], m_descriptor(0, 0xfffff, 0x9b | dpl << 5, 0xc));
        m_gdt(m, data[dpl], m_descriptor(0, 0xfffff, 0x93 | dpl << 5, 0xc));
    }
    m_gdt(m, CODE16, m_descriptor(0, 0xffff, 0x9b, 0));
    m_gdt(m, DATA16, m_descriptor(0, 0xffff, 0x93, 0));
    m_gdt(m, TSS_SEL, m_descriptor(AT_TSS, 0x67, 0x8b, 0));
    m_gdt(m, TSS2_SEL, m_descriptor(AT_TSS2, 0x67, 0x89, 0));
    m_gdt(m, LDT_SEL, m_descriptor(AT_LDT, 0xff, 0x82, 0));
    for (unsigned v = 0; v < 256; v++)
        m_put(m, AT_IDT + 8 * v, m_gate(CODE0, AT_HANDLER + 16 * v, 0xee, 0), 8);
    memset(m->pm.ram + AT_TSS, 0, 0x1000);
    m_put(m, AT_TSS + 4, STACK0, 4);
    m_put(m, AT_TSS + 8, DATA0, 2);
    m_put(m, AT_TSS + 12, STACK1, 4);
    m_put(m, AT_TSS + 16, DATA1, 2);
    m_put(m, AT_TSS + 0x66, 0xffff, 2);
}

static inline struct segment m_flat(uint16_t selector, unsigned access)
{
    return (struct segment){ selector, 0xc000 | access, UINT32_MAX, 0 };
}

/* Flat protected mode at cpl, rip at AT_CODE, all tables fresh. */
static inline void m_protected(struct machine *m, unsigned cpl)
{
    static const uint16_t code[] = { CODE0, CODE1, CODE2, CODE3 };
    static const uint16_t data[] = { DATA0, DATA1, DATA2, DATA3 };
    struct vcpu *v = m->vcpu;

    vcpu_reset(v);
    m_tables(m);
    memset(&m->stop, 0, sizeof(m->stop));
    v->intr_line = v->exit_request = false;
    v->gdtr = (struct table_register){ AT_GDT, 0xfff };
    v->idtr = (struct table_register){ AT_IDT, 0x7ff };
    v->tr = (struct segment){ TSS_SEL, 0x8b, 0x67, AT_TSS };
    v->ldtr = (struct segment){ LDT_SEL, 0x82, 0xff, AT_LDT };
    v->cr0 = CR0_PE | CR0_ET | CR0_NE;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = m_flat(data[cpl], 0x93 | cpl << 5);
    v->seg[SEG_CS] = m_flat(code[cpl], 0x9b | cpl << 5);
    v->cpl = (uint8_t)cpl;
    v->gpr[RSP] = STACK3;
    v->rip = AT_CODE;
    mem_mode_changed(v);
}

/* Virtual-8086 mode: CS = 0x1000 (linear AT_CODE), others 0x900 (SP 0 is linear 0x9000). */
static inline void m_v86(struct machine *m, unsigned iopl)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 3);
    v->eflags |= EFLAGS_VM | iopl << 12;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = (struct segment){ 0x900, 0xf3, 0xffff, 0x9000 };
    v->seg[SEG_CS] = (struct segment){ AT_CODE >> 4, 0xf3, 0xffff, AT_CODE };
    v->rip = 0;
    v->gpr[RSP] = 0x800;
}

/* Real mode: the IVT at 0 leads to 0x2000:16 * vector (linear AT_HANDLER). */
static inline void m_real(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    vcpu_reset(v);
    memset(&m->stop, 0, sizeof(m->stop));
    v->intr_line = v->exit_request = false;
    for (unsigned i = 0; i < 256; i++)
        m_put(m, 4 * i, (uint64_t)AT_HANDLER << 12 | 16 * i, 4);
    v->seg[SEG_CS].selector = AT_CODE >> 4;
    v->seg[SEG_CS].base = AT_CODE;
    v->rip = 0;
    v->gpr[RSP] = 0x9000;
}

static inline void m_code(struct machine *m, const void *bytes, unsigned len)
{
    memcpy(m->pm.ram + AT_CODE, bytes, len);
}

/* Executes one instruction. */
static inline void m_run(struct machine *m, const char *bytes, unsigned len)
{
    m_code(m, bytes, len);
    interp_step(m->vcpu);
}

#define M_RUN(m, bytes) m_run(m, bytes, sizeof(bytes) - 1)

/* The vector whose handler rip is at, or -1. */
static inline int m_vector(const struct machine *m)
{
    uint64_t at = m->vcpu->seg[SEG_CS].base + m->vcpu->rip - AT_HANDLER;

    return at < 4096 ? (int)(at / 16) : -1;
}

/* Word n of the frame on the current stack. */
static inline uint64_t m_frame(const struct machine *m, unsigned n, unsigned size)
{
    return m_get(m, m->vcpu->seg[SEG_SS].base + m->vcpu->gpr[RSP] + n * size, size);
}

static inline void m_create(struct machine *m)
{
    memset(m, 0, sizeof(*m));
    if (physmem_init(&m->pm, 2 << 20))
        abort();
    m->vcpu = vcpu_create();
    if (!m->vcpu || (m->vcpu->mem = &m->pm, mem_create(m->vcpu)))
        abort();
    m->env = (struct cpu_env){
        .board = m,
        .port_read = m_port_read,
        .port_write = m_port_write,
        .mmio_read = m_mmio_read,
        .mmio_write = m_mmio_write,
        .intr_ack = m_intr_ack,
    };
    m->vcpu->env = &m->env;
    m->vcpu->stop = &m->stop;
}

static inline void m_destroy(struct machine *m)
{
    mem_destroy(m->vcpu);
    vcpu_destroy(m->vcpu);
    physmem_destroy(&m->pm);
}

#endif
