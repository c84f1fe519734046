/*
 * Guest pages and registers in a sandboxed process, for all privileges: the page tables' U bit is
 * not looked at, since CPL 0 is what runs there as CPL 3. Each privilege has a sandbox of its own.
 */
#include "trap/space.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/fpu.h"
#include "cpu/segment.h"

#define PAGES_MAX 16384u
#define PAGES_4G (1u << 20)
#define LARGE_PAGE (4ull << 20) /* the largest there is */

/* --- Life ---------------------------------------------------------------------------- */

const char *space_create(struct space *space, struct sandbox_host *host)
{
    const struct sandbox_caps *caps = sandbox_host_caps(host);
    const char *why;

    space->min_gva = caps->min_gva;
    space->max_gva = caps->max_gva;
    space->tsc_fault = caps->tsc_fault;
    space->pages_max = caps->max_areas / 2 < PAGES_MAX ? caps->max_areas / 2 : PAGES_MAX;
    space->page = calloc(space->pages_max, sizeof(*space->page));
    space->rights = calloc(PAGES_4G, 1);
    if (!space->page || !space->rights)
        return "no memory";
    space->sandbox = sandbox_create(host, &why);
    return space->sandbox ? NULL : why;
}

void space_destroy(struct space *space)
{
    sandbox_destroy(space->sandbox);
    free(space->page);
    free(space->rights);
}

bool space_revive(struct space *space, struct sandbox_host *host)
{
    const char *why;

    sandbox_destroy(space->sandbox);
    space->sandbox = sandbox_create(host, &why);
    memset(space->rights, 0, PAGES_4G);
    space->pages = 0;
    return space->sandbox;
}

/* --- Mapping ------------------------------------------------------------------------- */

void space_empty(struct space *space)
{
    for (unsigned i = 0; i < space->pages; i++)
        space->rights[space->page[i]] = 0;
    if (space->pages)
        sandbox_unmap(space->sandbox, space->min_gva,
                      (space->max_gva - space->min_gva) / PAGE_SIZE);
    space->pages = 0;
    space->stale = false;
}

void space_drop(struct space *space, uint64_t gla)
{
    uint64_t from = gla & ~(LARGE_PAGE - 1), to = from + LARGE_PAGE;

    if (from < space->min_gva)
        from = space->min_gva;
    if (to > space->max_gva)
        to = space->max_gva;
    if (from >= to)
        return;
    memset(space->rights + (from >> PAGE_SHIFT), 0, (to - from) >> PAGE_SHIFT);
    sandbox_unmap(space->sandbox, from, (to - from) / PAGE_SIZE);
}

bool space_map(struct space *space, uint64_t gla, uint64_t gpa, unsigned rights)
{
    uint32_t page = (uint32_t)(gla >> PAGE_SHIFT);

    if (gla < space->min_gva || gla >= space->max_gva)
        return false;
    if (space->pages == space->pages_max)
        space_empty(space);
    if (!space->rights[page])
        space->page[space->pages++] = page;
    space->rights[page] = (uint8_t)rights;
    return !sandbox_map(space->sandbox, gla & ~PAGE_MASK, gpa & ~PAGE_MASK, 1, rights, false);
}

enum mem_fill space_fill(struct space *space, struct vcpu *vcpu, uint64_t gla,
                         enum mem_access access)
{
    unsigned rights = SANDBOX_READ | SANDBOX_EXEC | (access == MEM_WRITE ? SANDBOX_WRITE : 0);
    enum mem_fill fill = mem_fill(vcpu, gla, 1, access);
    uint64_t gpa;

    if (fill != MEM_FILLED)
        return fill;
    if ((space->rights[gla >> PAGE_SHIFT] & rights) == rights) /* that was not what is missing */
        return MEM_SPECIAL;
    if (!mem_debug_translate(vcpu, gla, &gpa) || !space_map(space, gla, gpa, rights))
        return MEM_SPECIAL;
    return MEM_FILLED;
}

/* --- Registers ----------------------------------------------------------------------- */

static bool is_flat(const struct segment *s, uint32_t wanted)
{
    return (s->attr & (wanted | SEG_UNUSABLE)) == wanted && s->limit == UINT32_MAX;
}

