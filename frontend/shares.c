/* The servers of shared folders: see shares.h. */
#include "frontend/shares.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/config_virtio.h"
#include "frontend/confine.h"
#include "frontend/error.h"
#include "frontend/poller.h"
#include "share/share.h"

struct shares {
    struct poller *poller;
    struct share *share[PC_SHARE_COUNT];
    struct poller_fd fd[PC_SHARE_COUNT];
    unsigned count;
};

static void ready(void *arg, short revents)
{
    (void)revents;
    share_dispatch(arg);
}

int shares_create(struct shares **made, const struct virtio_specs *specs, struct poller *poller,
                  struct error *error)
{
    struct shares *shares = *made = calloc(1, sizeof(*shares));
    char why[512];

    if (!shares)
        return error_set(error, EX_OSERR, "no host memory for shared folders; free some");
    shares->poller = poller;
    for (unsigned i = 0; i < specs->shares; i++) {
        struct share *share = share_open(&specs->share[i].share, why, sizeof(why));

        if (!share)
            return error_set(error, EX_NOINPUT, "-share: %s", why);
        shares->share[shares->count] = share;
        shares->fd[shares->count++] = (struct poller_fd){ .fd = share_fd(share), .events = POLLIN,
                                                          .ready = ready, .arg = share };
    }
    return 0;
}

int shares_open(struct shares *shares, struct error *error)
{
    for (unsigned i = 0; i < shares->count; i++) {
        int err = share_start(shares->share[i]);

        if (err)
            return error_set(error, EX_OSERR, "-share: no thread: %s; raise the limit (ulimit -u)",
                             strerror(-err));
        if (poller_add(shares->poller, &shares->fd[i]))
            return error_set(error, EX_SOFTWARE, "-share: too many descriptors to wait for");
    }
    return 0;
}

void shares_destroy(struct shares *shares)
{
    if (!shares)
        return;
    for (unsigned i = 0; i < shares->count; i++) {
        poller_remove(shares->poller, &shares->fd[i]);
        share_close(shares->share[i]);
    }
    free(shares);
}

unsigned shares_fill(const struct shares *shares, struct sharedev *device[PC_SHARE_COUNT])
{
    for (unsigned i = 0; i < shares->count; i++)
        device[i] = share_device(shares->share[i]);
    return shares->count;
}

void shares_confine(const struct virtio_specs *specs, struct confine_wants *wants)
{
    wants->share_files |= specs->shares > 0;
}
