/* A machine without a board: what is read of ports and devices is known, writes are lost. */
#include "tests/machine.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/mem.h"

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

static const struct cpu_env env = {
    .port_read = port_read,
    .port_write = port_write,
    .mmio_read = mmio_read,
    .mmio_write = mmio_write,
    .intr_ack = intr_ack,
    .ferr = ferr,
};

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
    put32(m, TSS + 4, TSS + 0x1000), put32(m, TSS + 8, 0x10);
}

void machine_rest(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    v->cr2 = 0;
    v->dr[6] = 0xffff0ff0;
    v->halted = v->shutdown = v->intr_shadow = v->debug_shadow = false;
    v->debug_pending = 0;
    m->stop.end = VM_RUNNING;
}

void machine_flat(struct vcpu *v)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] =
            (struct segment){ 0x10, SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G,
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

int machine_create(struct machine *m, const struct engine *engine)
{
    struct engine_request request = { .user = USER_AUTO };

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
    machine_flat(m->vcpu);
    if (engine->create) {
        m->vcpu->engine_state = engine->create(m->vcpu, &request);
        if (!m->vcpu->engine_state && engine != &engine_interp) {
            printf("engine %s: %s\n", engine->name, request.error);
            return -1;
        }
    }
    return 0;
}

void machine_destroy(struct machine *m)
{
    if (m->vcpu->engine_state && m->engine->destroy)
        m->engine->destroy(m->vcpu);
    mem_destroy(m->vcpu);
    vcpu_destroy(m->vcpu);
    physmem_destroy(&m->mem);
}

struct wanted {
    const char *name;
    uint64_t value;
};

static void put_stat(void *arg, const char *name, uint64_t value)
{
    struct wanted *wanted = arg;

    if (!strcmp(name, wanted->name))
        wanted->value = value;
}

uint64_t machine_stat(const struct machine *m, const char *name)
{
    struct wanted wanted = { name, 0 };

    if (m->engine->stats)
        m->engine->stats(m->vcpu, put_stat, &wanted);
    return wanted.value;
}

void machine_signal_stack(void)
{
    stack_t ss = { .ss_size = 256 << 10 };

    ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&ss, NULL);
}

static void print(uint32_t at, const struct insn *in, const uint8_t *bytes)
{
    printf("  %x %-10s", at, in->info->mnemonic);
    for (unsigned i = 0; i < in->len; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}

void machine_list(uint32_t at, const uint8_t *code, unsigned size, enum cpu_mode mode)
{
    struct insn in;
    int len;

    for (unsigned i = 0; i < size; i += (unsigned)len) {
        len = decode(&in, code + i, INSN_MAX, mode);
        if (len <= 0)
            return;
        print(at + i, &in, code + i);
    }
}
