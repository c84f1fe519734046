/*
 * Plain 32-bit ELF kernels, and the ELF part of multiboot ones. Reference: System V ABI, chapters 4
 * and 5. Segments go to their physical addresses; nothing is passed (all general registers are 0
 * but ESP, which has a little stack).
 */
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/physmem.h"
#include "frontend/boot.h"
#include "frontend/error.h"

#define ROM_START 0xa0000  /* between the two parts of memory */
#define ROM_END   0x100000

bool boot_elf_is(const struct image *kernel)
{
    return kernel->size >= SELFMAG && !memcmp(kernel->bytes, ELFMAG, SELFMAG);
}

/* --- What it is ----------------------------------------------------------------- */

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_ARM: return "32-bit ARM";
    case EM_AARCH64: return "64-bit ARM";
    case EM_RISCV: return "RISC-V";
    case EM_PPC: case EM_PPC64: return "PowerPC";
    case EM_MIPS: return "MIPS";
    default: return "another CPU";
    }
}

static int wrong(const struct boot *boot, struct error *error, const char *what)
{
    return error_set(error, EX_DATAERR, "kernel '%s': %s", boot->kernel_path, what);
}

static int cut_short(const struct boot *boot, struct error *error)
{
    return wrong(boot, error, "the ELF file is damaged or cut short; get it again");
}

static int check_header(const struct boot *boot, Elf32_Ehdr *header, struct error *error)
{
    const struct image *kernel = &boot->kernel;
    char text[160];

    if (kernel->size < sizeof(*header))
        return cut_short(boot, error);
    memcpy(header, kernel->bytes, sizeof(*header));
    if (header->e_ident[EI_DATA] != ELFDATA2LSB)
        return wrong(boot, error, "a big-endian ELF file; name a 32-bit x86 kernel");
    if (header->e_ident[EI_CLASS] != ELFCLASS32 || header->e_machine != EM_386) {
        snprintf(text, sizeof(text),
                 "an ELF file for %s (%s bits); guests are 32-bit x86, name such a kernel",
                 machine_name(header->e_machine),
                 header->e_ident[EI_CLASS] == ELFCLASS64 ? "64" : "32");
        return wrong(boot, error, text);
    }
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
        return wrong(boot, error, "an ELF file, but no executable; link it at a fixed address");
    if (header->e_phentsize < sizeof(Elf32_Phdr) || !header->e_phnum ||
        header->e_phoff > kernel->size ||
        (uint64_t)header->e_phnum * header->e_phentsize > kernel->size - header->e_phoff)
        return cut_short(boot, error);
    return 0;
}

static void get_segment(const struct boot *boot, const Elf32_Ehdr *header, unsigned i,
                        Elf32_Phdr *ph)
{
    memcpy(ph, boot->kernel.bytes + header->e_phoff + i * header->e_phentsize, sizeof(*ph));
}

/*
 * What says that a file without a multiboot header is meant for Linux. One with a header is a
 * kernel, where compilers' defaults (position independence, C++'s unique symbols) leave the same.
 */
int boot_elf_check(const struct boot *boot, struct error *error)
{
    Elf32_Ehdr header;
    Elf32_Phdr ph;

    if (check_header(boot, &header, error))
        return -1;
    if (header.e_ident[EI_OSABI] == ELFOSABI_GNU)
        return wrong(boot, error, "a Linux program, not a kernel; name a kernel");
    if (header.e_type != ET_EXEC)
        return wrong(boot, error, "an ELF file, but no executable; link it at a fixed address");
    for (unsigned i = 0; i < header.e_phnum; i++) {
        get_segment(boot, &header, i, &ph);
        if (ph.p_type == PT_INTERP || ph.p_type == PT_TLS)
            return wrong(boot, error, "a program, not a kernel; name a kernel");
    }
    return 0;
}

/* --- Notes ------------------------------------------------------------------------ */

static uint64_t aligned(uint32_t size)
{
    return ((uint64_t)size + 3) & ~3ull;
}

static bool find_note(const uint8_t *at, uint64_t size, const char *name, uint32_t type,
                      uint32_t *value)
{
    size_t name_size = strlen(name) + 1;
    uint64_t text, end;
    Elf32_Nhdr note;

    for (; size >= sizeof(note); at += end, size -= end) {
        memcpy(&note, at, sizeof(note));
        text = sizeof(note) + aligned(note.n_namesz);
        end = text + aligned(note.n_descsz);
        if (end > size)
            return false;
        if (note.n_type == type && note.n_namesz == name_size &&
            !memcmp(at + sizeof(note), name, name_size) && note.n_descsz >= sizeof(*value)) {
            memcpy(value, at + text, sizeof(*value));
            return true;
        }
    }
    return false;
}

bool boot_elf_note(const struct boot *boot, const char *name, uint32_t type, uint32_t *value)
{
    const struct image *kernel = &boot->kernel;
    struct error ignored = { 0 };
    Elf32_Ehdr header;
    Elf32_Phdr ph;

    if (!boot_elf_is(kernel) || check_header(boot, &header, &ignored))
        return false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        get_segment(boot, &header, i, &ph);
        if (ph.p_type == PT_NOTE && ph.p_offset <= kernel->size &&
            ph.p_filesz <= kernel->size - ph.p_offset &&
            find_note(kernel->bytes + ph.p_offset, ph.p_filesz, name, type, value))
            return true;
    }
    return false;
}

