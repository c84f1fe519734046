/* Lines beside code in the software TLB (T4) and single operands (T6): new code takes back what it
 * overlaps, nothing else; whatever else takes a write right back takes back all of them. */
#include "cpu/tlb.h"
#include "tests/check.h"

#define GLA 0x7c00u
#define LINES 8u
#define LINE (1u << TLB_LINE_SHIFT)

static _Alignas(PAGE_SIZE) uint8_t page[PAGE_SIZE];
static struct tlb tlb;

static uint8_t *host_of(unsigned line)
{
    return page + GLA % PAGE_SIZE + line * LINE;
}

static bool may_write(unsigned line)
{
    uint64_t number = (GLA >> TLB_LINE_SHIFT) + line;
    unsigned i = number & (TLB_ENTRIES - 1);

    return tlb.line_tag[i] + number == 0 &&
           tlb.line_addend[i] + (number << TLB_LINE_SHIFT) == (uintptr_t)host_of(line);
}

static unsigned writable(void)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < LINES; i++)
        bits |= (unsigned)may_write(i) << i;
    return bits;
}

static void fill(void)
{
    for (unsigned i = 0; i < LINES; i++)
        tlb_fill_line(&tlb, GLA + i * LINE, host_of(i));
    CHECK_EQ(writable(), 0xff);
}

static void test_overlaps(void)
{
    static const struct {
        int at;         /* of the code, from the first line on */
        unsigned size, left;
    } cases[] = {
        { 2 * LINE, LINE, 0xfb },         /* a whole line */
        { 2 * LINE + 5, 1, 0xfb },        /* one byte of it */
        { 2 * LINE + 15, 1, 0xfb }, { 2 * LINE + 15, 2, 0xf3 }, /* its last byte, and the next */
        { 2 * LINE - 1, 1, 0xfd }, { 2 * LINE - 1, LINE + 2, 0xf1 },
        { 0, LINES * LINE, 0 }, { -1, 1, 0xff }, { LINES * LINE, LINE, 0xff },
        { -(int)LINE, 10 * LINE, 0 },
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fill();
        tlb_drop_lines(&tlb, host_of(0) + cases[i].at, cases[i].size);
        CHECK_EQ(writable(), cases[i].left);
        CHECK_EQ(tlb.has_lines, cases[i].left != 0);
    }
}

static void test_all(void)
{
    fill();
    tlb_protect(&tlb, page, 1);
    CHECK_EQ(writable(), 0);
    CHECK_EQ(tlb.has_lines, 0);
    fill();
    tlb_flush(&tlb);
    CHECK_EQ(writable(), 0);
}

/* T6: the spots of every size at a byte, beside a line. */
static void test_spots(void)
{
    for (unsigned log2_size = 0; log2_size < 4; log2_size++)
        for (int at = -9; at < 10; at++) {
            unsigned size = 1u << log2_size, i = (GLA + 8) % TLB_ENTRIES;
            bool overlaps = at < (int)size && at + 2 > 0;

            tlb_flush(&tlb);
            tlb_fill_line(&tlb, GLA + 4 * LINE, host_of(4));
            tlb_fill_spot(&tlb, GLA + 8, log2_size, host_of(0) + 8);
            CHECK_EQ(tlb.line_addend[i] + GLA + 8, (uintptr_t)host_of(0) + 8);
            tlb_drop_lines(&tlb, host_of(0) + 8 + at, 2);
            CHECK_EQ(tlb.line_tag[i] == tlb_spot(GLA + 8, log2_size), !overlaps);
            CHECK_EQ(may_write(4), true);
            tlb_protect(&tlb, page, 1);
            CHECK_EQ(tlb.line_tag[i], TLB_NONE);
        }
}

int main(void)
{
    tlb_init(&tlb);
    test_overlaps();
    test_spots();
    test_all();
    return CHECK_DONE();
}
