/*
 * Making streams: random instructions, and pieces that random bytes would hardly ever make: calls,
 * loops, self-modifying code, flag loads, string instructions at page ends, segment loads.
 */
#include "tests/lockstep/streams.h"

#include <string.h>

#include "cpu/decode.h"
#include "tests/host_fpu.h"
#include "tests/lockstep/documented.h"
#include "tests/lockstep/maker.h"
#include "tests/machine.h"

uint8_t stream[CODE_PAGES * 4096];
unsigned stream_len;

static bool odd_segments;
static bool interrupted; /* by kicks */
static bool direct_user; /* streams for direct execution */
static uint16_t odd_first, user_code, user_data;

/* --- Bytes ---------------------------------------------------------------------------- */

static void put_u32(uint32_t value)
{
    put_bytes(&value, 4);
}

/* mov r32, value */
static void put_mov(unsigned reg, uint32_t value)
{
    PUT(0xb8 | reg);
    put_u32(value);
}

static void put_stack(void)
{
    put_mov(RSP, STACK + 0x2000);
}

/* --- Plain instructions ----------------------------------------------------------------- */

/* Near the end of a page: of data, of what is before or behind the absent page, of a read-only
 * page. */
static uint32_t edge(void)
{
    static const uint32_t ends[] = { DATA + 0x1000, DATA + 0x5000, HOLE, HOLE + 0x1000, READ_ONLY,
                                     KERNEL_PAGE };

    return ends[rnd() % 6] + rnd() % 40 - 20;
}

/* mov r32, a pointer into the data or something odd */
static void put_pointer(void)
{
    unsigned reg = rnd() & 7;
    uint32_t value = DATA + rnd() % DATA_SIZE;

    if (reg == RSP)
        value = STACK + 0x1000 + (rnd() & 0xffc);
    else if (one_in(5))
        value = edge();
    else if (odd_segments && one_in(3))
        value = rnd() % 0x3000;
    else if (one_in(4))
        value =
            rnd() % 8 ? rnd() : (uint32_t[]){ 0, 0x7fffffff, 0x80000000, 0xffffffff }[rnd() & 3];
    put_mov(reg, value);
}

static bool acceptable(const struct insn *in)
{
    uint32_t attr = in->info->attr;

    if (direct_user && documented_avoid(in))
        return false;
    if (attr & (A_FAR | A_BRANCH | A_UNDEFINED | A_IOPL))
        return false;
    if (attr & A_PRIVILEGED && (!direct_user || !one_in(4)))
        return false;
    /* which components are in use depends on what ran before */
    if (in->id == M_XSAVE || in->id == M_XSAVEOPT || in->id == M_XSAVEC || in->id == M_XRSTOR ||
        in->id == M_XGETBV || in->id == M_XSETBV)
        return false;
    if (in->id == M_RDTSC || in->id == M_RDTSCP || in->id == M_CPUID || in->id == M_RDRAND ||
        in->id == M_RDSEED || in->id == M_RDPMC)
        return false;
    /* where a kick stops these, a later fault finds other flags */
    return !interrupted || !(in->prefixes & (PREFIX_REP | PREFIX_REPNE)) ||
           (in->id != M_CMPS && in->id != M_SCAS);
}

/* Makes random bytes begin as VEX or EVEX. */
static void put_vector_prefix(uint8_t *code)
{
    static const uint8_t first[] = { 0xc4, 0xc5, 0x62 };

    code[0] = first[rnd() % 3];
    code[1] |= 0xc0;
    if (code[0] != 0xc5)
        code[1] = (code[1] & 0xe0) | (1 + rnd() % 3) | (code[0] == 0x62 ? 0x10 : 0);
    if (code[0] == 0x62)
        code[2] |= 4;
}

/* What stores the x87's pointers, which the host's kernel may lose in one engine alone
 * (tests/host_fpu.h), is made to store zeros there. */
static void put_before(unsigned id)
{
    if ((id == M_FNSTENV || id == M_FNSAVE || id == M_FXSAVE) && host_drops_pointers())
        PUT(0xdb, 0xe3); /* fninit */
}

