/* Building a machine and taking it apart; see run.c for running it. */
#include "frontend/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"
#include "cpu/cpuid.h"
#include "cpu/engine.h"
#include "cpu/mem.h"
#include "cpu/transfers.h"
#include "cpu/vcpu.h"
#include "frontend/audit.h"
#include "frontend/boot.h"
#include "frontend/cgroup.h"
#include "frontend/control.h"
#include "frontend/debugger.h"
#include "frontend/drives.h"
#include "frontend/error.h"
#include "frontend/expect.h"
#include "frontend/firmware.h"
#include "frontend/kick.h"
#include "frontend/mux.h"
#include "frontend/names.h"
#include "frontend/nics.h"
#include "frontend/poller.h"
#include "frontend/profiling.h"
#include "frontend/report.h"
#include "frontend/shares.h"
#include "frontend/screen.h"
#include "frontend/terminal.h"
#include "frontend/tracing.h"

#define FLUSH_MS 2000 /* for a run that was told to end; others wait as long as it takes */
#define FLUSH_SLICE_MS 100

uint64_t machine_host_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* --- Time ----------------------------------------------------------------------------- */

/* clock_gettime() reads the TSC in user space: 18 ns, so nothing faster is needed. */
static uint64_t read_clock(void *arg)
{
    const struct machine *m = arg;

    return (m->paused ? m->paused_ns : machine_host_ns()) - m->base_ns;
}

static void timer_nearer(void *arg)
{
    struct machine *m = arg;

    if (m->kick)
        kick_at(m->kick, m->base_ns + clock_next_due_ns(&m->clock));
}

static void timed_out(void *arg)
{
    struct machine *m = arg;

    vm_stop(&m->stop, VM_TIMEOUT, 0, "the guest has not ended within %g s (-timeout)",
            (double)m->config->timeout_ns / NS_PER_SEC);
}

static void create_clock(struct machine *m)
{
    m->base_ns = m->stats.start_ns = machine_host_ns();
    spent_start(&m->spent, SPENT_BOOT);
    m->clock = (struct clock){
        .boot_epoch_s = config_clock_now(&m->config->clock),
        .read_ns = read_clock,
        .host_arg = m,
        .nearer = timer_nearer,
        .nearer_arg = m,
    };
    m->timeout = (struct timer){ .fire = timed_out, .arg = m };
    if (m->config->timeout_ns)
        timer_arm(&m->timeout, &m->clock, m->config->timeout_ns);
}

/* --- Memory and CPU -------------------------------------------------------------------- */

/* Who goes beyond it is killed without a word. */
static void look_at_group(uint64_t size)
{
    const uint64_t own = 128ull << 20; /* the translation cache and tables of a busy guest */
    uint64_t limit = cgroup_limit("memory", "memory.max", "memory.limit_in_bytes");

    if (limit < size + own)
        fprintf(stderr, "novt: note: this control group may use %lluM (memory.max), a guest of "
                "%lluM and novt up to %lluM: the host may kill them; see -m\n",
                (unsigned long long)(limit >> 20), (unsigned long long)(size >> 20),
                (unsigned long long)((size + own) >> 20));
}

static int create_memory(struct machine *m, struct error *error)
{
    uint64_t size = m->config->memory;
    struct sysinfo host;
    int err;

    if (!sysinfo(&host) && size > (host.totalram + (uint64_t)host.totalswap) * host.mem_unit)
        return error_set(error, EX_OSERR,
                         "-m: %lluM is more than this host has (%lluM); give the guest less",
                         (unsigned long long)(size >> 20),
                         (unsigned long long)(host.totalram * (uint64_t)host.mem_unit >> 20));
    err = physmem_init(&m->mem, size);
    if (err)
        return error_set(error, EX_OSERR, "-m: no %lluM of host memory: %s; give the guest less",
                         (unsigned long long)(size >> 20), strerror(-err));
    look_at_group(size);
    return 0;
}

