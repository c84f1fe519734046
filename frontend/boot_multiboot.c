/*
 * Multiboot 1 kernels. Reference: Multiboot Specification version 0.6.96.
 * Passed:  memory sizes and map, command line, modules with their arguments, the loader's name.
 * Not:     symbols, boot device, drives, APM, video modes (there is no display).
 *
 * Memory, upwards: the information structure and all texts from INFO_LOW where the kernel leaves
 * that free, else behind the modules; the kernel; the modules, each on a page of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/physmem.h"
#include "frontend/boot.h"
#include "frontend/error.h"

#define HEADER_MAGIC  0x1badb002u
#define LOADER_MAGIC  0x2badb002u
#define HEADER_SEARCH 8192
#define INFO_LOW      0x10000
#define MAGIC_2       0xe85250d6u /* of multiboot 2, section 3.1.1 of its specification */
#define SEARCH_2      32768
#define LOADER_NAME   "novt"

/* Header flags */
#define FLAG_REQUIRED 0xffffu
#define FLAG_KNOWN    0x0007u /* align modules, memory, video (which we do not have) */
#define FLAG_AOUT     0x10000u

struct header {
    uint32_t magic, flags, checksum;
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

#define HEADER_SHORT 12 /* bytes, without the addresses of FLAG_AOUT */

/* Information flags */
#define INFO_MEMORY  0x001u
#define INFO_CMDLINE 0x004u
#define INFO_MODS    0x008u
#define INFO_MMAP    0x040u
#define INFO_NAME    0x200u

struct info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
    uint32_t apm_table, vbe[4];
};

struct module {
    uint32_t start, end, string, reserved;
};

struct mmap_entry {
    uint32_t size;
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

/* --- The header ------------------------------------------------------------------- */

static bool find_header(const struct image *kernel, struct header *header, size_t *offset)
{
    size_t end = kernel->size < HEADER_SEARCH ? kernel->size : HEADER_SEARCH;

    memset(header, 0, sizeof(*header));
    for (size_t at = 0; at + HEADER_SHORT <= end; at += 4) {
        size_t size = kernel->size - at < sizeof(*header) ? HEADER_SHORT : sizeof(*header);

        memcpy(header, kernel->bytes + at, HEADER_SHORT);
        if (header->magic == HEADER_MAGIC && !(header->magic + header->flags + header->checksum)) {
            memcpy(header, kernel->bytes + at, size);
            *offset = at;
            return true;
        }
    }
    return false;
}

bool boot_multiboot_is(const struct image *kernel)
{
    struct header header;
    size_t offset;

    return find_header(kernel, &header, &offset);
}

bool boot_multiboot2_is(const struct image *kernel)
{
    size_t end = kernel->size < SEARCH_2 ? kernel->size : SEARCH_2;
    uint32_t header[4]; /* magic, architecture, length, checksum */

    for (size_t at = 0; at + sizeof(header) <= end; at += 8) {
        memcpy(header, kernel->bytes + at, sizeof(header));
        if (header[0] == MAGIC_2 && !(header[0] + header[1] + header[2] + header[3]))
            return true;
    }
    return false;
}

/* --- The kernel --------------------------------------------------------------------- */

static int wrong_header(const struct boot *boot, struct error *error)
{
    return error_set(error, EX_DATAERR,
                     "kernel '%s': its multiboot header's addresses do not fit the file; %s",
                     boot->kernel_path,
                     boot_is_disk(&boot->kernel) ? "it is a disk: write -hda" : "link it again");
}

/* FLAG_AOUT: the header says what goes where. */
static int load_flat(const struct boot *boot, const struct boot_target *target,
                     const struct header *h, size_t offset, struct boot_span *span,
                     struct error *error)
{
    const struct image *kernel = &boot->kernel;
    uint64_t start, size, end;

