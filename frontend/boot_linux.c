/*
 * Linux bzImage kernels, by the 32-bit boot protocol. Reference: "The Linux/x86 Boot Protocol" in
 * the kernel's documentation (Documentation/arch/x86/boot.rst) and zero-page.rst beside it; field
 * names are theirs.
 *
 * Memory: zero page, GDT and command line from ZERO_PAGE on; the protected-mode kernel at 1M, from
 * where it moves itself; the initial RAM disk as high as it may be.
 */
#include <string.h>
#include <sysexits.h>

#include "base/physmem.h"
#include "frontend/boot.h"
#include "frontend/boot_setup.h"
#include "frontend/error.h"

#define ZERO_PAGE 0x10000
#define GDT       0x11000
#define CMDLINE   0x12000

/* Offsets in the zero page alone */
enum {
    SCREEN_PAGE_MODE = 0x006, /* struct screen_info: the video mode, */
    SCREEN_COLUMNS = 0x007,
    SCREEN_EGA_BX = 0x00a,    /* INT 10h, AH = 12h: 3 for 256 KiB */
    SCREEN_LINES = 0x00e,
    SCREEN_IS_VGA = 0x00f,
    SCREEN_POINTS = 0x010,    /* the height of a character */
    ACPI_RSDP_ADDR = 0x070,
    ALT_MEM_K = 0x1e0,
    E820_ENTRIES = 0x1e8,
    E820_TABLE = 0x2d0,
    E820_ENTRY_SIZE = 20,
};

#define HDRS        0x53726448u /* "HdrS" */
#define VERSION_MIN 0x0202      /* has CMD_LINE_PTR; Linux 2.4 has 0x0203 */

bool boot_linux_is(const struct image *image)
{
    return image->size >= 2 * SETUP_SECTOR && setup_get(image->bytes, BOOT_FLAG, 2) == 0xaa55 &&
           setup_get(image->bytes, MAGIC, 4) == HDRS;
}

bool boot_linux_is_file(const char *path)
{
    uint8_t head[2 * SETUP_SECTOR];

    return boot_linux_is(&(struct image){ head, image_head(path, head, sizeof(head)) });
}

/* --- What it is ------------------------------------------------------------------- */

static int wrong(const struct boot *boot, struct error *error, const char *what)
{
    return error_set(error, EX_DATAERR, "kernel '%s': %s", boot->kernel_path, what);
}

static bool is_cut_short(const struct image *kernel)
{
    const uint8_t *head = kernel->bytes;
    uint64_t body = setup_get(head, SYSSIZE, setup_version(head) < 0x204 ? 2 : 4) * 16ull;

    /* Some linkers' scripts round the size up, and leave the last paragraph short. */
    return kernel->size <= setup_size(head) || kernel->size + 15 < setup_size(head) + body;
}

int boot_linux_check(const struct boot *boot, struct error *error)
{
    const uint8_t *head = boot->kernel.bytes;
    unsigned version = setup_version(head);

    if (version < VERSION_MIN || !(head[LOADFLAGS] & LOADED_HIGH))
        return wrong(boot, error, "an old Linux kernel (boot protocol before 2.02, or zImage), "
                                  "which has to be a file and not gzipped; unpack it");
    if (is_cut_short(&boot->kernel))
        return wrong(boot, error, "the Linux kernel is cut short; get it again");
    if (!setup_get(head, CODE32_START, 4))
        return wrong(boot, error, "no 32-bit entry point: it starts in real mode and needs a BIOS, "
                                  "which novt does not have; name a Linux kernel");
    if (version >= 0x20c && setup_get(head, XLOADFLAGS, 2) & XLF_KERNEL_64)
        return wrong(boot, error, "a 64-bit Linux kernel; name a 32-bit one (linux-image-686)");
    if (strlen(boot->append) > setup_cmdline_max(head))
        return error_set(error, EX_USAGE,
                         "-append: %zu bytes are too many for this kernel; it takes %zu",
                         strlen(boot->append), setup_cmdline_max(head));
    return 0;
}

/* --- Where it goes ---------------------------------------------------------------- */

