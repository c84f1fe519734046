/*
 * The board: which chips there are, at which addresses, on which wires, and what firmware would
 * have left in memory.
 *
 * Reference: IBM AT Technical Reference (ports, interrupts, CMOS and BIOS data area); the ACPI
 *            tables are acpi.c's.
 * Modelled:  an AT with two serial ports, ACPI power management and four debug devices; the PCI
 *            side is pc_pci.c's.
 *
 * A20 is one gate with two keys (i8042 and port 0x92): the last write decides, as each drives it.
 */
#include "frontend/pc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/irq.h"
#include "base/kill.h"
#include "base/physmem.h"
#include "base/snap.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"
#include "devices/acpi_pm.h"
#include "devices/bus.h"
#include "devices/cf9.h"
#include "devices/chardev.h"
#include "devices/debugcon.h"
#include "devices/display.h"
#include "devices/fdc.h"
#include "devices/ferr.h"
#include "devices/fw_cfg.h"
#include "devices/i8042.h"
#include "devices/i8237.h"
#include "devices/i8254.h"
#include "devices/isa_debug_exit.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "devices/port92.h"
#include "devices/pc_testdev.h"
#include "devices/pvpanic.h"
#include "devices/virtio_balloon.h"
#include "frontend/latency.h"
#include "frontend/pc_cmos.h"
#include "frontend/pc_firmware.h"
#include "frontend/pc_irq.h"
#include "frontend/pc_map.h"
#include "frontend/pc_memory.h"
#include "frontend/pc_pci.h"
#include "frontend/pc_state.h"

/* --- Wires -------------------------------------------------------------- */

static void stop(struct pc *pc, enum vm_end end, int code, const char *reason)
{
    vm_stop(pc->config.stop, end, code, "%s", reason);
    vcpu_kick(pc->config.vcpu);
}

static void watch_latency(struct pc *pc, bool level)
{
    const struct vcpu *vcpu = pc->config.vcpu;
    const struct clock *clock = pc->config.clock;

    if (!level)
        pc->config.latency->waiting = false;
    else if (!vcpu->intr_line && clock->firing && vcpu->cpl == 3 && vcpu->eflags & EFLAGS_IF)
        latency_due(pc->config.latency, clock->now_ns);
}

static void intr_set(void *sink, unsigned pin, bool level)
{
    struct pc *pc = sink;
    struct vcpu *vcpu = pc->config.vcpu;

    (void)pin;
    if (pc->config.latency)
        watch_latency(pc, level);
    vcpu->intr_line = level;
}

static void a20_set(void *sink, unsigned pin, bool level)
{
    struct vcpu *vcpu = sink;

    (void)pin;
    if (vcpu->a20_masked == !level)
        return;
    vcpu->a20_masked = !level;
    mem_mode_changed(vcpu);
}

enum { RESET_KBC, RESET_PORT92, RESET_CF9 };

static void reset_set(void *sink, unsigned pin, bool level)
{
    static const char *const reasons[] = {
        [RESET_KBC] = "reset through the keyboard controller",
        [RESET_PORT92] = "reset through port 0x92",
        [RESET_CF9] = "reset through port 0xcf9",
    };

    if (level)
        stop(sink, VM_RESET, 0, reasons[pin]);
}

static void poweroff_set(void *sink, unsigned pin, bool level)
{
    (void)pin;
    if (level)
        stop(sink, VM_POWEROFF, 0, "the guest powered off");
}

static void debug_exit(void *arg, int status)
{
    stop(arg, VM_DEBUG_EXIT, status, "the guest wrote to isa-debug-exit");
}

static void enter(void *arg, int status)
{
    struct pc *pc = arg;

    (void)status;
    pc->config.enter(pc->config.enter_arg);
    vcpu_kick(pc->config.vcpu);
}

/* A guest with a crash kernel goes on in that, and ends by itself. */
static void panicked(void *arg, bool crash_kernel)
{
    if (!crash_kernel)
        stop(arg, VM_PANIC, 0, "the guest's kernel panicked");
}

static void pit_taken(void *arg)
{
    i8254_taken(((struct pc *)arg)->pit);
}

