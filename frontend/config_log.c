/* See config_log.h. */
#include "frontend/config_log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

static const char *const names[] = {
    "all",
#define LOG_TOPIC(name, text) #name,
#include "base/log.def"
};

/* QEMU's others, and what there is in their place. */
static const struct {
    const char *name, *instead;
} others[] = {
    { "cpu_reset", "-no-reboot describes a triple fault, with registers and what led to it" },
    { "exec", "-trace FILE has what ran where" },
    { "nochain", "-trace FILE has what ran where" },
    { "cpu", "novt ctl info registers, or gdb by -s -S, shows registers" },
    { "fpu", "gdb by -s -S shows registers" },
    { "vpu", "gdb by -s -S shows registers" },
    { "op", "-d in_asm,out_asm has the code before and behind" },
    { "op_opt", "-d in_asm,out_asm has the code before and behind" },
    { "op_ind", "-d in_asm,out_asm has the code before and behind" },
    { "pcall", "-d int says it of exceptions and interrupts" },
    { "unimp", "-d guest_errors has it" },
    { "page", "-d mmu is about page tables" },
    { "tid", "there is one log" },
    { "plugin", "there are no plugins" },
};

static bool is_word(const char *word, const char *at, size_t len)
{
    return strlen(word) == len && !memcmp(word, at, len);
}

static bool is_other(const char *at, size_t len)
{
    for (size_t i = 0; i < COUNT(others); i++) {
        if (!is_word(others[i].name, at, len))
            continue;
        fprintf(stderr, "novt: note: -d %s: ignored; %s\n", others[i].name, others[i].instead);
        return true;
    }
    return false;
}

static bool is_topic(const char *at, size_t len)
{
    for (size_t i = 0; i < COUNT(names); i++)
        if (is_word(names[i], at, len))
            return true;
    return false;
}

int config_log_take(struct log_specs *log, const char *value, struct error *error)
{
    size_t used = strlen(log->topics);

    for (const char *at = value; *at;) {
        size_t len = strcspn(at, ",");

        if (is_topic(at, len)) {
            if (used + len + 2 > sizeof(log->topics))
                return error_set(error, EX_USAGE, "-d %s: too long; -d all has all of them", value);
            used += (size_t)sprintf(log->topics + used, "%s%.*s", used ? "," : "", (int)len, at);
        } else if (!is_other(at, len)) {
            return nearest_unknown("-d", at, len, names, COUNT(names), error);
        }
        at += len + (at[len] == ',');
    }
    return 0;
}
