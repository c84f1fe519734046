/* The loaders of ELF, multiboot and PVH kernels, on images made here. */
#include "tests/unit/boot_memory.h"

/* --- ELF ---------------------------------------------------------------------- */

static void test_elf(void)
{
    struct elf_image e = make_elf();

    set_up(16 * MIB);
    memset(mem.ram + 0x200000, 0xee, 0x4000);
    CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
    CHECK_EQ(entry.eip, 0x200010);
    CHECK_EQ(entry.eax | entry.ebx | entry.esi, 0);
    CHECK_EQ(memcmp(mem.ram + 0x200000, e.code, 64), 0);
    CHECK_EQ(word(0x200040), 0);
    CHECK_EQ(word(0x201ffc), 0);
    CHECK_EQ(word(0x202000), 0xeeeeeeee);
    check_gdt(0x08);
    e.header.e_entry = 0x200020; /* physical, as Linux's vmlinux has it */
    CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
    CHECK_EQ(entry.eip, 0x200020);
    CHECK_EQ(boot(&e, sizeof(e), NULL, "x=1"), -1);
    CHECK_EQ(error.status, EX_USAGE);
    CHECK_EQ(boot(&e, sizeof(e), "/dev/null", ""), -1);
    CHECK_EQ(error.status, EX_USAGE);
}

/* Each change to a good file and what is said of it. */
#define ELF_CASE(change, status, part)                                                             \
    do {                                                                                           \
        struct elf_image e = make_elf();                                                           \
        change;                                                                                    \
        fails(&e, sizeof(e), status, part);                                                        \
    } while (0)

static void test_bad_elf(void)
{
    set_up(16 * MIB);
    ELF_CASE(e.header.e_ident[EI_CLASS] = ELFCLASS64, EX_DATAERR, "32-bit x86");
    ELF_CASE(e.header.e_machine = EM_ARM, EX_DATAERR, "ARM");
    ELF_CASE(e.header.e_machine = EM_AARCH64, EX_DATAERR, "ARM");
    ELF_CASE(e.header.e_ident[EI_DATA] = ELFDATA2MSB, EX_DATAERR, "big-endian");
    ELF_CASE(e.header.e_ident[EI_OSABI] = ELFOSABI_GNU, EX_DATAERR, "program");
    ELF_CASE(e.header.e_type = ET_DYN, EX_DATAERR, "executable");
    ELF_CASE(e.header.e_type = ET_REL, EX_DATAERR, "executable");
    ELF_CASE(e.header.e_phnum = 0, EX_DATAERR, "cut short");
    ELF_CASE(e.header.e_phnum = 0xffff, EX_DATAERR, "cut short");
    ELF_CASE(e.header.e_phoff = 0xfffffff0, EX_DATAERR, "cut short");
    ELF_CASE(e.header.e_phentsize = 8, EX_DATAERR, "cut short");
    ELF_CASE(e.header.e_entry = 0x100, EX_DATAERR, "entry point");
    ELF_CASE(e.ph[0].p_type = PT_INTERP, EX_DATAERR, "program");
    ELF_CASE(e.ph[1].p_type = PT_NULL, EX_DATAERR, "entry point");
    ELF_CASE(e.ph[1].p_offset = 0xffffff00, EX_DATAERR, "cut short");
    ELF_CASE(e.ph[1].p_filesz = 0x1000, EX_DATAERR, "cut short");
    ELF_CASE(e.ph[1].p_filesz = 65; e.ph[1].p_memsz = 64, EX_DATAERR, "cut short");
    ELF_CASE(e.ph[1].p_memsz = 0xffffffff, EX_DATAERR, "-m");
    ELF_CASE(e.ph[1].p_paddr = 0xfffff000, EX_DATAERR, "-m");
    ELF_CASE(e.ph[1].p_paddr = 16 * MIB - 0x1000, EX_DATAERR, "17M");
    ELF_CASE(e.ph[1].p_paddr = 0x9f000, EX_DATAERR, "not memory");
    ELF_CASE(e.ph[1].p_paddr = 0xe0000, EX_DATAERR, "not memory");
    for (size_t size = 1; size < sizeof(struct elf_image); size++) {
        struct elf_image e = make_elf();

        fails(&e, size, EX_DATAERR, size < 4 ? "neither" : "cut short");
    }
}

