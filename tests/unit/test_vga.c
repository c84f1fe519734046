/*
 * VGA and VBE modes: what a program draws by that mode's rules is on the screen, pixel for pixel,
 * as this file works it out from what it has drawn; and the registers themselves.
 */
#include "tests/unit/vga_fixture.h"

static struct screen s;
static uint64_t seed = 0x123456789abcdef;
static uint8_t want[1600][2560]; /* colour numbers */

static uint8_t random8(void)
{
    return random_next(&seed) >> 24 & 0xff;
}

/* The picture is want[][], each point wide by high pixels; in the DAC's colours of the map. */
static void check_points(unsigned width, unsigned height, unsigned wide, unsigned high,
                         const uint8_t *map)
{
    unsigned wrong = 0;

    screen_shoot(&s);
    CHECK_EQ(s.picture.width, width * wide);
    CHECK_EQ(s.picture.height, height * high);
    for (unsigned y = 0; y < height * high; y++)
        for (unsigned x = 0; x < width * wide; x++) {
            uint8_t colour = want[y / high][x / wide];

            wrong += pixel(&s, x, y) != s.dac[map ? map[colour] : colour];
        }
    CHECK_EQ(wrong, 0);
}

/* --- Text ------------------------------------------------------------------ */

static uint8_t font[2][256][32];

/* As a BIOS loads it: planes one after the other, plane 2 alone. */
static void load_font(unsigned number, uint32_t at)
{
    set_seq(&s, 2, 4);
    set_seq(&s, 4, 7);
    set_gfx(&s, 5, 0);
    set_gfx(&s, 6, 4);
    for (unsigned code = 0; code < 256; code++)
        for (unsigned line = 0; line < 32; line++) {
            font[number][code][line] = random8();
            poke(&s, 0xa0000 + at + code * 32 + line, font[number][code][line]);
        }
    set_seq(&s, 2, 3);
    set_seq(&s, 4, 3);
    set_gfx(&s, 5, 0x10);
    set_gfx(&s, 6, 0x0e);
}

static uint8_t text[60][132][2];

static void fill_text(unsigned columns, unsigned rows)
{
    for (unsigned y = 0; y < rows; y++)
        for (unsigned x = 0; x < columns; x++) {
            text[y][x][0] = random8();
            text[y][x][1] = random8();
            bus_write(s.memory, 0xb8000 + (y * columns + x) * 2, 2,
                      text[y][x][0] | text[y][x][1] << 8);
        }
}

struct text_look {
    unsigned columns, rows, dots, lines, repeat;
    bool blink, two_fonts;
    int cursor_x, cursor_y;
    unsigned cursor_first, cursor_last, underline;
};

static bool text_dot(const struct text_look *l, unsigned column, unsigned row, unsigned dot,
                     unsigned line)
{
    uint8_t code = text[row][column][0], attribute = text[row][column][1];
    uint8_t bits = font[l->two_fonts && attribute & 8 ? 1 : 0][code][line];

    if (l->cursor_x == (int)column && l->cursor_y == (int)row && line >= l->cursor_first &&
        line <= l->cursor_last)
        return true;
    if (line == l->underline && (attribute & 0x77) == 0x01)
        return true;
    if (dot == 8)
        return code >= 0xc0 && code <= 0xdf && bits & 1;
    return bits >> (7 - dot) & 1;
}

static void check_text(const struct text_look *l, const uint8_t *palette)
{
    unsigned wrong = 0, width = l->dots * l->repeat;

    screen_shoot(&s);
    CHECK_EQ(s.picture.width, l->columns * width);
    CHECK_EQ(s.picture.height, l->rows * l->lines);
    for (unsigned y = 0; y < l->rows * l->lines; y++)
        for (unsigned x = 0; x < l->columns * width; x++) {
            unsigned column = x / width, row = y / l->lines;
            uint8_t attribute = text[row][column][1];
            unsigned colour = text_dot(l, column, row, x % width / l->repeat, y % l->lines)
                                  ? attribute & 15
                                  : attribute >> 4 & (l->blink ? 7 : 15);

            wrong += pixel(&s, x, y) != s.dac[palette[colour]];
        }
    CHECK_EQ(wrong, 0);
}

