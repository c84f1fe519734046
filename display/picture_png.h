/* A picture as a PNG file. */
#ifndef DISPLAY_PICTURE_PNG_H
#define DISPLAY_PICTURE_PNG_H

#include <stdio.h>

struct display_picture;

/* Writes it all to the file, at its position. 0 or -errno. */
int picture_png_write(FILE *file, const struct display_picture *picture);

#endif
