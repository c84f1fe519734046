/* A hostile driver of the virtio entropy device. */
#include "base/clock.h"
#include "devices/virtio_rng.h"
#include "tests/fuzz/virtio_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clock clock = { 0 };
    struct fuzz_machine f;
    struct virtio_rng *rng;

    fuzz_open(&f, data, size);
    rng = virtio_rng_create(&(struct virtio_rng_config){
        f.driver.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &f.driver.mem, &clock });
    fuzz_start(&f, 1, 64);
    while (fuzz_more(&f.fuzz))
        if (!fuzz_step(&f))
            clock_advance(&clock, VIRTIO_RNG_PERIOD_NS / 2);
    virtio_rng_destroy(rng);
    fuzz_close(&f);
    return 0;
}
