/*
 * The commands explain and count: guest code of the running machine as it is in the translation
 * cache now (translator/listing.h), as JSON; and that JSON for people.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cpu/engine.h"
#include "frontend/control_command.h"
#include "frontend/explain_disasm.h"
#include "frontend/explain_print.h"
#include "frontend/explain_words.h"
#include "frontend/machine.h"
#include "frontend/names.h"

enum { UNITS_MAX = 16, TEXT = 320 };

struct explaining {
    struct control_call *call;
    struct explain_disasm *disasm;
    uint32_t gla;
    json_t *units;
};

static json_t *hex(uint64_t value)
{
    return json_sprintf("0x%08" PRIx64, value);
}

/* A guest may call its code anything. */
static json_t *name_of(const struct explaining *x, uint32_t gla)
{
    char text[TEXT];
    json_t *name;

    names_at(x->call->machine->names, gla, text, sizeof(text));
    name = json_string(text);
    return name ? name : json_string("?");
}

/* --- What a site has met -------------------------------------------------------------------- */

/* "faulted 4 times on a page table and 2 times ..., and became ..."; NULL: nothing has happened. */
static json_t *history_of(const struct listing_site *s)
{
    const struct {
        unsigned times;
        const char *on;
    } met[] = {
        { s->table, "faulted %u times on a page table" },
        { s->code, "faulted %u times on a page that has translated code" },
        { s->device, "faulted %u times on what is no memory" },
        { s->hidden, "faulted %u times on a page that the window lacked" },
        { s->own, "faulted %u times for the guest itself" },
        { s->traps, "raised %u exceptions" },
        { s->writes, "was written %u times" },
    };
    const char *became = s->fetch ? "is compared with what it has been, or fetched, each time"
                         : s->call ? "became a call of the interpreter"
                         : s->tlb ? "became a callout: memory by the software TLB" : NULL;
    char text[1024];
    size_t used = 0;

    for (unsigned i = 0; i < sizeof(met) / sizeof(*met); i++) {
        if (!met[i].times)
            continue;
        used += (size_t)sprintf(text + used, "%s", used ? ", " : "this site ");
        used += (size_t)sprintf(text + used, met[i].on, met[i].times);
    }
    if (used && became)
        sprintf(text + used, ", and %s", became);
    return used ? json_string(text) : NULL;
}

/* --- A unit --------------------------------------------------------------------------------- */

static json_t *host_lines(struct explaining *x, const struct listing_unit *code,
                          const uint8_t *start, const uint8_t *at, size_t size)
{
    struct explain_host host = { start, code->tail + code->tail_len, at, size };
    json_t *lines = json_array();
    char text[EXPLAIN_TEXT];
    uint32_t offset;

    while (explain_disasm_host(x->disasm, &host, &offset, text))
        json_array_append_new(lines, json_sprintf("%4x  %s", offset, text));
    return lines;
}

static json_t *insn_of(struct explaining *x, const struct listing_live *live, unsigned i)
{
    const struct listing_insn *insn = &live->code.insn[i];
    const struct listing_site *site = &live->site[i];
    char text[EXPLAIN_TEXT], why[TEXT * 4], bytes[2 * INSN_MAX + 1];
    json_t *to = json_object();

    for (unsigned n = 0; n < insn->in.len; n++)
        sprintf(bytes + 2 * n, "%02x", insn->in.bytes[n]);
    explain_disasm_guest(x->disasm, &insn->in, insn->eip, text);
    explain_why(insn, live->window && !site->tlb, why, sizeof(why));
    json_object_set_new(to, "eip", hex(insn->eip));
    json_object_set_new(to, "asked", json_boolean(x->gla - live->base - insn->eip <
                                                  insn->in.len));
    json_object_set_new(to, "bytes", json_string(bytes));
    json_object_set_new(to, "guest", json_string(text));
    json_object_set_new(to, "class", json_string(explain_class(insn->class)));
    json_object_set_new(to, "why", json_string(why));
    if (site->calls_counted && site->calls)
        json_object_set_new(to, "calls", json_integer((json_int_t)site->calls));
    json_object_set_new(to, "history", history_of(site));
    json_object_set_new(to, "host", host_lines(x, &live->code, live->host, insn->host,
                                               insn->host_len));
    return to;
}

static json_t *exits_of(const struct explaining *x, const struct listing_live *live)
{
    json_t *exits = json_array();

    for (unsigned i = 0; i < live->exit_count; i++)
        json_array_append_new(exits, json_pack(
            "{s:o, s:o, s:b}", "eip", hex(live->exit[i].eip), "symbol",
            name_of(x, live->base + live->exit[i].eip), "chained", live->exit[i].chained));
    return exits;
}

