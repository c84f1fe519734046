/*
 * The board: a PC of the i440FX's kind. It owns the chips and their wires, every port
 * and IRQ number (one list, in pc_map.h), the firmware tables in RAM, and what the CPU asks of the
 * board (cpu/env.h).
 */
#ifndef FRONTEND_PC_H
#define FRONTEND_PC_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/smbios.h"

struct blockdev;
struct boot_real;
struct chardev;
struct clock;
struct display;
struct pc_irq_view;
struct latency;
struct netdev;
struct pc;
struct pci_bus;
struct physmem;
struct sharedev;
struct snap;
struct vcpu;
struct virtio_balloon;
struct vm_stop;

#define PC_SERIAL_COUNT 2
#define PC_NIC_COUNT 8
#define PC_IDE_COUNT 4
#define PC_VIRTIO_DISK_COUNT 8
#define PC_SHARE_COUNT 4
#define PC_RAM_MIN (2ull << 20)
#define PC_RAM_MAX 0xe0000000ull /* RAM is one run from 0, below where chips may be mapped */

/* A network card. */
struct pc_nic {
    struct netdev *cable;
    bool e1000;           /* else virtio */
    const uint8_t *rom;   /* what firmware may boot from it with; NULL: nothing */
    uint32_t rom_size;
};

/* Virtio devices but network cards; NULL, false or 0: not there. */
struct pc_virtio {
    unsigned mode; /* enum virtio_pci_mode, of network cards too */
    struct blockdev *disk[PC_VIRTIO_DISK_COUNT];
    unsigned disks;
    struct chardev *console;
    bool rng, balloon, balloon_reports;
    uint64_t balloon_target; /* how much memory the guest is to keep, bytes; 0: all */
    struct sharedev *share[PC_SHARE_COUNT];
    unsigned shares;
};

/* All pointers stay the caller's and outlive the board. */
struct pc_config {
    struct vcpu *vcpu;    /* pc_create sets env; the board drives intr_line and a20_masked */
    struct physmem *mem;  /* initialised; its size is the guest's memory */
    struct clock *clock;
    struct vm_stop *stop;
    bool (*held_up)(void *arg); /* cpu/env.h; may be NULL */
    void *held_up_arg;
    bool apic; /* local APIC, I/O APIC, HPET: the CPU has such a feature */
    struct latency *latency; /* NULL, or where the lateness of timers' interrupts is counted */

    struct chardev *serial[PC_SERIAL_COUNT]; /* COM1, COM2; NULL: that chip is not on the board */
    struct chardev *debugcon; /* the debug console's line; NULL: there is none */
    uint16_t debugcon_base;   /* 0: port 0xe9, with firmware 0x402 too */

    struct pc_nic nic[PC_NIC_COUNT];
    unsigned nics;
    struct pc_virtio virtio;

    bool vga;
    struct display *display;    /* who may look at the VGA; NULL: nobody */
    const uint8_t *vga_rom;     /* its BIOS, or NULL */
    uint32_t vga_rom_size;

    /* The firmware, a multiple of 64 KiB up to 16 MiB; the CPU's reset vector is in it. NULL: a
     * kernel is going to be loaded, and the board is set up as firmware would leave it. */
    const uint8_t *rom;
    uint32_t rom_size;
    bool boot_menu;             /* it asks what to start from */

    /* Disks and CD-ROMs: primary 0 and 1, secondary 0 and 1; NULL: no drive there. */
    struct blockdev *ide[PC_IDE_COUNT];
    struct blockdev *floppy;    /* drive A; NULL: none, and no controller */
    const struct boot_real *kernel; /* what firmware is to start; NULL: nothing of ours */
    /* With firmware: it has run, and a kernel is to be entered as without it. Without: the guest
     * calls the BIOS, which is not there. NULL: neither is told. */
    void (*enter)(void *arg);
    void *enter_arg;
    const char *boot_order;     /* pc_set_boot_order(); NULL: cad */
    bool no_floppy_check;       /* floppies without 55h AAh are started, too */

    struct smbios_config smbios; /* what the SMBIOS tables say */

    bool debug_exit;            /* -device isa-debug-exit */
    uint16_t debug_exit_base;   /* QEMU's default is 0x501 */
    uint16_t debug_exit_size;   /* 1 to 4 ports; QEMU's default is 2 */
    bool testdev;               /* -device pc-testdev */
};

/* One run of the memory map; type is as INT 15h E820 numbers it. */
struct pc_e820 {
    uint64_t base, size;
    uint32_t type;
};

enum { E820_RAM = 1, E820_RESERVED = 2 };
#define PC_E820_MAX 8

/* Sets vcpu->env and what is where in mem, and powers the chips on. NULL with *error a sentence for
 * the user. */
struct pc *pc_create(const struct pc_config *config, const char **error);
void pc_destroy(struct pc *pc);

/* --- For the boot code --------------------------------------------------
 * At power-on and at each reset: vcpu_reset(), pc_reset(), then load the kernel. */

/* What firmware tries from the next pc_reset() on: letters of a c d n; kept by the caller. */
void pc_set_boot_order(struct pc *pc, const char *letters);

/* One more file in fw_cfg, whose bytes are copied. 0 or -errno. */
int pc_set_firmware_file(struct pc *pc, const char *name, const void *bytes, size_t size);

/* Clears RAM, resets every chip, opens A20. Without firmware: sets up PCI and writes the BIOS data
 * area and the ACPI tables into RAM. */
void pc_reset(struct pc *pc);

/* Does the CMOS RAM's shutdown status ask the firmware to go on where a program says? A reset is
 * then the processor's alone, as code of 286s leaves protected mode. */
bool pc_resumes(const struct pc *pc);

/* Fills map, ascending; returns the number of entries, at most PC_E820_MAX. */
unsigned pc_e820_map(const struct pc *pc, struct pc_e820 map[PC_E820_MAX]);

/* gpa of the ACPI root pointer, for boot protocols that pass it; 0: where firmware put it. */
uint64_t pc_rsdp(const struct pc *pc);

/* --- For the run loop --------------------------------------------------- */

/* The guest is about to sleep, or the machine to end: pushes collected output to the host. */
void pc_idle(struct pc *pc);

/* After the engine has returned: what was noted while it ran. */
void pc_service(struct pc *pc);

/* A key of devices/keys.h goes down or up, the mouse moves (devices/display.h). Keys that come
 * while the keyboard has no room are lost. */
void pc_key(struct pc *pc, unsigned key, bool down);
bool pc_has_key_room(const struct pc *pc);
void pc_pointer(struct pc *pc, int dx, int dy, int dz, unsigned buttons);

/* Presses the power button (ACPI): the guest is asked to shut down. */
void pc_power_button(struct pc *pc);
/* The sleep button: there is no sleep, what it means is the guest's to say. */
void pc_sleep_button(struct pc *pc);

/* Memory that the guest lends back (devices/virtio_balloon.h); NULL: there is no balloon. */
struct virtio_balloon *pc_balloon(struct pc *pc);

/* For people to look at: interrupt controllers (pc_irq.h), the PCI bus. */
void pc_look_at_irqs(const struct pc *pc, struct pc_irq_view *view);
struct pci_bus *pc_bus(struct pc *pc);

/* Saves or loads the chips (base/snap.h); not the CPU and not memory. No command asks for it: it is
 * what a chip's x_snapshot is tested by, that its state is described in full. */
void pc_snapshot(struct pc *pc, struct snap *snap);

#endif
