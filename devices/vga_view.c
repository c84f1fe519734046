/*
 * From registers to what is shown: sizes, the CRTC's addresses, fonts, colours.
 *
 * The CRTC counts character clocks from the start address; each line of a row of characters counts
 * from the same place, and the next row begins row_step later. A count becomes an offset in the
 * planes by a shift (byte, word, double word addressing), and two of its bits may be taken
 * from the line's number instead (CGA's and Hercules' interleaved lines).
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem", CRT controller.
 * Modelled:  start address, split screen, row preset, panning by dots and by bytes, doubled lines
 *            and dots, all address modes, attribute palette and colour select, DAC mask.
 * Not:       interlace, borders (overscan), the CRTC's count by 2 and 4; bits 1:0 of double word
 *            addresses are 0 here, and so they are for the processor in chain 4.
 */
#include "devices/vga_state.h"

#include <string.h>

#define CR9_DOUBLE   0x80
#define CR14_DWORD   0x40
#define CR17_A13     0x01 /* clear: from the line's number */
#define CR17_A14     0x02
#define CR17_MA15    0x20 /* in word mode A0 is MA15, else MA13 */
#define CR17_BYTES   0x40

/* --- Colours ------------------------------------------------------------ */

static uint32_t dac_colour(const struct vga_regs *r, unsigned index)
{
    const uint8_t *rgb = &r->dac[(index & r->dac_mask) * 3];
    uint32_t colour = 0;

    for (unsigned i = 0; i < 3; i++) {
        unsigned part = rgb[i];

        if (!(r->vbe[VBE_ENABLE] & VBE_DAC_8BIT))
            part = (part & 0x3f) << 2 | (part & 0x3f) >> 4;
        colour = colour << 8 | part;
    }
    return colour;
}

static unsigned attribute_colour(const struct vga_regs *r, unsigned index)
{
    unsigned colour = r->ar[index];

    if (r->ar[0x10] & AR10_COLOUR_54)
        colour = (colour & 0x0f) | (r->ar[0x14] & 3u) << 4;
    return (colour & 0x3f) | (r->ar[0x14] >> 2 & 3u) << 6;
}

static void set_colours(const struct vga_regs *r, struct vga_view *v)
{
    bool direct = v->kind == VGA_PACKED || v->kind == VGA_LINEAR;

    for (unsigned i = 0; i < 256; i++)
        v->colour[i] = dac_colour(r, direct ? i : attribute_colour(r, i & 15));
}

/* --- Linear modes ------------------------------------------------------- */

static void set_linear(const struct vga_regs *r, struct vga_view *v)
{
    v->kind = VGA_LINEAR;
    v->width = r->vbe[VBE_XRES];
    v->height = r->vbe[VBE_YRES];
    v->bpp = r->vbe[VBE_BPP];
    v->pitch = (uint32_t)r->vbe[VBE_VIRT_WIDTH] * ((v->bpp + 1) / 8);
    v->base = (uint32_t)r->vbe[VBE_Y_OFFSET] * v->pitch +
              (uint32_t)r->vbe[VBE_X_OFFSET] * ((v->bpp + 1) / 8);
    if (v->bpp != 8)
        memset(v->colour, 0, sizeof(v->colour));
    else
        set_colours(r, v);
}

/* --- VGA ---------------------------------------------------------------- */

static enum vga_kind kind_of(const struct vga_regs *r)
{
    if (!(r->gr[6] & GR6_GRAPHICS))
        return VGA_TEXT;
    if (r->gr[5] & GR5_256)
        return VGA_PACKED;
    return r->gr[5] & GR5_INTERLEAVE ? VGA_CGA : VGA_PLANAR;
}

static void set_addresses(const struct vga_regs *r, struct vga_view *v)
{
    const uint8_t *cr = r->cr;

    v->plane_offsets = vga_plane_mask(r);
    v->row_step = cr[0x13] * 2u;
    v->line_shift = cr[9] & CR9_DOUBLE ? 1 : 0;
    v->row_lines = ((cr[9] & 0x1fu) + 1) << v->line_shift;
    v->preset_line = cr[8] & 0x1f;
    v->line_compare =
        r->splits ? cr[0x18] | (cr[7] & 0x10u) << 4 | (cr[9] & 0x40u) << 3 : UINT32_MAX;
    v->pan_stops = r->ar[0x10] & AR10_PAN_STOPS;
    v->a13_line = !(cr[0x17] & CR17_A13);
    v->a14_line = !(cr[0x17] & CR17_A14);
    v->count_shift = cr[0x14] & CR14_DWORD ? 2 : cr[0x17] & CR17_BYTES ? 0 : 1;
    v->count_wrap = cr[0x17] & CR17_MA15 ? 15 : 13;
    v->moving.start = (uint32_t)cr[0x0c] << 8 | cr[0x0d];
    if (v->kind != VGA_TEXT)
        v->moving.start += cr[8] >> 5 & 3;
}

/* 8 is no panning where cells have 9 dots; 256-colour pixels take two dots. */
static unsigned panning(const struct vga_regs *r, const struct vga_view *v)
{
    unsigned pan = r->ar[0x13] & 15;

    if (v->kind == VGA_TEXT && v->dots == 9)
        return pan >= 8 ? 0 : pan + 1;
    return pan & 7;
}

static unsigned font_offset(unsigned select)
{
    return (select & 3) * 0x4000 + (select & 4 ? 0x2000 : 0);
}

