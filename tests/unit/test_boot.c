/* The loaders, on images made here, in memory of our own. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include <zlib.h>

#include "base/physmem.h"
#include "frontend/boot.h"
#include "frontend/boot_real.h"
#include "frontend/error.h"
#include "tests/check.h"

#define MIB (1ull << 20)

static struct physmem mem;
static struct boot_target target;
static struct boot_entry entry;
static struct error error;

static void set_up(uint64_t size)
{
    physmem_destroy(&mem);
    physmem_init(&mem, size);
    physmem_set_kind(&mem, 0xa0000, 0x40000, PHYSMEM_NONE);
    target = (struct boot_target){
        .mem = &mem,
        .map = { { 0, 0x9fc00, E820_RAM }, { 0x9fc00, 0x400, E820_RESERVED },
                 { 0xe0000, 0x20000, E820_RESERVED }, { MIB, size - MIB, E820_RAM } },
        .map_count = 4,
        .rsdp = 0xe0000,
    };
    entry = (struct boot_entry){ 0 };
    error = (struct error){ 0 };
}

static uint32_t word(uint64_t gpa)
{
    uint32_t value = 0;

    physmem_read(&mem, gpa, &value, sizeof(value));
    return value;
}

static void put(uint8_t *image, size_t at, uint64_t value, unsigned size)
{
    memcpy(image + at, &value, size);
}

/* Through files, as novt does. */
static char kernel_path[] = "/tmp/novt-test-kernel-XXXXXX";
static char part_path[] = "/tmp/novt-test-part-XXXXXX";

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    CHECK_EQ(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static int boot(const void *kernel, size_t size, const char *initrd, const char *append)
{
    write_file(kernel_path, kernel, size);
    error = (struct error){ 0 };
    return boot_load(kernel_path, initrd, append, &target, &entry, &error);
}

static void fails(const void *kernel, size_t size, int status, const char *part)
{
    int got = boot(kernel, size, NULL, "");

    if (got != -1 || error.status != status || !strstr(error.text, part) ||
        strchr(error.text, '\n')) {
        printf("%d, status %d '%s', want %d '%s'\n", got, error.status, error.text, status, part);
        check_failures++;
    }
}

/* The selectors of the segments that the kernel begins with, and what the GDT has there. */
static void check_gdt(unsigned code)
{
    CHECK_EQ(entry.code, code);
    CHECK_EQ(word(entry.gdt + code), 0x0000ffff);
    CHECK_EQ(word(entry.gdt + code + 4), 0x00cf9b00);
    CHECK_EQ(word(entry.gdt + code + 8), 0x0000ffff);
    CHECK_EQ(word(entry.gdt + code + 12), 0x00cf9300);
}

/* --- ELF ---------------------------------------------------------------------- */

struct elf_image {
    Elf32_Ehdr header;
    Elf32_Phdr ph[2];
    uint8_t code[64];
};

/* One segment at 2M with a bss, linked at 0xc0200000. */
static struct elf_image make_elf(void)
{
    struct elf_image e = {
        .header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
                    .e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1,
                    .e_entry = 0xc0200010, .e_phoff = sizeof(Elf32_Ehdr),
                    .e_ehsize = sizeof(Elf32_Ehdr), .e_phentsize = sizeof(Elf32_Phdr),
                    .e_phnum = 2 },
        .ph = { { .p_type = PT_NOTE, .p_offset = 0xffffffff, .p_filesz = 0xffffffff },
                { .p_type = PT_LOAD, .p_vaddr = 0xc0200000, .p_paddr = 0x200000,
                  .p_filesz = 64, .p_memsz = 0x2000,
                  .p_offset = offsetof(struct elf_image, code) } },
    };

    for (unsigned i = 0; i < sizeof(e.code); i++)
        e.code[i] = (uint8_t)(i + 1);
    return e;
}

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

