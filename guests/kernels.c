/*
 * What kernels other than Linux do with the CPU: paging and PAE switched on and off, pages remapped
 * under the code that runs in them, real and unreal mode, A20, nested tasks, rings 1 and 2,
 * conforming code, expand-down stacks, LDTs, virtual-8086 monitors, single steps, interrupts at
 * every boundary.
 *
 * Reference: SDM volume 3, chapters 3 to 7, 9 (mode switches), 17 and 20.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum { CR0_NORMAL = CR0_PE | CR0_MP | CR0_NE };

/* Selectors, beside the library's; kernels_code.S knows them too. */
enum { GATE = 0x70, TASK_A = 0x90, TASK_B = 0x98, TASK_16 = 0xa0, CODE16 = 0xa8, DATA16 = 0xb0,
       SEG_1 = 0xb8, SEG_2 = 0xc0, CONFORMING = 0xc8 };

static uint8_t code_room[256] __attribute__((aligned(256)));
static uint32_t data[64] __attribute__((aligned(64)));

static struct frame start(const uint8_t *code, unsigned ring)
{
    struct frame f = trap_frame((uint32_t)code, ring);

    f.edi = (uint32_t)data;
    return f;
}

static struct frame run_bytes(unsigned n, uint64_t bytes, unsigned ring)
{
    struct code c = { code_room };
    struct frame f = start(code_room, ring);

    for (; n; n--, bytes >>= 8)
        code_byte(&c, bytes);
    code_end(&c);
    trap_run(&f);
    return f;
}

/* --- Paging --------------------------------------------------------------- */

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
        struct frame f = start(store, 0);
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

static void copy(void *to, const uint8_t *from, const uint8_t *end)
{
    for (volatile uint8_t *out = to; from < end;)
        *out++ = *from++;
}

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
        struct frame f = start(load, ring);

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
        struct frame f = start(code_room + base, i & 4 ? 3 : 0);

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
            struct frame f = start(code_room, ring);

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

/* --- Real mode ------------------------------------------------------------ */

extern const uint8_t kernels_real[], kernels_real_end[];

static void real_mode(void)
{
    volatile uint32_t *r = (volatile uint32_t *)0x9000, *high = (volatile uint32_t *)0x200000;
    volatile uint16_t *w = (volatile uint16_t *)r;

    check_begin("real-mode");
    gdt[CODE16 / 8] = segment_make(0x8000, 0xffff, ACCESS_CODE, FLAGS_16);
    gdt[DATA16 / 8] = segment_make(0, 0xffff, ACCESS_DATA, FLAGS_16);
    copy((void *)0x8000, kernels_real, kernels_real_end);
    for (unsigned i = 0; i < 20; i++) {
        high[0] = 0xfee1900d;
        high[1] = 0;
        ((void (*)(void))0x8000)();
        check_equal("unreal mode reads", r[0], 0xfee1900d);
        check_equal("and writes", high[1], 0x600dcafe);
        check_equal("pop ecx", r[1], 0x56789abc);
        check_equal("pop dx, and sp", r[2], 0x1234);
        check_equal("int's handler: CF, IF clear", r[3] & 0xffff0301, 0x0bad0001);
        check_equal("after iret: CF, IF", r[4] & 0x301, 0x201);
        check_equal("1 MiB with A20", w[10] | w[11] << 16, 0x11111111);
        check_equal("without", w[12], 0x3333);
        check_equal("with again", w[13], 0x2222);
        check_equal("a word at ffff is #GP", w[14], 0x9999);
        check_equal("the stack wraps", w[15], 0xfffe);
        check_equal("smsw", w[16] & 1, 0);
        check_equal("popf of NT and IOPL", w[17], 0x7002);
        check_equal("#DE is a fault", w[18] | w[19] << 16, 0x8888);
    }
    check_end();
}

/* --- Tasks ---------------------------------------------------------------- */

extern const uint8_t kernels_task_a[], kernels_task_b[], kernels_task_call[], kernels_task_jmp[];
extern const uint8_t kernels_task_int[], kernels_task_after[], kernels_task_loop[];
extern const uint8_t kernels_task_jmper[];

static struct tss task_a, task_b;
static uint8_t stack_a[1024], stack_b[1024];

static void make_task(struct tss *t, uint16_t selector, const uint8_t *code, uint8_t *stack)
{
    *t = (struct tss){ 0 };
    t->eip = (uint32_t)code;
    t->eflags = FL_1;
    t->esp = (uint32_t)stack + sizeof(stack_a);
    t->cs = KERNEL_CS;
    t->ss = t->ds = t->es = KERNEL_DS;
    t->io_map = 104;
    t->cr3 = read_cr3();
    gdt[selector / 8] = segment_make((uint32_t)t, 103, ACCESS_TSS, 0);
}

