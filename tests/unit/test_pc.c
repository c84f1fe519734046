/* The board as a whole, by its ports: wires, resets, A20, ends of a run, garbage. */
#include "frontend/pc.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/physmem.h"
#include "base/snap.h"
#include "cpu/cpuid.h"
#include "cpu/mem.h"
#include "cpu/msr.h"
#include "cpu/vcpu.h"
#include "devices/chardev.h"
#include "frontend/boot.h"
#include "tests/check.h"

static struct clock host = { .boot_epoch_s = 1700000000 };
static struct physmem mem;
static struct vm_stop stop;
static struct vcpu vcpu;
static struct chardev_memory com1, debug;
static struct pc *pc;
static unsigned mode_changes;

static void mode_changed(struct vcpu *v)
{
    (void)v;
    mode_changes++;
}

static const struct mmu_ops mmu = { .mode_changed = mode_changed };

static struct pc_config config = {
    .vcpu = &vcpu,
    .mem = &mem,
    .clock = &host,
    .stop = &stop,
    .apic = true,
    .serial = { &com1.line },
    .debugcon = &debug.line,
    .debug_exit = true,
    .debug_exit_base = 0xf4,
    .debug_exit_size = 4,
    .testdev = true,
};

static uint64_t in(uint16_t port, unsigned size)
{
    return vcpu.env->port_read(vcpu.env->board, port, size);
}

static void out(uint16_t port, unsigned size, uint64_t value)
{
    vcpu.env->port_write(vcpu.env->board, port, size, value);
}

static uint8_t cmos(uint8_t index)
{
    out(0x70, 1, index);
    return in(0x71, 1);
}

static void init_pics(void)
{
    static const uint16_t ports[] = { 0x20, 0xa0 };

    for (unsigned i = 0; i < 2; i++) {
        out(ports[i], 1, 0x11);
        out(ports[i] + 1, 1, 0x20 + 8 * i);
        out(ports[i] + 1, 1, i ? 2 : 4);
        out(ports[i] + 1, 1, 0x01);
        out(ports[i] + 1, 1, 0xff);
    }
}

static void expect_end(enum vm_end end, int code)
{
    CHECK_EQ(stop.end, end);
    CHECK_EQ(stop.code, code);
    CHECK_EQ(stop.end == VM_RUNNING || stop.reason[0], 1);
    CHECK_EQ(vcpu.exit_request, end != VM_RUNNING);
    memset(&stop, 0, sizeof(stop));
    vcpu.exit_request = false;
}

static void test_memory(void)
{
    struct pc_e820 map[PC_E820_MAX];
    unsigned n = pc_e820_map(pc, map);
    uint64_t ram = 0, end = 0;
    uint8_t rsdp[8];

    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(map[i].base >= end, 1);
        end = map[i].base + map[i].size;
        if (map[i].type == E820_RAM)
            ram += map[i].size;
    }
    CHECK_EQ(end, 64 << 20);
    CHECK_EQ(ram, (64 << 20) - 0x100000 + 0x9fc00);
    CHECK_EQ(physmem_is_ram(&mem, 0xb8000), 1);
    CHECK_EQ(physmem_is_ram(&mem, 0xa0000), 0);
    CHECK_EQ(vcpu.env->mmio_read(vcpu.env->board, 0xa0000, 4), 0xffffffff);
    CHECK_EQ(vcpu.env->mmio_read(vcpu.env->board, 0xfee00030, 4), 0x50014);
    CHECK_EQ(vcpu.env->mmio_read(vcpu.env->board, 0xfec80000, 8), ~0ull);
    vcpu.env->mmio_write(vcpu.env->board, 0xa0000, 4, 0);
    CHECK_EQ(physmem_read(&mem, pc_rsdp(pc), rsdp, 8), 1);
    CHECK_EQ(memcmp(rsdp, "RSD PTR ", 8), 0);
    CHECK_EQ(*(uint16_t *)physmem_ptr(&mem, 0x400), 0x3f8);
    CHECK_EQ(*(uint16_t *)physmem_ptr(&mem, 0x402), 0);
    CHECK_EQ(*(uint16_t *)physmem_ptr(&mem, 0x40e), 0x9fc0);
    CHECK_EQ(cmos(0x17) | cmos(0x18) << 8, 63 << 10);
    CHECK_EQ(cmos(0x34) | cmos(0x35) << 8, 48 << 4);
    CHECK_EQ(cmos(0x32), 0x20);
}

