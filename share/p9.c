/*
 * The 9P2000.L server: messages to calls of the host.
 *
 * Reference: "9P2000.L protocol" (diod's protocol.md) and Linux, net/9p and fs/9p.
 * Modelled:  everything Linux sends but extended attributes, which are answered EOPNOTSUPP.
 * Not:       users: all the guest does is done as the user who runs novt. A change of owner that
 *            this user may not make is taken as made, so that tar and cp -a work; set-user-ID and
 *            set-group-ID bits of files are never set on the host. Devices are not made or opened.
 *
 * Bounds: a guest has at most P9_FIDS_MAX fids and P9_OPEN_MAX descriptors, a message is at most
 * P9_MSIZE_MAX bytes, and a walk's nodes live only while a fid needs them.
 */
#include "share/p9_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/iov.h"
#include "devices/sharedev.h"
#include "share/p9_host.h"

/* --- Messages ----------------------------------------------------------- */

enum {
    RLERROR = 7,
    TSTATFS = 8, TLOPEN = 12, TLCREATE = 14, TSYMLINK = 16, TMKNOD = 18, TRENAME = 20,
    TREADLINK = 22, TGETATTR = 24, TSETATTR = 26, TXATTRWALK = 30, TXATTRCREATE = 32,
    TREADDIR = 40, TFSYNC = 50, TLOCK = 52, TGETLOCK = 54, TLINK = 70, TMKDIR = 72,
    TRENAMEAT = 74, TUNLINKAT = 76, TVERSION = 100, TAUTH = 102, TATTACH = 104, TFLUSH = 108,
    TWALK = 110, TREAD = 116, TWRITE = 118, TCLUNK = 120, TREMOVE = 122,
    TYPES = 128,
};

/* --- Fids, paths, names ------------------------------------------------- */

int p9_get_fid(struct p9 *p9, struct p9_fid **fid)
{
    *fid = p9_fid_find(&p9->tree, p9_get32(&p9->in));
    if (p9->in.bad)
        return -EINVAL;
    return *fid ? 0 : -EBADF;
}

int p9_get_name(struct p9 *p9, char name[P9_NAME_MAX + 1])
{
    p9_get_string(&p9->in, name, P9_NAME_MAX);
    if (p9->in.bad)
        return -EINVAL;
    if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return -EINVAL;
    return 0;
}

int p9_open_directory(struct p9 *p9, const struct p9_node *node)
{
    int err = p9_node_path(node, p9->path);

    return err ? err : p9_host_open(p9->root, p9->path, O_PATH | O_DIRECTORY, 0);
}

int p9_find_node(struct p9 *p9, const struct p9_node *node)
{
    int err = p9_node_path(node, p9->path);

    return err ? err : p9_host_find(p9->root, p9->path);
}

struct p9_qid p9_qid_of(const struct p9 *p9, const struct stat *st)
{
    struct p9_qid qid = {
        .version = (uint32_t)(st->st_mtim.tv_nsec ^ st->st_mtim.tv_sec << 8 ^ st->st_size),
        .path = st->st_ino,
    };

    if (st->st_dev != p9->root_dev) /* something is mounted below the folder */
        qid.path ^= (uint64_t)(st->st_dev + 1) << 40;
    qid.type = S_ISDIR(st->st_mode) ? P9_QID_DIRECTORY : S_ISLNK(st->st_mode) ? P9_QID_SYMLINK : 0;
    return qid;
}

int p9_stat_fid(struct p9 *p9, const struct p9_fid *fid, struct stat *st)
{
    int fd = fid->fd >= 0 ? fid->fd : p9_find_node(p9, fid->node), err;

    if (fd < 0)
        return fd;
    err = fstat(fd, st) ? -errno : 0;
    if (fd != fid->fd)
        close(fd);
    return err;
}

/* --- Sessions and walking ----------------------------------------------- */

static int do_version(struct p9 *p9)
{
    uint32_t msize = p9_get32(&p9->in);
    char version[32];

    p9_get_string(&p9->in, version, sizeof(version) - 1);
    if (p9->in.bad || msize < P9_MSIZE_MIN)
        return -EINVAL;
    p9_tree_clear(&p9->tree);
    p9->msize = msize < P9_MSIZE_MAX ? msize : P9_MSIZE_MAX;
    p9_put(&p9->out, 4, p9->msize);
    if (!strcmp(version, "9P2000.L"))
        p9_put_string(&p9->out, version, 8);
    else
        p9_put_string(&p9->out, "unknown", 7);
    return 0;
}