    if (h->header_addr < h->load_addr || h->header_addr - h->load_addr > offset ||
        kernel->size - offset < sizeof(*h))
        return wrong_header(boot, error);
    start = offset - (h->header_addr - h->load_addr);
    size = h->load_end_addr ? (uint64_t)h->load_end_addr - h->load_addr : kernel->size - start;
    if ((h->load_end_addr && h->load_end_addr < h->load_addr) || size > kernel->size - start)
        return wrong_header(boot, error);
    end = h->load_addr + size;
    if (h->entry_addr < h->load_addr || h->entry_addr >= end)
        return wrong_header(boot, error);
    if (h->bss_end_addr > end)
        end = h->bss_end_addr;
    if (end > target->mem->size)
        return boot_no_room(boot, target, end, error);
    if (!boot_is_free(target, h->load_addr, end - h->load_addr))
        return wrong_header(boot, error);
    physmem_write(target->mem, h->load_addr, kernel->bytes + start, size);
    memset(physmem_ptr(target->mem, h->load_addr) + size, 0, end - h->load_addr - size);
    *span = (struct boot_span){ h->load_addr, end, h->entry_addr };
    return 0;
}

static int load_kernel(const struct boot *boot, const struct boot_target *target,
                       struct boot_span *span, struct error *error)
{
    struct header header;
    size_t offset = 0;

    if (!find_header(&boot->kernel, &header, &offset))
        return wrong_header(boot, error);
    if (header.flags & FLAG_REQUIRED & ~FLAG_KNOWN)
        return error_set(error, EX_DATAERR,
                         "kernel '%s': requires multiboot features 0x%x, which novt does not have",
                         boot->kernel_path, header.flags & FLAG_REQUIRED & ~FLAG_KNOWN);
    if (header.flags & FLAG_AOUT)
        return load_flat(boot, target, &header, offset, span, error);
    if (!boot_elf_is(&boot->kernel))
        return wrong_header(boot, error);
    return boot_elf_segments(boot, target, NULL, span, error);
}

/* --- What is passed ------------------------------------------------------------------- */

/* A block of memory made here, to be at gpa there. */
struct block {
    uint8_t *bytes;
    uint32_t gpa, size;
};

static uint32_t put(struct block *block, const void *bytes, size_t size)
{
    uint32_t at = block->size;

    memcpy(block->bytes + at, bytes, size);
    block->size += (uint32_t)((size + 3) & ~(size_t)3);
    return block->gpa + at;
}

static uint32_t put_two(struct block *block, const char *name, const char *arguments)
{
    uint32_t at = block->gpa + block->size;
    size_t name_size = strlen(name), size = strlen(arguments);
    char *to = (char *)block->bytes + block->size;

    memcpy(to, name, name_size);
    to += name_size;
    if (size)
        *to++ = ' ';
    memcpy(to, arguments, size + 1);
    block->size += (uint32_t)((name_size + size + 2 + 3) & ~(size_t)3);
    return at;
}

static size_t block_room(const struct boot *boot, const struct boot_target *target)
{
    size_t room = sizeof(struct info) + sizeof(LOADER_NAME) + strlen(boot->kernel_path) +
                  strlen(boot->append) + 64 + target->map_count * sizeof(struct mmap_entry);

    for (unsigned i = 0; i < boot->files; i++)
        room += sizeof(struct module) + strlen(boot->file[i].path) +
                strlen(boot->file[i].arguments) + 8;
    return room;
}

/* Copies the modules in, behind the kernel; *end is what comes after the last one. */
static int place_modules(const struct boot *boot, const struct boot_target *target, uint64_t low,
                         struct module *modules, uint64_t *end, struct error *error)
{
    uint64_t at = low < 1u << 20 ? 1u << 20 : low;

