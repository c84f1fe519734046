/* What boot_rom.S and boot_real.c agree on. */
#ifndef FRONTEND_BOOT_ROM_H
#define FRONTEND_BOOT_ROM_H

#define BOOT_ROM_SIZE 512
#define BOOT_PARTS_MAX 4
#define BOOT_PLACE_SEGMENT 0       /* words at boot_rom_place: where the real-mode part goes, */
#define BOOT_PLACE_STACK 2         /* and where in it the stack begins, with 16 bytes behind */
#define BOOT_DMA_PORT 0x514

#endif
