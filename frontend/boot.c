/* Reading the kernel and its files, picking the format, and the CPU's state at the entry. */
#include "frontend/boot.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/physmem.h"
#include "cpu/cpuid.h"
#include "cpu/mem.h"
#include "cpu/msr.h"
#include "cpu/paging.h"
#include "cpu/vcpu.h"
#include "frontend/error.h"

#define GDT_SIZE 32
#define REAL_IVT_SIZE 0x400
#define SECTOR 512
#define BOOT_MARK 510

/* --- For the loaders ---------------------------------------------------------- */

bool boot_is_free(const struct boot_target *target, uint64_t gpa, uint64_t size)
{
    for (unsigned i = 0; i < target->map_count; i++) {
        const struct pc_e820 *run = &target->map[i];

        if (run->type == E820_RAM && gpa >= run->base && gpa - run->base <= run->size &&
            size <= run->size - (gpa - run->base))
            return true;
    }
    return false;
}

uint64_t boot_place_high(const struct boot_target *target, uint64_t size, uint64_t low,
                         uint64_t high)
{
    uint64_t best = 0;

    for (unsigned i = 0; i < target->map_count; i++) {
        const struct pc_e820 *run = &target->map[i];
        uint64_t end = run->base + run->size < high ? run->base + run->size : high;
        uint64_t start = run->base > low ? run->base : low;

        if (run->type != E820_RAM || end < size)
            continue;
        if (((end - size) & ~PAGE_MASK) >= start && ((end - size) & ~PAGE_MASK) > best)
            best = (end - size) & ~PAGE_MASK;
    }
    return best;
}

void boot_write_gdt(const struct boot_target *target, uint64_t gpa, unsigned code)
{
    uint64_t gdt[GDT_SIZE / 8] = { 0 };

    /* SDM 3, figure 3-8: base 0, limit 4 GiB, 32-bit, accessed; execute/read and read/write */
    gdt[code / 8] = 0x00cf9b000000ffff;
    gdt[code / 8 + 1] = 0x00cf93000000ffff;
    physmem_write(target->mem, gpa, gdt, sizeof(gdt));
}

int boot_no_room(const struct boot *boot, const struct boot_target *target, uint64_t high,
                 struct error *error)
{
    return error_set(error, EX_DATAERR,
                     "kernel '%s': needs memory up to %lluM, and the guest has %lluM; "
                     "give it more with -m",
                     boot->kernel_path, (unsigned long long)((high + (1u << 20) - 1) >> 20),
                     (unsigned long long)(target->mem->size >> 20));
}

int boot_place_disk(const struct boot *boot, const struct boot_target *target,
                    const struct image *disk, uint64_t low, uint64_t high, uint64_t *gpa,
                    struct error *error)
{
    *gpa = 0;
    if (!disk->size)
        return 0;
    *gpa = boot_place_high(target, disk->size, low, high);
    if (!*gpa)
        return error_set(error, EX_DATAERR,
                         "initrd '%s': its %lluM do not fit behind the kernel in the guest's "
                         "%lluM; "
                         "give it more with -m",
                         boot->file[0].path,
                         (unsigned long long)((disk->size + (1u << 20) - 1) >> 20),
                         (unsigned long long)(target->mem->size >> 20));
    physmem_write(target->mem, *gpa, disk->bytes, disk->size);
    return 0;
}

/* --- Disks -------------------------------------------------------------------------- */

/* A Linux kernel has a boot sector's mark, too, and in an ELF file the two bytes may be anything. A
 * multiboot header says nothing: a disk may have that of the kernel in it. */
bool boot_is_disk(const struct image *image)
{
    if (image->size < SECTOR || boot_linux_is(image) || boot_elf_is(image))
        return false;
    return !memcmp(image->bytes + BOOT_MARK, "\x55\xaa", 2) ||
           !memcmp(image->bytes, "QFI\xfb", 4);
}

bool boot_is_disk_file(const char *path)
{
    uint8_t head[2 * SECTOR];

    return boot_is_disk(&(struct image){ head, image_head(path, head, sizeof(head)) });
}

/* --- The files ------------------------------------------------------------------ */

/* The text up to the next single comma, with doubled ones halved, in memory of its own. *at is NULL
 * after the last one. */
