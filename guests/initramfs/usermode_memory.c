/*
 * usermode, part: memory. Code that changes in every way, storms of maps, copies on write, stacks
 * that grow, page 0, and the top of the address space.
 */
#include "guests/initramfs/usermode.h"
#include "guests/initramfs/adding_code.h"

enum { RW = PROT_READ | PROT_WRITE, RX = PROT_READ | PROT_EXEC };

/* Written while writable, run while executable, many times; then by a child in its own copy. */
static void case_jit(void)
{
    uint8_t *page = rt_map(2 * PAGE, RW);
    int pid;

    for (unsigned i = 0; i < 300; i++) {
        uint8_t *at = page + (i & 1 ? PAGE - 7 : i % 64);

        sys3(SYS_mprotect, page, 2 * PAGE, RW);
        put_code(at, i * 2654435761u);
        sys3(SYS_mprotect, page, 2 * PAGE, RX);
        for (unsigned j = 0; j < 5; j++)
            mix32(((code *)at)(i + j));
    }
    sys3(SYS_mprotect, page, 2 * PAGE, RW | PROT_EXEC);
    put_code(page, 1000);
    mix32(((code *)page)(1));
    pid = rt_fork();
    if (!pid) {
        put_code(page, 2000);
        rt_exit(((code *)page)(1) == 2001 ? 0 : 1);
    }
    rt_wait(pid);
    mix32(((code *)page)(1));
    see("sum", mixed());
}

static void case_aliases(void)
{
    long fd = sys2(SYS_memfd_create, "code", 0);
    uint8_t *run, *alias;
    int pid;

    sys2(NR_ftruncate, fd, PAGE);
    run = rt_map_at(0, PAGE, RX, MAP_SHARED, (int)fd);
    alias = rt_map_at(0, PAGE, RW, MAP_SHARED, (int)fd);
    for (unsigned i = 0; i < 2000; i++) {
        put_code(alias + i % 50, i * 40503);
        mix32(((code *)(run + i % 50))(i));
    }
    put_code(alias, 5);
    mix32(((code *)run)(1));
    pid = rt_fork(); /* another process writes what this one runs */
    if (!pid) {
        put_code(alias, 6);
        rt_exit(0);
    }
    rt_wait(pid);
    mix32(((code *)run)(1));
    see("sum", mixed());
}

static void case_self_modifying(void)
{
    /* mov eax,[esp+4]; call 1f; 1: pop ecx; mov [ecx+5],eax; nop; mov eax,0; ret */
    static const uint8_t self[] = { 0x8b, 0x44, 0x24, 0x04, 0xe8, 0, 0, 0, 0, 0x59, 0x89, 0x41, 6,
                                    0x90, 0xb8, 0, 0, 0, 0, 0xc3 };
    uint8_t *page = rt_map(PAGE, RW | PROT_EXEC);

    for (unsigned i = 0; i < 500; i++) {
        for (unsigned j = 0; j < sizeof(self); j++)
            page[j] = self[j];
        expect("value", ((code *)page)(i * 77777), i * 77777);
    }
    see("done", 1);
}

/* ---- Storms ------------------------------------------------------------------ */

