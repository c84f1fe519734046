/*
 * Virtual-8086 programs whose INT leads to flat code of CPL 0 and back by IRET, the interpreter
 * against the translator, in loops: between two of them a handler or DMA changes what the
 * transition goes by: gates, descriptors, the TSS, the pages of all these and of the stack, where
 * the tables are, control registers, the frame that IRET finds.
 *
 *     test_v86 [streams [seed [loops]]]
 */
#include <stdio.h>
#include <string.h>

#include "cpu/fpu.h"
#include "cpu/mem.h"
#include "cpu/paging.h"
#include "cpu/segment.h"
#include "tests/lockstep/harness.h"
#include "tests/lockstep/maker.h"

enum {
    CODE = 0x20000,        /* gla; of the program */
    DATA = 0x30000,
    SEGMENTS_END = 0x3f000,
    STACK = 0x44000,
    KERNEL = 0x60000,      /* handlers, HANDLER_SIZE bytes each */
    HANDLER_SIZE = 0x80,
    HANDLER_COUNT = 8,
    GP_HANDLER = KERNEL + HANDLER_SIZE * HANDLER_COUNT,
    VECTOR = 0x30,         /* the first handler's */
    SAME_SLOT = 0x10,      /* between two vectors that are remembered in one place */
    EXECUTED = 0x38,       /* its handler begins with the frame's last word, GS: MOV EAX */
    END_VECTOR = 0x20,     /* machine.c's HLT */
    POOL = 0x20,           /* selectors: other code and data, a second TSS */
    TSS_2 = 0x40,
    TABLE_SIZE = 0x48,
    TABLES_2 = 0xa0000,    /* IDT, GDT and TSS once more, with changes */
    ESP0 = 0x70800,
    ESP0_LEAST = 0x70000,  /* below: in the handlers' page */
    ESP0_SPLIT = 0x70040,  /* a frame below the first is in two pages, which are not neighbours: */
    APART = 0xb0000,       /* gpa of the lower one; behind it are flags that IRET may take */
    STACKS = 0x72800,      /* others, a page each, to the IDT */
    ROOM = 0x800,
};

static struct {
    uint16_t selector[SEG_COUNT];
    uint32_t eflags, esp0, start;
    uint8_t handler[HANDLER_COUNT][HANDLER_SIZE];
    bool waiting;          /* an interrupt, for IF */
    bool executes;         /* EXECUTED, on a stack of its own: its page stays code's */
    bool base_moves;       /* SS's, by its descriptor */
} scene;

uint8_t stream[ROOM];
unsigned stream_len;

static void put32(uint32_t value)
{
    put_bytes(&value, 4);
}

/* --- Handlers ------------------------------------------------------------------------------ */

/* DS is null, SS is flat. */
static void put_xor(uint32_t at, uint32_t bits)
{
    PUT(0x36, 0x81, 0x35), put32(at), put32(bits); /* xor dword ss:[at], bits */
}

static void put_invlpg(uint32_t page)
{
    PUT(0x36, 0x0f, 0x01, 0x3d), put32(page);      /* invlpg ss:[page] */
}

static uint32_t one_bit(void)
{
    return 1u << rnd() % 32;
}

static void put_gate(void)
{
    static const uint32_t bits[] = { 0x8000, 0x2000, 0x6000, 0x100, 0x800, 0x400, 0x10000 };
    uint32_t gate = IDT + 8 * (VECTOR + rnd() % HANDLER_COUNT);

    if (one_in(3))
        put_xor(gate, one_in(2) ? HANDLER_SIZE : one_in(2) ? 8 << 16 ^ POOL << 16 : one_bit());
    else
        put_xor(gate + 4, bits[rnd() % 7]);
}

/* Of the data segment's low half: its limit, or its base, too. */
static uint32_t low_bit(bool code)
{
    return code || scene.base_moves ? one_bit() : 1u << rnd() % 16;
}

static void put_descriptor(void)
{
    static const uint32_t bits[] = { 0x8000, 0x2000, 0x100, 0x200, 0x400, 0x800, 0x400000,
                                     0x10000, 0x800000, 0x1000 };
    bool code = one_in(2);
    uint32_t d = GDT + (code ? 8 : 0x10);

    if (one_in(5))
        put_xor(d, low_bit(code));
    else
        put_xor(d + 4, bits[rnd() % 10]);
}