static int create_cpu(struct machine *m, struct error *error)
{
    const char *why = NULL;

    if (cpu_model_parse(m->config->cpu, &m->model, &why)) {
        error_set(error, EX_USAGE, "-cpu %s: %s", m->config->cpu, why ? why : "no memory");
        free((char *)why);
        return -1;
    }
    m->vcpu = vcpu_create();
    if (!m->vcpu && (errno == EPERM || errno == EACCES || errno == ENOSYS))
        return error_set(error, EX_OSERR, "memfd_create() is refused, which novt cannot do without:"
                         " %s; see novt doctor", strerror(errno));
    if (!m->vcpu)
        return error_set(error, EX_OSERR, "no host memory for the CPU; free some");
    m->vcpu->mem = &m->mem;
    m->vcpu->model = m->model;
    m->vcpu->stop = &m->stop;
    if (m->config->stats || m->config->stats_json)
        m->vcpu->spent = &m->spent;
    if (m->config->trace &&
        tracing_create(&m->tracing, m->vcpu, m->config->trace_sensitive, error))
        return -1;
    if (mem_create(m->vcpu))
        return error_set(error, EX_OSERR, "no host memory for the CPU's TLB; free some");
    if (transfers_create(m->vcpu, log_on(LOG_int) || m->config->engine == &engine_interp))
        return error_set(error, EX_OSERR, "no host memory for the CPU; free some");
    return 0;
}

static int create_engine(struct machine *m, struct error *error)
{
    struct engine_request request = { .user = m->config->user, .audit = m->config->audit,
                                      .audit_found = audit_print, .audit_arg = m,
                                      .listener = profiling_listener(m->profiling) };
    int err;

    /* On the bare CPU nobody sees its transfers. */
    if (m->vcpu->transfers->all && request.user == USER_AUTO)
        request.user = USER_WINDOW;
    m->engine = m->config->engine;
    terminal_guard(); /* before the engine's own handlers */
    m->vcpu->engine_state = m->engine->create(m->vcpu, &request);
    if (!m->vcpu->engine_state)
        return error_set(error, EX_OSERR, "engine %s: %s%s%s%s", m->engine->name, request.error,
                         request.err ? ": " : "", request.err ? strerror(request.err) : "",
                         request.user == USER_DIRECT ? "; -user auto does without" : "");
    err = kick_create(&m->kick, m->vcpu, m->engine->on_kick);
    if (!err && m->config->timeout_ns)
        kick_deadline(m->kick, m->base_ns + m->config->timeout_ns + KICK_GRACE_NS, STATUS_TIMEOUT);
    if (err)
        return error_set(error, EX_OSERR, "no host timer: %s; raise the limit (ulimit -i)",
                         strerror(-err));
    return 0;
}

/* --- Consoles ---------------------------------------------------------------------------- */

static void serial_output(void *arg, const uint8_t *bytes, size_t size)
{
    struct machine *m = arg;

    if (!expect_feed(m->expect, bytes, size))
        return;
    vm_stop(&m->stop, VM_EXPECTED, 0, "-expect was met");
    vcpu_kick(m->vcpu);
}

static void poller_kick(void *arg)
{
    kick_now(((struct machine *)arg)->kick);
}

static int create_console(struct machine *m, struct console **console,
                          const struct console_spec *spec, const char *name, bool serial,
                          struct error *error)
{
    struct console_config config = {
        .spec = *spec,
        .name = name,
        .input = serial,
        .poller = m->poller,
        .stop = &m->stop,
        .output = serial && m->expect ? serial_output : NULL,
        .output_arg = m,
        .monitor = spec->monitor ? mux_typed : NULL,
        .monitor_arg = &m->mux,
        .escape = m->config->escape,
    };

    if (spec->kind == CONSOLE_NONE)
        return 0;
    *console = console_create(&config);
    return *console ? 0 : error_set(error, EX_OSERR, "no host memory for the %s; free some", name);
}

