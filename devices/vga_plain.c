/*
 * The window as plain memory: while a byte of the processor's is one byte of the planes, the guest
 * reaches a linear copy of them, the image, and the chip hears nothing of it.
 *
 *            PATIENCE accesses, no register that matters written          write to such a register,
 *            --------------------------------------------------->         to the frame buffer,
 *   device                                                        plain   reset, snapshot
 *            <---------------------------------------------------
 *              all of the image is folded into the planes
 *
 * Three states are linear: chain 4 with all planes (mode 13h), odd/even with planes 0 and 1 (text
 * modes, CGA's graphics), and plane 2 alone in a text mode (fonts being loaded). In them groups of
 * 4, 2 or 1 bytes of the open window lie together in the planes, byte n's at vram[4 * n].
 *
 *  W1. While it is plain, the image has the bytes and the planes may be behind. Who looks at the
 *      planes folds first: vga_plain_collect() before a refresh, vga_plain_sync() before a
 *      screenshot. Nobody else writes the planes meanwhile: the frame buffer's first 256 KiB are
 *      the chip's, and an access there leaves the plain state.
 *  W2. Leaving folds all of the image, whatever traces say; only a refresh goes by traces.
 *  W3. It becomes plain between two of the guest's instructions (a timer that is due at once), a
 *      device again before the access that asks for it returns.
 *  W4. Each change costs the guest its cached translations. So that changes for ever cost little, a
 *      short stay doubles the accesses to wait for; a long one forgives.
 *
 * Not: latches. Reads of plain memory do not load them; they keep what the last read through the
 *      chip has loaded. What can tell the difference reads in a linear state after PATIENCE
 *      accesses, and has the latches written in another state with no read in between.
 */
#include "devices/vga_state.h"

#include <string.h>

#define PATIENCE     320u /* more than a font has glyphs, which come in runs */
#define PATIENCE_MAX 16384u
#define LONG_STAY_NS 100000ull

enum { CHUNK = VGA_PAGE / 4 }; /* so much of the image is a page of video memory */

/* --- When it is linear -------------------------------------------------- */

/* Neither latches nor rotation nor set/reset have a part in what is written and read. */
static bool is_direct(const struct vga_regs *r)
{
    return !r->gr[1] && !r->gr[3] && r->gr[8] == 0xff && !(r->gr[5] & (GR5_READ_MODE | 3));
}

/* The group's size and its first plane; false: bytes are not so simple. */
static bool is_linear(const struct vga_regs *r, uint8_t *group, uint8_t *plane)
{
    unsigned planes = r->sr[2] & 15;
    bool chained = r->gr[6] & GR6_CHAIN && r->gr[5] & GR5_ODD_EVEN;
    bool separate = !(r->gr[6] & GR6_CHAIN) && !(r->gr[5] & GR5_ODD_EVEN);

    *plane = 0;
    if (r->sr[4] & SR4_CHAIN_4) {
        *group = 4;
        return planes == 15;
    }
    if (!is_direct(r))
        return false;
    if (!(r->sr[4] & SR4_NO_ODD_EVEN)) {
        *group = 2;
        return chained && planes == 3 && !(r->gr[4] & 2);
    }
    *group = 1;
    *plane = 2;
    return separate && planes == 4 && r->gr[4] == 2 && !(r->gr[6] & GR6_GRAPHICS);
}

/* Of all 128 KiB, one half is the other; a window of VBE's has banks. */
static struct vga_linear linear_of(const struct vga_regs *r)
{
    struct vga_linear l = { 0 };
    uint8_t group, plane;

    if (r->vbe[VBE_ENABLE] & VBE_ENABLED || !(r->gr[6] & GR6_MAP) ||
        !is_linear(r, &group, &plane))
        return l;
    vga_window(r, &l.base, &l.size);
    l.group = group;
    l.plane = plane;
    return l;
}

static bool same(const struct vga_linear *a, const struct vga_linear *b)
{
    return a->base == b->base && a->size == b->size && a->group == b->group &&
           a->plane == b->plane;
}

/* --- Image and planes --------------------------------------------------- */

/* The differences of a chunk's groups, as the planes' dwords have them. Inline, so that each size
 * of groups gets a loop of its own. */
