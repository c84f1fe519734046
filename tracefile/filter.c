/* Choosing events: see filter.h. */
#include "tracefile/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracefile/kinds.h"

#define CONDITIONS_MAX 16

struct condition {
    enum { IS_TIME, IS_EIP, IS_VALUE } what;
    char name[32], word[64]; /* of a value; word "": a number */
    uint64_t low, high;
};

struct filter {
    bool named;             /* some kinds are asked for by name */
    bool kind[EVENT_COUNT]; /* these, or, with nothing named, all but the excluded */
    bool excluded[EVENT_COUNT];
    bool modes, mode[EVENT_MODES];
    struct condition condition[CONDITIONS_MAX];
    unsigned conditions;
};

struct text {
    const char *at;
    size_t len;
};

static bool is(struct text t, const char *word)
{
    return strlen(word) == t.len && !memcmp(word, t.at, t.len);
}

static int say(char *why, size_t size, const char *what, struct text t, const char *advice)
{
    snprintf(why, size, "%.*s: %s%s", (int)t.len, t.at, what, advice);
    return -1;
}

/* --- Names --------------------------------------------------------------------------- */

/* The kinds of this name, or group, in set. False: there are none. */
static bool name_kinds(struct text name, bool set[EVENT_COUNT])
{
    bool any = false;

    for (unsigned i = 0; i < EVENT_COUNT; i++)
        if (is(name, kinds[i].name) || is(name, kind_groups[kinds[i].group]))
            set[i] = any = true;
    return any;
}

static int add_name(struct filter *f, struct text word, char *why, size_t size)
{
    bool not = *word.at == '!';
    struct text name = { word.at + not, word.len - not };

    if (!name_kinds(name, not ? f->excluded : f->kind))
        return say(why, size, "no such event or group", word, "; novt trace --help lists them");
    f->named |= !not;
    return 0;
}

/* --- Conditions ---------------------------------------------------------------------- */

static bool number(struct text t, uint64_t *value)
{
    char digits[24], *end;

    if (!t.len || t.len >= sizeof(digits) || *t.at < '0' || *t.at > '9')
        return false;
    memcpy(digits, t.at, t.len);
    digits[t.len] = 0;
    *value = strtoull(digits, &end, 0);
    return !*end;
}

static bool seconds(struct text t, uint64_t *ns)
{
    char digits[24], *end;
    double value;

    if (!t.len || t.len >= sizeof(digits) || strspn(t.at, "0123456789.") < t.len)
        return false;
    memcpy(digits, t.at, t.len);
    digits[t.len] = 0;
    value = strtod(digits, &end) * 1e9;
    if (*end || !(value < 1e18))
        return false;
    *ns = (uint64_t)(value + 0.5);
    return true;
}

/* A, A-B, A- or -B. */
static bool range(struct text t, bool (*get)(struct text, uint64_t *), uint64_t *low,
                  uint64_t *high)
{
    const char *dash = memchr(t.at, '-', t.len);
    struct text first = { t.at, dash ? (size_t)(dash - t.at) : t.len }, last;

    *low = 0;
    *high = UINT64_MAX;
    if (!dash) {
        bool ok = get(first, low);

        *high = *low;
        return ok;
    }
    last = (struct text){ dash + 1, t.len - first.len - 1 };
    return (first.len || last.len) && (!first.len || get(first, low)) &&
           (!last.len || get(last, high)) && *low <= *high;
}

static bool is_value(struct text name)
{
    for (unsigned i = 0; i < EVENT_COUNT; i++)
        if (kind_find_value(&kinds[i], name.at, (unsigned)name.len) >= 0)
            return true;
    return false;
}

static bool take_value(struct condition *c, struct text name, struct text value)
{
    if (name.len >= sizeof(c->name) || !value.len || value.len >= sizeof(c->word))
        return false;
    c->what = IS_VALUE;
    memcpy(c->name, name.at, name.len);
    if (range(value, number, &c->low, &c->high))
        return true;
    memcpy(c->word, value.at, value.len);
    return *value.at != '-' && (*value.at < '0' || *value.at > '9');
}

static bool take_condition(struct condition *c, struct text name, struct text value)
{
    *c = (struct condition){ .what = IS_TIME };
    if (is(name, "time"))
        return range(value, seconds, &c->low, &c->high);
    c->what = IS_EIP;
    if (is(name, "eip"))
        return range(value, number, &c->low, &c->high);
    return take_value(c, name, value);
}

static int add_mode(struct filter *f, struct text word, struct text value, char *why, size_t size)
{
    for (unsigned i = 0; i < EVENT_MODES; i++)
        if (is(value, kind_modes[i])) {
            f->modes = f->mode[i] = true;
            return 0;
        }
    return say(why, size, "no such mode", word, "; novt trace --help lists them");
}

static int add_condition(struct filter *f, struct text word, const char *equals, char *why,
                         size_t size)
{
    struct text name = { word.at, (size_t)(equals - word.at) };
    struct text value = { equals + 1, word.len - name.len - 1 };

    if (is(name, "mode"))
        return add_mode(f, word, value, why, size);
    if (!is(name, "time") && !is(name, "eip") && !is_value(name))
        return say(why, size, "no event has such a value", word, "; novt trace --help lists them");
    if (f->conditions == CONDITIONS_MAX)
        return say(why, size, "too many conditions", word, "");
    if (!take_condition(&f->condition[f->conditions], name, value))
        return say(why, size, "write A or A-B, numbers as in C", word, ", times in seconds");
    f->conditions++;
    return 0;
}

int filter_add(struct filter **filter, const char *words, char *why, size_t size)
{
    struct filter *f = *filter ? *filter : calloc(1, sizeof(*f));

    *filter = f;
    if (!f) {
        snprintf(why, size, "no host memory");
        return -1;
    }
    for (const char *at = words;; at++) {
        struct text word = { at, strcspn(at, ",") };
        const char *equals = memchr(at, '=', word.len);

        if (!word.len)
            return say(why, size, "a word is missing", (struct text){ words, strlen(words) }, "");
        if (equals ? add_condition(f, word, equals, why, size) : add_name(f, word, why, size))
            return -1;
        at += word.len;
        if (!*at)
            return 0;
    }
}

void filter_destroy(struct filter *filter)
{
    free(filter);
}

/* --- Asking -------------------------------------------------------------------------- */

static bool in_range(const struct condition *c, uint64_t value)
{
    return value >= c->low && value <= c->high;
}

static bool value_holds(const struct condition *c, const struct reader_event *event)
{
    int v = kind_find_value(&kinds[event->kind], c->name, (unsigned)strlen(c->name));

    if (v < 0)
        return false;
    if (event->word[v])
        return !strcmp(event->word[v], c->word);
    return !*c->word && in_range(c, event->value[v]);
}

static bool holds(const struct condition *c, const struct reader_event *event)
{
    switch (c->what) {
    case IS_TIME: return in_range(c, event->ns);
    case IS_EIP: return in_range(c, event->eip);
    default: return value_holds(c, event);
    }
}

bool filter_wants(const struct filter *f, const struct reader_event *event)
{
    if (!f)
        return true;
    if ((f->named && !f->kind[event->kind]) || f->excluded[event->kind] ||
        (f->modes && !f->mode[event->mode]))
        return false;
    for (unsigned i = 0; i < f->conditions; i++)
        if (!holds(&f->condition[i], event))
            return false;
    return true;
}
