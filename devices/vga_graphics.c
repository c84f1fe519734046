/*
 * Graphics modes, a line at a time.
 *
 * VGA's modes fetch a byte of each plane for a character clock: eight dots. They are eight pixels
 * of four bits (VGA_PLANAR), eight of two bits taken from alternate planes (VGA_CGA), or four
 * pixels of two dots each (VGA_PACKED). VGA_LINEAR has pixels one after the other.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem", shift registers.
 */
#include "devices/vga_state.h"

/* --- Shift registers: planes' bytes (plane 0 lowest) to eight colour numbers ------------------ */

static void shift_planar(uint32_t planes, uint8_t *out)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned bit = 7 - i;

        out[i] = (planes >> bit & 1) | (planes >> (8 + bit) & 1) << 1 |
                 (planes >> (16 + bit) & 1) << 2 | (planes >> (24 + bit) & 1) << 3;
    }
}

static void shift_cga(uint32_t planes, uint8_t *out)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned odd = i / 4 * 8, at = 6 - i % 4 * 2;

        out[i] = (planes >> (odd + at) & 3) | (planes >> (16 + odd + at) & 3) << 2;
    }
}

static void shift_packed(uint32_t planes, uint8_t *out)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(planes >> i / 2 * 8);
}

/* --- VGA's lines -------------------------------------------------------- */

static void vga_line(const struct vga_view *v, const uint8_t *vram, unsigned y, uint32_t *out)
{
    void (*const shift)(uint32_t, uint8_t *) = v->kind == VGA_PLANAR ? shift_planar
                                               : v->kind == VGA_CGA  ? shift_cga
                                                                     : shift_packed;
    const uint8_t mask = v->kind == VGA_PACKED ? 0xff : v->plane_mask;
    const uint32_t *planes = (const uint32_t *)(const void *)vram;
    struct vga_line at = vga_view_at(v, y);
    unsigned dots = v->clocks * 8, pan = at.pan;
    uint8_t colour[8];

    for (unsigned dot = 0; dot < dots; dot++) {
        unsigned place = dot + pan;

        if (!dot || place % 8 == 0)
            shift(planes[vga_view_address(v, at.count + place / 8, at.line)], colour);
        for (unsigned r = 0; r < v->repeat; r++)
            *out++ = v->colour[colour[place % 8] & mask];
    }
}

/* --- Linear lines ------------------------------------------------------- */

static uint32_t wide5(uint32_t value)
{
    return (value & 31) << 3 | (value & 31) >> 2;
}

static uint32_t wide6(uint32_t value)
{
    return (value & 63) << 2 | (value & 63) >> 4;
}

static void line_15(const uint8_t *in, unsigned width, uint32_t *out)
{
    for (unsigned i = 0; i < width; i++, in += 2) {
        uint32_t v = in[0] | (uint32_t)in[1] << 8;

        out[i] = wide5(v >> 10) << 16 | wide5(v >> 5) << 8 | wide5(v);
    }
}

static void line_16(const uint8_t *in, unsigned width, uint32_t *out)
{
    for (unsigned i = 0; i < width; i++, in += 2) {
        uint32_t v = in[0] | (uint32_t)in[1] << 8;

        out[i] = wide5(v >> 11) << 16 | wide6(v >> 5) << 8 | wide5(v);
    }
}

static void line_24(const uint8_t *in, unsigned width, uint32_t *out)
{
    for (unsigned i = 0; i < width; i++, in += 3)
        out[i] = in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16;
}

/* base and pitch are multiples of 32: the width in pixels is one of 8. */
static void line_32(const uint8_t *in, unsigned width, uint32_t *out)
{
    const uint32_t *pixel = (const uint32_t *)(const void *)in;

    for (unsigned i = 0; i < width; i++)
        out[i] = pixel[i] & 0xffffff;
}

static void linear_line(const struct vga_view *v, const uint8_t *in, uint32_t *out)
{
    switch (v->bpp) {
    case 15: line_15(in, v->width, out); break;
    case 16: line_16(in, v->width, out); break;
    case 24: line_24(in, v->width, out); break;
    case 32: line_32(in, v->width, out); break;
    default:
        for (unsigned i = 0; i < v->width; i++)
            out[i] = v->colour[in[i]];
        break;
    }
}

void vga_graphics_line(const struct vga_view *v, const uint8_t *vram, unsigned y, uint32_t *out)
{
    if (v->kind == VGA_LINEAR)
        linear_line(v, vram + v->base + y * v->pitch, out);
    else
        vga_line(v, vram, y, out);
}
