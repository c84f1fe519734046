/*
 * novt explain --html: explain_page.html with the data in it, as JSON. What the rows of "insns" and
 * "functions" hold is said in the page.
 *
 * A browser has to hold all of it: of a program that has too many instructions the page has the
 * sensitive ones alone, and counts by function.
 */
#include "frontend/explain_html.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/error.h"
#include "frontend/explain_disasm.h"
#include "frontend/explain_summary.h"
#include "frontend/explain_words.h"

#define ROWS_MAX 40000
#define HOST_TEXT 4096

extern const char explain_page[], explain_page_end[];

struct explain_html {
    const char *path, *title;
    bool window;
    FILE *file;
    struct explain_disasm *disasm;
    json_t *all, *sensitive; /* rows; all is given up when there are too many */
    bool cut;
    json_t *whys, *why_numbers; /* sentences, and the number of each */
};

/* --- Life ----------------------------------------------------------------------------------- */

static int cannot(const char *path, int err, struct error *error)
{
    return error_set(error, EX_CANTCREAT, "explain --html: '%s': cannot write: %s; name another "
                     "file", path, strerror(err));
}

struct explain_html *explain_html_create(const char *path, const char *title, bool window,
                                         struct error *error)
{
    struct explain_html *html = calloc(1, sizeof(*html));

    if (!html || !(html->disasm = explain_disasm_create())) {
        error_set(error, EX_OSERR, "explain: no host memory; free some");
        free(html);
        return NULL;
    }
    html->path = path;
    html->title = title;
    html->window = window;
    html->all = json_array();
    html->sensitive = json_array();
    html->whys = json_array();
    html->why_numbers = json_object();
    html->file = fopen(path, "we");
    if (html->file)
        return html;
    cannot(path, errno, error);
    explain_html_destroy(html);
    return NULL;
}

void explain_html_destroy(struct explain_html *html)
{
    if (!html)
        return;
    explain_disasm_destroy(html->disasm);
    json_decref(html->all);
    json_decref(html->sensitive);
    json_decref(html->whys);
    json_decref(html->why_numbers);
    if (html->file)
        fclose(html->file);
    free(html);
}

/* --- Rows ----------------------------------------------------------------------------------- */

static json_t *hex_of(const struct insn *in)
{
    char text[2 * INSN_MAX + 1];

    for (unsigned i = 0; i < in->len; i++)
        sprintf(text + 2 * i, "%02x", in->bytes[i]);
    return json_string(text);
}

/* Lines of the bytes from at on. */
static json_t *host_text(struct explain_html *html, const struct listing_unit *unit,
                         const uint8_t *at, size_t size)
{
    struct explain_host host = { unit->insn[0].host, unit->tail + unit->tail_len, at, size };
    char text[HOST_TEXT] = "", line[EXPLAIN_TEXT];
    size_t used = 0;
    uint32_t offset;

    while (used + EXPLAIN_TEXT + 16 < sizeof(text) &&
           explain_disasm_host(html->disasm, &host, &offset, line))
        used += (size_t)sprintf(text + used, "%s%4x  %s", used ? "\n" : "", offset, line);
    return json_string(text);
}

/* Few sentences are about all instructions. */
static json_t *why_number(struct explain_html *html, const struct listing_insn *insn)
{
    char why[1024];
    json_t *number;

    explain_why(insn, html->window, why, sizeof(why));
    number = json_object_get(html->why_numbers, why);
    if (!number) {
        number = json_integer((json_int_t)json_array_size(html->whys));
        json_array_append_new(html->whys, json_string(why));
        json_object_set_new(html->why_numbers, why, number);
    }
    return json_incref(number);
}

static json_t *row_of(struct explain_html *html, const struct listing_unit *unit,
                      const struct listing_insn *insn, size_t function)
{
    char text[EXPLAIN_TEXT];
    json_t *row = json_array();

    explain_disasm_guest(html->disasm, &insn->in, insn->eip, text);
    json_array_append_new(row, json_integer(insn->eip));
    json_array_append_new(row, hex_of(&insn->in));
    json_array_append_new(row, json_string(text));
    json_array_append_new(row, json_integer(insn->class));
    json_array_append_new(row, json_integer(insn->host_len));
    json_array_append_new(row, host_text(html, unit, insn->host, insn->host_len));
    json_array_append_new(row, why_number(html, insn));
    json_array_append_new(row, json_integer((json_int_t)function));
    json_array_append_new(row, json_integer(!!(insn->in.info->attr & A_SENSITIVE)));
    return row;
}