/* Random bytes that decode to an instruction both engines are asked to run. */
static void put_random(void)
{
    struct insn in;
    uint8_t code[INSN_MAX + 1];

    for (;;) {
        unsigned at = 0;

        for (unsigned i = 0; i < INSN_MAX; i++)
            code[i] = (uint8_t)rnd();
        if (odd_segments && one_in(4))
            code[at++] = one_in(2) ? 0x64 : 0x65;
        if (one_in(3))
            code[at] = 0x0f;
        else if (one_in(4))
            put_vector_prefix(code + at);
        if (decode(&in, code, INSN_MAX, MODE_32) > 0 && acceptable(&in))
            break;
    }
    /* displacements near 0, so that pointers stay pointers */
    if (in.disp_len == 4 && in.base != REG_NONE) {
        int32_t disp = (int32_t)(rnd() % 512) - 256;

        memcpy(code + in.disp_at, &disp, 4);
    }
    put_before(in.id);
    put_bytes(code, in.len);
}

static void put_x87(uint8_t modrm)
{
    uint8_t opcode = 0xd8 | (rnd() & 7);

    if (modrm >> 3 == 6 && (opcode == 0xd9 || opcode == 0xdd))
        put_before(opcode == 0xd9 ? M_FNSTENV : M_FNSAVE);
    PUT(opcode, modrm);
}

/* x87 and SSE arithmetic with memory, whose exceptions are often unmasked. */
static void put_float(void)
{
    uint8_t modrm = (uint8_t)(rnd() & 0x38);

    put_mov(RBX, one_in(6) ? edge() : DATA + rnd() % DATA_SIZE);
    if (one_in(3))
        PUT(one_in(2) ? 0xf3 : 0xf2, 0x0f, 0x51 | rnd() % 15, modrm | 3);
    else
        put_x87(modrm | 3);
}

/* --- Transfers --------------------------------------------------------------------------- */

/* A conditional jump over the next few instructions, or a loop is not worth the risk of not
 * ending. */
static void put_jump(void)
{
    unsigned at = stream_len, count = 1 + rnd() % 3;
    uint32_t rel;

    PUT(0x0f, 0x80 | (rnd() & 15), 0, 0, 0, 0);
    while (count--)
        put_random();
    rel = stream_len - at - 6;
    memcpy(stream + at + 2, &rel, 4);
}

/* call over a block that ends in ret */
static void put_call(void)
{
    unsigned at;

    put_stack();
    PUT(0xe8, 2, 0, 0, 0);
    at = stream_len;
    PUT(0xeb, 0);
    PUT(0x40 | (rnd() & 3), 0xc3);
    stream[at + 1] = (uint8_t)(stream_len - at - 2);
}

/* A loop long enough for kicks: a call, a return, an indirect jump, and the carry through all. */
static void put_loop(void)
{
    unsigned function, top;

    put_stack();
    put_mov(RCX, 1 + rnd() % 3000);
    PUT(0xeb, 6);
    function = stream_len;
    PUT(0x83, 0xd0, 3, 0x31, 0xc2, 0xc3);      /* adc eax, 3; xor edx, eax; ret */
    top = stream_len;
    PUT(0xe8), put_u32(function - (stream_len + 4));
    PUT(0x01, 0x05), put_u32(DATA + rnd() % 0x2000); /* add [...], eax */
    PUT(0x11, 0xd3, 0xbe), put_u32(CODE + stream_len + 6); /* adc ebx, edx; mov esi, behind */
    PUT(0xff, 0xe6);                           /* jmp esi */
    /* the mask: it ends whatever the rest of the stream has done to the code before it */
    PUT(0x49, 0x81, 0xe1), put_u32(0xfff);     /* dec ecx; and ecx, 0xfff */
    PUT(0x0f, 0x85), put_u32(top - (stream_len + 4)); /* jnz top */
}

/* --- Code that changes code ---------------------------------------------------------------- */

