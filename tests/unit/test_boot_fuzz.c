/*
 * Damaged kernels: images of each format, changed at random in their headers, cut, and joined with
 * -initrd files. The loaders take each or refuse it in one line; what they take is within memory.
 *
 *     test_boot_fuzz [ROUNDS [SEED]]
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/physmem.h"
#include "frontend/boot.h"
#include "frontend/error.h"
#include "tests/check.h"
#include "tests/random.h"

#define ROUNDS 2000
#define MIB (1u << 20)
#define MEMORY (16 * MIB)
#define IMAGE_SIZE 8192
#define CODE_AT 4096

static uint64_t state;
static uint8_t image[IMAGE_SIZE];

static uint32_t rnd(uint32_t below)
{
    return (uint32_t)(random_next(&state) >> 20) % below;
}

static void put(size_t at, uint64_t value, unsigned size)
{
    memcpy(image + at, &value, size);
}

/* --- Good ones; each returns how many bytes of it are headers ------------------------- */

static size_t make_linux(void)
{
    image[0x1f1] = 7;
    put(0x1f4, CODE_AT / 16, 4);
    put(0x1fe, 0xaa55, 2);
    put(0x200, 0x66eb, 2);
    put(0x202, 0x53726448, 4);
    put(0x206, 0x0200 + rnd(16), 2);
    put(0x211, 1, 1);
    put(0x214, MIB, 4);
    put(0x22c, 0x7fffffff, 4);
    put(0x238, 2047, 4);
    put(0x258, MIB, 8);
    put(0x260, MIB, 4);
    return 0x270;
}

static size_t make_elf(void)
{
    Elf32_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
                          .e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1,
                          .e_entry = 0xc0200010, .e_phoff = sizeof(header),
                          .e_ehsize = sizeof(header), .e_phentsize = sizeof(Elf32_Phdr),
                          .e_phnum = 4 };
    Elf32_Phdr ph = { .p_type = PT_LOAD, .p_offset = CODE_AT, .p_filesz = 512, .p_memsz = 8192 };

    memcpy(image, &header, sizeof(header));
    for (unsigned i = 0; i < header.e_phnum; i++) { /* they overlap */
        ph.p_paddr = 2 * MIB + i * 4096;
        ph.p_vaddr = 0xc0000000 + ph.p_paddr;
        memcpy(image + sizeof(header) + i * sizeof(ph), &ph, sizeof(ph));
    }
    return sizeof(header) + header.e_phnum * sizeof(ph);
}

/* Notes behind the headers, instead of the first segment. */
static size_t add_pvh(size_t at)
{
    static const uint32_t notes[] = { 4, 4, 17, 0x6e6558, 1, 4, 4, 18, 0x6e6558, 2 * MIB + 32 };
    Elf32_Phdr ph = { .p_type = PT_NOTE, .p_offset = (uint32_t)at, .p_filesz = sizeof(notes) };

    memcpy(image + sizeof(Elf32_Ehdr), &ph, sizeof(ph));
    memcpy(image + at, notes, sizeof(notes));
    return at + sizeof(notes);
}

static size_t add_multiboot(size_t at, uint32_t flags)
{
    put(at, 0x1badb002, 4);
    put(at + 4, flags, 4);
    put(at + 8, 0u - 0x1badb002u - flags, 4);
    put(at + 12, MIB + at, 4);
    put(at + 16, MIB, 4);
    put(at + 20, MIB + IMAGE_SIZE, 4);
    put(at + 24, 2 * MIB, 4);
    put(at + 28, MIB + CODE_AT, 4);
    return at + 32;
}

static size_t make(void)
{
    memset(image, 0x90, sizeof(image));
    memset(image, 0, CODE_AT);
    switch (rnd(5)) {
    case 0: return make_linux();
    case 1: return make_elf();
    case 2: return add_multiboot(make_elf(), 7);
    case 3: return add_pvh(make_elf());
    default: return add_multiboot(rnd(16) * 4, 0x10003);
    }
}

/* --- Bad ones --------------------------------------------------------------------------- */

static uint32_t odd_value(void)
{
    static const uint32_t values[] = { 0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x10000, 0xa0000, 0xfffff,
                                       MIB, MEMORY - 1, MEMORY, MEMORY + 1, 0x7fffffff, 0x80000000,
                                       0xfffff000, 0xffffffff };
    uint32_t i = rnd(2 * sizeof(values) / sizeof(*values));

    return i < sizeof(values) / sizeof(*values) ? values[i] : rnd(UINT32_MAX);
}

static void mutate(size_t headers)
{
    for (uint32_t n = rnd(4); n; n--) {
        uint32_t at = rnd((uint32_t)headers);

        if (rnd(2))
            image[at] = (uint8_t)odd_value();
        else
            put(at & ~3u, odd_value(), 4);
    }
}

static size_t cut(size_t headers)
{
    switch (rnd(6)) {
    case 0: return rnd((uint32_t)headers);
    case 1: return rnd(sizeof(image));
    default: return sizeof(image);
    }
}

/* --- One round ---------------------------------------------------------------------------- */

static void check_entry(const struct boot_entry *entry, unsigned round)
{
    if (entry->eip < MEMORY && entry->gdt < MEMORY && entry->ebx < MEMORY && entry->esi < MEMORY)
        return;
    printf("round %u: eip %x gdt %x ebx %x esi %x\n", round, entry->eip, entry->gdt, entry->ebx,
           entry->esi);
    check_failures++;
}

static int load(const struct boot_target *target, int fd, size_t size, unsigned round)
{
    struct boot_entry entry = { 0 };
    struct error error = { 0 };
    char path[64], initrd[160];

    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_EQ(pwrite(fd, image, size, 0), (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    snprintf(initrd, sizeof(initrd), "%s a=b  %%s\\\",,,%s", path, path);
    if (!boot_load(path, rnd(4) ? NULL : initrd, rnd(4) ? "" : "a b", target, &entry, &error)) {
        check_entry(&entry, round);
        return 1;
    }
    if (error.status < EX__BASE || error.status > EX__MAX || !*error.text ||
        strchr(error.text, '\n')) {
        printf("round %u: status %d '%s'\n", round, error.status, error.text);
        check_failures++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : ROUNDS, taken = 0;
    struct physmem mem;
    struct boot_target target = {
        .mem = &mem,
        .map = { { 0, 0x9fc00, E820_RAM }, { 0x9fc00, 0x400, E820_RESERVED },
                 { 0xe0000, 0x20000, E820_RESERVED }, { MIB, MEMORY - MIB, E820_RAM } },
        .map_count = 4,
        .rsdp = 0xe0000,
    };
    int fd = memfd_create("kernel", MFD_CLOEXEC);

    CHECK_EQ(physmem_init(&mem, MEMORY), 0);
    physmem_set_kind(&mem, 0xa0000, 0x40000, PHYSMEM_NONE);
    state = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x9e3779b97f4a7c15;
    for (unsigned round = 0; round < rounds; round++) {
        size_t headers = make();

        mutate(headers);
        taken += (unsigned)load(&target, fd, cut(headers), round);
    }
    printf("%u of %u taken\n", taken, rounds);
    CHECK_EQ(taken > rounds / 20 && taken < rounds, 1); /* both kinds were there */
    physmem_destroy(&mem);
    close(fd);
    return CHECK_DONE();
}
