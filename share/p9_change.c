/*
 * 9P messages that open, make, rename and remove files: see p9.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "share/p9_host.h"
#include "share/p9_server.h"

#define MODE_BITS 01777 /* S_ISUID and S_ISGID stay in the guest */

/* Answers with the qid of a name that was just made. */
static int put_new_qid(struct p9 *p9, int directory, const char *name)
{
    struct p9_qid qid;
    struct stat st;

    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
        return -errno;
    qid = p9_qid_of(p9, &st);
    p9_put_qid(&p9->out, &qid);
    return 0;
}

/* --- Opening and making ------------------------------------------------- */

/* Of the guest's flags (Linux's, of x86) those that mean something here. */
static int open_flags(uint32_t flags)
{
    return (int)(flags & (O_ACCMODE | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY | O_DSYNC |
                          O_SYNC | O_NOATIME));
}

static bool writes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

/* What was opened becomes the fid's. */
static int opened(struct p9 *p9, struct p9_fid *fid, int fd, bool directory)
{
    struct p9_qid qid;
    struct stat st;
    int err = 0;

    if (fstat(fd, &st))
        err = -errno;
    else if (!p9_fid_open(&p9->tree, fid, fd, directory))
        err = -EMFILE;
    if (err) {
        close(fd);
        return err;
    }
    qid = p9_qid_of(p9, &st);
    p9_put_qid(&p9->out, &qid);
    p9_put(&p9->out, 4, 0); /* as much at once as a message takes */
    return 0;
}

int p9_do_lopen(struct p9 *p9)
{
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid), fd;
    int flags = open_flags(p9_get32(&p9->in)) & ~O_EXCL;
    bool directory;

    if (err)
        return err;
    if (p9->in.bad || fid->fd >= 0)
        return -EINVAL;
    if (p9->readonly && writes(flags))
        return -EROFS;
    if (p9->tree.open_count >= P9_OPEN_MAX)
        return -EMFILE;
    err = p9_node_path(fid->node, p9->path);
    if (err)
        return err;
    fd = p9_host_open_data(p9->root, p9->path, flags, &directory);
    if (fd == -EPERM && flags & O_NOATIME) /* not the owner */
        fd = p9_host_open_data(p9->root, p9->path, flags & ~O_NOATIME, &directory);
    return fd < 0 ? fd : opened(p9, fid, fd, directory);
}

static int create_file(struct p9 *p9, const struct p9_node *directory, const char *name, int flags,
                       mode_t mode)
{
    int parent = p9_open_directory(p9, directory), fd;
    struct stat st;

    if (parent < 0)
        return parent;
    fd = p9_host_open(parent, name, flags | O_CREAT, mode & MODE_BITS);
    close(parent);
    if (fd < 0 || (!fstat(fd, &st) && S_ISREG(st.st_mode)))
        return fd;
    close(fd);
    return -EEXIST;
}

int p9_do_lcreate(struct p9 *p9)
{
    char name[P9_NAME_MAX + 1];
    struct p9_node *node;
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid), flags, fd;
    mode_t mode;

    if (err || (err = p9_get_name(p9, name)))
        return err;
    flags = open_flags(p9_get32(&p9->in)) & ~(O_DIRECTORY | O_NOATIME);
    mode = p9_get32(&p9->in);
    if (p9->in.bad || fid->fd >= 0)
        return -EINVAL;
    if (p9->readonly)
        return -EROFS;
    if (p9->tree.open_count >= P9_OPEN_MAX)
        return -EMFILE;
    fd = create_file(p9, fid->node, name, flags, mode);
    if (fd < 0)
        return fd;
    node = p9_node_get(&p9->tree, fid->node, name);
    if (!node) {
        close(fd);
        return -ENOMEM;
    }
    p9_node_put(&p9->tree, fid->node);
    fid->node = node;
    return opened(p9, fid, fd, false);
}

/* The directory and the name that most changes begin with; *directory is open then. */
static int begin_change(struct p9 *p9, struct p9_fid **fid, char name[P9_NAME_MAX + 1],
                        int *directory)
{
    int err = p9_get_fid(p9, fid);

    if (!err)
        err = p9_get_name(p9, name);
    if (!err && p9->readonly)
        err = -EROFS;
    if (err)
        return err;
    *directory = p9_open_directory(p9, (*fid)->node);
    return *directory < 0 ? *directory : 0;
}

int p9_do_mkdir(struct p9 *p9)
{
    char name[P9_NAME_MAX + 1];
    struct p9_fid *fid;
    int directory, err = begin_change(p9, &fid, name, &directory);
    mode_t mode;

    if (err)
        return err;
    mode = p9_get32(&p9->in);
    if (p9->in.bad)
        err = -EINVAL;
    else if (mkdirat(directory, name, mode & MODE_BITS))
        err = -errno;
    else
        err = put_new_qid(p9, directory, name);
    close(directory);
    return err;
}

