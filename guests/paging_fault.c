/*
 * Faults in the middle of instructions: nothing of the instruction may have happened that running
 * it again does not repair, and string instructions go on where they were. Then addresses that wrap
 * at 4 GiB, and segment limits.
 *
 * Reference: SDM volume 3, 6.5 (faults restart), 3.4.5 and 5.3 (limits, expand-down); volume 1,
 * 3.3.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/paging.h"
#include "guests/lib/snippet.h"
#include "guests/lib/trap.h"
#include "guests/paging_tests.h"

extern const struct snippet paging_down_snippets[], paging_up_snippets[];

/* Two pages next to each other. */
enum { FIRST = PAGING_TEST + 0x10000, SECOND = FIRST + PAGE, BACKING = 50 };

static void set_present(uint32_t address, bool present)
{
    uint32_t page = (uint32_t)paging_page(BACKING + (address == SECOND));

    paging_set(paging_pte(address), page | PTE_W | PTE_U | (present ? PTE_P : 0));
    invlpg(address);
}

/* Known contents everywhere around the page end, seen through the pages' own addresses. */
static void fill(void)
{
    for (unsigned i = PAGE - 256; i < PAGE + 256; i++)
        paging_page(BACKING)[i] = i * 7 + (i >> 8);
}

static uint32_t sum(void)
{
    const uint8_t *bytes = paging_page(BACKING);
    uint32_t sum = 0;

    for (unsigned i = PAGE - 256; i < PAGE + 256; i++)
        sum = sum * 33 + bytes[i];
    return sum;
}

static struct frame start(const struct snippet *s, int offset, unsigned ring)
{
    struct frame f = trap_frame((uint32_t)s->code, ring);

    f.eax = 0xa1a2a3a4;
    f.ebx = 0xb1b2b3b4;
    f.ecx = 0xc1c2c3c4;
    f.edx = 0xd1d2d3d4;
    f.esi = 0xe1e2e3e4;
    f.ebp = 0xf1f2f3f4;
    f.edi = f.esp = SECOND + offset;
    return f;
}

static bool same_state(const struct frame *a, const struct frame *b)
{
    return a->eax == b->eax && a->ebx == b->ebx && a->ecx == b->ecx && a->edx == b->edx &&
           a->esi == b->esi && a->edi == b->edi && a->ebp == b->ebp && a->esp == b->esp &&
           ((a->eflags ^ b->eflags) & ~(FL_RF | FL_ARITH)) == 0;
}

/* Runs with the page missing; at each fault makes it present, checks, takes up again. */
static struct frame run_with_faults(const struct snippet *s, struct frame f, uint32_t missing,
                                    unsigned *faults)
{
    *faults = 0;
    set_present(missing, false);
    for (;;) {
        trap_run(&f);
        if (f.vector != VEC_PF || ++*faults > 3)
            return f;
        check_that((read_cr2() & 0xfffff000) == missing, "%s: cr2 %x", s->name, read_cr2());
        check_that(f.eip >= (uint32_t)s->code && f.eip < (uint32_t)s->end, "%s: eip %x", s->name,
                   f.eip);
        f.eflags &= ~FL_RF;
        set_present(missing, true);
    }
}