static json_t *mode_of(const struct listing_live *live)
{
    return json_sprintf("%u-bit %s code%s", live->bits, live->user ? "user" : "kernel",
                        live->segmented ? ", segmented" : "");
}

static void hear(void *arg, const struct listing_live *live)
{
    struct explaining *x = arg;
    const struct listing_unit *code = &live->code;
    json_t *unit = json_object(), *insns = json_array();

    if (json_array_size(x->units) == UNITS_MAX) {
        json_decref(unit);
        json_decref(insns);
        return;
    }
    for (unsigned i = 0; i < code->count; i++)
        json_array_append_new(insns, insn_of(x, live, i));
    json_object_set_new(unit, "eip", hex(code->count ? code->insn[0].eip : x->gla - live->base));
    json_object_set_new(unit, "base", hex(live->base));
    json_object_set_new(unit, "physical", hex(live->gpa));
    json_object_set_new(unit, "mode", mode_of(live));
    json_object_set_new(unit, "tier", json_string(live->window ? "window" : "tlb"));
    json_object_set_new(unit, "executions", live->counted
                                                ? json_integer((json_int_t)live->executions)
                                                : json_null());
    json_object_set_new(unit, "chained_from", json_integer(live->incoming));
    json_object_set_new(unit, "exits", exits_of(x, live));
    json_object_set_new(unit, "host_bytes",
                        json_integer(code->tail + code->tail_len - live->host));
    json_object_set_new(unit, "instructions", insns);
    if (code->tail_len)
        json_object_set_new(unit, "behind", host_lines(x, code, live->host, code->tail,
                                                       code->tail_len));
    json_array_append_new(x->units, unit);
}

/* --- The commands --------------------------------------------------------------------------- */

static int has_units(struct control_call *call, const char *command)
{
    if (call->machine->engine == &engine_translator)
        return 0;
    return error_set(&call->error, EX_UNAVAILABLE, "%s: -engine %s translates nothing", command,
                     call->machine->engine->name);
}

/* A symbol, symbol+OFFSET, or an address in hexadecimal, with 0x or without. */
static bool find_address(struct names *names, const char *text, uint32_t *gla)
{
    const char *plus = strrchr(text, '+');
    unsigned long long offset = 0, address;
    char name[TEXT], *end = NULL;

    snprintf(name, sizeof(name), "%.*s", plus ? (int)(plus - text) : (int)strlen(text), text);
    if (plus && isxdigit((unsigned char)plus[1]))
        offset = strtoull(plus + 1, &end, 0);
    if ((!plus || (end && !*end)) && names_find(names, name, gla)) {
        *gla += (uint32_t)offset;
        return true;
    }
    if (!isxdigit((unsigned char)*text))
        return false;
    address = strtoull(text, &end, 16);
    *gla = (uint32_t)address;
    return !*end && address <= UINT32_MAX;
}

static const char *tier_name(enum listing_tier tier)
{
    static const char *const names[] = {
        [LISTING_TIER_TLB] = "tlb", [LISTING_TIER_WINDOW] = "window",
        [LISTING_TIER_DIRECT] = "direct",
    };

    return names[tier];
}

static int explain_at(struct explaining *x)
{
    struct control_call *call = x->call;
    struct vcpu *vcpu = call->machine->vcpu;
    int count;

    json_object_set_new(call->result, "address", hex(x->gla));
    json_object_set_new(call->result, "symbol", name_of(x, x->gla));
    json_object_set_new(call->result, "kernel_tier",
                        json_string(tier_name(listing_tier(vcpu, false))));
    json_object_set_new(call->result, "user_tier",
                        json_string(tier_name(listing_tier(vcpu, true))));
    json_object_set_new(call->result, "counting", json_boolean(listing_counts(vcpu)));
    json_object_set(call->result, "units", x->units);
    count = listing_at(vcpu, x->gla, hear, x);
    if (count < 0)
        return error_set(&call->error, EX_NOINPUT, "explain 0x%08x: nothing is mapped there in the "
                         "address space that runs now", x->gla);
    return 0;
}