static void set_cursor(unsigned at, uint8_t first, uint8_t last)
{
    set_crtc(&s, 0x0e, at >> 8);
    set_crtc(&s, 0x0f, at & 0xff);
    set_crtc(&s, 0x0a, first);
    set_crtc(&s, 0x0b, last);
}

static void test_text(void)
{
    struct text_look look = { 80, 25, 9, 16, 1, true, false, 7, 3, 13, 14, 31 };

    set_mode(&s, &mode_text);
    screen_palette(&s);
    load_font(0, 0);
    load_font(1, 0x4000);
    fill_text(80, 25);
    set_cursor(3 * 80 + 7, 13, 14);
    check_text(&look, mode_text.ar);
    CHECK_EQ(s.picture.text.columns, 80);
    CHECK_EQ(s.picture.text.rows, 25);
    CHECK_EQ(s.picture.text.cursor_column, 7);
    CHECK_EQ(s.picture.text.cursor_row, 3);
    CHECK_EQ(s.picture.text.cell[81], text[1][1][0] | text[1][1][1] << 8);

    set_seq(&s, 1, 1); /* 8 dots */
    look.dots = 8;
    check_text(&look, mode_text.ar);
    set_seq(&s, 3, 0x04); /* attribute bit 3 set: the second 16 KiB */
    look.two_fonts = true;
    check_text(&look, mode_text.ar);
    set_attr(&s, 0x10, 0x04); /* bright backgrounds */
    look.blink = false;
    check_text(&look, mode_text.ar);
    set_crtc(&s, 0x14, 15); /* underlined */
    look.underline = 15;
    check_text(&look, mode_text.ar);
    set_crtc(&s, 0x0a, 0x2d); /* no cursor */
    look.cursor_x = -1;
    check_text(&look, mode_text.ar);
    set_crtc(&s, 9, 7); /* 50 rows of 8 lines */
    fill_text(80, 50);
    look.rows = 50;
    look.lines = 8;
    check_text(&look, mode_text.ar);
}

static void test_text_40(void)
{
    struct text_look look = { 40, 25, 8, 16, 2, false, false, -1, -1, 0, 0, 31 };

    set_mode(&s, &mode_text);
    set_seq(&s, 1, 9);
    set_crtc(&s, 1, 39);
    set_crtc(&s, 0x13, 20);
    set_crtc(&s, 0x0a, 0x20);
    set_attr(&s, 0x10, 0x04);
    load_font(0, 0);
    fill_text(40, 25);
    check_text(&look, mode_text.ar);
}

/* Mode 7: other addresses for the CRTC and for memory. */
static void test_monochrome(void)
{
    struct text_look look = { 80, 25, 9, 16, 1, false, false, -1, -1, 0, 0, 13 };
    uint8_t palette[16];

    set_mode(&s, &mode_text);
    for (unsigned i = 0; i < 16; i++)
        set_attr(&s, i, palette[i] = i & 8 ? 0x18 : i ? 0x08 : 0);
    load_font(0, 0);
    set_attr(&s, 0x10, 0x06);
    out8(s.ports, 0x3c2, 0x66);
    CHECK_EQ(in8(s.ports, 0x3d5), 0xff);
    set_indexed(&s, 0x3b4, 0x14, 13);
    set_indexed(&s, 0x3b4, 0x0a, 0x20);
    set_gfx(&s, 6, 0x0a);
    for (unsigned y = 0; y < 25; y++)
        for (unsigned x = 0; x < 80; x++) {
            text[y][x][0] = random8();
            text[y][x][1] = (uint8_t)(x & 0xf7);
            poke(&s, 0xb0000 + (y * 80 + x) * 2, text[y][x][0]);
            poke(&s, 0xb0001 + (y * 80 + x) * 2, text[y][x][1]);
        }
    CHECK_EQ(peek(&s, 0xb8000), 0xff); /* not decoded */
    check_text(&look, palette);
}

