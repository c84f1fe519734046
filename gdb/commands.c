/*
 * The packets, by the table at the end. Reference: "Debugging with GDB", E.2 Packets, E.4 General
 * Query Packets, E.3 Stop Reply Packets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdb/memory.h"
#include "gdb/registers.h"
#include "gdb/stub_private.h"

/* errno, as gdb prints it */
#define E_INVALID "E16"
#define E_FAULT "E0e"
#define E_NOSPACE "E1c"

typedef void command_function(struct gdb_stub *stub, const char *args);

/* --- c, s, vCont -------------------------------------------------------------------------- */

/* c and s may say where; C and S begin with a signal, which means nothing to a CPU. */
static void go_from(struct gdb_stub *stub, const char *args, bool step, bool signal)
{
    uint64_t value;

    stub->range_from = stub->range_end = 0;
    if (signal && gdb_number(&args, &value) && *args == ';')
        args++;
    if (gdb_number(&args, &value))
        stub_cpu(stub)->rip = (uint32_t)value;
    stub_go(stub, step);
}

static void do_continue(struct gdb_stub *stub, const char *args)
{
    go_from(stub, args, false, false);
}

static void do_step(struct gdb_stub *stub, const char *args)
{
    go_from(stub, args, true, false);
}

static void do_continue_signal(struct gdb_stub *stub, const char *args)
{
    go_from(stub, args, false, true);
}

static void do_step_signal(struct gdb_stub *stub, const char *args)
{
    go_from(stub, args, true, true);
}

/* Is the thread named at text, "1", "-1" (all), "0" (any), the current CPU's? */
static bool names_current(const struct gdb_stub *stub, const char *text)
{
    uint64_t id;

    return *text == '-' || !gdb_number(&text, &id) || !id || id == stub->current + 1;
}

/* One action of vCont. False: it is none that we know. */
static bool act(struct gdb_stub *stub, const char *action)
{
    uint64_t from, end;
    const char *at = action + 1;

    switch (*action) {
    case 'c': case 'C': go_from(stub, "", false, false); return true;
    case 's': case 'S': go_from(stub, "", true, false); return true;
    case 'r':
        if (!gdb_number(&at, &from) || *at++ != ',' || !gdb_number(&at, &end))
            return false;
        stub->range_from = from;
        stub->range_end = end;
        stub_go(stub, true);
        return true;
    default: return false;
    }
}

/* vCont;ACTION[:THREAD]...: the first that is for the current CPU. */
static void do_vcont(struct gdb_stub *stub, const char *args)
{
    while (*args == ';') {
        const char *action = args + 1, *thread;

        args = action + strcspn(action, ";");
        thread = memchr(action, ':', (size_t)(args - action));
        if (thread && !names_current(stub, thread + 1))
            continue;
        if (!act(stub, action))
            stub_put(stub, E_INVALID);
        return;
    }
    stub_put(stub, E_INVALID);
}

static void do_vcont_query(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_put(stub, "vCont;c;C;s;S;r");
}

/* --- Registers ---------------------------------------------------------------------------- */

static void do_read_all(struct gdb_stub *stub, const char *args)
{
    uint8_t value[GDB_REGISTER_BYTES];
    const struct gdb_register *r;

    (void)args;
    for (unsigned i = 0; (r = gdb_register(stub_cpu(stub), i)); i++) {
        gdb_register_get(stub_cpu(stub), r, value);
        stub_put_hex(stub, value, r->bytes);
    }
}

/* Those that cannot be written stay; how many come is up to gdb. */
static void do_write_all(struct gdb_stub *stub, const char *args)
{
    uint8_t value[GDB_REGISTER_BYTES];
    const struct gdb_register *r;

    for (unsigned i = 0; *args && (r = gdb_register(stub_cpu(stub), i)); i++) {
        if (gdb_from_hex(value, args, r->bytes) != r->bytes) {
            stub_put(stub, E_INVALID);
            return;
        }
        gdb_register_set(stub_cpu(stub), r, value);
        args += 2 * r->bytes;
    }
    stub_put(stub, "OK");
}

static const struct gdb_register *named(const struct gdb_stub *stub, const char **args)
{
    uint64_t number;

    return gdb_number(args, &number) ? gdb_register(stub_cpu(stub), (unsigned)number) : NULL;
}

static void do_read_one(struct gdb_stub *stub, const char *args)
{
    const struct gdb_register *r = named(stub, &args);
    uint8_t value[GDB_REGISTER_BYTES];

    if (!r) {
        stub_put(stub, E_INVALID);
        return;
    }
    gdb_register_get(stub_cpu(stub), r, value);
    stub_put_hex(stub, value, r->bytes);
}

static void do_write_one(struct gdb_stub *stub, const char *args)
{
    const struct gdb_register *r = named(stub, &args);
    uint8_t value[GDB_REGISTER_BYTES];
    bool done = r && *args == '=' && gdb_from_hex(value, args + 1, r->bytes) == r->bytes &&
                gdb_register_set(stub_cpu(stub), r, value);

    stub_put(stub, done ? "OK" : E_INVALID);
}

