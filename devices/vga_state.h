/*
 * The VGA's state, shared by its files alone:
 *
 *   vga.c           life, PCI, the monitor's side; what a BIOS would leave
 *   vga_ports.c     sequencer, CRTC, graphics and attribute controllers, DAC, input status
 *   vga_memory.c    0xa0000 to 0xbffff: planes, latches, read and write modes
 *   vga_plain.c     the same as plain memory, where the registers allow it
 *   vga_vbe.c       Bochs VBE, the frame buffer, registers in memory, EDID
 *   vga_view.c      from registers to what is shown: struct vga_view
 *   vga_refresh.c   what has changed, and publishing it
 *   vga_text.c, vga_graphics.c, vga_paint.c   from a view and video memory to pixels
 *
 * Video memory holds plane p's byte n at vram[4 * n + p]; that is also the order of the frame
 * buffer. Guest writes race with drawing: what was drawn half is drawn again, since the write has
 * marked its page after the drawing began.
 */
#ifndef DEVICES_VGA_STATE_H
#define DEVICES_VGA_STATE_H

#include <pthread.h>

#include "base/clock.h"
#include "devices/display.h"
#include "devices/pci.h"
#include "devices/pci_rom.h"
#include "devices/vga.h"

enum {
    VGA_PAGES = VGA_VRAM_SIZE / VGA_PAGE,
    VGA_PAGE_WORDS = VGA_PAGES / 64,
    VGA_WINDOW = 0xa0000,
};

/* Sequencer */
#define SR1_8_DOTS     0x01
#define SR1_HALF_CLOCK 0x08
#define SR1_OFF        0x20
#define SR4_NO_ODD_EVEN 0x04
#define SR4_CHAIN_4    0x08
/* Graphics controller */
#define GR5_READ_MODE  0x08
#define GR5_ODD_EVEN   0x10
#define GR5_INTERLEAVE 0x20 /* CGA's two bits a pixel */
#define GR5_256        0x40
#define GR6_GRAPHICS   0x01
#define GR6_CHAIN      0x02 /* A0 selects the plane */
#define GR6_MAP        0x0c /* the open part of the window; 0: all */
/* Attribute controller */
#define AR10_LINE_GRAPHICS 0x04
#define AR10_BLINK     0x08
#define AR10_PAN_STOPS 0x20
#define AR10_COLOUR_54 0x80
#define AR_PALETTE_ON  0x20 /* of the index register */
/* Miscellaneous output */
#define MISC_COLOUR    0x01

enum vbe_register {
    VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT,
    VBE_X_OFFSET, VBE_Y_OFFSET, VBE_MEMORY_64K, VBE_COUNT
};

#define VBE_ENABLED  0x01
#define VBE_GETCAPS  0x02
#define VBE_BANK_32K 0x10
#define VBE_DAC_8BIT 0x20
#define VBE_LFB      0x40
#define VBE_NO_CLEAR 0x80

#define VBE_MAX_X 2560
#define VBE_MAX_Y 1600

struct vga_regs {
    uint8_t misc, feature;
    uint8_t sr_index, sr[8];
    uint8_t gr_index, gr[16];
    uint8_t cr_index, cr[32];
    uint8_t ar_index, ar[32]; /* bit 5 of the index: the screen is on */
    bool ar_data;             /* the next write to 0x3c0 is data */
    bool splits;              /* line compare has been written: until then no line is the last */
    uint8_t dac[768], dac_mask, dac_read, dac_write, dac_part, dac_state;
    uint32_t latch; /* a byte of each plane, plane 0 lowest */
    uint16_t vbe_index, vbe[VBE_COUNT];
    uint32_t fonts; /* counts writes to plane 2 */
};

struct vga_dirty {
    uint64_t page[VGA_PAGE_WORDS];
};

enum vga_kind { VGA_BLANK, VGA_TEXT, VGA_PLANAR, VGA_CGA, VGA_PACKED, VGA_LINEAR };

/* What decides how video memory is shown. Made by memset and assignment, compared by memcmp. */
struct vga_view {
    enum vga_kind kind;
    unsigned width, height;  /* of the picture */
    unsigned repeat;         /* pixels for each dot across: 2 with a halved dot clock */
    unsigned clocks;         /* character clocks in a line */
    unsigned row_step;       /* address counts from one row of characters to the next */
    unsigned row_lines;      /* scan lines in such a row, with doubling */
    unsigned line_shift;     /* 1: each line of the font or of the picture is shown twice */
    unsigned preset_line;
    unsigned line_compare;
    unsigned pan;            /* dots to the left */
    bool pan_stops;          /* below the split */
    bool a13_line, a14_line; /* these address bits come from the line's number in the row */
    unsigned count_shift;    /* 0, 1, 2: byte, word, double word addressing */
    unsigned count_wrap;     /* the bit that comes round into bit 0 (word addressing) */
    /* Text */
    unsigned dots, font[2];  /* a cell's width; the fonts' offsets by attribute bit 3 */
    bool line_graphics, blink;
    unsigned underline;
    uint8_t plane_mask;
    /* Linear */
    unsigned bpp, pitch;     /* pitch: bytes */
    uint32_t base;           /* of the first pixel */
    uint32_t plane_offsets;  /* mask */
    uint32_t colour[256];

    /* What may change without all being drawn anew. */
    struct {
        uint32_t start, fonts, cursor;
        uint8_t cursor_first, cursor_last;
        bool cursor_on;
    } moving;
};

/* How the window is linear, see vga_plain.c. */
struct vga_linear {
    uint32_t base, size; /* what is open, from VGA_WINDOW on; size 0: it is not linear */
    uint8_t group, plane;
};

