/*
 * Paging and PAE switched on and off, CR4.PSE and CR0.WP too, global pages, PDPTE registers, pages
 * remapped under the code that runs in them, rights of rings and of virtual-8086 mode. SDM 3, 4.
 */
#include "guests/kernels.h"

#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"

uint32_t kernels_toggle(uint32_t address, uint32_t *without);

static void map_test(unsigned page, uint32_t frame, uint32_t bits)
{
    paging_set(paging_pte(PAGING_TEST + page * PAGE), frame | bits);
    invlpg(PAGING_TEST + page * PAGE);
}

static void toggle_paging(bool pae)
{
    uint32_t *a = (uint32_t *)paging_page(0), *b = (uint32_t *)paging_page(1);
    uint32_t address = (uint32_t)a, without;

    check_begin(pae ? "paging-toggle-pae" : "paging-toggle");
    a[0] = 0xaaaa;
    b[0] = 0xbbbb;
    paging_init(pae, false);
    paging_set(paging_pte(address), (uint32_t)b | PTE_P | PTE_W); /* a's address shows b */
    write_cr3(read_cr3());
    for (unsigned i = 0; i < 200; i++) {
        check_equal("with paging", kernels_toggle(address, &without), 0xbbbb);
        check_equal("without", without, 0xaaaa);
    }
    paging_off();
    check_end();
}

static void switch_formats(void)
{
    uint32_t *page = (uint32_t *)paging_page(2);
    volatile uint32_t *seen = (volatile uint32_t *)PAGING_TEST;

    check_begin("paging-formats");
    for (unsigned i = 0; i < 20; i++) {
        paging_init(i & 1, false);
        map_test(0, (uint32_t)page, PTE_P | PTE_W);
        *seen = i + 1;
        check_equal("seen through the map", page[0], i + 1);
        paging_off();
        check_equal("without", page[0], i + 1);
    }
    check_end();
}

/* A directory entry with PS is a table's or a large page's, as CR4.PSE says. */
static void switch_pse(void)
{
    uint32_t *table = (uint32_t *)0x800000, *page = (uint32_t *)paging_page(3);
    volatile uint32_t *seen = (volatile uint32_t *)PAGING_TEST;

    check_begin("pse");
    paging_init(false, false);
    page[0] = 0x12345678;
    table[0] = (uint32_t)page | PTE_P | PTE_W;
    *paging_pde(PAGING_TEST) = (uint32_t)table | PTE_P | PTE_W | PTE_PS;
    for (unsigned i = 0; i < 50; i++) {
        write_cr4(read_cr4() & ~CR4_PSE);
        check_equal("without PSE", *seen, 0x12345678);
        write_cr4(read_cr4() | CR4_PSE);
        check_equal("with PSE", *seen & ~(PTE_A | PTE_D), (uint32_t)page | PTE_P | PTE_W);
    }
    paging_off();
    check_end();
}

static void switch_wp(void)
{
    static const uint8_t store[] = { 0xc7, 0x05, 0, 0, 0, 0x40, 1, 0, 0, 0, 0xcd, 0x30 };

    check_begin("write-protect");
    paging_init(false, false);
    map_test(0, (uint32_t)paging_page(4), PTE_P | PTE_U);
    for (unsigned i = 0; i < 100; i++) {
        struct frame f = frame_at(store, 0);
        bool wp = i % 3;

        write_cr0(wp ? read_cr0() | CR0_WP : read_cr0() & ~CR0_WP);
        trap_run(&f);
        check_equal("trap", f.vector, wp ? VEC_PF : TRAP_END);
        check_that(!wp || f.error == 3, "error code %x", f.error);
    }
    paging_off();
    check_end();
}