/* SS0, or ESP0: near a page's end, another page, the handlers' own. */
static void put_tss(void)
{
    static const uint32_t moves[] = { 0x800, 0x7f0, 0x1000, 0x2000, 0x10800, 0x40 };

    if (one_in(4))
        put_xor(TSS + 8, one_in(2) ? 0x10 ^ (POOL + 8) : one_bit() & 0xffff);
    else
        put_xor(TSS + 4, moves[rnd() % 6]);
}

/* Of a page: present, writable, or another frame. INVLPG's page is that of the entry only while
 * SS's base is 0; with another one both are elsewhere, and what is cached has no one right answer.
 */
static void put_page(void)
{
    static const uint32_t pages[] = { IDT, GDT, TSS, ESP0 - 1, ESP0 + 0x1000, STACK, DATA };
    uint32_t page = (scene.esp0 >= ESP0_LEAST && one_in(2) ? scene.esp0 : pages[rnd() % 7]) &
                    ~(uint32_t)PAGE_MASK;
    uint32_t entry = TABLES + 0x1000 + 4 * (page >> PAGE_SHIFT);
    uint32_t other = page ^ (page >= IDT && page <= TSS ? TABLES_2 + (page - IDT) : 0x50000);

    put_xor(entry, one_in(3) ? other : one_in(2) ? PTE_W : PTE_P);
    if (!one_in(6) && !scene.base_moves)
        put_invlpg(page);
    else
        PUT(0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8);   /* mov eax, cr3; mov cr3, eax */
}

/* LGDT, LIDT from what is pushed; LTR. */
static void put_register(void)
{
    bool second = one_in(2), interrupts = one_in(2);
    uint32_t base = (second ? TABLES_2 : IDT) + (interrupts ? 0 : GDT - IDT);

    if (one_in(3)) {
        put_xor(GDT + 0x18 + 4, 0x200), put_xor(GDT + TSS_2 + 4, 0); /* no longer busy */
        PUT(0xb8), put32(second ? TSS_2 : 0x18), PUT(0x0f, 0x00, 0xd8);
        return;
    }
    PUT(0x68), put32(base);                        /* push base; push limit << 16 */
    PUT(0x68), put32((uint32_t)(interrupts ? (one_in(4) ? 0x3ff : 0x7ff) : TABLE_SIZE - 1) << 16);
    PUT(0x36, 0x0f, 0x01, interrupts ? 0x5c : 0x54, 0x24, 2, 0x83, 0xc4, 8);
}

static void put_control(void)
{
    static const uint32_t bits[] = { CR4_TSD, CR4_OSFXSR, CR4_PGE, CR4_DE };

    if (one_in(2))
        PUT(0x0f, 0x20, 0xe0, 0x35), put32(bits[rnd() % 4]), PUT(0x0f, 0x22, 0xe0); /* cr4 */
    else
        PUT(0x0f, 0x20, 0xc0, 0x83, 0xf0, one_in(2) ? 4 : 8, 0x0f, 0x22, 0xc0); /* cr0 */
}

static void put_frame_xor(unsigned at, uint32_t bits)
{
    PUT(0x81, 0x74, 0x24, (uint8_t)at), put32(bits); /* xor dword ss:[esp + at], bits */
}

/* NT, so that IRET leads to another task; in the frame, too, or not. */
static void put_nested(void)
{
    PUT(0x9c, 0x81, 0x0c, 0x24), put32(EFLAGS_NT), PUT(0x9d); /* pushf; or [esp], NT; popf */
    if (one_in(2))
        put_frame_xor(8, EFLAGS_NT);
}

