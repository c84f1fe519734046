/* The servers of shared folders: see shares.h. */
#include "frontend/shares.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/config_virtio.h"
#include "frontend/confine.h"
#include "frontend/error.h"
#include "frontend/poller.h"
#include "share/share.h"

struct folder {
    struct poller *poller;
    struct poller_call call;
    struct share *share;
};

struct shares {
    struct poller *poller;
    struct folder folder[PC_SHARE_COUNT];
    unsigned count;
};

static void ready(void *arg)
{
    share_dispatch(((struct folder *)arg)->share);
}

/* On the server's thread. */
static void answered(void *arg)
{
    struct folder *folder = arg;

    poller_call(folder->poller, &folder->call);
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
        struct share_config config = specs->share[i].share;
        struct folder *folder = &shares->folder[shares->count];

        config.answered = answered;
        config.arg = folder;
        folder->poller = poller;
        folder->call = (struct poller_call){ .ready = ready, .arg = folder };
        folder->share = share_open(&config, why, sizeof(why));
        if (!folder->share)
            return error_set(error, EX_NOINPUT, "-share: %s", why);
        poller_add_call(poller, &folder->call);
        shares->count++;
    }
    return 0;
}

int shares_open(struct shares *shares, struct error *error)
{
    for (unsigned i = 0; i < shares->count; i++) {
        int err = share_start(shares->folder[i].share);

        if (err)
            return error_set(error, EX_OSERR, "-share: no thread: %s; raise the limit (ulimit -u)",
                             strerror(-err));
    }
    return 0;
}

void shares_destroy(struct shares *shares)
{
    if (!shares)
        return;
    for (unsigned i = 0; i < shares->count; i++) {
        share_close(shares->folder[i].share);
        poller_remove_call(shares->poller, &shares->folder[i].call);
    }
    free(shares);
}

unsigned shares_fill(const struct shares *shares, struct sharedev *device[PC_SHARE_COUNT])
{
    for (unsigned i = 0; i < shares->count; i++)
        device[i] = share_device(shares->folder[i].share);
    return shares->count;
}

void shares_confine(const struct virtio_specs *specs, struct confine_wants *wants)
{
    wants->share_files |= specs->shares > 0;
}
