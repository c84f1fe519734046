/*
 * VGA memory at 0xa0000: four planes behind latches, and how a byte of the processor becomes one.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem", the graphics
 *            controller and the sequencer's memory mode register.
 * Modelled:  read modes 0 and 1, write modes 0 to 3, set/reset, rotation, logical operations, bit
 *            mask, map mask, odd/even, chain 4, the four windows; VBE's bank instead of all that.
 * Not:       the high page of odd/even modes; the bit that turns it off (miscellaneous output, bit
 *            1), which QEMU and Bochs have no use for and GRUB as firmware leaves clear.
 *
 * This is what the window means; vga_plain.c makes it memory for as long as that is the same.
 */
#include "devices/vga_state.h"

#include <string.h>

/* A byte for each plane whose bit is set. */
static uint32_t spread(unsigned planes)
{
    static const uint32_t mask[16] = {
        0x00000000, 0x000000ff, 0x0000ff00, 0x0000ffff, 0x00ff0000, 0x00ff00ff, 0x00ffff00,
        0x00ffffff, 0xff000000, 0xff0000ff, 0xff00ff00, 0xff00ffff, 0xffff0000, 0xffff00ff,
        0xffffff00, 0xffffffff,
    };

    return mask[planes & 15];
}

static uint32_t in_all(uint8_t value)
{
    return value * 0x01010101u;
}

void vga_window(const struct vga_regs *r, uint32_t *base, uint32_t *size)
{
    static const struct {
        uint32_t base, size;
    } windows[4] = { { 0, 0x20000 }, { 0, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 } };
    unsigned map = (r->gr[6] & GR6_MAP) >> 2;

    *base = windows[map].base;
    *size = windows[map].size;
}

/* Where the processor's address is in the window that is open. False: outside. */
static bool window(const struct vga_regs *r, uint32_t *at)
{
    uint32_t base, size;

    vga_window(r, &base, &size);
    if (*at - base >= size)
        return false;
    *at -= base;
    if (r->vbe[VBE_ENABLE] & VBE_ENABLED) /* 4 bits a pixel */
        *at += vga_vbe_bank(r);
    return true;
}

/* In text modes the mode register alone will do: GRUB as firmware sets no more. */
static bool a0_selects(const struct vga_regs *r)
{
    return r->gr[6] & GR6_CHAIN || (r->gr[5] & GR5_ODD_EVEN && !(r->gr[6] & GR6_GRAPHICS));
}

/* The sequencer's bit alone says so in the manual; but GRUB loads its font with it clear. */
static bool writes_odd_even(const struct vga_regs *r)
{
    return !(r->sr[4] & SR4_NO_ODD_EVEN) && r->gr[5] & GR5_ODD_EVEN;
}

static uint32_t *planes_at(struct vga *vga, uint32_t offset)
{
    return (uint32_t *)(void *)vga->vram + (offset & vga_plane_mask(&vga->regs));
}

/* --- Reading ------------------------------------------------------------ */

/* A bit is set where all planes that are cared for have the colour. */
static uint8_t compare(const struct vga_regs *r)
{
    uint32_t differs = (r->latch ^ spread(r->gr[2])) & spread(r->gr[7]);

    return (uint8_t)~(differs | differs >> 8 | differs >> 16 | differs >> 24);
}

static uint8_t planes_read(struct vga *vga, uint32_t at)
{
    struct vga_regs *r = &vga->regs;
    unsigned plane = r->gr[4];
    uint32_t offset = at;

    if (r->sr[4] & SR4_CHAIN_4) {
        plane = at & 3;
        offset = at & ~3u;
    } else {
        if (a0_selects(r))
            offset = at & ~1u;
        if (r->gr[5] & GR5_ODD_EVEN)
            plane = (plane & 2) | (at & 1);
    }
    r->latch = *planes_at(vga, offset);
    if (r->gr[5] & GR5_READ_MODE && !(r->sr[4] & SR4_CHAIN_4))
        return compare(r);
    return (uint8_t)(r->latch >> 8 * plane);
}

/* --- Writing ------------------------------------------------------------ */

