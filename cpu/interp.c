/*
 * The step loop: fetch, decode, execute, deliver. Reference: SDM volume 3, 6.8 and 6.9 (what is
 * taken between two instructions, and in which order), 17.3 (debug traps).
 *
 * Decoded instructions are cached by guest physical address and mode, and a hit compares the bytes:
 * self-modified code, DMA and aliases need no invalidation.
 */
#include "cpu/interp.h"

#include <errno.h>
#include <stdlib.h>

#include "base/spent.h"
#include "cpu/debug.h"
#include "cpu/engine.h"
#include "cpu/fault.h"
#include "cpu/feature.h"
#include "cpu/interp_cache.h"
#include "cpu/mem.h"
#include "cpu/stops.h"
#include "cpu/tlb.h"
#include "cpu/transfers.h"

/* --- The decode cache ----------------------------------------------------- */

#define CACHE_BITS 13
#define CACHE_ENTRIES (1u << CACHE_BITS)
#define FETCH_BYTES 16 /* compared at once; an instruction has at most 15 */

/* Two cache lines: the first decides a hit and has what executing needs most. */
struct cached {
    _Alignas(128) uint64_t key; /* gpa and mode */
    uint64_t low, high;           /* the instruction's bytes, zeroes behind it */
    uint64_t low_mask, high_mask; /* ones where it has bytes */
    struct insn in;
};

struct decode_cache {
    struct cached entry[CACHE_ENTRIES];
    struct insn slow; /* one near a page end or outside RAM */
};

int interp_cache_create(struct vcpu *vcpu)
{
    vcpu->decode_cache = aligned_alloc(128, sizeof(*vcpu->decode_cache));
    if (!vcpu->decode_cache)
        return -ENOMEM;
    for (unsigned i = 0; i < CACHE_ENTRIES; i++)
        vcpu->decode_cache->entry[i].key = UINT64_MAX;
    return 0;
}

void interp_cache_destroy(struct vcpu *vcpu)
{
    free(vcpu->decode_cache);
    vcpu->decode_cache = NULL;
}

/* --- Fetching ------------------------------------------------------------- */

static enum cpu_mode code_mode(const struct vcpu *vcpu)
{
    return vcpu_code32(vcpu) ? MODE_32 : MODE_16;
}

/* Near the CS limit, a page end, or outside RAM: byte by byte exactness instead of speed. */
static __attribute__((noinline)) const struct insn *fetch_slow(struct vcpu *vcpu)
{
    struct insn *in = &vcpu->decode_cache->slow;
    uint8_t code[INSN_MAX];
    bool beyond;
    unsigned avail;
    int len;

    if (mem_fetch(vcpu, code, &avail, &beyond))
        return NULL;
    len = decode(in, code, avail, code_mode(vcpu));
    if (len > 0) {
        feature_limit(vcpu->model, in);
        return in;
    }
    if (len < 0 || !beyond)
        fault_gp(vcpu, 0); /* longer than 15 bytes; else what lies beyond has been raised */
    return NULL;
}

static __attribute__((noinline)) const struct insn *fetch_miss(struct vcpu *vcpu, struct cached *c,
                                                               uint64_t key, uint64_t low,
                                                               uint64_t high)
{
    uint8_t code[FETCH_BYTES];
    int len;

    __builtin_memcpy(code, &low, 8);
    __builtin_memcpy(code + 8, &high, 8);
    len = decode(&c->in, code, INSN_MAX, code_mode(vcpu));
    if (len <= 0) {
        c->key = UINT64_MAX;
        fault_gp(vcpu, 0);
        return NULL;
    }
    feature_limit(vcpu->model, &c->in);
    c->key = key;
    c->low_mask = len < 8 ? ~(UINT64_MAX << 8 * len) : UINT64_MAX;
    c->high_mask = len > 8 ? ~(UINT64_MAX << 8 * (len - 8)) : 0;
    c->low = low & c->low_mask;
    c->high = high & c->high_mask;
    return &c->in;
}

