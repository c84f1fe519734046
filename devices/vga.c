/*
 * VGA with Bochs VBE on PCI: life, its PCI function, and the state a video BIOS leaves.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem" (mode 3's
 *            registers); the PCI identity is that of QEMU's standard VGA, whose BIOS and drivers
 *            guests have.
 * Modelled, not: see the files listed in vga_state.h.
 */
#include "devices/vga.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/snap.h"
#include "devices/vga_state.h"

enum { REGISTERS_SIZE = 4096 };

/* --- PCI ---------------------------------------------------------------- */

static void vram_moved(void *dev, uint64_t base)
{
    struct vga *vga = dev;
    uint8_t *to;

    vga_plain_leave(vga);
    to = vga->config.map ? vga->config.map(vga->config.board, base) : NULL;

    vga->mapped = to;
    if (base == PCI_NOWHERE)
        return; /* most often it comes back to the same place */
    if (!to)
        to = vga->own_vram;
    vga_changed(vga); /* stores there are heard of again when a refresh has asked for that */
    if (to == vga->vram)
        return;
    memcpy(to, vga->vram, VGA_VRAM_SIZE);
    vga->vram = to;
    vga_mark_all(vga);
}

static void put(uint8_t *at, uint32_t value, unsigned size)
{
    memcpy(at, &value, size);
}

static int attach(struct vga *vga)
{
    struct pci_function *f = &vga->pci;

    if (!vga->config.pci)
        return 0;
    f->name = "vga";
    f->dev = vga;
    put(f->after_reset + PCI_VENDOR, 0x1234, 2);
    put(f->after_reset + PCI_DEVICE, 0x1111, 2);
    put(f->after_reset + PCI_SUBSYSTEM_VENDOR, 0x1af4, 2);
    put(f->after_reset + PCI_SUBSYSTEM, 0x1100, 2);
    f->after_reset[PCI_REVISION] = 2;
    put(f->after_reset + PCI_CLASS, 0x030000, 3); /* VGA compatible */
    f->bar[0] = (struct pci_bar){ .size = VGA_VRAM_SIZE,
                                  .prefetch = true,
                                  .ops = &vga_vram_ops,
                                  .dev = vga,
                                  .moved = vram_moved };
    f->bar[2] = (struct pci_bar){ .size = REGISTERS_SIZE, .ops = &vga_registers_ops, .dev = vga };
    vga->rom = (struct pci_rom){ vga->config.rom, vga->config.rom_size };
    pci_rom_install(f, &vga->rom);
    return pci_attach(vga->config.pci, vga->config.slot, 0, f);
}

/* --- What a BIOS leaves ------------------------------------------------- */

