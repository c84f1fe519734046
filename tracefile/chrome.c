/*
 * The trace event format: see chrome.h. Each event is an object of its own, made and written by
 * jansson; the array around them is written here, since it need not fit into memory.
 */
#include "tracefile/chrome.h"

#include <inttypes.h>
#include <jansson.h>

#include "tracefile/kinds.h"

enum { PID = 1, ROW_MODE = 1, ROW_DIRECT, ROW_ASLEEP, ROW_GROUPS };

struct span {
    const char *name; /* NULL: it has not begun */
    uint64_t since;
};

struct chrome {
    FILE *out;
    bool any, failed;
    struct span mode, direct, asleep;
};

static void put(struct chrome *c, json_t *object)
{
    if (!object) {
        c->failed = true;
        return;
    }
    fputs(c->any ? ",\n" : "", c->out);
    c->any = true;
    json_dumpf(object, c->out, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(object);
}

static double microseconds(uint64_t ns)
{
    return (double)ns / 1000;
}

static void put_row(struct chrome *c, int row, const char *name)
{
    put(c, json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "name", "thread_name", "ph", "M", "pid", PID,
                     "tid", row, "args", "name", name));
}

/* --- What lasts ------------------------------------------------------------------------ */

static void begin(struct span *span, const char *name, uint64_t ns)
{
    *span = (struct span){ name, ns };
}

static void end(struct chrome *c, struct span *span, int row, uint64_t ns)
{
    if (span->name)
        put(c, json_pack("{s:s, s:s, s:f, s:f, s:i, s:i}", "name", span->name, "ph", "X", "ts",
                         microseconds(span->since), "dur", microseconds(ns - span->since), "pid",
                         PID, "tid", row));
    span->name = NULL;
}

static void put_spans(struct chrome *c, const struct reader_event *event)
{
    const char *mode = kind_modes[event->mode];

    if (c->mode.name != mode) {
        end(c, &c->mode, ROW_MODE, event->ns);
        begin(&c->mode, mode, event->ns);
    }
    switch (event->kind) {
    case EVENT_direct_enter: begin(&c->direct, "direct", event->ns); break;
    case EVENT_direct_leave: end(c, &c->direct, ROW_DIRECT, event->ns); break;
    case EVENT_halt: begin(&c->asleep, "asleep", event->ns); break;
    case EVENT_wake: end(c, &c->asleep, ROW_ASLEEP, event->ns); break;
    default: break;
    }
}

/* --- What happens ---------------------------------------------------------------------- */

static json_t *number(const char *format, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), format, value);
    return json_string(text);
}

static json_t *value_of(const struct reader_event *event, unsigned v, enum kind_type type)
{
    switch (type) {
    case TYPE_HEX: return number("%#" PRIx64, event->value[v]);
    case TYPE_DEC: return json_integer((json_int_t)event->value[v]);
    default: return json_string(event->word[v]);
    }
}

static void put_instant(struct chrome *c, const struct reader_event *event)
{
    const struct kind *kind = &kinds[event->kind];
    json_t *args = json_object();

    json_object_set_new(args, "eip", number("%#" PRIx64, event->eip));
    for (unsigned v = 0; v < EVENT_VALUES && kind->value[v].type; v++)
        json_object_set_new(args, kind->value[v].name, value_of(event, v, kind->value[v].type));
    put(c, json_pack("{s:s, s:s, s:s, s:s, s:f, s:i, s:i, s:o}", "name", kind->name, "cat",
                     kind_groups[kind->group], "ph", "i", "s", "t", "ts",
                     microseconds(event->ns), "pid", PID, "tid", ROW_GROUPS + (int)kind->group,
                     "args", args));
}

/* --- All of it ------------------------------------------------------------------------- */

static void put_rows(struct chrome *c)
{
    put(c, json_pack("{s:s, s:s, s:i, s:{s:s}}", "name", "process_name", "ph", "M", "pid", PID,
                     "args", "name", "the guest"));
    put_row(c, ROW_MODE, "mode");
    put_row(c, ROW_DIRECT, "on the bare CPU");
    put_row(c, ROW_ASLEEP, "asleep in HLT");
    for (int group = 0; group < GROUP_COUNT; group++)
        put_row(c, ROW_GROUPS + group, kind_groups[group]);
}

int chrome_write(FILE *out, struct reader *reader, const struct filter *filter)
{
    struct chrome c = { .out = out };
    struct reader_event event;
    uint64_t last = 0;

    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", out);
    put_rows(&c);
    while (!c.failed && !ferror(out) && reader_next(reader, &event)) {
        if (!filter_wants(filter, &event))
            continue;
        last = event.ns;
        put_spans(&c, &event);
        put_instant(&c, &event);
    }
    end(&c, &c.mode, ROW_MODE, last);
    end(&c, &c.direct, ROW_DIRECT, last);
    end(&c, &c.asleep, ROW_ASLEEP, last);
    fputs("\n]}\n", out);
    return c.failed ? -1 : 0;
}