static bool same_name(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Those in which user code on the bare CPU sees another selector, or table, than the guest's: with
 * the word "direct" they are left out, since one of two runs may be interpreted. */
static bool shows_host(const struct snippet *s)
{
    return boot_option("direct", NULL) &&
           (same_name(s->name, "lcall") || same_name(s->name, "sgdt") ||
            same_name(s->name, "les"));
}

static void compare(const struct snippet *s, int offset, uint32_t missing)
{
    struct frame whole, parts;
    uint32_t whole_sum, parts_sum;
    unsigned faults;

    set_present(FIRST, true);
    set_present(SECOND, true);
    fill();
    whole = start(s, offset, 3);
    trap_run(&whole);
    whole_sum = sum();
    fill();
    parts = run_with_faults(s, start(s, offset, 3), missing, &faults);
    parts_sum = sum();
    check_that(faults <= 1, "%s at %d: %u faults", s->name, offset, faults);
    check_that(whole.vector == TRAP_END && parts.vector == TRAP_END && whole.eip == parts.eip,
               "%s at %d: traps %u at %x, %u at %x", s->name, offset, whole.vector, whole.eip,
               parts.vector, parts.eip);
    check_that(same_state(&whole, &parts) && whole_sum == parts_sum,
               "%s at %d: eax %x %x ecx %x %x esp %x %x edi %x %x, memory %x %x", s->name, offset,
               whole.eax, parts.eax, whole.ecx, parts.ecx, whole.esp, parts.esp, whole.edi,
               parts.edi, whole_sum, parts_sum);
}

static void restarts(void)
{
    check_begin("restart-down");
    for (const struct snippet *s = paging_down_snippets; s->name; s++)
        for (int offset = 0; offset <= 40; offset++)
            if (!shows_host(s))
                compare(s, offset, FIRST);
    check_end();
    check_begin("restart-up");
    for (const struct snippet *s = paging_up_snippets; s->name; s++)
        for (int offset = -20; offset <= 0; offset++)
            if (!shows_host(s))
                compare(s, offset, SECOND);
    check_end();
}

/*
 * Of a selector's slot on the stack Intel's CPUs touch 16 bits when it is pushed or popped, and
 * never the page behind them; all of it when a far RET pops CS (SDM 2, RET).
 */
static void selector_slots(void)
{
    static const struct {
        const char *name;
        uint8_t code[4];
        int offset; /* of esp, from the missing page */
        unsigned vector;
    } cases[] = {
        { "pop es", { 0x07, 0xcd, 0x30 }, -2, TRAP_END },
        { "pop ds", { 0x1f, 0xcd, 0x30 }, -2, TRAP_END },
        { "pop fs", { 0x0f, 0xa1, 0xcd, 0x30 }, -2, TRAP_END },
        { "push es", { 0x06, 0xcd, 0x30 }, 2, TRAP_END },
        { "lret", { 0xcb, 0xcd, 0x30 }, -6, 14 },
    };

    check_begin("selector-slots");
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct frame f = trap_frame((uint32_t)cases[i].code, 3);
        uint8_t *end = paging_page(BACKING) + PAGE;

        set_present(FIRST, true);
        set_present(SECOND, false);
        *(uint32_t *)(end - 6) = f.eip + 1;
        *(uint16_t *)(end - 2) = (uint16_t)(same_name(cases[i].name, "lret") ? f.cs : f.ds);
        f.esp = SECOND + cases[i].offset;
        trap_run(&f);
        check_that(f.vector == cases[i].vector, "%s: trap %u", cases[i].name, f.vector);
    }
    check_end();
}

/* A store whose second half faults leaves the first half alone. */
static void no_partial_store(void)
{
    static const uint8_t store[] = { 0x89, 0x07, 0xcd, 0x30 }; /* mov %eax, (%edi) */

    check_begin("no-partial-store");
    for (unsigned bytes = 1; bytes <= 3; bytes++) {
        struct frame f = trap_frame((uint32_t)store, 3);

        fill();
        set_present(FIRST, true);
        set_present(SECOND, false);
        f.edi = SECOND - bytes;
        f.eax = 0xffffffff;
        trap_run(&f);
        check_equal("trap", f.vector, VEC_PF);
        check_equal("cr2", read_cr2(), SECOND);
        check_equal("error", f.error, 6);
        check_equal("the byte before", paging_page(BACKING)[PAGE - 1],
                    (uint8_t)((PAGE - 1) * 7 + ((PAGE - 1) >> 8)));
    }
    check_end();
}

