/*
 * An option ROM that starts a Linux-like image in real mode, with the BIOS there: firmware finds it
 * among fw_cfg's files (genroms/), takes it for a device to boot from, and calls boot. That has
 * fw_cfg write the image's parts to memory by DMA, as boot_rom_table says, and jumps to them.
 *
 * Reference: BIOS Boot Specification 1.01, 3.3 and 3.5.1.1 (ROM headers); Linux,
 *            Documentation/arch/x86/boot.rst, "Running the kernel".
 */
#include "frontend/boot_rom.h"
#include "frontend/option_rom.h"

        .section .rodata
        .balign 16
        .globl boot_rom, boot_rom_place, boot_rom_table, boot_rom_end
        .code16
boot_rom:
        .byte 0x55, 0xaa
        .byte BOOT_ROM_SIZE / 512
        lretw                           /* its initialisation: nothing to do */

        option_rom_header boot_rom, "boot - boot_rom"

boot:
        cli
        cld
        movw %cs:boot_rom_place - boot_rom + BOOT_PLACE_SEGMENT, %ax
        movw %ax, %ss
        movw %ax, %es
        movw %cs:boot_rom_place - boot_rom + BOOT_PLACE_STACK, %sp
        movw %sp, %bx                   /* behind the stack: the request */
        movw %cs, %ax
        movw %ax, %ds
        movw $boot_rom_table - boot_rom, %si
1:      cmpl $0, (%si)
        je 3f
        movw %bx, %di                   /* fw_cfg writes into it: not in the ROM */
        movw $16 / 4, %cx
        rep movsl
        movw $BOOT_DMA_PORT, %dx
        xorl %eax, %eax
        outl %eax, %dx
        movw $BOOT_DMA_PORT + 4, %dx
        movw %ss, %ax
        shll $4, %eax
        movzwl %bx, %ecx
        addl %ecx, %eax
        bswapl %eax
        outl %eax, %dx                  /* goes */
2:      movl %es:(%bx), %eax
        bswapl %eax
        testl $~1, %eax                 /* until it is done, or failed */
        jnz 2b
        jmp 1b
3:      movw %ss, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %fs
        movw %ax, %gs
        addw $0x20, %ax
        pushw %ax
        pushw $0
        lretw

maker:  .asciz "novt"
product:
        .asciz "novt -kernel"

        .balign 4
boot_rom_place:
        .word 0, 0
boot_rom_table:
        .fill 16 * (BOOT_PARTS_MAX + 1)
        .org boot_rom + BOOT_ROM_SIZE
boot_rom_end:
        .section .note.GNU-stack, "", @progbits
