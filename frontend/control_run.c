/* Commands: the run itself, screen and input, media, memory. See control.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/spent.h"
#include "cpu/engine.h"
#include "cpu/vcpu.h"
#include "devices/display.h"
#include "devices/virtio_balloon.h"
#include "frontend/control_command.h"
#include "frontend/debugger.h"
#include "frontend/drives.h"
#include "frontend/input.h"
#include "frontend/machine.h"
#include "frontend/pause.h"
#include "frontend/screen.h"

/* --- The run -------------------------------------------------------------------------------- */

int control_status(struct control_call *call)
{
    struct machine *m = call->machine;

    json_object_set_new(call->result, "state", json_string(m->paused ? "paused" : "running"));
    json_object_set_new(call->result, "uptime_s",
                        json_real((double)clock_now_ns(&m->clock) / NS_PER_SEC));
    json_object_set_new(call->result, "engine", json_string(m->engine->name));
    json_object_set_new(call->result, "memory_mib", json_integer((json_int_t)(m->mem.size >> 20)));
    json_object_set_new(call->result, "resets", json_integer((json_int_t)m->stats.resets));
    json_object_set_new(call->result, "sleeps", json_boolean(m->vcpu->halted));
    json_object_set_new(call->result, "held_up", json_boolean(m->held_up));
    return 0;
}

int control_pause(struct control_call *call)
{
    pause_begin(call->machine);
    return 0;
}

int control_continue(struct control_call *call)
{
    if (debugger_holds(call->machine->debugger))
        return error_set(&call->error, EX_UNAVAILABLE,
                         "continue: the debugger has stopped the guest; go on there");
    pause_end(call->machine);
    return 0;
}

int control_reset(struct control_call *call)
{
    vm_stop(&call->machine->stop, VM_RESET, 0, "reset by the user");
    return 0;
}

int control_quit(struct control_call *call)
{
    vm_stop(&call->machine->stop, VM_QUIT, 0, "the monitor was told to quit");
    return 0;
}

int control_powerdown(struct control_call *call)
{
    pc_power_button(call->machine->pc);
    return 0;
}

int control_sleepbutton(struct control_call *call)
{
    pc_sleep_button(call->machine->pc);
    return 0;
}

int control_stats(struct control_call *call)
{
    struct machine *m = call->machine;
    bool accounted = m->vcpu->spent == &m->spent;
    struct stats_source source = { &m->stats, m->vcpu, m->engine, "", 0, m };
    json_t *all;

    if (accounted)
        spent_back(&m->spent, SPENT_SERVICE); /* brings it up to now */
    all = stats_now(&source, accounted);
    json_object_update(call->result, all);
    json_decref(all);
    return 0;
}

/* --- Files ---------------------------------------------------------------------------------- */

/* A slip of the hand must not empty the guest's disk. */
static bool is_medium(const struct machine *m, const struct stat *st)
{
    struct drive_view view;
    struct stat other;

    for (unsigned i = 0; drives_view(m->drives, i, &view); i++)
        if (view.file && !stat(view.file, &other) && other.st_dev == st->st_dev &&
            other.st_ino == st->st_ino)
            return true;
    return false;
}

/* A plain file, made or emptied; -1 with the call's error. */
static int create_file(struct control_call *call, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    struct stat st;

    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && !is_medium(call->machine, &st) &&
        !ftruncate(fd, 0))
        return fd;
    error_set(&call->error, EX_CANTCREAT, "cannot write '%s': %s; name a plain file", path,
              fd < 0 ? strerror(errno) : "it is something else");
    if (fd >= 0)
        close(fd);
    return -1;
}

static int cannot_write(struct control_call *call, const char *path, int err)
{
    return error_set(&call->error, EX_IOERR, "cannot write '%s': %s", path, strerror(-err));
}

int control_screenshot(struct control_call *call)
{
    const char *path = control_string(call, "file");
    FILE *file;
    int fd, err;

    if (!call->machine->screen)
        return error_set(&call->error, EX_UNAVAILABLE, "there is no screen: run with -vga std");
    fd = create_file(call, path);
    if (fd < 0)
        return -1;
    file = fdopen(fd, "wb");
    if (!file) {
        close(fd);
        return cannot_write(call, path, -ENOMEM);
    }
    err = screen_shoot(call->machine->screen, file);
    if (fclose(file) && !err)
        err = -errno;
    return err ? cannot_write(call, path, err) : 0;
}

/* --- Memory in a file ----------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *bytes, uint64_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        size -= (uint64_t)n;
    }
    return 0;
}

static bool is_zero(const uint8_t *bytes, uint64_t size)
{
    return !*bytes && !memcmp(bytes, bytes + 1, size - 1);
}

/* Pages of zeros, and what cannot be looked at, become holes. */
static int write_memory(int fd, const struct physmem *mem, uint64_t gpa, uint64_t size)
{
    uint64_t end = gpa + size, at = gpa;
    int err = ftruncate(fd, (off_t)size) ? -errno : 0;

    while (!err && at < end) {
        uint64_t n = PAGE_SIZE - (at & PAGE_MASK);
        uint8_t page[PAGE_SIZE];

        if (n > end - at)
            n = end - at;
        if (!physmem_peek(mem, at, page, n) || is_zero(page, n))
            err = lseek(fd, (off_t)n, SEEK_CUR) < 0 ? -errno : 0;
        else
            err = write_all(fd, page, n);
        at += n;
    }
    return err;
}

