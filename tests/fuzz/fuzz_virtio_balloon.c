/* A hostile driver of the virtio balloon. */
#include "base/clock.h"
#include "devices/virtio_balloon.h"
#include "tests/fuzz/virtio_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtio_balloon_stats stats;
    struct clock clock = { 0 };
    struct fuzz_machine f;
    struct virtio_balloon *balloon;

    fuzz_open(&f, data, size);
    balloon = virtio_balloon_create(&(struct virtio_balloon_config){
        f.driver.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &f.driver.mem, &clock, true });
    fuzz_start(&f, 3, 128);
    while (fuzz_more(&f.fuzz)) {
        if (fuzz_step(&f))
            continue;
        clock_advance(&clock, 500000000);
        virtio_balloon_ask_stats(balloon, &stats);
        virtio_balloon_set_target(balloon, fuzz_bits(&f.fuzz, 4));
        if (virtio_balloon_memory(balloon) > DRIVER_RAM)
            __builtin_trap();
    }
    virtio_balloon_destroy(balloon);
    fuzz_close(&f);
    return 0;
}
