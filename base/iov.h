/* Rows of buffers (struct iovec): parts of them, copies in and out. */
#ifndef BASE_IOV_H
#define BASE_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Copies [at, at + size) of the row, as far as there is any; returns how many bytes. */
size_t iov_read(const struct iovec *iov, unsigned count, uint64_t at, void *to, size_t size);
size_t iov_write(const struct iovec *iov, unsigned count, uint64_t at, const void *from,
                 size_t size);

/* The part [at, at + size) of the row, as a row in part, which has room for room buffers. Returns
 * how many; 0 when the part does not lie inside, is empty, or has more than room buffers. */
unsigned iov_slice(const struct iovec *iov, unsigned count, uint64_t at, uint64_t size,
                   struct iovec *part, unsigned room);

#endif