static bool is_busy(uint16_t selector)
{
    return gdt[selector / 8] >> 41 & 1;
}

static void nested_tasks(void)
{
    struct frame f;

    check_begin("nested-tasks");
    make_task(&task_a, TASK_A, kernels_task_a, stack_a);
    make_task(&task_b, TASK_B, kernels_task_b, stack_b);
    for (uint32_t i = 1; i <= 5; i++) {
        f = start(kernels_task_call, 0);
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("A's eax", task_a.eax, i * 0x101);
        check_equal("B's eax", task_b.eax, i * 16);
        check_equal("B's str", task_b.edx, TASK_B);
        check_equal("A's back link", task_a.backlink & 0xffff, TSS_MAIN);
        check_equal("B's back link", task_b.backlink & 0xffff, TASK_A);
        check_that(!is_busy(TASK_A) && !is_busy(TASK_B) && is_busy(TSS_MAIN), "busy bits");
        check_equal("NT of the caller", f.eflags & FL_NT, 0);
        __asm__ volatile("clts");
    }
    make_task(&task_a, TASK_A, kernels_task_loop, stack_a);
    f = start(kernels_task_call, 0);
    trap_run(&f); /* in task A now */
    check_that(f.vector == VEC_GP && f.error == TASK_A, "a call of itself: trap %u error %x",
               f.vector, f.error);
    check_equal("where", f.eip, (uint32_t)kernels_task_loop);
    check_equal("NT", f.eflags & FL_NT, FL_NT);
    gdt[TSS_MAIN / 8] &= ~(2ull << 40);
    __asm__ volatile("clts; ltr %w0" : : "r"(TSS_MAIN));
    check_end();
}

static void task_jumps(void)
{
    struct frame f;

    check_begin("task-jumps");
    make_task(&task_a, TASK_A, kernels_task_jmper, stack_a);
    for (uint32_t i = 1; i <= 5; i++) {
        f = start(kernels_task_jmp, 0);
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("A's eax", task_a.eax, i);
        check_that(!is_busy(TASK_A) && is_busy(TSS_MAIN), "busy bits");
        check_equal("no back link", task_a.backlink, 0);
        check_equal("NT", f.eflags & FL_NT, 0);
        __asm__ volatile("clts");
    }
    check_end();
}

/* From ring 3 through a task gate in the IDT, and with pages of the task's own. */
static void task_gates(void)
{
    check_begin("task-gates");
    for (unsigned pass = 0; pass < 2; pass++) {
        if (pass)
            paging_init(false, false);
        make_task(&task_b, TASK_B, kernels_task_b, stack_b);
        idt[0x71] = gate_make(TASK_B, 0, 0xe5, 0);
        for (uint32_t i = 1; i <= 5; i++) {
            struct frame f = start(kernels_task_int, 3);

            f.ecx = 0x1234;
            trap_run(&f);
            check_equal("trap", f.vector, TRAP_END);
            check_equal("eip", f.eip, (uint32_t)kernels_task_after + 2);
            check_equal("ring 3's cs", f.cs, USER_CS);
            check_equal("ecx", f.ecx, 0x1234);
            check_equal("B's eax", task_b.eax, i * 16);
            __asm__ volatile("clts");
        }
        if (pass)
            paging_off();
    }
    trap_set_gate(0x71, 0);
    check_end();
}

/* A task of the 286, with 16-bit registers. */
static void task_286(void)
{
    static uint16_t tss[22];
    static const uint8_t code[] = { 0xcd, 0x30 };
    struct frame f = start(kernels_task_call, 0);

    check_begin("286-task");
    copy((void *)0x8000, code, code + sizeof(code));
    tss[1] = 0x7000; /* the stack of ring 0 */
    tss[2] = KERNEL_DS;
    tss[7] = 0x8000;
    tss[8] = FL_1 | FL_CF;
    tss[9] = 0x1111;
    tss[13] = 0x7f00;
    tss[17] = USER_DS;
    tss[18] = USER_CS;
    tss[19] = USER_DS;
    tss[20] = USER_DS;
    gdt[TASK_A / 8] = segment_make((uint32_t)tss, 43, 0x81, 0);
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    check_equal("eip", f.eip, 0x8002);
    check_equal("flags", f.eflags & (FL_NT | FL_CF), FL_NT | FL_CF);
    check_equal("ax", f.eax & 0xffff, 0x1111);
    check_equal("fs", f.fs, 0);
    check_equal("back link", tss[0], TSS_MAIN);
    gdt[TSS_MAIN / 8] &= ~(2ull << 40);
    __asm__ volatile("clts; ltr %w0" : : "r"(TSS_MAIN));
    check_end();
}

