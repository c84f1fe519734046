/* What boot_rom.S and boot_real.c agree on. */
#ifndef FRONTEND_BOOT_ROM_H
#define FRONTEND_BOOT_ROM_H

#define BOOT_ROM_SIZE 512
#define BOOT_PARTS_MAX 4
#define BOOT_SETUP 0x10000         /* gpa of the real-mode part */
#define BOOT_SETUP_SEGMENT 0x1000
#define BOOT_REQUEST 0xe000        /* in its segment */
#define BOOT_STACK 0xfff0
#define BOOT_HEAP_END 0xde00       /* counted from 0x200 */
#define BOOT_CMDLINE 0x20000
#define BOOT_KERNEL 0x100000
#define BOOT_DMA_PORT 0x514

#endif
