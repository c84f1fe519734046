/*
 * Bochs VBE: modes with a linear frame buffer by eleven 16-bit registers, at ports 0x1ce and 0x1cf
 * and in memory (BAR 2), and the monitor's EDID.
 *
 * Reference: the specification of QEMU's standard VGA (registers and the layout of BAR 2); VESA
 *            E-EDID 1.4 for the identification.
 * Modelled:  4 to 32 bits a pixel, virtual sizes, panning, banks of 64 or 32 KiB, 8-bit DAC,
 *            capabilities, little-endian frame buffers.
 * Not:       big-endian frame buffers.
 *
 * BAR 2: EDID at 0, ports 0x3c0 to 0x3df at 0x400, the VBE registers at 0x500, extensions at 0x600.
 */
#include "devices/vga_state.h"

#include <string.h>

#define PORT_INDEX 0x1ce /* a word; the data follows at the next port, or the one after */
#define VERSION    0xb0c5
#define VERSION_0  0xb0c0

enum {
    MMIO_VGA = 0x400,
    MMIO_VBE = 0x500,
    MMIO_EXTENSION = 0x600, /* its own size, and the byte order */
};
#define EXTENSION_SIZE 8
#define LITTLE_ENDIAN_MAGIC 0x1e1e1e1eu

/* --- Geometry ----------------------------------------------------------- */

bool vga_vbe_linear(const struct vga_regs *r)
{
    return r->vbe[VBE_ENABLE] & VBE_ENABLED && r->vbe[VBE_BPP] != 4;
}

uint32_t vga_vbe_bank(const struct vga_regs *r)
{
    return (uint32_t)r->vbe[VBE_BANK] << (r->vbe[VBE_ENABLE] & VBE_BANK_32K ? 15 : 16);
}

uint32_t vga_plane_mask(const struct vga_regs *r)
{
    return r->vbe[VBE_ENABLE] & VBE_ENABLED ? VGA_VRAM_SIZE / 4 - 1 : VGA_PLANES_SIZE / 4 - 1;
}

/* Bits in memory: 15 take 16; planar modes take 4. */
static unsigned pixel_bits(unsigned bpp)
{
    return bpp == 15 ? 16 : bpp;
}

static uint32_t pitch(const struct vga_regs *r)
{
    return (uint32_t)r->vbe[VBE_VIRT_WIDTH] * pixel_bits(r->vbe[VBE_BPP]) / 8;
}

/* What a picture line takes must fit into memory, for each register on its own and all of them. */
static void settle(struct vga_regs *r)
{
    uint32_t line;

    if (r->vbe[VBE_VIRT_WIDTH] < r->vbe[VBE_XRES])
        r->vbe[VBE_VIRT_WIDTH] = r->vbe[VBE_XRES];
    line = pitch(r);
    if ((uint64_t)line * r->vbe[VBE_YRES] > VGA_VRAM_SIZE)
        r->vbe[VBE_YRES] = (uint16_t)(VGA_VRAM_SIZE / line);
    line = VGA_VRAM_SIZE / line;
    r->vbe[VBE_VIRT_HEIGHT] = line > UINT16_MAX ? UINT16_MAX : (uint16_t)line;
    if (r->vbe[VBE_X_OFFSET] + r->vbe[VBE_XRES] > r->vbe[VBE_VIRT_WIDTH])
        r->vbe[VBE_X_OFFSET] = r->vbe[VBE_VIRT_WIDTH] - r->vbe[VBE_XRES];
    if (r->vbe[VBE_Y_OFFSET] + r->vbe[VBE_YRES] > r->vbe[VBE_VIRT_HEIGHT])
        r->vbe[VBE_Y_OFFSET] = r->vbe[VBE_VIRT_HEIGHT] - r->vbe[VBE_YRES];
}

/* --- Registers ---------------------------------------------------------- */

static void enable(struct vga *vga, uint16_t value)
{
    struct vga_regs *r = &vga->regs;
    bool on = value & VBE_ENABLED && !(r->vbe[VBE_ENABLE] & VBE_ENABLED);

    r->vbe[VBE_ENABLE] = value & (VBE_ENABLED | VBE_GETCAPS | VBE_BANK_32K | VBE_DAC_8BIT |
                                  VBE_LFB | VBE_NO_CLEAR);
    vga_plain_check(vga);
    if (!on)
        return;
    r->vbe[VBE_VIRT_WIDTH] = r->vbe[VBE_XRES];
    r->vbe[VBE_X_OFFSET] = r->vbe[VBE_Y_OFFSET] = r->vbe[VBE_BANK] = 0;
    settle(r);
    if (value & VBE_NO_CLEAR)
        return;
    memset(vga->vram, 0, (size_t)pitch(r) * r->vbe[VBE_YRES]);
    vga_mark_all(vga);
}

