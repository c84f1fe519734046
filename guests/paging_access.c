/*
 * Every access against every combination of rights; accessed and dirty bits; large and global
 * pages; when a changed entry must be seen.
 *
 * Reference: SDM volume 3, 4.6 (rights), 4.7 (error codes), 4.8 (A and D), 4.10 (TLBs).
 * Stated choice: nothing is wanted of a directory entry's A when the access then faults at the
 * page's entry (CPUs differ). D is never set by a write that faults.
 */
#include "guests/lib/check.h"
#include "guests/lib/code.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"
#include "guests/paging_tests.h"

enum { ERR_P = 1, ERR_W = 2, ERR_U = 4, ERR_R = 8, ERR_I = 16 };
enum access { READ, WRITE, FETCH };

static const char *const access_names[] = { "read", "write", "fetch" };

/* --- Making accesses ---------------------------------------------------- */

/* edi is the address for reads and writes; a fetch goes there. */
static struct frame do_access(enum access access, uint32_t address, unsigned ring)
{
    struct code c = { paging_page(1) };
    struct frame f = trap_frame((uint32_t)paging_page(1), ring);

    code_bytes(&c, 2, access == READ ? 0x078b : 0x0789); /* mov (%edi), %eax; mov %eax, (%edi) */
    code_end(&c);
    f.edi = address;
    f.eax = 0x30cd30cd; /* what is written is code as well */
    if (access == FETCH)
        f.eip = address;
    trap_run(&f);
    return f;
}

static void check_fault(const struct frame *f, uint32_t error, uint32_t address, const char *what)
{
    check_that(f->vector == VEC_PF && f->error == error, "%s: trap %u error %x, want #PF %x", what,
               f->vector, f->error, error);
    if (f->vector == VEC_PF)
        check_equal("cr2", read_cr2(), address);
}

/* --- The matrix --------------------------------------------------------- */

struct rights {
    bool present, writable, user, pde_writable, pde_user, no_execute, reserved;
};

static struct rights rights_of(unsigned bits)
{
    return (struct rights){ bits & 1, bits & 2, bits & 4, bits & 8, bits & 16, bits & 32,
                            bits & 64 };
}

static uint64_t entry_flags(bool present, bool writable, bool user)
{
    return (present ? PTE_P : 0) | (writable ? PTE_W : 0) | (user ? PTE_U : 0);
}

/* -1: allowed; otherwise the error code. */
static int want_error(const struct rights *r, enum access access, bool user, bool wp, bool nx)
{
    int error = (access == WRITE ? ERR_W : 0) | (user ? ERR_U : 0) |
                (access == FETCH && nx ? ERR_I : 0);
    bool writable = r->writable && r->pde_writable, for_user = r->user && r->pde_user;

    if (!r->present)
        return error;
    if (r->reserved)
        return error | ERR_P | ERR_R;
    if ((user && !for_user) || (access == WRITE && !writable && (user || wp)) ||
        (access == FETCH && nx && r->no_execute))
        return error | ERR_P;
    return -1;
}

static void set_rights(const struct rights *r, const struct paging_mode *mode)
{
    uint64_t entry = (uint32_t)paging_page(2) | entry_flags(r->present, r->writable, r->user);
    volatile uint32_t *pde = paging_pde(PAGING_TEST);

    if (r->no_execute)
        entry |= PTE_NX;
    if (r->reserved)
        entry |= mode->nx ? 1ull << 52 : PTE_NX;
    paging_set(paging_pte(PAGING_TEST), entry);
    paging_set(pde, (paging_get(pde) & ~(uint64_t)(PTE_W | PTE_U | PTE_A)) |
                        entry_flags(true, r->pde_writable, r->pde_user));
    invlpg(PAGING_TEST);
}

static void check_bits(enum access access, bool allowed)
{
    uint32_t pte = *paging_pte(PAGING_TEST), pde = *paging_pde(PAGING_TEST);

    check_that(!(pte & PTE_D) == !(allowed && access == WRITE), "%s: D of %x", access_names[access],
               pte);
    if (allowed)
        check_that(pte & PTE_A && pde & PTE_A, "%s: A of %x, %x", access_names[access], pte, pde);
}

