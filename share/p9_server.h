/*
 * The parts of the 9P server among themselves: its state, what all messages need, and who answers
 * which. Internal to share/.
 */
#ifndef SHARE_P9_SERVER_H
#define SHARE_P9_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "share/p9.h"
#include "share/p9_tree.h"
#include "share/p9_wire.h"

struct share_request;

enum {
    P9_HEADER = 7,              /* size, type, tag */
    P9_COUNTED = P9_HEADER + 4, /* and how many bytes follow */
    P9_WRITE_HEADER = P9_HEADER + 16,
    P9_MESSAGE_MAX = 32 << 10,  /* of all but writes */
    P9_WALK_MAX = 16,
    P9_READDIR_BUFFER = 32 << 10,
    P9_MAGIC = 0x01021997,
    P9_SEGMENTS_MAX = 256,
};

struct p9 {
    int root;
    bool readonly;
    uint32_t msize;
    dev_t root_dev;
    struct p9_tree tree;
    struct share_request *request; /* the one being answered */
    struct p9_in in;
    struct p9_out out;             /* behind the header */
    uint32_t read;                 /* bytes that are in the answer's buffers behind P9_COUNTED */
    char path[P9_PATH_MAX];
    uint8_t message[P9_MESSAGE_MAX];
    uint8_t reply[P9_MSIZE_MAX];
    uint8_t entries[P9_READDIR_BUFFER] __attribute__((aligned(8)));
};

/* The fid that comes next in the message. 0, -EINVAL or -EBADF. */
int p9_get_fid(struct p9 *p9, struct p9_fid **fid);

/* A name for one step down. 0 or -EINVAL. */
int p9_get_name(struct p9 *p9, char name[P9_NAME_MAX + 1]);

/* A descriptor of the node's directory, for calls with a name; or -errno. */
int p9_open_directory(struct p9 *p9, const struct p9_node *node);

/* An O_PATH descriptor of the node's file; or -errno. */
int p9_find_node(struct p9 *p9, const struct p9_node *node);

/* What the fid has open, or what is at its path. */
int p9_stat_fid(struct p9 *p9, const struct p9_fid *fid, struct stat *st);

/* What a file is called in messages; its own also below mount points. */
struct p9_qid p9_qid_of(const struct p9 *p9, const struct stat *st);

/* --- Messages: 0 with the answer in out, or -errno -------------------------- */

/* p9_change.c */
int p9_do_lopen(struct p9 *p9);
int p9_do_lcreate(struct p9 *p9);
int p9_do_mkdir(struct p9 *p9);
int p9_do_symlink(struct p9 *p9);
int p9_do_mknod(struct p9 *p9);
int p9_do_link(struct p9 *p9);
int p9_do_renameat(struct p9 *p9);
int p9_do_rename(struct p9 *p9);
int p9_do_unlinkat(struct p9 *p9);
int p9_do_remove(struct p9 *p9);

/* p9_data.c */
int p9_do_getattr(struct p9 *p9);
int p9_do_setattr(struct p9 *p9);
int p9_do_readlink(struct p9 *p9);
int p9_do_statfs(struct p9 *p9);
int p9_do_xattr(struct p9 *p9);
int p9_do_read(struct p9 *p9);
int p9_do_write(struct p9 *p9);
int p9_do_fsync(struct p9 *p9);
int p9_do_readdir(struct p9 *p9);
int p9_do_lock(struct p9 *p9);
int p9_do_getlock(struct p9 *p9);

#endif
