/*
 * The planes against a model that goes bit by bit: random registers, reads and writes. The model
 * knows a VGA as the manual describes it - four separate planes, one bit after the other.
 */
#include "tests/unit/vga_fixture.h"

static struct screen s;
static uint64_t seed = 0xfeedface12345;

static struct {
    uint8_t plane[4][0x10000], latch[4];
    uint8_t map_mask, memory_mode;                     /* sequencer 2, 4 */
    uint8_t set_reset, enable, compare, function, read_map, mode, misc, care, mask; /* 0 to 8 */
} model;

static bool bit(unsigned value, unsigned number)
{
    return value >> number & 1;
}

static bool model_window(uint32_t *at)
{
    static const uint32_t first[4] = { 0, 0, 0x10000, 0x18000 };
    static const uint32_t last[4] = { 0x1ffff, 0xffff, 0x17fff, 0x1ffff };
    unsigned map = model.misc >> 2 & 3;

    if (*at < first[map] || *at > last[map])
        return false;
    *at -= first[map];
    return true;
}

static uint16_t model_offset(uint32_t at)
{
    if (model.memory_mode & 8)
        return at & 0xfffc;
    return at & (model.misc & 2 || (model.mode & 0x10 && !(model.misc & 1)) ? 0xfffe : 0xffff);
}

static uint8_t model_read(uint32_t at)
{
    uint16_t offset;
    uint8_t result = 0;

    if (!model_window(&at))
        return 0xff;
    offset = model_offset(at);
    for (unsigned p = 0; p < 4; p++)
        model.latch[p] = model.plane[p][offset];
    if (model.memory_mode & 8)
        return model.plane[at & 3][offset];
    if (!(model.mode & 8))
        return model.plane[model.mode & 0x10 ? (model.read_map & 2) | (at & 1)
                                             : model.read_map][offset];
    for (unsigned i = 0; i < 8; i++) {
        bool same = true;

        for (unsigned p = 0; p < 4; p++)
            if (bit(model.care, p) && bit(model.latch[p], i) != bit(model.compare, p))
                same = false;
        result |= same << i;
    }
    return result;
}

static bool model_operate(bool data, bool latch)
{
    switch (model.function >> 3 & 3) {
    case 0: return data;
    case 1: return data && latch;
    case 2: return data || latch;
    default: return data != latch;
    }
}

static bool model_bit(unsigned p, unsigned i, uint8_t value)
{
    unsigned from = (i + (model.function & 7)) % 8; /* rotated to the right */
    bool latch = bit(model.latch[p], i), data;

    switch (model.mode & 3) {
    case 0:
        data = bit(model.enable, p) ? bit(model.set_reset, p) : bit(value, from);
        return bit(model.mask, i) ? model_operate(data, latch) : latch;
    case 1: return latch;
    case 2: return bit(model.mask, i) ? model_operate(bit(value, p), latch) : latch;
    default:
        if (!bit(model.mask, i) || !bit(value, from))
            return latch;
        return model_operate(bit(model.set_reset, p), latch);
    }
}

static void model_write(uint32_t at, uint8_t value)
{
    uint16_t offset;

    if (!model_window(&at))
        return;
    offset = model_offset(at);
    for (unsigned p = 0; p < 4; p++) {
        uint8_t result = 0;

        if (!bit(model.map_mask, p))
            continue;
        if (model.memory_mode & 8) {
            if (p == (at & 3))
                model.plane[p][offset] = value;
            continue;
        }
        if (!(model.memory_mode & 4) && model.mode & 0x10 && (p & 1) != (at & 1))
            continue;
        for (unsigned i = 0; i < 8; i++)
            result |= model_bit(p, i, value) << i;
        model.plane[p][offset] = result;
    }
}

static unsigned below(unsigned limit)
{
    return (unsigned)(random_next(&seed) >> 20) % limit;
}

static void change_registers(void)
{
    uint8_t *const gfx[9] = { &model.set_reset, &model.enable, &model.compare,
                              &model.function, &model.read_map, &model.mode,
                              &model.misc, &model.care, &model.mask };
    static const uint8_t bits[9] = { 15, 15, 15, 31, 3, 0x1b, 15, 15, 255 };
    unsigned index = below(11);

    if (index < 9) {
        set_gfx(&s, index, *gfx[index] = below(256) & bits[index]);
    } else if (index == 9) {
        set_seq(&s, 2, model.map_mask = below(16));
    } else {
        set_seq(&s, 4, model.memory_mode = below(4) ? 6 : below(8) * 2);
    }
}

static uint32_t some_address(void)
{
    return below(4) ? below(64) + 0x8000 * below(4) : below(0x20000);
}

/* A look finds what a read would, and leaves the latches. */
static void look(uint32_t at)
{
    uint8_t latch[4], byte = 0;
    uint32_t inside = at;
    bool is_open = model_window(&inside);

    memcpy(latch, model.latch, sizeof(latch));
    CHECK_EQ(vga_peek(s.vga, at, &byte, 1), is_open);
    if (is_open)
        CHECK_EQ(byte, model_read(at));
    memcpy(model.latch, latch, sizeof(latch));
}

static void step(void)
{
    uint32_t at = some_address();
    unsigned size = 1u << below(3), value;

    switch (below(5)) {
    case 0: change_registers(); break;
    case 2: look(at); break;
    case 1:
        if (at + size > 0x20000)
            break;
        value = (unsigned)bus_read(s.memory, 0xa0000 + at, size);
        for (unsigned i = 0; i < size; i++)
            CHECK_EQ(value >> 8 * i & 0xff, model_read(at + i));
        break;
    default:
        if (at + size > 0x20000)
            break;
        value = (unsigned)random_next(&seed);
        bus_write(s.memory, 0xa0000 + at, size, value & (0xffffffffu >> (32 - 8 * size)));
        for (unsigned i = 0; i < size; i++)
            model_write(at + i, value >> 8 * i & 0xff);
        break;
    }
}

/* Every byte of every plane, as a program reads it. */
static void compare_all(void)
{
    set_seq(&s, 4, 6);
    set_gfx(&s, 5, 0);
    set_gfx(&s, 6, 5);
    for (unsigned p = 0; p < 4; p++) {
        set_gfx(&s, 4, p);
        for (uint32_t at = 0; at < 0x10000; at++)
            CHECK_EQ(peek(&s, 0xa0000 + at), model.plane[p][at]);
    }
}

int main(void)
{
    screen_open(&s, NULL);
    out8(s.ports, 0x3c2, 0x63);
    for (unsigned i = 0; i < 1000000 && !check_failures; i++)
        step();
    compare_all();
    screen_close(&s);
    return CHECK_DONE();
}
