/* A hostile driver of the virtio console, on a line that stalls. */
#include "base/clock.h"
#include "devices/chardev.h"
#include "devices/virtio_console.h"
#include "tests/fuzz/virtio_machine.h"

static void host(struct fuzz_machine *f, struct chardev_memory *line, struct clock *clock)
{
    static const uint8_t bytes[256];
    uint8_t what = fuzz_byte(&f->fuzz);
    size_t window = chardev_window(&line->line);

    line->size = 0;
    line->room = what & 1 ? 0 : sizeof(line->text);
    clock_advance(clock, 1000000ull * (what >> 4));
    if (what & 2)
        chardev_writable(&line->line);
    if (what & 4 && window)
        chardev_receive(&line->line, bytes, window < sizeof(bytes) ? window : sizeof(bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct chardev_memory line;
    struct clock clock = { 0 };
    struct fuzz_machine f;
    struct virtio_console *console;

    chardev_memory_init(&line);
    fuzz_open(&f, data, size);
    console = virtio_console_create(&(struct virtio_console_config){
        f.driver.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &f.driver.mem, &clock, &line.line });
    fuzz_start(&f, 2, 64);
    while (fuzz_more(&f.fuzz))
        if (!fuzz_step(&f))
            host(&f, &line, &clock);
    line.size = 0;
    line.room = sizeof(line.text);
    virtio_console_destroy(console);
    fuzz_close(&f);
    return 0;
}
