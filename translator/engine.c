/* The bt engine: runs translated code, translates what is missing, interprets what it does not
 * take. */
#include "cpu/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/spent.h"
#include "cpu/fault.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"
#include "cpu/tlb.h"
#include "translator/offsets.h"
#include "translator/segments.h"
#include "translator/switch.h"
#include "translator/unit.h"

_Static_assert(offsetof(struct vcpu, gpr) == OFF_GPR, "offsets.h");
_Static_assert(offsetof(struct vcpu, rip) == OFF_RIP, "offsets.h");
_Static_assert(offsetof(struct vcpu, eflags) == OFF_EFLAGS, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.host_rsp) == OFF_HOST_RSP, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.jump_table) == OFF_JUMP_TABLE, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.jumps) == OFF_JUMPS, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.tlb) == OFF_TLB, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.window) == OFF_WINDOW, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.scratch) == OFF_SCRATCH, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.flag_if) == OFF_FLAG_IF, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.flag_df) == OFF_FLAG_DF, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.fpu_loaded) == OFF_FPU_LOADED, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.system_flags) == OFF_SYSTEM_FLAGS, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.saved) == OFF_SAVED, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.seg_tlb) == OFF_SEG_TLB, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.x87_data) == OFF_X87_DATA, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt.light_flags) == OFF_LIGHT_FLAGS, "offsets.h");
_Static_assert(offsetof(struct vcpu, seg[SEG_CS].base) == OFF_CS_BASE, "offsets.h");
_Static_assert(offsetof(struct vcpu, bt_seg) == OFF_BT_SEG, "offsets.h");
_Static_assert(sizeof(struct bt_segment) == 24, "strings.S");
_Static_assert(offsetof(struct bt_segment, limit) == 8, "strings.S");
_Static_assert(sizeof(((struct jump_table *)0)->tag) == JUMP_HOST, "offsets.h");
_Static_assert(offsetof(struct tlb, line_tag) == TLB_LINE_TAG, "offsets.h");
_Static_assert(offsetof(struct tlb, line_addend) == TLB_LINE_ADDEND, "offsets.h");

#define JUMP_SHIFT 2 /* of jump_slot(), where the host has RORX */
#define CACHE_SIZE (256u << 20)
#define CACHE_SIZE_MIN (512u << 10) /* a region holds a unit of the largest size */
#define VIEWS 31

/* --- The mode key ----------------------------------------------------------- */

static inline bool flat(const struct segment *s)
{
    return segment_whole(s) && !s->base;
}

static inline bool flat_code(const struct segment *s)
{
    const uint32_t mask = SEG_S | SEG_CODE | SEG_P | SEG_DB | SEG_READABLE | SEG_L;

    return (s->attr & mask) == (mask & ~SEG_L) && s->limit == UINT32_MAX && !s->base;
}

/* Beyond what KEY_FPU says. */
static inline uint32_t vector_key(const struct vcpu *vcpu)
{
    const uint64_t avx = XCR0_SSE | XCR0_AVX;

    if (!(vcpu->cr4 & CR4_OSXSAVE) || (vcpu->xcr0 & avx) != avx)
        return 0;
    return (vcpu->xcr0 & XCR0_AVX512) == XCR0_AVX512 ? KEY_AVX | KEY_AVX512 : KEY_AVX;
}

/* These topics are logged where the guest's FPU state would be in the host's registers, which
 * printing uses too: it stays in struct vcpu. */
static inline bool logs_inside(void)
{
    return novt_log.topics & (1u << LOG_mmu | 1u << LOG_trace);
}

/* Flat 32-bit code of a kernel or a user. */
static bool flat_mode(const struct vcpu *vcpu)
{
    const struct segment *seg = vcpu->seg;

    return vcpu->cr0 & CR0_PE && !(vcpu->eflags & EFLAGS_VM) && flat_code(&seg[SEG_CS]) &&
           flat(&seg[SEG_DS]) && flat(&seg[SEG_ES]) && flat(&seg[SEG_SS]) &&
           seg[SEG_SS].attr & SEG_DB && (vcpu->cpl == 0 || vcpu->cpl == 3);
}

static uint32_t flat_key(const struct vcpu *vcpu)
{
    return vcpu->cpl == 3 ? KEY_OK | KEY_USER | segments_user_key(vcpu) : KEY_OK;
}

