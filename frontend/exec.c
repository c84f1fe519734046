/*
 * novt exec: options, the files it needs, and the guest: a child that is novt run, whose virtio
 * console is a socket of ours and whose serial line and standard error are a pipe of ours. What
 * goes over the socket is exec_link.c's business.
 *
 * The guest's kernel and its first process (guests/exec) are ours whatever the image is; its disk
 * is a snapshot, so each run begins with the image as it was.
 */
#include "frontend/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/count.h"
#include "frontend/error.h"
#include "frontend/exec_link.h"
#include "frontend/nearest.h"

/* Nothing that only costs time: no ISA PnP cards, no self-tests, no walls inside the guest. */
#define KERNEL_WORDS "console=ttyS0 panic=-1 noisapnp cryptomgr.notests mitigations=off"

enum { VARIABLES_MAX = 256, WORDS_MAX = 48 };

struct exec {
    const char *memory, *image, *nic, *timeout, *cpu;
    bool verbose, alone, readonly, help;
    char *variable[VARIABLES_MAX + 1];
    unsigned variables;
    char **command;

    char folder[PATH_MAX]; /* the working folder */
    char kernel[PATH_MAX], initrd[PATH_MAX], disk[PATH_MAX];
    char share[2 * PATH_MAX + 16], drive[2 * PATH_MAX + 64];
    int console, said; /* our ends */
    pid_t guest;
};

static void usage(FILE *out)
{
    fprintf(out,
            "novt exec [OPTION...] [--] COMMAND [ARGUMENT...]\n\n"
            "Runs the command in a fresh Debian guest: the current folder is shared and the\n"
            "working folder there, too; standard input, output and error, signals and the exit\n"
            "status are the command's. The guest's other files are as new for each run\n"
            "(docs/exec.md).\n\n"
            "  -m SIZE         guest memory (1G)\n"
            "  -image FILE     an image (raw or qcow2) with a Linux on ext4; else Debian 12\n"
            "  -e NAME[=VALUE] a variable of the environment; without VALUE as it is here\n"
            "  -nic SPEC       the network card, as for novt run (user; none: no network)\n"
            "  -cpu MODEL      as for novt run\n"
            "  -readonly       the guest cannot change the folder\n"
            "  -no-share       the folder is not shared\n"
            "  -timeout N      end with status 124 after N seconds\n"
            "  -v              show the guest's serial line on standard error\n\n"
            "Status: the command's; 128 and the signal's number when one ended it; 127 and 126\n"
            "when it cannot be found or executed there; 64 to 78: there is no guest (novt -h).\n");
}

/* --- Options -------------------------------------------------------------------------------- */

/* NAME=VALUE as it is, NAME with the value it has here. */
static int add_variable(struct exec *exec, char *text, struct error *error)
{
    const char *value = getenv(text);

    if (exec->variables == VARIABLES_MAX)
        return error_set(error, EX_USAGE, "exec -e %s: one too many", text);
    if (!*text || *text == '=')
        return error_set(error, EX_USAGE, "exec -e %s: write NAME=VALUE or NAME", text);
    if (!strchr(text, '=')) {
        if (!value)
            return 0;
        if (asprintf(&text, "%s=%s", text, value) < 0)
            return error_set(error, EX_OSERR, "exec: out of memory");
    }
    exec->variable[exec->variables++] = text;
    return 0;
}

/* Takes the option at argv[i]; returns how many words it was, or -1. */
static int take_option(struct exec *exec, char **argv, int argc, int i, struct error *error)
{
    const struct {
        const char *name, **value;
        bool *flag;
    } options[] = {
        { "m", &exec->memory, NULL },     { "image", &exec->image, NULL },
        { "nic", &exec->nic, NULL },      { "timeout", &exec->timeout, NULL },
        { "cpu", &exec->cpu, NULL },      { "e", NULL, NULL },
        { "v", NULL, &exec->verbose },    { "readonly", NULL, &exec->readonly },
        { "h", NULL, &exec->help },       { "no-share", NULL, &exec->alone },
        { "help", NULL, &exec->help },
    };
    const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1), *names[COUNT(options)];

    for (size_t k = 0; k < COUNT(options); k++) {
        names[k] = options[k].name;
        if (strcmp(name, options[k].name))
            continue;
        if (options[k].flag) {
            *options[k].flag = true;
            return 1;
        }
        if (i + 1 == argc)
            return error_set(error, EX_USAGE, "exec %s: its value is missing", argv[i]);
        if (!options[k].value)
            return add_variable(exec, argv[i + 1], error) ? -1 : 2;
        *options[k].value = argv[i + 1];
        return 2;
    }
    return error_set(error, EX_USAGE, "exec %s: unknown%s (-- ends the options)", argv[i],
                     nearest_hint(name, strlen(name), names, COUNT(options), "-", "").text);
}

