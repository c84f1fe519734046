/* The counters of a run: gathered once, as a JSON object, and printed as text or as JSON. */
#include "frontend/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/spent.h"
#include "cpu/engine.h"
#include "cpu/vcpu.h"
#include "frontend/error.h"
#include "frontend/machine.h"
#include "frontend/stats_devices.h"
#include "frontend/tracing.h"
#include "shadowmm/shadowmm.h"

static const char *const spent_name[] = {
#define SPENT(constant, name, words) name,
#include "base/spent.def"
#undef SPENT
};

static const char *const spent_words[] = {
#define SPENT(constant, name, words) words,
#include "base/spent.def"
#undef SPENT
};

/* --- Instructions by tier ---------------------------------------------------------- */

static const struct tier {
    const char *name, *words;
    size_t counter; /* offset in struct vcpu_stats */
} tiers[] = {
    { "interpreted", "interpreted", offsetof(struct vcpu_stats, insns_interp) },
    { "translated_tlb", "translated, software TLB", offsetof(struct vcpu_stats, insns_tlb) },
    { "translated_window", "translated, window", offsetof(struct vcpu_stats, insns_window) },
};

#define TIER_COUNT (sizeof(tiers) / sizeof(*tiers))

static uint64_t tier_count(const struct vcpu_stats *stats, size_t tier)
{
    uint64_t count;

    memcpy(&count, (const char *)stats + tiers[tier].counter, sizeof(count));
    return count;
}

static uint64_t tier_total(const struct vcpu_stats *stats)
{
    uint64_t total = 0;

    for (size_t i = 0; i < TIER_COUNT; i++)
        total += tier_count(stats, i);
    return total;
}

/* --- Gathering -------------------------------------------------------------------- */

static void put(void *group, const char *name, uint64_t value)
{
    json_object_set_new(group, name, json_integer((json_int_t)value));
}

static void put_seconds(json_t *group, const char *name, uint64_t ns)
{
    json_object_set_new(group, name, json_real((double)ns / NS_PER_SEC));
}

static uint64_t ns_of(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * NS_PER_SEC + (uint64_t)time->tv_usec * 1000;
}

static uint64_t wall_ns(const struct run_stats *run)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec - run->start_ns;
}

static json_t *host_group(const struct run_stats *run, const struct spent *spent, uint64_t wall)
{
    json_t *group = json_object();
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    put_seconds(group, "wall_s", wall);
    if (spent)
        json_object_set_new(group, "tsc_mhz",
                            json_real(1000.0 * (double)(spent->since - spent->start) /
                                      (double)wall));
    put_seconds(group, "user_s", ns_of(&usage.ru_utime));
    put_seconds(group, "system_s", ns_of(&usage.ru_stime));
    put(group, "max_resident_kib", (uint64_t)usage.ru_maxrss);
    put(group, "engine_exits", run->engine_exits);
    put(group, "sleeps", run->sleeps);
    put(group, "resets", run->resets);
    return group;
}

static json_t *cpu_group(const struct vcpu_stats *stats)
{
    static const char *const vectors[32] = {
        "fault_de", "fault_db", "nmi", "fault_bp", "fault_of", "fault_br", "fault_ud", "fault_nm",
        "fault_df", NULL, "fault_ts", "fault_np", "fault_ss", "fault_gp", "fault_pf", NULL,
        "fault_mf", "fault_ac", "fault_mc", "fault_xm",
    };
    json_t *group = json_object();

#define PUT(field) put(group, #field, stats->field)
    PUT(exits_direct);
    PUT(exits_looked_up);
    PUT(interrupts);
    PUT(soft_interrupts);
    PUT(halts);
    PUT(port_reads);
    PUT(port_writes);
    PUT(mmio_reads);
    PUT(mmio_writes);
    PUT(tlb_fills);
    PUT(tlb_flushes);
    PUT(cr3_writes);
#undef PUT
    for (unsigned i = 0; i < 32; i++)
        if (vectors[i] && stats->faults[i])
            put(group, vectors[i], stats->faults[i]);
    return group;
}

static json_t *instruction_group(const struct vcpu_stats *stats)
{
    json_t *group = json_object();

    for (size_t i = 0; i < TIER_COUNT; i++)
        put(group, tiers[i].name, tier_count(stats, i));
    put(group, "total", tier_total(stats));
    return group;
}