/* --- Memory ------------------------------------------------------------------------------- */

/* ADDRESS,LENGTH; true, and *args behind it. */
static bool take_range(const char **args, uint64_t *address, uint64_t *size)
{
    return gdb_number(args, address) && *(*args)++ == ',' && gdb_number(args, size);
}

static void do_read_memory(struct gdb_stub *stub, const char *args)
{
    uint8_t bytes[GDB_PACKET_MAX / 2];
    uint64_t address, size;
    size_t done;

    if (!take_range(&args, &address, &size)) {
        stub_put(stub, E_INVALID);
        return;
    }
    size = size < sizeof(bytes) ? size : sizeof(bytes);
    done = gdb_memory_read(stub_cpu(stub), stub->physical, address, bytes, size);
    if (size && !done)
        stub_put(stub, E_FAULT);
    stub_put_hex(stub, bytes, done);
}

static void write_memory(struct gdb_stub *stub, uint64_t address, const void *bytes, size_t size)
{
    bool done = gdb_memory_write(stub_cpu(stub), stub->physical, address, bytes, size);

    stub_put(stub, done ? "OK" : E_FAULT);
}

static void do_write_memory(struct gdb_stub *stub, const char *args)
{
    uint8_t bytes[GDB_PACKET_MAX / 2];
    uint64_t address, size;

    if (!take_range(&args, &address, &size) || *args != ':' || size > sizeof(bytes) ||
        gdb_from_hex(bytes, args + 1, size) != size)
        stub_put(stub, E_INVALID);
    else
        write_memory(stub, address, bytes, size);
}

static void do_write_binary(struct gdb_stub *stub, const char *args)
{
    const char *end = stub->packet.data + stub->packet.size;
    uint64_t address, size;

    if (!take_range(&args, &address, &size) || *args++ != ':' || size > (uint64_t)(end - args))
        stub_put(stub, E_INVALID);
    else
        write_memory(stub, address, args, size);
}

/* --- Breakpoints -------------------------------------------------------------------------- */

/* TYPE,ADDRESS,KIND, in the order of enum stop_kind. */
static void change_stop(struct gdb_stub *stub, const char *args,
                        int (*change)(struct vcpu *vcpu, enum stop_kind kind, uint32_t gla,
                                      uint32_t size))
{
    uint64_t type, address, size;
    int err = -1;

    if (!gdb_number(&args, &type) || *args++ != ',' || !take_range(&args, &address, &size) ||
        type > STOP_ACCESS || address > UINT32_MAX || size > UINT32_MAX) {
        stub_put(stub, E_INVALID);
        return;
    }
    for (unsigned i = 0; i < stub->count; i++)
        err = change(stub->vcpus[i], (enum stop_kind)type, (uint32_t)address, (uint32_t)size);
    stub_put(stub, err ? E_NOSPACE : "OK");
}

static void do_insert(struct gdb_stub *stub, const char *args)
{
    change_stop(stub, args, stops_add);
}

static void do_remove(struct gdb_stub *stub, const char *args)
{
    change_stop(stub, args, stops_remove);
}

/* --- Threads ------------------------------------------------------------------------------ */

/* A CPU's number for a thread's id; false: there is none. */
static bool thread_at(const struct gdb_stub *stub, const char *text, unsigned *number)
{
    uint64_t id;

    if (!gdb_number(&text, &id) || !id || id > stub->count)
        return false;
    *number = (unsigned)id - 1;
    return true;
}

/* Hg: for registers and memory; Hc is what vCont has replaced. */
static void do_select(struct gdb_stub *stub, const char *args)
{
    unsigned number = stub->current;
    bool any = !strcmp(args + 1, "-1") || !strcmp(args + 1, "0");

    if ((*args != 'g' && *args != 'c') || (!any && !thread_at(stub, args + 1, &number))) {
        stub_put(stub, E_INVALID);
        return;
    }
    if (*args == 'g')
        stub->current = number;
    stub_put(stub, "OK");
}

static void do_is_alive(struct gdb_stub *stub, const char *args)
{
    unsigned number;

    stub_put(stub, thread_at(stub, args, &number) ? "OK" : E_INVALID);
}

static void do_first_threads(struct gdb_stub *stub, const char *args)
{
    (void)args;
    for (unsigned i = 0; i < stub->count; i++)
        stub_put(stub, "%c%x", i ? ',' : 'm', i + 1);
}

static void do_more_threads(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_put(stub, "l");
}

static void do_current_thread(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_put(stub, "QC%x", stub->current + 1);
}

static void do_thread_info(struct gdb_stub *stub, const char *args)
{
    unsigned number;
    char text[64];

    if (!thread_at(stub, args, &number)) {
        stub_put(stub, E_INVALID);
        return;
    }
    snprintf(text, sizeof(text), "CPU %u, CPL %u%s", number, stub->vcpus[number]->cpl,
             stub->vcpus[number]->halted ? ", halted" : "");
    stub_put_hex(stub, text, strlen(text));
}

