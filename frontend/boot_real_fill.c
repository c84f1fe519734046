/* What fw_cfg has of a kernel that firmware starts: boot_real.c made it, boot_rom.S fetches it. */
#include <string.h>

#include "devices/fw_cfg.h"
#include "frontend/boot_real.h"

#define ROM_FILE "genroms/novt-kernel.rom"

int boot_real_fill(const struct boot_real *boot, struct fw_cfg *fw)
{
    static const char order[] = "/rom@" ROM_FILE "\n";
    const uint8_t *kernel = boot->kernel.bytes;
    int err = fw_cfg_set(fw, BOOT_KEY_SETUP, kernel, boot->setup_size);

    if (!err)
        err = fw_cfg_set(fw, BOOT_KEY_KERNEL, kernel + boot->setup_size,
                         boot->kernel.size - boot->setup_size);
    if (!err)
        err = fw_cfg_set(fw, BOOT_KEY_CMDLINE, boot->append, strlen(boot->append) + 1);
    if (!err && boot->initrd.size)
        err = fw_cfg_set(fw, BOOT_KEY_INITRD, boot->initrd.bytes, boot->initrd.size);
    if (!err)
        err = fw_cfg_set_file(fw, ROM_FILE, boot->rom, sizeof(boot->rom));
    return err ? err : fw_cfg_set_file(fw, "bootorder", order, sizeof(order));
}
