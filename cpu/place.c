/*
 * What becomes of an access that the software TLB does not know: the walk, what the TLB may keep of
 * it, devices, ROM, and pages with breakpoints. Reference: SDM volume 3, chapter 4.
 */
#include "cpu/place.h"

#include "cpu/debug.h"
#include "cpu/event.h"
#include "cpu/fault.h"
#include "cpu/paging.h"
#include "cpu/stops.h"

static unsigned fill_rights(const struct vcpu *vcpu, const struct walk *w, enum mem_access access,
                            bool user)
{
    unsigned rights = 1u << access | 1u << MEM_READ;
    bool may_write = w->writable || (!user && !(vcpu->cr0 & CR0_WP));

    if (may_write && w->dirty)
        rights |= 1u << MEM_WRITE;
    if (!w->nx)
        rights |= 1u << MEM_EXEC;
    if (vcpu->mem->watch[w->gpa >> PAGE_SHIFT] || !physmem_is_writable(vcpu->mem, w->gpa))
        rights &= ~(1u << MEM_WRITE);
    return rights;
}

/* The guest's breakpoints, and a debugger's. */
static bool page_watched(const struct vcpu *vcpu, uint64_t gla)
{
    return (debug_armed(vcpu) && debug_page_watched(vcpu, gla)) ||
           (stops_data(vcpu) && stops_data_page(vcpu, gla));
}

void place_tell(struct vcpu *vcpu, const struct place *at, unsigned size, bool write)
{
    if (debug_armed(vcpu))
        debug_data_access(vcpu, at->gla, size, write);
    if (stops_data(vcpu))
        stops_data_access(vcpu, at->gla, size, write);
}

static void touch(struct physmem *mem, uint64_t gfn)
{
    uint64_t first;

    if (mem->watch[gfn] & WATCH_DISPLAY)
        physmem_touch(mem, gfn, &first);
}

static void know_device(struct vcpu *vcpu, uint64_t gla, const struct walk *w,
                        enum mem_access access, bool user)
{
    if (vcpu->mmu->filled)
        vcpu->mmu->filled(vcpu, gla, w, user);
    tlb_fill_device(vcpu->tlb[user], gla, w->gpa, access == MEM_WRITE);
}

bool place_walk(struct vcpu *vcpu, uint64_t gla, enum mem_access access, bool user,
                struct place *out)
{
    struct walk w;
    uint32_t error;

    if (!paging_on(vcpu))
        paging_peek(vcpu, gla, &w);
    else if (!paging_walk(vcpu, gla, access, user, &w, &error))
        return fault_page(vcpu, gla, error) == STEP_FAULT;
    out->gpa = w.gpa;
    out->host = NULL;
    out->watched = out->rom = false;
    out->gla = gla;
    out->debug = page_watched(vcpu, gla);
    if (!physmem_is_ram(vcpu->mem, w.gpa)) {
        if (!out->debug && access != MEM_EXEC)
            know_device(vcpu, gla, &w, access, user);
        return false;
    }
    out->host = physmem_ptr(vcpu->mem, w.gpa);
    out->rom = !physmem_is_writable(vcpu->mem, w.gpa);
    if (access == MEM_WRITE)
        touch(vcpu->mem, w.gpa >> PAGE_SHIFT);
    if (out->debug && access != MEM_EXEC) { /* never enters a TLB or a view */
        out->watched = vcpu->mem->watch[w.gpa >> PAGE_SHIFT];
        return false;
    }
    if (vcpu->mmu->filled)
        vcpu->mmu->filled(vcpu, gla, &w, user);
    out->watched = vcpu->mem->watch[w.gpa >> PAGE_SHIFT];
    tlb_fill(vcpu->tlb[user], gla, out->host,
             out->debug ? 1u << MEM_EXEC : fill_rights(vcpu, &w, access, user));
    vcpu->stats.tlb_fills++;
    return false;
}

bool place_device(const struct tlb *tlb, uint64_t gla, enum mem_access access, struct place *out)
{
    const struct tlb_device *d = access == MEM_EXEC ? NULL
                                                    : tlb_device(tlb, access == MEM_WRITE, gla);

    if (!d)
        return false;
    *out = (struct place){ .gpa = d->gpa | (gla & PAGE_MASK), .gla = gla };
    return true;
}

uint64_t place_read_device(struct vcpu *vcpu, const struct place *at, unsigned size)
{
    uint64_t value = vcpu->env->mmio_read(vcpu->env->board, at->gpa, size);

    vcpu->stats.mmio_reads++;
    value &= UINT64_MAX >> (64 - 8 * size);
    event_tell(vcpu, EVENT_mmio_read, at->gpa, value, size);
    return value;
}

void place_write_other(struct vcpu *vcpu, const struct place *at, unsigned size, uint64_t value)
{
    if (at->host) {
        physmem_rom_store(vcpu->mem, at->gpa, value, size);
        return;
    }
    vcpu->stats.mmio_writes++;
    event_tell(vcpu, EVENT_mmio_write, at->gpa, value, size);
    vcpu->env->mmio_write(vcpu->env->board, at->gpa, size, value);
}
