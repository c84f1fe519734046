/*
 * The firmware configuration device.
 *
 * Reference: "QEMU Firmware Configuration (fw_cfg) Device" (docs/specs/fw_cfg in QEMU's manual).
 * Modelled:  selecting, reading byte by byte, DMA reads and skips, the file directory.
 * Not:       writing items: a DMA write reports an error, a written data port is ignored.
 *
 * A guest's DMA goes only where there is RAM; past the end of an item there are zeroes.
 */
#include "devices/fw_cfg.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/physmem.h"
#include "base/snap.h"
#include "devices/bus.h"

/* --- Registers ---------------------------------------------------------- */

enum { PORT_SELECT = 0, PORT_DATA = 1, PORT_COUNT = 2, DMA_COUNT = 8 };

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
enum { ID_PORTS = 1, ID_DMA = 2 };

static const uint8_t dma_signature[DMA_COUNT] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };

/* --- State -------------------------------------------------------------- */

struct item {
    uint8_t *bytes;
    size_t size;
    char name[FW_CFG_NAME_MAX]; /* of a file */
};

struct fw_cfg {
    struct fw_cfg_config config;
    struct item item[FW_CFG_FIRST_FILE + FW_CFG_FILES_MAX]; /* by key */
    unsigned files;
    uint16_t selected;
    uint32_t offset;
    uint8_t dma[DMA_COUNT]; /* the address as written so far, big-endian */
};

static const struct item *current(const struct fw_cfg *fw)
{
    static const struct item nothing;

    return fw->selected < sizeof(fw->item) / sizeof(*fw->item) ? &fw->item[fw->selected] : &nothing;
}

/* --- DMA ---------------------------------------------------------------- */

static uint64_t big_endian(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static void put_big_endian(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = value >> 8 * (size - 1 - i) & 0xff;
}

static void skip(struct fw_cfg *fw, uint32_t size)
{
    fw->offset = size > UINT32_MAX - fw->offset ? UINT32_MAX : fw->offset + size;
}

/* False when the guest's buffer is not all RAM; it is filled as far as it is. */
static bool copy_out(struct fw_cfg *fw, uint64_t gpa, uint32_t size)
{
    static const uint8_t zeroes[4096];
    const struct item *item = current(fw);
    uint32_t left = fw->offset < item->size ? (uint32_t)(item->size - fw->offset) : 0;
    uint32_t part = left < size ? left : size;
    bool good;

    if (gpa >= PHYSMEM_LIMIT || size > PHYSMEM_LIMIT - gpa)
        return false;
    good = !part || physmem_write(fw->config.mem, gpa, item->bytes + fw->offset, part);
    skip(fw, size);
    for (gpa += part, size -= part; size; gpa += part, size -= part) {
        part = size < sizeof(zeroes) ? size : sizeof(zeroes);
        good &= physmem_write(fw->config.mem, gpa, zeroes, part);
    }
    return good;
}

static void run_dma(struct fw_cfg *fw)
{
    uint64_t gpa = big_endian(fw->dma, DMA_COUNT);
    uint8_t command[16];
    uint32_t control, size;
    bool good = true;

    memset(fw->dma, 0, sizeof(fw->dma));
    if (!physmem_read(fw->config.mem, gpa, command, sizeof(command)))
        return;
    control = (uint32_t)big_endian(command, 4);
    size = (uint32_t)big_endian(command + 4, 4);
    if (control & DMA_SELECT) {
        fw->selected = control >> 16;
        fw->offset = 0;
    }
    if (control & DMA_READ)
        good = copy_out(fw, big_endian(command + 8, 8), size);
    else if (control & DMA_WRITE)
        good = false;
    else if (control & DMA_SKIP)
        skip(fw, size);
    put_big_endian(command, good ? 0 : DMA_ERROR, 4);
    physmem_write(fw->config.mem, gpa, command, 4);
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t port_read(void *dev, uint64_t offset, unsigned size)
{
    struct fw_cfg *fw = dev;
    const struct item *item = current(fw);

    if (size != 1 || offset != PORT_DATA)
        return 0;
    if (fw->offset >= item->size)
        return 0;
    return item->bytes[fw->offset++];
}

static void port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *fw = dev;

    if (size != 2 || offset != PORT_SELECT)
        return;
    fw->selected = value & 0xffff;
    fw->offset = 0;
}

static const struct bus_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 2,
    .name = "fw_cfg",
};

