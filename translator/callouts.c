/* What translated code calls, through switch.S. The guest's state is in struct vcpu meanwhile. */
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/spent.h"
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/fpu.h"
#include "cpu/interp.h"
#include "cpu/tlb.h"
#include "translator/crossing.h"
#include "translator/descriptors.h"
#include "translator/segments.h"
#include "translator/switch.h"
#include "translator/unit.h"

#define NO_DATA UINT32_MAX /* in x87_data: no TLB form since the state was loaded */

/* Only FDP's lower half is known: a window's, which is the guest's offset, or a host address's? The
 * TLB form has noted the offset, which is at the same place in its page where segments are flat. */
static bool data_is_guests(const struct vcpu *vcpu, const struct fpu_last *last,
                           const struct unit *unit)
{
    uint32_t noted = vcpu->bt.x87_data;

    if (!last->low || noted == NO_DATA)
        return last->low;
    return !(unit && unit->key & KEY_SEG) && (noted ^ last->fdp) & PAGE_MASK;
}

/* The host's FPU has recorded the translated instruction's address: the guest's is its unit's. */
static void guest_pointers(struct vcpu *vcpu, const struct fpu_last *last)
{
    struct translator *t = translator_of(vcpu);
    uint64_t ip = last->low && last->ip ? cache_whole(t, (uint32_t)last->ip) : last->ip;
    const void *host = (const void *)(uintptr_t)ip;
    struct unit *unit = ip && cache_holds(t, ip) ? cache_find(t, host) : NULL;
    const struct unit_insn *insn;

    if (last->data && data_is_guests(vcpu, last, unit))
        fpu_set_data(vcpu, last->fdp, SEG_DS);
    else if (last->data)
        fpu_set_data(vcpu, vcpu->bt.x87_data,
                     unit && unit->key & KEY_SEG ? vcpu->bt.x87_seg : SEG_DS);
    if (!unit)
        return;
    insn = &unit->insn[unit_insn_at(unit, host)];
    fpu_set_pointers(vcpu, last, unit->eip + insn->guest, insn->fop);
}

void bt_fpu_out(struct vcpu *vcpu)
{
    struct fpu_last last;

    if (!vcpu->bt.fpu_loaded)
        return;
    last = fpu_save(vcpu);
    guest_pointers(vcpu, &last);
}

void bt_fpu_in(struct vcpu *vcpu)
{
    if (vcpu->bt.fpu_loaded)
        return;
    fpu_load(vcpu);
    if (fpu_drops_pointers(vcpu))
        vcpu->bt.x87_data = NO_DATA;
}

/* U9, before a unit is resumed. */
static void settle_fpu(struct vcpu *vcpu, const struct unit *unit)
{
    if (vcpu->cr0 & CR0_TS)
        bt_fpu_out(vcpu);
    else if (unit->native)
        bt_fpu_in(vcpu);
}

/* Somebody must look before the guest goes on. */
static bool must_leave(const struct vcpu *vcpu)
{
    return vcpu->exit_request || vcpu->halted || vcpu->intr_shadow || vcpu->nmi_pending ||
           vcpu->shutdown || vcpu->stop->end != VM_RUNNING || vcpu_can_interrupt(vcpu);
}

/* The gs base of the current view's window. */
static void enter_window(struct translator *t, const uint8_t *base)
{
    uint64_t value = (uint64_t)(uintptr_t)base;

    if (value == t->vcpu->bt.window)
        return;
    t->vcpu->bt.window = value;
    if (t->fsgsbase)
        __asm__ volatile("wrgsbase %0" : : "r"(value));
    else
        syscall(SYS_arch_prctl, ARCH_SET_GS, value);
}

void translator_window(struct translator *t, bool user)
{
    enter_window(t, shadowmm_window(t->sm, user));
}

/* The mode and the access form of the code to run now. */
static uint32_t current_key(struct translator *t)
{
    uint32_t key = engine_key(t->vcpu);
    const uint8_t *window;

    if (!(key & KEY_OK))
        return key;
    if (direct_wanted(t, key))
        return key | KEY_DIRECT;
    window = engine_window(t, key);
    if (!window)
        return key;
    enter_window(t, window);
    return key | KEY_WINDOW;
}

#define PASSING_INSNS 64 /* so many are interpreted without a look whether they are worth it */

