/* The SMBIOS tables, read as a kernel reads them, and what -smbios makes of them. */
#include "frontend/smbios.h"

#include <string.h>

#include "base/count.h"
#include "frontend/config_smbios.h"
#include "frontend/error.h"
#include "tests/check.h"
#include "tests/unit/table_bytes.h"

#define GPA    0xf1020
#define MEMORY (512ull << 20)

static uint8_t entry[SMBIOS_ENTRY_SIZE], table[SMBIOS_TABLE_MAX];
static size_t size;

static void make(const struct smbios_config *config, bool firmware)
{
    memset(table, 0xcc, sizeof(table));
    size = smbios_build(config, MEMORY, firmware, GPA, entry, table);
}

/* Behind the structure at p: its formatted part, its strings, two zeroes. */
static const uint8_t *next(const uint8_t *p)
{
    p += p[1];
    while (p + 1 < table + size && (p[0] || p[1]))
        p++;
    return p + 2;
}

static const uint8_t *structure(unsigned type)
{
    for (const uint8_t *p = table; p < table + size; p = next(p))
        if (*p == type)
            return p;
    return NULL;
}

/* The string that the byte at offset names; "" where it is 0. */
static const char *text(unsigned type, unsigned offset)
{
    const uint8_t *p = structure(type);
    unsigned number = p[offset];
    const char *string = (const char *)p + p[1];

    if (!number)
        return "";
    while (--number)
        string += strlen(string) + 1;
    return string;
}

static void test_entry_point(void)
{
    const struct smbios_config none = { 0 };
    unsigned count = 0;
    size_t largest = 0;

    make(&none, false);
    for (const uint8_t *p = table; p < table + size; p = next(p), count++)
        if ((size_t)(next(p) - p) > largest)
            largest = (size_t)(next(p) - p);
    CHECK_EQ(!memcmp(entry, "_SM_", 4) && !memcmp(entry + 0x10, "_DMI_", 5), true);
    CHECK_EQ(entry[5] == 0x1f && entry[6] == 2 && entry[7] == 8 && entry[0x1e] == 0x28, true);
    CHECK_EQ(sum(entry, 0x1f), 0);
    CHECK_EQ(sum(entry + 0x10, 0x0f), 0);
    CHECK_EQ(at(entry, 0x08, 2), largest);
    CHECK_EQ(at(entry, 0x16, 2), size);
    CHECK_EQ(at(entry, 0x18, 4), GPA);
    CHECK_EQ(at(entry, 0x1c, 2), count);
}

/* Each type once, of DSP0134 2.8's length, with a handle of its own; the last is the end. */
static void test_walk(void)
{
    static const struct {
        uint8_t type, length;
    } all[] = { { 0, 0x18 },  { 1, 0x1b },  { 2, 0x0f },  { 3, 0x16 },  { 4, 0x2a },   { 11, 5 },
                { 16, 0x17 }, { 17, 0x28 }, { 19, 0x1f }, { 32, 0x0b }, { 127, 4 } };
    const struct smbios_config config = { .given = 1 << 2, .oems = 1, .oem = { "a" } };
    const uint8_t *p = table;

    make(&config, false);
    for (size_t i = 0; i < COUNT(all); i++, p = next(p)) {
        CHECK_EQ(p[0], all[i].type);
        CHECK_EQ(p[1], all[i].length);
        CHECK_EQ(at(p, 2, 2), all[i].type << 8);
    }
    CHECK_EQ(p == table + size && table[size] == 0xcc, true);
}

/* No string's number is beyond the strings that there are. */
static void test_strings(void)
{
    const struct smbios_config none = { 0 };

    make(&none, false);
    CHECK_EQ(strcmp(text(0, 4), "novt"), 0);
    CHECK_EQ(strcmp(text(0, 8), "04/01/2014"), 0);
    CHECK_EQ(strcmp(text(1, 4), "QEMU"), 0);
    CHECK_EQ(strcmp(text(1, 5), "Standard PC (i440FX + PIIX, 1996)"), 0);
    CHECK_EQ(structure(1)[7] || structure(1)[0x19] || structure(1)[0x1a], false);
    CHECK_EQ(strcmp(text(4, 4), "CPU 0"), 0);
    CHECK_EQ(strcmp(text(17, 0x10), "DIMM 0"), 0);
    CHECK_EQ(structure(2) || structure(11), false);
}

