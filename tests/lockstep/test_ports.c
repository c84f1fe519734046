/*
 * Accesses of ports and of a device's memory, single and repeated, against the interpreter: with a
 * board that raises interrupts, stops the engine, patches the code behind, moves memory (A20) and
 * gives and takes data in blocks. Repetitions that are too long for one call go to FAR, of which
 * the translator's are to come as runs.
 */
#include <stdio.h>

#include "cpu/env.h"
#include "cpu/mem.h"
#include "cpu/paging.h"
#include "tests/lockstep/harness.h"
#include "tests/lockstep/maker.h"
#include "tests/lockstep/segments.h"

struct scene scene;
uint8_t stream[ROOM];
unsigned stream_len;

/* --- The board ------------------------------------------------------------------------------- */

enum { PORT_INTERRUPT = 1, PORT_KICK, PORT_PATCH, PORT_WHERE, PORT_A20, PORT_KINDS = 8 };

#define STATE_AT 0x50000 /* gpa: what the accesses have been, for the comparison */

enum { DEVICE = DATA + 0x8000, DEVICE_SIZE = 0x4000 }; /* gpa */

/* A large page's gla and gpa: always something to read there, and where it was written is seen. Now
 * and then something happens. */
enum { FAR = 0x40000000, FAR_SIZE = 1 << 22, FAR_QUIET = 1 << 14 };
enum { LONG_AT = 8 << 20, LONG_SIZE = 1 << 20 }; /* gpa: of memory, what goes there */

/* The same accesses in the same order leave the same here. */
struct board {
    struct machine *m;
    struct cpu_env env;
    uint64_t state;  /* what is read next, and a sum of what was written */
    uint32_t left;   /* elements of the block */
    uint32_t where;  /* in the stream, for PORT_PATCH */
    uint32_t quiet;  /* accesses of its memory until something happens */
    uint32_t far_left; /* accesses of FAR until something happens */
    uint64_t far_accesses, far_by_run;
    uint8_t memory[DEVICE_SIZE];
};

static struct board boards[2]; /* of the interpreter's machine, of the translator's */

static void act(struct board *b, uint16_t port, uint8_t value)
{
    struct vcpu *v = b->m->vcpu;

    switch (port % PORT_KINDS) {
    case PORT_INTERRUPT: v->intr_line = true; break;
    case PORT_KICK: vcpu_kick(v); break;
    case PORT_PATCH: physmem_write(&b->m->mem, scene.start + b->where, &value, 1); break;
    case PORT_A20:
        v->a20_masked = scene.mode == REAL && value & 1;
        mem_mode_changed(v);
        break;
    default: break;
    }
}

static bool has_blocks(uint16_t port)
{
    return port & 0x10;
}

/* Something happens at each access, or at the end of a block. A board may use vector registers. */
static void accessed(struct board *b, uint16_t port)
{
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0" : : : "xmm0");
    if (has_blocks(port) && !b->left)
        b->left = 1 + b->state % 24;
    if (!has_blocks(port) || !--b->left)
        act(b, port, (uint8_t)(b->state >> 8));
    physmem_write(&b->m->mem, STATE_AT, &b->state, sizeof(b->state));
}

static uint64_t port_read(void *board, uint16_t port, unsigned size)
{
    struct board *b = board;
    uint64_t value = random_next(&b->state) >> (64 - 8 * size);

    accessed(b, port);
    return value;
}

static void port_write(void *board, uint16_t port, unsigned size, uint64_t value)
{
    struct board *b = board;

    if (port % PORT_KINDS == PORT_WHERE && !has_blocks(port))
        b->where = value % ROOM;
    b->state ^= value << 8 * size;
    accessed(b, port);
    random_next(&b->state);
}

/* Up to the end of the block. */
static uint64_t elements(const struct board *b, uint16_t port, uint64_t count)
{
    return !has_blocks(port) ? 0 : count < b->left ? count : b->left;
}

