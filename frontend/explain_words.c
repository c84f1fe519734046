/* Words for novt explain: see explain_words.h. */
#include "frontend/explain_words.h"

#include <stdio.h>
#include <string.h>

static const struct explain_words words[M_COUNT] = {
#define EXPLAIN(id, manual, at0, deprived, breaks) [M_##id] = { manual, at0, deprived, breaks },
#include "frontend/explain.def"
};

static const struct {
    const char *name, *colour;
} classes[LISTING_CLASSES] = {
    [LISTING_IDENTICAL] = { "identical", "\033[32m" },
    [LISTING_INLINE] = { "inline", "\033[36m" },
    [LISTING_CALLOUT] = { "callout", "\033[35m" },
    [LISTING_CALLED] = { "interpreted", "\033[31m" },
    [LISTING_TRANSFER] = { "control flow", "\033[33m" },
};

const struct explain_words *explain_words(unsigned id)
{
    return &words[id];
}

const char *explain_class(enum listing_class class)
{
    return classes[class].name;
}

const char *explain_colour(const char *class)
{
    for (unsigned i = 0; i < LISTING_CLASSES; i++)
        if (!strcmp(classes[i].name, class))
            return classes[i].colour;
    return "";
}

const char *explain_kind(const struct opcode *info)
{
    if (info->attr & A_SENSITIVE)
        return words[info->id].at0 ? "sensitive, and not privileged: no trap tells the monitor"
                                   : "sensitive";
    if (info->attr & A_PRIVILEGED)
        return "privileged: deprivileged it raises #GP, which a monitor can emulate";
    if (info->attr & A_IOPL)
        return "depends on IOPL: deprivileged it raises #GP, which a monitor can emulate";
    return "innocuous: it does the same deprivileged";
}

/* --- Why ------------------------------------------------------------------------------------ */

/* Why its own bytes would not do. */
static const char *why_not_same(const struct listing_insn *insn, bool window)
{
    if (insn->in.info->attr & (A_SENSITIVE | A_PRIVILEGED | A_IOPL))
        return "host code does it to the guest's state, which is not the host's";
    if ((insn->in.has_mem && insn->in.id != M_LEA && insn->in.id != M_NOP) ||
        insn->in.info->attr & A_IMPLICIT_MEM)
        return window ? "its memory is the guest's, which the window has"
                      : "its memory is the guest's, found by the software TLB";
    if (insn->in.info->attr & (A_X87 | A_MMX | A_SSE | A_AVX))
        return "the guest's FPU state has to be in the host's registers";
    return "the bytes mean something else in 64-bit mode, or it works on what the monitor keeps";
}

static const char *why_class(const struct listing_insn *insn, bool window)
{
    switch (insn->class) {
    case LISTING_IDENTICAL: return "the host has the same bytes, and they mean the same to it";
    case LISTING_CALLOUT: return "a function of the monitor's that is made for it does it";
    case LISTING_CALLED:
        return "no rule takes it in this form: the interpreter, called from here, does it";
    case LISTING_TRANSFER: return "its target is the guest's: another unit, or a look into the "
                                  "jump table";
    default: return why_not_same(insn, window);
    }
}

void explain_why(const struct listing_insn *insn, bool window, char *text, size_t size)
{
    const struct explain_words *w = &words[insn->in.id];
    const struct opcode *info = insn->in.info;
    const char *class = why_class(insn, window);

    if (w->at0 && info->attr & A_SENSITIVE)
        snprintf(text, size, "%s: %s. Sensitive: deprivileged it %s; %s. SDM %s.",
                 classes[insn->class].name, class, w->deprived, w->breaks, w->manual);
    else if (info->attr & (A_SENSITIVE | A_PRIVILEGED | A_IOPL))
        snprintf(text, size, "%s: %s. It is %s.", classes[insn->class].name, class,
                 explain_kind(info));
    else
        snprintf(text, size, "%s: %s.", classes[insn->class].name, class);
}
