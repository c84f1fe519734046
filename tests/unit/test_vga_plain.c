/*
 * The window as plain memory against a VGA that always answers by itself: random accesses in
 * bursts, the modes that are linear and those that are not, single registers in between, the frame
 * buffer, VBE, looks at the screen. Who flips for ever pays less and less.
 */
#include "tests/unit/vga_pair.h"

static struct vga_pair p;
static uint32_t open_at; /* in the window, of the mode that was set last */
static uint64_t seed = 0x123456789abcdef;

static unsigned below(unsigned limit)
{
    return (unsigned)(random_next(&seed) >> 20) % limit;
}

static uint64_t plain_times(void)
{
    return vga_counters(p.plain.vga)->plain;
}

static void set(uint16_t port, uint8_t index, uint8_t value)
{
    pair_set(&p, port, index, value);
}

static void set_both(const struct vga_mode *mode)
{
    pair_set_mode(&p, mode);
    open_at = mode->gr[6] & 8 ? 0x18000 : 0;
}

static void set_font(void)
{
    pair_set_font(&p);
    open_at = 0;
}

static void change_mode(void)
{
    static const struct vga_mode *const modes[] = { &mode_text, &mode_256, &mode_cga4,
                                                    &mode_planar };
    unsigned number = below(5);

    if (number == 4)
        set_font();
    else
        set_both(modes[number]);
}

static void change_register(void)
{
    static const uint8_t gfx[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };

    switch (below(4)) {
    case 0: set(0x3c4, 2, below(16)); break;
    case 1: set(0x3c4, 4, below(8) * 2); break;
    case 2: pair_out(&p, 0x3c2, 1, below(256)); break;
    default: set(0x3ce, gfx[below(sizeof(gfx))], below(256)); break;
    }
}

static void set_vbe(unsigned index, uint16_t value)
{
    pair_out(&p, 0x1ce, 2, index);
    pair_out(&p, 0x1cf, 2, value);
}

static void change_vbe(void)
{
    set_vbe(4, 0);
    set_vbe(3, below(2) ? 8 : 4);
    set_vbe(4, 1 | (below(2) ? 0x80 : 0));
    set_vbe(5, below(3));
}

static void access_some(uint64_t base, uint32_t limit)
{
    unsigned size = 1u << below(4);
    uint64_t gpa = base + below(limit - size);

    if (below(3))
        pair_write(&p, gpa, size, random_next(&seed) & (UINT64_MAX >> (64 - 8 * size)));
    else
        pair_read(&p, gpa, size);
}

static void write_some_run(uint64_t base, uint32_t limit)
{
    static uint8_t from[256];
    unsigned size = 1u << below(3), count = below(sizeof(from) / size);

    for (unsigned i = 0; i < sizeof(from); i++)
        from[i] = (uint8_t)below(256);
    pair_write_run(&p, base + below(limit - size), size, from, below(2), count);
}

static void burst(void)
{
    uint32_t first = below(8) ? open_at : 0x8000 * below(4), limit = below(2) ? 0x100 : 0x8000;

    for (unsigned n = below(600); n; n--) {
        if (below(16))
            access_some(PAIR_WINDOW + first, limit);
        else
            write_some_run(PAIR_WINDOW + first, limit);
        pair_check(&p, 0);
    }
}

static void step(void)
{
    pair_check(&p, below(32) ? 2000000 : 0); /* most stays are long */
    switch (below(16)) {
    case 0:
    case 1:
    case 2:
    case 3: change_mode(); break;
    case 4: change_register(); break;
    case 5: access_some(PAIR_FRAME_BUFFER, VGA_PLANES_SIZE * 2); break;
    case 6:
        change_vbe();
        pair_check(&p, 0);
        burst();
        set_vbe(4, 0);
        break;
    case 7:
    case 8: pair_look(&p); break;
    default: burst(); break;
    }
}

static void test_random(void)
{
    for (unsigned i = 0; i < 3000 && !check_failures; i++)
        step();
    CHECK_EQ(plain_times() > 200, true);
    CHECK_EQ(p.through > 100000, true);
}

