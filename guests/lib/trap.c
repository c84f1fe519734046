/*
 * Segments, exceptions and interrupts.
 *
 * Reference: SDM volume 3, chapters 3 (segments), 6 (exceptions), 7 (tasks); Intel 8259A data
 *            sheet.
 */
#include "guests/lib/trap.h"

#include "guests/lib/boot.h"
#include "guests/lib/console.h"

enum { STUB_SIZE = 16, STACK_SIZE = 16384, ENTER_ROOM = 1024 };

uint64_t gdt[GDT_COUNT] __attribute__((aligned(8)));
uint64_t ldt[LDT_COUNT] __attribute__((aligned(8)));
uint64_t idt[256] __attribute__((aligned(8)));
struct tss trap_tss __attribute__((aligned(4096)));

static struct tss double_fault_tss __attribute__((aligned(4096)));
static uint8_t stack_ring0[STACK_SIZE], stack_ring1[STACK_SIZE], stack_ring2[STACK_SIZE];
static uint8_t stack_double_fault[STACK_SIZE], stack_tests[STACK_SIZE];
static trap_handler *handlers[256];

/* trap_run's state. What is entered is a copy with room below it, for exceptions on the way in. */
static bool running;
static struct frame *run_result;
static struct {
    uint8_t room[ENTER_ROOM];
    struct frame frame;
} entered;

extern uint8_t trap_stubs[];
extern uint32_t trap_return_esp;
void trap_enter(struct frame *frame);
void trap_leave(void);
void trap_double_fault(void);
void trap_load_segments(void);
void trap_dispatch(struct frame *frame);
void trap_double_fault_c(void);

/* --- Descriptors -------------------------------------------------------- */

uint64_t segment_make(uint32_t base, uint32_t limit, uint8_t access, uint8_t flags)
{
    uint32_t low = limit & 0xffff | base << 16;
    uint32_t high = base >> 16 & 0xff | access << 8 | limit & 0xf0000 |
                    (uint32_t)flags << 20 | base & 0xff000000;

    return (uint64_t)high << 32 | low;
}

uint64_t gate_make(uint16_t selector, uint32_t offset, uint8_t access, uint8_t words)
{
    uint32_t low = offset & 0xffff | (uint32_t)selector << 16;
    uint32_t high = words | access << 8 | offset & 0xffff0000;

    return (uint64_t)high << 32 | low;
}

void trap_set_gate(unsigned vector, unsigned dpl)
{
    idt[vector] = gate_make(KERNEL_CS, (uint32_t)trap_stubs + vector * STUB_SIZE,
                            ACCESS_INT_GATE | dpl << 5, 0);
}

static void set_flat(unsigned selector, uint8_t access)
{
    gdt[selector / 8] = segment_make(0, 0xfffff, access | (selector & 3) << 5, FLAGS_FLAT);
}

static void fill_gdt(void)
{
    set_flat(KERNEL_CS, ACCESS_CODE);
    set_flat(KERNEL_DS, ACCESS_DATA);
    set_flat(USER_CS, ACCESS_CODE);
    set_flat(USER_DS, ACCESS_DATA);
    set_flat(RING1_CS, ACCESS_CODE);
    set_flat(RING1_DS, ACCESS_DATA);
    set_flat(RING2_CS, ACCESS_CODE);
    set_flat(RING2_DS, ACCESS_DATA);
    gdt[TSS_MAIN / 8] = segment_make((uint32_t)&trap_tss, sizeof(trap_tss) - 1, ACCESS_TSS, 0);
    gdt[LDT_SELECTOR / 8] = segment_make((uint32_t)ldt, sizeof(ldt) - 1, ACCESS_LDT, 0);
}

