/* The debug consoles' ports: what is written comes out; what is read says who is there. */
#include "devices/debugcon.h"

#include <errno.h>

#include "base/clock.h"
#include "devices/chardev.h"
#include "devices/outbuf.h"
#include "tests/unit/chip.h"

int main(void)
{
    static struct chardev_memory memory, other;
    struct clock host = { 0 };
    struct bus *bus = bus_create();
    struct debugcon_config config = { bus, 0xe9, &host, &memory.line, 0x402 };
    struct debugcon *con;

    chardev_memory_init(&memory);
    con = debugcon_create(&config);
    CHECK_EQ(in8(bus, 0xe9), 0xe9);
    CHECK_EQ(chardev_window(&memory.line), 0);
    for (const char *p = "hello"; *p; p++)
        out8(bus, 0xe9, *p);
    CHECK_EQ(memory.writes, 0);
    clock_advance(&host, OUTBUF_DELAY_NS);
    CHECK_EQ(memory.writes, 1);
    CHECK_EQ(memory.size, 5);
    CHECK_EQ(memory.text[4], 'o');
    memory.room = 0; /* a stalled host: the guest cannot be told, so all is kept */
    for (unsigned i = 0; i < 30000; i++)
        out8(bus, 0xe9, i);
    CHECK_EQ(memory.size, 5);
    for (unsigned i = 0; i < 30; i++) {
        memory.room = 1000;
        chardev_writable(&memory.line);
        out8(bus, 0xe9, 30000 + i); /* and stays in order */
    }
    memory.room = 1000;
    chardev_writable(&memory.line);
    CHECK_EQ(memory.size, 5 + 30030);
    for (unsigned i = 0; i < 30030; i++)
        if (memory.text[5 + i] != (i & 0xff)) {
            CHECK_EQ(memory.text[5 + i], i & 0xff);
            break;
        }
    CHECK_EQ(debugcon_create(&config) == NULL && errno == EEXIST, 1);
    memory.room = 10;
    out8(bus, 0xe9, '!');
    debugcon_flush(con);
    CHECK_EQ(memory.size, 5 + 30031);
    CHECK_EQ(in8(bus, 0x402), 0xe9);
    out8(bus, 0x402, '?');
    debugcon_flush(con);
    CHECK_EQ(memory.text[5 + 30031], '?');
    debugcon_destroy(con);

    bus_release(bus, 0xe9);
    bus_release(bus, 0x402);
    chardev_memory_init(&other);
    config.line = &other.line;
    con = debugcon_create(&config);
    out8(bus, 0xe9, 'x');
    debugcon_destroy(con);
    CHECK_EQ(host.pending == NULL, 1);
    bus_destroy(bus);
    return CHECK_DONE();
}