static void check_one(const struct rights *r, const struct paging_mode *mode, enum access access,
                      bool user, bool wp)
{
    int error = want_error(r, access, user, wp, mode->nx);
    struct frame f;

    set_rights(r, mode);
    write_cr0(wp ? read_cr0() | CR0_WP : read_cr0() & ~CR0_WP);
    f = do_access(access, PAGING_TEST, user ? 3 : 0);
    if (error >= 0)
        check_fault(&f, error, PAGING_TEST, access_names[access]);
    else
        check_that(f.vector == TRAP_END, "%s allowed: trap %u error %x", access_names[access],
                   f.vector, f.error);
    check_bits(access, error < 0);
}

static void matrix(const struct paging_mode *mode)
{
    *(volatile uint32_t *)paging_page(2) = 0x30cd30cd;
    check_begin("rights");
    for (unsigned bits = 0; bits < (mode->pae ? 128 : 32); bits++)
        for (unsigned rest = 0; rest < 3 * 2 * 2; rest++) {
            struct rights r = rights_of(bits);

            if (r.no_execute && !mode->nx)
                continue;
            check_one(&r, mode, rest / 4, rest & 1, rest & 2);
        }
    check_end();
    write_cr0(read_cr0() | CR0_WP);
    paging_set(paging_pde(PAGING_TEST), (paging_get(paging_pde(PAGING_TEST)) & ~0xfffull) |
                                            ((uint32_t)paging_pte(PAGING_TEST) & 0xfffff000) |
                                            PTE_P | PTE_W | PTE_U);
}

/* --- Changed entries ---------------------------------------------------- */

static void map(uint32_t address, const uint8_t *page, uint32_t flags)
{
    paging_set(paging_pte(address), (uint32_t)page | flags);
}

static uint32_t peek(uint32_t address)
{
    return *(volatile uint32_t *)address;
}

static void mark_pages(void)
{
    for (unsigned i = 2; i < 10; i++)
        *(volatile uint32_t *)paging_page(i) = 0x1000 + i;
}

enum { UNPROTECTED = 24, UNPROTECTED_PAGE = 32 };

/* What could be written while CR0.WP was 0 cannot be any more when it is 1, and pages beside it
 * still may, if they may; more pages than any list of them is likely to have room for. */
static void unprotected(void)
{
    static const unsigned counts[] = { 0, 1, 3, UNPROTECTED };

    check_begin("unprotected");
    for (unsigned i = 0; i < UNPROTECTED; i++) {
        map(PAGING_TEST + i * PAGE, paging_page(UNPROTECTED_PAGE + i), PTE_P | (i % 4 ? 0 : PTE_W));
        invlpg(PAGING_TEST + i * PAGE);
    }
    for (unsigned round = 0; round < 3 * ARRAY_SIZE(counts); round++) {
        write_cr0(read_cr0() & ~CR0_WP);
        for (unsigned i = 0; i < counts[round % ARRAY_SIZE(counts)]; i++) {
            *(volatile uint32_t *)(PAGING_TEST + i * PAGE) = round << 8 | i;
            check_equal("written", peek(PAGING_TEST + i * PAGE), round << 8 | i);
        }
        if (round & 1)
            write_cr3(read_cr3());
        write_cr0(read_cr0() | CR0_WP);
        for (unsigned i = 0; i < UNPROTECTED; i++) {
            struct frame f = do_access(WRITE, PAGING_TEST + i * PAGE, 0);

            if (i % 4)
                check_fault(&f, ERR_P | ERR_W, PAGING_TEST + i * PAGE, "protected again");
            else
                check_equal("never protected", f.vector, TRAP_END);
        }
    }
    for (unsigned i = 0; i < UNPROTECTED; i++)
        map(PAGING_TEST + i * PAGE, NULL, 0);
    write_cr3(read_cr3());
    check_end();
}

