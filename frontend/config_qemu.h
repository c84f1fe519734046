/* Options that courses give to QEMU: ignored with a note, or refused with what to write instead. */
#ifndef FRONTEND_CONFIG_QEMU_H
#define FRONTEND_CONFIG_QEMU_H

#include <stdbool.h>

struct error;

/* argv[0], an option that is not novt's: returns how many words it takes with its value, 0 if it is
 * not QEMU's either, -1 with *error if something else must be written. */
int config_qemu_take(char **argv, int argc, struct error *error);

/* -action EVENT=ACTION[,...]: reboot=shutdown is -no-reboot, in *no_reboot; what else novt does
 * anyway is taken, the rest noted. 0, or -1 with *error. */
int config_qemu_action(bool *no_reboot, const char *value, struct error *error);

/* The same of a -device: 1 if it can be left alone, 0 if it is not known here, -1 with *error. */
int config_qemu_device(const char *value, struct error *error);

#endif