/* Scrolled by the start address, with a split screen that stays. */
static void test_text_split(void)
{
    unsigned wrong = 0;

    set_mode(&s, &mode_text);
    set_seq(&s, 1, 1);
    set_attr(&s, 0x10, 0x04);
    set_crtc(&s, 0x0a, 0x20);
    load_font(0, 0);
    fill_text(80, 50);
    set_crtc(&s, 0x0c, (20 * 80) >> 8);
    set_crtc(&s, 0x0d, 20 * 80 & 0xff);
    set_crtc(&s, 0x18, (16 * 20 - 1) & 0xff); /* five rows of the beginning below line 319 */
    set_crtc(&s, 9, 0x0f); /* bits 9 and 8 are in 9 and 7 */
    set_crtc(&s, 7, 0x1f);
    screen_shoot(&s);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned row = y < 320 ? 20 + y / 16 : (y - 320) / 16, column = x / 8;
            const uint8_t *cell = text[row][column];
            unsigned colour = font[0][cell[0]][y % 16] >> (7 - x % 8) & 1 ? cell[1] & 15
                                                                          : cell[1] >> 4;

            wrong += pixel(&s, x, y) != s.dac[mode_text.ar[colour]];
        }
    CHECK_EQ(wrong, 0);
}

/* In the order in which GRUB as firmware writes to the chip, from power-on. To 3C2h: memory off. */
static void grub_text_mode(void)
{
    static const uint8_t crtc[][2] = { { 7, 0x02 }, { 9, 0x0f }, { 1, 0x4f }, { 0x13, 0x28 },
                                       { 0x12, 0x8f }, { 0x0a, 0x20 } };

    vga_reset(s.vga);
    out8(s.ports, 0x3c2, 0x01);
    set_gfx(&s, 6, 0);
    set_seq(&s, 4, 0);
    set_seq(&s, 2, 4);
    set_gfx(&s, 3, 0);
    set_gfx(&s, 5, 0);
    set_gfx(&s, 8, 0xff);
    for (unsigned code = 0; code < 256; code++)
        for (unsigned line = 0; line < 16; line++)
            poke(&s, 0xa0000 + code * 32 + line, font[0][code][line] = random8());
    set_gfx(&s, 6, 0x0c);
    set_gfx(&s, 5, 0x10);
    set_seq(&s, 4, 0);
    set_seq(&s, 2, 3);
    for (unsigned i = 0; i < sizeof(crtc) / sizeof(crtc[0]); i++)
        set_crtc(&s, crtc[i][0], crtc[i][1]);
    for (uint8_t i = 0; i < 16; i++)
        set_attr(&s, i, i);
    screen_palette(&s);
    set_attr(&s, 0x10, 0);
    set_seq(&s, 1, 1);
}

/* It leaves the plane enable register, the DAC's mask and the line compare as they are. */
static void test_text_grub(void)
{
    struct text_look look = { 80, 25, 8, 16, 1, false, false, -1, 0, 13, 14, 0 };
    uint8_t palette[16];

    for (uint8_t i = 0; i < 16; i++)
        palette[i] = i;
    grub_text_mode();
    fill_text(80, 25);
    check_text(&look, palette);
    set_crtc(&s, 0x18, 0xff); /* and from now on 255 is the last line before the split */
    screen_shoot(&s);
    for (unsigned x = 0; x < 640; x++)
        CHECK_EQ(pixel(&s, x, 256), pixel(&s, x, 0));
}

/* --- Graphics --------------------------------------------------------------- */

static void test_256(void)
{
    set_mode(&s, &mode_256);
    for (unsigned y = 0; y < 200; y++)
        for (unsigned x = 0; x < 320; x++)
            poke(&s, 0xa0000 + y * 320 + x, want[y][x] = random8());
    check_points(320, 200, 2, 2, NULL);
    CHECK_EQ(peek(&s, 0xa0000 + 320 * 7 + 5), want[7][5]);
    CHECK_EQ(bus_read(s.memory, 0xa0000 + 320 * 7, 4) >> 8 & 0xff, want[7][1]);
    out8(s.ports, 0x3c6, 0x0f); /* the DAC's mask */
    screen_shoot(&s);
    CHECK_EQ(pixel(&s, 0, 0), s.dac[want[0][0] & 15]);
    out8(s.ports, 0x3c6, 0xff);
}