static char *next_name(const char **at)
{
    const char *from = *at;
    char *name = malloc(strlen(from) + 1), *to = name;

    if (!name)
        return NULL;
    while (*from && (*from != ',' || from[1] == ',')) {
        from += *from == ',';
        *to++ = *from++;
    }
    *to = '\0';
    *at = *from ? from + 1 : NULL;
    return name;
}

/* Multiboot: what follows the first space are the module's arguments. */
static void split_arguments(struct boot_file *file)
{
    char *space = strchr(file->path, ' ');

    file->arguments = file->path + strlen(file->path);
    if (!space)
        return;
    *space = '\0';
    file->arguments = space + 1;
}

static int add_file(struct boot *boot, const char **at, bool modules, uint64_t limit,
                    struct error *error)
{
    struct boot_file *file = &boot->file[boot->files];

    if (boot->files == BOOT_FILES_MAX)
        return error_set(error, EX_USAGE, "-initrd: more than %d files; join some of them",
                         BOOT_FILES_MAX);
    file->path = next_name(at);
    if (!file->path)
        return error_set(error, EX_OSERR, "-initrd: no host memory; free some");
    boot->files++;
    file->arguments = "";
    if (modules)
        split_arguments(file);
    if (!*file->path)
        return error_set(error, EX_USAGE, "-initrd: a file name is empty; write FILE[,FILE...]");
    return image_read(&file->image, file->path, modules ? "module" : "initrd", limit, error);
}

static int refuse_files(const struct boot *boot, struct error *error)
{
    if (boot_elf_check(boot, error))
        return -1;
    return error_set(error, EX_USAGE,
                     "-initrd: '%s' is a plain ELF kernel and takes none; "
                     "leave it out" BOOT_ELF_LINUX,
                     boot->kernel_path);
}

static int read_files(struct boot *boot, const char *initrd, uint64_t limit, struct error *error)
{
    const struct image *kernel = &boot->kernel;
    bool is_linux = boot_linux_is(kernel), modules = !is_linux && boot_multiboot_is(kernel);
    const char *at = initrd;

    if (!initrd || !(is_linux || modules || boot_elf_is(kernel)))
        return 0; /* no kernel at all: load() says so */
    if (!is_linux && !modules && !boot_pvh_is(boot))
        return refuse_files(boot, error);
    while (at)
        if (add_file(boot, &at, modules, limit, error))
            return -1;
    return 0;
}

static int check_multiboot2(const struct boot *boot, struct error *error)
{
    const struct image *kernel = &boot->kernel;

    if (boot_linux_is(kernel) || boot_multiboot_is(kernel) || !boot_multiboot2_is(kernel))
        return 0;
    return error_set(error, EX_DATAERR,
                     "kernel '%s': a multiboot 2 kernel; novt loads multiboot 1, build it for that",
                     boot->kernel_path);
}

/* Each archive begins at a multiple of 4, as the cpio format wants; the kernel skips zeroes. */
static size_t padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

int boot_join_files(struct boot *boot, struct image *disk, struct error *error)
{
    size_t at = 0;

    *disk = (struct image){ 0 };
    if (boot->files == 1) {
        *disk = boot->file[0].image;
        boot->file[0].image = (struct image){ 0 };
        return 0;
    }
    for (unsigned i = 0; i < boot->files; i++)
        disk->size = padded(disk->size) + boot->file[i].image.size;
    if (!disk->size)
        return 0;
    disk->bytes = calloc(1, disk->size);
    if (!disk->bytes)
        return error_set(error, EX_OSERR, "-initrd: no host memory to join the files; free some");
    for (unsigned i = 0; i < boot->files; i++) {
        struct image *from = &boot->file[i].image;

        memcpy(disk->bytes + padded(at), from->bytes, from->size);
        at = padded(at) + from->size;
        image_free(from);
    }
    return 0;
}

int boot_read(struct boot *boot, const char *kernel, const char *initrd, const char *append,
              uint64_t limit, struct error *error)
{
    *boot = (struct boot){ .kernel_path = kernel, .append = append };
    return image_read(&boot->kernel, kernel, "kernel", limit, error) ||
                   image_unzip(&boot->kernel, kernel, "kernel", limit, error) ||
                   check_multiboot2(boot, error) || read_files(boot, initrd, limit, error)
               ? -1 : 0;
}