struct pseudo_descriptor {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

void trap_load_gdt(void)
{
    struct pseudo_descriptor table = { sizeof(gdt) - 1, (uint32_t)gdt };

    __asm__ volatile("lgdt %0" : : "m"(table) : "memory");
    trap_load_segments();
}

/* --- Tasks -------------------------------------------------------------- */

enum { TSS_SIZE = offsetof(struct tss, io_bits) }; /* of one without an I/O bitmap */

void trap_make_task(struct tss *task, uint16_t selector, uint32_t eip, uint8_t *stack,
                    uint32_t stack_size)
{
    *task = (struct tss){ 0 };
    task->eip = eip;
    task->eflags = FL_1;
    task->esp = (uint32_t)stack + stack_size;
    task->cr3 = read_cr3();
    task->cs = KERNEL_CS;
    task->ss = task->ds = task->es = KERNEL_DS;
    task->io_map = TSS_SIZE;
    gdt[selector / 8] = segment_make((uint32_t)task, TSS_SIZE - 1, ACCESS_TSS, 0);
}

bool trap_task_busy(uint16_t selector)
{
    return gdt[selector / 8] >> 41 & 1;
}

static void fill_tasks(void)
{
    trap_tss.esp0 = (uint32_t)stack_ring0 + STACK_SIZE;
    trap_tss.ss0 = KERNEL_DS;
    trap_tss.esp1 = (uint32_t)stack_ring1 + STACK_SIZE;
    trap_tss.ss1 = RING1_DS;
    trap_tss.esp2 = (uint32_t)stack_ring2 + STACK_SIZE;
    trap_tss.ss2 = RING2_DS;
    trap_tss.io_map = sizeof(trap_tss);
    trap_make_task(&double_fault_tss, TSS_DOUBLE_FAULT, (uint32_t)trap_double_fault,
                   stack_double_fault, STACK_SIZE);
}

void trap_set_cr3(uint32_t cr3)
{
    trap_tss.cr3 = cr3;
    double_fault_tss.cr3 = cr3;
    write_cr3(cr3);
}

/* --- Traps -------------------------------------------------------------- */

static bool same_ring(const struct frame *f)
{
    return !(f->eflags & FL_VM) && !(f->cs & 3);
}

static void die(const struct frame *f)
{
    print("FAIL unexpected trap %u error 0x%x at %x:%x flags 0x%x cr2 0x%x\n", f->vector, f->error,
          f->cs & 0xffff, f->eip, f->eflags, read_cr2());
    print("  eax %08x ebx %08x ecx %08x edx %08x esi %08x edi %08x ebp %08x esp %08x\n", f->eax,
          f->ebx, f->ecx, f->edx, f->esi, f->edi, f->ebp,
          same_ring(f) ? (uint32_t)&f->esp : f->esp);
    boot_exit(2);
}

static uint32_t read_ss(void)
{
    uint32_t ss;

    __asm__ volatile("movl %%ss, %0" : "=r"(ss));
    return ss;
}

/* The upper halves of pushed selectors are whatever was there (SDM 2, PUSH). */
static void trim_selectors(struct frame *f)
{
    f->gs &= 0xffff;
    f->fs &= 0xffff;
    f->es &= 0xffff;
    f->ds &= 0xffff;
    f->cs &= 0xffff;
    f->ss &= 0xffff;
}

static void take_frame(const struct frame *f)
{
    const uint32_t *from = (const uint32_t *)f;
    uint32_t *to = (uint32_t *)run_result;
    unsigned words = f->eflags & FL_VM ? 23 : same_ring(f) ? 17 : 19;

    for (unsigned i = 0; i < words; i++)
        to[i] = from[i];
    if (words == 17) {
        run_result->esp = (uint32_t)&f->esp;
        run_result->ss = read_ss();
    }
    trim_selectors(run_result);
}

void trap_dispatch(struct frame *f)
{
    if (handlers[f->vector]) {
        handlers[f->vector](f);
        return;
    }
    if (!running)
        die(f);
    running = false;
    take_frame(f);
    trap_leave();
}

static struct frame main_task_frame(void)
{
    const struct tss *t = &trap_tss;