static uint64_t fw_item(unsigned key, unsigned size)
{
    uint64_t value = 0;

    out(0x510, 2, key);
    for (unsigned i = 0; i < size; i++)
        value |= in(0x511, 1) << 8 * i;
    return value;
}

/* kvm-unit-tests waits for as many CPUs as fw_cfg says, without firmware, too. */
static void test_fw_cfg(void)
{
    CHECK_EQ(fw_item(0, 4), 0x554d4551); /* QEMU */
    CHECK_EQ(fw_item(3, 8), 64 << 20);
    CHECK_EQ(fw_item(5, 2), 1);
    CHECK_EQ(fw_item(15, 2), 1);
}

static void test_interrupts(void)
{
    init_pics();
    CHECK_EQ(vcpu.intr_line, 0);
    out(0x21, 1, 0xfa); /* timer and cascade */
    out(0x43, 1, 0x34);
    out(0x40, 1, 0x9c);
    out(0x40, 1, 0x2e);
    out(0x20, 1, 0x20);
    if (vcpu.intr_line) /* OUT going up when it is programmed is an edge, too */
        vcpu.env->intr_ack(vcpu.env->board);
    out(0x20, 1, 0x20);
    clock_advance(&host, 35000000); /* three ticks; the guest takes one, the others follow */
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(vcpu.intr_line, 1);
        CHECK_EQ(vcpu.env->intr_ack(vcpu.env->board), 0x20);
        CHECK_EQ(vcpu.intr_line, 0);
        out(0x20, 1, 0x20);
        clock_advance(&host, 2400000);
        if (i < 2)
            clock_advance(&host, 200000);
    }
    out(0x21, 1, 0xfb);
    out(0xa1, 1, 0xdf);
    vcpu.env->ferr(vcpu.env->board);
    CHECK_EQ(vcpu.intr_line, 1);
    CHECK_EQ(vcpu.env->intr_ack(vcpu.env->board), 0x2d);
    out(0xf0, 1, 0);
    out(0xa0, 1, 0x20);
    out(0x20, 1, 0x20);
    CHECK_EQ(vcpu.intr_line, 0);
    out(0x21, 1, 0xeb);
    out(0x3f9, 1, 0x02); /* COM1 says that it can send */
    CHECK_EQ(vcpu.env->intr_ack(vcpu.env->board), 0x24);
    out(0x20, 1, 0x20);
    out(0x21, 1, 0xfb);
    out(0xa1, 1, 0xfd); /* SCI */
    out(0x4d1, 1, 0x02);
    out(0x602, 2, 0x0100);
    pc_power_button(pc);
    CHECK_EQ(vcpu.env->intr_ack(vcpu.env->board), 0x29);
    out(0x600, 2, 0x0100);
    out(0xa0, 1, 0x20);
    out(0x20, 1, 0x20);
    CHECK_EQ(vcpu.intr_line, 0);
}

static void test_ends(void)
{
    out(0x604, 2, 0x2000);
    expect_end(VM_POWEROFF, 0);
    out(0x64, 1, 0xfe);
    expect_end(VM_RESET, 0);
    out(0x92, 1, 0x03);
    expect_end(VM_RESET, 0);
    out(0xcf9, 1, 0x06);
    expect_end(VM_RESET, 0);
    out(0xf4, 4, 0x10);
    expect_end(VM_DEBUG_EXIT, 33);
    out(0x505, 1, 0x02);
    expect_end(VM_RUNNING, 0);
    out(0x505, 1, 0x01);
    expect_end(VM_PANIC, 0);
}