static bool is_depth(uint16_t value)
{
    return value == 4 || value == 8 || value == 15 || value == 16 || value == 24 || value == 32;
}

static void vbe_write(struct vga *vga, unsigned index, uint16_t value)
{
    struct vga_regs *r = &vga->regs;
    bool on = r->vbe[VBE_ENABLE] & VBE_ENABLED;

    if (index >= VBE_COUNT)
        return;
    switch (index) {
    case VBE_ID:
        if (value >= VERSION_0 && value <= VERSION)
            r->vbe[VBE_ID] = value;
        break;
    case VBE_XRES:
        if (!on && value >= 8 && value <= VBE_MAX_X)
            r->vbe[index] = value & ~7;
        break;
    case VBE_YRES:
        if (!on && value && value <= VBE_MAX_Y)
            r->vbe[index] = value;
        break;
    case VBE_BPP:
        if (!on && (is_depth(value) || !value))
            r->vbe[index] = value ? value : 8;
        break;
    case VBE_ENABLE: enable(vga, value); break;
    case VBE_BANK:
        if (vga_vbe_bank(r) < VGA_VRAM_SIZE)
            r->vbe[index] = value & (r->vbe[VBE_ENABLE] & VBE_BANK_32K ? 0x1ff : 0xff);
        break;
    case VBE_VIRT_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET:
        if (!on)
            break;
        r->vbe[index] = index == VBE_VIRT_WIDTH ? value & ~7 : value;
        settle(r);
        break;
    default: break; /* the virtual height follows; the memory's size is what it is */
    }
    vga_changed(vga);
}

static uint16_t vbe_read(const struct vga_regs *r, unsigned index)
{
    if (index >= VBE_COUNT)
        return 0xffff;
    if (r->vbe[VBE_ENABLE] & VBE_GETCAPS) {
        switch (index) {
        case VBE_XRES: return VBE_MAX_X;
        case VBE_YRES: return VBE_MAX_Y;
        case VBE_BPP: return 32;
        default: break;
        }
    }
    return r->vbe[index];
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct vga *vga = dev;

    if (size != 2)
        return 0xff;
    return offset ? vbe_read(&vga->regs, vga->regs.vbe_index) : vga->regs.vbe_index;
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = dev;

    if (size != 2)
        return;
    if (offset)
        vbe_write(vga, vga->regs.vbe_index, (uint16_t)value);
    else
        vga->regs.vbe_index = (uint16_t)value;
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 2,
    .name = "vga-vbe",
};

int vga_vbe_claim(struct vga *vga)
{
    return bus_claim(vga->config.ports, PORT_INDEX, 4, &port_ops, vga);
}

/* --- In memory ---------------------------------------------------------- */

static uint64_t registers_read(void *dev, uint64_t offset, unsigned size)
{
    struct vga *vga = dev;
    uint64_t value = 0;

    if (offset < sizeof(vga->edid)) {
        for (unsigned i = 0; i < size && offset + i < sizeof(vga->edid); i++)
            value |= (uint64_t)vga->edid[offset + i] << 8 * i;
        return value;
    }
    if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20) {
        for (unsigned i = 0; i < size; i++)
            value |= (uint64_t)vga_port_read(vga, (uint16_t)(offset + i - MMIO_VGA + 0x3c0))
                     << 8 * i;
        return value;
    }
    if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_COUNT && size == 2)
        return vbe_read(&vga->regs, (unsigned)(offset - MMIO_VBE) / 2);
    if (offset == MMIO_EXTENSION)
        return EXTENSION_SIZE;
    if (offset == MMIO_EXTENSION + 4)
        return LITTLE_ENDIAN_MAGIC;
    return offset < MMIO_VGA ? 0 : ~0ull;
}

static void registers_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = dev;

    if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20)
        for (unsigned i = 0; i < size; i++)
            vga_port_write(vga, (uint16_t)(offset + i - MMIO_VGA + 0x3c0),
                           (uint8_t)(value >> 8 * i));
    else if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_COUNT && size == 2)
        vbe_write(vga, (unsigned)(offset - MMIO_VBE) / 2, (uint16_t)value);
}