/* --- Rings and segments --------------------------------------------------- */

static void inner_rings(void)
{
    struct frame f;

    check_begin("rings-1-and-2");
    for (unsigned ring = 1; ring < 3; ring++) {
        for (unsigned iopl = 0; iopl < 4; iopl++) {
            uint32_t want = iopl >= ring ? (uint32_t)TRAP_END : (uint32_t)VEC_GP;
            struct code c = { code_room };

            code_bytes(&c, 2, 0xfbfa); /* cli; sti */
            code_end(&c);
            f = start(code_room, ring);
            f.eflags |= iopl << 12;
            trap_run(&f);
            check_that(f.vector == want, "cli in ring %u, iopl %u: trap %u", ring, iopl, f.vector);
        }
        f = run_bytes(1, 0xf4, ring);
        check_equal("hlt", f.vector, VEC_GP);
        f = run_bytes(3, 0xc0200f, ring);
        check_equal("mov %cr0", f.vector, VEC_GP);
        f = run_bytes(6, 0x9d0004020068, ring); /* push 0x40200; popf */
        check_equal("popf", f.vector, TRAP_END);
        check_equal("IF is not popf's", f.eflags & FL_IF, 0);
    }
    check_end();
}

/* 3 -> 1 -> 0 and back by gates, with parameters. */
static void gate_stairs(void)
{
    static uint8_t ring1[32], ring0[16];
    struct code c = { ring0 };
    struct frame f;

    check_begin("gate-stairs");
    code_bytes(&c, 4, 0x0424448b);   /* mov 4(%esp), %eax: ring 1's cs */
    code_bytes(&c, 4, 0x08245c8b);   /* mov 8(%esp), %ebx: its parameter */
    code_bytes(&c, 3, 0x0004ca);     /* lret $4 */
    c.at = ring1;
    code_bytes(&c, 4, 0x08244c8b);   /* mov 8(%esp), %ecx */
    code_bytes(&c, 2, 0x556a);       /* push $0x55 */
    code_byte(&c, 0x9a);             /* lcall $GATE + 8 */
    code_long(&c, 0);
    code_word(&c, GATE + 8);
    code_bytes(&c, 2, 0xca8c);       /* mov %cs, %edx */
    code_bytes(&c, 3, 0x0004ca);
    gdt[GATE / 8] = gate_make(RING1_CS, (uint32_t)ring1, 0xec, 1);
    gdt[GATE / 8 + 1] = gate_make(KERNEL_CS, (uint32_t)ring0, 0xac, 1);
    for (unsigned i = 0; i < 20; i++) {
        uint32_t esp;

        c.at = code_room;
        code_bytes(&c, 2, 0x666a);   /* push $0x66 */
        code_byte(&c, 0x9a);
        code_long(&c, 0);
        code_word(&c, GATE);
        code_end(&c);
        f = start(code_room, 3);
        esp = f.esp;
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("ring 1's cs", f.eax & 0xffff, RING1_CS);
        check_equal("ring 0's parameter", f.ebx, 0x55);
        check_equal("ring 1's parameter", f.ecx, 0x66);
        check_equal("ring 1 after it", f.edx & 0xffff, RING1_CS);
        check_equal("ring 3 after it", f.cs, USER_CS);
        check_equal("esp", f.esp, esp);
    }
    check_end();
}

/* Conforming code runs in the ring of its caller. */
static void conforming(void)
{
    static uint8_t callee[16];
    struct code c = { callee };

    check_begin("conforming");
    gdt[CONFORMING / 8] = segment_make(0, 0xfffff, 0x9e, FLAGS_FLAT);
    code_bytes(&c, 2, 0xc88c); /* mov %cs, %eax */
    code_byte(&c, 0xcb);
    for (unsigned ring = 0; ring < 4; ring++) {
        struct frame f = start(code_room, ring);

        c.at = code_room;
        code_byte(&c, 0x9a);
        code_long(&c, (uint32_t)callee);
        code_word(&c, CONFORMING);
        code_end(&c);
        trap_run(&f);
        check_equal("trap", f.vector, TRAP_END);
        check_equal("the callee's cs", f.eax & 0xffff, CONFORMING | ring);
    }
    check_end();
}

