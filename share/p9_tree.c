/* Names and fids of a shared folder: see p9_tree.h. */
#include "share/p9_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "share/p9.h"

/* --- Nodes ------------------------------------------------------------------ */

static unsigned node_bucket(const struct p9_node *parent, const char *name)
{
    uint64_t hash = (uintptr_t)parent >> 4;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3;
    return (hash >> 20 ^ hash) % P9_BUCKETS;
}

static void link_node(struct p9_tree *tree, struct p9_node *node)
{
    struct p9_node **bucket = &tree->nodes[node_bucket(node->parent, node->name)];

    node->next = *bucket;
    *bucket = node;
}

static void unlink_node(struct p9_tree *tree, struct p9_node *node)
{
    struct p9_node **at = &tree->nodes[node_bucket(node->parent, node->name)];

    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
}

static struct p9_node *find(struct p9_tree *tree, const struct p9_node *parent, const char *name)
{
    struct p9_node *node = tree->nodes[node_bucket(parent, name)];

    while (node && (node->parent != parent || strcmp(node->name, name)))
        node = node->next;
    return node;
}

struct p9_node *p9_node_get(struct p9_tree *tree, struct p9_node *parent, const char *name)
{
    struct p9_node *node = find(tree, parent, name);

    if (node)
        return p9_node_ref(node);
    node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->name = strdup(name);
    if (!node->name) {
        free(node);
        return NULL;
    }
    node->parent = p9_node_ref(parent);
    node->refs = 1;
    link_node(tree, node);
    return node;
}

void p9_node_put(struct p9_tree *tree, struct p9_node *node)
{
    while (node != &tree->root && !--node->refs) {
        struct p9_node *parent = node->parent;

        if (!node->gone)
            unlink_node(tree, node);
        free(node->name);
        free(node);
        node = parent;
    }
    if (node == &tree->root)
        node->refs--;
}

void p9_node_unlinked(struct p9_tree *tree, const struct p9_node *parent, const char *name)
{
    struct p9_node *node = find(tree, parent, name);

    if (!node)
        return;
    unlink_node(tree, node);
    node->gone = true;
}

/* The host's folder and this tree may differ while somebody moves things on the host. */
static bool is_below(const struct p9_node *node, const struct p9_node *above)
{
    while (node && node != above)
        node = node->parent;
    return node;
}

void p9_node_renamed(struct p9_tree *tree, const struct p9_node *from, const char *name,
                     struct p9_node *to, const char *new_name)
{
    struct p9_node *node = find(tree, from, name), *old_parent;
    char *copy;

    if (from == to && !strcmp(name, new_name))
        return;
    p9_node_unlinked(tree, to, new_name);
    if (!node)
        return;
    unlink_node(tree, node);
    copy = strdup(new_name);
    if (!copy || is_below(to, node)) {
        free(copy);
        node->gone = true;
        return;
    }
    old_parent = node->parent;
    free(node->name);
    node->name = copy;
    node->parent = p9_node_ref(to);
    link_node(tree, node);
    p9_node_put(tree, old_parent);
}

int p9_node_path(const struct p9_node *node, char path[P9_PATH_MAX])
{
    size_t at = P9_PATH_MAX - 1;

    path[at] = 0;
    for (; node->parent; node = node->parent) {
        size_t len = strlen(node->name);

        if (node->gone)
            return -ENOENT;
        if (len + 1 > at)
            return -ENAMETOOLONG;
        if (path[at])
            path[--at] = '/';
        at -= len;
        memcpy(path + at, node->name, len);
    }
    if (!path[at])
        path[--at] = '.';
    memmove(path, path + at, P9_PATH_MAX - at);
    return 0;
}

/* --- Fids ------------------------------------------------------------------- */

struct p9_fid *p9_fid_find(const struct p9_tree *tree, uint32_t number)
{
    struct p9_fid *fid = tree->fids[number % P9_BUCKETS];

    while (fid && fid->number != number)
        fid = fid->next;
    return fid;
}

struct p9_fid *p9_fid_add(struct p9_tree *tree, uint32_t number, struct p9_node *node)
{
    struct p9_fid **bucket = &tree->fids[number % P9_BUCKETS];
    struct p9_fid *fid = tree->fid_count < P9_FIDS_MAX ? calloc(1, sizeof(*fid)) : NULL;

    if (!fid) {
        p9_node_put(tree, node);
        return NULL;
    }
    *fid = (struct p9_fid){ .number = number, .next = *bucket, .node = node, .fd = -1 };
    *bucket = fid;
    tree->fid_count++;
    return fid;
}

void p9_fid_remove(struct p9_tree *tree, struct p9_fid *fid)
{
    struct p9_fid **at = &tree->fids[fid->number % P9_BUCKETS];

    while (*at != fid)
        at = &(*at)->next;
    *at = fid->next;
    if (fid->fd >= 0) {
        close(fid->fd);
        tree->open_count--;
    }
    p9_node_put(tree, fid->node);
    tree->fid_count--;
    free(fid);
}

bool p9_fid_open(struct p9_tree *tree, struct p9_fid *fid, int fd, bool directory)
{
    if (tree->open_count >= P9_OPEN_MAX)
        return false;
    tree->open_count++;
    fid->fd = fd;
    fid->directory = directory;
    fid->directory_at = 0;
    return true;
}

/* --- All -------------------------------------------------------------------- */

void p9_tree_init(struct p9_tree *tree)
{
    memset(tree, 0, sizeof(*tree));
    tree->root.refs = 1;
}

void p9_tree_clear(struct p9_tree *tree)
{
    for (unsigned i = 0; i < P9_BUCKETS; i++)
        while (tree->fids[i])
            p9_fid_remove(tree, tree->fids[i]);
}
