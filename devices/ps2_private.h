/* What ps2.c shares with ps2_keyboard.c and ps2_mouse.c. */
#ifndef DEVICES_PS2_PRIVATE_H
#define DEVICES_PS2_PRIVATE_H

#include "devices/ps2.h"

#define PS2_ACK    0xfa
#define PS2_RESEND 0xfe

/* Full: the byte is lost, as in a device whose buffer is. */
void ps2_push(struct ps2_fifo *fifo, uint8_t value);

static inline void ps2_answer(struct ps2 *dev, uint8_t value)
{
    ps2_push(&dev->answers, value);
}

/* As after a reset or Set Defaults: scan codes, repetition, enabled. */
void ps2_keyboard_defaults(struct ps2 *dev);
/* Commands that only a keyboard knows; and the argument of any that has one. */
void ps2_keyboard_command(struct ps2 *dev, uint8_t value);
void ps2_keyboard_argument(struct ps2 *dev, uint8_t command, uint8_t value);

/* The same of a mouse. */
void ps2_mouse_defaults(struct ps2 *dev);
void ps2_mouse_command(struct ps2 *dev, uint8_t value);
void ps2_mouse_argument(struct ps2 *dev, uint8_t command, uint8_t value);
/* The queue has run empty: the next packet, if something is to be told. */
void ps2_mouse_stream(struct ps2 *dev);

#endif