/* An expand-down stack: valid above its limit, to 64 KiB or 4 GiB by its B bit. */
static void expand_down(void)
{
    static const struct {
        uint8_t flags;
        uint32_t esp;
        bool fits;
    } cases[] = {
        { FLAGS_32, 0x8008, true },  { FLAGS_32, 0x8004, true },   { FLAGS_32, 0x8003, false },
        { FLAGS_32, 0x20000, true }, { FLAGS_16, 0x8004, true },   { FLAGS_16, 0x8002, false },
        { FLAGS_16, 0, true },       { FLAGS_16, 0x7000, false },
    };

    check_begin("expand-down-stack");
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct code c = { code_room };
        struct frame f = start(code_room, 3);

        gdt[SEG_1 / 8] = segment_make(0x200000, 0x7fff, 0xf6, cases[i].flags);
        code_byte(&c, 0x50);
        code_end(&c);
        f.ss = SEG_1 | 3;
        f.esp = cases[i].esp;
        trap_run(&f);
        check_that(f.vector == (cases[i].fits ? (uint32_t)TRAP_END : (uint32_t)VEC_SS),
                   "flags %x esp %x: trap %u", cases[i].flags, cases[i].esp, f.vector);
    }
    check_end();
}

/* Code, data and a gate that are in the LDT, and nothing there without it. */
static void local_table(void)
{
    struct code c = { code_room };
    struct frame f;

    check_begin("ldt");
    __asm__ volatile("lldt %w0" : : "r"(LDT_SELECTOR)); /* task switches have loaded none */
    ldt[1] = segment_make(0, 0xfffff, ACCESS_CODE | ACCESS_DPL3, FLAGS_FLAT);
    ldt[2] = segment_make((uint32_t)data, 15, ACCESS_DATA | ACCESS_DPL3, FLAGS_32);
    ldt[3] = gate_make(0x0f, (uint32_t)code_room + 32, 0xec, 0);
    data[2] = 0x77665544;
    code_bytes(&c, 2, 0xa164);      /* mov %fs:8, %eax */
    code_long(&c, 8);
    code_byte(&c, 0x9a);            /* lcall through the LDT's gate */
    code_long(&c, 0);
    code_word(&c, 0x1f);
    code_end(&c);
    c.at = code_room + 32;
    code_bytes(&c, 2, 0xcb8c);      /* mov %cs, %ebx; lret */
    code_byte(&c, 0xcb);
    f = start(code_room, 3);
    f.cs = 0x0f;
    f.fs = 0x17;
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    check_equal("fs:8", f.eax, 0x77665544);
    check_equal("cs behind the gate", f.ebx & 0xffff, 0x0f);
    __asm__ volatile("lldt %w0" : : "r"(0));
    f = start(code_room + 40, 0);
    code_room[40] = 0x8e;           /* mov %eax, %fs */
    code_room[41] = 0xe0;
    f.eax = 0x17;
    trap_run(&f);
    check_that(f.vector == VEC_GP && f.error == 0x14, "no LDT: trap %u error %x", f.vector,
               f.error);
    __asm__ volatile("lldt %w0" : : "r"(LDT_SELECTOR));
    check_end();
}

/* The EIP of a fault behind any number of instructions, with any base of CS. */
static void code_bases(void)
{
    uint8_t *room = paging_page(20);

    check_begin("code-bases");
    for (unsigned i = 0; i < 3 * PAGE; i++)
        room[i] = i & 1 ? 0x90 : 0x40; /* nop, inc %eax */
    for (unsigned base = 0; base < 40; base++)
        for (unsigned n = 0; n < 130; n += 13) {
            struct frame f = trap_frame(n & 7, base & 1 ? 3 : 0);
            uint32_t at = (uint32_t)room + PAGE - 40 + base;
            uint8_t *ud = (uint8_t *)at + (n & 7) + n;
            uint8_t old[2] = { ud[0], ud[1] };

            gdt[SEG_2 / 8] = segment_make(at, 0xfffff, base & 1 ? 0xfa : 0x9a, FLAGS_FLAT);
            f.cs = SEG_2 | (base & 1 ? 3 : 0);
            ud[0] = 0x0f;
            ud[1] = 0x0b;
            trap_run(&f);
            ud[0] = old[0];
            ud[1] = old[1];
            check_that(f.vector == VEC_UD && f.eip == (n & 7) + n,
                       "base +%u: trap %u at %x, not %x", base, f.vector, f.eip, (n & 7) + n);
        }
    check_end();
}

