/*
 * Which pages user code may execute directly (shadowmm/avoid.c): by their bytes, by what the guest
 * has switched on and by what the host can do, and what becomes of those that it may not.
 */
#include "tests/unit/shadow_machine.h"

#define NOP 0x90

struct code {
    const char *what;
    unsigned at; /* in the page */
    uint8_t bytes[12];
    unsigned count;
};
#define CODE(what, at, ...)                                                                        \
    { what, at, { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }) }

static void put_code(struct world *w, const struct code *c)
{
    memset(w->m.pm.ram + FRAME, NOP, PAGE_SIZE);
    memcpy(w->m.pm.ram + FRAME + c->at, c->bytes, c->count);
}

static void check_each(struct world *w, const struct code *c, unsigned count, bool allowed)
{
    avoid_look(w->sm);
    for (; count--; c++) {
        put_code(w, c);
        if (avoid_allows(w->sm, FRAME + 0x123, false) != allowed) {
            printf("%s: %s\n", c->what, allowed ? "refused" : "allowed");
            check_failures++;
        }
    }
}
#define REFUSED(w, list) check_each(w, list, sizeof(list) / sizeof(*(list)), false)
#define ALLOWED(w, list) check_each(w, list, sizeof(list) / sizeof(*(list)), true)

static void cs_that_is_compared(void)
{
    static const struct code compared[] = {
        CODE("mov eax, cs; cmp eax, 23h", 0, 0x8c, 0xc8, 0x83, 0xf8, 0x23),
        CODE("at the page's end", PAGE_SIZE - 5, 0x8c, 0xc8, 0x83, 0xf8, 0x23),
        CODE("mov ax, cs; cmp ax, 23h", 77, 0x66, 0x8c, 0xc8, 0x66, 0x3d, 0x23, 0),
        CODE("mov edi, cs; cmp edi, 23h", 7, 0x8c, 0xcf, 0x81, 0xff, 0x23, 0, 0, 0),
        CODE("mov ecx, cs; cmp cl, 23h", 6, 0x8c, 0xc9, 0x80, 0xf9, 0x23),
        CODE("mov eax, cs; cmp [ebp - 12], 23h", 9, 0x8c, 0xc8, 0x83, 0x7d, 0xf4, 0x23),
        CODE("mov eax, cs; cmp eax, 73h", 15, 0x8c, 0xc8, 0x3d, 0x73, 0, 0, 0),
        CODE("mov eax, cs; cmp al, 1bh", 1, 0x8c, 0xc8, 0x3c, 0x1b),
        CODE("behind the same bytes", 0, 0x8c, 0x8c, 0x8c, 0xc8, 0x3c, 0x23),
    };
    static const struct code others[] = {
        CODE("nothing", 0, NOP),
        CODE("mov eax, cs; mov es, eax", 0, 0x8c, 0xc8, 0x8e, 0xc0),
        CODE("mov eax, cs; cmp eax, 24h", 0, 0x8c, 0xc8, 0x83, 0xf8, 0x24),
        CODE("mov eax, cs; add eax, 23h", 0, 0x8c, 0xc8, 0x83, 0xc0, 0x23),
        CODE("mov eax, ds; cmp eax, 23h", 0, 0x8c, 0xd8, 0x83, 0xf8, 0x23),
        CODE("push cs; pop edx; cmp dl, 23h", 0, 0x0e, 0x5a, 0x80, 0xfa, 0x23),
        CODE("mov [ebx], cs; cmp [ebx], 23h", 0, 0x8c, 0x0b, 0x83, 0x3b, 0x23),
        CODE("cmp eax, 23h; mov eax, cs", 0, 0x83, 0xf8, 0x23, 0x8c, 0xc8),
        CODE("across the page's end", PAGE_SIZE - 1, 0x8c),
        CODE("before the page's end", PAGE_SIZE - 2, 0x8c, 0xc8),
        CODE("all that is avoided otherwise", 0, 0x0f, 0x34, 0x0f, 0x05, 0x0f, 0xa2),
    };
    struct world w;

    begin(&w);
    REFUSED(&w, compared);
    ALLOWED(&w, others);
    put_code(&w, &compared[0]);
    CHECK_EQ(avoid_allows(w.sm, FRAME, true), true); /* it may be written */
    end(&w);
}