enum { HEX_MAX = 65536, HEX_ROW = 16 };

static int print_memory(struct control_call *call, uint64_t gpa, uint64_t size)
{
    const struct physmem *mem = &call->machine->mem;
    json_t *rows = json_object();

    if (size > HEX_MAX)
        return error_set(&call->error, EX_USAGE, "dump: that is much to look at; name a file");
    for (uint64_t at = gpa; at < gpa + size; at += HEX_ROW) {
        char text[HEX_ROW * 3 + 1] = "", name[20];
        uint8_t byte;

        for (uint64_t i = at; i < at + HEX_ROW && i < gpa + size; i++) {
            size_t used = strlen(text);

            if (physmem_peek(mem, i, &byte, 1))
                snprintf(text + used, sizeof(text) - used, "%s%02x", i > at ? " " : "", byte);
            else
                snprintf(text + used, sizeof(text) - used, "%s??", i > at ? " " : "");
        }
        snprintf(name, sizeof(name), "%08llx", (unsigned long long)at);
        json_object_set_new(rows, name, json_string(text));
    }
    json_object_update(call->result, rows);
    json_decref(rows);
    return 0;
}

int control_dump(struct control_call *call)
{
    const struct physmem *mem = &call->machine->mem;
    int64_t at = control_number(call, "address", 0);
    int64_t size = control_number(call, "size", (int64_t)mem->size);
    const char *path = control_string(call, "file");
    int fd, err;

    if (strcmp(control_string(call, "what"), "memory"))
        return error_set(&call->error, EX_USAGE, "dump: it is 'memory' that can be dumped");
    if (control_has(call, "address") != control_has(call, "size"))
        return error_set(&call->error, EX_USAGE, "dump: address and size go together");
    if (at < 0 || size <= 0 || (uint64_t)at >= PHYSMEM_LIMIT ||
        (uint64_t)size > PHYSMEM_LIMIT - (uint64_t)at)
        return error_set(&call->error, EX_USAGE, "dump: physical addresses are 0 to 0xffffffff");
    if (!path)
        return print_memory(call, (uint64_t)at, (uint64_t)size);
    fd = create_file(call, path);
    if (fd < 0)
        return -1;
    err = write_memory(fd, mem, (uint64_t)at, (uint64_t)size);
    if (close(fd) && !err)
        err = -errno;
    return err ? cannot_write(call, path, err) : 0;
}

/* --- Input ---------------------------------------------------------------------------------- */

int control_sendkey(struct control_call *call)
{
    const char *bad = input_send_keys(call->control->keyboard, control_string(call, "keys"));

    return bad ? error_set(&call->error, EX_USAGE, "sendkey: '%.60s' does not begin with a key's "
                                                   "name; as in ctrl-alt-delete, ret, a, f1", bad)
               : 0;
}

int control_type(struct control_call *call)
{
    const char *text = control_string(call, "text");

    display_type(call->control->keyboard, text, strlen(text));
    return 0;
}

static int clamp(int64_t value)
{
    return value < -32768 ? -32768 : value > 32767 ? 32767 : (int)value;
}

int control_mouse(struct control_call *call)
{
    struct control *control = call->control;

    control->buttons = (unsigned)control_number(call, "buttons", control->buttons) & 31;
    display_pointer(control->keyboard, clamp(control_number(call, "dx", 0)),
                    clamp(control_number(call, "dy", 0)), clamp(control_number(call, "dz", 0)),
                    control->buttons);
    return 0;
}

/* --- Media, memory -------------------------------------------------------------------------- */

int control_eject(struct control_call *call)
{
    return drives_eject(call->machine->drives, control_string(call, "drive"),
                        control_has(call, "force"), &call->error);
}

int control_change(struct control_call *call)
{
    return drives_change(call->machine->drives, control_string(call, "drive"),
                         control_string(call, "file"), -1, control_has(call, "force"),
                         &call->error);
}

int control_balloon(struct control_call *call)
{
    struct machine *m = call->machine;
    struct virtio_balloon *balloon = pc_balloon(m->pc);
    int64_t mib = control_number(call, "size", 0);
    uint64_t memory;

    if (control_has(call, "size") && (mib <= 0 || mib > 4096))
        return error_set(&call->error, EX_USAGE, "balloon: how much it is to keep, in MiB");
    if (mib && !balloon)
        return error_set(&call->error, EX_UNAVAILABLE,
                         "there is no balloon: run with -device virtio-balloon");
    if (mib)
        virtio_balloon_set_target(balloon, (uint64_t)mib << 20);
    memory = balloon ? virtio_balloon_memory(balloon) : m->mem.size;
    json_object_set_new(call->result, "memory_mib", json_integer((json_int_t)(memory >> 20)));
    return 0;
}
