/*
 * SMBIOS tables.
 *
 * Reference: DMTF DSP0134, System Management BIOS Reference Specification 2.8.0: 5.2.1 (the 32-bit
 *            entry point), 6.1 (structures and their strings), chapter 7 by type (in brackets).
 * Modelled:  types 0, 1, 3, 4, 16, 17, 19, 32 and 127, and 2 and 11 where the user asks for them:
 *            what QEMU's PC has. Handles, too, are QEMU's: the type times 256.
 */
#include "frontend/smbios.h"

#include <string.h>

#include "base/bug.h"
#include "base/count.h"
#include "frontend/checksum.h"

enum {
    BIOS = 0, SYSTEM = 1, BASEBOARD = 2, CHASSIS = 3, PROCESSOR = 4, OEM_STRINGS = 11,
    MEMORY_ARRAY = 16, MEMORY_DEVICE = 17, MEMORY_ARRAY_ADDRESS = 19, SYSTEM_BOOT = 32, END = 127,
};
enum { UNKNOWN_WIDTH = 0xffff, NO_HANDLE = 0xffff, NO_ERRORS_REPORTED = 0xfffe };
enum { SPEED_MHZ = 2000 };

static const struct {
    uint8_t type, offset;
    const char *text, *behind;
} fields[] = {
#define TEXT(type, offset, field, text, behind) { type, offset, text, behind },
#include "frontend/smbios_fields.def"
};

struct table {
    const struct smbios_config *config;
    uint8_t *bytes;
    size_t used, at, largest; /* at: where the present structure begins */
    unsigned count, strings;
};

/* --- Structures (6.1) ------------------------------------------------------------------ */

static unsigned handle_of(unsigned type)
{
    return type << 8;
}

static void set(struct table *t, size_t offset, uint64_t value, unsigned size)
{
    BUG_ON(t->at + offset + size > t->used);
    for (; size; size--, value >>= 8)
        t->bytes[t->at + offset++] = value & 0xff;
}

static void put_text(struct table *t, const char *text)
{
    size_t size = strlen(text);

    BUG_ON(t->used + size >= SMBIOS_TABLE_MAX);
    memcpy(t->bytes + t->used, text, size);
    t->used += size;
}

/* Its strings follow the formatted part, each ends in a 0. */
static void add_text(struct table *t, const char *text, const char *behind)
{
    put_text(t, text);
    put_text(t, behind);
    t->bytes[t->used++] = 0;
    t->strings++;
}

static void add_fields(struct table *t, unsigned type)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        const char *text = t->config->text[i] ? t->config->text[i] : fields[i].text;

        if (fields[i].type != type || !*text)
            continue;
        add_text(t, text, fields[i].behind);
        set(t, fields[i].offset, t->strings, 1);
    }
}

/* The formatted part, zeroes but for the header and the strings' numbers. */
static void begin(struct table *t, unsigned type, unsigned length)
{
    BUG_ON(t->used + length > SMBIOS_TABLE_MAX);
    t->at = t->used;
    t->strings = 0;
    memset(t->bytes + t->at, 0, length);
    t->used += length;
    set(t, 0, type, 1);
    set(t, 1, length, 1);
    set(t, 2, handle_of(type), 2);
    add_fields(t, type);
}

/* A structure without strings has both 0s, too. */
static void end(struct table *t)
{
    BUG_ON(t->used + 2 > SMBIOS_TABLE_MAX);
    if (!t->strings)
        t->bytes[t->used++] = 0;
    t->bytes[t->used++] = 0;
    t->count++;
    if (t->used - t->at > t->largest)
        t->largest = t->used - t->at;
}

/* --- The structures (chapter 7) --------------------------------------------------------- */

static void bios(struct table *t)
{
    begin(t, BIOS, 0x18);
    set(t, 0x06, 0xf000, 2); /* its segment; 64 KiB */
    set(t, 0x0a, 0x08, 8);   /* what it can is not told */
    set(t, 0x13, 0x14 | (t->config->uefi ? 0x08 : 0), 1); /* of a virtual machine; SVVP */
    set(t, 0x14, t->config->release[0], 1);
    set(t, 0x15, t->config->release[1], 1);
    set(t, 0x16, 0xffff, 2); /* no embedded controller */
    end(t);
}

/* The first three fields of a UUID are little-endian here (7.2.1). */
static void system_information(struct table *t)
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

    begin(t, SYSTEM, 0x1b);
    for (unsigned i = 0; i < sizeof(order); i++)
        set(t, 0x08 + i, t->config->uuid[order[i]], 1);
    set(t, 0x18, 6, 1); /* the power switch woke it */
    end(t);
}

static void baseboard(struct table *t)
{
    begin(t, BASEBOARD, 0x0f);
    set(t, 0x09, 0x01, 1); /* it hosts the rest */
    set(t, 0x0b, handle_of(CHASSIS), 2);
    set(t, 0x0d, 0x0a, 1); /* a motherboard */
    end(t);
}

static void chassis(struct table *t)
{
    begin(t, CHASSIS, 0x16);
    set(t, 0x05, 1, 1); /* other */
    set(t, 0x09, 3, 1); /* safe: boot-up, power supply, thermal state */
    set(t, 0x0a, 3, 1);
    set(t, 0x0b, 3, 1);
    set(t, 0x0c, 2, 1); /* security: unknown */
    end(t);
}