/* Each state that is linear becomes plain, the ones beside it do not. */
static void test_states(void)
{
    static const struct {
        uint16_t port;
        uint8_t index, value;
        bool plain;
    } list[] = {
        { 0x3c4, 2, 3, true },  { 0x3c4, 2, 1, false },  { 0x3c4, 2, 15, false },
        { 0x3c4, 4, 6, false }, { 0x3ce, 1, 1, false },  { 0x3ce, 3, 1, false },
        { 0x3ce, 3, 8, false }, { 0x3ce, 4, 2, false },  { 0x3ce, 4, 1, true },
        { 0x3ce, 5, 0x11, false }, { 0x3ce, 5, 0x18, false }, { 0x3ce, 5, 0, false },
        { 0x3ce, 6, 0x0c, false }, { 0x3ce, 6, 2, false }, { 0x3ce, 6, 0x0a, true },
        { 0x3ce, 8, 0x7f, false }, { 0x3d4, 0x0c, 1, true },
    };

    for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        set_both(&mode_text);
        set(list[i].port, list[i].index, list[i].value);
        pair_check(&p, 2000000);
        for (unsigned n = 0; n < 20000 && !p.size; n++) {
            pair_write(&p, PAIR_WINDOW + 0x8000 * (n % 4), 1, n);
            if (n % 256 == 0)
                pair_check(&p, 0);
        }
        pair_check(&p, 2000000);
        if (!!p.size != list[i].plain)
            printf("port %x, index %u, value %x:\n", list[i].port, list[i].index, list[i].value);
        CHECK_EQ(!!p.size, list[i].plain);
    }
}

static void write_many(unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        pair_write(&p, PAIR_WINDOW + open_at + n % 32000, 1, n * 7);
        pair_check(&p, 0);
    }
}

/* Time stands still: each stay is short. Then one is long. */
static void test_flips(void)
{
    uint64_t before = plain_times();

    set_both(&mode_text);
    for (unsigned i = 0; i < 2000; i++) {
        write_many(400);
        set(0x3ce, 5, 0x11);
        set(0x3ce, 5, 0x10);
    }
    CHECK_EQ(plain_times() - before < 10, true);
    before = plain_times();
    write_many(20000);
    CHECK_EQ(plain_times() - before, 1);
    pair_check(&p, 2000000);
    set(0x3ce, 5, 0x11);
    set(0x3ce, 5, 0x10);
    write_many(400);
    CHECK_EQ(plain_times() - before, 2);
}

/* An access to the frame buffer and a reset leave it; what was in it is there. */
static void test_leaving(void)
{
    set_both(&mode_256);
    pair_check(&p, 2000000);
    write_many(40000);
    CHECK_EQ(p.size, 0x10000);
    pair_read(&p, PAIR_FRAME_BUFFER + 16 * 100, 4);
    CHECK_EQ(p.size, 0);
    pair_look(&p);
    vga_reset(p.plain.vga);
    vga_reset(p.chip.vga);
    CHECK_EQ(p.size, 0);
}

/* Becomes plain without having shown anything new. */
static void read_many(unsigned count)
{
    for (unsigned n = 0; n < count && !p.size; n++) {
        pair_read(&p, PAIR_WINDOW + open_at + n, 1);
        pair_check(&p, 0);
    }
    CHECK_EQ(p.size > 0, true);
}

/* What is stored is shown, though no store is a fault before the first refresh has asked for that,
 * neither in the window that has become plain, nor in the frame buffer when it is that no more. */
static void test_shown(void)
{
    set_both(&mode_256);
    pair_check(&p, 2000000);
    write_many(20000);
    pair_read(&p, PAIR_FRAME_BUFFER, 1);
    CHECK_EQ(p.size, 0);
    pair_show(&p);
    read_many(20000);
    pair_write(&p, PAIR_WINDOW + open_at + 321, 1, 0x35);
    pair_show(&p);
    pair_show(&p);
    CHECK_EQ(clock_next_due_ns(&p.plain.clock), CLOCK_NEVER);
    pair_read(&p, PAIR_FRAME_BUFFER, 1);
    CHECK_EQ(clock_next_due_ns(&p.plain.clock) != CLOCK_NEVER, true);
    pair_look(&p);
}

/* A character's picture is changed through the frame buffer: windows show it. */
static void test_font(void)
{
    set_both(&mode_text);
    pair_write(&p, PAIR_WINDOW + open_at, 2, 0x0741);
    pair_look(&p);
    pair_write(&p, PAIR_FRAME_BUFFER + 0x41 * 32 * 4, 4, 0x5a0741);
    display_forget(p.plain.display, &p.plain.picture); /* a fresh one is drawn wholly */
    display_forget(p.chip.display, &p.chip.picture);
    pair_look(&p);
}

int main(void)
{
    pair_open(&p);
    screen_palette(&p.plain);
    screen_palette(&p.chip);
    test_states();
    test_flips();
    test_random();
    test_shown();
    test_font();
    test_leaving();
    pair_close(&p);
    return CHECK_DONE();
}