/* Code that does not last, up to what has been translated. */
static void interpret_passing(struct vcpu *vcpu, const struct jump_table *jumps)
{
    struct translator *t = translator_of(vcpu);
    enum spent_on before = spent_begin(vcpu->spent, SPENT_INTERPRETER);

    bt_fpu_out(vcpu);
    for (unsigned i = 0; i < PASSING_INSNS && !must_leave(vcpu); i++) {
        enum step step = interp_one(vcpu);
        uint64_t place = unit_place((uint32_t)vcpu->seg[SEG_CS].base, (uint32_t)vcpu->rip);

        t->stats.interpreted++;
        if (step == STEP_FAULT ||
            (step == STEP_JUMPED && jump_find(jumps, place, vcpu->bt.jump_shift)))
            break;
    }
    spent_back(vcpu->spent, before);
}

/* The code for rip, whose gpa is NO_GPA where none could be made either. A page fault on the fetch
 * is delivered here, and its handler's address looked up next. */
static const void *find_code(struct translator *t, uint32_t key, uint64_t *gpa)
{
    struct vcpu *vcpu = t->vcpu;
    const uint8_t *host;
    const void *code;
    struct unit *unit;

    if (vcpu->rip > vcpu->seg[SEG_CS].limit ||
        mem_fetch_ptr(vcpu, (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip), &host, gpa) || !host) {
        *gpa = NO_GPA;
        return NULL;
    }
    code = lookup_host(t, *gpa, (uint32_t)vcpu->rip, key);
    if (!code) {
        unit = lookup_find(t, *gpa, (uint32_t)vcpu->rip, key);
        if (!unit || !lookup_current(t, unit))
            return NULL;
        lookup_publish(t, unit);
        code = unit->host;
    }
    t->stats.lookup_found++;
    return code;
}

struct jump_table *bt_prepare(struct vcpu *vcpu, uint32_t key)
{
    struct translator *t = translator_of(vcpu);
    struct jump_table *jumps;

    vcpu->eflags &= ~EFLAGS_RF; /* no breakpoint is armed in this mode */
    if (vcpu->cr0 & CR0_TS)
        bt_fpu_out(vcpu);
    if (key & KEY_SEG)
        segments_code(t, &vcpu->seg[SEG_CS], key);
    jumps = shadowmm_jump_table(t->sm, key_set(key), key);
    unit_set_jumps(vcpu, jumps);
    vcpu->bt.tlb = (uint64_t)(uintptr_t)vcpu->tlb[key & KEY_USER];
    segments_refresh(vcpu, key);
    return jumps;
}

/* The host code for rip in the current mode and view, when there is some and nothing speaks
 * against; passing: code that does not last has been interpreted, and rip is another one. */
static const void *look_up(struct vcpu *vcpu, bool *passing)
{
    struct translator *t = translator_of(vcpu);
    uint32_t resume_flag = vcpu->eflags & EFLAGS_RF;
    uint32_t key = current_key(t);
    struct jump_table *jumps;
    const void *host;
    uint64_t place, gpa;

    *passing = false;
    vcpu->bt.leave = 0;
    if (!(key & KEY_OK))
        return NULL;
    jumps = bt_prepare(vcpu, key);
    if (must_leave(vcpu) || key & KEY_DIRECT) { /* after the table: a later kick poisons it */
        vcpu->eflags |= resume_flag; /* an interrupt's frame has it */
        return NULL;
    }
    place = unit_place((uint32_t)vcpu->seg[SEG_CS].base, (uint32_t)vcpu->rip);
    host = jump_find(jumps, place, vcpu->bt.jump_shift);
    if (host)
        return host;
    host = find_code(t, key, &gpa);
    if (host)
        return host;
    *passing = gpa != NO_GPA && !vcpu->stops && adapt_passing(t, gpa);
    if (*passing)
        interpret_passing(vcpu, jumps);
    return NULL;
}

static const void *go_on(struct vcpu *vcpu)
{
    const void *host;
    bool passing;

    do
        host = look_up(vcpu, &passing);
    while (passing);
    return host;
}

/* What C was called for is done: translated code goes on at host, or nothing does. */
static const void *done(struct vcpu *vcpu, const void *host)
{
    descriptors_check(vcpu);
    if (vcpu->spent && host)
        spent_begin(vcpu->spent, engine_window(translator_of(vcpu), engine_key(vcpu))
                                     ? SPENT_CODE_WINDOW
                                     : SPENT_CODE_TLB);
    else
        spent_back(vcpu->spent, SPENT_MONITOR);
    return host;
}