static void case_maps(void)
{
    for (unsigned i = 0; i < 300; i++) {
        uint32_t pages = i % 40 + 2;
        uint32_t *base = rt_map(pages * PAGE, RW);
        long moved;

        for (unsigned p = 0; p < pages; p += 1 + i % 3)
            base[p * 1024 + i] = p * i;
        sys3(SYS_mprotect, base, PAGE * (pages / 2), PROT_READ);
        for (unsigned p = 0; p < pages; p++)
            mix32(base[p * 1024 + i]);
        sys3(SYS_mprotect, base, PAGE * pages, RW);
        moved = sys4(SYS_mremap, base, pages * PAGE, (pages + 30) * PAGE, 1);
        if ((unsigned long)moved > -4096ul)
            rt_fail("mremap", moved);
        mix32(((uint32_t *)moved)[(pages - 1) * 1024 + i]);
        sys2(SYS_munmap, moved + PAGE, (pages + 29) * PAGE);
        rt_map_at((void *)(moved + PAGE), PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
        mix32(((uint32_t *)moved)[1024 + i]);
        sys2(SYS_munmap, moved, 2 * PAGE);
    }
    see("sum", mixed());
}

static void case_copies(void)
{
    const unsigned pages = 200;
    uint32_t *base = rt_map(pages * PAGE, RW), *shared;

    shared = rt_map_at(0, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
    for (unsigned i = 0; i < 25; i++) {
        int pid[3];

        for (unsigned p = 0; p < pages; p++)
            base[p * 1024] = p + i;
        for (unsigned child = 0; child < 3; child++) {
            pid[child] = rt_fork();
            if (!pid[child]) {
                uint32_t sum = 0;

                for (unsigned p = 0; p < pages; p++)
                    sum += base[p * 1024], base[p * 1024] = child;
                for (unsigned p = 0; p < pages; p++)
                    sum += base[p * 1024];
                shared[child] = sum;
                rt_exit(0);
            }
        }
        for (unsigned p = 0; p < pages; p += 2)
            base[p * 1024] = ~p;
        for (unsigned child = 0; child < 3; child++)
            rt_wait(pid[child]), mix32(shared[child]);
        for (unsigned p = 0; p < pages; p++)
            mix32(base[p * 1024]);
    }
    see("sum", mixed());
}

static NOINLINE uint32_t deep(uint32_t n)
{
    volatile uint8_t room[3000];

    room[n % 3000] = (uint8_t)n;
    return n ? deep(n - 1) + room[n % 3000] : 0;
}

static void case_stack(void)
{
    see("sum", deep(1500)); /* 4.5 MiB */
}

/* ---- The ends of the address space -------------------------------------------- */

static void case_page_zero(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    long got = sys6(SYS_mmap2, 0, PAGE, RW | PROT_EXEC, flags, -1, 0);
    volatile uint32_t *zero = 0;
    uint32_t value = 0x77;

    if (!got) {
        __asm__ volatile("" : "+r"(zero));
        zero[1] = 0x70;
        zero[2] = 7;
        value = zero[1] + zero[2];
        put_code((uint8_t *)zero + 0x100, 1);
        for (unsigned i = 0; i < 100; i++)
            expect("run", ((code *)((uint8_t *)zero + 0x100))(i), i + 1);
        sys2(SYS_munmap, 0, PAGE);
    }
    see("value", value);
    um_traps();
    TRAP("read", "movl 0x10, %%eax");
    TRAP("write", "movl $5, 0x20");
    TRAP("run", "xorl %%eax, %%eax; jmp *%%eax");
}

/* Offsets that wrap. */
static void case_high(void)
{
    um_traps();
    TRAP("wrap", "movl $-4, %%eax; movl 0x14(%%eax), %%eax");
    TRAP("index", "movl $0x80000000, %%eax; movl 0x10(%%eax,%%eax,1), %%eax");
    TRAP("string", "movl $0x10, %%esi; movl $3, %%ecx; std; rep lodsl");
    TRAP("far-down", "movl $0x20, %%ebp; movl -0x10(%%ebp), %%eax");
}

static void case_personality(void)
{
    long before = sys1(NR_personality, -1);
    uint8_t *page;

    see("set", (uint32_t)sys1(NR_personality, 0x8000000) == (uint32_t)before); /* ADDR_LIMIT_3GB */
    page = rt_map_at((void *)0xbe000000, PAGE, RW | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
    put_code(page, 3);
    see("high", ((code *)page)(5));
}

const struct um_case um_memory_cases[] = {
    { "jit", case_jit },
    { "aliases", case_aliases },
    { "self-modifying", case_self_modifying },
    { "maps", case_maps },
    { "copies", case_copies },
    { "stack", case_stack },
    { "page-zero", case_page_zero },
    { "high", case_high },
    { "personality", case_personality },
    { 0, 0 },
};
