/*
 * What user code must not execute directly: instructions that do something else in a host's process
 * than in the guest, and do not come back. (Those that fault there need no row: the interpreter
 * executes them again.) A page that has the bytes of one is translated. It is looked through each
 * time it is mapped in a sandbox, which takes 0.5 us; a fault there takes 20 times that. So nothing
 * is kept that would have to be forgotten when somebody writes the page.
 *
 * SYSENTER loses EAX where the word at EBP is not mapped in the sandbox (direct/sandbox.h,
 * sysenter_lost_eax). Linux wants ESP in EBP, and the page of ESP is kept mapped. User code of
 * other systems has anything in EBP. So it is avoided while user code has not been seen to execute
 * it with ESP in EBP, and for good once it was seen to do it otherwise. A guest without a SYSENTER
 * entry point gets #GP for it, which loses nothing.
 *
 * On AMD's CPUs SYSENTER is #UD there and loses nothing; it is SYSCALL that enters the host's
 * kernel, and loses EIP and ECX (caps.syscall32). The same then, in a guest that has switched it on
 * (EFER.SCE), and for good once one was lost: in any other guest it is #UD, and nobody executes it.
 *
 * CPUID tells user code of the host's CPU, where it cannot be made to fault (Linux does that on
 * Intel's CPUs): a guest with another model.
 *
 * CS reads as the host's. Most code only saves it, which does no harm (segment_meant), and in most
 * pages the bytes are something else. But some code compares it, to see whose kernel it runs under:
 * then a comparison with a system's selector follows. That is a guess, by which pages that may be
 * written are not judged, nor bytes by what the next page has (docs/direct-execution.md).
 */
#include "cpu/decode.h"
#include "shadowmm/view.h"

#define NEAR 64 /* bytes behind CS read back in which it is compared */

struct rule {
    bool (*needed)(const struct shadowmm *sm); /* NULL: always */
    /* Each execution matters: pages that may be written, and those that end with the first byte,
     * are avoided as well. Else it does where there is a comparison with a selector behind it. */
    bool exact;
    uint8_t first, low, high; /* opcode: a byte, and one from low to high */
};

static bool loses_sysenter(const struct shadowmm *sm)
{
    return !sm->direct_caps.syscall32 && sm->vcpu->sysenter_cs & 0xfffc &&
           sm->vcpu->sysenter_ways != SYSENTER_AT_ESP;
}

static bool loses_syscall(const struct shadowmm *sm)
{
    return sm->direct_caps.syscall32 && (sm->vcpu->efer & EFER_SCE || sm->vcpu->syscall_lost);
}

static bool shows_cpuid(const struct shadowmm *sm)
{
    return sm->direct_caps.shows_cpuid;
}

static const struct rule rules[AVOID_END] = {
    [AVOID_SYSENTER] = { loses_sysenter, true, 0x0f, 0x34, 0x34 },
    [AVOID_SYSCALL] = { loses_syscall, true, 0x0f, 0x05, 0x05 },
    [AVOID_CPUID] = { shows_cpuid, true, 0x0f, 0xa2, 0xa2 },
    [AVOID_CS] = { NULL, false, 0x8c, 0xc8, 0xcf }, /* MOV to a general register */
};

/* CS of 32-bit programs under a 64-bit Linux or Windows, of Linux's and of Windows' i386 ones. */
static bool is_known_cs(uint64_t number)
{
    return number == 0x23 || number == 0x73 || number == 0x1b;
}

/* What CMP with a number begins with; other instructions, too. */
static bool may_compare(uint8_t first)
{
    return (first & 0xfc) == 0x80 || (first & 0xfe) == 0x3c || first == 0x66;
}

/* By an instruction at one of the next bytes, as if each were the beginning of one? */
static bool compared(const uint8_t *code, const uint8_t *end)
{
    struct insn in;

    for (unsigned i = 0; i < NEAR && code < end; i++, code++) {
        unsigned left = end - code < INSN_MAX ? (unsigned)(end - code) : INSN_MAX;

        if (may_compare(*code) && decode(&in, code, left, MODE_32) > 0 && in.id == M_CMP &&
            in.imm_len && is_known_cs(in.imm))
            return true;
    }
    return false;
}

static bool matters(const struct rule *rule, const uint8_t *code, const uint8_t *end)
{
    if (code[0] != rule->first)
        return false;
    if (code + 1 == end)
        return rule->exact;
    return code[1] >= rule->low && code[1] <= rule->high &&
           (rule->exact || compared(code + 2, end));
}

#define EACH 0x0101010101010101ull

/* Has its high bit in each byte of word that is 0, and maybe in others behind the first one. */
static uint64_t zeroes(uint64_t word)
{
    return (word - EACH) & ~word & EACH << 7;
}

/* By words: there are no vector registers here (docs/decisions/0004). */
static bool page_has(const uint8_t *page, const struct rule *rule)
{
    for (unsigned i = 0; i < PAGE_SIZE; i += 8) {
        uint64_t word, found;

        __builtin_memcpy(&word, page + i, 8);
        for (found = zeroes(word ^ rule->first * EACH); found; found &= found - 1)
            if (matters(rule, page + i + __builtin_ctzll(found) / 8, page + PAGE_SIZE))
                return true;
    }
    return false;
}

static bool allows(const struct shadowmm *sm, const uint8_t *page, bool write)
{
    for (unsigned i = 0; i < AVOID_END; i++)
        if (sm->avoid & 1u << i && (write ? rules[i].exact : page_has(page, &rules[i])))
            return false;
    return true;
}

bool avoid_allows(struct shadowmm *sm, uint64_t gpa, bool write)
{
    const uint8_t *page = physmem_ptr(sm->vcpu->mem, gpa & ~(uint64_t)PAGE_MASK);
    bool allowed = allows(sm, page, write);

    sm->stats.avoid_looks += !write;
    sm->stats.avoid_pages += !allowed;
    sm->avoided |= !allowed;
    return allowed;
}

static uint8_t what_to_avoid(const struct shadowmm *sm)
{
    uint8_t avoid = 0;

    for (unsigned i = 0; i < AVOID_END; i++)
        if (!rules[i].needed || rules[i].needed(sm))
            avoid |= 1u << i;
    return avoid;
}

void avoid_look(struct shadowmm *sm)
{
    uint8_t avoid = what_to_avoid(sm);

    if (avoid == sm->avoid)
        return;
    sm->avoid = avoid;
    for (unsigned i = WINDOWS_MAX; i < POOL_SIZE; i++) /* they get other rights now */
        if (sm->pool[i].sandbox && sm->pool[i].areas)
            window_empty(sm, &sm->pool[i]);
}