    for (unsigned i = 0; i < boot->files; i++) {
        const struct image *image = &boot->file[i].image;

        at = (at + PAGE_MASK) & ~PAGE_MASK;
        if (!boot_is_free(target, at, image->size))
            return error_set(error, EX_DATAERR,
                             "module '%s': no room for it in the guest's %lluM; "
                             "give it more with -m",
                             boot->file[i].path, (unsigned long long)(target->mem->size >> 20));
        physmem_write(target->mem, at, image->bytes, image->size);
        modules[i] = (struct module){ .start = (uint32_t)at, .end = (uint32_t)(at + image->size) };
        at += image->size;
    }
    *end = (at + PAGE_MASK) & ~PAGE_MASK;
    return 0;
}

static void put_memory(struct info *info, struct block *block, const struct boot_target *target)
{
    for (unsigned i = 0; i < target->map_count; i++) {
        const struct pc_e820 *run = &target->map[i];
        struct mmap_entry entry = { sizeof(entry) - sizeof(entry.size), run->base, run->size,
                                    run->type };
        uint32_t at = put(block, &entry, sizeof(entry));

        if (!i)
            info->mmap_addr = at;
        info->mmap_length += (uint32_t)sizeof(entry);
        if (run->type == E820_RAM && !run->base)
            info->mem_lower = (uint32_t)(run->size >> 10);
        if (run->type == E820_RAM && run->base == 1u << 20)
            info->mem_upper = (uint32_t)(run->size >> 10);
    }
}

static void put_info(const struct boot *boot, const struct boot_target *target,
                     struct module *modules, struct block *block)
{
    struct info info = {
        .flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_NAME,
        .mods_count = boot->files,
    };

    block->size = (uint32_t)sizeof(info);
    put_memory(&info, block, target);
    info.cmdline = put_two(block, boot->kernel_path, boot->append);
    info.boot_loader_name = put(block, LOADER_NAME, sizeof(LOADER_NAME));
    for (unsigned i = 0; i < boot->files; i++)
        modules[i].string = put_two(block, boot->file[i].path, boot->file[i].arguments);
    info.mods_addr = put(block, modules, boot->files * sizeof(*modules));
    memcpy(block->bytes, &info, sizeof(info));
}

/* The GDT's page, and then the block. */
static uint64_t place_info(const struct boot_target *target, const struct boot_span *span,
                           uint64_t end, uint64_t size)
{
    if ((span->high <= INFO_LOW || span->low >= INFO_LOW + size) &&
        boot_is_free(target, INFO_LOW, size))
        return INFO_LOW;
    return boot_is_free(target, end, size) ? end : 0;
}

static int pass(const struct boot *boot, const struct boot_target *target,
                const struct boot_span *span, struct boot_entry *entry, struct error *error)
{
    struct module modules[BOOT_FILES_MAX];
    struct block block = { 0 };
    size_t room = block_room(boot, target);
    uint64_t end = 0, gpa;

    if (place_modules(boot, target, span->high, modules, &end, error))
        return -1;
    gpa = place_info(target, span, end, PAGE_SIZE + room);
    if (!gpa)
        return boot_no_room(boot, target, end + PAGE_SIZE + room, error);
    block.bytes = calloc(1, room);
    if (!block.bytes)
        return error_set(error, EX_OSERR, "no host memory for the boot information; free some");
    block.gpa = (uint32_t)(gpa + PAGE_SIZE);
    put_info(boot, target, modules, &block);
    boot_write_gdt(target, gpa, BOOT_CODE);
    physmem_write(target->mem, block.gpa, block.bytes, block.size);
    free(block.bytes);
    *entry = (struct boot_entry){ .eip = span->entry, .eax = LOADER_MAGIC, .ebx = block.gpa,
                                  .esp = BOOT_STACK, .gdt = (uint32_t)gpa, .code = BOOT_CODE };
    return 0;
}

int boot_multiboot_load(const struct boot *boot, const struct boot_target *target,
                        struct boot_entry *entry, struct error *error)
{
    struct boot_span span;

    if (load_kernel(boot, target, &span, error))
        return -1;
    return pass(boot, target, &span, entry, error);
}
