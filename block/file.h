/* A host file: whole reads and writes, holes, locks that QEMU knows. Internal to block/. */
#ifndef BLOCK_FILE_H
#define BLOCK_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

struct disk_error;

struct file {
    int fd;
    bool writable;
    bool unsafe;  /* file_sync() does nothing */
    bool no_hole; /* punching was refused once */
    dev_t dev;
    ino_t ino;
};

/* A place in a row of buffers. */
struct cursor {
    const struct iovec *iov;
    unsigned count;
    uint64_t skip; /* bytes of iov[0] that are behind us */
};

/* On by size bytes, all of which the buffers must have. */
void cursor_skip(struct cursor *at, uint64_t size);
void cursor_fill_zero(struct cursor *at, uint64_t size); /* and goes on */
void cursor_copy_to(struct cursor *at, const void *from, uint64_t size);
void cursor_copy_from(struct cursor *at, void *to, uint64_t size);

/* Takes the lock that keeps a second writer out. 0, or -errno with *error. fd is closed then. */
int file_open(struct file *file, const char *path, bool writable, bool unlocked,
              struct disk_error *error);
int file_adopt(struct file *file, int fd, const char *path, bool writable, bool unlocked,
               struct disk_error *error);

/* An unlinked one in TMPDIR or /var/tmp. */
int file_temporary(struct file *file, struct disk_error *error);
void file_close(struct file *file);

/* In bytes, of block devices too; -errno. */
int64_t file_size(const struct file *file);

/* 0 or -errno. Beyond the end are zeros. */
int file_read(struct file *file, uint64_t offset, void *to, uint64_t size);
int file_readv(struct file *file, uint64_t offset, struct cursor *to, uint64_t size);

/* All of it if the host has it in memory, else false. */
bool file_read_now(struct file *file, uint64_t offset, struct cursor *to, uint64_t size);
int file_write(struct file *file, uint64_t offset, const void *from, uint64_t size);
int file_writev(struct file *file, uint64_t offset, struct cursor *from, uint64_t size);
int file_zero(struct file *file, uint64_t offset, uint64_t size);
int file_sync(struct file *file);

/* Gives the range back to the host; it reads as zeros then, or as before. */
void file_punch(struct file *file, uint64_t offset, uint64_t size);

/* Whether the range is a hole from its start on, and how far that holds. */
bool file_is_hole(struct file *file, uint64_t offset, uint64_t size, uint64_t *run);

#endif
