/* The firmware configuration device of QEMU's PCs: items and named files that firmware reads, by
 * ports 0x510 and 0x511 or by DMA (0x514). */
#ifndef DEVICES_FW_CFG_H
#define DEVICES_FW_CFG_H

#include <stddef.h>
#include <stdint.h>

struct bus;
struct fw_cfg;
struct physmem;
struct snap;

enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_CPUS = 0x05,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_FILES = 0x19,
    FW_CFG_FIRST_FILE = 0x20,
    FW_CFG_FILES_MAX = 32,
    FW_CFG_NAME_MAX = 56, /* with the final 0 */
};

struct fw_cfg_config {
    struct bus *ports;
    uint16_t base, dma_base;
    struct physmem *mem;
};

/* NULL with errno set when the ports are taken or memory is out. */
struct fw_cfg *fw_cfg_create(const struct fw_cfg_config *config);
void fw_cfg_destroy(struct fw_cfg *fw);

void fw_cfg_reset(struct fw_cfg *fw);
void fw_cfg_snapshot(struct fw_cfg *fw, struct snap *snap); /* not the items */

/* Both copy the bytes and replace an item of that key or name. 0 or -ENOMEM (-ENOSPC: too many
 * files). */
int fw_cfg_set(struct fw_cfg *fw, uint16_t key, const void *bytes, size_t size);
int fw_cfg_set_file(struct fw_cfg *fw, const char *name, const void *bytes, size_t size);

#endif
