/* The last control transfers: see transfers.h. */
#include "cpu/transfers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"

enum { INSNS_MAX = 128 }; /* a unit has fewer */

int transfers_create(struct vcpu *vcpu, bool all)
{
    vcpu->transfers = calloc(1, sizeof(*vcpu->transfers));
    if (!vcpu->transfers)
        return -ENOMEM;
    vcpu->transfers->all = all;
    return 0;
}

void transfers_add(struct vcpu *vcpu, enum transfer_kind kind, uint8_t vector, uint32_t from)
{
    struct transfers *t = vcpu->transfers;
    unsigned at = t->next++;

    t->entry[at].to = (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip);
    t->entry[at].what = (uint32_t)kind | (uint32_t)vector << 8 |
                        (vcpu_code32(vcpu) ? 0 : TRANSFER_CODE16);
    t->from[at] = from;
}

/* --- Looking back ------------------------------------------------------------------------- */

static struct transfer entry_at(const struct transfers *t, unsigned back)
{
    unsigned at = (uint8_t)(t->next - 1 - back);
    uint32_t what = t->entry[at].what;

    return (struct transfer){ .kind = what & 0xff, .vector = what >> 8 & 0xff, .times = 1,
                              .code16 = what & TRANSFER_CODE16, .from = t->from[at],
                              .to = t->entry[at].to };
}

static bool insn_at(struct vcpu *vcpu, uint32_t gla, bool code16, struct insn *in)
{
    uint8_t code[INSN_MAX];
    unsigned size = 0;

    while (size < INSN_MAX && mem_debug_read(vcpu, (uint32_t)(gla + size), &code[size], 1))
        size++;
    return decode(in, code, size, code16 ? MODE_16 : MODE_32) > 0;
}

/* A jump or call to an address that is in the instruction. */
static bool is_direct(const struct insn *in)
{
    return in->info->attr & A_BRANCH && in->id != M_RET && in->id != M_JMP_IND &&
           in->id != M_CALL_IND;
}

static bool leads_to(const struct insn *in, uint32_t target, uint32_t to)
{
    return !is_direct(in) || !((target ^ to) & (in->opsize == 2 ? 0xffff : 0xffffffff));
}

enum way { WAY_UNKNOWN, WAY_JUMP, WAY_ON }; /* WAY_ON: no transfer, it just went on there */

/* How the straight-line code at from comes to the address to; *at: the instruction that does. */
static enum way find_way(struct vcpu *vcpu, uint32_t from, bool code16, uint32_t to, uint32_t *at)
{
    uint32_t page = from >> PAGE_SHIFT;
    enum way way = WAY_UNKNOWN;
    struct insn in;

    for (unsigned i = 0; i < INSNS_MAX && from >> PAGE_SHIFT == page &&
                         insn_at(vcpu, from, code16, &in); i++) {
        uint32_t next = from + in.len, target = next + (uint32_t)in.imm;
        bool branches = in.info->attr & (A_BRANCH | A_FAR);

        *at = from;
        if (branches && leads_to(&in, target, to))
            return WAY_JUMP;
        if (next == to)
            way = WAY_ON; /* but a jump further on leads there more likely, unless units end here */
        if (in.info->attr & A_ENDS && (next == to || (branches && !(in.info->attr & A_COND))))
            return way;
        from = next;
    }
    return way;
}

/* Entry back is a unit's beginning: how it was reached. False: it is none to tell. */
static bool explain_unit(struct vcpu *vcpu, struct transfer *unit, unsigned back)
{
    struct transfer before = entry_at(vcpu->transfers, back + 1);
    enum way way;

    if (before.kind == TRANSFER_NONE || back + 2 >= TRANSFERS_KEPT)
        return true;
    if (before.kind != TRANSFER_UNIT && before.to == unit->to)
        return false;
    way = find_way(vcpu, before.to, before.code16, unit->to, &unit->from);
    if (way == WAY_JUMP)
        unit->kind = TRANSFER_BRANCH;
    return way != WAY_ON;
}

static bool is_same(const struct transfer *a, const struct transfer *b)
{
    return a->kind == b->kind && a->vector == b->vector && a->to == b->to &&
           (a->from == b->from || a->kind == TRANSFER_UNIT);
}

unsigned transfers_last(struct vcpu *vcpu, struct transfer *last, unsigned room)
{
    unsigned count = 0;

    for (unsigned back = 0; vcpu->transfers && back < TRANSFERS_KEPT; back++) {
        struct transfer t = entry_at(vcpu->transfers, back);

        if (t.kind == TRANSFER_NONE)
            break;
        if (t.kind == TRANSFER_UNIT && !explain_unit(vcpu, &t, back))
            continue;
        if (count && is_same(&last[room - count], &t)) {
            last[room - count].times++;
            continue;
        }
        if (count == room)
            break;
        last[room - ++count] = t;
    }
    memmove(last, last + room - count, count * sizeof(*last));
    return count;
}
