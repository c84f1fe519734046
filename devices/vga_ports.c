/*
 * VGA registers: sequencer, CRTC, graphics controller, attribute controller, DAC, input status.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"; index and bit
 *            numbers as there.
 * Modelled:  all registers with the bits they keep, CRTC write protection, both DAC directions,
 *            retrace and blanking from the clock as the CRTC's counts say.
 * Not:       reset by sequencer register 0, the light pen, interrupts at retrace.
 */
#include "devices/vga_state.h"

/* --- Registers ---------------------------------------------------------- */

enum { /* ports */
    CRTC_INDEX_MONO = 0x3b4, CRTC_DATA_MONO, STATUS_1_MONO = 0x3ba,
    ATTR = 0x3c0, ATTR_READ, MISC, /* written; input status 0 read */
    SEQ_INDEX = 0x3c4, SEQ_DATA, DAC_MASK, DAC_READ, DAC_WRITE, DAC_DATA,
    FEATURE_READ, MISC_READ = 0x3cc, GFX_INDEX = 0x3ce, GFX_DATA,
    CRTC_INDEX = 0x3d4, CRTC_DATA, STATUS_1 = 0x3da,
};

#define STATUS0_SENSE   0x10 /* a monitor is there */
#define STATUS1_BLANK   0x01
#define STATUS1_RETRACE 0x08
#define DAC_READING     3
#define CR11_PROTECT    0x80
#define CR7_COMPARE_8   0x10