/* 320x240 in four planes, square dots; the second page; panning by a pixel. */
static void test_mode_x(void)
{
    static const uint8_t crtc[][2] = { { 0x06, 0x0d }, { 0x07, 0x3e }, { 0x10, 0xea },
                                       { 0x11, 0x0c }, { 0x12, 0xdf }, { 0x14, 0x00 },
                                       { 0x15, 0xe7 }, { 0x16, 0x06 }, { 0x17, 0xe3 } };
    const unsigned page = 320 * 240 / 4;

    set_mode(&s, &mode_256);
    set_seq(&s, 4, 0x06);
    out8(s.ports, 0x3c2, 0xe3);
    for (unsigned i = 0; i < sizeof(crtc) / 2; i++)
        set_crtc(&s, crtc[i][0], crtc[i][1]);
    for (unsigned y = 0; y < 240; y++)
        for (unsigned x = 0; x < 320; x++) {
            set_seq(&s, 2, 1 << (x & 3));
            poke(&s, 0xa0000 + page + y * 80 + x / 4, want[y][x] = random8());
        }
    set_crtc(&s, 0x0c, page >> 8);
    set_crtc(&s, 0x0d, page & 0xff);
    check_points(320, 240, 2, 2, NULL);
    set_gfx(&s, 4, 2);
    CHECK_EQ(peek(&s, 0xa0000 + page + 3), want[0][14]);
    set_attr(&s, 0x13, 2);
    for (unsigned y = 0; y < 240; y++) {
        uint8_t next = y < 239 ? want[y + 1][0] : 0; /* what is behind the line */

        memmove(want[y], want[y] + 1, 319);
        want[y][319] = next;
    }
    set_seq(&s, 2, 1);
    poke(&s, 0xa0000 + page + 240 * 80, 0);
    check_points(320, 240, 2, 2, NULL);
}

static void draw_planar(unsigned width, unsigned height)
{
    for (unsigned y = 0; y < height; y++)
        for (unsigned x = 0; x < width; x += 8) {
            uint8_t planes[4] = { 0 };

            for (unsigned i = 0; i < 8; i++) {
                want[y][x + i] = random8() & 15;
                for (unsigned p = 0; p < 4; p++)
                    planes[p] |= (want[y][x + i] >> p & 1) << (7 - i);
            }
            for (unsigned p = 0; p < 4; p++) {
                set_seq(&s, 2, 1 << p);
                poke(&s, 0xa0000 + (y * width + x) / 8, planes[p]);
            }
        }
}

static void test_planar(void)
{
    set_mode(&s, &mode_ega);
    draw_planar(320, 200);
    check_points(320, 200, 2, 2, mode_ega.ar);
    set_mode(&s, &mode_planar);
    draw_planar(640, 480);
    check_points(640, 480, 1, 1, mode_planar.ar);
    set_attr(&s, 0x12, 0x0b); /* without plane 2 */
    for (unsigned x = 0; x < 640; x++)
        want[0][x] &= 0x0b;
    screen_shoot(&s);
    for (unsigned x = 0; x < 640; x++)
        CHECK_EQ(pixel(&s, x, 0), s.dac[mode_planar.ar[want[0][x]]]);
}

static void test_cga(void)
{
    set_mode(&s, &mode_cga4);
    for (unsigned y = 0; y < 200; y++)
        for (unsigned x = 0; x < 320; x += 4) {
            uint8_t byte = random8();

            poke(&s, 0xb8000 + (y & 1) * 0x2000 + y / 2 * 80 + x / 4, byte);
            for (unsigned i = 0; i < 4; i++)
                want[y][x + i] = byte >> (6 - 2 * i) & 3;
        }
    check_points(320, 200, 2, 2, mode_cga4.ar);
    set_mode(&s, &mode_cga2);
    for (unsigned y = 0; y < 200; y++)
        for (unsigned x = 0; x < 640; x += 8) {
            uint8_t byte = random8();

            poke(&s, 0xb8000 + (y & 1) * 0x2000 + y / 2 * 80 + x / 8, byte);
            for (unsigned i = 0; i < 8; i++)
                want[y][x + i] = byte >> (7 - i) & 1;
        }
    check_points(640, 200, 1, 2, mode_cga2.ar);
}

static void test_blank(void)
{
    set_mode(&s, &mode_256);
    in8(s.ports, 0x3da);
    out8(s.ports, 0x3c0, 0x00);
    screen_shoot(&s);
    CHECK_EQ(s.picture.width * s.picture.height > 1000, true); /* whatever it was before */
    for (unsigned i = 0; i < s.picture.width * s.picture.height; i++)
        CHECK_EQ(s.picture.pixels[i], 0);
}

/* --- VBE -------------------------------------------------------------------- */

