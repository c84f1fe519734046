/* The firmware's file; the VGA has its own (screen.c). */
#ifndef FRONTEND_FIRMWARE_H
#define FRONTEND_FIRMWARE_H

#include <stdbool.h>

struct error;
struct image;

/* SeaBIOS's file, and whether it is there. */
const char *firmware_name(void);
bool firmware_is_installed(void);

/* Reads path, or SeaBIOS where it is installed when path is NULL. 0, or -1 with *error. */
int firmware_read(struct image *bios, const char *path, struct error *error);

#endif
