/*
 * Self-modifying code. Every case runs code once, so that it is translated, changes it, and runs it
 * again; in rings 0 and 3, without paging, with 32-bit and with PAE page tables.
 *
 * Reference: SDM volume 3, sections 8.1.3 and 11.6. One processor needs no serializing instruction
 * when the write goes to the same linear address; through an alias a jump does, and trap_run's IRET
 * is one.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"

enum { REPEAT = 4, ALIAS = PAGING_TEST };

static unsigned ring;
static bool paged;

/* Two pages that follow each other, and one more. */
static uint8_t *pages(void)
{
    return paging_page(0);
}

static struct frame run(const uint8_t *at)
{
    struct frame f = trap_frame((uint32_t)at, ring);

    trap_run(&f);
    return f;
}

static void expect_eax(const uint8_t *at, uint32_t want, const char *what)
{
    struct frame f = run(at);

    check_that(f.vector == TRAP_END && f.eax == want, "%s at %x: eax %x, want %x (trap %u at %x)",
               what, (uint32_t)at & 0xffff, f.eax, want, f.vector, f.eip);
}

/* --- One block ---------------------------------------------------------- */

/* movb $n, 1f+1; 1: mov $0, %eax. */
static void write_next_instruction(void)
{
    for (int offset = -32; offset <= 4; offset++)
        for (unsigned i = 1; i <= REPEAT; i++) {
            struct code c = { pages() + PAGE + offset };
            uint8_t *start = c.at;

            code_store_byte(&c, (uint32_t)c.at + 8, i);
            code_load_eax(&c, 0);
            code_end(&c);
            expect_eax(start, i, "next instruction");
        }
}

/* The same code again and again, which changes itself each time: no write from outside. */
static void write_own_counter(void)
{
    for (int offset = -32; offset <= 4; offset++) {
        struct code c = { pages() + PAGE + offset };
        uint8_t *start = c.at;

        code_bytes(&c, 2, 0x05fe); /* incb 1f+1 */
        code_long(&c, (uint32_t)c.at + 6 + 2 - 1);
        code_bytes(&c, 2, 0x9090);
        code_load_eax(&c, 0x100);
        code_end(&c);
        *(volatile uint32_t *)(start + 2) = (uint32_t)start + 9;
        for (unsigned i = 1; i <= REPEAT; i++)
            expect_eax(start, 0x100 + i, "own counter");
    }
}

/* The next instruction becomes a shorter, a longer and an undefined one. */
static void write_opcode(void)
{
    static const struct {
        uint8_t opcode;
        uint32_t vector, eax;
    } cases[] = {
        { 0x40, TRAP_END, 1 },          /* inc %eax */
        { 0x48, TRAP_END, 0xffffffff }, /* dec %eax */
        { 0xf4, VEC_GP, 0 },            /* hlt */
        { 0x3c, TRAP_END, 0 },          /* cmp $0x90, %al */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct code c = { pages() + 0x100 };
        uint8_t *start = c.at;
        struct frame f;

        if (cases[i].vector == VEC_GP && ring == 0)
            continue;
        code_store_byte(&c, (uint32_t)c.at + 7, cases[i].opcode);
        code_bytes(&c, 2, 0x9090);
        code_end(&c);
        f = run(start);
        check_that(f.vector == cases[i].vector && f.eax == cases[i].eax,
                   "opcode %x: trap %u eax %x", cases[i].opcode, f.vector, f.eax);
    }
}

/* A loop that counts its own immediate down: lea -> cmp imm -> jne. */
static void write_in_a_loop(void)
{
    struct code c = { pages() + PAGE - 9 };
    uint8_t *start = c.at, *again;

    code_load_eax(&c, 0);
    again = c.at;
    code_bytes(&c, 3, 0x01c083);       /* add $1, %eax: the 1 grows */
    code_bytes(&c, 2, 0x05fe);         /* incb again+2 */
    code_long(&c, (uint32_t)again + 2);
    code_bytes(&c, 3, 0x37f883);       /* cmp $55, %eax */
    code_byte(&c, 0x75);               /* jne again */
    code_byte(&c, again - (c.at + 1));
    code_end(&c);
    expect_eax(start, 55, "a loop");
}

/* --- Other writers ------------------------------------------------------ */

static void put_load(uint8_t *at, uint32_t value)
{
    struct code c = { at };

    code_load_eax(&c, value);
    code_end(&c);
}