/* Global pages outlive CR3, but not a change of PGE, INVLPG or CR0.PG. */
static void global_pages(void)
{
    uint32_t *page[2] = { (uint32_t *)paging_page(5), (uint32_t *)paging_page(6) };
    volatile uint32_t *seen = (volatile uint32_t *)PAGING_TEST;

    check_begin("global-pages");
    paging_init(false, false);
    page[0][0] = 0;
    page[1][0] = 1;
    write_cr4(read_cr4() | CR4_PGE);
    for (unsigned i = 0; i < 200; i++) {
        uint32_t cr4 = read_cr4();

        paging_set(paging_pte(PAGING_TEST), (uint32_t)page[i & 1] | PTE_P | PTE_G);
        switch (i % 3) {
        case 0: invlpg(PAGING_TEST); break;
        case 1:
            write_cr4(cr4 & ~CR4_PGE);
            write_cr4(cr4);
            break;
        case 2:
            write_cr0(read_cr0() & ~CR0_PG);
            write_cr0(read_cr0() | CR0_PG);
            break;
        }
        check_equal("seen", *seen, i & 1);
    }
    paging_off();
    check_end();
}

/* PAE's four top entries are registers, loaded with CR3 and by changes of CR0.CD and CR4.PGE. */
static void pdpte_registers(void)
{
    static uint32_t directory[1024] __attribute__((aligned(PAGE)));
    static uint32_t table[2][1024] __attribute__((aligned(PAGE)));
    volatile uint32_t *seen = (volatile uint32_t *)PAGING_TEST;
    volatile uint64_t *pdpt;
    uint64_t old;

    check_begin("pdpte-registers");
    paging_init(true, false);
    map_test(0, (uint32_t)paging_page(11), PTE_P | PTE_W);
    ((uint32_t *)paging_page(11))[0] = 0;
    ((uint32_t *)paging_page(12))[0] = 1;
    directory[0] = (uint32_t)table[0] | PTE_P | PTE_W;
    table[0][0] = (uint32_t)paging_page(12) | PTE_P | PTE_W;
    pdpt = (volatile uint64_t *)read_cr3();
    old = pdpt[PAGING_TEST >> 30];
    for (unsigned i = 0; i < 120; i++) {
        uint32_t cr0 = read_cr0(), cr4 = read_cr4();
        bool before = i & 1;

        check_equal("before", *seen, before);
        pdpt[PAGING_TEST >> 30] = before ? old : (uint32_t)directory | PTE_P;
        invlpg(PAGING_TEST);
        check_equal("changed in memory alone", *seen, before);
        switch (i % 3) {
        case 0: write_cr3(read_cr3()); break;
        case 1:
            write_cr0(cr0 | 0x40000000);
            write_cr0(cr0);
            break;
        case 2:
            write_cr4(cr4 ^ CR4_PGE);
            write_cr4(cr4);
            break;
        }
        check_equal("loaded", *seen, !before);
    }
    pdpt[PAGING_TEST >> 30] = old;
    paging_off();
    check_end();
}

extern const uint8_t kernels_remap_invlpg[], kernels_remap_cr3[], kernels_remap_end[];
extern const uint8_t kernels_remap_value1[], kernels_remap_value2[];

/* Code that changes the page it runs in goes on in the new frame, from the instruction behind. */
static void remap(bool pae)
{
    const uint8_t *from = kernels_remap_invlpg;
    uint32_t at[2] = { 0, kernels_remap_cr3 - from };

    check_begin(pae ? "remap-own-page-pae" : "remap-own-page");
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *page = paging_page(7 + i);

        copy(page, from, kernels_remap_end);
        page[kernels_remap_value1 - from - 1] = 0x10 + i;
        page[kernels_remap_value2 - from - 1] = 0x10 + i;
    }
    paging_init(pae, false);
    map_test(0, (uint32_t)paging_page(7), PTE_P | PTE_W);
    for (unsigned i = 0; i < 400; i++) {
        unsigned next = ~i & 1;
        uint32_t where = PAGING_TEST + at[i >> 1 & 1], a = (uint32_t)paging_pte(PAGING_TEST);
        uint32_t b = (uint32_t)paging_page(7 + next) | PTE_P | PTE_W, c = PAGING_TEST, d = 0;

        __asm__ volatile("call *%4"
                         : "+a"(a), "+b"(b), "+c"(c), "+d"(d) : "r"(where) : "memory");
        check_equal("the frame it went on in", d & 0xff, 0x10 + next);
    }
    paging_off();
    check_end();
}

