/*
 * novt explain MNEMONIC...: what an instruction is to a virtual machine. What it is comes from the
 * instruction table (cpu/opcodes.def), what becomes of it from the translator itself; only
 * what it does deprivileged is told in words (explain.def, explain_words.c).
 */
#include "frontend/explain.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"
#include "frontend/explain_code.h"
#include "frontend/explain_print.h"
#include "frontend/explain_words.h"
#include "frontend/nearest.h"

static const char *const forms[LISTING_FORMS] = {
    [LISTING_KERNEL_TLB] = "in a kernel, memory by the software TLB",
    [LISTING_KERNEL_WINDOW] = "in a kernel, memory by a window",
    [LISTING_USER_WINDOW] = "in user code that is translated, memory by a window",
};

/* --- An encoding of each instruction ------------------------------------------------------- */

struct sample {
    uint8_t bytes[16];
    const struct opcode *info; /* NULL: none found */
};

struct samples {
    struct sample of[M_COUNT];
};

static void consider(struct samples *s, const uint8_t *code)
{
    struct sample *sample;
    struct insn in;

    if (decode(&in, code, INSN_MAX, MODE_32) <= 0 || in.info->attr & A_UNDEFINED)
        return;
    sample = &s->of[in.id];
    if (sample->info)
        return;
    memcpy(sample->bytes, code, INSN_MAX);
    sample->info = in.info;
}

/* Behind these bytes: each opcode, with registers and with memory. */
static void consider_opcodes(struct samples *s, const uint8_t *before, unsigned count)
{
    uint8_t code[16] = { 0 };

    memcpy(code, before, count);
    for (unsigned opcode = 0; opcode < 256; opcode++)
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            /* registers eax and ecx, memory by ebx; behind D8 to DF all of them differ */
            if ((modrm & 0xc7) != 0xc1 && (modrm & 0xc7) != 0x03 && (opcode & 0xf8) != 0xd8 &&
                opcode != 1)
                continue;
            code[count] = (uint8_t)opcode;
            code[count + 1] = (uint8_t)modrm;
            consider(s, code);
        }
}

static void collect(struct samples *s)
{
    static const uint8_t mandatory[] = { 0, 0x66, 0xf3, 0xf2 };
    static const uint8_t maps[][2] = { { 0 }, { 0x0f }, { 0x0f, 0x38 }, { 0x0f, 0x3a } };

    for (unsigned map = 0; map < 4; map++)
        for (unsigned p = 0; p < 4; p++) {
            uint8_t before[4];
            unsigned count = 0;

            if (mandatory[p])
                before[count++] = mandatory[p];
            for (unsigned i = 0; i < (map > 1 ? 2 : map); i++)
                before[count++] = maps[map][i];
            consider_opcodes(s, before, count);
        }
    for (unsigned vex = 0; vex < 3 * 16; vex++) { /* VEX: map, W, L and pp; vvvv is unused */
        const uint8_t before[] = { 0xc4, (uint8_t)(0xe1 + vex / 16),
                                   (uint8_t)(0x78 | (vex & 8) << 4 | (vex & 7)) };

        consider_opcodes(s, before, 3);
    }
}

/* --- One instruction -------------------------------------------------------------------------- */

static void print_text(FILE *out, const struct opcode *info)
{
    const struct explain_words *text = explain_words(info->id);

    fprintf(out, "  kind          %s\n", explain_kind(info));
    if (!text->at0)
        return;
    fprintf(out, "  manual        SDM volume %s\n", text->manual);
    fprintf(out, "  at CPL 0      %s\n", text->at0);
    fprintf(out, "  deprivileged  %s\n", text->deprived);
    fprintf(out, "  so            %s\n", text->breaks);
}

