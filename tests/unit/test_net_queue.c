/* The queue between two threads: order, bytes, room, and one thread putting while another takes. */
#include "net/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"

enum { BYTES = 1 << 18, FRAMES = 50000 };

static size_t size_of(unsigned n)
{
    return n % 50 ? n * 37 % 3000 : NETDEV_FRAME_MAX - n % 1000;
}

static bool put(struct queue *q, unsigned n)
{
    uint8_t *room = queue_room(q, size_of(n) + 100); /* less may be put than was asked for */
    struct netdev_offload offload = { .segment_size = (uint16_t)n };

    if (!room)
        return false;
    memset(room, n & 0xff, size_of(n));
    queue_put(q, size_of(n), &offload);
    return true;
}

static bool take(struct queue *q, unsigned n)
{
    struct netdev_offload *offload;
    uint8_t *frame;
    size_t size;

    frame = queue_front(q, &size, &offload);
    if (!frame)
        return false;
    CHECK_EQ(size, size_of(n));
    CHECK_EQ(offload->segment_size, (uint16_t)n);
    if (size) {
        CHECK_EQ(frame[0], n & 0xff);
        CHECK_EQ(memcmp(frame, frame + 1, size - 1), 0);
    }
    queue_drop(q);
    return true;
}

static void test_room(void)
{
    struct queue *q = queue_create(BYTES);
    unsigned in = 0, out = 0;

    CHECK_EQ(queue_is_empty(q), true);
    for (unsigned round = 0; round < 1000; round++) {
        while (put(q, in))
            in++;
        CHECK_EQ(in - out >= 2, true);
        CHECK_EQ(queue_free(q) < NETDEV_FRAME_MAX + 200, true);
        CHECK_EQ(take(q, out++), true);
        if (round % 10 == 0)
            while (take(q, out))
                out++;
    }
    while (take(q, out))
        out++;
    CHECK_EQ(in, out);
    CHECK_EQ(queue_free(q) >= BYTES / 2 - 128, true);
    CHECK_EQ(queue_is_empty(q), true);
    queue_destroy(q);
}

/* From wherever it is empty, half of it can be filled without a taker. */
static void test_half(void)
{
    struct queue *q = queue_create(BYTES);
    struct netdev_offload *offload;
    size_t size;

    for (unsigned round = 0; round < 3000; round++) {
        unsigned n = 0;

        while (queue_room(q, 60)) {
            queue_put(q, 60, NULL);
            n++;
        }
        CHECK_EQ(n * 128 >= BYTES / 2, true);
        while (queue_front(q, &size, &offload))
            queue_drop(q);
        for (unsigned i = 0; i < round % 7; i++) {
            CHECK_EQ(queue_room(q, 60 + 1000 * i) != NULL, true);
            queue_put(q, 60 + 1000 * i, NULL);
            while (queue_front(q, &size, &offload))
                queue_drop(q);
        }
    }
    queue_destroy(q);
}

static void *putter(void *arg)
{
    for (unsigned n = 0; n < FRAMES; n++)
        while (!put(arg, n))
            sched_yield();
    return NULL;
}

static void test_threads(void)
{
    struct queue *q = queue_create(BYTES);
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, putter, q), 0);
    for (unsigned n = 0; n < FRAMES; n++)
        while (!take(q, n))
            sched_yield();
    pthread_join(thread, NULL);
    CHECK_EQ(queue_is_empty(q), true);
    queue_destroy(q);
}

int main(void)
{
    test_room();
    test_half();
    test_threads();
    return CHECK_DONE();
}