void boot_free(struct boot *boot)
{
    image_free(&boot->kernel);
    for (unsigned i = 0; i < boot->files; i++) {
        image_free(&boot->file[i].image);
        free(boot->file[i].path);
    }
}

static int load(struct boot *boot, const struct boot_target *target, struct boot_entry *entry,
                struct error *error)
{
    if (boot_linux_is(&boot->kernel))
        return boot_linux_load(boot, target, entry, error);
    if (boot_multiboot_is(&boot->kernel))
        return boot_multiboot_load(boot, target, entry, error);
    if (boot_pvh_is(boot))
        return boot_pvh_load(boot, target, entry, error);
    if (boot_elf_is(&boot->kernel))
        return boot_elf_load(boot, target, entry, error);
    if (boot_is_disk(&boot->kernel))
        return error_set(error, EX_DATAERR, "kernel '%s': this is a disk; write -hda %s",
                         boot->kernel_path, boot->kernel_path);
    return error_set(error, EX_DATAERR,
                     "kernel '%s': neither a Linux bzImage nor a multiboot 1 or ELF kernel; "
                     "name one of these",
                     boot->kernel_path);
}

int boot_load(const char *kernel, const char *initrd, const char *append,
              const struct boot_target *target, struct boot_entry *entry, struct error *error)
{
    struct boot boot;
    int err = boot_read(&boot, kernel, initrd, append, target->mem->size, error);

    if (!err)
        err = load(&boot, target, entry, error);
    boot_free(&boot);
    return err;
}

/* --- The CPU ---------------------------------------------------------------------- */

/* What a BIOS leaves in the MTRRs: without it Linux has no page attribute table either. All is
 * write-back but the first MiB's frame buffers and ROMs, and what is above RAM. SDM 3, 11.11.2. */
static void set_mtrrs(struct vcpu *vcpu)
{
    const uint64_t in_all = 0x0101010101010101;

    vcpu->mtrr_fixed[0] = MTRR_WRITE_BACK * in_all;  /* 0 to 7ffffh */
    vcpu->mtrr_fixed[1] = MTRR_WRITE_BACK * in_all;  /* to 9ffffh */
    vcpu->mtrr_fixed[2] = MTRR_UNCACHEABLE * in_all; /* to bffffh */
    for (unsigned i = 3; i < 11; i++)
        vcpu->mtrr_fixed[i] = MTRR_WRITE_PROTECT * in_all;
    vcpu->mtrr_var[0] = PC_RAM_MAX | MTRR_UNCACHEABLE;
    vcpu->mtrr_var[1] = ((1ull << PHYS_BITS) - ((1ull << 32) - PC_RAM_MAX)) | MTRR_MASK_VALID;
    vcpu->mtrr_def_type = MTRR_ENABLE | MTRR_ENABLE_FIXED | MTRR_WRITE_BACK;
}

void boot_enter(struct vcpu *vcpu, const struct boot_entry *entry)
{
    const uint32_t common = SEG_S | SEG_P | SEG_ACCESSED | SEG_DB | SEG_G;
    struct segment data = { entry->code + 8, common | SEG_WRITABLE, UINT32_MAX, 0 };

    for (unsigned i = 0; i < SEG_COUNT; i++)
        vcpu->seg[i] = data;
    vcpu->seg[SEG_CS] = (struct segment){ entry->code, common | SEG_CODE | SEG_READABLE,
                                          UINT32_MAX, 0 };
    vcpu->gdtr = (struct table_register){ entry->gdt, GDT_SIZE - 1 };
    vcpu->idtr = (struct table_register){ 0, REAL_IVT_SIZE - 1 }; /* as firmware leaves it */
    vcpu->cr0 = CR0_PE | CR0_ET;
    memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
    vcpu->gpr[RAX] = entry->eax;
    vcpu->gpr[RBX] = entry->ebx;
    vcpu->gpr[RSI] = entry->esi;
    vcpu->gpr[RSP] = entry->esp;
    vcpu->rip = entry->eip;
    vcpu->eflags = EFLAGS_R1;
    if (cpuid_has(vcpu->model, CPUID_MTRR))
        set_mtrrs(vcpu);
    mem_mode_changed(vcpu);
}
