/*
 * Runs of VGA's memory (read_run, write_run, copy_run) against the same elements one by one: two
 * chips with the same registers, latches and planes, any registers of the sequencer and the
 * graphics controller, VBE's banks, and runs over every end that there is. Afterwards all of both
 * is the same, the pages to be drawn, too.
 */
#include "devices/vga_state.h"
#include "tests/check.h"
#include "tests/unit/vga_fixture.h"

static struct screen by_runs, by_elements;
static uint64_t seed = 0x9e3779b97f4a7c15;
static unsigned runs, elements; /* done by runs, and beside them */

static unsigned below(unsigned limit)
{
    return (unsigned)(random_next(&seed) >> 20) % limit;
}

static void set(uint16_t port, uint8_t index, uint8_t value)
{
    set_indexed(&by_runs, port, index, value);
    set_indexed(&by_elements, port, index, value);
}

static void set_vbe(uint16_t index, uint16_t value)
{
    struct screen *const both[] = { &by_runs, &by_elements };

    for (unsigned i = 0; i < 2; i++) {
        bus_write(both[i]->ports, 0x1ce, 2, index);
        bus_write(both[i]->ports, 0x1cf, 2, value);
    }
}

/* --- One instruction, by runs as far as there are, and by elements --- */

static uint64_t run_part(uint64_t to, uint64_t from, unsigned size, uint64_t count, uint8_t *host,
                         bool same)
{
    if (!host)
        return bus_copy_run(by_runs.memory, to, from, size, count);
    if (!to)
        return bus_read_run(by_runs.memory, from, size, host, count);
    return bus_write_run(by_runs.memory, to, size, host, same, count);
}

static void element(struct screen *s, uint64_t to, uint64_t from, unsigned size, uint8_t *host)
{
    uint64_t value = 0;

    if (from)
        value = bus_read(s->memory, from, size);
    else
        memcpy(&value, host, size);
    if (to)
        bus_write(s->memory, to, size, value);
    else
        memcpy(host, &value, size);
}

/* to, from: in the window, or 0, where host is instead. */
static void instruction(uint64_t to, uint64_t from, unsigned size, uint64_t count, uint8_t *host,
                        uint8_t *host_too, bool same)
{
    uint64_t done;

    for (uint64_t n = 0; n < count; n++)
        element(&by_elements, to ? to + n * size : 0, from ? from + n * size : 0, size,
                host_too + (same ? 0 : n * size));
    for (uint64_t n = 0; n < count; n += done) {
        uint64_t to_now = to ? to + n * size : 0, from_now = from ? from + n * size : 0;
        uint8_t *host_now = to && from ? NULL : host + (same ? 0 : n * size);

        done = run_part(to_now, from_now, size, count - n, host_now, same);
        CHECK_EQ(done <= count - n, true);
        runs += !!done;
        if (!done) {
            element(&by_runs, to_now, from_now, size, host + (same ? 0 : n * size));
            elements++;
            done = 1;
        }
    }
}

/* Around where windows, banks and planes end, or anywhere. */
static uint64_t some_place(void)
{
    uint32_t at = below(2) ? 0x8000 * below(4) + below(0x80) : below(VGA_WINDOW_SIZE - 0x800);

    return 0xa0000 + (at >= 0x8000 && below(2) ? at - 0x40 : at);
}

static void some_instruction(void)
{
    static uint8_t host[2][0x1000];
    unsigned size = 1u << below(3), kind = below(4);
    uint64_t count = below(8) ? below(0x60) : below(0x800 / size), to = some_place();
    uint64_t from = below(3) ? some_place() : to + below(64) - 32;

    for (unsigned i = 0; i < sizeof(host[0]); i++)
        host[0][i] = host[1][i] = (uint8_t)(random_next(&seed) >> 33);
    if (from < 0xa0000)
        from = 0xa0000;
    if (from > 0xbf000) /* what lies behind the window is nobody's */
        from = 0xbffe0;
    instruction(kind == 3 ? 0 : to, kind >= 2 ? from : 0, size, count, host[0], host[1],
                kind == 1);
    CHECK_EQ(memcmp(host[0], host[1], sizeof(host[0])), 0);
}

/* --- The chips --- */