static bool is_data(const struct segment *s)
{
    return is_flat(s, SEG_P | SEG_S | SEG_WRITABLE) && !(s->attr & (SEG_CODE | SEG_EXPDOWN));
}

static bool usable(const struct segment *s, bool any_base)
{
    return selector_null(s->selector) || (is_data(s) && (any_base || !s->base));
}

static bool flat_segments(const struct segment *seg)
{
    const uint32_t code = SEG_P | SEG_S | SEG_CODE | SEG_DB;

    return is_flat(&seg[SEG_CS], code) && !seg[SEG_CS].base && is_data(&seg[SEG_SS]) &&
           !seg[SEG_SS].base && seg[SEG_SS].attr & SEG_DB && usable(&seg[SEG_DS], false) &&
           usable(&seg[SEG_ES], false) && usable(&seg[SEG_FS], true) &&
           usable(&seg[SEG_GS], true);
}

/* The guest's counter is not the host's (it was paused, or wrote it), or not for its user code. */
static bool tsc_differs(const struct vcpu *vcpu)
{
    return vcpu->tsc_offset || vcpu->cr4 & CR4_TSD;
}

bool space_allowed(const struct space *space, const struct vcpu *vcpu)
{
    return vcpu_protected(vcpu) && !(vcpu->eflags & (EFLAGS_VM | EFLAGS_TF)) &&
           !(vcpu->cr0 & (CR0_TS | CR0_EM)) && !(vcpu->dr[7] & 0xff) && !vcpu->a20_masked &&
           (space->tsc_fault || !tsc_differs(vcpu)) && !vcpu->intr_shadow &&
           flat_segments(vcpu->seg) && vcpu->rip >= space->min_gva && vcpu->rip < space->max_gva;
}

static uint16_t selector_for(const struct segment *s)
{
    return selector_null(s->selector) ? 0 : SANDBOX_DS;
}

void space_put(struct space *space, struct vcpu *vcpu, struct sandbox_regs *r)
{
    uint64_t on = vcpu->cr4 & CR4_OSXSAVE ? vcpu->xcr0 : XCR0_X87 | XCR0_SSE, present;

    *r = (struct sandbox_regs){
        .rip = vcpu->rip,
        .eflags = vcpu->eflags & (SPACE_FLAGS | EFLAGS_R1),
        .cs = SANDBOX_CS32,
        .ss = SANDBOX_DS,
        .ds = selector_for(&vcpu->seg[SEG_DS]),
        .es = selector_for(&vcpu->seg[SEG_ES]),
        .fs = selector_for(&vcpu->seg[SEG_FS]),
        .gs = selector_for(&vcpu->seg[SEG_GS]),
        .fs_base = selector_for(&vcpu->seg[SEG_FS]) ? vcpu->seg[SEG_FS].base : 0,
        .gs_base = selector_for(&vcpu->seg[SEG_GS]) ? vcpu->seg[SEG_GS].base : 0,
    };
    for (unsigned i = 0; i < 8; i++)
        r->gpr[i] = vcpu->gpr[i];
    memcpy(&present, vcpu->fpu + FPU_XSTATE_BV, sizeof(present));
    present &= on;
    memcpy(vcpu->fpu + FPU_XSTATE_BV, &present, sizeof(present));
    if (space->tsc_fault)
        sandbox_fault_tsc(space->sandbox, tsc_differs(vcpu));
    sandbox_set_xstate(space->sandbox, vcpu->fpu, sizeof(vcpu->fpu));
}

static uint64_t pointer(const struct vcpu *vcpu, unsigned at)
{
    uint64_t value;

    memcpy(&value, vcpu->fpu + at, sizeof(value));
    return value;
}

void space_get_fpu(struct space *space, struct vcpu *vcpu)
{
    uint64_t fip = pointer(vcpu, FPU_FIP), fdp = pointer(vcpu, FPU_FDP);
    uint32_t selectors;

    memcpy(&selectors, vcpu->fpu + FPU_FCS, sizeof(selectors)); /* ours: F3 */
    sandbox_get_xstate(space->sandbox, vcpu->fpu, sizeof(vcpu->fpu));
    memcpy(vcpu->fpu + FPU_FCS, &selectors, sizeof(selectors));
    fpu_taken(vcpu, fip, fdp);
}
