/*
 * Text modes: cells of a character and an attribute, drawn with the fonts in plane 2.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem".
 * Modelled:  8 and 9 dots, any height, two fonts, blinking, the cursor, underlines in monochrome,
 *            panning, split screens.
 *
 * Only cells that show something else than last time are drawn.
 */
#include "devices/vga_state.h"

#include <string.h>

#define CURSOR_MS 114 /* eight pictures of 70 a second */
#define BLINK_MS  228
#define GLYPH_SIZE 32

enum { KEY_CURSOR = 1 << 16, KEY_HIDDEN = 1 << 17 };

struct row {
    unsigned y, lines; /* scan lines of the picture */
    struct vga_line at;
};

struct phase {
    bool cursor, blink; /* these are shown now */
};

/* A hidden column at the right comes in when panned. */
static unsigned columns(const struct vga_view *v)
{
    return v->clocks + 1;
}

size_t vga_text_cells(const struct vga_view *v)
{
    return (size_t)columns(v) * (v->height / v->row_lines + 4);
}

static struct row row_at(const struct vga_view *v, unsigned y)
{
    struct row row = { .y = y, .at = vga_view_at(v, y) };
    unsigned end = v->height;

    if (y <= v->line_compare && v->line_compare < end)
        end = v->line_compare + 1;
    row.lines = v->row_lines - row.at.scan;
    if (row.lines > end - y)
        row.lines = end - y;
    return row;
}

static uint32_t cell_key(const struct vga_view *v, const uint8_t *vram, uint32_t count,
                         struct phase phase)
{
    const uint8_t *cell = vram + vga_view_address(v, count, 0) * 4;
    uint32_t key = cell[0] | (uint32_t)cell[1] << 8;

    if (v->moving.cursor_on && phase.cursor && (count & 0xffff) == v->moving.cursor)
        key |= KEY_CURSOR;
    if (v->blink && !phase.blink && cell[1] & 0x80)
        key |= KEY_HIDDEN;
    return key;
}

/* --- A cell ------------------------------------------------------------- */

/* The dots of a line, leftmost in bit dots - 1. */
static unsigned glyph_line(const struct vga_view *v, const uint8_t *vram, uint32_t key,
                           unsigned line)
{
    unsigned code = key & 0xff, attribute = key >> 8 & 0xff;
    uint32_t at = v->font[attribute >> 3 & 1] + code * GLYPH_SIZE + line;
    unsigned dots = vram[at * 4 + 2];

    if (key & KEY_HIDDEN)
        dots = 0;
    if (v->dots == 9)
        dots = dots << 1 | (v->line_graphics && (code & 0xe0) == 0xc0 ? dots & 1 : 0);
    if (line == v->underline && (attribute & 0x77) == 1)
        dots = 0x1ff;
    if (key & KEY_CURSOR && line >= v->moving.cursor_first && line <= v->moving.cursor_last)
        dots = 0x1ff;
    return dots;
}

static void draw_line(const struct vga_view *v, unsigned dots, uint32_t fore, uint32_t back, int x,
                      uint32_t *out)
{
    for (unsigned i = v->dots; i-- > 0; x += (int)v->repeat) {
        uint32_t colour = dots >> i & 1 ? fore : back;

        for (int r = x; r < x + (int)v->repeat; r++)
            if (r >= 0 && r < (int)v->width)
                out[r] = colour;
    }
}

static void draw_cell(const struct vga_view *v, const uint8_t *vram, uint32_t key,
                      const struct row *row, int x, struct display_picture *picture)
{
    unsigned attribute = key >> 8 & 0xff;
    uint32_t fore = v->colour[attribute & 15 & v->plane_mask];
    uint32_t back = v->colour[(attribute >> 4 & (v->blink ? 7 : 15)) & v->plane_mask];

    for (unsigned i = 0; i < row->lines; i++) {
        unsigned dots = glyph_line(v, vram, key, (row->at.scan + i) >> v->line_shift);

        draw_line(v, dots, fore, back, x, picture->pixels + (row->y + i) * picture->stride);
    }
}

/* --- The screen --------------------------------------------------------- */

static void draw_row(const struct vga_view *v, const uint8_t *vram, const struct row *row,
                     uint32_t *drawn, struct display_picture *picture, struct phase phase)
{
    unsigned width = v->dots * v->repeat, first = UINT32_MAX, last = 0;

    for (unsigned column = 0; column < columns(v); column++) {
        uint32_t key = cell_key(v, vram, row->at.count + column, phase);
        int x = (int)(column * width) - (int)(row->at.pan * v->repeat);

        picture->again_ms = picture->again_ms || (v->blink && key & 0x8000) ? CURSOR_MS : 0;
        if (drawn[column] == key)
            continue;
        drawn[column] = key;
        draw_cell(v, vram, key, row, x, picture);
        if (first == UINT32_MAX)
            first = x < 0 ? 0 : (unsigned)x;
        last = x + (int)width > (int)v->width ? v->width : (unsigned)(x + (int)width);
    }
    if (first < last)
        display_add_rect(picture, first, row->y, last - first, row->lines);
}

static void tell_cells(const struct vga_view *v, const uint8_t *vram, unsigned number,
                       const struct row *row, struct display_text *text)
{
    if (number >= text->rows)
        return;
    for (unsigned i = 0; i < text->columns; i++) {
        const uint8_t *cell = vram + vga_view_address(v, row->at.count + i, 0) * 4;

        text->cell[number * text->columns + i] = (uint16_t)(cell[0] | cell[1] << 8);
        if (v->moving.cursor_on && ((row->at.count + i) & 0xffff) == v->moving.cursor &&
            v->moving.cursor_first <= v->moving.cursor_last) {
            text->cursor_column = (int)i;
            text->cursor_row = (int)number;
        }
    }
}

void vga_text_draw(const struct vga_view *v, const uint8_t *vram, uint32_t *drawn,
                   struct display_picture *picture, uint64_t ms)
{
    struct phase phase = { !(ms / CURSOR_MS & 1), !(ms / BLINK_MS & 1) };
    struct display_text *text = &picture->text;
    unsigned number = 0;

    text->cursor_column = text->cursor_row = -1;
    text->blinks = v->blink;
    memcpy(text->colour, v->colour, sizeof(text->colour));
    picture->again_ms = v->moving.cursor_on ? CURSOR_MS : 0;
    display_text_size(picture, v->clocks, v->height / v->row_lines);
    for (unsigned y = 0; y < v->height; number++) {
        struct row row = row_at(v, y);

        draw_row(v, vram, &row, drawn + (size_t)number * columns(v), picture, phase);
        tell_cells(v, vram, number, &row, text);
        y += row.lines;
    }
}
