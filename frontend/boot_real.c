/*
 * Real-mode images started by firmware. Reference: Linux, Documentation/arch/x86/boot.rst; the keys
 * of fw_cfg are those that other monitors use for the same parts.
 */
#include "frontend/boot_real.h"

#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "frontend/boot.h"
#include "frontend/boot_setup.h"
#include "frontend/error.h"
#include "frontend/option_rom.h"

/* Offsets in the real-mode part before protocol 2.02 */
enum { OLD_CMD_LINE_MAGIC = 0x20, OLD_CMD_LINE_OFFSET = 0x22, CMD_LINE_MAGIC = 0xa33f };
enum { DMA_READ = 2, DMA_SELECT = 8, PARAGRAPH = 16, CMD_LINE_SIZE = 4096 };

#define FIRMWARE_ROOM (16ull << 20) /* of the memory's end, which firmware may use */

extern const uint8_t boot_rom[], boot_rom_place[], boot_rom_table[];

/* Where the parts go: gpa, and offsets in the real-mode part's segment. */
struct layout {
    uint32_t setup, cmdline, kernel, kernel_end;
    uint16_t heap_end, stack;
};

/* Images from protocol 2.02 on may be anywhere; those before move to 0x90000 where they are not
 * there. What is not "loaded high" has its kernel below them. */
static const struct layout anywhere = {
    0x10000, 0x20000, SETUP_KERNEL, UINT32_MAX, 0xe000, 0xffe0,
};
static const struct layout old_high = {
    0x90000, 0x99000, SETUP_KERNEL, UINT32_MAX, 0x8c00, 0x8fe0,
};
static const struct layout old_low = { 0x90000, 0x99000, 0x10000, 0x90000, 0x8c00, 0x8fe0 };

static void put(uint8_t *bytes, unsigned offset, uint32_t value, unsigned size)
{
    memcpy(bytes + offset, &value, size);
}

static bool is_high(const uint8_t *head)
{
    return setup_version(head) && head[LOADFLAGS] & LOADED_HIGH;
}

static const struct layout *layout_of(const uint8_t *head)
{
    if (!is_high(head))
        return &old_low;
    return setup_version(head) < 0x202 ? &old_high : &anywhere;
}

/* Without a number nothing but the size tells an image from a disk. */
static bool is_unnumbered(const uint8_t *head, uint64_t size)
{
    uint64_t end = setup_size(head) + setup_get(head, SYSSIZE, 2) * PARAGRAPH;

    return head[SETUP_SECTS] && setup_get(head, SYSSIZE, 2) && size <= end &&
           size + PARAGRAPH > end;
}

/* No entry point, or no size: the setup code itself works out what else there is (memdisk). Old
 * images and those that are not loaded high have none for others either. */
static bool is_real(const uint8_t *head, uint64_t size)
{
    if (setup_get(head, BOOT_FLAG, 2) != 0xaa55)
        return false;
    if (!setup_version(head))
        return is_unnumbered(head, size);
    return layout_of(head) != &anywhere || !setup_get(head, CODE32_START, 4) ||
           !setup_get(head, SYSSIZE, 4);
}

/* A pipe is left alone: what is read from it would be gone. */
bool boot_real_is(const char *path)
{
    uint8_t head[HEADER_END];
    struct stat st;

    return image_head(path, head, sizeof(head)) == sizeof(head) && !stat(path, &st) &&
           is_real(head, (uint64_t)st.st_size);
}

bool boot_real_sets_mode(const char *append)
{
    int mode = setup_video_mode(append);

    return mode >= 0 && mode != VID_MODE_NORMAL;
}

/* --- The ROM -------------------------------------------------------------- */

static void put_big(uint8_t *at, uint64_t value, unsigned size)
{
    while (size--) {
        at[size] = value & 0xff;
        value >>= 8;
    }
}

/* One request to fw_cfg: key's bytes to gpa. */
static uint8_t *add_part(uint8_t *entry, unsigned key, uint32_t gpa, size_t size)
{
    if (!size)
        return entry;
    put_big(entry, key << 16 | DMA_SELECT | DMA_READ, 4);
    put_big(entry + 4, size, 4);
    put_big(entry + 8, gpa, 8);
    return entry + 16;
}

static void make_rom(struct boot_real *boot, const struct layout *at, uint32_t initrd)
{
    uint8_t *entry = boot->rom + (boot_rom_table - boot_rom);
    uint8_t *place = boot->rom + (boot_rom_place - boot_rom);

    memcpy(boot->rom, boot_rom, sizeof(boot->rom));
    put(place, BOOT_PLACE_SEGMENT, at->setup / PARAGRAPH, 2);
    put(place, BOOT_PLACE_STACK, at->stack, 2);
    entry = add_part(entry, BOOT_KEY_SETUP, at->setup, boot->setup_size);
    entry = add_part(entry, BOOT_KEY_CMDLINE, at->cmdline, strlen(boot->append) + 1);
    entry = add_part(entry, BOOT_KEY_KERNEL, at->kernel, boot->kernel.size - boot->setup_size);
    add_part(entry, BOOT_KEY_INITRD, initrd, boot->initrd.size);
    option_rom_seal(boot->rom, sizeof(boot->rom));
}

