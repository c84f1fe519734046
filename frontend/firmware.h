/* The firmware's file; the VGA has its own (screen.c). */
#ifndef FRONTEND_FIRMWARE_H
#define FRONTEND_FIRMWARE_H

struct error;
struct image;

/* Reads path, or SeaBIOS where it is installed when path is NULL. 0, or -1 with *error. */
int firmware_read(struct image *bios, const char *path, struct error *error);

#endif
