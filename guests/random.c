/*
 * A guest that does random things for ever, from a seed: random instruction bytes in all rings and
 * in virtual-8086 mode, random port and memory-mapped I/O, random edits of page tables. It is there
 * to show that the monitor neither ends nor hangs.
 *
 * Command line: seed=N; "user" for ring 3 only; "tables" for page table edits only; "io" for I/O
 * only; rounds=N or seconds=N to end after so many with status 0.
 *
 * A round copies random bytes to a page, enters them with random registers in ring 3 or in
 * virtual-8086 mode, and comes back by the next trap or by the timer, whose interrupts are always
 * on. What the round may have destroyed is then made anew. The guest's own pages are
 * supervisor's, and the TSS' bitmap opens all ports but those that end the machine, carry the text
 * or could switch off the timer. Ring 0 runs single system instructions with random operands.
 */
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum {
    CODE_PAGE = 0,  /* to 1 */
    DATA_PAGE = 4,  /* to 7 */
    STACK_PAGE = 8, /* to 9 */
    TABLE_PAGE = 16,
    BEAT_ROUNDS = 512, /* a heartbeat every so many */
    TICK = 1193 * 2,    /* 2 ms */
};

extern uint8_t image_end[];

/* --- Chance ------------------------------------------------------------- */

static uint32_t state = 1;

