/* Reading firmware. Where Debian's package `seabios` has it; other names are the user's. */
#include "frontend/firmware.h"

#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"

#define DIRECTORY "/usr/share/seabios/"
#define BIOS      DIRECTORY "bios-256k.bin"
#define VGA_BIOS  DIRECTORY "vgabios-stdvga.bin"

enum { BIOS_UNIT = 64 << 10, BIOS_MAX = 16 << 20, OPTION_UNIT = 512, OPTION_MAX = 64 << 10 };

static int check_there(const char *path, struct error *error)
{
    if (!access(path, R_OK))
        return 0;
    return error_set(error, EX_UNAVAILABLE,
                     "firmware '%s': not there; apt-get install seabios, or name one by -bios",
                     path);
}

/* What is wrong with its contents is said here: there is no other memory to give it. */
static int read_bios(struct firmware *firmware, const char *path, struct error *error)
{
    struct error found = { 0 };

    if (!path && check_there(BIOS, error))
        return -1;
    path = path ? path : BIOS;
    if (!image_read(&firmware->bios, path, "firmware", BIOS_MAX, &found) &&
        firmware->bios.size % BIOS_UNIT == 0)
        return 0;
    if (found.status && found.status != EX_DATAERR)
        return error_set(error, found.status, "%s", found.text);
    return error_set(error, EX_DATAERR,
                     "firmware '%s': of the wrong size; a BIOS image is 64 KiB or a multiple of "
                     "that, up to 16 MiB",
                     path);
}

static int read_vga(struct firmware *firmware, struct error *error)
{
    const uint8_t *rom;

    if (check_there(VGA_BIOS, error) ||
        image_read(&firmware->vga, VGA_BIOS, "VGA BIOS", OPTION_MAX, error))
        return -1;
    rom = firmware->vga.bytes;
    if (firmware->vga.size < OPTION_UNIT || rom[0] != 0x55 || rom[1] != 0xaa ||
        rom[2] * (size_t)OPTION_UNIT > firmware->vga.size)
        return error_set(error, EX_DATAERR, "VGA BIOS '%s': not an option ROM; install it anew",
                         VGA_BIOS);
    return 0;
}

int firmware_read(struct firmware *firmware, const char *path, struct error *error)
{
    memset(firmware, 0, sizeof(*firmware));
    return read_bios(firmware, path, error) || read_vga(firmware, error) ? -1 : 0;
}

void firmware_free(struct firmware *firmware)
{
    image_free(&firmware->bios);
    image_free(&firmware->vga);
}
