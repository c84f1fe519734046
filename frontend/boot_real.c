/*
 * Real-mode images started by firmware. Reference: Linux, Documentation/arch/x86/boot.rst; the keys
 * of fw_cfg are those that other monitors use for the same parts.
 */
#include "frontend/boot_real.h"

#include <string.h>
#include <sysexits.h>

#include "frontend/error.h"
#include "frontend/option_rom.h"

/* Offsets in the setup header */
enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    BOOT_FLAG = 0x1fe,
    MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224,
    CMD_LINE_PTR = 0x228,
    HEADER_END = 0x238,
};

enum { LOADED_HIGH = 1, CAN_USE_HEAP = 0x80, LOADER_UNKNOWN = 0xff, VERSION_MIN = 0x202 };
enum { DMA_READ = 2, DMA_SELECT = 8, SECTOR = 512, SETUP_MAX = 0xe000 };

#define FIRMWARE_ROOM (16ull << 20) /* of the memory's end, which firmware may use */

extern const uint8_t boot_rom[], boot_rom_table[];

static uint32_t get(const uint8_t *bytes, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, bytes + offset, size);
    return value;
}

static void put(uint8_t *bytes, unsigned offset, uint32_t value, unsigned size)
{
    memcpy(bytes + offset, &value, size);
}

/* No entry point, or no size: the setup code itself works out what else there is (memdisk). */
static bool is_real(const uint8_t *head)
{
    return get(head, BOOT_FLAG, 2) == 0xaa55 && !memcmp(head + MAGIC, "HdrS", 4) &&
           get(head, VERSION, 2) >= VERSION_MIN && head[LOADFLAGS] & LOADED_HIGH &&
           (!get(head, CODE32_START, 4) || !get(head, SYSSIZE, 4));
}

/* A pipe is left alone: what is read from it would be gone. */
bool boot_real_is(const char *path)
{
    uint8_t head[HEADER_END];

    return image_head(path, head, sizeof(head)) == sizeof(head) && is_real(head);
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

static void make_rom(struct boot_real *boot, uint32_t initrd)
{
    uint8_t *entry = boot->rom + (boot_rom_table - boot_rom);

    memcpy(boot->rom, boot_rom, sizeof(boot->rom));
    entry = add_part(entry, BOOT_KEY_SETUP, BOOT_SETUP, boot->setup_size);
    entry = add_part(entry, BOOT_KEY_CMDLINE, BOOT_CMDLINE, strlen(boot->append) + 1);
    entry = add_part(entry, BOOT_KEY_KERNEL, BOOT_KERNEL, boot->kernel.size - boot->setup_size);
    add_part(entry, BOOT_KEY_INITRD, initrd, boot->initrd.size);
    option_rom_seal(boot->rom, sizeof(boot->rom));
}

/* --- The parts ------------------------------------------------------------ */

static void set_header(struct boot_real *boot, uint32_t initrd)
{
    uint8_t *head = boot->kernel.bytes;

    head[TYPE_OF_LOADER] = LOADER_UNKNOWN;
    head[LOADFLAGS] |= CAN_USE_HEAP;
    put(head, HEAP_END_PTR, BOOT_HEAP_END, 2);
    put(head, CMD_LINE_PTR, BOOT_CMDLINE, 4);
    put(head, RAMDISK_IMAGE, boot->initrd.size ? initrd : 0, 4);
    put(head, RAMDISK_SIZE, (uint32_t)boot->initrd.size, 4);
}

static int place(struct boot_real *boot, const char *path, uint64_t memory, struct error *error)
{
    uint64_t end = memory > FIRMWARE_ROOM ? memory - FIRMWARE_ROOM : 0;
    uint64_t kernel_end = BOOT_KERNEL + boot->kernel.size - boot->setup_size, initrd;

    if (kernel_end + boot->initrd.size + 4096 > end)
        return error_set(error, EX_DATAERR,
                         "kernel '%s': does not fit into the guest's %lluM; give it more with -m",
                         path, (unsigned long long)(memory >> 20));
    initrd = (end - boot->initrd.size) & ~4095ull;
    set_header(boot, (uint32_t)initrd);
    make_rom(boot, (uint32_t)initrd);
    return 0;
}

int boot_real_read(struct boot_real *boot, const char *kernel, const char *initrd,
                   const char *append, uint64_t memory, struct error *error)
{
    const uint8_t *head;

    boot->append = append;
    if (image_read(&boot->kernel, kernel, "kernel", memory, error))
        return -1;
    head = boot->kernel.bytes;
    if (boot->kernel.size < HEADER_END || !is_real(head))
        return error_set(error, EX_DATAERR, "kernel '%s': has changed meanwhile; start again",
                         kernel);
    boot->setup_size = ((head[SETUP_SECTS] ? head[SETUP_SECTS] : 4) + 1u) * SECTOR;
    if (boot->kernel.size <= boot->setup_size || boot->setup_size > SETUP_MAX)
        return error_set(error, EX_DATAERR, "kernel '%s': is cut short; get it again", kernel);
    if (strlen(append) >= 4096)
        return error_set(error, EX_USAGE, "-append: %zu bytes are too many; 4095 are the most",
                         strlen(append));
    if (initrd && image_read(&boot->initrd, initrd, "initrd", memory, error))
        return -1;
    return place(boot, kernel, memory, error);
}

void boot_real_free(struct boot_real *boot)
{
    image_free(&boot->kernel);
    image_free(&boot->initrd);
}
