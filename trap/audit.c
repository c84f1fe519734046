/*
 * The audit: the guest goes on by the interpreter, which is right; each instruction of its kernel
 * that the instruction table calls sensitive (A_SENSITIVE) is also executed deprivileged, by the
 * bare CPU, from the same state, and what it leaves is compared. The others need no look: what is
 * not sensitive does the same at any privilege, or traps.
 *
 *      state -----+--> a copy of its pages, in the sandbox --> executed, or a trap
 *                 |                                               | compare
 *                 +--> the interpreter -----------------------> the state after it
 *
 * The pages it touches are copied to frames where the guest has no memory, so that the guest never
 * sees what went wrong. An instruction that goes on to the next one meets an INT3 there; one that
 * leaves is single-stepped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/physmem.h"
#include "cpu/interp.h"
#include "cpu/segment.h"
#include "cpu/tlb.h"
#include "trap/engine.h"

#define SCRATCH     0xfed80000ull /* frames in guest RAM's file that are nobody's */
#define PAGES       10
#define STEPS_MAX   16
#define INT3        0xcc
#define CACHE_SIZE  16384u /* instructions known to be innocuous */
#define SITES       65536u /* places that have been reported */

struct copy {
    uint64_t gla; /* of the page */
    uint8_t *bytes;
};

struct known {
    uint64_t gla, low, high; /* where, and 16 bytes from there on */
};

struct audit {
    enum audit_mode mode;
    void (*found)(void *arg, const struct audit_find *find);
    void *arg;
    struct copy copy[PAGES];
    unsigned copies;
    struct known known[CACHE_SIZE];
    uint64_t site[SITES]; /* gla + 1 */
    uint64_t audited[M_COUNT], trapped[M_COUNT], differs[M_COUNT];
    uint64_t segmented; /* sensitive, but in code that cannot be deprivileged */
    uint64_t again;     /* at a place that has been reported */
};

/* --- Which instructions -------------------------------------------------------------- */

/* 16 bytes of code at gla, where they can be had at once. */
static const uint8_t *code_at(const struct vcpu *vcpu, uint64_t gla)
{
    const struct tlb *tlb = vcpu->tlb[vcpu->cpl == 3];

    if ((gla & PAGE_MASK) > PAGE_SIZE - 16 || !tlb_hit(tlb, MEM_EXEC, gla))
        return NULL;
    return (const uint8_t *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla);
}

static bool is_sensitive(struct vcpu *vcpu, struct insn *in)
{
    uint8_t code[INSN_MAX];
    unsigned avail;
    bool beyond;

    if (mem_fetch(vcpu, code, &avail, &beyond)) /* the interpreter raises that fault again */
        return false;
    return decode(in, code, avail, vcpu_code32(vcpu) ? MODE_32 : MODE_16) > 0 &&
           in->info->attr & A_SENSITIVE;
}

/* The same, remembering what is not. */
static bool look_at(struct audit *a, struct vcpu *vcpu, struct insn *in)
{
    uint64_t gla = (vcpu->seg[SEG_CS].base + vcpu->rip) & UINT32_MAX;
    const uint8_t *code = code_at(vcpu, gla);
    struct known *known = &a->known[gla % CACHE_SIZE], now = { .gla = gla + 1 };

    if (!code)
        return is_sensitive(vcpu, in);
    memcpy(&now.low, code, 8);
    memcpy(&now.high, code + 8, 8);
    now.gla = (now.gla << 1) + vcpu_code32(vcpu);
    if (known->gla == now.gla && known->low == now.low && known->high == now.high)
        return false;
    if (is_sensitive(vcpu, in))
        return true;
    *known = now;
    return false;
}

/* Where an address is or would be among those that have been reported; NULL: too many to tell. */
static uint64_t *site_of(struct audit *a, uint64_t gla)
{
    uint64_t at = gla * 0x9e3779b1u >> 7;

    for (unsigned i = 0; i < 64; i++) {
        uint64_t *site = &a->site[(at + i) % SITES];

        if (!*site || *site == gla + 1)
            return site;
    }
    return NULL;
}

