/*
 * A 9P2000.L server for one folder. Everything runs on one thread, which may change between calls.
 * Internal to share/, and open to its tests.
 */
#ifndef SHARE_P9_H
#define SHARE_P9_H

#include <stdbool.h>
#include <stdint.h>

struct p9;
struct share_request;

enum {
    P9_FIDS_MAX = 16384,       /* what a guest may name at once, */
    P9_OPEN_MAX = 512,         /* and have open */
    P9_MSIZE_MAX = 512 << 10,  /* bytes of a message */
    P9_MSIZE_MIN = 4096,
};

/* root: an O_PATH descriptor of the folder; the server's from now on unless NULL is returned. */
struct p9 *p9_create(int root, bool readonly);
void p9_destroy(struct p9 *p9); /* closes root, too */

/* Answers a message; returns the bytes of the answer, 0 when there can be none. */
uint32_t p9_answer(struct p9 *p9, struct share_request *request);

/* The guest is gone: closes everything it had open. */
void p9_forget(struct p9 *p9);

/* Whether this host can keep a guest inside. */
bool p9_host_can(int root);

#endif
