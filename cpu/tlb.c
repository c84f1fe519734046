/* The software TLB: see tlb.h for the invariants. */
#include "cpu/tlb.h"

static void forget_lines(struct tlb *tlb)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++)
        tlb->line_tag[i] = TLB_NONE;
    tlb->has_lines = false;
}

/* Of pages pages from first on. */
static void forget_devices(struct tlb *tlb, uint64_t first, uint64_t pages)
{
    tlb->has_devices = false;
    for (unsigned i = 0; i < TLB_DEVICES; i++) {
        struct tlb_device *d = &tlb->device[i];

        if (-d->tag[0] - first < pages || pages == UINT64_MAX)
            d->tag[0] = d->tag[1] = TLB_NONE;
        tlb->has_devices |= d->tag[0] != TLB_NONE;
    }
}

void tlb_init(struct tlb *tlb)
{
    tlb->has_lines = tlb->has_devices = true;
    tlb_flush(tlb);
}

void tlb_flush(struct tlb *tlb)
{
    tlb->drops++;
    if (tlb->has_lines)
        forget_lines(tlb);
    if (tlb->has_devices)
        forget_devices(tlb, 0, UINT64_MAX);
    for (unsigned access = 0; access < 3; access++)
        for (unsigned i = 0; i < TLB_ENTRIES; i++)
            tlb->tag[access][i] = TLB_NONE;
}

static void drop_index(struct tlb *tlb, unsigned i)
{
    for (unsigned access = 0; access < 3; access++)
        tlb->tag[access][i] = TLB_NONE;
}

/* The page an index holds, or UINT64_MAX. */
static uint64_t page_at(const struct tlb *tlb, unsigned i)
{
    for (unsigned access = 0; access < 3; access++)
        if (tlb->tag[access][i] != TLB_NONE)
            return -tlb->tag[access][i];
    return UINT64_MAX;
}

void tlb_drop(struct tlb *tlb, uint64_t gla, uint64_t size)
{
    uint64_t first = gla >> PAGE_SHIFT, pages = ((gla + size - 1) >> PAGE_SHIFT) - first + 1;

    tlb->drops++;
    if (tlb->has_lines)
        forget_lines(tlb);
    if (tlb->has_devices)
        forget_devices(tlb, first, pages);
    if (pages == 1) {
        unsigned i = tlb_index(gla);

        if (page_at(tlb, i) == first)
            drop_index(tlb, i);
        return;
    }
    for (unsigned i = 0; i < TLB_ENTRIES; i++)
        if (page_at(tlb, i) - first < pages)
            drop_index(tlb, i);
}

void tlb_protect(struct tlb *tlb, const uint8_t *host, uint64_t count)
{
    uint64_t page_host = (uint64_t)(uintptr_t)host & ~PAGE_MASK;

    if (tlb->has_lines)
        forget_lines(tlb);
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        uint64_t tag = tlb->tag[1][i];

        if (tag != TLB_NONE &&
            tlb->addend[i] + (-tag << PAGE_SHIFT) - page_host < count << PAGE_SHIFT)
            tlb->tag[1][i] = TLB_NONE;
    }
}

void tlb_fill_line(struct tlb *tlb, uint64_t gla, const uint8_t *host)
{
    uint64_t line = gla >> TLB_LINE_SHIFT;
    unsigned i = line & (TLB_ENTRIES - 1);

    tlb->line_tag[i] = -line;
    tlb->line_addend[i] = (uint64_t)(uintptr_t)host - gla;
    tlb->has_lines = true;
}

void tlb_fill_spot(struct tlb *tlb, uint64_t gla, unsigned log2_size, const uint8_t *host)
{
    unsigned i = gla & (TLB_ENTRIES - 1);

    tlb->line_tag[i] = tlb_spot(gla, log2_size);
    tlb->line_addend[i] = (uint64_t)(uintptr_t)host - gla;
    tlb->has_lines = true;
}

/* Does the line or the spot i overlap [host, host + size)? */
static bool line_overlaps(const struct tlb *tlb, unsigned i, uint64_t host, uint64_t size)
{
    uint64_t tag = tlb->line_tag[i], gla = -tag << TLB_LINE_SHIFT, length = TLB_LINE_SIZE;

    if (tag && !(tag >> 63)) {
        gla = (tag - 1) >> 3;
        length = 1ull << ((tag - 1) & 7);
    }
    gla += tlb->line_addend[i];
    return gla < host + size && host < gla + length;
}

void tlb_drop_lines(struct tlb *tlb, const uint8_t *host, uint64_t size)
{
    tlb->has_lines = false;
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (tlb->line_tag[i] == TLB_NONE)
            continue;
        if (line_overlaps(tlb, i, (uint64_t)(uintptr_t)host, size))
            tlb->line_tag[i] = TLB_NONE;
        else
            tlb->has_lines = true;
    }
}

void tlb_fill_device(struct tlb *tlb, uint64_t gla, uint64_t gpa, bool write)
{
    uint64_t page = gla >> PAGE_SHIFT;
    struct tlb_device *d = &tlb->device[page % TLB_DEVICES];

    if (d->tag[0] != -page || d->gpa != (gpa & ~PAGE_MASK))
        d->tag[1] = TLB_NONE;
    d->tag[0] = -page;
    if (write)
        d->tag[1] = -page;
    d->gpa = gpa & ~PAGE_MASK;
    tlb->has_devices = true;
}

void tlb_fill(struct tlb *tlb, uint64_t gla, const uint8_t *host, unsigned rights)
{
    unsigned i = tlb_index(gla);
    uint64_t page = gla >> PAGE_SHIFT;
    uint64_t addend = ((uint64_t)(uintptr_t)host & ~PAGE_MASK) - (page << PAGE_SHIFT);

    if (page_at(tlb, i) != page || tlb->addend[i] != addend)
        drop_index(tlb, i);
    tlb->addend[i] = addend;
    for (unsigned access = 0; access < 3; access++)
        if (rights >> access & 1)
            tlb->tag[access][i] = -page;
}