static void processor(struct table *t)
{
    const struct smbios_config *c = t->config;

    begin(t, PROCESSOR, 0x2a);
    set(t, 0x05, 3, 1); /* a central processor */
    set(t, 0x06, 1, 1); /* of another family, and so at 0x28 */
    set(t, 0x08, c->processor_id, 8);
    set(t, 0x14, c->speed_max ? c->speed_max : SPEED_MHZ, 2);
    set(t, 0x16, c->speed ? c->speed : SPEED_MHZ, 2);
    set(t, 0x18, 0x41, 1); /* there is one, enabled */
    set(t, 0x19, 1, 1);    /* another way to put in a better one */
    for (unsigned cache = 0; cache < 3; cache++)
        set(t, 0x1a + 2 * cache, NO_HANDLE, 2);
    set(t, 0x23, 0x010101, 3); /* cores, enabled, threads */
    set(t, 0x26, 2, 2);
    set(t, 0x28, 1, 2);
    end(t);
}

static void oem_strings(struct table *t)
{
    begin(t, OEM_STRINGS, 0x05);
    set(t, 0x04, t->config->oems, 1);
    for (unsigned i = 0; i < t->config->oems; i++)
        add_text(t, t->config->oem[i], "");
    end(t);
}

static void memory_array(struct table *t, uint64_t memory)
{
    begin(t, MEMORY_ARRAY, 0x17);
    set(t, 0x04, 1, 1); /* its place: other; system memory, multi-bit ECC */
    set(t, 0x05, 3, 1);
    set(t, 0x06, 6, 1);
    set(t, 0x07, memory >> 10, 4);
    set(t, 0x0b, NO_ERRORS_REPORTED, 2);
    set(t, 0x0d, 1, 2);
    end(t);
}

static void memory_device(struct table *t, uint64_t memory)
{
    begin(t, MEMORY_DEVICE, 0x28);
    set(t, 0x04, handle_of(MEMORY_ARRAY), 2);
    set(t, 0x06, NO_ERRORS_REPORTED, 2);
    set(t, 0x08, UNKNOWN_WIDTH, 2);
    set(t, 0x0a, UNKNOWN_WIDTH, 2);
    set(t, 0x0c, (memory + (1 << 20) - 1) >> 20, 2);
    set(t, 0x0e, 9, 1); /* a DIMM of RAM of another kind */
    set(t, 0x12, 7, 1);
    set(t, 0x13, 2, 2);
    set(t, 0x15, t->config->memory_speed, 2);
    set(t, 0x20, t->config->memory_speed, 2);
    end(t);
}

static void memory_array_address(struct table *t, uint64_t memory)
{
    begin(t, MEMORY_ARRAY_ADDRESS, 0x1f);
    set(t, 0x08, (memory >> 10) - 1, 4); /* from 0 to the last KiB */
    set(t, 0x0c, handle_of(MEMORY_ARRAY), 2);
    set(t, 0x0e, 1, 1);
    end(t);
}

/* Boot status: no errors. */
static void system_boot(struct table *t)
{
    begin(t, SYSTEM_BOOT, 0x0b);
    end(t);
}

/* --- The whole ------------------------------------------------------------------------------ */

static void put16(uint8_t *at, size_t value)
{
    at[0] = value & 0xff;
    at[1] = value >> 8 & 0xff;
}

static void entry_point(const struct table *t, uint32_t gpa, uint8_t entry[SMBIOS_ENTRY_SIZE])
{
    memset(entry, 0, SMBIOS_ENTRY_SIZE);
    memcpy(entry, "_SM_", 4);
    entry[0x05] = SMBIOS_ENTRY_SIZE;
    entry[0x06] = 2;
    entry[0x07] = 8;
    put16(entry + 0x08, t->largest);
    memcpy(entry + 0x10, "_DMI_", 5);
    put16(entry + 0x16, t->used);
    put16(entry + 0x18, gpa & 0xffff);
    put16(entry + 0x1a, gpa >> 16);
    put16(entry + 0x1c, t->count);
    entry[0x1e] = 0x28;
    checksum_set(entry + 0x10, SMBIOS_ENTRY_SIZE - 0x10, 0x05);
    checksum_set(entry, SMBIOS_ENTRY_SIZE, 0x04);
}

size_t smbios_build(const struct smbios_config *config, uint64_t memory, bool firmware,
                    uint32_t gpa, uint8_t entry[SMBIOS_ENTRY_SIZE],
                    uint8_t table[SMBIOS_TABLE_MAX])
{
    struct table t = { .config = config, .bytes = table };

    if (!firmware || config->given & 1u << BIOS)
        bios(&t);
    system_information(&t);
    if (config->given & 1u << BASEBOARD)
        baseboard(&t);
    chassis(&t);
    processor(&t);
    if (config->oems)
        oem_strings(&t);
    memory_array(&t, memory);
    memory_device(&t, memory);
    memory_array_address(&t, memory);
    system_boot(&t);
    begin(&t, END, 4);
    end(&t);
    entry_point(&t, gpa, entry);
    return t.used;
}