static void put_frame(void)
{
    static const uint32_t flags[] = { 0x1, 0x40, 0x80, 0x200, 0x400, 0x800, 0x8d5, 0x202,
                                      0x1000, 0x3000, 0x4000, 0x100, EFLAGS_VM, EFLAGS_RF,
                                      EFLAGS_AC, EFLAGS_ID, EFLAGS_VIF, EFLAGS_VIP, 0x80000000,
                                      EFLAGS_ID, EFLAGS_ID, EFLAGS_RF | 0x3000 };

    switch (rnd() % 4) {
    case 0: put_frame_xor(8, one_in(2) ? flags[rnd() % 22] : flags[rnd() % 8]); break;
    case 1: put_frame_xor(one_in(4) ? 4 : 16 + 4 * (rnd() % 5), rnd() & 0x1f); break;
    case 2: put_frame_xor(12, one_in(2) ? 0x20 : 0x10000); break;
    default: put_frame_xor(16 + 4 * (rnd() % 5), one_in(2) ? 0xffff0000 : 0xf); break;
    }
    if (one_in(12))
        put_frame_xor(0, 0x10000);
    if (one_in(12))
        put_nested();
}

/* Segments loaded, mostly flat ones, and used: the mode is another afterwards. */
static void put_loads(void)
{
    PUT(0xb8), put32(one_in(6) ? POOL + 8 : 0x10);
    PUT(0x8e, one_in(8) ? 0xe0 : 0xd8);            /* mov fs, ax or ds, ax */
    if (!one_in(4))
        PUT(0x8e, 0xc0);                           /* mov es, ax */
    if (one_in(2))
        PUT(0x8b, 0x0d), put32(DATA);              /* mov ecx, [DATA] */
}

static void put_plain(void)
{
    switch (rnd() % 9) {
    case 0: PUT(0x50, 0x5a); break;                /* push eax; pop edx */
    case 1: PUT(0x60, 0x61); break;
    case 2: PUT(0x8b, 0x54, 0x24, 8); break;       /* mov edx, [esp + 8] */
    case 3: PUT(0x2e, 0x8b, 0x15), put32(KERNEL); break; /* mov edx, cs:[..] */
    case 4: PUT(0x36, 0x01, 0x05), put32(DATA + 8); break; /* add ss:[..], eax */
    case 5: PUT(0x9c, 0x9d); break;                /* pushf; popf */
    case 6: PUT(0x1e, 0x06, 0x07, 0x1f); break;    /* push ds, es; pop es, ds */
    case 7: PUT(0xe8), put32(1), PUT(0x90, 0x5a); break; /* call over a nop; pop edx */
    default: PUT(0x01, 0xd8); break;
    }
    if (one_in(30))
        PUT(0x8b, 0x0d), put32(DATA);              /* through DS, which is null */
    if (one_in(60))
        PUT(0xa4 | (rnd() & 1));
}

static void put_change(void)
{
    switch (rnd() % 10) {
    case 0: put_gate(); break;
    case 1: put_descriptor(); break;
    case 2: put_tss(); break;
    case 3: case 4: put_page(); break;
    case 5: put_register(); break;
    case 6: put_control(); break;
    default: put_frame(); break;
    }
}

/* The frame once more, below itself. */
static void put_second_frame(void)
{
    PUT(0xb9), put32(9);                           /* mov ecx, 9 */
    PUT(0xff, 0x74, 0x24, 32, 0xe2, 0xfa);         /* push dword [esp + 32]; loop */
}

/* In one pass of a loop. */
static void put_change_once(void)
{
    unsigned at;

    PUT(0x66, 0x83, 0xfd, (uint8_t)(1 + rnd() % 4), 0x75, 0); /* cmp bp, n; jne over it */
    at = stream_len;
    if (scene.waiting && one_in(2))
        put_frame_xor(8, EFLAGS_IF);
    else
        put_change();
    stream[at - 1] = (uint8_t)(stream_len - at);
}

/* The first ones change nothing in most passes, so that loops go on as they began. */
static void make_handler(unsigned n)
{
    stream_len = 0;
    if (one_in(4))
        put_loads();
    for (unsigned i = rnd() % 3; i; i--)
        put_plain();
    if (n > HANDLER_COUNT / 2)
        put_change();
    else if (one_in(3))
        put_change_once();
    if (one_in(scene.esp0 == ESP0_SPLIT ? 3 : 40))
        put_second_frame();
    if (one_in(40))
        PUT(0x66);
    PUT(0x40, 0xcf);                               /* inc eax; iret */
    memset(scene.handler[n], 0xf4, HANDLER_SIZE);
    memcpy(scene.handler[n], stream, stream_len);
}

