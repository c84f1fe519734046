/* The board's state, for pc.c and pc_cpu.c alone. */
#ifndef FRONTEND_PC_STATE_H
#define FRONTEND_PC_STATE_H

#include "cpu/env.h"
#include "frontend/pc.h"

struct pc {
    struct pc_config config;
    struct cpu_env env;
    struct bus *ports, *memory;
    struct pc_memory *memory_map;
    struct bus *pci_ports; /* behind the host bridge: what it does not take at PORT_CONFIG */
    struct pc_irq *irqs;
    struct i8254 *pit;
    struct mc146818 *rtc;
    struct i8042 *kbc;
    struct port92 *port92;
    struct pc_pci *pci;
    struct cf9 *cf9;
    struct i8237 *dma;
    struct fdc *fdc;
    struct ferr *ferr;
    struct acpi_pm *pm;
    struct pvpanic *pvpanic;
    struct ns16550 *serial[PC_SERIAL_COUNT];
    struct debugcon *debugcon;
    struct fw_cfg *fw_cfg;
    struct isa_debug_exit *debug_exit, *enter; /* enter: pc_config's */
    struct pc_testdev *testdev;
};

/* From now on the CPU asks this board. */
void pc_cpu_connect(struct pc *pc);

#endif
