/* See config_isa.h. Properties are QEMU's; so are the ports that they have without. */
#include "frontend/config_isa.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/config.h"
#include "frontend/config_chardev.h"
#include "frontend/config_console.h"
#include "frontend/config_text.h"
#include "frontend/error.h"

enum { DEBUG_EXIT_BASE = 0x501, DEBUG_EXIT_SIZE = 2 };

/* NAME=NUMBER from least to most. */
static bool take_number(const char *part, const char *name, unsigned least, unsigned most,
                        uint16_t *number)
{
    const char *text = config_text_value(part, name);
    unsigned long value;
    char *end;

    if (!text || *text < '0' || *text > '9')
        return false;
    value = strtoul(text, &end, 0);
    if (*end || value < least || value > most)
        return false;
    *number = (uint16_t)value;
    return true;
}

static int take_debug_exit(struct config *config, char *rest, const char *value,
                           struct error *error)
{
    uint16_t base = DEBUG_EXIT_BASE, size = DEBUG_EXIT_SIZE;
    char *part;

    while ((part = config_text_next(&rest)))
        if (!take_number(part, "iobase", 0, UINT16_MAX, &base) &&
            !take_number(part, "iosize", 1, 4, &size))
            return error_set(error, EX_USAGE, "-device %s: '%s' is wrong; write iobase=0xf4 (a "
                             "port) or iosize=4 (1 to 4)", value, part);
    if (base + size > 0x10000)
        return error_set(error, EX_USAGE, "-device %s: the ports end at 0xffff", value);
    config->isa.debug_exit = true;
    config->isa.debug_exit_base = base;
    config->isa.debug_exit_size = size;
    return 0;
}

static int take_testdev(struct config *config, char *rest, const char *value, struct error *error)
{
    if (config_text_next(&rest))
        return error_set(error, EX_USAGE, "-device %s: pc-testdev has no properties", value);
    config->isa.testdev = true;
    return 0;
}

static int take_debugcon(struct config *config, char *rest, const char *value,
                         struct error *error)
{
    const char *id = NULL;
    char *part;

    while ((part = config_text_next(&rest))) {
        if (config_text_value(part, "chardev"))
            id = config_text_value(part, "chardev");
        else if (!take_number(part, "iobase", 1, UINT16_MAX, &config->isa.debugcon_base))
            return error_set(error, EX_USAGE, "-device %s: '%s' is wrong; write iobase=0x402 (a "
                             "port) or chardev=ID", value, part);
    }
    if (config_console_only(&config->debugcon, "debug console", "-device", value, error))
        return -1;
    return config_chardev_name(&config->debugcon, id, "-device", value, error);
}

static int take_serial(struct config *config, char *rest, const char *value, struct error *error)
{
    const char *id = NULL;
    char *part;

    while ((part = config_text_next(&rest))) {
        if (!config_text_value(part, "chardev"))
            return error_set(error, EX_USAGE, "-device %s: '%s' is not known; the first has COM1's "
                             "ports, the second COM2's; write chardev=ID alone", value, part);
        id = config_text_value(part, "chardev");
    }
    if (config->serials == PC_SERIAL_COUNT)
        return error_set(error, EX_USAGE, "-device %s: one too many, the board has %u serial lines",
                         value, PC_SERIAL_COUNT);
    return config_chardev_name(&config->serial[config->serials++], id, "-device", value, error);
}

int config_isa_device(struct config *config, const char *value, struct error *error)
{
    static const struct {
        const char *name;
        int (*take)(struct config *config, char *rest, const char *value, struct error *error);
    } devices[] = {
        { "isa-debug-exit", take_debug_exit },
        { "isa-debugcon", take_debugcon },
        { "isa-serial", take_serial },
        { "pc-testdev", take_testdev },
    };
    char *text = strdup(value), *rest = text, *name;
    int taken = 0;

    if (!text)
        return error_set(error, EX_OSERR, "no host memory for the options; free some");
    name = config_text_next(&rest);
    for (size_t i = 0; i < COUNT(devices) && !taken; i++)
        if (!strcmp(name, devices[i].name))
            taken = devices[i].take(config, rest, value, error) ? -1 : 1;
    free(text);
    return taken;
}
