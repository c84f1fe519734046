/* See config_fw_cfg.h. Option ROMs are files below genroms/: SeaBIOS looks for them there. */
#include "frontend/config_fw_cfg.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "devices/fw_cfg.h"
#include "frontend/config_text.h"
#include "frontend/error.h"
#include "frontend/image.h"
#include "frontend/pc.h"

#define ROMS "genroms/"

enum { FILE_SIZE_MAX = 64 << 20, ROM_UNIT = 512, ROM_SIZE_MAX = 128 << 10 };

static struct fw_file_spec *next(struct fw_file_specs *specs, const char *option,
                                 const char *value, struct error *error)
{
    struct fw_file_spec *file = &specs->file[specs->count];

    if (specs->count == FW_FILES_MAX || strlen(value) >= sizeof(file->text)) {
        error_set(error, EX_USAGE, "%s: one too many, or too long", option);
        return NULL;
    }
    *file = (struct fw_file_spec){ .option = option };
    strcpy(file->text, value);
    return file;
}

static int take_property(struct fw_file_spec *file, const char *part, const char *value,
                         struct error *error)
{
    if (config_text_value(part, "name"))
        file->name = config_text_value(part, "name");
    else if (config_text_value(part, "file"))
        file->path = config_text_value(part, "file");
    else if (config_text_value(part, "string"))
        file->string = config_text_value(part, "string");
    else if (!strchr(part, '=') && !file->name)
        file->name = part;
    else
        return error_set(error, EX_USAGE, "-fw_cfg %s: '%s' is not known; write name=opt/NAME and "
                         "file=PATH or string=TEXT", value, part);
    return 0;
}

int config_fw_cfg_take(struct fw_file_specs *specs, const char *value, struct error *error)
{
    struct fw_file_spec *file = next(specs, "-fw_cfg", value, error);
    char *rest = file ? file->text : NULL, *part;

    if (!file)
        return -1;
    while ((part = config_text_next(&rest)))
        if (take_property(file, part, value, error))
            return -1;
    if (!file->name || !*file->name || strlen(file->name) >= FW_CFG_NAME_MAX)
        return error_set(error, EX_USAGE, "-fw_cfg %s: name= is needed, of 1 to %d characters",
                         value, FW_CFG_NAME_MAX - 1);
    if (!file->path == !file->string || (file->path && !*file->path))
        return error_set(error, EX_USAGE, "-fw_cfg %s: write file=PATH or string=TEXT", value);
    if (strncmp(file->name, "opt/", 4))
        fprintf(stderr, "novt: note: -fw_cfg %s: names of users begin with opt/; others are the "
                        "firmware's\n", file->name);
    specs->count++;
    return 0;
}

int config_fw_cfg_take_rom(struct fw_file_specs *specs, const char *value, struct error *error)
{
    struct fw_file_spec *file = next(specs, "-option-rom", value, error);
    const char *slash, *base;
    char *rest;

    if (!file)
        return -1;
    rest = file->text;
    file->path = config_text_next(&rest);
    file->path = config_text_value(file->path, "romfile") ? file->path + 8 : file->path;
    slash = strrchr(file->path, '/');
    base = slash ? slash + 1 : file->path;
    if (!*base || strlen(ROMS) + strlen(base) >= FW_CFG_NAME_MAX)
        return error_set(error, EX_USAGE, "-option-rom %s: the name of a file is needed, of 1 to "
                         "%zu characters", value, FW_CFG_NAME_MAX - 1 - strlen(ROMS));
    file->name = base;
    specs->count++;
    return 0;
}

static bool is_rom(const struct fw_file_spec *file)
{
    return !strcmp(file->option, "-option-rom");
}

bool config_fw_cfg_has_rom(const struct fw_file_specs *specs)
{
    for (unsigned i = 0; i < specs->count; i++)
        if (is_rom(&specs->file[i]))
            return true;
    return false;
}

/* As the BIOS looks at it: 55h AAh, and how many units of 512 bytes. */
static bool is_good_rom(const struct image *image)
{
    const uint8_t *rom = image->bytes;

    return image->size >= ROM_UNIT && image->size <= ROM_SIZE_MAX && rom[0] == 0x55 &&
           rom[1] == 0xaa && rom[2] && (size_t)rom[2] * ROM_UNIT <= image->size;
}

static int fill(const struct fw_file_spec *file, struct pc *pc, struct error *error)
{
    char name[sizeof(ROMS) + FW_CFG_NAME_MAX];
    struct image image = { (uint8_t *)file->string, file->string ? strlen(file->string) : 0 };
    int err;

    snprintf(name, sizeof(name), "%s%s", is_rom(file) ? ROMS : "", file->name);
    if (file->path && image_read(&image, file->path, file->option + 1, FILE_SIZE_MAX, error))
        return -1;
    if (is_rom(file) && !is_good_rom(&image)) {
        image_free(&image);
        return error_set(error, EX_DATAERR, "-option-rom %s: not an option ROM, which begins with "
                         "55h, AAh and its size in units of 512 bytes", file->path);
    }
    err = pc_set_firmware_file(pc, name, image.bytes, image.size);
    if (file->path)
        image_free(&image);
    return err ? error_set(error, EX_OSERR, "%s %s: no host memory; free some", file->option,
                           file->name) : 0;
}

int config_fw_cfg_fill(const struct fw_file_specs *specs, struct pc *pc, struct error *error)
{
    for (unsigned i = 0; i < specs->count; i++)
        if (fill(&specs->file[i], pc, error))
            return -1;
    return 0;
}
