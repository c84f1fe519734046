/* PNG files by libpng: 8 bits for red, green and blue. */
#include "display/picture_png.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>

#include "devices/display.h"

static void give_up(png_structp png, png_const_charp text)
{
    (void)text;
    longjmp(png_jmpbuf(png), 1);
}

static void no_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void write_row(png_structp png, const uint32_t *pixel, unsigned width, uint8_t *row)
{
    for (unsigned x = 0; x < width; x++) {
        row[3 * x] = (uint8_t)(pixel[x] >> 16);
        row[3 * x + 1] = (uint8_t)(pixel[x] >> 8);
        row[3 * x + 2] = (uint8_t)pixel[x];
    }
    png_write_row(png, row);
}

/* row: the caller's, since a longjmp may leave here. */
static int write_all(png_structp png, png_infop info, FILE *file, uint8_t *row,
                     const struct display_picture *p)
{
    if (setjmp(png_jmpbuf(png)))
        return errno ? -errno : -EIO;
    png_init_io(png, file);
    png_set_IHDR(png, info, p->width, p->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 3);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE); /* screens are not photographs */
    png_write_info(png, info);
    for (unsigned y = 0; y < p->height; y++)
        write_row(png, p->pixels + (size_t)y * p->stride, p->width, row);
    png_write_end(png, info);
    return fflush(file) ? -errno : 0;
}

int picture_png_write(FILE *file, const struct display_picture *picture)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, give_up, no_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    uint8_t *row = malloc((size_t)picture->width * 3 + 1);
    int err = -ENOMEM;

    errno = 0;
    if (info && row)
        err = write_all(png, info, file, row, picture);
    png_destroy_write_struct(png ? &png : NULL, info ? &info : NULL);
    free(row);
    return err;
}
