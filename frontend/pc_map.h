/* Every address and IRQ of the board: private to pc*.c. */
#ifndef FRONTEND_PC_MAP_H
#define FRONTEND_PC_MAP_H

enum {
    PORT_DMA8 = 0x000,
    PORT_PIC_MASTER = 0x020,
    PORT_PIT = 0x040,
    PORT_KBC_DATA = 0x060,
    PORT_B = 0x061,
    PORT_KBC_COMMAND = 0x064,
    PORT_RTC = 0x070,
    PORT_DMA_PAGES = 0x080, /* 0x80 itself: POST codes, and the delay in outb_p of Linux */
    PORT_92 = 0x092,
    PORT_PIC_SLAVE = 0x0a0,
    PORT_DMA16 = 0x0c0,
    PORT_TESTDEV = 0x0e0,
    PORT_DEBUGCON = 0x0e9,
    PORT_FERR = 0x0f0,
    PORT_COM2 = 0x2f8,
    PORT_FDC = 0x3f0, /* but for 0x3f6, which is IDE's */
    PORT_COM1 = 0x3f8,
    PORT_FIRMWARE_LOG = 0x402, /* what SeaBIOS prints: the debug console's other port */
    PORT_ELCR = 0x4d0,
    PORT_PVPANIC = 0x505,
    PORT_FW_CFG = 0x510,
    PORT_FW_CFG_DMA = 0x514,
    PORT_ENTER = 0x51c, /* enter_rom.S */
    PORT_ACPI_PM = 0x600,
    PORT_SMBUS = 0x700,
    PORT_CONFIG = 0xcf8,
    PORT_RESET = 0xcf9,
    PORT_TESTDEV_IRQ = 0x2000, /* one for each IRQ */
    PORT_PCI = 0xc000, /* those of PCI chips, up to 0xffff */
};

enum {
    IRQ_PIT = 0,
    IRQ_KEYBOARD = 1,
    IRQ_CASCADE = 2, /* the second 8259 */
    IRQ_COM2 = 3,
    IRQ_COM1 = 4,
    IRQ_5 = 5, /* nobody's */
    IRQ_FDC = 6,
    IRQ_RTC = 8,
    IRQ_SCI = 9,
    IRQ_PIRQ_AB = 10, /* where firmware routes PCI's */
    IRQ_PIRQ_CD = 11,
    IRQ_MOUSE = 12,
    IRQ_FERR = 13,
};

enum { DMA_FDC = 2 };

#define IRQS_PCI 0xdef8u /* IRQs that PCI may be routed to */

#define SERIAL_PORT(i) ((i) ? PORT_COM2 : PORT_COM1)
#define SERIAL_IRQ(i)  ((i) ? IRQ_COM2 : IRQ_COM1)

enum {
    GPA_BDA = 0x400,     /* BIOS data area */
    GPA_EBDA = 0x9fc00,  /* its extension, up to 640 KiB */
    GPA_DISPLAY = 0xa0000,
    GPA_TABLES = 0xe0000, /* ACPI, without firmware */
    GPA_MPTABLE = 0xf0000,
    GPA_SMBIOS = 0xf1000,
    GPA_NO_BIOS = 0xff000, /* where interrupts of the BIOS lead, without firmware */
    GPA_HIGH = 0x100000,
};

#define GPA_PCI_END 0xfec00000u /* PCI memory is between PC_RAM_MAX and this; APICs come above */
#define GPA_TESTDEV 0xff000000u

#endif
