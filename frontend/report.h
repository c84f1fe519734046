/* Why a run ended: the exit status, and what to tell the user. */
#ifndef FRONTEND_REPORT_H
#define FRONTEND_REPORT_H

#include <stdio.h>

#include "base/kill.h"

struct names;
struct vcpu;

/* Exit statuses of our own, beside those of sysexits.h. */
enum {
    STATUS_EXPECT_UNMET = 76, /* EX_PROTOCOL */
    STATUS_TRIPLE_FAULT = 80,
    STATUS_PANIC = 81,
    STATUS_HALTED = 82,
    STATUS_REBOOT = 83,
    STATUS_TIMEOUT = 124,
    STATUS_SIGNAL = 128,
    STATUS_QUIT = 130,
};

/* unmet: -expect was given and has not been met. */
int report_status(const struct vm_stop *stop, bool unmet);

/* In a few words, for -stats: "power off". */
const char *report_end_name(enum vm_end end);

/* Tells what the user does not know yet; a good end is silent. names: for addresses, or NULL. */
void report_end(FILE *out, const struct vm_stop *stop, struct vcpu *vcpu, struct names *names,
                bool unmet);

#endif