const struct bus_ops vga_registers_ops = {
    .read = registers_read,
    .write = registers_write,
    .max_size = 4,
    .name = "vga-registers",
};

static void begin(struct vga *vga, uint64_t offset)
{
    if (offset < VGA_PLANES_SIZE)
        vga_plain_leave(vga);
}

static uint64_t vram_read(void *dev, uint64_t offset, unsigned size)
{
    struct vga *vga = dev;
    uint64_t value = 0;

    begin(vga, offset);
    memcpy(&value, vga->vram + offset, size);
    return value;
}

static void vram_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = dev;

    begin(vga, offset);
    memcpy(vga->vram + offset, &value, size);
    vga->regs.fonts += offset < VGA_PLANES_SIZE; /* of stores to memory nobody knows */
    vga_mark(vga, (uint32_t)offset, size);
}

const struct bus_ops vga_vram_ops = {
    .read = vram_read,
    .write = vram_write,
    .max_size = 8,
    .name = "vga-vram",
};

/* --- EDID --------------------------------------------------------------- */

/* 1024x768 at 60 Hz, as VESA's Display Monitor Timings have it, in a detailed timing's order. */
static const uint8_t preferred[18] = {
    0x64, 0x19,             /* 65 MHz */
    0x00, 0x40, 0x41,       /* 1024 across, 320 blank */
    0x00, 0x26, 0x30,       /* 768 down, 38 blank */
    0x18, 0x88, 0x36, 0x00, /* 24 to sync, 136 long; 3 to sync, 6 long */
    0x45, 0x0d, 0x11,       /* 325 x 269 mm, about 80 dots an inch */
    0x00, 0x00, 0x18,       /* no border; digital, both syncs negative */
};

/* Standard timings: width / 8 - 31, and 0x40: 4 to 3, 0x80: 5 to 4, 0xc0: 16 to 9; 60 Hz */
static const uint8_t standard[16] = {
    0xd1, 0xc0, /* 1920x1080 */
    0xa9, 0x40, /* 1600x1200 */
    0x81, 0x80, /* 1280x1024 */
    0x81, 0xc0, /* 1280x720 */
    0x61, 0x40, /* 1024x768 */
    0x01, 0x01, 0x01, 0x01, 0x01, 0x01,
};

static void make_edid(uint8_t *edid)
{
    static const uint8_t head[] = {
        0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
        0x3a, 0x96,             /* "NTV" */
        0x01, 0x00, 0, 0, 0, 0, /* product and serial number */
        0x00, 0x24,             /* 2026 */
        0x01, 0x04,             /* EDID 1.4 */
        0xa5, 0x21, 0x1b, 0x78, 0x06, /* digital, 8 bits a colour; 33 x 27 cm; gamma 2.2; sRGB */
        0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54, /* sRGB's chromaticities */
        0x21, 0x08, 0x00,       /* 640x480, 800x600, 1024x768 at 60 Hz */
    };
    static const uint8_t name[18] = { 0, 0, 0, 0xfc, 0, 'n', 'o', 'v', 't', '\n',
                                      ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ' };
    static const uint8_t range[18] = { 0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 30, 0x01, '\n',
                                       ' ', ' ', ' ', ' ', ' ', ' ' };
    static const uint8_t empty[18] = { 0, 0, 0, 0x10 };
    unsigned sum = 0;

    memcpy(edid, head, sizeof(head));
    memcpy(edid + 38, standard, sizeof(standard));
    memcpy(edid + 54, preferred, sizeof(preferred));
    memcpy(edid + 72, name, sizeof(name));
    memcpy(edid + 90, range, sizeof(range));
    memcpy(edid + 108, empty, sizeof(empty));
    for (unsigned i = 0; i < 127; i++)
        sum += edid[i];
    edid[127] = (uint8_t)-sum;
}

void vga_vbe_reset(struct vga *vga)
{
    struct vga_regs *r = &vga->regs;

    memset(r->vbe, 0, sizeof(r->vbe));
    r->vbe[VBE_ID] = VERSION;
    r->vbe[VBE_XRES] = 640;
    r->vbe[VBE_YRES] = 480;
    r->vbe[VBE_BPP] = 8;
    r->vbe[VBE_MEMORY_64K] = VGA_VRAM_SIZE >> 16;
    settle(r);
    make_edid(vga->edid);
}