static const char *text_at(uint32_t gpa)
{
    return (const char *)mem.ram + gpa;
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

/* --- Linux -------------------------------------------------------------------------- */

#define SETUP_SIZE (5 * 512)
#define CODE_SIZE 4096
#define LINUX_SIZE (SETUP_SIZE + CODE_SIZE)

static void make_linux(uint8_t image[LINUX_SIZE])
{
    memset(image, 0, SETUP_SIZE);
    memset(image + SETUP_SIZE, 0xcc, CODE_SIZE);
    image[0x1f1] = 4;
    put(image, 0x1f4, CODE_SIZE / 16, 4);
    put(image, 0x1fe, 0xaa55, 2);
    put(image, 0x200, 0x66eb, 2);
    put(image, 0x202, 0x53726448, 4);
    put(image, 0x206, 0x020f, 2);
    image[0x211] = 1;
    put(image, 0x214, MIB, 4);
    put(image, 0x22c, 0x7fffffff, 4);
    put(image, 0x230, 0x200000, 4);
    image[0x234] = 1;
    put(image, 0x238, 2047, 4);
    put(image, 0x258, 16 * MIB, 8);
    put(image, 0x260, 8 * MIB, 4);
}

static void test_linux(void)
{
    uint8_t image[LINUX_SIZE], code[CODE_SIZE];
    char initrd[256];
    uint32_t zp, rd;

    set_up(64 * MIB);
    make_linux(image);
    memset(code, 0xcc, sizeof(code));
    write_file(part_path, "archive", 7);
    snprintf(initrd, sizeof(initrd), "%s,%s", part_path, part_path);
    CHECK_EQ(boot(image, sizeof(image), initrd, "console=ttyS0"), 0);
    zp = entry.esi;
    CHECK_EQ(entry.eip, MIB);
    CHECK_EQ(entry.ebx | entry.eax, 0);
    check_gdt(0x10);
    CHECK_EQ(memcmp(mem.ram + MIB, code, sizeof(code)), 0);
    CHECK_EQ(word(zp + 0x202), 0x53726448);
    CHECK_EQ(mem.ram[zp + 0x210], 0xff);
    CHECK_EQ(word(zp + 0x260), 8 * MIB);
    CHECK_EQ(word(zp + 0x70), 0xe0000);
    CHECK_EQ(mem.ram[zp + 0x1e8], 4);
    CHECK_EQ(word(zp + 0x2d0 + 8), 0x9fc00);
    CHECK_EQ(word(zp + 0x2d0 + 60), MIB);
    CHECK_EQ(word(zp + 0x2d0 + 68), 63 * MIB);
    CHECK_EQ(word(zp + 0x1e0), 63 * 1024);
    CHECK_EQ(strcmp(text_at(word(zp + 0x228)), "console=ttyS0"), 0);
    rd = word(zp + 0x218);
    CHECK_EQ(rd, 64 * MIB - PAGE_SIZE);
    CHECK_EQ(word(zp + 0x21c), 15);
    CHECK_EQ(memcmp(mem.ram + rd, "archive\0archive", 15), 0);
}

static void test_linux_places(void)
{
    uint8_t image[LINUX_SIZE];

    set_up(64 * MIB);
    write_file(part_path, "archive", 7);
    make_linux(image);
    put(image, 0x22c, 0x1ffffff, 4); /* the RAM disk must end below 32M */
    CHECK_EQ(boot(image, sizeof(image), part_path, ""), 0);
    CHECK_EQ(word(entry.esi + 0x218), 32 * MIB - PAGE_SIZE);
    put(image, 0x22c, 24 * MIB - 1, 4); /* where the kernel is */
    CHECK_EQ(boot(image, sizeof(image), part_path, ""), -1);
    CHECK_EQ(error.status, EX_DATAERR);
    put(image, 0x22c, 0xffffffff, 4);
    CHECK_EQ(boot(image, sizeof(image), part_path, ""), 0);
    CHECK_EQ(boot(image, sizeof(image), NULL, ""), 0);
    CHECK_EQ(word(entry.esi + 0x218), 0);
}

#define LINUX_CASE(offset, value, size, part)                                                      \
    do {                                                                                           \
        uint8_t image_[LINUX_SIZE];                                                                \
        make_linux(image_);                                                                        \
        put(image_, offset, value, size);                                                          \
        fails(image_, sizeof(image_), EX_DATAERR, part);                                           \
    } while (0)

static void test_bad_linux(void)
{
    uint8_t image[LINUX_SIZE];
    char line[3000];

    set_up(64 * MIB);
    LINUX_CASE(0x236, 1, 2, "64-bit");
    LINUX_CASE(0x206, 0x0201, 2, "old Linux");
    LINUX_CASE(0x211, 0, 1, "old Linux");
    LINUX_CASE(0x214, 0, 4, "BIOS");
    LINUX_CASE(0x1f4, CODE_SIZE / 16 + 1, 4, "cut short");
    LINUX_CASE(0x1f4, 0xffffffff, 4, "cut short");
    LINUX_CASE(0x1f1, 255, 1, "cut short");
    LINUX_CASE(0x260, 64 * MIB, 4, "80M");
    LINUX_CASE(0x260, 0xffffffff, 4, "-m");
    LINUX_CASE(0x258, 0xffffffffffffffff, 8, "-m");
    LINUX_CASE(0x258, 0x100000000, 8, "-m");
    make_linux(image);
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    CHECK_EQ(boot(image, sizeof(image), NULL, line), -1);
    CHECK_EQ(error.status, EX_USAGE);
    CHECK_EQ(boot(image, sizeof(image), "/nonexistent/x", ""), -1);
    CHECK_EQ(error.status, EX_NOINPUT);
    CHECK_EQ(boot(image, sizeof(image), "/tmp", ""), -1);
    CHECK_EQ(error.status, EX_NOINPUT);
    CHECK_EQ(boot(image, sizeof(image), "", ""), -1);
    CHECK_EQ(error.status, EX_USAGE);
    CHECK_EQ(boot(image, sizeof(image), "/dev/zero", ""), -1);
    CHECK_EQ(error.status, EX_DATAERR);
    snprintf(line, sizeof(line), "%s,", kernel_path);
    CHECK_EQ(boot(image, sizeof(image), line, ""), -1);
    CHECK_EQ(error.status, EX_USAGE);
    for (size_t size = 1024; size < sizeof(image) - 15; size += 37)
        fails(image, size, EX_DATAERR, "cut short");
    fails(image, sizeof(image) - 16, EX_DATAERR, "cut short");
    CHECK_EQ(boot(image, sizeof(image) - 15, NULL, ""), 0); /* memtest86+ is like this */
}

/* Those that firmware has to start. */
static void test_real(void)
{
    uint8_t image[LINUX_SIZE];

    make_linux(image);
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), false);
    put(image, 0x214, 0, 4); /* ipxe.lkrn: no entry point */
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), true);
    put(image, 0x214, MIB, 4);
    put(image, 0x1f4, 0, 4); /* memdisk: an entry point for its own setup code alone */
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), true);
    put(image, 0x206, 0x0201, 2);
    write_file(kernel_path, image, sizeof(image));
    CHECK_EQ(boot_real_is(kernel_path), false);
}

