/* Checksums, segments cut and joined, against straightforward computations. */
#include "net/segment.h"

#include <stdlib.h>

#include "base/inet_sum.h"
#include "tests/check.h"
#include "tests/unit/net_frames.h"

static void test_sums(void)
{
    uint8_t bytes[300];

    for (unsigned round = 0; round < 200; round++) {
        size_t size = (size_t)rand() % sizeof(bytes), cut = size / 4 * 2;
        uint16_t sum;

        for (size_t i = 0; i < size; i++)
            bytes[i] = round < 5 ? 0xff : rand() & 0xff;
        sum = inet_fold(inet_sum(0, bytes, size));
        CHECK_EQ(frame_get16((uint8_t *)&sum), frame_sum(0, bytes, size));
        sum = inet_fold(inet_sum(inet_sum(0, bytes, cut), bytes + cut, size - cut));
        CHECK_EQ(frame_get16((uint8_t *)&sum), frame_sum(0, bytes, size));
    }
}

static struct netdev_offload offload_of(const struct frame_tcp *t, unsigned segment)
{
    size_t header = frame_header(t);

    return (struct netdev_offload){
        .checksum = true,
        .sum_from = (uint16_t)(header - 20),
        .sum_at = (uint16_t)(header - 4),
        .segments = !segment ? NETDEV_WHOLE : t->v6 ? NETDEV_TCP6 : NETDEV_TCP4,
        .segment_size = (uint16_t)segment,
        .header_size = (uint16_t)header,
    };
}

struct cuts {
    struct frame_tcp t;  /* of the whole */
    size_t done, segment;
    unsigned n;
    struct joined joined;
    bool join;
};

static void cut(void *arg, const uint8_t *frame, size_t size)
{
    struct cuts *c = arg;
    size_t header = frame_header(&c->t), payload = size - header;
    bool last = c->done + payload == c->t.payload;
    const uint8_t *tcp = frame + header - 20;

    CHECK_EQ(payload, last ? c->t.payload - c->done : c->segment);
    CHECK_EQ(frame_is_right(frame, &c->t, size), true);
    CHECK_EQ(frame_get32(tcp + 4), (uint32_t)(c->t.sequence + c->done));
    CHECK_EQ(tcp[13], (last ? c->t.flags : c->t.flags & ~9) & (c->n ? ~0x80 : ~0));
    if (!c->t.v6)
        CHECK_EQ(frame_get16(frame + frame_ip(&c->t) + 4), 0x1234 + c->n);
    for (size_t i = 0; i < payload; i++)
        CHECK_EQ(frame[header + i], frame_byte(c->t.sequence + c->done + i));
    if (c->join && !c->n) {
        memcpy(c->joined.frame, frame, size);
        join_start(&c->joined, size);
    } else if (c->join) {
        CHECK_EQ(join_add(&c->joined, frame, size), true);
    }
    c->done += payload;
    c->n++;
}

/* A large segment is cut right, and joined again gives the same bytes. */
static void test_cut_and_join(struct frame_tcp t, unsigned segment)
{
    static uint8_t frame[NETDEV_FRAME_MAX], other[NETDEV_FRAME_MAX];
    size_t size = frame_make(frame, &t);
    struct netdev_offload offload = offload_of(&t, segment), again;
    struct cuts cuts = { .t = t, .segment = segment, .joined.frame = other,
                         .join = t.payload && !(t.flags & ~0x18) };

    frame_leave_sum(frame, &t);
    CHECK_EQ(segment_is_sane(frame, size, &offload), true);
    segment_cut(frame, size, &offload, cut, &cuts);
    CHECK_EQ(cuts.done, t.payload);
    CHECK_EQ(cuts.n, t.payload ? (t.payload + segment - 1) / segment : 1);
    if (!cuts.join || cuts.n == 1)
        return;
    again = join_end(&cuts.joined);
    CHECK_EQ(cuts.joined.size, size);
    CHECK_EQ(again.segment_size, segment);
    CHECK_EQ(again.segments, offload.segments);
    CHECK_EQ(memcmp(frame, other, size), 0);
    segment_finish(other, size, &again);
    CHECK_EQ(frame_is_right(other, &t, size), true);
}

static void test_all_cuts(void)
{
    static const size_t payloads[] = { 0, 1, 1459, 1460, 1461, 2920, 40000, 65491 };

    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < sizeof(payloads) / sizeof(*payloads); j++)
            for (unsigned flags = 0x10; flags <= 0x90; flags += flags < 0x19 ? 1 : 0x77)
                test_cut_and_join((struct frame_tcp){ i & 1, i & 2, 0xfffff000, (uint8_t)flags,
                                                      payloads[j] - (i & 1 && j == 7 ? 20 : 0) },
                                  j % 2 ? 1460 : 536);
}