uint32_t engine_key(const struct vcpu *vcpu)
{
    uint32_t key;

    if (vcpu->eflags & EFLAGS_TF || vcpu->dr[7] & 0xff)
        return 0;
    if (vcpu->cpl == 3 && vcpu->eflags & EFLAGS_AC && vcpu->cr0 & CR0_AM)
        return 0;
    key = flat_mode(vcpu) ? flat_key(vcpu) : segments_key(vcpu);
    if (!key)
        return 0;
    if (!(vcpu->cr0 & CR0_EM) && !logs_inside()) /* TS: U9 */
        key |= vcpu->cr4 & CR4_OSFXSR ? KEY_FPU | vector_key(vcpu) : KEY_X87;
    if (vcpu->cpl == 0 || !(vcpu->cr4 & CR4_TSD))
        key |= KEY_TSC;
    return key;
}

/* --- Memory ------------------------------------------------------------------- */

static void on_write(void *arg, uint64_t gpa, uint64_t size)
{
    struct translator *t = arg;
    uint8_t watch = physmem_watched(t->vcpu->mem, gpa >> PAGE_SHIFT);
    enum spent_on before = spent_begin(t->vcpu->spent, SPENT_TRACE);

    if (log_on(LOG_trace))
        log_print(LOG_trace, "trace hit by a write of %llu bytes at %llx\n",
                  (unsigned long long)size, (unsigned long long)gpa);
    if (watch & WATCH_TABLE)
        shadowmm_table_written(t->sm, gpa, size);
    if (watch & WATCH_CODE)
        smc_written(t, gpa, size);
    spent_back(t->vcpu->spent, before);
}

static void on_watch(void *arg, uint64_t gfn, uint64_t count)
{
    shadowmm_protect(((struct translator *)arg)->sm, gfn, count);
}

/* --- Running --------------------------------------------------------------------- */

#define SAMPLE_CYCLES 2000000 /* most of a millisecond */

/* A kick is a sample of what the guest is doing. */
static void sample(struct translator *t)
{
    uint64_t now = __builtin_ia32_rdtsc();

    if (now - t->sampled_at < SAMPLE_CYCLES || t->vcpu->halted)
        return;
    t->sampled_at = now;
    bt_fpu_out(t->vcpu); /* what follows may use vector registers */
    t->vcpu->sample_soon = shadowmm_sample(t->sm, t->vcpu->cpl == 3);
    direct_supply(t);
}

/* Delivers what waits and can be taken. True when the guest should not run on now. */
static bool leave_for(struct vcpu *vcpu, enum exit_reason *why)
{
    if (vcpu->stop->end != VM_RUNNING || vcpu->shutdown) {
        *why = EXIT_STOP;
        return true;
    }
    if (vcpu->exit_request) {
        vcpu->exit_request = false;
        sample(translator_of(vcpu));
        *why = EXIT_REQUEST;
        return true;
    }
    if (stops_hit(vcpu)) {
        *why = EXIT_DEBUG;
        return true;
    }
    if (vcpu_can_interrupt(vcpu)) {
        bt_fpu_out(vcpu);
        fault_interrupt(vcpu, vcpu->env->intr_ack(vcpu->env->board));
    }
    *why = EXIT_HALT;
    return vcpu->halted;
}

/* Chains the exit that asked for unit, unless it has gone meanwhile. */
static void link_pending(struct translator *t, struct unit *unit)
{
    uint32_t number = t->pending_exit;
    struct unit_exit *exit;

    t->pending_exit = NO_EXIT;
    if (number == NO_EXIT || t->pending_eip != unit->eip)
        return;
    exit = t->exits[number];
    if (!exit->from->dead && !exit->to && chain_allowed(exit->from, unit))
        chain_link(t, exit, unit);
}

static uint32_t linear(const struct vcpu *vcpu)
{
    return (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip);
}

/* Does the instruction at rip reach into the next page? (Not at the segment's end.) */
static bool crosses(const struct vcpu *vcpu, const uint8_t *code)
{
    unsigned room = PAGE_SIZE - (unsigned)(linear(vcpu) & PAGE_MASK);
    struct insn in;

    return room < INSN_MAX && vcpu->rip + room <= vcpu->seg[SEG_CS].limit &&
           !decode(&in, code, room, vcpu_code32(vcpu) ? MODE_32 : MODE_16);
}