static uint64_t port_read_string(void *board, uint16_t port, unsigned size, void *to,
                                 uint64_t count)
{
    uint64_t n = elements(board, port, count), value;

    for (uint64_t i = 0; i < n; i++) {
        value = port_read(board, port, size);
        memcpy((uint8_t *)to + i * size, &value, size);
    }
    return n;
}

static uint64_t port_write_string(void *board, uint16_t port, unsigned size, const void *from,
                                  uint64_t count)
{
    uint64_t n = elements(board, port, count), value = 0;

    for (uint64_t i = 0; i < n; i++) {
        memcpy(&value, (const uint8_t *)from + i * size, size);
        port_write(board, port, size, value);
    }
    return n;
}

/* --- Its memory --- */

static bool is_device(uint64_t gpa, unsigned size)
{
    return gpa - DEVICE <= DEVICE_SIZE - size;
}

static bool is_far(uint64_t gpa)
{
    return gpa - FAR < FAR_SIZE;
}

static void far_accessed(struct board *b, uint64_t gpa, uint64_t value)
{
    b->state = (b->state ^ value ^ gpa) * 0x9e3779b97f4a7c15;
    b->far_accesses++;
    if (--b->far_left)
        return;
    b->far_left = FAR_QUIET;
    act(b, b->state >> 16 & 0xffff, (uint8_t)(b->state >> 8));
}

static void memory_accessed(struct board *b, uint64_t gpa, uint64_t value)
{
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0" : : : "xmm0");
    b->state ^= value << 20 ^ gpa;
    random_next(&b->state);
    if (!b->quiet)
        b->quiet = 1 + b->state % 32;
    if (!--b->quiet)
        act(b, b->state >> 16 & 0xffff, (uint8_t)(b->state >> 8));
    physmem_write(&b->m->mem, STATE_AT, &b->state, sizeof(b->state));
}

static uint64_t mmio_read(void *board, uint64_t gpa, unsigned size)
{
    struct board *b = board;
    uint64_t value = 0;

    if (is_far(gpa))
        far_accessed(b, gpa, 1);
    if (!is_device(gpa, size))
        return gpa & ~0ull >> (64 - 8 * size);
    memcpy(&value, b->memory + (gpa - DEVICE), size);
    memory_accessed(b, gpa, value);
    return value;
}

static void mmio_write(void *board, uint64_t gpa, unsigned size, uint64_t value)
{
    struct board *b = board;

    if (is_far(gpa))
        far_accessed(b, gpa, value << 1);
    if (!is_device(gpa, size))
        return;
    memcpy(b->memory + (gpa - DEVICE), &value, size);
    memory_accessed(b, gpa, value);
}

/* Up to where something happens; the last page takes no runs. */
static uint64_t run_of(struct board *b, uint64_t gpa, uint64_t count, unsigned accesses)
{
    uint64_t left = (b->far_left + accesses - 1) / accesses;

    if (is_far(gpa)) {
        count = count < left ? count : left;
        b->far_by_run += count;
        return count;
    }
    if (!is_device(gpa, 4096))
        return 0;
    return count < b->quiet / accesses ? count : b->quiet / accesses;
}

static uint64_t mmio_read_run(void *board, uint64_t gpa, unsigned size, void *to, uint64_t count)
{
    uint64_t n = run_of(board, gpa, count, 1), value;

    for (uint64_t i = 0; i < n; i++) {
        value = mmio_read(board, gpa + i * size, size);
        memcpy((uint8_t *)to + i * size, &value, size);
    }
    return n;
}

static uint64_t mmio_write_run(void *board, uint64_t gpa, unsigned size, const void *from,
                               bool same, uint64_t count)
{
    uint64_t n = run_of(board, gpa, count, 1), value = 0;

    for (uint64_t i = 0; i < n; i++) {
        memcpy(&value, (const uint8_t *)from + (same ? 0 : i * size), size);
        mmio_write(board, gpa + i * size, size, value);
    }
    return n;
}

