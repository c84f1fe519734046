/* Names of guest code from all who know some; see code_names.h. */
#include "frontend/code_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "frontend/error.h"
#include "frontend/image.h"
#include "frontend/machine.h"
#include "frontend/names.h"
#include "frontend/peek.h"
#include "frontend/programs.h"
#include "frontend/user_images.h"

#define FILE_MAX (1ull << 30)

struct code_names {
    struct machine *machine;
    struct user_images *images;
    struct programs *programs;
};

struct code_names *code_names_create(struct machine *machine)
{
    struct code_names *names = calloc(1, sizeof(*names));

    if (!names)
        return NULL;
    names->machine = machine;
    names->images = user_images_create(machine->vcpu);
    names->programs = programs_create(machine->vcpu);
    if (names->images && names->programs && machine->names)
        return names;
    code_names_free(names);
    return NULL;
}

void code_names_free(struct code_names *names)
{
    if (!names)
        return;
    user_images_free(names->images);
    programs_free(names->programs);
    free(names);
}

static int offer(struct code_names *names, const struct image *file, const char *path,
                 struct error *error)
{
    if (names_offer(names->machine->names, file))
        return 0;
    switch (user_images_offer(names->images, file)) {
    case 0: return 0;
    case -ENOMEM: return error_set(error, EX_OSERR, "-symbols: no host memory; free some");
    default: return error_set(error, EX_DATAERR, "-symbols: '%s' is neither a 32-bit ELF file with"
                              " symbols nor a System.map", path);
    }
}

int code_names_offer(struct code_names *names, const char *path, struct error *error)
{
    struct image file;
    int err;

    if (image_read(&file, path, "symbols", FILE_MAX, error))
        return -1;
    err = image_unzip(&file, path, "symbols", FILE_MAX, error);
    if (!err)
        err = offer(names, &file, path, error);
    image_free(&file);
    return err;
}

bool code_names_known(struct code_names *names)
{
    return names_known(names->machine->names);
}

/* What a guest calls its code can be anything. */
static void clean(char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == ';')
            *text = '_';
}

static struct user_name find(struct code_names *names, uint32_t gla, bool user)
{
    struct user_name name = { .image = "" };

    if (user)
        return user_images_name(names->images, gla);
    name.symbol = names_nearest(names->machine->names, gla, &name.offset);
    if (!name.symbol)
        name.offset = gla;
    return name;
}

void code_names_put(struct code_names *names, uint32_t gla, bool user, bool offset, uint32_t before,
                    char text[CODE_NAME_SIZE])
{
    struct user_name name = find(names, gla, user);
    const char *colon = *name.image ? ":" : "";
    uint8_t byte;

    if (name.symbol && offset)
        snprintf(text, CODE_NAME_SIZE, "%s%s%.200s+0x%llx", name.image, colon, name.symbol,
                 (unsigned long long)name.offset);
    else if (name.symbol)
        snprintf(text, CODE_NAME_SIZE, "%s%s%.200s", name.image, colon, name.symbol);
    else if (!peek_bytes(names->machine->vcpu, gla, &byte, 1)) /* of a process that ends */
        snprintf(text, CODE_NAME_SIZE, "[unmapped]");
    else
        snprintf(text, CODE_NAME_SIZE, "%s%s0x%llx", name.image, colon,
                 (unsigned long long)name.offset - before);
    clean(text);
}

void code_names_program(struct code_names *names, uint32_t esp, char text[CODE_NAME_SIZE])
{
    programs_name(names->programs, esp, text, CODE_NAME_SIZE);
    clean(text);
}
