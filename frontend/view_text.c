/* The panels of novt view as text: see view_text.h. */
#include "frontend/view_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/describe.h"
#include "cpu/x86.h"
#include "frontend/disasm.h"

enum { TEXT_SIZE = 160, CODE_MAX = 4096 };

static const char *string(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static uint64_t number(const json_t *object, const char *name)
{
    return strtoull(string(object, name), NULL, 0);
}

/* Without "0x". */
static const char *hex(const json_t *object, const char *name)
{
    const char *text = string(object, name);

    return strncmp(text, "0x", 2) ? text : text + 2;
}

/* The bytes of a string of hexadecimal digits. */
static size_t bytes(const json_t *object, const char *name, uint8_t *to, size_t room)
{
    const char *text = string(object, name);
    size_t count = strlen(text) / 2;

    count = count < room ? count : room;
    for (size_t i = 0; i < count; i++) {
        char digits[3] = { text[2 * i], text[2 * i + 1], 0 };

        to[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return count;
}

/* --- Registers ------------------------------------------------------------------------------ */

static void print_segments(FILE *out, const json_t *registers)
{
    static const char *const names[] = { "cs", "ss", "ds", "es", "fs", "gs" };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const json_t *from = json_object_get(registers, names[i]);
        struct segment segment = { .attr = (uint32_t)number(from, "attributes") };

        fprintf(out, "%s %s %s+%s ", names[i], hex(from, "selector"), hex(from, "base"),
                hex(from, "limit"));
        describe_segment(out, &segment);
        fputc('\n', out);
    }
}

void view_text_registers(FILE *out, const json_t *registers, bool brief)
{
    static const char *const names[] = { "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp" };

    for (size_t i = 0; i < 8; i++)
        fprintf(out, "%s %s%s", names[i], hex(registers, names[i]), i % 4 == 3 ? "\n" : "  ");
    fprintf(out, "eip %s  eflags %s  ", hex(registers, "eip"), hex(registers, "eflags"));
    describe_flags(out, (uint32_t)number(registers, "eflags"));
    fprintf(out, "\ncr0 %s  cr2 %s  cr3 %s  cr4 %s\n", hex(registers, "cr0"), hex(registers, "cr2"),
            hex(registers, "cr3"), hex(registers, "cr4"));
    if (!brief)
        print_segments(out, registers);
}

/* --- An address ------------------------------------------------------------------------------- */

/* One row of both columns; either may have ended. */
static void print_beside(FILE *out, const char *left, const char *right)
{
    fprintf(out, "%-40.40s | %s\n", left, right);
}

/* A paging structure's entry; beside it, whether the shadow agrees with it. */
static void print_step(FILE *out, const json_t *step)
{
    char left[TEXT_SIZE], right[TEXT_SIZE] = "";
    const char *copy = hex(step, "copy"), *table = string(step, "table");

    snprintf(left, sizeof(left), "%s %s: %s %s", string(step, "name"), hex(step, "at"),
             hex(step, "entry"), string(step, "text"));
    if (*copy && strcmp(copy, hex(step, "entry")))
        snprintf(right, sizeof(right), "%s; shadow made from %s", table, copy);
    else if (*table)
        snprintf(right, sizeof(right), "%s", table);
    print_beside(out, left, right);
}

static void guest_line(const json_t *guest, size_t i, char *text)
{
    if (!i && !guest)
        snprintf(text, TEXT_SIZE, "not mapped");
    else if (!i)
        snprintf(text, TEXT_SIZE, "page of %lld KiB at %s",
                 (long long)json_integer_value(json_object_get(guest, "page_kib")),
                 hex(guest, "physical"));
    else if (i == 1)
        snprintf(text, TEXT_SIZE, "%s", string(guest, "rights"));
    else if (i == 2 && *string(guest, "holds"))
        snprintf(text, TEXT_SIZE, "holds %s", string(guest, "holds"));
    else
        *text = 0;
}

void view_text_address(FILE *out, const json_t *walk)
{
    const json_t *steps = json_object_get(walk, "steps"), *shadow = json_object_get(walk, "shadow");
    const json_t *guest = json_object_get(walk, "guest");
    char left[TEXT_SIZE], right[TEXT_SIZE];

    fprintf(out, "=address %s %s, paging %s, root %s\n", hex(walk, "address"), string(walk, "name"),
            string(walk, "paging"), hex(walk, "cr3"));
    print_beside(out, "guest's page tables", "shadow");
    for (size_t i = 0; i < json_array_size(steps); i++)
        print_step(out, json_array_get(steps, i));
    for (size_t i = 0; i < 3 || i < json_array_size(shadow); i++) {
        const json_t *form = json_array_get(shadow, i);

        guest_line(guest, i, left);
        snprintf(right, sizeof(right), "%s%s%s", string(form, "form"), form ? ": " : "",
                 string(form, "state"));
        if (*left || *right)
            print_beside(out, left, right);
    }
}

/* --- Units ------------------------------------------------------------------------------------ */

/* The guest's instruction once, its host instructions beside and below it. */
static void print_insn(FILE *out, const json_t *insn, int bits, uint64_t base, uint64_t here)
{
    uint8_t guest[INSN_MAX], host[CODE_MAX];
    size_t size = bytes(insn, "bytes", guest, sizeof(guest)), used = 0, length;
    size_t host_size = bytes(insn, "code", host, sizeof(host));
    uint64_t eip = number(insn, "eip"), at = number(insn, "host");
    char left[TEXT_SIZE + 32], text[TEXT_SIZE];

    disasm_text(guest, size, eip, bits, text, sizeof(text));
    snprintf(left, sizeof(left), "%c %s %s", base + eip == here ? '>' : ' ', hex(insn, "eip"),
             text);
    do {
        length = disasm_text(host + used, host_size - used, at + used, 64, text, sizeof(text));
        fprintf(out, "%-38.38s %-12.12s | %s\n", left, used ? "" : string(insn, "class"),
                host_size ? text : "");
        *left = 0;
        used += length;
    } while (length && used < host_size);
}

static void print_unit(FILE *out, const json_t *unit, uint64_t here)
{
    const json_t *insns = json_object_get(unit, "instructions");
    const json_t *exits = json_object_get(unit, "exits");
    int bits = (int)json_integer_value(json_object_get(unit, "bits"));

    fprintf(out, "=unit for %s, memory by %s, at %s; chained to by %lld, leads to",
            string(unit, "for"), string(unit, "memory"), hex(unit, "host"),
            (long long)json_integer_value(json_object_get(unit, "incoming")));
    for (size_t i = 0; i < json_array_size(exits); i++)
        fprintf(out, " %s", json_string_value(json_array_get(exits, i)) + 2);
    fprintf(out, "%s\n", json_array_size(exits) ? "" : " what the jump table knows");
    for (size_t i = 0; i < json_array_size(insns); i++)
        print_insn(out, json_array_get(insns, i), bits, number(unit, "base"), here);
}

/* There is no unit: the guest's code as it is. */
static void print_code(FILE *out, const json_t *units)
{
    int bits = (int)json_integer_value(json_object_get(units, "bits"));
    uint64_t at = number(units, "address");
    size_t used = 0, length = 1, size;
    uint8_t code[64];
    char text[TEXT_SIZE];

    size = bytes(units, "code", code, sizeof(code));
    fprintf(out, "=no unit is here: it has not run, or is interpreted, or runs on the bare CPU\n");
    for (; used + INSN_MAX <= size && length; used += length) {
        length = disasm_text(code + used, size - used, at + used, bits, text, sizeof(text));
        fprintf(out, "%c %08" PRIx64 " %s\n", used ? ' ' : '>', at + used, text);
    }
}

void view_text_units(FILE *out, const json_t *units)
{
    const json_t *rows = json_object_get(units, "units");

    if (!json_array_size(rows))
        print_code(out, units);
    for (size_t i = 0; i < json_array_size(rows); i++)
        print_unit(out, json_array_get(rows, i), number(units, "address"));
}

/* --- Steps of the host ------------------------------------------------------------------------ */

static const char *const host_names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                            "r8",  "r9",  "r10", "r11", "r12", "r13", "r14",
                                            "r15" };

static const char *host_register(const json_t *step, size_t i)
{
    const char *text = json_string_value(json_array_get(json_object_get(step, "registers"), i));

    return text ? text : "";
}

/* What an instruction has changed: what the next one found otherwise. */
static void print_changes(FILE *out, const json_t *step, const json_t *next)
{
    for (size_t i = 0; next && i < 16; i++)
        if (strcmp(host_register(step, i), host_register(next, i)))
            fprintf(out, "  %s %s", host_names[i], host_register(next, i));
    if (next && strcmp(string(step, "flags"), string(next, "flags"))) {
        fprintf(out, "  flags ");
        describe_flags(out, (uint32_t)number(next, "flags") & EFLAGS_ARITH);
    }
}

void view_text_steps(FILE *out, const json_t *step, size_t cursor)
{
    const json_t *rows = json_object_get(step, "host");
    uint8_t code[INSN_MAX];
    char text[TEXT_SIZE];

    fprintf(out, "=%zu host instructions were executed for it; t shows the next one\n",
            json_array_size(rows));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        json_int_t monitor = json_integer_value(json_object_get(row, "monitor"));

        disasm_text(code, bytes(row, "bytes", code, sizeof(code)), number(row, "at"), 64, text,
                    sizeof(text));
        fprintf(out, "%c %s %-40.40s", i == cursor ? '>' : ' ', hex(row, "at"), text);
        if (i < cursor)
            print_changes(out, row, json_array_get(rows, i + 1));
        if (i < cursor && monitor)
            fprintf(out, "  (and %lld instructions of the monitor)", (long long)monitor);
        fputc('\n', out);
    }
}