/* --- Programs ------------------------------------------------------------------------------ */

/* What shows the segments, their limits and the flags. */
static void put_use(void)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

    switch (rnd() % 8) {
    case 0: PUT(prefixes[rnd() % 6], 0x03, 0x1f); break;       /* add bx, seg:[bx] */
    case 1: PUT(prefixes[rnd() % 6], 0x88, 0x87, rnd() & 0xff, 0x40); break;
    case 2: PUT(0x11, 0xd8); break;                            /* adc ax, bx */
    case 3: PUT(0x9c, 0x5a); break;                            /* pushf; pop dx */
    case 4: PUT(0x1e, 0x07); break;                            /* push ds; pop es */
    case 5: PUT(0xac); break;                                  /* lodsb */
    case 6: PUT(0x0e, 0x58, 0x42); break;                      /* push cs; pop ax; inc dx */
    default: PUT(0x66, 0x50, 0x66, 0x59); break;
    }
    if (one_in(10))                                            /* beyond 64 KiB */
        PUT(0x67, one_in(2) ? 0x3e : prefixes[rnd() % 6], 0x8a, 0x05), put32(0x10000);
    if (one_in(30))
        PUT(0xfb + rnd() % 2);
}

static void put_interrupts(void)
{
    for (unsigned i = 1 + rnd() % 2; i; i--) {
        unsigned n = rnd() % (HANDLER_COUNT / 2 + 1);

        PUT(0xcd, (uint8_t)(VECTOR + n + (one_in(5) ? SAME_SLOT : 0)));
        if (one_in(2))
            put_use();
    }
}

static void put_executed(void)
{
    PUT(0xb8, 0xb8, (uint8_t)(0x30 + rnd() % 14), 0x8e, 0xe8); /* mov ax, ..b8; mov gs, ax */
    PUT(0xcd, EXECUTED);
}

static void put_loop(void)
{
    bool executed = scene.executes && one_in(2);
    unsigned top;

    PUT(0xbd, (uint8_t)(3 + rnd() % 12), 0);                   /* mov bp, n */
    top = stream_len;
    put_interrupts();
    if (executed)
        put_executed();
    if (one_in(4))
        PUT(0xcd, (uint8_t)(VECTOR + rnd() % HANDLER_COUNT));
    PUT(0x4d, 0x75, (uint8_t)(top - (stream_len + 3)));        /* dec bp; jnz top */
}

static void make(uint64_t seed, unsigned loops)
{
    static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

    maker_begin(seed);
    memset(&scene, 0, sizeof(scene));
    scene.start = rnd() % 2 ? 0xf00 : 0;
    scene.selector[SEG_CS] = CODE >> 4;
    scene.selector[SEG_SS] = STACK >> 4;
    for (unsigned i = 0; i < 4; i++)
        scene.selector[data[i]] = (uint16_t)(DATA >> 4) + (uint16_t)(rnd() % 0x200);
    scene.eflags = EFLAGS_R1 | EFLAGS_VM | (one_in(12) ? rnd() & EFLAGS_IOPL : EFLAGS_IOPL) |
                   (rnd() & EFLAGS_ARITH) | (one_in(20) ? EFLAGS_NT : 0);
    scene.esp0 = one_in(4) ? (uint32_t[]){ 0x70024, 0x70020, KERNEL + 0x800,
                                           ESP0_SPLIT }[rnd() % 4] : ESP0;
    scene.executes = one_in(6);
    if (scene.executes)
        scene.esp0 = STACKS + PAGE_SIZE * (rnd() % 13);
    scene.waiting = one_in(12);
    scene.base_moves = one_in(3);
    for (unsigned n = 0; n < HANDLER_COUNT; n++)
        make_handler(n);
    memset(stream, 0xf4, sizeof(stream));
    stream_len = 0;
    for (unsigned i = 2 + rnd() % 4; i && loops; i--, loops--) {
        put_loop();
        if (!one_in(4))
            PUT(0xcd, (uint8_t)(VECTOR + rnd() % HANDLER_COUNT));
        if (scene.executes)
            put_executed();
    }
    PUT(0xcd, END_VECTOR);
}

