/*
 * An option ROM with APM's "set power state" for the whole machine, off: how systems in real mode
 * end it. SeaBIOS has the rest of APM, but learns where the power management's ports are from a
 * PIIX4's PCI function alone, which this board has not got; without them it halts for ever.
 *
 * Firmware finds the ROM among fw_cfg's files (genroms/) and calls its initialisation while the
 * ROM can be written. A header of Plug and Play makes it one that is called then, and not a device
 * to boot from.
 *
 * Reference: APM BIOS Interface Specification 1.2, 4.6.9; BIOS Boot Specification 1.01, 3.3.
 * Not:       APM's protected-mode interface, which is the firmware's own.
 */
#include "frontend/apm_rom.h"
#include "frontend/option_rom.h"

#define INT_15 (4 * 0x15)

        .section .rodata
        .balign 16
        .globl apm_rom
        .code16
apm_rom:
        .byte 0x55, 0xaa
        .byte APM_ROM_SIZE / 512
        pushw %ds
        xorw %ax, %ax
        movw %ax, %ds
        movl INT_15, %eax
        movl %eax, %cs:before - apm_rom
        movw $handler - apm_rom, INT_15
        jmp 1f

        option_rom_header apm_rom

1:      movw %cs, INT_15 + 2
        popw %ds
        xorw %ax, %ax                   /* no device to boot from */
        lretw

handler:
        cmpw $0x5307, %ax               /* set power state */
        jne 1f
        cmpw $1, %bx                    /* of all devices */
        jne 1f
        cmpw $3, %cx                    /* off */
        jne 1f
        movw $APM_ROM_CONTROL, %dx
        movw $APM_ROM_SOFT_OFF, %ax
        outw %ax, %dx
        cli
2:      hlt
        jmp 2b
1:      .byte 0xea                      /* ljmp, to whom the interrupt was before */
before: .long 0

maker:  .asciz "novt"
product:
        .asciz "novt power off"

        .org apm_rom + APM_ROM_SIZE
        .section .note.GNU-stack, "", @progbits
