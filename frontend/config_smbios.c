/* -smbios type=N,FIELD=VALUE...: texts go to smbios_fields.def's rows, the rest is here. */
#include "frontend/config_smbios.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/config_text.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

enum { FIELDS_MAX = 16 }; /* of one type */

/* --- Fields that are no texts ------------------------------------------------------------ */

static bool digits(const char *text, unsigned long max, char final, unsigned long *value)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *value = strtoul(text, &end, 10);
    return *end == final && *value <= max;
}

static bool take_release(struct smbios_config *said, const char *text)
{
    const char *dot = strchr(text, '.');
    unsigned long major, minor;

    if (!dot || !digits(text, UINT8_MAX, '.', &major) || !digits(dot + 1, UINT8_MAX, 0, &minor))
        return false;
    said->release[0] = (uint8_t)major;
    said->release[1] = (uint8_t)minor;
    return true;
}

static bool take_uefi(struct smbios_config *said, const char *text)
{
    return config_text_switch(text, &said->uefi);
}

/* 32 digits; hyphens stand after 8, 12, 16 and 20 of them. */
static bool take_uuid(struct smbios_config *said, const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", hex[] = "0123456789abcdef";
    uint8_t uuid[16] = { 0 };
    unsigned n = 0;

    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != '-')
            return false;
        if (form[i] == '-')
            continue;
        uuid[n / 2] = (uint8_t)(uuid[n / 2] << 4 | (strchr(hex, tolower(text[i])) - hex));
        n++;
    }
    memcpy(said->uuid, uuid, sizeof(uuid));
    return !text[sizeof(form) - 1];
}

static bool take_speed(uint16_t *speed, const char *text)
{
    unsigned long value;

    if (!digits(text, UINT16_MAX, 0, &value) || !value)
        return false;
    *speed = (uint16_t)value;
    return true;
}

static bool take_speed_max(struct smbios_config *said, const char *text)
{
    return take_speed(&said->speed_max, text);
}

static bool take_speed_now(struct smbios_config *said, const char *text)
{
    return take_speed(&said->speed, text);
}

static bool take_memory_speed(struct smbios_config *said, const char *text)
{
    return take_speed(&said->memory_speed, text);
}

static bool take_processor_id(struct smbios_config *said, const char *text)
{
    char *end;

    said->processor_id = strtoull(text, &end, 0);
    return *text >= '0' && *text <= '9' && !*end;
}

static const struct {
    unsigned type;
    const char *name;
    bool (*take)(struct smbios_config *said, const char *text);
    const char *right; /* what may be written */
} others[] = {
    { 0, "release", take_release, "two numbers up to 255, as 1.16" },
    { 0, "uefi", take_uefi, "on or off" },
    { 1, "uuid", take_uuid, "as 11223344-5566-7788-99aa-bbccddeeff00" },
    { 4, "max-speed", take_speed_max, "a number of MHz, 1 to 65535" },
    { 4, "current-speed", take_speed_now, "a number of MHz, 1 to 65535" },
    { 4, "processor-id", take_processor_id, "a number; the processor's signature and features" },
    { 17, "speed", take_memory_speed, "a number of MT/s, 1 to 65535" },
};

/* --- Texts ------------------------------------------------------------------------------ */

static const struct {
    unsigned type;
    const char *name;
} texts[] = {
#define TEXT(type, offset, field, text, behind) { type, field },
#include "frontend/smbios_fields.def"
};

enum { OEM_STRINGS = 11 };

/* 1 when the piece is taken, 0 when it is no text of that type, -1 with *error. */
static int take_text(struct smbios_config *said, unsigned type, const char *piece,
                     struct error *error)
{
    const char *value = config_text_value(piece, "value");

    for (size_t i = 0; i < COUNT(texts); i++)
        if (texts[i].type == type && config_text_value(piece, texts[i].name)) {
            said->text[i] = config_text_value(piece, texts[i].name);
            return 1;
        }
    if (type != OEM_STRINGS || !value)
        return 0;
    if (!*value || said->oems == SMBIOS_OEM_MAX)
        return error_set(error, EX_USAGE, "-smbios type=11: value= takes a text, up to %d times",
                         SMBIOS_OEM_MAX);
    said->oem[said->oems++] = value;
    return 1;
}

static int take_other(struct smbios_config *said, unsigned type, const char *piece,
                      struct error *error)
{
    for (size_t i = 0; i < COUNT(others); i++) {
        const char *value = config_text_value(piece, others[i].name);

        if (others[i].type != type || !value)
            continue;
        return others[i].take(said, value)
                   ? 1
                   : error_set(error, EX_USAGE, "-smbios type=%u,%s: write %s", type, piece,
                               others[i].right);
    }
    return 0;
}

static int unknown_field(unsigned type, const char *piece, struct error *error)
{
    const char *names[FIELDS_MAX];
    char option[32];
    size_t count = 0;

    for (size_t i = 0; i < COUNT(texts); i++)
        if (texts[i].type == type)
            names[count++] = texts[i].name;
    for (size_t i = 0; i < COUNT(others); i++)
        if (others[i].type == type)
            names[count++] = others[i].name;
    if (type == OEM_STRINGS)
        names[count++] = "value";
    snprintf(option, sizeof(option), "-smbios type=%u:", type);
    return nearest_unknown(option, piece, strcspn(piece, "="), names, count, error);
}

static int take_field(struct smbios_config *said, unsigned type, const char *piece,
                      struct error *error)
{
    int taken = take_text(said, type, piece, error);

    if (!taken)
        taken = take_other(said, type, piece, error);
    return taken < 0 ? -1 : taken ? 0 : unknown_field(type, piece, error);
}

/* --- The whole -------------------------------------------------------------------------- */

static bool is_type(const char *text, unsigned *type)
{
    unsigned long number;

    if (!text || !digits(text, 127, 0, &number))
        return false;
    *type = (unsigned)number;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (texts[i].type == *type)
            return true;
    return *type == OEM_STRINGS;
}

int config_smbios_take(struct smbios_specs *smbios, const char *value, struct error *error)
{
    size_t size = strlen(value) + 1;
    char *at = smbios->text + smbios->used, *piece = at;
    unsigned type;

    if (size > sizeof(smbios->text) - smbios->used)
        return error_set(error, EX_USAGE, "-smbios: too long, all of them may have %d letters",
                         SMBIOS_TEXT_MAX);
    memcpy(at, value, size);
    smbios->used += size;
    piece = config_text_next(&at);
    if (!is_type(config_text_value(piece, "type"), &type))
        return error_set(error, EX_USAGE, "-smbios %.200s: begin with type=N, N one of 0, 1, 2, 3, "
                         "4, 11, 17", value);
    smbios->said.given |= 1u << type;
    while ((piece = config_text_next(&at)))
        if (take_field(&smbios->said, type, piece, error))
            return -1;
    return 0;
}

int config_smbios_take_uuid(struct smbios_specs *smbios, const char *value, struct error *error)
{
    if (take_uuid(&smbios->said, value))
        return 0;
    return error_set(error, EX_USAGE,
                     "-uuid %.100s: write it as 11223344-5566-7788-99aa-bbccddeeff00", value);
}
