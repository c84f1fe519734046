/* gdb's packets, the stub on a bare CPU, and -gdb. */
#include "cpu/stops.h"
#include "frontend/config_debug.h"
#include "frontend/error.h"
#include "gdb/packet.h"
#include "gdb/stub.h"
#include "tests/unit/cpu_machine.h"

#define CHECK(what) CHECK_EQ(!!(what), true)

/* --- Packets ---------------------------------------------------------------------------- */

static enum gdb_input take_all(struct gdb_packet *packet, const char *text)
{
    enum gdb_input last = GDB_NOTHING;

    for (; *text; text++)
        last = gdb_packet_take(packet, (uint8_t)*text);
    return last;
}

static void test_packets(void)
{
    static struct gdb_packet p;
    char out[GDB_PACKED(8)];

    CHECK_EQ(take_all(&p, "$OK#9a"), GDB_PACKET);
    CHECK(!strcmp(p.data, "OK") && p.size == 2);
    CHECK_EQ(take_all(&p, "$OK#9A"), GDB_PACKET);
    CHECK_EQ(take_all(&p, "$OK#9b"), GDB_BROKEN);
    CHECK_EQ(take_all(&p, "$OK#x"), GDB_BROKEN);
    CHECK_EQ(take_all(&p, "\3"), GDB_INTERRUPT);
    CHECK_EQ(take_all(&p, "+"), GDB_ACK);
    CHECK_EQ(take_all(&p, "-"), GDB_NAK);
    CHECK_EQ(take_all(&p, "$lost$OK#9a"), GDB_PACKET);
    CHECK(!strcmp(p.data, "OK"));
    CHECK_EQ(gdb_packet_make(out, "a#*", 3), 9);
    CHECK(!memcmp(out, "$a}\003}\n#", 7));
    out[9] = '\0';
    CHECK_EQ(take_all(&p, out), GDB_PACKET);
    CHECK(!strcmp(p.data, "a#*"));
}

static void test_long_packet(void)
{
    static struct gdb_packet p;

    gdb_packet_take(&p, '$');
    for (unsigned i = 0; i < GDB_PACKET_MAX + 100; i++)
        gdb_packet_take(&p, 0);
    CHECK_EQ(take_all(&p, "#00"), GDB_BROKEN);
    CHECK_EQ(take_all(&p, "$OK#9a"), GDB_PACKET);
}

/* --- The stub --------------------------------------------------------------------------- */

static char sent[65536];
static unsigned went, halted;

static void send_bytes(void *arg, const char *bytes, size_t size)
{
    (void)arg;
    strncat(sent, bytes, size);
}

static void go(void *arg)
{
    (void)arg;
    went++;
}

static void halt(void *arg)
{
    (void)arg;
    halted++;
}

static void leave(void *arg, bool kill)
{
    (void)arg;
    (void)kill;
}

static char *command(void *arg, const char *words)
{
    (void)arg;
    return strdup(words);
}

static const char *ask(struct gdb_stub *stub, const char *text)
{
    char packet[GDB_PACKED(200)];
    size_t size = gdb_packet_make(packet, text, strlen(text));

    *sent = '\0';
    gdb_stub_feed(stub, (const uint8_t *)packet, size);
    return sent;
}

static void test_stub(void)
{
    const struct gdb_host host = { NULL, send_bytes, go, halt, leave, command };
    struct machine m;
    struct gdb_stub *stub;
    struct vcpu *v;

    m_create(&m);
    v = m.vcpu;
    stub = gdb_stub_create(&host, &m.vcpu, 1);
    gdb_stub_connect(stub, GDB_SIGTRAP);
    CHECK(strstr(ask(stub, "?"), "+$T05thread:1;08:"));
    CHECK(strstr(ask(stub, "QStartNoAckMode"), "$OK#"));
    CHECK(strstr(ask(stub, "P0=78563412"), "$OK#9a") == sent);
    CHECK_EQ(v->gpr[RAX], 0x12345678);
    CHECK(strstr(ask(stub, "qRcmd,6869"), "$O6869#"));
    ask(stub, "Z0,10003,1");
    CHECK(stops_code_at(v->stops, 0x10003));
    CHECK(!*ask(stub, "c") && went == 1 && !v->stops->stepping);
    *sent = '\0';
    v->rip = 0x10003;
    CHECK(gdb_stub_stopped(stub, GDB_SIGTRAP) && strstr(sent, "swbreak:;"));
    ask(stub, "vCont;r10000,10010");
    CHECK(v->stops->stepping && went == 2);
    CHECK(!gdb_stub_stopped(stub, GDB_SIGTRAP) && went == 3);
    ask(stub, "\3");
    gdb_stub_feed(stub, (const uint8_t *)"\3", 1);
    CHECK_EQ(halted, 1);
    *sent = '\0';
    CHECK(gdb_stub_stopped(stub, GDB_SIGINT) && strstr(sent, "$T02"));
    gdb_stub_disconnect(stub);
    CHECK(!stops_code_at(v->stops, 0x10003));
    gdb_stub_destroy(stub);
    m_destroy(&m);
}

