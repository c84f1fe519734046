/* A program's code and its translation: see explain_code.h. */
#include "frontend/explain_code.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "frontend/elf_code.h"
#include "frontend/error.h"
#include "frontend/explain_html.h"
#include "frontend/explain_names.h"
#include "frontend/explain_print.h"
#include "frontend/explain_summary.h"
#include "frontend/symbols.h"

#define FORM LISTING_KERNEL_WINDOW
#define LISTED_MAX (4u << 20) /* bytes of code: nobody reads more */

struct work {
    struct listing *listing;
    const struct explain_request *request;
    struct elf_code *code;
    struct symbols *names;
    uint32_t start, end;
    struct explain_summary *summary;
    struct explain_out *out;   /* NULL: the summary alone */
    struct explain_html *html; /* NULL: none */
};

/* --- Which addresses ------------------------------------------------------------------------- */

static int parse_range(struct work *w, struct error *error)
{
    unsigned long long start, end = 0;
    char *rest;

    errno = 0;
    start = strtoull(w->request->range, &rest, 16);
    if (*rest == '-')
        end = strtoull(rest + 1, &rest, 16);
    if (errno || *rest || start >= end || end > UINT32_MAX)
        return error_set(error, EX_USAGE, "explain --range %s: two addresses in hexadecimal, the "
                         "lower one first: --range C0100000-C0100080", w->request->range);
    w->start = (uint32_t)start;
    w->end = (uint32_t)end;
    return 0;
}

static int find_function(struct work *w, struct error *error)
{
    uint64_t start, end;

    if (!symbols_count(w->names))
        return error_set(error, EX_USAGE, "explain --function %s: '%s' has no symbols; name a file "
                         "that has them with --symbols", w->request->function, w->request->path);
    if (!symbols_range(w->names, w->request->function, &start, &end) || end > UINT32_MAX)
        return error_set(error, EX_USAGE, "explain --function %s: '%s' has none of that name; nm "
                         "or System.map lists them", w->request->function, w->request->path);
    w->start = (uint32_t)start;
    w->end = (uint32_t)end;
    return 0;
}

static int choose(struct work *w, struct error *error)
{
    w->start = 0;
    w->end = UINT32_MAX;
    if (w->request->function && find_function(w, error))
        return -1;
    return w->request->range ? parse_range(w, error) : 0;
}

/* --- Listing ----------------------------------------------------------------------------- */

static void list_unit(struct work *w, const struct listing_unit *unit)
{
    explain_summary_unit(w->summary, unit);
    if (w->out)
        explain_unit(w->out, unit);
    if (w->html)
        explain_html_unit(w->html, unit, w->summary);
}

static void list_piece(struct work *w, struct code_piece piece)
{
    struct listing_unit unit;

    while (piece.start < piece.end) {
        uint32_t left = piece.end - piece.start, taken = 1;

        if (listing_unit(w->listing, FORM, piece.start, piece.bytes, left, &unit)) {
            const struct listing_insn *last = &unit.insn[unit.count - 1];

            list_unit(w, &unit);
            taken = last->eip + last->in.len - piece.start;
        } else {
            if (w->out)
                fprintf(explain_out_file(w->out), "%8x  %02x  (no instruction)\n", piece.start,
                        *piece.bytes);
            explain_summary_undecoded(w->summary);
        }
        piece.start += taken;
        piece.bytes += taken;
    }
}

/* How much code that is. */
static uint64_t measure(const struct work *w)
{
    struct code_piece piece;
    unsigned place = 0;
    uint64_t size = 0;

    while (elf_code_next(w->code, &place, w->start, w->end, &piece))
        size += piece.end - piece.start;
    return size;
}

static int list_all(struct work *w, struct error *error)
{
    struct code_piece piece;
    unsigned place = 0;

    while (elf_code_next(w->code, &place, w->start, w->end, &piece))
        list_piece(w, piece);
    return w->html ? explain_html_write(w->html, w->summary, error) : 0;
}

static int prepare(struct work *w, struct error *error)
{
    uint64_t size;

    w->names = explain_names(elf_code_image(w->code), w->request->symbols, error);
    if (!w->names || choose(w, error))
        return -1;
    size = measure(w);
    if (!size)
        return error_set(error, EX_DATAERR, "explain: '%s' has no code %s; see readelf -S",
                         w->request->path,
                         w->request->range || w->request->function ? "there" : "in sections");
    w->summary = explain_summary_create(w->names);
    if (!w->summary)
        return error_set(error, EX_OSERR, "explain: no host memory; free some");
    if (w->request->html) {
        w->html = explain_html_create(w->request->html, w->request->path,
                                      FORM == LISTING_KERNEL_WINDOW, error);
        if (!w->html)
            return -1;
    }
    if (w->html || (size > LISTED_MAX && !w->request->range))
        w->out = NULL;
    return 0;
}

int explain_code(struct explain_out *o, struct listing *listing,
                 const struct explain_request *request, struct error *error)
{
    struct work w = { .listing = listing, .request = request, .out = o };
    int err = -1;

    w.code = elf_code_open(request->path, request->packed, error);
    if (w.code)
        err = prepare(&w, error);
    if (!err)
        err = list_all(&w, error);
    if (!err)
        explain_summary_print(w.summary, o);
    explain_html_destroy(w.html);
    explain_summary_destroy(w.summary);
    symbols_free(w.names);
    if (w.code)
        elf_code_close(w.code);
    return err;
}
