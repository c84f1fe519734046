/*
 * Keys and mouse movement as a guest reads them, through the controller and without: scan codes of
 * all sets (each key's set 2, translated, is its set 1), the two odd keys, types in set 3, the
 * wheel's handshake, packets; and names and characters of keys.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/i8042.h"
#include "devices/keys.h"
#include "devices/ps2.h"
#include "tests/unit/chip.h"

static struct bus *bus;
static struct i8042 *kbc;
static struct pin irq1, irq12, other;
static uint8_t lights;

static void set_leds(void *board, uint8_t leds)
{
    (void)board;
    lights = leds;
}

static void set_ctr(uint8_t value)
{
    out8(bus, 0x64, 0x60);
    out8(bus, 0x60, value);
}

static void mouse(uint8_t value)
{
    out8(bus, 0x64, 0xd4);
    out8(bus, 0x60, value);
}

static unsigned drain(uint8_t *to)
{
    unsigned n = 0;

    memset(to, 0, 32);
    while (in8(bus, 0x64) & 1 && n < 32)
        to[n++] = in8(bus, 0x60);
    return n;
}

static void check_bytes(unsigned line, const uint8_t *want, unsigned count)
{
    uint8_t got[32];
    unsigned n = drain(got);

    if (n == count && !memcmp(got, want, count))
        return;
    printf("line %u: got", line);
    for (unsigned i = 0; i < n; i++)
        printf(" %02x", got[i]);
    printf("\n");
    check_failures++;
}

#define WANT(...)                                                                                 \
    check_bytes(__LINE__, (const uint8_t[]){ __VA_ARGS__ },                                       \
                sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void tap(unsigned key)
{
    i8042_key(kbc, key, true);
    i8042_key(kbc, key, false);
}

static void scan_set(uint8_t set)
{
    uint8_t got[32];

    out8(bus, 0x60, 0xf0);
    out8(bus, 0x60, set);
    drain(got);
}

static void test_every_key(void)
{
    unsigned keys = 0;

    for (unsigned key = 0; key < 256; key++) {
        const struct keys_codes *codes = keys_codes(key);
        uint8_t got[32], one;
        unsigned n;

        if (!codes)
            continue;
        keys++;
        if (!codes->set[0])
            continue;
        one = codes->set[0] & 0xff;
        set_ctr(0x47); /* translated */
        tap(key);
        n = drain(got);
        if (codes->set[0] >> 8) {
            CHECK_EQ(n, 4);
            CHECK_EQ(got[0] == 0xe0 && got[2] == 0xe0, 1);
            CHECK_EQ(got[1], one);
            CHECK_EQ(got[3], one | 0x80);
        } else {
            CHECK_EQ(n, 2);
            CHECK_EQ(got[0], one);
            CHECK_EQ(got[1], one | 0x80);
        }
        set_ctr(0x07);
        tap(key);
        n = drain(got);
        CHECK_EQ(n, codes->set[1] >> 8 ? 5 : 3);
        CHECK_EQ(got[n - 1], codes->set[1] & 0xff);
        CHECK_EQ(got[n - 2], 0xf0);
        scan_set(1);
        tap(key);
        n = drain(got);
        CHECK_EQ(got[n - 1], one | 0x80);
        scan_set(2);
    }
    CHECK_EQ(keys > 100, 1);
}

