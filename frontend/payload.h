/* The kernel inside a Linux bzImage: what the boot protocol calls its payload. */
#ifndef FRONTEND_PAYLOAD_H
#define FRONTEND_PAYLOAD_H

struct error;
struct image;

/* Replaces a bzImage by the ELF file that is packed in it (gzip, xz, lzma or zstd). 0, or -1 with
 * *error: it has none, or the data are damaged, or the library that unpacks them is missing. */
int payload_unpack(struct image *image, const char *path, struct error *error);

#endif
