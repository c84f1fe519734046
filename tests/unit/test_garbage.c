/*
 * A guest that executes garbage: random code, descriptors and gates in every mode, with interrupts
 * and NMIs. The monitor neither crashes nor breaks the invariants of cpu/vcpu.h. The seed may be
 * given on the command line, the number of machines as well.
 */
#include "tests/random.h"
#include "tests/unit/cpu_machine.h"

static uint64_t state;

static uint64_t next(void)
{
    return random_next(&state);
}

static void randomize(struct machine *m)
{
    switch (next() & 3) {
    case 0: m_real(m); break;
    case 1: m_v86(m, next() & 3); break;
    case 2: m_protected(m, next() & 3); break;
    default: m_protected(m, 0); break;
    }
    for (unsigned i = 0; i < 1024; i++)
        m_put(m, AT_CODE + 8 * i, next(), 8);
    for (unsigned i = next() & 1 ? 512 : 0; i-- > 0;)
        m_put(m, AT_GDT + 8 * i, next(), 8);
    for (unsigned i = next() & 3 ? 0 : 256; i-- > 0;)
        m_put(m, AT_IDT + 8 * i, next(), 8);
    for (unsigned i = 0; i < 8; i++)
        m->vcpu->gpr[i] = next() & (next() & 1 ? 0x1fffff : 0xffffffff);
}

/* V2 to V5. */
static void check_invariants(const struct vcpu *v)
{
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(v->gpr[i] >> 32, 0);
    CHECK_EQ(v->rip >> 32, 0);
    CHECK_EQ(v->eflags & ~EFLAGS_ALL, 0);
    CHECK_EQ(v->eflags & EFLAGS_R1, EFLAGS_R1);
    if (!vcpu_protected(v))
        CHECK_EQ(v->cpl, 0);
    else if (vcpu_v86(v))
        CHECK_EQ(v->cpl, 3);
}

static void run(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    randomize(m);
    for (unsigned i = 0; i < 300 && m->stop.end == VM_RUNNING && !check_failures; i++) {
        m->interrupt = (uint8_t)next();
        v->intr_line |= !(next() & 63);
        v->nmi_pending |= !(next() & 255);
        v->halted = false;
        v->exit_request = true; /* strings of 4 G elements yield */
        interp_step(v);
        check_invariants(v);
    }
}

int main(int argc, char **argv)
{
    unsigned machines = argc > 2 ? (unsigned)atoi(argv[2]) : 20000;
    struct machine m;

    state = argc > 1 ? strtoull(argv[1], NULL, 0) | 1 : 88172645463325252;
    m_create(&m);
    while (machines-- && !check_failures)
        run(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