/* --- Machines ------------------------------------------------------------------------------ */

static void put_word(struct machine *m, uint64_t gpa, uint32_t value)
{
    physmem_write(&m->mem, gpa, &value, 4);
}

static void load_gates(struct machine *m, uint32_t idt, uint32_t handlers)
{
    for (unsigned n = 0; n < HANDLER_COUNT; n++)
        for (unsigned again = 0; again < 2; again++) {
            uint32_t gate = idt + 8 * (VECTOR + n + again * SAME_SLOT);
            uint32_t to = handlers + HANDLER_SIZE * n;

            put_word(m, gate, 8 << 16 | (to & 0xffff));
            put_word(m, gate + 4, (to & 0xffff0000) | (n == 1 ? 0xef00 : 0xee00));
        }
    put_word(m, idt + 8 * EXECUTED, 8 << 16 | ((scene.esp0 - 4) & 0xffff));
    put_word(m, idt + 8 * EXECUTED + 4, ((scene.esp0 - 4) & 0xffff0000) | 0xee00);
    put_word(m, idt + 8 * VEC_GP, 8 << 16 | (GP_HANDLER & 0xffff));
    put_word(m, idt + 8 * VEC_GP + 4, (GP_HANDLER & 0xffff0000) | 0x8e00);
    put_word(m, idt + 8 * END_VECTOR + 4, ((HANDLERS + 16 * END_VECTOR) & 0xffff0000) | 0xee00);
}

static void load_tables(struct machine *m, uint32_t at, uint32_t handlers, uint32_t esp0)
{
    uint32_t gdt = at + (GDT - IDT), tss = at + (TSS - IDT);

    for (unsigned v = 0; v < 256; v++) {
        put_word(m, at + 8 * v, 8 << 16 | ((HANDLERS + 16 * v) & 0xffff));
        put_word(m, at + 8 * v + 4, ((HANDLERS + 16 * v) & 0xffff0000) | 0x8e00);
    }
    load_gates(m, at, handlers);
    put_word(m, gdt + 8, 0xffff), put_word(m, gdt + 12, 0xcf9b00);
    put_word(m, gdt + 16, 0xffff), put_word(m, gdt + 20, 0xcf9300);
    put_word(m, gdt + 0x18, (TSS & 0xffff) << 16 | 0x67);
    put_word(m, gdt + 0x1c, 0x8b00 | TSS >> 16);
    put_word(m, gdt + POOL, 0xffff), put_word(m, gdt + POOL + 4, 0xcf9b00);
    put_word(m, gdt + POOL + 8, 0xffff), put_word(m, gdt + POOL + 12, 0xcf9300);
    put_word(m, gdt + TSS_2, ((TABLES_2 + TSS - IDT) & 0xffff) << 16 | 0x67);
    put_word(m, gdt + TSS_2 + 4, 0x8900 | (TABLES_2 + TSS - IDT) >> 16);
    put_word(m, tss + 4, esp0), put_word(m, tss + 8, 0x10);
}

static bool for_kernel(uint32_t page)
{
    return page >= KERNEL >> PAGE_SHIFT && page < IDT >> PAGE_SHIFT;
}

/* Only what is otherwise: a table that is written is made true again. */
static void load_paging(struct machine *m)
{
    for (uint32_t i = 0; i < RAM >> PAGE_SHIFT; i++) {
        uint32_t page = scene.esp0 == ESP0_SPLIT && i == (ESP0_SPLIT >> PAGE_SHIFT) - 1
                            ? APART : i << PAGE_SHIFT;
        uint32_t entry = page | PTE_P | PTE_W | (for_kernel(i) ? 0 : PTE_U), now;

        memcpy(&now, physmem_ptr(&m->mem, TABLES + 0x1000 + 4 * i), 4);
        if ((now & ~(uint32_t)(PTE_A | PTE_D)) != entry)
            put_word(m, TABLES + 0x1000 + 4 * i, entry);
    }
}

static void load_registers(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    machine_flat(v);
    v->gdtr.limit = TABLE_SIZE - 1;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        segment_load_v86(v, i, scene.selector[i]);
    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = i * 0x111;
    v->gpr[RSP] = 0x1000;
    v->eflags = scene.eflags;
    v->rip = scene.start;
    v->cpl = 3;
    v->intr_line = scene.waiting;
    machine_rest(m);
    mem_mode_changed(v);
    fpu_reset(v);
}

