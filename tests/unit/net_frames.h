/* Frames for the tests of networks, made and checked byte by byte, without the code under test. */
#ifndef TESTS_UNIT_NET_FRAMES_H
#define TESTS_UNIT_NET_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { FRAME_TCP4 = 54, FRAME_TCP6 = 74, FRAME_VLAN = 4 };

/* RFC 1071 as it is written, over bytes. */
static inline uint32_t frame_sum(uint32_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static inline void frame_put16(uint8_t *at, unsigned value)
{
    at[0] = value >> 8 & 0xff;
    at[1] = value & 0xff;
}

static inline void frame_put32(uint8_t *at, uint32_t value)
{
    frame_put16(at, value >> 16);
    frame_put16(at + 2, value & 0xffff);
}

static inline unsigned frame_get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static inline uint32_t frame_get32(const uint8_t *at)
{
    return (uint32_t)frame_get16(at) << 16 | frame_get16(at + 2);
}

struct frame_tcp {
    bool v6, vlan;
    uint32_t sequence;
    uint8_t flags;
    size_t payload;
};

static inline size_t frame_ip(const struct frame_tcp *t)
{
    return 14 + (t->vlan ? FRAME_VLAN : 0);
}

static inline size_t frame_header(const struct frame_tcp *t)
{
    return (t->v6 ? FRAME_TCP6 : FRAME_TCP4) + (t->vlan ? FRAME_VLAN : 0);
}

/* The sum of the pseudo-header for so many bytes of TCP. */
static inline uint32_t frame_pseudo(const uint8_t *frame, const struct frame_tcp *t, size_t length)
{
    const uint8_t *ip = frame + frame_ip(t);
    uint8_t tail[4] = { 0, 6 };

    frame_put16(tail + 2, (unsigned)length);
    return frame_sum(frame_sum(0, t->v6 ? ip + 8 : ip + 12, t->v6 ? 32 : 8), tail, 4);
}

static inline uint8_t frame_byte(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 8) * 13 + 1);
}

/* A whole segment, with right sums; payload byte i is frame_byte(sequence + i). Its size. */
static inline size_t frame_make(uint8_t *frame, const struct frame_tcp *t)
{
    static const uint8_t macs[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
    uint8_t *ip = frame + frame_ip(t), *tcp = ip + (t->v6 ? 40 : 20);
    size_t length = 20 + t->payload;

    memset(frame, 0, frame_header(t));
    memcpy(frame, macs, sizeof(macs));
    frame_put16(frame + 12, 0x8100);
    frame_put16(frame + 14, 5);
    frame_put16(ip - 2, t->v6 ? 0x86dd : 0x0800);
    if (t->v6) {
        ip[0] = 0x60;
        frame_put16(ip + 4, (unsigned)length);
        ip[6] = 6;
        ip[7] = 64;
        for (unsigned i = 8; i < 40; i++)
            ip[i] = (uint8_t)(i * 11);
    } else {
        ip[0] = 0x45;
        frame_put16(ip + 2, (unsigned)(length + 20));
        frame_put16(ip + 4, 0x1234);
        ip[8] = 64;
        ip[9] = 6;
        frame_put32(ip + 12, 0x0a00020f);
        frame_put32(ip + 16, 0x0a000202);
        frame_put16(ip + 10, ~frame_sum(0, ip, 20));
    }
    frame_put16(tcp, 1000);
    frame_put16(tcp + 2, 80);
    frame_put32(tcp + 4, t->sequence);
    frame_put32(tcp + 8, 99);
    tcp[12] = 0x50;
    tcp[13] = t->flags;
    frame_put16(tcp + 14, 4096);
    for (size_t i = 0; i < t->payload; i++)
        tcp[20 + i] = frame_byte(t->sequence + i);
    frame_put16(tcp + 16, ~frame_sum(frame_pseudo(frame, t, length), tcp, length));
    return frame_header(t) + t->payload;
}

/* Leaves the TCP checksum to be done: the pseudo-header's sum is in its place. */
static inline void frame_leave_sum(uint8_t *frame, const struct frame_tcp *t)
{
    uint8_t *tcp = frame + frame_header(t) - 20;

    frame_put16(tcp + 16, frame_pseudo(frame, t, 20 + t->payload));
}

/* Whether both sums are right. */
static inline bool frame_is_right(const uint8_t *frame, const struct frame_tcp *t, size_t size)
{
    const uint8_t *ip = frame + frame_ip(t);
    size_t tcp = frame_header(t) - 20;

    if (!t->v6 && frame_sum(0, ip, 20) != 0xffff)
        return false;
    return frame_sum(frame_pseudo(frame, t, size - tcp), frame + tcp, size - tcp) == 0xffff;
}

#endif
