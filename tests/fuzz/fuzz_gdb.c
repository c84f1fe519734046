/*
 * gdb's packets: the input is what a client sends, with sums made right at '#', to the stub of a
 * CPU with some memory. When it lets the CPU go on, that takes a step or two.
 */
#include <stdlib.h>
#include <string.h>

#include "base/kill.h"
#include "cpu/mem.h"
#include "cpu/stops.h"
#include "cpu/vcpu.h"
#include "gdb/stub.h"
#include "tests/fuzz/fuzz.h"

enum { RAM = 1 << 20, OUT_LIMIT = 1 << 22 };

struct world {
    struct physmem mem;
    struct vm_stop stop;
    struct vcpu *vcpu;
    struct gdb_stub *stub;
    size_t out;
    bool left;
};

static void send_bytes(void *arg, const char *bytes, size_t size)
{
    struct world *w = arg;
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++) /* the sanitizers look */
        sum = (uint8_t)(sum + (uint8_t)bytes[i]);
    w->out += size + (sum & 0);
    if (w->out > OUT_LIMIT)
        abort();
}

static void nothing(void *arg)
{
    (void)arg;
}

static void leave(void *arg, bool kill)
{
    (void)kill;
    ((struct world *)arg)->left = true;
}

static char *command(void *arg, const char *words)
{
    (void)arg;
    return strdup(words);
}

static void begin(struct world *w)
{
    const struct gdb_host host = { w, send_bytes, nothing, nothing, leave, command };

    memset(w, 0, sizeof(*w));
    if (physmem_init(&w->mem, RAM))
        abort();
    w->vcpu = vcpu_create();
    w->vcpu->mem = &w->mem;
    w->vcpu->stop = &w->stop;
    if (mem_create(w->vcpu))
        abort();
    vcpu_reset(w->vcpu);
    w->stub = gdb_stub_create(&host, &w->vcpu, 1);
    gdb_stub_connect(w->stub, GDB_SIGTRAP);
}

static void end(struct world *w)
{
    gdb_stub_disconnect(w->stub);
    gdb_stub_destroy(w->stub);
    mem_destroy(w->vcpu);
    vcpu_destroy(w->vcpu);
    physmem_destroy(&w->mem);
}

/* A '#' of the input ends a packet with its sum. */
static void feed(struct world *w, uint8_t byte, uint8_t *sum)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t tail[3] = { '#', (uint8_t)digits[*sum >> 4], (uint8_t)digits[*sum & 15] };

    if (byte == '#') {
        gdb_stub_feed(w->stub, tail, sizeof(tail));
        return;
    }
    *sum = byte == '$' ? 0 : (uint8_t)(*sum + byte);
    gdb_stub_feed(w->stub, &byte, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    uint8_t sum = 0;

    begin(&w);
    for (size_t i = 0; i < size && !w.left; i++) {
        feed(&w, data[i], &sum);
        for (unsigned n = 0; n < 2 && gdb_stub_is_running(w.stub); n++) {
            stops_apply(w.vcpu);
            w.vcpu->rip++;
            gdb_stub_stopped(w.stub, GDB_SIGTRAP);
        }
        if (gdb_stub_is_running(w.stub))
            gdb_stub_stopped(w.stub, GDB_SIGINT);
    }
    end(&w);
    return 0;
}
