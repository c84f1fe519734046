/*
 * The CPU's way to memory: linear addresses through paging and the software TLB to guest RAM or
 * MMIO.
 *
 * Every function that can fault returns true when it did (vcpu->fault is then filled in, nothing
 * has been written, no register has changed) and must be looked at. size: 1, 2, 4 or 8 unless said
 * otherwise. Accesses may cross a page end: both pages are checked before anything is written.
 *
 * gla: linear address. The segment functions check type, limit and presence (SDM 3, 5.3) and raise
 * #GP(0) or #SS(0); in 32-bit and 16-bit code the linear address wraps at 4 GiB. Alignment checks
 * (CR0.AM, EFLAGS.AC, CPL 3) raise #AC(0).
 */
#ifndef CPU_MEM_H
#define CPU_MEM_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/vcpu.h"

struct walk;

#define MUST_CHECK __attribute__((warn_unused_result))

enum mem_access { MEM_READ, MEM_WRITE, MEM_EXEC };

/* Sets up vcpu->tlb and the plain flush-on-CR3-write mmu_ops. 0 or -ENOMEM. */
int mem_create(struct vcpu *vcpu);
/* Hears of what changes in vcpu->mem; on_watch only until an engine takes it over. */
void mem_attach(struct vcpu *vcpu);
void mem_destroy(struct vcpu *vcpu);

/* --- data accesses by instructions, with the current CPL's rights --------- */

/* offset: gva in segment seg (SEG_). */
MUST_CHECK bool mem_read(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size,
                         uint64_t *value);
MUST_CHECK bool mem_write(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size,
                          uint64_t value);

/* The read of a read-modify-write: faults as a write would (#PF with W), so that the mem_write that
 * follows to the same place cannot fault. */
MUST_CHECK bool mem_read_modify(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size,
                                uint64_t *value);

/* Any size up to 4096 bytes (fxsave, fldenv, 10-byte reals, XMM operands, ...); all or nothing. */
MUST_CHECK bool mem_read_bytes(struct vcpu *vcpu, unsigned seg, uint64_t offset, void *to,
                               unsigned size);
MUST_CHECK bool mem_write_bytes(struct vcpu *vcpu, unsigned seg, uint64_t offset, const void *from,
                                unsigned size);

/* Would an access of size bytes fault? (write: as a write.) Sets A and D as the access would. */
MUST_CHECK bool mem_probe(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size,
                          bool write);

/* Only the segment part: offset to gla with the checks above. size >= 1. */
MUST_CHECK bool mem_segment(struct vcpu *vcpu, unsigned seg, uint64_t offset, unsigned size,
                            bool write, uint64_t *gla);

/*
 * A host pointer to the RAM behind seg:offset, good for the returned number of bytes (1 to *size,
 * not across the page end), until the next call into this file. Returns false when that succeeded;
 * *host is NULL (and *size the bytes to the page end, at most) where it is MMIO, or where ROM or a
 * watched frame is to be written: then go through mem_read/mem_write. To a frame that only code was
 * made from the write has been told of, so ask for no more than will be written. For string
 * instructions.
 */
MUST_CHECK bool mem_span(struct vcpu *vcpu, unsigned seg, uint64_t offset, bool write,
                         uint64_t *size, uint8_t **host);

/* --- accesses by linear address ------------------------------------------- */

/* With the current CPL's rights. */
MUST_CHECK bool mem_write_linear(struct vcpu *vcpu, uint64_t gla, unsigned size, uint64_t value);

/* Implicit supervisor accesses: descriptor tables, TSS, interrupt frames while CPL changes. */
MUST_CHECK bool mem_read_system(struct vcpu *vcpu, uint64_t gla, unsigned size, uint64_t *value);
MUST_CHECK bool mem_write_system(struct vcpu *vcpu, uint64_t gla, unsigned size, uint64_t value);

/*
 * Fetches up to 15 instruction bytes at CS:rip into code; *avail says how many could be had before
 * the CS limit or a page that faults. True with the fault in vcpu->fault when not even the first
 * can be had. *fault_beyond: true when the bytes end at a page that would fault (vcpu->fault is
 * filled for it: raise it if the instruction turns out longer than *avail) or at the CS limit
 * (#GP).
 */
MUST_CHECK bool mem_fetch(struct vcpu *vcpu, uint8_t *code, unsigned *avail, bool *fault_beyond);

/* Host pointer to the code byte at gla and its gpa, with execute rights of the current CPL. NULL in
 * *host for code outside RAM. For caches of decoded instructions. */
MUST_CHECK bool mem_fetch_ptr(struct vcpu *vcpu, uint64_t gla, const uint8_t **host, uint64_t *gpa);

/*
 * For translated code whose TLB probe at gla missed: walks and fills the TLB of the current CPL.
 * MEM_FILLED: the probe will hit now. MEM_SPECIAL: it never will (a watched frame, across a page
 * end); MEM_DEVICE: nor here (MMIO): run the instruction in the interpreter. MEM_FAULTED:
 * vcpu->fault is filled in.
 */
enum mem_fill { MEM_FILLED, MEM_SPECIAL, MEM_DEVICE, MEM_FAULTED };
enum mem_fill mem_fill(struct vcpu *vcpu, uint64_t gla, unsigned size, enum mem_access access);

/* Reads a device that the TLB knows at gla, with the current CPL's rights. False: it knows none. */
bool mem_device_read(struct vcpu *vcpu, uint64_t gla, unsigned size, uint64_t *value);

/* gla to gpa by a walk that sets no bits and raises nothing: for debuggers and reports. */
bool mem_debug_translate(struct vcpu *vcpu, uint64_t gla, uint64_t *gpa);
/* Reads size bytes at gla for a report; false when any is not mapped RAM. */
bool mem_debug_read(struct vcpu *vcpu, uint64_t gla, void *to, unsigned size);

/* --- what control registers tell the memory system ------------------------ */

/*
 * cpu/control.c calls these after it has changed the register. The default ops flush; the
 * translator's (shadowmm/) keep several tagged views.
 */
struct mmu_ops {
    void (*root_changed)(struct vcpu *vcpu);  /* CR3 written (or PDPTEs reloaded) */
    /* CR0.PG/WP, CR4.PAE/PSE/PGE/SMEP/SMAP, EFER.NXE, A20 */
    void (*mode_changed)(struct vcpu *vcpu);
    /* Other memory, or none, is at some addresses (base/physmem.h, P3). May be NULL. */
    void (*layout_changed)(struct vcpu *vcpu);
    void (*invlpg)(struct vcpu *vcpu, uint64_t gla);
    /* The TLB of CPL 3 (user) or of CPL 0-2 is about to cache this walk. May be NULL. */
    void (*filled)(struct vcpu *vcpu, uint64_t gla, const struct walk *walk, bool user);
};

static inline void mem_root_changed(struct vcpu *vcpu)
{
    vcpu->mmu->root_changed(vcpu);
}

static inline void mem_mode_changed(struct vcpu *vcpu)
{
    vcpu->mmu->mode_changed(vcpu);
}

static inline void mem_invlpg(struct vcpu *vcpu, uint64_t gla)
{
    vcpu->mmu->invlpg(vcpu, gla);
}

#endif