static const uint8_t sr_bits[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t gr_bits[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t ar_bits[32] = { 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                     0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                     0xef, 0xff, 0x3f, 0x0f, 0x0f };
#define CR_LAST 0x18

/* --- Time --------------------------------------------------------------- */

/* Where the beam is: ns for a line and a picture, and the lines that show something. */
struct timing {
    uint64_t frame_ns, line_ns, shown_ns; /* shown: of a line */
    unsigned lines, end, retrace, retrace_lines;
};

static unsigned cr_bits(const uint8_t *cr, unsigned low, unsigned bit8, unsigned bit9)
{
    return low | (unsigned)(cr[7] >> bit8 & 1) << 8 | (unsigned)(cr[7] >> bit9 & 1) << 9;
}

static struct timing timing_of(const struct vga_regs *r)
{
    static const uint64_t clock_hz[4] = { 25175000, 28322000, 28322000, 28322000 };
    uint64_t hz = clock_hz[r->misc >> 2 & 3] >> (r->sr[1] & SR1_HALF_CLOCK ? 1 : 0);
    unsigned dots = r->sr[1] & SR1_8_DOTS ? 8 : 9, total = r->cr[0] + 5u, shown = r->cr[1] + 1u;
    struct timing t = { 0 };

    t.lines = cr_bits(r->cr, r->cr[6], 0, 5) + 2;
    t.end = cr_bits(r->cr, r->cr[0x12], 1, 6) + 1;
    t.retrace = cr_bits(r->cr, r->cr[0x10], 2, 7);
    t.retrace_lines = ((r->cr[0x11] - t.retrace) & 15) ? (r->cr[0x11] - t.retrace) & 15 : 16;
    t.line_ns = total * dots * NS_PER_SEC / hz;
    t.shown_ns = (shown < total ? shown : total) * dots * NS_PER_SEC / hz;
    if (t.lines < 100 || vga_vbe_linear(r)) { /* not set up: 60 Hz of 525 lines */
        t = (struct timing){ .line_ns = 31746, .shown_ns = 25400, .lines = 525, .end = 480,
                             .retrace = 490, .retrace_lines = 2 };
    }
    t.frame_ns = t.line_ns * t.lines;
    return t;
}

static uint8_t status_1(struct vga *vga)
{
    struct timing t = timing_of(&vga->regs);
    uint64_t at = clock_now_ns(vga->config.clock) % t.frame_ns;
    unsigned line = (unsigned)(at / t.line_ns);
    uint8_t status = 0;

    if (line >= t.end || at % t.line_ns >= t.shown_ns)
        status |= STATUS1_BLANK;
    if (line >= t.retrace && line < t.retrace + t.retrace_lines)
        status |= STATUS1_RETRACE | STATUS1_BLANK;
    vga->regs.ar_data = false;
    return status;
}

/* --- DAC ---------------------------------------------------------------- */

static uint8_t dac_width(const struct vga_regs *r)
{
    return r->vbe[VBE_ENABLE] & VBE_DAC_8BIT ? 0xff : 0x3f;
}

static uint8_t dac_read(struct vga_regs *r)
{
    uint8_t value = r->dac[r->dac_read * 3 + r->dac_part];

    if (++r->dac_part == 3) {
        r->dac_part = 0;
        r->dac_read++;
    }
    return value;
}

static void dac_write(struct vga *vga, uint8_t value)
{
    struct vga_regs *r = &vga->regs;

    r->dac[r->dac_write * 3 + r->dac_part] = value & dac_width(r);
    if (++r->dac_part == 3) {
        r->dac_part = 0;
        r->dac_write++;
    }
    vga_changed(vga);
}

/* --- Attribute controller ----------------------------------------------- */

static void attr_write(struct vga *vga, uint8_t value)
{
    struct vga_regs *r = &vga->regs;
    unsigned index = r->ar_index & 0x1f;

    r->ar_data = !r->ar_data;
    if (r->ar_data)
        r->ar_index = value & 0x3f;
    else
        r->ar[index] = value & ar_bits[index];
    vga_changed(vga);
}

/* --- CRTC --------------------------------------------------------------- */

static void crtc_write(struct vga *vga, uint8_t value)
{
    struct vga_regs *r = &vga->regs;
    unsigned index = r->cr_index;

    if (index > CR_LAST)
        return;
    if (r->cr[0x11] & CR11_PROTECT && index <= 7) {
        if (index != 7)
            return;
        value = (r->cr[7] & ~CR7_COMPARE_8) | (value & CR7_COMPARE_8);
    }
    if (index == 0x18 && !r->splits) {
        r->splits = true;
        vga_changed(vga);
    }
    if (r->cr[index] == value)
        return;
    r->cr[index] = value;
    vga_changed(vga);
}

/* --- Ports -------------------------------------------------------------- */

/* Colour or monochrome addresses; the others are not there. */
static bool is_decoded(const struct vga_regs *r, uint16_t port)
{
    if (port < 0x3c0)
        return !(r->misc & MISC_COLOUR);
    return port < 0x3d0 || r->misc & MISC_COLOUR;
}

uint8_t vga_port_read(struct vga *vga, uint16_t port)
{
    struct vga_regs *r = &vga->regs;

    if (!is_decoded(r, port))
        return 0xff;
    switch (port) {
    case CRTC_INDEX_MONO:
    case CRTC_INDEX: return r->cr_index;
    case CRTC_DATA_MONO:
    case CRTC_DATA: return r->cr_index <= CR_LAST ? r->cr[r->cr_index] : 0xff;
    case STATUS_1_MONO:
    case STATUS_1: return status_1(vga);
    case ATTR: return r->ar_index;
    case ATTR_READ: return r->ar[r->ar_index & 0x1f];
    case MISC: return STATUS0_SENSE;
    case SEQ_INDEX: return r->sr_index;
    case SEQ_DATA: return r->sr[r->sr_index];
    case DAC_MASK: return r->dac_mask;
    case DAC_READ: return r->dac_state;
    case DAC_WRITE: return r->dac_write;
    case DAC_DATA: return dac_read(r);
    case FEATURE_READ: return r->feature;
    case MISC_READ: return r->misc;
    case GFX_INDEX: return r->gr_index;
    case GFX_DATA: return r->gr[r->gr_index];
    default: return 0xff;
    }
}

static void dac_start(struct vga_regs *r, uint8_t *index, uint8_t value, uint8_t state)
{
    *index = value;
    r->dac_part = 0;
    r->dac_state = state;
}

static void data_write(struct vga *vga, uint8_t *reg, uint8_t value)
{
    if (*reg == value)
        return;
    *reg = value;
    vga_plain_check(vga);
    vga_changed(vga);
}

void vga_port_write(struct vga *vga, uint16_t port, uint8_t value)
{
    struct vga_regs *r = &vga->regs;

    if (!is_decoded(r, port))
        return;
    switch (port) {
    case CRTC_INDEX_MONO:
    case CRTC_INDEX: r->cr_index = value & 0x3f; break;
    case CRTC_DATA_MONO:
    case CRTC_DATA: crtc_write(vga, value); break;
    case STATUS_1_MONO:
    case STATUS_1: r->feature = value & 0x10; break;
    case ATTR:
    case ATTR_READ: attr_write(vga, value); break;
    case MISC: data_write(vga, &r->misc, value & ~0x10); break;
    case SEQ_INDEX: r->sr_index = value & 7; break;
    case SEQ_DATA: data_write(vga, &r->sr[r->sr_index], value & sr_bits[r->sr_index]); break;
    case DAC_MASK: data_write(vga, &r->dac_mask, value); break;
    case DAC_READ: dac_start(r, &r->dac_read, value, DAC_READING); break;
    case DAC_WRITE: dac_start(r, &r->dac_write, value, 0); break;
    case DAC_DATA: dac_write(vga, value); break;
    case GFX_INDEX: r->gr_index = value & 15; break;
    case GFX_DATA: data_write(vga, &r->gr[r->gr_index], value & gr_bits[r->gr_index]); break;
    default: break;
    }
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned size)
{
    const struct vga_window *w = dev;

    (void)size;
    return vga_port_read(w->vga, (uint16_t)(w->base + offset));
}

static void window_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    const struct vga_window *w = dev;

    (void)size;
    vga_port_write(w->vga, (uint16_t)(w->base + offset), (uint8_t)value);
}

static const struct bus_ops window_ops = {
    .read = window_read,
    .write = window_write,
    .max_size = 1,
    .name = "vga",
};

int vga_ports_claim(struct vga *vga)
{
    static const struct {
        uint16_t base, count;
    } list[VGA_WINDOWS] = {
        { CRTC_INDEX_MONO, 2 }, { STATUS_1_MONO, 1 }, { ATTR, 16 }, { CRTC_INDEX, 2 },
        { STATUS_1, 1 },
    };
    int err = 0;

    for (unsigned i = 0; i < VGA_WINDOWS && !err; i++) {
        vga->window[i] = (struct vga_window){ vga, list[i].base };
        err = bus_claim(vga->config.ports, list[i].base, list[i].count, &window_ops,
                        &vga->window[i]);
    }
    return err;
}