static void write_from_outside(void)
{
    for (int offset = -8; offset <= 2; offset++) {
        uint8_t *at = pages() + PAGE + offset;

        put_load(at, 0x11223344);
        expect_eax(at, 0x11223344, "before");
        for (unsigned byte = 0; byte < 4; byte++) {
            uint32_t want = 0x11223344 & ~(0xffu << byte * 8) | 0xeeu << byte * 8;

            ((volatile uint8_t *)at)[1 + byte] = 0xee;
            expect_eax(at, want, "one byte");
            *(volatile uint32_t *)(at + 1) = 0x11223344;
            expect_eax(at, 0x11223344, "back");
        }
    }
}

/* Instructions that write memory, each changing the immediate at (%edi). */
static const struct writer {
    const char *name;
    uint8_t size, bytes[8];
} writers[] = {
    { "mov", 2, { 0x89, 0x1f } },                         /* mov %ebx, (%edi) */
    { "xchg", 2, { 0x87, 0x1f } },
    { "lock add", 3, { 0xf0, 0x01, 0x1f } },              /* from 0 */
    { "or", 2, { 0x09, 0x1f } },
    { "lock cmpxchg", 4, { 0xf0, 0x0f, 0xb1, 0x1f } },    /* eax = 0 */
    { "xadd", 3, { 0x0f, 0xc1, 0x1f } },
    { "stos", 3, { 0x89, 0xd8, 0xab } },                  /* mov %ebx, %eax; stos */
    { "rep stos", 4, { 0x89, 0xd8, 0xf3, 0xab } },        /* ecx = 1 */
    { "movs", 1, { 0xa5 } },                              /* esi at a copy of ebx */
    { "rep movsb", 5, { 0xb1, 0x04, 0xf3, 0xa4, 0x90 } }, /* ecx = 4 */
    { "push", 7, { 0x89, 0xe5, 0x8d, 0x67, 0x04, 0x53, 0x90 } },
    { "pop", 5, { 0x53, 0x8f, 0x07, 0x90, 0x90 } },       /* push %ebx; pop (%edi) */
};

/* The writer, then directly the instruction that it changes. */
static void write_by(const struct writer *w, int offset)
{
    static uint32_t value;
    struct code c = { pages() + PAGE + offset };
    struct frame f = trap_frame((uint32_t)c.at, ring);

    for (unsigned i = 0; i < w->size; i++)
        code_byte(&c, w->bytes[i]);
    f.edi = (uint32_t)c.at + 1;
    code_byte(&c, 0xba); /* mov $0, %edx */
    code_long(&c, 0);
    code_end(&c);
    value += 0x01234567;
    f.ebx = value;
    f.ecx = 1;
    f.esi = (uint32_t)&value;
    trap_run(&f);
    check_that(f.vector == TRAP_END && f.edx == value, "%s at %d: edx %x, want %x (trap %u)",
               w->name, offset, f.edx, value, f.vector);
}

static void write_by_everything(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(writers); i++)
        for (int offset = -16; offset <= 1; offset++)
            for (unsigned again = 0; again < 2; again++)
                write_by(&writers[i], offset);
}

/* rep movsb replaces a whole routine, the bytes directly behind itself included. */
static void copy_over_code(void)
{
    for (unsigned i = 0; i < REPEAT; i++) {
        struct code c = { pages() + PAGE - 20 };
        uint8_t *start = c.at, *source = paging_page(2) + 5;
        struct frame f = trap_frame((uint32_t)start, ring);

        put_load(source, 0xc0de0000 + i);
        code_bytes(&c, 2, 0xa4f3); /* rep movsb */
        f.esi = (uint32_t)source;
        f.edi = (uint32_t)c.at;
        f.ecx = 7;
        put_load(c.at, 0xdead);
        trap_run(&f);
        check_that(f.vector == TRAP_END && f.eax == 0xc0de0000 + i, "rep movsb: eax %x trap %u",
                   f.eax, f.vector);
    }
}

/* By an instruction in another page, and more bytes than one patch writes: what ran before is gone,
 * what is beside it stays. */