const void *bt_lookup(struct vcpu *vcpu)
{
    translator_of(vcpu)->stats.lookups++;
    spent_begin(vcpu->spent, SPENT_EXIT);
    return done(vcpu, go_on(vcpu));
}

const void *bt_lookup_mode(struct vcpu *vcpu)
{
    const void *host;

    translator_of(vcpu)->stats.lookups++;
    spent_begin(vcpu->spent, SPENT_EXIT);
    host = go_on(vcpu);
    crossing_mode(vcpu);
    return done(vcpu, host);
}

static const void *chain(struct vcpu *vcpu, uint32_t exit_number)
{
    struct translator *t = translator_of(vcpu);
    struct unit_exit *exit = t->exits[exit_number];
    const void *host;
    struct unit *to;

    vcpu->rip = exit->eip;
    host = go_on(vcpu);
    if (!host) {
        t->pending_exit = exit_number;
        t->pending_eip = exit->eip;
        return NULL;
    }
    to = cache_find(t, host);
    if (to && to->eip == exit->eip && !exit->to && !exit->from->dead &&
        chain_allowed(exit->from, to))
        chain_link(t, exit, to);
    return host;
}

const void *bt_chain(struct vcpu *vcpu, uint32_t exit_number)
{
    spent_begin(vcpu->spent, SPENT_EXIT);
    return done(vcpu, chain(vcpu, exit_number));
}

/* The instruction at rip, by the interpreter. */
static enum step interpret_one(struct vcpu *vcpu, bool outside)
{
    struct translator *t = translator_of(vcpu);

    t->stats.interpreted++;
    if (outside || novt_log.topics)
        bt_fpu_out(vcpu);
    return interp_one(vcpu);
}

/* It would be looked up for another mode now. */
static bool other_mode(const struct vcpu *vcpu, const struct unit *unit)
{
    return engine_key(vcpu) != (unit->key & ~(uint32_t)KEY_WINDOW);
}

/* On in the same unit behind instruction i, if that still is what comes next. plain: it was one
 * that cannot have changed the mode. */
static const void *after_insn(struct vcpu *vcpu, struct unit *unit, unsigned i, bool plain)
{
    if (unit->dead || vcpu->bt.leave || must_leave(vcpu) || (!plain && other_mode(vcpu, unit)) ||
        vcpu->rip != unit->eip + unit->insn[i + 1].guest || i + 1 == unit->insn_count)
        return go_on(vcpu);
    segments_refresh(vcpu, unit->key);
    settle_fpu(vcpu, unit);
    count_resumed(vcpu, unit, i);
    return unit->host + unit->insn[i + 1].host;
}

/* The access through a segment that is not flat is one that a probe can allow: what it cannot, the
 * interpreter does. */
static bool inside(struct vcpu *vcpu, uint64_t gla, uint32_t info)
{
    unsigned seg = info >> ACCESS_SEG_SHIFT, size = info & 0xff;
    uint32_t offset = (uint32_t)(gla - vcpu->seg[seg].base);
    const struct bt_segment *limits = &vcpu->bt_seg[seg];
    bool write = (info >> 8 & 3) == MEM_WRITE;

    if (info & ACCESS_WRAPS && offset + size > 0x10000)
        return false;
    return offset + (int64_t)size - 1 <= limits->limit[write];
}

/*
 * A segment that is not whole is checked by the interpreter, whatever the page; and a store of the
 * FPU's may come to another exception before its page gets D.
 */
static enum mem_fill fill_for(struct vcpu *vcpu, uint64_t gla, uint32_t info)
{
    unsigned seg = info >> ACCESS_SEG_SHIFT;

    if (info & ACCESS_SEGMENTED && !inside(vcpu, gla, info))
        return MEM_DEVICE;
    if (seg && !(info & ACCESS_SEGMENTED) && !segment_whole(&vcpu->seg[seg]))
        return MEM_DEVICE;
    if (info & ACCESS_FPU && (info >> 8 & 3) == MEM_WRITE)
        return MEM_DEVICE;
    return mem_fill(vcpu, gla, info & 0xff, info >> 8 & 3);
}

/* May the access leave for the board's C? Over a page's end mem_fill() has not looked. */
static bool is_outside(uint64_t gla, uint32_t info, enum mem_fill fill)
{
    return fill == MEM_DEVICE || info & ACCESS_FPU ||
           (gla & PAGE_MASK) + (info & 0xff) > PAGE_SIZE;
}

