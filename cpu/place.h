/*
 * Where the bytes of a linear address are: in RAM, in ROM or in a device. For cpu/mem.c alone;
 * what each access of the interpreter does is inline, the rest is in cpu/place.c.
 */
#ifndef CPU_PLACE_H
#define CPU_PLACE_H

#include "cpu/mem.h"
#include "cpu/tlb.h"

/* Where a byte range of one page is. */
struct place {
    uint8_t *host; /* NULL: MMIO at gpa */
    uint64_t gpa;
    bool watched;  /* writes must be told to physmem_written() */
    bool rom;      /* host is for reading */
    bool debug;    /* a data breakpoint or stop is in this page: accesses are told of */
    uint64_t gla;  /* when debug */
};

/* The place of gla by a walk with the rights of CPL 3 (user) or of CPL 0-2; fills the TLB. True
 * when it faulted: vcpu->fault is filled in. */
MUST_CHECK bool place_walk(struct vcpu *vcpu, uint64_t gla, enum mem_access access, bool user,
                           struct place *out);
/* Gla's place if the TLB knows a device there; false if not. */
bool place_device(const struct tlb *tlb, uint64_t gla, enum mem_access access, struct place *out);

/* For at->debug: tells the guest's breakpoints and a debugger's stops of an access. */
void place_tell(struct vcpu *vcpu, const struct place *at, unsigned size, bool write);
uint64_t place_read_device(struct vcpu *vcpu, const struct place *at, unsigned size);
/* To ROM or a device. */
void place_write_other(struct vcpu *vcpu, const struct place *at, unsigned size, uint64_t value);

/* As place_walk(), by the TLB where that knows. */
MUST_CHECK static inline bool place_find(struct vcpu *vcpu, uint64_t gla, enum mem_access access,
                                         bool user, struct place *out)
{
    const struct tlb *tlb = vcpu->tlb[user];

    if (__builtin_expect(!tlb_hit(tlb, access, gla), 0))
        return place_device(tlb, gla, access, out) ? false
                                                   : place_walk(vcpu, gla, access, user, out);
    out->host = (uint8_t *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla);
    out->gpa = (uint64_t)(out->host - vcpu->mem->ram);
    out->watched = out->rom = false; /* T2 */
    out->debug = false;
    return false;
}

static inline uint64_t place_load(const uint8_t *host, unsigned size)
{
    uint64_t value = 0;

    switch (size) {
    case 1: return *host;
    case 2: __builtin_memcpy(&value, host, 2); return value;
    case 4: __builtin_memcpy(&value, host, 4); return value;
    default: __builtin_memcpy(&value, host, 8); return value;
    }
}

static inline void place_store(uint8_t *host, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: *host = (uint8_t)value; return;
    case 2: __builtin_memcpy(host, &value, 2); return;
    case 4: __builtin_memcpy(host, &value, 4); return;
    default: __builtin_memcpy(host, &value, 8); return;
    }
}

/* 1, 2, 4 or 8 bytes. */
static inline uint64_t place_read(struct vcpu *vcpu, const struct place *at, unsigned size)
{
    if (__builtin_expect(at->debug, 0))
        place_tell(vcpu, at, size, false);
    return at->host ? place_load(at->host, size) : place_read_device(vcpu, at, size);
}

static inline void place_write(struct vcpu *vcpu, const struct place *at, unsigned size,
                               uint64_t value)
{
    if (__builtin_expect(at->debug, 0))
        place_tell(vcpu, at, size, true);
    if (!at->host || __builtin_expect(at->rom, 0)) {
        place_write_other(vcpu, at, size, value);
        return;
    }
    place_store(at->host, size, value);
    if (at->watched)
        physmem_written(vcpu->mem, at->gpa, size);
}

#endif