static uint64_t mmio_copy_run(void *board, uint64_t to, uint64_t from, unsigned size,
                              uint64_t count)
{
    uint64_t n = is_far(to) == is_far(from) ?
                     run_of(board, to, run_of(board, from, count, 2), 2) : 0;

    for (uint64_t i = 0; i < n; i++)
        mmio_write(board, to + i * size, size, mmio_read(board, from + i * size, size));
    return n;
}

/* The handler of 21h returns (segments.c). */
static uint8_t intr_ack(void *board)
{
    ((struct board *)board)->m->vcpu->intr_line = false;
    return 0x21;
}

static void connect(struct machine *m)
{
    struct board *b = &boards[!!boards[0].m];

    b->m = m;
    b->env = *m->vcpu->env;
    b->env.board = b;
    b->env.port_read = port_read;
    b->env.port_write = port_write;
    b->env.port_read_string = port_read_string;
    b->env.port_write_string = port_write_string;
    b->env.mmio_read = mmio_read;
    b->env.mmio_write = mmio_write;
    b->env.mmio_read_run = mmio_read_run;
    b->env.mmio_write_run = mmio_write_run;
    b->env.mmio_copy_run = mmio_copy_run;
    b->env.intr_ack = intr_ack;
    for (uint32_t i = 0, value = 1; i < LONG_SIZE; i += 4, value *= 69069)
        physmem_write(&m->mem, LONG_AT + i, &value, 4);
    physmem_set_kind(&m->mem, DEVICE, DEVICE_SIZE, PHYSMEM_NONE);
    m->vcpu->env = &b->env;
}

/* --- Streams ------------------------------------------------------------------------------- */

/* An operand of the other size. */
static void maybe_66(void)
{
    if (one_in(2))
        PUT(0x66);
}

static void put_number(uint32_t number)
{
    put_bytes(&number, wide() ? 4 : 2);
}

static void put_mov(unsigned reg, uint32_t number)
{
    PUT((uint8_t)(0xb8 | reg));
    put_number(number);
}

static void put_access(void)
{
    bool in_dx = one_in(2);

    maybe_66();
    PUT((uint8_t)(0xe4 | (rnd() & 3) | in_dx << 3));
    if (!in_dx)
        PUT((uint8_t)rnd());
}

/* In the data, over its pages' ends and 64 KiB's, or in the code's pages behind the stream. */
static uint32_t some_offset(void)
{
    uint32_t flat = wide() ? one_in(4) ? scene.start : DATA : 0;

    switch (rnd() % 4) {
    case 0: return flat + 0xfe0 + rnd() % 0x30;
    case 1: return wide() ? DATA + 0x2ff0 : 0xffe0 + rnd() % 0x20;
    default: return flat + 0x800 + rnd() % 0x700;
    }
}

static void put_repeated(void)
{
    if (one_in(3))
        put_mov(RDX, rnd() & 0xffff);
    put_mov(RCX, one_in(8) ? 0 : rnd() % 60);
    put_mov(one_in(2) ? RSI : RDI, some_offset());
    maybe_66();
    if (one_in(8))
        PUT(0x67);
    if (!one_in(8))
        PUT(0xf3);
    PUT((uint8_t)(0x6c | (rnd() & 3)));
}

/* In the device, at its pages' ends, or in memory. */
static uint32_t some_place(void)
{
    uint32_t flat = wide() ? DATA : 0;

    switch (rnd() % 5) {
    case 0: return some_offset();
    case 1: return flat + 0x7fe0 + (rnd() % 5 << 12) + rnd() % 0x40;
    default: return flat + 0x8000 + rnd() % (DEVICE_SIZE - 0x80);
    }
}