/* Which address faults first is the interpreter's to say. FPU: a pending #MF and the like come
 * first. */
static bool has_parts(uint32_t info)
{
    return info & (ACCESS_FPU | ACCESS_SEGMENTED) || (info & 0xff) > 8;
}

/* Where the access that goes on at resume was made: for the trace. */
static uint32_t eip_at(struct translator *t, const void *resume)
{
    const struct unit *unit = cache_find(t, resume);

    return unit->eip + unit->insn[unit_insn_at(unit, resume)].guest;
}

static void filled(struct vcpu *vcpu, uint64_t gla, bool write, const char *form, uint64_t eip)
{
    event_at(vcpu, EVENT_hidden_fault, eip, gla, event_word(write ? "write" : "read"),
             event_word(form));
}

static void filled_tlb(struct vcpu *vcpu, uint64_t gla, uint32_t info, const void *resume)
{
    struct translator *t = translator_of(vcpu);

    t->stats.slow_fills++;
    if (__builtin_expect(vcpu->events != NULL, 0))
        filled(vcpu, gla, (info >> 8 & 3) == MEM_WRITE, "tlb", eip_at(t, resume));
}

/* An access that is interpreted at rip: to what is traced? */
static void traced(struct vcpu *vcpu, enum mem_fill fill, uint64_t gla, const char *form,
                   uint64_t *counter)
{
    if (fill != MEM_SPECIAL)
        return;
    ++*counter;
    event_tell(vcpu, EVENT_trace_fault, gla, event_word(form), 0);
}

/* The instruction whose probe missed; most are known, as few make most of such accesses. */
static const struct slow_site *slow_site(struct translator *t, const void *resume)
{
    struct slow_site *site = &t->slow[((uintptr_t)resume >> 3) % SLOW_SITES];
    struct unit *unit;
    unsigned room;
    uint64_t gpa;

    if (site->resume == resume)
        return site;
    unit = cache_find(t, resume);
    *site = (struct slow_site){ resume, unit, unit_insn_at(unit, resume), false, { 0 } };
    if (unit->gpa2 != NO_GPA || unit->insn[site->insn].live) /* live.c, L1 */
        return site;
    gpa = unit->gpa + unit->insn[site->insn].guest;
    room = PAGE_SIZE - (unsigned)(gpa & PAGE_MASK);
    site->decoded = decode(&site->in, physmem_ptr(t->vcpu->mem, gpa),
                           room < INSN_MAX ? room : INSN_MAX,
                           unit->key & KEY_CODE16 ? MODE_16 : MODE_32) > 0;
    return site;
}

/* The site's instruction, by the interpreter. */
static enum step execute_site(struct vcpu *vcpu, const struct slow_site *site, bool outside)
{
    enum step step;

    if (!site->decoded || novt_log.topics)
        return interpret_one(vcpu, outside);
    translator_of(vcpu)->stats.interpreted++;
    if (outside)
        bt_fpu_out(vcpu);
    step = interp_execute(vcpu, &site->in);
    if (step == STEP_FAULT)
        fault_deliver(vcpu);
    return step;
}

/* MOV r32, m32, from a device: what drivers do most, without the interpreter's generality. False:
 * nothing has been done. */
static bool load_device(struct vcpu *vcpu, const struct slow_site *site, uint64_t gla,
                        uint32_t info)
{
    const struct insn *in = &site->in;
    uint64_t value;

    if (info != (MEM_READ << 8 | 4) || !site->decoded || in->id != M_MOV || in->opcode != 0x8b ||
        vcpu->cpl == 3 || vcpu->intr_shadow || vcpu->eflags & EFLAGS_RF || novt_log.topics)
        return false;
    bt_fpu_out(vcpu);
    if (!mem_device_read(vcpu, gla, 4, &value))
        return false;
    vcpu->gpr[in->reg] = (uint32_t)value;
    vcpu->rip = (uint32_t)(vcpu->rip + in->len);
    vcpu->stats.insns_interp++;
    translator_of(vcpu)->stats.interpreted++;
    return true;
}

