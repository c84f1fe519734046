/* The options: options.def is the table, the take_ functions check the values. */
#include "frontend/config_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/count.h"
#include "base/physmem.h"
#include "frontend/config.h"
#include "frontend/config_console.h"
#include "frontend/config_qemu.h"
#include "frontend/error.h"
#include "frontend/nearest.h"

/* --- Numbers ---------------------------------------------------------------- */

/* A decimal number at text, up to limit; its end in *end. False: there is none, or it is larger. */
static bool decimal(const char *text, uint64_t limit, uint64_t *value, const char **end)
{
    const char *at = text;

    for (*value = 0; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');

        if (*value > (limit - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    *end = at;
    return at > text;
}

/* Behind a comma are slots for more memory, which is never plugged in. */
static int shift_of(const char *suffix)
{
    if (!*suffix || *suffix == ',')
        return 20;
    if (suffix[1] && suffix[1] != ',')
        return -1;
    switch (*suffix) {
    case 'k': case 'K': return 10;
    case 'm': case 'M': return 20;
    case 'g': case 'G': return 30;
    default: return -1;
    }
}

static int take_memory(struct config *config, const char *value, struct error *error)
{
    const char *end;
    uint64_t number;
    int shift;

    value = strncmp(value, "size=", 5) ? value : value + 5;
    if (!decimal(value, UINT64_MAX >> 30, &number, &end) || (shift = shift_of(end)) < 0)
        return error_set(error, EX_USAGE, "-m %s: not a size; write 512, 512M, 1G or 65536k",
                         value);
    config->memory = number << shift & ~PAGE_MASK;
    if (config->memory < PC_RAM_MIN)
        return error_set(error, EX_USAGE, "-m %s: too small, a guest needs %lluM or more", value,
                         PC_RAM_MIN >> 20);
    if (config->memory > PC_RAM_MAX)
        return error_set(error, EX_USAGE, "-m %s: too large, at most %lluM: chips are above, and "
                         "no memory beyond 4 GiB", value, PC_RAM_MAX >> 20);
    return 0;
}

static int take_timeout(struct config *config, const char *value, struct error *error)
{
    const uint64_t most = UINT64_MAX / NS_PER_SEC / 4;
    uint64_t seconds, fraction = 0;
    const char *end;
    bool ok = decimal(value, most, &seconds, &end);

    if (ok && *end == '.') {
        uint64_t unit = NS_PER_SEC / 10;

        for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
            fraction += (uint64_t)(*end - '0') * unit;
    }
    if (!ok || *end || !(seconds + fraction))
        return error_set(error, EX_USAGE,
                         "-timeout %s: not a time; write a number of seconds above 0", value);
    config->timeout_ns = seconds * NS_PER_SEC + fraction;
    return 0;
}

/* --- Words ------------------------------------------------------------------ */

static int note(const char *option, const char *text)
{
    fprintf(stderr, "novt: note: %s: %s\n", option, text);
    return 0;
}

static int take_engine(struct config *config, const char *value, struct error *error)
{
    if (strcmp(value, "help") && strcmp(value, "?"))
        return config_engine_take(&config->engine, value, error);
    config->command = COMMAND_ENGINE_LIST;
    return 0;
}

static int take_audit(struct config *config, const char *value, struct error *error)
{
    (void)error;
    config->audit = value ? AUDIT_ALL : AUDIT_FIRST;
    return 0;
}

static int take_cpu(struct config *config, const char *value, struct error *error)
{
    (void)error;
    if (!strcmp(value, "help") || !strcmp(value, "?"))
        config->command = COMMAND_CPU_LIST;
    config->cpu = value;
    return 0;
}

static int take_smp(struct config *config, const char *value, struct error *error)
{
    (void)config;
    for (const char *part = value;; part++) {
        size_t size = strcspn(part, ",");
        const char *equals = memchr(part, '=', size), *count = equals ? equals + 1 : part;

        if (*count != '1' || count + 1 != part + size)
            return error_set(error, EX_USAGE, "-smp %s: a guest has one CPU here; write -smp 1",
                             value);
        part += size;
        if (!*part)
            return 0;
    }
}

static int take_trace(struct config *config, const char *value, struct error *error)
{
    (void)error;
    config->trace = value;
    return 0;
}

static int take_trace_sensitive(struct config *config, const char *value, struct error *error)
{
    (void)value, (void)error;
    config->trace_sensitive = true;
    return 0;
}

static int take_log(struct config *config, const char *value, struct error *error)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        config->command = COMMAND_LOG_LIST;
        return 0;
    }
    return config_log_take(&config->log, value, error);
}

static const char *const device_names[] = {
    "isa-debug-exit", "isa-debugcon", "isa-serial", "pc-testdev", "pvpanic", "virtio-rng",
    "virtio-balloon", "virtconsole", "virtio-blk-pci", "ide-hd", "ide-cd", "virtio-net-pci",
    "e1000",
};

/* As QEMU prints it: scripts look for names in quotation marks. */
void config_row_list_devices(void)
{
    for (size_t i = 0; i < COUNT(device_names); i++)
        printf("name \"%s\"\n", device_names[i]);
}

static int take_device(struct config *config, const char *value, struct error *error)
{
    int taken;

    if (!strcmp(value, "help") || !strcmp(value, "?")) {
        config->command = COMMAND_DEVICE_LIST;
        return 0;
    }
    taken = config_virtio_device(&config->virtio, value, error);
    taken = taken ? taken : config_pair_device(&config->pairs, value, error);
    taken = taken ? taken : config_isa_device(config, value, error);
    taken = taken ? taken : config_qemu_device(value, error);
    if (taken)
        return taken < 0 ? -1 : 0;
    if (!strcmp(value, "pvpanic"))
        return note("-device pvpanic", "it is always on the board");
    return nearest_unknown("-device", value, strcspn(value, ","), device_names,
                           COUNT(device_names), error);
}

static int take_object(struct config *config, const char *value, struct error *error)
{
    int taken = config_pair_object(&config->pairs, value, error);

    if (taken)
        return taken < 0 ? -1 : 0;
    return note("-object", "random bytes are the host's, memory is one piece");
}

/* --- Consoles --------------------------------------------------------------- */

static int take_serial(struct config *config, const char *value, struct error *error)
{
    if (config->serials == PC_SERIAL_COUNT)
        return error_set(error, EX_USAGE, "-serial %s: one too many, the board has %u serial lines",
                         value, PC_SERIAL_COUNT);
    return config_console_take(&config->serial[config->serials++], "-serial", value, false,
                               error);
}

static int take_debugcon(struct config *config, const char *value, struct error *error)
{
    if (config_console_only(&config->debugcon, "debug console", "-debugcon", value, error))
        return -1;
    return config_console_take(&config->debugcon, "-debugcon", value, true, error);
}

/* --- The plain ones --------------------------------------------------------- */

#define TAKE_STRING(function, field)                                                               \
    static int function(struct config *config, const char *value, struct error *error)             \
    {                                                                                              \
        (void)error;                                                                               \
        config->field = value;                                                                     \
        return 0;                                                                                  \
    }

TAKE_STRING(take_initrd, initrd)
TAKE_STRING(take_append, append)
TAKE_STRING(take_bios, bios)
TAKE_STRING(take_stats_json, stats_json)
TAKE_STRING(take_log_file, log_file)
#undef TAKE_STRING

#define TAKE_FLAG(function, field, to)                                                             \
    static int function(struct config *config, const char *value, struct error *error)             \
    {                                                                                              \
        (void)value;                                                                               \
        (void)error;                                                                               \
        config->field = to;                                                                        \
        return 0;                                                                                  \
    }

TAKE_FLAG(take_no_reboot, no_reboot, true)
TAKE_FLAG(take_snapshot, drives.snapshot, true)
TAKE_FLAG(take_no_floppy_check, boot.no_floppy_check, true)
TAKE_FLAG(take_nographic, nographic, true)
TAKE_FLAG(take_stats, stats, true)
TAKE_FLAG(take_stopped, debug.stopped, true)
TAKE_FLAG(take_help, command, COMMAND_HELP)
TAKE_FLAG(take_version, command, COMMAND_VERSION)
#undef TAKE_FLAG

/* --- Families of options, each in a file of its own -------------------------- */

#define TAKE_PART(function, take, field)                                                           \
    static int function(struct config *config, const char *value, struct error *error)             \
    {                                                                                              \
        return take(&config->field, value, error);                                                 \
    }

TAKE_PART(take_user, config_engine_take_user, user)
TAKE_PART(take_boot, config_boot_take, boot)
TAKE_PART(take_fw_cfg, config_fw_cfg_take, fw_files)
TAKE_PART(take_option_rom, config_fw_cfg_take_rom, fw_files)
TAKE_PART(take_display, config_display_take, display)
TAKE_PART(take_vga, config_display_take_vga, display)
TAKE_PART(take_screenshot, config_display_take_shot, display)
TAKE_PART(take_monitor, config_control_take, control)
TAKE_PART(take_virtio, config_virtio_mode, virtio)
TAKE_PART(take_chardev, config_chardev_take, chardevs)
TAKE_PART(take_mon, config_chardev_mon, chardevs)
TAKE_PART(take_share, config_virtio_share, virtio)
TAKE_PART(take_virtfs, config_virtio_virtfs, virtio)
TAKE_PART(take_drive, config_drive_take, drives)
TAKE_PART(take_nic, config_nic_take, nics)
TAKE_PART(take_netdev, config_pair_netdev, pairs)
TAKE_PART(take_net, config_pair_net, pairs)
TAKE_PART(take_clock, config_clock_take, clock)
TAKE_PART(take_smbios, config_smbios_take, smbios)
TAKE_PART(take_uuid, config_smbios_take_uuid, smbios)
TAKE_PART(take_gdb, config_debug_take, debug)
TAKE_PART(take_profile, config_profile_take, profile)
TAKE_PART(take_profile_hz, config_profile_take_hz, profile)
TAKE_PART(take_symbols, config_profile_take_symbols, profile)
TAKE_PART(take_action, config_qemu_action, no_reboot)
TAKE_PART(take_echr, config_console_escape, escape)
#undef TAKE_PART

static int take_perf(struct config *config, const char *value, struct error *error)
{
    (void)error;
    config->profile.perf = value ? PERF_DUMP : PERF_MAP;
    return 0;
}

static int take_quick(struct config *config, const char *value, struct error *error)
{
    (void)value, (void)error;
    config->command = COMMAND_DOCTOR;
    config->quick = true;
    return 0;
}

int config_row_take_kernel(struct config *config, const char *value, struct error *error)
{
    if (config->kernel)
        return error_set(error, EX_USAGE, "two kernels: '%s' and '%s'; name one", config->kernel,
                         value);
    config->kernel = value;
    return 0;
}

static int take_expect(struct config *config, const char *value, struct error *error)
{
    if (!*value)
        return error_set(error, EX_USAGE, "-expect: the string is empty; say what to wait for");
    config->expect = value;
    return 0;
}

static int take_full_screen(struct config *config, const char *value, struct error *error)
{
    (void)value;
    (void)error;
    config->display.full_screen = true;
    return 0;
}

static int take_virtcon(struct config *config, const char *value, struct error *error)
{
    struct console_spec *console = &config->virtio.console;

    if (config_console_only(console, "virtio console", "-virtcon", value, error))
        return -1;
    return config_console_take(console, "-virtcon", value, false, error);
}

#define TAKE_DRIVE(option)                                                                         \
    static int take_##option(struct config *config, const char *value, struct error *error)        \
    {                                                                                              \
        return config_drive_take_file(&config->drives, #option, value, error);                     \
    }

TAKE_DRIVE(hda)
TAKE_DRIVE(hdb)
TAKE_DRIVE(hdc)
TAKE_DRIVE(hdd)
TAKE_DRIVE(cdrom)
TAKE_DRIVE(fda)
#undef TAKE_DRIVE

static int take_gdb_port(struct config *config, const char *value, struct error *error)
{
    (void)value;
    return config_debug_take(&config->debug, "tcp::1234", error);
}

static int note_kvm(struct config *config, const char *value, struct error *error)
{
    (void)config, (void)value, (void)error;
    return note("-enable-kvm", "novt does without KVM; -engine kvm would use it");
}

static int note_accel(struct config *config, const char *value, struct error *error)
{
    (void)config, (void)value, (void)error;
    return note("-accel", "novt picks the engine by -engine (help lists them)");
}

static int note_machine(struct config *config, const char *value, struct error *error)
{
    (void)config, (void)value, (void)error;
    return note("-machine", "novt has one machine, a PC with an i440FX; options of it are ignored");
}

static int take_vnc(struct config *config, const char *value, struct error *error)
{
    if (!strcmp(value, "none")) /* QEMU's word for no screen at all */
        return config_display_take(&config->display, value, error);
    return config_display_take_vnc(&config->display, value, error);
}

static int take_curses(struct config *config, const char *value, struct error *error)
{
    (void)value;
    return config_display_take(&config->display, "curses", error);
}

/* --- The table -------------------------------------------------------------- */

const struct option_row config_rows[CONFIG_ROWS] = {
#define GROUP(heading) { .help = heading },
#define OPTION(commands, name, value, take, help) { commands, name, value, take, help },
#include "frontend/options.def"
};
