/*
 * Who answers at an address.
 *
 * Windows are kept sorted by base. Port I/O is hot (a PC's kernels delay by
 * writing port 80h), so the first 64 Ki addresses are found by a table of
 * bytes: the window's number plus one, 0 where nobody answers. The table is
 * made when a window below 64 Ki is first claimed; windows above it are found
 * by bisection.
 */
#include "devices/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define TABLE_SIZE 0x10000u
#define WINDOW_MAX 255 /* a table entry is a byte */

struct window {
    uint64_t base, size;
    const struct bus_ops *ops;
    void *dev;
    unsigned max_size; /* of ops, which is further away */
};

struct bus {
    uint8_t *table;
    unsigned count;
    unsigned last;           /* the window found last, beyond the table */
    struct window windows[WINDOW_MAX];
};

/* --- Windows ------------------------------------------------------------ */

/* The first window whose last address is not below addr. */
static unsigned lower_bound(const struct bus *bus, uint64_t addr)
{
    unsigned low = 0, high = bus->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct window *w = &bus->windows[middle];

        if (w->base + (w->size - 1) < addr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Most accesses are to where the one before was. */
static inline const struct window *find(struct bus *bus, uint64_t addr)
{
    unsigned i = bus->last;

    if (addr < TABLE_SIZE) {
        i = bus->table ? bus->table[addr] : 0;
        return i ? &bus->windows[i - 1] : NULL;
    }
    if (i < bus->count && addr - bus->windows[i].base < bus->windows[i].size)
        return &bus->windows[i];
    bus->last = i = lower_bound(bus, addr);
    return i < bus->count && addr >= bus->windows[i].base ? &bus->windows[i] : NULL;
}

/* How many bytes from addr on have no window; 0: the first one has. */
static uint64_t unclaimed(const struct bus *bus, uint64_t addr)
{
    unsigned next = lower_bound(bus, addr);

    if (next == bus->count)
        return addr ? 0 - addr : UINT64_MAX;
    return bus->windows[next].base > addr ? bus->windows[next].base - addr : 0;
}

static void fill_table(struct bus *bus)
{
    if (!bus->table)
        return;
    memset(bus->table, 0, TABLE_SIZE);
    for (unsigned i = 0; i < bus->count; i++) {
        const struct window *w = &bus->windows[i];
        uint64_t left = w->base < TABLE_SIZE ? TABLE_SIZE - w->base : 0;

        if (left)
            memset(bus->table + w->base, (int)i + 1, w->size < left ? w->size : left);
    }
}

int bus_claim(struct bus *bus, uint64_t base, uint64_t size,
              const struct bus_ops *ops, void *dev)
{
    unsigned at = lower_bound(bus, base);

    if (!size || base + (size - 1) < base)
        return -EINVAL;
    if (at < bus->count && bus->windows[at].base <= base + (size - 1))
        return -EEXIST;
    if (bus->count == WINDOW_MAX)
        return -ENOSPC;
    if (base < TABLE_SIZE && !bus->table) {
        bus->table = calloc(TABLE_SIZE, 1);
        if (!bus->table)
            return -ENOMEM;
    }
    memmove(&bus->windows[at + 1], &bus->windows[at], (bus->count - at) * sizeof(*bus->windows));
    bus->windows[at] = (struct window){ base, size, ops, dev, ops->max_size };
    bus->count++;
    fill_table(bus);
    return 0;
}

void bus_release(struct bus *bus, uint64_t base)
{
    unsigned at = lower_bound(bus, base);

    if (at == bus->count || bus->windows[at].base != base)
        return;
    bus->count--;
    memmove(&bus->windows[at], &bus->windows[at + 1], (bus->count - at) * sizeof(*bus->windows));
    fill_table(bus);
}

/* --- Accesses ----------------------------------------------------------- */

static uint64_t ones(unsigned size)
{
    return ~0ull >> (64 - 8 * size);
}

static bool fits(const struct window *w, uint64_t offset, unsigned size)
{
    return size <= w->max_size && size <= w->size - offset;
}

/* Nobody there, or not for all of it, or an access that its window does not take whole. */
static uint64_t read_split(struct bus *bus, uint64_t addr, unsigned size)
{
    unsigned half = size / 2;
    uint64_t low;

    if (unclaimed(bus, addr) >= size) {
        if (log_on(LOG_guest_errors))
            log_print(LOG_guest_errors, "read of unclaimed address %#" PRIx64 ".%u\n", addr, size);
        return ones(size);
    }
    low = bus_read(bus, addr, half);
    return low | bus_read(bus, addr + half, half) << 8 * half;
}

static __attribute__((noinline)) uint64_t read_any(struct bus *bus, uint64_t addr, unsigned size)
{
    const struct window *w = find(bus, addr);
    uint64_t value;

    if (!w || !fits(w, addr - w->base, size))
        return read_split(bus, addr, size);
    value = w->ops->read(w->dev, addr - w->base, size) & ones(size);
    if (log_on(LOG_dev))
        log_print(LOG_dev, "%s: read %#" PRIx64 ".%u = %#" PRIx64 "\n", w->ops->name, addr, size,
                  value);
    return value;
}

static void write_split(struct bus *bus, uint64_t addr, unsigned size, uint64_t value)
{
    unsigned half = size / 2;

    if (unclaimed(bus, addr) >= size) {
        if (log_on(LOG_guest_errors))
            log_print(LOG_guest_errors, "write of unclaimed address %#" PRIx64 ".%u = %#" PRIx64
                      "\n", addr, size, value & ones(size));
        return;
    }
    bus_write(bus, addr, half, value);
    bus_write(bus, addr + half, half, value >> 8 * half);
}

static __attribute__((noinline)) void write_any(struct bus *bus, uint64_t addr, unsigned size,
                                                uint64_t value)
{
    const struct window *w = find(bus, addr);

    if (!w || !fits(w, addr - w->base, size)) {
        write_split(bus, addr, size, value);
        return;
    }
    if (log_on(LOG_dev))
        log_print(LOG_dev, "%s: write %#" PRIx64 ".%u = %#" PRIx64 "\n", w->ops->name, addr, size,
                  value & ones(size));
    w->ops->write(w->dev, addr - w->base, size, value & ones(size));
}

/* The window of a port, where nothing is to be looked at but the chip's answer. What else there
 * is costs a call and its registers. */
static inline const struct window *find_port(const struct bus *bus, uint64_t addr, unsigned size)
{
    unsigned i = addr < TABLE_SIZE && bus->table ? bus->table[addr] : 0;
    const struct window *w = i ? &bus->windows[i - 1] : NULL;

    return w && fits(w, addr - w->base, size) && !log_on(LOG_dev) ? w : NULL;
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned size)
{
    const struct window *w = find_port(bus, addr, size);

    if (__builtin_expect(!w, 0))
        return read_any(bus, addr, size);
    return w->ops->read(w->dev, addr - w->base, size) & ones(size);
}

void bus_write(struct bus *bus, uint64_t addr, unsigned size, uint64_t value)
{
    const struct window *w = find_port(bus, addr, size);

    if (__builtin_expect(!w, 0))
        write_any(bus, addr, size, value);
    else
        w->ops->write(w->dev, addr - w->base, size, value & ones(size));
}

/* Each access has a line of its own in the log. */
static const struct window *string_window(struct bus *bus, uint64_t addr, unsigned size)
{
    const struct window *w = log_on(LOG_dev) ? NULL : find(bus, addr);

    return w && fits(w, addr - w->base, size) ? w : NULL;
}

uint64_t bus_read_string(struct bus *bus, uint64_t addr, unsigned size, void *to, uint64_t count)
{
    const struct window *w = string_window(bus, addr, size);

    return w && w->ops->read_string ?
               w->ops->read_string(w->dev, addr - w->base, size, to, count) : 0;
}

uint64_t bus_write_string(struct bus *bus, uint64_t addr, unsigned size, const void *from,
                          uint64_t count)
{
    const struct window *w = string_window(bus, addr, size);

    return w && w->ops->write_string ?
               w->ops->write_string(w->dev, addr - w->base, size, from, count) : 0;
}

/* Of a run's elements, those that are in the window. */
static uint64_t inside(const struct window *w, uint64_t addr, unsigned size, uint64_t count)
{
    uint64_t fit = (w->size - (addr - w->base)) / size;

    return count < fit ? count : fit;
}

/* The same where nobody is: reads are ones, writes are lost. 0: there is somebody, or each access
 * has a line in the log. */
static uint64_t outside(const struct bus *bus, uint64_t addr, unsigned size, uint64_t count)
{
    uint64_t fit = log_on(LOG_guest_errors) ? 0 : unclaimed(bus, addr) / size;

    return count < fit ? count : fit;
}

uint64_t bus_read_run(struct bus *bus, uint64_t addr, unsigned size, void *to, uint64_t count)
{
    const struct window *w = string_window(bus, addr, size);
    uint64_t nobody = outside(bus, addr, size, count);

    if (nobody) {
        memset(to, 0xff, nobody * size);
        return nobody;
    }
    return w && w->ops->read_run ? w->ops->read_run(w->dev, addr - w->base, size, to,
                                                    inside(w, addr, size, count)) : 0;
}

uint64_t bus_write_run(struct bus *bus, uint64_t addr, unsigned size, const void *from, bool same,
                       uint64_t count)
{
    const struct window *w = string_window(bus, addr, size);
    uint64_t nobody = outside(bus, addr, size, count);

    if (nobody)
        return nobody;
    return w && w->ops->write_run ? w->ops->write_run(w->dev, addr - w->base, size, from, same,
                                                      inside(w, addr, size, count)) : 0;
}

/* In one window, or where nobody is. */
uint64_t bus_copy_run(struct bus *bus, uint64_t to, uint64_t from, unsigned size, uint64_t count)
{
    const struct window *w = string_window(bus, to, size);
    uint64_t nobody = outside(bus, from, size, outside(bus, to, size, count));

    if (nobody)
        return nobody;
    if (!w || !w->ops->copy_run || string_window(bus, from, size) != w)
        return 0;
    count = inside(w, from, size, inside(w, to, size, count));
    return w->ops->copy_run(w->dev, to - w->base, from - w->base, size, count);
}

/* --- Life --------------------------------------------------------------- */

struct bus *bus_create(void)
{
    return calloc(1, sizeof(struct bus));
}

void bus_destroy(struct bus *bus)
{
    free(bus->table);
    free(bus);
}