/* The TLB does not know the code's page. Has it been filled? Else the rest is fetch_slow()'s. */
static __attribute__((noinline)) bool fill_code(struct vcpu *vcpu, uint64_t gla)
{
    const uint8_t *host;
    uint64_t gpa;

    return !mem_fetch_ptr(vcpu, gla, &host, &gpa) &&
           tlb_hit(vcpu->tlb[vcpu->cpl == 3], MEM_EXEC, gla);
}

/* The instruction at CS:rip, or NULL with the fault raised. */
static inline const struct insn *fetch(struct vcpu *vcpu)
{
    const struct tlb *tlb = vcpu->tlb[vcpu->cpl == 3];
    const struct segment *cs = &vcpu->seg[SEG_CS];
    uint64_t rip = vcpu->rip, gla = (cs->base + rip) & UINT32_MAX, gpa, key, low, high;
    const uint8_t *host;
    struct cached *c;

    if (__builtin_expect(rip > cs->limit || cs->limit - rip < FETCH_BYTES ||
                             (gla & PAGE_MASK) > PAGE_SIZE - FETCH_BYTES, 0))
        return fetch_slow(vcpu);
    if (__builtin_expect(!tlb_hit(tlb, MEM_EXEC, gla), 0) && !fill_code(vcpu, gla))
        return fetch_slow(vcpu);
    host = (const uint8_t *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla);
    gpa = (uint64_t)(host - vcpu->mem->ram);
    key = gpa << 1 | (code_mode(vcpu) == MODE_32);
    c = &vcpu->decode_cache->entry[(gpa ^ gpa >> PAGE_SHIFT) & (CACHE_ENTRIES - 1)];
    __builtin_memcpy(&low, host, 8);
    __builtin_memcpy(&high, host + 8, 8);
    if (__builtin_expect(c->key == key && !(((low & c->low_mask) ^ c->low) |
                                            ((high & c->high_mask) ^ c->high)), 1))
        return &c->in;
    return fetch_miss(vcpu, c, key, low, high);
}

/* --- Executing ------------------------------------------------------------ */

/* LOCK is for read-modify-write instructions with a memory destination (SDM 2, LOCK). */
static bool lock_allowed(const struct insn *in)
{
    const uint32_t need = A_LOCKABLE | A_WRITES_MEM;

    return in->has_mem && (in->info->attr & need) == need;
}

static inline enum step execute(struct vcpu *vcpu, const struct insn *in)
{
    uint32_t from = (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip);
    bool shadow = vcpu->intr_shadow;
    enum step step;

    if (__builtin_expect(in->info->attr & A_UNDEFINED || !in->info->interp, 0))
        return fault_ud(vcpu);
    if (__builtin_expect(in->prefixes & PREFIX_LOCK, 0) && !lock_allowed(in))
        return fault_ud(vcpu);
    vcpu->eflags &= ~EFLAGS_RF;
    step = in->info->interp(vcpu, in);
    if (step == STEP_NEXT)
        vcpu->rip = (vcpu->rip + in->len) & UINT32_MAX;
    else if (step == STEP_FAULT)
        return step;
    else if (in->info->attr & A_STRING) { /* interrupted between iterations (SDM 3, 17.3.1.1) */
        vcpu->eflags |= EFLAGS_RF;
        vcpu->stats.insns_interp--; /* counted when it goes on */
    } else if (__builtin_expect(vcpu->transfers && vcpu->transfers->all, 0)) {
        transfers_add(vcpu, TRANSFER_BRANCH, 0, from);
    }
    if (__builtin_expect(shadow, 0)) /* it lasts one instruction and is not prolonged */
        vcpu->intr_shadow = vcpu->debug_shadow = false;
    return step;
}

enum step interp_execute(struct vcpu *vcpu, const struct insn *in)
{
    vcpu->stats.insns_interp++;
    return execute(vcpu, in);
}

/* An interrupt's delivery clears TF and the trap with it; what else ran under TF traps. */
static bool delivers_interrupt(const struct insn *in, enum step step)
{
    return step == STEP_JUMPED && (in->id == M_INT || in->id == M_INT3 || in->id == M_INTO);
}