static uint8_t rotated(const struct vga_regs *r, uint8_t value)
{
    unsigned count = r->gr[3] & 7;

    return (uint8_t)(value >> count | value << (8 - count));
}

static uint32_t combine(const struct vga_regs *r, uint32_t data)
{
    switch (r->gr[3] >> 3 & 3) {
    case 1: return data & r->latch;
    case 2: return data | r->latch;
    case 3: return data ^ r->latch;
    default: return data;
    }
}

/* What the planes get, before the map mask. */
static uint32_t written(const struct vga_regs *r, uint8_t value)
{
    uint32_t data, bits = in_all(r->gr[8]), from_reset = spread(r->gr[1]);

    switch (r->gr[5] & 3) {
    case 0:
        data = (in_all(rotated(r, value)) & ~from_reset) | (spread(r->gr[0]) & from_reset);
        break;
    case 1: return r->latch;
    case 2: data = spread(value); break;
    default:
        bits &= in_all(rotated(r, value));
        data = spread(r->gr[0]);
        break;
    }
    return (combine(r, data) & bits) | (r->latch & ~bits);
}

static void planes_write(struct vga *vga, uint32_t at, uint8_t value)
{
    struct vga_regs *r = &vga->regs;
    unsigned planes = r->sr[2];
    uint32_t offset = at, mask, *to, data;

    if (r->sr[4] & SR4_CHAIN_4) {
        planes &= 1u << (at & 3);
        offset = at & ~3u;
        data = in_all(value);
    } else {
        if (a0_selects(r))
            offset = at & ~1u;
        if (writes_odd_even(r))
            planes &= at & 1 ? 0xa : 0x5;
        data = written(r, value);
    }
    mask = spread(planes);
    to = planes_at(vga, offset);
    *to = (data & mask) | (*to & ~mask);
    r->fonts += planes >> 2 & 1;
    vga_mark(vga, (offset & vga_plane_mask(r)) * 4, 4);
}

/* --- The window --------------------------------------------------------- */

static bool linear_at(const struct vga *vga, uint64_t offset, unsigned size, uint32_t *at)
{
    uint64_t to = offset + vga_vbe_bank(&vga->regs);

    *at = (uint32_t)to;
    return offset + size <= 0x10000 && to + size <= VGA_VRAM_SIZE;
}

/* An access comes through the chip, which happens while the window is memory, too: at what is not
 * open, and when somebody asks the bus. */
static void begin(struct vga *vga, uint64_t offset, unsigned size)
{
    const struct vga_linear *l = &vga->plain.linear;

    if (offset + size <= l->base || offset >= l->base + l->size)
        return;
    vga_plain_leave(vga);
    vga_plain_count(vga);
}

static uint64_t memory_read(void *dev, uint64_t offset, unsigned size)
{
    struct vga *vga = dev;
    uint64_t value = 0;
    uint32_t at;

    if (vga_vbe_linear(&vga->regs)) {
        if (!linear_at(vga, offset, size, &at))
            return ~0ull;
        memcpy(&value, vga->vram + at, size);
        return value;
    }
    begin(vga, offset, size);
    for (unsigned i = 0; i < size; i++) {
        at = (uint32_t)offset + i;
        value |= (uint64_t)(window(&vga->regs, &at) ? planes_read(vga, at) : 0xff) << 8 * i;
    }
    return value;
}

static void memory_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = dev;
    uint32_t at;

    if (vga_vbe_linear(&vga->regs)) {
        if (!linear_at(vga, offset, size, &at))
            return;
        memcpy(vga->vram + at, &value, size);
        vga_mark(vga, at, size);
        return;
    }
    begin(vga, offset, size);
    for (unsigned i = 0; i < size; i++) {
        at = (uint32_t)offset + i;
        if (window(&vga->regs, &at))
            planes_write(vga, at, (uint8_t)(value >> 8 * i));
    }
}

static const struct bus_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .max_size = 8,
    .name = "vga-memory",
};

int vga_memory_claim(struct vga *vga)
{
    return bus_claim(vga->config.memory, VGA_WINDOW, VGA_WINDOW_SIZE, &memory_ops, vga);
}
