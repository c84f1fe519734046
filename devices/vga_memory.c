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
 * Repeated MOVS and STOS come as runs, of which a byte costs a cycle or two.
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

/* Which dword of the planes has the byte. */
static uint32_t dword_of(const struct vga_regs *r, uint32_t at)
{
    if (r->sr[4] & SR4_CHAIN_4)
        return at & ~3u;
    return a0_selects(r) ? at & ~1u : at;
}

/* Bytes have been written, none of them behind the planes' end. */
static void mark(struct vga *vga, uint32_t at, uint32_t bytes)
{
    const struct vga_regs *r = &vga->regs;
    uint32_t planes = vga_plane_mask(r), first = dword_of(r, at) & planes;

    vga_mark(vga, first * 4, ((dword_of(r, at + bytes - 1) & planes) - first + 1) * 4);
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

    if (r->sr[4] & SR4_CHAIN_4)
        plane = at & 3;
    else if (r->gr[5] & GR5_ODD_EVEN)
        plane = (plane & 2) | (at & 1);
    r->latch = *planes_at(vga, dword_of(r, at));
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

/* The planes that the byte is for. */
static unsigned planes_of(const struct vga_regs *r, uint32_t at)
{
    if (r->sr[4] & SR4_CHAIN_4)
        return r->sr[2] & 1u << (at & 3);
    if (writes_odd_even(r))
        return r->sr[2] & (at & 1 ? 0xa : 0x5);
    return r->sr[2];
}

/* mark() is the caller's. */
static void planes_write(struct vga *vga, uint32_t at, uint8_t value)
{
    struct vga_regs *r = &vga->regs;
    unsigned planes = planes_of(r, at);
    uint32_t mask = spread(planes), *to = planes_at(vga, dword_of(r, at));
    uint32_t data = r->sr[4] & SR4_CHAIN_4 ? in_all(value) : written(r, value);

    *to = (data & mask) | (*to & ~mask);
    r->fonts += planes >> 2 & 1;
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
static void begin(struct vga *vga, uint64_t offset, uint32_t size)
{
    const struct vga_linear *l = &vga->plain.linear;

    if (offset + size <= l->base || offset >= l->base + l->size)
        return;
    vga_plain_leave(vga);
    vga_plain_count(vga, size);
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
        if (window(&vga->regs, &at)) {
            planes_write(vga, at, (uint8_t)(value >> 8 * i));
            mark(vga, at, 1);
        }
    }
}

static bool peek_byte(struct vga *vga, uint32_t at, uint8_t *byte)
{
    if (vga_vbe_linear(&vga->regs)) {
        if (!linear_at(vga, at, 1, &at))
            return false;
        *byte = vga->vram[at];
        return true;
    }
    if (!window(&vga->regs, &at))
        return false;
    *byte = planes_read(vga, at);
    return true;
}

bool vga_peek(struct vga *vga, uint32_t offset, void *to, uint64_t size)
{
    uint32_t latch = vga->regs.latch;
    uint8_t *out = to;
    bool all = true;

    for (uint32_t i = 0; i < size; i++)
        all &= peek_byte(vga, offset + i, &out[i]);
    vga->regs.latch = latch;
    return all;
}

/* --- Runs: many elements at once, as memory_read() or memory_write() of each --- */

/*
 * A byte v at `at` makes of the dword at[at % 4] of its four (dword & keep) ^ (V & turned) ^ set, V
 * being v in all planes, or a plane for each of its bits (write mode 2). All write modes are that:
 * what a bit of the planes becomes depends on one bit of V, and with the bit mask and the logical
 * operations on the latch, which no write changes.
 */
struct stroke {
    uint32_t keep[4], turned[4], set[4];
    uint8_t at[4];
    bool by_bits;
    unsigned rotate;
};

static void stroke_of(const struct vga_regs *r, struct stroke *s)
{
    bool chained = r->sr[4] & SR4_CHAIN_4;
    uint32_t set = chained ? 0 : written(r, 0), mask;
    uint32_t turned = chained ? UINT32_MAX : written(r, 0xff) ^ set;

    s->by_bits = !chained && (r->gr[5] & 3) == 2;
    s->rotate = chained ? 0 : r->gr[3] & 7;
    for (unsigned i = 0; i < 4; i++) {
        mask = spread(planes_of(r, i));
        s->at[i] = (uint8_t)dword_of(r, i);
        s->keep[i] = ~mask;
        s->turned[i] = turned & mask;
        s->set[i] = set & mask;
    }
}

/* What the byte changes. */
static inline uint32_t stroke_data(const struct stroke *s, unsigned i, uint8_t value)
{
    uint8_t turned = (uint8_t)(value >> s->rotate | value << (8 - s->rotate));

    return ((s->by_bits ? spread(value) : in_all(turned)) & s->turned[i]) ^ s->set[i];
}

static inline void stroke_byte(const struct stroke *s, uint32_t *planes, uint32_t at,
                               uint8_t value)
{
    uint32_t *to = planes + (at & ~3u) + s->at[at & 3];

    *to = (*to & s->keep[at & 3]) ^ stroke_data(s, at & 3, value);
}

/* Elements are loaded one by one: the frame buffer, where they may be, is these planes. */
static inline void stroke_elements(const struct stroke *s, uint32_t *planes, uint32_t at,
                                   unsigned size, const uint8_t *from, uint64_t count)
{
    uint32_t value = 0;

    for (; count; count--, from += size) {
        memcpy(&value, from, size);
        for (unsigned i = 0; i < size; i++)
            stroke_byte(s, planes, at++, (uint8_t)(value >> 8 * i));
    }
}

/* The same where all addresses are alike: in the planar modes, and while a font is loaded. */
static inline void stroke_alike(const struct stroke *stroke, uint32_t *to, unsigned size,
                                const uint8_t *from, uint64_t count)
{
    const struct stroke s = *stroke; /* of which the planes are no part */
    uint32_t value = 0;

    for (; count; count--, from += size) {
        memcpy(&value, from, size);
        for (unsigned i = 0; i < size; i++, to++)
            *to = (*to & s.keep[0]) ^ stroke_data(&s, 0, (uint8_t)(value >> 8 * i));
    }
}

static bool is_alike(const struct stroke *s)
{
    return s->at[1] == 1 && s->keep[0] == s->keep[1];
}

static void stroke_run(const struct stroke *s, uint32_t *planes, uint32_t at, unsigned size,
                       const uint8_t *from, uint64_t count)
{
    if (size == 1 && is_alike(s))
        stroke_alike(s, planes + at, 1, from, count);
    else if (is_alike(s))
        stroke_alike(s, planes + at, size, from, count);
    else
        stroke_elements(s, planes, at, size, from, count);
}

/* Four dwords, and what a stroke of four bytes at them keeps and changes. */
typedef uint32_t group __attribute__((vector_size(16)));

/* The bytes of value, whose first one is at `at`, again and again. */
static void stroke_same(const struct stroke *s, uint32_t *planes, uint32_t at, unsigned size,
                        uint32_t value, uint64_t count)
{
    uint64_t bytes = count * size;
    group keep = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX }, set = { 0 }, now;
    unsigned next = 0, to;

    for (; bytes && at & 3; bytes--, next = (next + 1) % size)
        stroke_byte(s, planes, at++, (uint8_t)(value >> 8 * next));
    for (unsigned i = 0; i < 4; i++) {
        to = s->at[i];
        set[to] = (set[to] & s->keep[i]) ^
                  stroke_data(s, i, (uint8_t)(value >> 8 * ((next + i) % size)));
        keep[to] &= s->keep[i];
    }
    for (; bytes >= 4; bytes -= 4, at += 4) {
        memcpy(&now, planes + at, sizeof(now));
        now = (now & keep) ^ set;
        memcpy(planes + at, &now, sizeof(now));
    }
    for (; bytes; bytes--, next = (next + 1) % size)
        stroke_byte(s, planes, at++, (uint8_t)(value >> 8 * next));
}

