/* What apm_rom.S and pc_firmware.c agree on. */
#ifndef FRONTEND_APM_ROM_H
#define FRONTEND_APM_ROM_H

#define APM_ROM_SIZE 512
#define APM_ROM_CONTROL 0x604      /* ACPI's PM1a control block */
#define APM_ROM_SOFT_OFF 0x2000    /* SLP_EN, and S5's SLP_TYP */

#endif
