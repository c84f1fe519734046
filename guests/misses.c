/*
 * User code that goes round by round through more pages than a software TLB has, no two of which
 * can be mapped as one: again and again the same pages ("same"), or pages that the kernel has just
 * changed, by INVLPG ("fresh") or their whole table and CR3 ("flushed"). What they hold is looked
 * at here; tests/guest/misses.py looks at how they got there.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"

enum { PAGES = 1024, ROUNDS = 100, FRAMES = 8 << 20 };

extern const uint8_t misses_run[], misses_load[], misses_leaf[];

/* The frame of a page: backwards, so that no two can be mapped as one. */
static uint32_t frame_of(unsigned page)
{
    return FRAMES + (PAGES - 1 - page) * PAGE;
}

static uint32_t number_of(unsigned page)
{
    return page * 0x9e3779b1u;
}

static uint32_t numbers(void)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < PAGES; i++)
        sum += number_of(i);
    return sum;
}

static void map(unsigned page, unsigned shown)
{
    paging_set(paging_pte(PAGING_TEST + page * PAGE), frame_of(shown) | PTE_P | PTE_W | PTE_U);
}

static void make_pages(void)
{
    for (unsigned i = 0; i < PAGES; i++) {
        uint32_t *at = (uint32_t *)frame_of(i);

        for (unsigned n = 0; n < PAGE / 4; n++)
            at[n] = 0;
        at[0] = number_of(i);
        at[4] = (uint32_t)misses_leaf;
        at[8] = ~number_of(i);
        map(i, i);
    }
    write_cr3(read_cr3());
}

static uint32_t run(const uint8_t *code)
{
    struct frame f = trap_frame((uint32_t)code, 3);

    f.esi = PAGING_TEST;
    f.edx = PAGES;
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    return f.ebx;
}

static void same(void)
{
    uint32_t sum = numbers(), round = sum * 3 + PAGES * 3;

    check_begin("same");
    for (unsigned n = 0; n < ROUNDS; n++)
        check_equal("sum", run(misses_run), round);
    for (unsigned i = 0; i < PAGES; i++) {
        const uint32_t *at = (const uint32_t *)frame_of(i);

        check_equal("incl", at[1], ROUNDS);
        check_equal("lock addl", at[2], ROUNDS * 2);
        check_equal("xchgl", at[3], number_of(i));
        check_equal("movups", at[12], ~number_of(i));
    }
    check_end();
}

static void show_table(uint32_t entry)
{
    paging_set(paging_pde(PAGING_TEST), entry);
    write_cr3(read_cr3());
}

/* Each page shows another frame in each round. */
static void changed(const char *name, bool flush)
{
    uint32_t round = numbers() + PAGES, table = *paging_pde(PAGING_TEST);

    check_begin(name);
    for (unsigned n = 0; n < ROUNDS; n++) {
        if (flush)
            show_table(0);
        for (unsigned i = 0; i < PAGES; i++) {
            map(i, i ^ (n + 1) * 8 % PAGES);
            if (!flush)
                invlpg(PAGING_TEST + i * PAGE);
        }
        if (flush)
            show_table(table);
        check_equal("sum", run(misses_load), round);
    }
    check_end();
}

unsigned guest_main(void)
{
    bool all = boot_option("test", NULL);

    paging_init(false, false);
    write_cr4(read_cr4() | CR4_OSFXSR);
    make_pages();
    if (all || boot_option("same", NULL))
        same();
    if (all || boot_option("fresh", NULL))
        changed("fresh", false);
    if (all || boot_option("flushed", NULL))
        changed("flushed", true);
    return check_done();
}