/* How far behind: 64 bytes. */
static void cs_that_is_compared_later(void)
{
    static const struct code moved = CODE("mov eax, cs", 100, 0x8c, 0xc8);
    struct world w;

    begin(&w);
    avoid_look(w.sm);
    for (unsigned far = 0; far < 200; far++) {
        put_code(&w, &moved);
        memcpy(w.m.pm.ram + FRAME + 102 + far, (const uint8_t[]){ 0x83, 0xf8, 0x23 }, 3);
        CHECK_EQ(avoid_allows(w.sm, FRAME, false), far >= 64);
    }
    end(&w);
}

static const struct code sysenter[] = {
    CODE("sysenter", 0, 0x0f, 0x34),
    CODE("sysenter last", PAGE_SIZE - 2, 0x0f, 0x34),
    CODE("half of it", PAGE_SIZE - 1, 0x0f),
};
static const struct code syscall[] = {
    CODE("syscall", 1234, 0x0f, 0x05),
    CODE("half of it", PAGE_SIZE - 1, 0x0f),
};
static const struct code cpuid[] = {
    CODE("cpuid", 17, 0x0f, 0x0f, 0xa2),
    CODE("half of it", PAGE_SIZE - 1, 0x0f),
};

/* With what is avoided everywhere it matters, a page that may be written may have it. */
static void check_written(struct world *w, bool allowed)
{
    avoid_look(w->sm);
    memset(w->m.pm.ram + FRAME, NOP, PAGE_SIZE);
    CHECK_EQ(avoid_allows(w->sm, FRAME, true), allowed);
}

static void calls_that_lose_registers(void)
{
    struct world w;

    begin(&w);
    ALLOWED(&w, sysenter);
    w.m.vcpu->sysenter_cs = 8; /* nobody has executed it */
    REFUSED(&w, sysenter);
    check_written(&w, false);
    w.m.vcpu->sysenter_ways = SYSENTER_AT_ESP;
    ALLOWED(&w, sysenter);
    check_written(&w, true);
    w.m.vcpu->sysenter_ways |= SYSENTER_ELSEWHERE;
    REFUSED(&w, sysenter);
    w.sm->direct_caps.syscall32 = true; /* AMD's CPUs */
    ALLOWED(&w, sysenter);
    ALLOWED(&w, syscall);
    w.m.vcpu->efer |= EFER_SCE;
    REFUSED(&w, syscall);
    check_written(&w, false);
    w.m.vcpu->efer &= ~(uint64_t)EFER_SCE;
    ALLOWED(&w, syscall);
    w.m.vcpu->syscall_lost = true;
    REFUSED(&w, syscall);
    end(&w);
}

static void cpuid_of_another_model(void)
{
    struct world w;

    begin(&w);
    ALLOWED(&w, cpuid);
    w.sm->direct_caps.shows_cpuid = true;
    REFUSED(&w, cpuid);
    check_written(&w, false);
    end(&w);
}

/* --- Pages of a sandbox ------------------------------------------------------------------ */

enum { READ_ONLY = 0x25, WRITTEN = 0x67, LARGE = 0x80 }; /* of users, accessed; with D */

static const struct code compares_cs = CODE("mov eax, cs; cmp eax, 23h", 64, 0x8c, 0xc8, 0x83,
                                            0xf8, 0x23);

/* The first pages of users, in a sandbox. */
static void begin_direct(struct world *w, uint32_t first, uint32_t second)
{
    begin(w);
    m_put(&w->m, root_at(0) + 4, (root_at(0) + 0x1000) | 0x27, 4);
    m_put(&w->m, root_at(0) + 0x1000, FRAME | first, 4);
    m_put(&w->m, root_at(0) + 0x1004, (FRAME + 0x1000) | second, 4);
    mem_root_changed(w->m.vcpu);
    shadowmm_policy(w->sm, TIERS_TLB, TIERS_DIRECT);
    give(w);
}