static bool is_reported(struct audit *a, uint64_t gla)
{
    const uint64_t *site = site_of(a, gla);

    return !site || *site;
}

/* --- Copies of pages ----------------------------------------------------------------- */

static struct copy *find_copy(struct audit *a, uint64_t gla)
{
    for (unsigned i = 0; i < a->copies; i++)
        if (a->copy[i].gla == (gla & ~PAGE_MASK))
            return &a->copy[i];
    return NULL;
}

/* Maps a copy of gla's page. NULL: it is none of memory, or there are too many. */
static struct copy *add_copy(struct trap *t, uint64_t gla)
{
    struct audit *a = t->audit;
    struct physmem *mem = t->vcpu->mem;
    uint64_t frame = SCRATCH + a->copies * PAGE_SIZE, gpa;
    struct copy *copy = find_copy(a, gla);

    if (copy)
        return copy;
    if (a->copies == PAGES || !mem_debug_translate(t->vcpu, gla & ~PAGE_MASK, &gpa) ||
        !physmem_is_ram(mem, gpa) || physmem_is_ram(mem, frame) ||
        !space_map(&t->space[SPACE_KERNEL], gla, frame,
                   SANDBOX_READ | SANDBOX_WRITE | SANDBOX_EXEC))
        return NULL;
    copy = &a->copy[a->copies++];
    *copy = (struct copy){ gla & ~PAGE_MASK, mem->ram + frame };
    memcpy(copy->bytes, physmem_ptr(mem, gpa), PAGE_SIZE);
    return copy;
}

static uint8_t *copied_byte(struct trap *t, uint64_t gla)
{
    struct copy *copy = add_copy(t, gla & UINT32_MAX);

    return copy ? copy->bytes + (gla & PAGE_MASK) : NULL;
}

/* --- Executing it deprivileged ------------------------------------------------------- */

/* What the bare CPU made of it. */
struct outcome {
    bool executed; /* else it trapped, or cannot be executed */
    bool possible;
    struct sandbox_regs given, regs;
};

/* It has run to its end: not back to the monitor by a trap of its own. */
static bool has_executed(const struct sandbox_exit *exit, const struct insn *in, bool stepped)
{
    if (exit->kind == SANDBOX_ESCAPE)
        return true;
    if (exit->kind != SANDBOX_FAULT)
        return false;
    return exit->vector == VEC_DB || (!stepped && exit->vector == VEC_BP && in->id != M_INT3);
}

/* Runs until that instruction is done or has trapped; pages come as they are missed. */
static void run_one(struct trap *t, const struct insn *in, bool stepped, struct outcome *o)
{
    struct sandbox *sandbox = t->space[SPACE_KERNEL].sandbox;
    struct sandbox_exit exit;

    o->possible = true;
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        o->regs = o->given;
        if (sandbox_run(sandbox, &o->regs, 0, &exit))
            break;
        o->executed = has_executed(&exit, in, stepped);
        if (exit.kind == SANDBOX_KICK)
            continue;
        if (sandbox_exit_lost(exit.kind)) {
            vm_stop(t->vcpu->stop, VM_HOST_ERROR, 0, "engine trap: the audit's process is gone");
            return;
        }
        if (exit.kind != SANDBOX_FAULT || exit.vector != VEC_PF || !copied_byte(t, exit.cr2))
            return; /* what it misses there is none: a trap */
    }
    o->possible = false;
}

