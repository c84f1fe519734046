/* The KVM engine: one guest's exits, and the vcpu's registers on their way in and out. Skipped (77)
 * where there is no /dev/kvm. The guest has no paging: a paravirtual KVM emulates that as well. */
#include <string.h>
#include <unistd.h>

#include "cpu/env.h"
#include "cpu/mem.h"
#include "kvm/kvm.h"
#include "tests/check.h"
#include "tests/machine.h"

enum { CODE = 0x1000, HANDLER = 0x2000, ROM = 0x3000, CHIP = 0xf0000000 };

static const uint8_t code[] = {
    0xb8, 0x44, 0x33, 0x22, 0x11,       /* mov $0x11223344, %eax */
    0xe7, 0x80,                         /* out %eax, $0x80 */
    0xe5, 0x80,                         /* in $0x80, %eax: 0x80 * 0x01010101 */
    0x89, 0xc3,                         /* mov %eax, %ebx */
    0x8b, 0x0d, 0x10, 0x00, 0x00, 0xf0, /* mov CHIP + 0x10, %ecx: its own address */
    0xa3, 0x00, 0x30, 0x00, 0x00,       /* mov %eax, ROM: lost */
    0x8b, 0x15, 0x00, 0x30, 0x00, 0x00, /* mov ROM, %edx */
    0xfb,                               /* sti */
    0xf4,                               /* hlt */
    0x46,                               /* inc %esi */
    0xf4,                               /* hlt */
};

/* inc %edi; iret, at vector 20h */
static const uint8_t handler[] = { 0x47, 0xcf };

static struct vcpu *the_vcpu;
static struct cpu_env env;

/* The interrupt controller: one interrupt. */
static uint8_t acknowledge(void *board)
{
    (void)board;
    the_vcpu->intr_line = false;
    return 0x20;
}

static void prepare(struct machine *m)
{
    struct vcpu *v = m->vcpu;
    const uint32_t gate[2] = { 8 << 16 | HANDLER, 0x8e00 };

    memcpy(physmem_ptr(&m->mem, CODE), code, sizeof(code));
    memcpy(physmem_ptr(&m->mem, HANDLER), handler, sizeof(handler));
    memcpy(physmem_ptr(&m->mem, IDT + 8 * 0x20), gate, sizeof(gate));
    memset(physmem_ptr(&m->mem, ROM), 0x5a, 4);
    physmem_set_kind(&m->mem, ROM, PAGE_SIZE, PHYSMEM_ROM);
    env = *v->env;
    env.intr_ack = acknowledge;
    v->env = &env;
    v->cr0 &= ~(uint64_t)CR0_PG;
    v->rip = CODE;
    v->gpr[RSP] = 0x8000;
    v->gpr[RSI] = v->gpr[RDI] = 0;
    v->sysenter_eip = 0x12345678;
    v->dr[0] = 0x4000;
    v->fpu[160] = 0x77; /* XMM0 */
    v->fpu[512] = 3;
    mem_mode_changed(v);
}

static void test_exits(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    CHECK_EQ(m->engine->run(v), EXIT_HALT);
    CHECK_EQ(v->gpr[RBX], 0x80808080);
    CHECK_EQ(v->gpr[RCX], CHIP + 0x10);
    CHECK_EQ(v->gpr[RDX], 0x5a5a5a5a);
    CHECK_EQ(v->stats.port_writes, 1);
    CHECK_EQ(v->stats.port_reads, 1);
    CHECK_EQ(v->stats.mmio_reads, 1);
    CHECK_EQ(v->stats.mmio_writes, 0);
    CHECK_EQ(v->halted, true);
    CHECK_EQ(!!(v->eflags & EFLAGS_IF), true);
}

/* What the guest does not touch comes back as it was. */
static void test_kept(const struct vcpu *v)
{
    CHECK_EQ(v->sysenter_eip, 0x12345678);
    CHECK_EQ(v->dr[0], 0x4000);
    CHECK_EQ(v->fpu[160], 0x77);
    CHECK_EQ(v->cpl, 0);
    CHECK_EQ(v->idtr.base, IDT);
    CHECK_EQ(v->seg[SEG_CS].selector, 8);
    CHECK_EQ(v->seg[SEG_CS].limit, UINT32_MAX);
}

/* It sleeps on until an interrupt wakes it. */
static void test_interrupt(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    CHECK_EQ(m->engine->run(v), EXIT_HALT);
    CHECK_EQ(v->gpr[RSI], 0);
    vcpu_kick(v);
    CHECK_EQ(m->engine->run(v), EXIT_REQUEST);
    CHECK_EQ(v->halted, true);
    the_vcpu = v;
    v->intr_line = true; /* until it is acknowledged */
    CHECK_EQ(m->engine->run(v), EXIT_HALT);
    CHECK_EQ(v->gpr[RDI], 1);
    CHECK_EQ(v->gpr[RSI], 1);
    CHECK_EQ(v->rip, CODE + sizeof(code));
    CHECK_EQ(v->stats.interrupts, 1);
}

int main(void)
{
    struct machine m;

    if (access("/dev/kvm", R_OK | W_OK)) {
        printf("SKIPPED: /dev/kvm cannot be opened\n");
        return 77;
    }
    if (machine_create(&m, &engine_kvm)) {
        printf("SKIPPED: this host's KVM makes no machine\n");
        return 77;
    }
    prepare(&m);
    test_exits(&m);
    test_kept(m.vcpu);
    test_interrupt(&m);
    machine_destroy(&m);
    return CHECK_DONE();
}
