/* Tries with the code that the host's process has: jumps to all of it, frames for its returns. */
#include "guests/initramfs/escape.h"

#define STEP 3u /* bytes between two places that are jumped to */
#define FUTEX 202u
#define RT_SIGRETURN 15u
#define NO_SIGNAL (~0ull)

static uint32_t stack(void)
{
    return (uint32_t)escape_frame + 4 * PAGE;
}

/* Everywhere, with registers that are its own, or ours, or point to its pages. */
static void group_stub(void)
{
    for (uint32_t at = 0; at < STUB_SIZE; at += escape_few ? 301 : STEP) {
        uint32_t i = at / STEP;
        uint64_t own = (uint32_t)escape_frame;

        SET(MODE_GO, i & 8 ? FUTEX : at, i & 16 ? REPORT : own, 0, PAGE, 7, 0, 0, STUB + at,
            i & 4 ? REPORT + 0x1000 : stack(), i & 1 ? ORDERS : own, i & 2 ? REPORT : own);
        escape_try(escape_jump, "jump", at);
    }
}

/* Where the kernel's last frame was: the handler is entered as the kernel does, so that the runner
 * parks, without a signal and with a frame that is old. */
static void group_park(void)
{
    uint32_t handlers = 0;

    escape_copy(STUB, PAGE);
    for (uint32_t at = 0; at + 10 < STUB_SIZE; at++) { /* movabs $REPORT, %rbx */
        static const uint8_t begin[] = { 0x48, 0xbb, 0, 0, 0x20, 0, 0, 0x7e, 0, 0 };
        unsigned same = 0;

        while (same < sizeof(begin) && escape_copied[at + same] == begin[same])
            same++;
        if (same < sizeof(begin))
            continue;
        handlers++;
        for (uint64_t rsp = REPORT + 0x2000; rsp < REPORT + REPORT_SIZE;
             rsp += escape_few ? 0x3000 : 0x200) {
            SET(MODE_GO, 0, 11, 0, 0, 0, 0, 0, STUB + at, rsp, 0, 0);
            escape_try(escape_jump, "park", (uint32_t)rsp);
            SET(MODE_GO, 0, 11, 0, 0, 0, 0, 0, STUB + at, rsp + 0x1b8, 0, 0);
            escape_try(escape_call, "park", (uint32_t)rsp + 0x1b8);
        }
    }
    if (escape_copied[0] && !handlers)
        escape_wrong("no handler found", 0);
    SET(MODE_LOOP, 0);
    escape_try(escape_jump, "loop", 0);
}

/* Linux's 64-bit signal frame, from behind its return address. */
enum { FRAME_REG = 5, FRAME_RSP = FRAME_REG + 15, FRAME_RIP, FRAME_FLAGS, FRAME_SELECTORS,
       FRAME_MASK = FRAME_REG + 23 + 9 };

static void forge(uint64_t site, uint64_t mask, uint32_t selectors)
{
    uint64_t *f = (uint64_t *)stack();

    for (unsigned i = 0; i < 64; i++)
        f[i] = 0;
    f[FRAME_RIP] = selectors == 0x33 ? (uint32_t)escape_64 : (uint32_t)escape_frame;
    f[FRAME_RSP] = (uint32_t)escape_frame + 6 * PAGE;
    f[FRAME_FLAGS] = 0x202;
    f[FRAME_SELECTORS] = selectors | 0x2bull << 48;
    f[FRAME_MASK] = mask;
    f[2] = (uint32_t)escape_frame;
    f[4] = 3 * PAGE;
    SET(MODE_GO, RT_SIGRETURN, 0, 0, 0, 0, 0, 0, site, stack());
    escape_try(escape_jump, "forged", (uint32_t)site);
}

/* What the mapper, or the runner, does there, with our registers. */
static void calls_from(uint64_t site)
{
    static const uint64_t words[] = { ORDERS, ORDERS + 4, REPORT };
    static const uint16_t numbers[] = { 1,   9,   10,  11,  57,  59,  62,
                                        101, 131, 154, 157, 257, 310, 311 };
    uint32_t at = (uint32_t)escape_frame;

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        SET(MODE_GO, numbers[i], at, PAGE, 7, 0x11, 3, 0, site, stack(), ORDERS, REPORT);
        escape_try(escape_jump, "a call from there", (uint32_t)site << 16 | numbers[i]);
    }
    for (unsigned i = 0; i < 3; i++)
        for (unsigned op = 0; op < 6; op++) {
            SET(MODE_GO, FUTEX, words[i], op, 0, 0, 0, 0, site, stack(), ORDERS, REPORT);
            escape_try(escape_jump, "futex from there", (uint32_t)site << 16 | i << 8 | op);
        }
}

/* From each of the system call instructions there. */
static void group_forged(void)
{
    uint8_t *copy = escape_frame + 7 * PAGE;
    unsigned sites = 0;

    escape_copy(STUB, PAGE);
    for (unsigned i = 0; i < PAGE; i++)
        copy[i] = escape_copied[i];
    escape_frame[0] = 0x0f, escape_frame[1] = 0x0b;
    for (unsigned at = 0; at + 1 < PAGE; at++) {
        if (copy[at] != 0x0f || copy[at + 1] != 5 || (escape_few && sites++ % 4))
            continue;
        forge(STUB + at, 0, 0x33);
        forge(STUB + at, 0, 0x23);
        forge(STUB + at, NO_SIGNAL, 0x33);
        forge(STUB + at, NO_SIGNAL, 0x23);
        if (!escape_few)
            calls_from(STUB + at);
    }
    SET(MODE_LOOP, 0);
    escape_try(escape_jump, "loop", 0);
}

const struct um_case escape_stub_groups[] = {
    { "stub", group_stub }, { "park", group_park }, { "forged", group_forged }, { 0, 0 },
};