/* --- Segments --------------------------------------------------------------------- */

/*
 * For a kernel linked at 1M linkers may map the file's own headers below that, where ROM is, and
 * where nobody reads them.
 */
static void clip_headers(Elf32_Phdr *ph)
{
    uint32_t cut = ROM_END - ph->p_paddr;

    if (ph->p_offset || ph->p_paddr < ROM_START || ph->p_paddr >= ROM_END)
        return;
    if (cut > ph->p_memsz)
        cut = ph->p_memsz;
    ph->p_offset += cut;
    ph->p_vaddr += cut;
    ph->p_paddr += cut;
    ph->p_memsz -= cut;
    ph->p_filesz -= cut < ph->p_filesz ? cut : ph->p_filesz;
}

static int load_segment(const struct boot *boot, const struct boot_target *target,
                        const Elf32_Phdr *ph, struct error *error)
{
    const struct image *kernel = &boot->kernel;
    char text[128];

    if (ph->p_filesz > ph->p_memsz || ph->p_offset > kernel->size ||
        ph->p_filesz > kernel->size - ph->p_offset)
        return cut_short(boot, error);
    if (!boot_is_free(target, ph->p_paddr, ph->p_memsz)) {
        uint64_t high = (uint64_t)ph->p_paddr + ph->p_memsz;

        if (high > target->mem->size)
            return boot_no_room(boot, target, high, error);
        snprintf(text, sizeof(text),
                 "wants to be loaded at 0x%x, which is not memory; link it at 1M or above",
                 ph->p_paddr);
        return wrong(boot, error, text);
    }
    physmem_write(target->mem, ph->p_paddr, kernel->bytes + ph->p_offset, ph->p_filesz);
    memset(physmem_ptr(target->mem, ph->p_paddr) + ph->p_filesz, 0, ph->p_memsz - ph->p_filesz);
    physmem_written(target->mem, ph->p_paddr, ph->p_memsz);
    return 0;
}

static bool holds(const Elf32_Phdr *ph, uint32_t start, uint32_t address)
{
    return address >= start && address - start < ph->p_memsz;
}

/* A kernel linked high names its entry by its virtual address. */
static void look_for_entry(const Elf32_Ehdr *header, const Elf32_Phdr *ph, const uint32_t *physical,
                           struct boot_span *span, bool *found)
{
    uint32_t entry = physical ? *physical : header->e_entry;

    if (!physical && holds(ph, ph->p_vaddr, entry)) {
        span->entry = entry - ph->p_vaddr + ph->p_paddr;
        *found = true;
    } else if (!*found && holds(ph, ph->p_paddr, entry)) {
        span->entry = entry;
        *found = true;
    }
}

static void widen(struct boot_span *span, const Elf32_Phdr *ph)
{
    uint64_t high = (uint64_t)ph->p_paddr + ph->p_memsz;

    if (ph->p_paddr < span->low)
        span->low = ph->p_paddr;
    if (high > span->high)
        span->high = high;
}

int boot_elf_segments(const struct boot *boot, const struct boot_target *target,
                      const uint32_t *physical, struct boot_span *span, struct error *error)
{
    bool found = false;
    Elf32_Ehdr header;
    Elf32_Phdr ph;

    if (check_header(boot, &header, error))
        return -1;
    *span = (struct boot_span){ .low = UINT64_MAX };
    for (unsigned i = 0; i < header.e_phnum; i++) {
        get_segment(boot, &header, i, &ph);
        clip_headers(&ph);
        if (ph.p_type != PT_LOAD || !ph.p_memsz)
            continue;
        if (load_segment(boot, target, &ph, error))
            return -1;
        look_for_entry(&header, &ph, physical, span, &found);
        widen(span, &ph);
    }
    if (!found)
        return wrong(boot, error, "its entry point is in none of its segments; link it again");
    return 0;
}

/* --- Plain kernels ---------------------------------------------------------------- */

int boot_elf_load(const struct boot *boot, const struct boot_target *target,
                  struct boot_entry *entry, struct error *error)
{
    struct boot_span span;
    uint64_t gdt;

    if (boot_elf_check(boot, error))
        return -1;
    if (*boot->append)
        return error_set(error, EX_USAGE,
                         "-append: '%s' is a plain ELF kernel and takes no command line; "
                         "leave it out" BOOT_ELF_LINUX,
                         boot->kernel_path);
    if (boot_elf_segments(boot, target, NULL, &span, error))
        return -1;
    gdt = boot_place_high(target, PAGE_SIZE, span.high, UINT32_MAX);
    if (!gdt)
        return boot_no_room(boot, target, span.high + PAGE_SIZE, error);
    boot_write_gdt(target, gdt, BOOT_CODE);
    *entry = (struct boot_entry){ .eip = span.entry, .esp = BOOT_STACK, .gdt = (uint32_t)gdt,
                                  .code = BOOT_CODE };
    return 0;
}
