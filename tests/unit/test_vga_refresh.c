/*
 * What is told to windows: nothing while nothing changes, each changed page once a refresh, only
 * the lines that changed; and that many changes in small steps give the same picture as one look.
 * Garbage in all registers keeps everything inside its bounds (AddressSanitizer watches).
 */
#include "devices/pci.h"
#include "tests/unit/vga_fixture.h"

#define AT 0xe0000000u
#define PAGES (1024 * 768 * 4 / VGA_PAGE) /* of the mode used here */

static struct screen s;
static struct pci_bus *pci;
static struct display_picture window;
static uint8_t *vram;
static uint8_t clean[VGA_VRAM_SIZE / VGA_PAGE]; /* its next write is a fault */
static bool told, here;
static unsigned faults, moves, stores;
static uint64_t seed = 0xabcdef987654321;

static uint8_t *map(void *board, uint64_t gpa)
{
    (void)board;
    here = gpa != PCI_NOWHERE;
    memset(clean, 0, sizeof(clean)); /* who comes to another place asks for nothing there */
    moves++;
    return here ? vram : NULL;
}

static void collect(void *board, uint32_t first, uint32_t count, uint64_t *written)
{
    (void)board;
    CHECK_EQ(first + count <= VGA_VRAM_SIZE / VGA_PAGE, true);
    for (uint32_t page = first; page < first + count; page++) {
        if (!clean[page])
            written[page / 64] |= 1ull << page % 64;
        clean[page] = 1;
    }
    told = false;
}

static void stored(void *board, uint32_t offset, uint32_t size)
{
    (void)board;
    CHECK_EQ(here && size && offset + size <= VGA_VRAM_SIZE, true);
    stores++;
}

/* As the guest's memory does it. */
static void store(uint32_t at, uint32_t value)
{
    memcpy(vram + at, &value, 4);
    if (!clean[at / VGA_PAGE])
        return;
    clean[at / VGA_PAGE] = 0;
    faults++;
    if (!told)
        vga_touched(s.vga);
    told = true;
}

static unsigned clean_pages(void)
{
    unsigned count = 0;

    for (uint32_t page = 0; page < VGA_VRAM_SIZE / VGA_PAGE; page++)
        count += clean[page];
    return count;
}

static void pci_set(unsigned at, uint32_t value)
{
    pci_config_write(pci, 2 << 11 | at, 4, value);
}

static void no_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    (void)board;
    (void)slot;
    (void)pin;
    (void)level;
    check_failures++;
}

static void vbe(unsigned index, uint16_t value)
{
    bus_write(s.ports, 0x1ce, 2, index);
    bus_write(s.ports, 0x1cf, 2, value);
}

static bool refresh(void)
{
    clock_advance(&s.clock, 40000000);
    return display_paint(s.display, &window, 0);
}

static bool same_as_shot(void)
{
    screen_shoot(&s);
    return window.width == s.picture.width && window.height == s.picture.height &&
           !memcmp(window.pixels, s.picture.pixels, window.width * window.height * 4ul);
}

static void test_idle(void)
{
    const struct vga_counters *counters = vga_counters(s.vga);
    uint64_t before;

    vbe(1, 1024);
    vbe(2, 768);
    vbe(3, 32);
    vbe(4, 0x41);
    set_attr(&s, 0x10, 1);
    CHECK_EQ(refresh(), false); /* nobody looks */
    CHECK_EQ(clean_pages(), 0);
    CHECK_EQ(counters->refreshes, 0);
    display_look(s.display, true);
    CHECK_EQ(refresh(), true);
    CHECK_EQ(clean_pages(), PAGES);
    CHECK_EQ(window.rects, 1);
    before = counters->refreshes;
    for (unsigned i = 0; i < 100; i++)
        clock_advance(&s.clock, 40000000);
    CHECK_EQ(counters->refreshes, before);
    CHECK_EQ(clock_next_due_ns(&s.clock), CLOCK_NEVER);
    CHECK_EQ(refresh(), false);
}