/* U7. Where its second page faults or is not RAM it is done instead, and *done set. */
static struct unit *translate_across(struct translator *t, uint64_t gpa, const uint8_t *code,
                                     uint32_t key, bool *done)
{
    unsigned first = PAGE_SIZE - (unsigned)(gpa & PAGE_MASK);
    uint32_t eip = (uint32_t)t->vcpu->rip, gla = linear(t->vcpu);
    const uint8_t *beyond = NULL;
    uint8_t bytes[INSN_MAX];
    uint64_t gpa2;

    *done = mem_fetch_ptr(t->vcpu, gla + first, &beyond, &gpa2);
    if (*done) {
        fault_deliver(t->vcpu);
        return NULL;
    }
    if (!beyond) {
        *done = true;
        interp_one(t->vcpu);
        return NULL;
    }
    for (unsigned i = 0; i < INSN_MAX; i++)
        bytes[i] = i < first ? code[i] : beyond[i - first];
    return translate_crossing(t, eip, gpa, gpa2, bytes, key);
}

/* Makes the unit at rip, whose first byte is code[0]. NULL: something else has been done. */
static struct unit *make_here(struct translator *t, uint64_t gpa, const uint8_t *code, uint32_t key)
{
    enum spent_on before = spent_begin(t->vcpu->spent, SPENT_TRANSLATION);
    struct unit *unit;
    bool done = false;

    if (crosses(t->vcpu, code))
        unit = translate_across(t, gpa, code, key, &done);
    else
        unit = translate_unit(t, (uint32_t)t->vcpu->rip, gpa, code, key);
    spent_back(t->vcpu->spent, before);
    if (!unit && !done) { /* no memory for its record: others' is worth less than standing still */
        unit_drop_all(t);
        interp_one(t->vcpu);
    }
    return unit;
}

struct unit *engine_unit_here(struct translator *t, uint32_t key)
{
    struct vcpu *vcpu = t->vcpu;
    const uint8_t *code;
    struct unit *unit;
    uint64_t gpa;

    if (vcpu->rip > vcpu->seg[SEG_CS].limit) {
        interp_one(vcpu);
        return NULL;
    }
    if (mem_fetch_ptr(vcpu, linear(vcpu), &code, &gpa)) {
        fault_deliver(vcpu);
        return NULL;
    }
    if (!code) {
        interp_one(vcpu);
        return NULL;
    }
    unit = lookup_find(t, gpa, (uint32_t)vcpu->rip, key);
    if (unit && !lookup_current(t, unit)) {
        unit_drop(t, unit);
        unit = NULL;
    }
    return unit ? unit : make_here(t, gpa, code, key);
}

/* Translates the unit at rip. */
static void translate_here(struct translator *t, uint32_t key)
{
    struct unit *unit = engine_unit_here(t, key);

    if (!unit)
        return;
    if (!lookup_publish(t, unit))
        interp_one(t->vcpu); /* no table may hold it: go on all the same */
    else
        link_pending(t, unit);
}

static uint32_t with_window(const struct translator *t, uint32_t key)
{
    return engine_window(t, key) ? key | KEY_WINDOW : key;
}

/* The unit behind a load of SS that has led to another mode: this time it is interpreted, as an
 * interrupt might come in between, the next time bt_change_mode finds it. False: something else has
 * been done. */
static bool make_shadowed(struct translator *t, uint32_t key)
{
    struct unit *unit = engine_unit_here(t, with_window(t, key));

    if (unit)
        lookup_publish(t, unit);
    return unit;
}

static void run_once(struct translator *t)
{
    struct vcpu *vcpu = t->vcpu;
    uint32_t key = engine_key(vcpu);
    enum spent_on before;

    if (direct_wanted(t, key) && !vcpu->intr_shadow && !vcpu->nmi_pending) {
        direct_run(t);
        return;
    }
    if (!(key & KEY_OK) || vcpu->intr_shadow || vcpu->nmi_pending) {
        bt_fpu_out(vcpu);
        if (key & KEY_OK && vcpu->debug_shadow && !make_shadowed(t, key))
            return;
        t->stats.interpreted++;
        before = spent_begin(vcpu->spent, SPENT_INTERPRETER);
        interp_step(vcpu);
        spent_back(vcpu->spent, before);
        return;
    }
    bt_fpu_out(vcpu);
    translate_here(t, with_window(t, key));
}