/* Bit offsets from -2^31 to 2^31 - 1: the byte is at base + offset / 8, modulo 4 GiB. */
static void bit_strings(void)
{
    static const int32_t offsets[] = { 0, 31, 32, -1, -32, -33, 0x7fffffff, -0x7fffffff - 1,
                                       0x12345678, -0x12345678 };

    check_begin("bit-strings");
    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
        for (unsigned op = 0; op < 4; op++)
            for (unsigned ring = 0; ring < 4; ring += 3)
                for (unsigned wide = 0; wide < 2; wide++) {
                    static const uint8_t opcodes[] = { 0xa3, 0xab, 0xb3, 0xbb };
                    int32_t offset = wide ? offsets[i] : (int16_t)offsets[i];
                    struct code c = { code_room };
                    struct frame f = start(code_room, ring);
                    uint32_t before = op == 1 ? 0 : ~0u, after = before;

                    if (!wide)
                        code_byte(&c, 0x66);
                    code_bytes(&c, 3, 0x07000f | opcodes[op] << 8); /* %eax, (%edi) */
                    code_end(&c);
                    data[1] = before;
                    f.eax = offset;
                    if (wide)
                        f.edi = (uint32_t)&data[1] - (uint32_t)(offset >> 5) * 4;
                    else
                        f.edi = (uint32_t)&data[1] - (uint32_t)(offset >> 4) * 2;
                    trap_run(&f);
                    if (op)
                        after ^= 1u << (offset & (wide ? 31 : 15));
                    check_that(f.vector == TRAP_END && data[1] == after &&
                                   (f.eflags & FL_CF) == (before & 1),
                               "op %u of %d, ring %u: trap %u, %x not %x, CF %u", op, offset, ring,
                               f.vector, data[1], after, f.eflags & 1);
                }
    check_end();
}

/* --- Priorities ----------------------------------------------------------- */

/* edi: a page that is not present; eax 0. */
static void priorities(void)
{
    static const struct {
        const char *name;
        uint8_t n, bytes[7], ring, vector;
    } cases[] = {
        { "lgdt", 3, { 0x0f, 0x01, 0x17 }, 3, VEC_GP },
        { "lgdt", 3, { 0x0f, 0x01, 0x17 }, 0, VEC_PF },
        { "lldt", 3, { 0x0f, 0x00, 0x17 }, 3, VEC_GP },
        { "invlpg", 3, { 0x0f, 0x01, 0x3f }, 3, VEC_GP },
        { "lock hlt", 2, { 0xf0, 0xf4 }, 3, VEC_UD },
        { "mov %cr1", 3, { 0x0f, 0x20, 0xc8 }, 3, VEC_UD },
        { "lock add to a register", 3, { 0xf0, 0x01, 0xc0 }, 3, VEC_UD },
        { "lock mov", 3, { 0xf0, 0x89, 0x07 }, 3, VEC_UD },
        { "lock inc", 3, { 0xf0, 0xff, 0x07 }, 3, VEC_PF },
        { "div of memory", 2, { 0xf7, 0x37 }, 3, VEC_PF },
        { "in to closed port, rep insb", 2, { 0xf3, 0x6c }, 3, VEC_GP },
        { "mov to cs", 2, { 0x8e, 0x0f }, 3, VEC_UD },
        { "mov to segment 7", 2, { 0x8e, 0x3f }, 3, VEC_UD },
        { "lea of a register", 2, { 0x8d, 0xc0 }, 3, VEC_UD },
        { "cmpxchg8b of a register", 3, { 0x0f, 0xc7, 0xc8 }, 3, VEC_UD },
        { "15 prefixes and more", 7, { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90 }, 3, TRAP_END },
        { "fld", 2, { 0xd9, 0x07 }, 3, VEC_PF },
        { "lcall of memory", 2, { 0xff, 0x1f }, 3, VEC_PF },
        { "push of memory", 2, { 0xff, 0x37 }, 3, VEC_PF },
        { "bound", 2, { 0x62, 0x07 }, 3, VEC_PF },
        { "int of a closed gate", 2, { 0xcd, 0x21 }, 3, VEC_GP },
        { "into", 1, { 0xce }, 3, TRAP_END },
    };

    check_begin("priorities");
    paging_init(false, false);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct code c = { code_room };
        struct frame f = start(code_room, cases[i].ring);

        for (unsigned j = 0; j < cases[i].n; j++)
            code_byte(&c, cases[i].bytes[j]);
        code_end(&c);
        f.edi = PAGING_TEST + 7 * PAGE;
        f.ecx = 1;
        trap_run(&f);
        check_that(f.vector == cases[i].vector && (f.vector == TRAP_END ||
                                                   f.eip == (uint32_t)code_room),
                   "%s, ring %u: trap %u at +%x, want %u", cases[i].name, cases[i].ring, f.vector,
                   f.eip - (uint32_t)code_room, cases[i].vector);
    }
    write_cr0(read_cr0() | CR0_TS); /* #NM comes before #PF, #UD before #NM */
    for (unsigned i = 0; i < 2; i++) {
        struct frame f = start(code_room, 3);
        struct code c = { code_room };

        if (i)
            code_byte(&c, 0xf0);
        code_bytes(&c, 2, 0x07d9);
        f.edi = PAGING_TEST + 7 * PAGE;
        trap_run(&f);
        check_equal(i ? "lock fld" : "fld with TS", f.vector, i ? VEC_UD : VEC_NM);
    }
    paging_off();
    write_cr0(CR0_NORMAL);
    check_end();
}