/* On after a miss that has been filled. */
static const void *after_fill(struct vcpu *vcpu, uint64_t gla, const void *resume)
{
    struct translator *t = translator_of(vcpu);
    enum shadowmm_again again = vcpu->cpl == 3 ? shadowmm_missed(t->sm, gla) : AGAIN_UNKNOWN;
    struct unit *unit;
    unsigned i;

    if (again == AGAIN_UNKNOWN)
        return resume;
    unit = cache_find(t, resume);
    i = unit_insn_at(unit, resume);
    if (!adapt_missed(t, unit, i, again == AGAIN_YES))
        return resume;
    vcpu->rip = unit->eip + unit->insn[i].guest;
    count_left(vcpu, unit, i);
    return go_on(vcpu);
}

static const void *slow_access(struct vcpu *vcpu, uint64_t gla, uint32_t info, const void *resume)
{
    struct translator *t = translator_of(vcpu);
    enum mem_fill fill = fill_for(vcpu, gla, info);
    const struct slow_site *site;
    struct unit *unit;
    unsigned i;
    bool plain;

    if (fill == MEM_FILLED ||
        (fill == MEM_SPECIAL && info & (ACCESS_LINES | ACCESS_SPOTS) &&
         beside_fill(t, gla, info))) {
        filled_tlb(vcpu, gla, info, resume);
        return after_fill(vcpu, gla, resume);
    }
    site = slow_site(t, resume);
    unit = site->unit;
    i = site->insn;
    vcpu->rip = unit->eip + unit->insn[i].guest;
    count_left(vcpu, unit, i);
    if (fill == MEM_FAULTED && !has_parts(info)) {
        t->stats.slow_faults++;
        count_faulted(vcpu, unit);
        if (novt_log.topics)
            bt_fpu_out(vcpu);
        fault_deliver(vcpu);
        return go_on(vcpu);
    }
    t->stats.slow_specials++;
    traced(vcpu, fill, gla, "tlb", &t->stats.trace_callouts);
    if (fill == MEM_SPECIAL)
        beside_wrote(t, unit, i, gla, info);
    spent_rename(vcpu->spent, fill == MEM_SPECIAL ? SPENT_TRACE : SPENT_CALLOUT);
    vcpu->bt.leave = 0;
    plain = site->decoded && site->in.id == M_MOV;
    if (fill == MEM_DEVICE && load_device(vcpu, site, gla, info))
        return after_insn(vcpu, unit, i, true);
    if (execute_site(vcpu, site, is_outside(gla, info, fill)) != STEP_NEXT)
        return go_on(vcpu);
    return after_insn(vcpu, unit, i, plain);
}

const void *bt_access(struct vcpu *vcpu, uint64_t gla, uint32_t info, const void *resume)
{
    spent_begin(vcpu->spent, SPENT_HIDDEN_FAULT);
    return done(vcpu, slow_access(vcpu, gla, info, resume));
}

/* Why the window did not have bt.fault_gla. */
static enum adapt_cause cause_of(struct vcpu *vcpu, enum mem_fill fill)
{
    uint64_t gpa;

    if (fill == MEM_FILLED)
        return ADAPT_HIDDEN;
    if (fill == MEM_DEVICE || !mem_debug_translate(vcpu, vcpu->bt.fault_gla, &gpa))
        return ADAPT_DEVICE;
    return physmem_watched(vcpu->mem, gpa >> PAGE_SHIFT) & WATCH_TABLE ? ADAPT_TABLE : ADAPT_CODE;
}

/*
 * An access to the window faulted; the signal handler has left where in bt.fault_gla and
 * bt.host_rip. What the host's MMU lacks is mapped and the instruction begins anew.
 */
static const void *window(struct vcpu *vcpu)
{
    struct translator *t = translator_of(vcpu);
    struct unit *unit = cache_find(t, (const void *)(uintptr_t)vcpu->bt.host_rip);
    unsigned i = unit_insn_at(unit, (const void *)(uintptr_t)vcpu->bt.host_rip);
    const void *again = unit->host + unit->insn[i].host;
    enum mem_fill fill;

    t->stats.window_faults++;
    count_left(vcpu, unit, i);
    fill = shadowmm_window_fault(t->sm, unit->key & KEY_USER, (uint32_t)vcpu->bt.fault_gla,
                                 vcpu->bt.fault_write);
    if (fill == MEM_FAULTED) {
        count_faulted(vcpu, unit);
        adapt_faulted(t, unit, i, ADAPT_OWN);
        if (novt_log.topics)
            bt_fpu_out(vcpu);
        fault_deliver(vcpu);
        return go_on(vcpu);
    }
    if (fill == MEM_FILLED)
        filled(vcpu, (uint32_t)vcpu->bt.fault_gla, vcpu->bt.fault_write, "window", vcpu->rip);
    if (!shadowmm_touched(t->sm))
        adapt_faulted(t, unit, i, cause_of(vcpu, fill));
    if (fill == MEM_FILLED && unit->dead)
        return go_on(vcpu);
    if (fill == MEM_FILLED) {
        count_repeated(vcpu, unit, i);
        return again;
    }
    traced(vcpu, fill, (uint32_t)vcpu->bt.fault_gla, "window", &t->stats.trace_faults);
    spent_rename(vcpu->spent, fill == MEM_SPECIAL ? SPENT_TRACE : SPENT_CALLOUT);
    vcpu->bt.leave = 0;
    if (interpret_one(vcpu, true) != STEP_NEXT)
        return go_on(vcpu);
    return after_insn(vcpu, unit, i, false);
}

