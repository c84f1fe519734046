/*
 * The CPU's way to memory. Reference: SDM volume 3, chapters 4 and 5.
 * Modelled: segmentation, paging, alignment checks, MMIO, data breakpoints' hook.
 * Not yet: 64-bit addresses (canonical checks).
 */
#include "cpu/mem.h"

#include <errno.h>
#include <stdlib.h>

#include "cpu/fault.h"
#include "cpu/paging.h"
#include "cpu/place.h"
#include "cpu/segment.h"

/* --- Life and the plain mmu_ops ------------------------------------------- */

static void flush_both(struct vcpu *vcpu)
{
    tlb_flush(vcpu->tlb[0]);
    tlb_flush(vcpu->tlb[1]);
    vcpu->stats.tlb_flushes++;
}

/* All of the page: how large it was when it was filled, nobody knows (SDM 3, 4.10.4.1). */
static void drop_page(struct vcpu *vcpu, uint64_t gla)
{
    uint64_t largest = vcpu->cr4 & (CR4_PSE | CR4_PAE) ? 1u << 22 : PAGE_SIZE;

    gla &= ~(largest - 1);
    tlb_drop(vcpu->tlb[0], gla, largest);
    tlb_drop(vcpu->tlb[1], gla, largest);
}

static const struct mmu_ops plain_ops = {
    .root_changed = flush_both,
    .mode_changed = flush_both,
    .layout_changed = flush_both,
    .invlpg = drop_page,
};

static void plain_watch(void *arg, uint64_t gfn, uint64_t count)
{
    struct vcpu *vcpu = arg;

    if (vcpu->mmu != &plain_ops)
        return;
    for (unsigned user = 0; user < 2; user++)
        tlb_protect(vcpu->tlb[user], physmem_ptr(vcpu->mem, gfn << PAGE_SHIFT), count);
}

static void layout_changed(void *arg)
{
    struct vcpu *vcpu = arg;

    if (vcpu->mmu->layout_changed)
        vcpu->mmu->layout_changed(vcpu);
}

static void touched(void *arg)
{
    vcpu_kick(arg);
}

void mem_attach(struct vcpu *vcpu)
{
    struct physmem *mem = vcpu->mem;

    mem->on_layout = layout_changed;
    mem->layout_arg = mem->touched_arg = vcpu;
    mem->on_touched = touched;
    if (mem->on_watch)
        return;
    mem->on_watch = plain_watch;
    mem->arg = vcpu;
}

int mem_create(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < 2; i++) {
        vcpu->tlb[i] = aligned_alloc(64, (sizeof(struct tlb) + 63) / 64 * 64);
        if (!vcpu->tlb[i])
            return -ENOMEM;
        tlb_init(vcpu->tlb[i]);
    }
    vcpu->mmu = &plain_ops;
    return 0;
}

void mem_destroy(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < 2 && vcpu->mmu == &plain_ops; i++) {
        free(vcpu->tlb[i]);
        vcpu->tlb[i] = NULL;
    }
}

/* --- Values --------------------------------------------------------------- */

static uint64_t linear_mask(const struct vcpu *vcpu)
{
    return vcpu->efer & EFER_LMA ? UINT64_MAX : UINT32_MAX;
}

static bool crosses_page(uint64_t gla, unsigned size)
{
    return (gla & PAGE_MASK) + size > PAGE_SIZE;
}

/* The two places of a range that crosses a page end; *first bytes are in the first. */
static bool locate_split(struct vcpu *vcpu, uint64_t gla, unsigned size, enum mem_access access,
                         bool user, struct place at[2], unsigned *first)
{
    uint64_t next = ((gla | PAGE_MASK) + 1) & linear_mask(vcpu);

    *first = PAGE_SIZE - (gla & PAGE_MASK);
    if (*first >= size) {
        *first = size;
        return place_find(vcpu, gla, access, user, &at[0]);
    }
    if (place_find(vcpu, gla, access, user, &at[0]) || place_find(vcpu, next, access, user, &at[1]))
        return true;
    /* the second walk may have made the first frame a watched one */
    at[0].watched = at[0].host && vcpu->mem->watch[at[0].gpa >> PAGE_SHIFT];
    return false;
}

