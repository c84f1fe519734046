/* A trace as text: see print.h. */
#include "tracefile/print.h"

#include <inttypes.h>

#include "tracefile/kinds.h"

static int print_value(char *text, size_t size, const struct kind_value *value,
                       const struct reader_event *event, unsigned v)
{
    switch (value->type) {
    case TYPE_HEX: return snprintf(text, size, " %s=%#" PRIx64, value->name, event->value[v]);
    case TYPE_DEC: return snprintf(text, size, " %s=%" PRIu64, value->name, event->value[v]);
    default: return snprintf(text, size, " %s=%s", value->name, event->word[v]);
    }
}

void print_values(char *text, size_t size, const struct reader_event *event)
{
    const struct kind_value *value = kinds[event->kind].value;
    size_t at = 0;

    *text = 0;
    for (unsigned v = 0; v < EVENT_VALUES && value[v].type && at < size; v++)
        at += (size_t)print_value(text + at, size - at, &value[v], event, v);
}

void print_text(FILE *out, struct reader *reader, const struct filter *filter)
{
    struct reader_event event;
    char values[1024];

    while (!ferror(out) && reader_next(reader, &event)) {
        if (!filter_wants(filter, &event))
            continue;
        print_values(values, sizeof(values), &event);
        fprintf(out, "%5" PRIu64 ".%09" PRIu64 " %-7s %08" PRIx32 " %-17s%s\n",
                event.ns / 1000000000, event.ns % 1000000000, kind_modes[event.mode], event.eip,
                kinds[event.kind].name, values);
    }
}

struct summary {
    uint64_t count[EVENT_COUNT], total, first_ns, last_ns;
};

static void count(struct summary *s, struct reader *reader, const struct filter *filter)
{
    struct reader_event event;

    while (reader_next(reader, &event)) {
        if (!filter_wants(filter, &event))
            continue;
        if (!s->total++)
            s->first_ns = event.ns;
        s->last_ns = event.ns;
        s->count[event.kind]++;
    }
}

void print_summary(FILE *out, struct reader *reader, const struct filter *filter)
{
    struct summary s = { 0 };

    count(&s, reader, filter);
    fprintf(out, "%" PRIu64 " events from %.6f s to %.6f s of guest time\n", s.total,
            (double)s.first_ns / 1e9, (double)s.last_ns / 1e9);
    for (unsigned i = 0; i < EVENT_COUNT; i++)
        if (s.count[i])
            fprintf(out, "  %-18s%12" PRIu64 "  %-10s%s\n", kinds[i].name, s.count[i],
                    kind_groups[kinds[i].group], kinds[i].help);
}

void print_kinds(FILE *out)
{
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        fprintf(out, "  %-18s%-10s%s\n", kinds[i].name, kind_groups[kinds[i].group],
                kinds[i].help);
        for (unsigned v = 0; v < EVENT_VALUES && kinds[i].value[v].type; v++)
            fprintf(out, "%s%s", v ? ", " : "                              values: ",
                    kinds[i].value[v].name);
        fputs(kinds[i].value[0].type ? "\n" : "", out);
    }
    fputs("Modes:", out);
    for (unsigned i = 0; i < EVENT_MODES; i++)
        fprintf(out, " %s", kind_modes[i]);
    fputs("\n", out);
}
