/*
 * A frame is found by the first of these that holds:
 *
 *   PUSH EBP, RET       the return address is at ESP; at MOV EBP, ESP behind PUSH, above it
 *   EBP                 points to a saved EBP and a return address
 *   scan                a word of the stack that is a return address: if one is near whose CALL
 *                       names the function that we are in, that, otherwise the next one. The word
 *                       below it may be the saved EBP
 *
 * A word is a return address if a CALL ends there; a CALL by register or memory does not say whom
 * it called. Words left by calls that have returned look the same: a scan shows now and then a
 * function that is not active any more.
 *
 * From a kernel's stack to the user's: Linux marks the end of a frame chain at an entry by a
 * pointer to struct pt_regs in EBP, with the highest bit clear (arch/x86/include/asm/frame.h).
 * Otherwise, and at the end of every scan: what the CPU pushed at the entry is at the top of the
 * stack that the TSS has for it, which is ESP0's, or where Linux has it since 4.15, ESP1's.
 */
#include "frontend/backtrace.h"

#include <stddef.h>

#include "base/physmem.h"
#include "cpu/engine.h"
#include "cpu/vcpu.h"
#include "frontend/peek.h"

#define SCAN_WORDS 1024 /* in all frames of a walk */
#define NEAR_WORDS 128
#define FRAME_MAX 65536 /* a saved EBP is not further up than this */
#define FUNCTION_MAX 32768
#define KERNEL_STACK 8192u
#define TSS_ESP0 4
#define TSS_ESP1 12
#define TOP_BIT 0x80000000u
#define USER_END 0xc0000000u

/* Linux's struct pt_regs; its end is what the CPU pushes. */
struct pt_regs {
    uint32_t bx, cx, dx, si, di, bp, ax, ds, es, fs, gs, orig_ax, ip, cs, flags, sp, ss;
};

struct walk {
    struct vcpu *vcpu;
    struct backtrace *trace;
    uint32_t eip, esp, ebp;
    bool user;
    unsigned words; /* scanned */
};

/* --- Return addresses ------------------------------------------------------------------------- */

/* The length of a CALL with this second byte and the opcode FF; 0: it is none. */
static unsigned indirect_length(uint8_t modrm, uint8_t sib)
{
    unsigned mod = modrm >> 6, rm = modrm & 7;

    if ((modrm >> 3 & 7) != 2)
        return 0;
    if (mod == 3)
        return 2;
    if (mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5)))
        return rm == 4 ? 7 : 6;
    return 2 + (rm == 4) + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

/* Does a CALL end at address? *entry: what it called, if it says so. */
static bool is_return(struct vcpu *vcpu, uint32_t address, uint32_t *entry)
{
    uint8_t code[7];
    uint32_t distance;

    *entry = 0;
    if (!peek_bytes(vcpu, address - 7, code, sizeof(code)))
        return false;
    if (code[2] == 0xe8) {
        distance = (uint32_t)(code[3] | code[4] << 8 | code[5] << 16) | (uint32_t)code[6] << 24;
        *entry = address + distance;
        return true;
    }
    for (unsigned length = 2; length <= 7; length++)
        if (code[7 - length] == 0xff &&
            indirect_length(code[8 - length], length > 2 ? code[9 - length] : 0) == length)
            return true;
    return false;
}

/* Could it be code of this side? Most words of a stack are not. */
static bool in_code(const struct walk *w, uint32_t address)
{
    return address >= PAGE_SIZE && (!w->user || address < USER_END);
}

/* The word at gla, if it is a return address. */
static bool return_at(const struct walk *w, uint32_t gla, uint32_t *address, uint32_t *entry)
{
    return peek_word(w->vcpu, gla, address) && is_return(w->vcpu, *address, entry);
}

/* --- Frames ----------------------------------------------------------------------------------- */

static void add(struct walk *w, uint32_t eip)
{
    struct backtrace *t = w->trace;

    w->eip = eip;
    if (t->count < BACKTRACE_MAX) {
        t->frame[t->count].eip = eip;
        t->frame[t->count].entry = 0;
        t->frame[t->count++].user = w->user;
    }
}

/* One frame outward: returned to from gla, called at entry. */
static void step_out(struct walk *w, uint32_t gla, uint32_t address, uint32_t entry)
{
    if (w->eip - entry < FUNCTION_MAX)
        w->trace->frame[w->trace->count - 1].entry = entry;
    w->esp = gla + 4;
    add(w, address);
}

/* Translated code may be in the middle of an instruction, with ESP changed already: by change. */
static bool out_near(struct walk *w, uint32_t gla, uint32_t change)
{
    uint32_t address, entry;

    if (!return_at(w, gla, &address, &entry)) {
        gla += change;
        if (!return_at(w, gla, &address, &entry))
            return false;
    }
    step_out(w, gla, address, entry);
    return true;
}

static bool by_prologue(struct walk *w)
{
    uint8_t code[4];

    if (w->trace->count != 1 || !peek_bytes(w->vcpu, w->eip - 1, code, sizeof(code)))
        return false;
    if (code[1] == 0x55)
        return out_near(w, w->esp, 4);
    if (code[1] == 0xc3)
        return out_near(w, w->esp, (uint32_t)-4);
    return code[0] == 0x55 &&
           ((code[1] == 0x89 && code[2] == 0xe5) || (code[1] == 0x8b && code[2] == 0xec)) &&
           out_near(w, w->esp + 4, 0);
}

