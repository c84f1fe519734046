/* -fw_cfg and -option-rom: files for the guest's firmware, and for whoever else reads fw_cfg. */
#ifndef FRONTEND_CONFIG_FW_CFG_H
#define FRONTEND_CONFIG_FW_CFG_H

#include <stdbool.h>

struct error;
struct pc;

enum { FW_FILES_MAX = 16, FW_FILE_TEXT = 512 };

struct fw_file_spec {
    const char *option; /* for messages */
    const char *name;
    const char *path, *string; /* one of them; the string without its final 0 */
    char text[FW_FILE_TEXT];   /* has the others */
};

struct fw_file_specs {
    struct fw_file_spec file[FW_FILES_MAX];
    unsigned count;
};

/* Both: 0, or -1 with *error. */
int config_fw_cfg_take(struct fw_file_specs *specs, const char *value, struct error *error);
int config_fw_cfg_take_rom(struct fw_file_specs *specs, const char *value, struct error *error);

/* Whether one of them is an option ROM. */
bool config_fw_cfg_has_rom(const struct fw_file_specs *specs);

/* Reads the files and gives them to the board. 0, or -1 with *error. */
int config_fw_cfg_fill(const struct fw_file_specs *specs, struct pc *pc, struct error *error);

#endif