static int do_auth(struct p9 *p9)
{
    (void)p9;
    return -ENOENT; /* nobody needs to */
}

static int do_attach(struct p9 *p9)
{
    uint32_t number = p9_get32(&p9->in);
    struct p9_qid qid;
    struct stat st;

    if (p9->in.bad)
        return -EINVAL;
    if (p9_fid_find(&p9->tree, number))
        return -EEXIST;
    if (fstat(p9->root, &st))
        return -errno;
    qid = p9_qid_of(p9, &st);
    if (!p9_fid_add(&p9->tree, number, p9_node_ref(&p9->tree.root)))
        return -ENFILE;
    p9_put_qid(&p9->out, &qid);
    return 0;
}

static int do_flush(struct p9 *p9)
{
    (void)p9;
    return 0; /* messages are answered in order: the old one has been */
}

/* One step from *node, whose reference moves on. */
static int step(struct p9 *p9, struct p9_node **node, const char *name, struct p9_qid *qid)
{
    struct p9_node *next;
    struct stat st;
    int fd, err = 0;

    if (!strcmp(name, ".."))
        next = p9_node_ref((*node)->parent ? (*node)->parent : *node);
    else if (!*name || !strcmp(name, ".") || strchr(name, '/'))
        return -EINVAL;
    else
        next = p9_node_get(&p9->tree, *node, name);
    if (!next)
        return -ENOMEM;
    fd = p9_find_node(p9, next);
    if (fd < 0 || fstat(fd, &st))
        err = fd < 0 ? fd : -errno;
    if (fd >= 0)
        close(fd);
    if (err) {
        p9_node_put(&p9->tree, next);
        return err;
    }
    *qid = p9_qid_of(p9, &st);
    p9_node_put(&p9->tree, *node);
    *node = next;
    return 0;
}

/* Steps as far as it goes; how many steps, or what went wrong at the first. */
static int walk(struct p9 *p9, struct p9_node **node, unsigned count, struct p9_qid *qids)
{
    char name[P9_NAME_MAX + 1];

    for (unsigned i = 0; i < count; i++) {
        int err;

        p9_get_string(&p9->in, name, P9_NAME_MAX);
        err = p9->in.bad ? -EINVAL : step(p9, node, name, &qids[i]);
        if (err)
            return i ? (int)i : err;
    }
    return (int)count;
}

static int do_walk(struct p9 *p9)
{
    struct p9_qid qids[P9_WALK_MAX];
    struct p9_node *node;
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid), steps;
    uint32_t number = p9_get32(&p9->in);
    unsigned count = p9_get16(&p9->in);

    if (err)
        return err;
    if (p9->in.bad || count > P9_WALK_MAX)
        return -EINVAL;
    if (number != fid->number && p9_fid_find(&p9->tree, number))
        return -EEXIST;
    if (number == fid->number && fid->fd >= 0)
        return -EBUSY;
    node = p9_node_ref(fid->node);
    steps = walk(p9, &node, count, qids);
    if (steps < (int)count) {
        p9_node_put(&p9->tree, node);
        if (steps < 0)
            return steps;
    } else if (number == fid->number) {
        p9_node_put(&p9->tree, fid->node);
        fid->node = node;
    } else if (!p9_fid_add(&p9->tree, number, node)) {
        return -ENFILE;
    }
    p9_put(&p9->out, 2, (uint64_t)steps);
    for (int i = 0; i < steps; i++)
        p9_put_qid(&p9->out, &qids[i]);
    return 0;
}

static int do_clunk(struct p9 *p9)
{
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid);

    if (!err)
        p9_fid_remove(&p9->tree, fid);
    return err;
}

/* --- Answering ---------------------------------------------------------- */

