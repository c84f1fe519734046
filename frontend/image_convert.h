/* novt image convert. */
#ifndef FRONTEND_IMAGE_CONVERT_H
#define FRONTEND_IMAGE_CONVERT_H

#include <stdbool.h>

#include "block/disk.h"

struct error;

struct convert {
    const char *from, *to;
    enum disk_format from_format, to_format;
    struct disk_layout layout; /* of the new one; its size is the old one's */
    bool compress, progress, unlocked;
};

/* 0, or -1 with *error. What reads as zeros takes no space in the new image. */
int image_convert(const struct convert *convert, struct error *error);

#endif
