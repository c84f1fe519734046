/*
 * Any accesses to a VGA whose window becomes plain memory, and to one that always answers: what the
 * guest reads and what is shown is the same.
 *
 * No pixel is drawn: pictures follow from registers and planes, and of windows from the pages that
 * are told to have changed. These are compared. What is drawn from them is fuzz_vga's, and
 * unit_vga_plain's.
 */
#include <stdlib.h>

#include "devices/vga_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/vga_pair.h"

static void port_access(struct fuzz *fuzz, struct vga_pair *p, uint16_t base, uint16_t count)
{
    struct fuzz_access access = fuzz_pick(fuzz, 2, base, count);

    if (access.read)
        pair_in(p, (uint16_t)access.address, access.size);
    else
        pair_out(p, (uint16_t)access.address, access.size, access.value);
}

static void memory_access(struct fuzz *fuzz, struct vga_pair *p, uint64_t base, uint64_t count)
{
    struct fuzz_access access = fuzz_pick(fuzz, 4, base, count);

    if (access.read)
        pair_read(p, access.address, access.size);
    else
        pair_write(p, access.address, access.size, access.value);
}

static void write_run(struct fuzz *fuzz, struct vga_pair *p)
{
    unsigned size = 1u << fuzz_byte(fuzz) % 3, count = fuzz_byte(fuzz);
    uint64_t gpa = PAIR_WINDOW + fuzz_below(fuzz, VGA_WINDOW_SIZE - 4);
    uint8_t from[4 * 256];

    for (unsigned i = 0; i < sizeof(from); i++)
        from[i] = i < 8 ? fuzz_byte(fuzz) : (uint8_t)(from[i - 8] + i);
    pair_write_run(p, gpa, size, from, fuzz_byte(fuzz) & 1, count);
}

/* So many accesses that the window becomes plain, if it can. */
static void hammer(struct fuzz *fuzz, struct vga_pair *p)
{
    bool reads = fuzz_byte(fuzz) & 1;

    for (unsigned n = 0; n < 400 && !p->size; n++) {
        uint32_t at = (p->chip.vga->regs.gr[6] & 8 ? 0x18000 : 0) + n;

        if (reads)
            pair_read(p, PAIR_WINDOW + at, 1);
        else
            pair_write(p, PAIR_WINDOW + at, 1, n);
        pair_check(p, 0);
    }
}

/* A mode as a BIOS sets it. */
static void settle(struct fuzz *fuzz, struct vga_pair *p)
{
    static const struct vga_mode *const modes[] = { &mode_text, &mode_256, &mode_cga4,
                                                    &mode_planar };
    unsigned number = fuzz_byte(fuzz) % 5;

    if (number == 4)
        pair_set_font(p);
    else
        pair_set_mode(p, modes[number]);
    hammer(fuzz, p);
}

/* What a window knows. */
struct seen {
    uint32_t planes[VGA_PLANES_SIZE / 4];
    struct vga_view view;
};

/* Copies the page; does its plane 2, where fonts are, differ? */
static bool see_page(uint32_t *to, const uint32_t *from)
{
    uint32_t differs = 0;

    for (unsigned i = 0; i < VGA_PAGE / 4; i++) {
        differs |= to[i] ^ from[i];
        to[i] = from[i];
    }
    return differs & 0xff0000;
}

/* Does text look otherwise, with the same characters? */
static bool see_planes(struct vga *vga, struct seen *seen)
{
    bool fonts = false;

    for (uint32_t page = 0; page < VGA_PLANES_SIZE / VGA_PAGE; page++)
        if (vga_is_dirty(&vga->published.dirty, page))
            fonts |= see_page(seen->planes + page * (VGA_PAGE / 4),
                              (const uint32_t *)(const void *)vga->published.vram +
                                  page * (VGA_PAGE / 4));
    memset(&vga->published.dirty, 0, sizeof(vga->published.dirty));
    return fonts;
}

/* All but how often the font has changed, which the chip counts by bytes. */
static bool same_views(struct vga_view a, struct vga_view b)
{
    a.moving.fonts = b.moving.fonts;
    return !memcmp(&a, &b, sizeof(a));
}

/* As paint() of devices/vga_paint.c, which draws with another font if it is told so. */
static void see(struct vga *vga, struct seen *seen)
{
    const struct vga_view *view = &vga->published.view;
    bool fonts = see_planes(vga, seen);

    if (fonts && view->kind == VGA_TEXT && same_views(*view, seen->view))
        CHECK_EQ(view->moving.fonts != seen->view.moving.fonts, true);
    seen->view = *view;
}

static void look_at_window(struct vga_pair *p, struct seen *seen)
{
    const struct vga *chip = p->chip.vga;

    pair_check(p, 40000000);
    see(p->plain.vga, seen);
    CHECK_EQ(memcmp(seen->planes, chip->vram, VGA_PLANES_SIZE), 0);
    CHECK_EQ(same_views(p->plain.vga->published.view, chip->published.view), true);
}

/* The screen is off meanwhile. The planes are brought up to date all the same. */
static void look_at_screenshot(struct vga_pair *p)
{
    uint8_t sr1 = p->chip.vga->regs.sr[1];

    if (vga_vbe_linear(&p->chip.vga->regs))
        return;
    pair_out(p, 0x3c4, 1, 1);
    pair_out(p, 0x3c5, 1, sr1 | SR1_OFF);
    screen_shoot(&p->plain);
    CHECK_EQ(memcmp(p->plain.vga->vram, p->chip.vga->vram, VGA_PLANES_SIZE), 0);
    pair_out(p, 0x3c5, 1, sr1);
}

static void step(struct fuzz *fuzz, struct vga_pair *p, struct seen *seen, unsigned *hammers)
{
    switch (fuzz_byte(fuzz) & 15) {
    case 0:
        if (fuzz_byte(fuzz) & 1)
            look_at_screenshot(p);
        else
            look_at_window(p, seen);
        break;
    case 1:
        if ((*hammers)++ < 16)
            settle(fuzz, p);
        break;
    case 9:
        if ((*hammers)++ < 16)
            hammer(fuzz, p);
        break;
    case 2: memory_access(fuzz, p, PAIR_FRAME_BUFFER, VGA_VRAM_SIZE - 8); break;
    case 3: memory_access(fuzz, p, PAIR_REGISTERS + 0x400, 0x200 - 8); break;
    case 4: port_access(fuzz, p, 0x1ce, 2); break;
    case 5:
    case 6:
    case 7: port_access(fuzz, p, 0x3b0, 0x30); break;
    case 8: pair_check(p, 2000000); break;
    case 10: write_run(fuzz, p); break;
    default: memory_access(fuzz, p, PAIR_WINDOW, VGA_WINDOW_SIZE - 8); break;
    }
    pair_check(p, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vga_pair p;
    static struct seen seen;
    struct fuzz fuzz = { data, size };
    unsigned hammers = 0;

    memset(&seen, 0, sizeof(seen));
    pair_open(&p);
    settle(&fuzz, &p);
    while (fuzz_more(&fuzz))
        step(&fuzz, &p, &seen, &hammers);
    pair_close(&p);
    if (check_failures)
        abort();
    return 0;
}
