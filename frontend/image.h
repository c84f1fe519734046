/* Kernels, modules and RAM disks: files of the user's, read whole into host memory. */
#ifndef FRONTEND_IMAGE_H
#define FRONTEND_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct image {
    uint8_t *bytes;
    size_t size;
};

/*
 * Reads the file; what ("kernel", "initrd") is for messages. 0, or -1 with *error, also when it is
 * empty or has more than limit bytes (the guest's memory).
 */
int image_read(struct image *image, const char *path, const char *what, uint64_t limit,
               struct error *error);

/* The first bytes of a regular file, as many as there are up to size; 0 when it cannot be read. */
size_t image_head(const char *path, uint8_t *to, size_t size);

/* Replaces a gzip file by what is in it; other files stay as they are. */
int image_unzip(struct image *image, const char *path, const char *what, uint64_t limit,
                struct error *error);

void image_free(struct image *image);

/*
 * Whether files that are read from now on stay open, to be read again from there: at a reboot and
 * for symbols, when the monitor may open nothing any more. false closes them. At most 16 are kept.
 */
void image_keep(bool keep);

#endif