/* An entry that was not present is not remembered; one that was is forgotten by INVLPG or CR3. */
static void changes(void)
{
    struct frame f;

    mark_pages();
    check_begin("changes");
    map(PAGING_TEST, NULL, 0);
    invlpg(PAGING_TEST);
    f = do_access(READ, PAGING_TEST, 0);
    check_fault(&f, 0, PAGING_TEST, "not present");
    map(PAGING_TEST, paging_page(2), PTE_P | PTE_W);
    check_equal("present, without invlpg", peek(PAGING_TEST), 0x1002);
    map(PAGING_TEST, paging_page(3), PTE_P | PTE_W);
    check_that(peek(PAGING_TEST) == 0x1002 || peek(PAGING_TEST) == 0x1003, "neither old nor new");
    invlpg(PAGING_TEST + 0x123);
    check_equal("after invlpg", peek(PAGING_TEST), 0x1003);
    map(PAGING_TEST, paging_page(4), PTE_P | PTE_W);
    write_cr3(read_cr3());
    check_equal("after CR3", peek(PAGING_TEST), 0x1004);
    map(PAGING_TEST, paging_page(5), PTE_P);
    invlpg(PAGING_TEST);
    f = do_access(WRITE, PAGING_TEST, 0);
    check_fault(&f, ERR_P | ERR_W, PAGING_TEST, "read-only");
    check_equal("not written", *(volatile uint32_t *)paging_page(5), 0x1005);
    map(PAGING_TEST, NULL, 0);
    invlpg(PAGING_TEST);
    f = do_access(READ, PAGING_TEST, 0);
    check_fault(&f, 0, PAGING_TEST, "gone");
    check_end();
}

/* D after the entry was cleaned: a write must set it again once the TLB knows. */
static void dirty_again(void)
{
    check_begin("dirty-again");
    for (unsigned i = 0; i < 4; i++) {
        map(PAGING_TEST, paging_page(2), PTE_P | PTE_W | PTE_U);
        invlpg(PAGING_TEST);
        check_equal("read", peek(PAGING_TEST), 0x1002);
        check_equal("A, not D", *paging_pte(PAGING_TEST) & (PTE_A | PTE_D), PTE_A);
        *(volatile uint32_t *)PAGING_TEST = 0x1002;
        check_equal("A and D", *paging_pte(PAGING_TEST) & (PTE_A | PTE_D), PTE_A | PTE_D);
        *paging_pte(PAGING_TEST) &= ~(PTE_A | PTE_D);
        invlpg(PAGING_TEST);
        *(volatile uint32_t *)PAGING_TEST = 0x1002;
        check_equal("both by a write", *paging_pte(PAGING_TEST) & (PTE_A | PTE_D), PTE_A | PTE_D);
    }
    check_end();
}

static void global_pages(void)
{
    if (!(cpuid_features() & CPUID_PGE)) {
        check_skip("global", "no PGE");
        return;
    }
    check_begin("global");
    write_cr4(read_cr4() | CR4_PGE);
    map(PAGING_TEST, paging_page(2), PTE_P | PTE_W | PTE_G);
    invlpg(PAGING_TEST);
    check_equal("first", peek(PAGING_TEST), 0x1002);
    map(PAGING_TEST, paging_page(3), PTE_P | PTE_W | PTE_G);
    write_cr3(read_cr3());
    check_that(peek(PAGING_TEST) == 0x1002 || peek(PAGING_TEST) == 0x1003, "neither old nor new");
    invlpg(PAGING_TEST);
    check_equal("after invlpg", peek(PAGING_TEST), 0x1003);
    map(PAGING_TEST, paging_page(4), PTE_P | PTE_W);
    write_cr4(read_cr4() & ~CR4_PGE);
    check_equal("after PGE", peek(PAGING_TEST), 0x1004);
    check_end();
}

/* Roots that differ in one page, back and forth: each must show its own, and edits made while the
 * other one was in force must be seen. */