static void copy_over_other_code(void)
{
    uint8_t *routine = pages() + 0xd40, *beside = pages() + 0xd80, *source = paging_page(2) + 5;

    put_load(beside, 0xbe51de);
    for (unsigned i = 0; i < REPEAT; i++) {
        struct code c = { paging_page(2) + 0x100 };
        struct frame f = trap_frame((uint32_t)c.at, ring);

        put_load(source, 0xc0de0000 + i);
        code_bytes(&c, 2, 0xa4f3); /* rep movsb */
        code_end(&c);
        f.esi = (uint32_t)source;
        f.edi = (uint32_t)routine;
        f.ecx = 16;
        trap_run(&f);
        expect_eax(routine, 0xc0de0000 + i, "copied routine");
        expect_eax(beside, 0xbe51de, "beside it");
    }
}

/* --- Data beside code --------------------------------------------------- */

/* Code that writes data in its own page all the time must go on to work, and the stack too. */
static void data_in_the_same_page(void)
{
    struct code c = { pages() };
    uint8_t *start = c.at, *again;
    struct frame f = trap_frame((uint32_t)start, ring);

    code_byte(&c, 0xb9); /* mov $1000, %ecx */
    code_long(&c, 1000);
    again = c.at;
    code_bytes(&c, 2, 0x0501); /* add %eax, data */
    code_long(&c, (uint32_t)pages() + 0x800);
    code_bytes(&c, 3, 0x405851); /* push %ecx; pop %eax; inc %eax */
    code_bytes(&c, 2, 0x7549);   /* dec %ecx; jne again */
    code_byte(&c, again - (c.at + 1));
    code_end(&c);
    *(volatile uint32_t *)(pages() + 0x800) = 0;
    f.esp = (uint32_t)pages() + 0xc00;
    trap_run(&f);
    check_equal("the sum", *(volatile uint32_t *)(pages() + 0x800), 501498);
}

/* A small compiler: makes a function, calls it, makes the next in its place. */
static void compile_and_call(void)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < 2000; i++) {
        uint8_t *at = pages() + (i % 7) * 16;

        put_load(at, i);
        sum += run(at).eax;
    }
    check_equal("the sum of 2000 calls", sum, 1999000);
}

/* The same without leaving the ring: the loop itself writes and calls. */
static void compile_in_a_loop(void)
{
    struct code c = { pages() + 0x200 };
    uint8_t *start = c.at, *again, *function = pages() + PAGE - 3;
    struct code f = { function };

    code_byte(&c, 0xb9); /* mov $5000, %ecx */
    code_long(&c, 5000);
    again = c.at;
    code_bytes(&c, 2, 0x0d89); /* mov %ecx, function+1 */
    code_long(&c, (uint32_t)function + 1);
    code_byte(&c, 0xe8); /* call function */
    code_long(&c, (uint32_t)function - ((uint32_t)c.at + 4));
    code_bytes(&c, 2, 0xc301); /* add %eax, %ebx */
    code_bytes(&c, 2, 0x7549); /* dec %ecx; jne again */
    code_byte(&c, again - (c.at + 1));
    code_bytes(&c, 2, 0xd889); /* mov %ebx, %eax */
    code_end(&c);
    code_load_eax(&f, 0);
    code_byte(&f, 0xc3);
    expect_eax(start, 12502500, "5000 functions");
}

/* Written in one ring, run in the other. */
static void other_ring(void)
{
    unsigned old = ring;

    put_load(pages(), 1);
    expect_eax(pages(), 1, "before");
    for (unsigned i = 2; i < 6; i++) {
        struct code c = { pages() + 0x400 };

        code_store_byte(&c, (uint32_t)pages() + 1, i);
        code_end(&c);
        ring = old ? 0 : 3;
        run(pages() + 0x400);
        expect_eax(pages(), i, "the writer's ring");
        ring = old;
        expect_eax(pages(), i, "the other ring");
    }
}

/* --- Mappings ----------------------------------------------------------- */

static void map(uint32_t linear, const uint8_t *page)
{
    paging_set(paging_pte(linear), (uint32_t)page | PTE_P | PTE_W | PTE_U);
    invlpg(linear);
}

/* Written through another mapping of the same page, run by the one or the other. */
static void write_through_alias(void)
{
    volatile uint8_t *alias = (volatile uint8_t *)ALIAS;

    map(ALIAS, pages());
    for (unsigned i = 0; i < REPEAT; i++) {
        put_load(pages() + 0x10, 0x100 + i);
        expect_eax(pages() + 0x10, 0x100 + i, "identity");
        expect_eax((uint8_t *)ALIAS + 0x10, 0x100 + i, "alias");
        alias[0x11] = 0x80 + i;
        expect_eax(pages() + 0x10, 0x180 + i, "identity, written through the alias");
        expect_eax((uint8_t *)ALIAS + 0x10, 0x180 + i, "alias, written through the alias");
    }
}

