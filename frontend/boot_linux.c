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
#include "frontend/error.h"

#define ZERO_PAGE 0x10000
#define GDT       0x11000
#define CMDLINE   0x12000
#define KERNEL    0x100000

/* Offsets of the setup header's fields, in the file and in the zero page */
enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    BOOT_FLAG = 0x1fe,
    JUMP = 0x200, /* its second byte says where the header ends */
    MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END = 0x290,
};

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

#define HDRS           0x53726448u /* "HdrS" */
#define VERSION_MIN    0x0202      /* has CMD_LINE_PTR; Linux 2.4 has 0x0203 */
#define LOADED_HIGH    0x01
#define XLF_KERNEL_64  0x01
#define LOADER_UNKNOWN 0xff
#define CMDLINE_OLD    255
#define INITRD_MAX_OLD 0x37ffffff
#define SECTOR         512

struct kernel {
    const uint8_t *bytes;
    size_t size;
    unsigned version;
    size_t setup_size; /* of the real-mode part, in the file */
};

static uint32_t get(const struct kernel *kernel, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, kernel->bytes + offset, size);
    return value;
}

bool boot_linux_is(const struct image *image)
{
    struct kernel kernel = { image->bytes, image->size, 0, 0 };

    return image->size >= 2 * SECTOR && get(&kernel, BOOT_FLAG, 2) == 0xaa55 &&
           get(&kernel, MAGIC, 4) == HDRS;
}

bool boot_linux_is_file(const char *path)
{
    uint8_t head[2 * SECTOR];

    return boot_linux_is(&(struct image){ head, image_head(path, head, sizeof(head)) });
}

/* --- What it is ------------------------------------------------------------------- */

static int wrong(const struct boot *boot, struct error *error, const char *what)
{
    return error_set(error, EX_DATAERR, "kernel '%s': %s", boot->kernel_path, what);
}

static int check(const struct boot *boot, struct kernel *kernel, struct error *error)
{
    unsigned sectors;
    uint64_t needed;

    *kernel = (struct kernel){ boot->kernel.bytes, boot->kernel.size, 0, 0 };
    kernel->version = get(kernel, VERSION, 2);
    sectors = kernel->bytes[SETUP_SECTS] ? kernel->bytes[SETUP_SECTS] : 4;
    kernel->setup_size = (sectors + 1) * SECTOR;
    if (kernel->version < VERSION_MIN || !(kernel->bytes[LOADFLAGS] & LOADED_HIGH))
        return wrong(boot, error, "an old Linux kernel (boot protocol before 2.02, or zImage), "
                                  "which has to be a file and not gzipped; unpack it");
    needed = get(kernel, SYSSIZE, kernel->version < 0x204 ? 2 : 4);
    needed = kernel->setup_size + needed * 16;
    /* Some linkers' scripts round the size up, and leave the last paragraph short. */
    if (kernel->size <= kernel->setup_size || kernel->size + 15 < needed)
        return wrong(boot, error, "the Linux kernel is cut short; get it again");
    if (!get(kernel, CODE32_START, 4))
        return wrong(boot, error, "no 32-bit entry point: it starts in real mode and needs a BIOS, "
                                  "which novt does not have; name a Linux kernel");
    if (kernel->version >= 0x20c && get(kernel, XLOADFLAGS, 2) & XLF_KERNEL_64)
        return wrong(boot, error, "a 64-bit Linux kernel; name a 32-bit one (linux-image-686)");
    return 0;
}

/* --- Where it goes ---------------------------------------------------------------- */

/* The end of the memory that the kernel uses before it looks at the memory map. */
static uint64_t kernel_end(const struct kernel *kernel)
{
    uint64_t end = KERNEL + kernel->size - kernel->setup_size, init_end;
    uint64_t preferred = KERNEL;

    if (kernel->version < 0x20a)
        return end;
    memcpy(&preferred, kernel->bytes + PREF_ADDRESS, sizeof(preferred));
    if (preferred < KERNEL)
        preferred = KERNEL;
    if (preferred > UINT32_MAX)
        return preferred;
    init_end = preferred + get(kernel, INIT_SIZE, 4);
    return init_end > end ? init_end : end;
}

