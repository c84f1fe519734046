/*
 * Formats of floppies: known by the image's size. Any other size is taken for 2.88 MB, as QEMU
 * takes it: boot programs that were tried there read up to 36 sectors at once of an image that
 * is only as long as they are. Beyond the image's end are zeros.
 */
#include "devices/fdc_state.h"

static const struct fdc_format formats[] = {
    { 320, 40, 1, 8, FDC_RATE_250, FDC_DRIVE_360K },
    { 360, 40, 1, 9, FDC_RATE_250, FDC_DRIVE_360K },
    { 640, 40, 2, 8, FDC_RATE_250, FDC_DRIVE_360K },
    { 720, 40, 2, 9, FDC_RATE_250, FDC_DRIVE_360K },
    { 1440, 80, 2, 9, FDC_RATE_250, FDC_DRIVE_720K },
    { 2400, 80, 2, 15, FDC_RATE_500, FDC_DRIVE_1200K },
    { 2880, 80, 2, 18, FDC_RATE_500, FDC_DRIVE_1440K },
    { 3360, 80, 2, 21, FDC_RATE_500, FDC_DRIVE_1440K },
    { 3444, 82, 2, 21, FDC_RATE_500, FDC_DRIVE_1440K },
    { 5760, 80, 2, 36, FDC_RATE_1000, FDC_DRIVE_2880K },
};

enum { COUNT = sizeof(formats) / sizeof(*formats) };

const struct fdc_format *fdc_format_of(const struct blockdev *medium)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (medium->size == (uint64_t)formats[i].sectors * BLOCK_SECTOR)
            return &formats[i];
    return &formats[COUNT - 1];
}

enum fdc_drive fdc_drive_kind(const struct blockdev *medium)
{
    return medium->present ? (enum fdc_drive)fdc_format_of(medium)->drive : FDC_DRIVE_1440K;
}
