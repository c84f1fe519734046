/* Parts of selftest: code that changes, memory maps and copy-on-write. See selftest.h. */
#include "guests/initramfs/selftest.h"
#include "guests/initramfs/adding_code.h"

/* ---- Code that changes ------------------------------------------------- */

/* Writes through the mapping it runs from, across a page's end, and through
 * a second mapping of the same memory. */
void part_code(void)
{
    static const uint8_t zeros[PAGE];
    uint8_t *own = rt_map(2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), *run, *alias;
    long fd = sys2(SYS_memfd_create, "code", 0);

    if (fd < 0)
        rt_fail("memfd_create", fd);
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t *at = own + (i & 1 ? PAGE - 7 : i % 64);

        put_code(at, i * 2654435761u);
        mix32(((code *)at)(i));
        *(uint32_t *)(at + 5) ^= 0x5a5a5a5a;
        mix32(((code *)at)(i));
    }
    sys3(SYS_write, fd, zeros, PAGE);
    run = rt_map_at(0, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd);
    alias = rt_map_at(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    for (unsigned i = 0; i < 5000; i++) {
        put_code(alias + i % 50, i * 40503);
        mix32(((code *)(run + i % 50))(i));
    }
    /* The instruction after the one that writes it. */
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t got;
        static const uint8_t self[] = { 0x8b, 0x44, 0x24, 0x04,       /* mov eax, [esp+4] */
                                        0xe8, 0, 0, 0, 0, 0x59,       /* call 1f; 1: pop ecx */
                                        0x89, 0x41, 0x05, 0x90,       /* mov [ecx+5], eax; nop */
                                        0xb8, 0, 0, 0, 0, 0xc3 };     /* mov eax, 0; ret */

        for (unsigned j = 0; j < sizeof(self); j++)
            own[j] = self[j];
        own[12] = 6;
        got = ((code *)own)(i * 77777);
        mix32(got);
    }
}

/* ---- Memory maps ------------------------------------------------------- */

static volatile uint32_t fault_count, fault_base;

static void grow(int signal, void *info, struct context *context)
{
    (void)signal, (void)info;
    mix32(context->err & 7);
    mix32(context->cr2 - fault_base);
    fault_count++;
    sys3(SYS_mprotect, context->cr2 & -PAGE, PAGE, PROT_READ | PROT_WRITE);
}

/* 4 MiB a round: reserved, opened page by page by its own fault handler,
 * shared with a child that writes to its copy, moved, and given back. */
void part_maps(void)
{
    const unsigned pages = 1024, size = pages * PAGE;

    on_signal(11, grow);
    for (unsigned round = 0; round < 4; round++) {
        uint32_t *base = rt_map(size, PROT_NONE);
        long moved;
        int pid;

        fault_base = (uint32_t)base;
        for (unsigned i = 0; i < pages; i++)
            base[i * 1024 + i] = i * round;
        pid = rt_fork();
        for (unsigned i = 0; !pid && i < pages; i++)
            base[i * 1024 + 5] = ~i;
        if (!pid)
            rt_exit(0);
        rt_wait(pid);
        moved = sys4(SYS_mremap, base, size, 2 * size, 1);
        if ((unsigned long)moved > -4096ul)
            rt_fail("mremap", moved);
        for (unsigned i = 0; i < 2 * pages; i++)
            mix((uint32_t *)moved + i * 1024, 64);
        sys2(SYS_munmap, moved, 2 * size);
    }
    mix32(fault_count);
}
