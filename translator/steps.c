/*
 * One guest instruction by its translation, host instruction by host instruction, for people to
 * read (novt view). Reference: SDM 3, 17.3.2 (single steps by TF).
 *
 * The CPU's own trap flag is set, and a signal comes behind each host instruction. Those in the
 * code cache are recorded, others (the monitor's C, called by the translation) are counted. The end
 * is where a guest instruction begins: there its state is exact (U3), so the code is left by the
 * lookup stub, as at a poll. C that would go on elsewhere leaves by itself, because exit_request is
 * set all the time. An access that a shadow fill has made possible begins anew: that is no end.
 */
#include <ucontext.h>

#include "base/spent.h"
#include "translator/listing.h"
#include "translator/switch.h"
#include "translator/unit.h"

#define HOST_TF 0x100u

struct steps {
    struct listing_step *step;
    unsigned count, room;
    uint64_t fills;     /* what had been filled when the instruction began last */
    bool entered;       /* the code cache has been reached */
    bool in_prologue;   /* whose end is the first instruction's beginning, too */
    bool done;
};

static uint64_t fills(const struct translator *t)
{
    return t->stats.slow_fills + t->stats.window_faults;
}

/* --- In the signal handler ------------------------------------------------------------------ */

static void record(struct steps *s, const ucontext_t *uc, uint64_t rip)
{
    static const uint8_t order[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                       REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                       REG_R12, REG_R13, REG_R14, REG_R15 };
    struct listing_step *step;

    if (s->count == s->room)
        return;
    step = &s->step[s->count++];
    *step = (struct listing_step){ .host = (const uint8_t *)(uintptr_t)rip };
    for (unsigned i = 0; i < 16; i++)
        step->gpr[i] = (uint64_t)uc->uc_mcontext.gregs[order[i]];
    step->flags = (uint32_t)uc->uc_mcontext.gregs[REG_EFL] & ~HOST_TF;
}

/* An instruction of the monitor's. */
static void count(struct steps *s)
{
    if (s->entered && s->count)
        s->step[s->count - 1].monitor++;
}

/* The guest instruction that begins at this host address; false: it is inside one. */
static bool begins(const struct unit *unit, uint64_t rip, uint32_t *eip)
{
    uint32_t offset = (uint32_t)(rip - (uint64_t)(uintptr_t)unit->host);
    unsigned i = unit_insn_at(unit, (const void *)(uintptr_t)rip);

    *eip = unit->eip + unit->insn[i].guest;
    return !offset || (offset == unit->insn[i].host && i < unit->insn_count);
}

/* At the beginning of a guest instruction: the next one, or the same again after a fill? */
static bool is_over(struct steps *s, const struct translator *t)
{
    bool over = s->entered && s->fills == fills(t);

    s->fills = fills(t);
    return over;
}

static void leave(struct translator *t, ucontext_t *uc, struct unit *unit, uint32_t eip)
{
    const void *host = (const void *)(uintptr_t)uc->uc_mcontext.gregs[REG_RIP];

    count_left(t->vcpu, unit, unit_insn_at(unit, host));
    uc->uc_mcontext.gregs[REG_R8] = unit->base + eip;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)bt_exit_lookup;
}

static void in_cache(struct translator *t, struct steps *s, ucontext_t *uc, uint64_t rip)
{
    struct unit *unit = cache_find(t, (const void *)(uintptr_t)rip);
    uint32_t eip;

    if (unit && begins(unit, rip, &eip) && !(s->in_prologue && eip == unit->eip) &&
        is_over(s, t)) {
        s->done = true;
        leave(t, uc, unit, eip);
        return;
    }
    s->entered = true;
    s->in_prologue = unit && rip - (uint64_t)(uintptr_t)unit->host < unit->insn[0].host;
    record(s, uc, rip);
}

bool steps_trapped(struct vcpu *vcpu, void *ucontext)
{
    struct translator *t = translator_of(vcpu);
    ucontext_t *uc = ucontext;
    uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

    if (!t->steps)
        return false;
    if (t->steps->done)
        uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)HOST_TF;
    else if (cache_holds(t, rip))
        in_cache(t, t->steps, uc, rip);
    else
        count(t->steps);
    return true;
}

/* --- Outside -------------------------------------------------------------------------------- */

static void set_trap_flag(bool on)
{
    uint64_t flags = __builtin_ia32_readeflags_u64();

    __builtin_ia32_writeeflags_u64(on ? flags | HOST_TF : flags & ~(uint64_t)HOST_TF);
}

static void run_traced(struct vcpu *vcpu, struct steps *steps, const void *host)
{
    struct translator *t = translator_of(vcpu);

    t->steps = steps;
    steps->fills = fills(t);
    vcpu->exit_request = true;
    set_trap_flag(true);
    bt_enter(vcpu, host);
    steps->done = true;
    set_trap_flag(false);
    t->steps = NULL;
}

/* A unit in which the instruction at rip begins, and which one it is of it; NULL: there is none. */
static struct unit *unit_around(struct translator *t, uint32_t key, unsigned *insn)
{
    const struct vcpu *vcpu = t->vcpu;
    uint32_t gla = (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip);
    struct unit *unit;
    uint64_t gpa;

    if (!mem_debug_translate(t->vcpu, gla, &gpa) || gpa >> PAGE_SHIFT >= vcpu->mem->frames)
        return NULL;
    for (unit = t->by_frame[gpa >> PAGE_SHIFT]; unit; unit = *unit_next_in(unit, gpa >> PAGE_SHIFT))
        for (*insn = 0; *insn < unit->insn_count; ++*insn)
            if (!unit->dead && unit->key == key && unit->gpa2 == NO_GPA &&
                unit->base + unit->eip + unit->insn[*insn].guest == gla &&
                unit->gpa + unit->insn[*insn].guest == gpa &&
                (!(key & KEY_SEG) || unit->limit == vcpu->seg[SEG_CS].limit))
                return unit;
    return NULL;
}

/* Its host code; what is before it in the unit would have been counted, and have loaded the FPU. */
static const void *enter_at(struct vcpu *vcpu, const struct unit *unit, unsigned insn)
{
    if (!insn)
        return unit->host;
    if (unit->native)
        bt_fpu_in(vcpu);
    count_resumed(vcpu, unit, insn - 1);
    return unit->host + unit->insn[insn].host;
}

int listing_step(struct vcpu *vcpu, struct listing_step *step, unsigned room)
{
    struct translator *t = translator_of(vcpu);
    struct steps steps = { .step = step, .room = room };
    uint32_t key = engine_key(vcpu);
    enum spent_on before;
    unsigned insn = 0;
    struct unit *unit;

    if (!(key & KEY_OK) || vcpu->halted || vcpu->intr_shadow || vcpu->nmi_pending)
        return -1;
    shadowmm_resume(t->sm);
    if (engine_window(t, key)) {
        translator_window(t, key & KEY_USER);
        key |= KEY_WINDOW;
    }
    unit = unit_around(t, key, &insn);
    if (!unit) {
        insn = 0;
        unit = engine_unit_here(t, key);
    }
    if (unit) {
        before = spent_begin(vcpu->spent, SPENT_CODE_TLB);
        bt_prepare(vcpu, key);
        run_traced(vcpu, &steps, enter_at(vcpu, unit, insn));
        bt_fpu_out(vcpu);
        spent_back(vcpu->spent, before);
    }
    if (t->graveyard)
        unit_bury(t);
    shadowmm_pause(t->sm);
    return (int)steps.count;
}
