/* Guest code and its translation side by side: see explain_print.h. */
#include "frontend/explain_print.h"

#include <stdarg.h>
#include <stdlib.h>

#include "frontend/explain_disasm.h"
#include "frontend/explain_words.h"

#define GUEST_WIDTH 46 /* columns */

struct explain_out {
    FILE *out;
    bool colours;
    struct explain_disasm *disasm;
};

struct explain_out *explain_out_create(FILE *out, bool colours)
{
    struct explain_out *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->out = out;
    o->colours = colours;
    o->disasm = explain_disasm_create();
    if (o->disasm)
        return o;
    free(o);
    return NULL;
}

void explain_out_destroy(struct explain_out *o)
{
    explain_disasm_destroy(o->disasm);
    free(o);
}

FILE *explain_out_file(struct explain_out *o)
{
    return o->out;
}

/* Until end_colour(). */
static void colour(struct explain_out *o, const char *sequence)
{
    if (o->colours)
        fputs(sequence, o->out);
}

static void end_colour(struct explain_out *o)
{
    colour(o, "\033[0m");
}

static void class_colour(struct explain_out *o, enum listing_class class)
{
    colour(o, explain_colour(explain_class(class)));
}

void explain_title(struct explain_out *o, const char *format, ...)
{
    va_list args;

    colour(o, "\033[1m");
    va_start(args, format);
    vfprintf(o->out, format, args);
    va_end(args);
    end_colour(o);
    fputc('\n', o->out);
}

void explain_print_class(struct explain_out *o, enum listing_class class, int width)
{
    class_colour(o, class);
    fprintf(o->out, "%-*s", width, explain_class(class));
    end_colour(o);
}

/* Returns how many columns it took. */
static int print_guest(struct explain_out *o, const struct listing_insn *insn)
{
    int columns = fprintf(o->out, "%8x  ", insn->eip);
    char text[EXPLAIN_TEXT];

    for (unsigned i = 0; i < 6; i++)
        columns += i < insn->in.len ? fprintf(o->out, "%02x", insn->in.bytes[i])
                                    : fprintf(o->out, "  ");
    columns += fprintf(o->out, "%s ", insn->in.len > 6 ? "+" : " ");
    explain_disasm_guest(o->disasm, &insn->in, insn->eip, text);
    class_colour(o, insn->class);
    columns += fprintf(o->out, "%s", text);
    end_colour(o);
    return columns;
}

/* The host's instructions, the first in the line that has columns already. */
static void print_column(struct explain_out *o, struct explain_host *host, int columns)
{
    char text[EXPLAIN_TEXT];
    uint32_t offset;

    while (explain_disasm_host(o->disasm, host, &offset, text)) {
        fprintf(o->out, "%*s| %4x  %s\n", columns < GUEST_WIDTH ? GUEST_WIDTH - columns : 1, "",
                offset, text);
        columns = 0;
    }
    if (columns)
        fputc('\n', o->out);
}

void explain_unit(struct explain_out *o, const struct listing_unit *unit)
{
    struct explain_host host = { .start = unit->insn[0].host, .end = unit->tail + unit->tail_len };

    for (unsigned i = 0; i < unit->count; i++) {
        const struct listing_insn *insn = &unit->insn[i];

        host.at = insn->host;
        host.left = insn->host_len;
        print_column(o, &host, print_guest(o, insn));
    }
    host.at = unit->tail;
    host.left = unit->tail_len;
    if (unit->tail_len)
        print_column(o, &host, fprintf(o->out, "%10sslow paths and exits", ""));
}