/* The counter's cycles become time by the wall time that all of them took. */
static json_t *time_group(const struct spent *spent, uint64_t wall)
{
    json_t *group = json_object();

    for (unsigned i = 0; i < SPENT_COUNT; i++) {
        double share = (double)spent->cycles[i] / (double)(spent->since - spent->start);
        json_t *row = json_object();

        put_seconds(row, "seconds", (uint64_t)(share * (double)wall));
        put(row, "times", spent->times[i]);
        json_object_set_new(group, spent_name[i], row);
    }
    return group;
}

static void put_microseconds(json_t *row, const char *name, uint64_t ns)
{
    json_object_set_new(row, name, json_real((double)ns / 1000));
}

/* A row for each tier in which user code was interrupted. */
static json_t *latency_group(const struct latency *latency)
{
    json_t *group = json_object();

    for (unsigned i = 0; i < LATENCY_TIERS; i++) {
        const struct latency_row *from = &latency->row[i];
        json_t *row;

        if (!from->count)
            continue;
        row = json_object();
        put(row, "count", from->count);
        put_microseconds(row, "p50_us", latency_percentile(from, 0.5));
        put_microseconds(row, "p90_us", latency_percentile(from, 0.9));
        put_microseconds(row, "p99_us", latency_percentile(from, 0.99));
        put_microseconds(row, "max_us", from->max_ns);
        json_object_set_new(group, spent_name[i], row);
    }
    return group;
}

/* Time by the counter's cycles. */
struct tenures {
    json_t *array;
    double ns_per_cycle;
};

static void put_cycles(json_t *row, const char *name, uint64_t cycles, const struct tenures *all)
{
    put_seconds(row, name, (uint64_t)((double)cycles * all->ns_per_cycle));
}

/* How often it moved for which reason. */
static json_t *why_object(const struct tenure *tenure)
{
    json_t *why = json_object();

    for (unsigned i = 0; i < MOVE_END; i++)
        if (tenure->moves[i])
            put(why, move_words[i], tenure->moves[i]);
    return why;
}

static void put_tenure(void *arg, const struct tenure *tenure)
{
    const struct tenures *all = arg;
    json_t *row = json_object();
    char cr3[20];

    snprintf(cr3, sizeof(cr3), "%#llx", (unsigned long long)tenure->cr3);
    json_object_set_new(row, "cr3", json_string(cr3));
    put_cycles(row, "tlb", tenure->ran[TIER_TLB], all);
    put_cycles(row, "window", tenure->ran[TIER_WINDOW], all);
    put_cycles(row, "direct", tenure->ran[TIER_DIRECT], all);
    put(row, "moves", tenure_moves(tenure));
    json_object_set_new(row, "why", why_object(tenure));
    json_array_append_new(all->array, row);
}

static json_t *tenure_array(const struct stats_source *source, uint64_t wall)
{
    const struct spent *spent = source->vcpu->spent;
    struct tenures all = { json_array(), (double)wall / (double)(spent->since - spent->start) };

    if (source->engine->tenures && source->vcpu->engine_state)
        source->engine->tenures(source->vcpu, put_tenure, &all);
    return all.array;
}

static void gather_accounts(json_t *all, const struct stats_source *source, uint64_t wall)
{
    if (!source->engine->uncounted)
        json_object_set_new(all, "instructions", instruction_group(&source->vcpu->stats));
    json_object_set_new(all, "time", time_group(source->vcpu->spent, wall));
    json_object_set_new(all, "interrupts_late", latency_group(&source->run->latency));
}

static json_t *trace_group(const struct tracing *tracing)
{
    struct tracing_stats stats = tracing_stats(tracing);
    json_t *group = json_object();

    put(group, "events", stats.ring.put);
    put(group, "waits", stats.ring.waits);
    put(group, "blocks", stats.file.blocks);
    put(group, "bytes", stats.file.bytes);
    return group;
}