static bool tick_waits(void *arg)
{
    return pc_irq_tick_waits(((struct pc *)arg)->irqs);
}

static void nmi(void *arg)
{
    struct vcpu *vcpu = ((struct pc *)arg)->config.vcpu;

    vcpu->nmi_pending = true;
    vcpu_kick(vcpu);
}

/* --- For the boot code --------------------------------------------------- */

/* SeaBIOS has its tables at the end of RAM, and no more than that. */
enum { FIRMWARE_KEEPS = 256 << 10 };

unsigned pc_e820_map(const struct pc *pc, struct pc_e820 map[PC_E820_MAX])
{
    uint64_t kept = pc->config.rom ? FIRMWARE_KEEPS : 0, end = pc->config.mem->size - kept;
    unsigned n = 0;

    map[n++] = (struct pc_e820){ 0, GPA_EBDA, E820_RAM };
    map[n++] = (struct pc_e820){ GPA_EBDA, GPA_DISPLAY - GPA_EBDA, E820_RESERVED };
    map[n++] = (struct pc_e820){ GPA_TABLES, GPA_HIGH - GPA_TABLES, E820_RESERVED };
    map[n++] = (struct pc_e820){ GPA_HIGH, end - GPA_HIGH, E820_RAM };
    if (kept)
        map[n++] = (struct pc_e820){ end, kept, E820_RESERVED };
    return n;
}

uint64_t pc_rsdp(const struct pc *pc)
{
    return pc->config.rom ? 0 : GPA_TABLES; /* acpi_build puts it first */
}

/* --- Putting it together ------------------------------------------------ */

static struct irq wire(struct pc *pc, unsigned irq)
{
    return pc_irq_wire(pc->irqs, irq);
}

static void set_leds(void *arg, uint8_t leds)
{
    display_set_leds(arg, leds);
}

static bool create_core(struct pc *pc)
{
    struct clock *clock = pc->config.clock;
    struct vcpu *vcpu = pc->config.vcpu;
    struct bus *ports = pc->ports;

    pc->irqs = pc_irq_create(&(struct pc_irq_config){
        ports, pc->memory, clock, pc->config.apic, { intr_set, pc, 0 }, nmi,
        pit_taken, pc });
    if (!pc->irqs)
        return false;
    pc->pit = i8254_create(&(struct i8254_config){ ports, PORT_PIT, PORT_B,
                                                   wire(pc, IRQ_PIT), clock, tick_waits,
                                                   pc });
    pc->rtc = mc146818_create(
        &(struct mc146818_config){ ports, PORT_RTC, wire(pc, IRQ_RTC), clock });
    pc->kbc = i8042_create(&(struct i8042_config){ ports, PORT_KBC_DATA, PORT_KBC_COMMAND,
                                                   wire(pc, IRQ_KEYBOARD),
                                                   wire(pc, IRQ_MOUSE),
                                                   { a20_set, vcpu, 0 },
                                                   { reset_set, pc, RESET_KBC } });
    pc->port92 = port92_create(&(struct port92_config){ ports, PORT_92, { a20_set, vcpu, 0 },
                                                        { reset_set, pc, RESET_PORT92 } });
    pc->cf9 = cf9_create(
        &(struct cf9_config){ pc->pci_ports, PORT_RESET, { reset_set, pc, RESET_CF9 } });
    pc->dma = i8237_create(&(struct i8237_config){ ports, PORT_DMA8, PORT_DMA16, PORT_DMA_PAGES,
                                                   pc->config.mem });
    pc->ferr = ferr_create(&(struct ferr_config){ ports, PORT_FERR, wire(pc, IRQ_FERR) });
    pc->pm = acpi_pm_create(&(struct acpi_pm_config){ ports, PORT_ACPI_PM,
                                                      wire(pc, IRQ_SCI),
                                                      { poweroff_set, pc, 0 }, clock });
    pc->pvpanic = pvpanic_create(&(struct pvpanic_config){ ports, PORT_PVPANIC, panicked, pc });
    if (pc->kbc && pc->config.display)
        i8042_tell_leds(pc->kbc, set_leds, pc->config.display);
    return pc->pit && pc->rtc && pc->kbc && pc->port92 && pc->cf9 && pc->dma && pc->ferr &&
           pc->pm && pc->pvpanic;
}