int control_explain(struct control_call *call)
{
    const char *at = control_string(call, "at");
    struct explaining x = { .call = call };
    int err;

    if (has_units(call, "explain"))
        return -1;
    if (!find_address(call->machine->names, at, &x.gla))
        return error_set(&call->error, EX_USAGE, "explain %.100s: neither a symbol that is known "
                         "(-symbols FILE) nor an address in hexadecimal", at);
    x.disasm = explain_disasm_create();
    if (!x.disasm)
        return error_set(&call->error, EX_OSERR, "explain: no host memory; free some");
    x.units = json_array();
    err = explain_at(&x);
    json_decref(x.units);
    explain_disasm_destroy(x.disasm);
    return err;
}

int control_count(struct control_call *call)
{
    const char *what = control_string(call, "what");

    if (has_units(call, "count"))
        return -1;
    if (strcmp(what, "on") && strcmp(what, "off"))
        return error_set(&call->error, EX_USAGE, "count %.100s: on or off", what);
    listing_count(call->machine->vcpu, !strcmp(what, "on"));
    return 0;
}

/* --- For people ----------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static void print_lines(FILE *out, const json_t *lines, int columns)
{
    json_t *line;
    size_t i;

    json_array_foreach(lines, i, line) {
        fprintf(out, "%*s| %s\n", columns < 48 ? 48 - columns : 1, "", json_string_value(line));
        columns = 0;
    }
    if (!json_array_size(lines))
        fputc('\n', out);
}

static void print_insn(FILE *out, const json_t *insn)
{
    bool asked = json_is_true(json_object_get(insn, "asked"));
    const json_t *calls = json_object_get(insn, "calls");
    const char *class = text_of(insn, "class"), *colour = "", *end = "";
    int columns;

    if (isatty(fileno(out))) {
        colour = explain_colour(class);
        end = "\033[0m";
    }
    columns = fprintf(out, "%c%8s  ", asked ? '>' : ' ', text_of(insn, "eip") + 2);
    columns += fprintf(out, "%-14.12s", text_of(insn, "bytes"));
    fputs(colour, out);
    columns += fprintf(out, "%s", text_of(insn, "guest"));
    fputs(end, out);
    print_lines(out, json_object_get(insn, "host"), columns);
    if (asked)
        fprintf(out, "%12s%s\n", "", text_of(insn, "why"));
    if (calls)
        fprintf(out, "%12sC was called %" JSON_INTEGER_FORMAT " times\n", "",
                json_integer_value(calls));
    if (json_object_get(insn, "history"))
        fprintf(out, "%12s%s\n", "", text_of(insn, "history"));
}

static void print_exits(FILE *out, const json_t *unit)
{
    json_t *exit;
    size_t i;

    json_array_foreach(json_object_get(unit, "exits"), i, exit)
        fprintf(out, "%12sto %s %s: %s\n", "", text_of(exit, "eip"), text_of(exit, "symbol"),
                json_is_true(json_object_get(exit, "chained")) ? "chained" : "not chained");
}

static void print_unit(FILE *out, const json_t *unit)
{
    const json_t *executions = json_object_get(unit, "executions");
    json_t *insn;
    size_t i;

    fprintf(out, "\nunit at %s, physical %s: %s, memory by %s\n", text_of(unit, "eip"),
            text_of(unit, "physical"), text_of(unit, "mode"),
            !strcmp(text_of(unit, "tier"), "window") ? "a window" : "the software TLB");
    if (json_is_integer(executions))
        fprintf(out, "  executed %" JSON_INTEGER_FORMAT " times", json_integer_value(executions));
    else
        fprintf(out, "  not counted (count on)");
    fprintf(out, "; %" JSON_INTEGER_FORMAT " exits of other units are chained to it\n",
            json_integer_value(json_object_get(unit, "chained_from")));
    json_array_foreach(json_object_get(unit, "instructions"), i, insn)
        print_insn(out, insn);
    if (json_object_get(unit, "behind"))
        print_lines(out, json_object_get(unit, "behind"),
                    fprintf(out, "%11sslow paths and exits", ""));
    print_exits(out, unit);
}

void control_explain_print(FILE *out, const json_t *returned)
{
    const json_t *units = json_object_get(returned, "units");
    const char *symbol = text_of(returned, "symbol");
    json_t *unit;
    size_t i;

    fprintf(out, "%s%s%s: kernel code runs by %s, user code by %s\n",
            text_of(returned, "address"), *symbol ? " " : "", symbol,
            text_of(returned, "kernel_tier"), text_of(returned, "user_tier"));
    if (!json_array_size(units))
        fprintf(out, "  it is not in the translation cache: it has not run since it was written, "
                     "or runs directly\n");
    json_array_foreach(units, i, unit)
        print_unit(out, unit);
}
