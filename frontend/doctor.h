/* novt doctor: what this host offers, and what novt will use. */
#ifndef FRONTEND_DOCTOR_H
#define FRONTEND_DOCTOR_H

#include <stdbool.h>

/* Prints it; 0 when novt can run here, else a status of sysexits.h. quick: no guest is tried. */
int doctor_run(bool quick);

#endif