/* --- Counters --------------------------------------------------------------------------------- */

static json_int_t counter(const json_t *stats, const char *group, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(stats, group), name));
}

void view_text_counters(FILE *out, const json_t *stats, const json_t *since, double seconds)
{
    static const struct {
        const char *group, *name, *text;
    } shown[] = {
        { "cpu", "interrupts", "interrupts" }, { "cpu", "soft_interrupts", "system calls" },
        { "cpu", "fault_pf", "true page faults" }, { "engine", "slow_fills", "hidden (TLB)" },
        { "engine", "window_faults", "hidden (window)" },
        { "engine", "trace_faults", "trace faults" },
        { "cpu", "cr3_writes", "CR3 writes" }, { "engine", "tables_traced", "tables traced" },
        { "engine", "callouts", "callouts" }, { "engine", "units", "units" },
        { "engine", "chains", "chains" }, { "engine", "smc_writes", "code written" },
        { "cpu", "port_reads", "port reads" }, { "cpu", "port_writes", "port writes" },
    };

    for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
        json_int_t now = counter(stats, shown[i].group, shown[i].name);
        json_int_t before = since ? counter(since, shown[i].group, shown[i].name) : now;
        char text[48];

        snprintf(text, sizeof(text), "%s %lld", shown[i].text, (long long)now);
        if (seconds > 0 && now != before)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), " +%.0f/s",
                     (double)(now - before) / seconds);
        fprintf(out, "%-38s%s", text, i % 2 ? "\n" : "");
    }
}
