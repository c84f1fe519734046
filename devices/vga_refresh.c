/*
 * What has changed on the screen, and publishing it; on the vcpu's thread.
 *
 *   quiet --a register or memory changed--> armed --REFRESH_NS later: refresh--> quiet
 *
 * Nothing runs while nothing changes. A refresh asks to be told of the next write to each page
 * that is shown before it publishes what was written: what the guest writes while the window's
 * thread draws makes its page dirty again. Nobody looks: no timer, no faults; all is dirty when
 * somebody does.
 */
#include "devices/vga_state.h"

#include <string.h>

#define REFRESH_NS 30000000ull /* 33 pictures a second */

static void set_bit(struct vga_dirty *dirty, uint32_t page)
{
    dirty->page[page / 64] |= 1ull << page % 64;
}

static void arm(struct vga *vga)
{
    if (vga->looked_at && !vga->refresh.clock)
        timer_arm(&vga->refresh, vga->config.clock,
                  clock_now_ns(vga->config.clock) + REFRESH_NS);
}

void vga_changed(struct vga *vga)
{
    arm(vga);
}

void vga_mark(struct vga *vga, uint32_t offset, uint32_t size)
{
    uint32_t last = (offset + size - 1) / VGA_PAGE;

    if (vga->mapped && vga->config.stored)
        vga->config.stored(vga->config.board, offset, size);
    if (!vga->looked_at)
        return;
    for (uint32_t page = offset / VGA_PAGE; page <= last && page < VGA_PAGES; page++)
        set_bit(&vga->dirty, page);
    arm(vga);
}

void vga_mark_all(struct vga *vga)
{
    if (vga->mapped && vga->config.stored)
        vga->config.stored(vga->config.board, 0, VGA_VRAM_SIZE);
    memset(&vga->dirty, 0xff, sizeof(vga->dirty));
    arm(vga);
}

void vga_touched(struct vga *vga)
{
    arm(vga);
}

/* What the guest has stored by itself, where it can be seen. */
static void collect(struct vga *vga)
{
    uint32_t first, end;
    struct vga_view view;

    if (vga->plain.on) {
        vga_plain_collect(vga);
        return;
    }
    vga_view_of(&vga->regs, &view);
    vga_view_pages(&view, &first, &end);
    if (vga->mapped && vga->config.collect && first < end)
        vga->config.collect(vga->config.board, first, end - first, vga->dirty.page);
}

void vga_refresh_now(void *dev)
{
    struct vga *vga = dev;
    struct vga_view view;

    collect(vga);
    timer_cancel(&vga->refresh); /* what that has found is published now */
    vga_view_of(&vga->regs, &view);
    vga->counters.refreshes++;
    pthread_mutex_lock(&vga->lock);
    vga->published.view = view;
    vga->published.vram = vga->vram;
    for (unsigned i = 0; i < VGA_PAGE_WORDS; i++) {
        vga->counters.pages += (unsigned)__builtin_popcountll(vga->dirty.page[i]);
        vga->published.dirty.page[i] |= vga->dirty.page[i];
        vga->dirty.page[i] = 0;
    }
    pthread_mutex_unlock(&vga->lock);
    if (vga->config.display)
        display_published(vga->config.display);
}

void vga_refresh_init(struct vga *vga)
{
    vga->refresh = (struct timer){ .fire = vga_refresh_now, .arg = vga };
    pthread_mutex_init(&vga->lock, NULL);
}

void vga_looked_at(void *chip, bool yes)
{
    struct vga *vga = chip;

    vga->looked_at = yes;
    if (yes)
        vga_mark_all(vga);
    else
        timer_cancel(&vga->refresh);
}