static void test_odd_keys(void)
{
    set_ctr(0x07);
    tap(KEYS_PAUSE);
    WANT(0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77);
    tap(KEYS_SYSRQ);
    WANT(0xe0, 0x12, 0xe0, 0x7c, 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12);
    i8042_key(kbc, KEYS_ALT, true);
    tap(KEYS_SYSRQ);
    WANT(0x11, 0x84, 0xf0, 0x84);
    i8042_key(kbc, KEYS_ALT, false);
    i8042_key(kbc, KEYS_CTRL_R, true);
    tap(KEYS_PAUSE);
    i8042_key(kbc, KEYS_CTRL_R, false);
    WANT(0xf0, 0x11, 0xe0, 0x14, 0xe0, 0x7e, 0xe0, 0xf0, 0x7e, 0xe0, 0xf0, 0x14);
    set_ctr(0x47);
    tap(KEYS_PAUSE);
    WANT(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    tap(KEYS_SYSRQ);
    WANT(0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
    i8042_key(kbc, 30, false); /* is not down */
    i8042_key(kbc, 30, true);
    i8042_key(kbc, 30, true); /* repeated */
    i8042_key(kbc, 30, false);
    WANT(0x1e, 0x1e, 0x9e);
    i8042_key(kbc, 0, true);
    i8042_key(kbc, 9999, true);
    CHECK_EQ(in8(bus, 0x64) & 1, 0);
}

static void test_set_3(void)
{
    set_ctr(0x07);
    scan_set(3);
    out8(bus, 0x60, 0xf0);
    out8(bus, 0x60, 0x00);
    WANT(0xfa, 0xfa, 0x03);
    tap(97);
    WANT(0x58, 0xf0, 0x58);
    out8(bus, 0x60, 0xf9); /* all: make only */
    WANT(0xfa);
    i8042_key(kbc, 30, true);
    tap(30);
    WANT(0x1c);
    out8(bus, 0x60, 0xfc); /* "a": make and break */
    out8(bus, 0x60, 0x1c);
    out8(bus, 0x60, 0x32);
    out8(bus, 0x60, 0xf4);
    WANT(0xfa, 0xfa, 0xfa, 0xfa);
    i8042_key(kbc, 30, true);
    tap(30);
    WANT(0x1c, 0xf0, 0x1c);
    out8(bus, 0x60, 0xf6);
    WANT(0xfa);
    tap(30);
    WANT(0x1c, 0xf0, 0x1c); /* set 2 again, which has the same here */
    tap(1);
    WANT(0x76, 0xf0, 0x76);
}

static void test_full(void)
{
    uint8_t got[32];
    unsigned n;

    set_ctr(0x57); /* nobody reads: the port is off */
    CHECK_EQ(i8042_has_room(kbc), true);
    for (unsigned i = 0; i < 100; i++)
        tap(30);
    CHECK_EQ(i8042_has_room(kbc), false);
    out8(bus, 0x60, 0xee); /* answers do not wait behind keys */
    CHECK_EQ(in8(bus, 0x60), 0xee);
    n = drain(got);
    CHECK_EQ(n >= 8 && n <= 17, true);
    CHECK_EQ(i8042_has_room(kbc), true);
    out8(bus, 0x60, 0xf5); /* disabled: no keys */
    WANT(0xfa);
    tap(30);
    CHECK_EQ(drain(got), 0);
    out8(bus, 0x60, 0xf4);
    WANT(0xfa);
    set_ctr(0x47);
    out8(bus, 0x60, 0xed);
    out8(bus, 0x60, 0x04);
    CHECK_EQ(lights, 4);
    WANT(0xfa, 0xfa);
}

/* --- Mouse ------------------------------------------------------------------ */

static void set_rate(uint8_t rate)
{
    uint8_t got[32];

    mouse(0xf3);
    mouse(rate);
    drain(got);
}

static uint8_t mouse_id(void)
{
    uint8_t got[32];

    mouse(0xf2);
    drain(got);
    return got[1];
}

static void test_mouse(void)
{
    uint8_t got[32];
    int x = 0;

    set_ctr(0x47);
    i8042_move(kbc, 5, 5, 0, 1); /* not enabled */
    CHECK_EQ(drain(got), 0);
    mouse(0xf4);
    WANT(0xfa);
    i8042_move(kbc, 5, -3, 9, 1);
    WANT(0x09, 0x05, 0x03);
    CHECK_EQ(irq12.edges > 0, 1);
    i8042_move(kbc, -5, 7, 0, 3);
    WANT(0x3b, 0xfb, 0xf9);
    i8042_move(kbc, 0, 0, 0, 3); /* nothing new */
    CHECK_EQ(drain(got), 0);
    i8042_move(kbc, 600, 0, 0, 0); /* in pieces */
    while (in8(bus, 0x64) & 1) {
        CHECK_EQ(in8(bus, 0x60) & 0xcf, 0x08);
        x += in8(bus, 0x60);
        CHECK_EQ(in8(bus, 0x60), 0);
    }
    CHECK_EQ(x, 600);
    set_ctr(0x67); /* nobody reads: added up */
    for (unsigned i = 0; i < 50; i++)
        i8042_move(kbc, 1, 0, 0, 0);
    set_ctr(0x47);
    CHECK_EQ(drain(got), 6);
    CHECK_EQ(got[1] + got[4], 50);
}

static void test_wheel(void)
{
    CHECK_EQ(mouse_id(), 0);
    set_rate(200);
    set_rate(200);
    set_rate(80);
    CHECK_EQ(mouse_id(), 0); /* first the wheel */
    set_rate(200);
    set_rate(100);
    set_rate(80);
    CHECK_EQ(mouse_id(), 3);
    i8042_move(kbc, 1, 0, -1, 0);
    WANT(0x08, 0x01, 0x00, 0xff);
    set_rate(200);
    set_rate(200);
    set_rate(80);
    CHECK_EQ(mouse_id(), 4);
    i8042_move(kbc, 0, 0, 1, 0x10);
    WANT(0x08, 0x00, 0x00, 0x21);
    i8042_move(kbc, 0, 0, 0, 0x08);
    WANT(0x08, 0x00, 0x00, 0x10);
    mouse(0xff);
    WANT(0xfa, 0xaa, 0x00);
    CHECK_EQ(mouse_id(), 0);
}

static void test_remote(void)
{
    uint8_t got[32];

    mouse(0xf0);
    WANT(0xfa);
    i8042_move(kbc, 10, 0, 0, 4);
    CHECK_EQ(drain(got), 0);
    mouse(0xeb);
    WANT(0xfa, 0x0c, 0x0a, 0x00);
    mouse(0xe9);
    WANT(0xfa, 0x42, 0x02, 0x64);
    mouse(0xee);
    WANT(0xfa);
    mouse(0xf2);
    WANT(0xf2);
    mouse(0xec);
    WANT(0xfa);
    mouse(0xea);
    mouse(0xe7); /* twice as far */
    mouse(0xf4);
    WANT(0xfa, 0xfa, 0xfa);
    i8042_move(kbc, 3, 10, 0, 4);
    WANT(0x2c, 0x03, 0xec);
}

/* --- Names and characters ------------------------------------------------------- */

static void test_names(void)
{
    bool shift;

    CHECK_EQ(keys_by_name("ret", 3), 28);
    CHECK_EQ(keys_by_name("enter", 5), 28);
    CHECK_EQ(keys_by_name("ctrl-x", 4), 29);
    CHECK_EQ(keys_by_name("0x1e", 4), 30);
    CHECK_EQ(keys_by_name("0xffff", 6), 0);
    CHECK_EQ(keys_by_name("nope", 4), 0);
    CHECK_EQ(keys_by_name("", 0), 0);
    CHECK_EQ(keys_for_character('a', &shift) == 30 && !shift, 1);
    CHECK_EQ(keys_for_character('A', &shift) == 30 && shift, 1);
    CHECK_EQ(keys_for_character('~', &shift) == 41 && shift, 1);
    CHECK_EQ(keys_for_character('\\', &shift) == 43 && !shift, 1);
    CHECK_EQ(keys_for_character('?', &shift) == 53 && shift, 1);
    CHECK_EQ(keys_for_character('"', &shift) == 40 && shift, 1);
    CHECK_EQ(keys_for_character(' ', &shift), 57);
    CHECK_EQ(keys_for_character('\n', &shift), 28);
    CHECK_EQ(keys_for_character(0xe4, &shift), 0);
    for (unsigned c = ' '; c < 127; c++)
        CHECK_EQ(keys_for_character(c, &shift) != 0, 1);
}

int main(void)
{
    struct i8042_config config;

    bus = bus_create();
    config = (struct i8042_config){ bus, 0x60, 0x64, pin_irq(&irq1), pin_irq(&irq12),
                                    pin_irq(&other), pin_irq(&other) };
    kbc = i8042_create(&config);
    i8042_tell_leds(kbc, set_leds, NULL);
    test_every_key();
    test_odd_keys();
    test_set_3();
    test_full();
    test_mouse();
    test_wheel();
    test_remote();
    test_names();
    i8042_destroy(kbc);
    bus_destroy(bus);
    return CHECK_DONE();
}
