/* Options of virtio devices and shared folders. A comma in a path is written twice. */
#include "frontend/config_virtio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/count.h"
#include "frontend/config_chardev.h"
#include "frontend/config_console.h"
#include "frontend/config_text.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

int config_virtio_mode(struct virtio_specs *virtio, const char *value, struct error *error)
{
    static const char *const names[] = { "transitional", "modern", "legacy" };
    int n = nearest_which("-virtio", value, names, COUNT(names), error);

    if (n < 0)
        return -1;
    virtio->mode = (enum virtio_pci_mode)n;
    return 0;
}

/* --- Shared folders --------------------------------------------------------- */

static int new_share(struct virtio_specs *virtio, const char *option, const char *value,
                     struct share_spec **share, struct error *error)
{
    if (virtio->shares == PC_SHARE_COUNT)
        return error_set(error, EX_USAGE, "%s %s: one too many, there can be %d", option, value,
                         PC_SHARE_COUNT);
    if (strlen(value) >= SHARE_TEXT_MAX)
        return error_set(error, EX_USAGE, "%s: too long", option);
    *share = &virtio->share[virtio->shares++];
    **share = (struct share_spec){ .share = { 0 } };
    strcpy((*share)->text, value);
    return 0;
}

static int check_tag(const char *option, const char *value, const char *tag, struct error *error)
{
    if (!tag || (*tag && strlen(tag) <= 31))
        return 0;
    return error_set(error, EX_USAGE, "%s %s: a tag has 1 to 31 characters", option, value);
}

int config_virtio_share(struct virtio_specs *virtio, const char *value, struct error *error)
{
    struct share_spec *share;
    char *at, *part;

    if (new_share(virtio, "-share", value, &share, error))
        return -1;
    at = share->text;
    share->share.path = config_text_next(&at);
    while ((part = config_text_next(&at))) {
        if (config_text_value(part, "tag"))
            share->share.tag = config_text_value(part, "tag");
        else if (!config_text_flag(part, "readonly", &share->share.readonly))
            return error_set(error, EX_USAGE,
                             "-share %s: '%s' is wrong; write tag=NAME or readonly", value, part);
    }
    if (!*share->share.path)
        return error_set(error, EX_USAGE, "-share %s: name a folder of this host", value);
    return check_tag("-share", value, share->share.tag, error);
}

static int virtfs_property(struct share_spec *share, const char *text, const char *value,
                           struct error *error)
{
    static const char *const ignored[] = { "id", "security_model", "multidevs", "fmode", "dmode" };

    if (config_text_value(text, "path")) {
        share->share.path = config_text_value(text, "path");
        return 0;
    }
    if (config_text_value(text, "mount_tag")) {
        share->share.tag = config_text_value(text, "mount_tag");
        return 0;
    }
    if (config_text_flag(text, "readonly", &share->share.readonly))
        return 0;
    for (size_t i = 0; i < COUNT(ignored); i++)
        if (config_text_value(text, ignored[i]))
            return 0;
    return error_set(error, EX_USAGE,
                     "-virtfs %s: '%s' is not known; write -share PATH[,tag=NAME][,readonly]",
                     value, text);
}

int config_virtio_virtfs(struct virtio_specs *virtio, const char *value, struct error *error)
{
    struct share_spec *share;
    char *at, *part;

    if (new_share(virtio, "-virtfs", value, &share, error))
        return -1;
    at = share->text;
    part = config_text_next(&at);
    if (strcmp(part, "local"))
        return error_set(error, EX_USAGE, "-virtfs %s: only 'local' folders can be shared", value);
    while ((part = config_text_next(&at)))
        if (virtfs_property(share, part, value, error))
            return -1;
    if (!share->share.path || !share->share.tag)
        return error_set(error, EX_USAGE, "-virtfs %s: path= and mount_tag= are needed", value);
    return check_tag("-virtfs", value, share->share.tag, error);
}

static const char *tag_of(const struct share_spec *share)
{
    return share->share.tag ? share->share.tag : "share";
}

int config_virtio_check(const struct virtio_specs *virtio, struct error *error)
{
    for (unsigned i = 0; i < virtio->shares; i++)
        for (unsigned k = 0; k < i; k++)
            if (!strcmp(tag_of(&virtio->share[i]), tag_of(&virtio->share[k])))
                return error_set(error, EX_USAGE,
                                 "-share: two folders have the tag '%s'; give one tag=NAME",
                                 tag_of(&virtio->share[i]));
    return 0;
}

/* --- -device ---------------------------------------------------------------- */

static bool is_device(const char *value, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(value, name, len))
        return false;
    value += len;
    value += strncmp(value, "-pci", 4) ? 0 : 4;
    return !*value || *value == ',';
}

/* In MiB where no unit follows, as -m. */
static bool size_of(const char *text, uint64_t *size)
{
    static const char units[] = "kKmMgG";
    char *end;
    const char *unit;

    if (*text < '0' || *text > '9')
        return false;
    *size = strtoull(text, &end, 10);
    if (*size > UINT32_MAX)
        return false;
    unit = *end ? strchr(units, *end) : units + 2;
    *size <<= unit ? 10 + (unit - units) / 2 * 10 : 0;
    return unit && *size && (!*end || !end[1]);
}

static int balloon_properties(struct virtio_specs *virtio, const char *value, struct error *error)
{
    char text[256], *at = text, *part;

    virtio->balloon = true;
    snprintf(text, sizeof(text), "%s", value);
    config_text_next(&at);
    while ((part = config_text_next(&at))) {
        const char *size = config_text_value(part, "target");

        if (size ? !size_of(size, &virtio->balloon_target)
                 : !config_text_flag(part, "free-page-reporting", &virtio->balloon_reports))
            return error_set(error, EX_USAGE,
                             "-device %s: '%s' is wrong; write free-page-reporting=on or "
                             "target=256M", value, part);
    }
    return 1;
}

static int console_properties(struct virtio_specs *virtio, const char *value, struct error *error)
{
    char text[256], *at = text, *part;
    const char *id = NULL;

    snprintf(text, sizeof(text), "%s", value);
    config_text_next(&at);
    while ((part = config_text_next(&at)))
        id = config_text_value(part, "chardev") ? config_text_value(part, "chardev") : id;
    if (config_console_only(&virtio->console, "virtio console", "-device", value, error))
        return -1;
    if (!id)
        return error_set(error, EX_USAGE,
                         "-device %s: chardev=ID is needed; or write -virtcon stdio instead",
                         value);
    return config_chardev_name(&virtio->console, id, "-device", value, error) ? -1 : 1;
}

int config_virtio_device(struct virtio_specs *virtio, const char *value, struct error *error)
{
    if (is_device(value, "virtio-rng")) {
        virtio->rng = true;
        return strchr(value, ',') ? error_set(error, EX_USAGE,
                                              "-device %s: it has no properties here", value)
                                  : 1;
    }
    if (is_device(value, "virtio-balloon"))
        return balloon_properties(virtio, value, error);
    if (is_device(value, "virtio-serial"))
        return 1; /* the console brings its own */
    return is_device(value, "virtconsole") ? console_properties(virtio, value, error) : 0;
}