/* Data breakpoint and single step of one instruction are one #DB; an instruction breakpoint comes
 * before #UD. */
static void debug_priorities(void)
{
    struct code c = { code_room };
    struct frame f;

    check_begin("debug-priorities");
    code_bytes(&c, 2, 0x0789); /* mov %eax, (%edi) */
    code_end(&c);
    write_dr6(0);
    write_dr0((uint32_t)data);
    write_dr7(0xd0001); /* write, 4 bytes */
    f = start(code_room, 3);
    f.eflags |= FL_TF;
    trap_run(&f);
    check_that(f.vector == VEC_DB && f.eip == (uint32_t)code_room + 2, "trap %u at %x", f.vector,
               f.eip);
    check_equal("DR6: BS and B0", read_dr6() & 0x400f, 0x4001);
    write_dr6(0);
    c.at = code_room;
    code_bytes(&c, 2, 0x0b0f);
    write_dr0((uint32_t)code_room);
    write_dr7(1);
    f = start(code_room, 0);
    trap_run(&f);
    check_that(f.vector == VEC_DB && (read_dr6() & 0xf) == 1, "before #UD: trap %u", f.vector);
    f.eflags |= FL_RF;
    trap_run(&f);
    check_equal("with RF", f.vector, VEC_UD);
    check_equal("RF in the fault's frame", f.eflags & FL_RF, FL_RF);
    write_dr7(0);
    write_dr6(0);
    check_end();
}

static void ignore(struct frame *f)
{
    (void)f;
}

static void expect_step(struct frame *f, uint16_t cs, uint32_t eip)
{
    trap_run(f);
    check_that(f->vector == VEC_DB && f->cs == cs && f->eip == eip,
               "trap %u at %x:%x, want %x:%x", f->vector, f->cs, f->eip, cs, eip);
}

/* Single steps through interrupts, gates and loads of SS (SDM 3, 17.3.1.4). */
static void step_through(void)
{
    static const uint8_t code[] = { 0xcd, TRAP_SYSCALL, 0x90, 0x9a, 0, 0, 0, 0, GATE | 3, 0,
                                    0xce, 0x16, 0x17, 0x90, 0xcd, TRAP_END };
    uint32_t at = (uint32_t)code_room, gate = at + 128;
    struct frame f = start(code_room, 3);

    check_begin("step-through");
    copy(code_room, code, code + sizeof(code));
    code_room[128] = 0xcb; /* lret */
    gdt[GATE / 8] = gate_make(KERNEL_CS, gate, 0xec, 0);
    trap_set(TRAP_SYSCALL, ignore);
    f.eflags |= FL_TF;
    expect_step(&f, USER_CS, at + 3); /* INT has cleared TF, IRET sets it for the next but one */
    expect_step(&f, KERNEL_CS, gate);
    expect_step(&f, USER_CS, at + 10);
    expect_step(&f, USER_CS, at + 11); /* INTO that does nothing */
    expect_step(&f, USER_CS, at + 12);
    expect_step(&f, USER_CS, at + 14); /* POP SS holds the trap back */
    trap_run(&f);
    check_equal("the end", f.vector, TRAP_END);
    trap_set(TRAP_SYSCALL, NULL);
    if (cpuid_features() & CPUID_SEP) {
        wrmsr(MSR_SYSENTER_CS, KERNEL_CS);
        wrmsr(MSR_SYSENTER_ESP, trap_stack_top());
        wrmsr(MSR_SYSENTER_EIP, at + 14);
        code_room[0] = 0x0f;
        code_room[1] = 0x34;
        f = start(code_room, 3);
        f.eflags |= FL_TF;
        expect_step(&f, KERNEL_CS, at + 14);
    }
    write_dr6(0);
    check_end();
}