static void test_a20(void)
{
    CHECK_EQ(vcpu.a20_masked, 0);
    mode_changes = 0;
    out(0x92, 1, 0x00);
    CHECK_EQ(vcpu.a20_masked, 1);
    CHECK_EQ(mode_changes, 1);
    out(0x92, 1, 0x00);
    CHECK_EQ(mode_changes, 1);
    out(0x64, 1, 0xdf);
    CHECK_EQ(vcpu.a20_masked, 0);
    out(0x64, 1, 0xdd);
    CHECK_EQ(vcpu.a20_masked, 1);
    CHECK_EQ(cmos(0x3d), 0x12); /* c, a, d */
    pc_set_boot_order(pc, "nd");
    pc_reset(pc);
    CHECK_EQ(cmos(0x3d), 0x34);
    CHECK_EQ(vcpu.a20_masked, 0);
    CHECK_EQ(mode_changes, 4);
}

static void test_output(void)
{
    out(0x3f8, 1, 'a');
    out(0xe9, 1, 'b');
    CHECK_EQ(in(0x2f8, 1), 0xff); /* no COM2 */
    CHECK_EQ(com1.size + debug.size, 0);
    pc_idle(pc);
    CHECK_EQ(com1.size, 1);
    CHECK_EQ(debug.size, 1);
    CHECK_EQ(com1.text[0], 'a');
}

/* Every port, every width, random values, with time passing: nothing breaks (under sanitizers). */
static void test_random_ports(void)
{
    srand(2);
    for (unsigned i = 0; i < 400000; i++) {
        unsigned size = 1u << rand() % 3;
        uint16_t port = rand() % 4 ? rand() % 0x700 : rand();

        if (rand() & 1)
            out(port, size, (uint32_t)rand() << 1 ^ (uint32_t)rand());
        else
            in(port, size);
        if (vcpu.intr_line && rand() % 4)
            vcpu.env->intr_ack(vcpu.env->board);
        if (rand() % 16 == 0)
            clock_advance(&host, rand() % 1000000);
        if (rand() % 64 == 0 && chardev_window(&com1.line))
            chardev_receive(&com1.line, (const uint8_t *)"x", 1);
        com1.size = debug.size = 0;
        com1.room = debug.room = sizeof(com1.text);
        if (i % 50000 == 0)
            pc_reset(pc);
    }
    memset(&stop, 0, sizeof(stop));
    vcpu.exit_request = false;
    pc_reset(pc);
}

static void test_snapshot(void)
{
    static uint8_t first[0x20000], second[0x20000];
    struct snap save = { .at = first }, load = { .loading = true, .at = first };
    struct snap again = { .at = second };

    init_pics();
    out(0x21, 1, 0xee);
    out(0x3ff, 1, 0x77);
    out(0x80, 1, 0x42);
    pc_snapshot(pc, &save);
    CHECK_EQ(save.at - first < (long)sizeof(first), 1);
    pc_reset(pc);
    pc_snapshot(pc, &load);
    CHECK_EQ(load.at - first, save.at - first);
    pc_snapshot(pc, &again);
    CHECK_EQ(memcmp(first, second, save.at - first), 0);
    CHECK_EQ(in(0x21, 1), 0xee);
    CHECK_EQ(in(0x3ff, 1), 0x77);
    CHECK_EQ(in(0x80, 1), 0x42);
}