static enum mem_fill execute(struct world *w, uint32_t gla)
{
    return shadowmm_direct_fault(w->sm, gla, MEM_EXEC);
}

static void refused_page_is_told(void)
{
    struct world w;

    begin_direct(&w, READ_ONLY, READ_ONLY);
    put_code(&w, &compares_cs);
    CHECK_EQ(execute(&w, USER + 0x1000), MEM_FILLED);
    CHECK_EQ(execute(&w, USER), MEM_SPECIAL);
    CHECK_EQ(shadowmm_direct_fault(w.sm, USER, MEM_READ), MEM_FILLED);
    CHECK_EQ(execute(&w, USER), MEM_SPECIAL);
    CHECK_EQ(shadowmm_direct_refuses(w.sm, USER), true);
    CHECK_EQ(shadowmm_direct_refuses(w.sm, USER + 0x1000), false);
    end(&w);
}

/* A page is looked through again when it is mapped again. */
static void bytes_that_change(void)
{
    struct world w;

    begin_direct(&w, READ_ONLY, READ_ONLY);
    CHECK_EQ(execute(&w, USER), MEM_FILLED);
    put_code(&w, &compares_cs);
    mem_invlpg(w.m.vcpu, USER);
    CHECK_EQ(execute(&w, USER), MEM_SPECIAL);
    CHECK_EQ(execute(&w, USER + 0x1000), MEM_FILLED);
    memset(w.m.pm.ram + FRAME, NOP, PAGE_SIZE);
    mem_invlpg(w.m.vcpu, USER);
    CHECK_EQ(execute(&w, USER), MEM_FILLED);
    CHECK_EQ(shadowmm_direct_refuses(w.sm, USER), false);
    end(&w);
}

/* A guess is not worth a page that a program writes; what must not happen is. */
static void written_pages(void)
{
    struct world w;

    begin_direct(&w, WRITTEN, WRITTEN);
    put_code(&w, &compares_cs);
    CHECK_EQ(execute(&w, USER), MEM_FILLED);
    CHECK_EQ(w.sm->stats.avoid_looks, 0);
    w.m.vcpu->sysenter_cs = 8;
    CHECK_EQ(shadowmm_direct_refuses(w.sm, USER), false); /* not mapped any more: */
    CHECK_EQ(shadowmm_direct_mapped(w.sm, USER), false);
    CHECK_EQ(execute(&w, USER), MEM_SPECIAL);
    CHECK_EQ(shadowmm_direct_refuses(w.sm, USER), true);
    end(&w);
}

/* Of a large page only that one which has the bytes; none, if it may be written. */
static void large_pages(void)
{
    struct world w;
    uint64_t looks;

    begin(&w);
    m_put(&w.m, root_at(0) + 4, READ_ONLY | LARGE, 4); /* from 0 on */
    mem_root_changed(w.m.vcpu);
    shadowmm_policy(w.sm, TIERS_TLB, TIERS_DIRECT);
    give(&w);
    put_code(&w, &compares_cs);
    CHECK_EQ(execute(&w, USER + FRAME - 0x1000), MEM_FILLED);
    CHECK_EQ(execute(&w, USER + FRAME), MEM_SPECIAL);
    CHECK_EQ(execute(&w, USER + FRAME + 0x1000), MEM_FILLED);
    looks = w.sm->stats.avoid_looks;
    m_put(&w.m, root_at(0) + 4, WRITTEN | LARGE, 4);
    physmem_written(&w.m.pm, root_at(0) + 4, 4);
    mem_root_changed(w.m.vcpu);
    CHECK_EQ(execute(&w, USER + FRAME), MEM_FILLED);
    CHECK_EQ(w.sm->stats.avoid_looks, looks);
    end(&w);
}

int main(void)
{
    cs_that_is_compared();
    cs_that_is_compared_later();
    calls_that_lose_registers();
    cpuid_of_another_model();
    refused_page_is_told();
    bytes_that_change();
    written_pages();
    large_pages();
    return CHECK_DONE();
}
