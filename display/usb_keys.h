/* SDL's scan codes are USB's usage numbers: the keys of devices/keys.h they mean. */
#ifndef DISPLAY_USB_KEYS_H
#define DISPLAY_USB_KEYS_H

/* 0: none. */
unsigned usb_keys_find(unsigned usage);

#endif