/* --- Queries ------------------------------------------------------------------------------ */

static void do_supported(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_put(stub, "PacketSize=%x;qXfer:features:read+;swbreak+;hwbreak+;vContSupported+;"
              "QStartNoAckMode+", GDB_PACKET_MAX);
}

static void do_no_ack(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_send_text(stub, "OK");
    stub->no_ack = stub->silent = true;
}

/* target.xml:OFFSET,LENGTH */
static void do_description(struct gdb_stub *stub, const char *args)
{
    static const char name[] = "target.xml:";
    uint64_t offset, size, all;

    if (strncmp(args, name, sizeof(name) - 1)) {
        stub_put(stub, "E00");
        return;
    }
    args += sizeof(name) - 1;
    if (!take_range(&args, &offset, &size)) {
        stub_put(stub, E_INVALID);
        return;
    }
    if (!stub->description)
        stub->description = gdb_description(stub_cpu(stub));
    all = stub->description ? strlen(stub->description) : 0;
    if (offset > all)
        offset = all;
    if (size > GDB_PACKET_MAX - 1)
        size = GDB_PACKET_MAX - 1;
    stub_put(stub, "%c%.*s", offset + size < all ? 'm' : 'l',
        (int)(size < all - offset ? size : all - offset),
        stub->description ? stub->description + offset : "");
}

static void do_attached(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_put(stub, "1"); /* so that quit detaches */
}

static void do_why(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_put(stub, "%s", stub->stop_reply);
}

static void do_extended(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_put(stub, "OK");
}

/* qRcmd: in packets for the console, as many as it takes, and then the reply. */
static void do_monitor(struct gdb_stub *stub, const char *args)
{
    char words[GDB_PACKET_MAX / 2 + 1], *answer;
    size_t size = gdb_from_hex(words, args, sizeof(words) - 1), done = 0, left;

    words[size] = '\0';
    answer = stub->host.command(stub->host.arg, words);
    if (!answer) {
        stub_put(stub, "E0c");
        return;
    }
    while ((left = strlen(answer + done))) {
        size_t part = left < GDB_PACKET_MAX / 2 - 1 ? left : GDB_PACKET_MAX / 2 - 1;

        stub_put(stub, "O");
        stub_put_hex(stub, answer + done, part);
        stub_send(stub);
        done += part;
    }
    free(answer);
    stub_put(stub, "OK");
}

/* --- The end ------------------------------------------------------------------------------ */

static void do_detach(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub_send_text(stub, "OK");
    stub->silent = true;
    stub_clear_stops(stub);
    stub->host.leave(stub->host.arg, false);
}

static void do_kill(struct gdb_stub *stub, const char *args)
{
    (void)args;
    stub->silent = true;
    stub->host.leave(stub->host.arg, true);
}

static void do_vkill(struct gdb_stub *stub, const char *args)
{
    stub_send_text(stub, "OK");
    do_kill(stub, args);
}

/* --- The table ---------------------------------------------------------------------------- */

/* whole: nothing follows. */
static const struct command {
    const char *name;
    bool whole;
    command_function *function;
} commands[] = {
    { "?", true, do_why },
    { "!", true, do_extended },
    { "g", true, do_read_all },
    { "G", false, do_write_all },
    { "p", false, do_read_one },
    { "P", false, do_write_one },
    { "m", false, do_read_memory },
    { "M", false, do_write_memory },
    { "X", false, do_write_binary },
    { "c", false, do_continue },
    { "C", false, do_continue_signal },
    { "s", false, do_step },
    { "S", false, do_step_signal },
    { "vCont?", true, do_vcont_query },
    { "vCont", false, do_vcont },
    { "vKill", false, do_vkill },
    { "k", false, do_kill },
    { "D", false, do_detach },
    { "Z", false, do_insert },
    { "z", false, do_remove },
    { "H", false, do_select },
    { "T", false, do_is_alive },
    { "qC", true, do_current_thread },
    { "qfThreadInfo", true, do_first_threads },
    { "qsThreadInfo", true, do_more_threads },
    { "qThreadExtraInfo,", false, do_thread_info },
    { "qAttached", false, do_attached },
    { "qSupported", false, do_supported },
    { "QStartNoAckMode", true, do_no_ack },
    { "qXfer:features:read:", false, do_description },
    { "qRcmd,", false, do_monitor },
};

/* What is not in the table gets an empty reply: that is how gdb learns of it. */
void stub_command(struct gdb_stub *stub)
{
    const char *data = stub->packet.data;

    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        const struct command *c = &commands[i];
        size_t size = strlen(c->name);

        if (strncmp(data, c->name, size) || (c->whole && data[size]))
            continue;
        c->function(stub, data + size);
        return;
    }
}