/* --- Disks ---------------------------------------------------------------------------- */

static bool is_disk(const void *bytes, size_t size)
{
    write_file(kernel_path, bytes, size);
    return boot_is_disk_file(kernel_path);
}

/* What is named without an option may be either. */
static void test_disk(void)
{
    uint8_t image[LINUX_SIZE] = { 0 };
    struct elf_image e = make_elf();

    CHECK_EQ(is_disk(image, sizeof(image)), false);
    put(image, 510, 0xaa55, 2);
    CHECK_EQ(is_disk(image, sizeof(image)), true);
    CHECK_EQ(is_disk(image, 512), true); /* a first exercise: the boot sector and no more */
    CHECK_EQ(is_disk(image, 511), false);
    fails(image, 512, EX_DATAERR, "write -hda");
    put(image, 1024, 0x1badb002, 4); /* the header of the kernel in it */
    put(image, 1032, -0x1badb002u, 4);
    CHECK_EQ(is_disk(image, sizeof(image)), true);
    fails(image, sizeof(image), EX_DATAERR, "write -hda");
    make_linux(image);
    CHECK_EQ(is_disk(image, sizeof(image)), false);
    memset(image, 0, sizeof(image));
    memcpy(image, &e, sizeof(e));
    put(image, 510, 0xaa55, 2);
    CHECK_EQ(is_disk(image, sizeof(image)), false);
    memcpy(image, "QFI\xfb", 4);
    put(image, 510, 0, 2);
    CHECK_EQ(is_disk(image, sizeof(image)), true);
    unlink(kernel_path);
    CHECK_EQ(boot_is_disk_file(kernel_path), false);
}