/* A debugger's stops. What it passes is interpreted: there is no unit of it. */
static enum stops_found look_for_stop(struct vcpu *vcpu)
{
    if (__builtin_expect(!vcpu->stops, 1) || !vcpu->stops->code_count)
        return STOPS_NONE;
    bt_fpu_out(vcpu);
    return stops_look(vcpu);
}

static enum exit_reason run(struct vcpu *vcpu)
{
    struct translator *t = translator_of(vcpu);
    enum exit_reason why;

    shadowmm_resume(t->sm);
    if (vcpu->stops)
        unit_drop_stopped(t);
    while (!leave_for(vcpu, &why)) {
        enum stops_found found = look_for_stop(vcpu);
        const void *host;

        if (found == STOPS_DUE) {
            why = EXIT_DEBUG;
            break;
        }
        if (found == STOPS_PASSED)
            continue;
        host = bt_lookup(vcpu);
        if (host) {
            t->stats.enters++;
            bt_enter(vcpu, host);
        } else if (!vcpu->exit_request && vcpu->stop->end == VM_RUNNING && !vcpu->shutdown &&
                   !vcpu->halted && !vcpu_can_interrupt(vcpu)) {
            run_once(t);
        }
        if (t->graveyard) {
            bt_fpu_out(vcpu);
            unit_bury(t);
        }
    }
    bt_fpu_out(vcpu);
    shadowmm_pause(t->sm);
    return why;
}

/* --- Life ----------------------------------------------------------------------- */

static void destroy(struct vcpu *vcpu)
{
    struct translator *t = translator_of(vcpu);

    if (!t)
        return;
    if (t->sm)
        unit_drop_all(t);
    cache_destroy(t);
    if (t->sm)
        shadowmm_destroy(t->sm);
    direct_destroy(t);
    vcpu->mem->on_write = NULL;
    vcpu->mem->on_watch = NULL;
    free(t->adapt);
    free(t->hash);
    free(t->by_frame);
    smc_destroy(t);
    free(t->exits);
    for (unsigned i = 0; i < DECIMAL_TABLES; i++)
        free(t->decimal[i]);
    free(t);
    vcpu->engine_state = NULL;
}

/* NOVT_CACHE_SIZE=BYTES makes it smaller, so that its eviction can be tested. */
static size_t cache_size(void)
{
    const char *set = getenv("NOVT_CACHE_SIZE");
    size_t wanted = set ? strtoul(set, NULL, 0) : CACHE_SIZE;

    if (wanted > CACHE_SIZE)
        wanted = CACHE_SIZE;
    if (wanted < CACHE_SIZE_MIN)
        wanted = CACHE_SIZE_MIN;
    return wanted & ~(size_t)(CACHE_REGIONS * PAGE_SIZE - 1);
}

/* 0 or -errno. */
static int allocate(struct translator *t)
{
    int err;

    t->hash = calloc(HASH_SIZE, sizeof(*t->hash));
    t->adapt = calloc(ADAPT_SIZE, sizeof(*t->adapt));
    t->by_frame = calloc(t->vcpu->mem->frames, sizeof(*t->by_frame));
    t->code_map = calloc(t->vcpu->mem->frames, sizeof(*t->code_map));
    if (!t->hash || !t->adapt || !t->by_frame || !t->code_map)
        return -ENOMEM;
    err = cache_create(t, cache_size());
    return err ? err : shadowmm_create(&t->sm, t->vcpu, VIEWS);
}

static const char *why_not(int err)
{
    if (err == -EPERM || err == -EACCES || err == -ENOSYS)
        return "the host forbids mremap() or executable memory, which the translation cache is made"
               " of: a container's seccomp profile?";
    return "no memory for the translation cache: free some, or raise the limit (ulimit -v)";
}

static void *create(struct vcpu *vcpu, struct engine_request *request)
{
    struct translator *t = calloc(1, sizeof(*t));
    int err;

    if (t) {
        t->vcpu = vcpu;
        t->exit_free = t->pending_exit = NO_EXIT;
        t->bmi = host_has_bmi();
        t->bmi2 = host_has_bmi2();
        t->fsgsbase = host_has_fsgsbase();
        vcpu->bt.jump_shift = t->bmi2 ? JUMP_SHIFT : 0;
        t->counting = vcpu->spent;
        t->listener = request->listener;
        vcpu->engine_state = t;
        vcpu->bt.step[0] = 1;
        vcpu->bt.step[1] = -1;
    }
    err = t ? allocate(t) : -ENOMEM;
    if (err) {
        request->error = why_not(err);
        return NULL;
    }
    vcpu->mem->on_write = on_write;
    vcpu->mem->on_watch = on_watch;
    vcpu->mem->arg = t;
    if (precise_install(t)) {
        request->error = "cannot install signal handlers";
        return NULL;
    }
    request->error = tiers_setup(t, request->user);
    return request->error ? NULL : t;
}