/* How many of so many bytes from `at` on go to plane 2. */
static uint32_t font_bytes(const struct stroke *s, uint32_t at, uint32_t bytes)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < 4; i++)
        if (!(s->keep[(at + i) & 3] & 0xff0000))
            sum += (bytes + 3 - i) / 4;
    return sum;
}

/* Of a run's elements, those that are in the open part of the window and before the planes' end,
 * where they begin anew; at: as window() has it. 0: none, or the window is plain memory. */
static uint64_t in_planes(struct vga *vga, uint64_t offset, unsigned size, uint64_t count,
                          uint32_t *at)
{
    uint32_t base, open, planes = vga_plane_mask(&vga->regs) + 1, left;
    uint64_t fit;

    *at = (uint32_t)offset;
    if (vga->plain.on || !window(&vga->regs, at))
        return 0;
    vga_window(&vga->regs, &base, &open);
    left = open - ((uint32_t)offset - base);
    *at %= planes;
    if (left > planes - *at)
        left = planes - *at;
    fit = left / size;
    count = count < fit ? count : fit;
    if (count)
        begin(vga, offset, (uint32_t)count * size);
    return count;
}

/* The same of VBE's linear memory. */
static uint64_t in_bank(const struct vga *vga, uint64_t offset, unsigned size, uint64_t count,
                        uint32_t *at)
{
    uint64_t end = vga_vbe_bank(&vga->regs) + 0x10000ull, fit;

    if (!linear_at(vga, offset, size, at))
        return 0;
    fit = ((end < VGA_VRAM_SIZE ? end : VGA_VRAM_SIZE) - *at) / size;
    return count < fit ? count : fit;
}

