/*
 * VGA with Bochs VBE extensions as PCI function 1234:1111 has it: ports 0x3b0 to 0x3df and 0x1ce,
 * memory at 0xa0000, a linear frame buffer (BAR 0), the same registers in memory (BAR 2), and the
 * expansion ROM with its BIOS.
 */
#ifndef DEVICES_VGA_H
#define DEVICES_VGA_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct clock;
struct display;
struct pci_bus;
struct snap;
struct vga;

enum {
    VGA_VRAM_SIZE = 16 << 20,
    VGA_PAGE = 4096,
    VGA_WINDOW_SIZE = 128 << 10, /* at 0xa0000 */
    VGA_PLANES_SIZE = 256 << 10, /* what VGA itself can address: 64 KiB in each of four planes */
};

struct vga_config {
    struct bus *ports, *memory;
    struct pci_bus *pci; /* NULL: no PCI function, the frame buffer cannot be seen */
    unsigned slot;
    struct clock *clock;
    struct display *display; /* NULL: nobody will ever look */

    /* The guest has BAR 0 at gpa now (PCI_NOWHERE: not any more): makes memory of it and returns
     * where that is, valid until the chip ends. NULL: memory the guest reaches through the memory
     * bus. map itself may be NULL: so it is always. */
    uint8_t *(*map)(void *board, uint64_t gpa);
    /* For memory that map() made: sets the bits of pages [first, first + count) of video memory
     * that the guest has written since the last time, and has vga_touched() called at its next
     * write to one of them. */
    void (*collect)(void *board, uint32_t first, uint32_t count, uint64_t *written);
    /* The chip itself has written [offset, offset + size) of it. */
    void (*stored)(void *board, uint32_t offset, uint32_t size);

    /* Host memory that the guest can be given at 0xa0000, VGA_WINDOW_SIZE; NULL: the guest always
     * reaches the window through the memory bus. */
    uint8_t *window;
    /* [base, base + size) of the window is memory from now on, and the rest is not; size 0: none
     * is. While any is, the first VGA_PLANES_SIZE of the frame buffer are not. */
    void (*open)(void *board, uint32_t base, uint32_t size);
    /* A bit for each page of the window that the guest has written since the last time, or that
     * has been opened since; vga_touched() as for collect(). */
    uint32_t (*opened)(void *board);
    void *board;

    const uint8_t *rom; /* the BIOS; NULL: none */
    uint32_t rom_size;
};

/* NULL with errno set when something else is at its addresses or memory is out. */
struct vga *vga_create(const struct vga_config *config);
void vga_destroy(struct vga *vga);

/* Video memory is cleared, too: each power-on looks the same. */
void vga_reset(struct vga *vga);
void vga_snapshot(struct vga *vga, struct snap *snap); /* without video memory */

/* The guest has written to the frame buffer, see collect(). */
void vga_touched(struct vga *vga);

/* [offset, offset + size) of the window as the guest would read it, without loading the latches or
 * anything else that it could see. False: some of it is not open. */
bool vga_peek(struct vga *vga, uint32_t offset, void *to, uint64_t size);

/* What a video BIOS leaves: 80x25 text (mode 3), with the font from that ROM or a plain one. For
 * guests that start without firmware. */
void vga_text_mode(struct vga *vga);

struct vga_counters {
    uint64_t refreshes;  /* pictures published */
    uint64_t pages;      /* that had changed in these */
    uint64_t plain;      /* times that the window became memory */
};

/* Good as long as the chip is; for tests. */
const struct vga_counters *vga_counters(const struct vga *vga);

#endif