static void set_text(const struct vga_regs *r, struct vga_view *v)
{
    unsigned sr3 = r->sr[3];
    const uint8_t *cr = r->cr;

    v->dots = r->sr[1] & SR1_8_DOTS ? 8 : 9;
    v->font[0] = font_offset((sr3 & 3) | (sr3 >> 4 & 1) << 2);
    v->font[1] = font_offset((sr3 >> 2 & 3) | (sr3 >> 5 & 1) << 2);
    v->line_graphics = r->ar[0x10] & AR10_LINE_GRAPHICS;
    v->blink = r->ar[0x10] & AR10_BLINK;
    v->underline = cr[0x14] & 0x1f;
    v->moving.fonts = r->fonts;
    v->moving.cursor = (uint32_t)cr[0x0e] << 8 | cr[0x0f];
    v->moving.cursor_first = cr[0x0a] & 0x1f;
    v->moving.cursor_last = cr[0x0b] & 0x1f;
    v->moving.cursor_on = !(cr[0x0a] & 0x20);
}

static void set_vga(const struct vga_regs *r, struct vga_view *v)
{
    bool vbe = r->vbe[VBE_ENABLE] & VBE_ENABLED;

    v->kind = kind_of(r);
    v->repeat = r->sr[1] & SR1_HALF_CLOCK && !vbe ? 2 : 1;
    v->clocks = r->cr[1] + 1u;
    v->height = (r->cr[0x12] | (r->cr[7] & 2u) << 7 | (r->cr[7] & 0x40u) << 3) + 1;
    v->plane_mask = r->ar[0x12] & 15;
    set_addresses(r, v);
    v->dots = 8;
    if (v->kind == VGA_TEXT)
        set_text(r, v);
    if (vbe) {
        v->clocks = r->vbe[VBE_XRES] / 8;
        v->height = r->vbe[VBE_YRES];
        v->row_step = r->vbe[VBE_VIRT_WIDTH] / 8;
        v->row_lines = 1;
        v->line_shift = v->count_shift = 0;
        v->line_compare = UINT32_MAX;
        v->a13_line = v->a14_line = false;
        v->moving.start = r->vbe[VBE_Y_OFFSET] * v->row_step + r->vbe[VBE_X_OFFSET] / 8;
    }
    v->pan = panning(r, v);
    v->width = v->clocks * v->dots * v->repeat;
    set_colours(r, v);
}

void vga_view_of(const struct vga_regs *r, struct vga_view *v)
{
    memset(v, 0, sizeof(*v));
    if (vga_vbe_linear(r))
        set_linear(r, v);
    else
        set_vga(r, v);
    if (!(r->ar_index & AR_PALETTE_ON) || (v->kind != VGA_LINEAR && r->sr[1] & SR1_OFF))
        v->kind = VGA_BLANK;
}

/* --- Addresses ---------------------------------------------------------- */

struct vga_line vga_view_at(const struct vga_view *v, unsigned y)
{
    unsigned line = y + v->preset_line, row;
    struct vga_line at = { .count = v->moving.start, .pan = v->pan };

    if (y > v->line_compare) {
        line = y - v->line_compare - 1;
        at.count = 0;
        if (v->pan_stops)
            at.pan = 0;
    }
    row = line / v->row_lines;
    at.count += row * v->row_step;
    at.scan = line % v->row_lines;
    at.line = at.scan >> v->line_shift;
    return at;
}

uint32_t vga_view_address(const struct vga_view *v, uint32_t count, unsigned line)
{
    uint32_t at = count << v->count_shift;

    if (v->count_shift == 1)
        at |= count >> v->count_wrap & 1;
    if (v->a13_line)
        at = (at & ~0x2000u) | (line & 1) << 13;
    if (v->a14_line)
        at = (at & ~0x4000u) | (line & 2) << 13;
    return at & v->plane_offsets;
}

static bool any_dirty(const struct vga_dirty *dirty, uint32_t first, uint32_t last)
{
    for (uint32_t page = first / VGA_PAGE; page <= last / VGA_PAGE; page++)
        if (vga_is_dirty(dirty, page))
            return true;
    return false;
}

bool vga_view_line_dirty(const struct vga_view *v, unsigned y, const struct vga_dirty *dirty)
{
    struct vga_line at;
    uint32_t first, last;

    if (v->kind == VGA_LINEAR) {
        first = v->base + y * v->pitch;
        return any_dirty(dirty, first, first + v->width * ((v->bpp + 1) / 8) - 1);
    }
    at = vga_view_at(v, y);
    first = vga_view_address(v, at.count, at.line);
    last = vga_view_address(v, at.count + v->clocks, at.line); /* one more: panning shows it */
    if (last < first)
        return true; /* it wraps */
    return any_dirty(dirty, first * 4, last * 4 + 3);
}

void vga_view_pages(const struct vga_view *v, uint32_t *first, uint32_t *end)
{
    *first = *end = 0;
    if (v->kind == VGA_LINEAR) {
        *first = v->base / VGA_PAGE;
        *end = (v->base + (v->height - 1) * v->pitch + v->width * ((v->bpp + 1) / 8) - 1) /
                   VGA_PAGE + 1;
    } else if (v->kind != VGA_BLANK) {
        *end = (v->plane_offsets + 1) * 4 / VGA_PAGE;
    }
}
