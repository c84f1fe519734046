/* The firmware's files: the BIOS and the VGA's own. */
#ifndef FRONTEND_FIRMWARE_H
#define FRONTEND_FIRMWARE_H

#include "frontend/image.h"

struct error;

struct firmware {
    struct image bios, vga;
};

/* Reads path, or SeaBIOS where it is installed when path is NULL, and the VGA BIOS. 0, or -1 with
 * *error; firmware_free() is due in both cases. */
int firmware_read(struct firmware *firmware, const char *path, struct error *error);
void firmware_free(struct firmware *firmware);

#endif