static const struct {
    uint8_t misc, sr[5], cr[25], gr[9], ar[21];
} mode_3 = {
    0x67,
    { 0x03, 0x00, 0x03, 0x00, 0x02 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
      0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
    { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff },
    { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e,
      0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00 },
};

/* The EGA's 64 colours: bits 5:3 are a third each of red, green, blue, bits 2:0 two thirds. */
static void set_dac(uint8_t *dac)
{
    for (unsigned i = 0; i < 64; i++)
        for (unsigned part = 0; part < 3; part++)
            dac[i * 3 + part] = (i >> (2 - part) & 1) * 0x2a + (i >> (5 - part) & 1) * 0x15;
}

static void load_font(struct vga *vga)
{
    const uint8_t *font = vga_font_in(vga->config.rom, vga->config.rom_size);
    uint8_t plain[256][16];

    vga_font_plain(plain);
    for (unsigned code = 0; code < 256; code++)
        for (unsigned line = 0; line < 16; line++)
            vga->vram[(code * 32 + line) * 4 + 2] =
                font ? font[code * 16 + line] : plain[code][line];
    vga->regs.fonts++;
}

void vga_text_mode(struct vga *vga)
{
    struct vga_regs *r = &vga->regs;

    vga_plain_leave(vga);
    r->misc = mode_3.misc;
    memcpy(r->sr, mode_3.sr, sizeof(mode_3.sr));
    memcpy(r->cr, mode_3.cr, sizeof(mode_3.cr));
    memcpy(r->gr, mode_3.gr, sizeof(mode_3.gr));
    memcpy(r->ar, mode_3.ar, sizeof(mode_3.ar));
    r->ar_index = AR_PALETTE_ON;
    r->splits = true;
    set_dac(r->dac);
    for (unsigned i = 0; i < VGA_PLANES_SIZE / 8; i++) {
        vga->vram[i * 8] = ' ';
        vga->vram[i * 8 + 1] = 0x07;
    }
    load_font(vga);
    vga_plain_check(vga);
    vga_mark_all(vga);
}

/* --- Life --------------------------------------------------------------- */

void vga_reset(struct vga *vga)
{
    vga_plain_leave(vga);
    memset(&vga->regs, 0, sizeof(vga->regs));
    /*
     * The manual has no values after power-on. GRUB as firmware sets a text mode, and neither the
     * plane enable register, nor the DAC's mask, nor the line compare.
     */
    vga->regs.ar[0x12] = 0x0f;
    vga->regs.dac_mask = 0xff;
    if (vga->config.pci)
        pci_reset(&vga->pci);
    vga->vram = vga->own_vram;
    if (madvise(vga->vram, VGA_VRAM_SIZE, MADV_DONTNEED))
        memset(vga->vram, 0, VGA_VRAM_SIZE);
    vga_vbe_reset(vga);
    vga_plain_check(vga);
    vga_mark_all(vga);
}

static void snap_regs(struct vga_regs *r, struct snap *snap)
{
    uint8_t ar_data = r->ar_data, splits = r->splits;

    snap_u8(snap, &r->misc);
    snap_u8(snap, &r->feature);
    snap_u8(snap, &r->sr_index);
    snap_bytes(snap, r->sr, sizeof(r->sr));
    snap_u8(snap, &r->gr_index);
    snap_bytes(snap, r->gr, sizeof(r->gr));
    snap_u8(snap, &r->cr_index);
    snap_bytes(snap, r->cr, sizeof(r->cr));
    snap_u8(snap, &r->ar_index);
    snap_bytes(snap, r->ar, sizeof(r->ar));
    snap_u8(snap, &ar_data);
    snap_u8(snap, &splits);
    snap_bytes(snap, r->dac, sizeof(r->dac));
    snap_u8(snap, &r->dac_mask);
    snap_u8(snap, &r->dac_read);
    snap_u8(snap, &r->dac_write);
    snap_u8(snap, &r->dac_part);
    snap_u8(snap, &r->dac_state);
    snap_bytes(snap, &r->latch, sizeof(r->latch));
    snap_bytes(snap, &r->vbe_index, sizeof(r->vbe_index));
    snap_bytes(snap, r->vbe, sizeof(r->vbe));
    r->ar_data = ar_data;
    r->splits = splits;
    r->sr_index &= 7;
    r->gr_index &= 15;
    r->cr_index &= 63;
    r->dac_part %= 3;
}

void vga_snapshot(struct vga *vga, struct snap *snap)
{
    vga_plain_leave(vga);
    snap_regs(&vga->regs, snap);
    vga_plain_check(vga);
    if (vga->config.pci)
        pci_snapshot(&vga->pci, snap);
    vga->regs.fonts++;
    if (snap->loading)
        vga_mark_all(vga);
}

const struct vga_counters *vga_counters(const struct vga *vga)
{
    return &vga->counters;
}

struct vga *vga_create(const struct vga_config *config)
{
    struct vga *vga = calloc(1, sizeof(*vga));
    int err = 0;

    if (!vga)
        return NULL;
    vga->config = *config;
    vga_refresh_init(vga);
    vga_plain_init(vga);
    vga->own_vram = vga->vram = mmap(NULL, VGA_VRAM_SIZE, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (vga->own_vram == MAP_FAILED) {
        vga->own_vram = NULL;
        err = -ENOMEM;
    }
    if (!err)
        err = vga_ports_claim(vga);
    if (!err)
        err = vga_vbe_claim(vga);
    if (!err)
        err = vga_memory_claim(vga);
    if (!err)
        err = attach(vga);
    if (err) {
        vga_destroy(vga);
        errno = -err;
        return NULL;
    }
    vga_reset(vga);
    if (config->display) {
        struct display_chip chip = vga_display_chip;

        chip.chip = vga;
        display_attach(config->display, &chip);
    }
    return vga;
}

void vga_destroy(struct vga *vga)
{
    if (vga->config.display)
        display_attach(vga->config.display, NULL);
    timer_cancel(&vga->refresh);
    timer_cancel(&vga->plain.enter);
    if (vga->pci.bus)
        pci_detach(&vga->pci);
    pthread_mutex_destroy(&vga->lock);
    if (vga->own_vram)
        munmap(vga->own_vram, VGA_VRAM_SIZE);
    free(vga);
}