/* An instruction that writes 1 to 4 bytes at an address that is not known yet; where it goes. */
static unsigned put_writer(void)
{
    unsigned at;

    switch (rnd() % 8) {
    case 0:
        PUT(0xc7, 0x05), at = stream_len, put_u32(0), put_u32(rnd()); /* mov dword [], imm */
        return at;
    case 1:
        PUT(0x83, 0x05), at = stream_len, put_u32(0), PUT(rnd() & 0xff); /* add dword [], imm */
        return at;
    case 2:
        PUT(0xc6, 0x05), at = stream_len, put_u32(0), PUT(rnd() & 0xff); /* mov byte [], imm */
        return at;
    case 3:
        put_mov(RCX, 1 + rnd() % 4);
        put_mov(RDI, 0), at = stream_len - 4;
        PUT(0xf3, 0xaa); /* rep stosb */
        return at;
    case 4:
        PUT(0xbc), at = stream_len, put_u32(0); /* mov esp, []; lea esp, [esp + 4]; push eax */
        PUT(0x8d, 0x64, 0x24, 4, 0x50);
        put_stack();
        return at;
    case 5:
        PUT(0xd9, 0x3d), at = stream_len, put_u32(0); /* fnstcw [] */
        return at;
    case 6:
        PUT(0xf0, 0x0f, 0xc1, 0x05), at = stream_len, put_u32(0); /* lock xadd [], eax */
        return at;
    default:
        put_mov(RSI, DATA + rnd() % 0x7000);
        put_mov(RDI, 0), at = stream_len - 4;
        PUT(0xa5); /* movsd */
        return at;
    }
}

/* Puts what comes next across the end of the page, if that is near. */
static void pad_to_page_end(unsigned before)
{
    unsigned left = 4096 - stream_len % 4096;

    if (left > before && left < 200)
        while (stream_len % 4096 != 4096 - before)
            PUT(0x90);
}

/* A write to the immediate of an instruction that comes soon; it may happen again and again. */
static void put_self_modifying(void)
{
    unsigned again = one_in(2) ? 2 + rnd() % 30 : 0, top, at;
    uint32_t to;

    PUT(0xfc); /* cld */
    if (again)
        put_mov(RDX, again);
    top = stream_len;
    at = put_writer();
    for (unsigned i = again ? 0 : rnd() % 3; i; i--)
        put_pointer();
    if (one_in(3))
        pad_to_page_end(1 + rnd() % 4);
    put_mov((unsigned[]){ RAX, RBX, RBP }[rnd() % 3], rnd());
    to = (one_in(3) ? ALIAS : CODE) + stream_len - 4;
    memcpy(stream + at, &to, 4);
    if (again) {
        PUT(0x4a, 0x83, 0xe2, 31); /* dec edx; and edx, 31 */
        PUT(0x0f, 0x85), put_u32(top - (stream_len + 4)); /* jnz top */
    }
}

/* --- Flags ------------------------------------------------------------------------------------ */

static void put_pushf(uint32_t set, uint32_t keep)
{
    PUT(0x9c);                                          /* pushf */
    PUT(0x81, 0x0c, 0x24), put_u32(set);                /* or dword [esp], set */
    PUT(0x81, 0x24, 0x24), put_u32(keep);               /* and dword [esp], keep */
}

static void put_flags(void)
{
    static const uint32_t bits[] = { EFLAGS_TF, EFLAGS_TF, EFLAGS_IF, EFLAGS_TF | EFLAGS_IF,
                                     EFLAGS_DF, EFLAGS_NT, 0x40000, 0 };
    uint32_t set = bits[rnd() % 8], keep = one_in(2) ? ~EFLAGS_TF | set : UINT32_MAX;

    put_stack();
    switch (rnd() % 6) {
    case 0:
        PUT(one_in(4) ? 0xfa : 0xfb); /* cli, sti */
        break;
    case 1:
        PUT(0x8c, 0xd0, 0x8e, 0xd0); /* mov eax, ss; mov ss, eax */
        break;
    case 2:
        if (one_in(2))
            PUT(0xfb);
        PUT(0x16, 0x17); /* push ss; pop ss */
        break;
    case 3:
        put_pushf(set, keep);
        PUT(0x0e, 0x68), put_u32(CODE + stream_len + 5), PUT(0xcf); /* push cs; push; iret */
        break;
    default:
        put_pushf(set, keep);
        PUT(0x9d); /* popf */
        break;
    }
    for (unsigned i = rnd() % 3; i; i--)
        put_random();
}

/* --- String instructions -------------------------------------------------------- */

static uint32_t string_address(void)
{
    return one_in(3) ? DATA + rnd() % DATA_SIZE : edge();
}

static void put_string(void)
{
    static const uint8_t ops[] = { 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf };
    unsigned kinds = interrupted ? 6 : 10; /* as in acceptable() */
    uint32_t to = string_address();

    PUT(one_in(3) ? 0xfd : 0xfc); /* std, cld */
    put_mov(RDI, to);
    put_mov(RSI, one_in(4) ? to + rnd() % 33 - 16 : string_address());
    put_mov(RCX, rnd() % (one_in(4) ? 3000 : 40));
    if (odd_segments && one_in(4))
        PUT(one_in(2) ? 0x64 : 0x65);
    if (one_in(4))
        PUT(0x66);
    if (!one_in(4))
        PUT(one_in(2) ? 0xf3 : 0xf2);
    PUT(ops[rnd() % kinds]);
}