/* One after the other, as what is read may be what has just been written. */
static void move(uint8_t *to, const uint8_t *from, unsigned size, unsigned step, uint64_t count)
{
    for (; count; count--, to += size, from += step)
        memmove(to, from, size);
}

static uint64_t memory_read_run(void *dev, uint64_t offset, unsigned size, void *to,
                                uint64_t count)
{
    struct vga *vga = dev;
    uint8_t *out = to;
    uint32_t at, value = 0;

    if (vga_vbe_linear(&vga->regs)) {
        count = in_bank(vga, offset, size, count, &at);
        move(out, vga->vram + at, size, size, count);
        return count;
    }
    count = in_planes(vga, offset, size, count, &at);
    for (uint64_t n = 0; n < count; n++, value = 0, out += size) {
        for (unsigned i = 0; i < size; i++)
            value |= (uint32_t)planes_read(vga, at++) << 8 * i;
        memcpy(out, &value, size);
    }
    return count;
}

static uint64_t bank_write_run(struct vga *vga, uint64_t offset, unsigned size, const void *from,
                               bool same, uint64_t count)
{
    uint32_t at;

    count = in_bank(vga, offset, size, count, &at);
    if (count) {
        move(vga->vram + at, from, size, same ? 0 : size, count);
        vga_mark(vga, at, (uint32_t)count * size);
    }
    return count;
}

static uint64_t memory_write_run(void *dev, uint64_t offset, unsigned size, const void *from,
                                 bool same, uint64_t count)
{
    struct vga *vga = dev;
    struct stroke s;
    uint32_t at, value = 0, *planes = (uint32_t *)(void *)vga->vram;

    if (vga_vbe_linear(&vga->regs))
        return bank_write_run(vga, offset, size, from, same, count);
    count = in_planes(vga, offset, size, count, &at);
    if (!count)
        return 0;
    stroke_of(&vga->regs, &s);
    memcpy(&value, from, size);
    if (same)
        stroke_same(&s, planes, at, size, value, count);
    else
        stroke_run(&s, planes, at, size, from, count);
    vga->regs.fonts += font_bytes(&s, at, (uint32_t)count * size);
    mark(vga, at, (uint32_t)count * size);
    return count;
}

/* What is read may have been written just before, and each read loads the latches. */
static uint64_t memory_copy_run(void *dev, uint64_t to, uint64_t from, unsigned size,
                                uint64_t count)
{
    struct vga *vga = dev;
    uint32_t to_at, from_at;
    uint8_t value[8];

    if (vga_vbe_linear(&vga->regs)) {
        count = in_bank(vga, from, size, count, &from_at);
        return count ? bank_write_run(vga, to, size, vga->vram + from_at, false, count) : 0;
    }
    count = in_planes(vga, from, size, count, &from_at);
    count = count ? in_planes(vga, to, size, count, &to_at) : 0;
    for (uint64_t n = 0; n < count; n++) {
        for (unsigned i = 0; i < size; i++)
            value[i] = planes_read(vga, from_at++);
        for (unsigned i = 0; i < size; i++)
            planes_write(vga, to_at++, value[i]);
    }
    if (count)
        mark(vga, to_at - (uint32_t)count * size, (uint32_t)count * size);
    return count;
}

static const struct bus_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .read_run = memory_read_run,
    .write_run = memory_write_run,
    .copy_run = memory_copy_run,
    .max_size = 8,
    .name = "vga-memory",
};

int vga_memory_claim(struct vga *vga)
{
    return bus_claim(vga->config.memory, VGA_WINDOW, VGA_WINDOW_SIZE, &memory_ops, vga);
}