json_t *stats_now(const struct stats_source *source, bool accounted)
{
    json_t *all = json_object(), *engine = json_object();
    const struct spent *spent = accounted ? source->vcpu->spent : NULL;
    uint64_t wall = wall_ns(source->run);

    json_object_set_new(all, "engine_name", json_string(source->engine->name));
    if (source->engine->about && source->vcpu->engine_state)
        json_object_set_new(all, "engine_host", json_string(source->engine->about(source->vcpu)));
    json_object_set_new(all, "end", json_string(source->end));
    put(all, "status", (uint64_t)source->status);
    json_object_set_new(all, "host", host_group(source->run, spent, wall));
    if (accounted)
        gather_accounts(all, source, wall);
    json_object_set_new(all, "cpu", cpu_group(&source->vcpu->stats));
    if (source->engine->stats && source->vcpu->engine_state)
        source->engine->stats(source->vcpu, put, engine);
    json_object_set_new(all, "engine", engine);
    json_object_set_new(all, "devices", stats_devices(source->machine));
    if (source->machine->tracing)
        json_object_set_new(all, "trace", trace_group(source->machine->tracing));
    if (accounted)
        json_object_set_new(all, "address_spaces", tenure_array(source, wall));
    return all;
}

static json_t *gather(const struct stats_source *source)
{
    return stats_now(source, true);
}

/* --- Text --------------------------------------------------------------------------- */

