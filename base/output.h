/* Files that novt writes for people: logs, traces, pictures. */
#ifndef BASE_OUTPUT_H
#define BASE_OUTPUT_H

#include <stdio.h>

/*
 * Makes the file, or empties it, to be written to; writing may block. Opening waits for nobody: a
 * FIFO that nobody reads is ENXIO. The descriptor, or -errno; the stream, or NULL with errno.
 */
int output_open(const char *path);
FILE *output_stream(const char *path);

/* What the user can do about the errno of these: words that end a sentence. */
const char *output_advice(int err);

#endif