    return (struct frame){ t->gs, t->fs, t->es, t->ds, t->edi, t->esi, t->ebp, 0, t->ebx, t->edx,
                           t->ecx, t->eax, VEC_DF, 0, t->eip, t->cs, t->eflags, t->esp, t->ss,
                           0, 0, 0, 0 };
}

void trap_double_fault_c(void)
{
    struct frame f = main_task_frame();

    if (!running)
        die(&f);
    running = false;
    *run_result = f;
    trim_selectors(run_result);
    trap_tss.eip = (uint32_t)trap_leave;
    trap_tss.eflags = FL_1;
    trap_tss.cs = KERNEL_CS;
    trap_tss.ss = trap_tss.ds = trap_tss.es = KERNEL_DS;
    trap_tss.fs = trap_tss.gs = 0;
    trap_tss.esp = trap_return_esp;
}

void trap_run(struct frame *frame)
{
    run_result = frame;
    entered.frame = *frame;
    running = true;
    trap_enter(&entered.frame);
}

uint32_t trap_stack_top(void)
{
    return (uint32_t)stack_tests + STACK_SIZE - 256;
}

struct frame trap_frame(uint32_t eip, unsigned ring)
{
    static const uint16_t code[] = { KERNEL_CS, RING1_CS, RING2_CS, USER_CS };
    static const uint16_t data[] = { KERNEL_DS, RING1_DS, RING2_DS, USER_DS };

    return (struct frame){ .eip = eip, .cs = code[ring], .ss = data[ring], .ds = data[ring],
                           .es = data[ring], .eflags = ring == 3 ? FL_1 | FL_IF : FL_1,
                           .esp = trap_stack_top() };
}

void trap_set(unsigned vector, trap_handler *handler)
{
    handlers[vector] = handler;
}

/* --- Interrupts --------------------------------------------------------- */

enum { PIC_MASTER = 0x20, PIC_SLAVE = 0xa0, PIC_EOI = 0x20 };

void trap_irq_mask(uint16_t mask)
{
    outb(PIC_MASTER + 1, mask);
    outb(PIC_SLAVE + 1, mask >> 8);
}

static void init_pics(void)
{
    outb(PIC_MASTER, 0x11);
    outb(PIC_SLAVE, 0x11);
    outb(PIC_MASTER + 1, TRAP_IRQ);
    outb(PIC_SLAVE + 1, TRAP_IRQ_SLAVE);
    outb(PIC_MASTER + 1, 4);
    outb(PIC_SLAVE + 1, 2);
    outb(PIC_MASTER + 1, 1);
    outb(PIC_SLAVE + 1, 1);
    trap_irq_mask(0xffff);
}

void trap_irq_end(unsigned irq)
{
    if (irq >= 8)
        outb(PIC_SLAVE, PIC_EOI);
    outb(PIC_MASTER, PIC_EOI);
}

/* --- Set-up ------------------------------------------------------------- */

static void fill_idt(void)
{
    for (unsigned i = 0; i < 256; i++)
        trap_set_gate(i, 0);
    trap_set_gate(VEC_BP, 3);
    trap_set_gate(VEC_OF, 3);
    trap_set_gate(TRAP_END, 3);
    trap_set_gate(TRAP_SYSCALL, 3);
    idt[VEC_DF] = gate_make(TSS_DOUBLE_FAULT, 0, ACCESS_TASK_GATE, 0);
}

void trap_init(void)
{
    struct pseudo_descriptor table = { sizeof(idt) - 1, (uint32_t)idt };

    fill_gdt();
    fill_tasks();
    fill_idt();
    trap_load_gdt();
    __asm__ volatile("lidt %0" : : "m"(table) : "memory");
    __asm__ volatile("lldt %w0" : : "r"(LDT_SELECTOR));
    __asm__ volatile("ltr %w0" : : "r"(TSS_MAIN));
    init_pics();
    if (cpuid_features() & CPUID_FXSR) /* as systems have it: else user code is not run directly */
        write_cr4(read_cr4() | CR4_OSFXSR);
}
