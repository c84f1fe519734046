/*
 * A host folder for the guest: a 9P2000.L server on a thread of its own, confined to the folder.
 *
 * Whatever the guest or somebody else on the host does to names and links, nothing outside the
 * folder is opened, changed or asked about (decision 0016).
 */
#ifndef SHARE_SHARE_H
#define SHARE_SHARE_H

#include <stdbool.h>
#include <stddef.h>

struct share;
struct sharedev;

struct share_config {
    const char *path; /* a directory of the host */
    const char *tag;  /* NULL: "share" */
    bool readonly;
    /* Called on the server's thread when answers wait: share_dispatch() is due. */
    void (*answered)(void *arg);
    void *arg;
};

/* Opens the folder. NULL with *error a sentence about what is wrong, with room for size bytes. */
struct share *share_open(const struct share_config *config, char *error, size_t size);

/* Starts the thread, and waits until it has done what a filter of system calls may forbid it later.
 * 0 or -errno. */
int share_start(struct share *share);

/* Ends the thread. Nothing may be in flight: the device has been destroyed, or reset. */
void share_close(struct share *share);

/* For the device; valid until share_close(). */
struct sharedev *share_device(struct share *share);

/* Gives the answers that wait to the device, on the vcpu's thread. */
void share_dispatch(struct share *share);

#endif