/* xorshift32 (Marsaglia, 2003) */
static uint32_t chance(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static uint32_t below(uint32_t n)
{
    return (chance() >> 8) % n;
}

/* Values that make things happen more often than any 32 bits would. */
static uint32_t interesting(void)
{
    switch (below(10)) {
    case 0: return below(16);
    case 1: return -below(16);
    case 2: return (uint32_t)paging_page(DATA_PAGE) + below(4 * PAGE);
    case 3: return (uint32_t)paging_page(DATA_PAGE + 4) - below(16);
    case 4: return PAGING_TEST + below(8 * PAGE);
    case 5: return 0xa0000 + below(0x18000); /* memory-mapped I/O */
    case 6: return 0x80000000u >> below(32);
    case 7: return 0xfee00000 + below(0x1000);
    default: return chance();
    }
}

/* --- Code --------------------------------------------------------------- */

/* Bytes that begin system and other instructions of which random bytes hold too few. */
static const uint8_t openings[][3] = {
    { 0x0f, 0x01 }, { 0x0f, 0x00 }, { 0x0f, 0x20 }, { 0x0f, 0x22 }, { 0x0f, 0x21 },
    { 0x0f, 0x23 }, { 0x0f, 0x30 }, { 0x0f, 0x32 }, { 0x0f, 0xa2 }, { 0x0f, 0xae },
    { 0x0f, 0xc7 }, { 0x0f, 0x34 }, { 0xf3, 0xa4 }, { 0xf3, 0xab }, { 0xf3, 0x6c },
    { 0xf3, 0x6e }, { 0x9c },       { 0x9d },       { 0xcf },       { 0xcd },
    { 0x9a },       { 0xea },       { 0xcb },       { 0x8e },       { 0x8c },
    { 0x0f, 0xb2 }, { 0xc8 },       { 0x60 },       { 0x61 },       { 0xf0, 0x0f, 0xb1 },
    { 0xd9 },       { 0xdd },       { 0xdf },       { 0x0f, 0x6f }, { 0x66, 0x0f, 0x7f },
    { 0xe8 },       { 0xc3 },       { 0xff },       { 0xe2 },       { 0x74 },
    { 0x0f, 0xab }, { 0x0f, 0xa3 }, { 0xfb },       { 0xfa },
};

static void make_code(uint8_t *to, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        to[i] = chance() >> 11;
    for (uint32_t i = 0; i + 3 < size; i += 1 + below(12)) {
        const uint8_t *opening = openings[below(ARRAY_SIZE(openings))];

        for (unsigned j = 0; j < 3 && opening[j]; j++)
            to[i + j] = opening[j];
    }
}

/* --- Ports -------------------------------------------------------------- */

/* Ports that end or reset the machine, and those that the text goes to. */
static bool port_is_left_out(uint16_t port)
{
    return (port >= 0xf4 && port <= 0xf7) || port == 0x64 || port == 0x60 || port == 0x92 ||
           (port >= 0xcf8 && port <= 0xcff) || (port >= 0x500 && port <= 0x60f) ||
           (port >= 0x3f8 && port <= 0x3ff) || port == 0xe9 || (port >= 0xae00 && port < 0xb100);
}

static bool port_is_timer(uint16_t port)
{
    return (port & ~1) == 0x20 || (port & ~1) == 0xa0 || (port & ~3) == 0x40 || port == 0x4d0;
}

static void open_ports(void)
{
    for (uint32_t port = 0; port < 0x10000; port++)
        if (port_is_left_out(port) || port_is_timer(port))
            trap_tss.io_bits[port / 8] |= 1 << port % 8;
    trap_tss.io_bits[0x10000 / 8] = 0xff;
}

/* --- What a round may have destroyed ------------------------------------ */

static uint32_t ticks;

/* Breakpoints and single steps go on, or they would end most rounds. */
static void on_debug(struct frame *f)
{
    write_dr7(0x400);
    f->eflags |= FL_RF;
}

static void set_image_rights(void)
{
    for (uint32_t a = 0x100000; a < (uint32_t)image_end; a += PAGE)
        paging_set(paging_pte(a), a | PTE_P | PTE_W);
    for (unsigned i = CODE_PAGE; i < PAGING_PAGES; i++)
        paging_set(paging_pte((uint32_t)paging_page(i)),
                   (uint32_t)paging_page(i) | PTE_P | PTE_W | PTE_U);
    for (unsigned i = 0; i < 8; i++)
        paging_set(paging_pte(PAGING_TEST + i * PAGE),
                   (uint32_t)paging_page(TABLE_PAGE + i) | PTE_P | PTE_W | PTE_U);
}

static void restore_msrs(void)
{
    if (cpuid_features() & CPUID_SEP)
        wrmsr(MSR_SYSENTER_CS, 0);
    if (cpuid(0x80000000).eax >= 0x80000001 && cpuid(0x80000001).edx & CPUID_NX)
        wrmsr(MSR_EFER, 0);
}

/* After every round. */
static void restore(void)
{
    write_dr7(0x400);
    trap_init();
    trap_tss.io_map = offsetof(struct tss, io_bits);
    trap_set(VEC_DB, on_debug);
    __asm__ volatile("fninit");
    time_start_ticks(TICK);
    trap_irq_mask(0xfffe);
}

/* After rounds in ring 0 and those that edit tables. */
static void restore_all(void)
{
    write_dr7(0x400);
    write_cr0(CR0_PE | CR0_NE);
    write_cr4(cpuid_features() & CPUID_FXSR ? CR4_OSFXSR | CR4_OSXMMEXCPT : 0);
    restore_msrs();
    paging_init(false, false);
    set_image_rights();
    write_cr3(read_cr3());
    restore();
}

/* --- Rounds ------------------------------------------------------------- */

static struct frame random_frame(unsigned ring)
{
    uint32_t code = (uint32_t)paging_page(CODE_PAGE) + (below(4) ? below(64) : PAGE - below(64));
    struct frame f = trap_frame(code, ring);
    uint32_t *registers[] = { &f.eax, &f.ebx, &f.ecx, &f.edx, &f.esi, &f.edi, &f.ebp };

    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
        *registers[i] = interesting();
    f.esp = (uint32_t)paging_page(STACK_PAGE + 1) + below(256) * 4;
    f.eflags = FL_1 | FL_IF | chance() & FL_ARITH;
    if (below(16) == 0)
        f.eflags |= FL_TF;
    return f;
}

static struct frame v86_frame(void)
{
    struct frame f = random_frame(0);

    make_code((uint8_t *)0x70000, 256);
    f.eflags |= FL_VM;
    f.cs = 0x7000;
    f.eip = below(16);
    f.ss = 0x6000;
    f.esp = chance() & 0xffff;
    f.v86_ds = 0x6000;
    f.v86_es = 0xb800;
    f.v86_fs = below(0x9000);
    f.v86_gs = below(2) ? 0xffff : 0x9000;
    f.ds = f.es = 0;
    return f;
}

static void run_code(bool user_only)
{
    struct frame f = user_only || below(8) ? random_frame(3) : v86_frame();

    make_code(paging_page(CODE_PAGE), 256);
    make_code(paging_page(CODE_PAGE) + PAGE - 128, 256);
    trap_run(&f);
    ticks += f.vector == TRAP_IRQ;
}

/* For ring 0. Those that replace the stack, the tables or the paging under this program are left to
 * ring 3, where they fault. */
static const uint8_t system_instructions[][4] = {
    { 3, 0x0f, 0x20, 0xc0 }, { 3, 0x0f, 0x20, 0xd0 }, { 3, 0x0f, 0x20, 0xd8 },
    { 3, 0x0f, 0x20, 0xe0 }, { 3, 0x0f, 0x22, 0xd0 }, { 3, 0x0f, 0x22, 0xe0 },
    { 3, 0x0f, 0x21, 0xf8 }, { 3, 0x0f, 0x23, 0xc0 }, { 3, 0x0f, 0x23, 0xc8 },
    { 3, 0x0f, 0x23, 0xf8 }, { 2, 0x0f, 0x30 },       { 2, 0x0f, 0x32 },
    { 2, 0x0f, 0xa2 },       { 2, 0x0f, 0x31 },       { 2, 0x0f, 0x33 },
    { 2, 0x0f, 0x06 },       { 2, 0x0f, 0x09 },       { 3, 0x0f, 0x01, 0x38 },
    { 3, 0x0f, 0x00, 0xd0 }, { 3, 0x0f, 0x00, 0xd8 }, { 3, 0x0f, 0x02, 0xc3 },
    { 3, 0x0f, 0x03, 0xc3 }, { 3, 0x0f, 0x01, 0xd0 }, { 3, 0x0f, 0x01, 0xd1 },
    { 2, 0x8e, 0xd8 },       { 2, 0x8e, 0xe0 },       { 2, 0x8e, 0xe8 },
    { 2, 0xfb, 0xf4 },
};

static const uint32_t msrs[] = {
    0x10, 0x8b, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x1a0, 0x1d9, 0x200, 0x201, 0x250, 0x268,
    0x277, 0x2ff, 0x400, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000101,
    0xc0000102, 0xc0000103,
};

static void run_system_instruction(void)
{
    const uint8_t *insn = system_instructions[below(ARRAY_SIZE(system_instructions))];
    uint8_t *to = paging_page(CODE_PAGE);
    struct frame f = random_frame(0);

    f.eip = (uint32_t)to;
    f.eflags &= ~FL_TF;
    f.esp = trap_stack_top();
    f.eax &= ~CR4_PAE; /* the tables stay as they are */
    if (below(2))
        f.ecx = msrs[below(ARRAY_SIZE(msrs))];
    for (unsigned i = 0; i < insn[0]; i++)
        to[i] = insn[1 + i];
    to[insn[0]] = 0xcd;
    to[insn[0] + 1] = TRAP_END;
    trap_run(&f);
}

static uint16_t random_port(void)
{
    uint16_t port;

    do
        port = below(4) ? below(0x400) : chance() & 0xffff;
    while (port_is_left_out(port) || port_is_left_out(port + 1) || port_is_left_out(port + 2) ||
           port_is_left_out(port + 3));
    return port;
}

static void touch_port(void)
{
    uint16_t port = random_port();
    uint32_t value = chance();

    switch (below(6)) {
    case 0: inb(port); break;
    case 1: inw(port); break;
    case 2: inl(port); break;
    case 3: outb(port, value); break;
    case 4: outw(port, value); break;
    case 5: __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); break;
    }
}

