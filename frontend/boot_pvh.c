/*
 * ELF kernels with a PVH entry point, as Linux's vmlinux has with CONFIG_PVH: a note names it, and
 * EBX has what is passed. Reference: Xen, docs/misc/pvh.pandoc (x86/HVM direct boot ABI) and
 * public/arch-x86/hvm/start_info.h.
 *
 * Linux reads the memory map by its first page tables, which have the kernel and the first
 * megabyte: what is passed lies there, and a kernel that is there itself gets it behind its end.
 * Of several files Linux knows the first one, so they are joined as with a bzImage.
 */
#include <string.h>
#include <sysexits.h>

#include "base/physmem.h"
#include "frontend/boot.h"
#include "frontend/error.h"

#define NOTE_NAME   "Xen"
#define NOTE_ENTRY  18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define START_MAGIC 0x336ec578u
#define LOW_END     0xa0000u
#define DISK_END    0x38000000ull /* as 32-bit Linux says in its bzImages */

struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module, cmdline, rsdp, map; /* gpa */
    uint32_t map_count, reserved;
};

struct module {
    uint64_t gpa, size, cmdline, reserved;
};

struct map_entry {
    uint64_t base, size;
    uint32_t type, reserved;
};

/* One piece of guest memory; the command line follows it. */
struct passed {
    uint8_t gdt[64];
    struct start_info info;
    struct module module;
    struct map_entry map[PC_E820_MAX];
};

#define AT(gpa, member) ((gpa) + offsetof(struct passed, member))

bool boot_pvh_is(const struct boot *boot)
{
    uint32_t entry;

    return boot_elf_note(boot, NOTE_NAME, NOTE_ENTRY, &entry);
}

/* 0: no room. */
static uint64_t place(const struct boot_target *target, const struct boot_span *span, uint64_t disk,
                      uint64_t size)
{
    uint64_t low_end = span->low < LOW_END ? span->low : LOW_END;
    uint64_t gpa = boot_place_high(target, size, PAGE_SIZE, low_end);

    return gpa ? gpa : boot_place_high(target, size, span->high, disk ? disk : UINT32_MAX);
}

static void write_passed(const struct boot *boot, const struct boot_target *target, uint64_t gpa,
                         uint64_t disk, uint64_t disk_size)
{
    struct passed passed = {
        .info = { .magic = START_MAGIC, .version = 1, .modules = disk != 0,
                  .module = disk ? AT(gpa, module) : 0, .cmdline = gpa + sizeof(passed),
                  .rsdp = target->rsdp, .map = AT(gpa, map), .map_count = target->map_count },
        .module = { .gpa = disk, .size = disk_size },
    };

    for (unsigned i = 0; i < target->map_count; i++)
        passed.map[i] = (struct map_entry){ target->map[i].base, target->map[i].size,
                                            target->map[i].type, 0 };
    physmem_write(target->mem, gpa, &passed, sizeof(passed));
    physmem_write(target->mem, gpa + sizeof(passed), boot->append, strlen(boot->append) + 1);
    boot_write_gdt(target, gpa, BOOT_CODE);
}

static int load(const struct boot *boot, const struct boot_target *target, const struct image *disk,
                struct boot_entry *entry, struct error *error)
{
    uint64_t size = sizeof(struct passed) + strlen(boot->append) + 1, disk_gpa, gpa;
    struct boot_span span;
    uint32_t start = 0;

    boot_elf_note(boot, NOTE_NAME, NOTE_ENTRY, &start);
    if (boot_elf_segments(boot, target, &start, &span, error) ||
        boot_place_disk(boot, target, disk, span.high, DISK_END, &disk_gpa, error))
        return -1;
    gpa = place(target, &span, disk_gpa, size);
    if (!gpa)
        return boot_no_room(boot, target, span.high + size, error);
    write_passed(boot, target, gpa, disk_gpa, disk->size);
    *entry = (struct boot_entry){ .eip = span.entry, .ebx = (uint32_t)AT(gpa, info),
                                  .esp = BOOT_STACK, .gdt = (uint32_t)gpa, .code = BOOT_CODE };
    return 0;
}

int boot_pvh_load(struct boot *boot, const struct boot_target *target, struct boot_entry *entry,
                  struct error *error)
{
    struct image disk;
    int err;

    if (boot_join_files(boot, &disk, error))
        return -1;
    err = load(boot, target, &disk, entry, error);
    image_free(&disk);
    return err;
}