static bool print_forms(struct explain_out *o, struct listing *listing,
                        const struct sample *sample)
{
    enum { ADDRESS = 0x1000 };
    FILE *out = explain_out_file(o);
    struct listing_unit unit;
    struct insn in;

    decode(&in, sample->bytes, INSN_MAX, MODE_32);
    for (unsigned form = 0; form < LISTING_FORMS; form++) {
        if (!listing_unit(listing, form, ADDRESS, sample->bytes, in.len, &unit))
            return false;
        fprintf(out, "  %s: ", forms[form]);
        explain_print_class(o, unit.insn[0].class, 0);
        fputc('\n', out);
        explain_unit(o, &unit);
    }
    return true;
}

/* All instructions of that name: mov has several. */
static unsigned explain_name(struct explain_out *o, struct listing *listing,
                             const struct samples *s, const char *name)
{
    FILE *out = explain_out_file(o);
    unsigned found = 0;

    for (unsigned id = 0; id < M_COUNT; id++) {
        const struct sample *sample = &s->of[id];

        if (!sample->info || strcasecmp(sample->info->mnemonic, name))
            continue;
        explain_title(o, "%s%s", sample->info->mnemonic,
                      explain_words(id)->at0 && sample->info->attr & A_SENSITIVE
                          ? " (one that Robin and Irvine, 2000, name, or IRET)" : "");
        print_text(out, sample->info);
        if (!print_forms(o, listing, sample))
            fprintf(out, "  (no translation by itself)\n");
        fputc('\n', out);
        found++;
    }
    return found;
}

static void explain_all(struct explain_out *o, struct listing *listing, const struct samples *s)
{
    for (unsigned id = 0; id < M_COUNT; id++) {
        const char *name = s->of[id].info ? s->of[id].info->mnemonic : NULL;
        bool seen = !name;

        for (unsigned before = 0; before < id && !seen; before++)
            seen = s->of[before].info && !strcmp(s->of[before].info->mnemonic, name);
        if (!seen)
            explain_name(o, listing, s, name);
    }
}

static int unknown(const struct samples *s, const char *word, struct error *error)
{
    const char *names[M_COUNT];
    size_t count = 0;

    for (unsigned id = 0; id < M_COUNT; id++)
        if (s->of[id].info)
            names[count++] = s->of[id].info->mnemonic;
    return error_set(error, EX_USAGE, "explain: '%s' is neither an instruction nor a file%s", word,
                     nearest_hint(word, strlen(word), names, count, "", "").text);
}

/* --- The command line ---------------------------------------------------------------------- */

static const char usage[] =
    "novt explain MNEMONIC...|--all\n"
    "novt explain FILE.elf [--function NAME | --range A-B] [--symbols FILE] [--html OUT]\n"
    "novt explain --bzimage VMLINUZ [the same]\n"
    "\n"
    "What an instruction does in a kernel and what it would do there deprivileged, and what\n"
    "novt's translator makes of it; or a 32-bit program's code and its translation side by side,\n"
    "with a summary. Of a whole kernel there is the summary alone: --function or --range list a\n"
    "part, --range 0-FFFFFFFF all of it. A bzImage is unpacked; names are those of its own table\n"
    "or of FILE: an ELF file with symbols, or a System.map. OUT: a page for a browser, to be\n"
    "sorted and searched.\n"
    "On a terminal by $PAGER, in colours: green is executed as it is, cyan is other host code\n"
    "that does the same, purple is a function of the monitor's, red is a call of the\n"
    "interpreter, yellow leads to other code.\n"
    "What a running guest's code has become: novt ctl explain (docs/control.md).\n";

struct words {
    struct explain_request file;
    bool all, help;
    char **names;
    int count;
};

static bool is_file(const char *word)
{
    return strchr(word, '/') || !access(word, F_OK);
}

/* Where the value of an option goes; NULL: there is none of that name that has a value. */
static const char **value_of(struct words *w, const char *option)
{
    const struct {
        const char *option, **value;
    } all[] = {
        { "--function", &w->file.function }, { "--range", &w->file.range },
        { "--symbols", &w->file.symbols }, { "--html", &w->file.html },
        { "--bzimage", &w->file.path },
    };

    for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (!strcmp(all[i].option, option))
            return all[i].value;
    return NULL;
}

