/* How a guest starts and ends. */
#ifndef GUESTS_LIB_BOOT_H
#define GUESTS_LIB_BOOT_H

#include "guests/lib/x86.h"

/* The guest's own function; what it returns is its status (boot_exit). */
unsigned guest_main(void);

/* The command line, without the file's name; "" if there is none. */
const char *boot_command_line(void);

/* Is this word there? If value is not NULL, "word=NUMBER" is looked for as well. */
bool boot_option(const char *word, uint32_t *value);

/* KiB above 1 MiB, as the loader said; 0 if it did not. */
uint32_t boot_memory(void);

/*
 * Ends the machine: by isa-debug-exit at port 0xf4, which makes the monitor's exit status
 * (status << 1) | 1; without that device by ACPI's S5, if status is 0.
 */
__attribute__((noreturn)) void boot_exit(unsigned status);

/* Only by ACPI; comes back if there are no tables. */
void boot_poweroff(void);

/* The I/O port of ACPI's PM timer, 0 if there is none. */
uint16_t boot_pm_timer(void);

#endif