static void test_errors(void)
{
    struct pc_config wrong = config;
    struct physmem small;
    const char *error = NULL;

    wrong.serial[0] = NULL;
    wrong.debugcon = NULL;
    wrong.debug_exit_base = 0x3c;
    wrong.debug_exit_size = 5;
    CHECK_EQ(pc_create(&wrong, &error) == NULL && strstr(error, "iosize") != NULL, 1);
    wrong.debug_exit_size = 4;
    wrong.debug_exit_base = 0x3e;
    CHECK_EQ(pc_create(&wrong, &error) == NULL && strstr(error, "iobase") != NULL, 1);
    CHECK_EQ(physmem_init(&small, 1 << 20), 0);
    wrong.mem = &small;
    CHECK_EQ(pc_create(&wrong, &error) == NULL && strstr(error, "2 MiB") != NULL, 1);
    physmem_destroy(&small);
}

/* A kernel that goes to real mode without LIDT has the vectors at 0, as behind any firmware. */
static void test_entered(void)
{
    struct boot_entry entry = { .eip = 0x100000, .gdt = 0x1000, .code = 0x08 };
    unsigned changes = mode_changes;

    boot_enter(&vcpu, &entry);
    CHECK_EQ(vcpu.idtr.base, 0);
    CHECK_EQ(vcpu.idtr.limit, 0x3ff);
    CHECK_EQ(vcpu.rip, 0x100000);
    CHECK_EQ(vcpu.seg[SEG_CS].selector, 0x08);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        CHECK_EQ(i == SEG_CS || vcpu.seg[i].selector == 0x10, true);
    CHECK_EQ(mode_changes, changes + 1);
}

static uint64_t msr_of(uint32_t index)
{
    uint64_t value = 0;

    CHECK_EQ(msr_read(&vcpu, index, &value), false);
    CHECK_EQ(msr_write(&vcpu, index, value), false); /* no bit is reserved */
    return value;
}

/* The MTRRs are as a BIOS leaves them; a CPU that has none has none. */
static void test_entered_mtrrs(void)
{
    struct boot_entry entry = { .eip = 0x100000, .gdt = 0x1000 };
    struct cpu_model *old;
    const char *error;

    boot_enter(&vcpu, &entry);
    CHECK_EQ(msr_of(0x2ff), 0xc06);              /* in force; write-back where no other says */
    CHECK_EQ(msr_of(0x250), 0x0606060606060606); /* conventional memory */
    CHECK_EQ(msr_of(0x258), 0x0606060606060606);
    CHECK_EQ(msr_of(0x259), 0);                  /* frame buffers */
    for (uint32_t index = 0x268; index <= 0x26f; index++)
        CHECK_EQ(msr_of(index), 0x0505050505050505); /* ROMs */
    CHECK_EQ(msr_of(0x200), 0xe0000000);
    CHECK_EQ(msr_of(0x201), 0xfe0000800); /* 512 MiB, of 36 bits */
    CHECK_EQ(msr_of(0x203), 0);

    msr_reset(&vcpu);
    CHECK_EQ(cpu_model_parse("486", &old, &error), 0);
    vcpu.model = old;
    boot_enter(&vcpu, &entry);
    CHECK_EQ(vcpu.mtrr_def_type | vcpu.mtrr_var[1] | vcpu.mtrr_fixed[0], 0);
    vcpu.model = NULL;
    cpu_model_destroy(old);
}

int main(void)
{
    const char *error = NULL;

    CHECK_EQ(physmem_init(&mem, 64 << 20), 0);
    vcpu.mmu = &mmu;
    vcpu.mem = &mem;
    chardev_memory_init(&com1);
    chardev_memory_init(&debug);
    pc = pc_create(&config, &error);
    CHECK_EQ(pc != NULL && error == NULL, 1);
    test_memory();
    test_fw_cfg();
    test_output();
    test_interrupts();
    test_ends();
    test_a20();
    test_snapshot();
    test_random_ports();
    test_entered();
    test_entered_mtrrs();
    pc_destroy(pc);
    CHECK_EQ(host.pending == NULL, 1);
    test_errors();
    physmem_destroy(&mem);
    return CHECK_DONE();
}