static void test_multiboot2(void)
{
    struct elf_image e = make_elf();
    size_t at = 8 - offsetof(struct elf_image, code) % 8;

    set_up(16 * MIB);
    put(e.code, at, 0xe85250d6, 4);
    put(e.code, at + 4, 0, 4);
    put(e.code, at + 8, 24, 4);
    put(e.code, at + 12, 0u - 0xe85250d6u - 24, 4);
    fails(&e, sizeof(e), EX_DATAERR, "multiboot 1");
    CHECK_EQ(boot(&e, sizeof(e), "/dev/null", "x"), -1);
    CHECK_EQ(error.status, EX_DATAERR);
    e.code[at + 12]++; /* its checksum is wrong: by chance the same four bytes */
    CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
}

/* --- Multiboot -------------------------------------------------------------------- */

#define HEADER_AT 0x20

/* flags with the addresses of the a.out kludge: loaded at 1M, entry at +0x40, bss to +0x3000 */
static void make_multiboot(uint8_t image[512], uint32_t flags)
{
    memset(image, 0x90, 512);
    put(image, HEADER_AT, 0x1badb002, 4);
    put(image, HEADER_AT + 4, flags, 4);
    put(image, HEADER_AT + 8, -(0x1badb002 + flags), 4);
    put(image, HEADER_AT + 12, MIB + HEADER_AT, 4);
    put(image, HEADER_AT + 16, MIB, 4);
    put(image, HEADER_AT + 20, 0, 4);
    put(image, HEADER_AT + 24, MIB + 0x3000, 4);
    put(image, HEADER_AT + 28, MIB + 0x40, 4);
}

static void check_memory_map(uint32_t info)
{
    uint32_t at = word(info + 48);

    CHECK_EQ(word(info + 44), 4 * 24);
    CHECK_EQ(word(at), 20);
    CHECK_EQ(word(at + 4), 0);
    CHECK_EQ(word(at + 12), 0x9fc00);
    CHECK_EQ(word(at + 20), 1);
    CHECK_EQ(word(at + 3 * 24 + 4), MIB);
    CHECK_EQ(word(at + 3 * 24 + 12), 15 * MIB);
}

static void test_multiboot(void)
{
    char initrd[256], cmdline[256];
    uint8_t image[512];
    uint32_t info, modules;

    set_up(16 * MIB);
    make_multiboot(image, 0x10003);
    write_file(part_path, "module", 6);
    snprintf(initrd, sizeof(initrd), "%s one two,%s", part_path, part_path);
    CHECK_EQ(boot(image, sizeof(image), initrd, "a=b c"), 0);
    CHECK_EQ(entry.eax, 0x2badb002);
    CHECK_EQ(entry.eip, MIB + 0x40);
    check_gdt(0x08);
    CHECK_EQ(memcmp(mem.ram + MIB, image, sizeof(image)), 0);
    info = entry.ebx;
    CHECK_EQ(word(info), 0x24d);
    CHECK_EQ(word(info + 4), 639);
    CHECK_EQ(word(info + 8), 15 * 1024);
    snprintf(cmdline, sizeof(cmdline), "%s a=b c", kernel_path);
    CHECK_EQ(strcmp(text_at(word(info + 16)), cmdline), 0);
    CHECK_EQ(strcmp(text_at(word(info + 64)), "novt"), 0);
    CHECK_EQ(word(info + 20), 2);
    modules = word(info + 24);
    CHECK_EQ(word(modules) % PAGE_SIZE, 0);
    CHECK_EQ(word(modules) >= MIB + 0x3000, 1);
    CHECK_EQ(word(modules + 4) - word(modules), 6);
    CHECK_EQ(memcmp(text_at(word(modules)), "module", 6), 0);
    snprintf(cmdline, sizeof(cmdline), "%s one two", part_path);
    CHECK_EQ(strcmp(text_at(word(modules + 8)), cmdline), 0);
    CHECK_EQ(strcmp(text_at(word(modules + 24)), part_path), 0);
    CHECK_EQ(word(modules + 16) >= word(modules + 4), 1);
    check_memory_map(info);
}

