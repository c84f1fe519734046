/*
 * The -d topics. A topic that is off costs one test of one bit.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum log_topic {
#define LOG_TOPIC(name, text) LOG_##name,
#include "base/log.def"
    LOG_TOPIC_COUNT
};

struct log {
    unsigned topics; /* bit n: enum log_topic n is on */
    FILE *out;
    /* Prints len bytes of code that run at addr, in 16-, 32- or 64-bit mode; NULL: no
     * disassembler. */
    void (*disasm)(FILE *out, const uint8_t *code, size_t len, uint64_t addr, int bits);
    /* Writes the name of what the guest has at a linear address into text, "" where it has none;
     * NULL: there are no names. */
    void (*symbol)(void *arg, uint32_t gla, char *text, size_t size);
    void *symbol_arg;
};

/* The process's one log; written by frontend/main.c before anything runs. */
extern struct log novt_log;

static inline bool log_on(enum log_topic topic)
{
    return __builtin_expect(novt_log.topics >> topic & 1, 0);
}

/* Prints when the topic is on; a line ends with its own \n. */
void log_print(enum log_topic topic, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a comma-separated list of topic names ("int,mmu"; "all"); 0, or -1 with *bad at the name
 * that is none. */
int log_enable(const char *list, const char **bad);

#endif
