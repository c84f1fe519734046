/*
 * The whole board with firmware, as a guest reaches it: any port, configuration space, and memory
 * that is RAM, ROM, video memory, a chip's registers or nothing while all of these move.
 */
#include <string.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/physmem.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"
#include "devices/hpet.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "frontend/pc.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 2 << 20, STEPS = 2000 };

/* The CPU's part: nothing is cached. */
void mem_attach(struct vcpu *vcpu)
{
    vcpu->mem->touched = false;
}

static void changed(struct vcpu *vcpu)
{
    (void)vcpu;
}

static const struct mmu_ops mmu = { .mode_changed = changed, .layout_changed = changed };

static void access_ports(struct fuzz *fuzz, const struct cpu_env *env, uint16_t base,
                         unsigned count)
{
    struct fuzz_access access = fuzz_pick(fuzz, 3, base, count);

    if (access.read)
        env->port_read(env->board, (uint16_t)access.address, access.size);
    else
        env->port_write(env->board, (uint16_t)access.address, access.size, access.value);
}

static void configure(struct fuzz *fuzz, const struct cpu_env *env)
{
    uint32_t address = (uint32_t)fuzz_below(fuzz, 4) << 11 | (fuzz_byte(fuzz) & 0xfc);

    env->port_write(env->board, 0xcf8, 4, 0x80000000 | (fuzz_byte(fuzz) & 3) << 8 | address);
    access_ports(fuzz, env, 0xcfc, 4);
}

static void access_memory(struct fuzz *fuzz, const struct cpu_env *env, struct physmem *mem)
{
    uint64_t gpa = fuzz_bits(fuzz, 4);
    uint32_t value = 0;

    if (physmem_is_ram(mem, gpa)) {
        physmem_read(mem, gpa, &value, 4);
        value = ~value;
        physmem_write(mem, gpa, &value, 4);
    } else {
        env->mmio_write(env->board, gpa, 4, env->mmio_read(env->board, gpa, 4));
    }
}

/* Registers in memory of chips that only the whole board has: any value, in any order. */
static void access_chip(struct fuzz *fuzz, const struct vcpu *vcpu)
{
    static const uint32_t base[] = { LAPIC_BASE, IOAPIC_BASE, HPET_BASE };
    uint8_t how = fuzz_byte(fuzz);
    uint64_t gpa = base[how % 3] + (fuzz_bits(fuzz, 2) & 0x3ff);
    unsigned size = how & 0x40 ? 8 : how & 0x20 ? 1 : 4;

    if (how & 0x80)
        vcpu->env->mmio_read(vcpu->env->board, gpa, size);
    else
        vcpu->env->mmio_write(vcpu->env->board, gpa, size, fuzz_bits(fuzz, size));
    if (how & 0x10 && vcpu->intr_line)
        vcpu->env->intr_ack(vcpu->env->board);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t rom[64 << 10], vga_rom[2048] = { 0x55, 0xaa, 4 };
    struct fuzz fuzz = { data, size };
    struct clock clock = { 0 };
    struct vm_stop stop = { 0 };
    struct vcpu vcpu;
    struct physmem mem;
    const char *error;
    struct pc_config config = { .vcpu = &vcpu, .mem = &mem, .clock = &clock, .stop = &stop,
        .apic = true, .vga = true, .rom = rom, .rom_size = sizeof(rom), .vga_rom = vga_rom,
        .vga_rom_size = sizeof(vga_rom) };
    struct pc *pc;

    memset(&vcpu, 0, sizeof(vcpu));
    vcpu.mmu = &mmu;
    vcpu.mem = &mem;
    if (physmem_init(&mem, MEMORY))
        return 0;
    pc = pc_create(&config, &error);
    for (unsigned i = 0; pc && i < STEPS && fuzz_more(&fuzz); i++) {
        switch (fuzz_byte(&fuzz) & 7) {
        case 0: access_ports(&fuzz, vcpu.env, 0, 0x10000); break;
        case 1: access_ports(&fuzz, vcpu.env, 0, 0x400); break;
        case 2: clock_advance(&clock, fuzz_bits(&fuzz, 3)); break;
        case 3: pc_service(pc); break;
        case 4: access_memory(&fuzz, vcpu.env, &mem); break;
        case 5: access_chip(&fuzz, &vcpu); break;
        default: configure(&fuzz, vcpu.env); break;
        }
    }
    if (pc)
        pc_destroy(pc);
    physmem_destroy(&mem);
    return 0;
}
