/*
 * What kernels other than Linux do with the CPU: paging and PAE switched on and off, pages remapped
 * under the code that runs in them, real and unreal mode, A20, nested tasks, rings 1 and 2,
 * conforming code, expand-down stacks, LDTs, virtual-8086 monitors, single steps, interrupts at
 * every boundary.
 *
 * Reference: SDM volume 3, chapters 3 to 7, 9 (mode switches), 17 and 20.
 */
#include "guests/kernels.h"

#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/lib/time.h"

uint8_t code_room[256] __attribute__((aligned(256)));
uint32_t data[64] __attribute__((aligned(64)));

struct frame frame_at(const uint8_t *code, unsigned ring)
{
    struct frame f = trap_frame((uint32_t)code, ring);

    f.edi = (uint32_t)data;
    return f;
}

struct frame run_bytes(unsigned n, uint64_t bytes, unsigned ring)
{
    struct code c = { code_room };
    struct frame f = frame_at(code_room, ring);

    code_bytes(&c, n, bytes);
    code_end(&c);
    trap_run(&f);
    return f;
}

void copy(void *to, const uint8_t *from, const uint8_t *end)
{
    for (volatile uint8_t *out = to; from < end;)
        *out++ = *from++;
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
    write_cr0(CR0_NORMAL);
    kernels_paging(cpuid_features());
    real_mode();
    kernels_tasks();
    kernels_segments();
    kernels_priorities();
    v86_monitor(false);
    v86_monitor(true);
    v86_steps();
    interrupts(false);
    interrupts(true);
    return check_done();
}