/* What is not the next piece of the same stream is not joined. */
static void test_no_join(void)
{
    static uint8_t first[NETDEV_FRAME_MAX], next[NETDEV_FRAME_MAX];
    struct frame_tcp t = { .sequence = 1000, .flags = 0x10, .payload = 100 };
    struct joined j = { .frame = first };
    static const struct {
        unsigned at;
        uint8_t mask;
    } changes[] = { { 0, 4 }, { 15, 4 }, { 22, 1 }, { 27, 1 }, { 31, 1 }, { 35, 1 }, { 37, 1 },
                    { 41, 1 }, { 45, 1 }, { 47, 1 }, { 47, 2 }, { 47, 4 }, { 49, 1 }, { 53, 1 } };

    for (unsigned i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        t.sequence = 1000;
        join_start(&j, frame_make(first, &t));
        t.sequence = 1100;
        frame_make(next, &t);
        next[changes[i].at] ^= changes[i].mask;
        CHECK_EQ(join_add(&j, next, frame_header(&t) + 100), false);
        next[changes[i].at] ^= changes[i].mask;
        CHECK_EQ(join_add(&j, next, frame_header(&t) + 100), true);
    }
    t.sequence = 1200;
    t.payload = 50; /* the last, since smaller */
    CHECK_EQ(join_add(&j, next, frame_make(next, &t)), true);
    t.sequence = 1250;
    CHECK_EQ(join_add(&j, next, frame_make(next, &t)), false);
}

static void test_padding(void)
{
    static uint8_t first[NETDEV_FRAME_MAX], next[NETDEV_FRAME_MAX];
    struct frame_tcp t = { .sequence = 0, .flags = 0x10, .payload = 2 };
    struct joined j = { .frame = first };

    memset(first, 0xee, 60);
    frame_make(first, &t);
    join_start(&j, 60);
    t.sequence = 2;
    memset(next, 0xee, 60);
    frame_make(next, &t);
    CHECK_EQ(join_add(&j, next, 60), true);
    CHECK_EQ(j.size, 58);
    CHECK_EQ(first[57], frame_byte(3));
}

static void test_finish(void)
{
    static uint8_t frame[2000], right[2000];
    struct frame_tcp t = { .sequence = 7, .flags = 0x18, .payload = 1000 };
    struct netdev_offload offload = offload_of(&t, 0), zero = { .checksum = true, .sum_from = 14,
                                                                .sum_at = 20 };
    size_t size = frame_make(frame, &t);

    memcpy(right, frame, size);
    frame_leave_sum(frame, &t);
    CHECK_EQ(segment_is_sane(frame, size, &offload), true);
    segment_finish(frame, size, &offload);
    CHECK_EQ(memcmp(frame, right, size), 0);
    memset(frame, 0, 64); /* a sum that would be ffff is not stored as 0 */
    frame_put16(frame + 14, 0xffff);
    segment_finish(frame, 64, &zero);
    CHECK_EQ(frame_get16(frame + 20), 0xffff);
}

/* Numbers that a guest made up. */
static void test_sanity(void)
{
    static uint8_t frame[NETDEV_FRAME_MAX];
    struct frame_tcp t = { .flags = 0x10, .payload = 3000 };
    size_t size = frame_make(frame, &t);
    struct netdev_offload good = offload_of(&t, 1000), bad;

    CHECK_EQ(segment_is_sane(frame, size, &good), true);
    CHECK_EQ(segment_is_sane(frame, 13, &(struct netdev_offload){ 0 }), false);
#define BAD(field, value)                                                                          \
    do {                                                                                           \
        bad = good;                                                                                \
        bad.field = value;                                                                         \
        CHECK_EQ(segment_is_sane(frame, size, &bad), false);                                       \
    } while (0)
    BAD(checksum, false);
    BAD(sum_from, 13);
    BAD(sum_from, 35);
    BAD(sum_at, 33);
    BAD(sum_at, 65535);
    BAD(segment_size, 0);
    BAD(segments, NETDEV_TCP6);
    frame[17]--; /* the IP packet ends before the frame */
    CHECK_EQ(segment_is_sane(frame, size, &good), false);
    frame[17]++;
    frame[46] = 0xf0; /* a header of 60 bytes: there is room */
    CHECK_EQ(segment_is_sane(frame, size, &good), true);
    frame[46] = 0x40;
    CHECK_EQ(segment_is_sane(frame, size, &good), false);
    for (unsigned n = 0; n < 100000; n++) {
        struct netdev_offload o = { rand() & 1, (uint16_t)(rand() % 70), (uint16_t)(rand() % 70),
                                    false, (enum netdev_segments)(rand() % 3),
                                    (uint16_t)(rand() % 3), 0 };

        size = 14 + (size_t)rand() % 60;
        frame_make(frame, &(struct frame_tcp){ .v6 = rand() & 1, .payload = 10 });
        frame[rand() % 80] = rand() & 0xff;
        if (!segment_is_sane(frame, size, &o))
            continue;
        if (o.segments == NETDEV_WHOLE)
            segment_finish(frame, size, &o);
    }
}

int main(void)
{
    srand(1);
    test_sums();
    test_all_cuts();
    test_no_join();
    test_padding();
    test_finish();
    test_sanity();
    return CHECK_DONE();
}