/* A branch beyond CS's limit is #GP at the branch, with the stack as it was. */
static void branch_limits(void)
{
    static const struct {
        const char *name;
        uint8_t n, bytes[6];
    } branches[] = {
        { "jmp", 2, { 0xeb, 0x7e } },          { "jmp near", 5, { 0xe9, 0x7b, 0, 0, 0 } },
        { "jcc", 2, { 0x73, 0x7e } },          { "jcc near", 6, { 0x0f, 0x83, 0x7a, 0, 0, 0 } },
        { "call", 5, { 0xe8, 0x7b, 0, 0, 0 } }, { "jmp reg", 2, { 0xff, 0xe0 } },
        { "call reg", 2, { 0xff, 0xd0 } },     { "jmp mem", 2, { 0xff, 0x27 } },
        { "call mem", 2, { 0xff, 0x17 } },     { "ret", 1, { 0xc3 } },
        { "ret n", 3, { 0xc2, 8, 0 } },        { "loop", 2, { 0xe2, 0x7e } },
        { "jecxz", 3, { 0x67, 0xe3, 0x7d } },  { "ret far", 1, { 0xcb } },
        { "iret", 1, { 0xcf } },
    };

    check_begin("branch-limits");
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(branches); i++) {
        unsigned limit = i & 1 ? 0x81 : 0x7f; /* the target is 0x80 */
        bool is_jcxz = branches[i / 2].bytes[0] == 0x67;
        struct frame f = trap_frame(0, 3);
        uint32_t *stack = (uint32_t *)f.esp;

        copy(code_room, branches[i / 2].bytes, branches[i / 2].bytes + branches[i / 2].n);
        code_room[0x80] = 0xcd;
        code_room[0x81] = TRAP_END;
        gdt[SEG_2 / 8] = segment_make((uint32_t)code_room, limit, 0xfa, FLAGS_32);
        f.cs = SEG_2 | 3;
        f.eax = 0x80;
        f.ecx = is_jcxz ? 0x10000 : 2; /* JCXZ with a 16-bit address size: CX alone */
        f.edi = (uint32_t)data;
        data[0] = 0x80;
        stack[0] = 0x80;
        stack[1] = SEG_2 | 3;
        stack[2] = FL_1;
        trap_run(&f);
        if (i & 1)
            check_that(f.vector == TRAP_END && f.eip == 0x82, "%s: trap %u at %x",
                       branches[i / 2].name, f.vector, f.eip);
        else
            check_that(f.vector == VEC_GP && !f.error && !f.eip && f.esp == (uint32_t)stack &&
                           f.ecx == (is_jcxz ? 0x10000 : 2),
                       "%s beyond: trap %u error %x at %x", branches[i / 2].name, f.vector,
                       f.error, f.eip);
    }
    check_end();
}

/* --- A monitor of virtual-8086 tasks -------------------------------------- */

extern const uint8_t kernels_v86[], kernels_v86_end[];

/* int n through the task's own vectors, at 0 in its memory; popf, pushf and iret by hand. */
static bool monitor(struct frame *f, bool *interrupts)
{
    volatile uint8_t *ip = (volatile uint8_t *)(f->cs * 16 + f->eip);
    volatile uint16_t *sp = (volatile uint16_t *)(f->ss * 16 + (f->esp & 0xffff));
    volatile uint16_t *vector = (volatile uint16_t *)(ip[1] * 4);

    switch (*ip) {
    case 0xcd:
        sp[-1] = (f->eflags & ~FL_IF) | (*interrupts ? FL_IF : 0);
        sp[-2] = f->cs;
        sp[-3] = f->eip + 2;
        f->esp -= 6;
        f->eip = vector[0];
        f->cs = vector[1];
        *interrupts = false;
        return true;
    case 0xcf:
        f->eip = sp[0];
        f->cs = sp[1];
        *interrupts = sp[2] & FL_IF;
        f->eflags = (f->eflags & ~FL_ARITH) | (sp[2] & FL_ARITH);
        f->esp += 6;
        return true;
    case 0x9c:
        sp[-1] = (f->eflags & ~FL_IF) | (*interrupts ? FL_IF : 0);
        f->esp -= 2;
        f->eip++;
        return true;
    case 0xfa: *interrupts = false; f->eip++; return true;
    case 0xfb: *interrupts = true; f->eip++; return true;
    default: return false;
    }
}

