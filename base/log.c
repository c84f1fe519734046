/* Topics of the log, and where it goes. */
#include "base/log.h"

#include <stdarg.h>
#include <string.h>

struct log novt_log;

static const char *const names[] = {
#define LOG_TOPIC(name, text) #name,
#include "base/log.def"
};

void log_print(enum log_topic topic, const char *format, ...)
{
    va_list ap;

    if (!log_on(topic))
        return;
    va_start(ap, format);
    vfprintf(novt_log.out ? novt_log.out : stderr, format, ap);
    va_end(ap);
}

static unsigned topic_bits(const char *name, size_t len)
{
    if (len == 3 && !memcmp(name, "all", 3))
        return (1u << LOG_TOPIC_COUNT) - 1;
    for (unsigned i = 0; i < LOG_TOPIC_COUNT; i++)
        if (strlen(names[i]) == len && !memcmp(names[i], name, len))
            return 1u << i;
    return 0;
}

int log_enable(const char *list, const char **bad)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        unsigned bits = topic_bits(list, len);

        if (!bits) {
            *bad = list;
            return -1;
        }
        novt_log.topics |= bits;
        list += len + (list[len] == ',');
    }
    return 0;
}