static int create_consoles(struct machine *m, struct error *error)
{
    const struct config *config = m->config;

    m->poller = poller_create(poller_kick, m);
    if (!m->poller)
        return error_no_event(error, "waiting for the host");
    if (config->expect) {
        m->expect = expect_create(config->expect);
        if (!m->expect)
            return error_set(error, EX_OSERR, "-expect: no host memory; free some");
    }
    if (create_console(m, &m->serial[0], &config->serial[0], "serial line", true, error) ||
        create_console(m, &m->debugcon, &config->debugcon, "debugcon", false, error) ||
        create_console(m, &m->virtcon, &config->virtio.console, "virtio console", true, error))
        return -1;
    /* -expect watches the first line alone: two streams would be mixed up. */
    return create_console(m, &m->serial[1], &config->serial[1], "second serial line", true, error);
}

/* Told once: a kernel that draws by the BIOS would fill the terminal. */
static void tell_no_bios(struct machine *m)
{
    if (!m->told_no_bios)
        fprintf(stderr, "novt: note: the guest calls the BIOS, which -kernel alone does without; "
                        "-bios FILE (such as %s) runs it first%s\n", firmware_name(),
                terminal_is_raw() ? "\r" : "");
    m->told_no_bios = true;
}

/* By the port of enter_rom.S. */
static void firmware_is_done(void *arg)
{
    struct machine *m = arg;

    if (!m->config->firmware) {
        tell_no_bios(m);
        return;
    }
    m->enters = true;
    vm_stop(&m->stop, VM_RESET, 0, "the firmware is done");
}

/* It is read again when firmware has run: from then on nothing can be opened. */
static int look_at_kernel(struct machine *m, struct error *error)
{
    const struct config *config = m->config;
    struct boot boot;
    int err = boot_read(&boot, config->kernel, config->initrd, config->append, m->mem.size, error);

    boot_free(&boot);
    return err;
}

/* What the CPU starts in, and the kernel that it is to start; nothing where there is none. */
static int read_firmware(struct machine *m, struct pc_config *board, struct error *error)
{
    const struct config *config = m->config;
    bool by_firmware = config->firmware && config->kernel && !config->enters;

    if (config->firmware && firmware_read(&m->firmware, config->bios, error))
        return -1;
    if (config->enters && look_at_kernel(m, error))
        return -1;
    if (config->enters || !config->firmware) {
        board->enter = firmware_is_done;
        board->enter_arg = m;
    }
    if (by_firmware && boot_real_read(&m->real, config->kernel, config->initrd,
                                      config->append, m->mem.size, error))
        return -1;
    board->kernel = by_firmware ? &m->real : NULL;
    board->rom = m->firmware.bytes;
    board->rom_size = (uint32_t)m->firmware.size;
    return 0;
}

static void fill_drives(struct machine *m, struct pc_config *board)
{
    board->virtio.disks = drives_virtio(m->drives, board->virtio.disk);
    for (unsigned i = 0; i < PC_IDE_COUNT; i++)
        board->ide[i] = drives_ide(m->drives, i);
    board->floppy = drives_floppy(m->drives);
}

static struct chardev *line_of(struct console *console)
{
    return console ? console_line(console) : NULL;
}

static void fill_board(struct machine *m, struct pc_config *board)
{
    const struct virtio_specs *virtio = &m->config->virtio;

    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        board->serial[i] = line_of(m->serial[i]);
    board->nics = nics_fill(m->nics, board->nic);
    board->virtio = (struct pc_virtio){
        .mode = virtio->mode,
        .console = line_of(m->virtcon),
        .rng = virtio->rng,
        .balloon = virtio->balloon,
        .balloon_reports = virtio->balloon_reports,
        .balloon_target = virtio->balloon_target,
    };
    fill_drives(m, board);
    board->virtio.shares = shares_fill(m->shares, board->virtio.share);
    board->vga = m->screen;
    board->display = screen_display(m->screen);
    board->vga_rom = screen_vga_bios(m->screen, &board->vga_rom_size);
}

/* What CPUID's leaf 1 says is the processor's SMBIOS name, too. */
static struct smbios_config smbios_of(const struct machine *m)
{
    struct smbios_config smbios = m->config->smbios.said;
    uint32_t leaf[4];

    cpuid_read(m->vcpu, 1, 0, leaf);
    if (!smbios.processor_id)
        smbios.processor_id = leaf[0] | (uint64_t)leaf[3] << 32;
    return smbios;
}

