/* Tries with memory: the host process's addresses, pages that the guest's tables do not grant. */
#include "guests/initramfs/escape.h"

#define SECRET 0x5ec2e7ed
#define KERNEL 0xc0000000u

/* What is mapped there, and what is not. */
static const uint64_t places[] = {
    STUB, STUB + 0x1000, STUB + 0x2000, ORDERS, ORDERS + 0x1000, ORDERS + 0x7000, ORDERS + 0x8000,
    REPORT + 8, REPORT + 0x1000, REPORT + 0x2000, REPORT + 0xb000, REPORT + 0xc000,
    0x7e00fff00000ull, 0x7e00fff01000ull, 0x100000000ull, 0x180000000ull, 0x555555554000ull,
    0x7f0000000000ull, 0x7fffffffe000ull, 0xffffffffff600000ull, 0xffff800000000000ull,
    0xffffffff81000000ull, KERNEL, KERNEL + 0x100000, KERNEL + 0x1000000, 0xffc00000, 0xfffff000,
};

static void group_read(void)
{
    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        SET(MODE_COPY, 0, places[i], (uint32_t)escape_frame, PAGE - 8);
        escape_try(escape_jump, "read", i);
    }
}

static void group_write(void)
{
    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        SET(MODE_WRITE, i * 0x123456789abcdefull, places[i], places[i] + PAGE);
        escape_try(escape_jump, "write", i);
    }
}

/* All addresses that the process could have, in steps that no area of novt's is smaller than. */
static void group_everywhere(void)
{
    uint64_t step = escape_few ? 0x80000000000 : 0x3fffffff000;
    uint64_t near = escape_few ? 0xffe000 : 0xfe000;

    for (uint64_t at = 1ull << 32; at < 1ull << 47; at += step)
        for (uint32_t write = 0; write < 2; write++) {
            SET(write ? MODE_WRITE : MODE_COPY, 1, at, write ? at + 8 : (uint32_t)escape_frame, 8);
            escape_try(escape_jump, "address", (uint32_t)(at >> 16));
        }
    for (uint64_t at = STUB - 0x1000000; at < STUB + 0x1000000; at += near) {
        SET(MODE_WRITE, 1, at, at + 8);
        escape_try(escape_jump, "address", (uint32_t)(at >> 16));
    }
}

/* The word at from, if 64-bit code can read it. */
static uint32_t leaked(const volatile void *from)
{
    escape_copy((uint32_t)from, 64);
    return *(uint32_t *)escape_copied;
}

static void try_write(volatile uint32_t *at, const char *what)
{
    SET(MODE_WRITE, 0xbad, (uint32_t)at, (uint32_t)(at + 2));
    escape_try(escape_jump, what, 0);
}

static void guest_kernel(void)
{
    for (uint32_t at = KERNEL; at >= KERNEL; at += 0x1234000) {
        escape_copy(at, 64);
        for (unsigned i = 0; i < 64; i++)
            if (escape_copied[i]) {
                escape_wrong("the kernel's memory can be read", at);
                break;
            }
    }
}

/* Pages that are mapped, or were, with rights that the guest's tables do not give now. */
static void group_grants(void)
{
    volatile uint32_t *page = rt_map(4 * PAGE, PROT_READ | PROT_WRITE);
    volatile uint32_t *none = page, *gone = page + PAGE / 4, *fixed = page + PAGE / 2;
    volatile uint32_t *shared = page + 3 * PAGE / 4;

    none[0] = gone[0] = fixed[0] = shared[0] = SECRET;
    if (leaked(none) != SECRET && leaked((void *)(uint32_t)shared) == SECRET)
        escape_wrong("reads differ", 0);
    sys3(SYS_mprotect, none, PAGE, PROT_NONE);
    sys3(SYS_mprotect, fixed, PAGE, PROT_READ);
    if (leaked(none) == SECRET)
        escape_wrong("PROT_NONE can be read", 0);
    sys2(SYS_munmap, gone, PAGE);
    if (leaked(gone) == SECRET)
        escape_wrong("what was unmapped can be read", 0);
    try_write(fixed, "write to what can be read only");
    try_write(none, "write to PROT_NONE");
    try_write(shared, "write to what was the parent's before the fork");
    sys3(SYS_mprotect, none, PAGE, PROT_READ);
    if (none[0] != SECRET || fixed[0] != SECRET || shared[0] != SECRET)
        escape_wrong("memory was written", 0);
    guest_kernel();
}

/* ---- The shared page ---------------------------------------------------------- */

static void group_report(void)
{
    for (unsigned i = 0; i < 6; i++) {
        SET(MODE_WRITE, i * 0x9876543210fedcull, REPORT + (i & 1 ? 8 : 0), REPORT + REPORT_SIZE);
        escape_try(escape_jump, "garbage", i);
        SET(MODE_WRITE_ON, i * 0x123456789abcdefull, REPORT + 8, REPORT + REPORT_SIZE);
        escape_try(escape_jump, "garbage for ever", i);
    }
}

/* Ends that were none, with garbage, while the monitor reads it, and with what looks well. */
static void group_pretend(void)
{
    SET(MODE_WRITE, 0, REPORT, REPORT + 8);
    escape_try(escape_jump, "no process", 0);
    SET(MODE_WRITE_ON, 0, REPORT, REPORT + 8);
    escape_try(escape_jump, "no process", 1);
    for (unsigned i = 0; i < 12; i++) {
        SET(MODE_PRETEND, i * 0x123456789abcdefull, REPORT + 8, REPORT + REPORT_SIZE, 0, 0, ORDERS,
            REPORT);
        escape_try(escape_jump, "pretends", i);
    }
    for (unsigned i = 0; i < 40; i++) {
        SET(MODE_LIE, i * 0x123456789abcdefull, 0, 0, i + 1, 0, ORDERS, REPORT);
        escape_try(escape_jump, "lies", i);
    }
}

static void group_loop(void)
{
    SET(MODE_LOOP, 0);
    escape_try(escape_jump, "loop", 0);
}

static void group_nostack(void)
{
    escape_try(escape_nostack, "no stack", 0);
}

const struct um_case escape_memory_groups[] = {
    { "read", group_read },       { "write", group_write },     { "everywhere", group_everywhere },
    { "grants", group_grants },   { "report", group_report },   { "pretend", group_pretend },
    { "loop", group_loop },       { "nostack", group_nostack }, { 0, 0 },
};
