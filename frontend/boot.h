/*
 * Loading a kernel into guest memory: what it is, where it goes, and how the CPU enters it.
 *
 * Each format has its file (boot_linux.c, boot_multiboot.c, boot_pvh.c, boot_elf.c); boot.c reads
 * the files and picks the format. Loaders see guest memory, the board's memory map and bytes, never
 * a CPU: a test gives them memory of its own. All enter flat 32-bit protected mode, paging off,
 * interrupts off, with a GDT of selectors 0x10 (code) and 0x18 (data).
 */
#ifndef FRONTEND_BOOT_H
#define FRONTEND_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/image.h"
#include "frontend/pc.h"

struct error;
struct vcpu;

#define BOOT_FILES_MAX 32

struct boot_target {
    struct physmem *mem;
    struct pc_e820 map[PC_E820_MAX];
    unsigned map_count;
    uint64_t rsdp;
    bool text_screen; /* a VGA in mode 3, as its BIOS leaves it */
};

/* One -initrd file: for Linux a part of the RAM disk, for multiboot a module. */
struct boot_file {
    char *path, *arguments; /* arguments "" when there are none */
    struct image image;
};

struct boot {
    const char *kernel_path, *append;
    struct image kernel;
    struct boot_file file[BOOT_FILES_MAX];
    unsigned files;
};

/* The CPU at the kernel's first instruction: general registers that matter, the others are 0. */
struct boot_entry {
    uint32_t eip, eax, ebx, esi, esp;
    uint32_t gdt;  /* gpa */
    uint16_t code; /* the selector in CS; the next one is in the others */
};

/*
 * Linux's boot protocol asks for its selectors. Multiboot leaves them open (3.2), and kernels are
 * about that load a GDT of their own and never CS: interrupts return then to whatever theirs has
 * there. These are the selectors of their GDTs, and of QEMU's loader, with which they were tried.
 */
enum { BOOT_CODE = 0x08, BOOT_CODE_LINUX = 0x10 };

/* ESP for kernels that are promised none: where a BIOS leaves its stack, too. */
enum { BOOT_STACK = 0x7c00 };

/* A disk rather than a kernel: qcow2, or it begins with a boot sector. */
bool boot_is_disk(const struct image *image);
bool boot_is_disk_file(const char *path); /* before it is read; false also if it cannot be */

/* The formats. is() looks at the first bytes only; load() checks the rest. */
bool boot_linux_is(const struct image *kernel);
bool boot_linux_is_file(const char *path); /* before it is read; false also if it cannot be */
int boot_linux_check(const struct boot *boot, struct error *error); /* 0: it can be loaded */
int boot_linux_load(struct boot *boot, const struct boot_target *target, struct boot_entry *entry,
                    struct error *error);
bool boot_multiboot_is(const struct image *kernel);
int boot_multiboot_load(const struct boot *boot, const struct boot_target *target,
                        struct boot_entry *entry, struct error *error);
bool boot_multiboot2_is(const struct image *kernel); /* which is not loaded */
bool boot_pvh_is(const struct boot *boot); /* an ELF file with a note of that entry point */
int boot_pvh_load(struct boot *boot, const struct boot_target *target, struct boot_entry *entry,
                  struct error *error);
bool boot_elf_is(const struct image *kernel);
int boot_elf_check(const struct boot *boot, struct error *error); /* 0: a kernel, not a program */
int boot_elf_load(const struct boot *boot, const struct boot_target *target,
                  struct boot_entry *entry, struct error *error);

/*
 * Reads the files that kernel and initrd (-initrd's value, may be NULL) name, each of limit bytes
 * at most; kernel and append stay the caller's. 0, or -1 with *error. boot_free() in both cases.
 */
int boot_read(struct boot *boot, const char *kernel, const char *initrd, const char *append,
              uint64_t limit, struct error *error);
void boot_free(struct boot *boot);

/* Moves the files into one RAM disk, which has no bytes if there are none; the caller frees it.
 * 0, or -1 with *error. */
int boot_join_files(struct boot *boot, struct image *disk, struct error *error);

/* Reads all of it, loads it and fills in *entry. 0, or -1 with *error; guest memory is undefined
 * then. */
int boot_load(const char *kernel, const char *initrd, const char *append,
              const struct boot_target *target, struct boot_entry *entry, struct error *error);

/* Puts a CPU fresh from its reset at the entry. */
void boot_enter(struct vcpu *vcpu, const struct boot_entry *entry);

/* --- For the loaders ---------------------------------------------------------- */

/* Is [gpa, gpa + size) all RAM that the memory map says is free? */
bool boot_is_free(const struct boot_target *target, uint64_t gpa, uint64_t size);

/* The highest place for size bytes, page-aligned, in free RAM, from low on and ending at or below
 * high; 0 when there is none. */
uint64_t boot_place_high(const struct boot_target *target, uint64_t size, uint64_t low,
                         uint64_t high);

/* Puts a RAM disk there, between low and high: its gpa, 0 without bytes. 0, or -1 with *error. */
int boot_place_disk(const struct boot *boot, const struct boot_target *target,
                    const struct image *disk, uint64_t low, uint64_t high, uint64_t *gpa,
                    struct error *error);

/* A GDT at gpa (32 bytes) with a segment of code at that selector, and one of data at the next. */
void boot_write_gdt(const struct boot_target *target, uint64_t gpa, unsigned code);

/* What is told of a plain ELF kernel that is given more: it may be Linux's. */
#define BOOT_ELF_LINUX " (Linux: name its bzImage, or a vmlinux with CONFIG_PVH)"

/* Has the ELF file a note of that name and type? Then *value is the first 4 bytes of it. */
bool boot_elf_note(const struct boot *boot, const char *name, uint32_t type, uint32_t *value);

/* An ELF file's segments at their physical addresses. The entry point is the header's, or at a gpa,
 * physical, where that is not NULL. */
struct boot_span {
    uint64_t low, high; /* gpa of all that was loaded */
    uint32_t entry;
};
int boot_elf_segments(const struct boot *boot, const struct boot_target *target,
                      const uint32_t *physical, struct boot_span *span, struct error *error);

/* "give it more memory", for a kernel that needs all of up to gpa high. */
int boot_no_room(const struct boot *boot, const struct boot_target *target, uint64_t high,
                 struct error *error);

#endif
