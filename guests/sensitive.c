/*
 * Executes every sensitive and privileged instruction in every ring, at IOPL 0 and 3, and in
 * virtual-8086 mode, and prints what it saw. Everything it prints is determined by the
 * architecture: addresses are fixed, undefined flags left out. With "qemu" on the command line what
 * is known to end QEMU 7.2 (a '!' before the name) is left out.
 *
 * Reference: Robin and Irvine, "Analysis of the Intel Pentium's Ability to Support a Secure Virtual
 *            Machine Monitor", USENIX Security 2000; SDM volumes 2 and 3.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/snippet.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

extern const struct snippet sensitive_snippets[], sensitive_selector_snippets[];
extern const struct snippet sensitive_v86_snippets[];

/* Where things are, so that addresses in the output are the same whoever compiled this. */
enum {
    AT_GDT = 0x600000, AT_IDT = 0x601000, AT_DATA = 0x610000, AT_STACK = 0x620000,
    AT_RING0_STACK = 0x640000, AT_CODE = 0x700000, AT_TARGET = 0x700800,
    AT_V86_CODE = 0x70000, AT_V86_DATA = 0x60000,
    DATA_SIZE = 64, DATA_FILL = 0xa5,
};

struct pseudo_descriptor {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

static void copy(uint32_t to, const void *from, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

/* --- What selectors there are ------------------------------------------- */

static const struct {
    const char *name;
    uint8_t access, flags;
} descriptors[] = {
    { "code0", 0x9a, FLAGS_FLAT },
    { "code3", 0xfa, FLAGS_FLAT },
    { "execute-only code3", 0xf8, FLAGS_FLAT },
    { "conforming code0", 0x9e, FLAGS_FLAT },
    { "conforming code3", 0xfe, FLAGS_FLAT },
    { "code1", 0xba, FLAGS_FLAT },
    { "data0", 0x92, FLAGS_FLAT },
    { "data3", 0xf2, FLAGS_FLAT },
    { "read-only data3", 0xf0, FLAGS_FLAT },
    { "absent code3", 0x7a, FLAGS_FLAT },
    { "absent data3", 0x72, FLAGS_FLAT },
    { "small code3", 0xfa, FLAGS_32 },
    { "ldt", 0x82, FLAGS_32 },
    { "absent ldt", 0x02, FLAGS_32 },
    { "busy tss", 0x8b, FLAGS_32 },
    { "absent tss", 0x09, FLAGS_32 },
    { "call gate0", 0x8c, 0 },
    { "call gate3", 0xec, 0 },
    { "call gate3 to conforming", 0xec, 1 },
    { "call gate3 to data", 0xec, 2 },
    { "absent call gate3", 0x6c, 0 },
    { "interrupt gate", 0xee, 0 },
    { "reserved type 0", 0x80, 0 },
    { "reserved type 8", 0x88, 0 },
    { "reserved type 13", 0x8d, 0 },
};

static uint16_t selector_of(unsigned descriptor)
{
    return FREE_SELECTOR + 8 + descriptor * 8;
}

static uint64_t make_descriptor(unsigned i)
{
    static const uint8_t gate_target[] = { 0, 3, 6 };
    uint8_t access = descriptors[i].access;

    if (access >> 4 & 1)
        return segment_make(0, 0xfffff, access, descriptors[i].flags);
    if ((access & 15) == 12)
        return gate_make(selector_of(gate_target[descriptors[i].flags]), AT_TARGET, access, 0);
    return segment_make((uint32_t)ldt, 63, access, 0);
}

/* A table of its own, longer than the library's. */
static void make_tables(void)
{
    struct pseudo_descriptor gdtr = { 0x1ff, AT_GDT }, idtr = { 0x7ff, AT_IDT };

    copy(AT_GDT, gdt, sizeof(gdt));
    for (unsigned i = 0; i < ARRAY_SIZE(descriptors); i++)
        ((uint64_t *)AT_GDT)[selector_of(i) / 8] = make_descriptor(i);
    copy(AT_IDT, idt, sizeof(idt));
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(gdtr), "m"(idtr) : "memory");
    trap_tss.esp0 = AT_RING0_STACK;
    trap_tss.esp1 = AT_RING0_STACK - 0x4000;
    trap_tss.esp2 = AT_RING0_STACK - 0x8000;
}

/* Ports that are open for all rings: 0x70 to 0x77. */
static void open_ports(void)
{
    for (unsigned i = 0; i < sizeof(trap_tss.io_bits); i++)
        trap_tss.io_bits[i] = 0xff;
    trap_tss.io_bits[0x70 / 8] = 0;
    trap_tss.io_map = offsetof(struct tss, io_bits);
}

/* --- What was seen ------------------------------------------------------ */

static const char *const vector_names[32] = {
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9", "#TS", "#NP", "#SS", "#GP",
    "#PF", "15", "#MF", "#AC", "#MC", "#XM",
};

static void print_end(const struct frame *f, uint32_t code, uint32_t stop)
{
    if (f->vector == TRAP_END && f->eip == stop + SNIPPET_STOP)
        print(" ok");
    else if (f->vector == TRAP_END)
        print(" at %x:%x", f->cs, f->eip - SNIPPET_STOP);
    else if (f->vector < 32 && vector_names[f->vector])
        print(" %s(%x)+%x", vector_names[f->vector], f->error, f->eip - code);
    else
        print(" int %x+%x", f->vector, f->eip - code);
}

static void print_changed(const char *name, uint32_t now, uint32_t before)
{
    if (now != before)
        print(" %s=%x", name, now);
}

static void print_registers(const struct frame *now, const struct frame *before)
{
    print_changed("eax", now->eax, before->eax);
    print_changed("ebx", now->ebx, before->ebx);
    print_changed("ecx", now->ecx, before->ecx);
    print_changed("edx", now->edx, before->edx);
    print_changed("esi", now->esi, before->esi);
    print_changed("edi", now->edi, before->edi);
    print_changed("ebp", now->ebp, before->ebp);
    print_changed("esp", now->esp, before->esp);
    print_changed("cs", now->cs, before->cs);
    print_changed("ss", now->ss, before->ss);
    print_changed("ds", now->ds, before->ds);
    print_changed("es", now->es, before->es);
    print_changed("fs", now->fs, before->fs);
    print_changed("gs", now->gs, before->gs);
    print_changed("flags", now->eflags & ~FL_RF, before->eflags);
}

static void print_data(uint32_t data)
{
    const volatile uint8_t *at = (const volatile uint8_t *)data;
    unsigned size = DATA_SIZE;

    while (size && at[size - 1] == DATA_FILL)
        size--;
    if (size)
        print(" mem=");
    for (unsigned i = 0; i < size; i++)
        print("%02x", at[i]);
}

static void fill_data(uint32_t data)
{
    for (unsigned i = 0; i < DATA_SIZE; i++)
        ((volatile uint8_t *)data)[i] = DATA_FILL;
}

static struct frame start_state(unsigned ring, unsigned iopl)
{
    struct frame f = trap_frame(AT_CODE, ring);

