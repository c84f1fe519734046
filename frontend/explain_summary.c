/* Counting what explain_code.c lists: see explain_summary.h. */
#include "frontend/explain_summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "frontend/explain_print.h"
#include "frontend/explain_words.h"
#include "frontend/symbols.h"

#define FINDS_SHOWN 64
#define MNEMONICS_SHOWN 12
#define PADDING 16 /* bytes less than these are no function of their own */

struct explain_summary *explain_summary_create(const struct symbols *names)
{
    struct explain_summary *s = calloc(1, sizeof(*s));

    if (s)
        s->names = names;
    return s;
}

void explain_summary_destroy(struct explain_summary *s)
{
    if (!s)
        return;
    free(s->function);
    free(s->find);
    free(s);
}

/* --- Counting ------------------------------------------------------------------------------- */

/* Room for one more; without memory the last one is used again. */
static size_t next(void **array, size_t *count, size_t *room, size_t size)
{
    size_t more = *room ? 2 * *room : 256;
    void *bigger = *count == *room ? realloc(*array, more * size) : *array;

    if (!bigger)
        return *count ? *count - 1 : 0;
    if (*count == *room)
        *room = more;
    *array = bigger;
    return (*count)++;
}

static void begin_function(struct explain_summary *s, const char *name, uint32_t start)
{
    size_t i = next((void **)&s->function, &s->functions, &s->function_room,
                    sizeof(*s->function));

    if (s->function)
        s->function[i] = (struct explain_function){ .name = name, .start = start };
}

/* The function of what comes now; what is between two is the first one's padding. */
static void enter_function(struct explain_summary *s, uint32_t eip, unsigned size)
{
    uint64_t distance = 0;
    const char *name = symbols_nearest(s->names, eip, &distance);
    const struct explain_function *last = s->functions ? &s->function[s->functions - 1] : NULL;
    uint32_t start = eip - (uint32_t)distance;

    if (name)
        s->behind = eip + size;
    if (last && (name ? last->start == start : !*last->name || eip - s->behind < PADDING))
        return;
    begin_function(s, name ? name : "", name ? start : eip);
}

static void add_find(struct explain_summary *s, const struct listing_insn *insn)
{
    size_t i;

    s->found[insn->in.id]++;
    if (!s->functions)
        return;
    i = next((void **)&s->find, &s->finds, &s->find_room, sizeof(*s->find));
    if (s->find)
        s->find[i] = (struct explain_find){ insn->eip, insn->in.info->mnemonic,
                                            s->functions - 1, insn->class };
}

static void count(struct explain_counts *counts, const struct listing_insn *insn, bool sensitive)
{
    counts->classes[insn->class]++;
    counts->bytes_guest += insn->in.len;
    counts->bytes_host += insn->host_len;
    counts->sensitive += sensitive;
}

void explain_summary_unit(struct explain_summary *s, const struct listing_unit *unit)
{
    for (unsigned i = 0; i < unit->count; i++) {
        const struct listing_insn *insn = &unit->insn[i];
        bool sensitive = insn->in.info->attr & A_SENSITIVE;

        enter_function(s, insn->eip, insn->in.len);
        count(&s->total, insn, sensitive);
        if (s->function)
            count(&s->function[s->functions - 1].counts, insn, sensitive);
        s->mnemonic[insn->in.id] = insn->in.info->mnemonic;
        s->interpreted[insn->in.id] += insn->class == LISTING_CALLED;
        if (sensitive)
            add_find(s, insn);
    }
    s->total.bytes_host += unit->tail_len;
    if (s->function)
        s->function[s->functions - 1].counts.bytes_host += unit->tail_len;
}

void explain_summary_undecoded(struct explain_summary *s)
{
    s->total.undecoded++;
}

/* --- Printing ------------------------------------------------------------------------------- */

/* "in 120, out 30": the largest first. */
static void print_mnemonics(FILE *out, const struct explain_summary *s, const uint64_t *counts)
{
    uint64_t below = UINT64_MAX;
    unsigned below_id = 0;

    for (unsigned n = 0; n < MNEMONICS_SHOWN; n++) {
        unsigned best = M_COUNT;

        for (unsigned id = 0; id < M_COUNT; id++)
            if (counts[id] && (counts[id] < below || (counts[id] == below && id > below_id)) &&
                (best == M_COUNT || counts[id] > counts[best]))
                best = id;
        if (best == M_COUNT)
            break;
        fprintf(out, "%s%s %" PRIu64, n ? ", " : "", s->mnemonic[best], counts[best]);
        below = counts[best];
        below_id = best;
    }
    fputc('\n', out);
}

static void print_finds(FILE *out, const struct explain_summary *s)
{
    for (size_t i = 0; i < s->finds && i < FINDS_SHOWN; i++) {
        const struct explain_find *find = &s->find[i];
        const struct explain_function *f = &s->function[find->function];

        fprintf(out, "    %8x  %-8s %-12s", find->eip, find->mnemonic, explain_class(find->class));
        if (*f->name)
            fprintf(out, " %s+0x%x", f->name, find->eip - f->start);
        fputc('\n', out);
    }
    if (s->finds > FINDS_SHOWN)
        fprintf(out, "    and %zu more\n", s->finds - FINDS_SHOWN);
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

void explain_summary_print(const struct explain_summary *s, struct explain_out *o)
{
    const struct explain_counts *t = &s->total;
    FILE *out = explain_out_file(o);
    uint64_t total = 0;

    for (unsigned i = 0; i < LISTING_CLASSES; i++)
        total += t->classes[i];
    explain_title(o, "%" PRIu64 " instructions, %" PRIu64 " bytes become %" PRIu64 " (%.1f times)",
                  total, t->bytes_guest, t->bytes_host,
                  t->bytes_guest ? (double)t->bytes_host / (double)t->bytes_guest : 0);
    for (unsigned i = 0; i < LISTING_CLASSES; i++) {
        fprintf(out, "  ");
        explain_print_class(o, i, 18);
        fprintf(out, "%10" PRIu64 "  %5.1f %%\n", t->classes[i], percent(t->classes[i], total));
    }
    if (t->undecoded)
        fprintf(out, "  %-18s%10" PRIu64 "\n", "bytes that are none", t->undecoded);
    if (t->classes[LISTING_CALLED]) {
        fprintf(out, "  interpreted: ");
        print_mnemonics(out, s, s->interpreted);
    }
    fprintf(out, "  %-18s%10" PRIu64 "\n", "sensitive ones", t->sensitive);
    if (!t->sensitive)
        return;
    fprintf(out, "    ");
    print_mnemonics(out, s, s->found);
    print_finds(out, s);
}
