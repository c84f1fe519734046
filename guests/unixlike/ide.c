/*
 * Two disks of the first IDE channel, by programmed I/O. An interrupt ends what has been started.
 *
 * Reference: ATA-3, 9.6 and 9.7 (PIO in and out), 7.9 (device control).
 */
#include "guests/unixlike/unixlike.h"

enum { IDE = 0x1f0, COUNT = 2, LBA = 3, DEVICE = 6, COMMAND = 7, STATUS = 7, CONTROL = 0x3f6 };
enum { BUSY = 0x80, READY = 0x40, FAILED = 0x21, LBA_MODE = 0xe0, SECOND = 0x10 };
enum { READ_SECTORS = 0x20, WRITE_SECTORS = 0x30, LONGS = SECTOR / 4 };

static struct {
    void *to;          /* NULL: a write */
    volatile bool busy;
} request;
static bool has_second;

static void wait_ready(void)
{
    uint8_t status;

    do
        status = inb(IDE + STATUS);
    while ((status & (BUSY | READY)) != READY);
    if (status & FAILED)
        panic("disk: status %x", status);
}

void ide_init(void)
{
    apic_enable(IRQ_IDE);
    wait_ready();
    outb(IDE + DEVICE, LBA_MODE | SECOND);
    for (unsigned i = 0; i < 1000 && !has_second; i++)
        has_second = inb(IDE + STATUS) != 0;
    outb(IDE + DEVICE, LBA_MODE);
    print("ide: %u disks\n", 1 + has_second);
}

static void start(unsigned disk, uint32_t sector, uint8_t command)
{
    wait_ready();
    outb(CONTROL, 0); /* interrupts, please */
    outb(IDE + COUNT, 1);
    for (unsigned i = 0; i < 3; i++)
        outb(IDE + LBA + i, sector >> 8 * i);
    outb(IDE + DEVICE, LBA_MODE | (disk ? SECOND : 0) | (sector >> 24 & 15));
    request.busy = true;
    outb(IDE + COMMAND, command);
}

static void wait_for_interrupt(void)
{
    while (request.busy) {
        sti_hlt();
        cli();
    }
}

void ide_interrupt(void)
{
    void *to = request.to;
    uint32_t longs = LONGS;

    if (!request.busy)
        return;
    wait_ready();
    if (to)
        __asm__ volatile("rep insl" : "+D"(to), "+c"(longs) : "d"(IDE) : "memory");
    request.busy = false;
}

void ide_read(unsigned disk, uint32_t sector, void *to)
{
    if (disk && !has_second)
        panic("no second disk");
    request.to = to;
    start(disk, sector, READ_SECTORS);
    wait_for_interrupt();
}

void ide_write(unsigned disk, uint32_t sector, const void *from)
{
    uint32_t longs = LONGS;

    request.to = NULL;
    start(disk, sector, WRITE_SECTORS);
    __asm__ volatile("rep outsl" : "+S"(from), "+c"(longs) : "d"(IDE) : "memory");
    wait_for_interrupt();
}