/* The code itself writes through the alias, then jumps to what it wrote. */
static void alias_in_one_run(void)
{
    map(ALIAS, pages());
    for (unsigned i = 1; i <= REPEAT; i++) {
        struct code c = { pages() + 0x40 };
        uint8_t *start = c.at;

        code_store_byte(&c, ALIAS + 0x40 + 7 + 2 + 1, i);
        code_bytes(&c, 2, 0x00eb); /* jmp to the next */
        code_load_eax(&c, 0x200);
        code_end(&c);
        expect_eax(start, 0x200 + i, "alias in one run");
    }
}

/* An instruction over two pages whose second page becomes another one. */
static void remap_second_page(void)
{
    for (unsigned split = 1; split <= 6; split++) {
        uint8_t *at = (uint8_t *)ALIAS + PAGE - split;

        map(ALIAS, paging_page(3));
        for (unsigned i = 0; i < REPEAT; i++) {
            uint32_t value = 0x01010101 * (i + 1);

            map(ALIAS + PAGE, paging_page(4 + (i & 1)));
            put_load(at, value);
            expect_eax(at, value, "two pages");
        }
        map(ALIAS + PAGE, paging_page(4));
        *(volatile uint32_t *)(at + 1) = 0x03030303;
        expect_eax(at, 0x03030303, "two pages, the first again");
    }
}

/* The same address, another page: nothing was written. */
static void remap_code(void)
{
    for (unsigned i = 0; i < 4; i++)
        put_load(paging_page(6 + i), 0x600 + i);
    for (unsigned i = 0; i < 64; i++) {
        map(ALIAS, paging_page(6 + i * 7 % 4));
        expect_eax((uint8_t *)ALIAS, 0x600 + i * 7 % 4, "remapped");
    }
}

/* A store over a page's end whose second half is code. */
static void page_crossing_store(void)
{
    map(ALIAS, paging_page(10));
    map(ALIAS + PAGE, paging_page(12));
    for (unsigned i = 1; i < 32; i++) {
        put_load(paging_page(12), i << 24);
        expect_eax((uint8_t *)ALIAS + PAGE, i << 24, "before a crossing store");
        *(volatile uint32_t *)(ALIAS + PAGE - 1) = i << 16 | 0xb855;
        expect_eax((uint8_t *)ALIAS + PAGE, i << 24 | i, "after a crossing store");
    }
}

/* --- All of it ---------------------------------------------------------- */

static const struct test {
    const char *name;
    void (*run)(void);
    bool needs_paging;
} tests[] = {
    { "next-instruction", write_next_instruction, false },
    { "own-counter", write_own_counter, false },
    { "opcode", write_opcode, false },
    { "loop", write_in_a_loop, false },
    { "outside", write_from_outside, false },
    { "writers", write_by_everything, false },
    { "rep-movs", copy_over_code, false },
    { "rep-movs-other", copy_over_other_code, false },
    { "data-beside", data_in_the_same_page, false },
    { "jit-calls", compile_and_call, false },
    { "jit-loop", compile_in_a_loop, false },
    { "rings", other_ring, false },
    { "alias", write_through_alias, true },
    { "alias-same-run", alias_in_one_run, true },
    { "remap-second", remap_second_page, true },
    { "remap", remap_code, true },
    { "crossing-store", page_crossing_store, true },
};

static void run_tests(const char *mode)
{
    print("-- %s, ring %u\n", mode, ring);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        if (tests[i].needs_paging && !paged)
            continue;
        check_begin(tests[i].name);
        tests[i].run();
        check_end();
    }
}

static void run_rings(const char *mode)
{
    for (ring = 0; ring <= 3; ring += 3)
        run_tests(mode);
}

unsigned guest_main(void)
{
    run_rings("no paging");
    paged = true;
    paging_init(false, false);
    run_rings("32-bit paging");
    if (cpuid_features() & CPUID_PAE) {
        paging_init(true, false);
        run_rings("PAE");
    }
    return check_done();
}
