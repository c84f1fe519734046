/*
 * What our option ROMs begin and end with.
 *
 * Reference: BIOS Boot Specification 1.01, 3.3 (Plug and Play's header of option ROMs).
 */
#ifndef FRONTEND_OPTION_ROM_H
#define FRONTEND_OPTION_ROM_H

#ifdef __ASSEMBLER__

/* At the end of the initialisation's first instructions, which may go on behind it. boot: the
 * entry to boot from; 0: there is none. The ROM has its strings at maker and product. */
        .macro option_rom_header rom, boot=0
        .org \rom + 0x1a
        .word pnp - \rom

        .org \rom + 0x20
pnp:
        .ascii "$PnP"
        .byte 1, 2                      /* revision, size in 16 bytes */
        .word 0                         /* no other header */
        .byte 0, 0                      /* the checksum is not looked at */
        .long 0                         /* device */
        .word maker - \rom
        .word product - \rom
        .byte 0, 0, 0, 0                /* type, indicators */
        .word 0, 0                      /* connection and disconnection vectors */
        .word \boot                     /* bootstrap entry vector */
        .word 0, 0
        .endm

#else

#include <stddef.h>
#include <stdint.h>

/* Makes the sum of the ROM's size bytes 0 by its last one. */
static inline void option_rom_seal(uint8_t *rom, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size - 1; i++)
        sum += rom[i];
    rom[size - 1] = (uint8_t)-sum;
}

#endif

#endif
