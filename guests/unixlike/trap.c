/*
 * Segments, the IDT, and what arrives: system calls, interrupts, exceptions.
 *
 * Reference: SDM volume 3, sections 3.4.5, 6.11 and 7.2.
 */
#include "guests/unixlike/unixlike.h"

enum { SYS_WRITE = 1, SYS_READ, SYS_SLEEP, SYS_BLOCK, SYS_EXIT };
enum { DEBUG_EXIT = 0xf4, STUB = 16, USER_TOP = 1 << 20 };

extern uint8_t trap_vectors[], stack_end[];

volatile uint32_t ticks;

static uint64_t gdt[6], idt[VECTOR_COUNT];
static uint32_t tss[26];

struct pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

static uint64_t gate(uint32_t offset, unsigned dpl)
{
    return (uint64_t)(offset & 0xffff0000 | 0x8e00 | dpl << 13) << 32 | SEL_CODE << 16 |
           offset & 0xffff;
}

/* CS, DS, ES and SS stay what the boot sector loaded: teaching kernels rely on its GDT being as
 * theirs. So does -kernel, with what its loader leaves. */
static void load_segments(void)
{
    struct pointer table = { sizeof(gdt) - 1, (uint32_t)gdt };
    uint32_t base = (uint32_t)tss;

    gdt[1] = 0x00cf9a000000ffff;
    gdt[2] = 0x00cf92000000ffff;
    gdt[3] = 0x00cffa000000ffff;
    gdt[4] = 0x00cff2000000ffff;
    gdt[5] = (uint64_t)(base & 0xff000000 | 0x8900 | base >> 16 & 0xff) << 32 | base << 16 |
             (sizeof(tss) - 1);
    tss[1] = (uint32_t)stack_end; /* ESP0, SS0 */
    tss[2] = SEL_DATA;
    tss[25] = sizeof(tss) << 16;  /* no ports */
    __asm__ volatile("lgdt %0; ltr %w1" : : "m"(table), "r"(SEL_TSS) : "memory");
}

void trap_init(void)
{
    struct pointer table = { sizeof(idt) - 1, (uint32_t)idt };

    load_segments();
    for (unsigned i = 0; i < VECTOR_COUNT; i++)
        idt[i] = gate((uint32_t)trap_vectors + i * STUB, i == VECTOR_SYSTEM_CALL ? 3 : 0);
    __asm__ volatile("lidt %0" : : "m"(table));
}

/* --- System calls ------------------------------------------------------------------------- */

static void write(uint32_t from, uint32_t size)
{
    if (from > USER_TOP || size > USER_TOP - from)
        panic("the user program writes from %x", from);
    for (; size; size--)
        console_put(*(const char *)from++);
}

static void sleep(uint32_t count)
{
    uint32_t start = ticks;

    while (ticks - start < count) {
        sti_hlt();
        cli();
    }
}

static void system_call(struct frame *f)
{
    switch (f->eax) {
    case SYS_WRITE: write(f->ebx, f->ecx); break;
    case SYS_READ: f->eax = console_get(); break;
    case SYS_SLEEP: sleep(f->ebx); break;
    case SYS_BLOCK: ide_read(1, f->ecx, (void *)f->ebx); break;
    case SYS_EXIT:
        print("user: exit %u\n", f->ebx);
        outb(DEBUG_EXIT, f->ebx);
        panic("there is no isa-debug-exit");
    default: panic("system call %u", f->eax);
    }
}

/* --- All else ----------------------------------------------------------------------------- */

static void interrupt(unsigned irq)
{
    switch (irq) {
    case IRQ_TIMER: ticks++; break;
    case IRQ_KEYBOARD: keyboard_interrupt(); break;
    case IRQ_COM1: console_interrupt(); break;
    case IRQ_IDE: ide_interrupt(); break;
    default: panic("interrupt %u", irq);
    }
    apic_end_of_interrupt();
}

void trap(struct frame *f)
{
    if (f->vector == VECTOR_SYSTEM_CALL)
        system_call(f);
    else if (f->vector == VECTOR_SPURIOUS)
        return;
    else if (f->vector >= VECTOR_IRQ && f->vector < VECTOR_IRQ + 24)
        interrupt(f->vector - VECTOR_IRQ);
    else
        panic("exception %u, error %x, at %x, cr2 %x", f->vector, f->error, f->eip, read_cr2());
}
