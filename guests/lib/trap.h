/*
 * Segments, exceptions and interrupts.
 *
 * trap_init sets up a flat GDT, an IDT whose every vector arrives here, a TSS, a second TSS for
 * double faults, and the PICs at TRAP_IRQ with everything masked.
 *
 * Two ways to meet a trap: a handler in a table (trap_set), which may change the frame and resumes
 * there; or trap_run, which enters any state of the CPU and comes back with the state at the next
 * trap that has no handler. Anything else is reported and ends the guest with status 2.
 */
#ifndef GUESTS_LIB_TRAP_H
#define GUESTS_LIB_TRAP_H

#include "guests/lib/x86.h"

/* The selectors. SYSENTER and SYSEXIT want the first four in this order. */
enum {
    KERNEL_CS = 0x08, KERNEL_DS = 0x10, USER_CS = 0x1b, USER_DS = 0x23,
    TSS_MAIN = 0x28, TSS_DOUBLE_FAULT = 0x30, LDT_SELECTOR = 0x38,
    RING1_CS = 0x41, RING1_DS = 0x49, RING2_CS = 0x52, RING2_DS = 0x5a,
    FREE_SELECTOR = 0x60, /* from here on for tests */
    GDT_COUNT = 32, LDT_COUNT = 8,
};

enum {
    TRAP_IRQ = 0x20, TRAP_IRQ_SLAVE = 0x28,
    TRAP_END = 0x30,     /* int $0x30: the end of code under test, from every ring */
    TRAP_SYSCALL = 0x80, /* also with DPL 3 */
};

/* What the entry code pushes, and what trap_run enters. The segment registers of V86 mode are the
 * last four. */
struct frame {
    uint32_t gs, fs, es, ds;
    uint32_t edi, esi, ebp, unused, ebx, edx, ecx, eax;
    uint32_t vector, error;
    uint32_t eip, cs, eflags, esp, ss;
    uint32_t v86_es, v86_ds, v86_fs, v86_gs;
};

struct tss {
    uint32_t backlink, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
    uint16_t debug_trap, io_map; /* io_map: offset of the bitmap, beyond the limit if none */
    uint8_t io_bits[8192 + 1];
};

extern uint64_t gdt[GDT_COUNT], ldt[LDT_COUNT], idt[256];
extern struct tss trap_tss;

void trap_init(void);

typedef void trap_handler(struct frame *frame);
void trap_set(unsigned vector, trap_handler *handler); /* NULL: none */

/*
 * Goes to *frame (cs, eip, eflags, ss, esp, segments, general registers; with cs of ring 0, ss must
 * be flat and esp have room below) and returns with *frame as the next trap without a handler found
 * it: ss and esp are set then for every ring.
 */
void trap_run(struct frame *frame);

/* A frame for code at eip in a ring (flat segments, esp at a stack of its own, the same for all
 * rings, all general registers 0; interrupts on in ring 3, as systems have it, else off). */
struct frame trap_frame(uint32_t eip, unsigned ring);
uint32_t trap_stack_top(void); /* that esp */

/* After an IRQ's handler: end of interrupt. */
void trap_irq_end(unsigned irq);
void trap_irq_mask(uint16_t mask); /* bit set: masked */

/* A task of ring 0 that begins at eip with this stack, flat segments and the same page tables, and
 * its descriptor. */
void trap_make_task(struct tss *task, uint16_t selector, uint32_t eip, uint8_t *stack,
                    uint32_t stack_size);
bool trap_task_busy(uint16_t selector);

/* Writes CR3, for tasks to come as well. */
void trap_set_cr3(uint32_t cr3);

/* Descriptors. access: the byte with P, DPL, S and type; flags: G, D/B as the top nibble 0xc. */
uint64_t segment_make(uint32_t base, uint32_t limit, uint8_t access, uint8_t flags);
uint64_t gate_make(uint16_t selector, uint32_t offset, uint8_t access, uint8_t words);
void trap_load_gdt(void); /* loads GDTR and all segment registers */
/* the gate as trap_init made it, with this DPL */
void trap_set_gate(unsigned vector, unsigned dpl);

enum {
    ACCESS_P = 0x80, ACCESS_DPL3 = 0x60, ACCESS_CODE = 0x9a, ACCESS_DATA = 0x92,
    ACCESS_TSS = 0x89, ACCESS_LDT = 0x82, ACCESS_INT_GATE = 0x8e, ACCESS_TRAP_GATE = 0x8f,
    ACCESS_TASK_GATE = 0x85, ACCESS_CALL_GATE = 0x8c,
    FLAGS_FLAT = 0xc, FLAGS_32 = 0x4, FLAGS_16 = 0x0,
};

#endif