/* Any string instruction of memory. */
static void put_string(void)
{
    static const uint8_t codes[] = { 0xa4, 0xa4, 0xa4, 0xaa, 0xaa, 0xaa, 0xa6, 0xac, 0xae };

    put_mov(RSI, some_place());
    put_mov(RDI, one_in(4) ? scene.gpr[RDI] : some_place());
    put_mov(RCX, one_in(8) ? 0 : rnd() % 90);
    maybe_66();
    if (one_in(8))
        PUT(0x67);
    if (!one_in(8))
        PUT((uint8_t)(0xf2 | !one_in(6)));
    PUT((uint8_t)(codes[rnd() % sizeof(codes)] | (rnd() & 1)));
}

/* More than 65536 elements, which go over FAR's end now and then, or end in memory. */
static void put_long(void)
{
    static const uint8_t codes[] = { 0xa4, 0xa4, 0xaa, 0xac };
    uint8_t code = codes[rnd() % sizeof(codes)];
    uint32_t far = FAR + (one_in(4) ? FAR_SIZE - 0x50000 : 0) + rnd() % 0x2000;

    if (!wide() || !one_in(8))
        return;
    PUT(one_in(8) ? 0xfd : 0xfc);
    put_mov(RSI, one_in(2) ? LONG_AT + rnd() % 0x2000 : far + rnd() % 0x2000);
    put_mov(RDI, far);
    put_mov(RCX, 0x28001 + rnd() % 0x2000);
    maybe_66();
    PUT(0xf3, (uint8_t)(code | (rnd() & 1)));
}

/* Single instructions with an operand at (E)DI, few of which have rules of their own. */
static void put_operand(void)
{
    static const struct {
        uint8_t code[2], reg;
    } list[] = {
        { { 0x0f, 0x01 }, 0 }, { { 0x0f, 0x01 }, 1 }, { { 0x0f, 0x01 }, 4 }, /* SGDT SIDT SMSW */
        { { 0x0f, 0xc7 }, 1 }, { { 0x0f, 0xb1 }, 3 }, { { 0x0f, 0xc1 }, 3 }, /* CMPXCHG8B .. XADD */
        { { 0x0f, 0xab }, 3 }, { { 0x0f, 0xa5 }, 3 }, { { 0x87 }, 3 }, { { 0x01 }, 3 },
        { { 0xff }, 6 }, { { 0x8f }, 0 }, { { 0xd3 }, 2 }, { { 0xf7 }, 4 }, { { 0x8b }, 3 },
    };
    unsigned i = rnd() % (sizeof(list) / sizeof(list[0]));

    put_mov(RDI, some_place());
    maybe_66();
    put_bytes(list[i].code, list[i].code[0] == 0x0f ? 2 : 1);
    PUT((uint8_t)(list[i].reg << 3 | (wide() ? 7 : 5)));
}

/* A byte of the instruction behind is another one when it runs. */
static void put_patched(void)
{
    unsigned behind = wide() ? 12 : 10; /* from here to the immediate */

    put_mov(RAX, stream_len + behind);
    PUT(0xe7, PORT_WHERE, 0xb0, (uint8_t)rnd(), 0xe6, PORT_PATCH, 0xb3, 0);
    stream[stream_len - 1] = (uint8_t)rnd();
}

static void put_piece(void)
{
    switch (rnd() % 18) {
    case 17: put_long(); break;
    case 12: case 13: case 14: case 15: put_string(); break;
    case 16: put_operand(); break;
    case 0: case 1: case 2: put_access(); break;
    case 3: case 4: put_repeated(); break;
    case 5: put_patched(); break;
    case 6: put_mov(RDX, rnd() & 0xffff); break;
    case 7: PUT((uint8_t)(0xfa | (rnd() & 1))); break;      /* CLI, STI */
    case 8: PUT((uint8_t)(one_in(4) ? 0xfd : 0xfc)); break; /* STD, CLD */
    case 9: PUT(0x66, 0x0f, 0x6e, 0xc3); break;             /* MOVD XMM0, EBX */
    case 10: PUT(0x83, 0xd3, (uint8_t)rnd()); break;        /* ADC (E)BX, imm8 */
    default: PUT(0x9c, 0x5d); break;                        /* PUSHF; POP (E)BP */
    }
}

