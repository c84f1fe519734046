/* What translated code goes by of segments that are not flat (U8). */
#ifndef TRANSLATOR_SEGMENTS_H
#define TRANSLATOR_SEGMENTS_H

#include "translator/unit.h"

extern const struct tlb bt_never; /* hits nothing */
#define DATA_MASK (SEG_S | SEG_CODE | SEG_P | SEG_EXPDOWN | SEG_WRITABLE | SEG_UNUSABLE)
#define DATA_WHOLE (SEG_S | SEG_P | SEG_WRITABLE)

/* A present, writable, expand-up data segment of 4 GiB. */
static inline bool segment_whole(const struct segment *s)
{
    return (s->attr & DATA_MASK) == DATA_WHOLE && s->limit == UINT32_MAX;
}

static inline bool segments_flat(const struct segment *s)
{
    return segment_whole(s) && !s->base;
}

/* bt.seg_tlb for FS and GS as they are now; for segmented code, bt_seg; with KEY_LIMITED, bt_seg of
 * FS and GS. */
void segments_refresh(struct vcpu *vcpu, uint32_t key);
void segments_refresh_one(struct vcpu *vcpu, unsigned seg);
/* KEY_FS, KEY_GS and KEY_LIMITED of flat user code as FS and GS are now. */
uint32_t segments_user_key(const struct vcpu *vcpu);
/* What probes are to know of s; checked: in protected mode. */
struct bt_segment segments_reach(const struct segment *s, bool checked);
/* CS has been loaded with this or will be: U8. For segmented code. */
void segments_code(struct translator *t, const struct segment *cs, uint32_t key);
/* The mode key of code that is not flat, or in real or virtual-8086 mode; engine_key() has looked
 * at what only the interpreter does. 0: that again. */
uint32_t segments_key(const struct vcpu *vcpu);

#endif