static void test_multiboot_elf(void)
{
    struct elf_image e = make_elf();

    set_up(16 * MIB);
    put(e.code, 0, 0x1badb002, 4);
    put(e.code, 4, 3, 4);
    put(e.code, 8, -(0x1badb002 + 3), 4);
    CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
    CHECK_EQ(entry.eip, 0x200010);
    CHECK_EQ(entry.eax, 0x2badb002);
    /* as a compiler that makes position independent programs leaves it, and C++ or Rust */
    e.header.e_type = ET_DYN;
    e.header.e_ident[EI_OSABI] = ELFOSABI_GNU;
    for (uint32_t type = PT_INTERP; type <= PT_TLS; type += PT_TLS - PT_INTERP) {
        e.ph[0].p_type = type;
        entry.eip = 0;
        CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
        CHECK_EQ(entry.eip, 0x200010);
    }
    /* the file's headers below 1M are not for the ROM there, what follows them is loaded */
    e.ph[0] = (Elf32_Phdr){ .p_type = PT_LOAD, .p_paddr = 0xffff0, .p_vaddr = 0xffff0,
                            .p_filesz = 32, .p_memsz = 64 };
    memset(mem.ram + 0xffff0, 0xee, 0x100);
    CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
    CHECK_EQ(entry.eip, 0x200010);
    CHECK_EQ(word(0xffffc), 0xeeeeeeee);
    CHECK_EQ(memcmp(mem.ram + 0x100000, (uint8_t *)&e + 16, 16), 0);
    CHECK_EQ(word(0x100010), 0);
    CHECK_EQ(word(0x100030), 0xeeeeeeee);
    e.ph[0].p_offset = 4; /* what is not the headers is wanted there */
    fails(&e, sizeof(e), EX_DATAERR, "not memory");
    e.ph[0].p_type = PT_NULL;
    e.header.e_type = ET_CORE;
    fails(&e, sizeof(e), EX_DATAERR, "executable");
}

/* A kernel that is loaded where the information usually goes. */
static void test_multiboot_low(void)
{
    uint8_t image[512];

    set_up(16 * MIB);
    make_multiboot(image, 0x10000);
    put(image, HEADER_AT + 12, 0xf000 + HEADER_AT, 4);
    put(image, HEADER_AT + 16, 0xf000, 4);
    put(image, HEADER_AT + 24, 0x20000, 4);
    put(image, HEADER_AT + 28, 0xf040, 4);
    CHECK_EQ(boot(image, sizeof(image), NULL, ""), 0);
    CHECK_EQ(entry.ebx >= MIB, 1);
    CHECK_EQ(word(entry.ebx), 0x24d);
}

#define MULTIBOOT_CASE(offset, value, part)                                                        \
    do {                                                                                           \
        uint8_t image_[512];                                                                       \
        make_multiboot(image_, 0x10003);                                                           \
        put(image_, HEADER_AT + (offset), value, 4);                                               \
        fails(image_, sizeof(image_), EX_DATAERR, part);                                           \
    } while (0)

static void test_bad_multiboot(void)
{
    uint8_t image[512];

    set_up(16 * MIB);
    make_multiboot(image, 0x10008);
    fails(image, sizeof(image), EX_DATAERR, "features 0x8");
    make_multiboot(image, 3);
    fails(image, sizeof(image), EX_DATAERR, "link it again");
    MULTIBOOT_CASE(8, 0, "neither");
    MULTIBOOT_CASE(12, 0, "link it again");
    MULTIBOOT_CASE(12, MIB + 0x1000, "link it again");
    MULTIBOOT_CASE(16, 0, "link it again");
    MULTIBOOT_CASE(20, MIB - 1, "link it again");
    MULTIBOOT_CASE(20, MIB + 513, "link it again");
    MULTIBOOT_CASE(20, 0xffffffff, "link it again");
    MULTIBOOT_CASE(24, 0xffffffff, "-m");
    MULTIBOOT_CASE(24, 16 * MIB + 1, "17M");
    MULTIBOOT_CASE(28, 0, "link it again");
    MULTIBOOT_CASE(28, 0xffffffff, "link it again");
    make_multiboot(image, 0x10003);
    for (size_t size = HEADER_AT + 12; size <= 0x40; size++)
        fails(image, size, EX_DATAERR, "link it again");
}

/* --- PVH ---------------------------------------------------------------------------- */

/* A note of another type before the one that names the entry point, 0x200020. */
static const uint32_t notes[] = { 4, 5, 17, 0x6e6558, 1, 2, 4, 4, 18, 0x6e6558, 0x200020 };

static struct elf_image make_pvh(void)
{
    struct elf_image e = make_elf();

    e.ph[0].p_offset = e.ph[1].p_offset;
    e.ph[0].p_filesz = sizeof(notes);
    memcpy(e.code, notes, sizeof(notes));
    return e;
}

static void check_start_map(uint32_t map, uint32_t count)
{
    CHECK_EQ(count, 4);
    CHECK_EQ(word(map + 8), 0x9fc00);
    CHECK_EQ(word(map + 16), 1);
    CHECK_EQ(word(map + 24), 0x9fc00);
    CHECK_EQ(word(map + 3 * 24), MIB);
    CHECK_EQ(word(map + 3 * 24 + 8), 63 * MIB);
}

