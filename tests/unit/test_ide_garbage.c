/* Anything written anywhere, with media that are slow, fail, change and finish in any order: under
 * AddressSanitizer. What must hold: nothing is used after it is gone, no request leaves its medium
 * (the medium of memory aborts), and after a reset the drives work. */
#include "tests/unit/ide_machine.h"

enum { ROUNDS = 60, STEPS = 4000 };

static uint64_t seed = 12345;

static unsigned below(unsigned limit)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(seed >> 33) % limit;
}

/* Commands and values that lead somewhere come more often than others. */
static uint8_t any_byte(void)
{
    static const uint8_t often[] = { 0x20, 0x30, 0xc8, 0xca, 0x25, 0x35, 0xc4, 0xc5, 0xa0, 0xa1,
                                     0xec, 0x06, 0xe7, 0xef, 0x08, 0x90, 0,    1,    2,    0x40,
                                     0x28, 0xbe, 0x46, 0x4a, 0x5a, 0x1b, 0xf8, 0x03 };

    return below(3) ? often[below(sizeof(often))] : below(256);
}

static uint16_t any_port(void)
{
    static const uint16_t bases[] = { 0x1f0, 0x170, 0x1f0, 0x170, BMIDE };
    unsigned which = below(16);

    if (which == 15)
        return below(2) ? 0x3f6 : 0x376;
    return bases[which % 5] + below(which % 5 == 4 ? 16 : 8);
}

static void any_prds(struct machine *m)
{
    for (unsigned n = 0; n < 4; n++)
        prd(m, n, below(4) ? below(RAM) : (uint32_t)below(1u << 31) * 2, below(0x10000),
            below(2));
}

/* Moves whatever data is wanted, so that commands come to their ends. */
static void data(struct machine *m)
{
    uint8_t memory[4 * 600] = { 0 };
    unsigned count = below(600), size = 1u << below(3);

    if (below(2)) {
        bus_read_string(m->ports, m->base, size, memory, count);
        bus_write_string(m->ports, m->base, size, memory, count);
    }
    for (unsigned i = 0, n = below(3000); i < n; i++) {
        if (below(2))
            bus_read(m->ports, m->base, 1u << below(3));
        else
            bus_write(m->ports, m->base, 1u << below(3), any_byte());
    }
}

static void change(struct medium *disc)
{
    disc->dev.present = below(2);
    disc->dev.size = (1 + below(100)) * 2048;
    if (disc->dev.changed)
        disc->dev.changed(disc->dev.controller);
}

static void step(struct machine *m)
{
    unsigned what = below(40), unit = below(3);
    struct medium *medium = &m->media[unit];

    m->base = below(2) ? 0x1f0 : 0x170;
    if (what < 24)
        bus_write(m->ports, any_port(), 1u << below(3), any_byte() | any_byte() << 8);
    else if (what < 28)
        bus_read(m->ports, any_port(), 1u << below(3));
    else if (what < 34 && medium->queued)
        medium_step(medium, below(medium->queued));
    else if (what == 34)
        any_prds(m);
    else if (what == 35)
        bus_write(m->ports, bm(m) + 4, 4, below(4) ? TABLE : below(1u << 31));
    else if (what == 36)
        data(m);
    else if (what == 37)
        medium->err = below(3) ? 0 : -EIO;
    else if (what == 38 && !below(4))
        change(&m->media[1]);
    else if (what == 39 && !below(50))
        ide_reset(m->ide);
    else if (what == 39)
        machine_config(m, 0x40, 4, below(4) ? 0x80008000 : below(1u << 31));
}

static void run_round(unsigned round)
{
    const uint64_t sizes[4] = { 1 << 20, 100 * 2048, 1 << 20 };
    struct machine m;
    uint8_t sector[512];

    machine_init(&m, sizes, 1 << 1);
    for (unsigned i = 0; i < 3; i++) {
        m.media[i].manual = true;
        m.media[i].bad = below(1 << 20) & ~511u;
        m.media[i].bad_size = 4096;
    }
    for (unsigned i = 0; i < STEPS; i++)
        step(&m);
    if (round % 2) { /* leave it with what is in flight */
        machine_free(&m);
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        m.media[i].err = 0;
        m.media[i].manual = false;
    }
    ide_reset(m.ide);
    machine_run(&m);
    machine_enable(&m);
    m.base = 0x1f0;
    address28(&m, 77, 1);
    command(&m, 0x20);
    pio_in(&m, sector, 512);
    CHECK_EQ(rd(&m, R_STATUS), 0x50);
    CHECK_EQ(memcmp(sector, m.media[0].bytes + 77 * 512, 512), 0);
    machine_free(&m);
}

int main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++)
        run_round(round);
    return CHECK_DONE();
}
