/*
 * Reading a trace, event after event; where the guest's mode is another one than before, with an
 * event that says so. What cannot be read any more, because novt was killed or the
 * file was cut off or damaged, ends it; what was before is read all the same.
 */
#ifndef TRACEFILE_READER_H
#define TRACEFILE_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/events.h"

struct reader;

struct reader_event {
    uint64_t ns; /* guest time */
    uint64_t value[EVENT_VALUES];
    const char *word[EVENT_VALUES]; /* of a WORD, the reader's; "" for none. NULL: no WORD */
    uint32_t eip;
    uint8_t kind, mode;
};

enum reader_end {
    READER_WHOLE,
    READER_CUT,     /* no end: novt still runs or was killed, or the file was cut off */
    READER_DAMAGED, /* something in the file is not what was written */
};

/* The file's headers are looked at; it stays the caller's, and must be one that can be rewound.
 * NULL, with what is wrong with it. */
struct reader *reader_open(FILE *file, const char **why);
void reader_close(struct reader *reader);

/* The next event. False: there are no more, reader_end() says why. */
bool reader_next(struct reader *reader, struct reader_event *event);

/* Valid when reader_next() has returned false; *offset: in the file, where it ended. */
enum reader_end reader_end(const struct reader *reader, uint64_t *offset);

/* From the first event again. */
void reader_rewind(struct reader *reader);

#endif
