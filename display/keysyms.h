/* X11's key symbols, as VNC sends them: the keys of devices/keys.h on a US keyboard. */
#ifndef DISPLAY_KEYSYMS_H
#define DISPLAY_KEYSYMS_H

#include <stdint.h>

/* 0: none. */
unsigned keysyms_find(uint32_t symbol);

#endif