static int (*const handlers[TYPES])(struct p9 *p9) = {
    [TSTATFS] = p9_do_statfs,
    [TLOPEN] = p9_do_lopen,
    [TLCREATE] = p9_do_lcreate,
    [TSYMLINK] = p9_do_symlink,
    [TMKNOD] = p9_do_mknod,
    [TRENAME] = p9_do_rename,
    [TREADLINK] = p9_do_readlink,
    [TGETATTR] = p9_do_getattr,
    [TSETATTR] = p9_do_setattr,
    [TXATTRWALK] = p9_do_xattr,
    [TXATTRCREATE] = p9_do_xattr,
    [TREADDIR] = p9_do_readdir,
    [TFSYNC] = p9_do_fsync,
    [TLOCK] = p9_do_lock,
    [TGETLOCK] = p9_do_getlock,
    [TLINK] = p9_do_link,
    [TMKDIR] = p9_do_mkdir,
    [TRENAMEAT] = p9_do_renameat,
    [TUNLINKAT] = p9_do_unlinkat,
    [TVERSION] = do_version,
    [TAUTH] = do_auth,
    [TATTACH] = do_attach,
    [TFLUSH] = do_flush,
    [TWALK] = do_walk,
    [TREAD] = p9_do_read,
    [TWRITE] = p9_do_write,
    [TCLUNK] = do_clunk,
    [TREMOVE] = p9_do_remove,
};

/* The header, and of a message all but what is written. 0 or -errno; type and tag are set. */
static int take_message(struct p9 *p9, uint8_t *type, uint16_t *tag)
{
    const struct share_request *r = p9->request;
    uint32_t size, keep;

    iov_read(r->out, r->out_count, 0, p9->message, P9_HEADER);
    memcpy(&size, p9->message, 4);
    memcpy(tag, p9->message + 5, 2);
    *type = p9->message[4];
    if (size < P9_HEADER || size > r->out_size)
        return -EINVAL;
    keep = *type == TWRITE && size > P9_WRITE_HEADER ? P9_WRITE_HEADER : size;
    if (keep > P9_MESSAGE_MAX || size > p9->msize)
        return -EMSGSIZE;
    iov_read(r->out, r->out_count, P9_HEADER, p9->message + P9_HEADER, keep - P9_HEADER);
    p9->in = (struct p9_in){ p9->message, *type == TWRITE ? size : keep, P9_HEADER, false };
    return *type < TYPES && handlers[*type] ? 0 : -EOPNOTSUPP;
}

static uint32_t send(struct p9 *p9, uint8_t type, uint16_t tag)
{
    const struct share_request *r = p9->request;
    uint32_t size = p9->out.size + p9->read;

    if (size > r->in_size)
        return 0;
    memcpy(p9->reply, &size, 4);
    p9->reply[4] = type;
    memcpy(p9->reply + 5, &tag, 2);
    iov_write(r->in, r->in_count, 0, p9->reply, p9->out.size);
    return size;
}

uint32_t p9_answer(struct p9 *p9, struct share_request *request)
{
    uint8_t type;
    uint16_t tag;
    int err;

    p9->request = request;
    p9->read = 0;
    p9->out = (struct p9_out){ p9->reply, p9->msize, P9_HEADER, false };
    if (request->out_size < P9_HEADER)
        return 0;
    err = take_message(p9, &type, &tag);
    if (!err)
        err = handlers[type](p9);
    if (!err && (p9->out.full || p9->out.size > request->in_size))
        err = -EMSGSIZE;
    if (!err)
        return send(p9, type + 1, tag);
    p9->read = 0;
    p9->out.size = P9_HEADER;
    p9->out.full = false;
    p9_put(&p9->out, 4, (uint64_t)-err);
    return send(p9, RLERROR, tag);
}

void p9_forget(struct p9 *p9)
{
    p9_tree_clear(&p9->tree);
    p9->msize = P9_MSIZE_MAX;
}

struct p9 *p9_create(int root, bool readonly)
{
    struct p9 *p9 = calloc(1, sizeof(*p9));
    struct stat st;

    if (!p9)
        return NULL;
    if (fstat(root, &st)) {
        free(p9);
        return NULL;
    }
    p9->root = root;
    p9->readonly = readonly;
    p9->root_dev = st.st_dev;
    p9->msize = P9_MSIZE_MAX;
    p9_tree_init(&p9->tree);
    return p9;
}

void p9_destroy(struct p9 *p9)
{
    p9_tree_clear(&p9->tree);
    close(p9->root);
    free(p9);
}