static bool create_floppy(struct pc *pc)
{
    struct blockdev *medium = pc->config.floppy;

    if (!medium)
        return true;
    pc->fdc = fdc_create(&(struct fdc_config){ pc->ports, PORT_FDC, wire(pc, IRQ_FDC),
                                               pc->dma, DMA_FDC, medium });
    return pc->fdc;
}

static bool create_lines(struct pc *pc)
{
    const struct pc_config *config = &pc->config;

    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++) {
        if (!config->serial[i])
            continue;
        pc->serial[i] = ns16550_create(
            &(struct ns16550_config){ pc->ports, SERIAL_PORT(i), wire(pc, SERIAL_IRQ(i)),
                                      config->clock, config->serial[i] });
        if (!pc->serial[i])
            return false;
    }
    return true;
}

static const char *create_debugcon(struct pc *pc)
{
    const struct pc_config *config = &pc->config;
    struct debugcon_config debugcon = { pc->ports, config->debugcon_base, config->clock,
                                        config->debugcon, 0 };

    if (!config->debugcon)
        return NULL;
    if (!debugcon.base) {
        debugcon.base = PORT_DEBUGCON;
        debugcon.second_base = config->rom && !config->enter ? PORT_FIRMWARE_LOG : 0;
    }
    pc->debugcon = debugcon_create(&debugcon);
    if (pc->debugcon)
        return NULL;
    return errno == EEXIST ? "isa-debugcon: another chip has that port; choose another iobase"
                           : "not enough memory for the board";
}

/* A port like that of isa-debug-exit. */
static bool create_enter(struct pc *pc)
{
    if (!pc->config.enter)
        return true;
    pc->enter = isa_debug_exit_create(&(struct isa_debug_exit_config){ pc->ports, PORT_ENTER, 1,
                                                                       enter, pc });
    return pc->enter;
}

static const char *create_debug_exit(struct pc *pc)
{
    const struct pc_config *config = &pc->config;

    if (!config->debug_exit)
        return NULL;
    pc->debug_exit = isa_debug_exit_create(&(struct isa_debug_exit_config){
        pc->ports, config->debug_exit_base, config->debug_exit_size, debug_exit, pc });
    if (pc->debug_exit)
        return NULL;
    if (errno == EEXIST)
        return "isa-debug-exit: another chip has ports in that range; choose another iobase";
    if (errno == EINVAL)
        return "isa-debug-exit: iosize must be 1 to 4";
    return "not enough memory for the board";
}

/* For firmware; kernels without any, too, ask it how many CPUs there are, and how much memory. */
static bool create_fw_cfg(struct pc *pc)
{
    pc->fw_cfg = fw_cfg_create(&(struct fw_cfg_config){ pc->ports, PORT_FW_CFG, PORT_FW_CFG_DMA,
                                                        pc->config.mem });
    return pc->fw_cfg && !pc_firmware_fill_files(&pc->config, pc->fw_cfg);
}

int pc_set_firmware_file(struct pc *pc, const char *name, const void *bytes, size_t size)
{
    return fw_cfg_set_file(pc->fw_cfg, name, bytes, size);
}

static const char *create_pci(struct pc *pc)
{
    struct pc_pci_config config = {
        .pc = &pc->config,
        .ports = pc->ports,
        .memory = pc->memory,
        .pci_ports = pc->pci_ports,
        .config_port = PORT_CONFIG,
        .memory_map = pc->memory_map,
        .irqs = pc->irqs,
    };
    const char *error;

    for (unsigned i = 0; i < PIIX3_IRQ_COUNT; i++)
        if (IRQS_PCI >> i & 1)
            config.irq[i] = wire(pc, i);
    pc->pci = pc_pci_create(&config, &error);
    return error;
}

