/* What enter_rom.S and the board agree on. */
#ifndef FRONTEND_ENTER_ROM_H
#define FRONTEND_ENTER_ROM_H

#define ENTER_ROM_SIZE 512
#define ENTER_ROM_PORT 0x51c

#endif
