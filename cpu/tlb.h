/*
 * The software TLB: linear page to host address, one table for each view (address space and
 * privilege). Translated code probes it inline (translator/probe.c), so its layout is a contract.
 *
 * T1. tag[access][i] + page == 0 means: the page (gla >> 12) may be accessed so without looking
 *     further: it is RAM, rights are granted, A (and for writes D) is set.
 * T2. A write tag is never present for a frame that is watched (base/physmem.h).
 * T3. The three tags of an index that are not TLB_NONE are all of one page.
 * T4. line_tag[i] + line == 0 means: the line of 16 bytes (gla >> 4) may be written although its
 *     frame is watched: for code, of which there is none in the line. All that takes a write right
 *     back takes back these too, and new code the lines that it overlaps. With paging there are
 *     none, nor where gla is not the physical address: neighbours are neighbours in the host.
 * T5. A few pages of devices are known, too, for C alone: what holds for tag[], but where they are
 *     is a guest physical address.
 * T6. line_tag[gla % TLB_ENTRIES] == tlb_spot(gla, log2 of the size) means what T4 does for these
 *     bytes of a page, which may be code whose translation reads them each time it runs; with
 *     paging too, and for CPL 3. What takes back lines takes back these.
 */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/physmem.h"

#define TLB_BITS 8
#define TLB_ENTRIES (1u << TLB_BITS)
#define TLB_NONE (1ull << 63)

#define TLB_LINE_SHIFT 4
#define TLB_LINE_SIZE (1ull << TLB_LINE_SHIFT)

#define TLB_DEVICES 8

struct tlb_device {
    uint64_t tag[2];              /* reads, writes: minus the page number, or TLB_NONE */
    uint64_t gpa;                 /* of the page */
};

struct tlb {
    uint64_t tag[3][TLB_ENTRIES]; /* by enum mem_access: minus the page number, or TLB_NONE */
    uint64_t addend[TLB_ENTRIES]; /* host address minus gla */
    uint64_t line_tag[TLB_ENTRIES]; /* minus the line number, a spot's (T6), or TLB_NONE */
    uint64_t line_addend[TLB_ENTRIES];
    bool has_lines;               /* some line tag is not TLB_NONE */
    bool has_devices;             /* some of device[] is in use */
    struct tlb_device device[TLB_DEVICES]; /* by page number */
    uint64_t drops;               /* how often pages were forgotten because they may have changed */
};

static inline unsigned tlb_index(uint64_t gla)
{
    return gla >> PAGE_SHIFT & (TLB_ENTRIES - 1);
}

static inline int tlb_hit(const struct tlb *tlb, unsigned access, uint64_t gla)
{
    return tlb->tag[access][tlb_index(gla)] + (gla >> PAGE_SHIFT) == 0;
}

static inline const struct tlb_device *tlb_device(const struct tlb *tlb, bool write, uint64_t gla)
{
    const struct tlb_device *d = &tlb->device[(gla >> PAGE_SHIFT) % TLB_DEVICES];

    return d->tag[write] + (gla >> PAGE_SHIFT) == 0 ? d : NULL;
}

/* Before its first use. */
void tlb_init(struct tlb *tlb);

/* Forgets everything. */
void tlb_flush(struct tlb *tlb);

/* Forgets the pages that overlap [gla, gla + size). */
void tlb_drop(struct tlb *tlb, uint64_t gla, uint64_t size);

/* Forgets write rights to count frames from host address (a page of RAM) on. */
void tlb_protect(struct tlb *tlb, const uint8_t *host, uint64_t count);

/* T4: the line of gla, whose host address is host, may be written. */
void tlb_fill_line(struct tlb *tlb, uint64_t gla, const uint8_t *host);

/* T6. Never minus a line's number: it is less than 2^36, and not 0. */
static inline uint64_t tlb_spot(uint64_t gla, unsigned log2_size)
{
    return (gla << 3 | log2_size) + 1;
}

/* T6: the bytes at gla, whose host address is host, may be written. Log2_size: 0 to 7. */
void tlb_fill_spot(struct tlb *tlb, uint64_t gla, unsigned log2_size, const uint8_t *host);

/* Forgets the lines and spots that [host, host + size) overlaps. */
void tlb_drop_lines(struct tlb *tlb, const uint8_t *host, uint64_t size);

/* Gla's page is a device's, at the page of gpa: it may be read, and written if write is set. */
void tlb_fill_device(struct tlb *tlb, uint64_t gla, uint64_t gpa, bool write);

/* Adds rights (bit n: enum mem_access n) for gla's page, which is host's page of RAM. */
void tlb_fill(struct tlb *tlb, uint64_t gla, const uint8_t *host, unsigned rights);

#endif