/* IOPL becomes 3, RF 0, and it is tried again; if it is that, HLT. */
static const uint8_t gp_handler[] = {
    0xf7, 0x44, 0x24, 0x0c, 0x00, 0x10, 0x00, 0x00, /* test dword [esp + 12], 1000h */
    0x75, 20,                                       /* jnz to the end */
    0x81, 0x4c, 0x24, 0x0c, 0x00, 0x30, 0x00, 0x00, /* or dword [esp + 12], 3000h */
    0x81, 0x64, 0x24, 0x0c, 0xff, 0xff, 0xfe, 0xff, /* and dword [esp + 12], ~RF */
    0x83, 0xc4, 0x04, 0xcf,                         /* add esp, 4; iret */
    0xf4,
};

/* Behind GS: the last byte of MOV's number; add ebx, eax; iret */
static const uint8_t executed[] = { 0, 0x01, 0xc3, 0xcf };

static void load(struct machine *m)
{
    load_paging(m);
    load_tables(m, IDT, KERNEL, scene.esp0);
    load_tables(m, TABLES_2, KERNEL + HANDLER_SIZE, ESP0 + 0x1000);
    physmem_write(&m->mem, KERNEL, scene.handler, sizeof(scene.handler));
    physmem_write(&m->mem, GP_HANDLER, gp_handler, sizeof(gp_handler));
    physmem_write(&m->mem, scene.esp0, executed, sizeof(executed));
    physmem_write(&m->mem, CODE + scene.start, stream, sizeof(stream));
    for (uint32_t gpa = APART + PAGE_SIZE; gpa < APART + PAGE_SIZE + 64; gpa += 4)
        put_word(m, gpa, EFLAGS_R1 | EFLAGS_VM | EFLAGS_IOPL);
    for (uint32_t gla = DATA; gla < SEGMENTS_END; gla += 4)
        put_word(m, gla, gla * 0x9e3779b1);
    load_registers(m);
}

/* DMA, which invalidates nothing. */
static void change_by_dma(struct pair *pair)
{
    static const uint32_t at[] = { IDT + 8 * VECTOR, IDT + 8 * VECTOR + 4, GDT + 12, GDT + 20,
                                   TSS + 4, TSS + 8 };
    static const uint32_t bits[] = { HANDLER_SIZE, 0x8000, 0x8000, 0x8000, 0x100, 0x18 };
    unsigned i = rnd() % 6;
    uint32_t value;

    memcpy(&value, physmem_ptr(&pair->interp.mem, at[i]), 4);
    value ^= bits[i];
    pair_dma(pair, at[i], &value, 4);
}

/* Without the HLTs that fill it. */
static void dump_code(const uint8_t *code, unsigned len, uint32_t at, enum cpu_mode mode)
{
    while (len && code[len - 1] == 0xf4)
        len--;
    machine_list(at, code, len, mode);
}

static void dump(uint64_t seed)
{
    printf("seed %llu: eflags %x, esp0 %x%s\n", (unsigned long long)seed, scene.eflags, scene.esp0,
           scene.waiting ? ", an interrupt waits" : "");
    dump_code(stream, stream_len, scene.start, MODE_16);
    for (unsigned n = 0; n < HANDLER_COUNT; n++)
        dump_code(scene.handler[n], HANDLER_SIZE, KERNEL + HANDLER_SIZE * n, MODE_32);
}

static bool came_through(const struct vcpu *v)
{
    return v->rip == HANDLERS + 16 * END_VECTOR + 1;
}

/* What is remembered is used again. */
static uint64_t most_crossings(const struct vcpu *bt)
{
    return bt->stats.soft_interrupts / 2;
}

int main(int argc, char **argv)
{
    static const struct harness v86 = {
        .make = make,
        .load = load,
        .change_by_dma = change_by_dma,
        .load_registers = load_registers,
        .came_through = came_through,
        .dump = dump,
        .restores = true,
        .counter = "crossings",
        .most = most_crossings,
    };

    return harness_run(&v86, argc, argv);
}
