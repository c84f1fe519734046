/*
 * The names that a guest holds in a shared folder: a tree of nodes, each a name in its parent, so
 * that whoever is below a renamed directory is renamed with it; and the fids that name nodes.
 * Internal to share/.
 *
 * A node is no file: the file is looked up by its path each time, from the folder on, by the rules
 * of p9_host.h. What is open has a descriptor, and stays what it was.
 */
#ifndef SHARE_P9_TREE_H
#define SHARE_P9_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define P9_PATH_MAX 4096

struct p9_node {
    struct p9_node *parent;     /* NULL: the folder itself */
    struct p9_node *next;       /* of its bucket */
    unsigned refs;              /* fids and children */
    bool gone;                  /* unlinked, or replaced: has no path any more */
    char *name;
};

struct p9_fid {
    uint32_t number;
    struct p9_fid *next;        /* of its bucket */
    struct p9_node *node;
    int fd;                     /* -1: not open */
    bool directory;             /* what is open is one */
    int64_t directory_at;       /* where reading it goes on, as lseek() knows it */
};

enum { P9_BUCKETS = 4096 };

struct p9_tree {
    struct p9_node root;
    struct p9_node *nodes[P9_BUCKETS];
    struct p9_fid *fids[P9_BUCKETS];
    unsigned fid_count, open_count;
};

void p9_tree_init(struct p9_tree *tree);

/* Closes and forgets all fids, and with them all nodes. */
void p9_tree_clear(struct p9_tree *tree);

/* The node of that name, made if need be, with a reference for the caller. NULL: no memory. */
struct p9_node *p9_node_get(struct p9_tree *tree, struct p9_node *parent, const char *name);
void p9_node_put(struct p9_tree *tree, struct p9_node *node);

static inline struct p9_node *p9_node_ref(struct p9_node *node)
{
    node->refs++;
    return node;
}

/* The file of that name was unlinked, or replaced. */
void p9_node_unlinked(struct p9_tree *tree, const struct p9_node *parent, const char *name);

/* The file of the one name has the other name now. */
void p9_node_renamed(struct p9_tree *tree, const struct p9_node *from, const char *name,
                     struct p9_node *to, const char *new_name);

/* The path from the folder on, "." for itself. 0, -ENOENT (it is gone) or -ENAMETOOLONG. */
int p9_node_path(const struct p9_node *node, char path[P9_PATH_MAX]);

/* NULL: no such fid. */
struct p9_fid *p9_fid_find(const struct p9_tree *tree, uint32_t number);

/* Takes the caller's reference of the node, also when it fails. NULL: no memory or too many. */
struct p9_fid *p9_fid_add(struct p9_tree *tree, uint32_t number, struct p9_node *node);
void p9_fid_remove(struct p9_tree *tree, struct p9_fid *fid);

/* What a fid has open. False: there are too many; the descriptor is the caller's still. */
bool p9_fid_open(struct p9_tree *tree, struct p9_fid *fid, int fd, bool directory);

#endif
