/* Guest code and its translation side by side: see explain_print.h. Capstone reads both. */
#include "frontend/explain_print.h"

#include <capstone/capstone.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_WIDTH 46 /* columns */

struct explain_out {
    FILE *out;
    bool colours;
    csh guest, host;
    cs_insn *insn;
};

static const struct {
    const char *name, *colour;
} classes[LISTING_CLASSES] = {
    [LISTING_IDENTICAL] = { "identical", "32" },
    [LISTING_INLINE] = { "inline", "36" },
    [LISTING_CALLOUT] = { "callout", "35" },
    [LISTING_CALLED] = { "interpreted", "31" },
    [LISTING_TRANSFER] = { "control flow", "33" },
};

const char *explain_class(enum listing_class class)
{
    return classes[class].name;
}

struct explain_out *explain_out_create(FILE *out, bool colours)
{
    struct explain_out *o = calloc(1, sizeof(*o));

    if (!o)
        return NULL;
    o->out = out;
    o->colours = colours;
    if (cs_open(CS_ARCH_X86, CS_MODE_32, &o->guest) ||
        cs_open(CS_ARCH_X86, CS_MODE_64, &o->host) || !(o->insn = cs_malloc(o->host))) {
        explain_out_destroy(o);
        return NULL;
    }
    return o;
}

void explain_out_destroy(struct explain_out *o)
{
    if (o->insn)
        cs_free(o->insn, 1);
    if (o->host)
        cs_close(&o->host);
    if (o->guest)
        cs_close(&o->guest);
    free(o);
}

static void colour(struct explain_out *o, const char *code)
{
    if (o->colours)
        fprintf(o->out, "\033[%sm", code);
}

void explain_title(struct explain_out *o, const char *format, ...)
{
    va_list args;

    colour(o, "1");
    va_start(args, format);
    vfprintf(o->out, format, args);
    va_end(args);
    colour(o, "0");
    fputc('\n', o->out);
}

/* Returns how many columns it took. */
static int print_guest(struct explain_out *o, const struct listing_insn *insn)
{
    const uint8_t *code = insn->in.bytes;
    size_t size = insn->in.len;
    uint64_t address = insn->eip;
    int columns = fprintf(o->out, "%8x  ", insn->eip);

    for (unsigned i = 0; i < 6; i++)
        columns += i < insn->in.len ? fprintf(o->out, "%02x", insn->in.bytes[i])
                                    : fprintf(o->out, "  ");
    columns += fprintf(o->out, "%s ", insn->in.len > 6 ? "+" : " ");
    colour(o, classes[insn->class].colour);
    if (cs_disasm_iter(o->guest, &code, &size, &address, o->insn))
        columns += fprintf(o->out, "%s %s", o->insn->mnemonic, o->insn->op_str);
    else
        columns += fprintf(o->out, "%s", insn->in.info->mnemonic);
    colour(o, "0");
    return columns;
}

/* Addresses of this process say nothing: what they are is told instead. */
static void print_host(struct explain_out *o, const uint8_t *at, const uint8_t *start,
                       const uint8_t *end)
{
    int32_t rel;

    memcpy(&rel, at + 1, sizeof(rel));
    if (at[0] == 0x49 && at[1] == 0xb9 && at[10] == 0x4c)
        fprintf(o->out, "mov r9, a function for it");
    else if (at[0] == 0x49 && at[1] == 0xb9 && at[10] == 0xe9)
        fprintf(o->out, "mov r9, this instruction");
    else if (at[0] == 0xe9 && (at + 5 + rel < start || at + 5 + rel > end))
        fprintf(o->out, "jmp monitor");
    else if (at[0] == 0x41 && at[1] == 0xb9 && o->insn->size == 6 && at[6] == 0xe9)
        fprintf(o->out, "mov r9d, this exit");
    else
        fprintf(o->out, "%s %s", o->insn->mnemonic, o->insn->op_str);
}

/* The host's instructions, the first in the line that has columns already. */
static void print_column(struct explain_out *o, const uint8_t *code, size_t size, int columns,
                         const uint8_t *start, const uint8_t *end)
{
    const uint8_t *at = code;
    uint64_t address = (uint64_t)(code - start);

    while (size && cs_disasm_iter(o->host, &code, &size, &address, o->insn)) {
        fprintf(o->out, "%*s| %4llx  ", columns < GUEST_WIDTH ? GUEST_WIDTH - columns : 1, "",
                (unsigned long long)(at - start));
        print_host(o, at, start, end);
        fputc('\n', o->out);
        at = code;
        columns = 0;
    }
    if (columns)
        fputc('\n', o->out);
}

void explain_unit(struct explain_out *o, const struct listing_unit *unit)
{
    const uint8_t *start = unit->insn[0].host, *end = unit->tail + unit->tail_len;

    for (unsigned i = 0; i < unit->count; i++) {
        const struct listing_insn *insn = &unit->insn[i];

        print_column(o, insn->host, insn->host_len, print_guest(o, insn), start, end);
    }
    if (unit->tail_len)
        print_column(o, unit->tail, unit->tail_len,
                     fprintf(o->out, "%10sslow paths and exits", ""), start, end);
}
