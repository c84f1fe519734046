/* -device isa-debug-exit, isa-debugcon, isa-serial, pc-testdev: what has its place on ISA. */
#ifndef FRONTEND_CONFIG_ISA_H
#define FRONTEND_CONFIG_ISA_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct error;

struct isa_specs {
    bool debug_exit;
    uint16_t debug_exit_base, debug_exit_size;
    bool testdev;
    uint16_t debugcon_base; /* 0: where it usually is */
};

/* 1 when the value names one of these devices, 0 when not, -1 with *error. */
int config_isa_device(struct config *config, const char *value, struct error *error);

#endif
