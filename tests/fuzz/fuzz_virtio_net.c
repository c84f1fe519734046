/* A hostile driver of the virtio network card. */
#include <stdlib.h>

#include "devices/virtio_net.h"
#include "tests/fuzz/fuzz_cable.h"
#include "tests/fuzz/virtio_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_cable cable;
    struct fuzz_machine f;
    struct virtio_net *net;

    fuzz_open(&f, data, size);
    fuzz_cable_init(&cable);
    net = virtio_net_create(&(struct virtio_net_config){
        .bus = f.driver.pci, .slot = DRIVER_SLOT, .mem = &f.driver.mem,
        .cable = &cable.dev });
    if (!net)
        abort();
    fuzz_start(&f, 3, 256);
    while (fuzz_more(&f.fuzz))
        if (!fuzz_step(&f))
            fuzz_cable_step(&cable, &f.fuzz);
    virtio_net_destroy(net);
    fuzz_close(&f);
    return 0;
}