static int parse(struct exec *exec, int argc, char **argv, struct error *error)
{
    int i = 0, taken;

    while (i < argc && argv[i][0] == '-' && strcmp(argv[i], "--")) {
        taken = take_option(exec, argv, argc, i, error);
        if (taken < 0)
            return -1;
        i += taken;
    }
    i += i < argc && !strcmp(argv[i], "--");
    if (i == argc && !exec->help)
        return error_set(error, EX_USAGE,
                         "exec: which command? write novt exec [OPTION...] -- COMMAND...");
    exec->command = argv + i;
    return 0;
}

static int fill_variables(struct exec *exec, struct error *error)
{
    static char *const usual[] = {
        (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        (char *)"HOME=/root", (char *)"USER=root", (char *)"LOGNAME=root", (char *)"SHELL=/bin/sh",
        (char *)"LANG=C.UTF-8", (char *)"TERM",
    };

    for (size_t i = 0; i < COUNT(usual); i++) {
        size_t name = strcspn(usual[i], "=");
        bool given = false;

        for (unsigned k = 0; k < exec->variables; k++)
            given |= !strncmp(exec->variable[k], usual[i], name) && exec->variable[k][name] == '=';
        if (!given && add_variable(exec, usual[i], error))
            return -1;
    }
    return 0;
}

/* --- Files ---------------------------------------------------------------------------------- */

static int guest_path(char path[PATH_MAX], const char *name, struct error *error)
{
    const char *novt = getenv("NOVT_CACHE"), *cache = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    int size;

    if (novt && *novt)
        size = snprintf(path, PATH_MAX, "%s/guest/%s", novt, name);
    else if (cache && *cache)
        size = snprintf(path, PATH_MAX, "%s/novt/guest/%s", cache, name);
    else
        size = snprintf(path, PATH_MAX, "%s/.cache/novt/guest/%s", home ? home : "", name);
    if (size >= PATH_MAX)
        return error_set(error, EX_USAGE, "exec: the cache's name is too long; set NOVT_CACHE");
    return 0;
}

static bool there(const struct exec *exec)
{
    return !access(exec->kernel, R_OK) && !access(exec->initrd, R_OK) &&
           (exec->image || !access(exec->disk, R_OK));
}

/* Makes what is missing, once: a minute or two, and Debian's packages are needed. What the script
 * prints goes to standard error. */
static int prepare(const struct exec *exec, struct error *error)
{
    const char *part = exec->image ? "exec" : "debian";
    int status = -1;
    pid_t pid;

    if (there(exec))
        return 0;
    if (access(NOVT_FETCH, X_OK))
        return error_set(error, EX_UNAVAILABLE,
                         "exec: '%s' is not there; in novt's sources, run guests/fetch exec %s",
                         access(exec->initrd, R_OK) ? exec->initrd : exec->disk, part);
    fprintf(stderr, "novt: exec: making the guest's files; that takes a minute or two, once\n");
    pid = fork();
    if (!pid) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execl(NOVT_FETCH, NOVT_FETCH, "exec", part, (char *)NULL);
        _exit(EX_OSERR);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && !status && there(exec))
        return 0;
    return error_set(error, EX_UNAVAILABLE,
                     "exec: the guest's files could not be made, see above; try again by "
                     "'%s exec %s'", NOVT_FETCH, part);
}

static int find_files(struct exec *exec, struct error *error)
{
    if (guest_path(exec->kernel, "vmlinuz-686", error) ||
        guest_path(exec->initrd, "initramfs-exec", error) ||
        guest_path(exec->disk, "debian/disk.qcow2", error))
        return -1;
    if (exec->image && access(exec->image, R_OK))
        return error_set(error, EX_NOINPUT, "exec -image: cannot open '%s': %s", exec->image,
                         strerror(errno));
    if (exec->image)
        snprintf(exec->disk, sizeof(exec->disk), "%s", exec->image);
    return prepare(exec, error);
}

/* Folders that are the guest's own: one of the host cannot take their place. */
static int check_folder(const char *folder, struct error *error)
{
    static const struct {
        const char *name;
        bool all; /* and what is in it */
    } own[] = {
        { "/", false },    { "/bin", false }, { "/boot", false }, { "/dev", true },
        { "/etc", false }, { "/lib", false }, { "/proc", true },  { "/run", false },
        { "/sbin", false }, { "/sys", true }, { "/usr", false },  { "/var", false },
    };
    bool taken = false;

    for (size_t i = 0; i < COUNT(own); i++) {
        size_t size = strlen(own[i].name);

        taken |= !strncmp(folder, own[i].name, size) &&
                 (!folder[size] || (own[i].all && folder[size] == '/'));
    }
    if (!taken)
        return 0;
    return error_set(error, EX_USAGE, "exec: '%s' cannot be shared, the guest has its own; start "
                     "in another folder, or with -no-share", folder);
}

static int find_folder(struct exec *exec, struct error *error)
{
    if (exec->alone)
        return 0;
    if (!getcwd(exec->folder, sizeof(exec->folder)))
        return error_set(error, EX_NOINPUT, "exec: the current folder has no name: %s; start in "
                         "another, or with -no-share", strerror(errno));
    return check_folder(exec->folder, error);
}

/* --- The guest ------------------------------------------------------------------------------ */

