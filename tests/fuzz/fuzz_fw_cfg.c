/* Any accesses to fw_cfg's ports, and DMA commands anywhere in memory. */
#include "base/physmem.h"
#include "devices/fw_cfg.h"
#include "tests/fuzz/fuzz.h"

static void command(struct fuzz *fuzz, struct bus *bus, struct physmem *mem)
{
    uint32_t gpa = (uint32_t)fuzz_bits(fuzz, 3);
    uint8_t bytes[16];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = fuzz_byte(fuzz);
    bytes[4] = bytes[5] = 0; /* lengths that end soon */
    physmem_write(mem, gpa, bytes, sizeof(bytes));
    bus_write(bus, 0x518, 4, __builtin_bswap32(gpa));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = { data, size };
    struct bus *bus = bus_create();
    struct physmem mem;
    struct fw_cfg *fw;

    if (physmem_init(&mem, 1 << 20))
        return 0;
    physmem_set_kind(&mem, 0xa0000, 0x20000, PHYSMEM_NONE);
    physmem_set_kind(&mem, 0xc0000, 0x40000, PHYSMEM_ROM);
    fw = fw_cfg_create(&(struct fw_cfg_config){ bus, 0x510, 0x514, &mem });
    fw_cfg_set_file(fw, "one", "some bytes", 10);
    fw_cfg_set_file(fw, "none", "", 0);
    while (fuzz_more(&fuzz)) {
        if (fuzz_byte(&fuzz) & 1)
            command(&fuzz, bus, &mem);
        else
            fuzz_access(&fuzz, bus, 0x50e, 0x10);
    }
    fw_cfg_destroy(fw);
    physmem_destroy(&mem);
    bus_destroy(bus);
    return 0;
}