/* --- Files --------------------------------------------------------------------------- */

static void test_gzip(void)
{
    struct elf_image e = make_elf();
    uint8_t zipped[1024];
    z_stream z = { .next_in = (uint8_t *)&e, .avail_in = sizeof(e), .next_out = zipped,
                   .avail_out = sizeof(zipped) };

    set_up(16 * MIB);
    deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FINISH);
    CHECK_EQ(boot(zipped, z.total_out, NULL, ""), 0);
    CHECK_EQ(entry.eip, 0x200010);
    fails(zipped, z.total_out - 1, EX_DATAERR, "damaged");
    fails(zipped, 5, EX_DATAERR, "damaged");
    zipped[z.total_out / 2] ^= 0x55;
    fails(zipped, z.total_out, EX_DATAERR, "damaged");
    deflateEnd(&z);
}

/* A small file that unzips to more than the guest has. */
static void test_bomb(void)
{
    size_t size = 32 * MIB, room = 256 << 10;
    uint8_t *zeroes = calloc(1, size), *zipped = malloc(room);
    z_stream z = { .next_in = zeroes, .avail_in = (unsigned)size, .next_out = zipped,
                   .avail_out = (unsigned)room };

    set_up(16 * MIB);
    deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
    CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    fails(zipped, z.total_out, EX_DATAERR, "-m");
    deflateEnd(&z);
    free(zeroes);
    free(zipped);
}

static void test_garbage(void)
{
    uint8_t image[8192];
    unsigned seed = 1;

    set_up(16 * MIB);
    for (unsigned round = 0; round < 300; round++) {
        for (size_t i = 0; i < sizeof(image); i++) {
            seed = seed * 1103515245 + 12345;
            image[i] = (uint8_t)(seed >> 16);
        }
        if (round % 3 == 1)
            memcpy(image, ELFMAG "\1\1\1\0\0\0\0\0\0\0\0\0\2\0\3", 19);
        if (round % 3 == 2) {
            put(image, 0x1fe, 0xaa55, 2);
            put(image, 0x202, 0x53726448, 4);
            put(image, 0x206, 0x020f, 2);
        }
        if (!boot(image, sizeof(image), NULL, ""))
            continue; /* by chance a kernel */
        CHECK_EQ(error.status, EX_DATAERR);
    }
}

static void test_commas(void)
{
    uint8_t image[LINUX_SIZE];
    char with_comma[] = "/tmp/novt,test,XXXXXX", initrd[64], *to = initrd;
    int fd = mkstemp(with_comma);

    set_up(64 * MIB);
    make_linux(image);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
    for (const char *c = with_comma; *c; *to++ = *c++)
        if (*c == ',')
            *to++ = ',';
    *to = '\0';
    CHECK_EQ(boot(image, sizeof(image), initrd, ""), 0);
    unlink(with_comma);
}

int main(void)
{
    mem.fd = -1;
    close(mkstemp(kernel_path));
    close(mkstemp(part_path));
    test_elf();
    test_bad_elf();
    test_multiboot2();
    test_multiboot();
    test_multiboot_elf();
    test_multiboot_low();
    test_bad_multiboot();
    test_linux();
    test_linux_places();
    test_bad_linux();
    test_real();
    test_disk();
    test_gzip();
    test_bomb();
    test_garbage();
    test_commas();
    physmem_destroy(&mem);
    unlink(kernel_path);
    unlink(part_path);
    return CHECK_DONE();
}