static void test_full_redraw(void)
{
    const struct vga_counters *counters = vga_counters(s.vga);
    uint64_t pages = counters->pages;

    faults = 0;
    for (uint32_t at = 0; at < 1024 * 768 * 4; at += 4)
        store(at, at * 7);
    CHECK_EQ(faults, PAGES);
    CHECK_EQ(refresh(), true);
    CHECK_EQ(counters->pages - pages, PAGES);
    CHECK_EQ(same_as_shot(), true);
    store(4096 * 100, 0x123456); /* a line is a page here */
    store(4096 * 100 + 8, 0x123456);
    CHECK_EQ(faults, PAGES + 1);
    CHECK_EQ(refresh(), true);
    CHECK_EQ(window.rects, 1);
    CHECK_EQ(window.rect[0].y, 100);
    CHECK_EQ(window.rect[0].height, 1);
    CHECK_EQ(same_as_shot(), true);
    store(0x400000, 1); /* not shown */
    CHECK_EQ(refresh(), false);
}

/* A character's worth of change in text mode. */
static void test_text(void)
{
    vbe(4, 0);
    vga_text_mode(s.vga);
    refresh();
    CHECK_EQ(window.width, 720);
    stores = 0;
    bus_write(s.memory, 0xb8000 + (80 * 3 + 5) * 2, 2, 0x1741);
    CHECK_EQ(stores, 2);
    CHECK_EQ(refresh(), true);
    CHECK_EQ(window.rects, 1);
    CHECK_EQ(window.rect[0].x, 5 * 9);
    CHECK_EQ(window.rect[0].y, 3 * 16);
    CHECK_EQ(window.rect[0].width, 9);
    CHECK_EQ(window.rect[0].height, 16);
    CHECK_EQ(window.again_ms > 0, true); /* the cursor blinks */
    CHECK_EQ(same_as_shot(), true);
    set_crtc(&s, 0x0f, 10); /* the cursor moves: two cells */
    CHECK_EQ(refresh(), true);
    CHECK_EQ(window.rects, 1);
    CHECK_EQ(window.rect[0].height, 16);
    CHECK_EQ(display_paint(s.display, &window, 120), true); /* it is away for a while */
    CHECK_EQ(window.rect[0].width, 9);
    set_crtc(&s, 0x0a, 0x20);
    CHECK_EQ(refresh(), true);
    CHECK_EQ(window.again_ms, 0);
    CHECK_EQ(same_as_shot(), true);
}

static void random_port(void)
{
    static const uint16_t ports[] = { 0x3c0, 0x3c1, 0x3c2, 0x3c4, 0x3c5, 0x3c6, 0x3c7, 0x3c8,
                                      0x3c9, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da, 0x3b4, 0x3b5 };

    out8(s.ports, ports[random_next(&seed) >> 20 & 15], random_next(&seed) >> 24 & 0xff);
}

static void random_vbe(void)
{
    uint64_t r = random_next(&seed);
    static const uint16_t depth[8] = { 4, 8, 15, 16, 24, 32, 0, 7 };

    if (r & 3)
        vbe(r >> 20 & 15, r >> 30 & 0xfff);
    else if (r & 4)
        vbe(3, depth[r >> 40 & 7]);
    else
        vbe(4, r >> 40 & 0xff);
}

/* Whatever the registers are, small steps show what one look shows. */
static void test_garbage(unsigned rounds)
{
    for (unsigned i = 0; i < rounds && !check_failures; i++) {
        for (unsigned n = random_next(&seed) >> 20 & 31; n-- > 0;)
            random_port();
        if (!(random_next(&seed) >> 20 & 3))
            random_vbe();
        for (unsigned n = 64; n-- > 0;) {
            poke(&s, 0xa0000 + (random_next(&seed) >> 20 & 0x1ffff), (uint8_t)seed);
            store(random_next(&seed) >> 20 & (VGA_VRAM_SIZE - 4), (uint32_t)seed);
        }
        set_indexed(&s, 0x3d4, 0x0a, 0x20);
        set_attr(&s, 0x10, (uint8_t)(seed >> 8 & ~8u)); /* nothing blinks */
        refresh();
        CHECK_EQ(same_as_shot(), true);
    }
}

