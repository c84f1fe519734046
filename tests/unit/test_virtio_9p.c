/* The 9P transport with a server that answers when the test says so. */
#include "devices/virtio_9p.h"

#include "devices/sharedev.h"
#include "tests/unit/virtio_driver.h"

enum { SIZE = 128 };

struct server {
    struct sharedev dev;
    struct share_request *waiting[SIZE];
    unsigned count, resets;
};

/* Turns the message around. */
static void answer(struct server *s, unsigned i)
{
    struct share_request *r = s->waiting[i];
    uint8_t bytes[256];
    size_t n = iov_read(r->out, r->out_count, 0, bytes, sizeof(bytes));

    s->waiting[i] = s->waiting[--s->count];
    for (size_t k = 0; k < n; k++)
        bytes[k] ^= 0xff;
    r->done(r->arg, r, (uint32_t)iov_write(r->in, r->in_count, 0, bytes, n));
}

static void submit(void *server, struct share_request *r)
{
    struct server *s = server;

    s->waiting[s->count++] = r;
}

static void reset(void *server)
{
    struct server *s = server;

    while (s->count)
        answer(s, 0);
    s->resets++;
}

struct bench {
    struct driver d;
    struct server s;
    struct virtio_9p *p9;
    uint64_t out, in;
};

static void start(struct bench *b)
{
    CHECK_EQ(driver_negotiate(&b->d, 1), true);
    driver_queue(&b->d, 0, SIZE);
    driver_go(&b->d);
}

static void open_bench(struct bench *b, bool legacy)
{
    driver_open(&b->d, legacy);
    b->s = (struct server){ .dev = { .submit = submit, .reset = reset, .server = &b->s,
                                     .tag = "work" } };
    b->p9 = virtio_9p_create(&(struct virtio_9p_config){
        b->d.pci, DRIVER_SLOT, VIRTIO_PCI_TRANSITIONAL, &b->d.mem, &b->s.dev });
    driver_probe(&b->d);
    start(b);
    b->out = driver_alloc(&b->d, 64, 16);
    b->in = driver_alloc(&b->d, 64, 16);
}

static void close_bench(struct bench *b)
{
    virtio_9p_destroy(b->p9);
    driver_close(&b->d);
}

static uint16_t put(struct bench *b, unsigned i)
{
    struct driver_buffer chain[] = { { b->out + i, 1, false }, { b->in + i, 1, true } };
    uint16_t head = driver_add(&b->d, 0, chain, 2);

    *driver_ptr(&b->d, b->out + i) = (uint8_t)i;
    driver_notify(&b->d, 0);
    return head;
}

static void test_messages(bool legacy)
{
    static struct bench b;
    uint16_t first, second;
    uint32_t len;

    open_bench(&b, legacy);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 0), 2), 4);
    CHECK_EQ(driver_read(&b.d, driver_config_at(&b.d, 2), 4), 0x6b726f77); /* "work" */
    first = put(&b, 1);
    second = put(&b, 2);
    CHECK_EQ(b.s.count, 2);
    CHECK_EQ(driver_used(&b.d, 0, NULL), -1);
    answer(&b.s, 1);
    CHECK_EQ(driver_used(&b.d, 0, &len), second);
    CHECK_EQ(len, 1);
    answer(&b.s, 0);
    CHECK_EQ(driver_used(&b.d, 0, NULL), first);
    CHECK_EQ(*driver_ptr(&b.d, b.in + 1), 0xfe);
    CHECK_EQ(*driver_ptr(&b.d, b.in + 2), 0xfd);
    CHECK_EQ(b.d.pin, true);
    close_bench(&b);
}

/* What is in flight is waited for, and the server forgets the guest. */
static void test_reset(void)
{
    static struct bench b;

    open_bench(&b, false);
    put(&b, 1);
    put(&b, 2);
    driver_set_status(&b.d, 0);
    CHECK_EQ(b.s.count, 0);
    CHECK_EQ(driver_status(&b.d), 0);
    CHECK_EQ(driver_used(&b.d, 0, NULL), -1);
    start(&b);
    put(&b, 3);
    answer(&b.s, 0);
    CHECK_EQ(driver_used(&b.d, 0, NULL), 0);
    close_bench(&b);
}

static void test_no_answer(void)
{
    static struct bench b;

    open_bench(&b, false);
    driver_add(&b.d, 0, &(struct driver_buffer){ b.out, 1, false }, 1); /* no room */
    driver_notify(&b.d, 0);
    answer(&b.s, 0);
    CHECK_EQ(driver_status(&b.d), 0x4f);
    put(&b, 1);
    CHECK_EQ(b.s.count, 0);
    close_bench(&b);
}

int main(void)
{
    test_messages(false);
    test_messages(true);
    test_reset();
    test_no_answer();
    return CHECK_DONE();
}