static uint64_t dma_read(void *dev, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    (void)dev;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)dma_signature[offset + i] << 8 * i;
    return value;
}

static void dma_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *fw = dev;

    for (unsigned i = 0; i < size; i++)
        fw->dma[offset + i] = value >> 8 * i & 0xff;
    if (offset + size == DMA_COUNT)
        run_dma(fw);
}

static const struct bus_ops dma_ops = {
    .read = dma_read,
    .write = dma_write,
    .max_size = 8,
    .name = "fw_cfg-dma",
};

/* --- Items -------------------------------------------------------------- */

int fw_cfg_set(struct fw_cfg *fw, uint16_t key, const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, bytes, size);
    free(fw->item[key].bytes);
    fw->item[key].bytes = copy;
    fw->item[key].size = size;
    return 0;
}

/* The directory: how many, and of each its size, key and name. */
static int list_files(struct fw_cfg *fw)
{
    uint8_t list[4 + FW_CFG_FILES_MAX * (8 + FW_CFG_NAME_MAX)] = { 0 }, *at = list + 4;

    put_big_endian(list, fw->files, 4);
    for (unsigned i = 0; i < fw->files; i++) {
        const struct item *item = &fw->item[FW_CFG_FIRST_FILE + i];

        put_big_endian(at, item->size, 4);
        put_big_endian(at + 4, FW_CFG_FIRST_FILE + i, 2);
        memcpy(at + 8, item->name, FW_CFG_NAME_MAX);
        at += 8 + FW_CFG_NAME_MAX;
    }
    return fw_cfg_set(fw, FW_CFG_FILES, list, (size_t)(at - list));
}

int fw_cfg_set_file(struct fw_cfg *fw, const char *name, const void *bytes, size_t size)
{
    unsigned i;
    int err;

    for (i = 0; i < fw->files; i++)
        if (!strcmp(fw->item[FW_CFG_FIRST_FILE + i].name, name))
            break;
    if (i == FW_CFG_FILES_MAX || strlen(name) >= FW_CFG_NAME_MAX)
        return -ENOSPC;
    err = fw_cfg_set(fw, (uint16_t)(FW_CFG_FIRST_FILE + i), bytes, size);
    if (err)
        return err;
    if (i == fw->files)
        strcpy(fw->item[FW_CFG_FIRST_FILE + fw->files++].name, name);
    return list_files(fw);
}

/* --- Life --------------------------------------------------------------- */

void fw_cfg_reset(struct fw_cfg *fw)
{
    fw->selected = 0;
    fw->offset = 0;
    memset(fw->dma, 0, sizeof(fw->dma));
}

void fw_cfg_snapshot(struct fw_cfg *fw, struct snap *snap)
{
    snap_bytes(snap, &fw->selected, sizeof(fw->selected));
    snap_bytes(snap, &fw->offset, sizeof(fw->offset));
    snap_bytes(snap, fw->dma, sizeof(fw->dma));
}

struct fw_cfg *fw_cfg_create(const struct fw_cfg_config *config)
{
    static const uint8_t id[4] = { ID_PORTS | ID_DMA };
    struct fw_cfg *fw = calloc(1, sizeof(*fw));
    int err;

    if (!fw)
        return NULL;
    fw->config = *config;
    err = fw_cfg_set(fw, FW_CFG_SIGNATURE, "QEMU", 4);
    if (!err)
        err = fw_cfg_set(fw, FW_CFG_ID, id, sizeof(id));
    if (!err)
        err = list_files(fw);
    if (!err)
        err = bus_claim(config->ports, config->base, PORT_COUNT, &port_ops, fw);
    if (!err)
        err = bus_claim(config->ports, config->dma_base, DMA_COUNT, &dma_ops, fw);
    if (err) {
        fw_cfg_destroy(fw);
        errno = -err;
        return NULL;
    }
    return fw;
}

void fw_cfg_destroy(struct fw_cfg *fw)
{
    for (size_t i = 0; i < sizeof(fw->item) / sizeof(*fw->item); i++)
        free(fw->item[i].bytes);
    free(fw);
}
