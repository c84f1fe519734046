/*
 * The thread of a shared folder: messages go to it in order, answers come back the same way.
 *
 * One thread: a guest waits for its file system one call at a time nearly always, and a server
 * whose calls never overlap has no races of its own.
 */
#include "share/share.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "devices/sharedev.h"
#include "share/p9.h"

struct share {
    struct sharedev device;
    struct p9 *server; /* the thread's, while it runs */
    struct share_config config; /* answered and arg alone */
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct share_request *first, **last; /* to be worked on */
    struct share_request *answered, **answered_last;
    bool ready, busy, forget, ending;
};

/* --- The thread ------------------------------------------------------------- */

/* True when nobody has been told yet that answers wait. */
static bool put_answer(struct share *share, struct share_request *request)
{
    request->next = NULL;
    *share->answered_last = request;
    share->answered_last = &request->next;
    return share->answered == request;
}

/* With the lock held, and without it while it works and while it tells. */
static void work(struct share *share)
{
    struct share_request *request = share->first;
    bool first;

    share->first = request->next;
    if (!share->first)
        share->last = &share->first;
    share->busy = true;
    pthread_mutex_unlock(&share->lock);
    request->written = p9_answer(share->server, request);
    pthread_mutex_lock(&share->lock);
    share->busy = false;
    first = put_answer(share, request);
    pthread_cond_broadcast(&share->changed);
    if (!first)
        return;
    pthread_mutex_unlock(&share->lock);
    share->config.answered(share->config.arg);
    pthread_mutex_lock(&share->lock);
}

static void *run(void *arg)
{
    struct share *share = arg;

    /* Files get the mode that the guest asks for; the other threads keep their mask. */
    if (!unshare(CLONE_FS))
        umask(0);
    pthread_mutex_lock(&share->lock);
    share->ready = true;
    pthread_cond_broadcast(&share->changed);
    while (!share->ending) {
        if (share->forget) {
            p9_forget(share->server);
            share->forget = false;
            pthread_cond_broadcast(&share->changed);
        } else if (share->first) {
            work(share);
        } else {
            pthread_cond_wait(&share->changed, &share->lock);
        }
    }
    pthread_mutex_unlock(&share->lock);
    return NULL;
}

int share_start(struct share *share)
{
    int err = thread_start(&share->thread, run, share);

    if (err)
        return err;
    share->started = true;
    pthread_mutex_lock(&share->lock);
    while (!share->ready)
        pthread_cond_wait(&share->changed, &share->lock);
    pthread_mutex_unlock(&share->lock);
    return 0;
}

/* --- The vcpu's thread ------------------------------------------------------ */

static void submit(void *server, struct share_request *request)
{
    struct share *share = server;

    request->next = NULL;
    pthread_mutex_lock(&share->lock);
    *share->last = request;
    share->last = &request->next;
    pthread_cond_broadcast(&share->changed);
    pthread_mutex_unlock(&share->lock);
}

void share_dispatch(struct share *share)
{
    struct share_request *request, *next;

    pthread_mutex_lock(&share->lock);
    request = share->answered;
    share->answered = NULL;
    share->answered_last = &share->answered;
    pthread_mutex_unlock(&share->lock);
    for (; request; request = next) {
        next = request->next;
        request->done(request->arg, request, request->written);
    }
}

static void reset(void *server)
{
    struct share *share = server;

    if (!share->started) {
        p9_forget(share->server);
        return;
    }
    pthread_mutex_lock(&share->lock);
    while (share->first || share->busy)
        pthread_cond_wait(&share->changed, &share->lock);
    share->forget = true;
    pthread_cond_broadcast(&share->changed);
    while (share->forget)
        pthread_cond_wait(&share->changed, &share->lock);
    pthread_mutex_unlock(&share->lock);
    share_dispatch(share);
}

/* --- Life ------------------------------------------------------------------- */

struct sharedev *share_device(struct share *share)
{
    return &share->device;
}

static struct share *create(int root, const struct share_config *config)
{
    struct share *share = calloc(1, sizeof(*share));

    if (!share)
        return NULL;
    share->device = (struct sharedev){ .submit = submit, .reset = reset, .server = share };
    snprintf(share->device.tag, sizeof(share->device.tag), "%s", config->tag ? config->tag
                                                                             : "share");
    share->last = &share->first;
    share->answered_last = &share->answered;
    pthread_mutex_init(&share->lock, NULL);
    pthread_cond_init(&share->changed, NULL);
    share->config = (struct share_config){ .answered = config->answered, .arg = config->arg };
    share->server = p9_create(root, config->readonly);
    if (share->server)
        return share;
    share_close(share);
    return NULL;
}

struct share *share_open(const struct share_config *config, char *error, size_t size)
{
    struct share *share;
    int root;

    if (config->tag && (!*config->tag || strlen(config->tag) > SHAREDEV_TAG_MAX)) {
        snprintf(error, size, "the tag must have 1 to %d characters", SHAREDEV_TAG_MAX);
        return NULL;
    }
    root = open(config->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        snprintf(error, size, "cannot open '%s': %s; name a folder that can be read",
                 config->path, strerror(errno));
        return NULL;
    }
    share = NULL;
    if (!p9_host_can(root))
        snprintf(error, size, "this host's kernel has no openat2 (Linux 5.6), which keeps the "
                              "guest inside the folder");
    else if (!(share = create(root, config)))
        snprintf(error, size, "no host memory for it; free some");
    if (!share)
        close(root);
    return share;
}

void share_close(struct share *share)
{
    if (share->started) {
        pthread_mutex_lock(&share->lock);
        share->ending = true;
        pthread_cond_broadcast(&share->changed);
        pthread_mutex_unlock(&share->lock);
        pthread_join(share->thread, NULL);
    }
    if (share->server)
        p9_destroy(share->server);
    pthread_cond_destroy(&share->changed);
    pthread_mutex_destroy(&share->lock);
    free(share);
}