static int create_board(struct machine *m, struct error *error)
{
    const struct isa_specs *isa = &m->config->isa;
    struct pc_config board = {
        .vcpu = m->vcpu,
        .mem = &m->mem,
        .clock = &m->clock,
        .stop = &m->stop,
        .held_up = run_held_up,
        .held_up_arg = m,
        .apic = cpuid_has(m->model, CPUID_APIC),
        .latency = m->vcpu->spent ? &m->stats.latency : NULL,
        .debugcon = line_of(m->debugcon),
        .debugcon_base = isa->debugcon_base,
        .boot_menu = m->config->boot.menu,
        .no_floppy_check = m->config->boot.no_floppy_check,
        .debug_exit = isa->debug_exit,
        .debug_exit_base = isa->debug_exit_base,
        .debug_exit_size = isa->debug_exit_size,
        .testdev = isa->testdev,
        .smbios = smbios_of(m),
    };
    const char *why = "";

    if (read_firmware(m, &board, error))
        return -1;
    fill_board(m, &board);
    m->pc = pc_create(&board, &why);
    if (!m->pc)
        return error_set(error, EX_USAGE, "%s", why);
    return config_fw_cfg_fill(&m->config->fw_files, m->pc, error);
}

/* --- Booting -------------------------------------------------------------------------------- */

/* What the firmware tries, this time. */
static const char *boot_order(const struct machine *m)
{
    const struct config_boot *boot = &m->config->boot;

    if (*boot->once && !m->stats.resets)
        return boot->once;
    return *boot->order ? boot->order : "cad";
}

/* The CPU is fresh from its reset. */
static int enter_kernel(struct machine *m, struct error *error)
{
    const struct config *config = m->config;
    struct boot_target target = { .mem = &m->mem, .text_screen = m->screen };
    struct boot_entry entry;

    target.map_count = pc_e820_map(m->pc, target.map);
    target.rsdp = pc_rsdp(m->pc);
    if (boot_load(config->kernel, config->initrd, config->append, &target, &entry, error))
        return -1;
    boot_enter(m->vcpu, &entry);
    return 0;
}

/* And again. */
static int power_on(struct machine *m, struct error *error)
{
    enum spent_on before = spent_begin(m->vcpu->spent, SPENT_BOOT);

    m->stop = (struct vm_stop){ 0 };
    vcpu_reset(m->vcpu);
    nics_reset(m->nics);
    pc_set_boot_order(m->pc, boot_order(m));
    pc_reset(m->pc);
    if (!m->config->firmware && enter_kernel(m, error))
        return -1;
    physmem_written(&m->mem, 0, PHYSMEM_LIMIT); /* it was cleared behind everybody's back */
    spent_back(m->vcpu->spent, before);
    return 0;
}

int machine_enter(struct machine *m, struct error *error)
{
    m->enters = false;
    m->stop = (struct vm_stop){ 0 };
    vcpu_reset(m->vcpu);
    if (enter_kernel(m, error))
        return -1;
    physmem_written(&m->mem, 0, PHYSMEM_LIMIT);
    return 0;
}

int machine_restart(struct machine *m, struct error *error)
{
    if (!m->config->firmware || !pc_resumes(m->pc))
        return power_on(m, error);
    m->stop = (struct vm_stop){ 0 };
    vcpu_reset(m->vcpu);
    return 0;
}

/* --- Life ---------------------------------------------------------------------------------- */

int machine_create(struct machine *m, const struct config *config, struct error *error)
{
    memset(m, 0, sizeof(*m));
    m->config = config;
    m->mem.fd = -1;
    create_clock(m);
    m->names = names_create(m);
    if (create_cpu(m, error) || create_memory(m, error) || create_consoles(m, error) ||
        drives_create(&m->drives, &config->drives, m->poller, error) ||
        nics_create(&m->nics, &config->nics, m->poller, error) ||
        shares_create(&m->shares, &config->virtio, m->poller, error) ||
        screen_create(&m->screen, &config->display, error) ||
        create_board(m, error) || power_on(m, error) ||
        profiling_create(&m->profiling, m, error))
        return -1;
    return create_engine(m, error);
}

