/* Any accesses to a VGA whose window becomes plain memory, and to one that always answers: what the
 * guest reads and what is shown is the same. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/vga_pair.h"

static void port_access(struct fuzz *fuzz, struct vga_pair *p, uint16_t base, uint16_t count)
{
    uint8_t how = fuzz_byte(fuzz);
    unsigned size = 1u << how % 2;
    uint16_t port = (uint16_t)(base + fuzz_below(fuzz, count));

    if (how & 0x80)
        pair_in(p, port, size);
    else
        pair_out(p, port, size, fuzz_bits(fuzz, size));
}

static void memory_access(struct fuzz *fuzz, struct vga_pair *p, uint64_t base, uint64_t count)
{
    uint8_t how = fuzz_byte(fuzz);
    unsigned size = 1u << how % 4;
    uint64_t gpa = base + fuzz_below(fuzz, count);

    if (how & 0x80)
        pair_read(p, gpa, size);
    else
        pair_write(p, gpa, size, fuzz_bits(fuzz, size));
}

/* A mode as a BIOS sets it, and so many accesses that the window becomes plain. */
static void settle(struct fuzz *fuzz, struct vga_pair *p)
{
    static const struct vga_mode *const modes[] = { &mode_text, &mode_256, &mode_cga4,
                                                    &mode_planar };
    const struct vga_mode *mode = modes[fuzz_byte(fuzz) % 4];

    set_mode(&p->plain, mode);
    set_mode(&p->chip, mode);
    for (unsigned n = 0; n < 300 && !p->size; n++) {
        pair_write(p, PAIR_WINDOW + (mode->gr[6] & 8 ? 0x18000 : 0) + n, 1, n);
        pair_check(p, 0);
    }
}

static void step(struct fuzz *fuzz, struct vga_pair *p, unsigned *looks, unsigned *modes)
{
    switch (fuzz_byte(fuzz) & 15) {
    case 0:
        if ((*looks)++ < 3)
            pair_look(p);
        break;
    case 1:
        if ((*modes)++ < 16)
            settle(fuzz, p);
        break;
    case 2: memory_access(fuzz, p, PAIR_FRAME_BUFFER, VGA_VRAM_SIZE - 8); break;
    case 3: memory_access(fuzz, p, PAIR_REGISTERS + 0x400, 0x200 - 8); break;
    case 4: port_access(fuzz, p, 0x1ce, 2); break;
    case 5:
    case 6:
    case 7: port_access(fuzz, p, 0x3b0, 0x30); break;
    case 8: pair_check(p, 2000000); break;
    default: memory_access(fuzz, p, PAIR_WINDOW, VGA_WINDOW_SIZE - 8); break;
    }
    pair_check(p, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vga_pair p;
    struct fuzz fuzz = { data, size };
    unsigned looks = 0, modes = 0;

    pair_open(&p);
    settle(&fuzz, &p);
    while (fuzz_more(&fuzz))
        step(&fuzz, &p, &looks, &modes);
    pair_close(&p);
    if (check_failures)
        abort();
    return 0;
}
