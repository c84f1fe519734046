/*
 * Numbers, strings and names in 9P messages. Reading past the end gives zeros and sets bad; writing
 * past the room is dropped and sets full. Internal to share/.
 */
#ifndef SHARE_P9_WIRE_H
#define SHARE_P9_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { P9_NAME_MAX = 255 };

struct p9_in {
    const uint8_t *bytes;
    uint32_t size, at;
    bool bad;
};

struct p9_out {
    uint8_t *bytes;
    uint32_t room, size;
    bool full;
};

/* What identifies a file towards the guest. */
struct p9_qid {
    uint8_t type;
    uint32_t version;
    uint64_t path;
};

enum { P9_QID_DIRECTORY = 0x80, P9_QID_SYMLINK = 0x02, P9_QID_SIZE = 13 };

static inline uint64_t p9_get(struct p9_in *in, unsigned size)
{
    uint64_t value = 0;

    if (size > in->size - in->at) {
        in->bad = true;
        return 0;
    }
    memcpy(&value, in->bytes + in->at, size);
    in->at += size;
    return value;
}

static inline uint8_t p9_get8(struct p9_in *in)
{
    return (uint8_t)p9_get(in, 1);
}

static inline uint16_t p9_get16(struct p9_in *in)
{
    return (uint16_t)p9_get(in, 2);
}

static inline uint32_t p9_get32(struct p9_in *in)
{
    return (uint32_t)p9_get(in, 4);
}

static inline uint64_t p9_get64(struct p9_in *in)
{
    return p9_get(in, 8);
}

/* A string of at most max bytes, with a 0 behind it. One with a 0 in it is bad. */
static inline void p9_get_string(struct p9_in *in, char *to, uint32_t max)
{
    uint32_t len = p9_get16(in);

    *to = 0;
    if (in->bad || len > max || len > in->size - in->at || memchr(in->bytes + in->at, 0, len)) {
        in->bad = true;
        return;
    }
    memcpy(to, in->bytes + in->at, len);
    to[len] = 0;
    in->at += len;
}

static inline void p9_put_bytes(struct p9_out *out, const void *from, uint32_t size)
{
    if (size > out->room - out->size) {
        out->full = true;
        return;
    }
    memcpy(out->bytes + out->size, from, size);
    out->size += size;
}

static inline void p9_put(struct p9_out *out, unsigned size, uint64_t value)
{
    p9_put_bytes(out, &value, size);
}

static inline void p9_put_string(struct p9_out *out, const char *text, uint32_t len)
{
    p9_put(out, 2, len);
    p9_put_bytes(out, text, len);
}

static inline void p9_put_qid(struct p9_out *out, const struct p9_qid *qid)
{
    p9_put(out, 1, qid->type);
    p9_put(out, 4, qid->version);
    p9_put(out, 8, qid->path);
}

#endif
