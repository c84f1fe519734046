/*
 * 04 a page fault: three kinds of it, of which this kernel sees one.
 *
 * A monitor without nested paging keeps a shadow of the guest's page tables, and the shadow is what
 * the accesses go by. So an access can miss because
 *   true      the guest's own tables do not allow it: the guest must see #PF,
 *   hidden    they do, but the shadow has not got there yet: the monitor fills it, and nobody sees,
 *   trace     it writes to a page table itself: the monitor must hear of that, or the shadow lies.
 *
 * On the command line: true, hidden, trace or reload; each does its thing PAGES times. stay: sleeps
 * at the end, so that one can look at it.
 *
 * Reference: SDM volume 3, sections 4.3 and 4.7; Adams and Agesen, ASPLOS 2006, section 2.4.
 */
#include "exercise.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"

enum { PAGES = 100, AREA = PAGING_TEST };

static uint8_t frames[PAGES][PAGE] __attribute__((aligned(PAGE)));
static unsigned seen; /* page faults that came here */
static bool exercised;

static volatile uint8_t *page(unsigned i)
{
    return (volatile uint8_t *)(AREA + i * PAGE);
}

static void map_frame(unsigned i, unsigned frame)
{
    *paging_pte(AREA + i * PAGE) = (uint32_t)frames[frame] | PTE_P | PTE_W;
}

static void map(unsigned i)
{
    map_frame(i, i);
}

/* #PF: CR2 has the address. To return is to try again. */
static void on_page_fault(struct frame *f)
{
    uint32_t address = read_cr2();

    seen++;
    if (exercised && !give_page(address)) {
        print("page fault at %08x, error %x: refused\n", address, f->error);
        boot_exit(0);
    }
    if (!exercised)
        map((address - AREA) / PAGE);
}

static void touch_all(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        *page(i) = i;
}

/* Nothing is mapped: each first touch is the guest's own fault. */
static void true_faults(void)
{
    touch_all();
}

/* All is mapped before: to the guest these are plain stores. */
static void hidden_faults(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        map(i);
    touch_all();
}

/* Each store goes to a page table that the shadow has been filled from. Until the TLB is flushed it
 * need not take effect; all of the TLB is flushed by a write to CR3, one page of it by INVLPG. */
static void trace_faults(bool reload)
{
    map(0);
    *page(0) = 1;
    for (unsigned i = 0; i < PAGES; i++) {
        map_frame(0, i);
        if (reload)
            write_cr3(read_cr3());
        else
            invlpg(AREA);
        *page(0) = i;
    }
}

static void demand_paging(void)
{
    unsigned sum = 0;

    exercised = true;
    for (unsigned i = 0; i < 8; i++)
        sum += *page(i * 3); /* a fresh page is all zeros */
    for (unsigned i = 0; i < 8; i++)
        *page(i * 3) = i;
    for (unsigned i = 0; i < 8; i++)
        sum += *page(i * 3);
    print("sum %u after %u page faults\n", sum, seen);
    *(volatile uint8_t *)(AREA + (1 << 20)) = 0; /* behind the 64 pages that there are */
    print("an access beyond the end was let through\n");
}

unsigned guest_main(void)
{
    paging_init(false, false);
    trap_set(VEC_PF, on_page_fault);
    if (boot_option("true", NULL))
        true_faults();
    if (boot_option("hidden", NULL))
        hidden_faults();
    if (boot_option("trace", NULL))
        trace_faults(false);
    if (boot_option("reload", NULL))
        trace_faults(true);
    if (boot_option("exercise", NULL))
        demand_paging();
    else
        print("this kernel saw %u page faults\n", seen);
    while (boot_option("stay", NULL))
        sti_hlt(); /* nothing interrupts: the PICs are masked */
    return 0;
}