static void v86_monitor(bool paging)
{
    volatile uint16_t *vectors = (volatile uint16_t *)0;
    struct frame f = trap_frame(0, 0);
    bool interrupts = false;
    unsigned traps = 0;

    check_begin(paging ? "v86-monitor-paged" : "v86-monitor");
    if (paging)
        paging_init(false, false);
    for (unsigned i = 0; i < sizeof(trap_tss.io_bits); i++)
        trap_tss.io_bits[i] = 0xff;
    trap_tss.io_bits[0x71 / 8] = 0;
    trap_tss.io_map = offsetof(struct tss, io_bits);
    copy((void *)0x70000, kernels_v86, kernels_v86_end);
    vectors[0x40 * 2] = 0x80;
    vectors[0x40 * 2 + 1] = 0x7000;
    f.eflags |= FL_VM;
    f.cs = 0x7000;
    f.ss = 0x6000;
    f.ds = f.es = 0;
    f.esp = 0x1000;
    do {
        trap_run(&f);
    } while (f.vector == VEC_GP && f.eflags & FL_VM && traps++ < 100 && monitor(&f, &interrupts));
    check_equal("trap", f.vector, VEC_GP);
    check_equal("where: hlt", *(volatile uint8_t *)(f.cs * 16 + f.eip), 0xf4);
    check_equal("cx", f.ecx & 0xffff, 5);
    check_equal("bp", f.ebp & 0xffff, 15);
    check_equal("si", f.esi & 0xffff, 0xbeef);
    check_equal("IF in the handler", f.edi & FL_IF, 0);
    check_equal("IF after cli", f.ebx & FL_IF, 0);
    check_equal("traps", traps, 19);
    trap_tss.io_map = sizeof(trap_tss);
    if (paging)
        paging_off();
    check_end();
}

/* Single steps in virtual-8086 mode with IOPL 3. */
static void v86_steps(void)
{
    static const uint8_t code[] = { 0x90, 0x9c, 0x9d, 0x8c, 0xd0, 0x8e, 0xd0, 0x90, 0xcc };
    static const uint8_t stops[] = { 1, 2, 3, 5, 8 }; /* not behind mov %ax, %ss */
    struct frame f = trap_frame(0, 0);

    check_begin("v86-steps");
    copy((void *)0x70000, code, code + sizeof(code));
    f.eflags |= FL_VM | FL_IOPL3 | FL_TF;
    f.cs = 0x7000;
    f.ss = 0x6000;
    f.ds = f.es = 0;
    f.esp = 0x1000;
    for (unsigned i = 0; i < sizeof(stops); i++) {
        trap_run(&f);
        check_that(f.vector == VEC_DB && f.eip == stops[i], "trap %u at %x, want %x", f.vector,
                   f.eip, stops[i]);
    }
    check_end();
}

/* --- Interrupts ----------------------------------------------------------- */

extern const uint8_t kernels_mixture[];
static uint32_t ticks;

static void tick(struct frame *f)
{
    (void)f;
    ticks++;
    trap_irq_end(0);
}

static uint32_t run_mixture(unsigned ring, bool interrupts)
{
    uint32_t *buffer = (uint32_t *)paging_page(30); /* apart from code_room */
    struct frame f = trap_frame((uint32_t)kernels_mixture, ring);
    uint32_t sum;

    for (unsigned i = 0; i < 32; i++)
        buffer[i] = i * 0x01234567;
    f.ecx = 20000;
    f.esi = (uint32_t)buffer;
    f.edi = (uint32_t)&buffer[16];
    if (interrupts)
        f.eflags |= FL_IF;
    trap_run(&f);
    check_equal("trap", f.vector, TRAP_END);
    sum = f.eax ^ f.ebx ^ (f.eflags & FL_ARITH) << 8;
    for (unsigned i = 0; i < 32; i++)
        sum = (sum << 1 | sum >> 31) ^ buffer[i];
    return sum;
}

/* A computation gives the same whether interrupts come anywhere in it or not. */
static void interrupts(bool paging)
{
    check_begin(paging ? "interrupts-paged" : "interrupts");
    if (paging)
        paging_init(false, false);
    trap_set(TRAP_IRQ, tick);
    time_start_ticks(TIME_PIT_HZ / 4000);
    for (unsigned ring = 0; ring < 4; ring += 3) {
        uint32_t want = run_mixture(ring, false);

        ticks = 0;
        trap_irq_mask(0xfffe);
        for (unsigned i = 0; i < 4 || (ticks < 100 && i < 4000); i++)
            check_equal("the sum", run_mixture(ring, true), want);
        trap_irq_mask(0xffff);
        check_that(ticks >= 100, "%u ticks", ticks);
    }
    trap_set(TRAP_IRQ, NULL);
    if (paging)
        paging_off();
    check_end();
}

unsigned guest_main(void)
{
    uint32_t features = cpuid_features();
    bool pae = features & CPUID_PAE;

    write_cr0(CR0_NORMAL);
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
    real_mode();
    nested_tasks();
    task_jumps();
    task_gates();
    task_286();
    inner_rings();
    gate_stairs();
    conforming();
    expand_down();
    local_table();
    code_bases();
    bit_strings();
    priorities();
    debug_priorities();
    step_through();
    branch_limits();
    v86_monitor(false);
    v86_monitor(true);
    v86_steps();
    interrupts(false);
    interrupts(true);
    return check_done();
}