/* --- The parts ------------------------------------------------------------ */

/* Fields are later versions' additions: 2.00, 2.01 and 2.02. */
static void set_header(struct boot_real *boot, const struct layout *at, uint32_t initrd)
{
    uint8_t *head = boot->kernel.bytes;
    unsigned version = setup_version(head);
    int mode = setup_video_mode(boot->append);

    if (mode >= 0)
        put(head, VID_MODE, (uint32_t)mode, 2);
    if (version < 0x202) {
        put(head, OLD_CMD_LINE_MAGIC, CMD_LINE_MAGIC, 2);
        put(head, OLD_CMD_LINE_OFFSET, at->cmdline - at->setup, 2);
    }
    if (version >= 0x200) {
        head[TYPE_OF_LOADER] = LOADER_UNKNOWN;
        put(head, RAMDISK_IMAGE, boot->initrd.size ? initrd : 0, 4);
        put(head, RAMDISK_SIZE, (uint32_t)boot->initrd.size, 4);
    }
    if (version >= 0x201) {
        head[LOADFLAGS] |= CAN_USE_HEAP;
        put(head, HEAP_END_PTR, at->heap_end - 0x200u, 2);
    }
    if (version >= 0x202)
        put(head, CMD_LINE_PTR, at->cmdline, 4);
}

/* Where the kernel ends that others could start says its header; of an image that only firmware
 * can start there is nothing but its size. */
static uint64_t kernel_end(const struct boot_real *boot, const struct layout *at)
{
    if (!is_real(boot->kernel.bytes, boot->kernel.size))
        return setup_kernel_end(&boot->kernel);
    return at->kernel + boot->kernel.size - boot->setup_size;
}

static int place(struct boot_real *boot, const char *path, uint64_t memory, struct error *error)
{
    const struct layout *at = layout_of(boot->kernel.bytes);
    uint64_t end = memory > FIRMWARE_ROOM ? memory - FIRMWARE_ROOM : 0;
    uint64_t initrd_end = setup_initrd_end(boot->kernel.bytes);
    uint64_t low = kernel_end(boot, at), initrd;

    if (low > at->kernel_end && at == &old_low)
        return error_set(error, EX_DATAERR,
                         "kernel '%s': is too big for low memory, where an image of its protocol "
                         "goes; name a bzImage", path);
    if (end > initrd_end)
        end = initrd_end;
    if (low > at->kernel_end ||
        ((at != &old_low || boot->initrd.size) && low + boot->initrd.size + 4096 > end))
        return error_set(error, EX_DATAERR,
                         "kernel '%s': does not fit into the guest's %lluM; give it more with -m",
                         path, (unsigned long long)(memory >> 20));
    initrd = (end - boot->initrd.size) & ~4095ull;
    set_header(boot, at, (uint32_t)initrd);
    make_rom(boot, at, (uint32_t)initrd);
    return 0;
}

/* Of what firmware alone can start; the others are checked as where they start without. */
static int check_real(const struct boot *boot, const char *initrd, struct error *error)
{
    const uint8_t *head = boot->kernel.bytes;

    if (strlen(boot->append) >= CMD_LINE_SIZE)
        return error_set(error, EX_USAGE, "-append: %zu bytes are too many; 4095 are the most",
                         strlen(boot->append));
    if (initrd && !setup_version(head))
        return error_set(error, EX_USAGE, "kernel '%s': is too old to take a RAM disk; leave out "
                                          "-initrd", boot->kernel_path);
    return 0;
}

static int check(const struct boot *boot, const char *initrd, struct error *error)
{
    const struct image *kernel = &boot->kernel;
    bool real = kernel->size >= HEADER_END && is_real(kernel->bytes, kernel->size);

    if (!real && !boot_linux_is(kernel))
        return error_set(error, EX_DATAERR, "kernel '%s': has changed meanwhile; start again",
                         boot->kernel_path);
    if (real ? check_real(boot, initrd, error) : boot_linux_check(boot, error))
        return -1;
    if (kernel->size <= setup_size(kernel->bytes) ||
        setup_size(kernel->bytes) > layout_of(kernel->bytes)->heap_end)
        return error_set(error, EX_DATAERR, "kernel '%s': is cut short; get it again",
                         boot->kernel_path);
    return 0;
}

int boot_real_read(struct boot_real *real, const char *kernel, const char *initrd,
                   const char *append, uint64_t memory, struct error *error)
{
    struct boot boot;
    int err = boot_read(&boot, kernel, initrd, append, memory, error);

    if (!err)
        err = check(&boot, initrd, error);
    if (!err)
        err = boot_join_files(&boot, &real->initrd, error);
    if (!err) {
        real->append = append;
        real->setup_size = setup_size(boot.kernel.bytes);
        real->kernel = boot.kernel;
        boot.kernel = (struct image){ 0 };
        err = place(real, kernel, memory, error);
    }
    boot_free(&boot);
    return err;
}

void boot_real_free(struct boot_real *boot)
{
    image_free(&boot->kernel);
    image_free(&boot->initrd);
}