static void test_pvh(void)
{
    struct elf_image e = make_pvh();
    char initrd[256];
    uint32_t info, module;

    set_up(64 * MIB);
    e.header.e_entry = 0; /* it is not what is entered */
    CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
    CHECK_EQ(entry.eip, 0x200020);
    CHECK_EQ(entry.eax | entry.esi, 0);
    check_gdt(0x08);
    info = entry.ebx;
    CHECK_EQ(info < 0x9fc00, 1);
    CHECK_EQ(word(info), 0x336ec578);
    CHECK_EQ(word(info + 4), 1);
    CHECK_EQ(word(info + 12) | word(info + 16), 0);
    CHECK_EQ(strlen(text_at(word(info + 24))), 0);
    CHECK_EQ(word(info + 32), 0xe0000);
    check_start_map(word(info + 40), word(info + 48));
    write_file(part_path, "module", 6);
    snprintf(initrd, sizeof(initrd), "%s,%s", part_path, part_path);
    CHECK_EQ(boot(&e, sizeof(e), initrd, "a=b c"), 0);
    info = entry.ebx;
    CHECK_EQ(strcmp(text_at(word(info + 24)), "a=b c"), 0);
    CHECK_EQ(word(info + 12), 1);
    module = word(info + 16);
    CHECK_EQ(word(module + 8), 14); /* joined */
    CHECK_EQ(memcmp(text_at(word(module)), "module\0\0module", 14), 0);
    CHECK_EQ(word(module + 4) | word(module + 12) | word(module + 16), 0);
}

/* Where a kernel is low, what is passed lies below it or behind it. */
static void test_pvh_low(void)
{
    struct elf_image e = make_pvh();

    set_up(16 * MIB);
    e.ph[1].p_paddr = 0x8000;
    put(e.code, sizeof(notes) - 4, 0x8020, 4);
    CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
    CHECK_EQ(entry.eip, 0x8020);
    CHECK_EQ(entry.ebx < 0x8000, 1);
    e.ph[1].p_paddr = 0;
    put(e.code, sizeof(notes) - 4, 0x20, 4);
    CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);
    CHECK_EQ(entry.ebx > 0x2000, 1);
    CHECK_EQ(word(entry.ebx), 0x336ec578);
}

#define NO_PVH(change)                                                                             \
    do {                                                                                           \
        struct elf_image e = make_pvh();                                                           \
        change;                                                                                    \
        CHECK_EQ(boot(&e, sizeof(e), NULL, ""), 0);                                                \
        CHECK_EQ(entry.eip, 0x200010);                                                             \
        CHECK_EQ(boot(&e, sizeof(e), "/dev/null", ""), -1);                                        \
        CHECK_EQ(error.status, EX_USAGE);                                                          \
    } while (0)

/* Without such a note it is a plain kernel. */
static void test_no_pvh(void)
{
    set_up(16 * MIB);
    NO_PVH(put(e.code, 32, 17, 4)); /* type */
    NO_PVH(put(e.code, 36, 'Y', 1));
    NO_PVH(put(e.code, 24, 3, 4));
    NO_PVH(put(e.code, 28, 3, 4));
    NO_PVH(put(e.code, 28, 5, 4));
    NO_PVH(put(e.code, 28, 0xffffffff, 4));
    NO_PVH(put(e.code, 0, 0xfffffffe, 4));
    NO_PVH(e.ph[0].p_filesz--);
    NO_PVH(e.ph[0].p_offset = sizeof(e) + 1);
    NO_PVH(e.ph[0].p_type = PT_NULL);
}

static void test_bad_pvh(void)
{
    struct elf_image e = make_pvh();

    set_up(16 * MIB);
    put(e.code, sizeof(notes) - 4, 0xc0200020, 4); /* the entry point is physical */
    fails(&e, sizeof(e), EX_DATAERR, "entry point");
    e = make_pvh();
    write_file(part_path, e.code, sizeof(e.code));
    e.ph[1].p_memsz = 14 * MIB;
    CHECK_EQ(boot(&e, sizeof(e), part_path, ""), -1);
    CHECK_EQ(strstr(error.text, "initrd") && strstr(error.text, "-m"), 1);
    e = make_pvh();
    e.header.e_ident[EI_CLASS] = ELFCLASS64; /* said first */
    CHECK_EQ(boot(&e, sizeof(e), part_path, "x"), -1);
    CHECK_EQ(strstr(error.text, "32-bit x86") != NULL, 1);
    CHECK_EQ(boot(&e, sizeof(e), NULL, "x"), -1);
    CHECK_EQ(strstr(error.text, "32-bit x86") != NULL, 1);
}

int main(void)
{
    begin();
    test_elf();
    test_bad_elf();
    test_multiboot2();
    test_multiboot();
    test_multiboot_elf();
    test_multiboot_low();
    test_bad_multiboot();
    test_pvh();
    test_pvh_low();
    test_no_pvh();
    test_bad_pvh();
    return end();
}