/* The monitor beside the console that has the terminal. */
static int open_mux(struct machine *m, struct error *error)
{
    const struct config *config = m->config;
    struct console *console = config->serial[0].monitor ? m->serial[0] :
                              config->serial[1].monitor ? m->serial[1] :
                              config->virtio.console.monitor ? m->virtcon : NULL;

    if (!console)
        return 0;
    m->mux = mux_create(m, console, error);
    return m->mux ? 0 : -1;
}

int machine_open(struct machine *m, struct error *error)
{
    if (nics_open(m->nics, error) || shares_open(m->shares, error) ||
        tracing_open(m->tracing, m->config->trace, clock_now_ns(&m->clock), error))
        return -1;
    /* The terminal last: what goes wrong before is told on a sane one. */
    struct console *all[] = { m->debugcon, m->virtcon, m->serial[1], m->serial[0] };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (all[i] && console_open(all[i], error))
            return -1;
    if (screen_open(m->screen, m, error))
        return -1;
    if (control_open(&m->control, &m->config->control, m, error))
        return -1;
    if (open_mux(m, error))
        return -1;
    if (debugger_open(&m->debugger, &m->config->debug, m, error))
        return -1;
    return profiling_open(m->profiling, error);
}

static bool in_a_hurry(const struct machine *m)
{
    return m->stop.end == VM_SIGNAL || m->stop.end == VM_QUIT || m->stop.end == VM_TIMEOUT ||
           kick_signal(m->kick);
}

/* A reader that stopped reading is waited for, as by every program; a signal ends that. */
static bool flush(const struct machine *m, struct console *console)
{
    int left = FLUSH_MS;

    while (!console_flush(console, FLUSH_SLICE_MS)) {
        if (in_a_hurry(m))
            left -= FLUSH_SLICE_MS;
        if (left <= 0)
            return false;
    }
    return true;
}

int machine_close(struct machine *m, struct error *error)
{
    struct console *all[] = { m->serial[0], m->serial[1], m->virtcon, m->debugcon };
    int err = 0;

    pc_idle(m->pc);
    debugger_close(m->debugger);
    m->debugger = NULL;
    mux_destroy(m->mux);
    m->mux = NULL;
    control_close(m->control);
    m->control = NULL;
    if (profiling_close(m->profiling, error))
        err = -1;
    if (drives_close(m->drives, error))
        err = -1;
    if (screen_close(m->screen, error))
        err = -1;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        if (!all[i])
            continue;
        if (!flush(m, all[i]))
            err = error_set(error, EX_IOERR, "the guest's last output is lost: nobody reads it");
        if (!console_close(all[i], error))
            err = -1;
    }
    terminal_restore();
    if (tracing_close(m->tracing, error))
        err = -1;
    return err;
}

void machine_destroy(struct machine *m)
{
    tracing_destroy(m->tracing);
    timer_cancel(&m->timeout);
    profiling_destroy(m->profiling);
    debugger_close(m->debugger);
    mux_destroy(m->mux);
    control_close(m->control);
    screen_stop(m->screen);
    if (m->pc)
        pc_destroy(m->pc);
    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++)
        console_destroy(m->serial[i]);
    console_destroy(m->debugcon);
    console_destroy(m->virtcon);
    expect_destroy(m->expect);
    drives_destroy(m->drives);
    nics_destroy(m->nics);
    shares_destroy(m->shares);
    screen_destroy(m->screen);
    poller_destroy(m->poller);
    kick_destroy(m->kick);
    if (m->engine && m->vcpu->engine_state && m->engine->destroy)
        m->engine->destroy(m->vcpu);
    if (m->vcpu) {
        mem_destroy(m->vcpu);
        vcpu_destroy(m->vcpu);
    }
    if (m->model)
        cpu_model_destroy(m->model);
    if (m->mem.fd >= 0)
        physmem_destroy(&m->mem);
    names_free(m->names);
    image_free(&m->firmware);
    boot_real_free(&m->real);
}