static void debug_traps(struct vcpu *vcpu, const struct insn *in, enum step step, bool stepping)
{
    if (vcpu->debug_shadow) /* MOV SS: held back until after the next instruction */
        return;
    if (stepping && !delivers_interrupt(in, step))
        debug_pend(vcpu, DR6_BS);
    if (!vcpu->debug_pending)
        return;
    debug_raise_pending(vcpu);
    fault_deliver(vcpu);
}

static enum step deliver(struct vcpu *vcpu)
{
    vcpu->debug_pending = 0;
    fault_deliver(vcpu);
    return STEP_FAULT;
}

static inline enum step one(struct vcpu *vcpu)
{
    uint32_t stepping = vcpu->eflags & EFLAGS_TF;
    const struct insn *in;
    enum step step;

    if (__builtin_expect(debug_armed(vcpu), 0) && debug_code_hit(vcpu))
        return deliver(vcpu);
    in = fetch(vcpu);
    if (__builtin_expect(!in, 0))
        return deliver(vcpu);
    vcpu->stats.insns_interp++;
    step = execute(vcpu, in);
    if (__builtin_expect(step == STEP_FAULT, 0))
        return deliver(vcpu);
    if (__builtin_expect(stepping | vcpu->debug_pending, 0))
        debug_traps(vcpu, in, step, stepping);
    return step;
}

enum step interp_one(struct vcpu *vcpu)
{
    return one(vcpu);
}

/* Takes an NMI or an interrupt if one is due and can be taken. */
static bool take_interrupt(struct vcpu *vcpu)
{
    if (vcpu->nmi_pending && !vcpu->nmi_blocked && !vcpu->intr_shadow) {
        vcpu->nmi_pending = false;
        vcpu->nmi_blocked = true;
        fault_interrupt(vcpu, VEC_NMI);
        return true;
    }
    if (!vcpu_can_interrupt(vcpu))
        return false;
    fault_interrupt(vcpu, vcpu->env->intr_ack(vcpu->env->board));
    return true;
}

static inline void step(struct vcpu *vcpu)
{
    if (__builtin_expect(vcpu->nmi_pending | vcpu->intr_line, 0) && take_interrupt(vcpu))
        return;
    if (__builtin_expect(!vcpu->halted, 1))
        one(vcpu);
}

void interp_step(struct vcpu *vcpu)
{
    step(vcpu);
}

/* --- The engine ----------------------------------------------------------- */

static void *engine_create(struct vcpu *vcpu, struct engine_request *request)
{
    (void)request;
    return vcpu->decode_cache;
}

static void engine_destroy(struct vcpu *vcpu)
{
    vcpu->engine_state = NULL;
}

static enum exit_reason interpret(struct vcpu *vcpu)
{
    enum stops_found found;

    for (;;) {
        if (__builtin_expect(vcpu->exit_request, 0)) {
            vcpu->exit_request = false;
            return EXIT_REQUEST;
        }
        if (__builtin_expect(vcpu->stop->end != VM_RUNNING, 0))
            return EXIT_STOP;
        found = stops_now(vcpu);
        if (__builtin_expect(found == STOPS_DUE, 0))
            return EXIT_DEBUG;
        if (__builtin_expect(found == STOPS_PASSED, 0))
            continue;
        step(vcpu);
        if (__builtin_expect(vcpu->halted, 0) && !vcpu_can_interrupt(vcpu) &&
            !(vcpu->nmi_pending && !vcpu->nmi_blocked))
            return vcpu->stop->end != VM_RUNNING ? EXIT_STOP : EXIT_HALT;
    }
}

static enum exit_reason engine_run(struct vcpu *vcpu)
{
    enum spent_on before = spent_begin(vcpu->spent, SPENT_INTERPRETER);
    enum exit_reason reason = interpret(vcpu);

    spent_back(vcpu->spent, before);
    return reason;
}

static void engine_stats(const struct vcpu *vcpu,
                         void (*put)(void *arg, const char *name, uint64_t value), void *arg)
{
    (void)vcpu, (void)put, (void)arg;
}

const struct engine engine_interp = {
    .name = "interp",
    .help = "interprets guest code: slow, and the measure of what is right",
    .create = engine_create,
    .destroy = engine_destroy,
    .run = engine_run,
    .stats = engine_stats,
};
