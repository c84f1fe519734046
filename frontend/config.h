/*
 * What the command line asks for, with every value checked that can be checked without the host.
 * Strings are the command line's own.
 */
#ifndef FRONTEND_CONFIG_H
#define FRONTEND_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/engine.h"
#include "frontend/config_boot.h"
#include "frontend/config_chardev.h"
#include "frontend/config_clock.h"
#include "frontend/config_control.h"
#include "frontend/config_debug.h"
#include "frontend/config_display.h"
#include "frontend/config_drive.h"
#include "frontend/config_engine.h"
#include "frontend/config_fw_cfg.h"
#include "frontend/config_isa.h"
#include "frontend/config_log.h"
#include "frontend/config_nic.h"
#include "frontend/config_pair.h"
#include "frontend/config_profile.h"
#include "frontend/config_smbios.h"
#include "frontend/config_virtio.h"
#include "frontend/console.h"
#include "frontend/pc.h"

struct error;

enum command {
    COMMAND_RUN,
    COMMAND_DOCTOR,
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_CPU_LIST,
    COMMAND_LOG_LIST,
    COMMAND_ENGINE_LIST,
    COMMAND_DEVICE_LIST,
};

struct config {
    enum command command;
    bool quick; /* novt doctor: without what takes a second */

    const char *kernel, *initrd, *append; /* append "" when not given; the others NULL */
    bool firmware;    /* it runs, and starts the kernel, if there is one */
    bool enters;      /* ... by handing over to us: the kernel is loaded as without firmware */
    const char *bios; /* NULL: SeaBIOS as installed */
    struct config_boot boot;
    struct fw_file_specs fw_files;
    uint64_t memory; /* bytes */
    const char *cpu;
    const struct engine *engine;
    enum audit_mode audit;
    enum user_tier user;
    struct isa_specs isa;
    bool no_reboot;
    struct config_clock clock;
    struct smbios_specs smbios;

    struct console_spec serial[PC_SERIAL_COUNT], debugcon;
    unsigned serials; /* how many -serial there were */
    bool nographic;
    uint8_t escape; /* -echr; 0: Ctrl-A */
    struct chardev_specs chardevs;
    struct drive_specs drives;
    struct nic_specs nics;
    struct pair_specs pairs;
    struct virtio_specs virtio;
    struct display_spec display;
    struct control_spec control;
    struct debug_spec debug;
    struct profile_spec profile;

    const char *expect;  /* NULL: nothing */
    uint64_t timeout_ns; /* 0: none */

    bool stats;
    bool trace_sensitive;
    const char *stats_json, *trace, *log_file;
    struct log_specs log;
};

/* 0, or -1 with *error. Notes about options that are accepted only for QEMU's sake go to stderr. */
int config_parse(struct config *config, int argc, char **argv, struct error *error);

/* The help, from the table of options. */
void config_help(void);

#endif