/* --- Segments ------------------------------------------------------------------ */

static void put_segment(void)
{
    const uint32_t selectors[] = { 0, 3, 0x10, user_data, odd_first, odd_first & ~3u,
                                   odd_first + 8, user_code, 0x88 };

    put_stack();
    put_mov(RAX, selectors[rnd() % 9]);
    switch (rnd() % 4) {
    case 0: PUT(0x8e, 0xe0); break;             /* mov fs, eax */
    case 1: PUT(0x8e, 0xe8); break;             /* mov gs, eax */
    case 2: PUT(0x50, 0x0f, 0xa1); break;       /* push eax; pop fs */
    default: PUT(0x50, 0x6a, 8, 0x0f, 0xb5, 0x1c, 0x24); break; /* ...; push 8; lgs ebx, [esp] */
    }
    odd_segments = true;
}

/* --- System calls and far transfers of user code ------------------------------- */

/* Jumps to the next instruction, by a far jump, return or call of the same privilege. */
static void put_far(void)
{
    put_stack();
    switch (rnd() % 3) {
    case 0:
        PUT(0xea), put_u32(CODE + stream_len + 6), PUT(user_code, user_code >> 8);
        break;
    case 1: /* push selector; push eip; retf */
        PUT(0x6a, user_code, 0x68), put_u32(CODE + stream_len + 5), PUT(0xcb);
        break;
    default: /* call far over nothing; the frame stays */
        PUT(0x9a), put_u32(CODE + stream_len + 6), PUT(user_code, user_code >> 8);
        break;
    }
}

static void put_system(void)
{
    static const uint8_t vectors[] = { 3, 4, 0x21, 0x80 };

    put_stack();
    switch (rnd() % 12) {
    case 0: PUT(0xcd, one_in(3) ? rnd() & 0xff : vectors[rnd() % 4]); break;
    case 1: case 2: PUT(0xcd, 0x80); break;
    case 3: PUT(0xcc); break;                         /* int3 */
    case 4: PUT(0xb0, 0x7f, 0x04, rnd() & 1, 0xce); break; /* mov al, 7f; add al, 0 or 1; into */
    case 5: PUT(0x50, 0x89, 0xe5, 0x0f, 0x34); break; /* push eax; mov ebp, esp; sysenter */
    case 6: /* bound eax, [...] */
        put_mov(RAX, rnd() % 64);
        PUT(0x62, 0x05), put_u32(DATA + rnd() % 0x7000);
        break;
    case 7: PUT(0xf1); break;                         /* int1 */
    case 8: PUT(0x0f, 0x0b); break;                   /* ud2 */
    case 9: PUT(0x31, 0xc9, 0xf7, 0xf1); break;       /* xor ecx, ecx; div ecx */
    default: put_far(); break;
    }
}

/* --- Putting it together ------------------------------------------------------ */

static struct segment odd_segment(void)
{
    static const uint32_t limits[] = { 0x1fff, 0xfff, 0x2345, UINT32_MAX, UINT32_MAX };
    struct segment s = { 0, SEG_S | SEG_P | SEG_DPL | SEG_DB | SEG_ACCESSED, limits[rnd() % 5],
                         one_in(3) ? rnd() % 0x200 : DATA + rnd() % 0x4000 };

    if (s.limit == UINT32_MAX)
        s.attr |= SEG_G;
    if (!one_in(5))
        s.attr |= SEG_WRITABLE;
    if (one_in(6))
        s.attr |= SEG_EXPDOWN;
    return s;
}

/* Of any kind and size, near the data or the code; a handler that counts would return to a
 * breakpoint on an instruction for ever. */
static void make_breakpoints(struct scene *s)
{
    for (unsigned i = 0; i < 4; i++)
        s->dr[i] = one_in(2) ? DATA + rnd() % 0x2000 : CODE + (one_in(2) ? 4096 : rnd() % 200);
    s->dr[7] = 0x400 | (rnd() & 0xff);
    for (unsigned i = 0; i < 4; i++) /* R/W: execute, write, both; LEN: 0 to execute */
        if (s->stepper || one_in(2))
            s->dr[7] |= ((rnd() & 1 ? 3 : 1) | (unsigned[]){ 0, 4, 12 }[rnd() % 3]) << (16 + 4 * i);
}