struct vga_plain {
    struct vga_linear linear; /* as the registers have it now */
    bool on;                  /* the guest reaches it as memory */
    uint32_t wait;            /* accesses until then; 0: it is, or never */
    uint32_t patience;        /* what wait starts with */
    uint64_t since_ns;
    struct timer enter;
};

enum { VGA_WINDOWS = 5 }; /* on the port bus */

struct vga_window {
    struct vga *vga;
    uint16_t base;
};

struct vga {
    struct vga_config config;
    struct vga_window window[VGA_WINDOWS];
    struct vga_regs regs;
    struct vga_plain plain;
    uint8_t *vram; /* of the board or ours; never gone while we live, so drawing needs no lock */
    uint8_t *own_vram;
    bool mapped; /* vram is the board's, and the guest stores to it */
    uint8_t edid[128];
    struct pci_function pci;
    struct pci_rom rom;

    /* vga_refresh.c; the vcpu's thread. */
    bool looked_at;
    struct timer refresh;
    struct vga_dirty dirty; /* written by ourselves since the last refresh */
    struct vga_counters counters;

    pthread_mutex_t lock; /* of published: the window's thread takes it from there */
    struct {
        struct vga_view view;
        struct vga_dirty dirty;
        const uint8_t *vram;
    } published;
};

/* --- vga_ports.c --- */
uint8_t vga_port_read(struct vga *vga, uint16_t port);
void vga_port_write(struct vga *vga, uint16_t port, uint8_t value);
int vga_ports_claim(struct vga *vga);

/* --- vga_memory.c --- */
int vga_memory_claim(struct vga *vga);
/* What is open of the window: offset from VGA_WINDOW, and size. */
void vga_window(const struct vga_regs *regs, uint32_t *base, uint32_t *size);

/* --- vga_plain.c --- */
void vga_plain_init(struct vga *vga);
void vga_plain_check(struct vga *vga); /* a register that may matter has changed */
void vga_plain_leave(struct vga *vga); /* the planes are about to be read or written */
void vga_plain_due(struct vga *vga);
void vga_plain_collect(struct vga *vga); /* while it is on: folds what has been written */
void vga_plain_sync(struct vga *vga);    /* folds all of it, if it is on */

/* The chip has been asked for so many bytes of the window at once. A KiB of a run costs as much as
 * a single byte. */
static inline void vga_plain_count(struct vga *vga, uint32_t bytes)
{
    uint32_t accesses = 1 + bytes / 1024;

    if (vga->plain.wait > accesses) {
        vga->plain.wait -= accesses;
    } else if (vga->plain.wait) {
        vga->plain.wait = 0;
        vga_plain_due(vga);
    }
}

/* --- vga_vbe.c --- */
int vga_vbe_claim(struct vga *vga);
void vga_vbe_reset(struct vga *vga);
bool vga_vbe_linear(const struct vga_regs *regs); /* memory and picture are VBE's, not VGA's */
uint32_t vga_vbe_bank(const struct vga_regs *regs); /* byte offset of 0xa0000 */
uint32_t vga_plane_mask(const struct vga_regs *regs); /* of offsets in a plane */
extern const struct bus_ops vga_vram_ops, vga_registers_ops;

/* --- vga_view.c --- */
void vga_view_of(const struct vga_regs *regs, struct vga_view *view);
/* Whether a page that the line is drawn from is dirty. */
bool vga_view_line_dirty(const struct vga_view *view, unsigned y, const struct vga_dirty *dirty);
/* The pages that the picture may be drawn from, [first, end). */
void vga_view_pages(const struct vga_view *view, uint32_t *first, uint32_t *end);
/* The lines' place in the split screen: address count of the row, line in it, dots to the left. */
struct vga_line {
    uint32_t count;
    unsigned line; /* of the font or of CGA's interleaving */
    unsigned scan; /* the same before doubling */
    unsigned pan;
};
struct vga_line vga_view_at(const struct vga_view *view, unsigned y);
/* Offset in a plane of an address count at that line of a row. */
uint32_t vga_view_address(const struct vga_view *view, uint32_t count, unsigned line);

/* --- vga_refresh.c --- */
void vga_refresh_init(struct vga *vga);
void vga_changed(struct vga *vga); /* a register that is shown */
void vga_mark(struct vga *vga, uint32_t offset, uint32_t size);
void vga_mark_all(struct vga *vga);
void vga_refresh_now(void *vga);
void vga_looked_at(void *vga, bool yes);

static inline bool vga_is_dirty(const struct vga_dirty *dirty, uint32_t page)
{
    return dirty->page[page / 64 % VGA_PAGE_WORDS] >> page % 64 & 1;
}

/* --- vga_paint.c --- */
extern const struct display_chip vga_display_chip; /* without .chip */

/* --- vga_text.c, vga_graphics.c --- */
/* drawn: what each cell shows, vga_text_cells() of them; VGA_TEXT_UNKNOWN draws it in any case. */
#define VGA_TEXT_UNKNOWN UINT32_MAX
void vga_text_draw(const struct vga_view *view, const uint8_t *vram, uint32_t *drawn,
                   struct display_picture *picture, uint64_t ms);
size_t vga_text_cells(const struct vga_view *view);
void vga_graphics_line(const struct vga_view *view, const uint8_t *vram, unsigned y,
                       uint32_t *out);

/* --- vga_font.c --- */
const uint8_t *vga_font_in(const uint8_t *rom, uint32_t size); /* 256 x 16 bytes, or NULL */
void vga_font_plain(uint8_t glyph[256][16]);

#endif