static int place_kernel(const struct boot *boot, const struct boot_target *target,
                        const struct kernel *kernel, struct error *error)
{
    uint64_t end = kernel_end(kernel);

    if (end < KERNEL || !boot_is_free(target, KERNEL, end - KERNEL))
        return boot_no_room(boot, target, end, error);
    physmem_write(target->mem, KERNEL, kernel->bytes + kernel->setup_size,
                  kernel->size - kernel->setup_size);
    return 0;
}

/* Each archive begins at a multiple of 4, as the cpio format wants; the kernel skips zeroes. */
static uint64_t padded(uint64_t size)
{
    return (size + 3) & ~3ull;
}

static int place_initrd(const struct boot *boot, const struct boot_target *target,
                        const struct kernel *kernel, uint64_t *gpa, uint64_t *size,
                        struct error *error)
{
    uint64_t max = kernel->version < 0x203 ? INITRD_MAX_OLD : get(kernel, INITRD_ADDR_MAX, 4), at;

    *gpa = *size = 0;
    for (unsigned i = 0; i < boot->files; i++)
        *size = padded(*size) + boot->file[i].image.size;
    if (!*size)
        return 0;
    *gpa = boot_place_high(target, *size, kernel_end(kernel), max + 1);
    if (!*gpa)
        return error_set(error, EX_DATAERR,
                         "initrd '%s': its %lluM do not fit behind the kernel in the guest's "
                         "%lluM; "
                         "give it more with -m",
                         boot->file[0].path, (unsigned long long)((*size + (1u << 20) - 1) >> 20),
                         (unsigned long long)(target->mem->size >> 20));
    at = *gpa;
    for (unsigned i = 0; i < boot->files; i++) {
        at = padded(at);
        physmem_write(target->mem, at, boot->file[i].image.bytes, boot->file[i].image.size);
        at += boot->file[i].image.size;
    }
    return 0;
}

static int place_cmdline(const struct boot *boot, const struct boot_target *target,
                         const struct kernel *kernel, struct error *error)
{
    size_t size = strlen(boot->append);
    size_t max = kernel->version < 0x206 ? CMDLINE_OLD : get(kernel, CMDLINE_SIZE, 4);

    if (size > max || !boot_is_free(target, CMDLINE, size + 1))
        return error_set(error, EX_USAGE,
                         "-append: %zu bytes are too many for this kernel; it takes %zu", size,
                         max);
    physmem_write(target->mem, CMDLINE, boot->append, size + 1);
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

static void write_zero_page(const struct boot_target *target, const struct kernel *kernel,
                            uint64_t initrd, uint64_t initrd_size)
{
    unsigned end = MAGIC + kernel->bytes[JUMP + 1];
    uint8_t page[PAGE_SIZE] = { 0 };

    if (end > HEADER_END)
        end = HEADER_END;
    memcpy(page + SETUP_SECTS, kernel->bytes + SETUP_SECTS, end - SETUP_SECTS);
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

int boot_linux_load(const struct boot *boot, const struct boot_target *target,
                    struct boot_entry *entry, struct error *error)
{
    uint64_t initrd, initrd_size;
    struct kernel kernel;

    if (check(boot, &kernel, error) || place_kernel(boot, target, &kernel, error) ||
        place_initrd(boot, target, &kernel, &initrd, &initrd_size, error) ||
        place_cmdline(boot, target, &kernel, error))
        return -1;
    write_zero_page(target, &kernel, initrd, initrd_size);
    boot_write_gdt(target, GDT, BOOT_CODE_LINUX);
    *entry = (struct boot_entry){ .eip = KERNEL, .esi = ZERO_PAGE, .gdt = GDT,
                                  .code = BOOT_CODE_LINUX };
    return 0;
}
