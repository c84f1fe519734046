/*
 * What I/O costs, as benchmarks that time themselves and print "BENCH NAME SECONDS":
 *
 *   io disk NAME PATH read|write DEPTH COUNT FROM MIB
 *       COUNT requests of 4 KiB past the cache, DEPTH at a time, at random places in
 *       [FROM, FROM + MIB) MiB
 *   io tcp NAME PORT MIB
 *       to 10.0.2.2, until the other end has had all and closes
 *   io redraw NAME RESOURCE FRAMES
 *       pictures of 1024 x 768 x 32 copied into the frame buffer, which RESOURCE (the VGA's
 *       resource0 in sysfs) maps
 */
#include "rt.h"

enum {
    SYS_iopl = 110,
    SYS_io_setup = 245,
    SYS_io_getevents = 247,
    SYS_io_submit = 248,
    SYS_socket = 359,
    SYS_connect = 362,
    SYS_shutdown = 373,
};

enum { O_RDWR = 2, O_DIRECT = 0x4000, O_LARGEFILE = 0x8000, O_SYNC = 0x101000 };
enum { BLOCK = 4096, MIB = 1 << 20, DEPTH_MAX = 64 };

static long must(const char *what, long result)
{
    if (result < 0)
        rt_fail(what, result);
    return result;
}

/* --- Disks: the kernel's own asynchronous I/O ------------------------------------------------- */

struct request { /* struct iocb */
    uint64_t data;
    uint32_t key, rw_flags;
    uint16_t op;
    int16_t priority;
    uint32_t fd;
    uint64_t buffer, size, offset, reserved;
    uint32_t flags, event_fd;
};

struct event { /* struct io_event */
    uint64_t data, request;
    int64_t result, result2;
};

struct disk {
    unsigned long queue;
    unsigned first, blocks; /* of 4 KiB */
    unsigned seed;
    struct request request[DEPTH_MAX];
};

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void submit(struct disk *d, unsigned i)
{
    struct request *r = &d->request[i];

    r->offset = (uint64_t)(d->first + next_random(&d->seed) % d->blocks) * BLOCK;
    must("io_submit", sys3(SYS_io_submit, d->queue, 1, &r));
}

/* A request that is done is sent again, for another place, until count have been sent. */
static void keep_busy(struct disk *d, unsigned depth, unsigned count)
{
    struct event events[DEPTH_MAX];
    unsigned sent = 0, done = 0;

    while (sent < depth && sent < count)
        submit(d, sent++);
    while (done < count) {
        long n = must("io_getevents",
                      sys6(SYS_io_getevents, (long)d->queue, 1, DEPTH_MAX, (long)events, 0, 0));

        for (long i = 0; i < n; i++) {
            if (events[i].result != BLOCK)
                rt_fail("a request", (long)events[i].result);
            done++;
            if (sent < count) {
                submit(d, (unsigned)events[i].data);
                sent++;
            }
        }
    }
}

static void disk(char **argv) /* NAME PATH read|write DEPTH COUNT FROM MIB */
{
    static struct disk d = { .seed = 1 };
    unsigned depth = rt_parse(argv[3]);
    char *buffer = rt_map(DEPTH_MAX * BLOCK, PROT_READ | PROT_WRITE);
    long fd = must(argv[1], sys3(SYS_open, argv[1], O_RDWR | O_DIRECT | O_LARGEFILE, 0));
    struct rt_time start;

    depth = depth < DEPTH_MAX ? depth : DEPTH_MAX;
    must("io_setup", sys2(SYS_io_setup, DEPTH_MAX, &d.queue));
    d.first = rt_parse(argv[5]) * (MIB / BLOCK);
    d.blocks = rt_parse(argv[6]) * (MIB / BLOCK);
    for (unsigned i = 0; i < depth; i++)
        d.request[i] = (struct request){ .data = i, .op = argv[2][0] == 'w', .fd = (uint32_t)fd,
                                         .buffer = (uintptr_t)(buffer + i * BLOCK), .size = BLOCK };
    start = rt_now();
    keep_busy(&d, depth, rt_parse(argv[4]));
    rt_report(argv[0], start, rt_now());
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void tcp(char **argv) /* NAME PORT MIB */
{
    struct {
        uint16_t family, port;
        uint8_t host[4], zero[8];
    } to = { .family = 2, .host = { 10, 0, 2, 2 } };
    enum { CHUNK = 65536 };
    char *buffer = rt_map(CHUNK, PROT_READ | PROT_WRITE);
    long fd = must("socket", sys3(SYS_socket, 2, 1, 0));
    struct rt_time start;

    to.port = __builtin_bswap16((uint16_t)rt_parse(argv[1]));
    must("connect", sys3(SYS_connect, fd, &to, sizeof(to)));
    start = rt_now();
    for (unsigned left = rt_parse(argv[2]) * (MIB / CHUNK); left; left--)
        for (long at = 0; at < CHUNK;)
            at += must("write", sys3(SYS_write, fd, buffer + at, CHUNK - at));
    must("shutdown", sys2(SYS_shutdown, fd, 1));
    while (must("read", sys3(SYS_read, fd, buffer, CHUNK)))
        ;
    rt_report(argv[0], start, rt_now());
}

/* --- The screen ------------------------------------------------------------------------------- */

enum { WIDTH = 1024, HEIGHT = 768, FRAME = WIDTH * HEIGHT * 4 };
enum { VBE_WIDTH = 1, VBE_HEIGHT = 2, VBE_DEPTH = 3, VBE_ENABLE = 4 };
enum { VBE_ON = 0x41 }; /* with the linear frame buffer */

static void vbe(uint16_t reg, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(reg), "d"((uint16_t)0x1ce));
    __asm__ volatile("outw %0, %1" ::"a"(value), "d"((uint16_t)0x1cf));
}

static void copy(void *to, const void *from, unsigned words)
{
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words)::"memory");
}

static void redraw(char **argv) /* NAME RESOURCE FRAMES */
{
    uint32_t *picture = rt_map(2 * FRAME, PROT_READ | PROT_WRITE);
    long fd = must(argv[1], sys3(SYS_open, argv[1], O_RDWR | O_SYNC, 0));
    void *screen = rt_map_at(0, FRAME, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd);
    unsigned frames = rt_parse(argv[2]);
    struct rt_time start;

    must("iopl", sys1(SYS_iopl, 3));
    vbe(VBE_ENABLE, 0);
    vbe(VBE_WIDTH, WIDTH);
    vbe(VBE_HEIGHT, HEIGHT);
    vbe(VBE_DEPTH, 32);
    vbe(VBE_ENABLE, VBE_ON);
    for (unsigned i = 0; i < 2 * WIDTH * HEIGHT; i++)
        picture[i] = i * 2654435761u;
    copy(screen, picture, FRAME / 4);
    start = rt_now();
    for (unsigned n = 0; n < frames; n++)
        copy(screen, picture + (n % HEIGHT) * WIDTH, FRAME / 4);
    rt_report(argv[0], start, rt_now());
}

/* ---------------------------------------------------------------------------------------------- */

int rt_main(int argc, char **argv, char **envp)
{
    (void)envp;
    if (argc == 9 && rt_equal(argv[1], "disk"))
        disk(argv + 2);
    else if (argc == 5 && rt_equal(argv[1], "tcp"))
        tcp(argv + 2);
    else if (argc == 5 && rt_equal(argv[1], "redraw"))
        redraw(argv + 2);
    else
        rt_fail("usage", -64);
    return 0;
}