static uint8_t call_page(uint32_t entry)
{
    uint32_t a = (uint32_t)paging_pte(PAGING_TEST), b = entry, c = PAGING_TEST, d = 0;

    __asm__ volatile("call *%%ecx" : "+a"(a), "+b"(b), "+c"(c), "+d"(d) : : "memory");
    return d;
}

/*
 * A jump inside a page whose entry has just been changed may go on in either frame. What it did
 * then must not last: after INVLPG the page is one frame's alone.
 */
static void stale_jumps(void)
{
    static const uint8_t code[] = { 0x89, 0x18, 0xeb, 2, 0x0f, 0x0b, 0xb2, 0, 0xc3 };
    uint32_t entry[2];

    check_begin("stale-jumps");
    paging_init(false, false);
    for (unsigned i = 0; i < 2; i++) { /* mov %ebx, (%eax); jmp 1f; 1: mov $i, %dl; ret */
        uint8_t *page = paging_page(16 + i);

        copy(page, code, code + sizeof(code));
        page[7] = 0x20 + i;
        entry[i] = (uint32_t)page | PTE_P | PTE_W;
    }
    for (unsigned i = 0; i < 100; i++) {
        unsigned frame = i >> 1 & 1;

        map_test(0, entry[frame], 0);
        check_equal("either", call_page(entry[!frame]) & ~1, 0x20);
        map_test(0, entry[frame], 0);
        check_equal("after invlpg", call_page(entry[frame]), 0x20 + frame);
    }
    paging_off();
    check_end();
}

/* Supervisor pages are open for rings 0 to 2; ring 3, and virtual-8086 mode, are users. */
static void ring_pages(void)
{
    static const uint8_t load[] = { 0xa1, 0, 0, 0, 0x40, 0xcd, 0x30 };

    check_begin("pages-and-rings");
    paging_init(false, false);
    map_test(0, (uint32_t)paging_page(9), PTE_P);
    for (unsigned ring = 0; ring < 4; ring++) {
        struct frame f = frame_at(load, ring);

        trap_run(&f);
        check_that(f.vector == (ring == 3 ? (uint32_t)VEC_PF : (uint32_t)TRAP_END) &&
                       (ring < 3 || f.error == 5),
                   "ring %u: trap %u error %x", ring, f.vector, f.error);
    }
    paging_off();
    check_end();
}

/* #PF's error code in virtual-8086 mode: always a user's. */
static void v86_pages(void)
{
    static const struct {
        uint32_t bits;
        uint8_t code, error;
        bool faults;
    } cases[] = {
        { 0, 0xa0, 4, true },              { 0, 0xa2, 6, true },
        { PTE_P, 0xa0, 5, true },          { PTE_P | PTE_W, 0xa2, 7, true },
        { PTE_P | PTE_U, 0xa0, 0, false }, { PTE_P | PTE_U, 0xa2, 7, true },
        { PTE_P | PTE_U | PTE_W, 0xa2, 0, false },
    };

    check_begin("v86-page-faults");
    paging_init(false, false);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        volatile uint8_t *code = (volatile uint8_t *)0x70000;
        struct frame f = trap_frame(0, 0);

        paging_set(paging_pte(0x60000), 0x60000 | cases[i].bits);
        invlpg(0x60000);
        code[0] = cases[i].code; /* mov al, [0] or mov [0], al */
        code[1] = code[2] = 0;
        code[3] = 0xf4;
        f.eflags |= FL_VM;
        f.cs = 0x7000;
        f.ss = 0x5000;
        f.v86_ds = 0x6000;
        f.ds = f.es = 0;
        f.esp = 0x1000;
        trap_run(&f);
        if (cases[i].faults)
            check_that(f.vector == VEC_PF && f.error == cases[i].error && read_cr2() == 0x60000,
                       "case %u: trap %u error %x cr2 %x", i, f.vector, f.error, read_cr2());
        else
            check_equal("hlt", f.vector, VEC_GP);
    }
    paging_off();
    check_end();
}

