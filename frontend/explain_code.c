/* A program's code and its translation: see explain_code.h. */
#include "frontend/explain_code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/elf_code.h"
#include "frontend/error.h"
#include "frontend/explain_print.h"
#include "frontend/symbols.h"

#define SENSITIVE_SHOWN 64

struct summary {
    uint64_t classes[LISTING_CLASSES], bytes_guest, bytes_host, undecoded, sensitive;
    struct {
        uint32_t eip;
        const char *name;
    } found[SENSITIVE_SHOWN];
};

/* --- Which addresses ------------------------------------------------------------------------- */

static int parse_range(const char *text, uint32_t *first, uint32_t *behind, struct error *error)
{
    unsigned long long start, end = 0;
    char *rest;

    errno = 0;
    start = strtoull(text, &rest, 16);
    if (*rest == '-')
        end = strtoull(rest + 1, &rest, 16);
    if (errno || *rest || start >= end || end > UINT32_MAX)
        return error_set(error, EX_USAGE, "explain --range %s: two addresses in hexadecimal, the "
                         "lower one first: --range C0100000-C0100080", text);
    *first = (uint32_t)start;
    *behind = (uint32_t)end;
    return 0;
}

/* --- Listing ----------------------------------------------------------------------------- */

static void count_insn(struct summary *s, const struct listing_insn *insn)
{
    s->classes[insn->class]++;
    s->bytes_guest += insn->in.len;
    s->bytes_host += insn->host_len;
    if (!(insn->in.info->attr & A_SENSITIVE))
        return;
    if (s->sensitive < SENSITIVE_SHOWN) {
        s->found[s->sensitive].eip = insn->eip;
        s->found[s->sensitive].name = insn->in.info->mnemonic;
    }
    s->sensitive++;
}

static void list_piece(FILE *out, struct explain_out *o, struct listing *listing,
                       struct code_piece piece, struct summary *s)
{
    struct listing_unit unit;

    while (piece.start < piece.end) {
        uint32_t left = piece.end - piece.start, taken = 1;

        if (listing_unit(listing, LISTING_KERNEL_WINDOW, piece.start, piece.bytes, left, &unit)) {
            const struct listing_insn *last = &unit.insn[unit.count - 1];

            explain_unit(o, &unit);
            for (unsigned i = 0; i < unit.count; i++)
                count_insn(s, &unit.insn[i]);
            s->bytes_host += unit.tail_len;
            taken = last->eip + last->in.len - piece.start;
        } else {
            fprintf(out, "%8x  %02x  (no instruction)\n", piece.start, *piece.bytes);
            s->undecoded++;
        }
        piece.start += taken;
        piece.bytes += taken;
    }
}

static void summarize(FILE *out, struct explain_out *o, const struct summary *s, const char *path)
{
    uint64_t total = 0;
    char name[256];

    for (unsigned i = 0; i < LISTING_CLASSES; i++)
        total += s->classes[i];
    explain_title(o, "%llu instructions, %llu bytes become %llu",
                  (unsigned long long)total, (unsigned long long)s->bytes_guest,
                  (unsigned long long)s->bytes_host);
    for (unsigned i = 0; i < LISTING_CLASSES; i++)
        fprintf(out, "  %-18s%8llu\n", explain_class(i), (unsigned long long)s->classes[i]);
    if (s->undecoded)
        fprintf(out, "  %-18s%8llu\n", "bytes that are none", (unsigned long long)s->undecoded);
    fprintf(out, "  %-18s%8llu\n", "sensitive ones", (unsigned long long)s->sensitive);
    for (unsigned i = 0; i < s->sensitive && i < SENSITIVE_SHOWN; i++) {
        symbols_name(path, s->found[i].eip, name, sizeof(name));
        fprintf(out, "    %8x  %-8s %s\n", s->found[i].eip, s->found[i].name, name);
    }
    if (s->sensitive > SENSITIVE_SHOWN)
        fprintf(out, "    and %llu more\n", (unsigned long long)(s->sensitive - SENSITIVE_SHOWN));
}

static int list_all(FILE *out, struct explain_out *o, struct listing *listing,
                    const struct elf_code *code, const struct explain_request *request,
                    struct error *error)
{
    struct summary summary = { 0 };
    uint32_t start = 0, end = UINT32_MAX;
    struct code_piece piece;
    unsigned place = 0;

    if (request->function && !elf_code_function(code, request->function, &start, &end))
        return error_set(error, EX_USAGE, "explain --function %s: '%s' has none of that name; see "
                         "nm", request->function, request->path);
    if (request->range && parse_range(request->range, &start, &end, error))
        return -1;
    while (elf_code_next(code, &place, start, end, &piece))
        list_piece(out, o, listing, piece, &summary);
    if (!summary.bytes_guest && !summary.undecoded)
        return error_set(error, EX_DATAERR, "explain: '%s' has no code %s; see readelf -S",
                         request->path, request->range ? "there" : "in sections");
    summarize(out, o, &summary, request->path);
    return 0;
}

int explain_code(FILE *out, struct explain_out *o, struct listing *listing,
                 const struct explain_request *request, struct error *error)
{
    struct elf_code *code = elf_code_open(request->path, error);
    int err;

    if (!code)
        return -1;
    err = list_all(out, o, listing, code, request, error);
    elf_code_close(code);
    return err;
}
