/* A PC's memory for the loaders of frontend/boot.h, and images in files, as novt gets them. */
#ifndef TESTS_UNIT_BOOT_MEMORY_H
#define TESTS_UNIT_BOOT_MEMORY_H

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/physmem.h"
#include "frontend/boot.h"
#include "frontend/error.h"
#include "tests/check.h"

#define MIB (1ull << 20)

static struct physmem mem;
static struct boot_target target;
static struct boot_entry entry;
static struct error error;

static inline void set_up(uint64_t size)
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

static inline uint32_t word(uint64_t gpa)
{
    uint32_t value = 0;

    physmem_read(&mem, gpa, &value, sizeof(value));
    return value;
}

static inline const char *text_at(uint32_t gpa)
{
    return (const char *)mem.ram + gpa;
}

static inline void put(uint8_t *image, size_t at, uint64_t value, unsigned size)
{
    memcpy(image + at, &value, size);
}

/* Through files, as novt does. */
static char kernel_path[] = "/tmp/novt-test-kernel-XXXXXX";
static char part_path[] = "/tmp/novt-test-part-XXXXXX";

static inline void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    CHECK_EQ(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static inline int boot(const void *kernel, size_t size, const char *initrd, const char *append)
{
    write_file(kernel_path, kernel, size);
    error = (struct error){ 0 };
    return boot_load(kernel_path, initrd, append, &target, &entry, &error);
}

static inline void fails(const void *kernel, size_t size, int status, const char *part)
{
    int got = boot(kernel, size, NULL, "");

    if (got != -1 || error.status != status || !strstr(error.text, part) ||
        strchr(error.text, '\n')) {
        printf("%d, status %d '%s', want %d '%s'\n", got, error.status, error.text, status, part);
        check_failures++;
    }
}

/* The selectors of the segments that the kernel begins with, and what the GDT has there. */
static inline void check_gdt(unsigned code)
{
    CHECK_EQ(entry.code, code);
    CHECK_EQ(word(entry.gdt + code), 0x0000ffff);
    CHECK_EQ(word(entry.gdt + code + 4), 0x00cf9b00);
    CHECK_EQ(word(entry.gdt + code + 8), 0x0000ffff);
    CHECK_EQ(word(entry.gdt + code + 12), 0x00cf9300);
}

struct elf_image {
    Elf32_Ehdr header;
    Elf32_Phdr ph[2];
    uint8_t code[64];
};

/* One segment at 2M with a bss, linked at 0xc0200000. */
static inline struct elf_image make_elf(void)
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

static inline void begin(void)
{
    mem.fd = -1;
    close(mkstemp(kernel_path));
    close(mkstemp(part_path));
}

/* The program's status. */
static inline int end(void)
{
    physmem_destroy(&mem);
    unlink(kernel_path);
    unlink(part_path);
    return CHECK_DONE();
}

#endif
