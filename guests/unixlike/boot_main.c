/*
 * The rest of the boot sector: reads the ELF kernel behind it, by programmed I/O from the first IDE
 * disk, a sector at a time, to its physical addresses, and jumps to it. It does not come back from
 * a kernel; from a disk without one it does.
 *
 * Reference: System V ABI, chapter 5; ATA-3, 7.15 (status), 9.6 (PIO in), READ SECTORS (20h).
 */
#include "guests/lib/x86.h"

/* Not by <elf.h>: a 32-bit C library's headers are no part of what builds novt. */
struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

void boot_main(void);

enum { SECTOR = 512, FIRST = 1, HEADER = 0x10000 };
enum { IDE = 0x1f0, COUNT = 2, LBA = 3, DEVICE = 6, COMMAND = 7, STATUS = 7 };
enum { BUSY_READY = 0xc0, READY = 0x40, LBA_MASTER = 0xe0, READ_SECTORS = 0x20 };

static void wait_ready(void)
{
    while ((inb(IDE + STATUS) & BUSY_READY) != READY)
        ;
}

static void read_sector(void *to, uint32_t sector)
{
    uint32_t words = SECTOR / 4;

    wait_ready();
    outb(IDE + COUNT, 1);
    for (unsigned i = 0; i < 3; i++)
        outb(IDE + LBA + i, sector >> 8 * i);
    outb(IDE + DEVICE, sector >> 24 | LBA_MASTER);
    outb(IDE + COMMAND, READ_SECTORS);
    wait_ready();
    __asm__ volatile("rep insl" : "+D"(to), "+c"(words) : "d"(IDE) : "memory");
}

/* Bytes from an offset in the file. Whole sectors: more may be written before and behind. */
static void read_file(uint32_t gpa, uint32_t count, uint32_t offset)
{
    uint32_t end = gpa + count;

    gpa -= offset % SECTOR;
    for (offset = offset / SECTOR + FIRST; gpa < end; gpa += SECTOR)
        read_sector((void *)gpa, offset++);
}

void boot_main(void)
{
    const struct elf_header *elf = (const struct elf_header *)HEADER;
    const struct program_header *ph, *end;

    read_file(HEADER, 8 * SECTOR, 0);
    if (*(const uint32_t *)elf->ident != 0x464c457f) /* 7f "ELF" */
        return;
    ph = (const struct program_header *)(HEADER + elf->phoff);
    for (end = ph + elf->phnum; ph < end; ph++) {
        uint32_t zeros = ph->memsz - ph->filesz;
        uint8_t *behind = (uint8_t *)ph->paddr + ph->filesz;

        read_file(ph->paddr, ph->filesz, ph->offset);
        __asm__ volatile("rep stosb" : "+D"(behind), "+c"(zeros) : "a"(0) : "memory");
    }
    ((void (*)(void))elf->entry)();
}
