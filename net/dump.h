/*
 * A cable's frames in a file, for tcpdump and Wireshark: the classic format with microseconds.
 * Reference: draft-ietf-opsawg-pcap.
 *
 * The file may be a FIFO with its reader there. Who reads too slowly gets whole frames, but not all
 * of them; a cable waits for nobody.
 */
#ifndef NET_DUMP_H
#define NET_DUMP_H

#include <stddef.h>
#include <stdint.h>

struct dump;

enum { DUMP_LENGTH_MAX = 65550 };

/* Makes the file, or empties it. Of each frame it gets the first length bytes, 1 to
 * DUMP_LENGTH_MAX. 0 or -errno. */
int dump_create(struct dump **dump, const char *path, uint32_t length);
/* The frame as it is now, with the host's time of day; one call at a time. */
void dump_frame(struct dump *dump, const uint8_t *frame, size_t size);

struct dump_stats {
    uint64_t frames; /* in the file */
    uint64_t missed;
    int err;         /* errno of what ended it; 0: nothing did */
};

/* Without the lock of dump_frame() the numbers are of about now. */
struct dump_stats dump_stats(const struct dump *dump);
void dump_destroy(struct dump *dump);

#endif
