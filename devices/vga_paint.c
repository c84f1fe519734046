/* Bringing a picture up to date: all of it when the mode changes, else what is dirty. On the
 * window's thread, or for a screenshot on the vcpu's. */
#include "devices/vga_state.h"

#include <stdlib.h>
#include <string.h>

struct painter {
    bool valid; /* the picture shows view, but for what is dirty */
    struct vga_view view;
    uint32_t *drawn; /* text: vga_text.c */
    size_t cells;
};

#define FIXED offsetof(struct vga_view, moving)

static void forget_cells(struct painter *p)
{
    for (size_t i = 0; i < p->cells; i++)
        p->drawn[i] = VGA_TEXT_UNKNOWN;
}

static bool size_cells(struct painter *p, size_t cells)
{
    if (p->cells == cells)
        return true;
    free(p->drawn);
    p->drawn = calloc(cells, sizeof(*p->drawn));
    p->cells = p->drawn ? cells : 0;
    return p->drawn;
}

static void paint_blank(struct display_picture *picture)
{
    memset(picture->pixels, 0, (size_t)picture->stride * picture->height * 4);
    display_add_rect(picture, 0, 0, picture->width, picture->height);
}

static void paint_lines(const struct vga_view *v, const uint8_t *vram, bool all,
                        const struct vga_dirty *dirty, struct display_picture *picture)
{
    for (unsigned y = 0; y < v->height; y++) {
        if (!all && !vga_view_line_dirty(v, y, dirty))
            continue;
        vga_graphics_line(v, vram, y, picture->pixels + (size_t)y * picture->stride);
        display_add_rect(picture, 0, y, v->width, 1);
    }
}

static void paint_text(struct painter *p, const struct vga_view *v, const uint8_t *vram, bool all,
                       struct display_picture *picture, uint64_t ms)
{
    if (!size_cells(p, vga_text_cells(v)))
        return;
    if (all || v->moving.fonts != p->view.moving.fonts ||
        v->moving.cursor_first != p->view.moving.cursor_first ||
        v->moving.cursor_last != p->view.moving.cursor_last)
        forget_cells(p);
    vga_text_draw(v, vram, p->drawn, picture, ms);
}

/* While the screen is off the size stays: it is set up in steps, and windows need not follow. */
static bool size_picture(struct display_picture *picture, const struct vga_view *v)
{
    if (v->kind != VGA_BLANK)
        return display_size(picture, v->width, v->height);
    return picture->pixels || display_size(picture, 720, 400);
}

static void paint_view(struct display_picture *picture, const struct vga_view *v,
                       const uint8_t *vram, const struct vga_dirty *dirty, uint64_t ms)
{
    struct painter *p = picture->painter;
    bool all = !p->valid || memcmp(v, &p->view, FIXED) != 0;

    p->valid = false;
    picture->again_ms = 0;
    if (!size_picture(picture, v))
        return;
    if (v->kind != VGA_TEXT)
        display_text_size(picture, 0, 0);
    if (v->kind == VGA_BLANK && all)
        paint_blank(picture);
    else if (v->kind == VGA_TEXT)
        paint_text(p, v, vram, all, picture, ms);
    else if (v->kind != VGA_BLANK)
        paint_lines(v, vram, all || v->moving.start != p->view.moving.start, dirty, picture);
    p->view = *v;
    p->valid = true;
}

static bool has_painter(struct display_picture *picture)
{
    if (!picture->painter)
        picture->painter = calloc(1, sizeof(struct painter));
    return picture->painter;
}

static void paint(void *chip, struct display_picture *picture, uint64_t ms)
{
    struct vga *vga = chip;
    const uint8_t *vram;
    struct vga_dirty dirty;
    struct vga_view view;

    pthread_mutex_lock(&vga->lock);
    view = vga->published.view;
    dirty = vga->published.dirty;
    vram = vga->published.vram;
    memset(&vga->published.dirty, 0, sizeof(dirty));
    pthread_mutex_unlock(&vga->lock);
    if (view.width && has_painter(picture))
        paint_view(picture, &view, vram, &dirty, ms);
}

static void shoot(void *chip, struct display_picture *picture)
{
    struct vga *vga = chip;
    struct vga_dirty all;
    struct vga_view view;

    memset(&all, 0xff, sizeof(all));
    vga_plain_sync(vga);
    vga_view_of(&vga->regs, &view);
    if (has_painter(picture))
        paint_view(picture, &view, vga->vram, &all, 0);
}

static void forget(void *chip, struct display_picture *picture)
{
    struct painter *p = picture->painter;

    (void)chip;
    if (p)
        free(p->drawn);
    free(p);
    picture->painter = NULL;
}

const struct display_chip vga_display_chip = {
    .paint = paint,
    .shoot = shoot,
    .forget = forget,
    .looked_at = vga_looked_at,
};