/* Instructions that look at EFLAGS see no TF of ours: those are not stepped. */
static void execute(struct trap *t, const struct insn *in, struct outcome *o)
{
    struct space *space = &t->space[SPACE_KERNEL];
    bool stepped = in->info->attr & A_FAR;
    uint64_t next = t->vcpu->rip + in->len;
    uint8_t *after, kept;

    *o = (struct outcome){ 0 };
    t->audit->copies = 0;
    space_empty(space);
    after = copied_byte(t, next);
    if (!after || !copied_byte(t, t->vcpu->rip))
        return;
    copied_byte(t, t->vcpu->gpr[RSP] - 4);
    copied_byte(t, t->vcpu->gpr[RSP]);
    kept = *after;
    space_put(space, t->vcpu, &o->given);
    if (stepped)
        o->given.eflags |= EFLAGS_TF;
    else
        *after = INT3;
    run_one(t, in, stepped, o);
    if (!stepped) {
        *after = kept;
        o->regs.rip -= o->executed; /* behind INT3 */
    }
    o->regs.eflags &= ~EFLAGS_TF;
}

/* --- Comparing ----------------------------------------------------------------------- */

static void differ(struct audit_find *find, const char *what, uint64_t expected, uint64_t actual)
{
    struct audit_difference *d = &find->difference[find->count];

    if (expected == actual || find->count == AUDIT_DIFFERENCES)
        return;
    snprintf(d->what, sizeof(d->what), "%s", what);
    d->expected = expected;
    d->actual = actual;
    find->count++;
}