/* IRET whose frame lies half on a missing page, and an instruction that does. */
static void fetch_and_iret(void)
{
    static const uint8_t iret_code[] = { 0xcf };
    struct frame f = trap_frame((uint32_t)iret_code, 3);
    uint8_t *bytes = paging_page(BACKING);

    check_begin("fetch-and-iret");
    set_present(FIRST, true);
    set_present(SECOND, false);
    f.esp = SECOND - 4;
    trap_run(&f);
    check_equal("iret", f.vector, VEC_PF);
    check_equal("iret's esp", f.esp, SECOND - 4);
    /* the bare CPU may begin with another of the words that are missing */
    check_that(boot_option("direct", NULL) ? read_cr2() - SECOND < 8 : read_cr2() == SECOND,
               "iret's cr2 is %x", read_cr2());
    for (unsigned i = 1; i < 5; i++) {
        bytes[PAGE - i] = 0xb8; /* mov $imm, %eax */
        for (unsigned j = 1; j < 5; j++)
            bytes[PAGE - i + j] = j;
        bytes[PAGE - i + 5] = 0xcd;
        bytes[PAGE - i + 6] = TRAP_END;
        set_present(SECOND, false);
        f = trap_frame(SECOND - i, 3);
        trap_run(&f);
        check_equal("fetch", f.vector, VEC_PF);
        check_equal("fetch's eip", f.eip, SECOND - i);
        check_equal("fetch's cr2", read_cr2(), SECOND);
        set_present(SECOND, true);
        trap_run(&f);
        check_equal("eax", f.eax, 0x04030201);
    }
    check_end();
}

/* --- Addresses that wrap ------------------------------------------------ */

enum { WRAP_BASE = 0xfffffff0 };

/* fs: begins 16 bytes below 4 GiB. Page 0 is mapped where it is. */
static void wrap(void)
{
    static const uint8_t store[] = { 0x64, 0x89, 0x07, 0xcd, 0x30 };
    static const uint8_t load[] = { 0x64, 0x8b, 0x07, 0xcd, 0x30 };
    volatile uint32_t *pte = paging_pte(PAGING_TEST + 0x1ff000);
    volatile uint32_t *pde = paging_pde(0xfffff000);
    uint8_t *top = paging_page(BACKING), saved[16];
    uint64_t old = paging_get(pde), test_pde = paging_get(paging_pde(PAGING_TEST));

    check_begin("wrap");
    for (unsigned i = 0; i < 16; i++)
        saved[i] = *(volatile uint8_t *)i;
    paging_set(pde, test_pde);
    paging_set(pte, (uint32_t)top | PTE_P | PTE_W | PTE_U);
    paging_set(paging_pte(PAGING_TEST + 0x3ff000), (uint32_t)top | PTE_P | PTE_W | PTE_U);
    write_cr3(read_cr3());
    gdt[FREE_SELECTOR / 8] = segment_make((uint32_t)WRAP_BASE, 0xffff, ACCESS_DATA | ACCESS_DPL3,
                                          FLAGS_32);
    for (unsigned offset = 12; offset <= 16; offset++) {
        struct frame f = trap_frame((uint32_t)store, 3);
        uint32_t value = 0x44332211 + offset;

        f.fs = FREE_SELECTOR | 3;
        f.edi = offset;
        f.eax = value;
        trap_run(&f);
        check_equal("store", f.vector, TRAP_END);
        for (unsigned i = 0; i < 4; i++) {
            uint32_t at = WRAP_BASE + offset + i;

            check_equal("byte", at < PAGE ? *(volatile uint8_t *)at : top[at & 0xfff],
                        value >> 8 * i & 0xff);
        }
        f = trap_frame((uint32_t)load, 3);
        f.fs = FREE_SELECTOR | 3;
        f.edi = offset;
        trap_run(&f);
        check_equal("load", f.eax, value);
    }
    for (unsigned i = 0; i < 16; i++)
        *(volatile uint8_t *)i = saved[i];
    paging_set(pde, old);
    write_cr3(read_cr3());
    check_end();
}

/* --- Segment limits ----------------------------------------------------- */