/* Byte i of a split range. */
static struct place byte_at(const struct place at[2], unsigned first, unsigned i)
{
    struct place p = at[i >= first];
    unsigned offset = i >= first ? i - first : i;

    p.gpa += offset;
    if (p.debug)
        p.gla += offset;
    if (p.host)
        p.host += offset;
    return p;
}

static bool read_at(struct vcpu *vcpu, uint64_t gla, unsigned size, bool user,
                    enum mem_access access, uint64_t *value)
{
    struct place at[2];
    unsigned first;

    if (__builtin_expect(!crosses_page(gla, size), 1)) {
        if (place_find(vcpu, gla, access, user, &at[0]))
            return true;
        *value = place_read(vcpu, &at[0], size);
        return false;
    }
    if (locate_split(vcpu, gla, size, access, user, at, &first))
        return true;
    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        struct place p = byte_at(at, first, i);

        *value |= place_read(vcpu, &p, 1) << 8 * i;
    }
    return false;
}

static bool write_at(struct vcpu *vcpu, uint64_t gla, unsigned size, bool user, uint64_t value)
{
    struct place at[2];
    unsigned first;

    if (__builtin_expect(!crosses_page(gla, size), 1)) {
        if (place_find(vcpu, gla, MEM_WRITE, user, &at[0]))
            return true;
        place_write(vcpu, &at[0], size, value);
        return false;
    }
    if (locate_split(vcpu, gla, size, MEM_WRITE, user, at, &first))
        return true;
    for (unsigned i = 0; i < size; i++) {
        struct place p = byte_at(at, first, i);

        place_write(vcpu, &p, 1, value >> 8 * i & 0xff);
    }
    return false;
}

/* --- Segments ------------------------------------------------------------- */

static bool segment_fault(struct vcpu *vcpu, unsigned seg)
{
    return fault_raise_error(vcpu, seg == SEG_SS ? VEC_SS : VEC_GP, 0) == STEP_FAULT;
}

static bool type_allows(const struct vcpu *vcpu, const struct segment *s, bool write)
{
    if (!vcpu_protected(vcpu) || vcpu_v86(vcpu))
        return true;
    if (s->attr & SEG_UNUSABLE || !(s->attr & SEG_P))
        return false;
    if (s->attr & SEG_CODE)
        return !write && s->attr & SEG_READABLE;
    return !write || s->attr & SEG_WRITABLE;
}

static bool misaligned(const struct vcpu *vcpu, uint64_t gla, unsigned size)
{
    return vcpu->eflags & EFLAGS_AC && vcpu->cr0 & CR0_AM && vcpu->cpl == 3 &&
           !(size & (size - 1)) && size <= 8 && gla & (size - 1);
}

bool mem_segment(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size, bool write,
                 uint64_t *gla)
{
    const struct segment *s = &vcpu->seg[seg];

    if (!type_allows(vcpu, s, write) || !segment_within(s, offset, size))
        return segment_fault(vcpu, seg);
    *gla = (s->base + offset) & linear_mask(vcpu);
    if (__builtin_expect(misaligned(vcpu, *gla, size), 0))
        return fault_raise_error(vcpu, VEC_AC, 0) == STEP_FAULT;
    return false;
}

bool mem_read(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size, uint64_t *value)
{
    uint64_t gla;

    return mem_segment(vcpu, seg, offset, size, false, &gla) ||
           read_at(vcpu, gla, size, vcpu->cpl == 3, MEM_READ, value);
}

bool mem_write(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size, uint64_t value)
{
    uint64_t gla;

    return mem_segment(vcpu, seg, offset, size, true, &gla) ||
           write_at(vcpu, gla, size, vcpu->cpl == 3, value);
}

bool mem_read_modify(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size,
                     uint64_t *value)
{
    uint64_t gla;

    return mem_segment(vcpu, seg, offset, size, true, &gla) ||
           read_at(vcpu, gla, size, vcpu->cpl == 3, MEM_WRITE, value);
}