/* Appends a value of an option, its commas twice. */
static void put_value(char *to, const char *value)
{
    to += strlen(to);
    for (; *value; value++) {
        if (*value == ',')
            *to++ = ',';
        *to++ = *value;
    }
    *to = 0;
}

static void fill_words(struct exec *exec, const char **words)
{
    const char *const fixed[] = {
        "novt", "run", "-kernel", exec->kernel, "-initrd", exec->initrd,
        "-append", exec->verbose ? KERNEL_WORDS : KERNEL_WORDS " quiet", "-m", exec->memory,
        "-drive", exec->drive, "-nic", exec->nic, "-virtcon", "stdio",
        "-serial", "file:/proc/self/fd/2", "-device", "virtio-rng", "-no-reboot",
    };
    const struct {
        const char *option, *value;
    } more[] = {
        { "-share", exec->alone ? NULL : exec->share },
        { "-timeout", exec->timeout },
        { "-cpu", exec->cpu },
    };
    size_t n = COUNT(fixed);

    strcpy(exec->drive, "if=virtio,snapshot=on,cache=unsafe,file=");
    put_value(exec->drive, exec->disk);
    put_value(exec->share, exec->folder);
    strcat(exec->share, exec->readonly ? ",readonly" : "");
    memcpy(words, fixed, sizeof(fixed));
    for (size_t i = 0; i < COUNT(more); i++) {
        if (more[i].value) {
            words[n++] = more[i].option;
            words[n++] = more[i].value;
        }
    }
    words[n] = NULL;
}

/* In the child: a session of its own, so that the terminal's keys are ours alone, and it ends with
 * us. */
__attribute__((noreturn)) static void be_guest(struct exec *exec, int console, int said, pid_t us)
{
    const char *words[WORDS_MAX];

    fill_words(exec, words);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    exec_link_unblock();
    if (getppid() == us && dup2(console, STDIN_FILENO) >= 0 && dup2(console, STDOUT_FILENO) >= 0 &&
        dup2(said, STDERR_FILENO) >= 0)
        execv("/proc/self/exe", (char *const *)words);
    _exit(EX_OSERR);
}

static int start_guest(struct exec *exec, struct error *error)
{
    int console[2], said[2];
    pid_t us = getpid();

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) || pipe2(said, O_CLOEXEC))
        return error_set(error, EX_OSERR, "exec: no pipe to the guest: %s", strerror(errno));
    exec_link_block();
    exec->guest = fork();
    if (!exec->guest)
        be_guest(exec, console[1], said[1], us);
    if (exec->guest < 0)
        return error_set(error, EX_OSERR, "exec: cannot start the guest: %s; raise the limit "
                         "(ulimit -u)", strerror(errno));
    close(console[1]);
    close(said[1]);
    exec->console = console[0];
    exec->said = said[0];
    return 0;
}

/* The guest has nothing to lose: its disk is a snapshot, and its share is written back. */
static int end_guest(const struct exec *exec)
{
    int status = 0;

    close(exec->console);
    kill(exec->guest, SIGKILL);
    waitpid(exec->guest, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

/* --- The end -------------------------------------------------------------------------------- */

/* A guest that ends by itself has said why. */
static int lost(const struct exec *exec, struct exec_result *result, struct error *error)
{
    int status, raw = 0;

    waitpid(exec->guest, &raw, 0);
    close(exec->console);
    status = WIFEXITED(raw) && WEXITSTATUS(raw) ? WEXITSTATUS(raw) : EX_SOFTWARE;
    if (status == 124)
        return error_set(error, status, "exec: not ended within %s s (-timeout)", exec->timeout);
    if (!exec->verbose)
        fputs(result->text, stderr);
    return error_set(error, status, "exec: the guest ended before the command; above is the last "
                                    "that it said (-v shows all of it)");
}

static int judge(const struct exec *exec, struct exec_result *result, struct error *error)
{
    if (result->end == EXEC_END_LOST)
        return lost(exec, result, error);
    end_guest(exec);
    if (result->end == EXEC_END_FAILED)
        return error_set(error, result->status, "exec: the guest: %s", result->text);
    return result->status;
}

static int run(struct exec *exec, struct error *error)
{
    struct exec_link_config config = { .verbose = exec->verbose, .words = exec->command,
                                       .variables = exec->variable,
                                       .folder = exec->alone ? NULL : exec->folder };
    struct exec_result result;
    int status;

    if (find_folder(exec, error) || fill_variables(exec, error) || find_files(exec, error) ||
        start_guest(exec, error))
        return -1;
    config.console = exec->console;
    config.said = exec->said;
    if (exec_link_run(&config, &result, error)) {
        end_guest(exec);
        return -1;
    }
    status = judge(exec, &result, error);
    close(exec->said);
    return status;
}

int exec_tool(int argc, char **argv)
{
    struct exec exec = { .memory = "1G", .nic = "user" };
    struct error error = { 0 };
    int status = -1;

    if (!parse(&exec, argc, argv, &error)) {
        if (exec.help) {
            usage(stdout);
            return EX_OK;
        }
        status = run(&exec, &error);
    }
    if (status < 0)
        error_print(stderr, &error);
    return status < 0 ? error.status : status;
}