static const struct limit_case {
    uint32_t limit;
    uint8_t access, flags;
    uint32_t offset;
    bool allowed;
} limit_cases[] = {
    { 0xfff, ACCESS_DATA, FLAGS_32, 0xffc, true },
    { 0xfff, ACCESS_DATA, FLAGS_32, 0xffd, false },
    { 0xfff, ACCESS_DATA, FLAGS_32, 0xfff, false },
    { 0xfff, ACCESS_DATA, FLAGS_32, 0x1000, false },
    { 0xfff, ACCESS_DATA, FLAGS_32, 0xfffffffe, false },
    { 0, ACCESS_DATA, FLAGS_32, 0, false },
    { 0, ACCESS_DATA, FLAGS_FLAT, 0xffc, true }, /* in pages: 4095 */
    { 0, ACCESS_DATA, FLAGS_FLAT, 0xffd, false },
    { 0xfff, ACCESS_DATA | 4, FLAGS_32, 0xfff, false }, /* expand-down: above the limit */
    { 0xfff, ACCESS_DATA | 4, FLAGS_32, 0x1000, true },
    { 0xfff, ACCESS_DATA | 4, FLAGS_32, 0xffc, false },
    { 0xfff, ACCESS_DATA | 4, FLAGS_16, 0x1000, true },
    { 0xfff, ACCESS_DATA | 4, FLAGS_16, 0xfffc, true },
    { 0xfff, ACCESS_DATA | 4, FLAGS_16, 0xfffd, false },
    { 0xfff, ACCESS_DATA | 4, FLAGS_16, 0x10000, false },
};

/* The base puts every allowed offset into the two pages. */
static void check_limit(const struct limit_case *c, bool stack)
{
    static const uint8_t with_fs[] = { 0x64, 0x8b, 0x07, 0xcd, 0x30 };
    static const uint8_t with_ss[] = { 0x36, 0x8b, 0x07, 0xcd, 0x30 };
    uint32_t base = FIRST - (c->offset & 0xfffff000);
    struct frame f = trap_frame((uint32_t)(stack ? with_ss : with_fs), 3);

    gdt[FREE_SELECTOR / 8] = segment_make(base, c->limit, c->access | ACCESS_DPL3, c->flags);
    f.fs = FREE_SELECTOR | 3;
    if (stack)
        f.ss = FREE_SELECTOR | 3;
    f.edi = c->offset;
    trap_run(&f);
    check_that(f.vector == (c->allowed ? TRAP_END : stack ? (uint32_t)VEC_SS : (uint32_t)VEC_GP) &&
                   f.error == 0,
               "%s limit %x type %x at %x: trap %u error %x", stack ? "ss" : "fs", c->limit,
               c->access, c->offset, f.vector, f.error);
}

static void limits(void)
{
    set_present(FIRST, true);
    set_present(SECOND, true);
    check_begin("limits");
    for (unsigned i = 0; i < ARRAY_SIZE(limit_cases); i++)
        for (unsigned stack = 0; stack < 2; stack++)
            check_limit(&limit_cases[i], stack);
    check_end();
}

/* Code that runs into the end of its segment: #GP at the instruction that does not fit. */
static void fetch_limit(void)
{
    uint8_t *code = paging_page(BACKING);

    set_present(FIRST, true);
    check_begin("fetch-limit");
    for (unsigned length = 1; length <= 15; length++) {
        for (unsigned limit = 1; limit < 15; limit++) {
            struct frame f = trap_frame(0, 3);

            for (unsigned i = 0; i + 1 < length; i++)
                code[i] = 0x2e; /* redundant prefixes */
            code[length - 1] = 0x90;
            code[length] = 0xcd;
            code[length + 1] = TRAP_END;
            gdt[FREE_SELECTOR / 8] =
                segment_make(FIRST, limit, ACCESS_CODE | ACCESS_DPL3, FLAGS_32);
            f.cs = FREE_SELECTOR | 3;
            trap_run(&f);
            if (limit + 1 >= length + 2)
                check_that(f.vector == TRAP_END, "length %u limit %u: trap %u", length, limit,
                           f.vector);
            else
                check_that(f.vector == VEC_GP && f.error == 0 &&
                               f.eip == (limit + 1 >= length ? length : 0),
                           "length %u limit %u: trap %u at %x", length, limit, f.vector, f.eip);
        }
    }
    check_end();
}

void paging_fault_tests(void)
{
    restarts();
    if (cpuid(0).ecx != 0x444d4163) /* AMD's */
        selector_slots();
    no_partial_store();
    fetch_and_iret();
    wrap();
    limits();
    fetch_limit();
}