/* A copy that needs no vector register. */
static void copy(uint8_t *to, const uint8_t *from, uint64_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static void read_bytes(struct vcpu *vcpu, struct place at, uint8_t *to, unsigned size)
{
    if (__builtin_expect(at.debug, 0))
        place_tell(vcpu, &at, size, false);
    if (at.host) {
        copy(to, at.host, size);
        return;
    }
    for (; size; size--, at.gpa++)
        *to++ = (uint8_t)place_read(vcpu, &at, 1);
}

static void write_bytes(struct vcpu *vcpu, struct place at, const uint8_t *from, unsigned size)
{
    if (__builtin_expect(at.debug, 0))
        place_tell(vcpu, &at, size, true);
    if (at.host && !at.rom) {
        copy(at.host, from, size);
        if (at.watched)
            physmem_written(vcpu->mem, at.gpa, size);
        return;
    }
    for (; size; size--, at.gpa++)
        place_write(vcpu, &at, 1, *from++);
}

bool mem_read_bytes(struct vcpu *vcpu, unsigned seg, uint64_t offset, void *to, unsigned size)
{
    struct place at[2];
    uint64_t gla;
    unsigned first;

    if (mem_segment(vcpu, seg, offset, size, false, &gla) ||
        locate_split(vcpu, gla, size, MEM_READ, vcpu->cpl == 3, at, &first))
        return true;
    read_bytes(vcpu, at[0], to, first);
    if (first < size)
        read_bytes(vcpu, at[1], (uint8_t *)to + first, size - first);
    return false;
}

bool mem_write_bytes(struct vcpu *vcpu, unsigned seg, uint64_t offset, const void *from,
                     unsigned size)
{
    struct place at[2];
    uint64_t gla;
    unsigned first;

    if (mem_segment(vcpu, seg, offset, size, true, &gla) ||
        locate_split(vcpu, gla, size, MEM_WRITE, vcpu->cpl == 3, at, &first))
        return true;
    write_bytes(vcpu, at[0], from, first);
    if (first < size)
        write_bytes(vcpu, at[1], (const uint8_t *)from + first, size - first);
    return false;
}

bool mem_probe(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size, bool write)
{
    struct place at[2];
    uint64_t gla;
    unsigned first;

    return mem_segment(vcpu, seg, offset, size, write, &gla) ||
           locate_split(vcpu, gla, size, write ? MEM_WRITE : MEM_READ, vcpu->cpl == 3, at, &first);
}

/* How many of size bytes from offset lie inside the limit, given that the first does. */
static uint64_t span_limit(const struct segment *s, uint64_t offset, uint64_t size)
{
    uint64_t top = s->limit;

    if ((s->attr & (SEG_CODE | SEG_EXPDOWN)) == SEG_EXPDOWN)
        top = s->attr & SEG_DB ? UINT32_MAX : 0xffff;
    return top - offset + 1 < size ? top - offset + 1 : size;
}

/* Code was made from the frame and nobody else watches it: all that is about to be written is told
 * of at once. */
static bool announce(struct vcpu *vcpu, const struct place *at, uint64_t size)
{
    if (physmem_watched(vcpu->mem, at->gpa >> PAGE_SHIFT) != WATCH_CODE)
        return false;
    physmem_written(vcpu->mem, at->gpa, size);
    return true;
}

bool mem_span(struct vcpu *vcpu, unsigned seg, uint64_t offset, bool write, uint64_t *size,
              uint8_t **host)
{
    struct place at;
    uint64_t gla;

    if (mem_segment(vcpu, seg, offset, 1, write, &gla) ||
        place_find(vcpu, gla, write ? MEM_WRITE : MEM_READ, vcpu->cpl == 3, &at))
        return true;
    *size = span_limit(&vcpu->seg[seg], offset, *size);
    if (*size > PAGE_SIZE - (gla & PAGE_MASK))
        *size = PAGE_SIZE - (gla & PAGE_MASK);
    *host = (write && at.rom) || at.debug ? NULL : at.host;
    if (*host && write && at.watched && !announce(vcpu, &at, *size))
        *host = NULL;
    return false;
}

/* --- Linear and system accesses -------------------------------------------- */

bool mem_write_linear(struct vcpu *vcpu, uint64_t gla, unsigned size, uint64_t value)
{
    return write_at(vcpu, gla & linear_mask(vcpu), size, vcpu->cpl == 3, value);
}

bool mem_read_system(struct vcpu *vcpu, uint64_t gla, unsigned size, uint64_t *value)
{
    return read_at(vcpu, gla & linear_mask(vcpu), size, false, MEM_READ, value);
}

bool mem_write_system(struct vcpu *vcpu, uint64_t gla, unsigned size, uint64_t value)
{
    return write_at(vcpu, gla & linear_mask(vcpu), size, false, value);
}

/* --- Instruction fetch ------------------------------------------------------ */

bool mem_fetch_ptr(struct vcpu *vcpu, uint64_t gla, const uint8_t **host, uint64_t *gpa)
{
    struct place at;

    if (place_find(vcpu, gla & linear_mask(vcpu), MEM_EXEC, vcpu->cpl == 3, &at))
        return true;
    *host = at.host;
    *gpa = at.gpa;
    return false;
}

/* Copies what one page holds of [gla, gla + size). True when its page faults. */
static bool fetch_part(struct vcpu *vcpu, uint64_t gla, uint8_t *code, unsigned size)
{
    struct place at;

    if (place_find(vcpu, gla & linear_mask(vcpu), MEM_EXEC, vcpu->cpl == 3, &at))
        return true;
    at.debug = false; /* data breakpoints do not watch fetches */
    read_bytes(vcpu, at, code, size);
    return false;
}

bool mem_fetch(struct vcpu *vcpu, uint8_t *code, unsigned *avail, bool *fault_beyond)
{
    const struct segment *cs = &vcpu->seg[SEG_CS];
    uint64_t left = cs->limit - vcpu->rip + 1, gla = cs->base + vcpu->rip;
    unsigned want = INSN_MAX, first = PAGE_SIZE - (gla & PAGE_MASK);

    *avail = 0;
    *fault_beyond = false;
    if (vcpu->rip > cs->limit)
        return fault_gp(vcpu, 0) == STEP_FAULT;
    if (cs->limit != UINT32_MAX && left < want) {
        want = (unsigned)left;
        *fault_beyond = true;
        fault_gp(vcpu, 0);
    }
    if (fetch_part(vcpu, gla, code, first < want ? first : want))
        return true;
    *avail = first < want ? first : want;
    if (first >= want)
        return false;
    if (fetch_part(vcpu, gla + first, code + first, want - first))
        *fault_beyond = true;
    else
        *avail = want;
    return false;
}

enum mem_fill mem_fill(struct vcpu *vcpu, uint64_t gla, unsigned size, enum mem_access access)
{
    bool user = vcpu->cpl == 3;
    struct place at;

    if (crosses_page(gla, size))
        return MEM_SPECIAL;
    if (place_device(vcpu->tlb[user], gla, access, &at))
        return MEM_DEVICE;
    if (place_walk(vcpu, gla, access, user, &at))
        return MEM_FAULTED;
    if (!at.host)
        return MEM_DEVICE;
    return tlb_hit(vcpu->tlb[user], access, gla) ? MEM_FILLED : MEM_SPECIAL;
}

bool mem_device_read(struct vcpu *vcpu, uint64_t gla, unsigned size, uint64_t *value)
{
    struct place at;

    if (crosses_page(gla, size) || !place_device(vcpu->tlb[vcpu->cpl == 3], gla, MEM_READ, &at))
        return false;
    *value = place_read_device(vcpu, &at, size);
    return true;
}

/* --- Reports ---------------------------------------------------------------- */

bool mem_debug_translate(struct vcpu *vcpu, uint64_t gla, uint64_t *gpa)
{
    struct walk w;

    if (!paging_peek(vcpu, gla & linear_mask(vcpu), &w))
        return false;
    *gpa = w.gpa;
    return true;
}

bool mem_debug_read(struct vcpu *vcpu, uint64_t gla, void *to, unsigned size)
{
    uint8_t *out = to;
    uint64_t gpa;

    for (unsigned i = 0; i < size; i++) {
        if (!mem_debug_translate(vcpu, gla + i, &gpa) || !physmem_is_ram(vcpu->mem, gpa))
            return false;
        out[i] = *physmem_ptr(vcpu->mem, gpa);
    }
    return true;
}
