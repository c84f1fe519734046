/* novt: the command line, the log, and the only exit. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/output.h"
#include "cpu/cpuid.h"
#include "cpu/engine.h"
#include "cpu/vcpu.h"
#include "display/window.h"
#include "frontend/config.h"
#include "frontend/config_row.h"
#include "frontend/confine.h"
#include "frontend/ctl.h"
#include "frontend/debugger.h"
#include "frontend/disasm.h"
#include "frontend/doctor.h"
#include "frontend/drives.h"
#include "frontend/engines.h"
#include "frontend/error.h"
#include "frontend/exec.h"
#include "frontend/expect.h"
#include "frontend/explain.h"
#include "frontend/image.h"
#include "frontend/image_tool.h"
#include "frontend/machine.h"
#include "frontend/names.h"
#include "frontend/nics.h"
#include "frontend/report.h"
#include "frontend/script_tool.h"
#include "frontend/shares.h"
#include "frontend/trace_tool.h"
#include "frontend/view.h"

static void print_name(void *arg, const char *name, const char *text)
{
    (void)arg;
    printf("  %-14s %s\n", name, text);
}

static void list_topics(void)
{
#define LOG_TOPIC(name, text) print_name(NULL, #name, text);
#include "base/log.def"
    print_name(NULL, "all", "all of these");
}

/* What is told before the log's file is there goes to standard error. */
static int start_log(const struct config *config, struct error *error)
{
    const char *bad;

    novt_log.disasm = disasm_print;
    novt_log.out = stderr;
    if (log_enable(config->log.topics, &bad))
        return error_set(error, EX_USAGE, "-d %s: unknown", bad);
    return 0;
}

static int open_log(const struct config *config, struct error *error)
{
    if (!config->log_file)
        return 0;
    novt_log.out = output_stream(config->log_file);
    if (novt_log.out)
        return 0;
    novt_log.out = stderr;
    return error_set(error, EX_CANTCREAT,
                     "-D: cannot open '%s': %s; %s", config->log_file,
                     strerror(errno), output_advice(errno));
}

static int close_log(const struct config *config, struct error *error)
{
    bool failed;

    if (novt_log.out == stderr || !novt_log.out)
        return 0;
    failed = ferror(novt_log.out);
    novt_log.topics = 0;
    if (!fclose(novt_log.out) && !failed)
        return 0;
    return error_set(error, EX_IOERR, "-D: cannot write to '%s': %s; free some space",
                     config->log_file, strerror(errno));
}

static bool unmet(const struct machine *m)
{
    return m->expect && !expect_met(m->expect);
}

static int finish(struct machine *m, struct error *error)
{
    const struct config *config = m->config;
    struct stats_source stats;
    int status, err;

    debugger_ended(m->debugger, report_status(&m->stop, unmet(m)));
    err = machine_close(m, error);
    status = report_status(&m->stop, unmet(m));
    report_end(stderr, &m->stop, m->vcpu, m->names, unmet(m));
    stats = (struct stats_source){ &m->stats, m->vcpu, m->engine, report_end_name(m->stop.end),
                                   status, m };
    spent_back(m->vcpu->spent, SPENT_MONITOR); /* brings the account up to now */
    if (config->stats)
        stats_print(stderr, &stats);
    if (config->stats_json && stats_write_json(config->stats_json, &stats, error))
        err = -1;
    if (close_log(config, error))
        err = -1;
    if (err)
        error_print(stderr, error);
    return err && !status ? error->status : status;
}

/* From here on whoever gets hold of the monitor can do little with it. */
static void confine(const struct config *config)
{
    struct confine_wants wants = { .write_files = config->stats_json,
                                   .kvm = config->engine == &engine_kvm };
    const char *why;
    int err;

    for (unsigned i = 0; i < PC_SERIAL_COUNT; i++) {
        wants.remove_files |= config->serial[i].kind == CONSOLE_UNIX;
        wants.write_files |= config->serial[i].monitor;
    }
    wants.remove_files |= config->virtio.console.kind == CONSOLE_UNIX;
    /* pictures, dumps, media that are put in */
    wants.write_files |= config->control.where || config->debug.given ||
                         config->virtio.console.monitor;
    drives_confine(&config->drives, &wants);
    nics_confine(&config->nics, &wants);
    shares_confine(&config->virtio, &wants);
    /* Libraries that would read a file when they are used first: */
    json_object_seed(1); /* nobody else chooses our keys */
    tzset();             /* gmtime_r(), too */
    err = confine_enter(&wants, &why);
    if (err && novt_log.topics)
        fprintf(novt_log.out, "the monitor is not confined: %s\n", why);
}

static int run(const struct config *config, struct error *error)
{
    struct machine machine;
    int status;

    if (start_log(config, error)) {
        error_print(stderr, error);
        return error->status;
    }
    image_keep(true);
    if (machine_create(&machine, config, error) ||
        (config->stats_json && stats_check_json(config->stats_json, error)) ||
        open_log(config, error) || machine_open(&machine, error)) {
        machine_destroy(&machine);
        error_print(stderr, error);
        return error->status;
    }
    novt_log.symbol = names_log;
    novt_log.symbol_arg = machine.names;
    confine(config);
    run_machine(&machine);
    status = finish(&machine, error);
    machine_destroy(&machine);
    image_keep(false);
    return status;
}

/* What was asked for on standard output must get there. */
static int flush_output(int status)
{
    if (!fflush(stdout) && !ferror(stdout))
        return status;
    fprintf(stderr, "novt: standard output: cannot write: %s\n", strerror(errno));
    return EX_IOERR;
}

static int work(struct config *config, int argc, char **argv)
{
    struct error error = { 0 };

    if (config_parse(config, argc, argv, &error)) {
        error_print(stderr, &error);
        return error.status;
    }
    switch (config->command) {
    case COMMAND_RUN: return run(config, &error);
    case COMMAND_DOCTOR: return flush_output(doctor_run(config->quick));
    case COMMAND_HELP: config_help(); break;
    case COMMAND_VERSION: printf("novt %s\n", NOVT_VERSION); break;
    case COMMAND_CPU_LIST: cpu_model_list(print_name, NULL); break;
    case COMMAND_LOG_LIST: list_topics(); break;
    case COMMAND_ENGINE_LIST: engines_list(print_name, NULL); break;
    case COMMAND_DEVICE_LIST: config_row_list_devices(); break;
    }
    return flush_output(EX_OK);
}

/* Who has closed one of them must not get a file of ours in its place. */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            abort();
}

int main(int argc, char **argv)
{
    struct config config;

    open_standard();
    if (argc > 2 && !strcmp(argv[1], "window")) /* display/window.c has started us */
        return window_process(argc - 2, argv + 2);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* an image that grows beyond the limit: the guest gets the error */
    if (argc > 1 && !strcmp(argv[1], "image"))
        return flush_output(image_tool(argc - 2, argv + 2));
    if (argc > 1 && !strcmp(argv[1], "ctl"))
        return flush_output(ctl_tool(argc - 2, argv + 2));
    if (argc > 1 && !strcmp(argv[1], "view"))
        return flush_output(view_tool(argc - 2, argv + 2));
    if (argc > 1 && !strcmp(argv[1], "exec"))
        return flush_output(exec_tool(argc - 2, argv + 2));
    if (argc > 1 && !strcmp(argv[1], "explain"))
        return flush_output(explain_tool(argc - 2, argv + 2));
    if (argc > 1 && script_tool_is(argv[1]))
        return script_tool(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "trace"))
        return flush_output(trace_tool(argc - 2, argv + 2));
    return work(&config, argc, argv);
}