static const char *create_testdev(struct pc *pc)
{
    struct pc_testdev_config config = {
        .ports = pc->ports,
        .memory = pc->memory,
        .base = PORT_TESTDEV,
        .irq_base = PORT_TESTDEV_IRQ,
        .memory_base = GPA_TESTDEV,
    };

    if (!pc->config.testdev)
        return NULL;
    for (unsigned i = 0; i < PC_TESTDEV_IRQS; i++)
        if (i != IRQ_CASCADE)
            config.irq[i] = wire(pc, i);
    pc->testdev = pc_testdev_create(&config);
    if (pc->testdev)
        return NULL;
    return errno == EEXIST ? "pc-testdev: another chip has its ports; move that one"
                           : "not enough memory for the board";
}

static const char *create_chips(struct pc *pc)
{
    const char *error;

    pc->memory_map = pc_memory_create(pc->config.mem, !pc->config.vga, pc->config.rom,
                                      pc->config.rom_size);
    pc->ports = bus_create();
    pc->memory = bus_create();
    pc->pci_ports = bus_create();
    if (!pc->memory_map || !pc->ports || !pc->memory || !pc->pci_ports || !create_core(pc) ||
        !create_floppy(pc) || !create_lines(pc) || !create_fw_cfg(pc) ||
        !create_enter(pc))
        return "not enough memory for the board";
    error = create_pci(pc);
    error = error ? error : create_debugcon(pc); /* last: their ports are the user's choice */
    error = error ? error : create_debug_exit(pc);
    return error ? error : create_testdev(pc);
}

struct pc *pc_create(const struct pc_config *config, const char **error)
{
    struct pc *pc;

    *error = "the guest's memory must be between 2 MiB and 3584 MiB";
    if (config->mem->size < PC_RAM_MIN || config->mem->size > PC_RAM_MAX)
        return NULL;
    *error = "not enough memory for the board";
    pc = calloc(1, sizeof(*pc));
    if (!pc)
        return NULL;
    pc->config = *config;
    mem_attach(config->vcpu);
    *error = create_chips(pc);
    if (*error) {
        pc_destroy(pc);
        return NULL;
    }
    pc_cpu_connect(pc);
    pc_reset(pc);
    return pc;
}

static void destroy_core(struct pc *pc)
{
    if (pc->pvpanic)
        pvpanic_destroy(pc->pvpanic);
    if (pc->pm)
        acpi_pm_destroy(pc->pm);
    if (pc->fdc)
        fdc_destroy(pc->fdc);
    if (pc->ferr)
        ferr_destroy(pc->ferr);
    if (pc->dma)
        i8237_destroy(pc->dma);
    if (pc->cf9)
        cf9_destroy(pc->cf9);
    if (pc->port92)
        port92_destroy(pc->port92);
    if (pc->kbc)
        i8042_destroy(pc->kbc);
    if (pc->rtc)
        mc146818_destroy(pc->rtc);
    if (pc->pit)
        i8254_destroy(pc->pit);
    if (pc->irqs)
        pc_irq_destroy(pc->irqs);
}

void pc_destroy(struct pc *pc)
{
    if (pc->pci)
        pc_pci_destroy(pc->pci);
    if (pc->testdev)
        pc_testdev_destroy(pc->testdev);
    if (pc->enter)
        isa_debug_exit_destroy(pc->enter);
    if (pc->debug_exit)
        isa_debug_exit_destroy(pc->debug_exit);
    if (pc->debugcon)
        debugcon_destroy(pc->debugcon);
    if (pc->fw_cfg)
        fw_cfg_destroy(pc->fw_cfg);
    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        if (pc->serial[i])
            ns16550_destroy(pc->serial[i]);
    destroy_core(pc);
    if (pc->pci_ports)
        bus_destroy(pc->pci_ports);
    if (pc->memory)
        bus_destroy(pc->memory);
    if (pc->ports)
        bus_destroy(pc->ports);
    if (pc->memory_map)
        pc_memory_destroy(pc->memory_map);
    free(pc);
}

/* PCI as firmware leaves it: kernels without one are not asked to. Its interrupts are levels. */
static void set_up_pci(struct pc *pc)
{
    static const struct pc_pci_setup setup = {
        PORT_PCI, 0x10000, PC_RAM_MAX, GPA_PCI_END,
        { IRQ_PIRQ_AB, IRQ_PIRQ_AB, IRQ_PIRQ_CD, IRQ_PIRQ_CD },
    };

    pc_pci_set_up(pc->pci, &setup);
    pc_irq_set_levels(pc->irqs, 1u << IRQ_PIRQ_AB | 1u << IRQ_PIRQ_CD);
}