/* --- Scenes -------------------------------------------------------------------------------- */

static struct segment segment(unsigned i, uint32_t base)
{
    uint32_t attr = SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | (i == SEG_CS ? SEG_CODE : 0);

    if (scene.mode == REAL)
        return (struct segment){ (uint16_t)(base >> 4), attr & ~(uint32_t)SEG_CODE, 0xffff, base };
    if (wide())
        return (struct segment){ (uint16_t)(0x20 + 8 * i), attr | SEG_DB | SEG_G, UINT32_MAX, 0 };
    return (struct segment){ (uint16_t)(0x20 + 8 * i), attr, 0xffff, base };
}

static void make_scene(void)
{
    static const enum mode modes[] = { REAL, PROT16, PROT32 };

    memset(&scene, 0, sizeof(scene));
    scene.mode = modes[rnd() % 3];
    scene.start = CODE + (rnd() % 0x1000 & ~15u);
    scene.eip = wide() ? scene.start : 0;
    scene.idt_limit = 0x3ff;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        scene.seg[i] = segment(i, i == SEG_CS || one_in(4) ? scene.start : DATA);
    scene.seg[SEG_SS] = segment(SEG_SS, STACK);
    for (unsigned i = 0; i < 8; i++)
        scene.gpr[i] = rnd() & 0x3fff;
    scene.gpr[RSP] = wide() ? STACK + 0x2000 : 0x2000;
    scene.gpr[RSI] = some_offset(), scene.gpr[RDI] = some_offset();
    scene.eflags = EFLAGS_R1 | (rnd() & EFLAGS_ARITH) | (one_in(2) ? EFLAGS_IF : 0);
    for (unsigned i = 0; i < sizeof(scene.data); i++)
        scene.data[i] = (uint8_t)rnd();
    if (one_in(8))
        scene.absent = (DATA >> PAGE_SHIFT) + 1 + rnd() % 2;
}

static void make(uint64_t seed, unsigned most)
{
    maker_begin(seed);
    make_scene();
    memset(stream, 0xf4, sizeof(stream));
    stream_len = 0;
    for (unsigned pieces = 1 + rnd() % 30; pieces && most; pieces--, most--)
        put_piece();
    PUT(0xfa); /* an interrupt would end the HLT behind */
}

static void load(struct machine *m)
{
    struct board *b = m->vcpu->env->board;
    uint32_t far = FAR | PTE_PS | PTE_W | PTE_P;

    b->state = stream_len * 2 + 1;
    b->left = 0;
    b->where = ROOM - 1;
    b->quiet = 0;
    b->far_left = FAR_QUIET;
    for (unsigned i = 0; i < DEVICE_SIZE; i++)
        b->memory[i] = scene.data[i];
    m->vcpu->intr_line = m->vcpu->exit_request = m->vcpu->a20_masked = false;
    segments_load(m);
    physmem_write(&m->mem, TABLES + 4 * (FAR >> 22), &far, 4);
    mem_mode_changed(m->vcpu);
}

int main(int argc, char **argv)
{
    static const struct harness ports = {
        .make = make,
        .prepare = connect,
        .load = load,
        .came_through = segments_came_through,
        .dump = segments_dump,
        .counter = "insns_translated",
    };
    bool failed = harness_run(&ports, argc, argv);
    const struct board *b = &boards[1];

    printf("%llu accesses of FAR, %llu elements by runs\n", (unsigned long long)b->far_accesses,
           (unsigned long long)b->far_by_run);
    return failed || b->far_by_run < b->far_accesses / 3;
}
