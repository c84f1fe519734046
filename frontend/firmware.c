/* Reading firmware. Where Debian's package `seabios` has it; other names are the user's. */
#include "frontend/firmware.h"

#include <sysexits.h>
#include <unistd.h>

#include "frontend/error.h"
#include "frontend/image.h"

#define SEABIOS "/usr/share/seabios/bios-256k.bin"

enum { UNIT = 64 << 10, SIZE_MAX_BYTES = 16 << 20 };

const char *firmware_name(void)
{
    return SEABIOS;
}

bool firmware_is_installed(void)
{
    return !access(SEABIOS, R_OK);
}

/* What is wrong with its contents is said here: there is no other memory to give it. */
int firmware_read(struct image *bios, const char *path, struct error *error)
{
    struct error found = { 0 };

    if (!path && !firmware_is_installed())
        return error_set(error, EX_UNAVAILABLE,
                         "firmware '%s': not there; apt-get install seabios, or name one by -bios",
                         SEABIOS);
    path = path ? path : SEABIOS;
    if (!image_read(bios, path, "firmware", SIZE_MAX_BYTES, &found) && bios->size % UNIT == 0)
        return 0;
    if (found.status && found.status != EX_DATAERR)
        return error_set(error, found.status, "%s", found.text);
    return error_set(error, EX_DATAERR,
                     "firmware '%s': of the wrong size; a BIOS image is 64 KiB or a multiple of "
                     "that, up to 16 MiB",
                     path);
}