/* Reads and writes of a random width at a random place that is no RAM; paging is off for it. */
static void touch_memory(void)
{
    static const uint32_t places[] = { 0xa0000,    0xc0000,    0xf0000,    0xfec00000,
                                       0xfee00000, 0xfffff000, 0xe0000000, 0xfed00000 };
    uint32_t at = places[below(ARRAY_SIZE(places))] + below(PAGE - 8), value = chance();

    write_cr0(read_cr0() & ~CR0_PG);
    switch (below(6)) {
    case 0: value += *(volatile uint8_t *)at; break;
    case 1: value += *(volatile uint16_t *)at; break;
    case 2: value += *(volatile uint32_t *)at; break;
    case 3: *(volatile uint8_t *)at = value; break;
    case 4: *(volatile uint16_t *)at = value; break;
    case 5: *(volatile uint32_t *)at = value; break;
    }
    write_cr0(read_cr0() | CR0_PG);
}

static void run_io(void)
{
    cli();
    for (unsigned i = 0; i < 64; i++) {
        touch_port();
        if (i % 4 == 0)
            touch_memory();
    }
}

/* Edits entries of the test area, and of the tables themselves, then runs user code over them. */
static void run_tables(void)
{
    for (unsigned i = 0; i < 16; i++) {
        uint32_t at = PAGING_TEST + below(1024) * PAGE;
        uint32_t frame =
            below(8) ? (uint32_t)paging_page(TABLE_PAGE + below(8)) : chance() & ~0xfff;

        paging_set(paging_pte(at), frame | (chance() & 0x7f) | PTE_P);
        if (below(4) == 0)
            invlpg(at);
        if (below(32) == 0)
            paging_set(paging_pde(PAGING_TEST + (4 << 20) * below(200)),
                       chance() & 0x1ff & ~PTE_G | frame);
    }
    run_code(true);
}

