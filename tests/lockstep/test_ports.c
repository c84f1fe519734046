/*
 * Port accesses, single and repeated, against the interpreter: with a board that raises interrupts,
 * stops the engine, patches the code behind, moves memory (A20) and gives data in blocks.
 */
#include "cpu/env.h"
#include "cpu/mem.h"
#include "tests/lockstep/harness.h"
#include "tests/lockstep/maker.h"
#include "tests/lockstep/segments.h"

struct scene scene;
uint8_t stream[ROOM];
unsigned stream_len;

/* --- The board ------------------------------------------------------------------------------- */

enum { PORT_INTERRUPT = 1, PORT_KICK, PORT_PATCH, PORT_WHERE, PORT_A20, PORT_KINDS = 8 };

#define STATE_AT 0x50000 /* gpa: what the accesses have been, for the comparison */

/* The same accesses in the same order leave the same here. */
struct board {
    struct machine *m;
    struct cpu_env env;
    uint64_t state;  /* what is read next, and a sum of what was written */
    uint32_t left;   /* elements of the block */
    uint32_t where;  /* in the stream, for PORT_PATCH */
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
    b->env.intr_ack = intr_ack;
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
    switch (rnd() % 12) {
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

    b->state = stream_len * 2 + 1;
    b->left = 0;
    b->where = ROOM - 1;
    m->vcpu->intr_line = m->vcpu->exit_request = m->vcpu->a20_masked = false;
    segments_load(m);
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

    return harness_run(&ports, argc, argv);
}
