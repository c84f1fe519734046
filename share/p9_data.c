/*
 * 9P messages about what is in files and directories, and about their attributes: see p9.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/iov.h"
#include "devices/sharedev.h"
#include "share/p9_host.h"
#include "share/p9_server.h"

enum {
    SET_MODE = 1, SET_UID = 2, SET_GID = 4, SET_SIZE = 8, SET_ATIME = 0x10, SET_MTIME = 0x20,
    SET_ATIME_TO = 0x80, SET_MTIME_TO = 0x100,
};

#define GETATTR_BASIC 0x7ffull

enum { LOCK_SUCCESS, LOCK_BLOCKED, LOCK_ERROR };

#define MODE_BITS 01777 /* S_ISUID and S_ISGID stay in the guest */

/* What readdir() is made of: the kernel's own. */
struct entry {
    uint64_t ino;
    int64_t next;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* --- Attributes --------------------------------------------------------- */

static void put_time(struct p9_out *out, const struct timespec *time)
{
    p9_put(out, 8, (uint64_t)time->tv_sec);
    p9_put(out, 8, (uint64_t)time->tv_nsec);
}

int p9_do_getattr(struct p9 *p9)
{
    struct p9_out *out = &p9->out;
    struct p9_qid qid;
    struct p9_fid *fid;
    struct stat st;
    int err = p9_get_fid(p9, &fid);

    if (err || (err = p9_stat_fid(p9, fid, &st)))
        return err;
    qid = p9_qid_of(p9, &st);
    p9_put(out, 8, GETATTR_BASIC);
    p9_put_qid(out, &qid);
    p9_put(out, 4, st.st_mode);
    p9_put(out, 4, st.st_uid);
    p9_put(out, 4, st.st_gid);
    p9_put(out, 8, st.st_nlink);
    p9_put(out, 8, st.st_rdev);
    p9_put(out, 8, (uint64_t)st.st_size);
    p9_put(out, 8, (uint64_t)st.st_blksize);
    p9_put(out, 8, (uint64_t)st.st_blocks);
    put_time(out, &st.st_atim);
    put_time(out, &st.st_mtim);
    put_time(out, &st.st_ctim);
    put_time(out, &(struct timespec){ 0, 0 }); /* birth, generation, data version: not known */
    p9_put(out, 8, 0);
    p9_put(out, 8, 0);
    return 0;
}

struct attributes {
    uint32_t valid, mode, uid, gid;
    uint64_t size;
    struct timespec times[2];
};

static void get_time(struct p9_in *in, struct timespec *time, bool set, bool to)
{
    time->tv_sec = (time_t)p9_get64(in);
    time->tv_nsec = (long)p9_get64(in);
    if (!set || !to)
        time->tv_nsec = set ? UTIME_NOW : UTIME_OMIT;
}

static int get_attributes(struct p9_in *in, struct attributes *a)
{
    a->valid = p9_get32(in);
    a->mode = p9_get32(in);
    a->uid = p9_get32(in);
    a->gid = p9_get32(in);
    a->size = p9_get64(in);
    get_time(in, &a->times[0], a->valid & SET_ATIME, a->valid & SET_ATIME_TO);
    get_time(in, &a->times[1], a->valid & SET_MTIME, a->valid & SET_MTIME_TO);
    return in->bad || a->size > INT64_MAX ? -EINVAL : 0;
}

static int set_size(struct p9 *p9, const struct p9_fid *fid, uint64_t size)
{
    bool directory;
    int fd, err;

    if (fid->fd >= 0 && !ftruncate(fid->fd, (off_t)size))
        return 0;
    err = p9_node_path(fid->node, p9->path);
    if (err)
        return err;
    fd = p9_host_open_data(p9->root, p9->path, O_WRONLY, &directory);
    if (fd < 0)
        return fd;
    err = ftruncate(fd, (off_t)size) ? -errno : 0;
    close(fd);
    return err;
}

/* Everything but the size, of a descriptor that may be O_PATH. */
static int set_attributes(int fd, const struct attributes *a)
{
    int err = 0;

    if (a->valid & (SET_UID | SET_GID))
        err = p9_host_chown(fd, a->valid & SET_UID ? a->uid : (uid_t)-1,
                            a->valid & SET_GID ? a->gid : (gid_t)-1);
    if (err == -EPERM || err == -EINVAL) /* all files are one user's here */
        err = 0;
    if (!err && a->valid & SET_MODE)
        err = p9_host_chmod(fd, a->mode & MODE_BITS);
    if (!err && a->valid & (SET_ATIME | SET_MTIME))
        err = p9_host_times(fd, a->times);
    return err;
}

int p9_do_setattr(struct p9 *p9)
{
    struct attributes a;
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid), fd;