/* Frames may be on several stacks of a kernel, so EBP may go down, but then far. */
static bool outward(const struct walk *w, uint32_t ebp)
{
    return !(ebp & 3) && (ebp - w->esp < FRAME_MAX || (!w->user && (ebp ^ w->esp) >= KERNEL_STACK));
}

static bool by_ebp(struct walk *w)
{
    uint32_t gla = w->ebp + 4, address, entry, saved;

    if (!outward(w, w->ebp) || !peek_word(w->vcpu, w->ebp, &saved) ||
        !return_at(w, gla, &address, &entry))
        return false;
    w->ebp = saved;
    step_out(w, gla, address, entry);
    return true;
}

/* A return address on the stack. */
struct found {
    uint32_t gla, address, entry;
};

/* From f->gla on the next one, at most words further. False: there is none. */
static bool find_return(struct walk *w, struct found *f, unsigned words)
{
    for (; words-- && w->words < SCAN_WORDS; f->gla += 4, w->words++) {
        if (!peek_word(w->vcpu, f->gla, &f->address) ||
            (!w->user && !(f->gla & (KERNEL_STACK - 1))))
            return false;
        if (in_code(w, f->address) && is_return(w->vcpu, f->address, &f->entry))
            return true;
    }
    return false;
}

/* The near one that called where we are, or was made by a CALL that does not say so. */
static bool find_caller(struct walk *w, struct found *f)
{
    uint32_t end = f->gla + 4 * NEAR_WORDS;

    for (; find_return(w, f, (end - f->gla) / 4); f->gla += 4)
        if (!f->entry || w->eip - f->entry < FUNCTION_MAX)
            return true;
    return false;
}

static bool by_scan(struct walk *w)
{
    struct found f = { .gla = w->esp & ~3u };
    uint32_t saved;

    if (!find_caller(w, &f)) {
        f.gla = w->esp & ~3u;
        if (!find_return(w, &f, SCAN_WORDS))
            return false;
    }
    if (peek_word(w->vcpu, f.gla - 4, &saved) && saved - f.gla < FRAME_MAX && !(saved & 3))
        w->ebp = saved;
    step_out(w, f.gla, f.address, f.entry);
    return true;
}

/* --- From the kernel's stack to the user's ---------------------------------------------------- */

static void enter_user(struct walk *w, const struct pt_regs *r)
{
    w->user = true;
    w->trace->in_user = true;
    w->trace->user_esp = w->esp = r->sp;
    w->ebp = r->bp;
    w->eip = r->ip;
    if (r->ip) /* else not known yet: SYSENTER does not tell */
        add(w, r->ip);
}

static bool is_user_frame(const struct pt_regs *r)
{
    return (r->cs & 3) == 3 && (r->ss & 3) == 3 && r->flags & 2 && !(r->flags & EFLAGS_VM);
}

/* EBP is Linux's mark of an entry. True: the walk goes on where the entry came from. */
static bool by_mark(struct walk *w)
{
    uint32_t at = w->ebp | TOP_BIT;
    struct pt_regs r;

    if (w->user || w->ebp & TOP_BIT || !w->ebp || at & 3 ||
        !peek_bytes(w->vcpu, at, &r, sizeof(r)))
        return false;
    if (is_user_frame(&r)) {
        enter_user(w, &r);
        return true;
    }
    if ((r.cs & 3) || !(r.ip & TOP_BIT))
        return false;
    w->ebp = r.bp;
    w->esp = at + (uint32_t)offsetof(struct pt_regs, sp); /* the CPU pushes no SS:ESP then */
    add(w, r.ip);
    return true;
}

static bool user_below(struct walk *w, unsigned tss_offset)
{
    struct pt_regs r;
    uint32_t top;

    if (!peek_word(w->vcpu, (uint32_t)w->vcpu->tr.base + tss_offset, &top) ||
        !peek_bytes(w->vcpu, top - (uint32_t)sizeof(r), &r, sizeof(r)) || !is_user_frame(&r))
        return false;
    enter_user(w, &r);
    return true;
}

/* --- All of it -------------------------------------------------------------------------------- */

static bool go_out(struct walk *w)
{
    return by_prologue(w) || by_mark(w) || by_ebp(w) || by_scan(w);
}

void backtrace_take(struct vcpu *vcpu, const struct guest_point *at, struct backtrace *trace)
{
    struct walk w = { .vcpu = vcpu, .trace = trace, .esp = at->esp, .ebp = at->ebp,
                      .user = at->user };

    trace->count = 0;
    trace->in_user = at->user;
    trace->user_esp = at->esp;
    add(&w, at->eip);
    if (!at->flat)
        return;
    while (trace->count < BACKTRACE_MAX && go_out(&w))
        continue;
    if (w.user || trace->count == BACKTRACE_MAX)
        return;
    if (user_below(&w, TSS_ESP1) || user_below(&w, TSS_ESP0))
        while (trace->count < BACKTRACE_MAX && go_out(&w))
            continue;
}
