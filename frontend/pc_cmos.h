/* What firmware finds in CMOS RAM: memory sizes, drives, the order of booting. */
#ifndef FRONTEND_PC_CMOS_H
#define FRONTEND_PC_CMOS_H

#include <stdint.h>

struct mc146818;
struct pc_config;

/* At power-on. equipment: the byte at 14h, as IBM's BIOS has it. */
void pc_cmos_fill(struct mc146818 *rtc, const struct pc_config *config, uint8_t equipment);

#endif
