/*
 * Descriptors that segmented code knows of, and what it compares them with (D1, D2 in
 * descriptors.c).
 */
#ifndef TRANSLATOR_DESCRIPTORS_H
#define TRANSLATOR_DESCRIPTORS_H

#include "translator/unit.h"

/* What a descriptor is wanted for: a kind, the privilege (KEY_RING has no entries), and as what. */
enum descriptor_use {
    USE_KIND = 7,
    USE_DATA = 1,      /* DS, ES; flat or not */
    USE_DATA_ANY = 2,  /* FS, GS */
    USE_STACK = 3,     /* SS; flat or not, of 16 or 32 bits */
    USE_CODE = 4,      /* of 16 or 32 bits */
    USE_GATE = 5,      /* of the IDT, by the vector instead of a selector, and as USE_CODE */
    USE_USER = 8,      /* CPL 3 */
    USE_FLAT = 0x10,
    USE_32 = 0x20,
    USE_TRAP = 0x40,   /* a trap gate */
    USE_GATE_32 = 0x80,
    USE_CHANGES = 0x100, /* as whatever it is: the mode may become another one */
};

/* The entry of vcpu.bt_descriptors that has it, if there is one. */
unsigned descriptors_slot(uint32_t use, uint16_t selector);
/* USE_GATE and more for a vector that INT may use now, at one privilege; 0: it may not. */
unsigned descriptors_gate_use(struct vcpu *vcpu, unsigned vector);
/* Is what selector names in the GDT now 32-bit code? If it is no code: otherwise. */
bool descriptors_wide(struct vcpu *vcpu, uint16_t selector, bool otherwise);
/* D2 */
void descriptors_forget(struct vcpu *vcpu);
/* D1 */
void descriptors_changed(struct vcpu *vcpu);
/* Before something is known: that descriptors are where they are now. */
void descriptors_begin(struct vcpu *vcpu);
static inline void descriptors_check(struct vcpu *vcpu)
{
    if (translator_of(vcpu)->described)
        descriptors_changed(vcpu);
}
/* 8 bytes at gla, the descriptor that selector names: host memory, if CPL 0's TLB has the page and
 * they are in it and in the table; else NULL. */
const void *descriptors_system(const struct vcpu *vcpu, uint64_t gla);
const void *descriptors_at(const struct vcpu *vcpu, uint16_t selector);
/* The descriptor itself, or 0. */
uint64_t descriptors_read(const struct vcpu *vcpu, uint16_t selector);
/* May d be loaded into DS, ES, FS or GS, s (which may be) into SS, and CS at privilege dpl be what
 * selector names? (*cs) */
bool descriptors_data(const struct vcpu *vcpu, uint16_t selector, uint64_t d);
bool descriptors_stack(const struct vcpu *vcpu, const struct segment *s);
bool descriptors_code(const struct vcpu *vcpu, uint16_t selector, unsigned dpl, struct segment *cs);

#endif