/* The instructions that were called out most often. */
static void put_called(const struct translator *t,
                       void (*put)(void *arg, const char *name, uint64_t value), void *arg)
{
    uint64_t below = UINT64_MAX;

    for (unsigned n = 0; n < 12; n++) {
        unsigned best = 0;
        char name[48];

        for (unsigned id = 0; id < M_COUNT; id++)
            if (t->called[id] < below && t->called[id] >= t->called[best])
                best = id;
        if (t->called[best] >= below || !t->called[best])
            return;
        below = t->called[best];
        snprintf(name, sizeof(name), "callouts_%s", t->called_name[best]);
        put(arg, name, below);
    }
}

static void stats(const struct vcpu *vcpu, void (*put)(void *arg, const char *name, uint64_t value),
                  void *arg)
{
    const struct translator *t = vcpu->engine_state;
    const struct shadowmm_stats *s = shadowmm_stats(t->sm);

#define PUT(from, field) put(arg, #field, (from)->field)
    PUT(&t->stats, units);
    PUT(&t->stats, insns_translated);
    PUT(&t->stats, bytes_guest);
    PUT(&t->stats, bytes_host);
    PUT(&t->stats, units_dropped);
    PUT(&t->stats, chains);
    PUT(&t->stats, enters);
    PUT(&t->stats, lookups);
    PUT(&t->stats, lookup_found);
    PUT(&t->stats, callouts);
    PUT(&t->stats, slow_fills);
    PUT(&t->stats, slow_specials);
    PUT(&t->stats, slow_faults);
    PUT(&t->stats, trace_callouts);
    PUT(&t->stats, trace_faults);
    PUT(&t->stats, fpu_loads);
    PUT(&t->stats, described);
    PUT(&t->stats, crossings);
    PUT(&t->stats, modes);
    PUT(&t->stats, interpreted);
    PUT(&t->stats, host_faults);
    PUT(&t->stats, window_faults);
    PUT(&t->stats, sites_adapted);
    PUT(&t->stats, kicks);
    PUT(&t->stats, polls);
    PUT(&t->stats, smc_writes);
    PUT(&t->stats, smc_drops);
    PUT(&t->stats, evictions);
    PUT(s, view_switches);
    PUT(s, view_misses);
    PUT(s, view_evictions);
    PUT(s, tables_traced);
    PUT(s, table_writes);
    PUT(s, table_syncs);
    PUT(s, tables_forgotten);
    PUT(s, tables_rebound);
    PUT(s, entries_dropped);
    PUT(s, invlpgs);
    PUT(s, flushes);
    PUT(s, share_breaks);
    PUT(s, windows_made);
    PUT(s, windows_lost);
    PUT(s, window_maps);
    PUT(s, window_pages);
    PUT(s, window_unmaps);
    PUT(s, window_protects);
    PUT(s, window_evictions);
    PUT(s, window_areas);
    PUT(s, directs_made);
    PUT(s, directs_lost);
    PUT(s, direct_faults);
    PUT(s, direct_areas);
    PUT(s, avoid_looks);
    PUT(s, avoid_pages);
    PUT(s, short_lived);
    PUT(&t->stats, direct_runs);
    PUT(&t->stats, direct_violations);
    PUT(&t->stats, directs_refused);
    put_called(t, put, arg);
#undef PUT
}

static void tenures(const struct vcpu *vcpu, void (*put)(void *arg, const struct tenure *tenure),
                    void *arg)
{
    shadowmm_tenures(((const struct translator *)vcpu->engine_state)->sm, put, arg);
}

const struct engine engine_translator = {
    .name = "bt",
    .help = "translates guest code (the default)",
    .create = create,
    .destroy = destroy,
    .run = run,
    .stats = stats,
    .tenures = tenures,
    .on_kick = precise_kick,
    .interrupted = precise_point,
};
