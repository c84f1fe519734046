/*
 * Instructions by tier, exactly, for -stats (translator.counting). Code that is translated while
 * nobody counts has none of this.
 *
 * Before a guest instruction that may leave the unit its code adds, in struct vcpu_stats, all
 * instructions since the last such place, itself included (unit_insn.counts). So a unit left by its
 * exits has been counted right. A unit left elsewhere, at instruction i, has been counted for too
 * many or too few: what was counted less i is the excess, and the C that was called corrects it.
 *
 *   left at i                   - excess(i)           i is interpreted, or begins anew elsewhere
 *   i faults for the guest      + 1                   it counts: the interpreter does the same
 *   resumed behind i            + excess(i) - 1       what is counted further on is right again
 *   i is repeated from its start + what had been counted before it - i
 *
 * Apart from that, units that are made while translator.counting_units is set count how often
 * they are entered, for novt ctl explain.
 */
#include "translator/emit.h"

/* --- What units do ------------------------------------------------------------------ */

/* counter += by, with r11 and without the flags. */
static void emit_add(struct builder *b, size_t counter, unsigned by)
{
    EMIT(b, 0x4d, 0x8b, 0x9f);                     /* mov r11, [r15 + counter] */
    emit32(b, (uint32_t)counter);
    EMIT(b, 0x4d, 0x8d, 0x5b, (uint8_t)by);        /* lea r11, [r11 + by] */
    EMIT(b, 0x4d, 0x89, 0x9f);                     /* mov [r15 + counter], r11 */
    emit32(b, (uint32_t)counter);
}

static size_t tier_of(uint32_t key)
{
    return key & KEY_WINDOW ? offsetof(struct vcpu, stats.insns_window)
                            : offsetof(struct vcpu, stats.insns_tlb);
}

void count_emit_insns(struct builder *b)
{
    if (!b->t->counting || b->insns == b->counted)
        return;
    emit_add(b, tier_of(b->key), b->insns - b->counted);
    b->counted = b->insns;
}

void count_emit_direct(struct builder *b)
{
    if (b->t->counting)
        emit_add(b, offsetof(struct vcpu, stats.exits_direct), 1);
}

void count_emit_looked_up(struct builder *b)
{
    if (b->t->counting)
        emit_add(b, offsetof(struct vcpu, stats.exits_looked_up), 1);
}

void count_emit_entry(struct builder *b)
{
    if (!b->t->counting_units)
        return;
    EMIT(b, 0x49, 0xbb);                           /* mov r11, counter: filled in later */
    b->executions_field = here(b);
    emit64(b, 0);
    EMIT(b, 0x4d, 0x8b, 0x0b);                     /* mov r9, [r11] */
    EMIT(b, 0x4d, 0x8d, 0x49, 1);                  /* lea r9, [r9 + 1] */
    EMIT(b, 0x4d, 0x89, 0x0b);                     /* mov [r11], r9 */
}

/* --- What C corrects ------------------------------------------------------------------ */

/* Instructions that had been counted when the code of instruction insn was behind its count. */
static int counted(const struct unit *unit, unsigned insn)
{
    while (insn && !unit->insn[insn].counts)
        insn--;
    return unit->insn[insn].counts ? (int)insn + 1 : 0;
}

static void add(struct vcpu *vcpu, const struct unit *unit, int by)
{
    uint64_t *counter = unit->key & KEY_WINDOW ? &vcpu->stats.insns_window
                                               : &vcpu->stats.insns_tlb;

    if (translator_of(vcpu)->counting)
        *counter += (uint64_t)(int64_t)by;
}

void count_left(struct vcpu *vcpu, const struct unit *unit, unsigned insn)
{
    if (translator_of(vcpu)->counting)
        add(vcpu, unit, (int)insn - counted(unit, insn));
}

void count_left_site(struct vcpu *vcpu, const struct unit_site *site)
{
    add(vcpu, site->unit, -site->excess);
}

void count_resumed(struct vcpu *vcpu, const struct unit *unit, unsigned insn)
{
    if (translator_of(vcpu)->counting)
        add(vcpu, unit, counted(unit, insn) - (int)insn - 1);
}

void count_resumed_site(struct vcpu *vcpu, const struct unit_site *site)
{
    add(vcpu, site->unit, site->excess - 1);
}

/* After count_left(): instruction insn begins again at its first byte. */
void count_repeated(struct vcpu *vcpu, const struct unit *unit, unsigned insn)
{
    if (translator_of(vcpu)->counting)
        add(vcpu, unit, (insn ? counted(unit, insn - 1) : 0) - (int)insn);
}

void count_faulted(struct vcpu *vcpu, const struct unit *unit)
{
    add(vcpu, unit, 1);
}
