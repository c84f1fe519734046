/* Rows of buffers: see iov.h. */
#include "base/iov.h"

#include <stdbool.h>
#include <string.h>

static size_t copy(const struct iovec *iov, unsigned count, uint64_t at, uint8_t *bytes,
                   size_t size, bool to_row)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < size; i++) {
        size_t n = iov[i].iov_len;
        uint8_t *host = iov[i].iov_base;

        if (at >= n) {
            at -= n;
            continue;
        }
        n -= at;
        if (n > size - done)
            n = size - done;
        if (to_row)
            memcpy(host + at, bytes + done, n);
        else
            memcpy(bytes + done, host + at, n);
        done += n;
        at = 0;
    }
    return done;
}

size_t iov_read(const struct iovec *iov, unsigned count, uint64_t at, void *to, size_t size)
{
    return copy(iov, count, at, to, size, false);
}

size_t iov_write(const struct iovec *iov, unsigned count, uint64_t at, const void *from,
                 size_t size)
{
    return copy(iov, count, at, (uint8_t *)(uintptr_t)from, size, true);
}

unsigned iov_slice(const struct iovec *iov, unsigned count, uint64_t at, uint64_t size,
                   struct iovec *part, unsigned room)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count && size; i++) {
        uint64_t len = iov[i].iov_len;

        if (at >= len) {
            at -= len;
            continue;
        }
        if (n == room)
            return 0;
        len -= at;
        if (len > size)
            len = size;
        part[n++] = (struct iovec){ (uint8_t *)iov[i].iov_base + at, len };
        size -= len;
        at = 0;
    }
    return size ? 0 : n;
}
