/*
 * An option ROM for a kernel that is loaded as without firmware, but after it has run: -bios with
 * -kernel. Firmware takes it for a device to boot from, and calls enter; the monitor then loads
 * the kernel and puts the CPU at its first instruction.
 *
 * Reference: BIOS Boot Specification 1.01, 3.3 and 3.5.1.1 (ROM headers).
 */
#include "frontend/enter_rom.h"
#include "frontend/option_rom.h"

        .section .rodata
        .balign 16
        .globl enter_rom
        .code16
enter_rom:
        .byte 0x55, 0xaa
        .byte ENTER_ROM_SIZE / 512
        lretw                           /* its initialisation: nothing to do */

        option_rom_header enter_rom, "enter - enter_rom"

enter:
        movw $ENTER_ROM_PORT, %dx
        outb %al, %dx
1:      jmp 1b

maker:  .asciz "novt"
product:
        .asciz "novt -kernel"

        .org enter_rom + ENTER_ROM_SIZE
        .section .note.GNU-stack, "", @progbits