/* The function, which ends the summary's list or is shortly before. */
static size_t function_of(const struct explain_summary *s, uint32_t eip)
{
    size_t i = s->functions;

    while (i && s->function[i - 1].start > eip)
        i--;
    return i ? i - 1 : 0;
}

void explain_html_unit(struct explain_html *html, const struct listing_unit *unit,
                       const struct explain_summary *summary)
{
    for (unsigned i = 0; i < unit->count; i++) {
        const struct listing_insn *insn = &unit->insn[i];
        bool sensitive = insn->in.info->attr & A_SENSITIVE &&
                         json_array_size(html->sensitive) < ROWS_MAX;
        json_t *row;

        if (html->cut && !sensitive)
            continue;
        row = row_of(html, unit, insn, function_of(summary, insn->eip));
        if (sensitive)
            json_array_append(html->sensitive, row);
        if (!html->cut)
            json_array_append(html->all, row);
        json_decref(row);
    }
    if (!html->cut && json_array_size(html->all) > ROWS_MAX) {
        html->cut = true;
        json_array_clear(html->all);
    }
}

/* --- The page ------------------------------------------------------------------------------- */

static json_t *counts_of(const uint64_t counts[LISTING_CLASSES])
{
    json_t *array = json_array();

    for (unsigned i = 0; i < LISTING_CLASSES; i++)
        json_array_append_new(array, json_integer((json_int_t)counts[i]));
    return array;
}

static json_t *functions_of(const struct explain_summary *s)
{
    json_t *functions = json_array();

    for (size_t i = 0; i < s->functions; i++) {
        const struct explain_function *f = &s->function[i];
        json_t *row = json_pack("[s, I, I, I, I]", f->name, (json_int_t)f->start,
                                (json_int_t)f->counts.bytes_guest,
                                (json_int_t)f->counts.bytes_host, (json_int_t)f->counts.sensitive);
        json_t *counts = counts_of(f->counts.classes);

        if (!row) /* the name is no UTF-8 */
            row = json_pack("[s, I, I, I, I]", "?", (json_int_t)f->start,
                            (json_int_t)f->counts.bytes_guest, (json_int_t)f->counts.bytes_host,
                            (json_int_t)f->counts.sensitive);
        json_array_extend(row, counts);
        json_decref(counts);
        json_array_append_new(functions, row);
    }
    return functions;
}

static json_t *classes_of(void)
{
    json_t *classes = json_array();

    for (unsigned i = 0; i < LISTING_CLASSES; i++)
        json_array_append_new(classes, json_string(explain_class(i)));
    return classes;
}

static json_t *data_of(const struct explain_html *html, const struct explain_summary *s)
{
    json_t *data = json_object();
    json_t *title = json_string(html->title);

    json_object_set_new(data, "title", title ? title : json_string("a program"));
    json_object_set_new(data, "classes", classes_of());
    json_object_set_new(data, "counts", counts_of(s->total.classes));
    json_object_set_new(data, "guest", json_integer((json_int_t)s->total.bytes_guest));
    json_object_set_new(data, "host", json_integer((json_int_t)s->total.bytes_host));
    json_object_set_new(data, "sensitive", json_integer((json_int_t)s->total.sensitive));
    json_object_set_new(data, "functions", functions_of(s));
    json_object_set(data, "insns", html->cut ? html->sensitive : html->all);
    json_object_set(data, "whys", html->whys);
    if (html->cut)
        json_object_set_new(data, "cut", json_string(
            "These are the sensitive ones alone: with all others the page would be too large. "
            "novt explain --function NAME or --range A-B makes one of a part."));
    return data;
}

int explain_html_write(struct explain_html *html, const struct explain_summary *summary,
                       struct error *error)
{
    static const char mark[] = "@DATA@";
    size_t size = (size_t)(explain_page_end - explain_page);
    const char *place = memmem(explain_page, size, mark, sizeof(mark) - 1);
    const char *rest = place + sizeof(mark) - 1;
    json_t *data = data_of(html, summary);
    FILE *file = html->file;
    int err = 0;

    html->file = NULL;
    errno = EIO;
    if (fwrite(explain_page, 1, (size_t)(place - explain_page), file) == 0 ||
        json_dumpf(data, file, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ESCAPE_SLASH) ||
        fwrite(rest, 1, (size_t)(explain_page_end - rest), file) == 0)
        err = errno;
    if (fclose(file) && !err)
        err = errno;
    json_decref(data);
    return err ? cannot(html->path, err, error) : 0;
}