static void test_machine(void)
{
    const struct smbios_config config = { .processor_id = 0x078bfbff00000f12 };

    make(&config, false);
    CHECK_EQ(at(structure(4), 8, 4), 0xf12);
    CHECK_EQ(at(structure(4), 12, 4), 0x078bfbff);
    CHECK_EQ(at(structure(4), 0x14, 2), 2000);
    CHECK_EQ(at(structure(16), 7, 4), MEMORY >> 10);
    CHECK_EQ(at(structure(16), 0x0d, 2), 1);
    CHECK_EQ(at(structure(17), 4, 2), at(structure(16), 2, 2));
    CHECK_EQ(at(structure(17), 0x0c, 2), 512);
    CHECK_EQ(at(structure(19), 4, 4), 0);
    CHECK_EQ(at(structure(19), 8, 4), (MEMORY >> 10) - 1);
    CHECK_EQ(at(structure(19), 0x0c, 2), at(structure(16), 2, 2));
}

/* Firmware writes its own type 0, unless the user has. */
static void test_firmware(void)
{
    struct smbios_config config = { 0 };

    make(&config, true);
    CHECK_EQ(structure(0) == NULL && table[0] == 1, true);
    config.given = 1 << 0;
    make(&config, true);
    CHECK_EQ(structure(0) != NULL, true);
}

static void test_options(void)
{
    static const char *const values[] = {
        "type=0,vendor=Acme,, Inc.,release=7.200,uefi=on",
        "type=1,serial=S1,uuid=00112233-4455-6677-8899-AABBCCDDEEFF,family=",
        "type=2,location=shelf",
        "type=3,asset=A3",
        "type=4,sock_pfx=Socket,max-speed=3000,current-speed=1500,processor-id=0x123456789a",
        "type=11,value=one,value=two",
        "type=17,speed=1600,part=P",
    };
    static const uint8_t uuid[16] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
                                      0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
    struct smbios_specs specs = { .used = 0 };
    struct error error;

    for (size_t i = 0; i < COUNT(values); i++)
        CHECK_EQ(config_smbios_take(&specs, values[i], &error), 0);
    make(&specs.said, false);
    CHECK_EQ(strcmp(text(0, 4), "Acme, Inc."), 0);
    CHECK_EQ(structure(0)[0x13] == 0x1c && structure(0)[0x14] == 7 && structure(0)[0x15] == 200,
             true);
    CHECK_EQ(strcmp(text(1, 7), "S1") || structure(1)[0x1a], 0);
    CHECK_EQ(memcmp(structure(1) + 8, uuid, sizeof(uuid)), 0);
    CHECK_EQ(strcmp(text(2, 0x0a), "shelf"), 0);
    CHECK_EQ(at(structure(2), 0x0b, 2), at(structure(3), 2, 2));
    CHECK_EQ(strcmp(text(3, 8), "A3"), 0);
    CHECK_EQ(strcmp(text(4, 4), "Socket 0"), 0);
    CHECK_EQ(at(structure(4), 0x14, 2) == 3000 && at(structure(4), 0x16, 2) == 1500, true);
    CHECK_EQ(at(structure(4), 8, 4) == 0x3456789a && at(structure(4), 12, 4) == 0x12, true);
    CHECK_EQ(structure(11)[4] == 2 && !strcmp((const char *)structure(11) + 5, "one"), true);
    CHECK_EQ(at(structure(17), 0x15, 2) == 1600 && at(structure(17), 0x20, 2) == 1600, true);
    CHECK_EQ(strcmp(text(17, 0x1a), "P"), 0);
}

/* As much text as may be said has room. */
static void test_longest(void)
{
    static char value[SMBIOS_TEXT_MAX + 1] = "type=2,serial=";
    struct smbios_specs specs = { .used = 0 };
    struct error error;
    size_t said = strlen(value);

    memset(value + said, 'x', SMBIOS_TEXT_MAX - 1 - said);
    CHECK_EQ(config_smbios_take(&specs, value, &error), 0);
    make(&specs.said, false);
    CHECK_EQ(strlen(text(2, 7)), SMBIOS_TEXT_MAX - 1 - said);
    CHECK_EQ(config_smbios_take(&specs, "type=1", &error), -1);
}

int main(void)
{
    test_entry_point();
    test_walk();
    test_strings();
    test_machine();
    test_firmware();
    test_options();
    test_longest();
    return CHECK_DONE();
}