static void compare_registers(struct audit_find *find, const struct vcpu *before,
                              const struct vcpu *v, const struct sandbox_regs *r)
{
    static const char *const names[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
    const uint32_t flags = EFLAGS_ALL & ~(EFLAGS_RF | EFLAGS_TF);

    for (unsigned i = 0; i < 8; i++)
        differ(find, names[i], v->gpr[i], (uint32_t)r->gpr[i]);
    differ(find, "eip", v->rip, (uint32_t)r->rip);
    /* IF and IOPL are the monitor's to know: those from before, since nothing has told it. */
    differ(find, "eflags", v->eflags & flags,
           ((before->eflags & ~SPACE_FLAGS) | (r->eflags & SPACE_FLAGS)) & flags);
}

/* A register that was loaded, by either: its selector, and where it leads. */
static void compare_segment(struct audit_find *find, const char *name, const struct segment *before,
                            const struct segment *now, uint16_t given, uint16_t actual)
{
    char what[16];

    if (now->selector == before->selector && now->base == before->base && actual == given)
        return;
    differ(find, name, now->selector, actual);
    snprintf(what, sizeof(what), "%s base", name);
    if (now->selector == actual)
        differ(find, what, now->base, 0);
}

static void compare_segments(struct audit_find *find, const struct segment *before,
                             const struct segment *now, const struct sandbox_regs *given,
                             const struct sandbox_regs *r)
{
    compare_segment(find, "es", &before[SEG_ES], &now[SEG_ES], given->es, r->es);
    compare_segment(find, "cs", &before[SEG_CS], &now[SEG_CS], given->cs, r->cs);
    compare_segment(find, "ss", &before[SEG_SS], &now[SEG_SS], given->ss, r->ss);
    compare_segment(find, "ds", &before[SEG_DS], &now[SEG_DS], given->ds, r->ds);
    compare_segment(find, "fs", &before[SEG_FS], &now[SEG_FS], given->fs, r->fs);
    compare_segment(find, "gs", &before[SEG_GS], &now[SEG_GS], given->gs, r->gs);
}

static void compare_page(struct audit_find *find, const struct vcpu *v, const struct copy *copy,
                         uint64_t gpa)
{
    const uint8_t *real = physmem_ptr(v->mem, gpa);

    if (!memcmp(real, copy->bytes, PAGE_SIZE))
        return;
    for (unsigned at = 0; at < PAGE_SIZE; at += 4) {
        uint32_t expected, actual;
        char what[24];

        memcpy(&expected, real + at, 4);
        memcpy(&actual, copy->bytes + at, 4);
        if (expected == actual)
            continue;
        snprintf(what, sizeof(what), "[%08llx]", (unsigned long long)(copy->gla + at));
        differ(find, what, expected, actual);
    }
}

static void compare_memory(struct audit_find *find, const struct audit *a, struct vcpu *v)
{
    uint64_t gpa;

    for (unsigned i = 0; i < a->copies; i++)
        if (mem_debug_translate(v, a->copy[i].gla, &gpa) && physmem_is_ram(v->mem, gpa))
            compare_page(find, v, &a->copy[i], gpa);
}

/* --- The audit ----------------------------------------------------------------------- */

static void report(struct trap *t, struct audit_find *find)
{
    struct audit *a = t->audit;

    a->differs[find->insn->id]++;
    *site_of(a, find->gla) = find->gla + 1;
    a->found(a->arg, find);
    if (a->mode == AUDIT_FIRST)
        vm_stop(t->vcpu->stop, VM_EXPECTED, 0, "the audit has found its first instruction");
}

static void judge(struct trap *t, const struct insn *in, const struct outcome *o)
{
    struct vcpu *vcpu = t->vcpu, before = *vcpu;
    struct audit_find find = { .insn = in, .eip = vcpu->rip,
                               .gla = (vcpu->seg[SEG_CS].base + vcpu->rip) & UINT32_MAX };

    if (interp_one(vcpu) == STEP_FAULT) {
        differ(&find, "exception", vcpu->fault.vector, AUDIT_NONE);
    } else {
        compare_registers(&find, &before, vcpu, &o->regs);
        compare_segments(&find, before.seg, vcpu->seg, &o->given, &o->regs);
        compare_memory(&find, t->audit, vcpu);
    }
    if (find.count)
        report(t, &find);
}

void audit_step(struct trap *t)
{
    struct audit *a = t->audit;
    struct vcpu *vcpu = t->vcpu;
    struct outcome outcome;
    struct insn in;

    if (vcpu->cpl == 3 || vcpu_v86(vcpu) || !vcpu_protected(vcpu) || !look_at(a, vcpu, &in)) {
        interp_one(vcpu);
        return;
    }
    if (is_reported(a, (vcpu->seg[SEG_CS].base + vcpu->rip) & UINT32_MAX)) {
        a->again++;
        interp_one(vcpu);
        return;
    }
    if (!space_allowed(&t->space[SPACE_KERNEL], vcpu)) {
        a->segmented++;
        interp_one(vcpu);
        return;
    }
    execute(t, &in, &outcome);
    a->audited[in.id]++;
    a->trapped[in.id] += outcome.possible && !outcome.executed;
    if (outcome.possible && outcome.executed)
        judge(t, &in, &outcome);
    else
        interp_one(vcpu);
}

/* --- Life, statistics ---------------------------------------------------------------- */

struct audit *audit_create(struct trap *t, const struct engine_request *request)
{
    struct audit *a = calloc(1, sizeof(*a));

    (void)t;
    if (!a)
        return NULL;
    a->mode = request->audit;
    a->found = request->audit_found;
    a->arg = request->audit_arg;
    return a;
}

void audit_destroy(struct audit *a)
{
    free(a);
}

static void put_one(const char *name, const char *what, uint64_t value,
                    void (*put)(void *arg, const char *name, uint64_t value), void *arg)
{
    char text[64];

    if (!value)
        return;
    snprintf(text, sizeof(text), "%s_%s", what, name);
    put(arg, text, value);
}

void audit_stats(const struct audit *a,
                 void (*put)(void *arg, const char *name, uint64_t value), void *arg)
{
    for (unsigned id = 0; id < M_COUNT; id++) {
        put_one(trap_insn_name(id), "audited", a->audited[id], put, arg);
        put_one(trap_insn_name(id), "audit_trapped", a->trapped[id], put, arg);
        put_one(trap_insn_name(id), "audit_differs", a->differs[id], put, arg);
    }
    put(arg, "audit_not_possible", a->segmented);
    put(arg, "audit_reported_before", a->again);
}
