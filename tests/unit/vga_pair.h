/*
 * Two VGAs in step: one whose window becomes plain memory when the chip says so, as the guest's
 * memory does it, and one that always answers by itself. What a guest reads, what windows and
 * screenshots show, is the same of both. pair_check() after everything that was done to them.
 *
 * Latches are what may differ: reads of plain memory do not load them. As soon as both chips
 * answer, a read through both makes them equal again.
 */
#ifndef TESTS_UNIT_VGA_PAIR_H
#define TESTS_UNIT_VGA_PAIR_H

#include "devices/pci.h"
#include "tests/unit/vga_fixture.h"

#define PAIR_WINDOW       0xa0000u
#define PAIR_FRAME_BUFFER 0xe0000000u
#define PAIR_REGISTERS    0xfebf0000u

struct vga_pair {
    struct screen plain, chip;
    struct pci_bus *pci[2];
    struct display_picture shown[2];

    /* As frontend/pc_memory.c has it. */
    uint8_t image[VGA_WINDOW_SIZE];
    uint32_t base, size, clean; /* a bit for each page: its next write is a fault */
    bool told;
    bool latches_differ;
    unsigned through; /* accesses that the chip heard nothing of */
};

static inline void pair_open_window(void *board, uint32_t base, uint32_t size)
{
    struct vga_pair *p = board;

    CHECK_EQ(base + size <= VGA_WINDOW_SIZE && !(base % VGA_PAGE) && !(size % VGA_PAGE), true);
    p->base = base;
    p->size = size;
    p->clean = 0;
}

static inline uint32_t pair_opened(void *board)
{
    struct vga_pair *p = board;
    uint32_t written = ~p->clean;

    p->clean = UINT32_MAX;
    p->told = false;
    return written;
}

static inline void pair_no_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    (void)board, (void)slot, (void)pin, (void)level;
}

static inline void pair_screen_open(struct screen *s, struct pci_bus **pci,
                                    struct vga_config config)
{
    config.ports = bus_create();
    config.memory = bus_create();
    *pci = config.pci = pci_create(
        &(struct pci_bus_config){ config.ports, config.memory, pair_no_pin, NULL, NULL });
    config.slot = 2;
    screen_open(s, &config);
    pci_config_write(*pci, 2 << 11 | PCI_BAR0, 4, PAIR_FRAME_BUFFER);
    pci_config_write(*pci, 2 << 11 | (PCI_BAR0 + 8), 4, PAIR_REGISTERS);
    pci_config_write(*pci, 2 << 11 | PCI_COMMAND, 2, 3);
    display_look(s->display, true);
}

static inline void pair_open(struct vga_pair *p)
{
    memset(p, 0, sizeof(*p));
    pair_screen_open(&p->plain, &p->pci[0],
                     (struct vga_config){ .window = p->image, .open = pair_open_window,
                                          .opened = pair_opened, .board = p });
    pair_screen_open(&p->chip, &p->pci[1], (struct vga_config){ 0 });
}

static inline void pair_screen_close(struct screen *s, struct pci_bus *pci,
                                     struct display_picture *shown)
{
    display_look(s->display, false);
    display_forget(s->display, shown);
    screen_close(s);
    pci_destroy(pci);
    bus_destroy(s->memory);
    bus_destroy(s->ports);
}

static inline void pair_close(struct vga_pair *p)
{
    pair_screen_close(&p->plain, p->pci[0], &p->shown[0]);
    pair_screen_close(&p->chip, p->pci[1], &p->shown[1]);
}

/* --- The guest's accesses ------------------------------------------------- */

/* Image's offset of an address that is plain memory. */
static inline bool pair_is_plain(const struct vga_pair *p, uint64_t gpa, uint32_t *at)
{
    *at = (uint32_t)(gpa - PAIR_WINDOW);
    return gpa - PAIR_WINDOW < VGA_WINDOW_SIZE && *at - p->base < p->size;
}

static inline uint8_t pair_load(struct vga_pair *p, uint64_t gpa)
{
    uint32_t at;

    if (!pair_is_plain(p, gpa, &at))
        return (uint8_t)bus_read(p->plain.memory, gpa, 1);
    p->latches_differ = true;
    p->through++;
    return p->image[at];
}

static inline void pair_store(struct vga_pair *p, uint64_t gpa, uint8_t value)
{
    uint32_t at, bit;

    if (!pair_is_plain(p, gpa, &at)) {
        bus_write(p->plain.memory, gpa, 1, value);
        return;
    }
    bit = 1u << at / VGA_PAGE;
    p->image[at] = value;
    p->through++;
    if (p->clean & bit && !p->told) {
        p->told = true;
        vga_touched(p->plain.vga);
    }
    p->clean &= ~bit;
}

static inline bool pair_touches_plain(const struct vga_pair *p, uint64_t gpa, unsigned size)
{
    uint32_t at;

    return pair_is_plain(p, gpa, &at) || pair_is_plain(p, gpa + size - 1, &at);
}

