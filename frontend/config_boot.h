/* -boot: what the firmware starts from. */
#ifndef FRONTEND_CONFIG_BOOT_H
#define FRONTEND_CONFIG_BOOT_H

#include <stdbool.h>

struct error;

enum { BOOT_PLACES = 3 }; /* as CMOS has them */

struct config_boot {
    bool given;
    char order[BOOT_PLACES + 1]; /* letters, of a c d n; "" when not given */
    char once[BOOT_PLACES + 1];  /* likewise, for the first boot alone */
    bool menu;
    bool no_floppy_check; /* -no-fd-bootchk */
};

/* 0, or -1 with *error. */
int config_boot_take(struct config_boot *boot, const char *value, struct error *error);

#endif