    if (err || (err = get_attributes(&p9->in, &a)))
        return err;
    if (p9->readonly)
        return -EROFS;
    if (a.valid & SET_SIZE && (err = set_size(p9, fid, a.size)))
        return err;
    if (!(a.valid & ~SET_SIZE))
        return 0;
    fd = p9_find_node(p9, fid->node);
    if (fd < 0 && fid->fd >= 0) /* unlinked, but open */
        return set_attributes(fid->fd, &a);
    if (fd < 0)
        return fd;
    err = set_attributes(fd, &a);
    close(fd);
    return err;
}

int p9_do_readlink(struct p9 *p9)
{
    char target[P9_PATH_MAX];
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid), fd, n;

    if (err)
        return err;
    fd = p9_find_node(p9, fid->node);
    if (fd < 0)
        return fd;
    n = p9_host_readlink(fd, target, sizeof(target));
    close(fd);
    if (n < 0)
        return n;
    p9_put_string(&p9->out, target, (uint32_t)n);
    return 0;
}

int p9_do_statfs(struct p9 *p9)
{
    struct p9_fid *fid;
    struct statfs st;
    int err = p9_get_fid(p9, &fid);

    if (err)
        return err;
    if (fstatfs(p9->root, &st))
        return -errno;
    p9_put(&p9->out, 4, P9_MAGIC);
    p9_put(&p9->out, 4, (uint64_t)st.f_bsize);
    p9_put(&p9->out, 8, st.f_blocks);
    p9_put(&p9->out, 8, st.f_bfree);
    p9_put(&p9->out, 8, st.f_bavail);
    p9_put(&p9->out, 8, st.f_files);
    p9_put(&p9->out, 8, st.f_ffree);
    p9_put(&p9->out, 8, 0);
    p9_put(&p9->out, 4, P9_NAME_MAX);
    return 0;
}

int p9_do_xattr(struct p9 *p9)
{
    (void)p9;
    return -EOPNOTSUPP;
}

/* --- Data --------------------------------------------------------------- */

/* How many bytes the answer to a read may have. */
static uint32_t room_for(const struct p9 *p9, uint32_t count)
{
    uint64_t in_size = p9->request->in_size, room = in_size < p9->msize ? in_size : p9->msize;

    room = room > P9_COUNTED ? room - P9_COUNTED : 0;
    return count < room ? count : (uint32_t)room;
}

int p9_do_read(struct p9 *p9)
{
    const struct share_request *r = p9->request;
    struct iovec iov[P9_SEGMENTS_MAX];
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid);
    uint64_t offset = p9_get64(&p9->in);
    uint32_t count = room_for(p9, p9_get32(&p9->in));
    unsigned n;
    ssize_t got;

    if (err)
        return err;
    if (p9->in.bad || fid->fd < 0 || offset > INT64_MAX)
        return -EINVAL;
    n = iov_slice(r->in, r->in_count, P9_COUNTED, count, iov, P9_SEGMENTS_MAX);
    got = n ? preadv(fid->fd, iov, (int)n, (off_t)offset) : 0;
    if (got < 0)
        return -errno;
    p9_put(&p9->out, 4, (uint64_t)got);
    p9->read = (uint32_t)got;
    return 0;
}

int p9_do_write(struct p9 *p9)
{
    const struct share_request *r = p9->request;
    struct iovec iov[P9_SEGMENTS_MAX];
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid);
    uint64_t offset = p9_get64(&p9->in);
    uint32_t count = p9_get32(&p9->in);
    unsigned n;
    ssize_t put;

    if (err)
        return err;
    if (p9->in.bad || fid->fd < 0 || offset > INT64_MAX || count > p9->in.size - P9_WRITE_HEADER)
        return -EINVAL;
    if (p9->readonly)
        return -EROFS;
    n = iov_slice(r->out, r->out_count, P9_WRITE_HEADER, count, iov, P9_SEGMENTS_MAX);
    put = n ? pwritev(fid->fd, iov, (int)n, (off_t)offset) : 0;
    if (put < 0)
        return -errno;
    p9_put(&p9->out, 4, (uint64_t)put);
    return 0;
}

int p9_do_fsync(struct p9 *p9)
{
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid);
    uint32_t data_only = p9_get32(&p9->in);

    if (err)
        return err;
    if (fid->fd < 0)
        return -EBADF;
    return (data_only ? fdatasync(fid->fd) : fsync(fid->fd)) ? -errno : 0;
}

