/*
 * What the board tells firmware, and what firmware would have left in memory for a kernel that is
 * loaded without one.
 */
#ifndef FRONTEND_PC_FIRMWARE_H
#define FRONTEND_PC_FIRMWARE_H

#include <stdint.h>

struct fw_cfg;
struct pc_config;

/* Floppy, coprocessor, mouse, 80 columns in colour, how many serial ports: as INT 11h says it. */
uint16_t pc_firmware_equipment(const struct pc_config *config);

/* The items and files of fw_cfg. 0 or -errno. */
int pc_firmware_fill_files(const struct pc_config *config, struct fw_cfg *fw);

/* Without firmware: the BIOS data area and the tables, in RAM. */
void pc_firmware_write_legacy(const struct pc_config *config);

#endif