static int place_kernel(const struct boot *boot, const struct boot_target *target,
                        struct error *error)
{
    size_t setup = setup_size(boot->kernel.bytes);
    uint64_t end = setup_kernel_end(&boot->kernel);

    if (end < SETUP_KERNEL || !boot_is_free(target, SETUP_KERNEL, end - SETUP_KERNEL))
        return boot_no_room(boot, target, end, error);
    physmem_write(target->mem, SETUP_KERNEL, boot->kernel.bytes + setup,
                  boot->kernel.size - setup);
    return 0;
}

/* --- The zero page ----------------------------------------------------------------- */

static void set(uint8_t *page, unsigned offset, uint64_t value, unsigned size)
{
    memcpy(page + offset, &value, size);
}

static void set_memory(uint8_t *page, const struct boot_target *target)
{
    for (unsigned i = 0; i < target->map_count; i++) {
        const struct pc_e820 *run = &target->map[i];
        unsigned at = E820_TABLE + i * E820_ENTRY_SIZE;

        set(page, at, run->base, 8);
        set(page, at + 8, run->size, 8);
        set(page, at + 16, run->type, 4);
        if (run->type == E820_RAM && run->base == 1u << 20)
            set(page, ALT_MEM_K, run->size >> 10, 4);
    }
    page[E820_ENTRIES] = (uint8_t)target->map_count;
}

static void set_screen(uint8_t *page)
{
    page[SCREEN_PAGE_MODE] = 3;
    page[SCREEN_COLUMNS] = 80;
    page[SCREEN_EGA_BX] = 3;
    page[SCREEN_LINES] = 25;
    page[SCREEN_IS_VGA] = 1;
    page[SCREEN_POINTS] = 16;
}

static void write_zero_page(const struct boot *boot, const struct boot_target *target,
                            uint64_t initrd, uint64_t initrd_size)
{
    const uint8_t *head = boot->kernel.bytes;
    unsigned end = MAGIC + head[JUMP + 1];
    uint8_t page[PAGE_SIZE] = { 0 };

    if (end > HEADER_END)
        end = HEADER_END;
    memcpy(page + SETUP_SECTS, head + SETUP_SECTS, end - SETUP_SECTS);
    page[TYPE_OF_LOADER] = LOADER_UNKNOWN;
    set(page, RAMDISK_IMAGE, initrd, 4);
    set(page, RAMDISK_SIZE, initrd_size, 4);
    set(page, CMD_LINE_PTR, CMDLINE, 4);
    set(page, ACPI_RSDP_ADDR, target->rsdp, 8);
    set_memory(page, target);
    if (target->text_screen)
        set_screen(page);
    physmem_write(target->mem, ZERO_PAGE, page, sizeof(page));
}

static int load(const struct boot *boot, const struct boot_target *target,
                const struct image *initrd, struct error *error)
{
    uint64_t size = strlen(boot->append) + 1, gpa;

    if (boot_linux_check(boot, error) || place_kernel(boot, target, error) ||
        boot_place_disk(boot, target, initrd, setup_kernel_end(&boot->kernel),
                        setup_initrd_end(boot->kernel.bytes), &gpa, error))
        return -1;
    if (!boot_is_free(target, CMDLINE, size))
        return boot_no_room(boot, target, CMDLINE + size, error);
    physmem_write(target->mem, CMDLINE, boot->append, size);
    write_zero_page(boot, target, gpa, initrd->size);
    return 0;
}

int boot_linux_load(struct boot *boot, const struct boot_target *target, struct boot_entry *entry,
                    struct error *error)
{
    struct image initrd;
    int err;

    if (boot_join_files(boot, &initrd, error))
        return -1;
    err = load(boot, target, &initrd, error);
    image_free(&initrd);
    if (err)
        return -1;
    boot_write_gdt(target, GDT, BOOT_CODE_LINUX);
    *entry = (struct boot_entry){ .eip = SETUP_KERNEL, .esi = ZERO_PAGE, .gdt = GDT,
                                  .code = BOOT_CODE_LINUX };
    return 0;
}