/* Mostly what a sandbox can run: other scenes begin in a translated form. */
static void make_direct(struct scene *s)
{
    if (!one_in(16))
        s->eflags = (s->eflags & ~EFLAGS_IOPL) | EFLAGS_IF;
    if (!one_in(16))
        s->cr0_set &= ~CR0_TS, s->dr[7] = 0;
    if (!one_in(4))
        for (unsigned i = 0; i < 2; i++) {
            s->odd_segment[i].attr |= SEG_WRITABLE | SEG_G;
            s->odd_segment[i].attr &= ~SEG_EXPDOWN;
            s->odd_segment[i].limit = UINT32_MAX;
        }
    s->odd |= one_in(3);
    s->sysenter_cs = one_in(3) ? 0 : 8;
}

static void make_scene(struct scene *s)
{
    s->direct = direct_user;
    s->user = one_in(2) || direct_user;
    s->stepper = one_in(2);
    s->interrupt = one_in(3);
    s->cr0_set = one_in(24) ? CR0_TS : one_in(2) ? CR0_AM : 0;
    s->cr0_clear = one_in(12) ? CR0_NE : 0;
    s->cr4_clear = one_in(12) ? CR4_OSXMMEXCPT : 0;
    memset(s->dr, 0, sizeof(s->dr));
    if (one_in(16))
        make_breakpoints(s);
    s->odd = odd_segments = one_in(4);
    for (unsigned i = 0; i < 2; i++)
        s->odd_segment[i] = odd_segment();
    s->odd_segment[0].selector = odd_first;
    s->odd_segment[1].selector = odd_first + 8;
    s->cw = (uint16_t)(one_in(2) ? 0x37f : 0x340 | (rnd() & 0xc3f));
    s->mxcsr = one_in(2) ? 0x1f80 : rnd() & 0xffbf;
    for (unsigned i = 0; i < sizeof(s->data); i++)
        s->data[i] = (uint8_t)rnd();
    for (unsigned i = 0; i < sizeof(s->xmm); i++)
        s->xmm[i] = (uint8_t)rnd();
    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = DATA + rnd() % DATA_SIZE;
    s->gpr[RSP] = STACK + 0x2000;
    s->eflags = EFLAGS_R1 | (rnd() & EFLAGS_ARITH) | (one_in(3) ? 0x3000 : 0); /* IOPL */
    if (direct_user)
        make_direct(s);
}

static void put_piece(bool loops)
{
    if (direct_user && one_in(12))
        put_system();
    switch (rnd() % 32) {
    case 0: case 1: put_jump(); break;
    case 2: case 3: put_call(); break;
    case 4: case 5:
        if (loops)
            put_loop();
        break;
    case 6: case 7: put_self_modifying(); break;
    case 8: put_flags(); break;
    case 9: case 10: put_string(); break;
    case 11: put_segment(); break;
    case 12: case 13: put_float(); break;
    case 14: case 15: case 16: case 17: case 18: case 19: case 20: case 21: put_pointer(); break;
    default: put_random(); break;
    }
}

static void choose_selectors(struct scene *s)
{
    bool linux_ones = direct_user && one_in(2);

    s->code_selector = user_code = linux_ones ? LINUX_CODE : USER_CODE;
    s->data_selector = user_data = linux_ones ? LINUX_DATA : USER_DATA;
    odd_first = direct_user ? DIRECT_ODD_FIRST : ODD_FIRST;
}

void streams_make(uint64_t seed, bool loops, bool direct, struct scene *scene)
{
    unsigned pieces;

    maker_begin(seed);
    interrupted = loops;
    direct_user = direct;
    choose_selectors(scene);
    make_scene(scene);
    pieces = 1 + rnd() % 60;
    memset(stream, 0xf4, sizeof(stream));
    stream_len = rnd() % 2 ? 4096 - rnd() % 200 : 0; /* over a page end, often */
    memset(stream, 0x90, stream_len);
    while (pieces-- && stream_len < sizeof(stream) - 512)
        put_piece(loops);
}

void streams_dump(void)
{
    unsigned at = 0;

    while (at < stream_len && stream[at] == 0x90)
        at++;
    machine_list(CODE + at, stream + at, stream_len - at, MODE_32);
}
