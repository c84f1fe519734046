/* What the options mean together, and what cannot be together. */
#include "frontend/config_check.h"

#include <stdio.h>
#include <sysexits.h>

#include "frontend/boot.h"
#include "frontend/boot_real.h"
#include "frontend/config.h"
#include "frontend/engines.h"
#include "frontend/error.h"
#include "frontend/firmware.h"

/* A terminal has room for the screen or for the serial line. */
static int settle_display(struct config *config, struct error *error)
{
    struct console_spec *serial = config->serial;
    bool linux_kernel = config->kernel && boot_linux_is_file(config->kernel);

    if (config_display_settle(&config->display, config->firmware, linux_kernel,
                              config->nographic, error))
        return -1;
    if (config->display.kind != DISPLAY_CURSES)
        return 0;
    if (!config->serials && !config->nographic)
        serial[0].kind = CONSOLE_NULL;
    if (serial[0].kind == CONSOLE_STDIO || serial[1].kind == CONSOLE_STDIO)
        return error_set(error, EX_USAGE, "-display curses: the serial line has the terminal; "
                                          "write -serial none, pty or file:PATH as well");
    return 0;
}

/* The modes of vga= are the VGA BIOS's. Without it Linux is as it would be without the word. */
static bool sets_mode(const struct config *config)
{
    if (!boot_real_sets_mode(config->append) ||
        !config_display_is_seen(&config->display, config->nographic))
        return false;
    if (config->engine == &engine_trap) {
        fprintf(stderr, "novt: note: the video mode of vga= is set by firmware, which -engine trap "
                        "cannot run\n");
        return false;
    }
    if (config->bios || firmware_is_installed())
        return true;
    fprintf(stderr, "novt: note: the video mode of vga= is set by firmware, which is not there; "
                    "apt-get install seabios, or name one by -bios\n");
    return false;
}

static bool starts_by_firmware(const struct config *config)
{
    if (!config->kernel)
        return config->bios || config->boot.given || config->drives.count;
    return boot_real_is(config->kernel) || (boot_linux_is_file(config->kernel) &&
                                            (config->bios || sets_mode(config)));
}

/* A kernel starts by itself where it can, everything else by firmware. */
static int check_start(struct config *config, struct error *error)
{
    config->firmware = starts_by_firmware(config);
    config->enters = config->kernel && config->bios && !config->firmware;
    config->firmware |= config->enters;
    if (config->kernel && !config->firmware &&
        (config->boot.given || config_fw_cfg_has_rom(&config->fw_files)))
        fprintf(stderr, "novt: note: -%s: ignored; this kernel starts without firmware\n",
                config->boot.given ? "boot" : "option-rom");
    if (config->kernel || config->firmware)
        return 0;
    return error_set(error, EX_USAGE,
                     "no kernel and no disk: novt run [options] KERNEL, or -hda IMAGE (novt -h)");
}

/* A monitor that shares its -chardev with no console. */
static void take_monitor(struct config *config)
{
    const struct chardev_spec *chardev = config_chardev_monitor(&config->chardevs);

    if (!chardev || chardev->console.kind == CONSOLE_NULL)
        return;
    config->control = (struct control_spec){
        .where = chardev->console.kind == CONSOLE_TCP    ? CONTROL_TCP
                : chardev->console.kind == CONSOLE_UNIX ? CONTROL_UNIX
                                                        : CONTROL_STDIO,
        .path = chardev->console.path,
        .tcp = chardev->console.tcp,
    };
}

/* What was given by the names of -chardev. */
static int join_chardevs(struct config *config, struct error *error)
{
    struct chardev_specs *chardevs = &config->chardevs;

    if (config_chardev_find_monitor(chardevs, error))
        return -1;
    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        if (config_chardev_join(chardevs, &config->serial[i], false, error))
            return -1;
    if (config_chardev_join(chardevs, &config->virtio.console, false, error) ||
        config_chardev_join(chardevs, &config->debugcon, true, error))
        return -1;
    take_monitor(config);
    return 0;
}

/* On the terminal it takes the place of a serial line that nobody asked for. */
static void settle_virtcon(struct config *config)
{
    if (config->virtio.console.kind != CONSOLE_STDIO || config->serials || config->nographic)
        return;
    config->virtio.console.raw = config->serial[0].raw;
    config->serial[0].kind = CONSOLE_NULL;
}

/* So does a monitor on the terminal. */
static int settle_monitor(struct config *config, struct error *error)
{
    struct console_spec *serial = config->serial;

    if (config->control.where != CONTROL_STDIO)
        return 0;
    if (!config->serials && !config->nographic && serial[0].kind == CONSOLE_STDIO)
        serial[0].kind = CONSOLE_NULL;
    if (serial[0].kind == CONSOLE_STDIO || serial[1].kind == CONSOLE_STDIO ||
        config->virtio.console.kind == CONSOLE_STDIO || config->display.kind == DISPLAY_CURSES)
        return error_set(error, EX_USAGE, "-monitor stdio: a console has the terminal already; "
                                          "write -monitor unix:PATH, and use novt ctl");
    return 0;
}

/* Somebody can give commands: -monitor, or Ctrl-A c on a console. */
static bool has_monitor(const struct config *config)
{
    return config->control.where || config->serial[0].monitor || config->serial[1].monitor ||
           config->virtio.console.monitor;
}

int config_check(struct config *config, struct error *error)
{
    const struct console_spec *serial = config->serial;
    const struct engine_options engine = { config->engine, config->user, config->audit,
                                           config->log.topics };

    if (config->command != COMMAND_RUN)
        return 0;
    if (join_chardevs(config, error) || config_virtio_check(&config->virtio, error))
        return -1;
    if (config->virtio.balloon_target > config->memory)
        return error_set(error, EX_USAGE, "-device virtio-balloon: target= is more than the guest "
                                          "has; give it more (-m), or leave target= out");
    if (config->nographic && serial[0].kind == CONSOLE_STDIO)
        config->serial[0].raw = config->serial[0].monitor = true;
    settle_virtcon(config);
    if (settle_monitor(config, error))
        return -1;
    if ((serial[0].kind == CONSOLE_STDIO) + (serial[1].kind == CONSOLE_STDIO) +
            (config->virtio.console.kind == CONSOLE_STDIO) > 1)
        return error_set(error, EX_USAGE, "-serial stdio: only one line can be on the terminal; "
                                          "write -serial none for the other");
    if (config_pair_check(&config->pairs, &config->nics, &config->drives, error) ||
        config_drive_check(&config->drives, error) ||
        config_engine_check(&engine, error) ||
        config_profile_check(&config->profile, config->engine, error))
        return -1;
    if (config->expect && serial[0].kind == CONSOLE_NONE)
        return error_set(error, EX_USAGE,
                         "-expect: there is no serial line to watch; leave out -serial none");
    if (config->trace_sensitive && !config->trace)
        return error_set(error, EX_USAGE, "-trace-sensitive: of which trace? Add -trace FILE");
    if (config_debug_check(&config->debug, has_monitor(config), error))
        return -1;
    return check_start(config, error) || settle_display(config, error) ? -1 : 0;
}