static inline void pair_read(struct vga_pair *p, uint64_t gpa, unsigned size)
{
    uint64_t value = 0, want = bus_read(p->chip.memory, gpa, size);

    if (!pair_touches_plain(p, gpa, size))
        value = bus_read(p->plain.memory, gpa, size);
    else
        for (unsigned i = 0; i < size; i++)
            value |= (uint64_t)pair_load(p, gpa + i) << 8 * i;
    CHECK_EQ(value, want);
}

static inline void pair_write(struct vga_pair *p, uint64_t gpa, unsigned size, uint64_t value)
{
    bus_write(p->chip.memory, gpa, size, value);
    if (!pair_touches_plain(p, gpa, size))
        bus_write(p->plain.memory, gpa, size, value);
    else
        for (unsigned i = 0; i < size; i++)
            pair_store(p, gpa + i, (uint8_t)(value >> 8 * i));
}

/* Count elements, the first of them at from; same: all are that one. By runs where there are any,
 * as the translator has them (translator/light.c). */
static inline void pair_write_run(struct vga_pair *p, uint64_t gpa, unsigned size,
                                  const uint8_t *from, bool same, unsigned count)
{
    unsigned step = same ? 0 : size, done;
    uint64_t value = 0;

    for (unsigned n = 0; n < count; n += done) {
        uint64_t at = gpa + (uint64_t)n * size;

        memcpy(&value, from + n * step, size);
        done = pair_touches_plain(p, at, size)
                   ? 0
                   : (unsigned)bus_write_run(p->plain.memory, at, size, from + n * step, same,
                                             count - n);
        for (unsigned i = 0; i < done; i++) {
            memcpy(&value, from + (n + i) * step, size);
            bus_write(p->chip.memory, at + (uint64_t)i * size, size, value);
        }
        if (!done) {
            pair_write(p, at, size, value);
            done = 1;
        }
    }
}

static inline void pair_in(struct vga_pair *p, uint16_t port, unsigned size)
{
    CHECK_EQ(bus_read(p->plain.ports, port, size), bus_read(p->chip.ports, port, size));
}

static inline void pair_out(struct vga_pair *p, uint16_t port, unsigned size, uint64_t value)
{
    bus_write(p->plain.ports, port, size, value);
    bus_write(p->chip.ports, port, size, value);
}

/* --- Modes ---------------------------------------------------------------- */

static inline void pair_set(struct vga_pair *p, uint16_t port, uint8_t index, uint8_t value)
{
    pair_out(p, port, 1, index);
    pair_out(p, port + 1, 1, value);
}

static inline void pair_set_mode(struct vga_pair *p, const struct vga_mode *mode)
{
    set_mode(&p->plain, mode);
    set_mode(&p->chip, mode);
}

/* As a video BIOS has it while it loads a font into plane 2. */
static inline void pair_set_font(struct vga_pair *p)
{
    pair_set_mode(p, &mode_text);
    pair_set(p, 0x3c4, 2, 4);
    pair_set(p, 0x3c4, 4, 7);
    pair_set(p, 0x3ce, 4, 2);
    pair_set(p, 0x3ce, 5, 0);
    pair_set(p, 0x3ce, 6, 4);
}

/* --- Comparing ------------------------------------------------------------ */

/* Also lets the window become plain, if it is time. */
static inline void pair_check(struct vga_pair *p, uint64_t ns)
{
    clock_advance(&p->plain.clock, ns);
    clock_advance(&p->chip.clock, ns);
    if (!p->latches_differ || p->size)
        return;
    for (uint32_t at = 0; at < VGA_WINDOW_SIZE; at += VGA_WINDOW_SIZE / 4)
        pair_read(p, PAIR_WINDOW + at, 1);
    p->latches_differ = p->size; /* these reads may have been the ones that it waited for */
}

static inline bool pair_same(const struct display_picture *a, const struct display_picture *b)
{
    if (a->width != b->width || a->height != b->height)
        return false;
    for (unsigned y = 0; y < a->height; y++)
        if (memcmp(a->pixels + (size_t)y * a->stride, b->pixels + (size_t)y * b->stride,
                   a->width * 4ul))
            return false;
    return true;
}

static inline void pair_shoot(struct vga_pair *p)
{
    screen_shoot(&p->plain);
    screen_shoot(&p->chip);
    CHECK_EQ(pair_same(&p->plain.picture, &p->chip.picture), true);
}

/* What windows show when the next refresh has been. */
static inline void pair_show(struct vga_pair *p)
{
    pair_check(p, 40000000);
    display_paint(p->plain.display, &p->shown[0], 0);
    display_paint(p->chip.display, &p->shown[1], 0);
    CHECK_EQ(pair_same(&p->shown[0], &p->shown[1]), true);
}

/* What a screenshot shows, before windows are brought up to date and after it, and these. */
static inline void pair_look(struct vga_pair *p)
{
    pair_shoot(p);
    pair_show(p);
    pair_shoot(p);
    CHECK_EQ(pair_same(&p->plain.picture, &p->shown[0]), true);
}

#endif