int p9_do_symlink(struct p9 *p9)
{
    char name[P9_NAME_MAX + 1], target[P9_PATH_MAX];
    struct p9_fid *fid;
    int directory, err = begin_change(p9, &fid, name, &directory);

    if (err)
        return err;
    p9_get_string(&p9->in, target, sizeof(target) - 1);
    if (p9->in.bad)
        err = -EINVAL;
    else if (symlinkat(target, directory, name))
        err = -errno;
    else
        err = put_new_qid(p9, directory, name);
    close(directory);
    return err;
}

int p9_do_mknod(struct p9 *p9)
{
    char name[P9_NAME_MAX + 1];
    struct p9_fid *fid;
    int directory, err = begin_change(p9, &fid, name, &directory);
    mode_t mode;

    if (err)
        return err;
    mode = p9_get32(&p9->in);
    if (p9->in.bad)
        err = -EINVAL;
    else if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
        err = -EPERM;
    else if (mknodat(directory, name, mode & (S_IFMT | MODE_BITS), 0))
        err = -errno;
    else
        err = put_new_qid(p9, directory, name);
    close(directory);
    return err;
}

int p9_do_link(struct p9 *p9)
{
    char name[P9_NAME_MAX + 1];
    struct p9_fid *to, *fid;
    int directory, from = -1, err = p9_get_fid(p9, &to);

    if (err || (err = p9_get_fid(p9, &fid)) || (err = p9_get_name(p9, name)))
        return err;
    if (p9->readonly)
        return -EROFS;
    if (!fid->node->parent)
        return -EPERM;
    directory = p9_open_directory(p9, to->node);
    if (directory >= 0)
        from = fid->node->gone ? -ENOENT : p9_open_directory(p9, fid->node->parent);
    if (directory < 0 || from < 0)
        err = directory < 0 ? directory : from;
    else if (linkat(from, fid->node->name, directory, name, 0))
        err = -errno;
    if (from >= 0)
        close(from);
    if (directory >= 0)
        close(directory);
    return err;
}

/* --- Renaming and removing ---------------------------------------------- */

static int rename_node(struct p9 *p9, struct p9_node *from, const char *name, struct p9_node *to,
                       const char *new_name)
{
    int old, new, err = 0;

    if (p9->readonly)
        return -EROFS;
    old = p9_open_directory(p9, from);
    if (old < 0)
        return old;
    new = p9_open_directory(p9, to);
    if (new < 0)
        err = new;
    else if (renameat(old, name, new, new_name))
        err = -errno;
    else
        p9_node_renamed(&p9->tree, from, name, to, new_name);
    close(old);
    if (new >= 0)
        close(new);
    return err;
}

int p9_do_renameat(struct p9 *p9)
{
    char name[P9_NAME_MAX + 1], new_name[P9_NAME_MAX + 1];
    struct p9_fid *from, *to;
    int err = p9_get_fid(p9, &from);

    if (err || (err = p9_get_name(p9, name)) || (err = p9_get_fid(p9, &to)) ||
        (err = p9_get_name(p9, new_name)))
        return err;
    return rename_node(p9, from->node, name, to->node, new_name);
}

int p9_do_rename(struct p9 *p9)
{
    char name[P9_NAME_MAX + 1], old_name[P9_NAME_MAX + 1];
    struct p9_fid *fid, *to;
    int err = p9_get_fid(p9, &fid);

    if (err || (err = p9_get_fid(p9, &to)) || (err = p9_get_name(p9, name)))
        return err;
    if (!fid->node->parent || fid->node->gone)
        return fid->node->parent ? -ENOENT : -EBUSY;
    strcpy(old_name, fid->node->name); /* which the renaming frees */
    return rename_node(p9, fid->node->parent, old_name, to->node, name);
}

static int unlink_name(struct p9 *p9, const struct p9_node *node, const char *name, int flags)
{
    int directory, err = 0;

    if (p9->readonly)
        return -EROFS;
    directory = p9_open_directory(p9, node);
    if (directory < 0)
        return directory;
    if (unlinkat(directory, name, flags))
        err = -errno;
    close(directory);
    if (!err)
        p9_node_unlinked(&p9->tree, node, name);
    return err;
}

int p9_do_unlinkat(struct p9 *p9)
{
    char name[P9_NAME_MAX + 1];
    struct p9_fid *fid;
    int err = p9_get_fid(p9, &fid);
    uint32_t flags;

    if (err || (err = p9_get_name(p9, name)))
        return err;
    flags = p9_get32(&p9->in);
    return p9->in.bad ? -EINVAL : unlink_name(p9, fid->node, name, flags & AT_REMOVEDIR);
}

/* Clunks the fid in any case. */
int p9_do_remove(struct p9 *p9)
{
    struct p9_fid *fid;
    char name[P9_NAME_MAX + 1];
    struct stat st;
    int err = p9_get_fid(p9, &fid);

    if (err)
        return err;
    if (!fid->node->parent || fid->node->gone) {
        err = fid->node->parent ? -ENOENT : -EBUSY;
    } else if (!(err = p9_stat_fid(p9, fid, &st))) {
        strcpy(name, fid->node->name);
        err = unlink_name(p9, fid->node->parent, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
    }
    p9_fid_remove(&p9->tree, fid);
    return err;
}