/* Kernels live in the upper half: one frame's code at several addresses, by turns. */
static void upper_half(void)
{
    static const uint8_t code[] = { 0xe8, 0, 0, 0, 0, 0x58, 0xcd, 0x30 }; /* call 1f; 1: pop %eax */
    static const uint32_t bases[] = { 0xc0000000, 0, 0xd0000000, 0xff800000 };

    check_begin("upper-half");
    copy(code_room, code, code + sizeof(code));
    paging_init(false, false);
    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++)
        *paging_pde(bases[i]) = *paging_pde(0);
    for (unsigned i = 0; i < 200; i++) {
        uint32_t base = bases[i & 3];
        struct frame f = frame_at(code_room + base, i & 4 ? 3 : 0);

        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("eip", f.eip, (uint32_t)code_room + base + sizeof(code));
        check_equal("the address called", f.eax, (uint32_t)code_room + base + 5);
    }
    paging_off();
    check_end();
}

/* Descriptor tables are read and marked by the system, whoever loads the selector. */
static void implicit_accesses(void)
{
    static const struct {
        uint32_t bits;
        bool wp;
        uint8_t error, faults;
    } cases[] = {
        { 0, true, 0, true },
        { PTE_P, true, 3, true },
        { PTE_P, false, 0, false },
        { PTE_P | PTE_W, true, 0, false },
        { PTE_P | PTE_W | PTE_U, true, 0, false },
    };
    uint64_t *table = (uint64_t *)paging_page(14);

    check_begin("implicit-accesses");
    for (unsigned ring = 0; ring < 4; ring += 3)
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
            struct code c = { code_room };
            struct frame f = frame_at(code_room, ring);

            paging_init(false, false);
            write_cr0(cases[i].wp ? read_cr0() | CR0_WP : read_cr0() & ~CR0_WP);
            table[1] = segment_make(0, 0xfffff, ACCESS_DATA | ACCESS_DPL3, FLAGS_FLAT);
            map_test(0, (uint32_t)table, cases[i].bits);
            gdt[SEG_1 / 8] = segment_make(PAGING_TEST, 15, ACCESS_LDT, 0);
            __asm__ volatile("lldt %w0" : : "r"(SEG_1));
            code_bytes(&c, 2, 0xe08e); /* mov %eax, %fs */
            code_end(&c);
            f.eax = 0x0f;
            trap_run(&f);
            if (cases[i].faults)
                check_that(f.vector == VEC_PF && f.error == cases[i].error &&
                               read_cr2() - PAGING_TEST - 8 < 8,
                           "case %u, ring %u: trap %u error %x cr2 %x", i, ring, f.vector, f.error,
                           read_cr2());
            else
                check_that(f.vector == TRAP_END && table[1] >> 40 & 1,
                           "case %u, ring %u: trap %u, accessed %u", i, ring, f.vector,
                           (unsigned)(table[1] >> 40 & 1));
            __asm__ volatile("lldt %w0" : : "r"(LDT_SELECTOR));
            paging_off();
        }
    check_end();
}

void kernels_paging(uint32_t features)
{
    bool pae = features & CPUID_PAE;

    toggle_paging(false);
    if (pae) {
        toggle_paging(true);
        switch_formats();
        if (features & CPUID_PGE)
            pdpte_registers();
    }
    if (features & CPUID_PSE)
        switch_pse();
    switch_wp();
    if (features & CPUID_PGE)
        global_pages();
    remap(false);
    if (pae)
        remap(true);
    stale_jumps();
    ring_pages();
    v86_pages();
    upper_half();
    implicit_accesses();
}