/* The frame buffer's BAR comes and goes; what is in it stays. */
static void test_moves(void)
{
    uint32_t value = 0;

    vbe(4, 0);
    vbe(1, 1024);
    vbe(2, 768);
    vbe(3, 32);
    vbe(4, 0x41);
    set_attr(&s, 0x10, 1);
    store(4096, 0x112233);
    refresh();
    pci_set(PCI_COMMAND, 0);
    CHECK_EQ(here, false);
    CHECK_EQ(same_as_shot(), true);
    CHECK_EQ(pixel(&s, 0, 1), 0x112233);
    pci_set(PCI_COMMAND, PCI_COMMAND_MEMORY);
    CHECK_EQ(here, true);
    refresh(); /* Linux has looked at its size; what it draws later shall be seen */
    store(4100, 0x445566);
    CHECK_EQ(refresh(), true);
    CHECK_EQ(same_as_shot(), true);
    CHECK_EQ(pci_config_read(pci, 2 << 11, 4), 0x11111234);
    CHECK_EQ(pci_config_read(pci, 2 << 11 | 8, 4) >> 8, 0x030000);
    memcpy(&value, vram + 4096, 4);
    CHECK_EQ(value, 0x112233);
    pci_set(PCI_BAR0 + 8, 0xfebf0000);
    CHECK_EQ(bus_read(s.memory, 0xfebf0502, 2), 1024); /* VBE in memory */
    bus_write(s.memory, 0xfebf0508, 2, 0);
    CHECK_EQ(bus_read(s.memory, 0xfebf0508, 2), 0);
    CHECK_EQ(bus_read(s.memory, 0xfebf0000, 4), 0xffffff00); /* EDID */
    CHECK_EQ(bus_read(s.memory, 0xfebf0600, 4), 8);
    out8(s.ports, 0x3c2, 0x63);
    bus_write(s.memory, 0xfebf0414, 2, 0x770f); /* 0x3d4 */
    CHECK_EQ(bus_read(s.memory, 0xfebf0415, 1), 0x77);
    for (unsigned i = 0; i < 128; i++)
        value += (uint32_t)bus_read(s.memory, 0xfebf0000 + i, 1);
    CHECK_EQ((value - 0x112233) & 0xff, 0);
}

int main(int argc, char **argv)
{
    struct vga_config config = { .map = map, .collect = collect, .stored = stored,
                                 .slot = 2 };
    struct bus *memory = bus_create(), *ports = bus_create();

    vram = aligned_alloc(4096, VGA_VRAM_SIZE);
    memset(vram, 0x55, VGA_VRAM_SIZE);
    config.ports = ports;
    config.memory = memory;
    config.pci = pci = pci_create(&(struct pci_bus_config){ ports, memory, no_pin, NULL, NULL });
    screen_open(&s, &config);
    pci_set(PCI_BAR0, AT);
    pci_set(PCI_COMMAND, PCI_COMMAND_MEMORY);
    CHECK_EQ(here, true);
    test_idle();
    test_full_redraw();
    test_text();
    test_garbage(argc > 1 ? (unsigned)atoi(argv[1]) : 300);
    test_moves();
    display_look(s.display, false);
    store(0, 1);
    CHECK_EQ(refresh(), false);
    display_forget(s.display, &window);
    screen_close(&s);
    pci_destroy(pci);
    bus_destroy(memory);
    bus_destroy(ports);
    free(vram);
    return CHECK_DONE();
}
