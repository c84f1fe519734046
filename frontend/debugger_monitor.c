/*
 * What is typed behind gdb's "monitor": physical memory, translations, and the commands of
 * -monitor (control.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/paging.h"
#include "cpu/vcpu.h"
#include "frontend/control.h"
#include "frontend/debugger.h"
#include "frontend/disasm.h"
#include "frontend/machine.h"
#include "gdb/stub.h"

enum { COUNT_MAX = 4096 };

/* --- Numbers -------------------------------------------------------------------------------- */

/* An address in C's notation, and nothing behind it. */
static bool address_of(const char *text, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 0);
    return end != text && !*end && *value <= UINT32_MAX;
}

/* /COUNT FORMAT SIZE, as gdb's x has it. */
struct format {
    unsigned count, size;
    char letter; /* x, d, u, o, c, i */
};

/* False: something is in it that we do not know. */
static bool format_of(const char *text, struct format *f)
{
    static const char letters[] = "xduoci", sizes[] = "bhwg";
    char *end;

    f->count = (unsigned)strtoul(text, &end, 10);
    if (end == text)
        f->count = 1;
    for (; *end; end++) {
        const char *size = strchr(sizes, *end);

        if (size)
            f->size = 1u << (size - sizes);
        else if (strchr(letters, *end))
            f->letter = *end;
        else
            return false;
    }
    return f->count && f->count <= COUNT_MAX;
}

static void print_value(FILE *out, const struct format *f, uint64_t value)
{
    int64_t extended = (int64_t)(value << (64 - 8 * f->size)) >> (64 - 8 * f->size);

    switch (f->letter) {
    case 'd': fprintf(out, " %lld", (long long)extended); break;
    case 'u': fprintf(out, " %llu", (unsigned long long)value); break;
    case 'o': fprintf(out, " 0%llo", (unsigned long long)value); break;
    case 'c': fprintf(out, " '%c'", value >= ' ' && value < 0x7f ? (char)value : '.'); break;
    default: fprintf(out, " 0x%0*llx", (int)(2 * f->size), (unsigned long long)value); break;
    }
}

/* --- Commands ------------------------------------------------------------------------------- */

struct call {
    struct machine *machine;
    struct gdb_stub *stub;
    FILE *out;
    char *format; /* behind the slash; NULL: none */
    char *value;  /* the argument; "" */
};

static void print_code(struct call *call, uint64_t gpa, unsigned count)
{
    uint8_t code[COUNT_MAX];
    size_t size = count * INSN_MAX < sizeof(code) ? count * INSN_MAX : sizeof(code), end = 0, line;
    char *text = NULL;
    FILE *listing = open_memstream(&text, &line);

    physmem_peek(&call->machine->mem, gpa, code, size);
    if (!listing)
        return;
    disasm_print(listing, code, size, gpa, vcpu_code32(call->machine->vcpu) ? 32 : 16);
    fclose(listing);
    while (count-- && text && text[end])
        end += strcspn(text + end, "\n") + 1;
    fwrite(text, 1, end, call->out);
    free(text);
}

/* xp[/FORMAT] ADDRESS */
static bool examine_physical(struct call *call)
{
    struct format f = { 1, 4, 'x' };
    uint64_t gpa, value;

    if ((call->format && !format_of(call->format, &f)) || !address_of(call->value, &gpa))
        return false;
    if (f.letter == 'i') {
        print_code(call, gpa, f.count);
        return true;
    }
    for (unsigned i = 0; i < f.count; i++, gpa += f.size) {
        value = 0;
        if (!physmem_peek(&call->machine->mem, gpa, &value, f.size)) {
            fprintf(call->out, "%sno memory at 0x%08llx\n", i ? "\n" : "",
                    (unsigned long long)gpa);
            return true;
        }
        if (!(i * f.size % 16))
            fprintf(call->out, "%s%08llx:", i ? "\n" : "", (unsigned long long)gpa);
        print_value(call->out, &f, value);
    }
    fputc('\n', call->out);
    return true;
}

static bool translate(struct call *call)
{
    struct walk walk;
    uint64_t gla;

    if (!address_of(call->value, &gla))
        return false;
    if (!paging_peek(call->machine->vcpu, gla, &walk))
        fprintf(call->out, "0x%08llx is not mapped\n", (unsigned long long)gla);
    else
        fprintf(call->out, "0x%08llx is 0x%08llx, in a page of %llu KiB: r%c%c, %s%s%s\n",
                (unsigned long long)gla, (unsigned long long)walk.gpa,
                (unsigned long long)walk.size >> 10, walk.writable ? 'w' : '-',
                walk.nx ? '-' : 'x', walk.user ? "user" : "kernel",
                walk.accessed ? ", accessed" : "", walk.dirty ? ", dirty" : "");
    return true;
}

static bool use_physical(struct call *call)
{
    bool on = !strcmp(call->value, "on");

    if (!on && strcmp(call->value, "off"))
        return false;
    gdb_stub_use_physical(call->stub, on);
    fprintf(call->out, "gdb's addresses are %s\n", on ? "physical" : "linear");
    return true;
}

static const struct monitor_row {
    const char *name;
    bool (*function)(struct call *call); /* false: tell the usage; NULL: not from here */
    const char *usage, *help;
} commands[] = {
    { "xp", examine_physical, "xp[/COUNT FORMAT SIZE] ADDRESS",
      "physical memory; FORMAT x d u o c i, SIZE b h w g" },
    { "translate", translate, "translate ADDRESS", "a linear address to a physical one" },
    { "physical", use_physical, "physical on|off", "what gdb's own addresses mean" },
    { "continue", NULL, "continue", "gdb's own lets the guest go on" },
    { "pause", NULL, "pause", "gdb's Ctrl-C stops the guest" },
};

static void help(FILE *out)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (commands[i].function)
            fprintf(out, "  %-38s%s\n", commands[i].usage, commands[i].help);
    control_help(out);
}

static const struct monitor_row *find(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (strlen(commands[i].name) == size && !memcmp(commands[i].name, word, size))
            return &commands[i];
    return NULL;
}

/* NAME[/FORMAT] [VALUE] */
static void carry_out(const struct monitor_row *command, struct call *call, char *rest)
{
    char *save = NULL, *word;

    if (!command->function) {
        fprintf(call->out, "%s\n", command->help);
        return;
    }
    call->format = *rest == '/' ? rest + 1 : NULL;
    rest += strcspn(rest, " ");
    if (*rest)
        *rest++ = '\0';
    word = strtok_r(rest, " ", &save);
    call->value = word ? word : "";
    if (!command->function(call))
        fprintf(call->out, "usage: %s\n", command->usage);
}

static void answer(struct call *call, struct control *control, char *words)
{
    size_t size = strcspn(words, " /");
    const struct monitor_row *command = find(words, size);
    char *text;

    if (command) {
        carry_out(command, call, words + size);
        return;
    }
    if (!strcmp(words, "help") || !*words) {
        help(call->out);
        return;
    }
    text = control_answer_words(control, words, strlen(words));
    fputs(text ? text : "no host memory\n", call->out);
    free(text);
}

char *debugger_monitor(struct machine *machine, struct control *control, struct gdb_stub *stub,
                       const char *words)
{
    char *copy = strdup(words), *text = NULL;
    size_t size;
    struct call call = { .machine = machine, .stub = stub, .out = open_memstream(&text, &size) };

    if (copy && call.out)
        answer(&call, control, copy + strspn(copy, " "));
    free(copy);
    if (!call.out || fclose(call.out)) {
        free(text);
        return NULL;
    }
    return text;
}