static void roots(const struct paging_mode *mode)
{
    static uint32_t directory[1024] __attribute__((aligned(PAGE)));
    static uint32_t table[1024] __attribute__((aligned(PAGE)));
    uint32_t first = read_cr3();
    volatile uint32_t *pde = paging_pde(0);

    if (mode->pae)
        return;
    check_begin("roots");
    for (unsigned i = 0; i < 1024; i++)
        directory[i] = pde[i];
    directory[PAGING_TEST >> 22] = (uint32_t)table | PTE_P | PTE_W;
    for (unsigned i = 0; i < 64; i++) {
        map(PAGING_TEST, paging_page(2 + i % 4), PTE_P | PTE_W);
        table[0] = (uint32_t)paging_page(6 + i % 3) | PTE_P | PTE_W;
        trap_set_cr3((uint32_t)directory);
        check_equal("the second root", peek(PAGING_TEST), 0x1006 + i % 3);
        map(PAGING_TEST, paging_page(2 + (i + 1) % 4), PTE_P | PTE_W);
        trap_set_cr3(first);
        check_equal("the first root", peek(PAGING_TEST), 0x1002 + (i + 1) % 4);
    }
    check_end();
}

/* --- Large pages -------------------------------------------------------- */

enum { LARGE_AT = 0x800000, LARGE_LINEAR = 0x50000000 };

static void check_large(uint32_t size, uint64_t reserved)
{
    volatile uint32_t *pde = paging_pde(LARGE_LINEAR);
    struct frame f;

    *(volatile uint32_t *)(LARGE_AT + size - 4) = 0x30cdabcd;
    paging_set(pde, LARGE_AT | PTE_P | PTE_W | PTE_PS);
    write_cr3(read_cr3());
    check_equal("its last word", peek(LARGE_LINEAR + size - 4), 0x30cdabcd);
    check_equal("A, not D", *pde & (PTE_A | PTE_D), PTE_A);
    *(volatile uint32_t *)LARGE_LINEAR = 0x30cd30cd;
    check_equal("A and D", *pde & (PTE_A | PTE_D), PTE_A | PTE_D);
    check_equal("its first word", peek(LARGE_AT), 0x30cd30cd);
    f = do_access(READ, LARGE_LINEAR + 0x12340, 3);
    check_fault(&f, ERR_P | ERR_U, LARGE_LINEAR + 0x12340, "user");
    paging_set(pde, LARGE_AT | PTE_P | PTE_U | PTE_PS | reserved);
    write_cr3(read_cr3());
    f = do_access(READ, LARGE_LINEAR + 0x12340, 3);
    check_fault(&f, ERR_P | ERR_U | ERR_R, LARGE_LINEAR + 0x12340, "reserved bit");
    paging_set(pde, LARGE_AT | PTE_P | PTE_U | PTE_PS);
    write_cr3(read_cr3());
    f = do_access(WRITE, LARGE_LINEAR + 0x12340, 3);
    check_fault(&f, ERR_P | ERR_U | ERR_W, LARGE_LINEAR + 0x12340, "read-only");
    f = do_access(FETCH, LARGE_LINEAR, 3);
    check_equal("run", f.vector, TRAP_END);
    paging_set(pde, 0);
    write_cr3(read_cr3());
    f = do_access(READ, LARGE_LINEAR, 0);
    check_fault(&f, 0, LARGE_LINEAR, "gone");
}

static void large_pages(const struct paging_mode *mode)
{
    if (!mode->pae && !(cpuid_features() & CPUID_PSE)) {
        check_skip("large", "no PSE");
        return;
    }
    check_begin("large");
    if (!mode->pae)
        write_cr4(read_cr4() | CR4_PSE);
    check_large(mode->pae ? 2 << 20 : 4 << 20, mode->pae ? 1 << 13 : 1 << 21);
    if (!mode->pae)
        write_cr4(read_cr4() & ~CR4_PSE);
    check_end();
}

void paging_access_tests(const struct paging_mode *mode)
{
    matrix(mode);
    changes();
    unprotected();
    dirty_again();
    global_pages();
    roots(mode);
    large_pages(mode);
}
