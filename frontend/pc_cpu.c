/* What the CPU asks of the board (cpu/env.h): ports, addresses that are no memory, vectors. */
#include "base/clock.h"
#include "base/spent.h"
#include "cpu/vcpu.h"
#include "devices/bus.h"
#include "devices/ferr.h"
#include "frontend/latency.h"
#include "frontend/pc_irq.h"
#include "frontend/pc_state.h"

static __attribute__((noinline)) uint64_t port_read_timed(struct pc *pc, uint16_t port,
                                                          unsigned size)
{
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_PORT);
    uint64_t value = bus_read(pc->ports, port, size);

    spent_back(pc->config.vcpu->spent, before);
    return value;
}

static __attribute__((noinline)) void port_write_timed(struct pc *pc, uint16_t port, unsigned size,
                                                       uint64_t value)
{
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_PORT);

    bus_write(pc->ports, port, size, value);
    spent_back(pc->config.vcpu->spent, before);
}

/* Most often nobody wants to know what it takes, and a port is little work. */
static uint64_t port_read(void *board, uint16_t port, unsigned size)
{
    struct pc *pc = board;

    return pc->config.vcpu->spent ? port_read_timed(pc, port, size)
                                  : bus_read(pc->ports, port, size);
}

static void port_write(void *board, uint16_t port, unsigned size, uint64_t value)
{
    struct pc *pc = board;

    if (pc->config.vcpu->spent)
        port_write_timed(pc, port, size, value);
    else
        bus_write(pc->ports, port, size, value);
}

static uint64_t port_read_string(void *board, uint16_t port, unsigned size, void *to,
                                 uint64_t count)
{
    struct pc *pc = board;
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_PORT);
    uint64_t done = bus_read_string(pc->ports, port, size, to, count);

    spent_back(pc->config.vcpu->spent, before);
    return done;
}

static uint64_t port_write_string(void *board, uint16_t port, unsigned size, const void *from,
                                  uint64_t count)
{
    struct pc *pc = board;
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_PORT);
    uint64_t done = bus_write_string(pc->ports, port, size, from, count);

    spent_back(pc->config.vcpu->spent, before);
    return done;
}

static uint64_t mmio_read(void *board, uint64_t gpa, unsigned size)
{
    struct pc *pc = board;
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_MMIO);
    uint64_t value = bus_read(pc->memory, gpa, size);

    spent_back(pc->config.vcpu->spent, before);
    return value;
}

static void mmio_write(void *board, uint64_t gpa, unsigned size, uint64_t value)
{
    struct pc *pc = board;
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_MMIO);

    bus_write(pc->memory, gpa, size, value);
    spent_back(pc->config.vcpu->spent, before);
}

static uint64_t mmio_read_run(void *board, uint64_t gpa, unsigned size, void *to, uint64_t count)
{
    struct pc *pc = board;
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_MMIO);
    uint64_t done = bus_read_run(pc->memory, gpa, size, to, count);

    spent_back(pc->config.vcpu->spent, before);
    return done;
}

static uint64_t mmio_write_run(void *board, uint64_t gpa, unsigned size, const void *from,
                               bool same, uint64_t count)
{
    struct pc *pc = board;
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_MMIO);
    uint64_t done = bus_write_run(pc->memory, gpa, size, from, same, count);

    spent_back(pc->config.vcpu->spent, before);
    return done;
}

static uint64_t mmio_copy_run(void *board, uint64_t to, uint64_t from, unsigned size,
                              uint64_t count)
{
    struct pc *pc = board;
    enum spent_on before = spent_begin(pc->config.vcpu->spent, SPENT_MMIO);
    uint64_t done = bus_copy_run(pc->memory, to, from, size, count);

    spent_back(pc->config.vcpu->spent, before);
    return done;
}

static uint8_t intr_ack(void *board)
{
    struct pc *pc = board;
    const struct spent *spent = pc->config.vcpu->spent;

    if (pc->config.latency && pc->config.latency->waiting)
        latency_taken(pc->config.latency, clock_now_ns(pc->config.clock), spent->code);
    return pc_irq_ack(pc->irqs);
}

static void ferr(void *board)
{
    struct pc *pc = board;

    ferr_raise(pc->ferr);
}

static void apic_base(void *board, uint64_t value)
{
    pc_irq_set_apic_base(((struct pc *)board)->irqs, value);
}

static bool held_up(void *board)
{
    const struct pc_config *config = &((struct pc *)board)->config;

    return config->held_up && config->held_up(config->held_up_arg);
}

void pc_cpu_connect(struct pc *pc)
{
    pc->env = (struct cpu_env){
        .board = pc,
        .port_read = port_read,
        .port_write = port_write,
        .port_read_string = port_read_string,
        .port_write_string = port_write_string,
        .mmio_read = mmio_read,
        .mmio_write = mmio_write,
        .mmio_read_run = mmio_read_run,
        .mmio_write_run = mmio_write_run,
        .mmio_copy_run = mmio_copy_run,
        .intr_ack = intr_ack,
        .ferr = ferr,
        .apic_base = apic_base,
        .held_up = held_up,
    };
    pc->config.vcpu->env = &pc->env;
}
