/* -rtc PROPERTY=VALUE[,...]: only base= means something here. */
#include "frontend/config_clock.h"

#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "frontend/error.h"

/* 2006-06-17T16:01:21, 2006-06-17; years that an MC146818 and its guests can tell. */
static bool date_of(const char *text, size_t size, int64_t *seconds)
{
    struct tm tm = { 0 }, normal;
    const char *end = strptime(text, "%Y-%m-%d", &tm);

    if (end && *end == 'T')
        end = strptime(end + 1, "%H:%M:%S", &tm);
    if (!end || end != text + size || tm.tm_year < 70 || tm.tm_year > 190)
        return false;
    normal = tm;
    *seconds = timegm(&normal);
    return normal.tm_mday == tm.tm_mday && normal.tm_sec == tm.tm_sec; /* no 31st of February */
}

static bool is(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && !memcmp(text, word, size);
}

static int take_base(struct config_clock *clock, const char *base, size_t size, struct error *error)
{
    *clock = (struct config_clock){ .local = is(base, size, "localtime") };
    if (clock->local || is(base, size, "utc"))
        return 0;
    clock->fixed = date_of(base, size, &clock->date);
    return clock->fixed ? 0 : error_set(error, EX_USAGE, "-rtc base=%.*s: no such time; "
                                        "write base=utc, base=localtime or "
                                        "base=2006-06-17T16:01:21", (int)size, base);
}

/* QEMU's clock= and driftfix=: time is the host's, and no tick is lost, whatever they say. */
static bool is_left_alone(const char *part)
{
    return !strncmp(part, "clock=", 6) || !strncmp(part, "driftfix=", 9);
}

int config_clock_take(struct config_clock *clock, const char *value, struct error *error)
{
    for (;;) {
        size_t size = strcspn(value, ",");

        if (!strncmp(value, "base=", 5)) {
            if (take_base(clock, value + 5, size - 5, error))
                return -1;
        } else if (!is_left_alone(value)) {
            return error_set(error, EX_USAGE, "-rtc %.*s: write base=utc, base=localtime or "
                             "base=2006-06-17T16:01:21", (int)size, value);
        }
        if (!value[size])
            return 0;
        value += size + 1;
    }
}

uint64_t config_clock_now(const struct config_clock *clock)
{
    time_t now = time(NULL);
    struct tm tm;

    if (clock->fixed)
        return (uint64_t)clock->date;
    tzset();
    if (clock->local && localtime_r(&now, &tm))
        return (uint64_t)(now + tm.tm_gmtoff);
    return (uint64_t)now;
}