/* Whatever comes: commands with random arguments, most of them with meaning. */
static void test_garbage(void)
{
    static const char *const names[] = {
        "?", "g", "G", "p", "P", "m", "M", "X", "c", "s", "C", "vCont;", "vCont;r", "Z", "z", "H",
        "T", "qThreadExtraInfo,", "qXfer:features:read:target.xml:", "qRcmd,", "qSupported", "D",
    };
    static const char letters[] = "0123456789abcdef,,;:=-rsc";
    const struct gdb_host host = { NULL, send_bytes, go, halt, leave, command };
    struct gdb_stub *stub;
    struct machine m;

    m_create(&m);
    m_protected(&m, 0);
    stub = gdb_stub_create(&host, &m.vcpu, 1);
    gdb_stub_connect(stub, GDB_SIGTRAP);
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        char text[64];
        size_t size;

        snprintf(text, sizeof(text), "%s",
                 names[(size_t)rand() % (sizeof(names) / sizeof(*names))]);
        size = strlen(text);
        for (unsigned n = (unsigned)rand() % 24; n && size + 1 < sizeof(text); n--)
            text[size++] = letters[(size_t)rand() % (sizeof(letters) - 1)];
        text[size] = '\0';
        ask(stub, text);
        CHECK(strlen(sent) < sizeof(sent) - 1);
        stops_apply(m.vcpu);
        if (gdb_stub_is_running(stub))
            gdb_stub_stopped(stub, rand() % 2 ? GDB_SIGTRAP : GDB_SIGINT);
        if (gdb_stub_is_running(stub))
            gdb_stub_stopped(stub, GDB_SIGINT);
    }
    gdb_stub_disconnect(stub);
    gdb_stub_destroy(stub);
    m_destroy(&m);
}

/* --- Stops ------------------------------------------------------------------------------ */

static void test_stops(void)
{
    struct machine m;
    struct vcpu *v;

    m_create(&m);
    v = m.vcpu;
    CHECK_EQ(stops_create(v), 0);
    for (uint32_t i = 0; i < STOPS_CODE_MAX; i++)
        CHECK_EQ(stops_add(v, STOP_CODE, i * 0x9e3779b1u, 0), 0);
    CHECK(stops_add(v, STOP_CODE, 2, 0) < 0);
    CHECK_EQ(stops_add(v, STOP_CODE_HARD, 0, 0), 0);
    for (unsigned i = 1; i < STOPS_CODE_MAX; i++)
        CHECK(v->stops->code[i - 1].gla < v->stops->code[i].gla);
    CHECK(stops_code_in(v->stops, 0x9e3779b0, 2) && !stops_code_in(v->stops, 0x9e3779b0, 1));
    stops_remove(v, STOP_CODE, 0, 0);
    CHECK(stops_code_at(v->stops, 0));
    stops_clear(v);
    CHECK(stops_add(v, STOP_WRITE, 0xffffffff, 2) < 0);
    CHECK_EQ(stops_add(v, STOP_WRITE, 0x18ffe, 4), 0);
    CHECK(stops_data_page(v, 0x18000) && stops_data_page(v, 0x19fff));
    CHECK(!stops_data_page(v, 0x1a000) && !stops_data_page(v, 0x17fff));
    stops_data_access(v, 0x18ffc, 4, false);
    stops_data_access(v, 0x19002, 4, true);
    CHECK(!stops_hit(v));
    stops_data_access(v, 0x18ffc, 4, true);
    CHECK(stops_hit(v) && v->exit_request && v->stops->touched_gla == 0x18ffe);
    m_destroy(&m);
}

/* --- -gdb ------------------------------------------------------------------------------- */

static void test_option(void)
{
    static const char *const wrong[] = { "1234", "tcp:1234", "tcp::0", "tcp::65536", "tcp::x",
                                         "tcp:a:", "", "stdio" };
    struct debug_spec spec = { .stopped = true };
    struct error error = { 0 };

    CHECK_EQ(config_debug_take(&spec, "tcp::1234,server=on,wait=off", &error), 0);
    CHECK(spec.given && spec.stopped && !*spec.place.host && !strcmp(spec.place.port, "1234"));
    CHECK_EQ(config_debug_take(&spec, "tcp:[::1]:99", &error), 0);
    CHECK(!strcmp(spec.place.host, "::1") && !strcmp(spec.place.port, "99"));
    CHECK_EQ(config_debug_take(&spec, "unix:/a:b", &error), 0);
    CHECK(!strcmp(spec.path, "/a:b"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        error.status = 0;
        CHECK_EQ(config_debug_take(&spec, wrong[i], &error), -1);
        CHECK(strstr(error.text, "unix:PATH"));
    }
    CHECK_EQ(config_debug_take(&spec, "none", &error), 0);
    error.status = 0;
    CHECK(config_debug_check(&spec, false, &error) && !config_debug_check(&spec, true, &error));
}

int main(void)
{
    test_packets();
    test_long_packet();
    test_stub();
    test_garbage();
    test_stops();
    test_option();
    return CHECK_DONE();
}