static void some_registers(void)
{
    static const struct vga_mode *const modes[] = { &mode_text, &mode_256, &mode_cga4, &mode_ega };

    switch (below(4)) {
    case 0: {
        const struct vga_mode *mode = modes[below(4)];

        set_mode(&by_runs, mode);
        set_mode(&by_elements, mode);
        break;
    }
    case 1:
        set(0x3c4, 2, (uint8_t)below(16));
        set(0x3c4, 4, (uint8_t)(below(8) * 2));
        break;
    default:
        for (unsigned n = below(6); n; n--)
            set(0x3ce, (uint8_t)below(9), (uint8_t)below(256));
        break;
    }
    if (!below(12)) {
        set_vbe(VBE_ENABLE, 0);
        set_vbe(VBE_BPP, below(2) ? 8 : 4);
        set_vbe(VBE_ENABLE, VBE_ENABLED | VBE_NO_CLEAR | (below(2) ? VBE_BANK_32K : 0));
        set_vbe(VBE_BANK, below(2) ? 0xff : below(2) ? 0x1ff : (uint16_t)below(5));
    } else if (!below(3)) {
        set_vbe(VBE_ENABLE, 0);
    }
}

static void check_same(void)
{
    const struct vga *a = by_runs.vga, *b = by_elements.vga;

    CHECK_EQ(memcmp(&a->regs, &b->regs, sizeof(a->regs)), 0);
    CHECK_EQ(memcmp(&a->dirty, &b->dirty, sizeof(a->dirty)), 0);
    CHECK_EQ(memcmp(a->vram, b->vram, VGA_PLANES_SIZE), 0);
    CHECK_EQ(memcmp(a->vram + VGA_VRAM_SIZE - 0x20000, b->vram + VGA_VRAM_SIZE - 0x20000, 0x20000),
             0);
}

static void forget_dirty(void)
{
    memset(&by_runs.vga->dirty, 0, sizeof(struct vga_dirty));
    memset(&by_elements.vga->dirty, 0, sizeof(struct vga_dirty));
}

static void test_random(void)
{
    for (unsigned i = 0; i < 30000 && !check_failures; i++) {
        forget_dirty();
        if (!below(3))
            some_registers();
        some_instruction();
        if (!below(16))
            check_same();
    }
    check_same();
    CHECK_EQ(runs > 10000, true);
    CHECK_EQ(elements > 10000, true);
}

/* All of the source is in the frame buffer that the same bytes are of: each element is read when
 * its turn comes. */
static void test_own_memory(void)
{
    uint32_t *a = (uint32_t *)(void *)by_runs.vga->vram;
    uint32_t *b = (uint32_t *)(void *)by_elements.vga->vram;

    set_vbe(VBE_ENABLE, 0);
    set_mode(&by_runs, &mode_256);
    set_mode(&by_elements, &mode_256);
    for (unsigned i = 0; i < 64; i++)
        a[i] = b[i] = i * 0x01020408;
    instruction(0xa0000 + 8, 0, 2, 24, by_runs.vga->vram + 2, by_elements.vga->vram + 2, false);
    check_same();
    instruction(0, 0xa0000, 4, 24, by_runs.vga->vram + 4, by_elements.vga->vram + 4, false);
    check_same();
}

/* Nothing is done by runs outside of what is open. */
static void test_closed(void)
{
    uint8_t byte = 0x5a;

    set_vbe(VBE_ENABLE, 0);
    set_mode(&by_runs, &mode_text);
    CHECK_EQ(bus_write_run(by_runs.memory, 0xa0000, 1, &byte, true, 16), 0);
    CHECK_EQ(bus_write_run(by_runs.memory, 0xb7fff, 1, &byte, true, 16), 0);
    CHECK_EQ(bus_write_run(by_runs.memory, 0xb8000, 1, &byte, true, 16), 16);
    CHECK_EQ(bus_write_run(by_runs.memory, 0xbfff8, 1, &byte, true, 16), 8);
    CHECK_EQ(bus_write_run(by_runs.memory, 0xbffff, 2, &byte, true, 1), 0);
}

int main(void)
{
    screen_open(&by_runs, NULL);
    screen_open(&by_elements, NULL);
    display_look(by_runs.display, true);
    display_look(by_elements.display, true);
    test_random();
    test_own_memory();
    test_closed();
    display_look(by_runs.display, false);
    display_look(by_elements.display, false);
    screen_close(&by_runs);
    screen_close(&by_elements);
    return CHECK_DONE();
}
