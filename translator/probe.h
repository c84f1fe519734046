/*
 * The software TLB's probe (translator/probe.c), for access.c and exits.c. What it emits leaves the
 * guest's registers and flags alone and uses r8 to r11 (translator/emit.h).
 */
#ifndef TRANSLATOR_PROBE_H
#define TRANSLATOR_PROBE_H

#include "translator/emit.h"

/* What is to be reached. */
struct reach {
    unsigned seg, size; /* SEG_NONE: the address is linear */
    enum mem_access access;
    uint32_t retry;     /* where its computation begins in the unit */
    bool fpu;           /* of an instruction that needs the guest's FPU state */
    bool narrow;        /* 16-bit addresses */
    bool parts;         /* more than one operand to the guest: each wraps by itself */
};

/* Is the segment's base 0 and its limit 4 GiB in this key? (FS and GS have forms of their own.) */
bool probe_flat(const struct builder *b, unsigned seg);
/* Is it reached by probe_segment(), its limit compared and its base added at run time? */
bool probe_segmented(const struct builder *b, unsigned seg);

/* r8d: the linear address. */
void probe_page(struct builder *b, const struct reach *to);
/* r8d: the offset in the segment, of 16 bits where it is narrow. */
void probe_segment(struct builder *b, const struct reach *to);
/* A write's probe missed (slow->info has ACCESS_LINES): r8d and r11 as it left them. To slow->hit
 * when the operand's line may be written, on to what follows when not. */
void probe_line(struct builder *b, const struct slow_end *slow);
/* A write's line may not be written (slow->info has ACCESS_PAGE_SECOND): what else there is. */
void probe_page_second(struct builder *b, const struct slow_end *slow);
/* The same as probe_line() with ACCESS_SPOTS, when the operand itself may be written (T6). */
void probe_spot(struct builder *b, const struct slow_end *slow);

#endif
