/* novt trace: the command line; what it does is tracefile/'s. */
#include "frontend/trace_tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"
#include "tracefile/chrome.h"
#include "tracefile/filter.h"
#include "tracefile/print.h"
#include "tracefile/reader.h"
#include "tracefile/timeline.h"

static const char usage[] =
    "novt trace FILE                        how many events there are of each kind\n"
    "novt trace FILE --text                 a line for each: seconds of guest time, the guest's\n"
    "                                       mode, eip, the event and its values\n"
    "novt trace FILE --timeline OUT.html    a page with a timeline to zoom into\n"
    "novt trace FILE --chrome [OUT.json]    for chrome://tracing, Perfetto and the like\n"
    "  --filter WORD[,WORD...]              only some: names of events and groups (!NAME: not\n"
    "                                       those), mode=MODE, time=A-B in seconds, eip=A-B, and\n"
    "                                       values of events, vector=14 or port=0x3f8-0x3ff\n"
    "\n"
    "FILE is what novt run -trace FILE has written, as far as it has got. OUT may be - for\n"
    "standard output. Events, in brackets what -stats calls them, and their groups:\n";

enum show { SHOW_SUMMARY, SHOW_TEXT, SHOW_TIMELINE, SHOW_CHROME, SHOW_HELP };

struct request {
    enum show show;
    const char *path, *out; /* out NULL: standard output */
    struct filter *filter;
};

/* --- The command line -------------------------------------------------------------------- */

static int show(struct request *r, enum show what, struct error *error)
{
    if (r->show && r->show != what)
        return error_set(error, EX_USAGE, "trace: --text, --timeline or --chrome, one of them");
    r->show = what;
    return 0;
}

static int take_value(struct request *r, const char *option, const char *value,
                      struct error *error)
{
    char why[256];

    if (!value)
        return error_set(error, EX_USAGE, "trace %s: needs a value; see novt trace --help", option);
    if (!strcmp(option, "--timeline")) {
        r->out = value;
        return show(r, SHOW_TIMELINE, error);
    }
    if (filter_add(&r->filter, value, why, sizeof(why)))
        return error_set(error, EX_USAGE, "trace --filter: %s", why);
    return 0;
}

static int take_word(struct request *r, const char *word, struct error *error)
{
    if (!strcmp(word, "--text"))
        return show(r, SHOW_TEXT, error);
    if (!strcmp(word, "--chrome"))
        return show(r, SHOW_CHROME, error);
    if (*word == '-' && word[1])
        return error_set(error, EX_USAGE, "trace %s: unknown; see novt trace --help", word);
    if (!r->path)
        r->path = word;
    else if (!r->out)
        r->out = word;
    else
        return error_set(error, EX_USAGE, "trace %s: too many words; see novt trace --help", word);
    return 0;
}

static int parse(struct request *r, int argc, char **argv, struct error *error)
{
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            r->show = SHOW_HELP;
            return 0;
        }
        if (!strcmp(argv[i], "--timeline") || !strcmp(argv[i], "--filter")) {
            if (take_value(r, argv[i], i + 1 < argc ? argv[i + 1] : NULL, error))
                return -1;
            i++;
        } else if (take_word(r, argv[i], error)) {
            return -1;
        }
    }
    if (!r->path)
        return error_set(error, EX_USAGE, "trace: which file? One of novt run -trace FILE");
    if (r->out && r->show != SHOW_TIMELINE && r->show != SHOW_CHROME)
        return error_set(error, EX_USAGE, "trace %s: only --timeline and --chrome write files",
                         r->out);
    return 0;
}

/* --- Showing ------------------------------------------------------------------------------ */

static int show_events(FILE *out, struct reader *reader, const struct request *r,
                       struct error *error)
{
    char why[256] = "no host memory; free some";
    int err = 0;

    switch (r->show) {
    case SHOW_TEXT: print_text(out, reader, r->filter); break;
    case SHOW_TIMELINE:
        err = timeline_write(out, reader, r->filter, r->path, why, sizeof(why));
        break;
    case SHOW_CHROME: err = chrome_write(out, reader, r->filter); break;
    default: print_summary(out, reader, r->filter); break;
    }
    return err ? error_set(error, EX_DATAERR, "trace: %s", why) : 0;
}

/* The trace must not be what is written, under whatever name. */
static bool is_same(FILE *in, const char *path)
{
    struct stat a, b;

    return !fstat(fileno(in), &a) && !stat(path, &b) && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int write_file(FILE *in, struct reader *reader, const struct request *r,
                      struct error *error)
{
    FILE *out = is_same(in, r->out) ? errno = EEXIST, NULL : fopen(r->out, "we");
    int err;

    if (!out)
        return error_set(error, EX_CANTCREAT,
                         "trace: cannot write '%s': %s; name a file that can be written", r->out,
                         strerror(errno));
    err = show_events(out, reader, r, error);
    if (ferror(out) | fclose(out))
        err = error_set(error, EX_IOERR, "trace: cannot write to '%s': %s; free some space", r->out,
                        strerror(errno));
    return err;
}

/* What came before has been shown. */
static int tell_end(const struct reader *reader, const struct request *r, struct error *error)
{
    uint64_t offset;
    enum reader_end end = reader_end(reader, &offset);

    if (end == READER_CUT)
        fprintf(stderr, "novt: note: the trace has no end: novt still runs or was killed, or the "
                        "file was cut off, at byte %llu\n", (unsigned long long)offset);
    if (end == READER_DAMAGED)
        return error_set(error, EX_DATAERR, "trace '%s': damaged at byte %llu; what is before it "
                         "has been read", r->path, (unsigned long long)offset);
    return 0;
}

static void show_file(FILE *in, const struct request *r, struct error *error)
{
    const char *why;
    struct reader *reader = reader_open(in, &why);
    int err;

    if (!reader) {
        error_set(error, EX_DATAERR, "trace '%s': %s", r->path, why);
        return;
    }
    if (r->out && strcmp(r->out, "-"))
        err = write_file(in, reader, r, error);
    else
        err = show_events(stdout, reader, r, error);
    if (!err && !ferror(stdout))
        tell_end(reader, r, error);
    reader_close(reader);
}

int trace_tool(int argc, char **argv)
{
    struct request r = { 0 };
    struct error error = { 0 };
    FILE *in;

    if (!parse(&r, argc, argv, &error) && r.show == SHOW_HELP) {
        fputs(usage, stdout);
        print_kinds(stdout);
    } else if (!error.status) {
        in = fopen(r.path, "re");
        if (!in)
            error_set(&error, EX_NOINPUT, "trace: cannot open '%s': %s", r.path, strerror(errno));
        else
            show_file(in, &r, &error);
        if (in)
            fclose(in);
    }
    if (error.status)
        error_print(stderr, &error);
    filter_destroy(r.filter);
    return error.status;
}