static void vbe(unsigned index, uint16_t value)
{
    bus_write(s.ports, 0x1ce, 2, index);
    bus_write(s.ports, 0x1cf, 2, value);
}

static uint16_t vbe_get(unsigned index)
{
    bus_write(s.ports, 0x1ce, 2, index);
    return bus_read(s.ports, 0x1cf, 2);
}

static void vbe_mode(unsigned width, unsigned height, unsigned bpp)
{
    vbe(4, 0);
    vbe(1, width);
    vbe(2, height);
    vbe(3, bpp);
    vbe(4, 0x41);
}

static uint32_t widened(uint32_t v, unsigned bits)
{
    return v << (8 - bits) | v >> (2 * bits - 8);
}

static uint32_t colour_of(uint32_t v, unsigned bpp)
{
    switch (bpp) {
    case 8: return s.dac[v & 0xff];
    case 15: return widened(v >> 10 & 31, 5) << 16 | widened(v >> 5 & 31, 5) << 8 |
                    widened(v & 31, 5);
    case 16: return widened(v >> 11 & 31, 5) << 16 | widened(v >> 5 & 63, 6) << 8 |
                    widened(v & 31, 5);
    default: return v & 0xffffff;
    }
}

/* Through the banks at 0xa0000, a virtual screen that is wider and panned. */
static void test_vbe_depth(unsigned bpp)
{
    const unsigned width = 640, height = 400, virtual = 800, x0 = 16, y0 = 9, bytes = (bpp + 1) / 8;
    unsigned wrong = 0;

    vbe_mode(width, height, bpp);
    vbe(6, virtual);
    vbe(8, x0);
    vbe(9, y0);
    CHECK_EQ(vbe_get(6), virtual);
    CHECK_EQ(vbe_get(7), (16u << 20) / (virtual * bytes) > 65535 ? 65535
                                                               : (16u << 20) / (virtual * bytes));
    seed = 99 + bpp;
    for (uint32_t at = 0; at < virtual * (height + y0) * bytes; at++) {
        if (!(at & 0xffff))
            vbe(5, at >> 16);
        poke(&s, 0xa0000 + (at & 0xffff), random8());
    }
    screen_shoot(&s);
    CHECK_EQ(s.picture.width, width);
    CHECK_EQ(s.picture.height, height);
    seed = 99 + bpp;
    for (unsigned y = 0; y < height + y0; y++)
        for (unsigned x = 0; x < virtual; x++) {
            uint32_t v = 0;

            for (unsigned i = 0; i < bytes; i++)
                v |= (uint32_t)random8() << 8 * i;
            if (y >= y0 && x >= x0 && x < x0 + width)
                wrong += pixel(&s, x - x0, y - y0) != colour_of(v, bpp);
        }
    CHECK_EQ(wrong, 0);
}

static void test_vbe_registers(void)
{
    vbe(4, 0);
    CHECK_EQ(vbe_get(0), 0xb0c5);
    vbe(0, 0xb0c2);
    CHECK_EQ(vbe_get(0), 0xb0c2);
    vbe(0, 0x1234);
    CHECK_EQ(vbe_get(0), 0xb0c2);
    vbe(4, 2);
    CHECK_EQ(vbe_get(3), 32);
    CHECK_EQ(vbe_get(1) >= 1920, true);
    CHECK_EQ(vbe_get(2) >= 1200, true);
    CHECK_EQ(vbe_get(10), 256);
    vbe_mode(1920, 1200, 32);
    CHECK_EQ(vbe_get(1), 1920);
    CHECK_EQ(vbe_get(2), 1200);
    vbe(1, 640); /* not while enabled */
    CHECK_EQ(vbe_get(1), 1920);
    vbe(8, 5000); /* stays inside */
    CHECK_EQ(vbe_get(8), 0);
    vbe_mode(1920, 1200, 17);
    CHECK_EQ(vbe_get(3), 32);
    CHECK_EQ(vbe_get(77), 0xffff);
    vbe_mode(1920, 1200, 32);
    screen_shoot(&s);
    CHECK_EQ(s.picture.height, 1200);
    vbe(4, 0);
}

static void test_vbe_planar(void)
{
    set_mode(&s, &mode_planar);
    vbe_mode(800, 600, 4);
    draw_planar(800, 600);
    check_points(800, 600, 1, 1, mode_planar.ar);
    vbe(4, 0);
}