/* IBM PC AT Technical Reference, BIOS, shutdown: jumps through 0040:0067 (5, 0Ah), the end of INT
 * 15h AH=87h (9), IRET and RETF by that pointer (0Bh, 0Ch). */
bool pc_resumes(const struct pc *pc)
{
    uint8_t status = mc146818_ram(pc->rtc, 0x0f);

    return status == 5 || (status >= 9 && status <= 0xc);
}

/* The interrupt controllers come last: the other chips' wires move while they are reset. */
void pc_set_boot_order(struct pc *pc, const char *letters)
{
    pc->config.boot_order = letters;
}

void pc_reset(struct pc *pc)
{
    pc_pci_quiet(pc->pci);
    pc_memory_reset(pc->memory_map);
    pc_pci_reset(pc->pci);
    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        if (pc->serial[i])
            ns16550_reset(pc->serial[i]);
    fw_cfg_reset(pc->fw_cfg);
    acpi_pm_reset(pc->pm);
    ferr_reset(pc->ferr);
    if (pc->fdc)
        fdc_reset(pc->fdc);
    i8237_reset(pc->dma);
    cf9_reset(pc->cf9);
    port92_reset(pc->port92);
    i8042_reset(pc->kbc);
    mc146818_reset(pc->rtc);
    i8254_reset(pc->pit);
    pc_irq_reset(pc->irqs);
    a20_set(pc->config.vcpu, 0, true);
    pc_cmos_fill(pc->rtc, &pc->config, pc_firmware_equipment(&pc->config) & 0xff);
    if (pc->config.rom)
        return;
    set_up_pci(pc);
    pc_firmware_write_legacy(&pc->config);
}

/* --- The run loop's ----------------------------------------------------- */

void pc_idle(struct pc *pc)
{
    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        if (pc->serial[i])
            ns16550_flush(pc->serial[i]);
    if (pc->debugcon)
        debugcon_flush(pc->debugcon);
    pc_pci_idle(pc->pci);
}

void pc_service(struct pc *pc)
{
    if (pc->config.mem->touched)
        pc_pci_touched(pc->pci);
}

void pc_key(struct pc *pc, unsigned key, bool down)
{
    i8042_key(pc->kbc, key, down);
}

bool pc_has_key_room(const struct pc *pc)
{
    return i8042_has_room(pc->kbc);
}

void pc_pointer(struct pc *pc, int dx, int dy, int dz, unsigned buttons)
{
    i8042_move(pc->kbc, dx, dy, dz, buttons);
}

struct virtio_balloon *pc_balloon(struct pc *pc)
{
    return pc_pci_balloon(pc->pci);
}

void pc_look_at_irqs(const struct pc *pc, struct pc_irq_view *view)
{
    pc_irq_look(pc->irqs, view);
}

struct pci_bus *pc_bus(struct pc *pc)
{
    return pc_pci_bus(pc->pci);
}

void pc_power_button(struct pc *pc)
{
    acpi_pm_power_button(pc->pm);
}

void pc_sleep_button(struct pc *pc)
{
    acpi_pm_sleep_button(pc->pm);
}

void pc_snapshot(struct pc *pc, struct snap *snap)
{
    pc_idle(pc);
    pc_pci_snapshot(pc->pci, snap);
    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        if (pc->serial[i])
            ns16550_snapshot(pc->serial[i], snap);
    fw_cfg_snapshot(pc->fw_cfg, snap);
    if (pc->testdev)
        pc_testdev_snapshot(pc->testdev, snap);
    acpi_pm_snapshot(pc->pm, snap);
    ferr_snapshot(pc->ferr, snap);
    if (pc->fdc)
        fdc_snapshot(pc->fdc, snap);
    i8237_snapshot(pc->dma, snap);
    cf9_snapshot(pc->cf9, snap);
    port92_snapshot(pc->port92, snap);
    i8042_snapshot(pc->kbc, snap);
    mc146818_snapshot(pc->rtc, snap);
    i8254_snapshot(pc->pit, snap);
    pc_irq_snapshot(pc->irqs, snap);
}