/* The entry as the guest wants it. False: no room for it. */
static bool put_entry(struct p9 *p9, const struct entry *entry, uint32_t limit)
{
    uint32_t len = (uint32_t)strlen(entry->name);
    struct p9_qid qid = {
        .type = entry->type == DT_DIR ? P9_QID_DIRECTORY
                : entry->type == DT_LNK ? P9_QID_SYMLINK : 0,
        .path = entry->ino,
    };

    if (P9_QID_SIZE + 8 + 1 + 2 + len > limit - p9->out.size)
        return false;
    p9_put_qid(&p9->out, &qid);
    p9_put(&p9->out, 8, (uint64_t)entry->next);
    p9_put(&p9->out, 1, entry->type);
    p9_put_string(&p9->out, entry->name, len);
    return true;
}

/* Fills the answer up to limit. */
static int put_entries(struct p9 *p9, struct p9_fid *fid, uint32_t limit)
{
    for (;;) {
        long n = syscall(SYS_getdents64, fid->fd, p9->entries, sizeof(p9->entries));

        if (n <= 0)
            return n ? -errno : 0;
        for (long at = 0; at < n;) {
            const struct entry *entry = (const struct entry *)(const void *)(p9->entries + at);

            if (!put_entry(p9, entry, limit))
                return lseek(fid->fd, fid->directory_at, SEEK_SET) < 0 ? -errno : 0;
            fid->directory_at = entry->next;
            at += entry->size;
        }
    }
}

int p9_do_readdir(struct p9 *p9)
{
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid);
    uint64_t offset = p9_get64(&p9->in);
    uint32_t count = room_for(p9, p9_get32(&p9->in)), start = p9->out.size + 4;

    if (err)
        return err;
    if (p9->in.bad || fid->fd < 0 || !fid->directory)
        return -EINVAL;
    if ((int64_t)offset != fid->directory_at) {
        if (lseek(fid->fd, (off_t)offset, SEEK_SET) < 0)
            return -errno;
        fid->directory_at = (int64_t)offset;
    }
    p9_put(&p9->out, 4, 0);
    err = put_entries(p9, fid, start + count);
    count = p9->out.size - start;
    memcpy(p9->out.bytes + start - 4, &count, 4);
    return err;
}

/* --- Locks -------------------------------------------------------------- */

static int get_lock(struct p9 *p9, struct flock *lock, bool with_flags)
{
    uint64_t start, length;

    *lock = (struct flock){ .l_type = p9_get8(&p9->in), .l_whence = SEEK_SET };
    if (with_flags)
        p9_get32(&p9->in);
    start = p9_get64(&p9->in);
    length = p9_get64(&p9->in);
    if (p9->in.bad || start > INT64_MAX || length > INT64_MAX || lock->l_type > F_UNLCK)
        return -EINVAL;
    lock->l_start = (off_t)start;
    lock->l_len = (off_t)length;
    return 0;
}

/*
 * A guest's flock() comes as a lock of the whole file, whatever its file is open for; that is what
 * the host's is for, too, where its fcntl() wants another mode. 0 or -errno.
 */
static int set_lock(int fd, const struct flock *lock)
{
    int whole = lock->l_type == F_WRLCK ? LOCK_EX : LOCK_SH;

    if (!fcntl(fd, F_OFD_SETLK, lock))
        return flock(fd, LOCK_UN) ? -errno : 0; /* one that was taken so before */
    if (errno != EBADF)
        return -errno;
    return flock(fd, whole | LOCK_NB) ? -errno : 0;
}

int p9_do_lock(struct p9 *p9)
{
    struct flock lock;
    struct p9_fid *fid;
    uint8_t status = LOCK_SUCCESS;
    int err = p9_get_fid(p9, &fid);

    if (err || (err = get_lock(p9, &lock, true)))
        return err;
    if (fid->fd < 0)
        return -EBADF;
    err = set_lock(fid->fd, &lock);
    if (err)
        status = err == -EAGAIN || err == -EACCES ? LOCK_BLOCKED : LOCK_ERROR;
    p9_put(&p9->out, 1, status);
    return 0;
}

int p9_do_getlock(struct p9 *p9)
{
    char client[P9_NAME_MAX + 1];
    struct flock lock;
    struct p9_fid *fid;
    uint32_t process;
    int err = p9_get_fid(p9, &fid);

    if (err || (err = get_lock(p9, &lock, false)))
        return err;
    process = p9_get32(&p9->in);
    p9_get_string(&p9->in, client, P9_NAME_MAX);
    if (p9->in.bad || fid->fd < 0)
        return -EINVAL;
    if (fcntl(fid->fd, F_OFD_GETLK, &lock))
        return -errno;
    p9_put(&p9->out, 1, (uint64_t)lock.l_type);
    p9_put(&p9->out, 8, (uint64_t)lock.l_start);
    p9_put(&p9->out, 8, (uint64_t)lock.l_len);
    p9_put(&p9->out, 4, process);
    p9_put_string(&p9->out, client, (uint32_t)strlen(client));
    return 0;
}