    f.eax = 0x11111111;
    f.ebx = 0x22222222;
    f.ecx = 0x33333333;
    f.edx = 0x44444444;
    f.esi = 0x55555555;
    f.ebp = f.ss;
    f.edi = AT_DATA;
    f.esp = AT_STACK;
    f.eflags = FL_1 | FL_ARITH | iopl << 12;
    return f;
}

/* Runs a snippet and restores what it may have changed. */
static void run(const struct snippet *s, struct frame *f, uint32_t code, uint32_t data)
{
    struct pseudo_descriptor gdtr = { 0x1ff, AT_GDT }, idtr = { 0x7ff, AT_IDT };

    fill_data(data);
    copy(code, s->code, s->end - s->code + SNIPPET_STOP);
    trap_run(f);
    __asm__ volatile("lgdt %0; lidt %1; lldt %w2" : : "m"(gdtr), "m"(idtr), "r"(LDT_SELECTOR));
    write_cr0(CR0_PE | CR0_MP | CR0_NE);
}

/* The only one that waits for the timer. */
static void wait_for_timer(const struct snippet *s, struct frame *f)
{
    time_start_ticks(TIME_PIT_HZ / 1000);
    trap_irq_mask(0xfffe);
    run(s, f, AT_CODE, AT_DATA);
    trap_irq_mask(0xffff);
    if (f->vector == TRAP_IRQ)
        trap_irq_end(0);
}

static bool is_named(const struct snippet *s, const char *name)
{
    const char *a = s->name;

    while (*a && *a == *name) {
        a++;
        name++;
    }
    return *a == *name;
}

static void run_in_ring(const struct snippet *s, unsigned ring, unsigned iopl)
{
    struct frame before = start_state(ring, iopl), f = before;

    if (is_named(s, "sti and hlt"))
        wait_for_timer(s, &f);
    else
        run(s, &f, AT_CODE, AT_DATA);
    print("%s, cpl %u iopl %u:", s->name, ring, iopl);
    print_end(&f, AT_CODE, AT_CODE + (s->end - s->code));
    print_registers(&f, &before);
    print_data(AT_DATA);
    print("\n");
}

static void all_rings(void)
{
    bool qemu = boot_option("qemu", NULL);

    for (const struct snippet *s = sensitive_snippets; s->name; s++)
        for (unsigned ring = 0; ring < 4; ring++)
            for (unsigned iopl = 0; iopl < 4; iopl += 3)
                if (!qemu || s->name[0] != '!')
                    run_in_ring(s, ring, iopl);
}

/* --- Selectors ---------------------------------------------------------- */

static void run_with_selector(const struct snippet *s, unsigned ring, uint16_t selector)
{
    struct frame before = start_state(ring, 0), f;

    before.eax = selector;
    f = before;
    copy(AT_TARGET, "\xcd\x30", SNIPPET_STOP);
    run(s, &f, AT_CODE, AT_DATA);
    print_end(&f, AT_CODE, AT_CODE + (s->end - s->code));
    f.eflags = (f.eflags & FL_ZF) | (before.eflags & ~FL_ZF);
    f.edi = before.edi;
    print_registers(&f, &before);
}

static void selectors_of_ring(const struct snippet *s, unsigned ring)
{
    for (unsigned i = 0; i < ARRAY_SIZE(descriptors); i++) {
        print("%s of %s, cpl %u:", s->name, descriptors[i].name, ring);
        for (unsigned rpl = 0; rpl < 4; rpl++) {
            print(" rpl%u", rpl);
            run_with_selector(s, ring, selector_of(i) | rpl);
        }
        print("\n");
    }
    print("%s beyond the table, cpl %u:", s->name, ring);
    run_with_selector(s, ring, 0x3f8 | ring);
    print("; null:");
    run_with_selector(s, ring, 3);
    print("\n");
}

static void all_selectors(void)
{
    for (const struct snippet *s = sensitive_selector_snippets; s->name; s++)
        for (unsigned ring = 0; ring < 4; ring++)
            selectors_of_ring(s, ring);
}

/* --- Virtual-8086 mode -------------------------------------------------- */

static void run_in_v86(const struct snippet *s, unsigned iopl)
{
    struct frame before = start_state(0, iopl), f;

    before.cs = AT_V86_CODE >> 4;
    before.eip = 0;
    before.ss = before.ds = before.es = before.v86_ds = before.v86_es = AT_V86_DATA >> 4;
    before.fs = before.gs = before.v86_fs = before.v86_gs = 0;
    before.edi = 0;
    before.esp = 0x8000;
    before.ebp = 0;
    before.eflags |= FL_VM;
    f = before;
    *(volatile uint8_t *)(AT_V86_CODE + 0x800) = 0xf4; /* where a far jump goes */
    f.ds = f.es = 0; /* trap_run loads these before it leaves protected mode */
    run(s, &f, AT_V86_CODE, AT_V86_DATA);
    f.ds = f.v86_ds;
    f.es = f.v86_es;
    f.fs = f.v86_fs;
    f.gs = f.v86_gs;
    print("%s, v86 iopl %u:", s->name, iopl);
    if (f.vector == VEC_GP && f.eip == (uint32_t)(s->end - s->code))
        print(" ok");
    else
        print_end(&f, 0, ~0u);
    print_registers(&f, &before);
    print_data(AT_V86_DATA);
    print("\n");
}

static void all_v86(void)
{
    for (const struct snippet *s = sensitive_v86_snippets; s->name; s++)
        for (unsigned iopl = 0; iopl < 4; iopl += 3)
            run_in_v86(s, iopl);
}

unsigned guest_main(void)
{
    write_cr0(CR0_PE | CR0_MP | CR0_NE);
    write_cr4(read_cr4() & ~CR4_OSFXSR); /* it is seen below */
    make_tables();
    open_ports();
    print("-- instructions\n");
    all_rings();
    print("-- selectors\n");
    all_selectors();
    print("-- virtual-8086 mode\n");
    all_v86();
    print("DONE 1 passed 0 failed\n");
    return 0;
}