/* Cleared unless that is not wanted; the 8-bit DAC. */
static void test_vbe_enable(void)
{
    vbe_mode(640, 400, 8);
    poke(&s, 0xa0000, 0x55);
    vbe(4, 0);
    vbe(4, 0xc1);
    CHECK_EQ(peek(&s, 0xa0000), 0x55);
    vbe(4, 0);
    vbe(4, 0x61);
    CHECK_EQ(peek(&s, 0xa0000), 0x00);
    out8(s.ports, 0x3c8, 0);
    out8(s.ports, 0x3c9, 0xff);
    out8(s.ports, 0x3c9, 0x81);
    out8(s.ports, 0x3c9, 0x42);
    screen_shoot(&s);
    CHECK_EQ(pixel(&s, 0, 0), 0xff8142);
    vbe(4, 0);
}

/* --- Registers ---------------------------------------------------------------- */

static void test_registers(void)
{
    set_mode(&s, &mode_text);
    set_crtc(&s, 0x11, 0x8e); /* protects 0 to 7 */
    set_crtc(&s, 0, 0x12);
    CHECK_EQ(in8(s.ports, 0x3d5), 0x5f);
    set_crtc(&s, 7, 0x00); /* but for the split's ninth bit */
    CHECK_EQ(in8(s.ports, 0x3d5), 0x0f);
    set_crtc(&s, 0x0f, 0x77);
    CHECK_EQ(in8(s.ports, 0x3d5), 0x77);
    CHECK_EQ(in8(s.ports, 0x3cc), 0x67);
    set_gfx(&s, 1, 0xff);
    CHECK_EQ(in8(s.ports, 0x3cf), 0x0f);
    bus_write(s.ports, 0x3c4, 2, 0x0402); /* index and data at once */
    CHECK_EQ(in8(s.ports, 0x3c5), 0x04);
    in8(s.ports, 0x3da);
    out8(s.ports, 0x3c0, 0x31);
    CHECK_EQ(in8(s.ports, 0x3c0), 0x31);
    out8(s.ports, 0x3c0, 0x2a);
    CHECK_EQ(in8(s.ports, 0x3c1), 0x2a);
    out8(s.ports, 0x3c7, 5);
    CHECK_EQ(in8(s.ports, 0x3c7) & 3, 3);
    out8(s.ports, 0x3c8, 5);
    CHECK_EQ(in8(s.ports, 0x3c7) & 3, 0);
    out8(s.ports, 0x3c9, 1);
    out8(s.ports, 0x3c9, 2);
    out8(s.ports, 0x3c9, 0xff);
    out8(s.ports, 0x3c7, 5);
    CHECK_EQ(in8(s.ports, 0x3c9), 1);
    CHECK_EQ(in8(s.ports, 0x3c9), 2);
    CHECK_EQ(in8(s.ports, 0x3c9), 63);
}

/* Mode 3: 449 lines of 31.78 us, 400 of them shown, retrace 2 lines from 412 on. */
static void test_retrace(void)
{
    unsigned retrace = 0, blank = 0, edges = 0, last = 0;

    set_mode(&s, &mode_text);
    for (unsigned us = 0; us < 1000000; us += 10) {
        uint8_t status = in8(s.ports, 0x3da);

        retrace += status >> 3 & 1;
        blank += status & 1;
        edges += status & 8 && !last;
        last = status & 8;
        clock_advance(&s.clock, 10000);
    }
    CHECK_EQ(edges >= 69 && edges <= 71, true); /* 70 Hz */
    CHECK_EQ(retrace > 350 && retrace < 550, true);
    CHECK_EQ(blank > 20000 && blank < 40000, true);
}

int main(void)
{
    screen_open(&s, NULL);
    test_text();
    test_text_40();
    test_monochrome();
    test_text_split();
    test_text_grub();
    test_256();
    test_mode_x();
    test_planar();
    test_cga();
    test_blank();
    set_mode(&s, &mode_256);
    test_vbe_registers();
    for (unsigned i = 0; i < 5; i++)
        test_vbe_depth((const uint8_t[]){ 8, 15, 16, 24, 32 }[i]);
    vbe(4, 0);
    test_vbe_planar();
    test_vbe_enable();
    test_registers();
    test_retrace();
    screen_close(&s);
    return CHECK_DONE();
}
