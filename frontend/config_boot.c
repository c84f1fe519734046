/* -boot: what the firmware starts from. */
#include "frontend/config_boot.h"

#include <string.h>
#include <sysexits.h>

#include "frontend/error.h"

/* The letters of QEMU's and of the PC: a and c are the first floppy and hard disk. */
static int take_order(char to[BOOT_PLACES + 1], const char *order, size_t size,
                      struct error *error)
{
    if (!size || size > BOOT_PLACES)
        return error_set(error, EX_USAGE, "-boot: an order is 1 to %d letters", BOOT_PLACES);
    for (size_t i = 0; i < size; i++)
        if (!strchr("acdn", order[i]) || memchr(order, order[i], i))
            return error_set(error, EX_USAGE,
                             "-boot %.*s: letters are a (floppy), c (disk), d (CD-ROM) and "
                             "n (network), each once",
                             (int)size, order);
    memcpy(to, order, size);
    to[size] = 0;
    return 0;
}

static bool is_value(const char *value, size_t size, const char *name)
{
    return size == strlen(name) && !memcmp(value, name, size);
}

static int take_part(struct config_boot *boot, const char *part, size_t size, struct error *error)
{
    const char *equals = memchr(part, '=', size);
    size_t key = equals ? (size_t)(equals - part) : 0, left = equals ? size - key - 1 : 0;

    if (!equals)
        return take_order(boot->order, part, size, error);
    if (is_value(part, key, "order"))
        return take_order(boot->order, equals + 1, left, error);
    if (is_value(part, key, "once"))
        return take_order(boot->once, equals + 1, left, error);
    if (is_value(part, key, "menu") && (is_value(equals + 1, left, "on") ||
                                        is_value(equals + 1, left, "off"))) {
        boot->menu = left == 2;
        return 0;
    }
    if (is_value(part, key, "strict") || is_value(part, key, "reboot-timeout") ||
        is_value(part, key, "splash") || is_value(part, key, "splash-time"))
        return 0; /* for other firmware, or for the eye */
    return error_set(error, EX_USAGE, "-boot %.*s: write order=LETTERS, once=LETTERS or"
                     " menu=on|off", (int)size, part);
}

int config_boot_take(struct config_boot *boot, const char *value, struct error *error)
{
    boot->given = true;
    for (;;) {
        size_t size = strcspn(value, ",");

        if (take_part(boot, value, size, error))
            return -1;
        if (!value[size])
            return 0;
        value += size + 1;
    }
}