/* --- For ever ----------------------------------------------------------- */

static uint32_t checksum;

static void add_to_checksum(void)
{
    const uint32_t *data = (const uint32_t *)paging_page(DATA_PAGE);

    for (unsigned i = 0; i < PAGE; i += 61)
        checksum = checksum * 31 + data[i];
}

static struct {
    uint32_t seed, rounds, seconds;
    bool user, tables, io;
} options = { .seed = 1 };

/* Once: later rounds may write to where the command line is. */
static void read_options(void)
{
    boot_option("seed", &options.seed);
    boot_option("rounds", &options.rounds);
    boot_option("seconds", &options.seconds);
    options.user = boot_option("user", NULL);
    options.tables = boot_option("tables", NULL);
    options.io = boot_option("io", NULL);
}

static void run_round(void)
{
    unsigned kind = options.user ? 0 : options.tables ? 7 : options.io ? 6 : below(8);

    if (kind < 5) {
        run_code(options.user);
        restore();
        return;
    }
    if (kind == 5)
        run_system_instruction();
    else if (kind == 6)
        run_io();
    else
        run_tables();
    restore_all();
}

static void heartbeat(uint32_t round)
{
    console_init();
    add_to_checksum();
    print("round %u, %u ticks, checksum %x\n", round, ticks, checksum);
}

/* Is the time up? Rounds may write the TSC: steps of more than a second do not count. */
static bool time_is_up(void)
{
    static uint64_t last, passed;
    uint64_t now = rdtsc(), step = now - last, second = (uint64_t)time_tsc_khz() * 1000;

    last = now;
    if (step < second)
        passed += step;
    return options.seconds && passed > second * options.seconds;
}

/* What the rounds do follows from the seed alone: the next round's seed is drawn before it runs. */
unsigned guest_main(void)
{
    read_options();
    open_ports();
    state = options.seed * 2654435761u | 1;
    print("random: seed %u, TSC %u MHz\n", options.seed, time_tsc_khz() / 1000);
    restore_all();
    for (uint32_t round = 1; !options.rounds || round <= options.rounds; round++) {
        uint32_t next = chance();

        run_round();
        state = next | 1;
        if (round % BEAT_ROUNDS == 0)
            heartbeat(round);
        if (time_is_up())
            break;
    }
    console_init();
    print("DONE 1 passed 0 failed\n");
    return 0;
}
