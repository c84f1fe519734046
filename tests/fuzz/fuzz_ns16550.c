/* Any accesses to the serial port, and a line at whose other end there is somebody, nobody, or one
 * who takes little. */
#include "devices/chardev.h"
#include "devices/ns16550.h"
#include "tests/fuzz/chip.h"

enum { BASE = 0x3f8 };

static struct chardev line;
static uint8_t most; /* bytes that the other end takes at once */

static size_t take(void *host, const uint8_t *bytes, size_t size)
{
    (void)host, (void)bytes;
    return most < size ? most : size;
}

static void *create(struct chip *chip)
{
    static const struct chardev_host ops = { .write = take };

    most = 255;
    chardev_init(&line, &ops, NULL);
    return ns16550_create(&(struct ns16550_config){ .ports = chip->ports, .base = BASE,
        .irq = chip_wire, .clock = &chip->clock, .line = &line });
}

/* No more than the chip has room for. */
static void input(struct chip *chip)
{
    uint8_t bytes[16] = { fuzz_byte(&chip->fuzz) };
    size_t room = chardev_window(&line), wanted = 1 + fuzz_byte(&chip->fuzz) % sizeof(bytes);

    if (room)
        chardev_receive(&line, bytes, wanted < room ? wanted : room);
}

static void other_end(struct chip *chip, unsigned what)
{
    if (what == 0)
        chardev_receive_break(&line);
    else if (what == 1)
        ns16550_flush(chip->dev);
    else
        chardev_carrier(&line, what & 1);
}

static void step(struct chip *chip, unsigned what)
{
    switch (what % 8) {
    case 0: input(chip); break;
    case 1: most = fuzz_byte(&chip->fuzz); break;
    case 2: chardev_writable(&line); break;
    case 3: other_end(chip, what / 8 % 4); break;
    default: fuzz_access(&chip->fuzz, chip->ports, BASE, 8); break;
    }
}

CHIP_TARGET(ns16550)