static void print_value(FILE *out, const char *name, const json_t *value)
{
    if (json_is_real(value))
        fprintf(out, "  %-24s %16.6f\n", name, json_real_value(value));
    else if (json_is_integer(value))
        fprintf(out, "  %-24s %16" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
    else if (json_is_string(value))
        fprintf(out, "  %-24s %16s\n", name, json_string_value(value));
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

static void print_instructions(FILE *out, const struct vcpu_stats *stats)
{
    uint64_t total = tier_total(stats);

    fprintf(out, " %-34s %16s\n", "instructions", "executed");
    for (size_t i = 0; i < TIER_COUNT; i++)
        fprintf(out, "  %-33s %16llu %6.2f %%\n", tiers[i].words,
                (unsigned long long)tier_count(stats, i),
                percent((double)tier_count(stats, i), (double)total));
}

static void print_time(FILE *out, const json_t *time, double wall)
{
    fprintf(out, " %-34s %16s %8s %12s %9s\n", "host time", "seconds", "", "times", "ns each");
    for (unsigned i = 0; i < SPENT_COUNT; i++) {
        const json_t *row = json_object_get(time, spent_name[i]);
        double seconds = json_real_value(json_object_get(row, "seconds"));
        long long times = json_integer_value(json_object_get(row, "times"));

        if (times)
            fprintf(out, "  %-33s %16.6f %6.2f %% %12lld %9.0f\n", spent_words[i], seconds,
                    percent(seconds, wall), times, seconds * NS_PER_SEC / (double)times);
    }
}

static double number(const json_t *row, const char *name)
{
    return json_real_value(json_object_get(row, name));
}

static void print_latency(FILE *out, const json_t *group)
{
    if (!json_object_size(group))
        return;
    fprintf(out, " %-34s %9s %9s %9s %9s %9s\n", "user code interrupted: due to taken", "times",
            "p50 us", "p90 us", "p99 us", "max us");
    for (unsigned i = 0; i < LATENCY_TIERS; i++) {
        const json_t *row = json_object_get(group, spent_name[i]);

        if (row)
            fprintf(out, "  %-33s %9lld %9.1f %9.1f %9.1f %9.1f\n", spent_words[i],
                    (long long)json_integer_value(json_object_get(row, "count")),
                    number(row, "p50_us"), number(row, "p90_us"), number(row, "p99_us"),
                    number(row, "max_us"));
    }
}

/* As "3 it computes with few traps, 2 its traps cost more than translation". */
static void print_why(FILE *out, json_t *why)
{
    const char *words, *comma = "  ";
    const json_t *times;

    json_object_foreach(why, words, times) {
        fprintf(out, "%s%lld %s", comma, (long long)json_integer_value(times), words);
        comma = ", ";
    }
    fputc('\n', out);
}

static void print_tenures(FILE *out, const json_t *array)
{
    const json_t *row;
    size_t i;

    if (!json_array_size(array))
        return;
    fprintf(out, " %-16s %10s %10s %10s %6s  %s\n", "address space", "tlb s", "window s",
            "direct s", "moves", "why it moved");
    json_array_foreach(array, i, row) {
        fprintf(out, "  %-15s %10.3f %10.3f %10.3f %6lld",
                json_string_value(json_object_get(row, "cr3")), number(row, "tlb"),
                number(row, "window"), number(row, "direct"),
                (long long)json_integer_value(json_object_get(row, "moves")));
        print_why(out, json_object_get(row, "why"));
    }
}

/* A value, or a device's. */
static void print_member(FILE *out, const char *name, const json_t *value)
{
    const json_t *inner;
    const char *inner_name;

    if (!json_is_object(value)) {
        print_value(out, name, value);
        return;
    }
    fprintf(out, "  %s\n", name);
    json_object_foreach((json_t *)value, inner_name, inner)
        print_value(out, inner_name, inner);
}

static void print_group(FILE *out, const char *group_name, const json_t *all,
                        const struct stats_source *source)
{
    json_t *group = json_object_get(all, group_name), *value;
    const json_t *wall = json_object_get(json_object_get(all, "host"), "wall_s");
    const char *name;

    if (!strcmp(group_name, "instructions")) {
        print_instructions(out, &source->vcpu->stats);
    } else if (!strcmp(group_name, "time")) {
        print_time(out, group, json_real_value(wall));
    } else if (!strcmp(group_name, "interrupts_late")) {
        print_latency(out, group);
    } else if (json_is_array(group)) {
        print_tenures(out, group);
    } else if (!json_is_object(group)) {
        print_value(out, group_name, group);
    } else if (json_object_size(group)) {
        fprintf(out, " %s\n", group_name);
        json_object_foreach(group, name, value)
            print_member(out, name, value);
    }
}

void stats_print(FILE *out, const struct stats_source *source)
{
    json_t *all = gather(source), *group;
    const char *name;

    fprintf(out, "novt: statistics\n");
    json_object_foreach(all, name, group)
        print_group(out, name, all, source);
    json_decref(all);
}

/* --- JSON ----------------------------------------------------------------------------- */

static int cannot_write(const char *path, int err, struct error *error)
{
    return error_set(error, err == ENOSPC || err == EIO ? EX_IOERR : EX_CANTCREAT,
                     "-stats-json: cannot write '%s': %s; name a file that can be written", path,
                     strerror(err));
}

/* The name of a new file beside path; the caller frees it. */
static char *temporary_name(const char *path)
{
    size_t size = strlen(path) + sizeof(".XXXXXX");
    char *name = malloc(size);

    if (name)
        snprintf(name, size, "%s.XXXXXX", path);
    return name;
}

/* A file that is there and is no plain file (a device, a pipe) is written in place. */
static bool in_place(const char *path)
{
    struct stat st;

    return !stat(path, &st) && !S_ISREG(st.st_mode);
}

int stats_check_json(const char *path, struct error *error)
{
    char *copy = strdup(path);
    struct stat st;
    int err = 0;

    if (!copy)
        return error_set(error, EX_OSERR, "-stats-json: no host memory; free some");
    if (!*path)
        err = ENOENT;
    else if (!stat(path, &st) && S_ISDIR(st.st_mode))
        err = EISDIR;
    else if (in_place(path))
        err = access(path, W_OK) ? errno : 0;
    else if (access(dirname(copy), W_OK | X_OK))
        err = errno;
    free(copy);
    return err ? cannot_write(path, err, error) : 0;
}

static int write_all(int fd, const char *text)
{
    size_t size = strlen(text);

    while (size) {
        ssize_t n = write(fd, text, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_in_place(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), err;

    if (fd < 0)
        return -errno;
    fcntl(fd, F_SETFL, 0);
    err = write_all(fd, text);
    return close(fd) && !err ? -errno : err;
}

static int write_beside(const char *path, const char *text)
{
    char *name = temporary_name(path);
    int fd = name ? mkstemp(name) : -1, err;

    if (fd < 0) {
        err = name ? -errno : -ENOMEM;
        free(name);
        return err;
    }
    err = fchmod(fd, 0644) ? -errno : write_all(fd, text);
    if (close(fd) && !err)
        err = -errno;
    if (!err && rename(name, path))
        err = -errno;
    if (err)
        unlink(name);
    free(name);
    return err;
}

int stats_write_json(const char *path, const struct stats_source *source, struct error *error)
{
    json_t *all = gather(source);
    char *text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    int err = -ENOMEM;

    if (text)
        err = in_place(path) ? write_in_place(path, text) : write_beside(path, text);

    free(text);
    json_decref(all);
    return err ? cannot_write(path, -err, error) : 0;
}