static inline uint32_t fold_groups(uint32_t *planes, const uint8_t *image, unsigned plane,
                                   unsigned group)
{
    uint32_t mask = (uint32_t)((1ull << 8 * group) - 1) << 8 * plane, changed = 0;

    for (uint32_t at = 0; at < CHUNK; at += group) {
        uint32_t value = 0, differs;

        memcpy(&value, image + at, group);
        differs = (planes[at] ^ value << 8 * plane) & mask;
        if (differs)
            planes[at] ^= differs;
        changed |= differs;
    }
    return changed;
}

static inline void fill_groups(uint8_t *image, const uint8_t *planes, uint32_t size,
                               unsigned group)
{
    for (uint32_t at = 0; at < size; at += group)
        memcpy(image + at, planes + 4 * at, group);
}

/* Did the planes change? first: of the image's chunk. */
static bool fold_chunk(struct vga *vga, uint32_t first)
{
    const struct vga_linear *l = &vga->plain.linear;
    const uint8_t *image = vga->config.window + l->base + first;
    uint32_t *planes = (uint32_t *)(void *)vga->vram + first, changed;

    switch (l->group) {
    case 4: changed = fold_groups(planes, image, l->plane, 4); break;
    case 2: changed = fold_groups(planes, image, l->plane, 2); break;
    default: changed = fold_groups(planes, image, l->plane, 1); break;
    }
    vga->regs.fonts += !!(changed & 0xff0000);
    return changed;
}

static void fold(struct vga *vga, uint32_t first, uint32_t end)
{
    for (uint32_t at = first; at < end; at += CHUNK)
        if (fold_chunk(vga, at))
            vga_mark(vga, at * 4, VGA_PAGE);
}

static void fill(struct vga *vga)
{
    const struct vga_linear *l = &vga->plain.linear;
    const uint8_t *planes = vga->vram + l->plane;
    uint8_t *image = vga->config.window + l->base;

    switch (l->group) {
    case 4: fill_groups(image, planes, l->size, 4); break;
    case 2: fill_groups(image, planes, l->size, 2); break;
    default: fill_groups(image, planes, l->size, 1); break;
    }
}

/* --- To and fro --------------------------------------------------------- */

/* No store to what has just been opened is heard of until a refresh has asked for that. */
static void reopen(struct vga *vga, uint32_t base, uint32_t size)
{
    vga->config.open(vga->config.board, base, size);
    vga_changed(vga);
}

static void enter(void *arg)
{
    struct vga *vga = arg;
    struct vga_plain *p = &vga->plain;

    if (p->on || p->wait || !p->linear.size)
        return; /* the registers have changed since it was time */
    fill(vga);
    p->on = true;
    p->since_ns = clock_now_ns(vga->config.clock);
    vga->counters.plain++;
    reopen(vga, p->linear.base, p->linear.size);
}

static void wait_again(struct vga *vga)
{
    struct vga_plain *p = &vga->plain;

    p->wait = p->linear.size && vga->config.window ? p->patience : 0;
}

void vga_plain_leave(struct vga *vga)
{
    struct vga_plain *p = &vga->plain;

    if (!p->on)
        return;
    p->on = false;
    reopen(vga, 0, 0);
    fold(vga, 0, p->linear.size);
    if (clock_now_ns(vga->config.clock) - p->since_ns >= LONG_STAY_NS)
        p->patience = PATIENCE;
    else if (p->patience < PATIENCE_MAX)
        p->patience *= 2;
    wait_again(vga);
}

void vga_plain_check(struct vga *vga)
{
    struct vga_linear now = linear_of(&vga->regs);

    if (same(&now, &vga->plain.linear))
        return;
    vga_plain_leave(vga);
    vga->plain.linear = now;
    wait_again(vga);
}

void vga_plain_due(struct vga *vga)
{
    timer_arm(&vga->plain.enter, vga->config.clock, clock_now_ns(vga->config.clock));
}

/* --- Looking ------------------------------------------------------------ */

void vga_plain_collect(struct vga *vga)
{
    const struct vga_linear *l = &vga->plain.linear;
    uint32_t written = vga->config.opened(vga->config.board) >> l->base / VGA_PAGE;

    for (uint32_t page = 0; page < l->size / VGA_PAGE; page++)
        if (written >> page & 1)
            fold(vga, page * VGA_PAGE, (page + 1) * VGA_PAGE);
}

void vga_plain_sync(struct vga *vga)
{
    if (vga->plain.on)
        fold(vga, 0, vga->plain.linear.size);
}

void vga_plain_init(struct vga *vga)
{
    vga->plain = (struct vga_plain){ .enter = { .fire = enter, .arg = vga },
                                     .patience = PATIENCE };
}