static int check(const struct words *w, struct error *error)
{
    const struct explain_request *f = &w->file;

    if (!f->path && (f->function || f->range || f->symbols || f->html))
        return error_set(error, EX_USAGE, "explain --%s: of which file?",
                         f->function ? "function" : f->range ? "range"
                         : f->symbols ? "symbols" : "html");
    if (f->function && f->range)
        return error_set(error, EX_USAGE, "explain --function, --range: only one of them");
    if (f->path && (w->all || w->count))
        return error_set(error, EX_USAGE, "explain: '%s' and '%s': an instruction or a file, not "
                         "both", f->path, w->count ? w->names[0] : "--all");
    if (!w->all && !w->help && !w->count && !f->path)
        return error_set(error, EX_USAGE, "explain: which instruction, or which file? For example "
                         "novt explain popf");
    return 0;
}

static int parse(struct words *w, int argc, char **argv, struct error *error)
{
    for (int i = 0; i < argc; i++) {
        const char **value = value_of(w, argv[i]);

        if (value && i + 1 == argc)
            return error_set(error, EX_USAGE, "explain %s: needs a value; see novt explain --help",
                             argv[i]);
        if (value) {
            w->file.packed |= value == &w->file.path;
            *value = argv[++i];
        } else if (!strcmp(argv[i], "--all")) {
            w->all = true;
        } else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            w->help = true;
        } else if (argv[i][0] == '-') {
            return error_set(error, EX_USAGE, "explain %s: unknown; see novt explain --help",
                             argv[i]);
        } else if (!w->file.path && is_file(argv[i])) {
            w->file.path = argv[i];
        } else {
            w->names[w->count++] = argv[i];
        }
    }
    return w->help ? 0 : check(w, error);
}

static int explain_given(struct explain_out *o, struct listing *listing, const struct words *w,
                         struct error *error)
{
    struct samples *samples;
    int err = 0;

    if (w->file.path)
        return explain_code(o, listing, &w->file, error);
    samples = calloc(1, sizeof(*samples));
    if (!samples)
        return error_set(error, EX_OSERR, "explain: no host memory; free some");
    collect(samples);
    if (w->all)
        explain_all(o, listing, samples);
    for (int i = 0; i < w->count && !err; i++)
        if (!explain_name(o, listing, samples, w->names[i]))
            err = unknown(samples, w->names[i], error);
    free(samples);
    return err;
}

static int explain(const struct words *w, FILE *out, bool colours, struct error *error)
{
    const char *why = "";
    struct listing *listing = listing_create(&why);
    struct explain_out *o = explain_out_create(out, colours);
    int err;

    if (!listing || !o)
        err = error_set(error, EX_OSERR, "explain: %s; free some",
                        listing ? "no host memory" : why);
    else
        err = explain_given(o, listing, w, error);
    if (o)
        explain_out_destroy(o);
    listing_destroy(listing);
    return err;
}

/* A pager, where there is somebody to read; standard output else. */
static FILE *open_pager(void)
{
    static const char less[] = "command -v less >/dev/null && exec less -FRX; exec cat";
    const char *pager = getenv("PAGER");

    return isatty(STDOUT_FILENO) ? popen(pager && *pager ? pager : less, "w") : NULL;
}

int explain_tool(int argc, char **argv)
{
    struct words w = { 0 };
    struct error error = { 0 };
    FILE *pager;

    w.names = calloc((size_t)argc + 1, sizeof(*w.names));
    if (!w.names)
        error_set(&error, EX_OSERR, "explain: no host memory; free some");
    else if (!parse(&w, argc, argv, &error) && w.help)
        fputs(usage, stdout);
    else if (!error.status) {
        pager = open_pager();
        explain(&w, pager ? pager : stdout, isatty(STDOUT_FILENO), &error);
        if (pager)
            pclose(pager);
    }
    if (error.status)
        error_print(stderr, &error);
    free(w.names);
    return error.status;
}