const void *bt_window(struct vcpu *vcpu)
{
    spent_begin(vcpu->spent, SPENT_HIDDEN_FAULT);
    return done(vcpu, window(vcpu));
}

/* A light call has made port accesses. */
static enum step behind_port(struct vcpu *vcpu, const struct insn *in)
{
    struct translator *t = translator_of(vcpu);
    enum port_left left = t->port;

    t->port = PORT_ASKED;
    if (left == PORT_LATER) {
        vcpu->eflags |= EFLAGS_RF; /* as between iterations (SDM 3, 17.3.1.1) */
        return STEP_JUMPED;
    }
    vcpu->stats.insns_interp++;
    vcpu->rip = (vcpu->rip + in->len) & UINT32_MAX;
    return STEP_NEXT;
}

static enum step run_site(struct vcpu *vcpu, const struct unit_site *site)
{
    if (translator_of(vcpu)->port != PORT_ASKED)
        return behind_port(vcpu, &site->in);
    if (site->kind == SITE_FPU || site->kind == SITE_OUTSIDE || novt_log.topics)
        bt_fpu_out(vcpu);
    if (site->kind == SITE_FETCH) {
        bt_fpu_out(vcpu);
        return interp_one(vcpu);
    }
    return interp_execute(vcpu, &site->in);
}

static const void *call_site(struct vcpu *vcpu, struct unit_site *site)
{
    struct translator *t = translator_of(vcpu);
    const struct unit *unit = site->unit;
    enum step step;

    if (site->kind == SITE_LOAD && !(vcpu->cr0 & CR0_TS)) {
        t->stats.fpu_loads++;
        bt_fpu_in(vcpu);
        return unit->host + site->resume;
    }
    t->stats.callouts++;
    t->called[site->in.id]++;
    site->calls += unit->counts;
    count_left_site(vcpu, site);
    vcpu->rip = site->eip;
    event_tell(vcpu, EVENT_callout, event_word(t->called_name[site->in.id]), 0, 0);
    vcpu->bt.leave = t->port != PORT_ASKED;
    step = run_site(vcpu, site);
    if (site->kind == SITE_FETCH && !unit->guest_len)
        adapt_fetched(t, site->unit);
    if (step == STEP_FAULT && site->kind != SITE_FETCH)
        fault_deliver(vcpu);
    if (step != STEP_NEXT || !site->resume || site->kind == SITE_LOAD || vcpu->bt.leave ||
        must_leave(vcpu) || other_mode(vcpu, unit) ||
        vcpu->rip != (uint32_t)(site->eip + site->in.len))
        return go_on(vcpu);
    segments_refresh(vcpu, unit->key);
    settle_fpu(vcpu, unit);
    count_resumed_site(vcpu, site);
    return unit->host + site->resume;
}

const void *bt_call_site(struct vcpu *vcpu, struct unit_site *site)
{
    spent_begin(vcpu->spent, SPENT_CALLOUT);
    return done(vcpu, call_site(vcpu, site));
}

static const void *fault(struct vcpu *vcpu)
{
    struct translator *t = translator_of(vcpu);
    const void *host = (const void *)(uintptr_t)vcpu->bt.host_rip;
    struct unit *unit = cache_find(t, host);

    count_left(vcpu, unit, unit_insn_at(unit, host));
    adapt_trapped(t, unit, unit_insn_at(unit, host));
    interpret_one(vcpu, true);
    return go_on(vcpu);
}

const void *bt_fault(struct vcpu *vcpu)
{
    spent_begin(vcpu->spent, SPENT_CALLOUT);
    return done(vcpu, fault(vcpu));
}
