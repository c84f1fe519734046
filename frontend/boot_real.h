/*
 * Images of the Linux boot protocol that firmware starts in real mode, since they call the BIOS:
 * those that have no 32-bit entry point of use to others (iPXE's ipxe.lkrn, memdisk) or are older
 * than it (zImage, protocols before 2.02, memtest86+ before 6), and Linux where its real-mode part
 * has something to do: it sets the video mode that vga= asks for, by the VGA's BIOS.
 */
#ifndef FRONTEND_BOOT_REAL_H
#define FRONTEND_BOOT_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/boot_rom.h"
#include "frontend/image.h"

struct error;
struct fw_cfg;

/* Items of fw_cfg. */
enum {
    BOOT_KEY_KERNEL = 0x11,
    BOOT_KEY_INITRD = 0x12,
    BOOT_KEY_CMDLINE = 0x15,
    BOOT_KEY_SETUP = 0x18,
};

struct boot_real {
    struct image kernel, initrd;
    const char *append;
    size_t setup_size;
    uint8_t rom[BOOT_ROM_SIZE];
};

/* Whether nothing but firmware can start the file; false when it cannot be read, too. */
bool boot_real_is(const char *path);

/* Whether a kernel's command line has a vga= that needs its real-mode part. */
bool boot_real_sets_mode(const char *append);

/* Reads the files and makes the ROM; memory is the guest's, in bytes. initrd may be NULL, append is
 * the caller's and stays. 0, or -1 with *error. */
int boot_real_read(struct boot_real *boot, const char *kernel, const char *initrd,
                   const char *append, uint64_t memory, struct error *error);
void boot_real_free(struct boot_real *boot);

/* Gives it all to firmware (boot_real_fill.c, which is the board's). 0 or -errno. */
int boot_real_fill(const struct boot_real *boot, struct fw_cfg *fw);

#endif
