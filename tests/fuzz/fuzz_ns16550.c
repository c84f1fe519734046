/* Any accesses to the serial port, and a line at whose other end there is somebody, nobody, or one
 * who takes little. */
#include "devices/chardev.h"
#include "devices/ns16550.h"
#include "tests/fuzz/chip.h"

enum { BASE = 0x3f8 };

static void snapshot(void *dev, struct snap *snap)
{
    ns16550_snapshot(dev, snap);
}

static size_t take(void *host, const uint8_t *bytes, size_t size)
{
    size_t most = *(uint8_t *)host;

    (void)bytes;
    return most < size ? most : size;
}

static const struct chardev_host ops = { .write = take };

/* No more than the chip has room for. */
static void input(struct chip *chip, struct chardev *line)
{
    uint8_t bytes[16] = { fuzz_byte(&chip->fuzz) };
    size_t most = chardev_window(line), wanted = 1 + fuzz_byte(&chip->fuzz) % sizeof(bytes);

    if (most)
        chardev_receive(line, bytes, wanted < most ? wanted : most);
}

static void one(struct chip *chip, struct ns16550 *uart, struct chardev *line, unsigned what)
{
    switch (what % 8) {
    case 0: input(chip, line); break;
    case 1: *(uint8_t *)line->host = fuzz_byte(&chip->fuzz); break;
    case 2: chardev_writable(line); break;
    case 3:
        if (what == 3)
            ns16550_reset(uart);
        else if (what == 11)
            chardev_receive_break(line);
        else if (what == 19)
            ns16550_flush(uart);
        else if (what < 64)
            chardev_carrier(line, what & 8);
        chip_snapshot(uart, snapshot);
        break;
    default: fuzz_access(&chip->fuzz, chip->ports, BASE, 8); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chip chip;
    struct ns16550 *uart;
    struct chardev line;
    uint8_t most = 255;

    chip_begin(&chip, data, size);
    chardev_init(&line, &ops, &most);
    uart = ns16550_create(&(struct ns16550_config){ .ports = chip.ports, .base = BASE,
        .irq = chip_wire, .clock = &chip.clock, .line = &line });
    for (int what; uart && (what = chip_step(&chip)) >= 0;)
        one(&chip, uart, &line, (unsigned)what);
    ns16550_destroy(uart);
    chip_end(&chip);
    return 0;
}
